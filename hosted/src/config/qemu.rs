//! Where a QEMU's D-Bus display is, and which of its consoles are shown.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::str::FromStr;
use std::sync::Arc;

use super::ValueError;
use super::sys::duplicate;

/// The consoles of a QEMU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QemuDisplay {
    /// Where it is.
    pub address: QemuAddress,
    /// The ids of the consoles that are shown, as displays 0, 1 and so on; none means all
    /// graphical ones.
    pub consoles: Vec<u32>,
}

/// How a QEMU with `-display dbus` is reached.
#[derive(Clone, Debug)]
pub enum QemuAddress {
    /// The session bus of this process's environment.
    Session,
    /// The bus at this D-Bus address, such as `unix:path=/run/vm.bus`.
    Bus(String),
    /// A socket on whose other end QEMU speaks D-Bus (`-display dbus,p2p=yes`).
    Socket(Arc<OwnedFd>),
    /// A socket on whose other end is QEMU's monitor (QMP), which is asked for such a socket.
    Monitor(Arc<OwnedFd>),
}

impl FromStr for QemuAddress {
    type Err = ValueError;

    /// Reads `session`, `p2p:FD` or a D-Bus address. The file descriptor is one that this process
    /// was started with; it is duplicated.
    fn from_str(text: &str) -> Result<Self, ValueError> {
        let invalid = |expected: &str| ValueError::Invalid { value: text.into(), expected: expected.into() };
        if text == "session" {
            return Ok(Self::Session);
        }
        if let Some(number) = text.strip_prefix("p2p:") {
            let number: RawFd = number.parse().map_err(|_| invalid("p2p: and the number of a file descriptor"))?;
            let fd = duplicate(number).map_err(|_| invalid("an open file descriptor"))?;
            return Ok(Self::Socket(Arc::new(fd)));
        }
        match zbus::Address::try_from(text) {
            Ok(_) => Ok(Self::Bus(text.into())),
            Err(_) => Err(invalid("session, p2p:FD or a D-Bus address like unix:path=/run/vm.bus")),
        }
    }
}

impl PartialEq for QemuAddress {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Session, Self::Session) => true,
            (Self::Bus(one), Self::Bus(two)) => one == two,
            (Self::Socket(one), Self::Socket(two)) | (Self::Monitor(one), Self::Monitor(two)) => {
                one.as_raw_fd() == two.as_raw_fd()
            }
            _ => false,
        }
    }
}

impl Eq for QemuAddress {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        assert_eq!("session".parse(), Ok(QemuAddress::Session));
        let bus = "unix:path=/run/vm.bus";
        assert_eq!(bus.parse(), Ok(QemuAddress::Bus(bus.into())));
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let Ok(QemuAddress::Socket(fd)) = format!("p2p:{}", ours.as_raw_fd()).parse() else { panic!("no socket") };
        assert_ne!(fd.as_raw_fd(), ours.as_raw_fd());
        drop(theirs);
    }

    #[test]
    fn bad_addresses_say_what_would_be_right() {
        for (text, expected) in [
            ("p2p:", "'p2p:' is not p2p: and the number of a file descriptor"),
            ("p2p:-1", "'p2p:-1' is not an open file descriptor"),
            ("p2p:99999", "'p2p:99999' is not an open file descriptor"),
            ("/run/vm.bus", "'/run/vm.bus' is not session, p2p:FD or a D-Bus address like unix:path=/run/vm.bus"),
            ("", "'' is not session, p2p:FD or a D-Bus address like unix:path=/run/vm.bus"),
        ] {
            assert_eq!(text.parse::<QemuAddress>().unwrap_err().to_string(), expected);
        }
    }
}
