//! [`Embedded`]: a server inside of another program, on a thread of its own.
//!
//! It installs no signal handlers, starts no processes and prints nothing. The program stays its own
//! master: it says when the server ends, hands it connections, and hears of channels.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Context;
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::LocalSet;

use super::newcomer::{Newcomer, Waiting, connection};
use super::observer::Observer;
use super::source_thread::{Ended, SourceThread};
use super::{Displays, Engine, sys};
use crate::auth::{KeyStock, Sasl, TicketCheck, Tickets};
use crate::config::Config;
use crate::migration::{MigrationBegun, MigrationTarget};
use crate::source::{Source, ToSource};
use crate::transport::{Entrance, Gate, Listeners, Peer, Stream};

/// How long everything may take to end.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A server that runs until this is dropped, which waits for its end.
#[derive(Debug)]
pub struct Embedded {
    orders: UnboundedSender<Order>,
    thread: Option<JoinHandle<()>>,
    addresses: Vec<SocketAddr>,
}

/// What the program wants.
enum Order {
    /// Serve this connection.
    Client { socket: OwnedFd, entrance: Entrance, trusted: bool },
    /// Let in whom this lets in, from now on.
    Tickets(TicketCheck),
    /// End all viewers' sessions.
    Disconnect,
    /// Viewers are to connect to this server, too.
    BeginMigration(MigrationTarget, Box<dyn FnOnce(MigrationBegun) + Send>),
    /// They are to go there, or not.
    EndMigration(bool, Box<dyn FnOnce() + Send>),
    /// They are to leave and connect there.
    SwitchHost(MigrationTarget, Box<dyn FnOnce() + Send>),
    /// End.
    Quit,
}

impl Embedded {
    /// Starts a server with this source and these tickets, whatever the configuration names; it
    /// listens when this returns, if the configuration names a port or a socket. `observer` hears of
    /// channels, on the server's thread.
    ///
    /// All its threads block all signals. What a configuration says of standard output, connection
    /// files, checks and figures is for the binary, and not looked at.
    ///
    /// # Errors
    /// When a file, a port, a socket or a thread cannot be had.
    pub fn start(
        config: Config,
        tickets: TicketCheck,
        source: Box<dyn Source>,
        observer: Observer,
    ) -> anyhow::Result<Self> {
        let (orders, received) = unbounded_channel();
        let (tell, told) = sync_channel(1);
        let serve = move || {
            let started = runtime::Builder::new_current_thread().enable_io().enable_time().build();
            let Ok(runtime) = started.map_err(|error| tell.send(Err(error.into()))) else { return };
            let local = LocalSet::new();
            local.block_on(&runtime, async {
                match Server::start(config, tickets, source, observer).await {
                    Ok(server) => {
                        // Whoever started it waits for this.
                        let _ = tell.send(Ok(server.addresses()));
                        server.run(received).await;
                    }
                    Err(error) => drop(tell.send(Err(error))),
                }
            });
        };
        let builder = thread::Builder::new().name("sumac".into());
        // Threads inherit what their maker blocks, and so do those that they make.
        let thread = sys::with_signals_blocked(|| builder.spawn(serve)).context("starting the server's thread")?;
        let addresses = told.recv().context("the server broke down while it started")??;
        Ok(Self { orders, thread: Some(thread), addresses })
    }

    /// TCP addresses that are open, with the ports that the system chose.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Serves a connected socket of the program's: TCP or UNIX; over TLS only, or whatever the client
    /// speaks. Of one that is `trusted` no ticket is wanted.
    pub fn add_client(&self, socket: OwnedFd, entrance: Entrance, trusted: bool) {
        // A server that broke down closes it.
        let _ = self.orders.send(Order::Client { socket, entrance, trusted });
    }

    /// Ends the sessions of all viewers.
    pub fn disconnect(&self) {
        // A server that broke down has none.
        let _ = self.orders.send(Order::Disconnect);
    }

    /// Lets in whom these let in from now on; who is in stays.
    pub fn set_tickets(&self, tickets: TicketCheck) {
        // Nobody is let in by a server that broke down.
        let _ = self.orders.send(Order::Tickets(tickets));
    }

    /// A migration begins: asks viewers to connect to the server at the target, which they are not
    /// shown yet. `done` is called on the server's thread when all have answered, after 10 s at the
    /// latest, and tells what came of it; the machine can then go there. What was begun before is
    /// cancelled.
    pub fn migrate_begin(&self, target: MigrationTarget, done: impl FnOnce(MigrationBegun) + Send + 'static) {
        // Nobody is there to be moved by a server that broke down, here and below.
        let _ = self.orders.send(Order::BeginMigration(target, Box::new(done)));
    }

    /// The migration ends. `completed`: the machine runs at the target, viewers go there, each in the
    /// best way that it and the target know; otherwise they stay. `done` is called on the server's
    /// thread when they have gone, after 10 s at the latest.
    pub fn migrate_end(&self, completed: bool, done: impl FnOnce() + Send + 'static) {
        let _ = self.orders.send(Order::EndMigration(completed, Box::new(done)));
    }

    /// Tells viewers to leave and to connect to the target anew, whatever they can; `done` is called as
    /// by [`migrate_end`](Self::migrate_end).
    pub fn switch_host(&self, target: MigrationTarget, done: impl FnOnce() + Send + 'static) {
        let _ = self.orders.send(Order::SwitchHost(target, Box::new(done)));
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        let _ = self.orders.send(Order::Quit);
        if let Some(thread) = self.thread.take() {
            // A thread that broke down has ended, too.
            let _ = thread.join();
        }
    }
}

/// What lives on the thread.
struct Server {
    engine: Rc<Engine>,
    gate: Rc<Gate>,
    listeners: Option<Listeners>,
    source: Ended,
}

impl Server {
    async fn start(
        config: Config,
        tickets: TicketCheck,
        source: Box<dyn Source>,
        observer: Observer,
    ) -> anyhow::Result<Self> {
        let gate = Rc::new(Gate::new(&config)?);
        let sasl = config.sasl.is_wanted().then(|| Sasl::open(&config.sasl)).transpose()?;
        let keys = KeyStock::start()?;
        let listen = &config.listen;
        let listens = listen.port.is_some() || listen.tls_port.is_some() || listen.unix.is_some();
        let listeners = listens.then(|| Listeners::open(listen)).transpose()?;
        let epoch = tokio::time::Instant::now();
        let displays = Displays::new(&config, epoch);
        let (source, ended) = SourceThread::start(source, Arc::new(displays.host().clone()))?;
        let engine = Engine::new(config, epoch, displays, source, keys, Tickets::new(tickets), sasl);
        engine.observe(observer);
        Ok(Self { engine, gate, listeners, source: ended })
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        let listeners = self.listeners.iter();
        listeners.flat_map(|open| open.tcp_addresses().iter().chain(open.tls_addresses())).copied().collect()
    }

    /// Serves until it is told to end.
    async fn run(mut self, mut orders: UnboundedReceiver<Order>) {
        let lobby = Waiting::default();
        let engine = Rc::clone(&self.engine);
        let serve = |stream: Stream, peer: Peer, entrance: Entrance, trusted: bool| {
            let newcomer = Newcomer { gate: Rc::clone(&self.gate), stream, peer, entrance, trusted };
            tokio::task::spawn_local(connection(Rc::clone(&engine), Rc::clone(&lobby), newcomer));
        };
        loop {
            tokio::select! {
                (stream, peer, entrance) = accept(&mut self.listeners) => serve(stream, peer, entrance, false),
                () = engine.displays().mail() => engine.take_mail(),
                () = engine.displays().encoded() => engine.displays().collect(),
                () = super::running::sleep_until(engine.displays().deadline()) => engine.displays().on_time(),
                order = orders.recv() => match order {
                    Some(Order::Client { socket, entrance, trusted }) => match adopt(socket) {
                        Ok((stream, peer)) => serve(stream, peer, entrance, trusted),
                        Err(error) => tracing::warn!(%error, "a socket of the program's cannot be served"),
                    },
                    Some(Order::BeginMigration(target, done)) => {
                        let engine = Rc::clone(&engine);
                        tokio::task::spawn_local(async move {
                            done(engine.migration().begin(&target, engine.sessions()).await);
                        });
                    }
                    Some(Order::EndMigration(completed, done)) => {
                        let engine = Rc::clone(&engine);
                        tokio::task::spawn_local(async move {
                            engine.migration().end(completed, engine.sessions()).await;
                            done();
                        });
                    }
                    Some(Order::SwitchHost(target, done)) => {
                        let engine = Rc::clone(&engine);
                        tokio::task::spawn_local(async move {
                            engine.migration().switch_host(&target, engine.sessions()).await;
                            done();
                        });
                    }
                    Some(Order::Tickets(tickets)) => engine.tickets.borrow_mut().set_rule(tickets),
                    Some(Order::Disconnect) => {
                        engine.sessions().iter().for_each(|session| session.end("the program disconnects all viewers"));
                    }
                    Some(Order::Quit) | None => break,
                },
            }
        }
        engine.source().tell(ToSource::Quit);
        engine.displays().end_video(LAST_WORDS).await;
        engine.displays().end();
        // Viewers leave, and let go of what they were shown.
        tokio::task::yield_now().await;
        // A source that does not end in time is left to the end of the process.
        let _ = tokio::time::timeout(LAST_WORDS, self.source).await;
        engine.displays().end();
    }
}

async fn accept(listeners: &mut Option<Listeners>) -> (Stream, Peer, Entrance) {
    match listeners {
        Some(listeners) => listeners.accept().await,
        None => std::future::pending().await,
    }
}

/// A connected socket as one that was accepted.
fn adopt(socket: OwnedFd) -> io::Result<(Stream, Peer)> {
    rustix::io::ioctl_fionbio(&socket, true)?;
    if rustix::net::sockopt::socket_domain(&socket)? == rustix::net::AddressFamily::UNIX {
        return crate::transport::from_unix(UnixStream::from_std(StdUnixStream::from(socket))?);
    }
    let stream = TcpStream::from_std(socket.into())?;
    let address = stream.peer_addr()?;
    crate::transport::from_tcp((stream, address))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{Read, Write};
    use std::net::TcpStream as StdTcpStream;
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, Sender, channel};

    use super::*;
    use crate::config::Listen;
    use crate::source::{Host, Inbox, SourceStats};

    /// Tells that it runs and that it was told to quit.
    struct Told(Mutex<Sender<&'static str>>);

    impl Source for Told {
        fn stats(&self) -> Arc<SourceStats> {
            Arc::default()
        }

        fn run(self: Box<Self>, _: Arc<dyn Host>, inbox: Inbox) -> anyhow::Result<()> {
            let told = self.0.into_inner()?;
            told.send("runs")?;
            while inbox.recv()? != ToSource::Quit {}
            Ok(told.send("quit")?)
        }
    }

    fn embedded(listen: Listen) -> (Embedded, Receiver<&'static str>) {
        let (tell, told) = channel();
        let config = Config { listen, ..Config::default() };
        let source = Box::new(Told(Mutex::new(tell)));
        (Embedded::start(config, TicketCheck::disabled(), source, Box::new(|_| ())).unwrap(), told)
    }

    #[test]
    fn it_listens_when_it_is_there_and_ends_when_it_is_dropped() {
        let (server, told) = embedded(Listen { port: Some(0), ..Listen::default() });
        assert_eq!(told.recv(), Ok("runs"));
        let mut client = StdTcpStream::connect(server.addresses()[0]).unwrap();
        client.write_all(b"REDQ").unwrap();
        drop(server);
        assert_eq!(told.recv(), Ok("quit"));
        assert!(!client.read(&mut [0; 16]).is_ok_and(|n| n > 0), "nobody answers");
    }

    #[test]
    fn it_needs_no_port_and_takes_sockets() {
        let (server, _told) = embedded(Listen::default());
        assert_eq!(server.addresses(), []);
        let (mut ours, theirs) = StdUnixStream::pair().unwrap();
        server.add_client(theirs.into(), Entrance::Any, false);
        // A link message of another major version is answered.
        ours.write_all(b"REDQ\x09\0\0\0\0\0\0\0\x12\0\0\0").unwrap();
        let mut answer = [0; 4];
        ours.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"REDQ");
        assert!(adopt(fs::File::open("/dev/null").unwrap().into()).is_err(), "no socket");
    }

    #[test]
    fn its_threads_block_all_signals() {
        let (server, _told) = embedded(Listen::default());
        let mut seen = 0;
        for task in fs::read_dir("/proc/self/task").unwrap() {
            let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap_or_default();
            let field = |name| status.lines().find_map(|line: &str| line.strip_prefix(name)).unwrap_or("").trim();
            if field("Name:") == "sumac" {
                seen += 1;
                let blocked = u64::from_str_radix(field("SigBlk:"), 16).unwrap();
                // All but SIGKILL and SIGSTOP, and the two that the C library keeps.
                assert_eq!(blocked | 1 << 8 | 1 << 18 | 3 << 31, u64::MAX, "{blocked:#x}");
            }
        }
        assert!(seen > 0);
        drop(server);
    }

    #[test]
    fn a_port_that_is_taken_is_an_error() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = Some(taken.local_addr().unwrap().port());
        let config = Config { listen: Listen { port, ..Listen::default() }, ..Config::default() };
        let (tell, _told) = channel();
        let source = Box::new(Told(Mutex::new(tell)));
        let error = Embedded::start(config, TicketCheck::disabled(), source, Box::new(|_| ())).unwrap_err();
        assert!(format!("{error:#}").contains("cannot listen on"), "{error:#}");
    }
}
