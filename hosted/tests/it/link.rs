//! Strangers at the door: bad links, bad tickets, guessing, silence and crowds.

use std::io::{Read, Write};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::client::{DISPLAY, MAIN, connect, hello, link, read_reply};
use crate::open::{INPUTS, Viewer};
use crate::sumac::Sumac;

const ACCEPTED: u32 = 0;
const PERMISSION_DENIED: u32 = 7;
const BAD_CONNECTION_ID: u32 = 8;

/// A server whose password is `password`.
fn with_password(password: &str, more: &[&str]) -> Sumac {
    let words = format!("port=0,password={password}");
    Sumac::start(&[&["--vv", "none", "--freeze", "--spice", &words], more].concat())
}

/// Presents `plain` as a new session's ticket.
fn present(sumac: &Sumac, plain: &[u8]) -> Option<u32> {
    let mut link = link(sumac.told("addr"), 0, MAIN);
    let ticket = link.encrypt(plain)?;
    Some(link.present(&ticket))
}

fn skipped() {
    println!("SKIPPED: openssl(1) is not here or too old");
}

#[test]
fn malformed_links_get_the_code_that_the_protocol_names() {
    let sumac = Sumac::start(&["--port", "0", "--vv", "none", "--freeze"]);
    let patched = |at: usize, word: u32| {
        let mut bytes = hello(0, MAIN);
        bytes[at..at + 4].copy_from_slice(&word.to_le_bytes());
        bytes
    };
    for (what, bytes, code) in [
        ("magic", patched(0, 0), 2),
        ("major 1", patched(4, 1), 4),
        ("major 3", patched(4, 3), 4),
        ("size 17", patched(12, 17), 3),
        ("size 4097", patched(12, 4097), 3),
        ("size u32::MAX", patched(12, u32::MAX), 3),
        ("1025 common words", patched(22, 1025), 3),
        ("u32::MAX channel words", patched(26, u32::MAX), 3),
        ("caps before the end of the message", patched(30, 17), 3),
        ("caps beyond the size", patched(30, 19), 3),
    ] {
        let mut stream = connect(sumac.told("addr"));
        stream.write_all(&bytes).unwrap();
        assert_eq!(read_reply(&mut stream).unwrap().0, code, "{what}");
    }
    let mut any_minor = connect(sumac.told("addr"));
    any_minor.write_all(&patched(8, 77)).unwrap();
    assert_eq!(read_reply(&mut any_minor).unwrap().0, 0);
}

#[test]
fn tickets() {
    let longest = "x".repeat(60);
    let sumac = with_password(&longest, &["--auth-rate", "off"]);
    let with_nul = |text: &str| [text.as_bytes(), &[0]].concat();
    for (what, plain, result) in [
        ("right", with_nul(&longest), ACCEPTED),
        ("wrong", with_nul("wrong"), PERMISSION_DENIED),
        ("one less", with_nul(&"x".repeat(59)), PERMISSION_DENIED),
        ("61 bytes", with_nul(&"x".repeat(61)), PERMISSION_DENIED),
        ("86 bytes", vec![b'x'; 86], PERMISSION_DENIED),
        ("empty", with_nul(""), PERMISSION_DENIED),
        ("nothing", Vec::new(), PERMISSION_DENIED),
    ] {
        let Some(got) = present(&sumac, &plain) else { return skipped() };
        assert_eq!(got, result, "{what}: {}", sumac.err());
    }
}

#[test]
fn an_undecryptable_ticket_is_denied_even_without_ticketing() {
    for args in [&["--port", "0", "--vv", "none"][..], &["--port", "0", "--vv", "none", "--disable-ticketing"]] {
        let sumac = Sumac::start(args);
        assert_eq!(link(sumac.told("addr"), 0, MAIN).present(&[0x5a; 128]), PERMISSION_DENIED);
    }
}

#[test]
fn without_ticketing_every_ticket_that_decrypts_is_good() {
    let sumac = Sumac::start(&["--port", "0", "--vv", "none", "--disable-ticketing"]);
    let Some(result) = present(&sumac, b"\0") else { return skipped() };
    assert_eq!(result, ACCEPTED);
}

#[test]
fn a_connection_id_that_nobody_has_is_told_only_to_those_who_know_the_password() {
    let sumac = with_password("secret", &["--auth-rate", "off"]);
    let mut stranger = link(sumac.told("addr"), 12345, DISPLAY);
    assert_eq!(stranger.present(&[1; 128]), PERMISSION_DENIED);
    let mut friend = link(sumac.told("addr"), 12345, DISPLAY);
    let Some(ticket) = friend.encrypt(b"secret\0") else { return skipped() };
    assert_eq!(friend.present(&ticket), BAD_CONNECTION_ID);
}

#[test]
fn guessing_does_not_keep_a_session_from_opening_its_channels() {
    let sumac = with_password("secret", &[]);
    let mut main = link(sumac.told("addr"), 0, MAIN);
    let Some(ticket) = main.encrypt(b"secret\0") else { return skipped() };
    assert_eq!(main.present(&ticket), ACCEPTED);
    let session = main.session_id();
    let mut guesses: Vec<_> = (0..20).map(|_| link(sumac.told("addr"), 0, MAIN)).collect();
    for guess in &mut guesses {
        guess.send(&[1; 128]);
    }
    // Those beyond the queue are denied without a wait, so the brake is on now.
    assert_eq!(guesses.last_mut().unwrap().result(), PERMISSION_DENIED);
    let mut display = link(sumac.told("addr"), session, DISPLAY);
    let ticket = display.encrypt(b"secret\0").unwrap();
    assert_eq!(display.present(&ticket), ACCEPTED, "{}", sumac.err());
}

#[test]
fn who_types_in_clear_is_told_so() {
    let sumac = Sumac::start(&["--port", "0", "--vv", "none", "--disable-ticketing"]);
    let Some(mut viewer) = Viewer::connect(&sumac) else { return skipped() };
    let _display = viewer.open(&sumac, DISPLAY);
    let _inputs = viewer.open(&sumac, INPUTS);
    // SPICE_MSG_NOTIFY: time, severity WARN, visibility HIGH, no number, the words.
    let body = std::iter::from_fn(|| viewer.main.next().ok()).find(|(id, _)| *id == 7).expect("a notice").1;
    assert_eq!(body[8..20], [1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(body[24..], *b"keyboard channel is insecure\0");
}

#[test]
fn a_peer_that_never_speaks_is_closed() {
    let sumac = Sumac::start(&["--port", "0", "--vv", "none", "--freeze"]);
    let mut silent = connect(sumac.told("addr"));
    let mut half = connect(sumac.told("addr"));
    half.write_all(&hello(0, MAIN)[..20]).unwrap();
    for stream in [&mut silent, &mut half] {
        // An error reply may come first; what counts is that the end comes.
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).expect("the server closes before our patience ends");
    }
}

#[test]
fn a_thousand_half_open_connections_keep_nobody_out() {
    // The test itself needs a descriptor for each of them.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    if limit.maximum.is_some_and(|most| most < 1200) {
        println!("SKIPPED: this process may have {:?} open files only", limit.maximum);
        return;
    }
    let sumac = with_password("secret", &[]);
    let mut main = link(sumac.told("addr"), 0, MAIN);
    let Some(ticket) = main.encrypt(b"secret\0") else { return skipped() };
    assert_eq!(main.present(&ticket), ACCEPTED);
    let session = main.session_id();
    let _crowd: Vec<_> = (0..1000).map(|_| connect(sumac.told("addr"))).collect();
    assert_eq!(present(&sumac, b"secret\0"), Some(ACCEPTED), "a new session, {}", sumac.err());
    let mut display = link(sumac.told("addr"), session, DISPLAY);
    let ticket = display.encrypt(b"secret\0").unwrap();
    assert_eq!(display.present(&ticket), ACCEPTED, "a channel of the old session, {}", sumac.err());
}
