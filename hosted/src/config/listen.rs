//! [`Listen`]: where clients connect.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::net::sockopt::{socket_acceptconn, socket_domain, socket_type};
use rustix::net::{AddressFamily, SocketType};

use super::sys::take_over;

/// The port when nothing else was asked for.
pub const DEFAULT_PORT: u16 = 5900;
/// The address when nothing else was asked for: only this machine.
pub const DEFAULT_ADDR: &str = "127.0.0.1";

/// Where clients connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// IP address or host name. `::`, `*` and the empty text mean every address of both families.
    pub addr: String,
    /// TCP port; 0 lets the system choose. `None`: see [`tcp_port`](Self::tcp_port).
    pub port: Option<u16>,
    /// TCP port for TLS and nothing else, beside the other or alone; 0 lets the system choose.
    pub tls_port: Option<u16>,
    /// UNIX socket, beside TCP or alone.
    pub unix: Option<UnixAddress>,
    /// Which of the addresses behind `addr` are used.
    pub family: Family,
    /// Sockets that are open already, beside the others or alone.
    pub inherited: Vec<InheritedSocket>,
}

/// A listening stream socket that somebody else has opened: TCP, or UNIX.
#[derive(Clone, Debug)]
pub struct InheritedSocket {
    fd: Arc<OwnedFd>,
    unix: bool,
    tls: bool,
}

/// Which IP versions to listen on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// Whatever the address has.
    #[default]
    Any,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

/// A UNIX socket's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnixAddress {
    /// A socket file.
    Path(PathBuf),
    /// A name in Linux's abstract namespace, written with a leading `@`.
    Abstract(Vec<u8>),
}

impl Listen {
    /// The TCP port to open, if any: the one asked for, or 5900 when neither it nor another socket
    /// was asked for.
    pub fn tcp_port(&self) -> Option<u16> {
        let other = self.unix.is_some() || self.tls_port.is_some() || !self.inherited.is_empty();
        self.port.or((!other).then_some(DEFAULT_PORT))
    }
}

impl InheritedSocket {
    /// A duplicate of the descriptor of this number, which no other program gets; over one of the name `tls`
    /// may come nothing but TLS.
    ///
    /// # Errors
    /// When it is not open, or no listening stream socket of IP or UNIX.
    pub(crate) fn take(number: RawFd, name: &str) -> io::Result<Self> {
        let fd = take_over(number)?;
        let family = match socket_domain(&fd)? {
            AddressFamily::UNIX => Some(true),
            AddressFamily::INET | AddressFamily::INET6 => Some(false),
            _ => None,
        };
        let listens = socket_acceptconn(&fd)? && socket_type(&fd)? == SocketType::STREAM;
        let unix = family.filter(|_| listens).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(Self { fd: Arc::new(fd), unix, tls: name == "tls" })
    }

    /// Whether nothing but TLS may come.
    pub(crate) fn is_tls(&self) -> bool {
        self.tls
    }

    /// The socket, if it is a TCP socket.
    pub(crate) fn tcp(&self) -> Option<io::Result<TcpListener>> {
        (!self.unix).then(|| Ok(self.fd.try_clone()?.into()))
    }

    /// The socket, if it is a UNIX socket.
    pub(crate) fn unix(&self) -> Option<io::Result<UnixListener>> {
        self.unix.then(|| Ok(self.fd.try_clone()?.into()))
    }
}

impl PartialEq for InheritedSocket {
    fn eq(&self, other: &Self) -> bool {
        self.fd.as_raw_fd() == other.fd.as_raw_fd()
    }
}

impl Eq for InheritedSocket {}

impl Default for Listen {
    fn default() -> Self {
        Self {
            addr: DEFAULT_ADDR.into(),
            port: None,
            tls_port: None,
            unix: None,
            family: Family::Any,
            inherited: Vec::new(),
        }
    }
}

impl From<&OsStr> for UnixAddress {
    fn from(text: &OsStr) -> Self {
        match text.as_bytes().strip_prefix(b"@") {
            Some(name) => Self::Abstract(name.to_vec()),
            None => Self::Path(text.into()),
        }
    }
}

impl fmt::Display for UnixAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Abstract(name) => write!(f, "@{}", name.escape_ascii()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_port_or_socket_replaces_the_default_port() {
        let unix = Some(UnixAddress::Path("/run/s".into()));
        for (port, unix, opens) in [
            (None, None, Some(5900)),
            (Some(0), None, Some(0)),
            (Some(5901), None, Some(5901)),
            (None, unix.clone(), None),
            (Some(5901), unix, Some(5901)),
        ] {
            assert_eq!(Listen { port, unix, ..Listen::default() }.tcp_port(), opens);
        }
        assert_eq!(Listen { tls_port: Some(1), ..Listen::default() }.tcp_port(), None);
    }

    #[test]
    fn an_at_sign_means_abstract() {
        assert_eq!(UnixAddress::from(OsStr::new("@name")), UnixAddress::Abstract(b"name".to_vec()));
        assert_eq!(UnixAddress::from(OsStr::new("./@name")), UnixAddress::Path("./@name".into()));
        assert_eq!(UnixAddress::Abstract(b"name".to_vec()).to_string(), "@name");
    }
}
