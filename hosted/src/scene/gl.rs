//! Scanouts: pictures in dmabufs, who uses them, and their copies in memory.
//!
//! ```text
//!  gl_draw(cookie) ─► Mailbox ─► every viewer's slot ─┬─► GL_DRAW, until GL_DRAW_DONE ──┐
//!                                                     ├─► an encoder's job ─────────────┼─► cookie
//!                                                     ├─► a copy to memory ─────────────┤
//!                                                     └─► no room for it: dropped ──────┘
//! ```
//!
//! The scene itself keeps the dmabuf and not the draw: who comes late, or had no room, is shown
//! what is in the buffer then.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use sumac_backends::{Dmabuf, Frame, FrameError, Layout};

use super::mailbox::GlDraw;
use super::{Scene, frame_size};
use crate::plan::{Region, tighten};
use crate::source::Size;

/// What is scanned out.
#[derive(Clone, Debug)]
pub(crate) struct Scanout {
    pub(crate) dmabuf: Dmabuf,
    /// Counts scanouts, from 1.
    pub(crate) number: u64,
    /// Counts the draws of the display; 0 while there has been none.
    pub(crate) draws: u64,
    /// Whether a client could import it: memfds stand in for dmabufs here only.
    pub(crate) importable: bool,
}

impl Scanout {
    pub(crate) fn size(&self) -> Size {
        Size { width: self.dmabuf.width(), height: self.dmabuf.height() }
    }
}

/// The scanout of one display.
#[derive(Debug, Default)]
pub(super) struct Gl {
    scanout: RefCell<Option<Scanout>>,
    /// Scanouts and draws so far.
    scanouts: Cell<u64>,
    draws: Cell<u64>,
    copy: RefCell<Copied>,
    /// Memfds are passed to clients, too.
    pass_memfds: bool,
}

/// A scanout's pixels in memory.
#[derive(Debug, Default)]
struct Copied {
    /// The draw that it shows, and the picture.
    newest: Option<(u64, Frame)>,
    under_way: bool,
    /// Number of the scanout that cannot be copied.
    unreadable: u64,
}

impl Gl {
    pub(super) fn new(pass_memfds: bool) -> Self {
        Self { pass_memfds, ..Self::default() }
    }
}

impl Scene {
    /// The scanout, while the source is in GL.
    pub(crate) fn scanout(&self) -> Option<Scanout> {
        self.gl.scanout.borrow().clone()
    }

    /// The scanout is this one now. Draws into the one before that no viewer has seen are done.
    pub(super) fn set_scanout(&self, dmabuf: Option<Dmabuf>) {
        let scanout = dmabuf.map(|dmabuf| {
            self.gl.scanouts.update(|count| count + 1);
            let importable = self.gl.pass_memfds || !dmabuf.planes().iter().any(|plane| is_memfd(&plane.fd));
            Scanout { dmabuf, number: self.gl.scanouts.get(), draws: self.gl.draws.get(), importable }
        });
        let left = scanout.is_none();
        self.gl.scanout.replace(scanout);
        if left {
            self.gl.copy.borrow_mut().newest = None;
        }
        let all = self.frame.borrow().as_ref().filter(|_| left).map(|frame| Region::from(frame_size(frame).bounds()));
        self.each_viewer(|viewer| {
            drop(viewer.take_draw());
            if let Some(all) = &all {
                viewer.damaged(all);
            }
        });
    }

    /// Something was drawn into the scanout: every viewer is a user of the draw until it has dealt
    /// with it, and so is who gets the answer.
    pub(super) fn hand_out(&self, draw: GlDraw) -> Frame {
        if let Some(scanout) = self.gl.scanout.borrow_mut().as_mut() {
            self.gl.draws.update(|count| count + 1);
            scanout.draws = self.gl.draws.get();
        }
        let mut copied = false;
        self.each_viewer(|viewer| {
            viewer.put_draw(draw.clone());
            copied |= viewer.reads_back.get();
        });
        if !copied {
            self.gl.copy.borrow_mut().newest = None;
        }
        draw.frame
    }

    /// The newest copy of the scanout in memory. When there is a newer draw, another copy is begun:
    /// those who read back get its damage and hear their bell.
    pub(crate) fn read_back(self: &Rc<Self>, draw: Option<Frame>) -> Option<Frame> {
        let scanout = self.scanout()?;
        let mut copy = self.gl.copy.borrow_mut();
        let newest = copy.newest.as_ref().filter(|(_, frame)| frame_size(frame) == scanout.size());
        let current = newest.is_some_and(|(draws, _)| *draws == scanout.draws);
        let frame = newest.map(|(_, frame)| frame.clone());
        if !current && !copy.under_way && copy.unreadable != scanout.number && scanout.draws > 0 {
            copy.under_way = true;
            let from = draw.unwrap_or_else(|| Frame::from_dmabuf(scanout.dmabuf.clone()));
            let scene = Rc::downgrade(self);
            // Graphics memory may be slow to read.
            let copying = tokio::task::spawn_blocking(move || copy_of(&from));
            tokio::task::spawn_local(async move {
                let copied = copying.await;
                if let Some(scene) = scene.upgrade() {
                    // A panic of the copying thread has been reported; the next draw is another try.
                    scene.on_copy(&scanout, copied.ok());
                }
            });
        }
        frame
    }

    fn on_copy(&self, of: &Scanout, copied: Option<Result<Frame, FrameError>>) {
        let mut copy = self.gl.copy.borrow_mut();
        copy.under_way = false;
        let frame = match copied {
            Some(Ok(frame)) if self.gl.scanout.borrow().is_some() => frame,
            Some(Err(error)) => {
                tracing::warn!(scanout = ?of.dmabuf, %error, "viewers without a codec keep their last picture");
                copy.unreadable = of.number;
                return;
            }
            _ => return,
        };
        let size = frame_size(&frame);
        let all = Region::from(size.bounds());
        let damage = match &copy.newest {
            Some((_, before)) if frame_size(before) == size => tighten(before, &frame, &all),
            _ => all,
        };
        copy.newest = Some((of.draws, frame));
        drop(copy);
        self.each_viewer(|viewer| {
            if viewer.reads_back.get() {
                viewer.damaged(&damage);
            }
        });
    }

    /// What is shown now, in memory, for `--write-ref`.
    ///
    /// # Errors
    /// [`FrameError`] when the scanout cannot be read.
    pub(crate) fn snapshot(&self) -> Result<Option<Frame>, FrameError> {
        match self.scanout() {
            Some(scanout) => copy_of(&Frame::from_dmabuf(scanout.dmabuf)).map(Some),
            None => Ok(self.frame()),
        }
    }
}

/// A picture in memory like the one in dmabufs.
fn copy_of(frame: &Frame) -> Result<Frame, FrameError> {
    let Some(dmabuf) = frame.dmabuf() else { return Ok(frame.clone()) };
    let (width, height) = (dmabuf.width(), dmabuf.height());
    let mut pixels = Vec::new();
    dmabuf.read_back(frame.bounds(), &mut pixels)?;
    Frame::from_memory(Layout { width, height, stride: width.saturating_mul(4) }, pixels)
}

/// Only memfds have seals.
fn is_memfd(fd: &impl std::os::fd::AsFd) -> bool {
    rustix::fs::fcntl_get_seals(fd).is_ok()
}

#[cfg(test)]
mod tests {
    use tokio::sync::Notify;
    use tokio::task::LocalSet;

    use super::super::testing::{Done, Shown, dmabuf};
    use super::*;
    use crate::source::Rect;

    const SIZE: Size = Size { width: 64, height: 64 };

    fn shown() -> (Shown, Done) {
        let mut shown = Shown::new(false);
        shown.scan_out(dmabuf(SIZE));
        (shown, Done::default())
    }

    fn draw(shown: &mut Shown, done: &Done, rect: Rect) {
        shown.stage.gl_draw(rect, done.cookie());
        assert!(shown.scene.take_mail(&[]).draw.is_some());
    }

    fn rect(x: u32, y: u32) -> Rect {
        Rect { x, y, width: 8, height: 8 }
    }

    #[test]
    fn a_draw_is_done_when_the_last_viewer_has_dealt_with_it() {
        let (mut shown, done) = shown();
        draw(&mut shown, &done, rect(0, 0));
        assert_eq!(done.count(), 1, "nobody looks");
        let viewers = [(); 2].map(|()| shown.scene.watch(Rc::new(Notify::new())));
        draw(&mut shown, &done, rect(0, 0));
        draw(&mut shown, &done, rect(16, 16));
        assert_eq!(done.count(), 2, "the first of two was overtaken");
        let taken = viewers[0].take_draw().unwrap();
        assert_eq!(taken.rect, Rect { x: 0, y: 0, width: 24, height: 24 }, "its area is not lost");
        let [_, gone] = viewers;
        drop(gone);
        assert_eq!(done.count(), 2);
        drop(taken);
        assert_eq!(done.count(), 3);
    }

    #[test]
    fn draws_that_nobody_took_end_with_their_scanout_and_with_the_scene() {
        let (mut shown, done) = shown();
        let viewer = shown.scene.watch(Rc::new(Notify::new()));
        draw(&mut shown, &done, rect(0, 0));
        assert_eq!(done.count(), 0);
        shown.scan_out(dmabuf(SIZE));
        assert_eq!(done.count(), 1);
        let (first, second) = (shown.scene.scanout().unwrap(), shown.scene.scanout().unwrap());
        assert_eq!((first.number, first.draws, second.number), (2, 1, 2));
        draw(&mut shown, &done, rect(0, 0));
        drop((shown, viewer));
        assert_eq!(done.count(), 2);
    }

    #[test]
    fn memfds_are_for_encoders_only() {
        let mut encoders_only = Shown::new(false);
        encoders_only.scan_out(dmabuf(SIZE));
        assert!(!encoders_only.scene.scanout().unwrap().importable);
        let mut passed = Shown::new(true);
        passed.scan_out(dmabuf(SIZE));
        assert!(passed.scene.scanout().unwrap().importable);
    }

    #[test]
    fn when_the_source_leaves_gl_the_picture_in_memory_is_due_again() {
        let (mut shown, done) = shown();
        let viewer = shown.scene.watch(Rc::new(Notify::new()));
        let frame = Frame::from_memory(Layout { width: 16, height: 16, stride: 64 }, vec![0; 1024]).unwrap();
        let all = Rect { x: 0, y: 0, width: 16, height: 16 };
        shown.stage.publish(frame, &[all]);
        assert!(shown.scene.take_mail(&[]).scanout && shown.scene.scanout().is_none());
        assert_eq!(viewer.take_pending().pixels.rects(), [all]);
        shown.scan_out(dmabuf(SIZE));
        draw(&mut shown, &done, rect(0, 0));
        assert!(viewer.take_pending().is_empty());
        shown.stage.scanout(None);
        let _ = shown.scene.take_mail(&[]);
        assert_eq!((viewer.take_pending().pixels.rects(), done.count()), (&[all][..], 1));
        assert!(shown.scene.frame().is_some());
    }

    /// Draws this byte all over the scanout, and waits for the copy.
    async fn copied(shown: &mut Shown, done: &Done, scanout: &Dmabuf, byte: u8, bell: &Notify) -> Frame {
        let fd = &scanout.planes()[0].fd;
        rustix::io::pwrite(fd, &vec![byte; 64 * 64 * 4], 0).unwrap();
        draw(shown, done, SIZE.bounds());
        let users_draw = |shown: &Shown| Some(Done::default().frame(&shown.scene.scanout().unwrap().dmabuf));
        loop {
            if let Some(copy) = shown.scene.read_back(users_draw(shown)).filter(|copy| copy.pixels()[0] == byte) {
                return copy;
            }
            bell.notified().await;
        }
    }

    #[tokio::test]
    async fn copies_follow_the_draws_and_tell_what_changed() {
        let reading = async {
            let (mut shown, done) = shown();
            let scanout = shown.scene.scanout().unwrap().dmabuf;
            let bell = Rc::new(Notify::new());
            let viewer = shown.scene.watch(Rc::clone(&bell));
            assert!(shown.scene.read_back(None).is_none(), "nothing has been drawn");
            viewer.set_reads_back(true, SIZE);
            drop(viewer.take_pending());
            copied(&mut shown, &done, &scanout, 1, &bell).await;
            assert_eq!(viewer.take_pending().pixels.rects(), [SIZE.bounds()]);
            copied(&mut shown, &done, &scanout, 2, &bell).await;
            assert_eq!(viewer.take_pending().pixels.rects(), [SIZE.bounds()]);
            drop(viewer.take_draw());
            assert_eq!(done.count(), 2);
            // Drawn, and yet the same.
            draw(&mut shown, &done, SIZE.bounds());
            shown.scene.read_back(None);
            while shown.scene.gl.copy.borrow().under_way {
                tokio::task::yield_now().await;
            }
            assert!(viewer.take_pending().is_empty());
            viewer.set_reads_back(false, SIZE);
            draw(&mut shown, &done, SIZE.bounds());
            assert!(shown.scene.gl.copy.borrow().newest.is_none(), "nobody needs it");
        };
        LocalSet::new().run_until(reading).await;
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_tried_once() {
        let reading = async {
            let mut shown = Shown::new(false);
            let like = dmabuf(SIZE);
            let shape = sumac_backends::dmabuf::Shape { modifier: 0x0100_0000_0000_0001, ..like.shape() };
            shown.scan_out(Dmabuf::new(shape, like.planes()).unwrap());
            let done = Done::default();
            draw(&mut shown, &done, rect(0, 0));
            assert!(shown.scene.read_back(None).is_none());
            while shown.scene.gl.copy.borrow().under_way {
                tokio::task::yield_now().await;
            }
            assert_eq!(shown.scene.gl.copy.borrow().unreadable, 1);
            assert!(shown.scene.read_back(None).is_none() && !shown.scene.gl.copy.borrow().under_way);
            assert!(shown.scene.snapshot().is_err());
        };
        LocalSet::new().run_until(reading).await;
    }
}
