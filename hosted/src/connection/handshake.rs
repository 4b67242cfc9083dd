//! From an accepted connection to an open channel: drives core's link machine.

use std::io::ErrorKind;
use std::time::Duration;

use sumac_core::link::{
    Admission, Auth, LinkClosed, LinkPoll, Linking, Opened, Question, ServerConfig, ServerLink, Wanted,
};
use sumac_core::proto::caps::{DisplayCaps, InputsCaps, MainCaps, PlaybackCaps, RecordCaps, VmcCaps};
use sumac_core::proto::common::ChannelType;
use sumac_core::time::Millis;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use super::proof::{Denied, SASL_MOST};
use crate::auth::{Exchange, Grant, TicketKey};
use crate::config::channel_policy;
use crate::ledger::Refused;
use crate::server::Engine;
use crate::sound::opus_is_there;
use crate::transport::{HANDSHAKE_TIME, NotEntered, Peer, Stream};

/// Bytes read at once; a whole link is a few hundred.
const READ_STEP: usize = 1024;
/// Room for the largest piece that a server says: the link reply.
pub(super) const OUT: usize = 512;

/// An open channel, and what the client said right behind its link.
pub(crate) struct Linked {
    pub(crate) opened: Opened,
    pub(crate) received: Vec<u8>,
    /// What let the viewer in.
    pub(crate) grant: Grant,
}

/// Why a link came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkFailed {
    /// The protocol's reasons.
    #[error("{0}")]
    Closed(LinkClosed),
    /// The ticket was not accepted; the reason holds no secret.
    #[error("ticket refused: {0}")]
    Ticket(String),
    /// SASL came to nothing; the reason holds no secret.
    #[error("SASL refused: {0}")]
    Sasl(&'static str),
    /// It never came to a link.
    #[error(transparent)]
    NotEntered(#[from] NotEntered),
    /// The client took too long before it.
    #[error("the client took more than {} s to come to its link", HANDSHAKE_TIME.as_secs())]
    Late,
    /// The connection ended or broke.
    #[error("the connection ended while it was linked: {0}")]
    Io(#[from] std::io::Error),
    /// A mistake of ours.
    #[error("internal: {0}")]
    Internal(String),
}

impl LinkFailed {
    /// As the ledger counts it.
    pub(crate) fn class(&self) -> Refused {
        match self {
            Self::Ticket(_) => Refused::Ticket,
            Self::Sasl(_) => Refused::Sasl,
            // What is not TLS or WebSocket is as invalid as what is not SPICE.
            Self::NotEntered(NotEntered::Io(error)) | Self::Io(error) if error.kind() != ErrorKind::InvalidData => {
                Refused::Broken
            }
            Self::NotEntered(NotEntered::Tls(_)) | Self::Internal(_) | Self::Closed(LinkClosed::Internal) => {
                Refused::Internal
            }
            Self::Late | Self::Closed(LinkClosed::Deadline) => Refused::Late,
            Self::NotEntered(NotEntered::NeedsTls)
            | Self::Closed(LinkClosed::NeedSecured(_) | LinkClosed::NeedUnsecured(_)) => Refused::Security,
            Self::Closed(LinkClosed::BadConnectionId | LinkClosed::NotAvailable) => Refused::Session,
            Self::Closed(_) | Self::NotEntered(_) | Self::Io(_) => Refused::Protocol,
        }
    }
}

/// Links `stream`, of which no ticket is wanted when it is `trusted`. Takes no longer than `wait`.
pub(crate) async fn handshake(
    engine: &Engine,
    stream: &mut Stream,
    peer: &Peer,
    trusted: bool,
    wait: Duration,
) -> Result<Linked, LinkFailed> {
    let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    let (secure, policy) = (stream.is_secure(), channel_policy(&engine.config().channel_security));
    let machine = ServerLink::new(engine.now(), ServerConfig { wait_ms, secure, policy, auth: auth(engine, trusted) });
    let mut link = Link {
        engine,
        peer,
        trusted,
        machine,
        received: Vec::new(),
        wanted: None,
        key: None,
        exchange: None,
        tried: false,
        grant: None,
        denied: None,
    };
    loop {
        let until = match link.say(stream).await? {
            Said::Open(opened) => {
                let grant = link.grant.ok_or_else(|| internal("a link is open and nobody was let in"))?;
                return Ok(Linked { opened, received: link.received, grant });
            }
            Said::Wait(until) => until,
        };
        if !link.hear(stream).await? {
            link.receive(stream, until).await?;
        }
    }
}

/// A link that is being made.
pub(super) struct Link<'e> {
    pub(super) engine: &'e Engine,
    pub(super) peer: &'e Peer,
    /// The program answers for whoever it is.
    pub(super) trusted: bool,
    pub(super) machine: ServerLink,
    received: Vec<u8>,
    /// What the client asked for.
    pub(super) wanted: Option<Wanted>,
    /// For its ticket.
    pub(super) key: Option<TicketKey>,
    /// By which it logs in.
    pub(super) exchange: Option<Exchange>,
    /// It has begun to.
    pub(super) tried: bool,
    /// What let it in.
    pub(super) grant: Option<Grant>,
    /// Why it was not.
    pub(super) denied: Option<Denied>,
}

enum Said {
    Open(Opened),
    Wait(Option<Millis>),
}

impl Link<'_> {
    /// Sends all that the machine has to say.
    async fn say(&mut self, stream: &mut Stream) -> Result<Said, LinkFailed> {
        let mut out = [0; OUT];
        loop {
            match self.machine.poll(self.engine.now(), &mut out).map_err(internal)? {
                LinkPoll::Transmit(len) => stream.write_all(out.get(..len).unwrap_or_default()).await?,
                LinkPoll::Wait(until) => return Ok(Said::Wait(until)),
                LinkPoll::Open(opened) => return Ok(Said::Open(opened)),
                LinkPoll::Closed(closed) => {
                    return Err(match self.denied.take() {
                        Some(Denied::Ticket(why)) => LinkFailed::Ticket(why),
                        Some(Denied::Sasl(why)) => LinkFailed::Sasl(why),
                        None => LinkFailed::Closed(closed),
                    });
                }
            }
        }
    }

    /// Hands over what was received, if it is enough; `false` when more must be read first.
    async fn hear(&mut self, stream: &mut Stream) -> Result<bool, LinkFailed> {
        let want = self.machine.want();
        if want > SASL_MOST {
            return Err(LinkFailed::Sasl("the client has a step of more than 64 KiB"));
        }
        if want == 0 || self.received.len() < want {
            return Ok(false);
        }
        let unit: Vec<u8> = self.received.drain(..want).collect();
        match self.machine.on_bytes(self.engine.now(), &unit) {
            None => {}
            Some(Question::Channel(wanted)) => self.admit(stream, &wanted).await?,
            Some(Question::Ticket(encrypted)) => {
                let verdict = self.check_ticket(encrypted).await;
                self.machine.ticket(verdict).map_err(internal)?;
            }
            Some(Question::SaslMechanisms) => self.offer(stream).await?,
            Some(Question::SaslChoice(mechanism)) => self.choose(mechanism, stream.is_secure())?,
            Some(Question::SaslResponse(data)) => self.step(stream, data).await?,
            Some(other) => return Err(LinkFailed::Internal(format!("unexpected question {other:?}"))),
        }
        Ok(true)
    }

    async fn admit(&mut self, stream: &mut Stream, wanted: &Wanted) -> Result<(), LinkFailed> {
        self.wanted = Some(*wanted);
        let mut out = [0; OUT];
        let channel_caps = own_caps(wanted.channel_type);
        if auth(self.engine, self.trusted) == Auth::Sasl {
            let len = self.machine.admit(&Admission::Admit { public_key: None, channel_caps }, &mut out);
            return Ok(stream.write_all(out.get(..len.map_err(internal)?).unwrap_or_default()).await?);
        }
        let key = match self.engine.keys.take().await {
            Ok(key) => key,
            Err(error) => {
                tracing::error!(peer = %self.peer, %error, "no ticket key");
                let len = self.machine.admit(&Admission::Fail, &mut out).map_err(internal)?;
                return Ok(stream.write_all(out.get(..len).unwrap_or_default()).await?);
            }
        };
        let admission = Admission::Admit { public_key: Some(key.public_key()), channel_caps };
        let len = self.machine.admit(&admission, &mut out).map_err(internal)?;
        self.key = Some(key);
        Ok(stream.write_all(out.get(..len).unwrap_or_default()).await?)
    }

    async fn receive(&mut self, stream: &mut Stream, until: Option<Millis>) -> Result<(), LinkFailed> {
        let until = until
            .map_or_else(|| Instant::now() + HANDSHAKE_TIME, |at| self.engine.epoch() + Duration::from_millis(at.0));
        self.received.reserve(READ_STEP);
        match timeout_at(until, stream.read_buf(&mut self.received)).await {
            Ok(Ok(0)) => Err(std::io::Error::from(ErrorKind::UnexpectedEof).into()),
            Ok(read) => Ok(read.map(drop)?),
            // The machine says what a deadline means.
            Err(_) => Ok(()),
        }
    }
}

/// How this client proves who it is. Those for whom the program answers send a ticket, as all clients can.
fn auth(engine: &Engine, trusted: bool) -> Auth {
    if trusted { Auth::Ticket } else { engine.auth() }
}

/// What this server can do on a channel of this type.
fn own_caps(kind: ChannelType) -> u32 {
    match kind {
        ChannelType::MAIN => (MainCaps::NAME_AND_UUID
            | MainCaps::AGENT_CONNECTED_TOKENS
            | MainCaps::SEMI_SEAMLESS_MIGRATE
            | MainCaps::SEAMLESS_MIGRATE)
            .bits(),
        ChannelType::DISPLAY => (DisplayCaps::MONITORS_CONFIG
            | DisplayCaps::STREAM_REPORT
            | DisplayCaps::PREF_COMPRESSION
            | DisplayCaps::PREF_VIDEO_CODEC_TYPE)
            .bits(),
        ChannelType::INPUTS => InputsCaps::KEY_SCANCODE.bits(),
        ChannelType::PLAYBACK if opus_is_there() => (PlaybackCaps::VOLUME | PlaybackCaps::OPUS).bits(),
        ChannelType::PLAYBACK => PlaybackCaps::VOLUME.bits(),
        ChannelType::RECORD if opus_is_there() => (RecordCaps::VOLUME | RecordCaps::OPUS).bits(),
        ChannelType::RECORD => RecordCaps::VOLUME.bits(),
        ChannelType::USBREDIR | ChannelType::PORT | ChannelType::WEBDAV => VmcCaps::DATA_COMPRESS_LZ4.bits(),
        _ => 0,
    }
}

pub(super) fn internal(error: impl std::fmt::Display) -> LinkFailed {
    LinkFailed::Internal(error.to_string())
}
