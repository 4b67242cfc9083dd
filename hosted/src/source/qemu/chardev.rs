//! [`Chardev`]: a character device of QEMU's, which becomes a channel by its name.
//!
//! QEMU takes one end of a socket while a viewer has the device, so the guest sees its other side
//! come and go as viewers do; each viewer gets a socket of its own, so a protocol that has a
//! beginning begins anew. Bytes wait in bounded buffers: a guest that does not read is not written
//! to, a viewer that does not read stops the guest's writing.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use anyhow::Context;
use tokio::io::Interest;
use tokio::net::UnixStream;
use zbus::Connection;
use zbus::proxy::CacheProperties;
use zbus::wire::Fd;

use super::interfaces::ChardevProxy;
use crate::devices::{Device, DeviceKind, Devices};

/// Bytes that are read at once, from either side.
const PIECE: usize = 64 * 1024;

/// One device.
pub(super) struct Chardev {
    proxy: ChardevProxy<'static>,
    device: Rc<Device>,
}

/// A socket to QEMU, and what is under way.
struct Link {
    socket: UnixStream,
    /// Whose it is.
    viewer: u64,
    to_viewer: Vec<u8>,
    to_guest: Vec<u8>,
    /// QEMU closed its end, and sends no more.
    ended: bool,
}

impl Chardev {
    /// The device at this path; `None` when it is for no viewer.
    pub(super) async fn find(connection: &Connection, path: &str, devices: &Devices) -> anyhow::Result<Option<Self>> {
        let proxy = ChardevProxy::builder(connection).path(path.to_owned());
        let proxy = proxy.cache_properties(CacheProperties::No).build().await?;
        let name = proxy.name().await.context("asking for a device's name")?;
        // Viewers know a device by its name.
        let Some(kind) = DeviceKind::of(&name).filter(|_| !name.is_empty()) else {
            tracing::info!(name, path, "a character device for no viewer");
            return Ok(None);
        };
        tracing::info!(name, ?kind, "character device");
        let device = Rc::new(devices.open(kind, &name));
        device.set_opened(proxy.fe_opened().await.unwrap_or(false));
        Ok(Some(Self { proxy, device }))
    }

    /// Where to tell whether the guest has it open.
    pub(super) fn device(&self) -> &Rc<Device> {
        &self.device
    }

    /// Carries bytes until the connection to QEMU is lost.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let mut link: Option<Link> = None;
        let mut told = self.device.state();
        loop {
            let state = self.device.state();
            // Each viewer's breaks count from 0.
            let before = if state.viewer == told.viewer { told.breaks } else { 0 };
            for _ in before..state.breaks {
                self.proxy.send_break().await?;
            }
            told = state;
            match state.viewer {
                Some(viewer) if link.as_ref().is_none_or(|link| link.viewer != viewer) => {
                    link = Some(self.connect(viewer).await?);
                }
                Some(_) => {}
                None => link = None,
            }
            match &mut link {
                Some(link) => link.step(&self.device).await.context("a character device")?,
                None => self.device.changed().await,
            }
        }
    }

    async fn connect(&self, viewer: u64) -> anyhow::Result<Link> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        self.proxy.register(Fd::from(OwnedFd::from(theirs))).await?;
        let socket = UnixStream::from_std(ours)?;
        Ok(Link { socket, viewer, to_viewer: Vec::new(), to_guest: Vec::new(), ended: false })
    }
}

impl Link {
    /// Waits until something can be carried, and carries it.
    async fn step(&mut self, device: &Device) -> io::Result<()> {
        // Another viewer may have it by now: its bytes and those of this one do not mix.
        let taken = device.write_to(self.viewer, &self.to_viewer);
        self.to_viewer.drain(..taken);
        if self.to_guest.is_empty() {
            self.to_guest.resize(PIECE, 0);
            let len = device.read_from(self.viewer, &mut self.to_guest);
            self.to_guest.truncate(len);
        }
        let interest = match (self.to_viewer.is_empty(), self.to_guest.is_empty()) {
            (true, true) => Some(Interest::READABLE),
            (true, false) => Some(Interest::READABLE | Interest::WRITABLE),
            (false, false) => Some(Interest::WRITABLE),
            (false, true) => None,
        };
        let Some(interest) = interest.filter(|_| !self.ended) else {
            // What QEMU said last goes to the viewer still.
            device.changed().await;
            return Ok(());
        };
        tokio::select! {
            () = device.changed() => return Ok(()),
            ready = self.socket.ready(interest) => drop(ready?),
        }
        if self.to_viewer.is_empty() {
            self.to_viewer.resize(PIECE, 0);
            let read = self.socket.try_read(&mut self.to_viewer);
            self.ended |= matches!(read, Ok(0));
            let read = self.carried(read)?;
            self.to_viewer.truncate(read);
        }
        if !self.to_guest.is_empty() {
            let written = self.socket.try_write(&self.to_guest);
            let written = self.carried(written)?;
            self.to_guest.drain(..written);
        }
        Ok(())
    }

    /// How much was carried: nothing now, or ever again when QEMU closed its end.
    fn carried(&mut self, result: io::Result<usize>) -> io::Result<usize> {
        use io::ErrorKind::{BrokenPipe, ConnectionReset, WouldBlock};
        result.or_else(|error| match error.kind() {
            WouldBlock => Ok(0),
            BrokenPipe | ConnectionReset => {
                self.ended = true;
                Ok(0)
            }
            _ => Err(error),
        })
    }
}
