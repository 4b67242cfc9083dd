//! The control socket from outside: tickets that let in once or to look, the password, who is there,
//! and secrets that stay out of the log.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use crate::client::{DISPLAY, MAIN, link};
use crate::open::{INPUTS, Open};
use crate::sumac::{Sumac, run, run_with_input, until};

const ACCEPTED: u32 = 0;
const PERMISSION_DENIED: u32 = 7;
const RECORD: u8 = 6;
/// SPICE_MSGC_INPUTS_KEY_DOWN.
const KEY_DOWN: u16 = 101;

/// A server with a control socket and the password `hunter2`, that logs all it can.
fn serve() -> Sumac {
    let dir = tempfile::tempdir().expect("temporary directory");
    let file = dir.path().join("pw");
    std::fs::write(&file, "hunter2\n").expect("a file");
    let file = file.to_str().expect("a path");
    Sumac::start_logging(
        "trace",
        &["--port", "0", "--vv", "none", "--auth-rate", "off", "--control", "control", "--password-file", file],
    )
}

/// Runs a command on the server's control socket: what it says, or why it failed.
fn control(sumac: &Sumac, command: &str) -> Result<String, String> {
    control_with(sumac, command, "")
}

fn control_with(sumac: &Sumac, command: &str, input: &str) -> Result<String, String> {
    let socket = sumac.dir().join("control");
    let mut args: Vec<_> = command.split(' ').collect();
    args.extend(["--control", socket.to_str().expect("a path")]);
    let ended = run_with_input(&args, input);
    if ended.status.success() { Ok(ended.out.trim_end().to_owned()) } else { Err(ended.err) }
}

/// Links a channel with this secret: the result, and the connection; `None` without openssl(1).
fn present(sumac: &Sumac, session: u32, channel: u8, secret: &str) -> Option<(u32, Open)> {
    let mut link = link(sumac.told("addr"), session, channel);
    let ticket = link.encrypt(&[secret.as_bytes(), &[0]].concat())?;
    let result = link.present(&ticket);
    Some((result, Open::of(link.into_stream())))
}

/// A new session, with the number of its id.
fn connect(sumac: &Sumac, secret: &str) -> Option<(u32, Open)> {
    let (result, mut main) = present(sumac, 0, MAIN, secret)?;
    assert_eq!(result, ACCEPTED, "{}", sumac.err());
    let (id, body) = main.next().expect("INIT");
    assert_eq!(id, 103);
    Some((crate::client::word_at(&body, 0), main))
}

fn skipped() {
    println!("SKIPPED: openssl(1) is not here or too old");
}

/// Whether the server has closed this connection, or does in time.
fn closes(mut open: Open) -> bool {
    std::iter::repeat_with(|| open.next()).take(10_000).any(|message| message.is_err())
}

#[test]
fn a_one_time_ticket_is_for_one_viewer_and_all_its_channels() {
    let sumac = serve();
    let ticket = control(&sumac, "ticket --for alice --once --ttl 1h").expect("a ticket");
    assert_eq!(ticket.len(), 20);
    let list = control(&sumac, "ticket --list").expect("a list");
    assert!(list.starts_with("1  alice  once, 35") && !list.contains(&ticket), "{list}");
    let Some((session, main)) = connect(&sumac, &ticket) else { return skipped() };
    assert_eq!(control(&sumac, "ticket --list").expect("a list"), "");
    // Used up for others, and still good for the viewer's own channels.
    let Some((again, _)) = present(&sumac, 0, MAIN, &ticket) else { return skipped() };
    assert_eq!(again, PERMISSION_DENIED);
    let (joined, _display) = present(&sumac, session, DISPLAY, &ticket).expect("it worked before");
    assert_eq!(joined, ACCEPTED);
    let (other, _) = present(&sumac, session, INPUTS, "hunter2").expect("it worked before");
    assert_eq!(other, PERMISSION_DENIED, "the password is not what the session was begun with");
    for why in ["the one-time ticket was used before", "not what the session was begun with"] {
        until("the reason in the log", || sumac.err().contains(&format!("reason=ticket refused: {why}")));
    }
    // Revoking it takes the viewer along.
    assert_eq!(control(&sumac, "ticket --revoke alice").unwrap(), "tickets revoked: 0, viewers disconnected: 1");
    assert!(closes(main));
}

#[test]
fn tickets_are_good_side_by_side_until_they_are_revoked() {
    let sumac = serve();
    let [alice, bob] = ["alice", "bob"].map(|name| control(&sumac, &format!("ticket --for {name}")).expect("a ticket"));
    assert_ne!(alice, bob);
    for secret in [&alice, &bob, "hunter2"] {
        if connect(&sumac, secret).is_none() {
            return skipped();
        }
    }
    assert!(control(&sumac, "ticket --revoke 1").unwrap().starts_with("tickets revoked: 1"));
    let revoked = present(&sumac, 0, MAIN, &alice).expect("it worked before").0;
    assert_eq!(revoked, PERMISSION_DENIED);
    assert!(connect(&sumac, &bob).is_some());
    let error = control(&sumac, "ticket --revoke carol").unwrap_err();
    assert_eq!(error, "sumac: there is no ticket for or with the number 'carol'\n");
}

#[test]
fn who_may_only_look_is_shown_pictures_and_not_listened_to() {
    let sumac = serve();
    let ticket = control(&sumac, "ticket --for alice --view-only").expect("a ticket");
    let Some((session, mut main)) = connect(&sumac, &ticket) else { return skipped() };
    // CHANNELS_LIST has no microphone.
    let list = std::iter::from_fn(|| main.next().ok()).find(|(id, _)| *id == 104).expect("CHANNELS_LIST").1;
    assert!(!list[4..].chunks(2).any(|channel| channel[0] == RECORD) && list.len() > 4, "{list:?}");
    let (result, record) = present(&sumac, session, RECORD, &ticket).expect("it worked before");
    assert_eq!(result, ACCEPTED);
    assert!(closes(record));
    let mut display = present(&sumac, session, DISPLAY, &ticket).expect("it worked before").1;
    assert!(display.next().is_ok());
    let mut inputs = present(&sumac, session, INPUTS, &ticket).expect("it worked before").1;
    for _ in 0..3 {
        inputs.say(KEY_DOWN, &30_u32.to_le_bytes()).expect("the server reads");
    }
    until("a word in the log", || sumac.err().contains("may only look: what it says is ignored"));
    let status = control(&sumac, "status").expect("a list");
    assert!(status.contains("let in by ticket 1 for alice, view only"), "{status}");
    drop(inputs);
    until("the end of the inputs channel", || sumac.err().contains("kind=INPUTS id=0 reason="));
    assert_eq!(sumac.err().matches("may only look: what it says is ignored").count(), 1, "once per viewer");
}

#[test]
fn the_password_changes_and_expires_and_whoever_is_in_stays() {
    let sumac = serve();
    let Some((session, _main)) = connect(&sumac, "hunter2") else { return skipped() };
    let result = |session, channel, secret| present(&sumac, session, channel, secret).expect("it worked before").0;
    assert_eq!(control_with(&sumac, "password --set", "swordfish\nmore\n").unwrap(), "");
    assert_eq!(result(0, MAIN, "hunter2"), PERMISSION_DENIED);
    assert_eq!(result(session, INPUTS, "hunter2"), ACCEPTED, "a channel of a viewer that was in");
    assert_eq!(result(0, MAIN, "swordfish"), ACCEPTED);
    assert_eq!(control(&sumac, "password --expire").unwrap(), "");
    assert_eq!(result(0, MAIN, "swordfish"), PERMISSION_DENIED);
    until("the reason in the log", || {
        sumac.err().contains("reason=ticket refused: the password or ticket has expired")
    });
    let file = sumac.dir().join("new");
    std::fs::write(&file, "correct horse").unwrap();
    control(&sumac, &format!("password --set {}", file.display())).unwrap();
    assert_eq!(result(0, MAIN, "correct horse"), ACCEPTED);
    let error = control_with(&sumac, "password --set", "\n").unwrap_err();
    assert_eq!(error, "sumac: standard input: the password is empty\n");
}

#[test]
fn viewers_are_listed_with_their_channels_and_disconnected() {
    let sumac = serve();
    assert_eq!(control(&sumac, "status").unwrap(), "no viewers");
    let Some((session, main)) = connect(&sumac, "hunter2") else { return skipped() };
    let _display = present(&sumac, session, DISPLAY, "hunter2").expect("it worked before").1;
    let mut status = serde_json::Value::Null;
    until("two channels", || {
        status = serde_json::from_str(&control(&sumac, "status --json").unwrap()).unwrap();
        status["status"][0]["channels"].as_array().is_some_and(|channels| channels.len() == 2)
    });
    let viewer = &status["status"][0];
    assert_eq!((viewer["id"].as_u64(), viewer["by"].as_str()), (Some(session.into()), Some("password")));
    assert!(viewer["peer"].as_str().unwrap().starts_with("127.0.0.1:"));
    let channel = &viewer["channels"][0];
    assert_eq!((channel["kind"].as_str(), channel["secure"].as_bool()), (Some("main"), Some(false)));
    assert!(channel["sent_bytes"].as_u64().unwrap() > 0 && channel["round_trip_ms"].as_f64().unwrap() > 0.0);
    assert_eq!(control(&sumac, &format!("disconnect {session}")).unwrap(), "viewers disconnected: 1");
    assert!(closes(main));
    until("the end of the session", || control(&sumac, "status").unwrap() == "no viewers");
    until("the reason in the log", || sumac.err().contains("reason=the operator disconnected it"));
    let gone = control(&sumac, &format!("disconnect {session}")).unwrap_err();
    assert_eq!(gone, format!("sumac: there is no viewer {session}\n"));
}

#[test]
fn no_secret_stands_in_the_log() {
    let sumac = serve();
    let ticket = control(&sumac, "ticket --for alice").expect("a ticket");
    control_with(&sumac, "password --set", "swordfish").unwrap();
    for secret in ["hunter2", "swordfish", &ticket, "opensesame"] {
        if present(&sumac, 0, MAIN, secret).is_none() {
            return skipped();
        }
    }
    let mut stream = UnixStream::connect(sumac.dir().join("control")).unwrap();
    stream.write_all(b"{\"do\":\"set-password\",\"password\":[\"magicword\"]}\n").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("{\"error\":\"not a request: "), "{answer}");
    let ended = sumac.end(rustix::process::Signal::TERM);
    assert!(ended.err.contains(" INFO ") && ended.err.contains("a ticket was made"), "{}", ended.err);
    assert!(!ended.dir.path().join("control").exists(), "the socket's file is removed at the end");
    for secret in ["hunter2", "swordfish", &ticket, "opensesame", "magicword"] {
        assert!(!ended.err.contains(secret) && !ended.out.contains(secret), "{secret} in {}", ended.err);
    }
}

#[test]
fn bad_bytes_and_crowds_on_the_socket_harm_nobody() {
    let sumac = serve();
    let socket = sumac.dir().join("control");
    for bytes in [&b"\n"[..], b"\0\xff\n", &[b'x'; 100_000], b"{\"do\":", b"[[[[\n{}\n"] {
        let mut stream = UnixStream::connect(&socket).unwrap();
        // It may be refused before it is read to its end.
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.is_empty() || answer.starts_with(b"{\"error\":"), "{}", answer.escape_ascii());
    }
    // Silent connections are pushed out by those that come.
    let crowd: Vec<_> = (0..100).filter_map(|_| UnixStream::connect(&socket).ok()).collect();
    assert_eq!(control(&sumac, "status").unwrap(), "no viewers");
    let mut oldest = &crowd[0];
    oldest.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    assert_eq!(oldest.read(&mut [0]).unwrap(), 0);
    drop(thread::spawn(move || drop(crowd)).join());
}

#[test]
fn without_a_server_there_is_a_reason() {
    let ended = run(&["status", "--control", "/nonexistent/control"]);
    assert_eq!(ended.err, "sumac: --control /nonexistent/control: No such file or directory (os error 2)\n");
    assert_eq!(ended.status.code(), Some(1));
}
