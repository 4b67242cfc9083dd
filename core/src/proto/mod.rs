//! What the messages are: declarations only, no behaviour.

pub mod agent;
pub mod caps;
pub mod common;
pub mod cursor;
pub mod display;
pub mod draw;
pub mod gl;
pub mod header;
pub mod inputs;
pub mod link;
pub mod main;
pub mod paint;
pub mod picture;
pub mod playback;
pub mod port;
pub mod record;
pub mod shape;
pub mod smartcard;
pub mod stream;
pub mod stream_device;
pub mod text;
pub mod vmc;

use crate::wire::Row;

#[cfg(test)]
mod document;
#[cfg(test)]
mod limit_tests;
#[cfg(test)]
mod vectors;

/// Every message of the protocol.
pub const TABLES: &[&[Row]] = &[
    common::ServerMessage::TABLE,
    common::ClientMessage::TABLE,
    main::ServerMessage::TABLE,
    main::ClientMessage::TABLE,
    display::ServerMessage::TABLE,
    display::ClientMessage::TABLE,
    inputs::ServerMessage::TABLE,
    inputs::ClientMessage::TABLE,
    cursor::ServerMessage::TABLE,
    playback::ServerMessage::TABLE,
    record::ServerMessage::TABLE,
    record::ClientMessage::TABLE,
    vmc::ServerMessage::TABLE,
    vmc::ClientMessage::TABLE,
    port::ServerMessage::TABLE,
    port::ClientMessage::TABLE,
    smartcard::ServerMessage::TABLE,
    smartcard::ClientMessage::TABLE,
    agent::AgentMessage::TABLE,
    stream_device::GuestMessage::TABLE,
    stream_device::ServerMessage::TABLE,
    link::ServerPiece::TABLE,
    link::ClientPiece::TABLE,
];

#[cfg(test)]
mod tests {
    use super::TABLES;
    use crate::wire::{Failure, Row, Sampler};

    /// Miri walks every path of every message, only fewer times.
    const ROUNDS: u64 = if cfg!(miri) { 2 } else { 200 };
    /// It also cuts messages short at fewer places.
    const STEP: usize = if cfg!(miri) { 7 } else { 1 };

    fn rows() -> impl Iterator<Item = &'static Row> {
        TABLES.iter().copied().flatten()
    }

    fn for_each_sample(mut check: impl FnMut(&Row, &[u8])) {
        for (n, row) in rows().enumerate() {
            let mut sampler = Sampler::new(n as u64);
            for _ in 0..ROUNDS {
                let mut body = [0; 4096];
                let len = (row.sample)(&mut sampler, &mut body).expect(row.name);
                check(row, &body[..len]);
            }
        }
    }

    #[test]
    fn every_message_comes_back_as_it_was() {
        for_each_sample(|row, body| {
            let mut out = [0; 4096];
            let (len, trailing) = (row.again)(body, &mut out).expect(row.name);
            assert_eq!((&out[..len], trailing), (body, 0), "{}", row.name);
            assert!(len >= row.min, "{}", row.name);
        });
    }

    #[test]
    fn every_shorter_prefix_is_refused_or_is_a_shorter_message() {
        for_each_sample(|row, body| {
            for len in (0..body.len()).step_by(STEP) {
                let mut out = [0; 4096];
                match (row.again)(&body[..len], &mut out) {
                    Err(Failure::Decode(e)) => assert!(e.at.contains('.'), "{}: {e}", row.name),
                    Err(other) => panic!("{}: {other:?}", row.name),
                    // Only what ends in free bytes may be shorter, and then nothing is lost uncounted.
                    Ok((again, trailing)) => {
                        assert_eq!((&out[..again], again + trailing), (&body[..again], len), "{}", row.name);
                    }
                }
            }
        });
    }

    #[test]
    fn bytes_behind_the_end_are_counted() {
        for_each_sample(|row, body| {
            let mut longer = [0xa5; 4099];
            longer[..body.len()].copy_from_slice(body);
            let mut out = [0; 4099];
            let (len, trailing) = (row.again)(&longer[..body.len() + 3], &mut out).expect(row.name);
            assert!(trailing == 3 && len == body.len() || trailing == 0 && len == body.len() + 3, "{}", row.name);
        });
    }

    #[test]
    fn a_number_is_given_once() {
        for (n, row) in rows().enumerate() {
            let same = rows().skip(n + 1).find(|o| (o.channel, o.sender, o.id) == (row.channel, row.sender, row.id));
            assert!(same.is_none(), "{} and {same:?}", row.name);
        }
    }
}
