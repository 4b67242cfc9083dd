//! [`Recorder`]: a [`Host`] with display 0 for tests, which passes on what it is told.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use sumac_backends::{Dmabuf, Frame};

use super::{Cookie, CursorShape, Host, Identity, Leds, Peripherals, Rect, Stage};

/// What a source told its host and stage.
pub(super) enum Told {
    /// A picture and its damage.
    Publish(Frame, Vec<Rect>),
    /// A scanout, or its end.
    Scanout(Option<Dmabuf>),
    /// A draw and its cookie.
    GlDraw(Rect, Cookie),
    /// A shape of the pointer.
    Cursor(Option<CursorShape>),
    /// A place of the pointer.
    Pointer(i32, i32),
    /// Lock lights.
    Leds(Leds),
    /// Whether positions are taken.
    Mouse(bool),
    /// Who it is.
    #[expect(dead_code, reason = "no test looks at it")]
    Identity(Identity),
}

/// Passes on everything, in order.
#[derive(Clone)]
pub(super) struct Recorder {
    told: Sender<Told>,
    peripherals: Peripherals,
}

impl Recorder {
    /// A recorder and where to read what it records.
    pub(super) fn host() -> (Arc<dyn Host>, Receiver<Told>) {
        let (sender, receiver) = channel();
        (Arc::new(Self { told: sender, peripherals: Peripherals::default() }), receiver)
    }

    /// The test may have read enough and be gone.
    fn record(&self, told: Told) {
        let _ = self.told.send(told);
    }
}

impl Host for Recorder {
    fn display(&self, id: u8) -> Option<Box<dyn Stage>> {
        (id == 0).then(|| Box::new(self.clone()) as Box<dyn Stage>)
    }

    fn leds(&self, leds: Leds) {
        self.record(Told::Leds(leds));
    }

    fn peripherals(&self) -> &Peripherals {
        &self.peripherals
    }

    fn mouse(&self, absolute: bool) {
        self.record(Told::Mouse(absolute));
    }

    fn identity(&self, identity: Identity) {
        self.record(Told::Identity(identity));
    }
}

impl Stage for Recorder {
    fn publish(&mut self, frame: Frame, damage: &[Rect]) {
        self.record(Told::Publish(frame, damage.to_vec()));
    }

    fn scanout(&mut self, scanout: Option<Dmabuf>) {
        self.record(Told::Scanout(scanout));
    }

    fn gl_draw(&mut self, rect: Rect, done: Cookie) {
        self.record(Told::GlDraw(rect, done));
    }

    fn cursor(&mut self, shape: Option<CursorShape>) {
        self.record(Told::Cursor(shape));
    }

    fn pointer(&mut self, x: i32, y: i32) {
        self.record(Told::Pointer(x, y));
    }
}
