//! From the first byte to an open channel, without I/O and without a clock.
//!
//! ```text
//!                          ┌─────────────────────────────────┐
//!  exactly want() bytes ──►│ on_bytes ──► Question, or none   │
//!                          │                                 │
//!  the host's answer ─────►│ admit, ticket, … ──► bytes sent │
//!                          │                                 │
//!  time ──────────────────►│ poll ──► Transmit │ Wait        │
//!                          │          Open │ Closed          │
//!                          └─────────────────────────────────┘
//! ```
//!
//! The machines keep no bytes: a driver collects [`Linking::want`] bytes in memory of its own and
//! hands over exactly these. It polls until the answer is [`LinkPoll::Wait`], reads, and polls
//! again; what poll transmits comes before `Open` or `Closed`. A question of the server's machine is
//! answered when the host is ready, also much later; meanwhile nothing is wanted. After `Open` the
//! next byte belongs to the channel; after `Closed` the machine is dead and the connection is to be
//! closed.
//!
//! What a peer can make the host hold before it has proved who it is: at most
//! [`limits::LINK_BODY`](crate::limits::LINK_BODY) bytes, or
//! [`limits::SASL_DATA`](crate::limits::SASL_DATA) where SASL is on, for at most the deadline; and
//! at most [`limits::SASL_ROUNDS`](crate::limits::SASL_ROUNDS) times.

mod client;
mod closed;
mod host;
mod policy;
mod sasl;
mod server;
#[cfg(test)]
mod tests;

pub use client::{ClientConfig, ClientLink, ClientQuestion};
pub use closed::LinkClosed;
pub use host::{Admission, Auth, Question, SaslStep, ServerConfig, Verdict, Wanted};
pub use policy::{Policy, Security};
pub use server::ServerLink;

use crate::channel::Negotiated;
use crate::proto::caps::CommonCaps;
use crate::proto::common::ChannelType;
use crate::proto::link::LinkHeader;
use crate::time::Millis;
use crate::wire::{EncodeError, Field, Message, Writer, to_u32};

/// A link's machine in one role; what the host answers with is the role's own.
pub trait Linking {
    /// What the host is asked.
    type Question<'b>;

    /// Bytes that [`Self::on_bytes`] wants next; 0 while a question is open and when it is over.
    fn want(&self) -> usize;

    /// Takes exactly [`Self::want`] bytes.
    fn on_bytes<'b>(&mut self, now: Millis, bytes: &'b [u8]) -> Option<Self::Question<'b>>;

    /// Says what the machine wants.
    ///
    /// # Errors
    /// `out` is too small; poll again with more, 194 bytes are always enough.
    fn poll(&mut self, now: Millis, out: &mut [u8]) -> Result<LinkPoll, EncodeError>;
}

/// What a link wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum LinkPoll {
    /// Send this many bytes from the start of the lent memory, then poll again.
    Transmit(usize),
    /// Nothing now: read, or wait for the host's answer; poll again after that or at this time.
    Wait(Option<Millis>),
    /// The channel is open.
    Open(Opened),
    /// It came to nothing: close the connection.
    Closed(LinkClosed),
}

/// An open channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// What both ends agreed on, for the channel's machine.
    pub negotiated: Negotiated,
    /// 0 for a new session's main channel, otherwise the session's id; on a main channel that means
    /// a client that migrates here.
    pub connection_id: u32,
    /// What the channel is for.
    pub channel_type: ChannelType,
    /// Instance within the type.
    pub channel_id: u8,
}

/// What this crate can do on every channel, apart from authentication.
const OWN_CAPS: CommonCaps = CommonCaps::AUTH_SELECTION.union(CommonCaps::MINI_HEADER);

/// Writes a link message or reply behind its header.
fn write_with_header<'a>(message: &impl Message<'a>, out: &mut [u8]) -> Result<usize, EncodeError> {
    let (needed, left) = (LinkHeader::MIN, out.len());
    // Offsets in the message count from its own start.
    let (header, body) = out.split_at_mut_checked(needed).ok_or(EncodeError::NoSpace { needed, left })?;
    let mut w = Writer::new(body);
    message.encode(&mut w)?;
    LinkHeader::new(to_u32(w.position())).encode(&mut Writer::new(header))?;
    Ok(needed.saturating_add(w.position()))
}
