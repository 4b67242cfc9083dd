//! QEMU's process: [`Prepared`] before it starts, [`Running`] until it has ended.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::ExitStatus;

use anyhow::Context;
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use super::QemuCommand;

/// A QEMU that is ready to start, and QEMU's end of its monitor.
pub(crate) struct Prepared {
    command: QemuCommand,
    monitor: OwnedFd,
}

/// A QEMU that was started. Dropping it leaves the process alone.
pub(crate) struct Running {
    child: Child,
}

impl Prepared {
    /// Makes the monitor's socket; answers our end of it.
    pub(crate) fn new(command: QemuCommand) -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = UnixStream::pair()?;
        Ok((Self { command, monitor: theirs.into() }, ours.into()))
    }

    /// Starts it. Needs a tokio runtime.
    ///
    /// # Errors
    /// When there is no such program, or it cannot be run; the message says what to do.
    pub(crate) fn start(self) -> anyhow::Result<Running> {
        let Self { command, monitor } = self;
        // QEMU inherits it under this number; no other process is started meanwhile.
        fcntl_setfd(&monitor, FdFlags::empty())?;
        let child = Command::new(&command.program).args(command.completed(monitor.as_raw_fd())).spawn();
        let program = command.program.display();
        let child = child.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => anyhow::anyhow!(
                "there is no program {program}: install QEMU (Debian's package qemu-system-x86 has \
                 qemu-system-x86_64) or give the path of yours"
            ),
            _ => anyhow::Error::new(error).context(format!("cannot start {program}")),
        })?;
        tracing::info!(pid = child.id(), program = %program, "QEMU started");
        Ok(Running { child })
    }
}

impl Running {
    /// The number of its process, until its end was waited for.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Passes on a signal. A QEMU that has ended does not hear it.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = self.pid().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let _: Option<()> = pid.and_then(|pid| kill_process(pid, signal).ok());
    }
}

/// Waits for the end of a QEMU, if there is one. Cancel safe.
pub(crate) async fn exited(running: &mut Option<Running>) -> anyhow::Result<ExitStatus> {
    match running {
        Some(running) => running.child.wait().await.context("waiting for QEMU's end"),
        None => std::future::pending().await,
    }
}
