//! Functions of the recorder of command streams, which is not built.

use std::ffi::{c_int, c_void};
use std::ptr;

use super::not_built;
use crate::interfaces::Instance;

exports! {
    "0.12.6" fn spice_replay_new(_file: *mut c_void, _surfaces: c_int) -> *mut c_void {
        not_built("spice_replay_new");
        ptr::null_mut()
    } or ptr::null_mut();
    "0.12.6" fn spice_replay_next_cmd(_replay: *mut c_void, _instance: Instance) -> *mut c_void {
        not_built("spice_replay_next_cmd");
        ptr::null_mut()
    } or ptr::null_mut();
    "0.12.6" fn spice_replay_free_cmd(_replay: *mut c_void, _command: *mut c_void) {
        not_built("spice_replay_free_cmd")
    } or ();
    "0.12.6" fn spice_replay_free(_replay: *mut c_void) { not_built("spice_replay_free") } or ();
}
