//! [`Hub`]: character devices, and the viewers that have them.

use std::rc::Rc;

use sumac_core::channel::vmc::DeviceBytes;
use sumac_core::proto::common::ChannelType;
use tokio::sync::Notify;

use crate::devices::{Attached, DeviceHub, Devices};

/// The devices there are.
pub struct Hub {
    hub: DeviceHub,
}

/// A viewer that has one.
pub struct Holder {
    attached: Attached,
}

impl Hub {
    /// Those that the source opens here.
    pub fn new(devices: &Devices) -> Self {
        Self { hub: DeviceHub::new(devices.clone()) }
    }

    /// Takes in what the source did; answers the channels there are now, by type and number.
    pub fn look(&self) -> Vec<(u8, u8)> {
        self.hub.take_mail();
        self.hub.channels().into_iter().map(|(kind, id)| (kind.0, id)).collect()
    }

    /// Gives a channel's device to a viewer's session, if nobody has it.
    pub fn attach(&self, (kind, id): (u8, u8), session: u32) -> Option<Holder> {
        let attached = self.hub.attach((ChannelType(kind), id), session, &Rc::new(Notify::new()))?;
        Some(Holder { attached })
    }
}

impl Holder {
    /// Whether the viewer has to wait for the guest to read.
    pub fn is_full(&self) -> bool {
        self.attached.is_full()
    }

    /// The viewer says bytes; `Err` closes its channel.
    pub fn push(&self, bytes: &DeviceBytes<'_>) -> Result<(), String> {
        self.attached.push(bytes).map_err(|error| error.to_string())
    }

    /// What the guest said, this many bytes at most.
    pub fn take(&self, most: usize) -> Vec<u8> {
        self.attached.take(most).to_vec()
    }

    /// The viewer's program opens or closes the device.
    pub fn set_opened(&self, opened: bool) {
        self.attached.set_opened(opened);
    }

    /// The viewer sends a break.
    pub fn send_break(&self) {
        self.attached.send_break();
    }
}
