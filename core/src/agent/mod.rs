//! The guest agent's stream, above the messages of [`crate::proto::agent`].

mod chunks;
mod pieces;

pub use chunks::{Assembled, Chunks};
pub use pieces::{Piece, Pieces};
