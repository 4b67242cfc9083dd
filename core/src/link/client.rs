//! The client's side of a link: for tests, fuzzers, proxies and tools.
//!
//! ```text
//!  Hello ─► Magic ─► Header ─► Reply ─► ReplyAsked ─┬─ticket─► Result ─► Open
//!             ▲                                     └─sasl─► MechanismsLength ─► Mechanisms ─► ChoiceAsked
//!             │                                                                                   │
//!   a refusal, where a result                        ┌──────────────respond──────────────┐        │
//!   or a length was expected                         ▼                                   │        │
//!                                    ChallengeLength(◄──────────────choose───────────────┼────────┘)
//!                                                    └─► Challenge ─► ChallengeAsked ────┘
//!                                                            └(complete)─► Outcome ─► Result
//!                                                                             └─► ReasonLength ─► Reason
//! ```

use super::sasl::length;
use super::{LinkClosed, LinkPoll, Linking, OWN_CAPS, Opened};
use crate::channel::{Negotiated, Refused};
use crate::limits;
use crate::proto::caps::{CapWords, CommonCaps};
use crate::proto::common::{ChannelType, LinkError};
use crate::proto::link::{
    AuthMechanism, AuthSelection, Caps, LINK_REPLY_BYTES, LinkHeader, LinkMessage, LinkReply, LinkResult, MAGIC,
    PUB_KEY_BYTES, SaslChoice, SaslData, SaslResponse, TICKET_BYTES, Ticket, VERSION_MAJOR,
};
use crate::time::Millis;
use crate::wire::{Counted, DecodeError, DecodeErrorKind, EncodeError, Field, Message as _, Reader, Writer, to_usize};

/// What is linked, and as whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// 0 for a new session's main channel, otherwise the session's id.
    pub connection_id: u32,
    /// What the channel is for.
    pub channel_type: ChannelType,
    /// Instance within the type.
    pub channel_id: u8,
    /// What the client can do on every channel.
    pub common_caps: CommonCaps,
    /// First word of what it can do on this one.
    pub channel_caps: u32,
    /// Milliseconds from connecting to an open channel.
    pub wait_ms: u64,
}

impl ClientConfig {
    /// For a channel, with tickets and mini headers.
    #[must_use]
    pub const fn new(connection_id: u32, channel_type: ChannelType, channel_id: u8, channel_caps: u32) -> Self {
        Self {
            connection_id,
            channel_type,
            channel_id,
            common_caps: OWN_CAPS.union(CommonCaps::AUTH_SPICE),
            channel_caps,
            wait_ms: limits::LINK_WAIT_MS,
        }
    }
}

/// What the host is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientQuestion<'b> {
    /// How to prove who we are: [`ClientLink::ticket`] or [`ClientLink::sasl`].
    Reply {
        /// The key to encrypt a ticket with.
        public_key: [u8; PUB_KEY_BYTES],
        /// What the server can do on every channel.
        common_caps: CommonCaps,
        /// First word of what it can do on this one.
        channel_caps: u32,
    },
    /// Which of these, with commas around each? Answer with [`ClientLink::sasl_choose`].
    SaslMechanisms(&'b [u8]),
    /// The server's part of the mechanism, its NUL taken off. When `complete` nothing is to be
    /// answered, otherwise [`ClientLink::sasl_respond`].
    SaslChallenge {
        /// See above.
        data: Option<&'b [u8]>,
        /// The server has nothing more to say.
        complete: bool,
    },
}

/// The machine.
#[derive(Clone, Debug)]
pub struct ClientLink {
    config: ClientConfig,
    until: Millis,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Hello,
    Magic,
    Header,
    Reply(usize),
    ReplyAsked(Replied),
    Sasl(Opened, Step),
    Result(Opened),
    Open(Opened),
    Closed(LinkClosed),
}

/// The server said OK.
#[derive(Clone, Copy, Debug)]
struct Replied {
    opened: Opened,
    /// The server wants to be told the mechanism.
    selects: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    MechanismsLength,
    Mechanisms(usize),
    ChoiceAsked,
    ChallengeLength,
    Challenge(usize),
    ChallengeAsked,
    Outcome,
    ReasonLength,
    Reason(usize),
}

type Next<'b> = Result<(State, Option<ClientQuestion<'b>>), LinkClosed>;

const NOT_ASKED: Refused = Refused::Misuse("the link did not ask that");
const WORD: usize = 4;

impl ClientLink {
    /// For a connection that was made just now.
    #[must_use]
    pub const fn new(now: Millis, config: ClientConfig) -> Self {
        Self { config, until: now.plus(config.wait_ms), state: State::Hello }
    }

    fn next<'b>(&self, bytes: &'b [u8]) -> Next<'b> {
        match self.state {
            State::Magic if is_magic(bytes) => Ok((State::Header, None)),
            State::Magic => Err(LinkClosed::Magic(bytes.first_chunk().copied().unwrap_or_default())),
            State::Header => on_header(bytes),
            State::Reply(_) => on_reply(&self.config, bytes),
            // A refusal comes with a header and a reply of its own.
            State::Result(_) if is_magic(bytes) => Ok((State::Header, None)),
            State::Sasl(_, Step::MechanismsLength | Step::ChallengeLength) if is_magic(bytes) => {
                Ok((State::Header, None))
            }
            State::Result(opened) => match LinkResult::decode(bytes)?.0.error {
                LinkError::OK => Ok((State::Open(opened), None)),
                code => Err(LinkClosed::Refused(code)),
            },
            State::Sasl(opened, step) => on_sasl(opened, step, bytes),
            over => Ok((over, None)),
        }
    }

    /// Answers [`ClientQuestion::Reply`] with an encrypted ticket; the bytes written into `out` are
    /// to be sent.
    ///
    /// # Errors
    /// `Misuse` when that was not asked, `Encode` when `out` is too small; nothing changed.
    pub fn ticket(&mut self, encrypted: &[u8; TICKET_BYTES], out: &mut [u8]) -> Result<usize, Refused> {
        let State::ReplyAsked(replied) = self.state else { return Err(NOT_ASKED) };
        let mut w = Writer::new(out);
        if replied.selects {
            AuthSelection { mechanism: AuthMechanism::SPICE }.encode(&mut w)?;
        }
        Ticket { encrypted: *encrypted }.encode(&mut w)?;
        self.state = State::Result(replied.opened);
        Ok(w.position())
    }

    /// Answers [`ClientQuestion::Reply`] with SASL; the bytes written into `out` are to be sent.
    ///
    /// # Errors
    /// `Misuse` when that was not asked or cannot be selected, `Encode` when `out` is too small;
    /// nothing changed.
    pub fn sasl(&mut self, out: &mut [u8]) -> Result<usize, Refused> {
        let State::ReplyAsked(Replied { opened, selects: true }) = self.state else { return Err(NOT_ASKED) };
        let mut w = Writer::new(out);
        AuthSelection { mechanism: AuthMechanism::SASL }.encode(&mut w)?;
        self.state = State::Sasl(opened, Step::MechanismsLength);
        Ok(w.position())
    }

    /// Answers [`ClientQuestion::SaslMechanisms`]; the bytes written into `out` are to be sent.
    ///
    /// # Errors
    /// `Misuse` when that was not asked, `Encode` when `out` is too small; nothing changed.
    pub fn sasl_choose(&mut self, name: &[u8], initial: Option<&[u8]>, out: &mut [u8]) -> Result<usize, Refused> {
        let State::Sasl(opened, Step::ChoiceAsked) = self.state else { return Err(NOT_ASKED) };
        let mut w = Writer::new(out);
        SaslChoice { name: Counted::new(name) }.encode(&mut w)?;
        SaslResponse { data: SaslData(initial) }.encode(&mut w)?;
        self.state = State::Sasl(opened, Step::ChallengeLength);
        Ok(w.position())
    }

    /// Answers [`ClientQuestion::SaslChallenge`]; the bytes written into `out` are to be sent.
    ///
    /// # Errors
    /// `Misuse` when that was not asked, `Encode` when `out` is too small; nothing changed.
    pub fn sasl_respond(&mut self, data: Option<&[u8]>, out: &mut [u8]) -> Result<usize, Refused> {
        let State::Sasl(opened, Step::ChallengeAsked) = self.state else { return Err(NOT_ASKED) };
        let mut w = Writer::new(out);
        SaslResponse { data: SaslData(data) }.encode(&mut w)?;
        self.state = State::Sasl(opened, Step::ChallengeLength);
        Ok(w.position())
    }
}

impl Linking for ClientLink {
    type Question<'b> = ClientQuestion<'b>;

    fn want(&self) -> usize {
        match self.state {
            State::Magic | State::Result(_) => WORD,
            State::Header => LinkHeader::MIN.saturating_sub(WORD),
            State::Reply(n) => n,
            State::Sasl(_, step) => step.want(),
            State::Hello | State::ReplyAsked(_) | State::Open(_) | State::Closed(_) => 0,
        }
    }

    fn on_bytes<'b>(&mut self, now: Millis, bytes: &'b [u8]) -> Option<ClientQuestion<'b>> {
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
        let (state, question) = next.unwrap_or_else(|closed| (State::Closed(closed), None));
        self.state = state;
        question
    }

    fn poll(&mut self, now: Millis, out: &mut [u8]) -> Result<LinkPoll, EncodeError> {
        match self.state {
            State::Open(opened) => Ok(LinkPoll::Open(opened)),
            State::Closed(closed) => Ok(LinkPoll::Closed(closed)),
            _ if now >= self.until => {
                self.state = State::Closed(LinkClosed::Deadline);
                Ok(LinkPoll::Closed(LinkClosed::Deadline))
            }
            State::Hello => {
                let written = write_hello(&self.config, out)?;
                self.state = State::Magic;
                Ok(LinkPoll::Transmit(written))
            }
            _ => Ok(LinkPoll::Wait(Some(self.until))),
        }
    }
}

impl Step {
    const fn want(self) -> usize {
        match self {
            Self::MechanismsLength | Self::ChallengeLength | Self::Outcome | Self::ReasonLength => WORD,
            Self::Mechanisms(n) | Self::Reason(n) => n,
            // The byte that says whether it is complete stands behind.
            Self::Challenge(n) => n.saturating_add(1),
            Self::ChoiceAsked | Self::ChallengeAsked => 0,
        }
    }
}

fn is_magic(bytes: &[u8]) -> bool {
    bytes == MAGIC.to_le_bytes()
}

fn on_header<'b>(bytes: &[u8]) -> Next<'b> {
    let r = &mut Reader::new(bytes);
    let (major, minor, size) = (u32::read(r)?, u32::read(r)?, u32::read(r)?);
    if major != VERSION_MAJOR {
        return Err(LinkClosed::Version { major, minor });
    }
    let (min, max) = (LINK_REPLY_BYTES, limits::LINK_BODY);
    if !(min..=max).contains(&to_usize(size)) {
        return Err(LinkClosed::Size { what: "link reply", size, min, max });
    }
    Ok((State::Reply(to_usize(size)), None))
}

fn on_reply<'b>(config: &ClientConfig, bytes: &[u8]) -> Next<'b> {
    let (LinkReply { error, pub_key, caps }, _) = LinkReply::decode(bytes)?;
    if error != LinkError::OK {
        return Err(LinkClosed::Refused(error));
    }
    let common_caps = caps.common_flags();
    let both = config.common_caps.intersection(common_caps);
    let peer_caps = caps.channel.first();
    let opened = Opened {
        negotiated: Negotiated { mini_header: both.contains(CommonCaps::MINI_HEADER), peer_caps },
        connection_id: config.connection_id,
        channel_type: config.channel_type,
        channel_id: config.channel_id,
    };
    let replied = Replied { opened, selects: both.contains(CommonCaps::AUTH_SELECTION) };
    let question = ClientQuestion::Reply { public_key: pub_key, common_caps, channel_caps: peer_caps };
    Ok((State::ReplyAsked(replied), Some(question)))
}

fn on_sasl(opened: Opened, step: Step, bytes: &[u8]) -> Next<'_> {
    let to = |step, question| Ok((State::Sasl(opened, step), question));
    match step {
        Step::MechanismsLength => {
            to(Step::Mechanisms(length(bytes, "SASL mechanism list", 1, limits::SASL_MECHANISMS)?), None)
        }
        Step::Mechanisms(_) => to(Step::ChoiceAsked, Some(ClientQuestion::SaslMechanisms(bytes))),
        Step::ChallengeLength => to(Step::Challenge(length(bytes, "SASL challenge", 0, limits::SASL_DATA)?), None),
        Step::Challenge(_) => {
            let (complete, data) = bytes.split_last().map_or((false, bytes), |(&last, data)| (last != 0, data));
            let data = data.split_last().map(|(_, data)| data);
            let next = if complete { Step::Outcome } else { Step::ChallengeAsked };
            to(next, Some(ClientQuestion::SaslChallenge { data, complete }))
        }
        Step::Outcome => match u32::read(&mut Reader::new(bytes))? {
            0 => Ok((State::Result(opened), None)),
            1 => to(Step::ReasonLength, None),
            value => Err(DecodeError::new(DecodeErrorKind::Value { value }).at("SaslOutcome.verdict").into()),
        },
        Step::ReasonLength => to(Step::Reason(length(bytes, "SASL reason", 1, limits::SASL_REASON)?), None),
        Step::Reason(_) => Err(LinkClosed::Denied),
        Step::ChoiceAsked | Step::ChallengeAsked => to(step, None),
    }
}

fn write_hello(config: &ClientConfig, out: &mut [u8]) -> Result<usize, EncodeError> {
    let (common, channel) = ([config.common_caps.bits().into()], [config.channel_caps.into()]);
    let message = LinkMessage {
        connection_id: config.connection_id,
        channel_type: config.channel_type,
        channel_id: config.channel_id,
        caps: Caps { common: CapWords(&common), channel: CapWords(&channel) },
    };
    super::write_with_header(&message, out)
}
