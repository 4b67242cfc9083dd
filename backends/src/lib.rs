//! Frames and the encoders that turn them into video. Knows nothing of SPICE.
//!
//! # The way of a frame
//! A source wraps its pixels, in memory or in a dmabuf, in a [`Frame`] and may attach an action
//! that runs when the last handle to it is gone ([`Frame::on_release`]): *dropping a frame is how a
//! buffer returns to its source*. An [`Encoder`] takes a frame with [`Encoder::submit`], or gives
//! it back in [`Refused`]; [`Encoder::poll_completion`] yields every accepted [`Ticket`] exactly
//! once, in order, and at that moment the encoder holds no handle to the frame any more.
//!
//! # Threads
//! A [`Backend`] is shared by all threads; an [`Encoder`] stays on the thread that opened it
//! (libva's objects may not move). An encoder without a [`readiness`](Encoder::readiness) fd does
//! its work inside `poll_completion`: give it a thread of its own.
//!
//! # Adding a backend
//! A directory with `mod.rs` and, for its `unsafe`, `sys.rs`; one line in [`registry::backends`];
//! and a test that runs [`conformance::check_backend`] on it. Nothing above this package changes.

pub mod bitstream;
pub mod buffer;
pub mod conformance;
pub mod dmabuf;
pub mod encoder;
pub mod error;
pub mod frame;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod isolated;
pub mod overhead;
pub mod probe;
mod rate;
pub mod registry;
pub mod scripted;
pub mod software;
pub mod v4l2;
pub mod vaapi;

pub use buffer::Buffer;
pub use dmabuf::{Dmabuf, Plane};
pub use encoder::{
    Backend, Chroma, Codec, Completion, EncodeRequest, Encoder, Packet, Rate, Refusal, Refused, Settings, Ticket,
    Tuning,
};
pub use error::{BackendError, FrameError, Unavailable};
pub use frame::{Frame, Layout, Rect};
pub use probe::{Offer, RateControl, Report};
pub use software::Jpeg;
