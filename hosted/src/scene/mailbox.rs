//! Between the source's thread and the engine's: the newest of everything, never a queue.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sumac_backends::Frame;
use tokio::sync::Notify;

use crate::plan::Region;
use crate::source::{CursorShape, Leds, Rect, Stage};

/// What has been said and not been taken.
#[derive(Default)]
pub(crate) struct Mailbox {
    letters: Mutex<Letters>,
    arrived: Notify,
}

/// The newest of everything.
#[derive(Default)]
pub(super) struct Letters {
    /// The picture and all damage since the one that was taken last.
    pub(super) frame: Option<(Frame, Region)>,
    /// The pointer's shape.
    pub(super) shape: Option<Option<CursorShape>>,
    /// The pointer's place.
    pub(super) place: Option<(i32, i32)>,
    /// The keyboard's lights.
    pub(super) leds: Option<Leds>,
}

impl Mailbox {
    pub(super) async fn arrived(&self) {
        self.arrived.notified().await;
    }

    pub(super) fn take(&self) -> Letters {
        std::mem::take(&mut *self.lock())
    }

    fn put(&self, change: impl FnOnce(&mut Letters)) {
        change(&mut self.lock());
        self.arrived.notify_one();
    }

    /// A panic of the other side leaves nothing half-written: every change is one assignment.
    fn lock(&self) -> MutexGuard<'_, Letters> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The source's end of a [`Mailbox`].
pub(crate) struct MailboxStage(Arc<Mailbox>);

impl MailboxStage {
    pub(super) fn new(mailbox: Arc<Mailbox>) -> Self {
        Self(mailbox)
    }
}

impl Stage for MailboxStage {
    fn publish(&mut self, frame: Frame, damage: &[Rect]) {
        if damage.is_empty() {
            return;
        }
        let overtaken = {
            let mut letters = self.0.lock();
            let mut region = letters.frame.as_mut().map(|(_, region)| region.take()).unwrap_or_default();
            damage.iter().for_each(|&rect| region.add(rect));
            letters.frame.replace((frame, region))
        };
        self.0.arrived.notify_one();
        // Its release may take a lock of the source's: not under ours.
        drop(overtaken);
    }

    fn cursor(&mut self, shape: Option<CursorShape>) {
        self.0.put(|letters| letters.shape = Some(shape));
    }

    fn pointer(&mut self, x: i32, y: i32) {
        self.0.put(|letters| letters.place = Some((x, y)));
    }

    fn leds(&mut self, leds: Leds) {
        self.0.put(|letters| letters.leds = Some(leds));
    }
}
