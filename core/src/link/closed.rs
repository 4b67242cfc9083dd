//! Why a link came to nothing, and what the peer is told.

use core::fmt;

use crate::proto::common::{ChannelType, LinkError};
use crate::proto::link::AuthMechanism;
use crate::wire::DecodeError;

/// Why a link came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkClosed {
    /// The first four bytes are not SPICE's.
    Magic([u8; 4]),
    /// The peer speaks another major version.
    Version {
        /// The peer's.
        major: u32,
        /// The peer's.
        minor: u32,
    },
    /// A size or a length that is out of range.
    Size {
        /// Of what.
        what: &'static str,
        /// Bytes that were announced.
        size: u32,
        /// Fewest bytes that are taken.
        min: usize,
        /// Most bytes that are taken.
        max: usize,
    },
    /// Bytes that are not what they should be.
    Decode(DecodeError),
    /// The channel is served over TLS only and the link is in clear.
    NeedSecured(ChannelType),
    /// The channel is served in clear only and the link is over TLS.
    NeedUnsecured(ChannelType),
    /// The peer cannot say AUTH_SELECTION's word and tickets are not taken.
    NoSelection,
    /// A mechanism that is not offered.
    Mechanism(AuthMechanism),
    /// A SASL mechanism that was not in the list.
    SaslMechanism,
    /// SASL did not come to an end.
    SaslRounds,
    /// Ticket or SASL: the peer did not prove who it is.
    Denied,
    /// No session has that connection id.
    BadConnectionId,
    /// There is no such channel.
    NotAvailable,
    /// The host could not serve the link.
    Internal,
    /// The host wanted the connection closed without a word.
    Silent,
    /// Linking took too long.
    Deadline,
    /// Client role: the server refused with this code.
    Refused(LinkError),
    /// The driver did not hand over what was wanted.
    Driver {
        /// Bytes wanted.
        want: usize,
        /// Bytes handed over.
        got: usize,
    },
}

impl LinkClosed {
    /// What a server tells the client; `None` when it closes without a word.
    #[must_use]
    pub const fn code(&self) -> Option<LinkError> {
        Some(match self {
            Self::Magic(_) => LinkError::INVALID_MAGIC,
            // The reference says nothing to what is not even an old SPICE client.
            Self::Version { major: 0, .. } => return None,
            Self::Version { .. } | Self::NoSelection => LinkError::VERSION_MISMATCH,
            Self::Size { .. } | Self::Decode(_) | Self::Mechanism(_) | Self::SaslMechanism | Self::SaslRounds => {
                LinkError::INVALID_DATA
            }
            Self::NeedSecured(_) => LinkError::NEED_SECURED,
            Self::NeedUnsecured(_) => LinkError::NEED_UNSECURED,
            Self::Denied => LinkError::PERMISSION_DENIED,
            Self::BadConnectionId => LinkError::BAD_CONNECTION_ID,
            Self::NotAvailable => LinkError::CHANNEL_NOT_AVAILABLE,
            Self::Internal => LinkError::ERROR,
            Self::Silent | Self::Deadline | Self::Refused(_) | Self::Driver { .. } => return None,
        })
    }
}

impl From<DecodeError> for LinkClosed {
    fn from(e: DecodeError) -> Self {
        Self::Decode(e)
    }
}

impl fmt::Display for LinkClosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic(bytes) => write!(f, "the first bytes are {bytes:02x?}, not SPICE's"),
            Self::Version { major, minor } => write!(f, "version {major}.{minor} of the protocol is not spoken here"),
            Self::Size { what, size, min, max } => write!(f, "{what} of {size} bytes, {min} to {max} are taken"),
            Self::Decode(e) => write!(f, "malformed link: {e}"),
            Self::NeedSecured(t) => write!(f, "channel {t:?} is served over TLS only"),
            Self::NeedUnsecured(t) => write!(f, "channel {t:?} is served in clear only"),
            Self::NoSelection => f.write_str("the client cannot select SASL, and tickets are not taken"),
            Self::Mechanism(m) => write!(f, "authentication {m:?} is not offered"),
            Self::SaslMechanism => f.write_str("the SASL mechanism is not in the list"),
            Self::SaslRounds => f.write_str("SASL did not come to an end"),
            Self::Denied => f.write_str("permission denied"),
            Self::BadConnectionId => f.write_str("no session has that connection id"),
            Self::NotAvailable => f.write_str("there is no such channel"),
            Self::Internal => f.write_str("the link could not be served"),
            Self::Silent => f.write_str("closed without a word"),
            Self::Deadline => f.write_str("linking took too long"),
            Self::Refused(code) => write!(f, "refused with {code:?}"),
            Self::Driver { want, got } => write!(f, "{got} bytes were handed over where {want} were wanted"),
        }
    }
}

impl core::error::Error for LinkClosed {}
