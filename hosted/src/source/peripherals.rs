//! [`Peripherals`]: what a source has beside displays and input.

use std::sync::Arc;

use tokio::sync::Notify;

use crate::agent::Clipboard;
use crate::devices::Devices;
use crate::sound::Sound;

/// Sound, devices and the clipboard. A clone is another handle; any thread may use it. `default()` leads nowhere,
/// for hosts that have no viewers.
#[derive(Clone, Debug, Default)]
pub struct Peripherals {
    /// Sound to the viewers and from one of them.
    pub sound: Sound,
    /// Where character devices are opened, which become channels: USB redirection, ports and others.
    pub devices: Devices,
    /// What is copied in the guest and by viewers.
    pub clipboard: Clipboard,
}

impl Peripherals {
    /// `arrived` is notified when the engine should look.
    pub(crate) fn new(arrived: &Arc<Notify>) -> Self {
        Self { sound: Sound::new(arrived), devices: Devices::new(arrived), clipboard: Clipboard::new(arrived) }
    }
}
