//! What can go wrong between bytes and values.

use core::fmt;

/// Why bytes are not the message they claim to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct DecodeError {
    /// Message and field, such as `"MonitorsConfig.heads"`; empty where no name is known.
    pub at: &'static str,
    /// What is wrong there.
    pub kind: DecodeErrorKind,
}

/// What is wrong with the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum DecodeErrorKind {
    /// The body ends before the field does.
    Short {
        /// Bytes the field takes.
        needed: usize,
        /// Bytes that were left.
        got: usize,
    },
    /// A count is above its limit.
    TooMany {
        /// The count on the wire.
        count: u32,
        /// The limit, see [`crate::limits`].
        max: u32,
    },
    /// A pointer leads backwards or out of the body.
    Offset {
        /// The pointer.
        offset: u32,
        /// Bytes in the body.
        len: usize,
    },
    /// A number that decides what follows has no meaning here.
    Value {
        /// The number.
        value: u32,
    },
    /// Bytes behind the end, from a peer that may not send any.
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// The channel has no message of this number in this direction.
    UnknownMessage {
        /// The number.
        id: u16,
    },
}

impl DecodeError {
    /// An error whose place is not known yet.
    #[must_use]
    pub const fn new(kind: DecodeErrorKind) -> Self {
        Self { at: "", kind }
    }

    /// Names the place, unless a more exact one is named already.
    #[must_use]
    pub const fn at(self, at: &'static str) -> Self {
        if self.at.is_empty() { Self { at, kind: self.kind } } else { self }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.at.is_empty() {
            write!(f, "{}: ", self.at)?;
        }
        match self.kind {
            DecodeErrorKind::Short { needed, got } => write!(f, "needs {needed} bytes, {got} are left"),
            DecodeErrorKind::TooMany { count, max } => write!(f, "count {count} is above the limit of {max}"),
            DecodeErrorKind::Offset { offset, len } => {
                write!(f, "offset {offset} does not lead forward inside the body of {len} bytes")
            }
            DecodeErrorKind::Value { value } => write!(f, "value {value} has no meaning here"),
            DecodeErrorKind::Trailing { bytes } => write!(f, "{bytes} bytes behind the end"),
            DecodeErrorKind::UnknownMessage { id } => write!(f, "no message has the number {id}"),
        }
    }
}

impl core::error::Error for DecodeError {}

/// Why a message could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum EncodeError {
    /// The lent memory is too small.
    NoSpace {
        /// Bytes the next piece takes.
        needed: usize,
        /// Bytes that were left.
        left: usize,
    },
    /// A promised payload is followed by more of the message; only the last bytes can be promised.
    PromiseNotLast,
    /// A count does not fit its field.
    Count {
        /// The count.
        count: usize,
    },
    /// A payload is not as long as the fields in front of it say.
    Length {
        /// Bytes by those fields.
        said: usize,
        /// Bytes of the payload.
        got: usize,
    },
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSpace { needed, left } => write!(f, "needs {needed} bytes of room, {left} are left"),
            Self::PromiseNotLast => f.write_str("a promised payload must be the end of the message"),
            Self::Count { count } => write!(f, "{count} items do not fit the count field"),
            Self::Length { said, got } => write!(f, "{got} payload bytes where the fields say {said}"),
        }
    }
}

impl core::error::Error for EncodeError {}
