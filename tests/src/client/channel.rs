//! [`Channel`]: one channel in the client's role, from its link on.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use sumac_core::channel::client::{ClientChannel, Dialect};
use sumac_core::channel::framing::Framing;
use sumac_core::channel::{Channel as _, Poll};
use sumac_core::link::{ClientConfig, ClientLink, ClientQuestion, LinkPoll, Linking};
use sumac_core::time::Millis;

use super::{Way, Wire};

/// The largest message that is taken: a picture of 4096 x 2160 that is not compressed.
const LARGEST: usize = 40 << 20;
/// Bytes read at once, and room for what a client says.
const STEP: usize = 256 * 1024;

/// An open channel.
pub struct Channel<D> {
    wire: Wire,
    machine: ClientChannel<D>,
    framing: Framing,
    received: Vec<u8>,
    start: Instant,
    heard: u64,
}

impl<D: Dialect> Channel<D> {
    /// Links a channel, with an empty password, on a server that asks for none.
    ///
    /// # Errors
    /// The server said no, or nothing.
    pub fn open(way: &Way, config: ClientConfig) -> io::Result<Self> {
        let (start, mut wire) = (Instant::now(), Wire::connect(way)?);
        let mut link = ClientLink::new(Millis(0), config);
        let mut out = vec![0; 4096];
        let opened = loop {
            match link.poll(Millis(0), &mut out).map_err(io::Error::other)? {
                LinkPoll::Transmit(len) => wire.write_all(&out[..len])?,
                LinkPoll::Open(opened) => break opened,
                LinkPoll::Closed(why) => return Err(io::Error::other(why.to_string())),
                LinkPoll::Wait(_) => {
                    let mut bytes = vec![0; link.want()];
                    wire.read_exact(&mut bytes)?;
                    if let Some(ClientQuestion::Reply { public_key, .. }) = link.on_bytes(Millis(0), &bytes) {
                        let ticket = sumac::fuzzing::ticket(&public_key, b"\0");
                        let ticket = ticket.ok_or_else(|| io::Error::other("not a key that can encrypt"))?;
                        let len =
                            link.ticket(&ticket, &mut out).map_err(|refused| io::Error::other(refused.to_string()))?;
                        wire.write_all(&out[..len])?;
                    }
                }
            }
        };
        let negotiated = opened.negotiated;
        let framing = Framing::new(negotiated.mini_header, LARGEST);
        let machine = ClientChannel::new(negotiated, LARGEST);
        Ok(Self { wire, machine, framing, received: Vec::new(), start, heard: 0 })
    }

    /// Reads what comes within `patience`, hands the messages over and does a client's duties;
    /// `false` when the server has closed the channel.
    ///
    /// # Errors
    /// The connection broke, or the server said what is no message.
    pub fn turn(&mut self, patience: Duration, mut each: impl FnMut(D::Server<'_>)) -> io::Result<bool> {
        self.wire.set_patience(patience)?;
        let had = self.received.len();
        self.received.resize(had + STEP, 0);
        let read = self.wire.read(&mut self.received[had..]);
        self.received.truncate(had + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => return Ok(false),
            Ok(_) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
        let (mut at, now) = (0, self.now());
        while let Some(unit) = self.received.get(at..at + self.framing.want()) {
            at += unit.len();
            let framed = self.framing.on_bytes(unit).map_err(|error| io::Error::other(error.to_string()))?;
            let Some(framed) = framed else { continue };
            self.heard += 1;
            let message = self.machine.on_message(now, framed.id, framed.body);
            if let Some(message) = message.map_err(|error| io::Error::other(error.to_string()))? {
                each(message);
            }
            // At once: of two PINGs without an answer between them the machine would answer one.
            answer(&mut self.machine, &mut self.wire, now)?;
        }
        self.received.drain(..at);
        Ok(true)
    }

    /// Says a message.
    ///
    /// # Errors
    /// The connection broke.
    pub fn say(&mut self, message: &D::Client<'_>) -> io::Result<()> {
        let mut out = vec![0; STEP];
        let sent = self.machine.send(self.now(), message, &mut out);
        let sent = sent.map_err(|refused| io::Error::other(refused.to_string()))?;
        self.wire.write_all(&out[..sent.head])
    }

    /// Says bytes that need not be a message.
    ///
    /// # Errors
    /// The connection broke.
    pub fn say_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.wire.write_all(bytes)
    }

    /// Messages that came so far.
    #[must_use]
    pub const fn heard(&self) -> u64 {
        self.heard
    }

    fn now(&self) -> Millis {
        Millis(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}

/// Does a client's duties.
fn answer<D: Dialect>(machine: &mut ClientChannel<D>, wire: &mut Wire, now: Millis) -> io::Result<()> {
    let mut out = [0; 256];
    while let Ok(Poll::Transmit(sent)) = machine.poll(now, &mut out) {
        wire.write_all(&out[..sent.head])?;
    }
    Ok(())
}
