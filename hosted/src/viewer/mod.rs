//! A viewer: one session, and a handler for each of its channels.

mod agent;
mod allowance;
mod cursor;
mod device;
mod display;
mod follower;
mod gl;
mod inputs;
mod main;
mod picture;
mod playback;
mod record;
mod slack;
mod smartcard;
mod streams;

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use bytes::Bytes;
use sumac_core::channel::cursor::CursorServer;
use sumac_core::channel::display::DisplayServer;
use sumac_core::channel::framing::Framing;
use sumac_core::channel::inputs::InputsServer;
use sumac_core::channel::main::MainServer;
use sumac_core::channel::migrate::{self, DeviceState, Migrates, State};
use sumac_core::channel::playback::PlaybackServer;
use sumac_core::channel::port::PortServer;
use sumac_core::channel::record::RecordServer;
use sumac_core::channel::smartcard::SmartcardServer;
use sumac_core::channel::vmc::VmcServer;
use sumac_core::channel::{Channel, PeerError};
use sumac_core::limits;
use sumac_core::proto::common::ChannelType;
use sumac_core::proto::main::MouseModes;
use tokio::sync::Notify;
use tokio::time::Instant;

#[cfg(feature = "fuzzing")]
pub(crate) use agent::{Agent, Guest};
pub(crate) use picture::Encoders;

use crate::auth::Grant;
use crate::connection::{Close, Handler, Line, Linked, Report, drive};
use crate::devices::Attached;
use crate::ledger::{Closed, Refused};
use crate::migration::{Arrival, Begins, Moves, begins};
use crate::server::{Display, Engine};
use crate::transport::{Peer, Stream};

/// Room for the part of a channel's state that core writes.
const STATE: usize = limits::MIGRATED_DEVICE + 256;

/// A channel as CHANNELS_LIST and links name it.
pub(crate) type ChannelName = (ChannelType, u8);

/// What the channels of one viewer share.
pub(crate) struct Session {
    /// Named by all links but the first; not 0.
    pub(crate) id: u32,
    /// Who began it, and when.
    pub(crate) peer: Peer,
    pub(crate) since: Instant,
    /// What let it in.
    pub(crate) grant: Grant,
    /// Who positions the pointer.
    mouse_mode: Cell<MouseModes>,
    ended: Cell<Option<&'static str>>,
    /// Something that a viewer who may only look said was ignored.
    ignored: Cell<bool>,
    /// Its user has to be told that what is typed travels in clear.
    insecure_keyboard: Cell<bool>,
    /// What its display channels share.
    pictures: picture::Shared,
    /// When the client is to be told the time: a stream is timed by its clock, and no reports tell how
    /// far that has drifted.
    tell_time: Cell<Option<Instant>>,
    /// It plays sound, to which it sets its clock itself.
    hears: Cell<bool>,
    channels: RefCell<Vec<OpenChannel>>,
    /// To and from other servers.
    pub(crate) moves: Moves,
    /// Wakes channels that wait until it has come here.
    arrived: Notify,
}

struct OpenChannel {
    kind: ChannelName,
    bell: Weak<Notify>,
    report: Rc<Report>,
}

impl Session {
    pub(crate) fn new(id: u32, peer: Peer, grant: Grant, moves: Moves) -> Rc<Self> {
        Rc::new(Self {
            id,
            peer,
            since: Instant::now(),
            grant,
            mouse_mode: Cell::new(MouseModes::CLIENT),
            ended: Cell::new(None),
            ignored: Cell::new(false),
            insecure_keyboard: Cell::new(false),
            pictures: picture::Shared::default(),
            tell_time: Cell::new(None),
            hears: Cell::new(false),
            channels: RefCell::default(),
            moves,
            arrived: Notify::new(),
        })
    }

    /// A session of nobody's.
    #[cfg(test)]
    pub(crate) fn for_tests(view_only: bool) -> Rc<Self> {
        let grant = Grant { view_only, ..Grant::to_everybody() };
        Self::new(1, Peer::Unix { uid: 0, pid: None }, grant, Moves::default())
    }

    /// Ends all channels.
    pub(crate) fn end(&self, why: &'static str) {
        if self.ended.get().is_none() {
            self.ended.set(Some(why));
        }
        self.ring();
    }

    /// Its open channels, and what is known of them.
    pub(crate) fn channels(&self) -> Vec<(ChannelName, Rc<Report>)> {
        let channels = self.channels.borrow();
        let open = channels.iter().filter(|channel| channel.bell.strong_count() > 0);
        open.map(|channel| (channel.kind, Rc::clone(&channel.report))).collect()
    }

    /// Wakes all its channels.
    pub(crate) fn ring(&self) {
        self.channels.borrow().iter().filter_map(|channel| channel.bell.upgrade()).for_each(|bell| bell.notify_one());
    }

    /// A stream is being shown to a client that sends no reports.
    fn times_unheard(&self) {
        if self.tell_time.get().is_none() {
            self.tell_time.set(Some(Instant::now() + main::TIME_EVERY));
            self.ring();
        }
    }

    /// Whether channels of this type are for this viewer: one that may only look has no devices and
    /// no microphone. Its keyboard and mouse are there, because clients want them, and do nothing.
    fn may_link(&self, kind: ChannelType) -> bool {
        let speaks = matches!(
            kind,
            ChannelType::RECORD
                | ChannelType::USBREDIR
                | ChannelType::PORT
                | ChannelType::WEBDAV
                | ChannelType::SMARTCARD
        );
        !(self.grant.view_only && speaks)
    }

    /// Books a channel; `None` when the session has it already or is over.
    fn open(&self, kind: ChannelName) -> Option<(Rc<Notify>, Rc<Report>)> {
        let mut channels = self.channels.borrow_mut();
        channels.retain(|channel| channel.bell.strong_count() > 0);
        if self.ended.get().is_some() || channels.iter().any(|channel| channel.kind == kind) {
            return None;
        }
        let bell = Rc::new(Notify::new());
        let report = Rc::new(Report::default());
        channels.push(OpenChannel { kind, bell: Rc::downgrade(&bell), report: Rc::clone(&report) });
        Some((bell, report))
    }

    /// Whether the viewer may only look: what it says to the source or the guest is ignored, which is
    /// said in the log once.
    fn ignores(&self, what: &'static str) -> bool {
        if self.grant.view_only && !self.ignored.replace(true) {
            tracing::info!(session = self.id, what, "this viewer may only look: what it says is ignored");
        }
        self.grant.view_only
    }

    /// Whether it is shown this server, and not the one that it comes from.
    pub(crate) fn is_here(&self) -> bool {
        self.moves.arrival() == Arrival::Arrived
    }

    /// It has come from another server: its channels begin, or go on.
    fn arrive(&self) {
        self.moves.arrive(Arrival::Arrived);
        self.arrived.notify_waiters();
    }

    /// Waits until it has.
    pub(crate) async fn arrived(&self) {
        loop {
            let arrived = self.arrived.notified();
            if self.is_here() {
                return;
            }
            arrived.await;
        }
    }

    /// Whether its channels are told to end.
    pub(crate) fn is_over(&self) -> bool {
        self.ended.get().is_some()
    }

    /// For handlers: `Err` once the session is over.
    pub(crate) fn check(&self) -> Result<(), Close> {
        self.ended.get().map_or(Ok(()), |why| Err(Close::Ended(why)))
    }
}

/// Runs a linked channel to its end.
pub(crate) async fn run(engine: &Rc<Engine>, stream: Stream, peer: &Peer, mut linked: Linked) {
    let (kind, id) = (linked.opened.channel_type, linked.opened.channel_id);
    let ledger = engine.displays().ledger();
    let session = match kind {
        ChannelType::MAIN if linked.opened.connection_id == 0 => engine.new_session(*peer, linked.grant.clone()),
        ChannelType::MAIN => engine.arriving_session(linked.opened.connection_id, *peer, linked.grant.clone()),
        _ => engine.session(linked.opened.connection_id),
    };
    let Some(session) = session else {
        tracing::info!(%peer, ?kind, id, reason = "the session ended, or there are too many", "not linked");
        ledger.refuse(Refused::Session);
        return;
    };
    let Some((bell, report)) = session.open((kind, id)) else {
        tracing::info!(%peer, session = session.id, ?kind, id, reason = "the session has it already", "not linked");
        ledger.refuse(Refused::Session);
        return;
    };
    tracing::info!(%peer, session = session.id, ?kind, id, "channel open");
    let _observed = engine.observed(session.id, (kind, id), &stream);
    report.secure.set(stream.is_secure());
    let context = Context { engine, session: &session, bell: &bell, stream: &stream, report };
    let close = match kind {
        ChannelType::MAIN => context.main(linked).await,
        _ if !session.may_link(kind) => Close::Ended("this viewer may only look"),
        _ => {
            // What the guest says before the client comes with its state is not lost.
            let early = session.moves.arrival() == Arrival::Seamless;
            let attached = if early { engine.devices().attach((kind, id), session.id, &bell) } else { None };
            match begins(&session, kind, &stream, &mut linked, &bell).await {
                Ok(begins) => context.channel((kind, id), attached, linked, begins).await.unwrap_or_else(|close| close),
                Err(close) => close,
            }
        }
    };
    drop(context);
    let (class, session_id) = (close.class(), session.id);
    ledger.close(class);
    match class {
        Closed::Client | Closed::Server => {
            tracing::info!(%peer, session = session_id, ?kind, id, reason = %close, class = class.name(), "channel closed");
        }
        _ => {
            tracing::warn!(%peer, session = session_id, ?kind, id, reason = %close, class = class.name(), "channel closed")
        }
    }
    if kind == ChannelType::MAIN {
        // The channels of one that goes to another server with its state leave one by one.
        if !session.moves.departs().get() {
            session.end("the main channel closed");
        }
        engine.forget(&session);
    }
    drop(bell);
    engine.migration().ring();
}

/// What another server is to know of a channel of this type that has said `sent` messages: its state,
/// and the end of that in pieces.
fn state_of<'a>(kind: ChannelType, sent: u64, state: &impl State<'a>, rest: Vec<Bytes>) -> Result<Vec<Bytes>, Close> {
    let mut head = vec![0; STATE];
    let len = migrate::write(kind, sent, state, &mut head).map_err(|error| Close::Refused(error.into()))?;
    head.truncate(len);
    Ok([Bytes::from(head)].into_iter().chain(rest).collect())
}

/// What a channel runs in.
struct Context<'e> {
    engine: &'e Rc<Engine>,
    session: &'e Rc<Session>,
    bell: &'e Rc<Notify>,
    stream: &'e Stream,
    report: Rc<Report>,
}

impl Context<'_> {
    async fn main(&self, linked: Linked) -> Close {
        let negotiated = linked.opened.negotiated;
        let arrives = !self.session.is_here();
        let machine = if arrives { MainServer::arriving(negotiated) } else { MainServer::new(negotiated) };
        let handler = main::Main::new(Rc::clone(self.engine), Rc::clone(self.session), Rc::clone(self.bell));
        self.drive(machine, handler, linked).await
    }

    /// Any other one; fails when it cannot begin.
    async fn channel(
        &self,
        (kind, id): ChannelName,
        attached: Option<Attached>,
        linked: Linked,
        begins: Begins,
    ) -> Result<Close, Close> {
        Ok(match kind {
            ChannelType::INPUTS => self.inputs(linked, begins).await?,
            ChannelType::PLAYBACK => self.playback(linked).await,
            ChannelType::RECORD => self.record(linked).await,
            ChannelType::USBREDIR | ChannelType::PORT | ChannelType::WEBDAV | ChannelType::SMARTCARD => {
                let attached =
                    attached.or_else(|| self.engine.devices().attach((kind, id), self.session.id, self.bell));
                let taken = Close::Ended("another viewer has the device, or it is gone");
                self.device(kind, attached.ok_or(taken)?, linked, begins).await?
            }
            _ => match self.engine.displays().get(id) {
                Some(display) if kind == ChannelType::DISPLAY => self.display(&display, linked, begins).await?,
                Some(display) => self.cursor(&display, linked, &begins).await,
                None => Close::Ended("the display went away while the channel was linked"),
            },
        })
    }

    async fn display(&self, display: &Display, linked: Linked, begins: Begins) -> Result<Close, Close> {
        let fds = self.stream.carries_fds();
        let now = self.engine.now();
        let mut machine = DisplayServer::new(linked.opened.negotiated, fds, now);
        let mut handler =
            display::Display::new(self.engine, display, Rc::clone(self.session), Rc::clone(self.bell), fds);
        if let Begins::With(data) = begins {
            let (sent, state) = migrate::read(ChannelType::DISPLAY, &data).map_err(PeerError::from)?;
            let init = machine.resume(sent, &state)?;
            handler.resume(&state, init);
        }
        Ok(self.drive(machine, handler, linked).await)
    }

    async fn inputs(&self, linked: Linked, begins: Begins) -> Result<Close, Close> {
        // Nobody listens on a UNIX socket.
        if !self.stream.is_secure() && matches!(self.session.peer, Peer::Tcp(_)) {
            self.session.insecure_keyboard.set(true);
            self.session.ring();
        }
        let mut machine = InputsServer::new(linked.opened.negotiated);
        if let Begins::With(data) = begins {
            let (sent, state) = migrate::read(ChannelType::INPUTS, &data).map_err(PeerError::from)?;
            machine.resume(sent, &state);
        }
        let handler = inputs::Inputs::new(Rc::clone(self.engine), Rc::clone(self.session), self.bell);
        Ok(self.drive(machine, handler, linked).await)
    }

    async fn cursor(&self, display: &Display, linked: Linked, begins: &Begins) -> Close {
        let mut machine = <CursorServer>::new(linked.opened.negotiated);
        let goes_on = matches!(begins, Begins::GoesOn);
        if goes_on {
            machine.resume();
        }
        let scene = Rc::clone(&display.scene);
        let handler = cursor::Cursor::new(scene, Rc::clone(self.session), self.bell, goes_on);
        self.drive(machine, handler, linked).await
    }

    async fn playback(&self, linked: Linked) -> Close {
        if let Err(error) = self.stream.limit_send_buffer(playback::SEND_BUFFER) {
            tracing::debug!(%error, "the kernel keeps its own limit for sound");
        }
        let machine = PlaybackServer::new(linked.opened.negotiated);
        let handler = playback::Playback::new(Rc::clone(self.engine.playback()), Rc::clone(self.session), self.bell);
        self.drive(machine, handler, linked).await
    }

    async fn record(&self, linked: Linked) -> Close {
        let machine = RecordServer::new(linked.opened.negotiated);
        let handler =
            record::Record::new(Rc::clone(self.engine.record()), Rc::clone(self.session), Rc::clone(self.bell));
        self.drive(machine, handler, linked).await
    }

    async fn device(
        &self,
        kind: ChannelType,
        attached: Attached,
        linked: Linked,
        begins: Begins,
    ) -> Result<Close, Close> {
        let (negotiated, session, local) =
            (linked.opened.negotiated, Rc::clone(self.session), self.stream.carries_fds());
        let resumed = match &begins {
            Begins::With(data) => Some(migrate::read::<DeviceState<'_>>(kind, data).map_err(PeerError::from)?),
            Begins::Fresh | Begins::GoesOn => None,
        };
        if let Some((_, state)) = &resumed {
            attached.refill(state.to_client.items(), state.to_guest.0.bytes())?;
        }
        Ok(match kind {
            ChannelType::USBREDIR => {
                let mut machine = VmcServer::new(negotiated);
                resumed.into_iter().for_each(|(sent, _)| machine.common_mut().continue_from(sent));
                self.drive(machine, device::Device::new(session, attached, kind, local), linked).await
            }
            ChannelType::SMARTCARD => {
                let mut machine = SmartcardServer::new(negotiated);
                if let Some((sent, state)) = resumed {
                    machine.common_mut().continue_from(sent);
                    machine.resume(state.client_opened != 0);
                }
                self.drive(machine, smartcard::Smartcard::new(session, attached), linked).await
            }
            _ => {
                let mut machine = PortServer::new(negotiated);
                let mut handler = device::Device::new(session, attached, kind, local);
                if let Some((sent, state)) = resumed {
                    machine.common_mut().continue_from(sent);
                    machine.resume();
                    handler.resume(&state);
                }
                self.drive(machine, handler, linked).await
            }
        })
    }

    async fn drive<H: Handler>(&self, machine: H::Machine, mut handler: H, linked: Linked) -> Close {
        let framing = Framing::new(linked.opened.negotiated.mini_header, machine.max_body());
        let kind = linked.opened.channel_type;
        let line = Line::new(machine, self.engine.epoch()).noted_in(self.engine.displays().ledger(), kind);
        let departs = Rc::clone(self.session.moves.departs());
        let mut line = line.reported_in(Rc::clone(&self.report)).departing_with(departs, kind);
        let close = drive(self.stream, framing, linked.received, &mut line, &mut handler, self.bell).await;
        handler.on_close(&mut line);
        close
    }
}
