//! [`Outbox`]: bytes on their way to the kernel.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use sumac_core::limits;
use tokio::io::Interest;

use crate::transport::Stream;

/// Heads are gathered up to this size before a new piece is begun.
const GATHER: usize = 16 * 1024;
/// Pieces handed to the kernel in one call.
const PIECES: usize = 16;

/// The byte that carries descriptors.
const FD_BYTE: [u8; 1] = *b"@";

/// What has been said and not been sent, in order. Payloads are held, not copied; descriptors are
/// kept open until they are sent.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pieces: VecDeque<Piece>,
    /// Heads behind the last piece.
    gathered: BytesMut,
    len: usize,
}

#[derive(Debug)]
enum Piece {
    Bytes(Bytes),
    /// At most [`limits::PLANES`], with one byte.
    Fds(Vec<Arc<OwnedFd>>),
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
            self.pieces.push_back(Piece::Bytes(payload));
        }
    }

    /// Appends the byte that carries these descriptors; only on a UNIX socket.
    pub(super) fn push_fds(&mut self, fds: Vec<Arc<OwnedFd>>) {
        self.close_gathered();
        self.len += FD_BYTE.len();
        self.pieces.push_back(Piece::Fds(fds));
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All bytes, with the one that carries descriptors.
    #[cfg(test)]
    pub(super) fn into_bytes(mut self) -> Vec<u8> {
        self.close_gathered();
        let bytes = |piece: &Piece| match piece {
            Piece::Bytes(bytes) => bytes.to_vec(),
            Piece::Fds(_) => FD_BYTE.to_vec(),
        };
        self.pieces.iter().flat_map(bytes).collect()
    }

    /// Writes what the kernel takes now; `true` when it took something.
    pub(super) fn write_to(&mut self, stream: &Stream) -> io::Result<bool> {
        self.close_gathered();
        let mut some = false;
        while let Some(first) = self.pieces.front() {
            let sent = match first {
                Piece::Fds(fds) => stream.try_io(Interest::WRITABLE, || send_fds(stream, fds)),
                Piece::Bytes(_) => self.write_bytes(stream),
            };
            match sent {
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

    /// Writes the pieces up to the next descriptors.
    fn write_bytes(&self, stream: &Stream) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); PIECES];
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
            let Piece::Bytes(bytes) = piece else { break };
            *slice = IoSlice::new(bytes);
            count += 1;
        }
        stream.try_write_vectored(slices.get(..count).unwrap_or_default())
    }

    fn advance(&mut self, mut written: usize) {
        self.len -= written;
        while written > 0
            && let Some(piece) = self.pieces.front_mut()
        {
            match piece {
                Piece::Bytes(bytes) if bytes.len() > written => {
                    bytes.advance(written);
                    return;
                }
                Piece::Bytes(bytes) => written -= bytes.len(),
                Piece::Fds(_) => written -= FD_BYTE.len(),
            }
            self.pieces.pop_front();
        }
    }

    fn close_gathered(&mut self) {
        if !self.gathered.is_empty() {
            self.pieces.push_back(Piece::Bytes(self.gathered.split().freeze()));
        }
    }
}

/// Sends one byte with descriptors; the socket's buffer may be full.
fn send_fds(stream: &Stream, fds: &[Arc<OwnedFd>]) -> io::Result<usize> {
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(limits::PLANES))];
    let mut ancillary = SendAncillaryBuffer::new(&mut room);
    let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
    if !ancillary.push(SendAncillaryMessage::ScmRights(&fds)) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(sendmsg(stream, &[IoSlice::new(&FD_BYTE)], &mut ancillary, SendFlags::NOSIGNAL)?)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

    use super::*;
    use tokio::io::AsyncReadExt;
    use tokio::net::UnixStream;

    #[tokio::test]
    async fn order_and_count_are_kept_over_short_writes() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let stream = Stream::from(ours);
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

    #[tokio::test]
    async fn descriptors_come_with_their_byte_however_full_the_socket_is() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let stream = Stream::from(ours);
        let mut theirs = theirs.into_std().unwrap();
        theirs.set_nonblocking(false).unwrap();
        let (mut reader, writer) = io::pipe().unwrap();
        let fd = Arc::new(OwnedFd::from(writer));
        let before = vec![7; 1024 * 1024];
        let mut outbox = Outbox::default();
        outbox.push_payload(before.clone().into());
        outbox.push_fds(vec![Arc::clone(&fd), fd]);
        outbox.push(b"behind");
        outbox.write_to(&stream).unwrap();
        assert!(outbox.len() > 7, "the socket took everything at once");

        let receiver = std::thread::spawn(move || {
            let mut got = vec![0; before.len()];
            theirs.read_exact(&mut got).unwrap();
            assert!(got == before);
            let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
            let mut ancillary = RecvAncillaryBuffer::new(&mut room);
            let mut byte = [0; 1];
            let slices = &mut [io::IoSliceMut::new(&mut byte)];
            let received = recvmsg(&theirs, slices, &mut ancillary, RecvFlags::CMSG_CLOEXEC).unwrap();
            assert_eq!((received.bytes, byte), (1, FD_BYTE));
            let fds: Vec<OwnedFd> = ancillary
                .drain()
                .flat_map(|message| match message {
                    RecvAncillaryMessage::ScmRights(fds) => fds.collect::<Vec<_>>(),
                    _ => Vec::new(),
                })
                .collect();
            let mut got = [0; 6];
            theirs.read_exact(&mut got).unwrap();
            assert_eq!(&got, b"behind");
            fds
        });
        while !outbox.is_empty() {
            stream.ready(Interest::WRITABLE).await.unwrap();
            outbox.write_to(&stream).unwrap();
        }
        let fds = receiver.join().unwrap();
        assert_eq!(fds.len(), 2);
        // Ours are closed: the pipe ends with theirs.
        let mut files: Vec<std::fs::File> = fds.into_iter().map(Into::into).collect();
        files[1].write_all(b"x").unwrap();
        drop(files);
        let mut got = Vec::new();
        reader.read_to_end(&mut got).unwrap();
        assert_eq!(got, b"x");
    }
}
