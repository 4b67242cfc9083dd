//! [`Stream`]: one connection, whatever carries it.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready};
use tokio::net::{TcpStream, UnixStream};

use super::TcpInfo;
use super::layers::Layers;

/// A connected byte stream, with TLS, WebSocket, both or nothing over its socket. Both styles work:
/// `AsyncRead`/`AsyncWrite`, or waiting with [`ready`](Self::ready) and then
/// `try_read`/`try_write_vectored`, which need only `&self` and so let one task read and write.
#[derive(Debug)]
pub struct Stream {
    socket: Socket,
    /// `None` is the plain socket, on which nothing is copied.
    layers: Option<Box<RefCell<Layers>>>,
}

/// What the kernel carries.
#[derive(Debug)]
pub(super) enum Socket {
    /// TCP, IPv4 or IPv6.
    Tcp(TcpStream),
    /// A UNIX socket, which can carry file descriptors.
    Unix(UnixStream),
}

/// Calls the same method on whichever socket it is.
macro_rules! each {
    ($socket:expr, $inner:ident => $call:expr) => {
        match $socket {
            Socket::Tcp($inner) => $call,
            Socket::Unix($inner) => $call,
        }
    };
}

impl Socket {
    pub(super) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        each!(self, inner => inner.try_read(buffer))
    }

    pub(super) fn try_write_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        each!(self, inner => inner.try_write_vectored(buffers))
    }
}

impl Stream {
    /// Whether file descriptors can go through it.
    pub fn carries_fds(&self) -> bool {
        matches!(self.socket, Socket::Unix(_)) && self.layers.is_none()
    }

    /// Whether it is inside TLS.
    pub fn is_secure(&self) -> bool {
        self.layers.as_ref().is_some_and(|layers| layers.borrow().is_secure())
    }

    /// Whether something that was written has not been taken by the kernel: it is, while somebody
    /// waits in [`ready`](Self::ready) for whatever. At most one TLS record or WebSocket frame.
    pub fn has_unsent(&self) -> bool {
        self.layers.as_ref().is_some_and(|layers| layers.borrow().has_unsent())
    }

    /// Limits what the kernel holds for a peer that does not read; it makes twice as much of it.
    pub fn limit_send_buffer(&self, bytes: usize) -> io::Result<()> {
        Ok(rustix::net::sockopt::set_socket_send_buffer_size(self, bytes)?)
    }

    /// What the kernel knows of the way to the client; `None` for what is no TCP connection.
    pub(crate) fn tcp_info(&self) -> Option<TcpInfo> {
        match &self.socket {
            Socket::Tcp(inner) => TcpInfo::of(inner).ok(),
            Socket::Unix(_) => None,
        }
    }

    /// Waits until reading or writing may succeed.
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        let Some(layers) = &self.layers else { return each!(&self.socket, inner => inner.ready(interest).await) };
        // What lies ready in a layer is no reason to forget the other tasks.
        tokio::task::consume_budget().await;
        poll_fn(|cx| self.poll_ready(layers, cx, interest)).await
    }

    /// Reads what is there; `Ok(0)` is the end, `WouldBlock` means to wait.
    pub fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.layers {
            None => self.socket.try_read(buffer),
            Some(layers) => layers.borrow_mut().read(&self.socket, buffer),
        }
    }

    /// Writes what fits now, from several places in one call; `WouldBlock` means to wait.
    pub fn try_write_vectored(&self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        match &self.layers {
            None => self.socket.try_write_vectored(buffers),
            Some(layers) => layers.borrow_mut().write(&self.socket, buffers),
        }
    }

    /// Runs a call on the descriptor (see [`AsFd`]) that fails with `WouldBlock` when it has to
    /// wait, and remembers that it did: for sending file descriptors.
    pub fn try_io<R>(&self, interest: Interest, call: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        each!(&self.socket, inner => inner.try_io(interest, call))
    }

    /// Its layers, made when there were none.
    pub(super) fn layers(&mut self) -> &mut Layers {
        self.layers.get_or_insert_default().get_mut()
    }

    fn poll_ready(
        &self,
        layers: &RefCell<Layers>,
        cx: &mut Context<'_>,
        interest: Interest,
    ) -> Poll<io::Result<Ready>> {
        let mut layers = layers.borrow_mut();
        loop {
            let all_sent = layers.flush(&self.socket)?;
            if interest.is_readable() {
                if layers.has_input() {
                    return Poll::Ready(Ok(Ready::READABLE));
                }
                if let Poll::Ready(found) = each!(&self.socket, inner => inner.poll_read_ready(cx)) {
                    return Poll::Ready(found.map(|()| Ready::READABLE));
                }
            }
            if all_sent {
                return if interest.is_writable() { Poll::Ready(Ok(Ready::WRITABLE)) } else { Poll::Pending };
            }
            ready!(each!(&self.socket, inner => inner.poll_write_ready(cx)))?;
        }
    }

    /// Tries, and waits while the answer is `WouldBlock`.
    fn poll_try<R>(
        &self,
        cx: &mut Context<'_>,
        interest: Interest,
        mut attempt: impl FnMut(&Self) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        loop {
            match attempt(self) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => match &self.layers {
                    Some(layers) => drop(ready!(self.poll_ready(layers, cx, interest))?),
                    None if interest.is_readable() => ready!(each!(&self.socket, inner => inner.poll_read_ready(cx)))?,
                    None => ready!(each!(&self.socket, inner => inner.poll_write_ready(cx)))?,
                },
                done => return Poll::Ready(done),
            }
        }
    }
}

impl From<TcpStream> for Stream {
    fn from(socket: TcpStream) -> Self {
        Self { socket: Socket::Tcp(socket), layers: None }
    }
}

impl From<UnixStream> for Stream {
    fn from(socket: UnixStream) -> Self {
        Self { socket: Socket::Unix(socket), layers: None }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Some(layers) = &mut self.layers {
            // The peer is told that this is the end and no cut, if it can be told at once.
            let layers = layers.get_mut();
            layers.close();
            let _ = layers.flush(&self.socket);
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        each!(&self.socket, inner => inner.as_fd())
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let room = buf.initialize_unfilled();
        let got = ready!(self.poll_try(cx, Interest::READABLE, |stream| stream.try_read(room)))?;
        buf.advance(got);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_try(cx, Interest::WRITABLE, |stream| stream.try_write_vectored(bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.layers {
            Some(layers) => self.poll_ready(layers, cx, Interest::WRITABLE).map_ok(drop),
            None => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(layers) = &mut self.layers {
            layers.get_mut().close();
        }
        ready!(self.as_mut().poll_flush(cx))?;
        each!(&mut self.get_mut().socket, inner => Pin::new(inner).poll_shutdown(cx))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn reads_and_writes_several_slices_in_one_call() {
        let (one, mut other) = UnixStream::pair().unwrap();
        let mut stream = Stream::from(one);
        assert!(stream.carries_fds() && stream.is_write_vectored());
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

    #[tokio::test]
    async fn a_layer_holds_one_frame_and_sends_it_while_somebody_waits() {
        let (one, mut other) = UnixStream::pair().unwrap();
        let mut stream = Stream::from(one);
        stream.layers().begin_websocket();
        assert!(!stream.carries_fds(), "descriptors have no place in frames");
        let (picture, mut taken) = (vec![7; 100_000], 0);
        stream.ready(Interest::WRITABLE).await.unwrap();
        let full = loop {
            match stream.try_write_vectored(&[IoSlice::new(b"head"), IoSlice::new(&picture)]) {
                Ok(len) => taken += len,
                Err(error) => break error,
            }
        };
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
        assert!(stream.has_unsent());
        // Until it was asked, it does not know that nothing came.
        assert_eq!(stream.try_read(&mut [0; 8]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        // Nothing is written any more: who waits to read sends the rest.
        let reader = async {
            let (mut payload, mut head) = (0, [0; 4]);
            while payload < taken {
                other.read_exact(&mut head).await.unwrap();
                assert_eq!(head[..2], [0x82, 126], "a binary frame with a length of 16 bits");
                let mut frame = vec![0; u16::from_be_bytes([head[2], head[3]]).into()];
                other.read_exact(&mut frame).await.unwrap();
                assert!(frame.starts_with(b"head") && frame[4..].iter().all(|byte| *byte == 7));
                payload += frame.len();
            }
            other.write_all(&[0x82, 0x81, 0, 0, 0, 0, b'!']).await.unwrap();
            payload
        };
        let (ready, payload) = tokio::join!(stream.ready(Interest::READABLE), reader);
        assert!(ready.unwrap().is_readable() && !stream.has_unsent());
        assert_eq!(payload, taken);
        let mut got = [0; 8];
        assert_eq!(stream.try_read(&mut got).unwrap(), 1);
        assert_eq!(got[0], b'!');
    }
}
