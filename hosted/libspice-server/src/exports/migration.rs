//! Functions of migration, which is not built: viewers are not taken along.

use std::ffi::c_int;

use super::not_built;
use super::sys::{ServerRef, Text};
use crate::settings::FAILED;

exports! {
    "0.8.3" fn spice_server_migrate_connect(
        _server: ServerRef, _host: Text, _port: c_int, _secure_port: c_int, _subject: Text,
    ) -> c_int {
        not_built("spice_server_migrate_connect");
        FAILED
    } or FAILED;
    "0.6.0" fn spice_server_migrate_info(
        _server: ServerRef, _host: Text, _port: c_int, _secure_port: c_int, _subject: Text,
    ) -> c_int {
        not_built("spice_server_migrate_info");
        FAILED
    } or FAILED;
    "0.6.0" fn spice_server_migrate_start(_server: ServerRef) -> c_int {
        not_built("spice_server_migrate_start");
        FAILED
    } or FAILED;
    "0.6.0" fn spice_server_migrate_end(_server: ServerRef, _completed: c_int) -> c_int {
        not_built("spice_server_migrate_end");
        FAILED
    } or FAILED;
    "0.8.0" fn spice_server_migrate_switch(_server: ServerRef) -> c_int {
        not_built("spice_server_migrate_switch");
        FAILED
    } or FAILED;
    "0.11.2" fn spice_server_set_seamless_migration(_server: ServerRef, enable: c_int) {
        if enable != 0 {
            not_built("spice_server_set_seamless_migration");
        }
    } or ();
}
