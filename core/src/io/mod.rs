//! Drivers over the streams of `embedded-io` and `embedded-io-async`: one loop each, no protocol.
//!
//! A [`Wire`] is a stream with memory lent to it. First [`blocking::link`] takes turns until the
//! channel is open, then [`blocking::turn`] until it ends; what the host has to say goes out with
//! [`blocking::say`]. A turn never waits for the peer's next byte, so that one loop can serve
//! several channels, each on its own wire, and sleep when all of them [`Turn::Wait`]. In
//! `asynchronous` the same functions wait themselves.
//!
//! ```
//! # #[cfg(feature = "embedded-io")] {
//! use sumac_core::channel::inputs::{InputsEvent, InputsServer};
//! use sumac_core::io::{Line, Turn, Wire, blocking};
//! use sumac_core::link::{Admission, Question, ServerConfig, ServerLink, Verdict};
//! use sumac_core::time::Millis;
//! # struct Uart;
//! # #[derive(Debug)] struct Never;
//! # impl core::fmt::Display for Never { fn fmt(&self, _: &mut core::fmt::Formatter) -> core::fmt::Result { Ok(()) } }
//! # impl core::error::Error for Never {}
//! # impl embedded_io::Error for Never { fn kind(&self) -> embedded_io::ErrorKind { embedded_io::ErrorKind::Other } }
//! # impl embedded_io::ErrorType for Uart { type Error = Never; }
//! # impl embedded_io::Read for Uart { fn read(&mut self, _: &mut [u8]) -> Result<usize, Never> { Ok(0) } }
//! # impl embedded_io::Write for Uart {
//! #     fn write(&mut self, b: &[u8]) -> Result<usize, Never> { Ok(b.len()) }
//! #     fn flush(&mut self) -> Result<(), Never> { Ok(()) }
//! # }
//! # impl embedded_io::ReadReady for Uart { fn read_ready(&mut self) -> Result<bool, Never> { Ok(true) } }
//! # fn clock() -> Millis { Millis(0) }
//! fn serve(uart: Uart) -> Result<(), sumac_core::io::Error<Never>> {
//!     let (mut inbox, mut out) = ([0; 4096], [0; 256]);
//!     let mut wire = Wire::new(uart, &mut inbox, &mut out);
//!     let mut link = ServerLink::new(clock(), ServerConfig::default());
//!     let opened = loop {
//!         let turn = blocking::link(&mut wire, &mut link, clock(), |link, question, out| match question {
//!             Question::Channel(_) => {
//!                 link.admit(&Admission::Admit { public_key: None, channel_caps: 1 }, out)
//!             }
//!             _ => link.ticket(Verdict::Accepted).map(|()| 0),
//!         })?;
//!         if let Turn::Got(opened) = turn {
//!             break opened;
//!         }
//!     };
//!     let mut line = Line::new(&opened, InputsServer::new(opened.negotiated), &wire);
//!     loop {
//!         let turn = blocking::turn(&mut wire, &mut line, clock(), |event| match event {
//!             InputsEvent::Inputs(inputs) => inputs.count(),
//!             _ => 0,
//!         })?;
//!         if let Turn::Wait(_until) = turn { /* sleep */ }
//!     }
//! }
//! # assert!(matches!(serve(Uart), Err(sumac_core::io::Error::Eof)));
//! # }
//! ```

#[cfg(feature = "embedded-io-async")]
pub mod asynchronous;
#[cfg(feature = "embedded-io")]
pub mod blocking;
#[cfg(test)]
mod tests;

use core::fmt;

use crate::channel::framing::Framing;
use crate::channel::{Channel, Expired, PeerError, Refused};
use crate::link::{LinkClosed, Opened};
use crate::time::Millis;
use crate::wire::EncodeError;

/// A stream, and the memory lent to it.
#[derive(Debug)]
pub struct Wire<'b, S> {
    stream: S,
    inbox: &'b mut [u8],
    /// Bytes in the inbox.
    filled: usize,
    out: &'b mut [u8],
    /// Something was written and not flushed.
    unflushed: bool,
}

/// A channel on a wire.
#[derive(Clone, Debug)]
pub struct Line<C> {
    framing: Framing,
    /// The channel's machine.
    pub machine: C,
}

/// What a turn came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Turn<T> {
    /// There may be more: take another one at once.
    Again,
    /// Nothing to do before bytes arrive, the host has something to say, or it is this time.
    Wait(Option<Millis>),
    /// This.
    Got(T),
}

/// Why it is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error<E> {
    /// The stream's own.
    Stream(E),
    /// The peer closed the stream.
    Eof,
    /// Linking came to nothing.
    Closed(LinkClosed),
    /// The peer broke the protocol.
    Peer(PeerError),
    /// The peer is gone.
    Expired(Expired),
    /// What the host said may not be said; after [`Refused::Hold`] the channel goes on.
    Refused(Refused),
    /// The wire's inbox is too small.
    Inbox {
        /// Bytes needed.
        needed: usize,
        /// Bytes lent.
        lent: usize,
    },
}

impl<'b, S> Wire<'b, S> {
    /// A stream, memory for what arrives, and memory for what is sent.
    ///
    /// A server's inbox needs [`limits::LINK_BODY`](crate::limits::LINK_BODY) bytes to take every
    /// link message; the largest message that a [`Line`] takes is as large as the inbox. `out` takes
    /// 202 bytes for a server's link reply and the largest message without its payload.
    #[must_use]
    pub const fn new(stream: S, inbox: &'b mut [u8], out: &'b mut [u8]) -> Self {
        Self { stream, inbox, filled: 0, out, unflushed: false }
    }

    /// Gives the stream back.
    #[must_use]
    pub fn into_stream(self) -> S {
        self.stream
    }

    /// The part of the inbox that is to be filled; empty when there is enough.
    fn room<E>(&mut self, want: usize) -> Result<&mut [u8], Error<E>> {
        let lent = self.inbox.len();
        let wanted = self.inbox.get_mut(..want).ok_or(Error::Inbox { needed: want, lent })?;
        Ok(wanted.get_mut(self.filled..).unwrap_or_default())
    }

    /// What was received; the inbox is empty again.
    fn received(&mut self, want: usize) -> &[u8] {
        self.filled = 0;
        self.inbox.get(..want).unwrap_or_default()
    }
}

impl<C: Channel> Line<C> {
    /// A channel that was just opened on `wire`.
    #[must_use]
    pub fn new<S>(opened: &Opened, machine: C, wire: &Wire<'_, S>) -> Self {
        let max_body = machine.max_body().min(wire.inbox.len());
        Self { framing: Framing::new(opened.negotiated.mini_header, max_body), machine }
    }
}

/// The payload behind a head is not as long as was promised.
const PAYLOAD: Refused = Refused::Misuse("the payload is not as long as the message promised");

impl<E> From<Refused> for Error<E> {
    fn from(e: Refused) -> Self {
        Self::Refused(e)
    }
}

impl<E> From<EncodeError> for Error<E> {
    fn from(e: EncodeError) -> Self {
        Self::Refused(e.into())
    }
}

impl<E> From<PeerError> for Error<E> {
    fn from(e: PeerError) -> Self {
        Self::Peer(e)
    }
}

impl<E: fmt::Debug> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream(e) => write!(f, "the stream failed: {e:?}"),
            Self::Eof => f.write_str("the peer closed the stream"),
            Self::Closed(why) => why.fmt(f),
            Self::Peer(e) => e.fmt(f),
            Self::Expired(why) => write!(f, "the peer is gone: {why:?}"),
            Self::Refused(e) => e.fmt(f),
            Self::Inbox { needed, lent } => write!(f, "{needed} bytes of inbox are needed, {lent} are lent"),
        }
    }
}

impl<E: fmt::Debug> core::error::Error for Error<E> {}
