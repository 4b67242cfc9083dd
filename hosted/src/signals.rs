//! [`Signals`]: what the operator asks for by signal.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// SIGTERM or SIGINT, which is named: end.
    Quit(rustix::process::Signal),
    /// SIGUSR1: write the reference picture again.
    WriteReference,
    /// SIGHUP: read the certificate again.
    Reload,
}

/// Catches SIGTERM, SIGINT, SIGUSR1 and, where there is something to reload, SIGHUP of the whole process from [`install`](Self::install) on. For
/// the binary; a program that embeds the server has signals of its own.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    user: Signal,
    hangup: Option<Signal>,
}

impl Signals {
    /// Begins to catch them; SIGHUP, by which a terminal that closes ends its programs, only if
    /// there is something to `reload`. Needs a tokio runtime.
    pub fn install(reload: bool) -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            user: signal(SignalKind::user_defined1())?,
            hangup: reload.then(|| signal(SignalKind::hangup())).transpose()?,
        })
    }

    /// Waits for the next one. Cancel safe.
    pub async fn next(&mut self) -> Request {
        tokio::select! {
            _ = self.terminate.recv() => Request::Quit(rustix::process::Signal::TERM),
            _ = self.interrupt.recv() => Request::Quit(rustix::process::Signal::INT),
            _ = self.user.recv() => Request::WriteReference,
            () = hangup(&mut self.hangup) => Request::Reload,
        }
    }
}

async fn hangup(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}
