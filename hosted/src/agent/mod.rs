//! The guest's agent as viewers see it: the clipboard of a source, or the guest's own agent.
//!
//! ```text
//!  source ─grab, release, answer─► GuestClipboard ─► Board ─► each viewer's agent stream
//!  source ◄─events, content─────── GuestClipboard ◄─ Board ◄─ the viewer that copied something
//! ```
//!
//! Content goes where it is asked for, and is held once however many viewers ask.

mod board;
mod clipboard;
mod relay;

pub(crate) use board::{Board, News, Seat};
pub use clipboard::{
    CLIPBOARD_MOST, Clipboard, ClipboardEvent, ClipboardKind, ClipboardRequest, GuestClipboard, Selection,
};
pub(crate) use relay::{Ear, Filter, Relay, Travel, begun, pieces};
