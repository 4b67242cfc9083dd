//! A SPICE client's side of the link, written from the protocol's tables by hand: it shares no code
//! with the server.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Longer than the server ever takes; a test that hangs fails.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const MAIN: u8 = 1;
pub(crate) const DISPLAY: u8 = 2;

/// AUTH_SELECTION, AUTH_SPICE, MINI_HEADER.
const COMMON_CAPS: u32 = 0b1011;
/// The mechanism "ticket".
const MECHANISM_TICKET: u32 = 1;

/// A connection whose link reply said OK.
pub(crate) struct Replied {
    stream: TcpStream,
    public_key: Vec<u8>,
}

/// Connects, with a limit for every read.
pub(crate) fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the server listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a limit that is not zero");
    stream
}

/// A link header and message for a channel.
pub(crate) fn hello(connection_id: u32, channel_type: u8) -> Vec<u8> {
    let mut message = connection_id.to_le_bytes().to_vec();
    message.extend([channel_type, 0]);
    for word in [1_u32, 0, 18, COMMON_CAPS] {
        message.extend(word.to_le_bytes());
    }
    let mut bytes = b"REDQ".to_vec();
    for word in [2, 2, u32::try_from(message.len()).expect("a few bytes")] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(message);
    bytes
}

/// Reads a link reply and returns its error code and key.
pub(crate) fn read_reply(stream: &mut TcpStream) -> io::Result<(u32, Vec<u8>)> {
    let header = read(stream, 16)?;
    assert!(header.starts_with(b"REDQ"), "{header:?}");
    let body = read(stream, word_at(&header, 12) as usize)?;
    Ok((word_at(&body, 0), body[4..166].to_vec()))
}

/// Links a channel as far as the ticket.
pub(crate) fn link(address: &str, connection_id: u32, channel_type: u8) -> Replied {
    let mut stream = connect(address);
    stream.write_all(&hello(connection_id, channel_type)).expect("the server reads");
    let (error, public_key) = read_reply(&mut stream).expect("a reply");
    assert_eq!(error, 0);
    Replied { stream, public_key }
}

impl Replied {
    /// The ticket for `plain`; `None` where there is no openssl(1).
    pub(crate) fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let dir = tempfile::tempdir().expect("temporary directory");
        let key = dir.path().join("key");
        std::fs::write(&key, &self.public_key).expect("file for the key");
        let mut openssl = Command::new("openssl");
        openssl.args(["pkeyutl", "-encrypt", "-pubin", "-keyform", "DER", "-pkeyopt", "rsa_padding_mode:oaep"]);
        openssl.arg("-inkey").arg(key).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = openssl.spawn().ok()?;
        child.stdin.take()?.write_all(plain).ok()?;
        let output = child.wait_with_output().ok()?;
        (output.status.success() && output.stdout.len() == 128).then_some(output.stdout)
    }

    /// Sends an encrypted ticket.
    pub(crate) fn send(&mut self, ticket: &[u8]) {
        self.stream.write_all(&MECHANISM_TICKET.to_le_bytes()).expect("the server reads");
        self.stream.write_all(ticket).expect("the server reads");
    }

    /// Waits for the link result.
    pub(crate) fn result(&mut self) -> u32 {
        word_at(&read(&mut self.stream, 4).expect("a result"), 0)
    }

    /// Sends a ticket and waits for the result.
    pub(crate) fn present(&mut self, ticket: &[u8]) -> u32 {
        self.send(ticket);
        self.result()
    }

    /// The connection, for what comes behind the link.
    pub(crate) fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// After an accepted main channel: the session's id, from the first message (INIT, 103).
    pub(crate) fn session_id(&mut self) -> u32 {
        let header = read(&mut self.stream, 6).expect("a message");
        assert_eq!(&header[..2], &103_u16.to_le_bytes());
        let body = read(&mut self.stream, word_at(&header, 2) as usize).expect("a message");
        word_at(&body, 0)
    }
}

pub(crate) fn read(stream: &mut TcpStream, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

pub(crate) fn word_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}
