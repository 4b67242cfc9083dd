//! The playback channel, server role.
//!
//! ```text
//!  Fresh ──MODE──► Silent ──START──► Playing ──DATA──► Playing
//!                    ▲                  └──STOP──┐
//!                    └───────────────────────────┘
//! ```
//!
//! MODE may be said again at any time and holds for the DATA that follows. What a client's
//! capabilities rule out is refused: Opus, volume and mute, latency.

use super::{Channel, Common, Heard, Negotiated, PeerError, Poll, Refused, Transmit};
use crate::limits;
use crate::proto::caps::PlaybackCaps;
use crate::proto::common;
use crate::proto::playback::{AudioMode, ServerMessage};
use crate::time::Millis;
use crate::wire::EncodeError;

/// The machine.
#[derive(Clone, Debug)]
pub struct PlaybackServer {
    pub(super) common: Common,
    caps: PlaybackCaps,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Fresh,
    Silent,
    Playing,
}

impl PlaybackServer {
    /// For a client that just linked.
    #[must_use]
    pub const fn new(negotiated: Negotiated) -> Self {
        Self {
            common: Common::new(negotiated),
            caps: PlaybackCaps::from_bits_retain(negotiated.peer_caps),
            stage: Stage::Fresh,
        }
    }

    /// The part that all channels share.
    #[must_use]
    pub const fn common(&self) -> &Common {
        &self.common
    }

    /// What the client can do on this channel.
    #[must_use]
    pub const fn caps(&self) -> PlaybackCaps {
        self.caps
    }

    fn check(&self, message: &ServerMessage<'_>) -> Result<(), Refused> {
        use ServerMessage as M;
        match (message, self.stage) {
            (M::Mode(m), _) => match m.mode {
                AudioMode::RAW => Ok(()),
                AudioMode::OPUS => self.need(PlaybackCaps::OPUS, "OPUS"),
                _ => Err(Refused::Misuse("MODE with a coding that nobody has")),
            },
            (M::Start(_), Stage::Fresh) => Err(Refused::Misuse("START before MODE")),
            (M::Start(_), Stage::Playing) => Err(Refused::Misuse("START while playing")),
            (M::Stop(_), Stage::Fresh | Stage::Silent) => Err(Refused::Misuse("STOP while silent")),
            (M::Data(_), Stage::Fresh | Stage::Silent) => Err(Refused::Misuse("DATA while silent")),
            (M::Volume(_) | M::Mute(_), _) => self.need(PlaybackCaps::VOLUME, "VOLUME"),
            (M::Latency(_), _) => self.need(PlaybackCaps::LATENCY, "LATENCY"),
            (M::Common(common::ServerMessage::SetAck(_)), _) => {
                Err(Refused::Misuse("windows are opened by the machine"))
            }
            _ => Ok(()),
        }
    }

    fn need(&self, cap: PlaybackCaps, name: &'static str) -> Result<(), Refused> {
        if self.caps.contains(cap) { Ok(()) } else { Err(Refused::Unsupported(name)) }
    }
}

impl Channel for PlaybackServer {
    type Message<'c> = ServerMessage<'c>;
    type Event<'m> = Heard<'m>;

    fn max_body(&self) -> usize {
        limits::PLAYBACK_BODY
    }

    fn on_message<'m>(&mut self, now: Millis, id: u16, body: &'m [u8]) -> Result<Option<Heard<'m>>, PeerError> {
        match self.common.accept(now, common::ClientMessage::decode(id, body))? {
            Some(message) => self.common.on_message(now, &message),
            None => Ok(None),
        }
    }

    fn send(&mut self, _now: Millis, message: &ServerMessage<'_>, out: &mut [u8]) -> Result<Transmit, Refused> {
        self.check(message)?;
        let transmit = self.common.send_any(message.id(), message.size(), out, |w| message.encode(w))?;
        self.stage = match (message, self.stage) {
            (ServerMessage::Mode(_), Stage::Fresh) | (ServerMessage::Stop(_), _) => Stage::Silent,
            (ServerMessage::Start(_), _) => Stage::Playing,
            (_, stage) => stage,
        };
        Ok(transmit)
    }

    fn poll(&mut self, now: Millis, out: &mut [u8]) -> Result<Poll, EncodeError> {
        self.common.poll(now, out)
    }
}

#[cfg(test)]
mod tests {
    use zerocopy::little_endian::U16;

    use super::*;
    use crate::proto::common::{LinkError, SetAck};
    use crate::proto::playback::{AudioFormat, Data as Sound, Latency, Mode, Mute, Start, Stop, Volume};
    use crate::wire::{Counted, Data, Rest, Sampler};

    const NOW: Millis = Millis(1);

    fn fresh(caps: PlaybackCaps) -> PlaybackServer {
        PlaybackServer::new(Negotiated { mini_header: true, peer_caps: caps.bits() })
    }

    fn say(playback: &mut PlaybackServer, message: &ServerMessage<'_>) -> Result<Transmit, Refused> {
        playback.send(NOW, message, &mut [0; 64])
    }

    fn mode(mode: AudioMode) -> ServerMessage<'static> {
        ServerMessage::Mode(Mode { time: 5, mode, data: Rest(Data::Here(&[])) })
    }

    fn start() -> ServerMessage<'static> {
        ServerMessage::Start(Start { channels: 2, format: AudioFormat::S16, frequency: 48_000, time: 5 })
    }

    fn sound() -> ServerMessage<'static> {
        ServerMessage::Data(Sound { time: 6, data: Rest(Data::Promised(1920)) })
    }

    const STOP: ServerMessage<'static> = ServerMessage::Stop(Stop {});

    #[test]
    fn mode_then_start_then_sound_then_stop_and_again() {
        let playback = &mut fresh(PlaybackCaps::empty());
        for early in [start(), STOP, sound()] {
            assert!(matches!(say(playback, &early), Err(Refused::Misuse(_))), "{early:?} before MODE");
        }
        assert_eq!(say(playback, &mode(AudioMode::RAW)), Ok(Transmit { head: 12, body: 0 }));
        for early in [STOP, sound()] {
            assert!(matches!(say(playback, &early), Err(Refused::Misuse(_))), "{early:?} before START");
        }
        for _ in 0..2 {
            assert_eq!(say(playback, &start()), Ok(Transmit { head: 20, body: 0 }));
            assert!(matches!(say(playback, &start()), Err(Refused::Misuse(_))));
            assert_eq!(say(playback, &sound()), Ok(Transmit { head: 10, body: 1920 }));
            assert!(say(playback, &mode(AudioMode::RAW)).is_ok(), "the coding may change in between");
            assert!(say(playback, &sound()).is_ok());
            assert!(say(playback, &STOP).is_ok());
            assert!(matches!(say(playback, &sound()), Err(Refused::Misuse(_))));
        }
    }

    #[test]
    fn capabilities_gate_opus_volume_and_latency() {
        let volume = [U16::new(1), U16::new(2)];
        for (message, cap, name) in [
            (mode(AudioMode::OPUS), PlaybackCaps::OPUS, "OPUS"),
            (ServerMessage::Volume(Volume { volume: Counted::new(&volume) }), PlaybackCaps::VOLUME, "VOLUME"),
            (ServerMessage::Mute(Mute { mute: 1 }), PlaybackCaps::VOLUME, "VOLUME"),
            (ServerMessage::Latency(Latency { latency_ms: 9 }), PlaybackCaps::LATENCY, "LATENCY"),
        ] {
            let without = &mut fresh(PlaybackCaps::all().difference(cap));
            assert_eq!(say(without, &message), Err(Refused::Unsupported(name)));
            assert_eq!(without.common().sent(), 0);
            assert!(say(&mut fresh(cap), &message).is_ok(), "{name}");
        }
    }

    #[test]
    fn codings_that_nobody_has_and_windows_are_refused() {
        for odd in [AudioMode::INVALID, AudioMode::CELT_0_5_1, AudioMode(4), AudioMode(u16::MAX)] {
            assert!(matches!(say(&mut fresh(PlaybackCaps::all()), &mode(odd)), Err(Refused::Misuse(_))));
        }
        let ack = ServerMessage::Common(common::ServerMessage::SetAck(SetAck { generation: 1, window: 1 }));
        assert!(matches!(say(&mut fresh(PlaybackCaps::all()), &ack), Err(Refused::Misuse(_))));
    }

    #[test]
    fn a_refusal_for_lack_of_room_changes_nothing() {
        let playback = &mut fresh(PlaybackCaps::empty());
        assert!(matches!(playback.send(NOW, &mode(AudioMode::RAW), &mut [0; 11]), Err(Refused::Encode(_))));
        assert!(matches!(say(playback, &start()), Err(Refused::Misuse(_))), "still fresh");
        assert_eq!(playback.common().sent(), 0);
    }

    #[test]
    fn clients_say_what_every_channel_has_and_nothing_odd_breaks_it() {
        let playback = &mut fresh(PlaybackCaps::empty());
        let goodbye = playback.on_message(NOW, 6, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(goodbye, Ok(Some(Heard::Disconnecting(LinkError::OK))));
        assert_eq!(playback.on_message(NOW, 101, &[1, 2, 3]), Ok(None), "no message of a client's");
        assert!(playback.on_message(NOW, 6, &[0]).is_err());
        let mut sampler = Sampler::new(5);
        for _ in 0..if cfg!(miri) { 50 } else { 5_000 } {
            let body: [u8; 12] = core::array::from_fn(|_| sampler.number().to_le_bytes()[0]);
            let id = sampler.pick(&[1, 2, 3, 4, 5, 6, 101, 0xffff]).unwrap_or(0);
            let _ = playback.on_message(NOW, id, &body[..sampler.below(13)]);
            assert!(matches!(playback.poll(NOW, &mut [0; 64]), Ok(Poll::Wait(None))));
        }
    }
}
