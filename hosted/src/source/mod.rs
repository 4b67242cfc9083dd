//! Where pictures come from and where input goes.
//!
//! A [`Source`] runs on a thread of its own from start to end. It talks to the server through a
//! [`Host`] and one [`Stage`] for each of its displays (what it shows), and hears from it through
//! an [`Inbox`] (input, wishes, the end). It never waits for a viewer: publishing replaces what was
//! published before.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use sumac_backends::{Dmabuf, Frame};

use crate::config::{Name, Uuid};

pub use frames::Frames;
pub use geometry::{Rect, Size};
pub use peripherals::Peripherals;
pub use pool::FramePool;
pub use qemu::Qemu;
pub use stats::SourceStats;
pub use test_desktop::TestDesktop;

#[cfg(test)]
mod conformance;
pub mod frames;
mod geometry;
mod peripherals;
mod pool;
pub(crate) mod qemu;
#[cfg(test)]
mod recorder;
mod schedule;
mod screen;
mod stamp;
mod stats;
mod sys;
pub mod test_desktop;

/// Something that shows a desktop and takes input.
///
/// `run` owns the calling thread until the [`Inbox`] says [`ToSource::Quit`] (or is closed), and
/// returns an error when the source cannot go on; the server then reports it and stops.
pub trait Source: Send {
    /// Its counters, which stay readable while it runs.
    fn stats(&self) -> Arc<SourceStats>;
    /// Shows the desktop until told to quit. The listeners open with the first picture.
    fn run(self: Box<Self>, host: Arc<dyn Host>, inbox: Inbox) -> anyhow::Result<()>;
}

/// The server as a source sees it: where it gets a [`Stage`] for each display, and tells what
/// concerns no display. Any thread may call it.
pub trait Host: Send + Sync {
    /// A display that viewers see from now on, until the stage is dropped; displays may come and go
    /// while the source runs. Number `id` is the id of its display channel and its cursor channel.
    /// `None` when there is a display of this number already.
    fn display(&self, id: u8) -> Option<Box<dyn Stage>>;
    /// The lock lights of the keyboard changed.
    fn leds(&self, leds: Leds);
    /// Whether positions are taken (`true`, as from the start) or only motion. Then viewers send
    /// motion, and see the pointer where [`Stage::pointer`] says.
    fn mouse(&self, absolute: bool);
    /// What is shown is this machine's; viewers are told unless the operator said otherwise.
    fn identity(&self, identity: Identity);
    /// Sound, character devices and the clipboard.
    fn peripherals(&self) -> &Peripherals;
}

/// Who a source is, as far as it knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// For the title of a viewer's window.
    pub name: Option<Name>,
    /// By which viewers know it again.
    pub uuid: Option<Uuid>,
}

/// What a source can do to one display. Dropping it takes the display away.
///
/// The picture lies in memory ([`publish`](Self::publish)) or in dmabufs
/// ([`scanout`](Self::scanout)), whichever was said last.
pub trait Stage: Send {
    /// Replaces the picture by one in memory, and ends a scanout. `damage` lists what differs from
    /// the picture published before (all of it when the size changed); an empty list means nothing
    /// changed and costs nothing.
    fn publish(&mut self, frame: Frame, damage: &[Rect]);
    /// The picture is in these dmabufs from the next [`gl_draw`](Self::gl_draw) on. They stay
    /// referenced, and are read whenever a viewer needs a whole picture, until the next scanout.
    /// `None` ends it: the picture published last, if there is one, is shown again. Draws that are
    /// not done yet complete soon, without a promise that they were shown.
    ///
    /// A memfd in the place of a dmabuf goes to encoders, but to no client: none could import it.
    fn scanout(&mut self, scanout: Option<Dmabuf>);
    /// Something was drawn into the scanout, in `rect`, in pixels from the top left. `done` is
    /// dropped when nobody reads that picture any more: the buffer may be drawn into again. That
    /// happens at once without viewers and without a scanout, and never waits for one that is slow.
    fn gl_draw(&mut self, rect: Rect, done: Cookie);
    /// Replaces the pointer's shape; `None` hides the pointer.
    fn cursor(&mut self, shape: Option<CursorShape>);
    /// Tells where the pointer is, in pixels of the picture, whenever it moved. Viewers with a
    /// relative mouse see it there; the others know better where theirs is.
    fn pointer(&mut self, x: i32, y: i32);
}

/// The completion of a [`Stage::gl_draw`]: does something once, when it is dropped.
pub struct Cookie(Option<Box<dyn FnOnce() + Send>>);

impl Cookie {
    /// `done` runs on whatever thread drops the cookie and must not block.
    pub fn new(done: impl FnOnce() + Send + 'static) -> Self {
        Self(Some(Box::new(done)))
    }
}

impl Drop for Cookie {
    fn drop(&mut self) {
        if let Some(done) = self.0.take() {
            done();
        }
    }
}

impl fmt::Debug for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cookie")
    }
}

/// The server's side of the conversation.
pub type Inbox = Receiver<ToSource>;

/// What the server tells a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToSource {
    /// A viewer's input.
    Input(InputEvent),
    /// A viewer would like a display to be like this monitor; the source may ignore it or answer
    /// with a picture of any size.
    Resize {
        /// Which display.
        display: u8,
        /// The viewer's window or screen.
        monitor: Monitor,
    },
    /// The number of display channels that viewers look at, of all displays, changed to this.
    Viewers(usize),
    /// Stop motion: `true` freezes every animation.
    Freeze(bool),
    /// End.
    Quit,
}

/// What a viewer shows a display on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Monitor {
    /// In pixels.
    pub size: Size,
    /// Column and row of its top left corner among all of the viewer's monitors; 0 where not known.
    pub place: (i32, i32),
    /// Width and height in millimetres; 0 where not known.
    pub millimetres: (u16, u16),
}

impl Monitor {
    /// One of this size of which nothing else is known.
    pub fn of(size: Size) -> Self {
        Self { size, place: (0, 0), millimetres: (0, 0) }
    }
}

/// Protocol-free input, already merged from all viewers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputEvent {
    /// A key by its XT set-1 code: `code` without the break bit (0x80), `extended` for an E0 prefix.
    Key {
        /// Set-1 make code, 1..=0x7f.
        code: u8,
        /// Whether the code follows an E0 prefix.
        extended: bool,
        /// Pressed or released.
        down: bool,
    },
    /// The pointer went to this pixel.
    MoveTo {
        /// On which display; there may be none of this number.
        display: u8,
        /// Column, from 0.
        x: u32,
        /// Row, from 0.
        y: u32,
    },
    /// The pointer moved by this much.
    MoveBy {
        /// To the right.
        dx: i32,
        /// Down.
        dy: i32,
    },
    /// A button went down or up.
    Button {
        /// Which one.
        button: Button,
        /// Pressed or released.
        down: bool,
    },
    /// The wheel turned by this many notches; negative is up (away from the user).
    Wheel(i32),
    /// The viewer's lock lights; the source presses its lock keys until its own agree.
    Leds(Leds),
}

/// A pointer button.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Button {
    /// Left.
    Left,
    /// Middle.
    Middle,
    /// Right.
    Right,
    /// Side ("back").
    Side,
    /// Extra ("forward").
    Extra,
}

/// The keyboard's lock lights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leds {
    /// Scroll Lock.
    pub scroll: bool,
    /// Num Lock.
    pub num: bool,
    /// Caps Lock.
    pub caps: bool,
}

/// A pointer image: premultiplied BGRA, top row first, no padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CursorShape {
    /// Width and height in pixels.
    pub size: Size,
    /// Column of the pixel that points.
    pub hot_x: u16,
    /// Row of the pixel that points.
    pub hot_y: u16,
    /// `width * height * 4` bytes.
    pub bgra: Arc<[u8]>,
}
