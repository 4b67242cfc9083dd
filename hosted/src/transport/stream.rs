//! [`Stream`]: one connection, whatever carries it.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready};
use tokio::net::{TcpStream, UnixStream};

use super::TcpInfo;

/// A connected byte stream. Both styles work: `AsyncRead`/`AsyncWrite`, or waiting with
/// [`ready`](Self::ready) and then `try_read`/`try_write_vectored`, which need only `&self` and so
/// let one task read and write.
#[derive(Debug)]
pub enum Stream {
    /// TCP, IPv4 or IPv6.
    Tcp(TcpStream),
    /// A UNIX socket, which can carry file descriptors.
    Unix(UnixStream),
}

/// Calls the same method on whichever stream it is.
macro_rules! each {
    ($stream:expr, $inner:ident => $call:expr) => {
        match $stream {
            Stream::Tcp($inner) => $call,
            Stream::Unix($inner) => $call,
        }
    };
}

impl Stream {
    /// Whether file descriptors can go through it.
    pub fn is_unix(&self) -> bool {
        matches!(self, Self::Unix(_))
    }

    /// Limits what the kernel holds for a peer that does not read; it makes twice as much of it.
    pub fn limit_send_buffer(&self, bytes: usize) -> io::Result<()> {
        Ok(rustix::net::sockopt::set_socket_send_buffer_size(self, bytes)?)
    }

    /// What the kernel knows of the way to the client; `None` for what is no TCP connection.
    pub(crate) fn tcp_info(&self) -> Option<TcpInfo> {
        match self {
            Self::Tcp(inner) => TcpInfo::of(inner).ok(),
            Self::Unix(_) => None,
        }
    }

    /// Waits until reading or writing may succeed.
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        each!(self, inner => inner.ready(interest).await)
    }

    /// Reads what is there; `Ok(0)` is the end, `WouldBlock` means to wait.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        each!(self, inner => inner.try_read(buffer))
    }

    /// Writes what fits now, from several places in one call; `WouldBlock` means to wait.
    pub fn try_write_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        each!(self, inner => inner.try_write_vectored(buffers))
    }

    /// Runs a call on the descriptor (see [`AsFd`]) that fails with `WouldBlock` when it has to
    /// wait, and remembers that it did: for sending file descriptors.
    pub fn try_io<R>(&self, interest: Interest, call: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        each!(self, inner => inner.try_io(interest, call))
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        each!(self, inner => inner.as_fd())
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), inner => Pin::new(inner).poll_read(cx, buf))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        each!(self.get_mut(), inner => Pin::new(inner).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self.get_mut(), inner => Pin::new(inner).poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        each!(self, inner => inner.is_write_vectored())
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), inner => Pin::new(inner).poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self.get_mut(), inner => Pin::new(inner).poll_shutdown(cx))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn reads_and_writes_several_slices_in_one_call() {
        let (one, mut other) = UnixStream::pair().unwrap();
        let mut stream = Stream::Unix(one);
        assert!(stream.is_unix() && stream.is_write_vectored());
        let written = stream.write_vectored(&[IoSlice::new(b"head"), IoSlice::new(b"body")]).await.unwrap();
        assert_eq!(written, 8);
        other.write_all(b"answer").await.unwrap();
        let mut got = [0; 8];
        other.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"headbody");
        stream.ready(Interest::READABLE).await.unwrap();
        assert_eq!(stream.try_read(&mut got).unwrap(), 6);
        assert_eq!(stream.try_read(&mut got).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
}
