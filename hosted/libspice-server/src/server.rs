//! [`Server`]: what `spice_server_new` makes, and which of the application's instances it has.

use std::collections::{BTreeMap, HashMap};
use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use anyhow::Context;
use sumac::config::{Name, Uuid};
use sumac::source::{Host, Inbox, Leds, Source, SourceStats, ToSource};
use sumac::{ChannelNews, Embedded};

use crate::channels::Channels;
use crate::chardev::CharDev;
use crate::inputs::Inputs;
use crate::interfaces::sys::{Watch, on_main_loop};
use crate::interfaces::{CharDevice, Core, Instance, Keyboard, Mouse, Qxl, Tablet};
use crate::post::{Job, Post};
use crate::qxl::{Device, Done, Order};
use crate::settings::Settings;
use crate::sound::{Playback, Record};

/// All servers of the process, by the number that the application has for a pointer.
static SERVERS: LazyLock<Mutex<BTreeMap<usize, Arc<Server>>>> = LazyLock::new(Mutex::default);
/// All instances that were added, and what they became.
static INSTANCES: LazyLock<Mutex<HashMap<Instance, Entry>>> = LazyLock::new(Mutex::default);
static NEXT: AtomicUsize = AtomicUsize::new(1);

/// A server, running or not.
pub(crate) struct Server {
    pub(crate) settings: Mutex<Settings>,
    /// Whether the virtual machine runs; so it does until the application says otherwise.
    vm_runs: AtomicBool,
    running: Mutex<Option<Running>>,
    inputs: Mutex<Inputs>,
    channels: Mutex<Channels>,
}

/// What there is from `spice_server_init` on.
struct Running {
    core: Core,
    host: Arc<dyn Host>,
    post: Arc<Post>,
    embedded: Embedded,
    _watch: Watch,
}

/// An instance that was added.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) server: Arc<Server>,
    pub(crate) added: Added,
}

/// What an instance became.
#[derive(Clone)]
pub(crate) enum Added {
    Qxl(Arc<Device>),
    Keyboard,
    Mouse,
    Tablet,
    Playback(Arc<Playback>),
    Record(Arc<Record>),
    CharDevice(Arc<CharDev>),
    Migration,
}

/// A lock whose holders change one thing after another, so that a panic leaves something whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A new server; its number.
pub(crate) fn new() -> usize {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let server = Server {
        settings: Mutex::default(),
        vm_runs: AtomicBool::new(true),
        running: Mutex::new(None),
        inputs: Mutex::default(),
        channels: Mutex::default(),
    };
    lock(&SERVERS).insert(number, Arc::new(server));
    number
}

/// The server of this number.
pub(crate) fn find(number: usize) -> Option<Arc<Server>> {
    lock(&SERVERS).get(&number).cloned()
}

/// Ends a server, and takes its instances away.
pub(crate) fn destroy(number: usize) {
    let Some(server) = lock(&SERVERS).remove(&number) else { return };
    let instances: Vec<Instance> = {
        let all = lock(&INSTANCES);
        all.iter().filter(|(_, entry)| Arc::ptr_eq(&entry.server, &server)).map(|(instance, _)| *instance).collect()
    };
    for instance in instances {
        remove(instance);
    }
    // Dropped outside of the lock: the server's end waits for its source.
    let running = lock(&server.running).take();
    drop(running);
}

/// What an instance became.
pub(crate) fn entry(instance: Instance) -> Option<Entry> {
    lock(&INSTANCES).get(&instance).cloned()
}

/// The QXL device of an instance.
pub(crate) fn device(instance: Instance) -> Option<Arc<Device>> {
    match entry(instance)?.added {
        Added::Qxl(device) => Some(device),
        _ => None,
    }
}

/// Takes an instance away; nothing of it is called when this returns. `None` when it was not added.
pub(crate) fn remove(instance: Instance) -> Option<()> {
    let Entry { server, added } = lock(&INSTANCES).remove(&instance)?;
    match added {
        Added::Qxl(device) => device.end(),
        Added::Keyboard => lock(&server.inputs).keyboard = None,
        Added::Mouse => lock(&server.inputs).mouse = None,
        Added::Tablet => {
            lock(&server.inputs).tablet = None;
            server.tell_mouse_mode();
        }
        Added::CharDevice(device) => device.end(),
        Added::Playback(playback) => playback.stop(),
        Added::Record(record) => record.stop(),
        Added::Migration => {}
    }
    Some(())
}

/// Serves the jobs that wait, on the application's main loop.
pub(crate) fn serve_main_loop(number: usize) {
    let Some(server) = find(number) else { return };
    let Some((core, post)) = server.with(|running| (running.core, Arc::clone(&running.post))) else { return };
    for job in post.take() {
        match job {
            Job::Source(ToSource::Input(event)) => {
                let call = lock(&server.inputs).on_event(&event);
                if let Some(call) = call {
                    call.make();
                }
            }
            Job::Source(ToSource::Resize { display, monitor }) => {
                let config = lock(&server.inputs).on_resize(display, monitor);
                for device in server.devices() {
                    device.qxl().client_monitors_config(config);
                }
            }
            Job::Source(ToSource::Viewers(count)) => {
                server.devices().iter().for_each(|device| device.order(Order::Viewers(count), Done::Silent));
            }
            Job::Source(_) => {}
            Job::Channel(news) => {
                let told = lock(&server.channels).on_news(news);
                if let Some(mut told) = told {
                    told.tell(&core);
                    lock(&server.channels).keep(told);
                }
            }
            Job::Device(instance) => {
                if let Some(Entry { added: Added::CharDevice(device), .. }) = entry(instance) {
                    device.serve();
                }
            }
        }
    }
}

impl Server {
    /// Starts the server with everything that was said of it.
    pub(crate) fn init(&self, number: usize, core: Core) -> anyhow::Result<()> {
        let mut running = lock(&self.running);
        anyhow::ensure!(running.is_none(), "spice_server_init was called before");
        let post = Arc::new(Post::new().context("an eventfd")?);
        let (tell, told) = sync_channel(1);
        let source = Box::new(Bridge { tell, post: Arc::clone(&post) });
        let observer_post = Arc::clone(&post);
        let observer = Box::new(move |news: ChannelNews| observer_post.send(Job::Channel(news)));
        let (config, tickets, identity) = {
            let settings = lock(&self.settings);
            (settings.config.clone(), settings.tickets.clone(), settings.identity.clone())
        };
        let embedded = Embedded::start(config, tickets, source, observer)?;
        let host = told.recv().context("the source did not start")?;
        host.identity(identity);
        host.mouse(false);
        let watch = core.watch(post.fd(), on_main_loop, number).context("the application has no watches")?;
        *running = Some(Running { core, host, post, embedded, _watch: watch });
        Ok(())
    }

    /// Does something with what there is once it runs.
    fn with<T>(&self, look: impl FnOnce(&Running) -> T) -> Option<T> {
        lock(&self.running).as_ref().map(look)
    }

    /// The server that runs inside.
    pub(crate) fn with_embedded<T>(&self, look: impl FnOnce(&Embedded) -> T) -> Option<T> {
        self.with(|running| look(&running.embedded))
    }

    /// The server as its source sees it.
    pub(crate) fn host(&self) -> Option<Arc<dyn Host>> {
        self.with(|running| Arc::clone(&running.host))
    }

    /// Adds an instance of any interface.
    pub(crate) fn add(self: &Arc<Self>, instance: Instance) -> anyhow::Result<()> {
        let (kind, major, minor) = instance.kind().context("an instance without an interface")?;
        let host = self.host().context("spice_server_init was not called")?;
        anyhow::ensure!(entry(instance).is_none(), "the instance was added before");
        let version = |known: u32| {
            anyhow::ensure!(major == known, "interface {kind} {major}.{minor} is not known");
            Ok(())
        };
        let missing = || anyhow::anyhow!("interface {kind} without functions");
        let added = match kind.as_str() {
            "qxl" => {
                anyhow::ensure!((major, minor) >= (3, 3) && major == 3, "interface qxl {major}.{minor} is not known");
                self.add_qxl(Qxl::new(instance).with_context(missing)?, &host)?
            }
            "keyboard" => {
                version(1)?;
                lock(&self.inputs).keyboard = Some(Keyboard::new(instance).with_context(missing)?);
                Added::Keyboard
            }
            "mouse" => {
                version(1)?;
                lock(&self.inputs).mouse = Some(Mouse::new(instance).with_context(missing)?);
                Added::Mouse
            }
            "tablet" => {
                version(1)?;
                let tablet = Tablet::new(instance).with_context(missing)?;
                let size = {
                    let mut inputs = lock(&self.inputs);
                    inputs.tablet = Some(tablet);
                    inputs.size
                };
                if let Some(size) = size {
                    tablet.set_logical_size(size);
                }
                Added::Tablet
            }
            "playback" => {
                version(1)?;
                Added::Playback(Arc::new(Playback::new(host.peripherals().sound.playback().clone())))
            }
            "record" => {
                version(2)?;
                Added::Record(Arc::new(Record::new(host.peripherals().sound.record().clone())))
            }
            "char_device" => {
                version(1)?;
                let device = CharDevice::new(instance).with_context(missing)?;
                let post = self.with(|running| Arc::clone(&running.post)).context("the server ended")?;
                Added::CharDevice(Arc::new(CharDev::open(device, instance, &host.peripherals().devices, post)?))
            }
            "migration" => {
                version(1)?;
                Added::Migration
            }
            other => anyhow::bail!("interface {other} is not known"),
        };
        let tablet = matches!(added, Added::Tablet);
        lock(&INSTANCES).insert(instance, Entry { server: Arc::clone(self), added });
        if tablet {
            self.tell_mouse_mode();
        }
        Ok(())
    }

    fn add_qxl(&self, qxl: Qxl, host: &Arc<dyn Host>) -> anyhow::Result<Added> {
        let number = u8::try_from(qxl.id()).context("the number of a QXL device")?;
        let device = Device::start(qxl, host, number, self.vm_runs.load(Ordering::Acquire))?;
        qxl.attached_worker();
        qxl.set_compression_level(0);
        Ok(Added::Qxl(Arc::new(device)))
    }

    /// The QXL devices.
    pub(crate) fn devices(&self) -> Vec<Arc<Device>> {
        let all = lock(&INSTANCES);
        let own = all.values().filter(|entry| std::ptr::eq(Arc::as_ptr(&entry.server), self));
        own.filter_map(|entry| match &entry.added {
            Added::Qxl(device) => Some(Arc::clone(device)),
            _ => None,
        })
        .collect()
    }

    /// The virtual machine runs from now on, or stands still.
    pub(crate) fn set_vm_runs(&self, runs: bool) {
        self.vm_runs.store(runs, Ordering::Release);
        for device in self.devices() {
            device.call(Order::Run(runs));
        }
    }

    /// The primary surface has this size; a tablet reckons in its pixels.
    pub(crate) fn set_size(&self, size: sumac::source::Size) {
        let tablet = {
            let mut inputs = lock(&self.inputs);
            let changed = inputs.size.replace(size) != Some(size);
            inputs.tablet.filter(|_| changed)
        };
        if let Some(tablet) = tablet {
            tablet.set_logical_size(size);
        }
    }

    /// Viewers point where they like when there is a tablet.
    fn tell_mouse_mode(&self) {
        let absolute = self.has_tablet();
        if let Some(host) = self.host() {
            host.mouse(absolute);
        }
    }

    /// Whether positions are taken.
    pub(crate) fn has_tablet(&self) -> bool {
        lock(&self.inputs).tablet.is_some()
    }

    /// The keyboard's lights: 1 scroll, 2 num, 4 caps.
    pub(crate) fn set_leds(&self, leds: c_int) {
        if let Some(host) = self.host() {
            host.leds(Leds { scroll: leds & 1 != 0, num: leds & 2 != 0, caps: leds & 4 != 0 });
        }
    }

    /// How many viewers there are.
    pub(crate) fn viewers(&self) -> usize {
        lock(&self.channels).count_main()
    }

    pub(crate) fn set_name(&self, name: Option<Name>) {
        self.identify(|settings| settings.identity.name = name);
    }

    pub(crate) fn set_uuid(&self, uuid: Uuid) {
        self.identify(|settings| settings.identity.uuid = Some(uuid));
    }

    fn identify(&self, change: impl FnOnce(&mut Settings)) {
        let identity = {
            let mut settings = lock(&self.settings);
            change(&mut settings);
            settings.identity.clone()
        };
        if let Some(host) = self.host() {
            host.identity(identity);
        }
    }
}

/// The server's source: it hands over the host, and carries what viewers do to the main loop.
struct Bridge {
    tell: SyncSender<Arc<dyn Host>>,
    post: Arc<Post>,
}

impl Source for Bridge {
    fn stats(&self) -> Arc<SourceStats> {
        Arc::default()
    }

    fn run(self: Box<Self>, host: Arc<dyn Host>, inbox: Inbox) -> anyhow::Result<()> {
        self.tell.send(host).context("the library ended while its server started")?;
        while let Ok(message) = inbox.recv() {
            if message == ToSource::Quit {
                break;
            }
            self.post.send(Job::Source(message));
        }
        Ok(())
    }
}
