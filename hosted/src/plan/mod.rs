//! What is sent of a picture, and as what: pure functions from pixels and damage to regions.
//!
//! Nothing here reads a clock, waits or talks to anyone; the engine calls it once per published
//! frame and does what it says.

pub use diff::tighten;
pub use region::Region;
pub use video::{Changes, Stream, VideoPlan};

mod diff;
mod region;
mod video;
