//! What a QXL guest wrote: parsed from a copy, never where it lies.
//!
//! [`parse`] is a pure function from a command, the guest's memory and what is known of its slots
//! and surfaces to what the command asks for: drawings as messages of the display channel, cursors
//! as messages of the cursor channel. A host copies the memory behind [`GuestMemory`], lends the
//! room for the copies, and carries out what comes back.
//!
//! ```text
//!  ring ─► Command ─► parse ─► Parsed: Draw, Cursor, Surface, Update, Message
//!                       │
//!   MemSlots ─► View ───┘ copies each structure once, into the stack or the lent room
//! ```
#![cfg_attr(not(test), deny(clippy::as_conversions, clippy::arithmetic_side_effects, clippy::indexing_slicing))]

pub mod abi;
mod command;
mod cursor;
mod drawable;
mod error;
mod image;
mod memory;
pub mod monitors_config;
mod shape;
mod slots;
mod surface;
#[cfg(test)]
mod tests;

pub use command::{Command, CommandFlags, Parsed, parse};
pub use drawable::Drawable;
pub use error::{QxlError, QxlErrorKind};
pub use memory::{GuestMemory, Lent, View};
pub use slots::{MemSlots, Slot, SlotLayout};
pub use surface::{Surface, SurfaceCommand, Surfaces};
