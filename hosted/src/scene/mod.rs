//! [`Scene`]: the newest state of one display, and who looks at it.
//!
//! ```text
//!  source's thread                    │ engine's thread
//!  Stage::publish ─► Mailbox (newest) │─► Scene::take_mail ─► picture, damage per viewer, bells
//!  Host::display  ─► SceneHost        │
//! ```
//!
//! A picture that is overtaken in the mailbox is dropped there, which gives its buffer back. The
//! damage adds up until it is taken, for every viewer on its own: a slow one sees fewer pictures,
//! never older ones.

mod gl;
mod host;
mod mailbox;
#[cfg(test)]
pub(crate) mod testing;

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use sumac_backends::Frame;
use tokio::sync::Notify;
use tokio::time::Instant;

use gl::Gl;
pub(crate) use gl::Scanout;
pub(crate) use host::SceneHost;
pub(crate) use mailbox::{GlDraw, Mailbox};

use crate::connection::Close;
use crate::plan::{Pending, Region, Scroll, find_scroll, tighten_beside};
use crate::source::{CursorShape, Rect, Size};

/// The newest state.
pub(crate) struct Scene {
    mailbox: Arc<Mailbox>,
    frame: RefCell<Option<Frame>>,
    gl: Gl,
    pointer: RefCell<Pointer>,
    place: Cell<(i32, i32)>,
    gone: Cell<bool>,
    viewers: RefCell<Vec<Weak<Viewer>>>,
    bells: RefCell<Vec<Weak<Notify>>>,
}

/// The pointer: its shape with a number that changes with it, and its place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pointer {
    /// Counts shapes, from 1; 0 while there has been none.
    pub(crate) shape_number: u64,
    /// `None` hides it.
    pub(crate) shape: Option<CursorShape>,
    /// Column and row of its hot spot.
    pub(crate) place: (i32, i32),
}

/// One display channel that looks at the scene.
pub(crate) struct Viewer {
    pending: RefCell<Pending>,
    /// Since when there is something pending.
    changed: Cell<Option<Instant>>,
    /// Where the viewer is shown video: what changes there needs no pictures.
    covered: RefCell<Vec<Rect>>,
    /// The newest draw into a scanout that the viewer has not dealt with.
    draw: RefCell<Option<GlDraw>>,
    /// The viewer is shown copies of scanouts.
    reads_back: Cell<bool>,
    bell: Rc<Notify>,
}

/// What a source said.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// When the newest picture or draw was published; `None` when there was none.
    pub(crate) published: Option<std::time::Instant>,
    /// Pictures and draws before it that nobody saw.
    pub(crate) overtaken: u64,
    /// What changed in the picture in memory.
    pub(crate) damage: Region,
    /// Where that only moved.
    pub(crate) moved: Option<Rect>,
    /// The scanout changed.
    pub(crate) scanout: bool,
    /// What was drawn into it; its release is the draw's completion.
    pub(crate) draw: Option<Frame>,
}

impl Viewer {
    /// What is to be sent so that the newest picture is shown.
    pub(crate) fn take_pending(&self) -> Pending {
        self.pending.borrow_mut().take()
    }

    /// Since when the viewer was to be shown what is pending, or what was taken just now.
    pub(crate) fn changed(&self) -> Option<Instant> {
        self.changed.get()
    }

    /// Puts back what was taken just now and not sent.
    pub(crate) fn put_back(&self, mut left: Pending) {
        let mut pending = self.pending.borrow_mut();
        left.pixels.add_region(&pending.pixels);
        *pending = left;
        self.covered.borrow().iter().for_each(|&rect| pending.pixels.subtract(rect));
    }

    /// These areas are shown as video from now on.
    pub(crate) fn cover(&self, areas: Vec<Rect>) {
        let mut pending = self.pending.borrow_mut();
        pending.drop_scrolls_in(&areas);
        areas.iter().for_each(|&rect| pending.pixels.subtract(rect));
        self.covered.replace(areas);
    }

    /// What is shown as video.
    pub(crate) fn covered(&self) -> Vec<Rect> {
        self.covered.borrow().clone()
    }

    /// This region is to be sent as it is.
    pub(crate) fn damaged(&self, region: &Region) {
        self.change(region, None);
    }

    /// The newest draw into the scanout, once: whoever keeps its frame is a user of the buffer.
    pub(crate) fn take_draw(&self) -> Option<GlDraw> {
        self.draw.take()
    }

    fn put_draw(&self, mut draw: GlDraw) {
        let mut slot = self.draw.borrow_mut();
        if let Some(before) = slot.as_ref() {
            draw.rect = draw.rect.union(before.rect);
        }
        *slot = Some(draw);
    }

    /// Whether the viewer is shown copies of scanouts in memory from now on; all of it is due then.
    pub(crate) fn set_reads_back(&self, reads_back: bool, size: Size) {
        if self.reads_back.replace(reads_back) != reads_back && reads_back {
            self.damaged(&size.bounds().into());
        }
    }

    /// The picture changed in `damage`, and part of that only moved.
    fn change(&self, damage: &Region, scroll: Option<Scroll>) {
        let (mut pending, covered) = (self.pending.borrow_mut(), self.covered.borrow());
        if pending.is_empty() {
            self.changed.set(Some(Instant::now()));
        }
        pending.change(damage, scroll, &covered);
        covered.iter().for_each(|&rect| pending.pixels.subtract(rect));
    }
}

impl Scene {
    /// An empty scene that hears from this mailbox. With `pass_memfds`, clients are passed memfds
    /// as if they were dmabufs.
    pub(crate) fn new(mailbox: Arc<Mailbox>, pass_memfds: bool) -> Rc<Self> {
        Rc::new(Self {
            mailbox,
            frame: RefCell::default(),
            gl: Gl::new(pass_memfds),
            pointer: RefCell::default(),
            place: Cell::default(),
            gone: Cell::default(),
            viewers: RefCell::default(),
            bells: RefCell::default(),
        })
    }

    /// Takes in what the source said, and hands it out to viewers. What changed in the `video` areas
    /// is found only about, and not searched for scrolls: nearly all of it changes all the time.
    pub(crate) fn take_mail(&self, video: &[Rect]) -> News {
        let letters = self.mailbox.take();
        let mut rang = false;
        if let Some(shape) = letters.shape {
            let mut pointer = self.pointer.borrow_mut();
            pointer.shape = shape;
            pointer.shape_number += 1;
            rang = true;
        }
        if let Some(place) = letters.place {
            self.pointer.borrow_mut().place = place;
            rang = true;
        }
        if rang {
            self.ring();
        }
        let enters = matches!(letters.scanout, Some(Some(_)));
        let (damage, moved) =
            letters.frame.map(|(frame, damage)| self.show(frame, &damage, video, !enters)).unwrap_or_default();
        let changed = letters.scanout.is_some();
        if let Some(scanout) = letters.scanout {
            self.set_scanout(scanout);
        }
        let draw = letters.draw.map(|draw| self.hand_out(draw));
        let (published, overtaken) = (letters.published, letters.overtaken);
        News { published, overtaken, damage, moved, scanout: changed, draw }
    }

    /// Whether the source has nothing more to say of this display.
    pub(crate) fn source_is_gone(&self) -> bool {
        self.mailbox.is_gone()
    }

    /// The display is no more: its channels are to close.
    pub(crate) fn end(&self) {
        self.gone.set(true);
        drop(self.mailbox.take());
        self.set_scanout(None);
        self.ring();
    }

    /// For handlers: `Err` once the display is no more.
    pub(crate) fn check(&self) -> Result<(), Close> {
        if self.gone.get() { Err(Close::Ended("the display went away")) } else { Ok(()) }
    }

    /// The size of what is shown; `None` while there is nothing to see.
    pub(crate) fn size(&self) -> Option<Size> {
        self.scanout().map(|scanout| scanout.size()).or_else(|| self.frame.borrow().as_ref().map(frame_size))
    }

    /// Where the display stands among the others: column and row of its top left corner.
    pub(crate) fn place(&self) -> (i32, i32) {
        self.place.get()
    }

    /// A viewer put the display there.
    pub(crate) fn set_place(&self, place: (i32, i32)) {
        if self.place.replace(place) != place {
            self.ring_viewers();
        }
    }

    /// Whether there is something to see.
    pub(crate) fn is_shown(&self) -> bool {
        self.size().is_some()
    }

    fn show(&self, frame: Frame, damage: &Region, video: &[Rect], is_seen: bool) -> (Region, Option<Rect>) {
        let size = frame_size(&frame);
        let (damage, scroll) = match self.frame.borrow().as_ref() {
            Some(before) if frame_size(before) == size => {
                let damage = tighten_beside(before, &frame, damage, video);
                let mut still = damage.clone();
                video.iter().for_each(|area| still.subtract(*area));
                let scroll = find_scroll(before, &frame, &still);
                (damage, scroll)
            }
            _ => (Region::from(size.bounds()), None),
        };
        self.frame.replace(Some(frame));
        if is_seen && !damage.is_empty() {
            self.each_viewer(|viewer| viewer.change(&damage, scroll));
        }
        (damage, scroll.map(|scroll| scroll.dest))
    }

    /// Wakes all display channels.
    pub(crate) fn ring_viewers(&self) {
        self.each_viewer(|_| {});
    }

    /// Tells every viewer something, rings its bell, and forgets those who left.
    fn each_viewer(&self, mut tell: impl FnMut(&Viewer)) {
        self.viewers.borrow_mut().retain(|viewer| match viewer.upgrade() {
            Some(viewer) => {
                tell(&viewer);
                viewer.bell.notify_one();
                true
            }
            None => false,
        });
    }

    /// The newest picture in memory.
    pub(crate) fn frame(&self) -> Option<Frame> {
        self.frame.borrow().clone()
    }

    /// The pointer as it is now.
    pub(crate) fn pointer(&self) -> Pointer {
        self.pointer.borrow().clone()
    }

    /// A new viewer; `bell` rings whenever the picture changes.
    pub(crate) fn watch(&self, bell: Rc<Notify>) -> Rc<Viewer> {
        let viewer = Rc::new(Viewer {
            pending: RefCell::default(),
            changed: Cell::default(),
            covered: RefCell::default(),
            draw: RefCell::default(),
            reads_back: Cell::default(),
            bell,
        });
        self.viewers.borrow_mut().push(Rc::downgrade(&viewer));
        viewer
    }

    /// `bell` rings whenever the pointer changes, as long as somebody keeps it.
    pub(crate) fn watch_pointer(&self, bell: &Rc<Notify>) {
        self.bells.borrow_mut().push(Rc::downgrade(bell));
    }

    fn ring(&self) {
        self.bells.borrow_mut().retain(|bell| match bell.upgrade() {
            Some(bell) => {
                bell.notify_one();
                true
            }
            None => false,
        });
    }
}

/// Width and height of a frame.
pub(crate) fn frame_size(frame: &Frame) -> Size {
    let layout = frame.layout();
    Size { width: layout.width, height: layout.height }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Stage;
    use sumac_backends::Layout;

    fn frame(width: u32, shade: u8, dot: Option<(u32, u32)>) -> Frame {
        let height = 64;
        let mut pixels = vec![shade; width as usize * height as usize * 4];
        if let Some((x, y)) = dot {
            pixels[(y * width + x) as usize * 4] = !shade;
        }
        Frame::from_memory(Layout { width, height, stride: width * 4 }, pixels).unwrap()
    }

    fn rect(x: u32, y: u32, width: u32, height: u32) -> Rect {
        Rect { x, y, width, height }
    }

    /// A scene that shows a plain picture, its stage, and a viewer that has seen it.
    fn shown() -> (Rc<Scene>, Box<dyn Stage>, Rc<Viewer>) {
        let testing::Shown { scene, mut stage } = testing::Shown::new(false);
        stage.publish(frame(256, 0, None), &[rect(0, 0, 256, 64)]);
        let _ = scene.take_mail(&[]);
        let viewer = scene.watch(Rc::new(Notify::new()));
        (scene, stage, viewer)
    }

    #[test]
    fn what_was_overtaken_adds_its_damage_and_gives_its_buffer_back() {
        let (scene, mut stage, viewer) = shown();
        let released = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let counted = |dot| {
            let released = Arc::clone(&released);
            frame(256, 0, Some(dot)).on_release(move || {
                released.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            })
        };
        stage.publish(counted((10, 10)), &[rect(0, 0, 64, 64)]);
        let mut second = vec![0; 256 * 64 * 4];
        for (x, y) in [(10, 10), (200, 50)] {
            second[(y * 256 + x) * 4] = 9;
        }
        let second = Frame::from_memory(Layout { width: 256, height: 64, stride: 1024 }, second).unwrap();
        stage.publish(second, &[rect(192, 0, 64, 64)]);
        assert_eq!(released.load(std::sync::atomic::Ordering::Relaxed), 1, "the first was never shown");
        let damage = scene.take_mail(&[]).damage;
        for dot in [(10, 10), (200, 50)] {
            assert!(damage.intersects(rect(dot.0, dot.1, 1, 1)), "{dot:?}");
        }
        assert_eq!(viewer.take_pending().pixels.rects(), damage.rects());
        assert!(viewer.take_pending().is_empty());
    }

    #[test]
    fn an_equal_picture_is_no_damage_and_another_size_is_all_of_it() {
        let (scene, mut stage, viewer) = shown();
        stage.publish(frame(256, 0, None), &[rect(0, 0, 256, 64)]);
        assert!(scene.take_mail(&[]).damage.is_empty());
        assert!(viewer.take_pending().is_empty());
        stage.publish(frame(128, 0, None), &[rect(0, 0, 1, 1)]);
        assert_eq!(scene.take_mail(&[]).damage.rects(), [rect(0, 0, 128, 64)]);
    }

    #[test]
    fn what_video_covers_is_not_pending_until_it_ends() {
        let (scene, mut stage, viewer) = shown();
        let video = rect(0, 0, 64, 64);
        viewer.cover(vec![video]);
        stage.publish(frame(256, 0, Some((10, 10))), &[rect(0, 0, 256, 64)]);
        let _ = scene.take_mail(&[]);
        assert!(viewer.take_pending().is_empty());
        viewer.cover(Vec::new());
        viewer.damaged(&video.into());
        assert_eq!(viewer.take_pending().pixels.rects(), [video]);
    }

    #[test]
    fn who_left_is_forgotten_and_the_rest_is_told_by_bell() {
        let (scene, mut stage, viewer) = shown();
        drop(viewer);
        let bell = Rc::new(Notify::new());
        scene.watch_pointer(&bell);
        stage.pointer(3, 4);
        let _ = scene.take_mail(&[]);
        assert!(scene.pointer().place == (3, 4));
        drop(bell);
        stage.publish(frame(256, 1, None), &[rect(0, 0, 256, 64)]);
        stage.cursor(None);
        let _ = scene.take_mail(&[]);
        assert!(scene.viewers.borrow().is_empty() && scene.bells.borrow().is_empty());
        assert_eq!(scene.pointer().shape_number, 1);
    }
}
