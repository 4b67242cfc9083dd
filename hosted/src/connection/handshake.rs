//! From an accepted connection to an open channel: drives core's link machine.

use std::io::ErrorKind;
use std::time::Duration;

use sumac_core::link::{
    Admission, LinkClosed, LinkPoll, Linking, Opened, Question, ServerConfig, ServerLink, Verdict, Wanted,
};
use sumac_core::proto::caps::{DisplayCaps, InputsCaps, MainCaps, PlaybackCaps, RecordCaps, VmcCaps};
use sumac_core::proto::common::ChannelType;
use sumac_core::time::Millis;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout_at};

use crate::auth::{Attempt, Grant, TicketKey};
use crate::config::channel_policy;
use crate::ledger::Refused;
use crate::server::{Engine, Found};
use crate::sound::opus_is_there;
use crate::transport::{HANDSHAKE_TIME, NotEntered, Peer, Stream};

/// Bytes read at once; a whole link is a few hundred.
const READ_STEP: usize = 1024;
/// Room for the largest piece that a server says: the link reply.
const OUT: usize = 512;

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
            // What is not TLS or WebSocket is as invalid as what is not SPICE.
            Self::NotEntered(NotEntered::Io(error)) | Self::Io(error) if error.kind() != ErrorKind::InvalidData => {
                Refused::Broken
            }
            Self::NotEntered(NotEntered::Tls(_)) | Self::Internal(_) => Refused::Internal,
            Self::Closed(_) | Self::NotEntered(_) | Self::Late | Self::Io(_) => Refused::Protocol,
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
    let machine = ServerLink::new(engine.now(), ServerConfig { wait_ms, secure, policy, ..ServerConfig::default() });
    let mut link = Link {
        engine,
        peer,
        trusted,
        machine,
        received: Vec::new(),
        key: None,
        wanted: None,
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

struct Link<'e> {
    engine: &'e Engine,
    peer: &'e Peer,
    trusted: bool,
    machine: ServerLink,
    received: Vec<u8>,
    key: Option<TicketKey>,
    wanted: Option<Wanted>,
    grant: Option<Grant>,
    denied: Option<String>,
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
                    return Err(self.denied.take().map_or(LinkFailed::Closed(closed), LinkFailed::Ticket));
                }
            }
        }
    }

    /// Hands over what was received, if it is enough; `false` when more must be read first.
    async fn hear(&mut self, stream: &mut Stream) -> Result<bool, LinkFailed> {
        let want = self.machine.want();
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
            // Only tickets are configured.
            Some(other) => return Err(LinkFailed::Internal(format!("unexpected question {other:?}"))),
        }
        Ok(true)
    }

    async fn admit(&mut self, stream: &mut Stream, wanted: &Wanted) -> Result<(), LinkFailed> {
        self.wanted = Some(*wanted);
        let mut out = [0; OUT];
        let key = match self.engine.keys.take().await {
            Ok(key) => key,
            Err(error) => {
                tracing::error!(peer = %self.peer, %error, "no ticket key");
                let len = self.machine.admit(&Admission::Fail, &mut out).map_err(internal)?;
                return Ok(stream.write_all(out.get(..len).unwrap_or_default()).await?);
            }
        };
        let admission =
            Admission::Admit { public_key: Some(key.public_key()), channel_caps: own_caps(wanted.channel_type) };
        let len = self.machine.admit(&admission, &mut out).map_err(internal)?;
        self.key = Some(key);
        Ok(stream.write_all(out.get(..len).unwrap_or_default()).await?)
    }

    /// Whether the ticket is right; a wrong one makes its sender's next new session wait.
    async fn check_ticket(&mut self, encrypted: &[u8; 128]) -> Verdict {
        let Some(found) = self.found() else { return self.deny("nothing was asked for".into()) };
        let peer = self.peer.key();
        let session = found.session();
        if self.trusted {
            self.grant = Some(session.map_or_else(Grant::to_program, |session| session.grant.clone()));
            return found.verdict();
        }
        if session.is_none() {
            // Not held across the wait: others are checked meanwhile.
            let attempt = self.engine.rate.borrow_mut().begin(peer, std::time::Instant::now());
            match attempt {
                Attempt::After(Duration::ZERO) => {}
                Attempt::After(wait) => sleep(wait).await,
                Attempt::Deny => return self.deny("too many wrong tickets before".into()),
            }
        }
        let Some(key) = self.key.take() else { return self.deny("no key".into()) };
        let ticket = key.decrypt(encrypted);
        let grant = match session {
            Some(session) => {
                let outcome = session.grant.check(ticket);
                if outcome.is_accepted() { Ok(session.grant.clone()) } else { Err(outcome) }
            }
            None => {
                let spends = matches!(found, Found::Channel(None));
                self.engine.tickets.borrow_mut().check(ticket, spends, std::time::Instant::now())
            }
        };
        match grant {
            Ok(grant) => self.grant = Some(grant),
            Err(outcome) => return self.deny(outcome.to_string()),
        }
        if session.is_none() {
            self.engine.rate.borrow_mut().succeeded(&peer);
        }
        found.verdict()
    }

    /// What the link asks for, as things are now.
    fn found(&self) -> Option<Found> {
        let wanted = self.wanted?;
        Some(self.engine.find(wanted.connection_id, wanted.channel_type, wanted.channel_id))
    }

    fn deny(&mut self, why: String) -> Verdict {
        self.denied = Some(why);
        Verdict::Denied
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

/// What this server can do on a channel of this type.
fn own_caps(kind: ChannelType) -> u32 {
    match kind {
        ChannelType::MAIN => (MainCaps::NAME_AND_UUID | MainCaps::AGENT_CONNECTED_TOKENS).bits(),
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

fn internal(error: impl std::fmt::Display) -> LinkFailed {
    LinkFailed::Internal(error.to_string())
}
