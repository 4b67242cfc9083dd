//! Clients of sound and device channels, by hand: what breaks a channel, what is handed on, and
//! that nobody can make the server hold much.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::client::word_at;
use crate::open::{Viewer, announced, message};
use crate::sumac::{Sumac, until};

const PLAYBACK: u8 = 5;
const RECORD: u8 = 6;
const SMARTCARD: u8 = 8;
const USBREDIR: u8 = 9;
const PORT: u8 = 10;

/// SPICE_MSG_SPICEVMC_DATA and its likes.
const DATA: u16 = 101;
const COMPRESSED_DATA: u16 = 102;
const MODE: u16 = 102;

fn serve() -> Sumac {
    let names = ["org.qemu.smartcard", "org.qemu.usbredir", "echo"].map(|name| ["--echo-port", name]).concat();
    let always = ["--port", "0", "--vv", "none", "--disable-ticketing", "--freeze", "--sound-check", "echo"];
    Sumac::start(&[&always[..], &names].concat())
}

fn skipped() {
    println!("SKIPPED: openssl(1) is not here or too old");
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

#[test]
fn what_is_against_the_protocol_closes_its_channel_and_says_why() {
    let sumac = serve();
    let Some(viewer) = Viewer::connect(&sumac) else { return skipped() };
    let claims = |len: u32, block: &[u8]| [&[1][..], &len.to_le_bytes(), block].concat();
    for (channel, what, bytes, why) in [
        (PLAYBACK, "too large", announced(101, 1025, &[]), "announces 1025 bytes"),
        (RECORD, "too large", announced(101, (256 << 10) + 1, &[]), "announces 262145 bytes"),
        (RECORD, "a coding that nobody has", message(MODE, &[0, 0, 0, 0, 2, 0]), "MODE out of place"),
        (RECORD, "too short", message(DATA, &[0; 3]), "Data."),
        (USBREDIR, "too large", announced(DATA, (16 << 20) + 1, &[]), "announces 16777217 bytes"),
        (USBREDIR, "less than claimed", message(COMPRESSED_DATA, &claims(9, &[0])), "COMPRESSED_DATA out of place"),
        (PORT, "as much as can be claimed", message(COMPRESSED_DATA, &claims(u32::MAX, &[0])), "more bytes than"),
        (PORT, "an odd coding", message(COMPRESSED_DATA, &[7, 0]), "malformed"),
        (PORT, "an event without its number", message(201, &[]), "ClientEvent."),
        (SMARTCARD, "a card without a reader", message(DATA, &words(&[7, 0, 0])), "smart card DATA out of place"),
        (SMARTCARD, "more than there is", message(DATA, &words(&[3, 0, 9])), "Data."),
    ] {
        let mut bad = viewer.open(&sumac, channel);
        bad.stream.write_all(&bytes).unwrap();
        bad.closes();
        let said = || sumac.err().lines().rfind(|line| line.contains("broke the protocol")).map(str::to_owned);
        until(&format!("a log line: channel {channel}, {what}: {why}"), || {
            said().is_some_and(|line| line.contains(why))
        });
    }
}

/// What the device says has the viewer's reader in it, and its own byte order.
#[test]
fn smart_cards_speak_to_the_device_and_back() {
    let sumac = serve();
    let Some(viewer) = Viewer::connect(&sumac) else { return skipped() };
    let mut card = viewer.open(&sumac, SMARTCARD);
    let say = |kind: u32, reader: u32, data: &[u8]| {
        [words(&[kind, reader, u32::try_from(data.len()).unwrap()]), data.to_vec()].concat()
    };
    // The device echoes: what comes back went through both directions.
    card.say(DATA, &say(3, u32::MAX, b"reader")).unwrap();
    assert_eq!(card.until(DATA), say(3, 0, b"reader"));
    for (kind, data) in [(5, &[0x3b; 20][..]), (7, &[0; 60_000]), (6, &[])] {
        card.say(DATA, &say(kind, 0, data)).unwrap();
        assert_eq!(card.until(DATA), say(kind, 0, data), "{kind}");
    }
    card.say(DATA, &say(3, u32::MAX, b"second")).unwrap();
    assert_eq!(card.until(DATA), say(2, u32::MAX, &2_u32.to_le_bytes()), "no more readers");
}

#[test]
fn a_device_is_one_sessions_until_it_goes() {
    let sumac = serve();
    let Some(one) = Viewer::connect(&sumac) else { return skipped() };
    let two = Viewer::connect(&sumac).expect("it worked before");
    let mut first = one.open(&sumac, PORT);
    assert_eq!(first.until(201)[8..], *b"\x01echo\0", "opened, and the name");
    two.open(&sumac, PORT).closes();
    first.say(DATA, b"still mine").unwrap();
    assert_eq!(first.until(DATA), b"still mine");
    drop(first);
    drop(one);
    until("the device is free", || two.open(&sumac, PORT).next().is_ok());
}

#[test]
fn who_does_not_read_is_not_read_from_and_loses_nothing() {
    const MESSAGES: usize = 512;
    const SIZE: usize = 64 * 1024;
    let sumac = serve();
    let Some(viewer) = Viewer::connect(&sumac) else { return skipped() };
    let mut port = viewer.open(&sumac, PORT);
    port.until(201);
    let mut sender = port.stream.try_clone().unwrap();
    let written = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&written);
    let sending = thread::spawn(move || {
        for n in 0..MESSAGES {
            sender.write_all(&message(DATA, &vec![(n % 251) as u8; SIZE])).unwrap();
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    // It stands still when nothing more was written for a while; later would be no harm.
    let mut before = usize::MAX;
    while written.load(Ordering::Relaxed) != before {
        before = written.load(Ordering::Relaxed);
        thread::sleep(Duration::from_millis(500));
    }
    assert!(before < MESSAGES, "all of {} MiB was taken from who does not read", (MESSAGES * SIZE) >> 20);
    let mut got = 0;
    while got < MESSAGES * SIZE {
        for byte in port.until(DATA) {
            assert_eq!(usize::from(byte), got / SIZE % 251, "byte {got}");
            got += 1;
        }
    }
    sending.join().unwrap();
}

#[test]
fn hostile_sound_closes_its_channel() {
    let sumac = serve();
    if !sumac.err().contains("as Opus") {
        println!("SKIPPED: libopus is not here");
        return;
    }
    let Some(viewer) = Viewer::connect(&sumac) else { return skipped() };
    let mut record = viewer.open(&sumac, RECORD);
    let start = record.until(101);
    assert_eq!((word_at(&start, 0), word_at(&start, 6)), (2, 48_000));
    record.say(MODE, &[0, 0, 0, 0, 3, 0]).unwrap();
    record.say(DATA, &[0, 0, 0, 0, 0xff, 0xff, 0xff]).unwrap();
    record.closes();
    until("a log line", || sumac.err().contains("DATA out of place"));
}

/// A reader of QEMU's, which answers for a guest that has no driver for it.
#[test]
fn qemus_smart_card_reader_answers_a_viewer() {
    if std::process::Command::new("qemu-system-x86_64").arg("--version").output().is_err() {
        println!("SKIPPED: qemu-system-x86_64 is not here");
        return;
    }
    let sumac = ["qemu", "--port", "0", "--vv", "none", "--disable-ticketing", "--", "qemu-system-x86_64"];
    let machine = ["-machine", "pc", "-accel", "tcg", "-m", "32", "-nodefaults", "-vga", "std", "-device", "qemu-xhci"];
    let chardev = ["-chardev", "dbus,id=card,name=org.qemu.smartcard"];
    let reader = ["-device", "usb-ccid", "-device", "ccid-card-passthru,chardev=card"];
    let sumac = Sumac::start(&[&sumac[..], &machine, &chardev, &reader].concat());
    let Some(mut viewer) = Viewer::connect(&sumac) else { return skipped() };
    // CHANNELS_LIST: a count, then types and ids.
    while !viewer.main.until(104)[4..].chunks(2).any(|channel| channel == [SMARTCARD, 0]) {}
    let mut card = viewer.open(&sumac, SMARTCARD);
    let say = |kind: u32, reader: u32, data: &[u8]| {
        [words(&[kind, reader, u32::try_from(data.len()).unwrap()]), data.to_vec()].concat()
    };
    // READER_ADD, ATR, CARD_REMOVE, READER_REMOVE: all but the ATR are answered with VSC_SUCCESS.
    card.say(DATA, &say(3, u32::MAX, b"reader")).unwrap();
    assert_eq!(card.until(DATA), say(2, 0, &[0; 4]));
    card.say(DATA, &say(5, 0, &[0x3b, 0x00])).unwrap();
    card.say(DATA, &say(6, 0, &[])).unwrap();
    assert_eq!(card.until(DATA), say(2, 0, &[0; 4]));
    card.say(DATA, &say(4, 0, &[])).unwrap();
    assert_eq!(card.until(DATA), say(2, 0, &[0; 4]));
}
