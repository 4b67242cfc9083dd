//! [`Listeners`]: every listening socket of a server, as one stream of connections.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::unix::SocketFile;
use super::{Peer, Stream, tcp, unix};
use crate::config::{Listen, UnixAddress};

/// The pause after an accept that failed for want of descriptors or memory.
const PAUSE: Duration = Duration::from_millis(50);

/// All listening sockets. Dropping it closes them and removes the socket file.
#[derive(Debug)]
pub struct Listeners {
    /// Those for anything, then those for TLS.
    tcp: Vec<TcpListener>,
    tcp_addresses: Vec<SocketAddr>,
    tls_addresses: Vec<SocketAddr>,
    unix: Vec<(UnixListener, Entrance)>,
    /// Of the first of them.
    unix_address: Option<UnixAddress>,
    /// Where the next search for a connection begins, so that no socket starves another.
    turn: usize,
    _file: Option<SocketFile>,
}

/// What may come over a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entrance {
    /// SPICE in clear, TLS, WebSocket.
    Any,
    /// TLS, and what is in it.
    TlsOnly,
}

/// Why a socket cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// The host name or address means nothing here.
    #[error("cannot find the address '{addr}': {source}")]
    Resolve {
        /// As it was asked for.
        addr: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// The system refused: in use, no right, not ours.
    #[error("cannot listen on {at}: {source}")]
    Open {
        /// Address and port, or the UNIX socket.
        at: String,
        /// What the system said.
        source: io::Error,
    },
}

impl Listeners {
    /// Opens everything that `listen` asks for, or nothing. Needs a tokio runtime.
    pub fn open(listen: &Listen) -> Result<Self, ListenError> {
        let open = |port: Option<u16>| match port {
            Some(port) => tcp::listen(&listen.addr, port, listen.family),
            None => Ok(Vec::new()),
        };
        let (mut tcp, mut tls) = (open(listen.tcp_port())?, open(listen.tls_port)?);
        let unopened = |at: &dyn ToString, source| ListenError::Open { at: at.to_string(), source };
        let inherited = |error| unopened(&"a socket that was open already", error);
        let (mut unix, mut file, mut unix_address) = (Vec::new(), None, listen.unix.clone());
        if let Some(address) = &listen.unix {
            let listener;
            (listener, file) = unix::listen(address).map_err(|error| unopened(address, error))?;
            unix.push((listener, Entrance::Any));
        }
        for socket in &listen.inherited {
            if let Some(listener) = socket.tcp() {
                let listener = listener.and_then(tcp::take).map_err(inherited)?;
                if socket.is_tls() { &mut tls } else { &mut tcp }.push(listener);
            }
            if let Some(listener) = socket.unix() {
                let (listener, address) = listener.and_then(unix::take).map_err(inherited)?;
                unix.push((listener, if socket.is_tls() { Entrance::TlsOnly } else { Entrance::Any }));
                unix_address = unix_address.or(address);
            }
        }
        let addresses = |listeners: &[TcpListener]| {
            let addresses: io::Result<Vec<_>> = listeners.iter().map(TcpListener::local_addr).collect();
            addresses.map_err(|error| unopened(&listen.addr, error))
        };
        let (tcp_addresses, tls_addresses) = (addresses(&tcp)?, addresses(&tls)?);
        tcp.extend(tls);
        Ok(Self { tcp, tcp_addresses, tls_addresses, unix, unix_address, turn: 0, _file: file })
    }

    /// The TCP addresses that are open, with the ports that the system chose; empty without TCP.
    pub fn tcp_addresses(&self) -> &[SocketAddr] {
        &self.tcp_addresses
    }

    /// The TCP addresses that are open for TLS only.
    pub fn tls_addresses(&self) -> &[SocketAddr] {
        &self.tls_addresses
    }

    /// The UNIX socket that is open.
    pub fn unix_address(&self) -> Option<&UnixAddress> {
        self.unix_address.as_ref()
    }

    /// The next connection from any of the sockets. Failed accepts are logged and survived: a
    /// client that was gone at once costs nothing, running out of descriptors a short pause.
    /// Cancel safe.
    pub async fn accept(&mut self) -> (Stream, Peer, Entrance) {
        loop {
            match poll_fn(|cx| self.poll_accept(cx)).await {
                Ok(connection) => return connection,
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(Stream, Peer, Entrance)>> {
        let (tcp, sockets) = (self.tcp.len(), self.tcp.len() + self.unix.len());
        for n in 0..sockets {
            let at = (self.turn + n) % sockets;
            let (polled, entrance) = match (self.tcp.get(at), self.unix.get(at.wrapping_sub(tcp))) {
                (Some(listener), _) => {
                    let tls_only = at >= self.tcp_addresses.len();
                    let entrance = if tls_only { Entrance::TlsOnly } else { Entrance::Any };
                    (listener.poll_accept(cx).map(|found| found.and_then(from_tcp)), entrance)
                }
                (None, Some((listener, entrance))) => {
                    let polled = listener.poll_accept(cx);
                    (polled.map(|found| found.and_then(|(stream, _)| from_unix(stream))), *entrance)
                }
                (None, None) => continue,
            };
            if polled.is_ready() {
                self.turn = (at + 1) % sockets;
                return polled.map_ok(|(stream, peer)| (stream, peer, entrance));
            }
        }
        Poll::Pending
    }
}

pub(crate) fn from_tcp((stream, address): (TcpStream, SocketAddr)) -> io::Result<(Stream, Peer)> {
    if let Err(error) = tcp::tune(&stream) {
        // A client that is gone already; the connection will say so itself.
        tracing::debug!(%address, %error, "cannot set socket options");
    }
    Ok((stream.into(), Peer::Tcp(address)))
}

pub(crate) fn from_unix(stream: UnixStream) -> io::Result<(Stream, Peer)> {
    let user = stream.peer_cred()?;
    Ok((stream.into(), Peer::Unix { uid: user.uid(), pid: user.pid() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn everywhere(dir: &tempfile::TempDir) -> Listen {
        let unix = Some(UnixAddress::Path(dir.path().join("s")));
        Listen { port: Some(0), unix, ..Listen::default() }
    }

    #[tokio::test]
    async fn accepts_from_tcp_and_unix_alike() {
        let dir = tempfile::tempdir().unwrap();
        let mut listeners = Listeners::open(&everywhere(&dir)).unwrap();
        let at = *listeners.tcp_addresses().first().unwrap();
        let mut tcp = TcpStream::connect(at).await.unwrap();
        let mut unix = UnixStream::connect(dir.path().join("s")).await.unwrap();
        for _ in 0..2 {
            let (mut stream, peer, _) = listeners.accept().await;
            let name = if stream.carries_fds() { "unix" } else { "tcp" };
            assert_eq!(stream.carries_fds(), matches!(peer, Peer::Unix { .. }));
            stream.write_all(name.as_bytes()).await.unwrap();
        }
        let (mut from_tcp, mut from_unix) = (String::new(), String::new());
        tcp.read_to_string(&mut from_tcp).await.unwrap();
        unix.read_to_string(&mut from_unix).await.unwrap();
        assert_eq!((from_tcp.as_str(), from_unix.as_str()), ("tcp", "unix"));
    }

    #[tokio::test]
    async fn a_busy_socket_does_not_starve_another() {
        let dir = tempfile::tempdir().unwrap();
        let mut listeners = Listeners::open(&everywhere(&dir)).unwrap();
        let at = *listeners.tcp_addresses().first().unwrap();
        let mut clients = Vec::new();
        for _ in 0..20 {
            clients.push(TcpStream::connect(at).await.unwrap());
        }
        let _unix = UnixStream::connect(dir.path().join("s")).await.unwrap();
        let mut order = Vec::new();
        for _ in 0..3 {
            order.push(listeners.accept().await.0.carries_fds());
        }
        assert!(order.contains(&true), "the UNIX client waited behind {order:?}");
    }

    #[tokio::test]
    async fn a_unix_socket_alone_opens_no_tcp() {
        let dir = tempfile::tempdir().unwrap();
        let listeners = Listeners::open(&Listen { port: None, ..everywhere(&dir) }).unwrap();
        assert!(listeners.tcp_addresses().is_empty());
        assert_eq!(listeners.unix_address().unwrap().to_string(), dir.path().join("s").display().to_string());
    }

    #[tokio::test]
    async fn a_socket_that_cannot_be_opened_is_named() {
        let listen = Listen { unix: Some(UnixAddress::Path("/nonexistent/s".into())), ..Listen::default() };
        let error = Listeners::open(&listen).unwrap_err().to_string();
        assert_eq!(error, "cannot listen on /nonexistent/s: No such file or directory (os error 2)");
    }
}
