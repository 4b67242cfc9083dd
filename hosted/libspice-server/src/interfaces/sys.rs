//! The structures of the C interface, and calls through their function pointers.
//!
//! An instance comes from the application in `spice_server_add_interface`, and is called until
//! `spice_server_remove_interface` returns: in between the application keeps it and the table behind
//! it, and the functions may be called from the threads that the interface names (its worker for a
//! QXL device, the application's main loop for all others). Every proof below rests on that.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr;

use sumac::source::Size;

/// SpiceBaseInterface: head of all tables.
#[repr(C)]
#[derive(Clone, Copy)]
struct BaseInterface {
    kind: *const c_char,
    description: *const c_char,
    major_version: u32,
    minor_version: u32,
}

// SAFETY: the pointers are to constant texts.
unsafe impl Send for BaseInterface {}
// SAFETY: as above.
unsafe impl Sync for BaseInterface {}

/// SpiceBaseInstance: head of all instances.
#[repr(C)]
pub(crate) struct BaseInstance {
    table: *const BaseInterface,
}

/// An instance of any interface; also the key by which it is found again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub(crate) struct Instance(*mut BaseInstance);

// SAFETY: the pointer is compared, and used on the threads that the interface names.
unsafe impl Send for Instance {}
// SAFETY: as above.
unsafe impl Sync for Instance {}

impl Instance {
    /// Whether there is one.
    pub(crate) fn is_null(self) -> bool {
        self.0.is_null()
    }

    /// What interface it is of, and the version: type, major, minor.
    pub(crate) fn kind(self) -> Option<(String, u32, u32)> {
        let base = self.base()?;
        if base.kind.is_null() {
            return None;
        }
        // SAFETY: the type of an interface is a C string.
        let kind = unsafe { CStr::from_ptr(base.kind) };
        Some((kind.to_string_lossy().into_owned(), base.major_version, base.minor_version))
    }

    fn base(self) -> Option<BaseInterface> {
        let table = self.table::<BaseInterface>()?;
        // SAFETY: every table begins with these members.
        Some(unsafe { table.read() })
    }

    fn table<T>(self) -> Option<*const T> {
        // SAFETY: every instance begins with a pointer to its table, or is null, which is found.
        let instance = unsafe { self.0.as_ref() }?;
        (!instance.table.is_null()).then_some(instance.table.cast())
    }

    fn raw<T>(self) -> *mut T {
        self.0.cast()
    }
}

/// Copies the table of an instance whose version was found to have all its members.
macro_rules! tables {
    ($($(#[$m:meta])* $name:ident($table:ident, $instance:ident);)*) => {$(
        $(#[$m])*
        #[derive(Clone, Copy)]
        pub(crate) struct $name {
            instance: Instance,
            table: $table,
        }

        impl $name {
            /// `None` without a table.
            pub(crate) fn new(instance: Instance) -> Option<Self> {
                let table = instance.table::<$table>()?;
                // SAFETY: the type and version of the interface, which were checked, say that the
                // table has these members.
                Some(Self { instance, table: unsafe { table.read() } })
            }

            fn raw(&self) -> *mut $instance {
                self.instance.raw()
            }
        }
    )*};
}
tables! {
    /// A QXL device.
    Qxl(QxlInterface, QxlInstance);
    /// A keyboard.
    Keyboard(KeyboardInterface, c_void);
    /// A mouse that is told how far it moved.
    Mouse(MouseInterface, c_void);
    /// A mouse that is told where it is.
    Tablet(TabletInterface, c_void);
    /// A character device.
    CharDevice(CharDeviceInterface, CharDeviceInstance);
}

/// Calls a function of a table, if it is there.
macro_rules! call {
    ($self:ident.$name:ident($($arg:expr),*)) => {
        // SAFETY: the application's function, called with its own instance while it is added.
        $self.table.$name.map(|function| unsafe { function($self.raw() $(, $arg)*) })
    };
}

/// QXLDevInitInfo.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct InitInfo {
    pub(crate) num_memslots_groups: u32,
    pub(crate) num_memslots: u32,
    pub(crate) memslot_gen_bits: u8,
    pub(crate) memslot_id_bits: u8,
    pub(crate) qxl_ram_size: u32,
    pub(crate) internal_groupslot_id: u8,
    pub(crate) n_surfaces: u32,
}

/// QXLCommandExt.
#[repr(C, packed)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CommandExt {
    pub(crate) data: u64,
    pub(crate) kind: u32,
    padding: u32,
    pub(crate) group_id: u32,
    pub(crate) flags: u32,
}

/// QXLReleaseInfoExt.
#[repr(C)]
#[derive(Clone, Copy)]
struct ReleaseInfoExt {
    info: *mut c_void,
    group_id: u32,
}

/// QXLRect.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct QxlRect {
    pub(crate) top: i32,
    pub(crate) left: i32,
    pub(crate) bottom: i32,
    pub(crate) right: i32,
}

/// QXLDevMemSlot.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct DevMemSlot {
    pub(crate) slot_group_id: u32,
    pub(crate) slot_id: u32,
    pub(crate) generation: u32,
    pub(crate) virt_start: usize,
    pub(crate) virt_end: usize,
    pub(crate) addr_delta: u64,
    pub(crate) qxl_ram_size: u32,
}

/// QXLDevSurfaceCreate.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct DevSurfaceCreate {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) stride: i32,
    pub(crate) format: u32,
    pub(crate) position: u32,
    pub(crate) mouse_mode: u32,
    pub(crate) flags: u32,
    pub(crate) kind: u32,
    pub(crate) mem: u64,
    pub(crate) group_id: u32,
}

/// VDAgentMonitorsConfig with as many monitors as a device can have.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct MonitorsConfig {
    pub(crate) num_of_monitors: u32,
    pub(crate) flags: u32,
    pub(crate) monitors: [MonConfig; 16],
}

/// VDAgentMonConfig.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct MonConfig {
    pub(crate) height: u32,
    pub(crate) width: u32,
    pub(crate) depth: u32,
    pub(crate) x: i32,
    pub(crate) y: i32,
}

/// Bytes of `client_capabilities` in QXLRom.
const CAPABILITIES: usize = 58;

/// QXLInstance.
#[repr(C)]
pub(crate) struct QxlInstance {
    base: BaseInstance,
    id: c_int,
    state: *mut c_void,
}

/// QXLInterface 3.3.
#[repr(C)]
#[derive(Clone, Copy)]
struct QxlInterface {
    base: BaseInterface,
    attached_worker: Option<unsafe extern "C" fn(*mut QxlInstance)>,
    set_compression_level: Option<unsafe extern "C" fn(*mut QxlInstance, c_int)>,
    set_mm_time: Option<unsafe extern "C" fn(*mut QxlInstance, u32)>,
    get_init_info: Option<unsafe extern "C" fn(*mut QxlInstance, *mut InitInfo)>,
    get_command: Option<unsafe extern "C" fn(*mut QxlInstance, *mut CommandExt) -> c_int>,
    req_cmd_notification: Option<unsafe extern "C" fn(*mut QxlInstance) -> c_int>,
    release_resource: Option<unsafe extern "C" fn(*mut QxlInstance, ReleaseInfoExt)>,
    get_cursor_command: Option<unsafe extern "C" fn(*mut QxlInstance, *mut CommandExt) -> c_int>,
    req_cursor_notification: Option<unsafe extern "C" fn(*mut QxlInstance) -> c_int>,
    notify_update: Option<unsafe extern "C" fn(*mut QxlInstance, u32)>,
    flush_resources: Option<unsafe extern "C" fn(*mut QxlInstance) -> c_int>,
    async_complete: Option<unsafe extern "C" fn(*mut QxlInstance, u64)>,
    update_area_complete: Option<unsafe extern "C" fn(*mut QxlInstance, u32, *mut QxlRect, u32)>,
    set_client_capabilities: Option<unsafe extern "C" fn(*mut QxlInstance, u8, *mut u8)>,
    client_monitors_config: Option<unsafe extern "C" fn(*mut QxlInstance, *mut MonitorsConfig) -> c_int>,
}

impl Qxl {
    /// The number that the application gave its device, and its display channel.
    pub(crate) fn id(&self) -> c_int {
        // SAFETY: the instance is one of a QXL device, which has this member.
        unsafe { (*self.raw()).id }
    }

    pub(crate) fn attached_worker(&self) {
        call!(self.attached_worker());
    }

    pub(crate) fn set_compression_level(&self, level: c_int) {
        call!(self.set_compression_level(level));
    }

    pub(crate) fn init_info(&self) -> InitInfo {
        let mut info = InitInfo::default();
        call!(self.get_init_info(&raw mut info));
        info
    }

    /// The next command of the display ring, if there is one.
    pub(crate) fn command(&self) -> Option<CommandExt> {
        let mut command = CommandExt::default();
        (call!(self.get_command(&raw mut command))? != 0).then_some(command)
    }

    /// The next command of the cursor ring, if there is one.
    pub(crate) fn cursor_command(&self) -> Option<CommandExt> {
        let mut command = CommandExt::default();
        (call!(self.get_cursor_command(&raw mut command))? != 0).then_some(command)
    }

    /// Asks to be woken for the next command; `false` when there is one already.
    pub(crate) fn ask_for_commands(&self) -> bool {
        call!(self.req_cmd_notification()).is_none_or(|asked| asked != 0)
    }

    /// Asks to be woken for the next cursor command; `false` when there is one already.
    pub(crate) fn ask_for_cursor_commands(&self) -> bool {
        call!(self.req_cursor_notification()).is_none_or(|asked| asked != 0)
    }

    /// The resource at this host's address, which lies in a slot of the group, is not used any more.
    pub(crate) fn release(&self, address: u64, group_id: u32) {
        let Ok(address) = usize::try_from(address) else { return };
        let info = ptr::with_exposed_provenance_mut(address);
        call!(self.release_resource(ReleaseInfoExt { info, group_id }));
    }

    pub(crate) fn notify_update(&self, id: u32) {
        call!(self.notify_update(id));
    }

    /// Asks the device for resources that it holds back; whether there were some.
    pub(crate) fn flush_resources(&self) -> bool {
        call!(self.flush_resources()).is_some_and(|flushed| flushed != 0)
    }

    pub(crate) fn async_complete(&self, cookie: u64) {
        call!(self.async_complete(cookie));
    }

    pub(crate) fn update_area_complete(&self, surface: u32, rects: &mut [QxlRect]) {
        let count = u32::try_from(rects.len()).unwrap_or(u32::MAX);
        call!(self.update_area_complete(surface, rects.as_mut_ptr(), count));
    }

    /// Whether there are viewers, and what all of them can.
    pub(crate) fn set_client_capabilities(&self, present: bool, first: u8) {
        let mut caps = [0; CAPABILITIES];
        caps[0] = first;
        call!(self.set_client_capabilities(present.into(), caps.as_mut_ptr()));
    }

    /// Hands over what a viewer wants; whether the device does anything with that.
    pub(crate) fn client_monitors_config(&self, mut config: MonitorsConfig) -> bool {
        call!(self.client_monitors_config(&raw mut config)).is_some_and(|taken| taken != 0)
    }
}

/// SpiceKbdInterface.
#[repr(C)]
#[derive(Clone, Copy)]
struct KeyboardInterface {
    base: BaseInterface,
    push_scan_frag: Option<unsafe extern "C" fn(*mut c_void, u8)>,
    get_leds: Option<unsafe extern "C" fn(*mut c_void) -> u8>,
}

impl Keyboard {
    /// A byte of set 1.
    pub(crate) fn push_scan(&self, byte: u8) {
        call!(self.push_scan_frag(byte));
    }

    /// Its lights: 1 scroll, 2 num, 4 caps.
    pub(crate) fn leds(&self) -> u8 {
        call!(self.get_leds()).unwrap_or(0)
    }
}

/// SpiceMouseInterface.
#[repr(C)]
#[derive(Clone, Copy)]
struct MouseInterface {
    base: BaseInterface,
    motion: Option<unsafe extern "C" fn(*mut c_void, c_int, c_int, c_int, u32)>,
    buttons: Option<unsafe extern "C" fn(*mut c_void, u32)>,
}

impl Mouse {
    pub(crate) fn motion(&self, dx: i32, dy: i32, wheel: i32, buttons: u32) {
        call!(self.motion(dx, dy, wheel, buttons));
    }

    pub(crate) fn buttons(&self, buttons: u32) {
        call!(self.buttons(buttons));
    }
}

/// SpiceTabletInterface.
#[repr(C)]
#[derive(Clone, Copy)]
struct TabletInterface {
    base: BaseInterface,
    set_logical_size: Option<unsafe extern "C" fn(*mut c_void, c_int, c_int)>,
    position: Option<unsafe extern "C" fn(*mut c_void, c_int, c_int, u32)>,
    wheel: Option<unsafe extern "C" fn(*mut c_void, c_int, u32)>,
    buttons: Option<unsafe extern "C" fn(*mut c_void, u32)>,
}

impl Tablet {
    pub(crate) fn set_logical_size(&self, size: Size) {
        let side = |n: u32| c_int::try_from(n).unwrap_or(c_int::MAX);
        call!(self.set_logical_size(side(size.width), side(size.height)));
    }

    pub(crate) fn position(&self, x: u32, y: u32, buttons: u32) {
        let place = |n: u32| c_int::try_from(n).unwrap_or(c_int::MAX);
        call!(self.position(place(x), place(y), buttons));
    }

    pub(crate) fn wheel(&self, wheel: i32, buttons: u32) {
        call!(self.wheel(wheel, buttons));
    }

    pub(crate) fn buttons(&self, buttons: u32) {
        call!(self.buttons(buttons));
    }
}

/// SpiceCharDeviceInstance.
#[repr(C)]
pub(crate) struct CharDeviceInstance {
    base: BaseInstance,
    subtype: *const c_char,
    state: *mut c_void,
    portname: *const c_char,
}

/// SpiceCharDeviceInterface up to 1.1; the members of 1.2 and 1.3 are read when the version has them.
#[repr(C)]
#[derive(Clone, Copy)]
struct CharDeviceInterface {
    base: BaseInterface,
    state: Option<unsafe extern "C" fn(*mut CharDeviceInstance, c_int)>,
    write: Option<unsafe extern "C" fn(*mut CharDeviceInstance, *const u8, c_int) -> c_int>,
    read: Option<unsafe extern "C" fn(*mut CharDeviceInstance, *mut u8, c_int) -> c_int>,
}

/// SpiceCharDeviceInterface 1.2.
#[repr(C)]
#[derive(Clone, Copy)]
struct CharDeviceInterface12 {
    before: CharDeviceInterface,
    event: Option<unsafe extern "C" fn(*mut CharDeviceInstance, u8)>,
}

impl CharDevice {
    /// Its subtype: `vdagent`, `smartcard`, `usbredir`, `port`.
    pub(crate) fn subtype(&self) -> String {
        // SAFETY: the instance is one of a character device, which has this member.
        text(unsafe { (*self.raw()).subtype }).unwrap_or_default()
    }

    /// The name of a port.
    pub(crate) fn port_name(&self) -> Option<String> {
        // SAFETY: as above.
        text(unsafe { (*self.raw()).portname })
    }

    /// Whether anybody is at the other end.
    pub(crate) fn set_connected(&self, connected: bool) {
        call!(self.state(connected.into()));
    }

    /// Hands bytes to the guest; how many it took.
    pub(crate) fn write(&self, bytes: &[u8]) -> usize {
        let len = c_int::try_from(bytes.len()).unwrap_or(c_int::MAX);
        let taken = call!(self.write(bytes.as_ptr(), len)).unwrap_or(0);
        usize::try_from(taken).unwrap_or(0).min(bytes.len())
    }

    /// Takes bytes of the guest's; how many there were.
    pub(crate) fn read(&self, room: &mut [u8]) -> usize {
        let len = c_int::try_from(room.len()).unwrap_or(c_int::MAX);
        let got = call!(self.read(room.as_mut_ptr(), len)).unwrap_or(0);
        usize::try_from(got).unwrap_or(0).min(room.len())
    }

    /// Tells of an event of the other end: 0 opened, 1 closed, 2 a break.
    pub(crate) fn event(&self, event: u8) {
        if self.table.base.minor_version < 2 {
            return;
        }
        let Some(table) = self.instance.table::<CharDeviceInterface12>() else { return };
        // SAFETY: the version says that the table has this member.
        let function = unsafe { (*table).event };
        if let Some(function) = function {
            // SAFETY: the application's function, called with its own instance while it is added.
            unsafe { function(self.raw(), event) };
        }
    }
}

fn text(text: *const c_char) -> Option<String> {
    if text.is_null() {
        return None;
    }
    // SAFETY: the application's texts are C strings.
    Some(unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}

/// SpiceChannelEventInfo.
#[repr(C)]
pub(crate) struct ChannelEventInfo {
    pub(crate) connection_id: c_int,
    pub(crate) kind: c_int,
    pub(crate) id: c_int,
    pub(crate) flags: c_int,
    local: [u8; 16],
    peer: [u8; 16],
    local_len: libc::socklen_t,
    peer_len: libc::socklen_t,
    local_ext: Storage,
    peer_ext: Storage,
    local_ext_len: libc::socklen_t,
    peer_ext_len: libc::socklen_t,
}

/// `struct sockaddr_storage`.
#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Storage([u8; 128]);

impl ChannelEventInfo {
    /// With the bytes of two `struct sockaddr`, which may be empty.
    pub(crate) fn new(numbers: [c_int; 4], local: &[u8], peer: &[u8]) -> Box<Self> {
        let [connection_id, kind, id, flags] = numbers;
        let storage = |bytes: &[u8]| {
            let mut all = [0; 128];
            all.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
            Storage(all)
        };
        let short = |bytes: &[u8]| {
            let mut first = [0; 16];
            first.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
            first
        };
        let len = |bytes: &[u8]| libc::socklen_t::try_from(bytes.len()).unwrap_or(0);
        Box::new(Self {
            connection_id,
            kind,
            id,
            flags,
            local: short(local),
            peer: short(peer),
            local_len: len(local).min(16),
            peer_len: len(peer).min(16),
            local_ext: storage(local),
            peer_ext: storage(peer),
            local_ext_len: len(local),
            peer_ext_len: len(peer),
        })
    }
}

type WatchFunction = unsafe extern "C" fn(c_int, c_int, *mut c_void);

/// SpiceCoreInterface.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct CoreInterface {
    base: BaseInterface,
    timer_add: Option<unsafe extern "C" fn(*mut c_void, *mut c_void) -> *mut c_void>,
    timer_start: Option<unsafe extern "C" fn(*mut c_void, u32)>,
    timer_cancel: Option<unsafe extern "C" fn(*mut c_void)>,
    timer_remove: Option<unsafe extern "C" fn(*mut c_void)>,
    watch_add: Option<unsafe extern "C" fn(c_int, c_int, WatchFunction, *mut c_void) -> *mut c_void>,
    watch_update_mask: Option<unsafe extern "C" fn(*mut c_void, c_int)>,
    watch_remove: Option<unsafe extern "C" fn(*mut c_void)>,
    channel_event: Option<unsafe extern "C" fn(c_int, *mut ChannelEventInfo)>,
}

/// The table that `spice_server_init` gets.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct CoreRef(*const CoreInterface);

/// The application's main loop. Its functions are called on that loop only.
#[derive(Clone, Copy)]
pub(crate) struct Core(CoreInterface);

/// A watch of that loop.
pub(crate) struct Watch {
    core: Core,
    watch: *mut c_void,
}

// SAFETY: a copy of a table of functions; the pointers in it are to functions and constant texts.
unsafe impl Send for Core {}
// SAFETY: the pointer is handed back to the loop that it came from, and on that loop.
unsafe impl Send for Watch {}

impl CoreRef {
    /// The table, if it is one of a version that can be used.
    pub(crate) fn read(self) -> Option<Core> {
        // SAFETY: `spice_server_init` gets a table or null, which is found.
        let table = unsafe { self.0.as_ref() }?;
        let known = text(table.base.kind).as_deref() == Some("core") && table.base.major_version == 1;
        known.then_some(Core(*table))
    }
}

impl Core {
    /// Calls `serve` with `number` on the main loop whenever `fd` can be read. `None` when the
    /// application cannot.
    pub(crate) fn watch(self, fd: c_int, serve: WatchFunction, number: usize) -> Option<Watch> {
        let add = self.0.watch_add?;
        // SAFETY: the application's function, called on its main loop; 1 is SPICE_WATCH_EVENT_READ.
        // What `serve` gets back is a number.
        let watch = unsafe { add(fd, 1, serve, ptr::without_provenance_mut(number)) };
        (!watch.is_null()).then_some(Watch { core: self, watch })
    }

    /// Tells of a channel: 1 connected, 2 initialised, 3 disconnected.
    pub(crate) fn channel_event(&self, event: c_int, info: &mut ChannelEventInfo) {
        if let Some(function) = self.0.channel_event.filter(|_| self.0.base.minor_version >= 3) {
            // SAFETY: the application's function, called on its main loop; the information lives
            // until the channel's last event has been told.
            unsafe { function(event, info) };
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(remove) = self.core.0.watch_remove {
            // SAFETY: the application's function, with what its `watch_add` gave.
            unsafe { remove(self.watch) };
        }
    }
}

/// What main loops call: serves the server of the number that its watch was given.
pub(crate) extern "C" fn on_main_loop(_fd: c_int, _event: c_int, number: *mut c_void) {
    crate::exports::sys::guarded("watch", || (), || crate::server::serve_main_loop(number.addr()));
}

#[cfg(test)]
mod tests {
    use std::mem::{offset_of, size_of};

    use super::*;

    /// As a C compiler lays the header's structures out on a 64-bit machine.
    #[test]
    fn structures_are_laid_out_as_in_c() {
        assert_eq!((size_of::<BaseInterface>(), size_of::<InitInfo>(), size_of::<CommandExt>()), (24, 24, 24));
        assert_eq!((size_of::<DevMemSlot>(), size_of::<DevSurfaceCreate>(), size_of::<QxlRect>()), (48, 48, 16));
        assert_eq!((size_of::<QxlInterface>(), size_of::<QxlInstance>()), (24 + 15 * 8, 24));
        assert_eq!((offset_of!(InitInfo, qxl_ram_size), offset_of!(InitInfo, n_surfaces)), (12, 20));
        assert_eq!((offset_of!(DevMemSlot, virt_start), offset_of!(DevMemSlot, addr_delta)), (16, 32));
        assert_eq!((offset_of!(DevSurfaceCreate, mem), offset_of!(DevSurfaceCreate, group_id)), (32, 40));
        assert_eq!((size_of::<ChannelEventInfo>(), offset_of!(ChannelEventInfo, local_ext)), (320, 56));
        assert_eq!(size_of::<CoreInterface>(), 24 + 8 * 8);
        assert_eq!((size_of::<MonConfig>(), offset_of!(MonitorsConfig, monitors)), (20, 8));
    }
}
