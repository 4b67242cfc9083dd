//! [`Notifier`]: sd_notify's datagrams.

use std::env;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use rustix::time::{ClockId, clock_gettime};

/// Names the manager's socket: a path, or an abstract name after an `@`.
const VARIABLE: &str = "NOTIFY_SOCKET";

/// The manager's socket, if there is a manager.
pub(crate) struct Notifier(Option<UnixDatagram>);

impl Notifier {
    /// Connects it, which a confined process could not do any more.
    pub(crate) fn connect() -> Self {
        let Some(name) = env::var_os(VARIABLE).filter(|name| !name.is_empty()) else { return Self(None) };
        let address = match name.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name),
            None => SocketAddr::from_pathname(&name),
        };
        let connect = |address| {
            let socket = UnixDatagram::unbound()?;
            socket.connect_addr(&address)?;
            // A manager that does not read shall not hold up viewers.
            socket.set_nonblocking(true)?;
            Ok(socket)
        };
        let connected: std::io::Result<_> = address.and_then(connect);
        Self(connected.inspect_err(|error| tracing::warn!(%error, "{VARIABLE}: the service manager is not told")).ok())
    }

    /// Viewers can come; `status` is for people.
    pub(crate) fn ready(&self, status: &str) {
        // A line ends a status.
        self.tell(&format!("READY=1\nSTATUS={}", status.replace('\n', " ")));
    }

    /// Files are being read again; [`ready`](Self::ready) follows.
    pub(crate) fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = now.tv_sec.unsigned_abs() * 1_000_000 + now.tv_nsec.unsigned_abs() / 1000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// It ends.
    pub(crate) fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    fn tell(&self, state: &str) {
        if let Some(Err(error)) = self.0.as_ref().map(|socket| socket.send(state.as_bytes())) {
            tracing::debug!(%error, state, "the service manager was not told");
        }
    }
}
