//! What the server's machine asks its host, and the answers.

use super::Policy;
use crate::limits;
use crate::proto::caps::CommonCaps;
use crate::proto::common::ChannelType;
use crate::proto::link::{PUB_KEY_BYTES, TICKET_BYTES};

/// How clients prove who they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// With a ticket, which every client can; a host without authentication accepts any.
    #[default]
    Ticket,
    /// With SASL and nothing else.
    Sasl,
    /// As the client likes; one that cannot select uses a ticket.
    TicketOrSasl,
}

/// What the machine needs to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerConfig {
    /// The connection is inside TLS.
    pub secure: bool,
    /// How clients prove who they are.
    pub auth: Auth,
    /// What may travel in clear.
    pub policy: Policy,
    /// Milliseconds from connecting to an open channel.
    pub wait_ms: u64,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self { secure: false, auth: Auth::default(), policy: Policy::default(), wait_ms: limits::LINK_WAIT_MS }
    }
}

/// What the host is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Question<'b> {
    /// May this channel be linked? Answer with [`ServerLink::admit`](super::ServerLink::admit).
    Channel(Wanted),
    /// Is this the right ticket? Answer with [`ServerLink::ticket`](super::ServerLink::ticket).
    Ticket(&'b [u8; TICKET_BYTES]),
    /// What SASL mechanisms are there? Answer with [`ServerLink::sasl_mechanisms`](super::ServerLink::sasl_mechanisms).
    SaslMechanisms,
    /// Is this one of them? It has no comma. Answer with [`ServerLink::sasl_choice`](super::ServerLink::sasl_choice).
    SaslChoice(&'b [u8]),
    /// The client's part of the mechanism, its NUL taken off. Answer with [`ServerLink::sasl_step`](super::ServerLink::sasl_step).
    SaslResponse(Option<&'b [u8]>),
}

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// 0 for a new session's main channel, otherwise a session's id; nothing is known of it yet.
    pub connection_id: u32,
    /// What the channel is for.
    pub channel_type: ChannelType,
    /// Instance within the type.
    pub channel_id: u8,
    /// What the client can do on every channel.
    pub common_caps: CommonCaps,
    /// First word of what it can do on this one.
    pub channel_caps: u32,
}

/// The answer to [`Question::Channel`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission<'a> {
    /// Go on. Whether session and channel are there is better answered with the [`Verdict`]: before
    /// that the peer is nobody.
    Admit {
        /// The key to encrypt the ticket with, as DER SubjectPublicKeyInfo; none where only SASL counts.
        public_key: Option<&'a [u8; PUB_KEY_BYTES]>,
        /// First word of what the server can do on this channel.
        channel_caps: u32,
    },
    /// Not now, with ERROR: out of keys, shutting down.
    Fail,
    /// Close without a word, as the reference does for channels that are not there.
    Silent,
}

/// What comes of a link once the peer has said who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The channel opens.
    Accepted,
    /// The ticket is wrong, expired or cannot be decrypted; SASL failed.
    Denied,
    /// No session has the connection id.
    BadConnectionId,
    /// There is no such channel.
    NotAvailable,
}

/// The answer to [`Question::SaslResponse`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaslStep<'a> {
    /// The mechanism's part, without its NUL; the client is to go on.
    Continue(Option<&'a [u8]>),
    /// The mechanism is complete. With a security layer everything that is read from here on, and
    /// everything that [`Linking::poll`](super::Linking::poll) transmits, is inside it.
    Complete {
        /// The mechanism's last part, without its NUL.
        data: Option<&'a [u8]>,
        /// What came of it.
        verdict: Verdict,
    },
}
