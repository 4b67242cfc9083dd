//! [`Viewer`]: somebody who comes, does this and that, and goes in one way or another; again and again.

use std::fmt;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use sumac_core::channel::client::{Cursor, Dialect, Display, Inputs, Main};
use sumac_core::link::ClientConfig;
use sumac_core::proto::agent::PROTOCOL;
use sumac_core::proto::caps::{DisplayCaps, InputsCaps, MainCaps};
use sumac_core::proto::common::{ChannelType, ClientMessage as Common, Disconnecting, LinkError};
use sumac_core::proto::inputs::{ClientMessage as Input, KeyDown, KeyUp, MouseButtons, MousePosition};
use sumac_core::proto::main::{AgentStart, ClientAgentData, ClientMessage as MainSays, ServerMessage as MainHears};
use sumac_core::proto::{display, main};
use sumac_core::wire::{Data, Rest, Sampler};
use sumac_tests::client::{Channel, Way, Wire};

/// How long one channel is read at a time.
const LOOK: Duration = Duration::from_millis(5);
/// How long a server may take to open a session.
const OPEN: Duration = Duration::from_secs(60);
/// A link may take as long; where a viewer had no turn for longer, what the server did is its right.
const LATE: Duration = Duration::from_secs(10);

/// What all viewers did.
#[derive(Default)]
pub(crate) struct Tally {
    visits: AtomicU64,
    strangers: AtomicU64,
    goodbyes: AtomicU64,
    vanished: AtomicU64,
    stalled: AtomicU64,
    corrupted: AtomicU64,
    /// Visits that ended because this machine was too slow for the server's deadlines.
    late: AtomicU64,
    messages: AtomicU64,
    /// Milliseconds of the slowest connect up to INIT.
    slowest: AtomicU64,
    wrong: Mutex<Vec<String>>,
}

impl Tally {
    pub(crate) fn wrong(&self, what: String) {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }

    pub(crate) fn take_wrong(&self) -> Vec<String> {
        std::mem::take(&mut self.wrong.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        write!(f, "{} visits ({} said goodbye, ", get(&self.visits), get(&self.goodbyes))?;
        write!(f, "{} vanished, {} stalled, ", get(&self.vanished), get(&self.stalled))?;
        write!(f, "{} said what is no SPICE), {} strangers, ", get(&self.corrupted), get(&self.strangers))?;
        write!(f, "{} given up after more than {} s without a turn, ", get(&self.late), LATE.as_secs())?;
        write!(f, "{} messages, slowest connect {} ms", get(&self.messages), get(&self.slowest))
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

pub(crate) struct Viewer {
    ways: Arc<Vec<Way>>,
    tally: Arc<Tally>,
    chance: Sampler,
    /// When it last had all it wanted of the server.
    served: Instant,
}

/// A viewer's open channels.
struct Look {
    main: Channel<Main>,
    display: Channel<Display>,
    inputs: Channel<Inputs>,
    cursor: Channel<Cursor>,
}

impl Viewer {
    pub(crate) fn new(ways: Arc<Vec<Way>>, tally: Arc<Tally>, seed: u64) -> Self {
        Self { ways, tally, chance: Sampler::new(seed), served: Instant::now() }
    }

    /// Comes and goes until it is over.
    pub(crate) fn live(mut self, over: &AtomicBool) {
        while !over.load(Ordering::Relaxed) {
            let way = self.ways[self.chance.below(self.ways.len())].clone();
            self.served = Instant::now();
            let done = if self.chance.below(6) == 0 { self.intrude(&way) } else { self.visit(&way, over) };
            if let Err(error) = done {
                if self.served.elapsed() > LATE {
                    count(&self.tally.late);
                    continue;
                }
                let way = format!("{:?}, TLS {}, WebSocket {}", way.place, way.tls.is_some(), way.websocket);
                self.tally.wrong(format!("{way}: {error}"));
                thread::sleep(Duration::from_millis(500));
            }
        }
    }

    /// Connects and says anything, or half of a link.
    fn intrude(&mut self, way: &Way) -> io::Result<()> {
        let mut wire = Wire::connect(way)?;
        let link = b"REDQ\x02\0\0\0\x02\0\0\0\x16\0\0\0\0\0\0\0\x01\0\x01\0\0\0\0\0\0\0\x12\0\0\0\x0b\0\0\0";
        let bytes = match self.chance.below(3) {
            0 => self.noise(200),
            1 => link[..self.chance.below(link.len())].to_vec(),
            _ => link.to_vec(),
        };
        // The server may close while it is told.
        let _ = wire.write_all(&bytes);
        thread::sleep(Duration::from_millis(self.chance.below(200) as u64));
        count(&self.tally.strangers);
        Ok(())
    }

    fn visit(&mut self, way: &Way, over: &AtomicBool) -> io::Result<()> {
        let start = Instant::now();
        let mut look = self.open(way)?;
        let took = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.tally.slowest.fetch_max(took, Ordering::Relaxed);
        count(&self.tally.visits);
        for _ in 0..self.chance.below(30) {
            match self.chance.below(8) {
                0..=3 => self.type_keys(&mut look)?,
                4 | 5 => self.point(&mut look)?,
                6 => self.resize(&mut look)?,
                _ => {}
            }
            look.watch(Duration::from_millis(20 + self.chance.below(200) as u64))?;
            self.served = Instant::now();
        }
        self.go(look, over)
    }

    fn open(&mut self, way: &Way) -> io::Result<Look> {
        let main_caps = MainCaps::AGENT_CONNECTED_TOKENS | MainCaps::NAME_AND_UUID;
        let mut main = Channel::<Main>::open(way, ClientConfig::new(0, ChannelType::MAIN, 0, main_caps.bits()))?;
        let (start, mut session) = (Instant::now(), None);
        while session.is_none() && start.elapsed() < OPEN {
            let open = main.turn(LOOK, |message| {
                if let MainHears::Init(main::Init { session_id, .. }) = message {
                    session = Some(session_id);
                }
            })?;
            if !open {
                return Err(io::Error::other("the main channel was closed before its INIT"));
            }
        }
        let session = session.ok_or_else(|| io::Error::other("no INIT"))?;
        let link = |kind, caps| ClientConfig::new(session, kind, 0, caps);
        let base = DisplayCaps::MONITORS_CONFIG | DisplayCaps::STREAM_REPORT | DisplayCaps::COMPOSITE;
        let codecs = DisplayCaps::MULTI_CODEC | DisplayCaps::CODEC_MJPEG | DisplayCaps::CODEC_H264;
        let caps =
            [base, base | codecs, base | DisplayCaps::LZ4_COMPRESSION, DisplayCaps::empty()][self.chance.below(4)];
        let mut display = Channel::<Display>::open(way, link(ChannelType::DISPLAY, caps.bits()))?;
        let cache = if self.chance.below(2) == 0 { 0 } else { 1 << 20 };
        display.say(&display::ClientMessage::Init(display::Init {
            pixmap_cache_id: 1,
            pixmap_cache_size: cache,
            glz_dictionary_id: 1,
            glz_dictionary_window_size: 1 << 20,
        }))?;
        let inputs = Channel::open(way, link(ChannelType::INPUTS, InputsCaps::KEY_SCANCODE.bits()))?;
        let cursor = Channel::open(way, link(ChannelType::CURSOR, 0))?;
        Ok(Look { main, display, inputs, cursor })
    }

    /// Letters into the test desktop's terminal.
    fn type_keys(&mut self, look: &mut Look) -> io::Result<()> {
        for _ in 0..=self.chance.below(10) {
            let code = 0x10 + self.chance.below(0x25) as u32;
            look.inputs.say(&Input::KeyDown(KeyDown { code }))?;
            look.inputs.say(&Input::KeyUp(KeyUp { code: code | 0x80 }))?;
        }
        Ok(())
    }

    fn point(&mut self, look: &mut Look) -> io::Result<()> {
        let buttons_state = MouseButtons::from_bits_retain((self.chance.below(2)) as u16);
        for _ in 0..=self.chance.below(20) {
            let (x, y) = (self.chance.below(2000) as u32, self.chance.below(1200) as u32);
            look.inputs.say(&Input::MousePosition(MousePosition { x, y, buttons_state, display_id: 0 }))?;
        }
        Ok(())
    }

    /// By the agent's stream, as real viewers do.
    fn resize(&mut self, look: &mut Look) -> io::Result<()> {
        look.main.say(&MainSays::AgentStart(AgentStart { tokens: 10 }))?;
        let (width, height) = (320 + self.chance.below(1300) as u32, 200 + self.chance.below(800) as u32);
        let config = [1, 0, height, width, 32, 0, 0];
        let words = [PROTOCOL, 2, 0, 0, 4 * config.len() as u32];
        let chunk: Vec<u8> = words.into_iter().chain(config).flat_map(u32::to_le_bytes).collect();
        look.main.say(&MainSays::ClientAgentData(ClientAgentData { data: Rest(Data::Here(&chunk)) }))
    }

    fn go(&mut self, mut look: Look, over: &AtomicBool) -> io::Result<()> {
        match self.chance.below(8) {
            0..=2 => {
                let goodbye = Disconnecting { time_stamp: 0, reason: LinkError::OK };
                look.main.say(&MainSays::Common(Common::Disconnecting(goodbye)))?;
                count(&self.tally.goodbyes);
            }
            3 | 4 => count(&self.tally.vanished),
            5 => {
                let end = Instant::now() + Duration::from_millis(self.chance.below(8000) as u64);
                while Instant::now() < end && !over.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(50));
                }
                count(&self.tally.stalled);
            }
            _ => {
                let noise = self.noise(3000);
                let said = match self.chance.below(4) {
                    0 => look.main.say_bytes(&noise),
                    1 => look.display.say_bytes(&noise),
                    2 => look.inputs.say_bytes(&noise),
                    _ => look.cursor.say_bytes(&noise),
                };
                // The server may close while it is told, and then its other channels, too.
                let _ = said.and_then(|()| look.watch(Duration::from_millis(100)));
                count(&self.tally.corrupted);
            }
        }
        let heard = look.main.heard() + look.display.heard() + look.inputs.heard() + look.cursor.heard();
        self.tally.messages.fetch_add(heard, Ordering::Relaxed);
        Ok(())
    }

    fn noise(&mut self, most: usize) -> Vec<u8> {
        (0..=self.chance.below(most)).map(|_| self.chance.below(256) as u8).collect()
    }
}

impl Look {
    /// Reads all channels for a while.
    fn watch(&mut self, time: Duration) -> io::Result<()> {
        let end = Instant::now() + time;
        loop {
            turn(&mut self.main, "main")?;
            turn(&mut self.display, "display")?;
            turn(&mut self.inputs, "inputs")?;
            turn(&mut self.cursor, "cursor")?;
            if Instant::now() >= end {
                return Ok(());
            }
        }
    }
}

fn turn<D: Dialect>(channel: &mut Channel<D>, name: &str) -> io::Result<()> {
    let open = channel.turn(LOOK, |_| {}).map_err(|error| io::Error::new(error.kind(), format!("{name}: {error}")))?;
    if open { Ok(()) } else { Err(io::Error::other(format!("the server closed the {name} channel"))) }
}
