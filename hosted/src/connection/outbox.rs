//! [`Outbox`]: bytes on their way to the kernel.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use bytes::{Buf, Bytes, BytesMut};

use crate::transport::Stream;

/// Heads are gathered up to this size before a new piece is begun.
const GATHER: usize = 16 * 1024;
/// Pieces handed to the kernel in one call.
const PIECES: usize = 16;

/// What has been said and not been sent, in order. Payloads are held, not copied.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pieces: VecDeque<Bytes>,
    /// Heads behind the last piece.
    gathered: BytesMut,
    len: usize,
}

impl Outbox {
    /// Appends a copy of these few bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.gathered.extend_from_slice(bytes);
        self.len += bytes.len();
        if self.gathered.len() >= GATHER {
            self.close_gathered();
        }
    }

    /// Appends a payload.
    pub(super) fn push_payload(&mut self, payload: Bytes) {
        if !payload.is_empty() {
            self.close_gathered();
            self.len += payload.len();
            self.pieces.push_back(payload);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Writes what the kernel takes now; `true` when it took something.
    pub(super) fn write_to(&mut self, stream: &Stream) -> io::Result<bool> {
        self.close_gathered();
        let mut some = false;
        while !self.pieces.is_empty() {
            let mut slices = [IoSlice::new(&[]); PIECES];
            for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
                *slice = IoSlice::new(piece);
            }
            match stream.try_write_vectored(slices.get(..self.pieces.len().min(PIECES)).unwrap_or_default()) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => self.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(some),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            some = true;
        }
        Ok(some)
    }

    fn advance(&mut self, mut written: usize) {
        self.len -= written;
        while let Some(piece) = self.pieces.front_mut() {
            let here = written.min(piece.len());
            piece.advance(here);
            written -= here;
            if !piece.is_empty() {
                return;
            }
            self.pieces.pop_front();
        }
    }

    fn close_gathered(&mut self) {
        if !self.gathered.is_empty() {
            self.pieces.push_back(self.gathered.split().freeze());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, Interest};
    use tokio::net::UnixStream;

    #[tokio::test]
    async fn order_and_count_are_kept_over_short_writes() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let stream = Stream::Unix(ours);
        let mut outbox = Outbox::default();
        let mut expected = Vec::new();
        for n in 0..200u8 {
            let head = [n; 7];
            let payload = vec![n; 4000];
            outbox.push(&head);
            outbox.push_payload(payload.clone().into());
            expected.extend(head);
            expected.extend(payload);
        }
        let total = expected.len();
        let reader = tokio::spawn(async move {
            let mut got = vec![0; total];
            theirs.read_exact(&mut got).await.map(|_| got)
        });
        while !outbox.is_empty() {
            let left = outbox.len();
            stream.ready(Interest::WRITABLE).await.unwrap();
            let some = outbox.write_to(&stream).unwrap();
            assert_eq!(some, outbox.len() < left);
        }
        let got = reader.await.unwrap().unwrap();
        assert_eq!(got, expected);
        assert!(!outbox.write_to(&stream).unwrap());
    }
}
