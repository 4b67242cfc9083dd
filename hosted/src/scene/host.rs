//! [`SceneHost`]: the server as sources see it, between their threads and the engine's.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::mailbox::{Mailbox, MailboxStage};
use crate::source::{Host, Identity, Leds, Peripherals, Stage};

/// What sources said that the engine has not taken; a clone is another handle.
#[derive(Clone)]
pub(crate) struct SceneHost {
    shared: Arc<Mutex<Shared>>,
    arrived: Arc<Notify>,
    peripherals: Peripherals,
}

impl Default for SceneHost {
    fn default() -> Self {
        let arrived = Arc::default();
        Self { shared: Arc::default(), peripherals: Peripherals::new(&arrived), arrived }
    }
}

#[derive(Default)]
struct Shared {
    /// Displays that have a stage.
    numbers: BTreeSet<u8>,
    news: HostNews,
}

/// What concerns no display, or makes one.
#[derive(Default)]
pub(crate) struct HostNews {
    /// Displays that were opened, in order; the one before of the same number is gone.
    pub(crate) opened: Vec<(u8, Arc<Mailbox>)>,
    /// The keyboard's lights.
    pub(crate) leds: Option<Leds>,
    /// Whether positions are taken.
    pub(crate) absolute: Option<bool>,
    /// Who the source is.
    pub(crate) identity: Option<Identity>,
}

impl SceneHost {
    /// Waits for mail, of the host or of any display.
    pub(crate) async fn mail(&self) {
        self.arrived.notified().await;
    }

    /// Rings when there is mail, or when the engine should look for another reason.
    pub(crate) fn bell(&self) -> &Arc<Notify> {
        &self.arrived
    }

    pub(crate) fn take(&self) -> HostNews {
        std::mem::take(&mut self.lock().news)
    }

    /// A panic of another thread leaves nothing half-written: every change is one call.
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Host for SceneHost {
    fn display(&self, id: u8) -> Option<Box<dyn Stage>> {
        let mailbox = Mailbox::new(Arc::clone(&self.arrived));
        {
            let mut shared = self.lock();
            if !shared.numbers.insert(id) {
                return None;
            }
            shared.news.opened.push((id, Arc::clone(&mailbox)));
        }
        self.arrived.notify_one();
        let host = self.clone();
        let forget = move || {
            host.lock().numbers.remove(&id);
        };
        Some(Box::new(MailboxStage::new(mailbox, forget)))
    }

    fn leds(&self, leds: Leds) {
        self.lock().news.leds = Some(leds);
        self.arrived.notify_one();
    }

    fn peripherals(&self) -> &Peripherals {
        &self.peripherals
    }

    fn mouse(&self, absolute: bool) {
        self.lock().news.absolute = Some(absolute);
        self.arrived.notify_one();
    }

    fn identity(&self, identity: Identity) {
        self.lock().news.identity = Some(identity);
        self.arrived.notify_one();
    }
}
