//! [`Scene`]: the newest state of one display, and who looks at it.
//!
//! ```text
//!  source's thread                    │ engine's thread
//!  Stage::publish ─► Mailbox (newest) │─► Scene::take_mail ─► picture, damage per viewer, bells
//! ```
//!
//! A picture that is overtaken in the mailbox is dropped there, which gives its buffer back. The
//! damage adds up until it is taken, for every viewer on its own: a slow one sees fewer pictures,
//! never older ones.

mod mailbox;

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use sumac_backends::Frame;
use tokio::sync::Notify;

pub(crate) use mailbox::{Mailbox, MailboxStage};

use crate::plan::{Region, tighten};
use crate::source::{CursorShape, Leds, Rect, Size};

/// The newest state.
pub(crate) struct Scene {
    mailbox: Arc<Mailbox>,
    frame: RefCell<Option<Frame>>,
    pointer: RefCell<Pointer>,
    leds: Cell<Leds>,
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
    pending: RefCell<Region>,
    /// Where the viewer is shown video: what changes there needs no pictures.
    covered: RefCell<Vec<Rect>>,
    bell: Rc<Notify>,
}

impl Viewer {
    /// What changed since the last call.
    pub(crate) fn take_damage(&self) -> Region {
        self.pending.borrow_mut().take()
    }

    /// Puts damage back that was taken and not sent.
    pub(crate) fn give_back(&self, damage: &Region) {
        let mut pending = self.pending.borrow_mut();
        pending.add_region(damage);
        self.covered.borrow().iter().for_each(|&rect| pending.subtract(rect));
    }

    /// These areas are shown as video from now on.
    pub(crate) fn cover(&self, areas: Vec<Rect>) {
        areas.iter().for_each(|&rect| self.pending.borrow_mut().subtract(rect));
        self.covered.replace(areas);
    }

    /// This area is to be sent as it is.
    pub(crate) fn damaged(&self, rect: Rect) {
        self.give_back(&Region::from(rect));
    }
}

impl Scene {
    /// An empty scene and its mailbox.
    pub(crate) fn new() -> Rc<Self> {
        Rc::new(Self {
            mailbox: Arc::new(Mailbox::default()),
            frame: RefCell::new(None),
            pointer: RefCell::default(),
            leds: Cell::default(),
            viewers: RefCell::default(),
            bells: RefCell::default(),
        })
    }

    /// The source's end.
    pub(crate) fn stage(&self) -> MailboxStage {
        MailboxStage::new(Arc::clone(&self.mailbox))
    }

    /// Waits for mail.
    pub(crate) async fn mail(&self) {
        self.mailbox.arrived().await;
    }

    /// Takes in what the source said; answers what changed in the picture.
    pub(crate) fn take_mail(&self) -> Region {
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
        if let Some(leds) = letters.leds {
            self.leds.set(leds);
            rang = true;
        }
        if rang {
            self.ring();
        }
        letters.frame.map(|(frame, damage)| self.show(frame, &damage)).unwrap_or_default()
    }

    fn show(&self, frame: Frame, damage: &Region) -> Region {
        let size = frame_size(&frame);
        let damage = match self.frame.borrow().as_ref() {
            Some(before) if frame_size(before) == size => tighten(before, &frame, damage),
            _ => Region::from(size.bounds()),
        };
        self.frame.replace(Some(frame));
        if !damage.is_empty() {
            self.each_viewer(|viewer| viewer.give_back(&damage));
        }
        damage
    }

    /// Wakes all display channels.
    pub(crate) fn ring_viewers(&self) {
        self.each_viewer(|_| {});
    }

    /// Tells every viewer something, rings its bell, and forgets those who left.
    fn each_viewer(&self, tell: impl Fn(&Viewer)) {
        self.viewers.borrow_mut().retain(|viewer| match viewer.upgrade() {
            Some(viewer) => {
                tell(&viewer);
                viewer.bell.notify_one();
                true
            }
            None => false,
        });
    }

    /// The newest picture.
    pub(crate) fn frame(&self) -> Option<Frame> {
        self.frame.borrow().clone()
    }

    /// The pointer as it is now.
    pub(crate) fn pointer(&self) -> Pointer {
        self.pointer.borrow().clone()
    }

    /// The keyboard's lights as they are now.
    pub(crate) fn leds(&self) -> Leds {
        self.leds.get()
    }

    /// A new viewer; `bell` rings whenever the picture changes.
    pub(crate) fn watch(&self, bell: Rc<Notify>) -> Rc<Viewer> {
        let viewer = Rc::new(Viewer { pending: RefCell::default(), covered: RefCell::default(), bell });
        self.viewers.borrow_mut().push(Rc::downgrade(&viewer));
        viewer
    }

    /// `bell` rings whenever the pointer or the lights change, as long as somebody keeps it.
    pub(crate) fn watch_rest(&self, bell: &Rc<Notify>) {
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
