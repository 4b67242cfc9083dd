//! TCP sockets: one listening socket per address, and the options of accepted ones.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use tokio::net::{TcpListener, TcpStream};

use super::ListenError;
use crate::config::Family;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;
/// How often a free port is looked for that is free on all addresses.
const PORT_TRIES: usize = 16;
/// A connection that is silent for this long is probed, so that vanished clients are noticed.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(600);

/// Opens a socket on every address behind `addr`, all on the same port; port 0 lets the system
/// choose it. An address that this machine does not have is skipped as long as another one works.
pub(super) fn listen(addr: &str, port: u16, family: Family) -> Result<Vec<TcpListener>, ListenError> {
    let addresses = resolve(addr, family).map_err(|source| ListenError::Resolve { addr: addr.into(), source })?;
    let mut tries = if port == 0 { PORT_TRIES } else { 1 };
    loop {
        tries -= 1;
        match open_all(&addresses, port) {
            Err((_, error)) if error.kind() == io::ErrorKind::AddrInUse && tries > 0 => {}
            Err((at, source)) => {
                return Err(ListenError::Open { at: at.to_string(), source });
            }
            Ok(listeners) => return Ok(listeners),
        }
    }
}

/// A socket that somebody else has opened.
pub(super) fn take(listener: std::net::TcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

/// What every accepted connection gets: no delay for small writes, and keepalive probes.
pub(super) fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEPALIVE_IDLE)?;
    Ok(())
}

/// The addresses behind `addr`, without repetitions; at least one.
fn resolve(addr: &str, family: Family) -> io::Result<Vec<IpAddr>> {
    let all = match addr {
        "" | "*" | "::" => vec![Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into()],
        host => (host, 0).to_socket_addrs()?.map(|found| found.ip()).collect(),
    };
    let mut chosen: Vec<IpAddr> = Vec::new();
    for ip in all {
        let wanted = match family {
            Family::Any => true,
            Family::V4 => ip.is_ipv4(),
            Family::V6 => ip.is_ipv6(),
        };
        if wanted && !chosen.contains(&ip) {
            chosen.push(ip);
        }
    }
    if chosen.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "it has no address of the wanted family"));
    }
    Ok(chosen)
}

/// Opens all addresses on one port; on failure names the address.
fn open_all(addresses: &[IpAddr], port: u16) -> Result<Vec<TcpListener>, (SocketAddr, io::Error)> {
    let mut listeners: Vec<TcpListener> = Vec::new();
    let mut chosen = port;
    let mut skipped = None;
    for &ip in addresses {
        let at = SocketAddr::new(ip, chosen);
        match open(at) {
            Ok((listener, port)) => {
                chosen = port;
                listeners.push(listener);
            }
            Err(error) if is_absent(&error) => {
                tracing::debug!(%at, %error, "address skipped");
                skipped.get_or_insert((at, error));
            }
            Err(error) => return Err((at, error)),
        }
    }
    match skipped {
        Some(failure) if listeners.is_empty() => Err(failure),
        _ => Ok(listeners),
    }
}

fn open(at: SocketAddr) -> io::Result<(TcpListener, u16)> {
    let family = if at.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    // Connections of a previous run that linger in TIME_WAIT must not keep us from the port.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if at.is_ipv6() {
        // IPv4 has a socket of its own, so that its clients keep their real addresses.
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    rustix::net::bind(&socket, &at)?;
    rustix::net::listen(&socket, BACKLOG)?;
    let listener = TcpListener::from_std(std::net::TcpListener::from(socket))?;
    let port = listener.local_addr()?.port();
    Ok((listener, port))
}

/// Whether this machine lacks the address or its whole family (IPv6 switched off).
fn is_absent(error: &io::Error) -> bool {
    let family = rustix::io::Errno::AFNOSUPPORT.raw_os_error();
    error.kind() == io::ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(family)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(listeners: &[TcpListener]) -> Vec<u16> {
        listeners.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
    }

    #[test]
    fn wildcards_mean_both_families() {
        let both: Vec<IpAddr> = vec!["::".parse().unwrap(), "0.0.0.0".parse().unwrap()];
        for addr in ["", "*", "::"] {
            assert_eq!(resolve(addr, Family::Any).unwrap(), both);
        }
        assert_eq!(resolve("::", Family::V6).unwrap(), both[..1]);
        assert_eq!(resolve("0.0.0.0", Family::Any).unwrap(), both[1..]);
    }

    #[test]
    fn an_address_of_the_other_family_is_an_error() {
        let error = resolve("127.0.0.1", Family::V6).unwrap_err();
        assert_eq!(error.to_string(), "it has no address of the wanted family");
    }

    #[tokio::test]
    async fn all_addresses_share_the_port_that_the_system_chose() {
        let listeners = listen("::", 0, Family::Any).unwrap();
        let ports = ports(&listeners);
        assert!(ports.iter().all(|&port| port != 0 && Some(&port) == ports.first()), "{ports:?}");
        if listeners.len() < 2 {
            println!("SKIPPED: this machine has one IP family only");
        }
    }

    #[tokio::test]
    async fn a_port_in_use_is_named() {
        let taken = listen("127.0.0.1", 0, Family::Any).unwrap();
        let port = *ports(&taken).first().unwrap();
        let error = listen("127.0.0.1", port, Family::Any).unwrap_err();
        let expected = format!("cannot listen on 127.0.0.1:{port}: Address already in use (os error 98)");
        assert_eq!(error.to_string(), expected);
    }

    #[tokio::test]
    async fn a_name_that_does_not_resolve_is_named() {
        let error = listen("no such host", 0, Family::Any).unwrap_err().to_string();
        assert!(error.starts_with("cannot find the address 'no such host': "), "{error}");
    }

    #[tokio::test]
    async fn an_address_of_another_machine_is_named() {
        let error = listen("192.0.2.1", 0, Family::Any).unwrap_err().to_string();
        assert!(error.starts_with("cannot listen on 192.0.2.1:0: "), "{error}");
    }

    #[tokio::test]
    async fn accepted_connections_are_tuned() {
        let listeners = listen("127.0.0.1", 0, Family::Any).unwrap();
        let listener = listeners.first().unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        tune(&stream).unwrap();
        assert!(stream.nodelay().unwrap());
        assert!(sockopt::socket_keepalive(&stream).unwrap());
        assert_eq!(sockopt::tcp_keepidle(&stream).unwrap(), KEEPALIVE_IDLE);
    }
}
