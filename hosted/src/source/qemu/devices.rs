//! [`Attached`]: what a QEMU has beside its consoles, found in its list of objects and by the signals
//! that change it.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use anyhow::Context;
use futures_util::StreamExt;
use tokio::task::{AbortHandle, JoinSet};
use zbus::message::Type;
use zbus::wire::{ObjectPath, OwnedObjectPath};
use zbus::{Connection, MatchRule, Message, MessageStream, OwnedVariant};

use super::audio;
use super::chardev::Chardev;
use super::interfaces::{AUDIO, BUS_NAME, CHARDEV};
use crate::devices::Device;
use crate::source::Peripherals;

/// The object that lists all others.
const ROOT: &str = "/org/qemu/Display1";
const OBJECT_MANAGER: &str = "org.freedesktop.DBus.ObjectManager";

/// Interfaces of an object, each with its properties.
type Interfaces = HashMap<String, HashMap<String, OwnedVariant>>;

/// Sound and character devices, each carried by tasks.
pub(super) struct Attached {
    connection: Connection,
    peripherals: Peripherals,
    changes: MessageStream,
    chardevs: BTreeMap<String, (Rc<Device>, AbortHandle)>,
    tasks: JoinSet<anyhow::Result<()>>,
}

impl Attached {
    /// Attaches everything that is there.
    pub(super) async fn find(connection: &Connection, peripherals: &Peripherals) -> anyhow::Result<Self> {
        let rule = MatchRule::builder().msg_type(Type::Signal).interface(OBJECT_MANAGER);
        let rule = if connection.is_bus() { rule.sender(BUS_NAME).build() } else { rule.build() };
        let changes = MessageStream::for_match_rule(rule?, connection, None).await?;
        let (connection, peripherals) = (connection.clone(), peripherals.clone());
        let mut attached = Self { connection, peripherals, changes, chardevs: BTreeMap::new(), tasks: JoinSet::new() };
        let objects = attached
            .connection
            .call_method(Some(BUS_NAME), ROOT, Some(OBJECT_MANAGER), "GetManagedObjects", &())
            .await
            .context("asking QEMU for its objects")?;
        let objects: HashMap<OwnedObjectPath, Interfaces> = objects.body().deserialize()?;
        let mut objects: Vec<_> = objects.into_iter().collect();
        objects.sort_by(|(one, _), (two, _)| one.as_str().cmp(two.as_str()));
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
                Some(ended) = self.tasks.join_next() => match ended {
                    Ok(Err(error)) => tracing::warn!(error = format!("{error:#}"), "a device of QEMU's fails"),
                    Ok(Ok(())) | Err(_) => {}
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
            match audio::register(&self.connection, path, &self.peripherals.sound).await {
                Ok((speaker, microphone)) => {
                    self.tasks.spawn_local(speaker.run());
                    self.tasks.spawn_local(microphone.run());
                }
                Err(error) => tracing::warn!(path, error = format!("{error:#}"), "QEMU's sound cannot be had"),
            }
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
}
