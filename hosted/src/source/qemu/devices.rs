//! [`Attached`]: what a QEMU has beside its consoles, found in its list of objects and by the signals
//! that change it.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use anyhow::Context;
use futures_util::StreamExt;
use tokio::task::{AbortHandle, JoinSet};
use zbus::names::OwnedUniqueName;
use zbus::wire::{ObjectPath, OwnedObjectPath};
use zbus::{Connection, Message, MessageStream, OwnedVariant};

use super::audio::{Microphone, Speaker};
use super::bus::signals_of;
use super::chardev::Chardev;
use super::clipboard::GuestSide;
use super::interfaces::{AUDIO, BUS_NAME, CHARDEV, CLIPBOARD};
use crate::devices::{Device, DeviceKind};
use crate::source::Peripherals;

/// The object that lists all others.
const ROOT: &str = "/org/qemu/Display1";
const OBJECT_MANAGER: &str = "org.freedesktop.DBus.ObjectManager";

/// Interfaces of an object, each with its properties.
type Interfaces = HashMap<String, HashMap<String, OwnedVariant>>;

/// Sound, clipboard and character devices, each carried by tasks.
pub(super) struct Attached {
    connection: Connection,
    owner: Option<OwnedUniqueName>,
    peripherals: Peripherals,
    changes: MessageStream,
    chardevs: BTreeMap<String, (Rc<Device>, AbortHandle)>,
    tasks: JoinSet<anyhow::Result<()>>,
}

impl Attached {
    /// Attaches everything that is there; `owner` is QEMU's own name on a bus.
    pub(super) async fn find(
        connection: &Connection,
        owner: Option<OwnedUniqueName>,
        peripherals: &Peripherals,
    ) -> anyhow::Result<Self> {
        let rule = signals_of(owner.as_ref(), OBJECT_MANAGER)?;
        let changes = MessageStream::for_match_rule(rule, connection, None).await?;
        let (connection, peripherals) = (connection.clone(), peripherals.clone());
        let (chardevs, tasks) = (BTreeMap::new(), JoinSet::new());
        let mut attached = Self { connection, owner, peripherals, changes, chardevs, tasks };
        let objects = attached
            .connection
            .call_method(Some(BUS_NAME), ROOT, Some(OBJECT_MANAGER), "GetManagedObjects", &())
            .await
            .context("asking QEMU for its objects")?;
        let objects: HashMap<OwnedObjectPath, Interfaces> = objects.body().deserialize()?;
        let mut objects: Vec<_> = objects.into_iter().collect();
        objects.sort_by(|(one, _), (two, _)| one.as_str().cmp(two.as_str()));
        if objects.iter().any(|(_, interfaces)| interfaces.contains_key(CLIPBOARD)) && !has_agent(&objects) {
            attached.add_clipboard().await.unwrap_or_else(|error| {
                tracing::warn!(error = format!("{error:#}"), "QEMU's clipboard cannot be had");
            });
        }
        for (path, interfaces) in objects {
            attached.add(path.as_str(), &interfaces).await;
        }
        Ok(attached)
    }

    /// Waits for devices that come or go, and logs those that fail. Cancel safe.
    pub(super) async fn change(&mut self) -> Message {
        loop {
            tokio::select! {
                change = self.changes.next() => match change {
                    Some(Ok(change)) => return change,
                    // The session notices that the connection is lost.
                    _ => std::future::pending().await,
                },
                Some(ended) = self.tasks.join_next() => if let Ok(Err(error)) = ended {
                    tracing::warn!(error = format!("{error:#}"), "a device of QEMU's fails");
                },
            }
        }
    }

    /// The guest opened or closed the device at this path.
    pub(super) fn set_opened(&self, path: &str, opened: bool) {
        if let Some((device, _)) = self.chardevs.get(path) {
            device.set_opened(opened);
        }
    }

    /// Takes in what [`Self::change`] answered.
    pub(super) async fn take(&mut self, message: &Message) {
        let body = message.body();
        let header = message.header();
        match header.member().map_or("", |name| name.as_str()) {
            "InterfacesAdded" => {
                if let Ok((path, interfaces)) = body.deserialize::<(ObjectPath<'_>, Interfaces)>() {
                    self.add(path.as_str(), &interfaces).await;
                }
            }
            "InterfacesRemoved" => {
                if let Ok((path, _)) = body.deserialize::<(ObjectPath<'_>, Vec<String>)>()
                    && let Some((_, task)) = self.chardevs.remove(path.as_str())
                {
                    task.abort();
                }
            }
            _ => {}
        }
    }

    /// One that cannot be attached does not keep the others away.
    async fn add(&mut self, path: &str, interfaces: &Interfaces) {
        if interfaces.contains_key(AUDIO) {
            self.add_sound(path).await.unwrap_or_else(|error| {
                tracing::warn!(path, error = format!("{error:#}"), "QEMU's sound cannot be had");
            });
        }
        if !interfaces.contains_key(CHARDEV) || self.chardevs.contains_key(path) {
            return;
        }
        match Chardev::find(&self.connection, path, &self.peripherals.devices).await {
            Ok(Some(chardev)) => {
                let device = Rc::clone(chardev.device());
                let task = self.tasks.spawn_local(chardev.run());
                self.chardevs.insert(path.to_owned(), (device, task));
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(path, error = format!("{error:#}"), "a device of QEMU's cannot be had"),
        }
    }

    /// Each direction is carried before the next is asked for: QEMU waits for answers meanwhile.
    async fn add_sound(&mut self, path: &str) -> anyhow::Result<()> {
        let speaker = Speaker::register(&self.connection, path, &self.peripherals.sound).await?;
        self.tasks.spawn_local(speaker.run());
        let microphone = Microphone::register(&self.connection, path, &self.peripherals.sound).await?;
        self.tasks.spawn_local(microphone.run());
        tracing::info!("sound");
        Ok(())
    }

    async fn add_clipboard(&mut self) -> anyhow::Result<()> {
        let clipboard = GuestSide::register(&self.connection, self.owner.clone(), &self.peripherals.clipboard).await?;
        self.tasks.spawn_local(clipboard.run());
        tracing::info!("clipboard");
        Ok(())
    }
}

/// Whether the guest's own agent is among these devices: it has the clipboard, then.
fn has_agent(objects: &[(OwnedObjectPath, Interfaces)]) -> bool {
    let names = objects.iter().filter_map(|(_, interfaces)| interfaces.get(CHARDEV)?.get("Name"));
    names.filter_map(|name| <&str>::try_from(&**name).ok()).any(|name| DeviceKind::of(name) == Some(DeviceKind::Agent))
}
