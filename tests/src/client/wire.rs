//! [`Wire`]: bytes to a server and back, plain, in TLS, in WebSocket or both.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// How long a server may take to answer while a connection is made, and to take what is said.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a server listens.
#[derive(Clone, Debug)]
pub enum Place {
    /// TCP.
    Tcp(SocketAddr),
    /// A UNIX socket.
    Unix(PathBuf),
}

/// How to get there.
#[derive(Clone, Debug)]
pub struct Way {
    /// Where.
    pub place: Place,
    /// Whether in TLS, and whom that trusts; the server is `localhost`.
    pub tls: Option<Arc<ClientConfig>>,
    /// Whether in WebSocket.
    pub websocket: bool,
}

/// A connection.
pub struct Wire {
    stream: Box<dyn Duplex>,
    socket: Socket,
}

/// TLS that trusts the CA in this file.
///
/// # Errors
/// The file has none.
pub fn trusting(ca: &Path) -> io::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca).map_err(io::Error::other)? {
        roots.add(certificate.map_err(io::Error::other)?).map_err(io::Error::other)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(io::Error::other)?.with_root_certificates(roots);
    Ok(Arc::new(config.with_no_client_auth()))
}

impl Wire {
    /// Connects, with TLS and WebSocket as the way says.
    ///
    /// # Errors
    /// Something on the way said no, or nothing for too long.
    pub fn connect(way: &Way) -> io::Result<Self> {
        let socket = match &way.place {
            Place::Tcp(address) => Socket::Tcp(TcpStream::connect_timeout(address, PATIENCE)?),
            Place::Unix(path) => Socket::Unix(UnixStream::connect(path)?),
        };
        socket.set_patience(PATIENCE)?;
        let mut stream: Box<dyn Duplex> = Box::new(socket.try_clone()?);
        if let Some(config) = &way.tls {
            let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
            let tls = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
            stream = Box::new(StreamOwned::new(tls, stream));
        }
        if way.websocket {
            stream = Box::new(WebSocket::open(stream)?);
        }
        Ok(Self { stream, socket })
    }

    /// How long [`Read::read`] waits from now on; then it is `WouldBlock`.
    ///
    /// # Errors
    /// The socket does not take it.
    pub fn set_patience(&self, patience: Duration) -> io::Result<()> {
        self.socket.set_patience(patience)
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

trait Duplex: Read + Write + Send {}
impl<S: Read + Write + Send> Duplex for S {}

enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(socket) => Self::Tcp(socket.try_clone()?),
            Self::Unix(socket) => Self::Unix(socket.try_clone()?),
        })
    }

    fn set_patience(&self, patience: Duration) -> io::Result<()> {
        match self {
            Self::Tcp(socket) => {
                socket.set_nodelay(true)?;
                socket.set_write_timeout(Some(PATIENCE))?;
                socket.set_read_timeout(Some(patience))
            }
            Self::Unix(socket) => {
                socket.set_write_timeout(Some(PATIENCE))?;
                socket.set_read_timeout(Some(patience))
            }
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.read(buffer),
            Self::Unix(socket) => socket.read(buffer),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(socket) => socket.write(bytes),
            Self::Unix(socket) => socket.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A browser's end of RFC 6455.
struct WebSocket<S> {
    inner: S,
    /// A frame's head as far as it has come, and what is left of its payload.
    head: Vec<u8>,
    left: u64,
}

impl<S: Read + Write> WebSocket<S> {
    fn open(mut inner: S) -> io::Result<Self> {
        inner.write_all(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
              Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: binary\r\n\
              Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            inner.read_exact(&mut byte)?;
            answer.extend(byte);
        }
        let switched = answer.starts_with(b"HTTP/1.1 101 ");
        let refused = || io::Error::other(String::from_utf8_lossy(&answer).into_owned());
        switched.then_some(Self { inner, head: Vec::new(), left: 0 }).ok_or_else(refused)
    }

    /// Bytes of a head of which these are the first.
    fn head_len(head: &[u8]) -> usize {
        match head.get(1) {
            None => 2,
            Some(126) => 4,
            Some(127) => 10,
            Some(_) => 2,
        }
    }
}

impl<S: Read + Write> Read for WebSocket<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.left == 0 {
            let mut byte = [0];
            if self.inner.read(&mut byte)? == 0 {
                return Ok(0);
            }
            self.head.extend(byte);
            if self.head.len() < Self::head_len(&self.head) {
                continue;
            }
            let head = std::mem::take(&mut self.head);
            // CLOSE: whatever follows is of no use.
            if head.first().is_some_and(|first| first & 0x0f == 8) {
                return Ok(0);
            }
            self.left = match head.get(2..).filter(|long| !long.is_empty()) {
                Some(long) => long.iter().fold(0, |len, byte| len << 8 | u64::from(*byte)),
                None => head.get(1).copied().unwrap_or(0).into(),
            };
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let len = self.inner.read(&mut buffer[..most])?;
        self.left -= len as u64;
        Ok(len)
    }
}

impl<S: Read + Write> Write for WebSocket<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        const MASK: [u8; 4] = [0x5a, 0xc3, 0x0f, 0x91];
        let bytes = &bytes[..bytes.len().min(u16::MAX.into())];
        let mut frame = vec![0x82];
        match u16::try_from(bytes.len()) {
            Ok(len @ ..126) => frame.push(0x80 | len.to_le_bytes()[0]),
            Ok(len) => frame.extend([&[0x80 | 126][..], &len.to_be_bytes()].concat()),
            Err(_) => return Ok(0),
        }
        frame.extend(MASK);
        frame.extend(bytes.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        self.inner.write_all(&frame)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
