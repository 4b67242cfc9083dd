//! [`Engine`]: what all connections share, on one thread.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use sumac_core::link::{Auth, Verdict};
use sumac_core::proto::common::ChannelType;
use sumac_core::time::Millis;
use tokio::time::Instant;

use super::displays::Displays;
use super::observer::{Observed, Observer, OpenChannel};
use super::source_thread::SourceThread;
use super::wishes::Wishes;
use crate::agent::{Board, Filter, Relay};
use crate::auth::{AuthRate, Grant, KeyStock, Sasl, Tickets};
use crate::config::Config;
use crate::connection::millis;
use crate::devices::DeviceHub;
use crate::migration::{Migration, Moves};
use crate::sound::{PlaybackHub, RecordHub};
use crate::source::{Host, InputEvent, Monitor, Peripherals, ToSource};
use crate::streaming_agent::StreamingAgents;
use crate::transport::{Peer, Stream};
use crate::viewer::{ChannelName, Encoders, Session};

/// Sessions at once; each is a viewer with about four connections.
const MAX_SESSIONS: usize = 256;

/// The shared part of a server.
pub(crate) struct Engine {
    config: Config,
    epoch: Instant,
    displays: Displays,
    playback: Rc<PlaybackHub>,
    record: Rc<RecordHub>,
    devices: DeviceHub,
    streaming_agents: StreamingAgents,
    board: Board,
    relay: Relay,
    source: SourceThread,
    wishes: Rc<Wishes>,
    sessions: RefCell<HashMap<u32, Rc<Session>>>,
    watching: Rc<Cell<usize>>,
    migration: Migration,
    observer: OnceCell<Observer>,
    /// How many channels were opened.
    opened: Cell<u64>,
    pub(crate) keys: KeyStock,
    pub(crate) tickets: RefCell<Tickets>,
    /// Instead of tickets, or beside them.
    pub(crate) sasl: Option<Sasl>,
    pub(crate) rate: RefCell<AuthRate>,
    /// Encoders of pictures.
    pub(crate) encoders: Rc<RefCell<Encoders>>,
}

/// What a link may be told about the channel that it names.
pub(crate) enum Found {
    /// It can be linked: in this session, or as a new one's first.
    Channel(Option<Rc<Session>>),
    /// No such channel, perhaps in a session that exists.
    NoChannel(Option<Rc<Session>>),
    /// No such session.
    NoSession,
}

impl Found {
    /// The session that the link names, if it exists.
    pub(crate) fn session(&self) -> Option<&Rc<Session>> {
        match self {
            Self::Channel(session) | Self::NoChannel(session) => session.as_ref(),
            Self::NoSession => None,
        }
    }

    /// What a peer hears that proved who it is.
    pub(crate) fn verdict(&self) -> Verdict {
        match self {
            Self::Channel(_) => Verdict::Accepted,
            Self::NoSession => Verdict::BadConnectionId,
            Self::NoChannel(_) => Verdict::NotAvailable,
        }
    }
}

impl Engine {
    pub(crate) fn new(
        config: Config,
        epoch: Instant,
        displays: Displays,
        source: SourceThread,
        keys: KeyStock,
        tickets: Tickets,
        sasl: Option<Sasl>,
    ) -> Rc<Self> {
        let rate = RefCell::new(AuthRate::new(config.auth_rate));
        let Peripherals { sound, devices, clipboard } = displays.host().peripherals().clone();
        let playback = Rc::new(PlaybackHub::new(sound.playback().clone(), config.playback_compression));
        let (record, devices) = (Rc::new(RecordHub::new(sound.record().clone())), DeviceHub::new(devices));
        let board = Board::new(clipboard, config.copy_paste);
        let relay = Relay::new(Filter { copy_paste: config.copy_paste, file_transfer: config.file_transfer });
        let encoders = Rc::new(RefCell::new(Encoders::new(Arc::clone(displays.ledger()))));
        Rc::new(Self {
            config,
            epoch,
            displays,
            playback,
            record,
            devices,
            streaming_agents: StreamingAgents::default(),
            board,
            relay,
            source,
            wishes: Rc::default(),
            sessions: RefCell::default(),
            watching: Rc::default(),
            migration: Migration::default(),
            observer: OnceCell::new(),
            opened: Cell::new(0),
            keys,
            tickets: RefCell::new(tickets),
            sasl,
            rate,
            encoders,
        })
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// How viewers prove who they are.
    pub(crate) fn auth(&self) -> Auth {
        match &self.sasl {
            None => Auth::Ticket,
            Some(_) if self.config.sasl.or_ticket => Auth::TicketOrSasl,
            Some(_) => Auth::Sasl,
        }
    }

    /// Reads the users again, and says in the log what came of it.
    pub(crate) fn reload_users(&self) {
        match self.sasl.as_ref().map(Sasl::reload) {
            None => {}
            Some(Ok(())) => tracing::info!("the users were read again"),
            Some(Err(error)) => tracing::error!(%error, "the old users stay in use"),
        }
    }

    /// The moment that the protocol's clock counts from.
    pub(crate) fn epoch(&self) -> Instant {
        self.epoch
    }

    /// The protocol's clock.
    pub(crate) fn now(&self) -> Millis {
        millis(self.epoch)
    }

    pub(crate) fn displays(&self) -> &Displays {
        &self.displays
    }

    /// The source's sound.
    pub(crate) fn playback(&self) -> &Rc<PlaybackHub> {
        &self.playback
    }

    /// A viewer's sound.
    pub(crate) fn record(&self) -> &Rc<RecordHub> {
        &self.record
    }

    /// The source's character devices.
    pub(crate) fn devices(&self) -> &DeviceHub {
        &self.devices
    }

    /// The clipboard.
    pub(crate) fn board(&self) -> &Board {
        &self.board
    }

    /// The guest's own agent.
    pub(crate) fn relay(&self) -> &Relay {
        &self.relay
    }

    /// The channels that a session can link, in the order of CHANNELS_LIST.
    pub(crate) fn channels(&self) -> Vec<ChannelName> {
        let numbers = self.displays.numbers();
        let displays = numbers.iter().map(|&number| (ChannelType::DISPLAY, number));
        let cursors = numbers.iter().map(|&number| (ChannelType::CURSOR, number));
        let others = [(ChannelType::INPUTS, 0), (ChannelType::PLAYBACK, 0), (ChannelType::RECORD, 0)];
        displays.chain(others).chain(cursors).chain(self.devices.channels()).collect()
    }

    pub(crate) fn source(&self) -> &SourceThread {
        &self.source
    }

    /// Takes in what the source said; main channels tell their clients.
    pub(crate) fn take_mail(&self) {
        self.playback.take_mail(self.now());
        self.record.take_mail();
        let others = self.devices.take_mail() | self.board.take_mail() | self.relay.take_mail(&self.devices);
        self.streaming_agents.take_mail(&self.devices, &self.displays);
        if self.displays.take_mail() || others {
            self.sessions.borrow().values().for_each(|session| session.ring());
        }
    }

    /// What a link that names these would get.
    pub(crate) fn find(&self, connection_id: u32, kind: ChannelType, id: u8) -> Found {
        let main = kind == ChannelType::MAIN && id == 0;
        if !main && !self.channels().contains(&(kind, id)) {
            return Found::NoChannel(self.session(connection_id));
        }
        match (main, connection_id) {
            (true, 0) => Found::Channel(None),
            // A client that migrates here brings its id along.
            (true, id) if self.session(id).is_some_and(|session| session.is_here()) => Found::NoSession,
            (true, _) => Found::Channel(None),
            (false, id) => self.session(id).map_or(Found::NoSession, |session| Found::Channel(Some(session))),
        }
    }

    /// A new session of this peer's; with `exclusive` the others end. `None` when there are too many.
    pub(crate) fn new_session(&self, peer: Peer, grant: Grant) -> Option<Rc<Session>> {
        if self.config.exclusive {
            let others: Vec<_> = self.sessions.borrow_mut().drain().map(|(_, session)| session).collect();
            others.iter().for_each(|session| session.end("another viewer took over"));
        }
        let mut sessions = self.sessions.borrow_mut();
        if sessions.len() >= MAX_SESSIONS {
            return None;
        }
        let id = loop {
            let mut bytes = [0; 4];
            rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()).ok()?;
            let id = u32::from_ne_bytes(bytes);
            if id != 0 && !sessions.contains_key(&id) {
                break id;
            }
        };
        let session = Session::new(id, peer, grant, Moves::default());
        sessions.insert(id, Rc::clone(&session));
        Some(session)
    }

    /// The session of a peer that migrates here, and has this id from the server that it comes from.
    /// `None` when one is here already, or there are too many. One that is not here yet tried before.
    pub(crate) fn arriving_session(&self, id: u32, peer: Peer, grant: Grant) -> Option<Rc<Session>> {
        let mut sessions = self.sessions.borrow_mut();
        if sessions.get(&id).is_some_and(|session| session.is_here()) || sessions.len() >= MAX_SESSIONS {
            return None;
        }
        if let Some(before) = sessions.remove(&id) {
            before.end("its viewer came anew");
        }
        let session = Session::new(id, peer, grant, Moves::parked());
        sessions.insert(id, Rc::clone(&session));
        Some(session)
    }

    /// Viewers that go to another server.
    pub(crate) fn migration(&self) -> &Migration {
        &self.migration
    }

    /// The session of this id.
    pub(crate) fn session(&self, id: u32) -> Option<Rc<Session>> {
        self.sessions.borrow().get(&id).cloned()
    }

    /// All sessions, the oldest first.
    pub(crate) fn sessions(&self) -> Vec<Rc<Session>> {
        let mut sessions: Vec<_> = self.sessions.borrow().values().cloned().collect();
        sessions.sort_by_key(|session| (session.since, session.id));
        sessions
    }

    /// The session's main channel closed.
    pub(crate) fn forget(&self, session: &Rc<Session>) {
        let mut sessions = self.sessions.borrow_mut();
        if sessions.get(&session.id).is_some_and(|there| Rc::ptr_eq(there, session)) {
            sessions.remove(&session.id);
        }
    }

    /// Channels are told to this observer from now on.
    pub(super) fn observe(&self, observer: Observer) {
        // There is one, and it is set before there are channels.
        let _ = self.observer.set(observer);
    }

    /// A channel was linked; it is open until the answer is dropped.
    pub(crate) fn observed(&self, session: u32, channel: ChannelName, stream: &Stream) -> Observed<'_> {
        self.opened.set(self.opened.get() + 1);
        Observed::new(self.observer.get(), OpenChannel::new(self.opened.get(), session, channel, stream))
    }

    /// Hands input to the source.
    pub(crate) fn input(&self, event: InputEvent) {
        self.source.tell(ToSource::Input(event));
    }

    /// Asks the source for a display like this monitor, if there is one of this number.
    pub(crate) fn resize(self: &Rc<Self>, display: u8, monitor: Monitor) {
        if let Some(there) = self.displays.get(display) {
            there.scene.set_place(monitor.place);
            let engine = Rc::downgrade(self);
            self.wishes.wish(display, monitor, move |display, monitor| {
                if let Some(engine) = engine.upgrade() {
                    engine.source.tell(ToSource::Resize { display, monitor });
                }
            });
        }
    }

    /// One more display channel watches, until the answer is dropped.
    pub(crate) fn watching(self: &Rc<Self>) -> Watching {
        let engine = Rc::clone(self);
        engine.count_watching(self.watching.get() + 1);
        Watching { engine }
    }

    fn count_watching(&self, count: usize) {
        self.watching.set(count);
        self.source.set_viewers(count);
        self.source.tell(ToSource::Viewers(count));
    }
}

/// A display channel that watches; the source hears how many there are.
pub(crate) struct Watching {
    engine: Rc<Engine>,
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.engine.count_watching(self.engine.watching.get().saturating_sub(1));
    }
}
