//! [`Worker`]: the thread of a device.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError};

use sumac::source::{Cookie, CursorShape, FramePool, Rect, Size, Stage};
use sumac_core::proto::cursor::{self, Shape};
use sumac_core::proto::display::SurfaceFormat;
use sumac_core::proto::shape::Rect as Area;
use sumac_core::qxl::abi::CommandType;
use sumac_core::qxl::monitors_config::MonitorsConfig;
use sumac_core::qxl::{
    Command, CommandFlags, Drawable, MemSlots, Parsed, QxlError, QxlErrorKind, SlotLayout, Surface, SurfaceCommand,
    View, parse,
};

use super::canvas::{Undrawn, rect_of};
use super::cursor::shape;
use super::gl::dmabuf;
use super::surfaces::Canvases;
use super::{Done, Order, Scanout};
use crate::interfaces::Qxl;
use crate::interfaces::sys::{CommandExt, DevSurfaceCreate, QxlRect};
use crate::memory::HostMemory;

/// Commands that are carried out before viewers see any of them.
const BATCH: usize = 256;
/// Room for what a command borrows, to begin with.
const ROOM: usize = 1 << 20;
/// More room than that is given back when it was needed.
const KEPT_ROOM: usize = 64 << 20;
/// Batches that are carried out for a caller that waits: a ring has 32 commands, and a guest that
/// goes on writing must not hold the caller for ever.
const BATCHES: usize = 16;
/// Heads that a device can have.
const HEADS: u16 = 16;
/// Bits of `client_capabilities`: SIZED_STREAM and MONITORS_CONFIG. All is drawn here, so what
/// viewers could draw themselves does not matter.
const CAPABILITIES: u8 = 1 | 2;

pub(super) struct Worker {
    qxl: Qxl,
    /// Where its orders come from.
    orders: Sender<(Order, Done)>,
    stage: Box<dyn Stage>,
    slots: MemSlots,
    canvases: Canvases,
    /// Pictures of the primary surface, while there is one.
    pool: Option<FramePool>,
    /// What changed on it since viewers were shown it.
    damage: Vec<Rect>,
    cursor: Option<CursorShape>,
    room: Vec<u8>,
    woken: Arc<AtomicBool>,
    running: bool,
    viewers: bool,
    /// What was said once to be undrawn.
    undrawn: HashSet<Undrawn>,
    /// Commands that were refused, for the log.
    refused: u64,
}

impl Worker {
    pub(super) fn new(
        qxl: Qxl,
        orders: Sender<(Order, Done)>,
        stage: Box<dyn Stage>,
        layout: SlotLayout,
        surfaces: u32,
        woken: Arc<AtomicBool>,
    ) -> Result<Self, QxlError> {
        Ok(Self {
            qxl,
            orders,
            stage,
            slots: MemSlots::new(layout)?,
            canvases: Canvases::new(surfaces),
            pool: None,
            damage: Vec::new(),
            cursor: None,
            room: vec![0; ROOM],
            woken,
            running: false,
            viewers: false,
            undrawn: HashSet::new(),
            refused: 0,
        })
    }

    /// Serves the device until it is told to quit.
    pub(super) fn run(mut self, orders: &Receiver<(Order, Done)>, running: bool) {
        self.running = running;
        let mut more = running;
        loop {
            let order = if more { orders.try_recv() } else { orders.recv().map_err(|_| TryRecvError::Disconnected) };
            match order {
                Ok((Order::Quit, _)) | Err(TryRecvError::Disconnected) => break,
                Ok((Order::GlDraw(rect), Done::Async(cookie))) => self.gl_draw(rect, cookie),
                Ok((order, done)) => {
                    let changed = self.carry_out(order);
                    self.finish(done, changed);
                }
                Err(TryRecvError::Empty) => {}
            }
            more = self.running && self.take_commands();
        }
    }

    fn finish(&self, done: Done, changed: Vec<QxlRect>) {
        match done {
            Done::Silent => {}
            // Whoever asked waits.
            Done::Sync(tell) => drop(tell.send(changed)),
            Done::Async(cookie) => self.qxl.async_complete(cookie),
        }
    }

    /// Carries out some commands, shows what came of them, and answers whether there are more.
    fn take_commands(&mut self) -> bool {
        self.woken.store(false, Ordering::Release);
        let mut left = BATCH;
        while left > 0 {
            let Some(command) = self.qxl.command() else { break };
            self.command(&command_of(&command));
            left -= 1;
        }
        while left > 0 {
            let Some(command) = self.qxl.cursor_command() else { break };
            self.command(&command_of(&command));
            left -= 1;
        }
        self.publish();
        // Whoever has none left is asked to tell of the next, unless it came meanwhile.
        left == 0 || !self.qxl.ask_for_commands() || !self.qxl.ask_for_cursor_commands()
    }

    /// All that is in the rings, as an application has it that waits.
    fn drain(&mut self) {
        for _ in 0..BATCHES {
            if !self.running || !self.take_commands() {
                return;
            }
        }
    }

    fn carry_out(&mut self, order: Order) -> Vec<QxlRect> {
        match order {
            Order::Wakeup | Order::Quit | Order::ResetImageCache | Order::GlDraw(_) => {}
            Order::Run(true) => self.running = true,
            Order::Run(false) => {
                // What is saved of a machine that stands still is the guest's memory.
                self.drain();
                self.canvases.write_all_back();
                self.running = false;
            }
            Order::Oom => {
                self.drain();
                self.qxl.flush_resources();
            }
            Order::AddSlot(group, number, slot) => note("memory slot", self.slots.add(group, number, slot)),
            Order::RemoveSlot(group, number) => note("memory slot", self.slots.remove(group, number)),
            Order::ResetSlots => self.slots.reset(),
            Order::CreatePrimary(id, create) => note("primary surface", self.create_primary(id, &create)),
            Order::DestroyPrimary(id) | Order::DestroySurface(id) => {
                self.drain();
                self.destroy(id);
            }
            Order::DestroySurfaces => {
                self.drain();
                self.canvases.clear();
                self.pool = None;
            }
            Order::UpdateArea(id, area) => return self.update_area(id, area),
            Order::ResetCursor | Order::DriverUnload => self.hide_cursor(),
            Order::LoadVm(commands) => commands.iter().for_each(|command| self.command(command)),
            Order::FlushSurfaces => {
                self.drain();
                self.canvases.write_all_back();
            }
            Order::MonitorsConfig(address, group) => {
                let memory = HostMemory::of_slots();
                let view = View::new(&memory, &self.slots, group);
                match MonitorsConfig::copy(view, address, HEADS) {
                    Ok(config) => tracing::debug!(heads = config.heads().len(), "monitors"),
                    Err(error) => tracing::warn!(%error, "a guest's monitors are not in order"),
                }
            }
            Order::Viewers(count) => self.set_viewers(count),
            Order::Scanout(scanout) => self.scanout(scanout),
        }
        Vec::new()
    }

    fn create_primary(&mut self, id: u32, create: &DevSurfaceCreate) -> Result<(), QxlError> {
        let format = SurfaceFormat(create.format);
        let surface = Surface::new(format, create.width, create.height, create.stride)?;
        if self.canvases.known().get(id).is_ok() {
            self.destroy(id);
        }
        let memory = HostMemory::of_slots();
        let view = View::new(&memory, &self.slots, create.group_id);
        self.canvases.create(view, id, surface, create.mem, create.flags & 1 != 0)?;
        if id == 0 {
            let size = Size { width: surface.width, height: surface.height };
            self.pool = Some(FramePool::new(size));
            self.damage = vec![size.bounds()];
            self.publish();
        }
        Ok(())
    }

    fn destroy(&mut self, id: u32) {
        note("surface", self.canvases.destroy(id).map(drop));
        if id == 0 {
            // Viewers keep the last picture until there is another.
            self.pool = None;
            self.damage.clear();
        }
    }

    fn update_area(&mut self, id: u32, area: QxlRect) -> Vec<QxlRect> {
        self.drain();
        let part = Area::new(area.top, area.left, area.bottom, area.right);
        if let Err(error) = self.canvases.known().check_area(id, part) {
            tracing::warn!(%error, surface = id, "an area to update is not in order");
            return Vec::new();
        }
        let Some(rect) = rect_of(part) else { return Vec::new() };
        self.canvases.write_back(id, rect);
        let mut changed = vec![area];
        self.qxl.update_area_complete(id, &mut changed);
        changed
    }

    fn command(&mut self, command: &Command) {
        let parsed = loop {
            let memory = HostMemory::of_slots();
            // The room is given up while the result borrows it.
            let mut room = std::mem::take(&mut self.room);
            let result = match parse(&memory, &self.slots, self.canvases.known(), command, &mut room) {
                Ok(Parsed::Draw(drawable)) => {
                    self.draw(&drawable);
                    Ok(())
                }
                Ok(Parsed::Cursor(message)) => {
                    self.cursor(&message);
                    Ok(())
                }
                Ok(Parsed::Surface(surface)) => self.surface(surface, command.group),
                Ok(Parsed::Update { surface_id, area, update_id }) => {
                    if let Some(rect) = rect_of(area) {
                        self.canvases.write_back(surface_id, rect);
                    }
                    self.qxl.notify_update(update_id);
                    Ok(())
                }
                Ok(Parsed::Message(text)) => {
                    tracing::info!(text, "the guest's driver says");
                    Ok(())
                }
                Ok(Parsed::Nop) => Ok(()),
                Err(error) => Err(error),
            };
            self.room = room;
            match result {
                Err(QxlError { kind: QxlErrorKind::NoRoom { needed, left }, .. }) => {
                    let more = needed.saturating_sub(left).max(self.room.len());
                    self.room.resize(self.room.len() + more, 0);
                }
                other => break other,
            }
        };
        if self.room.len() > KEPT_ROOM {
            self.room = vec![0; ROOM];
        }
        if let Err(error) = parsed {
            self.refused += 1;
            if self.refused.is_power_of_two() {
                tracing::warn!(%error, refused = self.refused, "a command of the guest's is not in order");
            }
        }
        // The resource begins with what its release needs.
        if let Ok(address) = self.slots.locate(command.group, command.data, 8) {
            self.qxl.release(address, command.group);
        }
    }

    fn draw(&mut self, drawable: &Drawable<'_>) {
        let Some(id) = surface_of(drawable) else { return };
        match self.canvases.draw(id, &drawable.message, drawable.self_bitmap) {
            Ok(damage) if id == 0 => self.damage.extend(damage),
            Ok(_) => {}
            Err(undrawn) => {
                if self.undrawn.insert(undrawn) {
                    tracing::warn!(?undrawn, "drawings of this kind are not built yet, and left out");
                }
            }
        }
    }

    fn surface(&mut self, command: SurfaceCommand, group: u32) -> Result<(), QxlError> {
        let memory = HostMemory::of_slots();
        match command {
            SurfaceCommand::Create { id, surface, data, keep_data } => {
                self.canvases.create(View::new(&memory, &self.slots, group), id, surface, data, keep_data)
            }
            SurfaceCommand::Destroy { id } => self.canvases.destroy(id).map(drop),
        }
    }

    fn cursor(&mut self, message: &cursor::ServerMessage<'_>) {
        match message {
            cursor::ServerMessage::Set(set) => {
                if let Shape::Here(header, data) = &set.cursor.shape {
                    self.cursor = shape(header, data.bytes());
                }
                self.stage.pointer(set.position.x().into(), set.position.y().into());
                self.stage.cursor(self.cursor.clone().filter(|_| set.visible != 0));
            }
            cursor::ServerMessage::Move(moved) => {
                self.stage.pointer(moved.position.x().into(), moved.position.y().into());
            }
            cursor::ServerMessage::Hide(_) => self.stage.cursor(None),
            _ => {}
        }
    }

    fn hide_cursor(&mut self) {
        self.cursor = None;
        self.stage.cursor(None);
    }

    /// Shows viewers what changed on the primary surface.
    fn publish(&mut self) {
        let (Some(pool), Some(canvas)) = (&mut self.pool, self.canvases.canvas(0)) else { return };
        if self.damage.is_empty() || pool.size() != canvas.size() {
            return;
        }
        let damage = std::mem::take(&mut self.damage);
        let stride = canvas.size().width as usize * 4;
        let frame = pool.publish(&damage, |pixels| {
            for rect in &damage {
                for y in rect.y..rect.bottom() {
                    let start = y as usize * stride + rect.x as usize * 4;
                    let row = pixels.get_mut(start..start + rect.width as usize * 4).unwrap_or_default();
                    for (to, from) in row.chunks_exact_mut(4).zip(canvas.row(y, rect.x..rect.right())) {
                        to.copy_from_slice(&from.to_le_bytes());
                    }
                }
            }
        });
        self.stage.publish(frame, &damage);
    }

    fn set_viewers(&mut self, count: usize) {
        let viewers = count > 0;
        if self.viewers != viewers {
            self.viewers = viewers;
            self.qxl.set_client_capabilities(viewers, if viewers { CAPABILITIES } else { 0 });
        }
    }

    fn scanout(&mut self, scanout: Option<Scanout>) {
        match scanout.map(dmabuf).transpose() {
            Ok(scanout) => self.stage.scanout(scanout),
            Err(error) => tracing::warn!(error = format!("{error:#}"), "a scanout that cannot be shown"),
        }
    }

    /// Tells viewers of a draw; its cookie goes back when the last of them is done.
    fn gl_draw(&mut self, rect: Rect, cookie: u64) {
        let orders = self.orders.clone();
        // Back to this thread, from which the device expects it; a worker that ended has no device.
        let done = move || drop(orders.send((Order::Wakeup, Done::Async(cookie))));
        self.stage.gl_draw(rect, Cookie::new(done));
    }
}

fn command_of(command: &CommandExt) -> Command {
    Command {
        data: command.data,
        kind: CommandType(command.kind),
        group: command.group_id,
        flags: CommandFlags::from_bits_retain(command.flags),
    }
}

/// The surface that a drawing changes.
fn surface_of(drawable: &Drawable<'_>) -> Option<u32> {
    use sumac_core::proto::display::ServerMessage as M;
    let base = match &drawable.message {
        M::CopyBits(d) => &d.base,
        M::DrawFill(d) => &d.base,
        M::DrawOpaque(d) => &d.base,
        M::DrawCopy(d) => &d.base,
        M::DrawBlend(d) => &d.base,
        M::DrawBlackness(d) => &d.base,
        M::DrawWhiteness(d) => &d.base,
        M::DrawInvers(d) => &d.base,
        M::DrawRop3(d) => &d.base,
        M::DrawStroke(d) => &d.base,
        M::DrawText(d) => &d.base,
        M::DrawTransparent(d) => &d.base,
        M::DrawAlphaBlend(d) => &d.base,
        M::DrawComposite(d) => &d.base,
        _ => return None,
    };
    Some(base.surface_id)
}

fn note(what: &str, result: Result<(), QxlError>) {
    if let Err(error) = result {
        tracing::warn!(%error, what, "the application asks for what cannot be");
    }
}
