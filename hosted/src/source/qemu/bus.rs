//! How QEMU is reached: over a bus, a socket, or a monitor that makes it speak D-Bus on one.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use anyhow::Context;
use futures_util::StreamExt;
use zbus::connection::Builder;
use zbus::fdo::DBusProxy;
use zbus::message::Type;
use zbus::names::OwnedUniqueName;
use zbus::{Connection, MatchRule};

use super::interfaces::BUS_NAME;
use super::qmp::Qmp;
use crate::config::QemuAddress;

/// A way to a QEMU, which may be gone again at any time.
pub(super) struct Link {
    /// Where the VM's objects are.
    pub(super) connection: Connection,
    /// QEMU's own name on a bus, where others could pretend to be it.
    pub(super) owner: Option<OwnedUniqueName>,
    /// Tells of the machine's power, where there is one.
    pub(super) monitor: Option<Qmp>,
}

/// Goes there; waits as long as there is a bus without QEMU on it.
pub(super) async fn reach(address: &QemuAddress) -> anyhow::Result<Link> {
    let bus = match address {
        QemuAddress::Session => Builder::session(),
        QemuAddress::Bus(text) => Builder::address(text.as_str()),
        QemuAddress::Socket(fd) => {
            return Ok(Link { connection: over(fd.try_clone()?.into()).await?, owner: None, monitor: None });
        }
        QemuAddress::Monitor(fd) => {
            let mut monitor = Qmp::open(fd.try_clone()?).await?;
            let (ours, theirs) = UnixStream::pair()?;
            monitor.add_dbus_client(theirs.as_fd()).await?;
            drop(theirs);
            return Ok(Link { connection: over(ours).await?, owner: None, monitor: Some(monitor) });
        }
    };
    let connection = bus.build().await.context("connecting to the bus")?;
    let owner = Some(wait_for_qemu(&connection).await?);
    Ok(Link { connection, owner, monitor: None })
}

/// The signals of this interface that QEMU sends: anybody on a bus could send some.
pub(super) fn signals_of(owner: Option<&OwnedUniqueName>, interface: &'static str) -> zbus::Result<MatchRule<'static>> {
    let rule = MatchRule::builder().msg_type(Type::Signal).interface(interface);
    match owner {
        Some(owner) => rule.sender(owner.clone()).build(),
        None => rule.build(),
    }
}

async fn over(socket: UnixStream) -> anyhow::Result<Connection> {
    Builder::unix_stream(socket).p2p().build().await.context("speaking D-Bus with QEMU")
}

/// Waits until QEMU's name has an owner on the bus; answers that.
async fn wait_for_qemu(connection: &Connection) -> anyhow::Result<OwnedUniqueName> {
    let bus = DBusProxy::new(connection).await?;
    let mut changes = bus.receive_name_owner_changed_with_args(&[(0, BUS_NAME)]).await?;
    if let Ok(owner) = bus.get_name_owner(BUS_NAME.try_into()?).await {
        return Ok(owner);
    }
    tracing::info!("waiting for {BUS_NAME} on the bus");
    while let Some(change) = changes.next().await {
        if let Some(owner) = change.args()?.new_owner().as_ref() {
            return Ok(owner.to_owned().into());
        }
    }
    anyhow::bail!("the bus went away")
}
