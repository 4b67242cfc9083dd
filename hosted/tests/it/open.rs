//! A SPICE client's open channel, by hand: mini headers, and the duties that keep a server sending.

use std::io::{self, Write};
use std::net::TcpStream;

use crate::client::{MAIN, link, read, word_at};
use crate::sumac::Sumac;

pub(crate) const INPUTS: u8 = 3;
pub(crate) const CURSOR: u8 = 4;

const ACCEPTED: u32 = 0;
/// SPICE_MSG_SET_ACK, SPICE_MSG_PING.
const SET_ACK: u16 = 3;
const PING: u16 = 4;
/// SPICE_MSGC_ACK_SYNC, SPICE_MSGC_ACK, SPICE_MSGC_PONG.
pub(crate) const ACK_SYNC: u16 = 1;
pub(crate) const ACK: u16 = 2;
pub(crate) const PONG: u16 = 3;

/// A channel that is open.
pub(crate) struct Open {
    pub(crate) stream: TcpStream,
    /// Messages from one ACK to the next, and since the last one.
    window: u32,
    heard: u32,
}

/// One session's channels.
pub(crate) struct Viewer {
    pub(crate) session: u32,
    pub(crate) main: Open,
}

/// Links a channel of a server without ticketing; `None` where there is no openssl(1).
pub(crate) fn open(sumac: &Sumac, session: u32, channel: u8) -> Option<Open> {
    let mut link = link(sumac.told("addr"), session, channel);
    let ticket = link.encrypt(b"\0")?;
    assert_eq!(link.present(&ticket), ACCEPTED, "{}", sumac.err());
    Some(Open::of(link.into_stream()))
}

impl Viewer {
    /// A new session.
    pub(crate) fn connect(sumac: &Sumac) -> Option<Self> {
        let mut main = open(sumac, 0, MAIN)?;
        let (id, body) = main.next().expect("INIT");
        assert_eq!(id, 103);
        Some(Self { session: word_at(&body, 0), main })
    }

    /// Another channel of it.
    pub(crate) fn open(&self, sumac: &Sumac, channel: u8) -> Open {
        open(sumac, self.session, channel).expect("it worked before")
    }
}

impl Open {
    /// A channel whose link was accepted.
    pub(crate) const fn of(stream: TcpStream) -> Self {
        Self { stream, window: 0, heard: 0 }
    }

    /// The next message, after the duties that it brings are done.
    pub(crate) fn next(&mut self) -> io::Result<(u16, Vec<u8>)> {
        let header = read(&mut self.stream, 6)?;
        let id = u16::from_le_bytes([header[0], header[1]]);
        let body = read(&mut self.stream, word_at(&header, 2) as usize)?;
        self.heard += 1;
        if self.heard == self.window {
            self.heard = 0;
            self.say(ACK, &[])?;
        }
        match id {
            SET_ACK => {
                (self.window, self.heard) = (word_at(&body, 4), 0);
                self.say(ACK_SYNC, &body[..4])?;
            }
            PING => self.say(PONG, &body[..12])?,
            _ => {}
        }
        Ok((id, body))
    }

    /// The body of the next message with this number.
    pub(crate) fn until(&mut self, wanted: u16) -> Vec<u8> {
        loop {
            let (id, body) = self.next().expect("the channel goes on");
            if id == wanted {
                return body;
            }
        }
    }

    /// Says a message.
    pub(crate) fn say(&mut self, id: u16, body: &[u8]) -> io::Result<()> {
        self.stream.write_all(&message(id, body))
    }

    /// Reads until the server closes; a connection reset counts, since bytes may have been on the way.
    pub(crate) fn closes(&mut self) {
        let error = io::copy(&mut self.stream, &mut io::sink()).err();
        let over = error.as_ref().is_none_or(|error| error.kind() == io::ErrorKind::ConnectionReset);
        assert!(over, "instead of being closed: {error:?}");
    }
}

/// A message as it is sent.
pub(crate) fn message(id: u16, body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(body.len()).expect("a short body");
    announced(id, size, body)
}

/// One that announces another size than it has.
pub(crate) fn announced(id: u16, size: u32, body: &[u8]) -> Vec<u8> {
    [&id.to_le_bytes()[..], &size.to_le_bytes(), body].concat()
}
