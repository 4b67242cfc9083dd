//! What a viewer that types waits for its picture, while others flood the server and while they do not.
//!
//! `flood SUMAC [SECONDS]` starts that program with a test desktop that moves only when typed into, and
//! prints for each flood milliseconds from a key to the picture that shows it: median and 99th percentile.
//! The figures are for people: nothing fails because of them.

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use sumac_core::channel::client::{Dialect, Display, Inputs, Main};
use sumac_core::link::ClientConfig;
use sumac_core::proto::agent::PROTOCOL;
use sumac_core::proto::caps::{DisplayCaps, InputsCaps, MainCaps};
use sumac_core::proto::common::ChannelType;
use sumac_core::proto::display::{self, ServerMessage as Drawn};
use sumac_core::proto::inputs::{ClientMessage as Input, KeyDown, KeyUp};
use sumac_core::proto::main::ServerMessage as MainHears;
use sumac_tests::client::{Channel, Server, Way, Wire};

/// Who floods, each on a connection of its own.
const FLOODERS: usize = 3;
/// Bytes that a flooder says at once.
const AT_ONCE: usize = 32 * 1024;
/// How long a picture is waited for at most.
const PATIENCE: Duration = Duration::from_secs(30);
/// A key is pressed when the picture has rested for so long.
const REST: Duration = Duration::from_millis(60);

/// What is said again and again, on which channel; a link when there is none.
type Flood = Option<(ChannelType, fn() -> Vec<u8>)>;

const FLOODS: [(&str, Flood); 6] = [
    ("links", None),
    ("pongs", Some((ChannelType::MAIN, || message(3, &[0; 12])))),
    ("stream reports", Some((ChannelType::DISPLAY, || message(102, &[0; 32])))),
    ("agent data", Some((ChannelType::MAIN, || message(107, &[0; 2048])))),
    ("resizes", Some((ChannelType::MAIN, resize))),
    ("migrate data", Some((ChannelType::MAIN, || message(5, &[0; 4096])))),
];

fn message(id: u16, body: &[u8]) -> Vec<u8> {
    [&id.to_le_bytes()[..], &u32::try_from(body.len()).unwrap_or(0).to_le_bytes(), body].concat()
}

/// To the size that the desktop has: another one would be a picture of its own.
fn resize() -> Vec<u8> {
    let words = [PROTOCOL, 2, 0, 0, 28, 1, 0, 720, 1280, 32, 0, 0];
    message(107, &words.map(u32::to_le_bytes).concat())
}

fn main() -> ExitCode {
    let mut words = env::args().skip(1);
    let (program, seconds) = (words.next(), words.next().map_or(Some(10), |word| word.parse().ok()));
    let (Some(program), Some(seconds)) = (program, seconds) else {
        say("usage: flood SUMAC [SECONDS]");
        return ExitCode::FAILURE;
    };
    match all(&program, Duration::from_secs(seconds)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("flood: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

fn all(program: &str, time: Duration) -> io::Result<()> {
    let server = Server::start(program, &["--freeze", "--auth-rate", "off"])?;
    let ways = server.ways()?;
    let way = ways.first().ok_or_else(|| io::Error::other("no way"))?;
    let mut typist = Typist::open(way)?;
    say("flood              keys   ms p50   ms p99   said by flooders, connections");
    for (name, what) in [("none", None)].into_iter().chain(FLOODS.map(|(name, what)| (name, Some(what)))) {
        let (over, said, links) =
            (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let flooders: Vec<_> = what.map_or_else(Vec::new, |what| {
            let start = |_| {
                let (way, over, said, links) = (way.clone(), Arc::clone(&over), Arc::clone(&said), Arc::clone(&links));
                thread::spawn(move || {
                    while !over.load(Ordering::Relaxed) {
                        links.fetch_add(1, Ordering::Relaxed);
                        // Whoever is thrown out comes again.
                        let _ = flood(&way, what, &over, &said);
                    }
                })
            };
            (0..FLOODERS).map(start).collect()
        });
        let mut waits = typist.type_for(time)?;
        over.store(true, Ordering::Relaxed);
        for flooder in flooders {
            let _ = flooder.join();
        }
        waits.sort_unstable();
        let at = |percent: usize| waits.get(waits.len().saturating_sub(1) * percent / 100).copied().unwrap_or_default();
        let ms = |wait: Duration| wait.as_secs_f64() * 1000.0;
        let (said, links) = (said.load(Ordering::Relaxed) / 1024, links.load(Ordering::Relaxed));
        let (p50, p99) = (ms(at(50)), ms(at(99)));
        say(&format!("{name:<16} {:>6} {p50:>8.1} {p99:>8.1}   {said} KiB, {links}", waits.len()));
    }
    let wrong = server.end()?;
    if wrong.is_empty() { Ok(()) } else { Err(io::Error::other(wrong.join("; "))) }
}

fn flood(way: &Way, what: Flood, over: &AtomicBool, said: &AtomicU64) -> io::Result<()> {
    let Some((kind, bytes)) = what else {
        let mut wire = Wire::connect(way)?;
        let link = b"REDQ\x02\0\0\0\x02\0\0\0\x16\0\0\0\0\0\0\0\x01\0\x01\0\0\0\0\0\0\0\x12\0\0\0\x0b\0\0\0";
        said.fetch_add(link.len() as u64, Ordering::Relaxed);
        return wire.write_all(link);
    };
    let (mut main, session) = open_main(way)?;
    let bytes = bytes();
    let many = bytes.repeat((AT_ONCE / bytes.len()).max(1));
    if kind == ChannelType::MAIN {
        // AGENT_START.
        main.say_bytes(&message(106, &10_u32.to_le_bytes()))?;
        return repeat(&mut main, &many, over, said);
    }
    let mut display = open_display(way, session)?;
    repeat(&mut display, &many, over, said)
}

fn repeat<D: Dialect>(channel: &mut Channel<D>, many: &[u8], over: &AtomicBool, said: &AtomicU64) -> io::Result<()> {
    while !over.load(Ordering::Relaxed) && channel.turn(Duration::from_millis(1), |_| {})? {
        channel.say_bytes(many)?;
        said.fetch_add(many.len() as u64, Ordering::Relaxed);
    }
    Ok(())
}

fn open_main(way: &Way) -> io::Result<(Channel<Main>, u32)> {
    let caps = MainCaps::AGENT_CONNECTED_TOKENS.bits();
    let mut main = Channel::<Main>::open(way, ClientConfig::new(0, ChannelType::MAIN, 0, caps))?;
    let (start, mut session) = (Instant::now(), 0);
    while session == 0 && start.elapsed() < PATIENCE {
        main.turn(Duration::from_millis(5), |message| {
            if let MainHears::Init(init) = message {
                session = init.session_id;
            }
        })?;
    }
    Ok((main, session))
}

fn open_display(way: &Way, session: u32) -> io::Result<Channel<Display>> {
    let caps = DisplayCaps::STREAM_REPORT.bits();
    let mut display = Channel::<Display>::open(way, ClientConfig::new(session, ChannelType::DISPLAY, 0, caps))?;
    display.say(&display::ClientMessage::Init(display::Init {
        pixmap_cache_id: 1,
        pixmap_cache_size: 0,
        glz_dictionary_id: 1,
        glz_dictionary_window_size: 0,
    }))?;
    Ok(display)
}

/// The viewer that is not to notice.
struct Typist {
    main: Channel<Main>,
    display: Channel<Display>,
    inputs: Channel<Inputs>,
}

impl Typist {
    fn open(way: &Way) -> io::Result<Self> {
        let (main, session) = open_main(way)?;
        let caps = InputsCaps::KEY_SCANCODE.bits();
        let inputs = Channel::open(way, ClientConfig::new(session, ChannelType::INPUTS, 0, caps))?;
        Ok(Self { main, display: open_display(way, session)?, inputs })
    }

    /// Types one key after the other; how long each one's picture took.
    fn type_for(&mut self, time: Duration) -> io::Result<Vec<Duration>> {
        let (start, mut waits) = (Instant::now(), Vec::new());
        while start.elapsed() < time {
            while self.is_drawn(REST)? {}
            let pressed = Instant::now();
            // A letter, and Backspace: a line that is full would show no more of them.
            let code = if waits.len() % 2 == 0 { 0x1e } else { 0x0e };
            self.inputs.say(&Input::KeyDown(KeyDown { code }))?;
            self.inputs.say(&Input::KeyUp(KeyUp { code: code | 0x80 }))?;
            while !self.is_drawn(Duration::from_millis(100))? {
                if pressed.elapsed() > PATIENCE {
                    return Err(io::Error::other("a key without a picture"));
                }
            }
            waits.push(pressed.elapsed());
        }
        Ok(waits)
    }

    /// Whether something was drawn within this time. The other channels are read, too.
    fn is_drawn(&mut self, within: Duration) -> io::Result<bool> {
        let (end, mut drawn) = (Instant::now() + within, false);
        while !drawn && Instant::now() < end {
            let open = self.display.turn(Duration::from_millis(2), |message| {
                drawn |= !matches!(message, Drawn::Common(_));
            })?;
            if !open {
                return Err(io::Error::other("the display channel was closed"));
            }
        }
        let brief = Duration::from_micros(100);
        let others = self.main.turn(brief, |_| {})? && self.inputs.turn(brief, |_| {})?;
        if others { Ok(drawn) } else { Err(io::Error::other("a channel was closed")) }
    }
}
