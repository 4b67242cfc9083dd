//! What every channel does: headers and serials, acknowledgements, pings.

use super::ack::AckWindow;
use super::framing::Outgoing;
use super::migrate::Stay;
use super::pulse::Pulse;
use super::{Expired, PeerError, Poll, Refused, Transmit};
use crate::limits;
use crate::proto::common::{ClientMessage, LinkError, Ping, SetAck};
use crate::time::Millis;
use crate::wire::{Data, DecodeError, DecodeErrorKind, EncodeError, Message, Rest, Writer};

/// What both ends agreed on while linking; decided once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// Both ends use mini headers.
    pub mini_header: bool,
    /// First word of the peer's capabilities for this channel.
    pub peer_caps: u32,
}

/// The part of a machine that all channels share (server role).
#[derive(Clone, Debug)]
pub struct Common {
    pub(super) outgoing: Outgoing,
    pub(super) stay: Stay,
    ack: AckWindow,
    ack_due: Option<u32>,
    pulse: Pulse,
    trailing: u64,
    unknown: u64,
}

/// What a common message means to the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Heard<'m> {
    /// The client says goodbye.
    Disconnecting(LinkError),
    /// The client has stopped sending here and asks for the migration data.
    MigrateFlushMark,
    /// What the migration source said, handed on by the client; hostile.
    MigrateData(&'m [u8]),
}

impl Common {
    pub(crate) const fn new(negotiated: Negotiated) -> Self {
        Self {
            outgoing: Outgoing::new(negotiated.mini_header),
            stay: Stay::Here,
            ack: AckWindow::CLOSED,
            ack_due: None,
            pulse: Pulse::off(),
            trailing: 0,
            unknown: 0,
        }
    }

    /// Opens an acknowledgement window: SET_ACK is the next message.
    pub(crate) fn open_window(&mut self, window: u32) {
        self.ack_due = Some(window);
    }

    /// Whether the window's SET_ACK is still to be sent.
    pub(crate) const fn window_due(&self) -> bool {
        self.ack_due.is_some()
    }

    /// Starts measuring the round trip.
    pub(crate) fn start_pulse(&mut self, now: Millis) {
        self.pulse.start(now);
    }

    /// Milliseconds of the shortest round trip measured.
    #[must_use]
    pub const fn round_trip(&self) -> Option<u64> {
        self.pulse.round_trip()
    }

    /// Messages sent so far: the serial of the last one.
    #[must_use]
    pub const fn sent(&self) -> u64 {
        self.outgoing.sent()
    }

    /// Bytes behind messages' ends and messages of unknown number, which were ignored.
    #[must_use]
    pub const fn ignored(&self) -> (u64, u64) {
        (self.trailing, self.unknown)
    }

    /// Whether the window has room.
    #[must_use]
    pub fn may_send(&self) -> bool {
        self.ack.may_send()
    }

    /// What is left of a client's message after decoding: bytes behind its end are counted, a
    /// message of unknown number is counted and ignored.
    pub(crate) fn accept<M>(
        &mut self,
        now: Millis,
        decoded: Result<(M, usize), DecodeError>,
    ) -> Result<Option<M>, PeerError> {
        self.pulse.on_heard(now);
        match decoded {
            Ok((message, trailing)) => {
                self.trailing = self.trailing.saturating_add(u64::try_from(trailing).unwrap_or(u64::MAX));
                Ok(Some(message))
            }
            Err(DecodeError { kind: DecodeErrorKind::UnknownMessage { .. }, .. }) => {
                self.unknown = self.unknown.saturating_add(1);
                Ok(None)
            }
            Err(e) => Err(e.into()),
        }
    }

    pub(crate) fn on_message<'m>(
        &mut self,
        now: Millis,
        message: &ClientMessage<'m>,
    ) -> Result<Option<Heard<'m>>, PeerError> {
        match message {
            ClientMessage::AckSync(m) => self.ack.on_sync(m.generation),
            ClientMessage::Ack(_) => self.ack.on_ack(),
            ClientMessage::Pong(m) => self.pulse.on_pong(now, m.id, Millis(m.timestamp / NS_PER_MS)),
            ClientMessage::MigrateFlushMark(_) => return Ok(Some(Heard::MigrateFlushMark)),
            ClientMessage::ClientMigrateData(m) => return Ok(Some(Heard::MigrateData(m.data.0.bytes()))),
            ClientMessage::Disconnecting(m) => return Ok(Some(Heard::Disconnecting(m.reason))),
        }
        Ok(None)
    }

    /// The common part's own messages, then when to look again.
    pub(crate) fn poll(&mut self, now: Millis, out: &mut [u8]) -> Result<Poll, EncodeError> {
        if self.stay != Stay::Here {
            // Whoever drives the channel knows how long a client may take to move.
            return Ok(Poll::Wait(None));
        }
        if let Some(window) = self.ack_due {
            // Numbered before it is framed so that a retry after NoSpace opens the same window.
            let mut ack = self.ack.clone();
            let generation = ack.open(window);
            let transmit = self.frame(&SetAck { generation, window }, out)?;
            ack.sent();
            self.ack = ack;
            self.ack_due = None;
            return Ok(Poll::Transmit(transmit));
        }
        if self.pulse.expired(now) {
            return Ok(Poll::Expired(Expired::Pong));
        }
        let mut pulse = self.pulse.clone();
        if let Some(id) = pulse.due(now) {
            let timestamp = now.0.saturating_mul(NS_PER_MS);
            let transmit = self.frame(&Ping { id, timestamp, padding: Rest(Data::Here(&[])) }, out)?;
            self.pulse = pulse;
            return Ok(Poll::Transmit(transmit));
        }
        Ok(Poll::Wait(self.pulse.deadline()))
    }

    /// Frames a body of `size` bytes that waits for room in the window.
    pub(crate) fn send_any(
        &mut self,
        id: u16,
        size: usize,
        out: &mut [u8],
        encode: impl FnOnce(&mut Writer<'_>) -> Result<(), EncodeError>,
    ) -> Result<Transmit, Refused> {
        if self.stay != Stay::Here {
            return Err(Refused::Misuse("nothing is said behind MIGRATE"));
        }
        if !self.ack.may_send() {
            return Err(Refused::Hold);
        }
        Ok(self.frame_with(id, size, out, encode)?)
    }

    /// Frames a message regardless of the window.
    pub(crate) fn frame<'a, M: Message<'a>>(&mut self, message: &M, out: &mut [u8]) -> Result<Transmit, EncodeError> {
        self.frame_with(M::ID, message.size(), out, |w| message.encode(w))
    }

    /// Frames a body of `size` bytes regardless of the window.
    pub(crate) fn frame_with(
        &mut self,
        id: u16,
        size: usize,
        out: &mut [u8],
        encode: impl FnOnce(&mut Writer<'_>) -> Result<(), EncodeError>,
    ) -> Result<Transmit, EncodeError> {
        let transmit = self.outgoing.frame(id, size, out, encode)?;
        self.ack.sent();
        Ok(transmit)
    }
}

const NS_PER_MS: u64 = 1_000_000;
const _: () = assert!(limits::PING_IDLE_MS < limits::PING_EVERY_MS);
