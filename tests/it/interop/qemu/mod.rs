//! Sumac beside a real QEMU: a small guest of our own under TCG, shown over QEMU's D-Bus display.
//!
//! The guest keeps a log of what its keyboard and mice say, which is read out of its memory; what
//! it shows is compared with QEMU's own `screendump`.

mod agent;
mod clipboard;
mod clipboard_kinds;
mod guest;
mod heads;
mod installer;
mod linux;
mod restart;
mod soak;
mod usb;
mod webdav;

use rustix::process::Signal;

use self::guest::{Monitor, same_screen, start};
use super::programs::{Client, Sumac, needs, until};

/// XT scan codes.
const A: &str = "0x1e";
const F5: &str = "0x3f";
const F6: &str = "0x40";
const CAPS_LOCK: &str = "0x3a";

#[test]
fn the_picture_is_the_machines() {
    needs!("the_picture_is_the_machines": "gi", "qemu-system-x86_64", "as", "ld");
    for vga in ["std", "virtio", "qxl"] {
        let (sumac, mut monitor) = start(&[], vga, &[]);
        let mut client = Client::connect(&sumac.tcp_uri());
        // Text, then what the keys F2 to F4 and F1 show.
        same_screen(&mut client, 0, &sumac, &mut monitor, None);
        for (key, width, height) in [("0x3c", 640, 400), ("0x3d", 640, 480), ("0x3e", 800, 600), ("0x3b", 720, 400)] {
            client.does(&format!("key press {key}"));
            until("the mode", || {
                let screen = monitor.screen(&sumac, None);
                (screen.width, screen.height) == (width, height)
            });
            let shown = same_screen(&mut client, 0, &sumac, &mut monitor, None);
            assert_eq!((shown.width, shown.height), (width, height), "{vga} {key}");
        }
    }
}

/// The bytes that the guest's keyboard sent.
fn keys(monitor: &mut Monitor) -> Vec<u8> {
    monitor.entries(b'K').concat()
}

#[test]
fn keys_arrive_as_they_were_pressed() {
    needs!("keys_arrive_as_they_were_pressed": "gi", "qemu-system-x86_64", "as", "ld");
    let (sumac, mut monitor) = start(&[], "std", &[]);
    let mut client = Client::connect(&sumac.unix_uri());
    let mut expected = Vec::new();
    for (key, bytes) in [
        (A, &[0x1e, 0x9e][..]),
        // Right Ctrl, the keypad's Enter and an arrow are extended.
        ("0x11d", &[0xe0, 0x1d, 0xe0, 0x9d]),
        ("0x11c", &[0xe0, 0x1c, 0xe0, 0x9c]),
        ("0x148", &[0xe0, 0x48, 0xe0, 0xc8]),
        // Pause, which sends everything when it is pressed, and PrintScreen with its shifts.
        ("0x146", &[0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5]),
        ("0x137", &[0xe0, 0x2a, 0xe0, 0x37, 0xe0, 0xb7, 0xe0, 0xaa]),
    ] {
        client.does(&format!("key press {key}"));
        expected.extend_from_slice(bytes);
        until("the key", || keys(&mut monitor).len() >= expected.len());
        assert_eq!(keys(&mut monitor), expected, "{key}");
    }
    // A viewer that dies with a key down.
    client.does(&format!("key down {A}"));
    until("the held key", || keys(&mut monitor).ends_with(&[0x1e]));
    client.0.signal(Signal::KILL);
    until("the key's release", || keys(&mut monitor).ends_with(&[0x1e, 0x9e]));
}

#[test]
fn lock_lights_go_both_ways() {
    needs!("lock_lights_go_both_ways": "gi", "qemu-system-x86_64", "as", "ld");
    let (sumac, mut monitor) = start(&[], "std", &[]);
    let mut client = Client::connect(&sumac.tcp_uri());
    client.does(&format!("key press {CAPS_LOCK}"));
    client.event("\"modifiers\", \"value\": 4");
    client.does("locks 0");
    until("the guest's lock key", || keys(&mut monitor) == [0x3a, 0xba, 0x3a, 0xba]);
    client.event("\"modifiers\", \"value\": 0");
}

/// The PS/2 mouse's packets: buttons, motion to the right and up, wheel.
fn packets(monitor: &mut Monitor) -> Vec<[u8; 4]> {
    monitor.entries(b'M').concat().as_chunks().0.to_vec()
}

#[test]
fn the_mouse_is_the_one_that_the_guest_has() {
    needs!("the_mouse_is_the_one_that_the_guest_has": "gi", "qemu-system-x86_64", "as", "ld");
    let (sumac, mut monitor) = start(&[], "std", &[]);
    let mut client = Client::connect(&sumac.tcp_uri());
    client.event("\"mouse-mode\", \"mode\": \"server\"");
    client.does("motion 9 5");
    client.does("button press 3");
    client.does("button press 5");
    let wheel = |packet: &[u8; 4]| packet[3] & 0xf == 1;
    until("the wheel", || packets(&mut monitor).iter().any(wheel));
    let got = packets(&mut monitor);
    assert!(got.iter().any(|packet| packet[1..3] == [9, 0xfb]), "the motion: {got:02x?}");
    assert!(got.iter().any(|packet| packet[0] & 7 == 2), "the right button: {got:02x?}");

    // The guest takes positions from now on.
    client.does(&format!("key press {F5}"));
    client.event("\"mouse-mode\", \"mode\": \"client\"");
    client.does("position 180 100");
    client.does("button down 1");
    // Buttons, then parts of 65536 of the screen's 720x400 pixels, each a word.
    let pressed = [0x20, 0x00];
    let there = |entry: &Vec<u8>| {
        let word = |at| f64::from(u16::from_le_bytes([entry[at], entry[at + 1]])) / 65536.0;
        entry[..2] == pressed && (word(2) * 720.0 - 180.0).abs() < 2.0 && (word(4) * 400.0 - 100.0).abs() < 2.0
    };
    until("the position", || monitor.entries(b'A').iter().any(there));
    // A viewer that leaves with a button down.
    drop(client);
    until("the button's release", || monitor.entries(b'A').last().is_some_and(|entry| entry[..2] == [0, 0]));

    let mut client = Client::connect(&sumac.tcp_uri());
    client.does(&format!("key press {F6}"));
    client.event("\"mouse-mode\", \"mode\": \"server\"");
}

#[test]
fn a_stopped_viewer_holds_up_neither_the_machine_nor_the_others() {
    needs!("a_stopped_viewer_holds_up_neither_the_machine_nor_the_others": "gi", "qemu-system-x86_64", "as", "ld");
    let (sumac, mut monitor) = start(&[], "std", &[]);
    let stopped = Client::connect(&sumac.tcp_uri());
    let mut client = Client::connect(&sumac.unix_uri());
    stopped.0.signal(Signal::STOP);
    for number in 1..=20 {
        client.does(&format!("key press {}", ["0x3d", "0x3e"][number % 2]));
        until("the guest to take the key", || keys(&mut monitor).len() == 2 * number);
    }
    same_screen(&mut client, 0, &sumac, &mut monitor, None);
    stopped.0.signal(Signal::CONT);
}

#[test]
fn every_console_is_a_display() {
    needs!("every_console_is_a_display": "gi", "qemu-system-x86_64", "as", "ld");
    let second = ["-device", "secondary-vga,id=second"];
    let (sumac, mut monitor) = start(&[], "std", &second);
    let mut client = Client::connect(&sumac.tcp_uri());
    client.event("\"open\", \"channel\": \"display\", \"id\": 1");
    until("the second display", || client.tries(&format!("dump {} 1", sumac.dir().join("x").display())));
    for (display, device) in [(0, None), (1, Some("second"))] {
        same_screen(&mut client, display, &sumac, &mut monitor, device);
    }
    // Only the second one, which is display 0 then.
    let (sumac, mut monitor) = start(&["--console", "1"], "std", &second);
    let mut client = Client::connect(&sumac.tcp_uri());
    same_screen(&mut client, 0, &sumac, &mut monitor, Some("second"));
    assert_eq!(client.0.count("\"channel\": \"display\""), 1);
}

#[test]
fn character_devices_are_channels_of_one_viewer_after_another() {
    needs!("character_devices_are_channels_of_one_viewer_after_another": "gi", "qemu-system-x86_64", "as", "ld");
    let serial = ["-chardev", "dbus,id=uart,name=org.example.uart", "-serial", "chardev:uart"];
    let (sumac, mut monitor) = start(&[], "std", &serial);
    for breaks in 1..=2 {
        let mut client = Client::connect(&sumac.tcp_uri());
        client.event("\"port\", \"name\": \"org.example.uart\", \"opened\": true");
        // The guest says everything back, as fast as its serial port can.
        client.does("port-echo org.example.uart 3000");
        client.event("\"port-echo\", \"name\": \"org.example.uart\", \"bytes\": 3000, \"right\": true");
        client.does("port-event org.example.uart 2");
        until("the break", || monitor.entries(b'B').len() == breaks);
    }
}

#[test]
fn the_machines_sound_is_heard() {
    needs!("the_machines_sound_is_heard": "gi", "qemu-system-x86_64", "as", "ld");
    let sound = ["-audiodev", "dbus,id=sound,out.frequency=48000", "-machine", "pcspk-audiodev=sound"];
    let (sumac, _monitor) = start(&[], "std", &sound);
    Client::connect(&sumac.unix_uri()).does("key press 0x41");
    for opus in [true, false] {
        let mut client = Client::connect_with_sound(&sumac.tcp_uri(), opus);
        client.event("\"playback-start\", \"channels\": 2, \"rate\": 48000");
        // A second that is all tone, not the one in which it begins.
        until("the tone", || {
            let line = client.event("\"sound\"");
            client.0.say("");
            let hz = line.split("\"hz\": ").nth(1).unwrap().split(',').next().unwrap();
            hz.parse::<u32>().unwrap().abs_diff(1000) < 20
        });
    }
}

/// How a program ended, and what it said.
fn end_of(sumac: &mut Sumac) -> (Option<i32>, String) {
    (sumac.program.exit_code(), sumac.program.log())
}

#[test]
fn sumac_ends_as_qemu_does() {
    needs!("sumac_ends_as_qemu_does": "qemu-system-x86_64", "as", "ld");
    let (mut sumac, mut monitor) = start(&[], "std", &[]);
    monitor.does("system_reset", "{}");
    monitor.does("quit", "{}");
    let (status, log) = end_of(&mut sumac);
    assert_eq!(status, Some(0));
    for event in ["RESET", "SHUTDOWN"] {
        assert!(log.contains(&format!("event=\"{event}\"")), "{log}");
    }
    // A signal goes to QEMU, which ends in its own way.
    let (mut sumac, _monitor) = start(&[], "std", &[]);
    sumac.program.signal(Signal::TERM);
    let (status, log) = end_of(&mut sumac);
    assert_eq!(status, Some(0));
    assert!(log.contains("reason=\"host-signal\""), "{log}");
    // The status is QEMU's.
    let dir = tempfile::tempdir().unwrap();
    let mut sumac = Sumac::start_in(dir, "qemu", &["--", guest::QEMU, "-machine", "nonsense"]);
    assert_eq!(end_of(&mut sumac).0, Some(1));
}
