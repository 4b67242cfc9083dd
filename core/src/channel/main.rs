//! The main channel, server role.
//!
//! ```text
//!  Fresh ──INIT──► Announced ──CHANNELS_LIST──► Listed
//!    │                 └─ATTACH_CHANNELS─► event ┘   └─ATTACH_CHANNELS: swallowed once, the list is out
//!
//!  Arriving ──MIGRATE_END─► event ──INIT──► Announced
//!    └─MIGRATE_DATA─► event, the host resumes: Listed
//! ```
//!
//! INIT goes out with CHANNELS_LIST right behind it, which saves clients a round trip; the
//! ATTACH_CHANNELS that a client then sends all the same is not answered a second time.

use super::migrate::MainState;
use super::{Channel, Common, Heard, Negotiated, PeerError, Poll, Refused, Transmit};
use crate::limits;
use crate::proto::caps::MainCaps;
use crate::proto::common;
use crate::proto::main::{ClientMessage, MouseModes, ServerMessage};
use crate::time::Millis;
use crate::wire::EncodeError;

/// The machine.
#[derive(Clone, Debug)]
pub struct MainServer {
    pub(super) common: Common,
    caps: MainCaps,
    stage: Stage,
    mouse_modes: MouseModes,
    agent: Agent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// From another server.
    Arriving,
    Fresh,
    Announced,
    /// `unasked`: the list went out before it was asked for.
    Listed {
        unasked: bool,
    },
}

/// The agent's stream: who may send how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Agent {
    Absent,
    /// Connected; the client has not opened the stream.
    Present {
        from_client: u32,
    },
    /// Open: AGENT_DATA messages each side may still send.
    Open {
        from_client: u32,
        to_client: u32,
    },
}

/// What the client wants from the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MainEvent<'m> {
    /// Something that every channel has.
    Common(Heard<'m>),
    /// The client asks for the list of channels: answer with CHANNELS_LIST.
    AttachChannels,
    /// The client would like this mouse mode, one of the supported ones.
    MouseModeRequested(MouseModes),
    /// The client opened the agent's stream.
    AgentStarted,
    /// A chunk for the agent, at most [`limits::AGENT_CHUNK`] bytes; hand the token back later.
    AgentData(&'m [u8]),
    /// The client may be sent more chunks.
    AgentTokens,
    /// The migration target is connected; `seamless` when it promised to keep all state.
    MigrateConnected {
        /// See above.
        seamless: bool,
    },
    /// The migration target could not be connected.
    MigrateConnectError,
    /// At the target: the client has moved.
    MigrateEnd,
    /// At the target: can the source's migration data of this version be taken?
    MigrateDoSeamless {
        /// The source's version.
        src_version: u32,
    },
}

impl MainServer {
    /// For a client that just linked.
    #[must_use]
    pub const fn new(negotiated: Negotiated) -> Self {
        Self {
            common: Common::new(negotiated),
            caps: MainCaps::from_bits_retain(negotiated.peer_caps),
            stage: Stage::Fresh,
            mouse_modes: MouseModes::empty(),
            agent: Agent::Absent,
        }
    }

    /// For a client that comes from another server and says so with MIGRATE_END or MIGRATE_DATA.
    #[must_use]
    pub const fn arriving(negotiated: Negotiated) -> Self {
        Self { stage: Stage::Arriving, ..Self::new(negotiated) }
    }

    /// The client has come with the other server's state, which had sent `sent` messages. It knows the
    /// channels, and is to be told the mouse mode.
    pub fn resume(&mut self, now: Millis, sent: u64, state: &MainState<'_>) {
        self.common.continue_from(sent);
        self.common.start_pulse(now);
        self.stage = Stage::Listed { unasked: false };
        self.agent = match state.agent {
            0 => Agent::Absent,
            1 => Agent::Present { from_client: state.from_client.min(limits::AGENT_TOKENS) },
            _ => Agent::Open { from_client: state.from_client.min(limits::AGENT_TOKENS), to_client: state.to_client },
        };
    }

    /// What is to be resumed: the agent's stream as [`MainState`] has it, 0 to 2, and the messages that
    /// both sides may still send.
    #[must_use]
    pub const fn agent_state(&self) -> (u8, u32, u32) {
        match self.agent {
            Agent::Absent => (0, 0, 0),
            Agent::Present { from_client } => (1, from_client, 0),
            Agent::Open { from_client, to_client } => (2, from_client, to_client),
        }
    }

    /// The part that all channels share.
    #[must_use]
    pub const fn common(&self) -> &Common {
        &self.common
    }

    /// What the client can do on this channel.
    #[must_use]
    pub const fn caps(&self) -> MainCaps {
        self.caps
    }

    /// AGENT_DATA messages that may be sent to the client now.
    #[must_use]
    pub const fn agent_credit(&self) -> u32 {
        match self.agent {
            Agent::Open { to_client, .. } => to_client,
            Agent::Absent | Agent::Present { .. } => 0,
        }
    }

    fn check(&self, message: &ServerMessage<'_>) -> Result<(), Refused> {
        use ServerMessage as M;
        match message {
            M::Init(_) if !matches!(self.stage, Stage::Fresh | Stage::Arriving) => {
                Err(Refused::Misuse("INIT was sent before"))
            }
            M::ChannelsList(_) if matches!(self.stage, Stage::Fresh | Stage::Arriving) => {
                Err(Refused::Misuse("CHANNELS_LIST before INIT"))
            }
            M::Name(_) | M::Uuid(_) => self.need(MainCaps::NAME_AND_UUID, "NAME_AND_UUID"),
            M::AgentConnectedTokens(_) => self.need(MainCaps::AGENT_CONNECTED_TOKENS, "AGENT_CONNECTED_TOKENS"),
            M::MigrateBegin(_) => self.need(MainCaps::SEMI_SEAMLESS_MIGRATE, "SEMI_SEAMLESS_MIGRATE"),
            M::MigrateBeginSeamless(_) => self.need(MainCaps::SEAMLESS_MIGRATE, "SEAMLESS_MIGRATE"),
            M::AgentData(m) if m.data.0.len() > limits::AGENT_CHUNK => {
                Err(Refused::Misuse("AGENT_DATA above VD_AGENT_MAX_DATA_SIZE"))
            }
            M::AgentData(_) if self.agent_credit() == 0 => Err(Refused::Hold),
            M::AgentToken(_) if self.agent == Agent::Absent => Err(Refused::Misuse("tokens without an agent")),
            _ => Ok(()),
        }
    }

    fn need(&self, cap: MainCaps, name: &'static str) -> Result<(), Refused> {
        if self.caps.contains(cap) { Ok(()) } else { Err(Refused::Unsupported(name)) }
    }

    /// Keeps account of a message that has been framed.
    fn said(&mut self, message: &ServerMessage<'_>) {
        use ServerMessage as M;
        match message {
            M::Init(m) => {
                self.stage = Stage::Announced;
                self.mouse_modes = MouseModes::from_bits_truncate(u16::try_from(m.supported_mouse_modes).unwrap_or(0));
                if m.agent_connected != 0 {
                    self.agent = Agent::Present { from_client: m.agent_tokens };
                }
            }
            M::ChannelsList(_) if self.stage == Stage::Announced => self.stage = Stage::Listed { unasked: true },
            M::MouseMode(m) => self.mouse_modes = m.supported,
            M::AgentConnected(_) => self.agent = Agent::Present { from_client: limits::AGENT_TOKENS },
            M::AgentConnectedTokens(m) => self.agent = Agent::Present { from_client: m.tokens },
            M::AgentDisconnected(_) => self.agent = Agent::Absent,
            M::AgentToken(m) => match &mut self.agent {
                Agent::Absent => {}
                Agent::Present { from_client } | Agent::Open { from_client, .. } => {
                    *from_client = from_client.saturating_add(m.tokens);
                }
            },
            M::AgentData(_) => {
                if let Agent::Open { to_client, .. } = &mut self.agent {
                    *to_client = to_client.saturating_sub(1);
                }
            }
            _ => {}
        }
    }

    fn on_attach(&mut self) -> Option<MainEvent<'static>> {
        match self.stage {
            Stage::Arriving | Stage::Fresh => None,
            Stage::Listed { unasked: true } => {
                self.stage = Stage::Listed { unasked: false };
                None
            }
            Stage::Announced | Stage::Listed { unasked: false } => Some(MainEvent::AttachChannels),
        }
    }

    fn on_mouse_mode(&self, mode: MouseModes) -> Option<MainEvent<'static>> {
        let one = mode == MouseModes::CLIENT || mode == MouseModes::SERVER;
        (one && self.mouse_modes.contains(mode)).then_some(MainEvent::MouseModeRequested(mode))
    }

    fn on_agent_start(&mut self, tokens: u32) -> Option<MainEvent<'static>> {
        match self.agent {
            // Before AGENT_CONNECTED this is early, not wrong.
            Agent::Absent => None,
            Agent::Present { from_client } | Agent::Open { from_client, .. } => {
                self.agent = Agent::Open { from_client, to_client: tokens };
                Some(MainEvent::AgentStarted)
            }
        }
    }

    fn on_agent_data<'m>(&mut self, data: &'m [u8]) -> Result<Option<MainEvent<'m>>, PeerError> {
        let unexpected = |why| PeerError::Unexpected { message: "AGENT_DATA", why };
        if data.is_empty() || data.len() > limits::AGENT_CHUNK {
            return Err(unexpected("a chunk has 1 to 2048 bytes"));
        }
        match &mut self.agent {
            Agent::Absent | Agent::Present { .. } => Ok(None),
            Agent::Open { from_client: 0, .. } => Err(unexpected("no tokens are left")),
            Agent::Open { from_client, .. } => {
                *from_client = from_client.saturating_sub(1);
                Ok(Some(MainEvent::AgentData(data)))
            }
        }
    }

    fn on_agent_tokens(&mut self, tokens: u32) -> Option<MainEvent<'static>> {
        let Agent::Open { to_client, .. } = &mut self.agent else { return None };
        *to_client = to_client.saturating_add(tokens);
        Some(MainEvent::AgentTokens)
    }

    fn heard<'m>(&mut self, now: Millis, message: ClientMessage<'m>) -> Result<Option<MainEvent<'m>>, PeerError> {
        use ClientMessage as M;
        Ok(match message {
            M::Common(m) => self.common.on_message(now, &m)?.map(MainEvent::Common),
            M::ClientInfo(_) | M::QualityIndicator(_) => None,
            M::AttachChannels(_) => self.on_attach(),
            M::MouseModeRequest(m) => self.on_mouse_mode(m.mode),
            M::AgentStart(m) => self.on_agent_start(m.tokens),
            M::ClientAgentData(m) => self.on_agent_data(m.data.0.bytes())?,
            M::ClientAgentToken(m) => self.on_agent_tokens(m.tokens),
            M::MigrateConnected(_) => Some(MainEvent::MigrateConnected { seamless: false }),
            M::MigrateConnectedSeamless(_) => Some(MainEvent::MigrateConnected { seamless: true }),
            M::MigrateConnectError(_) => Some(MainEvent::MigrateConnectError),
            M::ClientMigrateEnd(_) => Some(MainEvent::MigrateEnd),
            M::MigrateDstDoSeamless(m) => Some(MainEvent::MigrateDoSeamless { src_version: m.src_version }),
        })
    }
}

impl Channel for MainServer {
    type Message<'c> = ServerMessage<'c>;
    type Event<'m> = MainEvent<'m>;

    fn max_body(&self) -> usize {
        if self.stage == Stage::Arriving { limits::MIGRATED_MAIN } else { limits::MAIN_BODY }
    }

    fn on_message<'m>(&mut self, now: Millis, id: u16, body: &'m [u8]) -> Result<Option<MainEvent<'m>>, PeerError> {
        match self.common.accept(now, ClientMessage::decode(id, body))? {
            Some(message) => self.heard(now, message),
            None => Ok(None),
        }
    }

    fn send(&mut self, now: Millis, message: &ServerMessage<'_>, out: &mut [u8]) -> Result<Transmit, Refused> {
        self.check(message)?;
        if matches!(message, ServerMessage::Common(common::ServerMessage::SetAck(_))) {
            return Err(Refused::Misuse("windows are opened by the machine"));
        }
        let transmit = self.common.send_any(message.id(), message.size(), out, |w| message.encode(w))?;
        if matches!(message, ServerMessage::Init(_)) {
            self.common.start_pulse(now);
        }
        self.said(message);
        Ok(transmit)
    }

    fn poll(&mut self, now: Millis, out: &mut [u8]) -> Result<Poll, EncodeError> {
        self.common.poll(now, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::main::{AgentConnectedTokens, AgentData, AgentToken, ChannelId, ChannelsList, Init, Name};
    use crate::wire::{Counted, Data, Rest};

    const NOW: Millis = Millis(1_000);

    fn fresh(caps: MainCaps) -> MainServer {
        MainServer::new(Negotiated { mini_header: true, peer_caps: caps.bits() })
    }

    fn init(agent: bool) -> ServerMessage<'static> {
        ServerMessage::Init(Init {
            session_id: 7,
            display_channels_hint: 1,
            supported_mouse_modes: 3,
            current_mouse_mode: 2,
            agent_connected: agent.into(),
            agent_tokens: limits::AGENT_TOKENS,
            multi_media_time: 5,
            ram_hint: 0,
        })
    }

    fn say(main: &mut MainServer, message: &ServerMessage<'_>) -> Result<usize, Refused> {
        main.send(NOW, message, &mut [0; 4096]).map(|t| t.head)
    }

    fn hear<'m>(main: &mut MainServer, id: u16, body: &'m [u8]) -> Result<Option<MainEvent<'m>>, PeerError> {
        main.on_message(NOW, id, body)
    }

    fn list() -> ServerMessage<'static> {
        static CHANNELS: std::sync::OnceLock<[ChannelId; 1]> = std::sync::OnceLock::new();
        ServerMessage::ChannelsList(ChannelsList {
            channels: Counted::new(CHANNELS.get_or_init(|| [ChannelId::new(2, 0)])),
        })
    }

    #[test]
    fn init_once_then_the_list_right_behind() {
        let mut main = fresh(MainCaps::empty());
        assert!(matches!(say(&mut main, &list()), Err(Refused::Misuse(_))));
        let mut out = [0; 64];
        assert_eq!(main.send(NOW, &init(false), &mut out).map(|t| t.head), Ok(38));
        assert_eq!(out[..6], [103, 0, 32, 0, 0, 0]);
        assert!(matches!(say(&mut main, &init(false)), Err(Refused::Misuse(_))));
        assert_eq!(say(&mut main, &list()), Ok(6 + 4 + 2));
        assert_eq!(hear(&mut main, 104, &[]), Ok(None), "the list is out already");
        assert_eq!(hear(&mut main, 104, &[]), Ok(Some(MainEvent::AttachChannels)));
    }

    #[test]
    fn capabilities_gate_name() {
        let name = ServerMessage::Name(Name { name: Counted::new(b"vm\0") });
        assert_eq!(say(&mut fresh(MainCaps::empty()), &name), Err(Refused::Unsupported("NAME_AND_UUID")));
        assert_eq!(say(&mut fresh(MainCaps::NAME_AND_UUID), &name), Ok(6 + 4 + 3));
    }

    #[test]
    fn only_supported_single_mouse_modes_are_heard() {
        let mut main = fresh(MainCaps::empty());
        assert_eq!(hear(&mut main, 105, &[2, 0]), Ok(None), "nothing is supported before INIT");
        say(&mut main, &init(false)).expect("INIT");
        assert_eq!(hear(&mut main, 105, &[2, 0]), Ok(Some(MainEvent::MouseModeRequested(MouseModes::CLIENT))));
        for odd in [[0, 0], [3, 0], [4, 0], [255, 255]] {
            assert_eq!(hear(&mut main, 105, &odd), Ok(None));
        }
    }

    #[test]
    fn agent_tokens_are_spent_and_given_back() {
        let mut main = fresh(MainCaps::AGENT_CONNECTED_TOKENS);
        let data = ServerMessage::AgentData(AgentData { data: Rest(Data::Promised(10)) });
        say(&mut main, &init(false)).expect("INIT");
        assert_eq!(hear(&mut main, 106, &[1, 0, 0, 0]), Ok(None), "early");
        assert_eq!(hear(&mut main, 107, b"x"), Ok(None), "early");
        say(&mut main, &ServerMessage::AgentConnectedTokens(AgentConnectedTokens { tokens: 2 })).expect("connected");
        assert_eq!(say(&mut main, &data), Err(Refused::Hold), "not started");
        assert_eq!(hear(&mut main, 106, &[1, 0, 0, 0]), Ok(Some(MainEvent::AgentStarted)));
        assert_eq!(hear(&mut main, 107, b"x"), Ok(Some(MainEvent::AgentData(b"x"))));
        assert!(hear(&mut main, 107, b"x").is_ok());
        assert!(matches!(hear(&mut main, 107, b"x"), Err(PeerError::Unexpected { .. })), "no tokens left");
        say(&mut main, &ServerMessage::AgentToken(AgentToken { tokens: 1 })).expect("token");
        assert!(hear(&mut main, 107, b"x").is_ok());
        assert!(say(&mut main, &data).is_ok());
        assert_eq!(say(&mut main, &data), Err(Refused::Hold));
        assert_eq!(hear(&mut main, 108, &[255; 4]), Ok(Some(MainEvent::AgentTokens)));
        assert_eq!(hear(&mut main, 108, &[255; 4]), Ok(Some(MainEvent::AgentTokens)), "the sum saturates");
        assert_eq!(main.agent_credit(), u32::MAX);
    }

    #[test]
    fn chunk_sizes_are_checked_at_the_limit() {
        let mut main = fresh(MainCaps::empty());
        say(&mut main, &init(true)).expect("INIT");
        hear(&mut main, 106, &[1, 0, 0, 0]).expect("start");
        assert!(hear(&mut main, 107, &[0; limits::AGENT_CHUNK]).is_ok());
        assert!(hear(&mut main, 107, &[0; limits::AGENT_CHUNK + 1]).is_err());
        assert!(hear(&mut main, 107, &[]).is_err());
    }

    #[test]
    fn unknown_messages_are_counted_and_malformed_ones_end_the_channel() {
        let mut main = fresh(MainCaps::empty());
        assert_eq!(hear(&mut main, 999, b"whatever"), Ok(None));
        assert_eq!(hear(&mut main, 105, &[1, 0, 9, 9]), Ok(None), "trailing bytes");
        assert_eq!(main.common().ignored(), (2, 1));
        assert!(matches!(hear(&mut main, 105, &[1]), Err(PeerError::Decode(_))));
    }

    #[test]
    fn a_refusal_for_lack_of_room_changes_nothing() {
        let mut main = fresh(MainCaps::empty());
        assert!(matches!(main.send(NOW, &init(false), &mut [0; 37]), Err(Refused::Encode(_))));
        assert_eq!(main.common().sent(), 0);
        assert!(say(&mut main, &init(false)).is_ok());
        assert_eq!(main.common().sent(), 1);
    }

    #[test]
    fn the_full_header_carries_the_serial() {
        let mut main = MainServer::new(Negotiated { mini_header: false, peer_caps: 0 });
        let mut out = [0; 64];
        assert_eq!(main.send(NOW, &init(false), &mut out), Ok(Transmit { head: 50, body: 0 }));
        assert_eq!(out[..18], [1, 0, 0, 0, 0, 0, 0, 0, 103, 0, 32, 0, 0, 0, 0, 0, 0, 0]);
    }
}
