//! One core channel over one stream: the loop, written once.
//!
//! A [`Handler`] decides what is said and what a client's message means; the core machine keeps the
//! protocol; this module moves bytes. Nothing here blocks: reading goes on while a slow client
//! leaves bytes unsent, and what is unsent is bounded because handlers ask
//! [`Line::has_room`] before they say something large.

mod account;
mod arrivals;
mod handshake;
mod outbox;
mod pacer;
mod proof;
mod report;

use std::cell::Cell;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sumac_core::channel::framing::Framing;
use sumac_core::channel::migrate::{self, Migrates};
use sumac_core::channel::{Channel, Expired, PeerError, Poll, Refused};
use sumac_core::proto::common::{ChannelType, MigrateFlags, MigrateFlushMark};
use sumac_core::time::Millis;
use sumac_core::wire::{EncodeError, Message};
use tokio::io::Interest;
use tokio::sync::Notify;
use tokio::time::Instant;

use account::Account;
pub(crate) use handshake::{LinkFailed, Linked, handshake};
use outbox::Outbox;
pub(crate) use pacer::Link;
use pacer::{Pacer, Room};
pub(crate) use report::Report;

use crate::ledger::{Closed, Ledger};
use crate::transport::Stream;
#[cfg(test)]
use crate::transport::TcpInfo;

/// Bytes read at most before everything that they mean has been handled.
const READ_STEP: usize = 8 * 1024;
/// Unsent bytes beyond which a client's messages are left unread: answers must not pile up.
const READ_HOLD: usize = 4 * 1024 * 1024;
/// How long a client may leave bytes unread while we have more for it.
const STALL: Duration = Duration::from_secs(30);
/// Room for the part of a message that core writes; grows up to [`HEAD_MOST`] when one is larger.
const HEAD: usize = 4096;
/// No message has a larger head: a clip of 4096 rectangles is 64 KiB.
const HEAD_MOST: usize = 1024 * 1024;

/// Why a channel ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum Close {
    /// The client closed the connection.
    #[error("the client closed the connection")]
    Eof,
    /// The client said goodbye.
    #[error("the client disconnected")]
    Goodbye,
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    /// The client broke the protocol.
    #[error("the client broke the protocol: {0}")]
    Peer(#[from] PeerError),
    /// The client showed no sign of life.
    #[error("the client is silent: {0:?} expired")]
    Silent(Expired),
    /// The client does not read what it is sent.
    #[error("the client has read nothing for 30 s, {0} bytes wait for it")]
    Stalled(usize),
    /// The client does not say that it has shown a draw.
    #[error("the client has not answered a GL_DRAW for {} s", .0.as_secs())]
    Undone(Duration),
    /// The server wants it so.
    #[error("{0}")]
    Ended(&'static str),
    /// A message of ours was refused by the protocol machine: a bug, kept from the client.
    #[error("internal: {0}")]
    Refused(Refused),
}

impl Close {
    /// As the ledger counts it.
    pub(crate) fn class(&self) -> Closed {
        match self {
            Self::Eof | Self::Goodbye => Closed::Client,
            Self::Io(error) if error.kind() == io::ErrorKind::InvalidData => Closed::Protocol,
            Self::Io(_) => Closed::Broken,
            Self::Peer(_) => Closed::Protocol,
            Self::Silent(_) | Self::Stalled(_) | Self::Undone(_) => Closed::Silent,
            Self::Ended(_) => Closed::Server,
            Self::Refused(_) => Closed::Internal,
        }
    }
}

/// What a channel does; called from [`drive`] only.
pub(crate) trait Handler {
    /// The channel's protocol.
    type Machine: Migrates;

    /// The link is open: what is said first.
    fn on_open(&mut self, line: &mut Line<Self::Machine>) -> Result<(), Close>;

    /// The client said something.
    fn on_event(
        &mut self,
        line: &mut Line<Self::Machine>,
        event: <Self::Machine as Channel>::Event<'_>,
    ) -> Result<(), Close>;

    /// Something may have changed: the bell rang, a deadline passed, the client read. Says what is
    /// due now.
    fn on_wake(&mut self, line: &mut Line<Self::Machine>) -> Result<(), Close>;

    /// Whether what the client says can wait: its messages are left unread until this changes,
    /// which has to ring the bell.
    fn is_full(&self) -> bool {
        false
    }

    /// When [`Self::on_wake`] is to be called at the latest.
    fn deadline(&self) -> Option<Instant> {
        None
    }

    /// The client goes to another server: what is to be said before MIGRATE.
    fn on_depart(&mut self, _line: &mut Line<Self::Machine>) -> Result<(), Close> {
        Ok(())
    }

    /// What that server is to know of the channel, when the client has said the last of it here.
    fn state(&mut self, _line: &mut Line<Self::Machine>) -> Result<Vec<Bytes>, Close> {
        Ok(Vec::new())
    }

    /// The channel is over, whatever the reason.
    fn on_close(&mut self, _line: &mut Line<Self::Machine>) {}
}

/// A machine and what it has to send.
pub(crate) struct Line<M> {
    pub(crate) machine: M,
    outbox: Outbox,
    head: Vec<u8>,
    epoch: Instant,
    pacer: Pacer,
    /// A handler asked for room and is to be woken then.
    look_again: Option<Duration>,
    /// Set when the client goes to another server with its state, and the flags of its MIGRATE.
    departs: Rc<Cell<bool>>,
    flags: MigrateFlags,
    /// MIGRATE was said.
    leaving: bool,
    /// `None` in tests.
    account: Option<Account>,
    report: Rc<Report>,
}

impl<M: Channel> Line<M> {
    /// `epoch` is the moment that the protocol's clock counts from.
    pub(crate) fn new(machine: M, epoch: Instant) -> Self {
        Self {
            machine,
            outbox: Outbox::default(),
            head: vec![0; HEAD],
            epoch,
            pacer: Pacer::default(),
            look_again: None,
            departs: Rc::default(),
            flags: MigrateFlags::empty(),
            leaving: false,
            account: None,
            report: Rc::default(),
        }
    }

    /// Keeps account of the channel in `ledger`, as one of this type, until the line is dropped.
    pub(crate) fn noted_in(mut self, ledger: &Arc<Ledger>, kind: ChannelType) -> Self {
        self.account = Some(Account::open(Arc::clone(ledger), kind));
        self
    }

    /// Tells `report` what is known of the channel.
    pub(crate) fn reported_in(mut self, report: Rc<Report>) -> Self {
        self.report = report;
        self
    }

    /// A channel of this type says MIGRATE when `departs` is set.
    pub(crate) fn departing_with(mut self, departs: Rc<Cell<bool>>, kind: ChannelType) -> Self {
        (self.departs, self.flags) = (departs, migrate::flags(kind));
        self
    }

    /// Whether the client goes, or has gone, to another server with its state.
    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving
    }

    /// What others may read of the channel.
    pub(crate) fn report(&self) -> &Report {
        &self.report
    }

    /// All that shows the client what changed at `changed` has been said.
    pub(crate) fn shown(&mut self, changed: Instant) {
        let unsent = self.unsent();
        if let Some(account) = &mut self.account {
            account.shown(changed, unsent, Instant::now());
        }
    }

    /// The protocol's clock.
    pub(crate) fn now(&self) -> Millis {
        millis(self.epoch)
    }

    /// Says `message`; the pieces of `payload` must be as long together as the message promised.
    pub(crate) fn send(&mut self, message: &M::Message<'_>, payload: &[Bytes]) -> Result<(), Refused> {
        if self.leaving {
            // It could not be said any more, and the other server says it anew.
            return Ok(());
        }
        let now = self.now();
        let transmit = loop {
            match self.machine.send(now, message, &mut self.head) {
                Err(Refused::Encode(EncodeError::NoSpace { .. })) if self.grow_head() => {}
                other => break other?,
            }
        };
        self.push_head(transmit.head);
        debug_assert_eq!(payload.iter().map(Bytes::len).sum::<usize>(), transmit.body, "what was promised");
        payload.iter().for_each(|piece| self.outbox.push_payload(piece.clone()));
        Ok(())
    }

    /// Says a message without payload and passes `fds` behind it; only on a UNIX socket.
    pub(crate) fn send_fds(&mut self, message: &M::Message<'_>, fds: Vec<Arc<OwnedFd>>) -> Result<(), Refused> {
        self.send(message, &[])?;
        self.outbox.push_fds(fds);
        Ok(())
    }

    /// A link as the kernel would tell of it.
    #[cfg(test)]
    pub(crate) fn set_link(&mut self, info: TcpInfo) {
        self.pacer.observe(Instant::now(), info);
    }

    /// Takes everything as sent; answers what that was.
    #[cfg(test)]
    pub(crate) fn take_unsent(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.outbox).into_bytes()
    }

    /// Bytes that the kernel has not taken yet.
    pub(crate) fn unsent(&self) -> usize {
        self.outbox.len()
    }

    /// Whether something large may be begun: so little is on the way that it will be seen soon. If
    /// not, the handler is woken when that may have changed.
    pub(crate) fn has_room(&mut self) -> bool {
        match self.pacer.room(self.unsent()) {
            Room::Now => return true,
            // Its leaving wakes the handler.
            Room::WhenWritten => {}
            Room::After(wait) => self.look_again = Some(wait),
        }
        false
    }

    /// What is known of the client's link.
    pub(crate) fn link(&self) -> Link {
        self.pacer.link(self.unsent())
    }

    fn observe(&mut self, stream: &Stream) {
        let (now, info) = (Instant::now(), stream.tcp_info());
        if let Some(info) = info {
            self.pacer.observe(now, info);
        }
        if let Some(account) = &mut self.account {
            account.observe(info.map(|info| info.in_flight), now);
            self.report.latency.set(account.latency());
        }
        self.report.link.set(self.link());
    }

    /// Writes what the kernel takes now; `true` when it took something.
    fn write_to(&mut self, stream: &Stream) -> io::Result<bool> {
        let before = self.outbox.len();
        let some = self.outbox.write_to(stream);
        let written = before - self.outbox.len();
        self.report.sent.set(self.report.sent.get() + written as u64);
        if let Some(account) = &mut self.account {
            account.wrote(written, Instant::now());
        }
        some
    }

    /// When the ledger wants to know what was acknowledged.
    fn look_at(&self) -> Option<Instant> {
        self.account.as_ref()?.look_at(self.link().round_trip, Instant::now())
    }

    /// A message whose head has this length is said.
    fn push_head(&mut self, len: usize) {
        self.outbox.push(self.head.get(..len).unwrap_or_default());
        if let Some(account) = &self.account {
            account.message();
        }
    }

    fn grow_head(&mut self) -> bool {
        let more = self.head.len() < HEAD_MOST;
        if more {
            self.head.resize(self.head.len() * 2, 0);
        }
        more
    }

    /// Queues all that the machine itself wants to say; answers when it wants to be asked again.
    pub(crate) fn pump(&mut self) -> Result<Option<Millis>, Close> {
        loop {
            match self.machine.poll(self.now(), &mut self.head) {
                Ok(Poll::Transmit(transmit)) => self.push_head(transmit.head),
                Ok(Poll::Wait(until)) => return Ok(until),
                Ok(Poll::Expired(why)) => return Err(Close::Silent(why)),
                Err(_) if self.grow_head() => {}
                Err(error) => return Err(Close::Refused(error.into())),
            }
        }
    }
}

impl<M: Migrates> Line<M> {
    /// Says MIGRATE.
    fn say_migrate(&mut self) -> Result<(), Close> {
        let transmit = self.machine.common_mut().migrate(self.flags, &mut self.head).map_err(Close::Refused)?;
        self.leaving = true;
        self.push_head(transmit.head);
        Ok(())
    }

    /// Says MIGRATE_DATA.
    fn say_state(&mut self, state: Vec<Bytes>) -> Result<(), Close> {
        let len = state.iter().map(Bytes::len).sum();
        let transmit = self.machine.common_mut().migrate_data(len, &mut self.head).map_err(Close::Refused)?;
        self.push_head(transmit.head);
        state.into_iter().for_each(|piece| self.outbox.push_payload(piece));
        Ok(())
    }
}

/// Milliseconds since `epoch`.
pub(crate) fn millis(epoch: Instant) -> Millis {
    Millis(u64::try_from(epoch.elapsed().as_millis()).unwrap_or(u64::MAX))
}

/// What was received and not handled yet.
struct Inbox {
    framing: Framing,
    bytes: Vec<u8>,
}

/// Runs a channel until it ends. `received` is what came behind the link.
pub(crate) async fn drive<H: Handler>(
    stream: &Stream,
    framing: Framing,
    received: Vec<u8>,
    line: &mut Line<H::Machine>,
    handler: &mut H,
    bell: &Rc<Notify>,
) -> Close {
    let mut inbox = Inbox { framing, bytes: received };
    match run(stream, &mut inbox, line, handler, bell).await {
        Ok(never) => match never {},
        Err(close) => close,
    }
}

async fn run<H: Handler>(
    stream: &Stream,
    inbox: &mut Inbox,
    line: &mut Line<H::Machine>,
    handler: &mut H,
    bell: &Rc<Notify>,
) -> Result<std::convert::Infallible, Close> {
    line.observe(stream);
    line.pump()?;
    handler.on_open(line)?;
    // What opens the channel leaves before anything is made ready that takes time.
    line.write_to(stream)?;
    let mut progress = Instant::now();
    loop {
        handle_received(inbox, line, handler)?;
        line.pump()?;
        line.observe(stream);
        if line.departs.get() && !line.leaving {
            handler.on_depart(line)?;
            line.pump()?;
            line.say_migrate()?;
        }
        if !line.leaving {
            handler.on_wake(line)?;
        }
        let again = line.pump()?;
        if line.outbox.is_empty() {
            progress = Instant::now();
        } else if line.write_to(stream)? {
            progress = Instant::now();
            // The client took something: there may be room for what waited.
            continue;
        } else if progress.elapsed() >= STALL {
            return Err(Close::Stalled(line.unsent()));
        }
        let stall = (!line.outbox.is_empty()).then(|| progress + STALL);
        let timer = again.map(|at| line.epoch + Duration::from_millis(at.0));
        let look = line.look_again.take().map(|wait| Instant::now() + wait);
        let wakes = if line.leaving { None } else { handler.deadline() };
        let deadline = [stall, timer, look, line.look_at(), wakes].into_iter().flatten().min();
        // Who leaves has little left to say, and the last word of it is needed.
        let reads = line.unsent() < READ_HOLD && (line.leaving || !handler.is_full());
        wait(stream, reads, line.unsent() > 0 || stream.has_unsent(), bell, deadline).await?;
        if reads {
            receive(stream, inbox)?;
        }
    }
}

/// Sleeps until there is something to do.
async fn wait(
    stream: &Stream,
    reads: bool,
    writes: bool,
    bell: &Rc<Notify>,
    deadline: Option<Instant>,
) -> Result<(), Close> {
    let io = async {
        match (reads, writes) {
            (true, true) => stream.ready(Interest::READABLE | Interest::WRITABLE).await,
            (true, false) => stream.ready(Interest::READABLE).await,
            (false, true) => stream.ready(Interest::WRITABLE).await,
            (false, false) => std::future::pending().await,
        }
    };
    let timer = async {
        match deadline {
            Some(at) => tokio::time::sleep_until(at).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        ready = io => { ready?; }
        () = bell.notified() => {}
        () = timer => {}
    }
    Ok(())
}

/// Reads what is there, up to [`READ_STEP`].
fn receive(stream: &Stream, inbox: &mut Inbox) -> Result<(), Close> {
    let had = inbox.bytes.len();
    inbox.bytes.resize(had + READ_STEP, 0);
    let read = stream.try_read(inbox.bytes.get_mut(had..).unwrap_or_default());
    let got = *read.as_ref().unwrap_or(&0);
    inbox.bytes.truncate(had + got);
    match read {
        Ok(0) => Err(Close::Eof),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Waits for one message in front of a channel's first; answers its number and body.
pub(crate) async fn first_message(
    stream: &Stream,
    framing: Framing,
    received: &mut Vec<u8>,
) -> Result<(u16, Vec<u8>), Close> {
    let mut inbox = Inbox { framing, bytes: std::mem::take(received) };
    loop {
        while inbox.bytes.len() >= inbox.framing.want() {
            let rest = inbox.bytes.split_off(inbox.framing.want());
            let unit = std::mem::replace(&mut inbox.bytes, rest);
            if let Some(message) = inbox.framing.on_bytes(&unit)? {
                let first = (message.id, message.body.to_vec());
                *received = inbox.bytes;
                return Ok(first);
            }
        }
        stream.ready(Interest::READABLE).await?;
        receive(stream, &mut inbox)?;
    }
}

/// Hands every complete message to the machine, and what it means to the handler.
fn handle_received<H: Handler>(inbox: &mut Inbox, line: &mut Line<H::Machine>, handler: &mut H) -> Result<(), Close> {
    let mut at = 0;
    while (line.leaving || !handler.is_full())
        && let Some(unit) = inbox.bytes.get(at..).and_then(|rest| rest.get(..inbox.framing.want()))
    {
        at += unit.len();
        if let Some(message) = inbox.framing.on_bytes(unit)? {
            let now = line.now();
            if let Some(event) = line.machine.on_message(now, message.id, message.body)? {
                handler.on_event(line, event)?;
            }
            // Out of place it means nothing.
            if message.id == MigrateFlushMark::ID && line.leaving && line.flags.contains(MigrateFlags::NEED_FLUSH) {
                let state = handler.state(line)?;
                line.say_state(state)?;
                line.flags = MigrateFlags::empty();
            }
        }
    }
    inbox.bytes.drain(..at);
    Ok(())
}

#[cfg(test)]
mod tests {
    use sumac_core::channel::Negotiated;
    use sumac_core::channel::inputs::{InputsEvent, InputsServer};
    use sumac_core::proto::inputs::{Init, KeyModifiers, KeyModifiersChanged, ServerMessage};
    use tokio::net::UnixStream;
    use tokio::time::sleep;

    use super::*;

    /// Messages, 8 bytes each: more than the kernel takes for a client that does not read.
    const MESSAGES: usize = 400_000;

    /// Says all of them at once.
    struct Talker;

    impl Handler for Talker {
        type Machine = InputsServer;

        fn on_open(&mut self, line: &mut Line<InputsServer>) -> Result<(), Close> {
            let modifiers = KeyModifiers::empty();
            line.send(&ServerMessage::Init(Init { keyboard_modifiers: modifiers }), &[]).map_err(Close::Refused)?;
            let message = ServerMessage::KeyModifiersChanged(KeyModifiersChanged { modifiers });
            (0..MESSAGES).try_for_each(|_| line.send(&message, &[])).map_err(Close::Refused)
        }

        fn on_event(&mut self, _: &mut Line<InputsServer>, _: InputsEvent<'_>) -> Result<(), Close> {
            Ok(())
        }

        fn on_wake(&mut self, _: &mut Line<InputsServer>) -> Result<(), Close> {
            Ok(())
        }
    }

    async fn serve(stream: UnixStream) -> (Close, Duration) {
        let start = Instant::now();
        let machine = InputsServer::new(Negotiated { mini_header: true, peer_caps: 0 });
        let (mut line, bell) = (Line::new(machine, start), Rc::new(Notify::new()));
        let framing = Framing::new(true, 16);
        let close = drive(&Stream::from(stream), framing, Vec::new(), &mut line, &mut Talker, &bell).await;
        (close, start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_never_reads_is_dropped_after_its_time() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (close, took) = serve(ours).await;
        assert!(matches!(close, Close::Stalled(1..)), "{close:?}");
        assert!((STALL..STALL * 2).contains(&took), "{took:?}");
        drop(theirs);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_slowly_stays() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let reader = async {
            let (mut room, mut got) = (vec![0; 256 * 1024], 0);
            while got < MESSAGES * 8 {
                sleep(STALL * 2 / 3).await;
                while let Ok(n) = theirs.try_read(&mut room) {
                    got += n;
                }
            }
            drop(theirs);
        };
        let ((close, took), ()) = tokio::join!(serve(ours), reader);
        assert!(matches!(close, Close::Eof), "{close:?}");
        assert!(took > STALL, "{took:?}");
    }
}
