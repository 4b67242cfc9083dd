//! [`Device`]: a QXL device of the application's, and the worker that serves it.
//!
//! The worker is a thread, as the interface has it: it takes commands from the device, carries them
//! out on its canvases, and shows the primary surface on a stage of the server's. Synchronous calls
//! of the application wait for it, asynchronous ones get their cookie back from it, once.

mod canvas;
mod cursor;
mod gl;
mod picture;
mod pixel;
mod surfaces;
mod worker;

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use sumac::source::{Host, Size};
use sumac_core::qxl::{Command, Slot, SlotLayout};

use crate::interfaces::Qxl;
use crate::interfaces::sys::{DevSurfaceCreate, QxlRect};
pub(crate) use gl::NO_MODIFIER;
use worker::Worker;

/// A device.
pub(crate) struct Device {
    qxl: Qxl,
    orders: Sender<(Order, Done)>,
    /// The worker was woken and has not looked.
    woken: Arc<AtomicBool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the application wants of the worker.
pub(crate) enum Order {
    /// There are commands.
    Wakeup,
    /// The guest has no memory left for commands.
    Oom,
    /// To carry out commands, or not.
    Run(bool),
    AddSlot(u32, u32, Slot),
    RemoveSlot(u32, u32),
    ResetSlots,
    CreatePrimary(u32, DevSurfaceCreate),
    DestroyPrimary(u32),
    DestroySurface(u32),
    DestroySurfaces,
    UpdateArea(u32, QxlRect),
    ResetCursor,
    ResetImageCache,
    LoadVm(Vec<Command>),
    FlushSurfaces,
    MonitorsConfig(u64, u32),
    DriverUnload,
    /// How many viewers look at any display.
    Viewers(usize),
    Scanout(Option<Scanout>),
    GlDraw(sumac::source::Rect),
    Quit,
}

/// A scanout in one dmabuf, or in several planes.
pub(crate) struct Scanout {
    pub(crate) planes: Vec<(OwnedFd, u32, u32)>,
    pub(crate) size: Size,
    pub(crate) fourcc: u32,
    pub(crate) modifier: u64,
    /// Whether the first row in memory is the bottom one.
    pub(crate) y_0_top: bool,
}

/// What happens when an order has been carried out.
pub(crate) enum Done {
    /// Nothing.
    Silent,
    /// A caller that waits gets the areas that changed.
    Sync(SyncSender<Vec<QxlRect>>),
    /// The device gets this cookie back.
    Async(u64),
}

impl Device {
    /// Starts a worker; `running` when the virtual machine does.
    pub(crate) fn start(qxl: Qxl, host: &Arc<dyn Host>, number: u8, running: bool) -> anyhow::Result<Self> {
        let info = qxl.init_info();
        let layout = SlotLayout {
            groups: info.num_memslots_groups,
            slots: info.num_memslots,
            id_bits: info.memslot_id_bits,
            generation_bits: info.memslot_gen_bits,
        };
        let stage = host.display(number).ok_or_else(|| anyhow::anyhow!("there is a display {number} already"))?;
        let (orders, received) = channel();
        let woken = Arc::new(AtomicBool::new(false));
        let worker = Worker::new(qxl, orders.clone(), stage, layout, info.n_surfaces, Arc::clone(&woken))?;
        let builder = thread::Builder::new().name(format!("sumac-qxl-{number}"));
        let thread = sumac::with_signals_blocked(|| builder.spawn(move || worker.run(&received, running)))?;
        Ok(Self { qxl, orders, woken, thread: Mutex::new(Some(thread)) })
    }

    /// Its interface.
    pub(crate) fn qxl(&self) -> Qxl {
        self.qxl
    }

    /// Has an order carried out.
    pub(crate) fn order(&self, order: Order, done: Done) {
        // A worker that broke down carries nothing out.
        let _ = self.orders.send((order, done));
    }

    /// Has an order carried out and waits for that; the areas that changed.
    pub(crate) fn call(&self, order: Order) -> Vec<QxlRect> {
        let (tell, told) = sync_channel(1);
        self.order(order, Done::Sync(tell));
        // A worker that broke down drops the other end.
        told.recv().unwrap_or_default()
    }

    /// There are commands.
    pub(crate) fn wake(&self) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            self.order(Order::Wakeup, Done::Silent);
        }
    }

    /// Ends the worker; no function of the interface is called when this returns.
    pub(crate) fn end(&self) {
        self.order(Order::Quit, Done::Silent);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A worker that broke down has ended, too.
            let _ = thread.join();
        }
    }
}
