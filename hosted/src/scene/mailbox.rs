//! Between the source's thread and the engine's, for one display: the newest of everything, never a
//! queue.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use sumac_backends::{Dmabuf, Frame};
use tokio::sync::Notify;

use crate::plan::Region;
use crate::source::{Cookie, CursorShape, Rect, Size, Stage};

/// What has been said of a display and not been taken.
pub(crate) struct Mailbox {
    letters: Mutex<Letters>,
    /// The stage was dropped; set after everything that it said.
    gone: AtomicBool,
    /// Rings for all displays.
    arrived: Arc<Notify>,
}

/// The newest of everything.
#[derive(Default)]
pub(super) struct Letters {
    /// The picture in memory and all damage since the one that was taken last.
    pub(super) frame: Option<(Frame, Region)>,
    /// The scanout changed to this; after `frame`.
    pub(super) scanout: Option<Option<Dmabuf>>,
    /// What was drawn into that scanout; dropping the frame is the draw's completion.
    pub(super) draw: Option<GlDraw>,
    /// When the newest picture or draw was published.
    pub(super) published: Option<Instant>,
    /// How many were published before it and not taken.
    pub(super) overtaken: u64,
    /// The pointer's shape.
    pub(super) shape: Option<Option<CursorShape>>,
    /// The pointer's place.
    pub(super) place: Option<(i32, i32)>,
}

/// A draw into a scanout; the clones of its frame are its users.
#[derive(Clone, Debug)]
pub(crate) struct GlDraw {
    /// What changed, inside the picture.
    pub(crate) rect: Rect,
    /// The scanout with the draw's cookie.
    pub(crate) frame: Frame,
}

impl Letters {
    fn publish(&mut self, now: Instant) {
        self.overtaken += u64::from(self.published.replace(now).is_some());
    }
}

impl Mailbox {
    /// An empty one; `arrived` is notified of mail.
    pub(crate) fn new(arrived: Arc<Notify>) -> Arc<Self> {
        Arc::new(Self { letters: Mutex::default(), gone: AtomicBool::new(false), arrived })
    }

    pub(super) fn take(&self) -> Letters {
        std::mem::take(&mut *self.lock())
    }

    /// Whether nothing more will come.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Acquire)
    }

    /// What `change` takes out is dropped outside of the lock: releases may take a lock of the
    /// source's.
    fn put<T>(&self, change: impl FnOnce(&mut Letters) -> T) {
        let replaced = change(&mut self.lock());
        self.arrived.notify_one();
        drop(replaced);
    }

    /// A panic of the other side leaves nothing half-written: every change is one assignment.
    fn lock(&self) -> MutexGuard<'_, Letters> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The source's end of a [`Mailbox`].
pub(crate) struct MailboxStage {
    mailbox: Arc<Mailbox>,
    /// What draws go into.
    scanout: Option<Dmabuf>,
    /// Called when the display is gone.
    on_gone: Option<Box<dyn FnOnce() + Send>>,
}

impl MailboxStage {
    /// `on_gone` is called when the stage is dropped.
    pub(super) fn new(mailbox: Arc<Mailbox>, on_gone: impl FnOnce() + Send + 'static) -> Self {
        Self { mailbox, scanout: None, on_gone: Some(Box::new(on_gone)) }
    }
}

impl Stage for MailboxStage {
    fn publish(&mut self, frame: Frame, damage: &[Rect]) {
        if damage.is_empty() {
            return;
        }
        let left_gl = self.scanout.take().is_some();
        let now = Instant::now();
        self.mailbox.put(|letters| {
            letters.publish(now);
            let mut region = letters.frame.as_mut().map(|(_, region)| region.take()).unwrap_or_default();
            damage.iter().for_each(|&rect| region.add(rect));
            let ended = left_gl.then(|| (letters.scanout.replace(None), letters.draw.take()));
            (letters.frame.replace((frame, region)), ended)
        });
    }

    fn scanout(&mut self, scanout: Option<Dmabuf>) {
        self.scanout.clone_from(&scanout);
        self.mailbox.put(|letters| (letters.scanout.replace(scanout), letters.draw.take()));
    }

    fn gl_draw(&mut self, rect: Rect, done: Cookie) {
        let Some(dmabuf) = &self.scanout else {
            tracing::debug!("a draw without a scanout");
            return;
        };
        let bounds = Size { width: dmabuf.width(), height: dmabuf.height() }.bounds();
        let Some(rect) = rect.intersect(bounds) else { return };
        let frame = Frame::from_dmabuf(dmabuf.clone()).on_release(move || drop(done));
        let now = Instant::now();
        self.mailbox.put(|letters| {
            letters.publish(now);
            let rect = letters.draw.as_ref().map_or(rect, |before| before.rect.union(rect));
            letters.draw.replace(GlDraw { rect, frame })
        });
    }

    fn cursor(&mut self, shape: Option<CursorShape>) {
        self.mailbox.put(|letters| letters.shape = Some(shape));
    }

    fn pointer(&mut self, x: i32, y: i32) {
        self.mailbox.put(|letters| letters.place = Some((x, y)));
    }
}

impl Drop for MailboxStage {
    fn drop(&mut self) {
        self.mailbox.gone.store(true, Ordering::Release);
        if let Some(on_gone) = self.on_gone.take() {
            on_gone();
        }
        self.mailbox.arrived.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use sumac_backends::Layout;

    use super::*;
    use crate::scene::testing::{Done, dmabuf};

    const SIZE: Size = Size { width: 8, height: 8 };

    fn rect(x: u32, y: u32, width: u32, height: u32) -> Rect {
        Rect { x, y, width, height }
    }

    fn stage() -> (Arc<Mailbox>, MailboxStage) {
        let mailbox = Mailbox::new(Arc::default());
        (Arc::clone(&mailbox), MailboxStage::new(mailbox, || ()))
    }

    #[test]
    fn a_draw_that_cannot_be_shown_is_done_at_once() {
        let (mailbox, mut stage) = stage();
        let done = Done::default();
        stage.gl_draw(rect(0, 0, 8, 8), done.cookie());
        assert_eq!(done.count(), 1, "no scanout");
        stage.scanout(Some(dmabuf(SIZE)));
        stage.gl_draw(rect(8, 0, 8, 8), done.cookie());
        assert_eq!(done.count(), 2, "outside");
        assert!(mailbox.take().draw.is_none());
    }

    #[test]
    fn a_draw_is_done_when_it_is_overtaken_and_its_area_is_not_lost() {
        let (mailbox, mut stage) = stage();
        let done = Done::default();
        stage.scanout(Some(dmabuf(SIZE)));
        stage.gl_draw(rect(0, 0, 2, 2), done.cookie());
        stage.gl_draw(rect(4, 4, 100, 2), done.cookie());
        assert_eq!(done.count(), 1);
        let letters = mailbox.take();
        assert!(letters.published.is_some() && letters.overtaken == 1);
        let draw = letters.draw.unwrap();
        assert_eq!((draw.rect, done.count()), (rect(0, 0, 8, 6), 1));
        drop(draw.frame);
        assert_eq!(done.count(), 2);
    }

    #[test]
    fn draws_end_with_their_scanout() {
        let (mailbox, mut stage) = stage();
        let done = Done::default();
        let draw = |stage: &mut MailboxStage| {
            stage.scanout(Some(dmabuf(SIZE)));
            stage.gl_draw(rect(0, 0, 8, 8), done.cookie());
        };
        draw(&mut stage);
        stage.scanout(None);
        assert_eq!(done.count(), 1);
        draw(&mut stage);
        let frame = Frame::from_memory(Layout { width: 8, height: 8, stride: 32 }, vec![0; 256]).unwrap();
        stage.publish(frame.clone(), &[rect(0, 0, 8, 8)]);
        assert_eq!(done.count(), 2);
        let letters = mailbox.take();
        assert!(letters.frame.is_some() && matches!(letters.scanout, Some(None)) && letters.draw.is_none());
        stage.publish(frame, &[rect(0, 0, 8, 8)]);
        assert!(mailbox.take().scanout.is_none(), "it had ended before");
        draw(&mut stage);
        drop(stage);
        assert!(mailbox.is_gone());
        drop(mailbox);
        assert_eq!(done.count(), 3);
    }
}
