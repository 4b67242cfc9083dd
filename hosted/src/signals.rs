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
}

/// Catches SIGTERM, SIGINT and SIGUSR1 of the whole process from [`install`](Self::install) on. For
/// the binary; a program that embeds the server has signals of its own.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    user: Signal,
}

impl Signals {
    /// Begins to catch them. Needs a tokio runtime.
    pub fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            user: signal(SignalKind::user_defined1())?,
        })
    }

    /// Waits for the next one. Cancel safe.
    pub async fn next(&mut self) -> Request {
        tokio::select! {
            _ = self.terminate.recv() => Request::Quit(rustix::process::Signal::TERM),
            _ = self.interrupt.recv() => Request::Quit(rustix::process::Signal::INT),
            _ = self.user.recv() => Request::WriteReference,
        }
    }
}
