//! Frames and the encoders that turn them into video. Knows nothing of SPICE.

mod frame;

pub use frame::{Frame, Layout};
