//! Encoders whose driver answers whatever it likes: for the oracles of `tests/`, which say what must
//! hold, and for fuzzers. Behind a feature, and no part of the interface.

mod script;

pub(crate) use script::{Mood, Script};

use crate::{BackendError, Encoder, Frame, Settings};

/// A V4L2 encoder whose device answers each call by the next bytes of a script; behind its end the
/// device is gone.
///
/// # Errors
/// As of [`Backend::open`](crate::Backend::open).
pub fn v4l2(settings: &Settings, like: &Frame, script: &[u8]) -> Result<Box<dyn Encoder>, BackendError> {
    crate::v4l2::fuzzing::open(settings, like, Script::new(script))
}
