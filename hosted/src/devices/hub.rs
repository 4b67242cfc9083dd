//! [`DeviceHub`]: the devices there are, their channels, and who has them.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use bytes::Bytes;
use sumac_core::channel::PeerError;
use sumac_core::channel::vmc::DeviceBytes;
use sumac_core::limits::MIGRATED;
use sumac_core::proto::common::ChannelType;
use tokio::sync::Notify;

use super::pipe::{GuestEnd, Pipe};
use super::{DeviceKind, Devices};
use crate::viewer::ChannelName;

/// The engine's end of [`Devices`].
pub(crate) struct DeviceHub {
    source: Devices,
    entries: RefCell<Vec<Rc<Entry>>>,
}

/// A device.
struct Entry {
    /// Its channel, if it is served.
    channel: Option<ChannelName>,
    pipe: Arc<Pipe>,
    /// The session that has it.
    owner: Cell<Option<u32>>,
    /// It was given back since the engine looked.
    freed: Cell<bool>,
    bell: RefCell<Weak<Notify>>,
    to_engine: Arc<Notify>,
}

/// A viewer that has a device, until this is dropped.
pub(crate) struct Attached {
    entry: Rc<Entry>,
}

impl DeviceHub {
    pub(crate) fn new(source: Devices) -> Self {
        Self { source, entries: RefCell::default() }
    }

    /// Takes in what the source did; answers whether devices came, went or are free again.
    pub(crate) fn take_mail(&self) -> bool {
        let mut entries = self.entries.borrow_mut();
        let mut changed = false;
        entries.retain(|entry| {
            if entry.pipe.take_news()
                && let Some(bell) = entry.bell.borrow().upgrade()
            {
                bell.notify_one();
            }
            let stays = !entry.pipe.is_ended();
            changed |= !stays || entry.freed.take();
            stays
        });
        for pipe in self.source.take() {
            let channel = channel_of(&pipe, &entries);
            changed = true;
            entries.push(Rc::new(Entry {
                channel,
                pipe,
                owner: Cell::new(None),
                freed: Cell::new(false),
                bell: RefCell::default(),
                to_engine: Arc::clone(&self.source.arrived),
            }));
        }
        changed
    }

    /// All channels of devices.
    pub(crate) fn channels(&self) -> Vec<ChannelName> {
        self.entries.borrow().iter().filter_map(|entry| entry.channel).collect()
    }

    /// Whether another session than this one has the device of this channel.
    pub(crate) fn is_taken(&self, channel: ChannelName, session: u32) -> bool {
        let owner = self.entry(channel).and_then(|entry| entry.owner.get());
        owner.is_some_and(|owner| owner != session)
    }

    /// Gives the device of this channel to a session; `bell` rings when something changed. `None`
    /// when there is no such device or somebody has it.
    pub(crate) fn attach(&self, channel: ChannelName, session: u32, bell: &Rc<Notify>) -> Option<Attached> {
        let entry = self.entry(channel).filter(|entry| entry.owner.get().is_none())?;
        entry.owner.set(Some(session));
        entry.bell.replace(Rc::downgrade(bell));
        entry.pipe.attach();
        Some(Attached { entry })
    }

    /// Gives a device of a kind that has no channel, such as the guest's agent, to that part of the
    /// engine which speaks with it, unless it has it already.
    pub(crate) fn attach_own(&self, kind: DeviceKind) -> Option<Attached> {
        let entries = self.entries.borrow();
        let is_free = |entry: &&Rc<Entry>| entry.pipe.kind == kind && entry.owner.get().is_none();
        let entry = Rc::clone(entries.iter().find(is_free)?);
        entry.owner.set(Some(0));
        entry.pipe.attach();
        Some(Attached { entry })
    }

    fn entry(&self, channel: ChannelName) -> Option<Rc<Entry>> {
        self.entries.borrow().iter().find(|entry| entry.channel == Some(channel)).cloned()
    }
}

/// The channel of a new device, with the lowest number that is free.
fn channel_of(pipe: &Pipe, entries: &[Rc<Entry>]) -> Option<ChannelName> {
    let kind = match pipe.kind {
        DeviceKind::Usbredir => ChannelType::USBREDIR,
        DeviceKind::Webdav => ChannelType::WEBDAV,
        DeviceKind::Port => ChannelType::PORT,
        DeviceKind::Smartcard => ChannelType::SMARTCARD,
        DeviceKind::Agent | DeviceKind::Stream => return None,
    };
    // Clients add each of their readers on every smart card channel.
    let most = if pipe.kind == DeviceKind::Smartcard { 0 } else { u8::MAX };
    let is_free = |id: &u8| !entries.iter().any(|entry| entry.channel == Some((kind, *id)));
    let id = (0..=most).find(is_free);
    match id {
        Some(id) => tracing::info!(name = pipe.name, kind = ?pipe.kind, id, "device"),
        None => tracing::warn!(name = pipe.name, kind = ?pipe.kind, "too many devices of this kind: not served"),
    }
    id.map(|id| (kind, id))
}

impl Attached {
    /// The device's name.
    pub(crate) fn name(&self) -> &str {
        &self.entry.pipe.name
    }

    /// Whether the source took the device away.
    pub(crate) fn is_ended(&self) -> bool {
        self.entry.pipe.is_ended()
    }

    /// Goes and comes again, for the guest to begin anew.
    pub(crate) fn reattach(&self) {
        self.entry.pipe.detach();
        self.entry.pipe.attach();
    }

    /// The guest's end.
    pub(crate) fn guest(&self) -> GuestEnd {
        self.entry.pipe.guest()
    }

    /// At most `most` bytes of the guest's.
    pub(crate) fn take(&self, most: usize) -> Bytes {
        self.entry.pipe.take(most)
    }

    /// Whether the guest should read before the viewer says more.
    pub(crate) fn is_full(&self) -> bool {
        self.entry.pipe.is_full()
    }

    /// Bytes for the guest.
    pub(crate) fn push(&self, bytes: &DeviceBytes<'_>) -> Result<(), PeerError> {
        self.entry.pipe.push(bytes)
    }

    /// All that is on its way, to the viewer and to the guest: it goes to another server.
    pub(crate) fn drain(&self) -> (Bytes, Bytes) {
        self.entry.pipe.drain()
    }

    /// What was on its way at the server that the viewer comes from, to the viewer and to the guest.
    pub(crate) fn refill(&self, to_viewer: &[u8], to_guest: &[u8]) -> Result<(), PeerError> {
        if to_guest.len() > MIGRATED {
            let why = "the guest cannot have left so much unread";
            return Err(PeerError::Unexpected { message: "MIGRATE_DATA", why });
        }
        self.entry.pipe.refill(to_viewer, to_guest);
        Ok(())
    }

    /// Bytes of the viewer's that wait for the guest.
    pub(crate) fn waiting(&self) -> usize {
        self.entry.pipe.waiting()
    }

    /// Whether the viewer's program has the device open.
    pub(crate) fn set_opened(&self, opened: bool) {
        self.entry.pipe.set_viewer_opened(opened);
    }

    /// The viewer sent a break.
    pub(crate) fn send_break(&self) {
        self.entry.pipe.viewer_break();
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.entry.owner.set(None);
        self.entry.pipe.detach();
        self.entry.freed.set(true);
        // Others may have it now.
        self.entry.to_engine.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub() -> (Devices, DeviceHub) {
        let devices = Devices::default();
        (devices.clone(), DeviceHub::new(devices))
    }

    #[test]
    fn devices_get_channels_by_kind_and_the_lowest_number() {
        let (devices, hub) = hub();
        assert!(!hub.take_mail());
        let usb: Vec<_> = (0..3).map(|n| devices.open(DeviceKind::Usbredir, &format!("usb{n}"))).collect();
        let _port = devices.open(DeviceKind::Port, "com1");
        let _card = devices.open(DeviceKind::Smartcard, "card");
        let _second_card = devices.open(DeviceKind::Smartcard, "card2");
        let _agent = devices.open(DeviceKind::Agent, "com.redhat.spice.0");
        assert!(hub.take_mail() && !hub.take_mail());
        let usb_channel = |id| (ChannelType::USBREDIR, id);
        let others = [(ChannelType::PORT, 0), (ChannelType::SMARTCARD, 0)];
        assert_eq!(hub.channels(), [&[usb_channel(0), usb_channel(1), usb_channel(2)][..], &others].concat());
        let mut usb = usb.into_iter();
        drop(usb.next());
        assert!(hub.take_mail());
        let _again = devices.open(DeviceKind::Usbredir, "again");
        assert!(hub.take_mail());
        assert_eq!(hub.channels(), [&[usb_channel(1), usb_channel(2)][..], &others, &[usb_channel(0)]].concat());
    }

    #[tokio::test]
    async fn one_viewer_has_a_device_until_it_goes() {
        let (devices, hub) = hub();
        let device = devices.open(DeviceKind::Port, "p");
        hub.take_mail();
        let (channel, bell) = ((ChannelType::PORT, 0), Rc::new(Notify::new()));
        assert!(hub.attach((ChannelType::PORT, 1), 7, &bell).is_none(), "no such device");
        let attached = hub.attach(channel, 7, &bell).unwrap();
        assert!(hub.attach(channel, 8, &bell).is_none() && hub.attach(channel, 7, &bell).is_none());
        assert!(hub.is_taken(channel, 8) && !hub.is_taken(channel, 7));
        assert_eq!(device.write(b"hello"), 5);
        hub.take_mail();
        bell.notified().await;
        assert_eq!(&attached.take(99)[..], b"hello");
        assert!(!hub.take_mail());
        drop(attached);
        assert!(hub.take_mail() && !hub.is_taken(channel, 8), "others are told");
        let attached = hub.attach(channel, 8, &bell).unwrap();
        drop(device);
        assert!(hub.take_mail());
        bell.notified().await;
        assert!(attached.is_ended() && hub.channels().is_empty());
    }
}
