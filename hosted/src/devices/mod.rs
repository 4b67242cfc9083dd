//! Character devices, between a source's threads and the engine's: USB redirection, ports, WebDAV,
//! a smart card reader, the guest agent.
//!
//! ```text
//!  source ─write─► Device ─► at most 256 KiB ─► the viewer that has the device ─► its socket
//!  source ◄─read── Device ◄─ at most 1 MiB and a message ◄─ that viewer
//! ```
//!
//! One viewer at a time has a device: the first that links its channel, until it goes. Nobody waits
//! for anybody: a source that writes too fast is told how much was taken, and a viewer whose guest
//! does not read is not read from.

mod hub;
mod pipe;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

pub(crate) use hub::{Attached, DeviceHub};
use pipe::Pipe;

/// What a device is, which decides its channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceKind {
    /// USB redirection: a usbredir channel.
    Usbredir,
    /// A shared folder: a webdav channel.
    Webdav,
    /// A smart card reader that speaks VSCard: the smartcard channel. There is one.
    Smartcard,
    /// The guest's own agent: relayed over main channels. There is one.
    Agent,
    /// A streaming agent in the guest, which codes its desktop itself: a display and a cursor channel.
    Stream,
    /// Anything else: a port channel with its name.
    Port,
}

impl DeviceKind {
    /// The usual kind of a device of this name, which is a `-chardev`'s in QEMU. `None` for QEMU's
    /// monitors: whoever can type there owns the machine, so they are for no viewer.
    pub fn of(name: &str) -> Option<Self> {
        Some(match name {
            "com.redhat.spice.0" => Self::Agent,
            "org.spice-space.webdav.0" => Self::Webdav,
            "org.spice-space.stream.0" => Self::Stream,
            _ if name.starts_with("org.qemu.monitor.") => return None,
            _ if name.starts_with("org.qemu.usbredir") || name.starts_with("usbredir") => Self::Usbredir,
            _ if name.starts_with("org.qemu.smartcard") || name.starts_with("smartcard") => Self::Smartcard,
            _ => Self::Port,
        })
    }
}

/// Where a source opens its devices. A clone is another handle; any thread may use it.
#[derive(Clone, Debug, Default)]
pub struct Devices {
    opened: Arc<Mutex<Vec<Arc<Pipe>>>>,
    arrived: Arc<Notify>,
}

/// The source's end of one device. Dropping it takes the device away from the viewer that has it.
/// Any thread may use it.
#[derive(Debug)]
pub struct Device {
    pipe: Arc<Pipe>,
}

/// The viewer's end, as the source sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceState {
    /// The viewer that has the device, by a number that each one gets anew: a protocol that has a
    /// beginning begins when it changes. `None`: what is written goes nowhere.
    pub viewer: Option<u64>,
    /// Whether that viewer's program has the port open; only port and WebDAV channels say so.
    pub opened: bool,
    /// Breaks that the viewer sent so far.
    pub breaks: u64,
}

impl Devices {
    /// `arrived` is notified when the engine should look.
    pub(crate) fn new(arrived: &Arc<Notify>) -> Self {
        Self { opened: Arc::default(), arrived: Arc::clone(arrived) }
    }

    /// A device that viewers see from now on, until it is dropped. A port's name is told to them.
    pub fn open(&self, kind: DeviceKind, name: &str) -> Device {
        let pipe = Arc::new(Pipe::new(kind, name, Arc::clone(&self.arrived)));
        self.lock().push(Arc::clone(&pipe));
        self.arrived.notify_one();
        Device { pipe }
    }

    /// Those opened since the last time.
    fn take(&self) -> Vec<Arc<Pipe>> {
        std::mem::take(&mut self.lock())
    }

    /// A panic of another thread leaves a list that is whole.
    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Pipe>>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Device {
    /// The viewer's end now.
    pub fn state(&self) -> DeviceState {
        self.pipe.state()
    }

    /// Waits until something may have changed since it was last called: the state, bytes to read,
    /// room to write. Any executor may poll it; one waiter at a time.
    pub async fn changed(&self) {
        self.pipe.changed().await;
    }

    /// Says these bytes of the guest's to the viewer. Answers how many were taken; the rest is to be
    /// offered again when there is room. Without a viewer all are taken, and lost.
    #[must_use]
    pub fn write(&self, bytes: &[u8]) -> usize {
        self.pipe.write(None, bytes)
    }

    /// The same for the viewer of this number: when another one has the device by now, all are taken,
    /// and lost.
    #[must_use]
    pub fn write_to(&self, viewer: u64, bytes: &[u8]) -> usize {
        self.pipe.write(Some(viewer), bytes)
    }

    /// Takes bytes of the viewer's for the guest into the front of `out`; answers how many, 0 when
    /// there are none now.
    pub fn read(&self, out: &mut [u8]) -> usize {
        self.pipe.read(None, out)
    }

    /// The same of the viewer of this number: when another one has the device by now, there are none.
    pub fn read_from(&self, viewer: u64, out: &mut [u8]) -> usize {
        self.pipe.read(Some(viewer), out)
    }

    /// Whether the guest has the device open. Closed to begin with.
    pub fn set_opened(&self, opened: bool) {
        self.pipe.set_opened(opened);
    }

    /// The guest sent a break.
    pub fn send_break(&self) {
        self.pipe.send_break();
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.pipe.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_a_device_is() {
        for (name, kind) in [
            ("com.redhat.spice.0", Some(DeviceKind::Agent)),
            ("org.spice-space.webdav.0", Some(DeviceKind::Webdav)),
            ("org.spice-space.stream.0", Some(DeviceKind::Stream)),
            ("org.qemu.usbredir", Some(DeviceKind::Usbredir)),
            ("usbredir2", Some(DeviceKind::Usbredir)),
            ("org.qemu.smartcard", Some(DeviceKind::Smartcard)),
            ("org.qemu.console.serial.0", Some(DeviceKind::Port)),
            ("org.qemu.monitor.qmp.0", None),
            ("org.qemu.monitor.hmp.0", None),
            ("", Some(DeviceKind::Port)),
        ] {
            assert_eq!(DeviceKind::of(name), kind, "{name}");
        }
    }
}
