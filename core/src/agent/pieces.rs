//! [`Pieces`]: where agent messages begin and end among the chunks in which they travel.
//!
//! ```text
//!  Header ──chunk with the whole header──► Body ──last chunk──► Header
//! ```

use crate::channel::PeerError;
use crate::limits;
use crate::proto::agent::{PROTOCOL, VdAgentMessage};
use crate::wire::{Field, Reader, to_usize};

/// Follows messages; keeps nothing of them.
#[derive(Clone, Debug, Default)]
pub struct Pieces {
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Header,
    Body {
        header: VdAgentMessage,
        left: usize,
    },
}

/// A chunk's part of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// The message's type and size.
    pub header: VdAgentMessage,
    /// Whether the message begins with it.
    pub first: bool,
    /// Whether the message ends with it.
    pub last: bool,
    /// Bytes of the body, which may be none.
    pub bytes: &'a [u8],
}

impl Pieces {
    /// Takes a chunk of at most [`limits::AGENT_CHUNK`] bytes.
    ///
    /// # Errors
    /// The chunk is too long, does not hold the whole header of the message that it begins, or goes
    /// beyond the message's end: the sender is to be disconnected.
    pub fn on_chunk<'a>(&mut self, chunk: &'a [u8]) -> Result<Piece<'a>, PeerError> {
        let unexpected = |why| PeerError::Unexpected { message: "VDAgentMessage", why };
        if chunk.len() > limits::AGENT_CHUNK {
            return Err(unexpected("a chunk has at most 2048 bytes"));
        }
        let (header, first, left, bytes) = match self.state {
            State::Header => {
                let mut r = Reader::new(chunk);
                let header = VdAgentMessage::read(&mut r).map_err(|e| PeerError::Decode(e.at("VDAgentMessage")))?;
                if header.protocol() != PROTOCOL {
                    return Err(unexpected("its protocol is not 1"));
                }
                (header, true, to_usize(header.size()), r.rest())
            }
            State::Body { header, left } => (header, false, left, chunk),
        };
        let beyond = unexpected("a chunk goes beyond the end of its message");
        let left = left.checked_sub(bytes.len()).ok_or(beyond)?;
        self.state = if left == 0 { State::Header } else { State::Body { header, left } };
        Ok(Piece { header, first, last: left == 0, bytes })
    }

    /// The message that has begun and not ended, and how much of it is to come.
    #[must_use]
    pub fn unfinished(&self) -> Option<(VdAgentMessage, usize)> {
        match self.state {
            State::Header => None,
            State::Body { header, left } => Some((header, left)),
        }
    }

    /// Goes on amid this message, of which so many bytes are to come; `None` when it has not as many,
    /// or none is.
    #[must_use]
    pub fn amid(header: VdAgentMessage, left: u32) -> Option<Self> {
        let is_amid = left != 0 && left <= header.size();
        is_amid.then_some(Self { state: State::Body { header, left: to_usize(left) } })
    }

    /// Whether a message has begun and not ended.
    #[must_use]
    pub fn is_amid(&self) -> bool {
        self.state != State::Header
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// The beginning of a message with a body of `size` bytes.
    fn head(kind: u32, size: u32) -> Vec<u8> {
        [1, kind, 0, 0, size].into_iter().flat_map(u32::to_le_bytes).collect()
    }

    #[test]
    fn pieces_say_where_a_message_begins_and_ends() {
        let mut pieces = Pieces::default();
        let mut flags = |chunk: &[u8]| {
            let piece = pieces.on_chunk(chunk).expect("legal");
            (piece.header.kind(), piece.first, piece.last, piece.bytes.len(), pieces.is_amid())
        };
        assert_eq!(flags(&head(4, 5)), (4, true, false, 0, true));
        assert_eq!(flags(&[0; 4]), (4, false, false, 4, true));
        assert_eq!(flags(&[0; 1]), (4, false, true, 1, false));
        assert_eq!(flags(&head(9, 0)), (9, true, true, 0, false));
    }

    #[test]
    fn nothing_goes_beyond_the_end() {
        let mut pieces = Pieces::default();
        assert!(pieces.on_chunk(&head(4, 5)).is_ok());
        assert!(matches!(pieces.on_chunk(&[0; 6]), Err(PeerError::Unexpected { .. })));
        assert!(pieces.on_chunk(&[0; limits::AGENT_CHUNK + 1]).is_err());
        assert!(pieces.on_chunk(&[0; 5]).is_ok_and(|piece| piece.last), "an error changes nothing");
    }
}
