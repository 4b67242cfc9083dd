//! [`Layers`]: what lies between a socket and the bytes of SPICE.
//!
//! ```text
//!  socket ──► TLS ──► read too far ──► WebSocket ──► bytes
//!  socket ◄── TLS ◄─────────────────── WebSocket ◄── bytes
//! ```
//!
//! Each of them may be absent. What is written waits here until the socket takes it, but never more
//! than one TLS record or WebSocket frame, and a pong: who writes is told to wait, and does not
//! believe sent what a client has not taken.

use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection};

use super::stream::Socket;
use super::websocket::{HEAD_MOST, WebSocket};

/// Bytes written at once: with a WebSocket head they fit into one TLS record, which has 16 KiB.
const STEP: usize = 16 * 1024 - HEAD_MOST;
/// Pieces written at once, and the head.
const PIECES: usize = 17;

/// The layers over one socket.
#[derive(Debug)]
pub(super) struct Layers {
    tls: Option<Box<ServerConnection>>,
    websocket: Option<WebSocket>,
    /// Was read to find out what the client speaks.
    unread: Vec<u8>,
    /// On the way without TLS, and how much of it was sent.
    out: Vec<u8>,
    sent: usize,
    /// Something may be there without asking the socket.
    more: bool,
    /// The client said its last.
    ended: bool,
    /// We did.
    closed: bool,
}

impl Default for Layers {
    fn default() -> Self {
        Self {
            tls: None,
            websocket: None,
            unread: Vec::new(),
            out: Vec::new(),
            sent: 0,
            more: true,
            ended: false,
            closed: false,
        }
    }
}

impl Layers {
    pub(super) fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// Begins TLS; the client's hello is still in the socket.
    pub(super) fn secure(&mut self, config: Arc<ServerConfig>) -> Result<(), rustls::Error> {
        self.tls = Some(Box::new(ServerConnection::new(config)?));
        Ok(())
    }

    /// Begins WebSocket; the answer to the request was written.
    pub(super) fn begin_websocket(&mut self) {
        self.websocket = Some(WebSocket::default());
    }

    /// Gives back what was read too far, for the next to read.
    pub(super) fn unread(&mut self, bytes: &[u8]) {
        self.unread.splice(0..0, bytes.iter().copied());
        self.more = true;
    }

    /// Whether reading may succeed without the socket.
    pub(super) fn has_input(&self) -> bool {
        self.more || self.ended
    }

    pub(super) fn has_unsent(&self) -> bool {
        self.sent < self.out.len()
            || self.tls.as_ref().is_some_and(|tls| tls.wants_write())
            || self.websocket.as_ref().is_some_and(WebSocket::has_answer)
    }

    /// Reads what is there; `WouldBlock` also when what came was no payload.
    pub(super) fn read(&mut self, socket: &Socket, buffer: &mut [u8]) -> io::Result<usize> {
        if self.ended || buffer.is_empty() {
            return Ok(0);
        }
        let got = self.read_inner(socket, buffer)?;
        self.ended = got == 0;
        let Some(websocket) = &mut self.websocket else { return Ok(got) };
        let payload = websocket.decode(buffer.get_mut(..got).unwrap_or_default()).map_err(invalid);
        self.ended |= websocket.is_over();
        match payload? {
            0 if !self.ended => Err(io::ErrorKind::WouldBlock.into()),
            payload => Ok(payload),
        }
    }

    /// Takes what fits into one record or frame, if the one before is gone.
    pub(super) fn write(&mut self, socket: &Socket, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        if !self.flush(socket)? {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut slices = [IoSlice::new(&[]); PIECES];
        let (head, payload) = slices.split_at_mut(1);
        let (mut len, mut count) = (0, 0);
        for (slot, buffer) in payload.iter_mut().zip(buffers) {
            let fits = buffer.get(..buffer.len().min(STEP - len)).unwrap_or_default();
            *slot = IoSlice::new(fits);
            (len, count) = (len + fits.len(), count + 1);
        }
        if len == 0 {
            return Ok(0);
        }
        let (mut bytes, mut head_len) = ([0; HEAD_MOST], 0);
        if self.websocket.is_some() {
            head_len = WebSocket::head(len, &mut bytes);
        }
        if let Some(slot) = head.first_mut() {
            *slot = IoSlice::new(bytes.get(..head_len).unwrap_or_default());
        }
        self.push(slices.get(..=count).unwrap_or_default())?;
        self.flush(socket)?;
        Ok(len)
    }

    /// Sends what waits; `false` when the socket does not take all of it now.
    pub(super) fn flush(&mut self, socket: &Socket) -> io::Result<bool> {
        let mut answered = false;
        loop {
            if !self.send(socket)? {
                return Ok(false);
            }
            // One answer per call: a client that sends nothing but pings waits like all others.
            let answer = self.websocket.as_mut().filter(|_| !answered).and_then(WebSocket::take_answer);
            let Some(answer) = answer else { return Ok(true) };
            answered = true;
            self.push(&[IoSlice::new(&answer)])?;
        }
    }

    /// Tells the client that nothing follows.
    pub(super) fn close(&mut self) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        if let Some(answer) = self.websocket.as_mut().and_then(WebSocket::close) {
            // It has room for a few bytes, or is broken.
            let _ = self.push(&[IoSlice::new(&answer)]);
        }
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
        }
    }

    /// The bytes below WebSocket.
    fn read_inner(&mut self, socket: &Socket, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.unread.is_empty() {
            let len = self.unread.len().min(buffer.len());
            buffer.iter_mut().zip(self.unread.drain(..len)).for_each(|(to, from)| *to = from);
            return Ok(len);
        }
        let Some(tls) = &mut self.tls else {
            self.more = false;
            return socket.try_read(buffer);
        };
        match plaintext(tls, buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.more = false,
            done => return done,
        }
        tls.read_tls(&mut Ciphertext(socket))?;
        let processed = tls.process_new_packets();
        // Handshake messages, or the alert that says what was wrong.
        let flushed = self.send(socket);
        processed.map_err(|error| invalid(format!("TLS: {error}")))?;
        flushed?;
        let got = self.tls.as_mut().map_or(Ok(0), |tls| plaintext(tls, buffer))?;
        self.more = true;
        Ok(got)
    }

    /// Hands over bytes while nothing is on the way.
    fn push(&mut self, slices: &[IoSlice<'_>]) -> io::Result<()> {
        let Some(tls) = &mut self.tls else {
            slices.iter().for_each(|slice| self.out.extend_from_slice(slice));
            return Ok(());
        };
        let len: usize = slices.iter().map(|slice| slice.len()).sum();
        let taken = tls.writer().write_vectored(slices)?;
        // Its buffer is empty and holds four times as much.
        if taken == len { Ok(()) } else { Err(io::Error::other("the TLS buffer is full")) }
    }

    fn send(&mut self, socket: &Socket) -> io::Result<bool> {
        let sent = match &mut self.tls {
            Some(tls) => std::iter::repeat_with(|| tls.write_tls(&mut Ciphertext(socket)))
                .take_while(|sent| !matches!(sent, Ok(0)))
                .find(Result::is_err),
            None => None,
        };
        match sent {
            Some(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Some(Err(error)) => return Err(error),
            _ => {}
        }
        while let Some(rest) = self.out.get(self.sent..).filter(|rest| !rest.is_empty()) {
            match socket.try_write_vectored(&[IoSlice::new(rest)]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(sent) => self.sent += sent,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        self.out.clear();
        self.sent = 0;
        Ok(true)
    }
}

/// Decrypted bytes. A connection that is cut without TLS's goodbye has ended like one in clear.
fn plaintext(tls: &mut ServerConnection, buffer: &mut [u8]) -> io::Result<usize> {
    match tls.reader().read(buffer) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
        done => done,
    }
}

fn invalid(error: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.to_string())
}

/// The socket as the TLS library reads and writes it.
struct Ciphertext<'s>(&'s Socket);

impl Read for Ciphertext<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buffer)
    }
}

impl Write for Ciphertext<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0.try_write_vectored(&[IoSlice::new(buffer)])
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(buffers)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
