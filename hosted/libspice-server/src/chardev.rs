//! [`CharDev`]: a character device of the application's: the agent, USB redirection, a smart card
//! reader, ports.

use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use sumac::devices::{Device, DeviceKind, DeviceState, Devices};
use tokio::runtime;
use tokio::sync::Notify;

use crate::interfaces::{CharDevice, Instance};
use crate::post::{Job, Post};
use crate::server::lock;

/// Bytes that are carried at once.
const PIECE: usize = 16 * 1024;
/// Pieces that are carried before the main loop gets to do something else.
const PIECES: usize = 64;
/// How long a guest that takes nothing is left alone.
const PAUSE: Duration = Duration::from_millis(10);

/// SPICE_PORT_EVENT.
const OPENED: u8 = 0;
const CLOSED: u8 = 1;
const BREAK: u8 = 2;

/// A device between the application and the server. Only the main loop calls the application.
pub(crate) struct CharDev {
    guest: CharDevice,
    device: Arc<Device>,
    carried: Mutex<Carried>,
    /// Something waits for a guest that takes nothing.
    stuck: Arc<Notify>,
    ended: Arc<Notify>,
    watcher: Mutex<Option<JoinHandle<()>>>,
    /// Whether the guest's end is always open.
    always: bool,
}

/// What was taken from one end and not by the other, and what was told.
#[derive(Default)]
struct Carried {
    to_guest: Vec<u8>,
    to_viewer: Vec<u8>,
    told: DeviceState,
}

impl CharDev {
    /// A device that viewers see.
    pub(crate) fn open(
        guest: CharDevice,
        instance: Instance,
        devices: &Devices,
        post: Arc<Post>,
    ) -> anyhow::Result<Self> {
        let (subtype, name) = (guest.subtype(), guest.port_name());
        let name = name.unwrap_or_else(|| subtype.clone());
        let kind = match subtype.as_str() {
            "vdagent" => DeviceKind::Agent,
            "smartcard" => DeviceKind::Smartcard,
            "usbredir" => DeviceKind::Usbredir,
            "port" if name == "org.spice-space.webdav.0" => DeviceKind::Webdav,
            "port" => DeviceKind::Port,
            other => anyhow::bail!("a character device of the unknown subtype {other}"),
        };
        let device = Arc::new(devices.open(kind, &name));
        // Ports say it themselves; the others are added when the guest opens them.
        let always = subtype != "port";
        device.set_opened(always);
        let (stuck, ended) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let watch = {
            let (device, stuck, ended) = (Arc::clone(&device), Arc::clone(&stuck), Arc::clone(&ended));
            move || watch(&device, &stuck, &ended, instance, &post)
        };
        let builder = std::thread::Builder::new().name("sumac-chardev".into());
        let watcher = sumac::with_signals_blocked(|| builder.spawn(watch)).context("a thread for a device")?;
        if kind == DeviceKind::Agent {
            guest.set_connected(true);
        }
        let watcher = Mutex::new(Some(watcher));
        Ok(Self { guest, device, carried: Mutex::default(), stuck, ended, watcher, always })
    }

    /// Carries what there is, both ways; on the main loop.
    pub(crate) fn serve(&self) {
        // The application may come back here while it is called, and has nothing to gain by it.
        let Ok(mut carried) = self.carried.try_lock() else { return };
        self.tell_state(&mut carried);
        self.to_guest(&mut carried);
        self.to_viewer(&mut carried);
    }

    /// The guest opened or closed its end of a port, or sent a break.
    pub(crate) fn on_event(&self, event: u8) {
        match event {
            OPENED => self.device.set_opened(true),
            CLOSED => self.device.set_opened(false),
            BREAK => self.device.send_break(),
            other => tracing::warn!(event = other, "an unknown event of a port"),
        }
    }

    /// Nothing of it is called when this returns.
    pub(crate) fn end(&self) {
        self.ended.notify_one();
        let watcher = lock(&self.watcher).take();
        if let Some(watcher) = watcher {
            // One that broke down has ended, too.
            let _ = watcher.join();
        }
        self.device.set_opened(false);
    }

    fn tell_state(&self, carried: &mut Carried) {
        let now = self.device.state();
        let told = std::mem::replace(&mut carried.told, now);
        if now.viewer != told.viewer {
            carried.to_guest.clear();
            carried.to_viewer.clear();
        }
        let agent_or_same = now.viewer.is_some() == told.viewer.is_some();
        if !agent_or_same {
            self.guest.set_connected(now.viewer.is_some());
        }
        if !self.always {
            if now.opened != told.opened {
                self.guest.event(if now.opened { OPENED } else { CLOSED });
            }
            (told.breaks..now.breaks).for_each(|_| self.guest.event(BREAK));
        }
    }

    fn to_guest(&self, carried: &mut Carried) {
        let mut room = [0; PIECE];
        for _ in 0..PIECES {
            if carried.to_guest.is_empty() {
                let len = self.device.read(&mut room);
                carried.to_guest.extend_from_slice(room.get(..len).unwrap_or_default());
            }
            if carried.to_guest.is_empty() {
                return;
            }
            let taken = self.guest.write(&carried.to_guest);
            carried.to_guest.drain(..taken);
            if taken == 0 {
                break;
            }
        }
        self.stuck.notify_one();
    }

    fn to_viewer(&self, carried: &mut Carried) {
        let mut room = [0; PIECE];
        for _ in 0..PIECES {
            if carried.to_viewer.is_empty() {
                let len = self.guest.read(&mut room);
                carried.to_viewer.extend_from_slice(room.get(..len).unwrap_or_default());
            }
            if carried.to_viewer.is_empty() {
                return;
            }
            let taken = self.device.write(&carried.to_viewer);
            carried.to_viewer.drain(..taken);
            // A viewer that takes no more tells when it does.
            if taken == 0 {
                return;
            }
        }
        self.stuck.notify_one();
    }
}

/// Has the main loop look whenever something changed, until the device ends.
fn watch(device: &Device, stuck: &Notify, ended: &Notify, instance: Instance, post: &Post) {
    let Ok(runtime) = runtime::Builder::new_current_thread().enable_time().build() else {
        tracing::error!("no runtime for a device");
        return;
    };
    runtime.block_on(async {
        loop {
            tokio::select! {
                () = device.changed() => {}
                () = stuck.notified() => tokio::time::sleep(PAUSE).await,
                () = ended.notified() => return,
            }
            post.send(Job::Device(instance));
        }
    });
}
