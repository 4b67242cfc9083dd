//! [`inherited_sockets`]: the sockets that systemd opened before it started this process.

use std::env;
use std::os::fd::RawFd;

use anyhow::Context;

use crate::config::InheritedSocket;

/// The first of them; the others follow it.
const FIRST: RawFd = 3;
/// More are a mistake.
const MOST: usize = 64;

/// The sockets that are meant for this process, by `LISTEN_PID`, `LISTEN_FDS` and `LISTEN_FDNAMES`; they are
/// not passed on to other programs. To be called once, for [`Listen::inherited`](crate::config::Listen).
///
/// # Errors
/// When the variables make no sense, or a descriptor is not a listening stream socket.
pub fn inherited_sockets() -> anyhow::Result<Vec<InheritedSocket>> {
    let variable = |name: &str| env::var(name).ok();
    let mine = std::process::id().to_string();
    if variable("LISTEN_PID").is_none_or(|pid| pid != mine) {
        return Ok(Vec::new());
    }
    let names = names(&variable("LISTEN_FDS").unwrap_or_default(), &variable("LISTEN_FDNAMES").unwrap_or_default())?;
    let socket = |(number, name): (RawFd, String)| {
        InheritedSocket::take(number, &name).with_context(|| format!("LISTEN_FDS: socket {number} ({name})"))
    };
    (FIRST..).zip(names).map(socket).collect()
}

/// A name for each socket.
fn names(count: &str, names: &str) -> anyhow::Result<Vec<String>> {
    let count = count.parse().ok().filter(|count| *count <= MOST);
    let count = count.with_context(|| format!("LISTEN_FDS: not a number up to {MOST}"))?;
    let named = names.split(':').filter(|name| !name.is_empty()).map(str::to_owned);
    Ok(named.chain(std::iter::repeat("unknown".into())).take(count).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_socket_has_a_name() {
        assert_eq!(names("2", "spice:tls").unwrap(), ["spice", "tls"]);
        assert_eq!(names("2", "").unwrap(), ["unknown", "unknown"]);
        assert_eq!(names("1", "a:b").unwrap(), ["a"]);
        assert!(names("0", "").unwrap().is_empty());
        for count in ["", "x", "-1", "65", "99999999999999999999"] {
            assert!(names(count, "").is_err(), "{count}");
        }
    }

    #[test]
    fn without_a_manager_there_are_none() {
        assert!(inherited_sockets().unwrap().is_empty());
    }
}
