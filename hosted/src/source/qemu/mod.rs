//! [`Qemu`]: a virtual machine's displays, keyboard, mouse, sound and character devices, by QEMU's
//! D-Bus display.
//!
//! ```text
//!            org.qemu.Display1 (VM, Console, Keyboard, Mouse)
//!   session ──────────────── calls, property changes ───────────────► QEMU
//!   listener ◄───── a socket per console: Scanout, Update, … ──────── QEMU
//!      └─► display ─► Stage
//!   audio ◄──────── a socket per direction: Write, Read, … ────────── QEMU
//!   chardev ◄─────► a socket per character device: bytes ───────────► QEMU
//! ```
//!
//! Everything runs on the source's thread, in a runtime of its own. QEMU's calls are taken as they
//! come and answered at once, so a viewer, however slow, never makes the virtual machine wait.

mod audio;
mod bus;
mod calls;
mod chardev;
mod clipboard;
mod devices;
mod display;
#[cfg(test)]
mod fake;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod input;
mod interfaces;
mod keyboard;
mod listener;
mod mouse;
mod notice;
mod pixels;
mod qmp;
mod samples;
mod session;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc::channel;
use tokio::task::LocalSet;

use self::bus::{Link, reach};
use self::input::Messages;
use self::session::{End, Screens, Session};
use super::{Host, Inbox, Source, SourceStats};
use crate::config::{QemuAddress, QemuDisplay};

/// What the server says and QEMU has not been told.
const INBOX: usize = 256;
/// Between two attempts to reach a QEMU that was there, or should be.
const RETRY: Duration = Duration::from_millis(500);

/// A [`Source`]: the consoles of a QEMU.
#[derive(Debug)]
pub struct Qemu {
    choice: QemuDisplay,
    stats: Arc<SourceStats>,
}

impl Qemu {
    /// The consoles that were chosen. Nothing is connected to before [`Source::run`].
    pub fn new(choice: QemuDisplay) -> Self {
        Self { choice, stats: Arc::default() }
    }
}

impl Source for Qemu {
    fn stats(&self) -> Arc<SourceStats> {
        Arc::clone(&self.stats)
    }

    fn run(self: Box<Self>, host: Arc<dyn Host>, inbox: Inbox) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        // The server's channel can only be waited for by a thread; it ends with the server.
        let (sender, messages) = channel(INBOX);
        thread::Builder::new().name("sumac-qemu-in".into()).spawn(move || {
            while let Ok(message) = inbox.recv() {
                if sender.blocking_send(message).is_err() {
                    break;
                }
            }
        })?;
        let screens = Screens { host, stats: self.stats, displays: BTreeMap::new() };
        let inbox = Messages { channel: messages, wishes: BTreeMap::new() };
        LocalSet::new().block_on(&runtime, show(&self.choice, screens, inbox))
    }
}

/// Shows one QEMU after another; only over a bus is there more than one.
async fn show(choice: &QemuDisplay, mut screens: Screens, mut inbox: Messages) -> anyhow::Result<()> {
    // Viewers may come before QEMU does.
    screens.display(0, "Waiting for QEMU.")?;
    let mut told = false;
    loop {
        let link = tokio::select! {
            link = reach(&choice.address) => link,
            () = inbox.quit() => return Ok(()),
        };
        told &= link.is_err();
        let session = tokio::select! {
            session = connect(link, choice, &mut screens) => session,
            () = inbox.quit() => return Ok(()),
        };
        match session {
            Ok(session) => {
                match session.run(&mut inbox).await {
                    Ok(End::Quit) => return Ok(()),
                    Ok(End::Gone) => tracing::info!("QEMU is gone"),
                    Err(error) => tracing::warn!(error = format!("{error:#}"), "QEMU is gone"),
                }
                if !choice.address.is_bus() {
                    return Ok(());
                }
                screens.notice("QEMU is gone; waiting for it.");
            }
            Err(error) if !choice.address.is_bus() => return Err(error),
            // Whoever tries twice a second says it once.
            Err(error) if !told => {
                told = true;
                tracing::warn!(error = format!("{error:#}"), "no picture from QEMU");
                screens.notice("No picture from QEMU; waiting for it.");
            }
            Err(_) => {}
        }
        tokio::select! {
            () = tokio::time::sleep(RETRY) => {}
            () = inbox.quit() => return Ok(()),
        }
    }
}

async fn connect(link: anyhow::Result<Link>, choice: &QemuDisplay, screens: &mut Screens) -> anyhow::Result<Session> {
    Session::start(link?, &choice.consoles, screens).await
}

impl QemuAddress {
    /// Whether another QEMU may come after the first.
    pub(crate) fn is_bus(&self) -> bool {
        matches!(self, Self::Session | Self::Bus(_))
    }
}
