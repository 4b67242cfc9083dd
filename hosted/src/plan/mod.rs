//! What is sent of a picture, and as what: pure functions from pixels and damage to regions.
//!
//! ```text
//!  what the source says changed
//!      │ tighten: what did change
//!      ▼
//!  damage ──► VideoPlan: ──► streams, and what came to rest
//!      │      what moves
//!      │ split: what is not video
//!      ▼
//!  find_scroll: what only moved, find_fills: what has one colour, natural_parts: what looks like a
//!  photo; Pending: what of it a viewer has not been sent
//! ```
//!
//! Nothing here reads a clock, waits or talks to anyone; the engine calls it once per published
//! frame and does what it says.

pub use diff::{tighten, tighten_beside};
pub use natural::natural_parts;
pub use pending::Pending;
pub use region::Region;
pub use scroll::{Scroll, find_scroll};
pub use solid::{Fill, find_fills, solid_colour};
pub use video::{Changes, Stream, VideoPlan, looks_like_text};

mod diff;
mod matrix;
mod natural;
mod pending;
mod region;
mod rows;
mod scroll;
mod solid;
mod video;
