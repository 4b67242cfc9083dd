//! What went wrong in the reference implementation, and the test here that fails should it go wrong again.
//!
//! | CVE | what it was | tests |
//! |---|---|---|
//! | 2010-0428, 2010-0429 | addresses of a guest's commands were used unchecked | `core/src/qxl/` |
//! | 2013-4130 | a client that disconnects while messages wait for it ended the server | here |
//! | 2013-4282 | a decrypted ticket overran its buffer | `hosted/src/auth/ticket.rs` |
//! | 2015-3247 | a count in guest memory was read twice | `core/src/qxl/` |
//! | 2015-5260 | surfaces that do not exist were used | `core/src/qxl/` |
//! | 2015-5261 | sizes of surfaces and bitmaps overflowed | `core/src/qxl/` |
//! | 2016-0749 | smart card messages overran their buffer, which was used after it was freed | here |
//! | 2016-2150 | a primary surface lay wherever the guest wanted | `core/src/qxl/` |
//! | 2016-9577 | a message larger than its channel's buffer overran it | here |
//! | 2016-9578 | sizes and counts of the link message were believed | here |
//! | 2017-7506 | the agent's monitors were read beyond their message | here |
//! | 2017-12194 | counts from a server overflowed in the client's demarshaller | here |
//! | 2018-10873 | demarshallers read beyond the message, both ways | here |
//! | 2018-10893 | sizes of LZ images overflowed | here |
//! | 2019-3813 | the number of slots was taken for a slot | `core/src/qxl/` |
//! | 2020-14355 | the QUIC decoder wrote and read outside of its rows and tables | here, `core/src/qxl/` |
//! | 2021-20201 | renegotiation of TLS cost the server much and a client nothing | `tests/it/interop/tls.rs` |

use std::fs;
use std::path::{Path, PathBuf};

use sumac::devices::{DeviceKind, Devices};
use sumac::fuzzing::agent::Agents;
use sumac_core::image::{glz, lz, quic};
use sumac_core::limits;
use sumac_core::link::{LinkClosed, LinkPoll, Linking, ServerConfig, ServerLink};
use sumac_core::proto::{TABLES, main, smartcard};
use sumac_core::time::Millis;
use sumac_core::wire::{Row, Sampler, Sender};

use crate::desk::{Desk, framed, message};

/// Every CVE of the table has its tests, and every test its row.
#[test]
fn the_table_is_complete() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let own = fs::read_to_string(root.join("tests/it/cves.rs")).unwrap();
    let rows: Vec<_> = own.lines().filter_map(|line| line.strip_prefix("//! | 2")).collect();
    let mut named = 0;
    for row in rows {
        let (numbers, rest) = row.split_once('|').unwrap();
        let places = rest.rsplit_once("| ").unwrap().1.trim_end_matches(" |");
        for number in format!("2{}", numbers.trim()).split(", ") {
            let test = format!("fn cve_{}_", number.replace('-', "_"));
            for place in places.split(", ") {
                let place = if place == "here" { "tests/it/cves.rs" } else { place.trim_matches('`') };
                assert!(texts(&root.join(place)).iter().any(|text| text.contains(&test)), "no {test}… in {place}");
            }
            named += 1;
        }
    }
    assert_eq!(named, 18);
}

fn texts(path: &Path) -> Vec<String> {
    if path.is_file() {
        return vec![fs::read_to_string(path).unwrap()];
    }
    let entries: Vec<PathBuf> = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.iter().flat_map(|path| texts(path)).collect()
}

/// Of a picture, in pixels.
const SIDE: u32 = 64;

/// The channels that every server has, by SPICE's numbers, with the largest body of each.
const CHANNELS: [(u8, usize); 6] = [
    (1, limits::MAIN_BODY),
    (2, limits::DISPLAY_BODY),
    (3, limits::INPUTS_BODY),
    (4, limits::CURSOR_BODY),
    (5, limits::PLAYBACK_BODY),
    (6, limits::RECORD_BODY),
];

fn sample(row: &Row, seed: u64) -> Vec<u8> {
    let mut body = vec![0; 4096];
    let len = (row.sample)(&mut Sampler::new(seed), &mut body).unwrap();
    body.truncate(len);
    body
}

/// Every row of these senders' messages.
fn rows(senders: &[Sender]) -> impl Iterator<Item = &'static Row> {
    TABLES.iter().flat_map(|table| table.iter()).filter(|row| senders.contains(&row.sender))
}

#[test]
fn cve_2013_4130_a_client_may_go_at_any_byte() {
    let desk = Desk::new(SIDE, SIDE);
    let init = message(101, &[1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1]);
    let key = message(101, &[0x1e, 0, 0, 0]);
    let mut shade = 0;
    for (kind, _) in CHANNELS {
        let own = [init.clone(), key.clone(), message(1, &[0; 4]), message(3, &[0; 12])].concat();
        for cut in 0..own.len() {
            let mut client = desk.link(kind);
            client.say(&own[..cut]);
            shade += 1;
            // Something waits for it when it goes.
            desk.show(shade as u8);
            drop(client);
            desk.server.turn();
        }
    }
    desk.is_well();
}

#[test]
fn cve_2016_0749_readers_come_and_go_and_lie() {
    let desk = Desk::new(SIDE, SIDE);
    let device = desk.server.devices().open(DeviceKind::Smartcard, "card");
    desk.server.turn();
    let id = smartcard::ClientMessage::TABLE.iter().find(|row| row.id > 100).unwrap().id;
    let header = |kind: u32, reader: u32, length: u32| [kind, reader, length].map(u32::to_le_bytes).concat();
    let mut out = vec![0; 1 << 16];
    // Of each kind (INIT, ERROR, READER_ADD, … FLUSH_COMPLETE), for each reader, over and over.
    let mut card = desk.link(8);
    for n in 0..2000_u32 {
        let body = [header(1 + n % 10, n % 12, n % 7), vec![7; (n % 7) as usize]].concat();
        card.say(&message(id, &body));
        desk.server.turn();
        while device.read(&mut out) > 0 {}
        let _ = device.write(&[header(2, n % 12, 4), vec![0; 4]].concat());
        card.hear(1 << 16);
        if !card.is_open() {
            card = desk.link(8);
        }
    }
    drop(card);
    for length in [9, u32::MAX, u32::MAX - 11, 1 << 31] {
        desk.server.turn();
        let mut card = desk.link(8);
        card.say(&message(id, &[header(3, 0, length), vec![0; 8]].concat()));
        desk.server.turn();
        assert!(!card.is_open(), "{length} bytes in 8");
    }
    desk.is_well();
}

#[test]
fn cve_2016_9577_a_body_larger_than_its_channel_s_is_not_received() {
    for (kind, most) in CHANNELS {
        let most = most as u32;
        for (size, taken) in [(most, true), (most + 1, false), (1 << 31, false), (u32::MAX, false)] {
            let desk = Desk::new(SIDE, SIDE);
            let mut client = desk.link(kind);
            // PONG's number: every channel has it.
            client.say(&framed(3, size, &[0; 64]));
            desk.server.turn();
            assert_eq!(client.is_open(), taken, "channel type {kind}, {size} bytes");
        }
    }
}

#[test]
fn cve_2016_9578_sizes_and_counts_of_a_link_are_checked() {
    let start = Millis(0);
    let fed = |bytes: &[u8]| {
        let mut machine = ServerLink::new(start, ServerConfig::default());
        let mut rest = bytes;
        let mut out = [0; 256];
        loop {
            match machine.poll(start, &mut out).unwrap() {
                LinkPoll::Transmit(_) => continue,
                LinkPoll::Closed(why) => return Err(why),
                LinkPoll::Open(_) => panic!("nobody was let in"),
                LinkPoll::Wait(_) => {}
            }
            let want = machine.want();
            assert!(want <= limits::LINK_BODY, "{want} bytes are wanted of a stranger");
            if want == 0 || rest.len() < want {
                return Ok(want == 0);
            }
            let (unit, behind) = rest.split_at(want);
            rest = behind;
            let _ = machine.on_bytes(start, unit);
        }
    };
    let head = |size: u32| [&b"REDQ"[..], &2_u32.to_le_bytes(), &2_u32.to_le_bytes(), &size.to_le_bytes()].concat();
    for size in [limits::LINK_BODY as u32 + 1, 1 << 31, u32::MAX] {
        assert!(matches!(fed(&head(size)), Err(LinkClosed::Size { .. })), "{size}");
    }
    for size in 0..18 {
        assert!(fed(&[head(size), vec![0; size as usize]].concat()).is_err(), "{size} bytes are no link message");
    }
    let link = |common: u32, channel: u32, offset: u32| {
        let counts = [common, channel, offset].map(u32::to_le_bytes).concat();
        [head(26), vec![0; 4], vec![1, 0], counts, vec![0; 8]].concat()
    };
    assert_eq!(fed(&link(1, 1, 18)), Ok(true), "as it should be");
    for counts in [(3, 0, 18), (1, 2, 18), (1 << 30, 1 << 30, 18), (u32::MAX, 1, 18), (1, u32::MAX, 18)] {
        assert!(fed(&link(counts.0, counts.1, counts.2)).is_err(), "{counts:?}");
    }
    for offset in [19, 22, 26, 27, 1 << 31, u32::MAX - 3, u32::MAX] {
        assert!(fed(&link(1, 1, offset)).is_err(), "capabilities at {offset}");
    }
}

#[test]
fn cve_2017_7506_monitors_are_read_from_their_message_only() {
    let head = |size: u32| [1, 2, 0, 0, size].map(u32::to_le_bytes).concat();
    let heard = |chunks: &[&[u8]]| {
        let mut agents = Agents::new(&Devices::default(), true, true);
        agents.come();
        agents.start(0);
        chunks.iter().try_for_each(|chunk| agents.hear(0, chunk))
    };
    let monitor = [600, 800, 32, 0, 0].map(u32::to_le_bytes).concat();
    let config = |count: u32, flags: u32, bytes: &[u8]| {
        let body = [&count.to_le_bytes()[..], &flags.to_le_bytes(), bytes].concat();
        [head(body.len() as u32), body].concat()
    };
    let good = config(2, 0, &monitor.repeat(2));
    for cut in 20..good.len() {
        let (first, rest) = good.split_at(cut);
        assert_eq!(heard(&[first, rest]), Ok(()), "cut at {cut}");
    }
    // With sizes in the world, which are said to be there and are not.
    for (count, flags) in [(3, 0), (257, 0), (1 << 30, 0), (0x0ccc_cccd, 0), (u32::MAX, 0), (2, 2), (u32::MAX, 2)] {
        let bad = config(count, flags, &monitor.repeat(2));
        assert!(heard(&[&bad]).is_err(), "{count} monitors in the bytes of 2");
        assert!(heard(&bad.chunks(21).collect::<Vec<_>>()).is_err(), "in pieces");
    }
    // A message that is said to be long is skipped, whatever it is; one that is short, too.
    for size in [0, 7, u32::MAX] {
        let bytes = [head(size), vec![0; 64]].concat();
        let _ = heard(&[&bytes]);
    }
}

/// A count or a size anywhere in a message may be anything: what is read lies in the body, and what
/// is made of it is not larger.
#[test]
fn cve_2017_12194_counts_of_a_server_are_held_against_the_body() {
    lies(&[Sender::Server, Sender::Either]);
}

fn lies(senders: &[Sender]) {
    for row in rows(senders) {
        for seed in 0..4 {
            let body = sample(row, seed);
            for at in 0..body.len() {
                for lie in [u32::MAX, 1 << 31, 0x4000_0001, 0x1000_0000, body.len() as u32 + 1] {
                    let mut body = body.clone();
                    body.iter_mut().skip(at).zip(lie.to_le_bytes()).for_each(|(to, from)| *to = from);
                    inside(row, &body);
                }
            }
        }
    }
}

/// The message is refused, or is no longer than what it was read from.
fn inside(row: &Row, body: &[u8]) -> bool {
    let mut out = vec![0; 4 * body.len() + 4096];
    match (row.again)(body, &mut out) {
        Ok((len, trailing)) => {
            assert!(trailing <= body.len() && row.min <= body.len(), "{}", row.name);
            assert!(len <= 2 * body.len() + 64, "{}: {len} bytes out of {}", row.name, body.len());
            true
        }
        Err(_) => false,
    }
}

#[test]
fn cve_2018_10873_nothing_is_read_behind_a_message() {
    lies(&[Sender::Client]);
    for row in TABLES.iter().flat_map(|table| table.iter()) {
        for seed in 0..4 {
            let body = sample(row, seed);
            assert!(inside(row, &body), "{}", row.name);
            for cut in 0..body.len() {
                let taken = inside(row, &body[..cut]);
                assert!(!taken || cut >= row.min, "{}: {cut} bytes of at least {}", row.name, row.min);
            }
        }
    }
    assert!(main::ClientMessage::TABLE.len() > 2);
}

/// Sizes that overflow, and data that says less or more than they need.
#[test]
fn cve_2018_10893_sizes_of_lz_images_do_not_overflow() {
    let mut out = [0; 4096];
    // LZ's header is in big-endian words: magic, version, type, width, height, stride, top down.
    let lz_head = |kind: u32, width: u32, height: u32, stride: u32| {
        let words = [0x2020_5a4c, 0x0001_0001, kind, width, height, stride, 1];
        words.map(u32::to_be_bytes).concat()
    };
    let glz_head = |kind: u32, width: u32, height: u32, stride: u32| {
        let sizes = [width, height, stride, 0, 0, 0].map(u32::to_be_bytes).concat();
        [[0x2020_5a4c, 0x0001_0001].map(u32::to_be_bytes).concat(), vec![kind as u8 | 0x10], sizes].concat()
    };
    let sides = [(u32::MAX, 1), (1, u32::MAX), (1 << 16, 1 << 16), (1 << 31, 2), (0x4000_0001, 4), (65537, 65537)];
    for (width, height) in sides {
        for kind in 0..16 {
            for stride in [width.wrapping_mul(4), 0, u32::MAX] {
                let data = [lz_head(kind, width, height, stride), vec![0xff; 64]].concat();
                assert!(lz::decode(&data, &mut out).is_err(), "{width}x{height} of type {kind}");
                assert!(lz::decode_alpha(&data, &mut out).is_err());
                let mut ring = [0; 4096];
                let mut kept = [glz::GlzKept::EMPTY; 4];
                let mut window = glz::GlzWindow::new(&mut ring, &mut kept, 0);
                let data = [glz_head(kind, width, height, stride), vec![0xff; 64]].concat();
                assert!(window.decode(&data, &mut out).is_err());
            }
        }
    }
}

#[test]
fn cve_2020_14355_any_data_is_a_quic_image_or_none() {
    let text = include_str!("../vectors/images/quic.hex");
    let digit = |c: char| c.to_digit(16).map(|digit| digit as u8);
    let bytes = |hex: &str| {
        let digits: Vec<_> = hex.chars().filter_map(digit).collect();
        digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect::<Vec<u8>>()
    };
    let vectors = text.split('[').filter_map(|vector| vector.split_once(']')).map(|(_, hex)| bytes(hex));
    let vectors: Vec<_> = vectors.filter(|data| data.starts_with(b"QUIC") && data.len() < 2000).collect();
    assert!(vectors.len() > 3, "{}", vectors.len());
    let mut sampler = Sampler::new(14355);
    let mut broken = 0;
    for data in vectors {
        let head = quic::QuicPicture::parse(&data).unwrap();
        let mut rows = vec![0; quic::row_words(head.width)];
        let mut out = vec![0; head.format.picture_bytes(head.width, head.height).unwrap()];
        quic::decode(&data, &mut rows, &mut out).unwrap();
        for _ in 0..40 {
            let mut data = data.clone();
            // Behind the header: codes, runs and their contexts; and an early end.
            for _ in 0..=sampler.below(4) {
                let at = 20 + sampler.below(data.len() - 20);
                data[at] = sampler.below(256) as u8;
            }
            data.truncate(data.len() - 4 * sampler.below(data.len() / 8));
            broken += usize::from(quic::decode(&data, &mut rows, &mut out).is_err());
        }
        // A size of its own, with the room of another.
        for (place, value) in [(12, u32::MAX), (16, u32::MAX), (12, 0), (16, 0), (12, head.width + 1), (8, 99)] {
            let mut data = data.clone();
            data[place..place + 4].copy_from_slice(&value.to_le_bytes());
            assert!(quic::decode(&data, &mut rows, &mut out).is_err(), "word {place} is {value}");
        }
    }
    assert!(broken > 0, "some of it was noticed");
}
