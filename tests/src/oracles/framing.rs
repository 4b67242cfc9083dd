//! A byte stream comes apart into the same messages wherever the transport splits it.

use std::convert::Infallible;

use embedded_io::{ErrorType, Read, ReadReady, Write};
use sumac_core::channel::{Channel, Negotiated, PeerError, Poll, Refused, Transmit};
use sumac_core::io::{Error, Line, Turn, Wire, blocking};
use sumac_core::link::Opened;
use sumac_core::proto::common::ChannelType;
use sumac_core::time::Millis;
use sumac_core::wire::EncodeError;

use super::input::Input;

/// Streams up to this long are split at every place, longer ones where the input says.
const SHORT: usize = 64;

/// Input: a byte of flags, `u16` largest body, a block of piece sizes, then the stream.
pub(super) fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let mini_header = input.byte() & 1 == 0;
    let max_body = input.u16().into();
    let sizes = input.block();
    let stream = input.rest();
    let want = cut(stream, mini_header, max_body);
    assert_eq!(received(&[stream], mini_header, max_body), want, "in one piece");
    if stream.len() <= SHORT {
        for at in 0..=stream.len() {
            let (one, other) = stream.split_at(at);
            assert_eq!(received(&[one, other], mini_header, max_body), want, "split at {at}");
        }
    }
    let mut rest = Input::new(stream);
    let mut pieces: Vec<_> = sizes.iter().map(|&n| rest.take(n.into())).collect();
    pieces.push(rest.rest());
    assert_eq!(received(&pieces, mini_header, max_body), want, "in pieces of {sizes:?}");
}

/// Messages, and what is wrong with the header behind the last of them.
#[derive(Debug, PartialEq, Eq)]
struct Cut {
    messages: Vec<(u16, Vec<u8>)>,
    error: Option<PeerError>,
}

/// By hand: what the stream has to come to.
fn cut(stream: &[u8], mini: bool, max: usize) -> Cut {
    let mut cut = Cut { messages: Vec::new(), error: None };
    let mut input = Input::new(stream);
    let header = if mini { 6 } else { 18 };
    loop {
        let head = input.take(header);
        if head.len() < header {
            return cut;
        }
        let mut head = Input::new(&head[if mini { 0 } else { 8 }..]);
        let (id, size) = (head.u16(), head.u32());
        let len = usize::try_from(size).unwrap_or(usize::MAX);
        if len > max {
            cut.error = Some(PeerError::Oversize { id, size, max });
            return cut;
        }
        let body = input.take(len);
        if body.len() < len {
            return cut;
        }
        cut.messages.push((id, body.to_vec()));
    }
}

/// The driver's way.
fn received(pieces: &[&[u8]], mini_header: bool, max_body: usize) -> Cut {
    let mut inbox = vec![0; max_body.max(18)];
    let mut wire = Wire::new(Pieces { pieces: pieces.iter(), piece: &[] }, &mut inbox, &mut []);
    let negotiated = Negotiated { mini_header, peer_caps: 0 };
    let opened = Opened { negotiated, connection_id: 0, channel_type: ChannelType::MAIN, channel_id: 0 };
    let mut line = Line::new(&opened, Tape(max_body), &wire);
    let mut cut = Cut { messages: Vec::new(), error: None };
    loop {
        match blocking::turn(&mut wire, &mut line, Millis(0), |(id, body)| (id, body.to_vec())) {
            Ok(Turn::Got(message)) => cut.messages.push(message),
            // A split is a moment without a byte: the driver comes back.
            Ok(Turn::Again | Turn::Wait(_)) => {}
            Err(Error::Peer(error)) => {
                cut.error = Some(error);
                return cut;
            }
            Err(Error::Eof) => return cut,
            Err(error) => {
                assert_eq!(error, Error::Eof);
                return cut;
            }
        }
    }
}

/// A stream that arrives in pieces, with a moment of silence between two.
struct Pieces<'p> {
    pieces: std::slice::Iter<'p, &'p [u8]>,
    piece: &'p [u8],
}

impl ErrorType for Pieces<'_> {
    type Error = Infallible;
}

impl ReadReady for Pieces<'_> {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        if !self.piece.is_empty() {
            return Ok(true);
        }
        match self.pieces.next() {
            Some(piece) => {
                self.piece = piece;
                Ok(false)
            }
            None => Ok(true),
        }
    }
}

impl Read for Pieces<'_> {
    fn read(&mut self, room: &mut [u8]) -> Result<usize, Infallible> {
        let (now, later) = self.piece.split_at(room.len().min(self.piece.len()));
        room[..now.len()].copy_from_slice(now);
        self.piece = later;
        Ok(now.len())
    }
}

impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// A channel that hands every message on; its largest body.
struct Tape(usize);

impl Channel for Tape {
    type Message<'c> = Infallible;
    type Event<'m> = (u16, &'m [u8]);

    fn max_body(&self) -> usize {
        self.0
    }

    fn on_message<'m>(&mut self, _: Millis, id: u16, body: &'m [u8]) -> Result<Option<(u16, &'m [u8])>, PeerError> {
        Ok(Some((id, body)))
    }

    fn send(&mut self, _: Millis, message: &Infallible, _: &mut [u8]) -> Result<Transmit, Refused> {
        match *message {}
    }

    fn poll(&mut self, _: Millis, _: &mut [u8]) -> Result<Poll, EncodeError> {
        Ok(Poll::Wait(None))
    }
}
