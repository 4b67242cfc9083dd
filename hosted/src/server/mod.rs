//! [`serve`]: the whole server, from its configuration to its end.

mod checks;
mod displays;
mod engine;
mod source_thread;
#[cfg(test)]
pub(crate) mod testing;
mod welcome;

use std::cell::RefCell;
use std::io;
use std::process::ExitStatus;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::runtime;
use tokio::sync::Notify;
use tokio::task::LocalSet;

pub(crate) use displays::{Display, Displays};
pub(crate) use engine::{Engine, Found, Watching};
use source_thread::{Ended, SourceThread};
use welcome::{Access, welcome};

use crate::auth::KeyStock;
use crate::config::{Config, QemuAddress, QemuDisplay, SourceChoice};
use crate::connection::{LinkFailed, Linked, handshake};
use crate::ledger::Refused;
use crate::metrics::{self, Answer, Status};
use crate::png::write_bgrx_png;
use crate::qemu::{Prepared, QemuCommand, exited};
use crate::signals::{Request, Signals};
use crate::sound::report_opus;
use crate::source::{Frames, Host, Qemu, Source, TestDesktop, ToSource};
use crate::stats::{Memory, Ready, Reporter};
use crate::transport::{Entrance, Gate, HANDSHAKE_TIME, ListenError, Listeners, Lobby, NotEntered, Peer, Stream};
use crate::viewer;

/// How long a source may take to show its first picture.
const FIRST_PICTURE: Duration = Duration::from_secs(10);
/// How long a refused peer may take to read why.
const LINGER: Duration = Duration::from_secs(1);
/// How long everything may take to end.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Serves until SIGTERM or SIGINT. Fails when it cannot start (no access to a socket or a file) or
/// when the source cannot go on.
pub fn serve(config: Config) -> anyhow::Result<()> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, run(config, None)).map(drop)
}

/// Starts a QEMU and serves these of its consoles, or all graphical ones, until it ends; answers
/// how it ended. SIGTERM and SIGINT are passed on to it. Fails when the server or QEMU cannot start.
/// A server that cannot go on leaves the virtual machine running.
pub fn serve_qemu(mut config: Config, command: QemuCommand, consoles: Vec<u32>) -> anyhow::Result<ExitStatus> {
    let (qemu, monitor) = Prepared::new(command)?;
    let address = QemuAddress::Monitor(Arc::new(monitor));
    config.source = SourceChoice::Qemu(QemuDisplay { address, consoles });
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let ended = LocalSet::new().block_on(&runtime, run(config, Some(qemu)))?;
    ended.context("the server ended before QEMU")
}

/// Answers how QEMU ended, if there was one.
async fn run(config: Config, qemu: Option<Prepared>) -> anyhow::Result<Option<ExitStatus>> {
    let mut signals = Signals::install(config.tls.is_wanted())?;
    let gate = Rc::new(Gate::new(&config)?);
    let access = Access::prepare(&config.ticketing)?;
    let keys = KeyStock::start()?;
    report_opus();
    let epoch = tokio::time::Instant::now();
    let displays = Displays::new(&config, epoch);
    let source = make_source(&config)?;
    let (source, mut ended) = SourceThread::start(source, Arc::new(displays.host().clone()))?;
    first_picture(&displays, &mut ended).await?;
    write_reference(&config, &displays)?;
    let mut listeners = Listeners::open(&config.listen)?;
    let metrics = open_metrics(&config).await?;
    // Only now, so that no QEMU runs that nobody can reach.
    let mut qemu = qemu.map(Prepared::start).transpose()?;
    let ready = Ready {
        tcp: listeners.tcp_addresses().to_vec(),
        tls: listeners.tls_addresses().to_vec(),
        unix: listeners.unix_address().cloned(),
        size: displays.first_shown().and_then(|scene| scene.size()).unwrap_or(config.size),
        codecs: displays.encoders().list(),
        metrics: metrics.as_ref().map(TcpListener::local_addr).transpose()?,
    };
    // Before "ready", so that whoever waits for that line finds the connection file.
    welcome(&config, &access, &listeners, &gate);
    let reporter = Reporter::start(io::stdout(), &ready, source.activity(Arc::clone(displays.ledger())), config.stats)?;
    let tickets = access.ticket_check(Instant::now());
    let engine = Engine::new(config, epoch, displays, source, keys, tickets);
    checks::start(engine.config(), engine.displays().host().peripherals())?;
    if let Some(listener) = metrics {
        let engine = Rc::clone(&engine);
        tokio::task::spawn_local(metrics::serve(listener, Rc::new(move |path| answer(&engine, path))));
    }
    // What the source opened before there was an engine.
    engine.take_mail();
    let lobby = Rc::new(RefCell::new(Lobby::default()));
    let mut source_ended = false;
    let result = loop {
        tokio::select! {
            (stream, peer, entrance) = listeners.accept() => {
                let newcomer = Newcomer { gate: Rc::clone(&gate), stream, peer, entrance };
                tokio::task::spawn_local(connection(Rc::clone(&engine), Rc::clone(&lobby), newcomer));
            }
            () = engine.displays().mail() => engine.take_mail(),
            () = engine.displays().encoded() => engine.displays().collect(),
            () = sleep_until(engine.displays().deadline()) => engine.displays().on_time(),
            end = &mut ended, if !source_ended => {
                let end = end.unwrap_or_else(|_| Err(anyhow::anyhow!("it broke down"))).context("the source ended");
                match &qemu {
                    None => break end.map(|()| None),
                    // QEMU itself ends in a moment, or has a monitor and no display.
                    Some(qemu) => end.unwrap_or_else(|error| {
                        tracing::error!(error = format!("{error:#}"), "no picture from QEMU, which is told to end");
                        qemu.signal(Signal::TERM);
                    }),
                }
                source_ended = true;
            }
            status = exited(&mut qemu) => break status.map(Some),
            request = signals.next() => match request {
                Request::Quit(signal) => match &qemu {
                    Some(qemu) => qemu.signal(signal),
                    None => break Ok(None),
                },
                Request::Reload => gate.reload(),
                Request::WriteReference => {
                    engine.take_mail();
                    write_reference(engine.config(), engine.displays()).unwrap_or_else(|error| {
                        tracing::warn!(error = format!("{error:#}"), "cannot write the reference picture");
                    });
                }
            },
        }
    };
    engine.take_mail();
    let written = if result.is_ok() { write_reference(engine.config(), engine.displays()) } else { Ok(()) };
    engine.source().tell(ToSource::Quit);
    engine.displays().end_video(LAST_WORDS).await;
    engine.displays().end();
    // Viewers leave, and let go of what they were shown.
    tokio::task::yield_now().await;
    if result.is_ok() && !source_ended {
        // A source that does not end in time is left to the end of the process.
        let _ = tokio::time::timeout(LAST_WORDS, ended).await;
        // What it drew meanwhile is done, too.
        engine.displays().end();
    }
    reporter.finish();
    result.and_then(|status| written.map(|()| status))
}

fn make_source(config: &Config) -> anyhow::Result<Box<dyn Source>> {
    Ok(match &config.source {
        SourceChoice::TestDesktop => Box::new(TestDesktop::new(config.size, config.freeze).in_dmabufs(config.dmabuf)),
        SourceChoice::Frames(frames) => {
            let film = Frames::open(&frames.file, config.size, frames.rate, frames.stamp)?;
            Box::new(film.in_dmabufs(config.dmabuf))
        }
        SourceChoice::Qemu(display) => Box::new(Qemu::new(display.clone())),
    })
}

/// Opens what `--metrics` names.
async fn open_metrics(config: &Config) -> Result<Option<TcpListener>, ListenError> {
    let Some(at) = config.metrics else { return Ok(None) };
    let opened = TcpListener::bind(at).await;
    opened.map(Some).map_err(|source| ListenError::Open { at: at.to_string(), source })
}

/// What there is to read over HTTP.
fn answer(engine: &Engine, path: &str) -> Answer {
    let (status, body) = match path {
        "/metrics" => (Status::Ok, metrics::page(engine.displays().ledger(), &Memory::now())),
        "/healthz" if engine.displays().first_shown().is_some() => (Status::Ok, "ok\n".into()),
        "/healthz" => (Status::Unavailable, "the source shows no picture\n".into()),
        _ => (Status::NotFound, "there are /metrics and /healthz\n".into()),
    };
    Answer { status, body }
}

async fn sleep_until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Waits until the source has shown something.
async fn first_picture(displays: &Displays, ended: &mut Ended) -> anyhow::Result<()> {
    let shown = async {
        while displays.first_shown().is_none() {
            displays.mail().await;
            displays.take_mail();
        }
    };
    tokio::select! {
        shown = tokio::time::timeout(FIRST_PICTURE, shown) => {
            shown.map_err(|_| anyhow::anyhow!("the source showed nothing within {} s", FIRST_PICTURE.as_secs()))
        }
        end = ended => end?.and_then(|()| Err(anyhow::anyhow!("the source ended before it showed anything"))),
    }
}

/// Writes the first display's picture to the file of `--write-ref`, if there is one.
fn write_reference(config: &Config, displays: &Displays) -> anyhow::Result<()> {
    let (Some(path), Some(scene)) = (&config.write_ref, displays.first_shown()) else { return Ok(()) };
    let frame = scene.snapshot().context("reading the scanout")?;
    frame.map_or(Ok(()), |frame| write_bgrx_png(path, &frame))
}

/// A connection of which nothing is known.
struct Newcomer {
    gate: Rc<Gate>,
    stream: Stream,
    peer: Peer,
    entrance: Entrance,
}

/// A connection from accept to its end.
async fn connection(engine: Rc<Engine>, lobby: Rc<RefCell<Lobby<Rc<Notify>>>>, newcomer: Newcomer) {
    let Newcomer { gate, mut stream, peer, entrance } = newcomer;
    let leave = Rc::new(Notify::new());
    let (place, evicted) = lobby.borrow_mut().enter(peer.key(), Rc::clone(&leave));
    if let Some(evicted) = evicted {
        evicted.notify_one();
    }
    let linked = tokio::select! {
        linked = link(&engine, &gate, &mut stream, &peer, entrance) => linked,
        () = leave.notified() => {
            tracing::info!(%peer, "closed: too many connections wait to be linked");
            engine.displays().ledger().refuse(Refused::Crowded);
            return;
        }
    };
    match linked {
        Ok(linked) => {
            lobby.borrow_mut().leave(place);
            viewer::run(&engine, stream, &peer, linked).await;
        }
        Err(error) => {
            match &error {
                // Browsers ask for many files.
                LinkFailed::NotEntered(NotEntered::Page(..)) => tracing::debug!(%peer, "{error}"),
                _ => {
                    tracing::info!(%peer, reason = %error, "not linked");
                    engine.displays().ledger().refuse(error.class());
                }
            }
            linger(&mut stream).await;
            lobby.borrow_mut().leave(place);
        }
    }
}

/// From whatever the client speaks to an open channel, all of it within [`HANDSHAKE_TIME`].
async fn link(
    engine: &Engine,
    gate: &Gate,
    stream: &mut Stream,
    peer: &Peer,
    entrance: Entrance,
) -> Result<Linked, LinkFailed> {
    let start = tokio::time::Instant::now();
    let entered = tokio::time::timeout(HANDSHAKE_TIME, gate.enter(stream, entrance)).await;
    entered.map_err(|_| LinkFailed::Late)??;
    handshake(engine, stream, peer, HANDSHAKE_TIME.saturating_sub(start.elapsed())).await
}

/// Lets the peer read why it was refused: closing a socket with unread bytes in it would make TCP
/// throw away what was sent last.
async fn linger(stream: &mut Stream) {
    let drain = async {
        stream.shutdown().await?;
        let mut scrap = [0; 1024];
        while stream.read(&mut scrap).await? > 0 {}
        io::Result::Ok(())
    };
    // Whatever goes wrong now, the connection is over.
    let _ = tokio::time::timeout(LINGER, drain).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_whose_source_shows_nothing_is_not_well_and_says_why() {
        let engine = testing::engine(Config::default());
        let health = answer(&engine, "/healthz");
        assert_eq!((health.status, health.body.as_str()), (Status::Unavailable, "the source shows no picture\n"));
        let mut stage = engine.displays().host().display(0).unwrap();
        let layout = sumac_backends::Layout { width: 1, height: 1, stride: 4 };
        let frame = sumac_backends::Frame::from_memory(layout, [0; 4]).unwrap();
        stage.publish(frame, &[crate::source::Rect { x: 0, y: 0, width: 1, height: 1 }]);
        engine.take_mail();
        assert_eq!(answer(&engine, "/healthz"), Answer { status: Status::Ok, body: "ok\n".into() });
        assert!(answer(&engine, "/metrics").body.contains("\nsumac_pictures_published_total 1\n"));
        assert_eq!(answer(&engine, "/").status, Status::NotFound);
    }
}
