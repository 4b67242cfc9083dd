//! [`Recorder`]: a [`Stage`] for tests that passes on what it is told.

use std::sync::mpsc::{Receiver, Sender, channel};

use sumac_backends::Frame;

use super::{CursorShape, Leds, Rect, Stage};

/// What a source told its stage.
pub(super) enum Told {
    /// A picture and its damage.
    Publish(Frame, Vec<Rect>),
    /// A shape of the pointer.
    Cursor(Option<CursorShape>),
    /// A place of the pointer.
    Pointer(i32, i32),
    /// Lock lights.
    Leds(Leds),
}

/// Passes on everything, in order.
pub(super) struct Recorder(Sender<Told>);

impl Recorder {
    /// A recorder and where to read what it records.
    pub(super) fn new() -> (Self, Receiver<Told>) {
        let (sender, receiver) = channel();
        (Self(sender), receiver)
    }

    /// The test may have read enough and be gone.
    fn record(&self, told: Told) {
        let _ = self.0.send(told);
    }
}

impl Stage for Recorder {
    fn publish(&mut self, frame: Frame, damage: &[Rect]) {
        self.record(Told::Publish(frame, damage.to_vec()));
    }

    fn cursor(&mut self, shape: Option<CursorShape>) {
        self.record(Told::Cursor(shape));
    }

    fn pointer(&mut self, x: i32, y: i32) {
        self.record(Told::Pointer(x, y));
    }

    fn leds(&mut self, leds: Leds) {
        self.record(Told::Leds(leds));
    }
}
