//! Where pictures come from and where input goes.
//!
//! A [`Source`] runs on a thread of its own from start to end. It talks to the server through a
//! [`Stage`] (what it shows) and hears from it through an [`Inbox`] (input, wishes, the end). It
//! never waits for a viewer: publishing replaces what was published before.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use sumac_backends::Frame;

pub use frames::Frames;
pub use geometry::{Rect, Size};
pub use pool::FramePool;
pub use stats::SourceStats;
pub use test_desktop::TestDesktop;

#[cfg(test)]
mod conformance;
pub mod frames;
mod geometry;
mod pool;
#[cfg(test)]
mod recorder;
mod schedule;
mod stamp;
mod stats;
mod sys;
pub mod test_desktop;

/// Something that shows a desktop and takes input.
///
/// `run` owns the calling thread until the [`Inbox`] says [`ToSource::Quit`] (or is closed), and
/// returns an error when the source cannot go on; the server then reports it and stops.
pub trait Source: Send {
    /// The size of the first picture, in pixels; known before `run` so that listeners can open.
    fn size(&self) -> Size;
    /// Its counters, which stay readable while it runs.
    fn stats(&self) -> Arc<SourceStats>;
    /// Shows the desktop until told to quit.
    fn run(self: Box<Self>, stage: Box<dyn Stage>, inbox: Inbox) -> anyhow::Result<()>;
}

/// What a source can do to the picture that the viewers see.
pub trait Stage: Send {
    /// Replaces the picture. `damage` lists what differs from the picture before (all of it when
    /// the size changed); an empty list means nothing changed and costs nothing.
    fn publish(&mut self, frame: Frame, damage: &[Rect]);
    /// Replaces the pointer's shape; `None` hides the pointer.
    fn cursor(&mut self, shape: Option<CursorShape>);
    /// Tells where the pointer is, in pixels of the picture, whenever it moved. Viewers with a
    /// relative mouse see it there; the others know better where theirs is.
    fn pointer(&mut self, x: i32, y: i32);
    /// The lock lights of the keyboard changed.
    fn leds(&mut self, leds: Leds);
}

/// The server's side of the conversation.
pub type Inbox = Receiver<ToSource>;

/// What the server tells a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToSource {
    /// A viewer's input.
    Input(InputEvent),
    /// A viewer would like this size; the source may ignore it or answer with a picture of any size.
    Resize(Size),
    /// The number of viewers that look at the picture now changed to this.
    Viewers(usize),
    /// Stop motion: `true` freezes every animation.
    Freeze(bool),
    /// End.
    Quit,
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
