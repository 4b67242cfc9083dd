//! Sound, ports and the clipboard between the server and spice-gtk: what is sent arrives, both ways.

use super::programs::{Client, Sumac, needs};

/// Different samples in a period of the tone that `--sound-check tone` plays.
const TONE_VALUES: u64 = 49;

fn sumac(options: &[&str]) -> Sumac {
    Sumac::start(&[&["--freeze", "--size", "640x480"], options].concat())
}

/// The number behind `"name": `.
fn number(line: &str, name: &str) -> u64 {
    let value = line.split(&format!("\"{name}\": ")).nth(1).unwrap_or_else(|| panic!("{name} in {line}"));
    value.split([',', '}']).next().unwrap().parse().unwrap_or_else(|_| panic!("{name} in {line}"))
}

/// A second of sound that the client hears from now on; checks its frequency.
fn second(client: &mut Client, hz: u64) -> String {
    // Of the first one, a part can be from before.
    client.0.say("");
    client.event("\"sound\"");
    client.0.say("");
    let sound = client.event("\"sound\"");
    assert!(number(&sound, "hz").abs_diff(hz) <= 10, "{sound}");
    assert!((6000..12_000).contains(&number(&sound, "peak")), "{sound}");
    sound
}

#[test]
fn a_tone_is_heard_raw_and_as_opus() {
    needs!("a_tone_is_heard_raw_and_as_opus": "gi");
    for (compression, opus_client) in [("off", true), ("on", false), ("on", true)] {
        let sumac = sumac(&["--sound-check", "tone", "--playback-compression", compression]);
        let coded = compression == "on" && opus_client && sumac.program.log().contains("as Opus");
        let mut client = Client::connect_with_sound(&sumac.tcp_uri(), opus_client);
        let start = client.event("\"playback-start\"");
        assert_eq!((number(&start, "channels"), number(&start, "rate")), (2, 48_000));
        let sound = second(&mut client, 500);
        // Raw samples are exact; coded ones are only nearly so.
        assert_eq!(number(&sound, "values") == TONE_VALUES, !coded, "compression {compression}: {sound}");
    }
}

#[test]
fn several_listeners_hear_the_same() {
    needs!("several_listeners_hear_the_same": "gi");
    let sumac = sumac(&["--sound-check", "tone"]);
    let mut clients: Vec<_> = (0..3).map(|n| Client::connect_with_sound(&sumac.tcp_uri(), n > 0)).collect();
    clients.iter_mut().for_each(|client| drop(second(client, 500)));
}

#[test]
fn what_a_viewer_records_arrives_raw_and_as_opus() {
    needs!("what_a_viewer_records_arrives_raw_and_as_opus": "gi");
    for opus in [false, true] {
        let sumac = sumac(&["--sound-check", "echo"]);
        let mut client = Client::connect_with_sound(&sumac.tcp_uri(), opus);
        client.event("\"record-start\"");
        client.does("speak 1000 10");
        second(&mut client, 1000);
    }
}

#[test]
fn ten_megabytes_go_through_a_port_both_ways() {
    needs!("ten_megabytes_go_through_a_port_both_ways": "gi");
    let sumac = sumac(&["--echo-port", "com.example.echo"]);
    // Local clients are sent the bytes as they are, others compressed ones.
    for uri in [sumac.unix_uri(), sumac.tcp_uri()] {
        let mut client = Client::connect(&uri);
        client.event("\"port\", \"name\": \"com.example.echo\", \"opened\": true");
        client.0.say("port-echo com.example.echo 10000000");
        let echo = client.event("\"port-echo\"");
        assert!(number(&echo, "bytes") == 10_000_000 && echo.contains("\"right\": true"), "{echo}");
        client.0.say("quit");
        assert!(client.0.ends_well());
    }
}

#[test]
fn a_port_belongs_to_one_viewer_until_it_goes() {
    needs!("a_port_belongs_to_one_viewer_until_it_goes": "gi");
    let sumac = sumac(&["--echo-port", "echo"]);
    let mut first = Client::connect(&sumac.tcp_uri());
    first.event("\"port\", \"name\": \"echo\"");
    let mut second = Client::connect(&sumac.tcp_uri());
    first.does("port echo hello");
    first.event("\"port-data\", \"name\": \"echo\", \"text\": \"hello\"");
    assert_eq!(second.0.count("\"channel\": \"port\""), 0, "it is not even named to the second one");
    drop(first);
    second.event("\"port\", \"name\": \"echo\"");
    second.does("port echo again");
    second.event("\"port-data\", \"name\": \"echo\", \"text\": \"again\"");
}

/// What spice-gtk does with a device depends on its channel.
#[test]
fn a_device_becomes_the_channel_of_its_name() {
    needs!("a_device_becomes_the_channel_of_its_name": "gi");
    let names = ["org.spice-space.webdav.0", "org.qemu.usbredir", "com1"];
    let sumac = sumac(&names.map(|name| ["--echo-port", name]).concat());
    let mut client = Client::connect(&sumac.tcp_uri());
    for kind in ["webdav", "usbredir", "port"] {
        client.event(&format!("\"open\", \"channel\": \"{kind}\", \"id\": 0"));
    }
    client.event("\"port\", \"name\": \"org.spice-space.webdav.0\", \"opened\": true");
    client.event("\"port\", \"name\": \"com1\", \"opened\": true");
}

/// `--echo-clipboard` fetches what the client has and offers it back: both ways at once.
#[test]
fn text_of_any_length_is_copied_and_pasted() {
    needs!("text_of_any_length_is_copied_and_pasted": "gi");
    let sumac = sumac(&["--echo-clipboard"]);
    let mut client = Client::connect(&sumac.tcp_uri());
    client.event("\"agent\", \"connected\": true");
    // Around a chunk's length with and without the heads, then many chunks.
    for size in [0, 1, 2019, 2020, 2021, 2047, 2048, 2049, 1_000_000, 100_000_000] {
        client.0.say(&format!("copy-bytes {size}"));
        client.event("\"clipboard-grab\", \"types\": [1]");
        client.0.say("paste");
        let pasted = client.event("\"clipboard\"");
        assert!(number(&pasted, "bytes") == size && pasted.contains("\"right\": true"), "{size}: {pasted}");
    }
}

#[test]
fn another_viewer_pastes_what_the_guest_has() {
    needs!("another_viewer_pastes_what_the_guest_has": "gi");
    let sumac = sumac(&["--echo-clipboard"]);
    let mut one = Client::connect(&sumac.tcp_uri());
    one.does("copy shared");
    one.event("\"clipboard-grab\"");
    let mut two = Client::connect(&sumac.tcp_uri());
    two.event("\"clipboard-grab\", \"types\": [1]");
    two.does("paste");
    two.event("\"clipboard\", \"text\": \"shared\"");
}

#[test]
fn files_and_a_forbidden_clipboard_are_refused() {
    needs!("files_and_a_forbidden_clipboard_are_refused": "gi");
    let sumac = sumac(&["--echo-clipboard"]);
    let mut client = Client::connect(&sumac.tcp_uri());
    client.does("copy text");
    client.event("\"clipboard-grab\"");
    client.does("paste 6");
    client.event("\"clipboard\", \"text\": \"\"");
    client.does("send-file /etc/hostname");
    let refused = client.event("\"file\"");
    assert!(refused.contains("1 failed"), "{refused}");
    client.does("copy-files");
    super::programs::until("the refusal in the log", || sumac.program.log().contains("copied files"));
    let forbidding = self::sumac(&["--echo-clipboard", "--disable-copy-paste"]);
    let mut client = Client::connect(&forbidding.tcp_uri());
    client.does("copy text");
    client.does("paste");
    // An answer to something else: what was said before has been handled.
    client.does("monitor 800 600");
    client.event("\"surface\"");
    assert_eq!(client.0.count("\"clipboard"), 0);
}

/// A port with the agent's name is relayed. One that echoes hands the client back what it says
/// itself: it is asked for its own clipboard.
#[test]
fn an_agents_own_port_is_relayed() {
    needs!("an_agents_own_port_is_relayed": "gi");
    let sumac = sumac(&["--echo-port", "com.redhat.spice.0"]);
    let mut client = Client::connect(&sumac.tcp_uri());
    client.event("\"agent\", \"connected\": true");
    for size in [1, 2020, 2021, 1_000_000] {
        client.does(&format!("copy-bytes {size}"));
        client.does("paste");
        let pasted = client.event("\"clipboard\"");
        assert!(number(&pasted, "bytes") == size && pasted.contains("\"right\": true"), "{size}: {pasted}");
    }
    // What the server does itself is not relayed.
    client.does("monitor 800 600");
    client.event("\"surface\", \"width\": 800, \"height\": 600");
}
