//! Encoders in processes of their own: what goes wrong in a codec's library ends one of those.
//!
//! ```text
//!   this process                                       a process per encoder
//!   Isolated ── open ──► Remote ═══ orders, fds ════► serve ──► any other backend's encoder
//!                          ▲  └─ pixels ─► slots ─────► │
//!                          └─ packets ◄─── slots ◄──────┘
//! ```
//!
//! Orders and answers are messages of a socket pair, pixels and packets lie in a memfd that both have
//! mapped: a ring of slots, one for each ticket that may be open. Pixels in memory are copied into their
//! slot, dmabufs are passed as they are. Whoever embeds this says how a process is started; it has to call
//! [`serve`] with its end of the socket.
//!
//! A process that ends while it encodes is replaced at once: the next one gets the same pictures, the first
//! as a key frame. One that ends again and again makes the encoder fail like any other.

use std::{io, os::fd::OwnedFd, sync::Arc};

use crate::{Backend, BackendError, Encoder, Frame, Report, Settings};

mod message;
mod remote;
mod serve;
#[allow(unsafe_code, reason = "mmap of the memory that two processes share")]
mod sys;

pub use serve::{ServeError, serve};

/// Tickets that may be open at once: an encoder that could have more gets no more.
const SLOTS: usize = 4;

/// How a process is started: gets the name of the backend, and its end of the socket, which it keeps until
/// it ends. Must not wait for it.
pub type Start = Box<dyn Fn(&'static str, OwnedFd) -> io::Result<()> + Send + Sync>;

/// A backend whose encoders work in processes of their own.
pub struct Isolated(Arc<Home>);

/// What the encoders need to start the next process.
struct Home {
    backend: &'static dyn Backend,
    start: Start,
}

impl Isolated {
    /// The same as `backend`, but elsewhere.
    pub fn new(backend: &'static dyn Backend, start: Start) -> Self {
        Self(Arc::new(Home { backend, start }))
    }
}

impl Backend for Isolated {
    fn name(&self) -> &'static str {
        self.0.backend.name()
    }

    /// Asks in this process: nothing is encoded for that.
    fn probe(&self) -> Vec<Report> {
        self.0.backend.probe()
    }

    fn open(&self, want: &Settings, like: &Frame) -> Result<Box<dyn Encoder>, BackendError> {
        want.check(self.name(), like)?;
        Ok(Box::new(remote::Remote::open(Arc::clone(&self.0), want, like)?))
    }
}

/// Where pixels and packets lie in the shared memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slots {
    /// Bytes of the pixels of a picture, without padding.
    pixels: usize,
    /// Bytes from one slot to the next.
    size: usize,
}

impl Slots {
    /// A packet may be larger than its pixels by so much: headers of a tiny picture.
    const MORE: usize = 64 * 1024;

    fn new(settings: &Settings) -> Option<Self> {
        let pixels = usize::try_from(settings.width).ok()?.checked_mul(settings.height as usize)?.checked_mul(4)?;
        let size = pixels.checked_mul(2)?.checked_add(Self::MORE)?.checked_next_multiple_of(4096)?;
        size.checked_mul(SLOTS)?;
        Some(Self { pixels, size })
    }

    fn total(self) -> usize {
        self.size * SLOTS
    }

    /// Where the pixels of a ticket begin.
    fn input(self, ticket: u64) -> usize {
        (ticket % SLOTS as u64) as usize * self.size
    }

    /// Where its packet begins.
    fn output(self, ticket: u64) -> usize {
        self.input(ticket) + self.pixels
    }

    /// How large its packet may be.
    fn room(self) -> usize {
        self.size - self.pixels
    }
}

#[cfg(test)]
mod tests;
