//! The server's side of a link.
//!
//! ```text
//!  Magic ─► Header ─► Message ─► Asked ──admit──┬─► Selection ─┬─► Ticket ─► TicketAsked ──ticket──┐
//!                                               │              └─► Sasl (see sasl.rs) ─────────────┤
//!                                               └─(no AUTH_SELECTION)─► Ticket                     │
//!                                                                                                  ▼
//!  any of them ─► Failing ─(code told)─► Closed                              Open ◄─(result 0)─ Accepted
//! ```
//!
//! Where the reference's habits are bad for clients this machine differs: SASL is
//! not started unless it is offered; a client that cannot select SASL is told so in the one reply
//! it reads, not in a second one; an unknown channel is refused with its code instead of without a
//! word, and only behind the authentication, where nobody can probe for it.

use super::host::{Admission, Auth, Question, SaslStep, ServerConfig, Verdict, Wanted};
use super::sasl::{Sasl, Step};
use super::{LinkClosed, LinkPoll, Linking, OWN_CAPS, Opened, Security};
use crate::channel::{Negotiated, Refused};
use crate::limits;
use crate::proto::caps::{CapWords, CommonCaps};
use crate::proto::common::LinkError;
use crate::proto::link::{
    AuthMechanism, AuthSelection, Caps, LINK_MESSAGE_BYTES, LINK_REPLY_BYTES, LinkHeader, LinkMessage, LinkReply,
    LinkResult, MAGIC, PUB_KEY_BYTES, SaslChallenge, SaslData, SaslMechanisms, SaslOutcome, SaslVerdict, TICKET_BYTES,
    VERSION_MAJOR,
};
use crate::time::Millis;
use crate::wire::{Counted, EncodeError, Field, Message as _, Writer, to_u32, to_usize};

/// The machine.
#[derive(Clone, Debug)]
pub struct ServerLink {
    config: ServerConfig,
    until: Millis,
    state: State,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum State {
    Magic,
    Header,
    Message(Message),
    Asked(Asked),
    Selection(Opened),
    Ticket(Opened),
    TicketAsked(Opened),
    Sasl(Sasl),
    Accepted(Opened),
    Open(Opened),
    Failing(LinkClosed),
    Closed(LinkClosed),
}

/// What a state makes of bytes.
pub(super) type Next<'b> = Result<(State, Option<Question<'b>>), LinkClosed>;

impl ServerLink {
    /// For a connection that was accepted just now.
    #[must_use]
    pub const fn new(now: Millis, config: ServerConfig) -> Self {
        Self { config, until: now.plus(config.wait_ms), state: State::Magic }
    }

    fn next<'b>(&self, bytes: &'b [u8]) -> Next<'b> {
        match self.state {
            State::Magic => on_magic(bytes),
            State::Header => on_header(bytes),
            State::Message(_) => on_message(&self.config, bytes),
            State::Selection(opened) => on_selection(self.config.auth, opened, bytes),
            State::Ticket(opened) => on_ticket(opened, bytes),
            State::Sasl(sasl) => sasl.on_bytes(bytes),
            over => Ok((over, None)),
        }
    }

    /// Answers [`Question::Channel`]; the bytes written into `out` are to be sent.
    ///
    /// # Errors
    /// `Misuse` when that was not asked, `Encode` when `out` is too small; nothing changed.
    pub fn admit(&mut self, admission: &Admission<'_>, out: &mut [u8]) -> Result<usize, Refused> {
        let State::Asked(asked) = self.state else { return Err(NOT_ASKED) };
        let (state, written) = match admission {
            Admission::Admit { public_key, channel_caps } => {
                let caps = self.config.auth.caps().union(OWN_CAPS);
                (asked.admitted(), write_reply(*public_key, caps, *channel_caps, out)?)
            }
            Admission::Fail => (State::Failing(LinkClosed::Internal), 0),
            Admission::Silent => (State::Closed(LinkClosed::Silent), 0),
        };
        self.state = state;
        Ok(written)
    }

    /// Answers [`Question::Ticket`].
    ///
    /// # Errors
    /// `Misuse` when that was not asked.
    pub fn ticket(&mut self, verdict: Verdict) -> Result<(), Refused> {
        let State::TicketAsked(opened) = self.state else { return Err(NOT_ASKED) };
        self.state = verdict.state(opened);
        Ok(())
    }

    /// Answers [`Question::SaslMechanisms`] with names that have a comma in front of the first and
    /// behind each; the bytes written into `out` are to be sent.
    ///
    /// # Errors
    /// `Misuse` when that was not asked, `Encode` when `out` is too small or the list is longer than
    /// [`limits::SASL_MECHANISMS`]; nothing changed.
    pub fn sasl_mechanisms(&mut self, names: &[u8], out: &mut [u8]) -> Result<usize, Refused> {
        let State::Sasl(sasl) = self.state else { return Err(NOT_ASKED) };
        let offered = sasl.answered(Step::MechanismsAsked, Step::NameLength).ok_or(NOT_ASKED)?;
        let mut w = Writer::new(out);
        SaslMechanisms { names: Counted::new(names) }.encode(&mut w)?;
        self.state = State::Sasl(offered);
        Ok(w.position())
    }

    /// Answers [`Question::SaslChoice`].
    ///
    /// # Errors
    /// `Misuse` when that was not asked.
    pub fn sasl_choice(&mut self, known: bool) -> Result<(), Refused> {
        let State::Sasl(sasl) = self.state else { return Err(NOT_ASKED) };
        let chosen = sasl.answered(Step::NameAsked, Step::DataLength).ok_or(NOT_ASKED)?;
        self.state = if known { State::Sasl(chosen) } else { State::Failing(LinkClosed::SaslMechanism) };
        Ok(())
    }

    /// Answers [`Question::SaslResponse`]; the bytes written into `out` are to be sent, in clear.
    ///
    /// # Errors
    /// `Misuse` when that was not asked, `Encode` when `out` is too small or the data is longer than
    /// [`limits::SASL_DATA`]; nothing changed.
    pub fn sasl_step(&mut self, step: &SaslStep<'_>, out: &mut [u8]) -> Result<usize, Refused> {
        let State::Sasl(sasl) = self.state else { return Err(NOT_ASKED) };
        let go_on = sasl.answered(Step::DataAsked, Step::DataLength).ok_or(NOT_ASKED)?;
        let mut w = Writer::new(out);
        let state = match step {
            SaslStep::Continue(data) => {
                SaslChallenge { data: SaslData(*data), complete: 0 }.encode(&mut w)?;
                State::Sasl(go_on)
            }
            SaslStep::Complete { data, verdict } => {
                SaslChallenge { data: SaslData(*data), complete: 1 }.encode(&mut w)?;
                let denied = *verdict == Verdict::Denied;
                let outcome =
                    if denied { SaslVerdict::Rejected(Counted::new(REJECTED)) } else { SaslVerdict::Accepted };
                SaslOutcome { verdict: outcome }.encode(&mut w)?;
                // A rejection is SASL's own last word; no link result follows it.
                if denied { State::Closed(LinkClosed::Denied) } else { verdict.state(go_on.opened) }
            }
        };
        self.state = state;
        Ok(w.position())
    }
}

impl Linking for ServerLink {
    type Question<'b> = Question<'b>;

    fn want(&self) -> usize {
        match self.state {
            State::Magic => MAGIC_BYTES,
            State::Header => LINK_HEADER_BYTES.saturating_sub(MAGIC_BYTES),
            State::Message(m) => m.size,
            State::Selection(_) => SELECTION_BYTES,
            State::Ticket(_) => TICKET_BYTES,
            State::Sasl(sasl) => sasl.want(),
            State::Asked(_) | State::TicketAsked(_) => 0,
            State::Accepted(_) | State::Open(_) | State::Failing(_) | State::Closed(_) => 0,
        }
    }

    fn on_bytes<'b>(&mut self, now: Millis, bytes: &'b [u8]) -> Option<Question<'b>> {
        let want = self.want();
        if want == 0 {
            return None;
        }
        let next = if bytes.len() != want {
            Err(LinkClosed::Driver { want, got: bytes.len() })
        } else if now >= self.until {
            Err(LinkClosed::Deadline)
        } else {
            self.next(bytes)
        };
        let (state, question) = next.unwrap_or_else(|closed| (State::Failing(closed), None));
        self.state = state;
        question
    }

    fn poll(&mut self, now: Millis, out: &mut [u8]) -> Result<LinkPoll, EncodeError> {
        match self.state {
            State::Open(opened) => Ok(LinkPoll::Open(opened)),
            State::Closed(closed) => Ok(LinkPoll::Closed(closed)),
            State::Accepted(opened) => {
                let written = write_result(LinkError::OK, out)?;
                self.state = State::Open(opened);
                Ok(LinkPoll::Transmit(written))
            }
            State::Failing(closed) => {
                let told = closed.code().map(|code| write_refusal(code, out)).transpose()?;
                self.state = State::Closed(closed);
                Ok(told.map_or(LinkPoll::Closed(closed), LinkPoll::Transmit))
            }
            _ if now >= self.until => {
                self.state = State::Closed(LinkClosed::Deadline);
                Ok(LinkPoll::Closed(LinkClosed::Deadline))
            }
            _ => Ok(LinkPoll::Wait(Some(self.until))),
        }
    }
}

/// The header's length is known from the second read on; the first four bytes tell SPICE from others.
const MAGIC_BYTES: usize = 4;
const LINK_HEADER_BYTES: usize = LinkHeader::MIN;
const SELECTION_BYTES: usize = AuthSelection::MIN;
const NOT_ASKED: Refused = Refused::Misuse("the link did not ask that");
const REJECTED: &[u8] = b"Authentication failed\0";

/// Bytes behind the header are on their way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message {
    size: usize,
}

/// The host is asked for the channel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    opened: Opened,
    /// The client says which mechanism it uses.
    selects: bool,
}

impl Asked {
    const fn admitted(self) -> State {
        if self.selects { State::Selection(self.opened) } else { State::Ticket(self.opened) }
    }
}

impl Auth {
    const fn caps(self) -> CommonCaps {
        match self {
            Self::Ticket => CommonCaps::AUTH_SPICE,
            Self::Sasl => CommonCaps::AUTH_SASL,
            Self::TicketOrSasl => CommonCaps::AUTH_SPICE.union(CommonCaps::AUTH_SASL),
        }
    }
}

impl Verdict {
    const fn state(self, opened: Opened) -> State {
        match self {
            Self::Accepted => State::Accepted(opened),
            Self::Denied => State::Failing(LinkClosed::Denied),
            Self::BadConnectionId => State::Failing(LinkClosed::BadConnectionId),
            Self::NotAvailable => State::Failing(LinkClosed::NotAvailable),
        }
    }
}

fn on_magic<'b>(bytes: &[u8]) -> Next<'b> {
    let magic = bytes.first_chunk().copied().unwrap_or_default();
    if u32::from_le_bytes(magic) == MAGIC { Ok((State::Header, None)) } else { Err(LinkClosed::Magic(magic)) }
}

fn on_header<'b>(bytes: &[u8]) -> Next<'b> {
    let mut whole = [0; LINK_HEADER_BYTES];
    let mut w = Writer::new(&mut whole);
    // Both fit: on_bytes checked the length.
    let _ = MAGIC.write(&mut w).and_then(|()| w.put(bytes));
    let (LinkHeader { major, minor, size, .. }, _) = LinkHeader::decode(&whole)?;
    if major != VERSION_MAJOR {
        return Err(LinkClosed::Version { major, minor });
    }
    let (min, max) = (LINK_MESSAGE_BYTES, limits::LINK_BODY);
    if !(min..=max).contains(&to_usize(size)) {
        return Err(LinkClosed::Size { what: "link message", size, min, max });
    }
    Ok((State::Message(Message { size: to_usize(size) }), None))
}

fn on_message<'b>(config: &ServerConfig, bytes: &[u8]) -> Next<'b> {
    let (LinkMessage { connection_id, channel_type, channel_id, caps }, _) = LinkMessage::decode(bytes)?;
    match config.policy.of(channel_type) {
        Security::Secured if !config.secure => return Err(LinkClosed::NeedSecured(channel_type)),
        Security::Unsecured if config.secure => return Err(LinkClosed::NeedUnsecured(channel_type)),
        Security::Any | Security::Secured | Security::Unsecured => {}
    }
    let (common_caps, channel_caps) = (caps.common_flags(), caps.channel.first());
    let selects = common_caps.contains(CommonCaps::AUTH_SELECTION);
    if !selects && config.auth == Auth::Sasl {
        return Err(LinkClosed::NoSelection);
    }
    let mini_header = common_caps.contains(CommonCaps::MINI_HEADER);
    let negotiated = Negotiated { mini_header, peer_caps: channel_caps };
    let opened = Opened { negotiated, connection_id, channel_type, channel_id };
    let wanted = Wanted { connection_id, channel_type, channel_id, common_caps, channel_caps };
    Ok((State::Asked(Asked { opened, selects }), Some(Question::Channel(wanted))))
}

fn on_selection<'b>(auth: Auth, opened: Opened, bytes: &[u8]) -> Next<'b> {
    let (AuthSelection { mechanism }, _) = AuthSelection::decode(bytes)?;
    match mechanism {
        AuthMechanism::SPICE if auth != Auth::Sasl => Ok((State::Ticket(opened), None)),
        AuthMechanism::SASL if auth != Auth::Ticket => {
            Ok((State::Sasl(Sasl::new(opened)), Some(Question::SaslMechanisms)))
        }
        other => Err(LinkClosed::Mechanism(other)),
    }
}

fn on_ticket(opened: Opened, bytes: &[u8]) -> Next<'_> {
    Ok((State::TicketAsked(opened), bytes.first_chunk().map(Question::Ticket)))
}

fn write_reply(
    key: Option<&[u8; PUB_KEY_BYTES]>,
    common: CommonCaps,
    channel: u32,
    out: &mut [u8],
) -> Result<usize, EncodeError> {
    let (common, channel) = ([common.bits().into()], [channel.into()]);
    let channel = if channel == [0] { CapWords::default() } else { CapWords(&channel) };
    let reply = LinkReply {
        error: LinkError::OK,
        pub_key: key.copied().unwrap_or([0; PUB_KEY_BYTES]),
        caps: Caps { common: CapWords(&common), channel },
    };
    super::write_with_header(&reply, out)
}

/// Codes up to NEED_UNSECURED travel in a reply with nothing else in it, the others as a bare result.
fn write_refusal(code: LinkError, out: &mut [u8]) -> Result<usize, EncodeError> {
    if code > LinkError::NEED_UNSECURED {
        return write_result(code, out);
    }
    let mut w = Writer::new(out);
    LinkHeader::new(to_u32(LINK_REPLY_BYTES)).encode(&mut w)?;
    code.write(&mut w)?;
    w.put(&[0; LINK_REPLY_BYTES - LinkError::MIN])?;
    Ok(w.position())
}

fn write_result(error: LinkError, out: &mut [u8]) -> Result<usize, EncodeError> {
    let mut w = Writer::new(out);
    LinkResult { error }.encode(&mut w)?;
    Ok(w.position())
}
