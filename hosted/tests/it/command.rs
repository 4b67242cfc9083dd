//! The contract of the command line: which sockets open, what is printed where, exit statuses.

use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::process::Signal;

use crate::sumac::{Sumac, run, until};

#[test]
fn ready_names_the_port_that_the_system_chose_and_it_is_open() {
    let sumac = Sumac::start(&["serve", "--port", "0"]);
    assert_ne!(sumac.told("port"), "0");
    assert_eq!(sumac.told("addr"), format!("127.0.0.1:{}", sumac.told("port")));
    assert_eq!((sumac.told("unix"), sumac.told("size")), ("-", "1280x720"));
    TcpStream::connect(sumac.told("addr")).unwrap();
}

#[test]
fn all_sockets_are_open_when_it_is_ready() {
    let sumac = Sumac::start(&["--port", "0", "--unix", "s", "--addr", "::"]);
    for address in sumac.told("addr").split(',') {
        let port = address.rsplit(':').next().unwrap();
        assert_eq!(port, sumac.told("port"));
    }
    TcpStream::connect(("127.0.0.1", sumac.told("port").parse().unwrap())).unwrap();
    UnixStream::connect(sumac.dir().join("s")).unwrap();
}

#[test]
fn a_unix_socket_alone_opens_no_tcp_and_is_removed_at_the_end() {
    let sumac = Sumac::start(&["--unix", "s", "--vv", "none"]);
    assert_eq!((sumac.told("addr"), sumac.told("port"), sumac.told("unix")), ("-", "0", "s"));
    UnixStream::connect(sumac.dir().join("s")).unwrap();
    let ended = sumac.end(Signal::TERM);
    assert_eq!(ended.status.code(), Some(0));
    assert!(!ended.dir.path().join("s").exists());
}

#[test]
fn qemus_option_string_opens_the_same_sockets() {
    let sumac = Sumac::start(&["--spice", "unix=on,addr=s,disable-ticketing=on,image-compression=off"]);
    assert_eq!((sumac.told("addr"), sumac.told("unix")), ("-", "s"));
    assert!(!sumac.err().contains("password"), "{}", sumac.err());
}

#[test]
fn the_last_lines_come_at_sigterm_and_sigint() {
    for signal in [Signal::TERM, Signal::INT] {
        let ended = Sumac::start(&["--port", "0"]).end(signal);
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
        let lines: Vec<_> = ended.out.lines().collect();
        let [stat, summary] = lines[..] else { panic!("{ended:?}") };
        assert!(stat.starts_with("stat ") && summary.starts_with("summary {"), "{ended:?}");
        assert!(ended.took < Duration::from_secs(2), "{ended:?}");
    }
}

#[test]
fn stats_come_every_second() {
    let mut sumac = Sumac::start(&["--port", "0", "--stats"]);
    for _ in 0..2 {
        assert!(sumac.line().starts_with("stat t="));
        assert!(sumac.line().starts_with("ledger take_n="));
    }
}

#[test]
fn a_client_that_never_speaks_does_not_delay_the_end() {
    let sumac = Sumac::start(&["--port", "0"]);
    let _silent = TcpStream::connect(sumac.told("addr")).unwrap();
    let ended = sumac.end(Signal::TERM);
    assert_eq!(ended.status.code(), Some(0));
    assert!(ended.took < Duration::from_secs(2), "{ended:?}");
}

#[test]
fn the_connection_file_is_private_and_holds_what_was_printed() {
    let sumac = Sumac::start(&["--port", "0"]);
    let err = sumac.err();
    let password = err.lines().find_map(|line| line.strip_prefix("password for this run: "));
    let password = password.expect("a password is printed");
    let path = sumac.dir().join("sumac.vv");
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    for line in [
        "[virt-viewer]".to_owned(),
        "type=spice".to_owned(),
        "host=127.0.0.1".to_owned(),
        format!("port={}", sumac.told("port")),
        format!("password={password}"),
        "title=Sumac".to_owned(),
    ] {
        assert!(text.lines().any(|found| found == line), "no {line} in {text}");
    }
}

#[test]
fn a_connection_file_that_cannot_be_written_is_a_warning() {
    let sumac = Sumac::start(&["--port", "0", "--vv", "/nonexistent/a.vv"]);
    let ended = sumac.end(Signal::TERM);
    assert_eq!(ended.status.code(), Some(0));
    assert!(ended.err.contains("cannot write the connection file") && ended.err.contains("/nonexistent/a.vv"));
}

#[test]
fn a_given_password_is_not_printed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("pw");
    std::fs::write(&path, "hunter2\n").unwrap();
    let sumac = Sumac::start(&["--port", "0", "--password-file", path.to_str().unwrap()]);
    let ended = sumac.end(Signal::TERM);
    assert!(!format!("{ended:?}").contains("hunter2"), "{ended:?}");
    let vv = std::fs::read_to_string(ended.dir.path().join("sumac.vv")).unwrap();
    assert!(vv.contains("password=hunter2\n"));
}

#[test]
fn the_reference_picture_is_written_before_ready_at_sigusr1_and_at_the_end() {
    let sumac = Sumac::start(&["--port", "0", "--vv", "none", "--freeze", "--size", "320x200", "--write-ref", "r.png"]);
    let path = sumac.dir().join("r.png");
    let first = std::fs::read(&path).unwrap();
    // The size stands in the IHDR chunk.
    assert_eq!(first.get(16..24), Some(&[0, 0, 1, 64, 0, 0, 0, 200][..]));
    std::fs::remove_file(&path).unwrap();
    sumac.signal(Signal::USR1);
    until("the picture at SIGUSR1", || std::fs::read(&path).is_ok_and(|again| again.len() == first.len()));
    std::fs::remove_file(&path).unwrap();
    let ended = sumac.end(Signal::TERM);
    assert_eq!(ended.status.code(), Some(0));
    assert!(std::fs::read(&path).is_ok_and(|last| last == first), "frozen, so it is the same picture");
}

#[test]
fn probe_tells_people_and_programs_the_same() {
    let (text, json) = (run(&["probe"]), run(&["probe", "--json"]));
    assert_eq!((text.status.code(), json.status.code()), (Some(0), Some(0)), "{text:?} {json:?}");
    let told: serde_json::Value = serde_json::from_str(&json.out).expect("it is JSON");
    assert_eq!(keys(&told), ["backends"]);
    let backends = told["backends"].as_array().expect("a list");
    for backend in backends {
        assert_eq!(keys(backend), ["device", "encoders", "name", "unavailable"]);
        let name = backend["name"].as_str().expect("a name");
        let device = backend["device"].as_str().map_or(name.to_owned(), |device| format!("{name} {device}"));
        let why = backend["unavailable"].as_str().unwrap_or_default();
        let paragraph = format!("{device}:{}{why}\n", if why.is_empty() { "" } else { " " });
        assert!(text.out.contains(&paragraph), "no {paragraph:?} in {}", text.out);
        for encoder in backend["encoders"].as_array().expect("a list") {
            assert_eq!(keys(encoder), ["codec", "formats", "max", "modifiers", "profiles", "rate_control"]);
        }
    }
    let software = backends.iter().find(|backend| backend["name"] == "software").expect("it is always there");
    let largest = |codec: &str| {
        let encoders = software["encoders"].as_array().expect("a list");
        encoders.iter().find(|encoder| encoder["codec"] == codec).map(|encoder| encoder["max"].clone())
    };
    assert_eq!(largest("h264"), Some(serde_json::json!([4096, 2304])));
    assert_eq!(largest("mjpeg"), Some(serde_json::json!([65535, 65535])));
    for library in ["openh264", "jpeg", "libvpx"] {
        assert!(text.out.contains(library), "no word about {library} in {}", text.out);
    }
}

#[test]
fn who_encodes_is_said_at_start() {
    let sumac =
        Sumac::start(&["--port", "0", "--vv", "none", "--video-codecs", "h264,mjpeg", "--encoder", "software:mjpeg"]);
    assert_eq!(sumac.told("codecs"), "h264,mjpeg");
    let ended = sumac.end(Signal::TERM);
    for line in ["video: h264 by software (openh264", "video: mjpeg by software ("] {
        assert!(ended.err.contains(line), "no {line:?} in {}", ended.err);
    }
    let args = ["--port", "0", "--vv", "none", "--video-codecs", "h265", "--encoder", "software:h265"];
    let none = Sumac::start(&args);
    assert_eq!(none.told("codecs"), "-");
    let ended = none.end(Signal::TERM);
    assert!(ended.err.contains("video: none of h265 can be encoded here"), "{}", ended.err);
}

fn keys(object: &serde_json::Value) -> Vec<&String> {
    object.as_object().expect("an object").keys().collect()
}

#[test]
fn what_fails_at_run_time_is_named_with_status_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap().to_string();
    let port = taken.local_addr().unwrap().port().to_string();
    for (args, message) in [
        (&["--port", &port][..], format!("sumac: cannot listen on 127.0.0.1:{port}: Address already in use")),
        (&["--port", "0", "--metrics", &at], format!("sumac: cannot listen on {at}: Address already in use")),
        (
            &["--password-file", "/nonexistent/pw", "--port", "0"],
            "sumac: password file /nonexistent/pw: No such".into(),
        ),
        (&["--addr", "no such host", "--port", "0"], "sumac: cannot find the address 'no such host': ".into()),
        (&["--frames", "/nonexistent/f", "--port", "0"], "/nonexistent/f".into()),
        (&["--write-ref", "/nonexistent/r.png", "--port", "0"], "/nonexistent/r.png".into()),
        (&["--unix", "/nonexistent/s"], "sumac: cannot listen on /nonexistent/s: No such file".into()),
    ] {
        let ended = run(args);
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        assert_eq!(ended.out, "", "nothing on stdout without a server");
        assert!(ended.err.contains(&message), "{args:?}: {}", ended.err);
    }
}

#[test]
fn what_is_wrong_with_the_command_line_is_named_with_status_2() {
    for (args, message) in [
        (&["--spice", "prot=5900"][..], "unknown word 'prot'"),
        (&["--spice", "tls-ciphers=x"], "'tls-ciphers' is a word of QEMU's that is not in this build yet"),
        (&["--tls-port", "1"], "--tls-port: TLS needs a certificate"),
        (&["--encoder", "nvenc:h264"], "no backend is named \"nvenc\"; there are vaapi, v4l2, software"),
        (&["--nonsense"], "unexpected argument '--nonsense'"),
    ] {
        let ended = run(args);
        assert_eq!(ended.status.code(), Some(2), "{ended:?}");
        assert_eq!(ended.out, "", "{args:?}");
        assert!(ended.err.contains(message), "{args:?}: {}", ended.err);
    }
}
