//! [`serve`]: the whole server, from its configuration to its end.

mod checks;
mod control;
mod displays;
mod embedded;
mod engine;
mod newcomer;
mod observer;
mod pages;
mod running;
mod source_thread;
mod sys;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod testing;
mod welcome;
mod wishes;

use std::process::ExitStatus;
use std::sync::Arc;

use anyhow::Context;
use tokio::runtime;
use tokio::task::LocalSet;

pub(crate) use displays::{Display, Displays};
pub use embedded::Embedded;
pub(crate) use engine::{Engine, Found, Watching};
pub use observer::{ChannelNews, Observer, OpenChannel};
use running::Running;
pub use sys::with_signals_blocked;

use crate::config::{Config, QemuAddress, QemuDisplay, SourceChoice};
use crate::qemu::{Prepared, QemuCommand};

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
    let mut running = Running::start(config, qemu).await?;
    let result = running.until_the_end().await;
    running.end(result).await
}
