//! The main channel: session, mouse mode, name, and the wishes that travel as agent messages.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use sumac_core::channel::main::{MainEvent, MainServer};
use sumac_core::channel::migrate::{self, MainState};
use sumac_core::channel::{Heard, PeerError, Refused};
use sumac_core::limits::AGENT_TOKENS;
use sumac_core::proto::caps::MainCaps;
use sumac_core::proto::common::{self, ChannelType, LinkError, Notify as Notice, NotifyText, Severity, Visibility};
use sumac_core::proto::main::{
    AgentConnected, AgentConnectedTokens, AgentData, AgentDisconnected, AgentToken, ChannelId, ChannelsList, Init,
    MigrateBegin, MigrateBeginSeamless, MigrateCancel, MigrateDstSeamlessAck, MigrateDstSeamlessNack, MigrateEnd,
    MigrateSwitchHost, MouseMode, MouseModes, MultiMediaTime, Name, ServerMessage, Uuid,
};
use sumac_core::wire::{Counted, Data, Rest};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::agent::{Agent, Guest};
use super::{ChannelName, Session, state_of};
use crate::connection::{Close, Handler, Line};
use crate::migration::{Arrival, Order, Seamless, Standing, Wire, takes};
use crate::server::Engine;
use crate::source::Identity;

/// The handler.
pub(super) struct Main {
    engine: Rc<Engine>,
    session: Rc<Session>,
    /// None for a viewer that may only look.
    agent: Option<Agent>,
    /// The channels that the client has been told of.
    told: Vec<ChannelName>,
    /// Whether it was told that positions are taken.
    absolute: bool,
    /// Who it was told that the desktop is.
    identity: Identity,
    /// The guest's agent waits for this client, which comes with half of what they say.
    holds_agent: bool,
}

/// How often the time is told where it matters: clocks that differ by 100 ppm are 1 ms apart then.
pub(super) const TIME_EVERY: Duration = Duration::from_secs(10);
/// When to look again whether nothing is on the way that would delay the time.
const TIME_AGAIN: Duration = Duration::from_secs(1);

/// The kinds of agents' streams that a client comes with: another than the one here begins anew.
const NO_AGENT: u8 = 0;
const STAND_IN: u8 = 1;
const RELAYED: u8 = 2;

/// Unsent bytes up to which the agent says more.
const AGENT_AHEAD: usize = 64 * 1024;

impl Main {
    pub(super) fn new(engine: Rc<Engine>, session: Rc<Session>, bell: Rc<Notify>) -> Self {
        let agent = (!session.grant.view_only).then(|| Agent::new(guest(&engine), bell));
        let (told, identity) = (Vec::new(), Identity::default());
        Self { engine, session, agent, told, absolute: true, identity, holds_agent: false }
    }

    /// Names the channels that are there and not in `told`: a client makes each that it reads.
    fn send_channels(&mut self, line: &mut Line<MainServer>) -> Result<(), Close> {
        let mut channels = self.engine.channels();
        channels.retain(|(kind, _)| self.session.may_link(*kind));
        self.told.retain(|channel| channels.contains(channel));
        // A device that another viewer has is named once it is free.
        let is_new = |channel: &ChannelName| {
            !self.told.contains(channel) && !self.engine.devices().is_taken(*channel, self.session.id)
        };
        let new: Vec<_> = channels.into_iter().filter(is_new).collect();
        if new.is_empty() {
            return Ok(());
        }
        self.told.extend(&new);
        let new: Vec<_> = new.iter().map(|(kind, id)| ChannelId::new(kind.0, *id)).collect();
        send(line, &ServerMessage::ChannelsList(ChannelsList { channels: Counted::new(&new) }))
    }

    fn on_agent_data(&mut self, line: &mut Line<MainServer>, chunk: &[u8]) -> Result<(), Close> {
        let Some(agent) = &mut self.agent else { return Ok(()) };
        let monitors = agent.on_chunk(guest(&self.engine), chunk)?;
        monitors.iter().for_each(|&(display, monitor)| self.engine.resize(display, monitor));
        self.send_agent(line)
    }

    /// Sends what the client has tokens for; content goes as the client reads.
    fn send_agent(&mut self, line: &mut Line<MainServer>) -> Result<(), Close> {
        let Some(agent) = self.agent.as_mut().filter(|_| !line.is_leaving()) else { return Ok(()) };
        if let Some(tokens) = agent.tokens() {
            send(line, &ServerMessage::AgentToken(AgentToken { tokens }))?;
        }
        while line.machine.agent_credit() > 0
            && line.unsent() <= AGENT_AHEAD
            && let Some(chunk) = agent.next_chunk(guest(&self.engine))
        {
            let data = Rest(Data::Promised(chunk.iter().map(Bytes::len).sum()));
            line.send(&ServerMessage::AgentData(AgentData { data }), &chunk).map_err(Close::Refused)?;
        }
        Ok(())
    }

    /// Another agent than before: the client opens its stream anew.
    fn send_other_agent(line: &mut Line<MainServer>) -> Result<(), Close> {
        send(line, &ServerMessage::AgentDisconnected(AgentDisconnected { reason: LinkError::OK }))?;
        if line.machine.caps().contains(MainCaps::AGENT_CONNECTED_TOKENS) {
            send(line, &ServerMessage::AgentConnectedTokens(AgentConnectedTokens { tokens: AGENT_TOKENS }))
        } else {
            send(line, &ServerMessage::AgentConnected(AgentConnected {}))
        }
    }

    fn send_identity(&mut self, line: &mut Line<MainServer>) -> Result<(), Close> {
        if !line.machine.caps().contains(MainCaps::NAME_AND_UUID) {
            return Ok(());
        }
        self.identity = self.engine.displays().identity();
        let mut name = self.identity.name.clone().unwrap_or_default().as_str().as_bytes().to_vec();
        name.push(0);
        send(line, &ServerMessage::Name(Name { name: Counted::new(&name) }))?;
        match self.identity.uuid {
            Some(uuid) => send(line, &ServerMessage::Uuid(Uuid { uuid: uuid.0 })),
            None => Ok(()),
        }
    }

    /// Tells the user something, in the words of libspice-server.
    fn send_notice(&self, line: &mut Line<MainServer>, text: &[u8]) -> Result<(), Close> {
        let notice = Notice {
            time_stamp: line.now().0.saturating_mul(1_000_000),
            severity: Severity::WARN,
            visibility: Visibility::HIGH,
            what: 0,
            message: NotifyText(text),
        };
        send(line, &ServerMessage::Common(common::ServerMessage::Notify(notice)))
    }

    /// Tells the time if it is due, and nothing is on the way that it would have to wait for.
    fn tell_time(&self, line: &mut Line<MainServer>) -> Result<(), Close> {
        let (now, due) = (Instant::now(), self.session.tell_time.get());
        if due.is_none_or(|due| due > now) {
            return Ok(());
        }
        if line.unsent() > 0 || line.link().in_flight > 0 {
            self.session.tell_time.set(Some(now + TIME_AGAIN));
            return Ok(());
        }
        self.session.tell_time.set(None);
        if self.session.hears.get() {
            return Ok(());
        }
        let time = line.now().mm_time();
        send(line, &ServerMessage::MultiMediaTime(MultiMediaTime { time }))
    }

    /// The mode that a viewer is put into when it comes and when the source's mouse is another one.
    fn take_mouse(&mut self) {
        self.absolute = self.engine.displays().absolute();
        self.set_mode(if self.absolute { MouseModes::CLIENT } else { MouseModes::SERVER });
    }

    fn set_mode(&self, mode: MouseModes) {
        self.session.mouse_mode.set(mode);
        // The cursor channel sends the pointer's place in server mode only.
        self.session.ring();
    }

    /// Motion can be made positions, but not the other way round.
    fn mouse_modes(&self) -> MouseModes {
        if self.absolute { MouseModes::CLIENT | MouseModes::SERVER } else { MouseModes::SERVER }
    }

    fn send_mode(&self, line: &mut Line<MainServer>) -> Result<(), Close> {
        let mode = MouseMode { supported: self.mouse_modes(), current: self.session.mouse_mode.get() };
        send(line, &ServerMessage::MouseMode(mode))
    }
}

/// To and from other servers.
impl Main {
    /// Does what the migration wants.
    fn follow_orders(&mut self, line: &mut Line<MainServer>) -> Result<(), Close> {
        while let Some(order) = self.session.moves.take_order() {
            match order {
                Order::Begin(wire, Seamless(seamless)) => self.begin_migration(line, &wire, seamless)?,
                Order::Cancel if line.machine.caps().contains(MainCaps::SEMI_SEAMLESS_MIGRATE) => {
                    send(line, &ServerMessage::MigrateCancel(MigrateCancel {}))?;
                }
                Order::Cancel => {}
                Order::End => send(line, &ServerMessage::MigrateEnd(MigrateEnd {}))?,
                Order::SwitchHost(wire) => {
                    let destination = wire.destination();
                    send(line, &ServerMessage::MigrateSwitchHost(MigrateSwitchHost { destination }))?;
                }
            }
        }
        Ok(())
    }

    fn begin_migration(&self, line: &mut Line<MainServer>, wire: &Wire, seamless: bool) -> Result<(), Close> {
        let (caps, destination) = (line.machine.caps(), wire.destination());
        // A client that is told of the agent without tokens would not know how many it has there.
        if seamless && caps.contains(MainCaps::SEAMLESS_MIGRATE | MainCaps::AGENT_CONNECTED_TOKENS) {
            let begin = MigrateBeginSeamless { destination, src_version: migrate::VERSION };
            return send(line, &ServerMessage::MigrateBeginSeamless(begin));
        }
        if caps.contains(MainCaps::SEMI_SEAMLESS_MIGRATE) {
            return send(line, &ServerMessage::MigrateBegin(MigrateBegin { destination }));
        }
        tracing::info!(
            session = self.session.id,
            "the client cannot connect to two servers: it will be told to switch"
        );
        self.stand(Standing::Failed);
        Ok(())
    }

    fn stand(&self, standing: Standing) {
        self.session.moves.stand(standing);
        self.engine.migration().ring();
    }

    /// What the client says of a migration; it means nothing where it does not fit.
    fn on_migration(&mut self, line: &mut Line<MainServer>, event: &MainEvent<'_>) -> Result<(), Close> {
        let moves = &self.session.moves;
        match (event, moves.standing(), moves.arrival()) {
            (MainEvent::MigrateConnected { seamless }, Standing::Asked, _) => {
                self.stand(Standing::Connected(Seamless(*seamless)));
            }
            (MainEvent::MigrateConnectError, Standing::Asked, _) => {
                tracing::info!(session = self.session.id, "the viewer could not connect to the target");
                self.stand(Standing::Failed);
            }
            (MainEvent::MigrateDoSeamless { src_version }, _, Arrival::Parked) => {
                if !takes(*src_version) {
                    tracing::info!(src_version, "the state of a viewer's other server is in another form");
                    return send(line, &ServerMessage::MigrateDstSeamlessNack(MigrateDstSeamlessNack {}));
                }
                moves.arrive(Arrival::Seamless);
                // What it says until the client is here is for the client.
                self.holds_agent = true;
                self.engine.relay().hold();
                send(line, &ServerMessage::MigrateDstSeamlessAck(MigrateDstSeamlessAck {}))?;
            }
            (MainEvent::MigrateEnd, _, Arrival::Parked) => {
                self.session.arrive();
                // The client goes on with the channels that it has.
                self.told = self.engine.channels();
                self.greet(line)?;
                self.send_identity(line)?;
            }
            (MainEvent::Common(Heard::MigrateData(data)), _, Arrival::Seamless) => self.resume(line, data)?,
            _ => tracing::debug!(?event, "a client's word on a migration, out of place"),
        }
        Ok(())
    }

    /// The client has come with its state.
    fn resume(&mut self, line: &mut Line<MainServer>, data: &[u8]) -> Result<(), Close> {
        let (sent, state) = migrate::read::<MainState<'_>>(ChannelType::MAIN, data).map_err(PeerError::from)?;
        let now = line.now();
        line.machine.resume(now, sent, &state);
        self.session.arrive();
        self.told = self.engine.channels();
        send(line, &ServerMessage::MultiMediaTime(MultiMediaTime { time: now.mm_time() }))?;
        self.take_mouse();
        let mode = MouseModes::from_bits_truncate(state.mouse_mode);
        if mode == MouseModes::CLIENT && self.absolute || mode == MouseModes::SERVER {
            self.set_mode(mode);
        }
        self.send_mode(line)?;
        if let Some(agent) = &mut self.agent {
            // It may have come or gone since the client was linked.
            agent.follow(guest(&self.engine));
        }
        let (kind, rest) = state.agent_data.0.bytes().split_first().unwrap_or((&NO_AGENT, &[]));
        let fits = match &self.agent {
            None => *kind == NO_AGENT,
            Some(agent) => *kind == if agent.is_relayed() { RELAYED } else { STAND_IN },
        };
        let goes_on = match &mut self.agent {
            Some(agent) if fits => agent.resume(guest(&self.engine), state.agent == 2, state.spent, rest)?,
            _ => fits,
        };
        if !goes_on && self.agent.is_some() {
            Self::send_other_agent(line)?;
        } else if !goes_on {
            send(line, &ServerMessage::AgentDisconnected(AgentDisconnected { reason: LinkError::OK }))?;
        }
        self.release();
        self.send_identity(line)?;
        self.send_agent(line)
    }

    /// The agent goes on.
    fn release(&mut self) {
        if std::mem::take(&mut self.holds_agent) {
            self.engine.relay().release();
        }
    }

    fn greet(&mut self, line: &mut Line<MainServer>) -> Result<(), Close> {
        self.take_mouse();
        let init = Init {
            session_id: self.session.id,
            display_channels_hint: u32::try_from(self.engine.displays().count()).unwrap_or(1),
            supported_mouse_modes: self.mouse_modes().bits().into(),
            current_mouse_mode: self.session.mouse_mode.get().bits().into(),
            agent_connected: self.agent.is_some().into(),
            agent_tokens: AGENT_TOKENS,
            multi_media_time: line.now().mm_time(),
            ram_hint: 0,
        };
        send(line, &ServerMessage::Init(init))
    }
}

impl Handler for Main {
    type Machine = MainServer;

    fn on_open(&mut self, line: &mut Line<MainServer>) -> Result<(), Close> {
        if !self.session.is_here() {
            // It is still shown another server.
            return Ok(());
        }
        self.greet(line)?;
        self.send_channels(line)?;
        self.send_identity(line)
    }

    fn on_event(&mut self, line: &mut Line<MainServer>, event: MainEvent<'_>) -> Result<(), Close> {
        match event {
            MainEvent::Common(Heard::Disconnecting(_)) => Err(Close::Goodbye),
            MainEvent::AttachChannels => {
                self.told.clear();
                self.send_channels(line)
            }
            MainEvent::MouseModeRequested(mode) => {
                self.set_mode(mode);
                self.send_mode(line)
            }
            MainEvent::AgentStarted => {
                if let Some(agent) = &mut self.agent {
                    agent.start(guest(&self.engine));
                }
                self.send_agent(line)
            }
            MainEvent::AgentData(chunk) => self.on_agent_data(line, chunk),
            MainEvent::AgentTokens => self.send_agent(line),
            _ => self.on_migration(line, &event),
        }
    }

    fn on_wake(&mut self, line: &mut Line<MainServer>) -> Result<(), Close> {
        self.session.check()?;
        if !self.session.is_here() {
            return Ok(());
        }
        self.follow_orders(line)?;
        self.tell_time(line)?;
        if self.absolute != self.engine.displays().absolute() {
            self.take_mouse();
            self.send_mode(line)?;
        }
        if self.identity != self.engine.displays().identity() {
            self.send_identity(line)?;
        }
        self.send_channels(line)?;
        if self.session.insecure_keyboard.take() {
            self.send_notice(line, b"keyboard channel is insecure")?;
        }
        if self.agent.as_mut().is_some_and(|agent| agent.follow(guest(&self.engine))) {
            Self::send_other_agent(line)?;
        }
        if self.agent.as_ref().is_some_and(Agent::is_stuck) {
            return Err(Close::Ended("the client has taken nothing of the agent's for 30 s"));
        }
        self.send_agent(line)
    }

    fn deadline(&self) -> Option<Instant> {
        self.session.tell_time.get()
    }

    fn state(&mut self, line: &mut Line<MainServer>) -> Result<Vec<Bytes>, Close> {
        let (agent, from_client, to_client) = line.machine.agent_state();
        let (spent, data) = self.agent.as_mut().map(|agent| agent.state(guest(&self.engine))).unwrap_or_default();
        let kind = match &self.agent {
            None => NO_AGENT,
            Some(agent) if agent.is_relayed() => RELAYED,
            Some(_) => STAND_IN,
        };
        let agent_data = Rest(Data::Promised(1 + data.len()));
        let mouse_mode = self.session.mouse_mode.get().bits();
        let state = MainState { mouse_mode, agent, from_client, to_client, spent, agent_data };
        let rest = vec![Bytes::from(vec![kind]), data];
        state_of(ChannelType::MAIN, line.machine.common().sent(), &state, rest)
    }

    fn on_close(&mut self, _line: &mut Line<MainServer>) {
        self.release();
        if let Some(agent) = &mut self.agent {
            agent.leave(guest(&self.engine));
        }
    }
}

fn guest(engine: &Engine) -> Guest<'_> {
    Guest { board: engine.board(), relay: engine.relay() }
}

/// The main channel has no acknowledgement window: a refusal is a mistake of ours.
fn send(line: &mut Line<MainServer>, message: &ServerMessage<'_>) -> Result<(), Close> {
    line.send(message, &[]).map_err(|refused: Refused| Close::Refused(refused))
}

#[cfg(test)]
mod migration_tests;
#[cfg(test)]
mod tests {
    use sumac_core::channel::Negotiated;

    use super::*;
    use crate::config::Config;
    use crate::server::testing::engine;
    use crate::transport::TcpInfo;

    const MULTI_MEDIA_TIME: u16 = 106;

    /// The time that it is told now.
    fn told(main: &mut Main, line: &mut Line<MainServer>) -> Option<u32> {
        line.take_unsent();
        main.on_wake(line).unwrap();
        let bytes = line.take_unsent();
        let (id, body) = bytes.split_first_chunk()?;
        (u16::from_le_bytes(*id) == MULTI_MEDIA_TIME).then(|| u32::from_le_bytes(*body[4..].first_chunk().unwrap()))
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_is_told_every_ten_seconds_when_nothing_is_before_it_and_no_sound_is_heard() {
        let (engine, session) = (engine(Config::default()), Session::for_tests(false));
        let mut main = Main::new(Rc::clone(&engine), Rc::clone(&session), Rc::default());
        let mut line = Line::new(MainServer::new(Negotiated { mini_header: true, peer_caps: 0 }), engine.epoch());
        main.on_open(&mut line).unwrap();
        assert_eq!((told(&mut main, &mut line), main.deadline()), (None, None), "nothing is timed");
        let start = Instant::now();
        session.times_unheard();
        assert_eq!((told(&mut main, &mut line), main.deadline()), (None, Some(start + TIME_EVERY)));
        tokio::time::advance(TIME_EVERY).await;
        line.set_link(TcpInfo { in_flight: 1, ..TcpInfo::default() });
        assert_eq!(told(&mut main, &mut line), None, "it would arrive late");
        assert_eq!(main.deadline(), Some(start + TIME_EVERY + TIME_AGAIN));
        tokio::time::advance(TIME_AGAIN).await;
        line.set_link(TcpInfo::default());
        assert_eq!(told(&mut main, &mut line), Some(line.now().mm_time()));
        assert_eq!(main.deadline(), None, "the next stream's picture makes it due again");
        session.times_unheard();
        session.hears.set(true);
        tokio::time::advance(TIME_EVERY).await;
        assert_eq!((told(&mut main, &mut line), main.deadline()), (None, None));
    }
}
