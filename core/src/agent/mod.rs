//! The guest agent's stream, above the messages of [`crate::proto::agent`] (protocol.md §10).

mod chunks;

pub use chunks::{Assembled, Chunks};
