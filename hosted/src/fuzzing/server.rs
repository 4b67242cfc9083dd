//! [`Server`]: the engine with all that viewers can do, over sockets that lead nowhere.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice, Read, Write};
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use sumac_core::channel::Negotiated;
use sumac_core::link::Opened;
use sumac_core::proto::common::ChannelType;
use tokio::runtime::{self, Runtime};
use tokio::task::LocalSet;

use crate::auth::{Grant, KeyStock};
use crate::config::Config;
use crate::connection::Linked;
use crate::devices::Devices;
use crate::server::Engine;
use crate::server::testing::engine_with;
use crate::source::{Host, Size, Stage};
use crate::transport::{Peer, Stream};
use crate::viewer;

/// Times that all tasks run at most until they are thought to be at rest.
const TURNS: usize = 16;

/// A server with display 0; no time passes but the real one.
pub struct Server {
    runtime: Runtime,
    local: LocalSet,
    engine: Rc<Engine>,
    stage: RefCell<Box<dyn Stage>>,
}

/// The channel that a client links.
#[derive(Clone, Copy, Debug)]
pub struct Channel {
    /// Its session; 0 for a new one, with a main channel.
    pub session: u32,
    /// SPICE's channel type.
    pub kind: u8,
    /// Which one of the type.
    pub id: u8,
    /// Whether headers are short.
    pub mini_header: bool,
    /// The client's capabilities for this channel.
    pub caps: u32,
}

/// A client's end of one channel.
pub struct Client {
    socket: UnixStream,
    open: Rc<Cell<bool>>,
}

impl Server {
    /// One whose display has this size and shows nothing yet.
    pub fn new(width: u32, height: u32) -> anyhow::Result<Self> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        super::survive_broken_pipes(&runtime)?;
        let size = Size { width, height };
        let config = Config { size, video_codecs: "mjpeg".parse()?, ..Config::default() };
        let engine = {
            let _inside = runtime.enter();
            engine_with(config, KeyStock::empty())?
        };
        let stage = engine.displays().host().display(0);
        let stage = RefCell::new(stage.ok_or_else(|| io::Error::other("display 0 is there already"))?);
        engine.take_mail();
        Ok(Self { runtime, local: LocalSet::new(), engine, stage })
    }

    /// Links a channel, if there is such a one: what comes after its link result is up to the client.
    pub fn link(&self, channel: Channel) -> io::Result<Client> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        theirs.set_nonblocking(true)?;
        let negotiated = Negotiated { mini_header: channel.mini_header, peer_caps: channel.caps };
        let Channel { session: connection_id, kind, id, .. } = channel;
        let opened = Opened { negotiated, connection_id, channel_type: ChannelType(kind), channel_id: id };
        let open = Rc::new(Cell::new(true));
        let (engine, closed) = (Rc::clone(&self.engine), Rc::clone(&open));
        let _inside = self.runtime.enter();
        let stream = Stream::from(tokio::net::UnixStream::from_std(ours)?);
        self.local.spawn_local(async move {
            let peer = Peer::Unix { uid: 0, pid: None };
            viewer::run(&engine, stream, &peer, Linked { opened, received: Vec::new(), grant: Grant::to_everybody() })
                .await;
            closed.set(false);
        });
        Ok(Client { socket: theirs, open })
    }

    /// Lets everybody do what can be done without waiting.
    pub fn turn(&self) {
        self.local.block_on(&self.runtime, async {
            for _ in 0..TURNS {
                self.engine.take_mail();
                self.engine.displays().collect();
                self.engine.displays().on_time();
                tokio::task::yield_now().await;
            }
        });
    }

    /// What the source shows.
    pub fn stage(&self) -> impl std::ops::DerefMut<Target = Box<dyn Stage>> + '_ {
        self.stage.borrow_mut()
    }

    /// Its sound, devices and clipboard.
    pub fn devices(&self) -> Devices {
        self.engine.displays().host().peripherals().devices.clone()
    }
}

impl Client {
    /// Says bytes, as many as the socket takes now; answers how many.
    pub fn say(&mut self, bytes: &[u8]) -> usize {
        self.socket.write_vectored(&[IoSlice::new(bytes)]).unwrap_or(0)
    }

    /// What has come, this many bytes at most.
    pub fn hear(&mut self, most: usize) -> Vec<u8> {
        let mut heard = vec![0; most];
        let len = self.socket.read(&mut heard).unwrap_or(0);
        heard.truncate(len);
        heard
    }

    /// Whether the server has the channel open.
    pub fn is_open(&self) -> bool {
        self.open.get()
    }
}
