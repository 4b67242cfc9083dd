//! [`Running`]: a server that is up, and how it gets there and ends.

use std::io;
use std::process::ExitStatus;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::Signal;
use tokio::net::TcpListener;

use super::control::answer as do_asked;
use super::newcomer::{Newcomer, Waiting, connection};
use super::pages::{answer, open_metrics};
use super::source_thread::{Ended, SourceThread};
use super::welcome::{Access, places, welcome};
use super::{Displays, Engine, checks};
use crate::auth::{KeyStock, Sasl, Tickets};
use crate::config::{Config, SourceChoice};
use crate::control::{self, Control};
use crate::metrics;
use crate::png::write_bgrx_png;
use crate::qemu::{Prepared, Running as RunningQemu, exited};
use crate::sandbox;
use crate::signals::{Request, Signals};
use crate::sound::report_opus;
use crate::source::{Frames, Host, Qemu, Source, TestDesktop, ToSource};
use crate::stats::{Ready, Reporter};
use crate::systemd::Notifier;
use crate::transport::{Gate, Listeners};

/// How long a source may take to show its first picture.
const FIRST_PICTURE: Duration = Duration::from_secs(10);
/// How long everything may take to end.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A server that listens.
pub(super) struct Running {
    engine: Rc<Engine>,
    gate: Rc<Gate>,
    listeners: Listeners,
    signals: Signals,
    manager: Notifier,
    reporter: Reporter,
    /// The QEMU that was started for it.
    qemu: Option<RunningQemu>,
    /// Tells how the source ended, until it was heard.
    source: Option<Ended>,
}

/// All that is opened and loaded before a server confines itself.
struct Opened {
    signals: Signals,
    manager: Notifier,
    gate: Rc<Gate>,
    access: Access,
    sasl: Option<Sasl>,
    epoch: tokio::time::Instant,
    displays: Displays,
    source: Box<dyn Source>,
    listeners: Listeners,
    metrics: Option<TcpListener>,
    control: Option<Control>,
}

impl Running {
    /// Starts everything; has said "ready" when it returns.
    pub(super) async fn start(config: Config, qemu: Option<Prepared>) -> anyhow::Result<Self> {
        let opened = Opened::new(&config).await?;
        // Only now, so that no QEMU runs that nobody can reach.
        let qemu = qemu.map(Prepared::start).transpose()?;
        welcome(&config, &opened.access, &opened.listeners, &opened.gate);
        if config.sandbox {
            sandbox::enter(&config, qemu.as_ref().and_then(RunningQemu::pid));
        }
        let begun = Self::begin(config, opened).await;
        if let (Err(_), Some(qemu)) = (&begun, &qemu) {
            qemu.signal(Signal::TERM);
        }
        Ok(Self { qemu, ..begun? })
    }

    /// Starts the threads, and waits for the first picture.
    async fn begin(config: Config, opened: Opened) -> anyhow::Result<Self> {
        let Opened { signals, manager, gate, access, sasl, epoch, displays, source, listeners, metrics, control } =
            opened;
        let keys = KeyStock::start()?;
        let (source, mut ended) = SourceThread::start(source, Arc::new(displays.host().clone()))?;
        first_picture(&displays, &mut ended).await?;
        write_reference(&config, &displays)?;
        let ready = ready(&config, &displays, &listeners, metrics.as_ref())?;
        let activity = source.activity(Arc::clone(displays.ledger()));
        let reporter = Reporter::start(io::stdout(), &ready, activity, config.stats)?;
        let tickets = Tickets::new(access.ticket_check(Instant::now()));
        let engine = Engine::new(config, epoch, displays, source, keys, tickets, sasl);
        checks::start(engine.config(), engine.displays().host().peripherals())?;
        if let Some(listener) = metrics {
            let engine = Rc::clone(&engine);
            tokio::task::spawn_local(metrics::serve(listener, Rc::new(move |path| answer(&engine, path))));
        }
        if let Some(control) = control {
            let engine = Rc::clone(&engine);
            tokio::task::spawn_local(control::serve(control, Rc::new(move |asked| do_asked(&engine, asked))));
        }
        // What the source opened before there was an engine.
        engine.take_mail();
        manager.ready(&serving(&listeners));
        Ok(Self { engine, gate, listeners, signals, manager, reporter, qemu: None, source: Some(ended) })
    }

    /// Serves until a signal, the source or QEMU ends it; answers how QEMU ended, if there was one.
    pub(super) async fn until_the_end(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        let lobby = Waiting::default();
        let engine = Rc::clone(&self.engine);
        loop {
            tokio::select! {
                (stream, peer, entrance) = self.listeners.accept() => {
                    let gate = Rc::clone(&self.gate);
                    let newcomer = Newcomer { gate, stream, peer, entrance, trusted: false };
                    tokio::task::spawn_local(connection(Rc::clone(&engine), Rc::clone(&lobby), newcomer));
                }
                () = engine.displays().mail() => engine.take_mail(),
                () = engine.displays().encoded() => engine.displays().collect(),
                () = sleep_until(engine.displays().deadline()) => engine.displays().on_time(),
                end = heard(&mut self.source) => self.on_source_ended(end)?,
                status = exited(&mut self.qemu) => return status.map(Some),
                request = self.signals.next() => if self.on_signal(request) { return Ok(None) },
            }
            if self.source.is_none() && self.qemu.is_none() {
                return Ok(None);
            }
        }
    }

    /// Without a QEMU the server ends with its source; with one it ends in a moment, too, or has a
    /// monitor and no display.
    fn on_source_ended(&mut self, end: anyhow::Result<()>) -> anyhow::Result<()> {
        self.source = None;
        let Some(qemu) = &self.qemu else { return end };
        if let Err(error) = end {
            tracing::error!(error = format!("{error:#}"), "no picture from QEMU, which is told to end");
            qemu.signal(Signal::TERM);
        }
        Ok(())
    }

    /// Answers whether the server is to end.
    fn on_signal(&mut self, request: Request) -> bool {
        match request {
            Request::Quit(signal) => match &self.qemu {
                Some(qemu) => qemu.signal(signal),
                None => return true,
            },
            Request::Reload => {
                self.manager.reloading();
                self.gate.reload();
                self.engine.reload_users();
                self.manager.ready(&serving(&self.listeners));
            }
            Request::WriteReference => {
                self.engine.take_mail();
                write_reference(self.engine.config(), self.engine.displays()).unwrap_or_else(|error| {
                    tracing::warn!(error = format!("{error:#}"), "cannot write the reference picture");
                });
            }
        }
        false
    }

    /// Ends everything, and passes `result` on.
    pub(super) async fn end(self, result: anyhow::Result<Option<ExitStatus>>) -> anyhow::Result<Option<ExitStatus>> {
        let Self { engine, manager, reporter, source, .. } = self;
        manager.stopping();
        engine.take_mail();
        let written = if result.is_ok() { write_reference(engine.config(), engine.displays()) } else { Ok(()) };
        engine.source().tell(ToSource::Quit);
        engine.displays().end_video(LAST_WORDS).await;
        engine.displays().end();
        // Viewers leave, and let go of what they were shown.
        tokio::task::yield_now().await;
        if let Some(source) = source.filter(|_| result.is_ok()) {
            // A source that does not end in time is left to the end of the process.
            let _ = tokio::time::timeout(LAST_WORDS, source).await;
            // What it drew meanwhile is done, too.
            engine.displays().end();
        }
        reporter.finish();
        result.and_then(|status| written.map(|()| status))
    }
}

impl Opened {
    async fn new(config: &Config) -> anyhow::Result<Self> {
        let signals = Signals::install(config.tls.is_wanted() || config.sasl.users.is_some())?;
        let manager = Notifier::connect();
        let gate = Rc::new(Gate::new(config)?);
        let access = Access::prepare(config)?;
        let sasl = config.sasl.is_wanted().then(|| Sasl::open(&config.sasl)).transpose()?;
        report_opus();
        let epoch = tokio::time::Instant::now();
        let displays = Displays::new(config, epoch);
        let source = make_source(config)?;
        let listeners = Listeners::open(&config.listen)?;
        let metrics = open_metrics(config).await?;
        let control = config.control.as_deref().map(control::listen).transpose()?;
        Ok(Self { signals, manager, gate, access, sasl, epoch, displays, source, listeners, metrics, control })
    }
}

/// How the source ended; waits for ever when that was heard before.
async fn heard(source: &mut Option<Ended>) -> anyhow::Result<()> {
    match source {
        Some(ended) => {
            ended.await.unwrap_or_else(|_| Err(anyhow::anyhow!("it broke down"))).context("the source ended")
        }
        None => std::future::pending().await,
    }
}

/// What the service manager shows.
fn serving(listeners: &Listeners) -> String {
    format!("serving on {}", places(listeners))
}

/// What is told when everything is open.
fn ready(
    config: &Config,
    displays: &Displays,
    listeners: &Listeners,
    metrics: Option<&TcpListener>,
) -> io::Result<Ready> {
    Ok(Ready {
        tcp: listeners.tcp_addresses().to_vec(),
        tls: listeners.tls_addresses().to_vec(),
        unix: listeners.unix_address().cloned(),
        size: displays.first_shown().and_then(|scene| scene.size()).unwrap_or(config.size),
        codecs: displays.encoders().list(),
        metrics: metrics.map(TcpListener::local_addr).transpose()?,
    })
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

pub(super) async fn sleep_until(deadline: Option<tokio::time::Instant>) {
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
