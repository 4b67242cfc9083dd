//! The guest agent's stream, above the messages of [`crate::proto::agent`].

mod chunks;

pub use chunks::{Assembled, Chunks};
