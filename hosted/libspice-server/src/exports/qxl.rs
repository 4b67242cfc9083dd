//! Functions of QXL devices.

use std::ffi::{c_int, c_uint};

use sumac::source::{Rect, Size};
use sumac_core::qxl::abi::CommandType;
use sumac_core::qxl::{Command, CommandFlags, Slot};

use super::not_built;
use super::sys::{In, Out, Text, given};
use crate::interfaces::Instance;
use crate::interfaces::sys::{CommandExt, DevMemSlot, DevSurfaceCreate, QxlRect};
use crate::qxl::{Done, NO_MODIFIER, Order, Scanout};
use crate::server::{device, entry};

/// Planes of a dmabuf, at most.
const MOST_PLANES: usize = 4;

/// Carries an order out before it returns.
fn call(instance: Instance, order: Order) {
    if let Some(device) = device(instance) {
        device.call(order);
    }
}

/// Has an order carried out; the device gets the cookie back.
fn start(instance: Instance, order: Order, cookie: u64) {
    if let Some(device) = device(instance) {
        device.order(order, Done::Async(cookie));
    }
}

fn slot(slot: In<DevMemSlot>) -> Option<Order> {
    let s = slot.get()?;
    let (start, end) = (u64::try_from(s.virt_start).ok()?, u64::try_from(s.virt_end).ok()?);
    let slot = Slot { generation: s.generation, start, end, delta: s.addr_delta };
    Some(Order::AddSlot(s.slot_group_id, s.slot_id, slot))
}

/// The order for a primary surface, whose size the tablet is told.
fn primary(instance: Instance, id: u32, create: In<DevSurfaceCreate>) -> Option<Order> {
    let create = create.get()?;
    if let Some(entry) = entry(instance).filter(|_| id == 0) {
        entry.server.set_size(Size { width: create.width, height: create.height });
    }
    Some(Order::CreatePrimary(id, create))
}

exports! {
    "0.8.2" fn spice_qxl_wakeup(qxl: Instance) { device(qxl).map_or((), |device| device.wake()) } or ();
    "0.8.2" fn spice_qxl_oom(qxl: Instance) {
        device(qxl).map_or((), |device| device.order(Order::Oom, Done::Silent))
    } or ();
    "0.8.2" fn spice_qxl_start(qxl: Instance) { call(qxl, Order::Run(true)) } or ();
    "0.8.2" fn spice_qxl_stop(qxl: Instance) { call(qxl, Order::Run(false)) } or ();
    "0.8.2" fn spice_qxl_update_area(
        qxl: Instance, surface: u32, area: In<QxlRect>, dirty: Out<QxlRect>, most: u32, _clear: u32,
    ) {
        if let (Some(device), Some(area)) = (device(qxl), area.get()) {
            let changed = device.call(Order::UpdateArea(surface, area));
            // Those that are left empty say that there are no more.
            let room = usize::try_from(most).unwrap_or(0).min(changed.len() + 1);
            let rects: Vec<_> = changed.into_iter().chain([QxlRect::default()]).take(room).collect();
            dirty.set_all(&rects);
        }
    } or ();
    "0.8.2" fn spice_qxl_update_area_async(
        qxl: Instance, surface: u32, area: In<QxlRect>, _clear: u32, cookie: u64,
    ) {
        if let Some(area) = area.get() {
            start(qxl, Order::UpdateArea(surface, area), cookie);
        }
    } or ();
    "0.8.2" fn spice_qxl_add_memslot(qxl: Instance, memory: In<DevMemSlot>) {
        slot(memory).map_or((), |order| call(qxl, order))
    } or ();
    "0.8.2" fn spice_qxl_add_memslot_async(qxl: Instance, memory: In<DevMemSlot>, cookie: u64) {
        slot(memory).map_or((), |order| start(qxl, order, cookie))
    } or ();
    "0.8.2" fn spice_qxl_del_memslot(qxl: Instance, group: u32, number: u32) {
        call(qxl, Order::RemoveSlot(group, number))
    } or ();
    "0.8.2" fn spice_qxl_reset_memslots(qxl: Instance) { call(qxl, Order::ResetSlots) } or ();
    "0.8.2" fn spice_qxl_create_primary_surface(qxl: Instance, id: u32, surface: In<DevSurfaceCreate>) {
        primary(qxl, id, surface).map_or((), |order| call(qxl, order))
    } or ();
    "0.8.2" fn spice_qxl_create_primary_surface_async(
        qxl: Instance, id: u32, surface: In<DevSurfaceCreate>, cookie: u64,
    ) {
        primary(qxl, id, surface).map_or((), |order| start(qxl, order, cookie))
    } or ();
    "0.8.2" fn spice_qxl_destroy_primary_surface(qxl: Instance, id: u32) { call(qxl, Order::DestroyPrimary(id)) } or ();
    "0.8.2" fn spice_qxl_destroy_primary_surface_async(qxl: Instance, id: u32, cookie: u64) {
        start(qxl, Order::DestroyPrimary(id), cookie)
    } or ();
    "0.8.2" fn spice_qxl_destroy_surface_wait(qxl: Instance, id: u32) { call(qxl, Order::DestroySurface(id)) } or ();
    "0.8.2" fn spice_qxl_destroy_surface_async(qxl: Instance, id: u32, cookie: u64) {
        start(qxl, Order::DestroySurface(id), cookie)
    } or ();
    "0.8.2" fn spice_qxl_destroy_surfaces(qxl: Instance) { call(qxl, Order::DestroySurfaces) } or ();
    "0.8.2" fn spice_qxl_destroy_surfaces_async(qxl: Instance, cookie: u64) {
        start(qxl, Order::DestroySurfaces, cookie)
    } or ();
    "0.8.2" fn spice_qxl_flush_surfaces_async(qxl: Instance, cookie: u64) {
        start(qxl, Order::FlushSurfaces, cookie)
    } or ();
    "0.8.2" fn spice_qxl_reset_image_cache(qxl: Instance) { call(qxl, Order::ResetImageCache) } or ();
    "0.8.2" fn spice_qxl_reset_cursor(qxl: Instance) { call(qxl, Order::ResetCursor) } or ();
    "0.12.3" fn spice_qxl_driver_unload(qxl: Instance) { call(qxl, Order::DriverUnload) } or ();
    "0.8.2" fn spice_qxl_loadvm_commands(qxl: Instance, commands: In<CommandExt>, count: u32) {
        let commands = commands.list(usize::try_from(count).unwrap_or(0)).into_iter().map(|command| Command {
            data: command.data,
            kind: CommandType(command.kind),
            group: command.group_id,
            flags: CommandFlags::from_bits_retain(command.flags),
        });
        call(qxl, Order::LoadVm(commands.collect()))
    } or ();
    "0.10.4" fn spice_qxl_monitors_config_async(qxl: Instance, config: u64, group: c_int, cookie: u64) {
        start(qxl, Order::MonitorsConfig(config, group.cast_unsigned()), cookie)
    } or ();
    "0.12.6" fn spice_qxl_set_max_monitors(_qxl: Instance, _most: c_uint) {
        not_built("spice_qxl_set_max_monitors")
    } or ();
    "0.14.2" fn spice_qxl_set_device_info(_qxl: Instance, _address: Text, _start: u32, _count: u32) {
        not_built("spice_qxl_set_device_info")
    } or ();
    "0.13.1" fn spice_qxl_gl_scanout(
        qxl: Instance, fd: c_int, width: u32, height: u32, stride: u32, format: u32, y_0_top: c_int,
    ) {
        // Without a descriptor the scanout ends.
        let scanout = given(fd).map(|fd| Scanout {
            planes: vec![(fd, 0, stride)],
            size: Size { width, height },
            fourcc: format,
            modifier: NO_MODIFIER,
            y_0_top: y_0_top != 0,
        });
        call(qxl, Order::Scanout(scanout));
    } or ();
    "0.15.3" fn spice_qxl_gl_scanout2(
        qxl: Instance, fds: In<c_int>, width: u32, height: u32, offsets: In<u32>, strides: In<u32>, planes: u32,
        format: u32, modifier: u64, y_0_top: c_int,
    ) {
        let count = usize::try_from(planes).unwrap_or(0).min(MOST_PLANES);
        let fds = fds.list(count).into_iter().filter_map(given);
        let planes: Vec<_> = fds.zip(offsets.list(count)).zip(strides.list(count)).map(|((fd, o), s)| (fd, o, s)).collect();
        let size = Size { width, height };
        let scanout = Scanout { planes, size, fourcc: format, modifier, y_0_top: y_0_top != 0 };
        call(qxl, Order::Scanout((!scanout.planes.is_empty()).then_some(scanout)));
    } or ();
    "0.13.1" fn spice_qxl_gl_draw_async(qxl: Instance, x: u32, y: u32, width: u32, height: u32, cookie: u64) {
        start(qxl, Order::GlDraw(Rect { x, y, width, height }), cookie)
    } or ();
}
