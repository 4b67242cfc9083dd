//! Clients that got in and misbehave: what breaks a channel, and what disturbs nobody else.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;

use crate::client::{DISPLAY, MAIN, hello, link, read_reply};
use crate::open::{ACK, ACK_SYNC, CURSOR, INPUTS, Open, PONG, Viewer, announced, message, open};
use crate::sumac::{Sumac, until};

const BAD_CONNECTION_ID: u32 = 8;
/// Most that a session may make the server hold: 4 MiB unsent on a channel, and a picture or two.
const HELD_KB: u64 = 64 * 1024;
/// Messages of a flood.
const FLOOD: usize = 100_000;

fn serve(more: &[&str]) -> Sumac {
    Sumac::start(&[&["--port", "0", "--vv", "none", "--disable-ticketing"], more].concat())
}

fn skipped() {
    println!("SKIPPED: openssl(1) is not here or too old");
}

#[test]
fn a_log_that_cannot_be_written_is_nobody_s_end() {
    let sumac = Sumac::start_without_log(&["--port", "0", "--vv", "none", "--disable-ticketing", "--freeze"]);
    for _ in 0..3 {
        let Some(_viewer) = Viewer::connect(&sumac) else { return skipped() };
    }
}

#[test]
fn what_is_against_the_protocol_closes_its_channel_and_says_why() {
    let sumac = serve(&["--freeze"]);
    let Some(watcher) = Viewer::connect(&sumac) else { return skipped() };
    let unknown = [message(999, &[1, 2, 3]), message(u16::MAX, &[])].concat();
    // INIT.
    let init = message(101, &[0; 14]);
    for (channel, what, bytes, why) in [
        (MAIN, "one byte too large", announced(107, 26_625, &[]), "announces 26625 bytes"),
        (MAIN, "as large as can be said", announced(107, u32::MAX, &[]), "announces 4294967295 bytes"),
        (MAIN, "too short", message(PONG, &[0; 11]), "Pong."),
        (MAIN, "no agent data", message(107, &[]), "AGENT_DATA"),
        (DISPLAY, "too large", announced(101, 1025, &[]), "announces 1025 bytes"),
        (DISPLAY, "too short", message(101, &[0; 13]), "Init."),
        (DISPLAY, "a second INIT", [init.clone(), init].concat(), "INIT out of place"),
        (DISPLAY, "an answer to nothing", message(104, &[]), "GL_DRAW_DONE out of place"),
        (INPUTS, "too large", announced(104, 2049, &[]), "announces 2049 bytes"),
        (INPUTS, "too short", message(111, &[0; 8]), "MouseMotion."),
        (CURSOR, "too large", announced(ACK, 1025, &[]), "announces 1025 bytes"),
        (CURSOR, "too short", message(ACK_SYNC, &[0; 3]), "AckSync."),
    ] {
        let viewer = Viewer::connect(&sumac).expect("it worked before");
        let mut bad = if channel == MAIN { viewer.main } else { viewer.open(&sumac, channel) };
        // What is not known is passed over; it is not the reason for the end.
        bad.stream.write_all(&[&unknown[..], &bytes].concat()).unwrap();
        bad.closes();
        until(&format!("a log line: channel {channel}, {what}: {why}"), || last_reason(&sumac).contains(why));
    }
    answers(watcher.main);
}

/// The last reason for the end of a channel.
fn last_reason(sumac: &Sumac) -> String {
    let err = sumac.err();
    err.lines().rfind(|line| line.contains("broke the protocol")).unwrap_or_default().to_owned()
}

/// Asks for the other mouse mode and gets it.
fn answers(mut main: Open) {
    main.say(105, &[1, 0]).expect("the server reads");
    assert_eq!(main.until(105), [3, 0, 1, 0]);
}

#[test]
fn messages_that_come_too_early_or_mean_nothing_are_passed_over() {
    let sumac = serve(&["--freeze"]);
    let Some(mut viewer) = Viewer::connect(&sumac) else { return skipped() };
    for (id, body) in [
        // Agent data before AGENT_START, tokens, a goodbye to a migration, answers to no question.
        (107, &[0; 100][..]),
        (108, &u32::MAX.to_le_bytes()),
        (109, &[]),
        (102, &[]),
        (104, &[]),
        (ACK_SYNC, &[0xff; 4]),
        (ACK, &[]),
        (PONG, &[0xff; 12]),
        // No mode, both modes, an unknown mode.
        (105, &[0, 0]),
        (105, &[3, 0]),
        (105, &[0xff, 0xff]),
    ] {
        viewer.main.say(id, body).unwrap();
    }
    answers(viewer.main);
}

#[test]
fn a_link_and_messages_that_come_byte_by_byte_are_understood() {
    let sumac = serve(&["--freeze"]);
    let Some(whole) = Viewer::connect(&sumac) else { return skipped() };
    let slow = link(sumac.told("addr"), 0, MAIN);
    let ticket = slow.encrypt(b"\0").unwrap();
    let mut stream = slow.into_stream();
    stream.set_nodelay(true).unwrap();
    for byte in [&1_u32.to_le_bytes()[..], &ticket, &message(105, &[1, 0])].concat() {
        stream.write_all(&[byte]).unwrap();
    }
    let mut result = [0xff; 4];
    stream.read_exact(&mut result).unwrap();
    assert_eq!(result, [0; 4]);
    let mut main = Open::of(stream);
    assert_eq!(main.until(105), [3, 0, 1, 0]);
    // The link message too.
    let mut stream = crate::client::connect(sumac.told("addr"));
    for byte in hello(whole.session, CURSOR) {
        stream.write_all(&[byte]).unwrap();
    }
    assert_eq!(read_reply(&mut stream).unwrap().0, 0);
}

#[test]
fn a_channel_can_be_linked_once_and_the_first_one_stays() {
    let sumac = serve(&["--freeze"]);
    let Some(viewer) = Viewer::connect(&sumac) else { return skipped() };
    let mut first = viewer.open(&sumac, INPUTS);
    first.until(101);
    viewer.open(&sumac, INPUTS).closes();
    // Four motions are acknowledged.
    for _ in 0..4 {
        first.say(111, &[0; 10]).unwrap();
    }
    first.until(111);
    drop(first);
    until("the channel is free again", || {
        let mut again = viewer.open(&sumac, INPUTS);
        again.next().is_ok()
    });
}

#[test]
fn the_id_of_a_session_that_is_over_leads_nowhere() {
    let sumac = serve(&["--freeze"]);
    let Some(viewer) = Viewer::connect(&sumac) else { return skipped() };
    let mut display = viewer.open(&sumac, DISPLAY);
    viewer.main.stream.shutdown(Shutdown::Both).unwrap();
    // Its other channels end with it.
    display.closes();
    let mut late = link(sumac.told("addr"), viewer.session, CURSOR);
    let ticket = late.encrypt(b"\0").unwrap();
    assert_eq!(late.present(&ticket), BAD_CONNECTION_ID);
    assert!(open(&sumac, 0, MAIN).is_some(), "a new session is welcome");
}

#[test]
fn floods_on_every_channel_disturb_nobody() {
    let sumac = serve(&["--size", "320x200"]);
    let Some(watcher) = Viewer::connect(&sumac) else { return skipped() };
    let mut display = watcher.open(&sumac, DISPLAY);
    display.until(102);
    let before = sumac.resident_kb();
    for Flood { what, channel, first, messages } in floods() {
        let viewer = Viewer::connect(&sumac).expect("it worked before");
        let channel = if channel == MAIN { viewer.main } else { viewer.open(&sumac, channel) };
        let flood = thread::spawn(move || flood(channel, &first, &messages));
        // While it lasts, and at least so many.
        let mut seen = 0;
        while seen < 10 || !flood.is_finished() {
            display.next().unwrap_or_else(|error| panic!("{what}: {error} after {seen} messages, {}", sumac.err()));
            seen += 1;
        }
        assert!(flood.join().is_ok(), "{what}: the flood was not taken, {}", sumac.err());
        let held = sumac.resident_kb().saturating_sub(before);
        assert!(held < HELD_KB, "{what}: {held} kB more than before");
    }
    answers(watcher.main);
}

/// Something said again and again on a channel, behind what comes first.
struct Flood {
    what: &'static str,
    channel: u8,
    first: Vec<u8>,
    messages: Vec<Vec<u8>>,
}

fn floods() -> Vec<Flood> {
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
    let agent =
        |kind: u32, body: &[u32]| message(107, &words(&[&[1, kind, 0, 0, body.len() as u32 * 4], body].concat()));
    let size = |width, height| agent(2, &[1, 0, height, width, 32, 0, 0]);
    let start = message(106, &words(&[10]));
    let report = |id: u32| message(102, &words(&[id, 0, 0, 0, 30, 30, u32::MAX, u32::MAX]));
    let cannot = message(102, &words(&[0, 0, 0, 0, 0, u32::MAX, 0, 0]));
    let acks = vec![message(ACK, &[]), message(ACK_SYNC, &words(&[1])), message(ACK, &[])];
    let pongs = vec![message(PONG, &[0xff; 12]), message(PONG, &[1; 12])];
    let none = Vec::new;
    [
        ("acknowledgements", DISPLAY, none(), acks.clone()),
        ("acknowledgements", CURSOR, none(), acks),
        ("pongs", DISPLAY, none(), pongs.clone()),
        ("pongs", MAIN, none(), pongs),
        ("stream reports", DISPLAY, none(), vec![report(0), report(63), report(u32::MAX), cannot]),
        ("compressions", DISPLAY, none(), vec![message(103, &[1]), message(103, &[7])]),
        ("codecs", DISPLAY, none(), vec![message(105, &[1, 3]), message(105, &[2, 1, 3])]),
        ("agent data", MAIN, start.clone(), vec![agent(6, &[1, 0]), agent(4, &[1, 2, 3])]),
        ("resizes", MAIN, start, vec![size(640, 400), size(320, 200)]),
        ("mouse modes", MAIN, none(), vec![message(105, &[1, 0]), message(105, &[2, 0])]),
        ("keys", INPUTS, none(), vec![message(101, &words(&[0x1e])), message(102, &words(&[0x9e]))]),
        ("positions", INPUTS, none(), vec![message(112, &[9; 11]), message(111, &[1; 10])]),
    ]
    .map(|(what, channel, first, messages)| Flood { what, channel, first, messages })
    .into()
}

/// Says all that, while it reads and forgets what it is told.
fn flood(mut channel: Open, first: &[u8], messages: &[Vec<u8>]) {
    let mut told = channel.stream.try_clone().expect("a descriptor");
    let reader = thread::spawn(move || std::io::copy(&mut told, &mut std::io::sink()));
    channel.stream.write_all(first).expect("the server reads");
    let round = messages.concat();
    let many = round.repeat(100);
    for _ in 0..FLOOD / messages.len() / 100 {
        channel.stream.write_all(&many).expect("the server reads");
    }
    channel.stream.shutdown(Shutdown::Write).expect("it is open");
    // The server has read everything when it closes.
    reader.join().expect("a reader").expect("an orderly end");
}

#[test]
fn a_client_that_never_reads_is_not_served_without_end() {
    let sumac = serve(&["--freeze"]);
    let Some(mut deaf) = Viewer::connect(&sumac) else { return skipped() };
    let before = sumac.resident_kb();
    // Each asks for an answer. Sooner or later the server leaves them unread, and nothing goes out.
    deaf.main.stream.set_nonblocking(true).unwrap();
    let ask = message(105, &[1, 0]).repeat(1000);
    let mut refused = 0;
    let mut asked = 0_usize;
    while refused < 50 && asked < 1 << 30 {
        match deaf.main.stream.write(&ask[asked % ask.len()..]) {
            Ok(n) => {
                asked += n;
                refused = 0;
            }
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock, "{}", sumac.err());
                refused += 1;
                thread::sleep(std::time::Duration::from_millis(10));
            }
        }
    }
    assert!(refused > 0, "{asked} bytes were read, whose answers nobody takes");
    let held = sumac.resident_kb().saturating_sub(before);
    assert!(held < HELD_KB, "{held} kB more than before");
    answers(Viewer::connect(&sumac).expect("others are served").main);
}
