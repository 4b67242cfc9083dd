//! [`Chunks`]: agent messages out of the pieces in which they travel.

use super::{Piece, Pieces};
use crate::channel::PeerError;
use crate::proto::agent::VdAgentMessage;
use crate::wire::to_usize;

/// Puts messages together; keeps bodies of at most `ROOM` bytes, and skips those that are larger.
#[derive(Clone, Debug)]
pub struct Chunks<const ROOM: usize> {
    pieces: Pieces,
    body: heapless::Vec<u8, ROOM>,
}

/// A message that is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assembled<'a> {
    /// Here it is.
    Message {
        /// Its type and size.
        header: VdAgentMessage,
        /// Its body.
        body: &'a [u8],
    },
    /// It was larger than there is room; its bytes are gone.
    Skipped {
        /// Its type and size.
        header: VdAgentMessage,
    },
}

impl<const ROOM: usize> Default for Chunks<ROOM> {
    fn default() -> Self {
        Self { pieces: Pieces::default(), body: heapless::Vec::new() }
    }
}

impl<const ROOM: usize> Chunks<ROOM> {
    /// Takes a chunk; answers with the message that it ends.
    ///
    /// # Errors
    /// Those of [`Pieces::on_chunk`].
    pub fn on_chunk(&mut self, chunk: &[u8]) -> Result<Option<Assembled<'_>>, PeerError> {
        let Piece { header, first, last, bytes } = self.pieces.on_chunk(chunk)?;
        if first {
            self.body.clear();
        }
        let fits = to_usize(header.size()) <= ROOM;
        // It fits: pieces are never more than their message says.
        let kept = fits && self.body.extend_from_slice(bytes).is_ok();
        Ok(last.then_some(if kept {
            Assembled::Message { header, body: &self.body }
        } else {
            Assembled::Skipped { header }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits;
    use std::vec::Vec;

    fn message(kind: u32, body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in [1, kind, 0, 0, body.len() as u32] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(body);
        bytes
    }

    #[test]
    fn a_message_comes_out_of_any_split_behind_its_header() {
        let body: Vec<u8> = (0..100).collect();
        let bytes = message(2, &body);
        for at in 20..bytes.len() {
            let mut chunks = Chunks::<100>::default();
            let (first, second) = bytes.split_at(at);
            assert_eq!(chunks.on_chunk(first), Ok(None), "{at}");
            let got = chunks.on_chunk(second).expect("legal").expect("complete");
            let Assembled::Message { header, body: kept } = got else { panic!("{got:?}") };
            assert_eq!((header.kind(), kept), (2, &body[..]));
        }
    }

    #[test]
    fn what_is_larger_than_the_room_is_skipped_and_the_next_one_comes() {
        let mut chunks = Chunks::<10>::default();
        assert!(matches!(chunks.on_chunk(&message(4, &[7; 10])), Ok(Some(Assembled::Message { .. }))));
        assert!(matches!(chunks.on_chunk(&message(4, &[7; 11])), Ok(Some(Assembled::Skipped { .. }))));
        let mut huge = message(4, &[]);
        huge[16..20].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(chunks.on_chunk(&huge), Ok(None));
        assert_eq!(chunks.on_chunk(&[0; limits::AGENT_CHUNK]), Ok(None));
    }

    #[test]
    fn broken_rules_are_errors() {
        let whole = message(2, &[1, 2, 3]);
        for cut in 0..20 {
            assert!(matches!(Chunks::<10>::default().on_chunk(&whole[..cut]), Err(PeerError::Decode(_))), "{cut}");
        }
        let mut other = whole.clone();
        other[0] = 2;
        assert!(Chunks::<10>::default().on_chunk(&other).is_err(), "protocol 2");
        let mut long = whole;
        long.push(4);
        assert!(Chunks::<10>::default().on_chunk(&long).is_err(), "two messages in one chunk");
        assert!(Chunks::<10>::default().on_chunk(&message(2, &[0; 2029])).is_err(), "2049 bytes");
    }

    #[test]
    fn an_empty_message_is_complete_at_once() {
        let mut chunks = Chunks::<0>::default();
        assert!(matches!(chunks.on_chunk(&message(9, &[])), Ok(Some(Assembled::Message { body: [], .. }))));
    }
}
