//! The smart card channel, server role.
//!
//! ```text
//!  Empty ──client's READER_ADD──► Reader ──client's ATR, APDU, CARD_REMOVE, ERROR──► Reader
//!    ▲                              └──client's READER_REMOVE──┐
//!    └─────────────────────────────────────────────────────────┘
//! ```
//!
//! The guest has one reader, which the client's first one fills and which is [`READER`] to both. A
//! second one is answered with an error by the machine. What the device says reaches only a client
//! that has a reader.

use super::{Channel, Common, Heard, Negotiated, PeerError, Poll, Refused, Transmit};
use crate::limits;
use crate::proto::common;
use crate::proto::smartcard::{ClientMessage, Data, ServerMessage, SmartcardType, UNDEFINED_READER};
use crate::time::Millis;
use crate::wire::{Data as Bytes, EncodeError, Sized32};

/// The id of the reader.
pub const READER: u32 = 0;
/// VSC_CANNOT_ADD_MORE_READERS.
const NO_MORE_READERS: u32 = 2;

/// The machine.
#[derive(Clone, Debug)]
pub struct SmartcardServer {
    pub(super) common: Common,
    stage: Stage,
    /// Readers whose refusal is still to be said.
    refusals: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Empty,
    Reader,
}

/// What the client wants from the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SmartcardEvent<'m> {
    /// Something that every channel has.
    Common(Heard<'m>),
    /// A message for the device, about [`READER`].
    ToDevice {
        /// What it is about.
        kind: SmartcardType,
        /// What the type has; hostile.
        data: &'m [u8],
    },
}

impl SmartcardServer {
    /// For a client that just linked.
    #[must_use]
    pub const fn new(negotiated: Negotiated) -> Self {
        Self { common: Common::new(negotiated), stage: Stage::Empty, refusals: 0 }
    }

    /// The part that all channels share.
    #[must_use]
    pub const fn common(&self) -> &Common {
        &self.common
    }

    /// Whether the client has a reader; when it goes with one, the device is to hear READER_REMOVE.
    #[must_use]
    pub fn has_reader(&self) -> bool {
        self.stage == Stage::Reader
    }

    /// The client comes from another server, where it had a reader or not.
    pub fn resume(&mut self, has_reader: bool) {
        self.stage = if has_reader { Stage::Reader } else { Stage::Empty };
    }

    fn on_data<'m>(&mut self, data: &Data<'m>) -> Result<Option<SmartcardEvent<'m>>, PeerError> {
        use SmartcardType as T;
        let unexpected = |why| PeerError::Unexpected { message: "smart card DATA", why };
        let event = SmartcardEvent::ToDevice { kind: data.kind, data: data.data.0.bytes() };
        match (data.kind, self.stage) {
            (T::READER_ADD, Stage::Empty) => self.stage = Stage::Reader,
            (T::READER_ADD, Stage::Reader) => {
                self.refusals = self.refusals.saturating_add(1);
                return Ok(None);
            }
            (T::READER_REMOVE | T::ATR | T::CARD_REMOVE | T::APDU | T::ERROR, Stage::Empty) => {
                return Err(unexpected("there is no reader"));
            }
            (T::READER_REMOVE | T::ATR | T::CARD_REMOVE | T::APDU | T::ERROR, Stage::Reader)
                if data.reader_id != READER =>
            {
                return Err(unexpected("there is no reader of this id"));
            }
            (T::READER_REMOVE, Stage::Reader) => self.stage = Stage::Empty,
            (T::ATR | T::CARD_REMOVE | T::APDU | T::ERROR, Stage::Reader) => {}
            // Versions were agreed on with the device; the rest is the device's to say.
            _ => return Ok(None),
        }
        Ok(Some(event))
    }
}

impl Channel for SmartcardServer {
    type Message<'c> = ServerMessage<'c>;
    type Event<'m> = SmartcardEvent<'m>;

    fn max_body(&self) -> usize {
        limits::SMARTCARD_BODY
    }

    fn on_message<'m>(
        &mut self,
        now: Millis,
        id: u16,
        body: &'m [u8],
    ) -> Result<Option<SmartcardEvent<'m>>, PeerError> {
        match self.common.accept(now, ClientMessage::decode(id, body))? {
            Some(ClientMessage::Data(m)) => self.on_data(&m),
            Some(ClientMessage::Common(m)) => Ok(self.common.on_message(now, &m)?.map(SmartcardEvent::Common)),
            None => Ok(None),
        }
    }

    fn send(&mut self, _now: Millis, message: &ServerMessage<'_>, out: &mut [u8]) -> Result<Transmit, Refused> {
        match message {
            // The device's answer to READER_REMOVE comes when there is no reader any more.
            ServerMessage::Data(m) if self.stage == Stage::Empty && m.kind != SmartcardType::ERROR => {
                return Err(Refused::Misuse("the client has no reader"));
            }
            ServerMessage::Common(common::ServerMessage::SetAck(_)) => {
                return Err(Refused::Misuse("windows are opened by the machine"));
            }
            _ => {}
        }
        self.common.send_any(message.id(), message.size(), out, |w| message.encode(w))
    }

    fn poll(&mut self, now: Millis, out: &mut [u8]) -> Result<Poll, EncodeError> {
        if self.refusals != 0 && !self.common.is_leaving() {
            let data = Sized32(Bytes::Here(&NO_MORE_READERS.to_le_bytes()));
            let error = Data { kind: SmartcardType::ERROR, reader_id: UNDEFINED_READER, data };
            let transmit = self.common.frame(&error, out)?;
            self.refusals = self.refusals.saturating_sub(1);
            return Ok(Poll::Transmit(transmit));
        }
        self.common.poll(now, out)
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::wire::Sampler;

    const NOW: Millis = Millis(1);

    fn fresh() -> SmartcardServer {
        SmartcardServer::new(Negotiated { mini_header: true, peer_caps: 0 })
    }

    fn hear(
        card: &mut SmartcardServer,
        kind: u32,
        reader: u32,
        data: &[u8],
    ) -> Result<Option<(u32, Vec<u8>)>, PeerError> {
        let len = u32::try_from(data.len()).expect("short");
        let body = [&kind.to_le_bytes()[..], &reader.to_le_bytes(), &len.to_le_bytes(), data].concat();
        Ok(match card.on_message(NOW, 101, &body)? {
            Some(SmartcardEvent::ToDevice { kind, data }) => Some((kind.0, data.to_vec())),
            Some(SmartcardEvent::Common(heard)) => panic!("{heard:?}"),
            None => None,
        })
    }

    #[test]
    fn a_reader_comes_speaks_and_goes() {
        let card = &mut fresh();
        for kind in [2, 4, 5, 6, 7] {
            assert!(hear(card, kind, READER, &[]).is_err(), "{kind} without a reader");
        }
        for _ in 0..2 {
            assert_eq!(hear(card, 3, UNDEFINED_READER, b"R"), Ok(Some((3, b"R".to_vec()))));
            assert!(card.has_reader());
            for kind in [2, 5, 6, 7] {
                assert_eq!(hear(card, kind, READER, b"data"), Ok(Some((kind, b"data".to_vec()))));
                assert!(hear(card, kind, 1, b"data").is_err(), "{kind} for a reader that is not there");
            }
            assert_eq!(hear(card, 4, READER, &[]), Ok(Some((4, Vec::new()))));
            assert!(!card.has_reader());
        }
    }

    #[test]
    fn a_second_reader_is_refused_by_the_machine() {
        let card = &mut fresh();
        assert!(hear(card, 3, UNDEFINED_READER, b"one").is_ok());
        assert_eq!(hear(card, 3, UNDEFINED_READER, b"two"), Ok(None));
        let mut out = [0; 22];
        assert!(card.poll(NOW, &mut out[..21]).is_err());
        assert_eq!(card.poll(NOW, &mut out), Ok(Poll::Transmit(Transmit { head: 22, body: 0 })));
        assert_eq!(out, [101, 0, 16, 0, 0, 0, 2, 0, 0, 0, 255, 255, 255, 255, 4, 0, 0, 0, 2, 0, 0, 0]);
        assert_eq!(card.poll(NOW, &mut out), Ok(Poll::Wait(None)));
        assert!(card.has_reader());
    }

    #[test]
    fn the_device_is_heard_while_there_is_a_reader() {
        let card = &mut fresh();
        let say = |card: &mut SmartcardServer, kind| {
            let data = Data { kind, reader_id: READER, data: Sized32(Bytes::Promised(4)) };
            card.send(NOW, &ServerMessage::Data(data), &mut [0; 32])
        };
        assert!(matches!(say(card, SmartcardType::APDU), Err(Refused::Misuse(_))));
        assert!(say(card, SmartcardType::ERROR).is_ok(), "the answer to READER_REMOVE");
        hear(card, 3, UNDEFINED_READER, &[]).expect("a reader");
        assert_eq!(say(card, SmartcardType::APDU), Ok(Transmit { head: 18, body: 4 }));
    }

    #[test]
    fn what_is_not_the_clients_to_say_is_ignored_and_any_bytes_are_survived() {
        let card = &mut fresh();
        for kind in [0, 1, 8, 9, 10, u32::MAX] {
            assert_eq!(hear(card, kind, 7, &[1]), Ok(None), "{kind}");
        }
        assert!(card.on_message(NOW, 101, &[5, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]).is_err(), "data beyond the end");
        let mut sampler = Sampler::new(9);
        for _ in 0..if cfg!(miri) { 50 } else { 5_000 } {
            let kind = u32::try_from(sampler.below(11)).expect("small");
            let reader = sampler.pick(&[0, 1, UNDEFINED_READER]).unwrap_or(0);
            if hear(card, kind, reader, &[0; 3]).is_ok_and(|event| event.is_some()) {
                assert!(card.has_reader() || kind == 4);
            }
        }
    }
}
