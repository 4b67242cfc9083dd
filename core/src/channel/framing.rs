//! Headers: where one message ends and the next begins.
//!
//! A driver collects [`Framing::want`] bytes and hands them to [`Framing::on_bytes`], again and
//! again; in between it may keep the body where it was received.

use super::{PeerError, Transmit};
use crate::proto::header::{DataHeader, MiniHeader};
use crate::wire::{EncodeError, Field, Reader, Writer, to_u32, to_usize};

/// Finds messages in a byte stream.
#[derive(Clone, Debug)]
pub struct Framing {
    mini: bool,
    max_body: usize,
    state: State,
    received: u64,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Header,
    Body { id: u16, size: usize },
}

/// A complete message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framed<'a> {
    /// Its number.
    pub id: u16,
    /// Its body.
    pub body: &'a [u8],
}

impl Framing {
    /// For a channel with mini headers or full ones, and bodies of at most `max_body` bytes.
    #[must_use]
    pub const fn new(mini: bool, max_body: usize) -> Self {
        Self { mini, max_body, state: State::Header, received: 0 }
    }

    /// Bytes that [`Self::on_bytes`] wants next; 0 when a message has no body.
    #[must_use]
    pub const fn want(&self) -> usize {
        match self.state {
            State::Header if self.mini => size_of::<MiniHeader>(),
            State::Header => size_of::<DataHeader>(),
            State::Body { size, .. } => size,
        }
    }

    /// Takes exactly [`Self::want`] bytes: a header (no answer yet) or a body.
    ///
    /// # Errors
    /// `Oversize` when a header announces more than the channel takes.
    pub fn on_bytes<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<Framed<'a>>, PeerError> {
        match self.state {
            State::Header => {
                let (id, size) = self.header(bytes)?;
                if to_usize(size) > self.max_body {
                    return Err(PeerError::Oversize { id, size, max: self.max_body });
                }
                self.state = State::Body { id, size: to_usize(size) };
                Ok(None)
            }
            State::Body { id, .. } => {
                self.state = State::Header;
                self.received = self.received.saturating_add(1);
                Ok(Some(Framed { id, body: bytes }))
            }
        }
    }

    fn header(&self, bytes: &[u8]) -> Result<(u16, u32), PeerError> {
        let r = &mut Reader::new(bytes);
        Ok(if self.mini {
            let header = MiniHeader::read(r)?;
            (header.id(), header.size())
        } else {
            let header = DataHeader::read(r)?;
            (header.id(), header.size())
        })
    }

    /// Messages received so far; with mini headers the serial of the last one.
    #[must_use]
    pub const fn received(&self) -> u64 {
        self.received
    }
}

/// Puts headers in front of what is said, and numbers it.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    mini: bool,
    sent: u64,
}

impl Outgoing {
    pub(super) const fn new(mini: bool) -> Self {
        Self { mini, sent: 0 }
    }

    /// Messages sent so far: the serial of the last one.
    pub(super) const fn sent(&self) -> u64 {
        self.sent
    }

    /// As if so many had been sent.
    pub(super) fn continue_from(&mut self, sent: u64) {
        self.sent = sent;
    }

    /// Frames a body of `size` bytes.
    pub(super) fn frame(
        &mut self,
        id: u16,
        size: usize,
        out: &mut [u8],
        encode: impl FnOnce(&mut Writer<'_>) -> Result<(), EncodeError>,
    ) -> Result<Transmit, EncodeError> {
        let serial = self.sent.saturating_add(1);
        let header_len = if self.mini { size_of::<MiniHeader>() } else { size_of::<DataHeader>() };
        let left = out.len();
        let (header, body) =
            out.split_at_mut_checked(header_len).ok_or(EncodeError::NoSpace { needed: header_len, left })?;
        let mut w = Writer::new(body);
        encode(&mut w)?;
        let (written, promised) = (w.position(), w.promised());
        debug_assert_eq!(size, written.saturating_add(promised), "size() of message {id}");
        let size = to_u32(written.saturating_add(promised));
        let mut h = Writer::new(header);
        if self.mini {
            MiniHeader::new(id, size).write(&mut h)?;
        } else {
            DataHeader::new(serial, id, size, 0).write(&mut h)?;
        }
        self.sent = serial;
        Ok(Transmit { head: header_len.saturating_add(written), body: promised })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(mini: bool, stream: &[u8], max: usize) -> Result<usize, PeerError> {
        let mut framing = Framing::new(mini, max);
        let (mut at, mut messages) = (0, 0);
        while let Some(unit) = stream.get(at..at + framing.want()) {
            at += unit.len();
            messages += usize::from(framing.on_bytes(unit)?.is_some());
            if at == stream.len() && framing.want() != 0 {
                break;
            }
        }
        Ok(messages)
    }

    #[test]
    fn mini_and_full_headers_are_followed() {
        let mini = [3, 0, 2, 0, 0, 0, 0xaa, 0xbb, 4, 0, 0, 0, 0, 0];
        assert_eq!(collect(true, &mini, 2), Ok(2));
        let mut full = [0; 19];
        full[8] = 3;
        full[10] = 1;
        assert_eq!(collect(false, &full, 1), Ok(1));
    }

    #[test]
    fn a_body_over_the_limit_is_refused_before_it_arrives() {
        for (size, ok) in [(16u32, true), (17, false), (u32::MAX, false)] {
            let [a, b, c, d] = size.to_le_bytes();
            let mut framing = Framing::new(true, 16);
            let header = [7, 0, a, b, c, d];
            let got = framing.on_bytes(&header);
            assert_eq!(got.is_ok(), ok, "{size}");
            if !ok {
                assert_eq!(got, Err(PeerError::Oversize { id: 7, size, max: 16 }));
            }
        }
    }
}
