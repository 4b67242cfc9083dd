//! Functions of keyboards and character devices.

use std::ffi::{c_char, c_int};

use super::sys::{TextList, Texts};
use crate::interfaces::Instance;
use crate::server::{Added, entry};

static SUBTYPES: TextList<5> = TextList([
    c"vdagent".as_ptr(),
    c"smartcard".as_ptr(),
    c"usbredir".as_ptr(),
    c"port".as_ptr(),
    std::ptr::null::<c_char>(),
]);

exports! {
    "0.6.0" fn spice_server_kbd_leds(keyboard: Instance, leds: c_int) -> c_int {
        if let Some(entry) = entry(keyboard) {
            entry.server.set_leds(leds);
        }
        0
    } or 0;
    "0.6.0" fn spice_server_char_device_wakeup(device: Instance) {
        if let Some(Added::CharDevice(device)) = entry(device).map(|entry| entry.added) {
            device.serve();
        }
    } or ();
    "0.12.2" fn spice_server_port_event(device: Instance, event: u8) {
        if let Some(Added::CharDevice(device)) = entry(device).map(|entry| entry.added) {
            device.on_event(event);
        }
    } or ();
    "0.6.0" fn spice_server_char_device_recognized_subtypes() -> Texts { Texts::of(&SUBTYPES) } or Texts::of(&SUBTYPES);
}
