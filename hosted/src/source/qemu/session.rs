//! [`Session`]: one QEMU, from its consoles' registration until it is gone.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures_util::StreamExt;
use tokio::task::JoinSet;
use tokio::time::Instant;
use zbus::proxy::CacheProperties;
use zbus::{Connection, Message, MessageStream, Variant};

use super::bus::{Link, signals_of};
use super::devices::Attached;
use super::display::Display;
use super::input::Messages;
use super::interfaces::{ConsoleProxy, KeyboardProxy, MouseProxy, VmProxy, console_path};
use super::keyboard::{Keyboard, leds};
use super::listener::Listener;
use super::mouse::Mouse;
use crate::source::{Host, Identity, InputEvent, Monitor, Size, SourceStats, ToSource};

/// How long a size that a console tells must stand before it counts by itself: the picture of a
/// newer one may have come already.
const SETTLED: Duration = Duration::from_millis(40);

/// What outlives a QEMU: the displays, so that viewers keep the last picture.
pub(super) struct Screens {
    pub(super) host: Arc<dyn Host>,
    pub(super) stats: Arc<SourceStats>,
    /// By the number that viewers know.
    pub(super) displays: BTreeMap<u8, Rc<RefCell<Display>>>,
}

/// Why a session is over.
pub(super) enum End {
    /// The server wants no more.
    Quit,
    /// QEMU is gone.
    Gone,
}

/// One QEMU.
pub(super) struct Session {
    connection: Connection,
    host: Arc<dyn Host>,
    consoles: Vec<Console>,
    keyboard: Keyboard<'static>,
    /// Which console has the pointer.
    focus: usize,
    /// When the sizes that consoles told are to be looked at.
    settled: Option<Instant>,
    changes: MessageStream,
    attached: Attached,
    /// Listeners and the monitor; the first that ends ends the session.
    tasks: JoinSet<anyhow::Result<()>>,
}

/// A console that is shown.
struct Console {
    /// The number of its display.
    number: u8,
    path: String,
    proxy: ConsoleProxy<'static>,
    mouse: Mouse<'static>,
    display: Rc<RefCell<Display>>,
    /// The size that QEMU told last, apart from its pictures.
    told: Option<Size>,
}

impl Screens {
    /// The display of this number, which is made if there is none.
    pub(super) fn display(&mut self, number: u8, text: &str) -> anyhow::Result<Rc<RefCell<Display>>> {
        if let Some(display) = self.displays.get(&number) {
            return Ok(Rc::clone(display));
        }
        let stage = self.host.display(number).with_context(|| format!("the server has a display {number} already"))?;
        let display = Rc::new(RefCell::new(Display::new(stage, Arc::clone(&self.stats), text)));
        self.displays.insert(number, Rc::clone(&display));
        Ok(display)
    }

    /// Writes a line over the lower edge of every display.
    pub(super) fn notice(&self, text: &str) {
        self.displays.values().for_each(|display| display.borrow_mut().notice(text));
    }
}

impl Session {
    /// Shows the consoles of this QEMU: these, or all graphical ones.
    pub(super) async fn start(link: Link, wanted: &[u32], screens: &mut Screens) -> anyhow::Result<Self> {
        let Link { connection, owner, monitor } = link;
        let rule = signals_of(owner.as_ref(), "org.freedesktop.DBus.Properties")?;
        let changes = MessageStream::for_match_rule(rule, &connection, None).await?;
        let vm = VmProxy::builder(&connection).cache_properties(CacheProperties::No).build().await?;
        screens.host.identity(identity(&vm).await?);
        let there = vm.console_ids().await.context("asking QEMU for its consoles")?;
        let mut tasks = JoinSet::new();
        if let Some(mut monitor) = monitor {
            tasks.spawn_local(async move { monitor.log_events().await });
        }
        let mut consoles = Vec::new();
        for (number, id) in chosen(&connection, &there, wanted).await? {
            let display = screens.display(number, "This console is still dark.")?;
            let console = Console::find(&connection, number, id, display).await?;
            let listener = Listener::register(&console.proxy, Rc::clone(&console.display)).await?;
            tasks.spawn_local(listener.run());
            consoles.push(console);
        }
        screens.displays.retain(|number, _| consoles.iter().any(|console| console.number == *number));
        let first = consoles.first().context("QEMU has no graphical console")?;
        let keyboard = KeyboardProxy::builder(&connection)
            .path(first.path.clone())
            .cache_properties(CacheProperties::No)
            .build()
            .await?;
        let lights = keyboard.modifiers().await?;
        let host = Arc::clone(&screens.host);
        let keyboard = Keyboard::new(keyboard, lights);
        let attached = Attached::find(&connection, owner, host.peripherals()).await?;
        host.leds(leds(lights));
        host.mouse(first.mouse.is_absolute());
        Ok(Self { connection, host, consoles, keyboard, focus: 0, settled: None, changes, attached, tasks })
    }

    /// Carries pictures one way and input the other until either side ends.
    pub(super) async fn run(mut self, inbox: &mut Messages) -> anyhow::Result<End> {
        for (&display, &monitor) in &inbox.wishes {
            self.hear(ToSource::Resize { display, monitor }).await?;
        }
        loop {
            tokio::select! {
                messages = inbox.next() => {
                    let Some(messages) = messages else {
                        self.release_all().await?;
                        return Ok(End::Quit);
                    };
                    for message in messages {
                        self.hear(message).await?;
                    }
                }
                change = self.changes.next() => match change {
                    Some(change) => self.changed(&change?),
                    None => return Ok(End::Gone),
                },
                ended = self.tasks.join_next() => {
                    // A task ends by itself or with its session.
                    ended.unwrap_or(Ok(Ok(())))??;
                    return Ok(End::Gone);
                }
                () = settle(self.settled) => {
                    self.settled = None;
                    for Console { display, told, .. } in &mut self.consoles {
                        let _: Option<()> = told.take().map(|size| display.borrow_mut().resize(size));
                    }
                }
                change = self.attached.change() => self.attached.take(&change).await,
                () = self.connection.closed() => return Ok(End::Gone),
            }
        }
    }

    /// Does what the server says. Errors mean that the connection is lost.
    async fn hear(&mut self, message: ToSource) -> anyhow::Result<()> {
        match message {
            ToSource::Input(event) => self.input(event).await?,
            ToSource::Resize { display, monitor } => {
                let Monitor { size: Size { width, height }, place: (x, y), millimetres } = monitor;
                if let Some(console) = self.consoles.iter().find(|console| console.number == display) {
                    console.proxy.set_ui_info(millimetres.0, millimetres.1, x, y, width, height).await?;
                }
            }
            // QEMU draws for nobody, too, and stops when its operator says so.
            ToSource::Viewers(_) | ToSource::Freeze(_) | ToSource::Quit => {}
        }
        Ok(())
    }

    /// Nothing stays pressed when the server ends and QEMU does not.
    async fn release_all(&mut self) -> zbus::Result<()> {
        self.keyboard.release_all().await?;
        for console in &mut self.consoles {
            console.mouse.release_all().await?;
        }
        Ok(())
    }

    async fn input(&mut self, event: InputEvent) -> zbus::Result<()> {
        match event {
            InputEvent::Key { code, extended, down } => return self.keyboard.key(code, extended, down).await,
            InputEvent::Leds(leds) => return self.keyboard.set_leds(leds).await,
            InputEvent::MoveTo { display, .. } => {
                let Some(at) = self.consoles.iter().position(|console| console.number == display) else {
                    return Ok(());
                };
                self.focus = at;
            }
            _ => {}
        }
        match self.consoles.get_mut(self.focus) {
            Some(console) => console.point(event).await,
            None => Ok(()),
        }
    }

    /// QEMU says that properties changed.
    fn changed(&mut self, message: &Message) {
        let header = message.header();
        let path = header.path().map_or("", |path| path.as_str());
        let body = message.body();
        let Ok((_, values, _)) = body.deserialize::<(&str, HashMap<&str, Variant<'_>>, Vec<&str>)>() else {
            return;
        };
        if let Some(Variant::Bool(opened)) = values.get("FEOpened") {
            self.attached.set_opened(path, *opened);
        }
        let Some(at) = self.consoles.iter().position(|console| console.path == path) else { return };
        if let Some(size) = size(&values, &self.consoles[at]) {
            let console = &mut self.consoles[at];
            let mut display = console.display.borrow_mut();
            if display.awaits(size) {
                display.resize(size);
            }
            console.told = Some(size);
            self.settled = Some(Instant::now() + SETTLED);
        }
        if let Some(Variant::Bool(absolute)) = values.get("IsAbsolute") {
            self.consoles[at].mouse.set_absolute(*absolute);
            if at == 0 {
                tracing::info!(absolute, "the guest's mouse");
                self.host.mouse(*absolute);
            }
        }
        if let Some(Variant::U32(lights)) = values.get("Modifiers")
            && at == 0
        {
            self.keyboard.told(*lights);
            self.host.leds(leds(*lights));
        }
    }
}

impl Console {
    async fn find(connection: &Connection, number: u8, id: u32, display: Rc<RefCell<Display>>) -> anyhow::Result<Self> {
        let path = console_path(id);
        let proxy =
            ConsoleProxy::builder(connection).path(path.clone()).cache_properties(CacheProperties::No).build().await?;
        let mouse =
            MouseProxy::builder(connection).path(path.clone()).cache_properties(CacheProperties::No).build().await?;
        let absolute = mouse.is_absolute().await?;
        let size = display.borrow().size();
        tracing::info!(id, display = number, label = proxy.label().await?, absolute, "console");
        Ok(Self { number, path, proxy, mouse: Mouse::new(mouse, absolute, size), display, told: None })
    }

    async fn point(&mut self, event: InputEvent) -> zbus::Result<()> {
        match event {
            InputEvent::MoveTo { x, y, .. } => {
                self.mouse.set_size(self.display.borrow().size());
                self.mouse.move_to(x, y).await
            }
            InputEvent::MoveBy { dx, dy } => {
                self.mouse.set_size(self.display.borrow().size());
                if let Some((x, y)) = self.mouse.move_by(dx, dy).await? {
                    self.display.borrow_mut().pointer(x, y);
                }
                Ok(())
            }
            InputEvent::Button { button, down } => self.mouse.button(button, down).await,
            InputEvent::Wheel(notches) => self.mouse.wheel(notches).await,
            InputEvent::Key { .. } | InputEvent::Leds(_) => Ok(()),
        }
    }
}

/// The size that a change of properties tells; a side that did not change is left out.
fn size(values: &HashMap<&str, Variant<'_>>, console: &Console) -> Option<Size> {
    let side = |name| match values.get(name) {
        Some(Variant::U32(side)) => Some(*side),
        _ => None,
    };
    let (width, height) = (side("Width"), side("Height"));
    if width.is_none() && height.is_none() {
        return None;
    }
    let before = console.told.unwrap_or_else(|| console.display.borrow().size());
    Some(Size { width: width.unwrap_or(before.width), height: height.unwrap_or(before.height) })
}

/// The displays' numbers and the consoles' ids: those that the operator named, in that order, or
/// all graphical ones by their own numbers.
async fn chosen(connection: &Connection, there: &[u32], wanted: &[u32]) -> anyhow::Result<Vec<(u8, u32)>> {
    if !wanted.is_empty() {
        let missing = wanted.iter().find(|id| !there.contains(id));
        if let Some(missing) = missing {
            anyhow::bail!("QEMU has no console {missing}; it has {there:?}");
        }
        return Ok((0..).zip(wanted.iter().copied()).collect());
    }
    let mut graphical = Vec::new();
    for &id in there {
        let proxy = ConsoleProxy::builder(connection)
            .path(console_path(id))
            .cache_properties(CacheProperties::No)
            .build()
            .await?;
        if proxy.kind().await? == "Graphic" {
            graphical.push(id);
        }
    }
    Ok((0..).zip(graphical).collect())
}

async fn identity(vm: &VmProxy<'_>) -> anyhow::Result<Identity> {
    let (name, uuid) = (vm.name().await?, vm.uuid().await?);
    // A machine without a name or a UUID has an empty one, and zeros.
    let uuid = uuid.parse().ok().filter(|uuid: &crate::config::Uuid| uuid.0 != [0; 16]);
    Ok(Identity { name: name.parse().ok(), uuid })
}

async fn settle(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
