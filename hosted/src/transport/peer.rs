//! [`Peer`]: who is at the other end of a connection.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// The other end of a connection, as logs show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A TCP client.
    Tcp(SocketAddr),
    /// A client on a UNIX socket.
    Unix {
        /// The user it ran as when it connected.
        uid: u32,
        /// Its process; `None` when it is outside our namespace.
        pid: Option<i32>,
    },
}

/// What limits are counted by: everything that one sender can have many of is one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PeerKey {
    /// An IPv4 address, or the /64 network of an IPv6 address (a host has a whole one).
    Address(IpAddr),
    /// A local user.
    User(u32),
}

impl Peer {
    /// What limits count this peer by.
    pub fn key(&self) -> PeerKey {
        match self {
            Self::Unix { uid, .. } => PeerKey::User(*uid),
            Self::Tcp(address) => PeerKey::Address(match address.ip().to_canonical() {
                IpAddr::V6(ip) if !ip.is_loopback() => IpAddr::V6(network(ip)),
                ip => ip,
            }),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix { uid, pid: Some(pid) } => write!(f, "unix:uid={uid},pid={pid}"),
            Self::Unix { uid, pid: None } => write!(f, "unix:uid={uid}"),
        }
    }
}

/// The /64 network of an address.
fn network(ip: Ipv6Addr) -> Ipv6Addr {
    Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(address: &str) -> PeerKey {
        Peer::Tcp(address.parse().unwrap()).key()
    }

    #[test]
    fn ports_do_not_count() {
        assert_eq!(key("10.0.0.1:1000"), key("10.0.0.1:2000"));
        assert_ne!(key("10.0.0.1:1000"), key("10.0.0.2:1000"));
    }

    #[test]
    fn a_mapped_address_is_the_address() {
        assert_eq!(key("[::ffff:10.0.0.1]:1000"), key("10.0.0.1:1"));
    }

    #[test]
    fn an_ipv6_host_is_its_network() {
        assert_eq!(key("[2001:db8::1]:1"), key("[2001:db8::ffff:1]:1"));
        assert_ne!(key("[2001:db8:0:1::1]:1"), key("[2001:db8::1]:1"));
        assert_ne!(key("[::1]:1"), key("[::2]:1"));
    }

    #[test]
    fn display_names_the_peer() {
        assert_eq!(Peer::Tcp("[::1]:5900".parse().unwrap()).to_string(), "[::1]:5900");
        assert_eq!(Peer::Unix { uid: 7, pid: Some(9) }.to_string(), "unix:uid=7,pid=9");
        assert_eq!(Peer::Unix { uid: 7, pid: None }.to_string(), "unix:uid=7");
    }
}
