//! SASL from outside, byte by byte: what is offered, steps that are none, guessing, tickets beside it,
//! and the file of users.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::client::{MAIN, connect, hello, read, read_reply, word_at};
use crate::sumac::{Sumac, run, run_with_input, until};

/// AUTH_SASL, and the mechanism "SASL".
const AUTH_SASL: u32 = 1 << 2;
const SASL: u32 = 2;
const TICKET: u32 = 1;
/// Link errors INVALID_DATA and VERSION_MISMATCH.
const INVALID_DATA: u32 = 3;
const VERSION_MISMATCH: u32 = 4;
const FIRST: &str = "n,,n=alice,r=fyko+d2lbbFgONRv9qkxdawL";

/// A server with the user `alice`, whose password is `pencil`.
fn serve(options: &[&str]) -> Sumac {
    let dir = tempfile::tempdir().expect("temporary directory");
    let users = dir.path().join("users");
    let users = users.to_str().expect("a path");
    let made = run_with_input(&["passwd", users, "alice", "--iterations", "4096"], "pencil\n");
    assert!(made.status.success(), "{}", made.err);
    Sumac::start(&[&["--port", "0", "--vv", "none", "--freeze", "--sasl-users", users], options].concat())
}

/// A link that has asked for SASL, and the list of mechanisms.
fn begin(sumac: &Sumac) -> (TcpStream, String) {
    let mut stream = connect(sumac.told("addr"));
    stream.write_all(&hello(0, MAIN)).expect("the server reads");
    assert_eq!(read_reply(&mut stream).expect("a reply").0, 0);
    stream.write_all(&SASL.to_le_bytes()).expect("the server reads");
    let len = word_at(&read(&mut stream, 4).expect("a length"), 0);
    let list = read(&mut stream, len as usize).expect("a list");
    (stream, String::from_utf8(list).expect("names"))
}

/// A length and bytes; data has a NUL at its end.
fn counted(bytes: &[u8]) -> Vec<u8> {
    let len = u32::try_from(bytes.len()).expect("few");
    [&len.to_le_bytes(), bytes].concat()
}

fn data(text: &str) -> Vec<u8> {
    counted(&[text.as_bytes(), &[0]].concat())
}

/// The server's step: its data, and whether it is the last one.
fn step(stream: &mut TcpStream) -> (String, bool) {
    let len = word_at(&read(stream, 4).expect("a length"), 0);
    let data = read(stream, len as usize).expect("data");
    let complete = read(stream, 1).expect("a flag")[0] == 1;
    (String::from_utf8(data).expect("text").trim_end_matches('\0').to_owned(), complete)
}

/// The end of a refused exchange.
fn refused(stream: &mut TcpStream) -> bool {
    let end = read(stream, 30).expect("an outcome");
    end[..8] == [1, 0, 0, 0, 22, 0, 0, 0] && end[8..] == *b"Authentication failed\0" && ends(stream)
}

fn ends(stream: &mut TcpStream) -> bool {
    matches!(stream.read(&mut [0]), Ok(0) | Err(_))
}

#[test]
fn in_clear_only_scram_is_offered_and_only_what_is_offered_is_taken() {
    let sumac = serve(&["--auth-rate", "off"]);
    for name in ["PLAIN", "SCRAM-SHA-1", "scram-sha-256", "SCRAM-SHA-256,", "x"] {
        let (mut stream, list) = begin(&sumac);
        assert_eq!(list, ",SCRAM-SHA-256,");
        stream.write_all(&counted(name.as_bytes())).unwrap();
        assert_eq!(read_reply(&mut stream).unwrap().0, INVALID_DATA, "{name}");
    }
    // A ticket is no way in, and a client that cannot select has none.
    let mut stream = connect(sumac.told("addr"));
    stream.write_all(&hello(0, MAIN)).unwrap();
    assert_eq!(read_reply(&mut stream).unwrap().0, 0);
    stream.write_all(&TICKET.to_le_bytes()).unwrap();
    assert_eq!(read_reply(&mut stream).unwrap().0, INVALID_DATA);
    let mut old = hello(0, MAIN);
    let caps = old.len() - 4;
    old[caps..].copy_from_slice(&AUTH_SASL.to_le_bytes());
    let mut stream = connect(sumac.told("addr"));
    stream.write_all(&old).unwrap();
    assert_eq!(read_reply(&mut stream).unwrap().0, VERSION_MISMATCH);
}

#[test]
fn steps_that_are_none_are_refused_and_harm_nobody() {
    let sumac = serve(&["--auth-rate", "off"]);
    for bad in ["", "n,,", "n,,n=alice", "p=x,,n=alice,r=x", &format!("n,,n=alice,r={}", "x".repeat(5000))] {
        let (mut stream, _) = begin(&sumac);
        stream.write_all(&counted(b"SCRAM-SHA-256")).unwrap();
        stream.write_all(&data(bad)).unwrap();
        assert_eq!(step(&mut stream), (String::new(), true), "{bad}");
        assert!(refused(&mut stream));
    }
    for bad in ["", "c=biws", "c=biws,r=x,p=x", "v=", "e=other-error"] {
        let (mut stream, _) = begin(&sumac);
        stream.write_all(&counted(b"SCRAM-SHA-256")).unwrap();
        // The client is asked to begin when it does not.
        stream.write_all(&0_u32.to_le_bytes()).unwrap();
        assert_eq!(step(&mut stream), (String::new(), false));
        stream.write_all(&data(FIRST)).unwrap();
        assert!(step(&mut stream).0.starts_with("r=fyko+d2lbbFgONRv9qkxdawL"));
        stream.write_all(&data(bad)).unwrap();
        assert!(step(&mut stream).1, "{bad}");
        assert!(refused(&mut stream));
    }
    for length in [64 * 1024 + 1, 1 << 20, u32::MAX] {
        let (mut stream, _) = begin(&sumac);
        stream.write_all(&counted(b"SCRAM-SHA-256")).unwrap();
        stream.write_all(&length.to_le_bytes()).unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(rest.is_empty() || word_at(&rest, 16) == INVALID_DATA, "{length}: {rest:?}");
    }
    assert_eq!(begin(&sumac).1, ",SCRAM-SHA-256,");
}

#[test]
fn guessing_is_braked_as_with_tickets() {
    let sumac = serve(&[]);
    let mut links: Vec<_> = (0..12).map(|_| begin(&sumac).0).collect();
    for stream in &mut links {
        stream.write_all(&counted(b"SCRAM-SHA-256")).unwrap();
        stream.write_all(&data("garbage")).unwrap();
    }
    assert!(links.iter_mut().all(|stream| step(stream).1 && refused(stream)));
    until("the reason", || sumac.err().contains("reason=SASL refused: too many wrong ones before"));
    assert!(sumac.err().contains("reason=SASL refused: a step that the mechanism does not have"));
}

#[test]
fn tickets_are_taken_beside_it_where_the_operator_says_so() {
    let sumac = serve(&["--sasl-or-ticket", "--disable-ticketing"]);
    assert_eq!(begin(&sumac).1, ",SCRAM-SHA-256,");
    let mut link = crate::client::link(sumac.told("addr"), 0, MAIN);
    let Some(ticket) = link.encrypt(b"\0") else {
        println!("SKIPPED: openssl(1) is not here or too old");
        return;
    };
    assert_eq!(link.present(&ticket), 0, "{}", sumac.err());
}

#[test]
fn a_server_without_good_users_does_not_start() {
    let dir = tempfile::tempdir().unwrap();
    let (open, none) = (dir.path().join("open"), dir.path().join("none"));
    std::fs::write(&open, "").unwrap();
    std::fs::set_permissions(&open, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let [open, none] = [open, none].map(|path| path.to_str().unwrap().to_owned());
    for (args, error) in [
        (&["--sasl"][..], "sumac: --sasl needs users: --sasl-users FILE, which sumac passwd makes"),
        (&["--sasl-users", &none], "sumac: --sasl-users "),
        (&["--sasl-users", &open], "its mode is 644: others may read or change it"),
    ] {
        let ended = run(&[&["--port", "0", "--vv", "none"], args].concat());
        assert!(ended.err.contains(error) && ended.status.code() == Some(1), "{args:?}: {}", ended.err);
    }
    let ended = run_with_input(&["passwd", &none, "a:b"], "pw");
    assert!(ended.err.contains("a user's name has 1 to 64 bytes"), "{}", ended.err);
    let ended = run(&["passwd", "--delete", &none, "alice"]);
    assert!(ended.err.contains("No such file or directory"), "{}", ended.err);
}
