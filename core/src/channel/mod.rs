//! One state machine per channel, without I/O and without a clock.
//!
//! ```text
//!                     ┌──────────────────────────┐
//!  bytes ─► Framing ─►│ on_message ─► event      │
//!                     │                          │
//!  a message to say ─►│ send ───────► Transmit   │─► head bytes, then the promised payload
//!                     │                          │
//!             time ──►│ poll ───────► Poll       │─► the machine's own messages, or when to come back
//!                     └──────────────────────────┘
//! ```
//!
//! The driver's rule: after [`Channel::on_message`] and before each [`Channel::send`], call
//! [`Channel::poll`] until it answers [`Poll::Wait`]. What the host says is a message of the
//! channel itself; the machine checks that it may be said now (state, capabilities, flow control),
//! keeps account, and frames it. A refusal changes nothing, so the host still has what it offered.
//! Payload bytes are never held here: a message that ends in [`crate::wire::Data::Promised`] is
//! framed with their length, and the host sends them right behind the head.

mod ack;
pub mod client;
mod common;
pub mod cursor;
pub mod display;
mod error;
pub mod framing;
pub mod inputs;
pub mod main;
pub mod migrate;
pub mod playback;
pub mod port;
mod pulse;
pub mod record;
pub mod smartcard;
pub mod vmc;

pub use common::{Common, Heard, Negotiated};
pub use error::{PeerError, Refused};
pub use pulse::Expired;

use crate::time::Millis;
use crate::wire::EncodeError;

/// A framed message, with what has to stand in front of it: bytes to send, in this order, with
/// nothing in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Transmit {
    /// Bytes at the start of the lent memory: headers and what core wrote of the bodies.
    pub head: usize,
    /// Payload bytes that the host promised.
    pub body: usize,
}

/// What a machine wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Poll {
    /// Send these, then poll again.
    Transmit(Transmit),
    /// Nothing now; poll again at this time, or when something happened.
    Wait(Option<Millis>),
    /// The peer is gone: close the channel.
    Expired(Expired),
}

/// A channel's machine in one role.
pub trait Channel {
    /// A message that the host can say.
    type Message<'c>;
    /// What a message from the peer means to the host.
    type Event<'m>;

    /// Largest body that the peer may send.
    fn max_body(&self) -> usize;

    /// Takes in a message of the peer.
    ///
    /// # Errors
    /// The peer broke the protocol; the channel is to be closed.
    fn on_message<'m>(&mut self, now: Millis, id: u16, body: &'m [u8]) -> Result<Option<Self::Event<'m>>, PeerError>;

    /// Frames a message of the host's into `out`.
    ///
    /// # Errors
    /// The message may not be said now; nothing changed.
    fn send(&mut self, now: Millis, message: &Self::Message<'_>, out: &mut [u8]) -> Result<Transmit, Refused>;

    /// Says what the machine itself wants to send, or when it wants to be asked again.
    ///
    /// # Errors
    /// `out` is too small; poll again with more.
    fn poll(&mut self, now: Millis, out: &mut [u8]) -> Result<Poll, EncodeError>;
}
