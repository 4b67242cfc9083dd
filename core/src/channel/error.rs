//! Whose fault it is, and so what to do: close, or wait, or downgrade, or fix the caller.

use core::fmt;

use crate::wire::{DecodeError, EncodeError};

/// The peer broke the protocol: close the channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerError {
    /// Its bytes are not the message they claim to be.
    Decode(DecodeError),
    /// A message is larger than this channel takes.
    Oversize {
        /// The message's number.
        id: u16,
        /// Bytes it announced.
        size: u32,
        /// Bytes that are taken.
        max: usize,
    },
    /// A message that may not be sent now.
    Unexpected {
        /// The message's name.
        message: &'static str,
        /// Why it may not be.
        why: &'static str,
    },
}

impl From<DecodeError> for PeerError {
    fn from(e: DecodeError) -> Self {
        Self::Decode(e)
    }
}

impl fmt::Display for PeerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decode(e) => write!(f, "malformed message: {e}"),
            Self::Oversize { id, size, max } => {
                write!(f, "message {id} announces {size} bytes, this channel takes {max}")
            }
            Self::Unexpected { message, why } => write!(f, "{message} out of place: {why}"),
        }
    }
}

impl core::error::Error for PeerError {}

/// A message of the host's may not be said now; nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused {
    /// The peer has not acknowledged enough: drop the picture or try later.
    Hold,
    /// The peer cannot take it: it lacks this capability.
    Unsupported(&'static str),
    /// The message contradicts what was said before; a mistake of the caller's.
    Misuse(&'static str),
    /// It does not fit the lent memory or its own form.
    Encode(EncodeError),
}

impl From<EncodeError> for Refused {
    fn from(e: EncodeError) -> Self {
        Self::Encode(e)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hold => f.write_str("the peer has not acknowledged enough messages"),
            Self::Unsupported(what) => write!(f, "the peer lacks the capability {what}"),
            Self::Misuse(why) => f.write_str(why),
            Self::Encode(e) => e.fmt(f),
        }
    }
}

impl core::error::Error for Refused {}
