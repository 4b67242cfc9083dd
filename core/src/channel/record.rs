//! The record channel, server role.
//!
//! ```text
//!  Idle ──START──► Listening ──client's MODE, START_MARK, DATA──► Listening
//!   ▲                  └──STOP──┐
//!   └───────────────────────────┘
//! ```
//!
//! Sound that crosses a STOP on its way is late, not wrong, and dropped. Raw is in force until the
//! client says MODE; a coding that no capability names ends the channel.

use super::{Channel, Common, Heard, Negotiated, PeerError, Poll, Refused, Transmit};
use crate::limits;
use crate::proto::caps::RecordCaps;
use crate::proto::common;
use crate::proto::playback::AudioMode;
use crate::proto::record::{ClientMessage, ServerMessage};
use crate::time::Millis;
use crate::wire::EncodeError;

/// The machine.
#[derive(Clone, Debug)]
pub struct RecordServer {
    pub(super) common: Common,
    caps: RecordCaps,
    stage: Stage,
    mode: AudioMode,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Idle,
    Listening,
}

/// What the client wants from the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordEvent<'m> {
    /// Something that every channel has.
    Common(Heard<'m>),
    /// The coding of what follows, RAW or OPUS; a decoder begins afresh.
    Mode(AudioMode),
    /// Recording began at this time of the client's, in milliseconds of the multi-media clock.
    StartMark(u32),
    /// Sound.
    Sound {
        /// When it was recorded, in milliseconds of the multi-media clock; the client's claim.
        time: u32,
        /// How it is coded: RAW (interleaved signed 16-bit samples) or OPUS (one packet).
        mode: AudioMode,
        /// Coded as `mode` says; hostile.
        data: &'m [u8],
    },
}

impl RecordServer {
    /// For a client that just linked.
    #[must_use]
    pub const fn new(negotiated: Negotiated) -> Self {
        Self {
            common: Common::new(negotiated),
            caps: RecordCaps::from_bits_retain(negotiated.peer_caps),
            stage: Stage::Idle,
            mode: AudioMode::RAW,
        }
    }

    /// The part that all channels share.
    #[must_use]
    pub const fn common(&self) -> &Common {
        &self.common
    }

    /// What the client can do on this channel.
    #[must_use]
    pub const fn caps(&self) -> RecordCaps {
        self.caps
    }

    fn check(&self, message: &ServerMessage<'_>) -> Result<(), Refused> {
        use ServerMessage as M;
        match (message, self.stage) {
            (M::Start(_), Stage::Listening) => Err(Refused::Misuse("START while listening")),
            (M::Stop(_), Stage::Idle) => Err(Refused::Misuse("STOP while idle")),
            (M::Volume(_) | M::Mute(_), _) if !self.caps.contains(RecordCaps::VOLUME) => {
                Err(Refused::Unsupported("VOLUME"))
            }
            (M::Common(common::ServerMessage::SetAck(_)), _) => {
                Err(Refused::Misuse("windows are opened by the machine"))
            }
            _ => Ok(()),
        }
    }

    fn on_mode(&mut self, mode: AudioMode) -> Result<Option<RecordEvent<'static>>, PeerError> {
        match mode {
            AudioMode::RAW | AudioMode::OPUS => {
                self.mode = mode;
                Ok(Some(RecordEvent::Mode(mode)))
            }
            _ => Err(PeerError::Unexpected { message: "MODE", why: "its coding was not offered" }),
        }
    }

    fn heard<'m>(&mut self, now: Millis, message: ClientMessage<'m>) -> Result<Option<RecordEvent<'m>>, PeerError> {
        use ClientMessage as M;
        Ok(match message {
            M::Common(m) => self.common.on_message(now, &m)?.map(RecordEvent::Common),
            M::Mode(m) => self.on_mode(m.mode)?,
            M::StartMark(_) | M::Data(_) if self.stage == Stage::Idle => None,
            M::StartMark(m) => Some(RecordEvent::StartMark(m.time)),
            M::Data(m) => Some(RecordEvent::Sound { time: m.time, mode: self.mode, data: m.data.0.bytes() }),
        })
    }
}

impl Channel for RecordServer {
    type Message<'c> = ServerMessage<'c>;
    type Event<'m> = RecordEvent<'m>;

    fn max_body(&self) -> usize {
        limits::RECORD_BODY
    }

    fn on_message<'m>(&mut self, now: Millis, id: u16, body: &'m [u8]) -> Result<Option<RecordEvent<'m>>, PeerError> {
        match self.common.accept(now, ClientMessage::decode(id, body))? {
            Some(message) => self.heard(now, message),
            None => Ok(None),
        }
    }

    fn send(&mut self, _now: Millis, message: &ServerMessage<'_>, out: &mut [u8]) -> Result<Transmit, Refused> {
        self.check(message)?;
        let transmit = self.common.send_any(message.id(), message.size(), out, |w| message.encode(w))?;
        self.stage = match message {
            ServerMessage::Start(_) => Stage::Listening,
            ServerMessage::Stop(_) => Stage::Idle,
            _ => self.stage,
        };
        Ok(transmit)
    }

    fn poll(&mut self, now: Millis, out: &mut [u8]) -> Result<Poll, EncodeError> {
        self.common.poll(now, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::playback::AudioFormat;
    use crate::proto::record::{Mute, Start, Stop};
    use crate::wire::Sampler;

    const NOW: Millis = Millis(1);
    const START: ServerMessage<'static> =
        ServerMessage::Start(Start { channels: 2, format: AudioFormat::S16, frequency: 48_000 });
    const STOP: ServerMessage<'static> = ServerMessage::Stop(Stop {});

    fn fresh(caps: RecordCaps) -> RecordServer {
        RecordServer::new(Negotiated { mini_header: true, peer_caps: caps.bits() })
    }

    fn say(record: &mut RecordServer, message: &ServerMessage<'_>) -> Result<Transmit, Refused> {
        record.send(NOW, message, &mut [0; 64])
    }

    fn hear<'m>(record: &mut RecordServer, id: u16, body: &'m [u8]) -> Result<Option<RecordEvent<'m>>, PeerError> {
        record.on_message(NOW, id, body)
    }

    #[test]
    fn sound_is_heard_between_start_and_stop_only() {
        let record = &mut fresh(RecordCaps::empty());
        assert!(matches!(say(record, &STOP), Err(Refused::Misuse(_))));
        assert_eq!(hear(record, 101, &[1, 0, 0, 0, 9]), Ok(None), "nobody asked");
        assert_eq!(say(record, &START), Ok(Transmit { head: 16, body: 0 }));
        assert!(matches!(say(record, &START), Err(Refused::Misuse(_))));
        assert_eq!(hear(record, 103, &[7, 0, 0, 0]), Ok(Some(RecordEvent::StartMark(7))));
        let sound = RecordEvent::Sound { time: 1, mode: AudioMode::RAW, data: &[9] };
        assert_eq!(hear(record, 101, &[1, 0, 0, 0, 9]), Ok(Some(sound)));
        assert!(say(record, &STOP).is_ok());
        assert_eq!(hear(record, 101, &[1, 0, 0, 0, 9]), Ok(None), "it crossed the STOP");
        assert_eq!(hear(record, 103, &[7, 0, 0, 0]), Ok(None));
        assert!(say(record, &START).is_ok());
    }

    #[test]
    fn the_mode_in_force_comes_with_the_sound_and_odd_ones_end_the_channel() {
        let record = &mut fresh(RecordCaps::empty());
        assert_eq!(hear(record, 102, &[0, 0, 0, 0, 3, 0]), Ok(Some(RecordEvent::Mode(AudioMode::OPUS))));
        let _ = say(record, &START).expect("idle");
        let sound = RecordEvent::Sound { time: 0, mode: AudioMode::OPUS, data: &[] };
        assert_eq!(hear(record, 101, &[0; 4]), Ok(Some(sound)), "kept over START");
        for odd in [0, 2, 4, 255] {
            assert!(matches!(hear(record, 102, &[0, 0, 0, 0, odd, 0]), Err(PeerError::Unexpected { .. })), "{odd}");
        }
        assert_eq!(hear(record, 101, &[0; 4]), Ok(Some(sound)));
    }

    #[test]
    fn volume_needs_its_capability() {
        let mute = ServerMessage::Mute(Mute { mute: 1 });
        assert_eq!(say(&mut fresh(RecordCaps::OPUS), &mute), Err(Refused::Unsupported("VOLUME")));
        assert!(say(&mut fresh(RecordCaps::VOLUME), &mute).is_ok());
    }

    #[test]
    fn a_refusal_for_lack_of_room_changes_nothing() {
        let record = &mut fresh(RecordCaps::empty());
        assert!(matches!(record.send(NOW, &START, &mut [0; 15]), Err(Refused::Encode(_))));
        assert!(matches!(say(record, &STOP), Err(Refused::Misuse(_))), "still idle");
        assert_eq!(record.common().sent(), 0);
    }

    #[test]
    fn any_bytes_are_sound_or_an_error() {
        let mut sampler = Sampler::new(6);
        let record = &mut fresh(RecordCaps::empty());
        let _ = say(record, &START).expect("idle");
        for _ in 0..if cfg!(miri) { 50 } else { 5_000 } {
            let body: [u8; 12] = core::array::from_fn(|_| sampler.number().to_le_bytes()[0]);
            let (id, body) = (sampler.pick(&[6, 101, 102, 103, 104]).unwrap_or(0), &body[..sampler.below(13)]);
            match hear(record, id, body) {
                Ok(Some(RecordEvent::Sound { data, .. })) => assert_eq!(data.len(), body.len() - 4),
                Ok(_) => {}
                Err(_) => assert!(id == 102 || body.len() < 12, "{id} {body:?}"),
            }
        }
    }
}
