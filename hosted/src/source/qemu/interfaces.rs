//! The interfaces that QEMU offers, as far as they are used: org.qemu.Display1 of QEMU 7.2 and later.
//!
//! Calls that carry input want no answer: they are said one after another and QEMU takes them when
//! it can. What QEMU calls on us stands in `listener.rs`.
use zbus::wire::Fd;

/// The name that QEMU owns on a bus.
pub(super) const BUS_NAME: &str = "org.qemu";
/// The interface of sound.
pub(super) const AUDIO: &str = "org.qemu.Display1.Audio";
/// The interface of the clipboard, of both ends.
pub(super) const CLIPBOARD: &str = "org.qemu.Display1.Clipboard";
/// The interface of character devices.
pub(super) const CHARDEV: &str = "org.qemu.Display1.Chardev";

/// The path of a console.
pub(super) fn console_path(id: u32) -> String {
    format!("/org/qemu/Display1/Console_{id}")
}

/// The virtual machine.
#[zbus::proxy(interface = "org.qemu.Display1.VM", default_service = "org.qemu", default_path = "/org/qemu/Display1/VM")]
pub(super) trait Vm {
    /// `-name`, or empty.
    #[zbus(property)]
    fn name(&self) -> zbus::Result<String>;
    /// `-uuid`, or zeros.
    #[zbus(property, name = "UUID")]
    fn uuid(&self) -> zbus::Result<String>;
    /// The numbers of the consoles.
    #[zbus(property, name = "ConsoleIDs")]
    fn console_ids(&self) -> zbus::Result<Vec<u32>>;
}

/// One console: a head of a display device, or a text console.
#[zbus::proxy(interface = "org.qemu.Display1.Console", default_service = "org.qemu")]
pub(super) trait Console {
    /// QEMU speaks D-Bus on this socket from now on and calls org.qemu.Display1.Listener there.
    fn register_listener(&self, listener: Fd<'_>) -> zbus::Result<()>;
    /// What the viewer's window is like: millimetres (0 where unknown), place among the heads, pixels.
    #[zbus(name = "SetUIInfo", no_reply)]
    fn set_ui_info(&self, width_mm: u16, height_mm: u16, x: i32, y: i32, width: u32, height: u32) -> zbus::Result<()>;
    /// For people.
    #[zbus(property)]
    fn label(&self) -> zbus::Result<String>;
    /// `Graphic` or `Text`.
    #[zbus(property, name = "Type")]
    fn kind(&self) -> zbus::Result<String>;
}

/// The keyboard behind a console.
#[zbus::proxy(interface = "org.qemu.Display1.Keyboard", default_service = "org.qemu")]
pub(super) trait Keyboard {
    /// The key of this number goes down.
    #[zbus(no_reply)]
    fn press(&self, keycode: u32) -> zbus::Result<()>;
    /// The key of this number goes up.
    #[zbus(no_reply)]
    fn release(&self, keycode: u32) -> zbus::Result<()>;
    /// The lights: 1 Scroll Lock, 2 Num Lock, 4 Caps Lock.
    #[zbus(property)]
    fn modifiers(&self) -> zbus::Result<u32>;
}

/// The pointing device behind a console.
#[zbus::proxy(interface = "org.qemu.Display1.Mouse", default_service = "org.qemu")]
pub(super) trait Mouse {
    /// The button of this number goes down.
    #[zbus(no_reply)]
    fn press(&self, button: u32) -> zbus::Result<()>;
    /// The button of this number goes up.
    #[zbus(no_reply)]
    fn release(&self, button: u32) -> zbus::Result<()>;
    /// To this pixel; only where `is_absolute`.
    #[zbus(no_reply)]
    fn set_abs_position(&self, x: u32, y: u32) -> zbus::Result<()>;
    /// By this much; only where not `is_absolute`.
    #[zbus(no_reply)]
    fn rel_motion(&self, dx: i32, dy: i32) -> zbus::Result<()>;
    /// Whether the guest's device is told positions (a tablet) or motion (a mouse).
    #[zbus(property)]
    fn is_absolute(&self) -> zbus::Result<bool>;
}

/// A `-chardev dbus`.
#[zbus::proxy(interface = "org.qemu.Display1.Chardev", default_service = "org.qemu")]
pub(super) trait Chardev {
    /// This socket is the device's other side from now on, until it is closed.
    fn register(&self, stream: Fd<'_>) -> zbus::Result<()>;
    /// The guest's serial port sees a break.
    fn send_break(&self) -> zbus::Result<()>;
    /// `name=`, or empty.
    #[zbus(property)]
    fn name(&self) -> zbus::Result<String>;
    /// Whether the guest has it open.
    #[zbus(property, name = "FEOpened")]
    fn fe_opened(&self) -> zbus::Result<bool>;
}

/// The clipboard; our end has the same interface at the same path.
#[zbus::proxy(
    interface = "org.qemu.Display1.Clipboard",
    default_service = "org.qemu",
    default_path = "/org/qemu/Display1/Clipboard"
)]
pub(super) trait Clipboard {
    /// QEMU calls our end from now on.
    fn register(&self) -> zbus::Result<()>;
    /// A viewer has content for the selection of this number.
    #[zbus(no_reply)]
    fn grab(&self, selection: u32, serial: u32, mimes: &[&str]) -> zbus::Result<()>;
    /// It has none any more.
    #[zbus(no_reply)]
    fn release(&self, selection: u32) -> zbus::Result<()>;
}
