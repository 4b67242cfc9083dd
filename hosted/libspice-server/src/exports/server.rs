//! Functions of the server itself.

use std::ffi::{c_int, c_void};
use std::os::fd::OwnedFd;

use sumac::config::Uuid;
use sumac::transport::Entrance;

use super::not_built;
use super::sys::{In, ServerRef, Text, given};
use crate::interfaces::Instance;
use crate::interfaces::sys::CoreRef;
use crate::server::{self, lock};
use crate::settings::{FAILED, IMAGE_COMPRESSION, STREAMING_VIDEO, Settings, WAN_COMPRESSION, set_by_number};

/// Changes what a server is started with; -1 without a server.
fn set(server: ServerRef, change: impl FnOnce(&mut Settings) -> c_int) -> c_int {
    server::find(server.number()).map_or(FAILED, |server| change(&mut lock(&server.settings)))
}

fn flag(place: &mut bool, enable: c_int) -> c_int {
    *place = enable != 0;
    0
}

/// Changes who is let in, also while the server runs.
fn set_tickets(server: ServerRef, change: impl FnOnce(&mut Settings) -> c_int) -> c_int {
    let Some(server) = server::find(server.number()) else { return FAILED };
    let (done, tickets) = {
        let mut settings = lock(&server.settings);
        (change(&mut settings), settings.tickets.clone())
    };
    if done == 0 {
        server.with_embedded(|embedded| embedded.set_tickets(tickets));
    }
    done
}

fn add_client(server: ServerRef, socket: Option<OwnedFd>, skip_auth: c_int, entrance: Entrance) -> c_int {
    let (Some(server), Some(socket)) = (server::find(server.number()), socket) else { return FAILED };
    let trusted = skip_auth != 0;
    server.with_embedded(|embedded| embedded.add_client(socket, entrance, trusted)).map_or(FAILED, |()| 0)
}

exports! {
    "0.6.0" fn spice_server_new() -> ServerRef { crate::log::start(); ServerRef::of(server::new()) } or ServerRef::of(0);
    "0.6.0" fn spice_server_destroy(server: ServerRef) { server::destroy(server.number()) } or ();
    "0.6.0" fn spice_server_init(server: ServerRef, core: CoreRef) -> c_int {
        let number = server.number();
        let (Some(server), Some(core)) = (server::find(number), core.read()) else { return FAILED };
        match server.init(number, core) {
            Ok(()) => 0,
            Err(error) => {
                tracing::error!(error = format!("{error:#}"), "the server cannot start");
                FAILED
            }
        }
    } or FAILED;
    "0.6.0" fn spice_server_add_interface(server: ServerRef, instance: Instance) -> c_int {
        let Some(server) = server::find(server.number()).filter(|_| !instance.is_null()) else { return FAILED };
        match server.add(instance) {
            Ok(()) => 0,
            Err(error) => {
                tracing::warn!(error = format!("{error:#}"), "an interface cannot be added");
                FAILED
            }
        }
    } or FAILED;
    "0.6.0" fn spice_server_remove_interface(instance: Instance) -> c_int {
        server::remove(instance).map_or(FAILED, |()| 0)
    } or FAILED;
    "0.6.0" fn spice_server_set_addr(server: ServerRef, addr: Text, flags: c_int) {
        set(server, |s| { s.set_addr(addr.get().unwrap_or_default(), flags); 0 });
    } or ();
    "0.6.0" fn spice_server_set_port(server: ServerRef, port: c_int) -> c_int {
        set(server, |s| s.set_port(port))
    } or FAILED;
    "0.10.2" fn spice_server_set_listen_socket_fd(_server: ServerRef, _fd: c_int) -> c_int {
        not_built("spice_server_set_listen_socket_fd");
        FAILED
    } or FAILED;
    "0.6.0" fn spice_server_set_noauth(server: ServerRef) -> c_int {
        set_tickets(server, |s| { s.tickets = sumac::auth::TicketCheck::disabled(); 0 })
    } or FAILED;
    "0.6.0" fn spice_server_set_ticket(
        server: ServerRef, password: Text, lifetime: c_int, fail_if_connected: c_int, disconnect_if_connected: c_int,
    ) -> c_int {
        let viewers = server::find(server.number()).map_or(0, |server| server.viewers());
        if viewers > 0 && fail_if_connected != 0 {
            return FAILED;
        }
        let done = set_tickets(server, |s| s.set_ticket(password.get(), lifetime));
        if let Some(server) = server::find(server.number()).filter(|_| done == 0 && disconnect_if_connected != 0) {
            server.with_embedded(sumac::Embedded::disconnect);
        }
        done
    } or FAILED;
    "0.6.0" fn spice_server_set_tls(
        server: ServerRef, port: c_int, ca: Text, certificate: Text, key: Text, password: Text, _dh: Text, _ciphers: Text,
    ) -> c_int {
        set(server, |s| s.set_tls(port, [ca.get(), certificate.get(), key.get(), password.get()]))
    } or FAILED;
    "0.6.0" fn spice_server_set_channel_security(server: ServerRef, channel: Text, security: c_int) -> c_int {
        set(server, |s| s.set_channel_security(channel.get(), security))
    } or FAILED;
    "0.8.2" fn spice_server_set_sasl(_server: ServerRef, enabled: c_int) -> c_int {
        if enabled == 0 {
            return 0;
        }
        not_built("spice_server_set_sasl");
        FAILED
    } or FAILED;
    // Applications say it whether or not they want SASL.
    "0.8.2" fn spice_server_set_sasl_appname(server: ServerRef, _name: Text) -> c_int { set(server, |_| 0) } or FAILED;
    "0.10.1" fn spice_server_add_client(server: ServerRef, fd: c_int, skip_auth: c_int) -> c_int {
        add_client(server, given(fd), skip_auth, Entrance::Any)
    } or FAILED;
    "0.10.1" fn spice_server_add_ssl_client(server: ServerRef, fd: c_int, skip_auth: c_int) -> c_int {
        add_client(server, given(fd), skip_auth, Entrance::TlsOnly)
    } or FAILED;
    "0.6.0" fn spice_server_set_image_compression(server: ServerRef, compression: c_int) -> c_int {
        set(server, |s| set_by_number(&mut s.config.image_compression, compression, IMAGE_COMPRESSION))
    } or FAILED;
    "0.6.0" fn spice_server_get_image_compression(server: ServerRef) -> c_int {
        use sumac::config::ImageCompression as C;
        server::find(server.number()).map_or(0, |server| match lock(&server.settings).config.image_compression {
            C::Off => 1,
            C::AutoGlz => 2,
            C::AutoLz => 3,
            C::Quic => 4,
            C::Glz => 5,
            C::Lz => 6,
            C::Lz4 => 7,
        })
    } or 0;
    "0.6.0" fn spice_server_set_jpeg_compression(server: ServerRef, when: c_int) -> c_int {
        set(server, |s| set_by_number(&mut s.config.jpeg_wan_compression, when, WAN_COMPRESSION))
    } or FAILED;
    "0.6.0" fn spice_server_set_zlib_glz_compression(server: ServerRef, when: c_int) -> c_int {
        set(server, |s| set_by_number(&mut s.config.zlib_glz_wan_compression, when, WAN_COMPRESSION))
    } or FAILED;
    "0.6.0" fn spice_server_set_streaming_video(server: ServerRef, which: c_int) -> c_int {
        set(server, |s| set_by_number(&mut s.config.streaming_video, which, STREAMING_VIDEO))
    } or FAILED;
    "0.13.2" fn spice_server_set_video_codecs(server: ServerRef, codecs: Text) -> c_int {
        set(server, |s| match codecs.get().unwrap_or_default().trim_end_matches(';').parse() {
            Ok(codecs) => { s.config.video_codecs = codecs; 0 }
            Err(error) => { tracing::warn!(%error, "spice_server_set_video_codecs"); FAILED }
        })
    } or FAILED;
    "0.14.3" fn spice_server_get_video_codecs(server: ServerRef) -> Text {
        let codecs = server::find(server.number()).map(|server| lock(&server.settings).config.video_codecs.clone());
        let names = codecs.unwrap_or_default().to_string();
        Text::give(names.split(',').map(|name| format!("spice:{name};")).collect())
    } or Text::give(String::new());
    "0.14.3" fn spice_server_free_video_codecs(_server: ServerRef, codecs: Text) { codecs.take_back() } or ();
    "0.6.0" fn spice_server_set_playback_compression(server: ServerRef, enable: c_int) -> c_int {
        set(server, |s| flag(&mut s.config.playback_compression, enable))
    } or FAILED;
    "0.6.0" fn spice_server_set_agent_mouse(_server: ServerRef, enable: c_int) -> c_int {
        // Positions go to a tablet, and to an agent's mouse only where there is none: never, as yet.
        if enable != 0 { 0 } else { FAILED }
    } or FAILED;
    "0.8.1" fn spice_server_set_agent_copypaste(server: ServerRef, enable: c_int) -> c_int {
        set(server, |s| flag(&mut s.config.copy_paste, enable))
    } or FAILED;
    "0.12.4" fn spice_server_set_agent_file_xfer(server: ServerRef, enable: c_int) -> c_int {
        set(server, |s| flag(&mut s.config.file_transfer, enable))
    } or FAILED;
    "0.10.2" fn spice_server_set_name(server: ServerRef, name: Text) {
        if let Some(server) = server::find(server.number()) {
            server.set_name(name.get().and_then(|name| name.parse().ok()));
        }
    } or ();
    "0.10.2" fn spice_server_set_uuid(server: ServerRef, uuid: In<[u8; 16]>) {
        if let (Some(server), Some(uuid)) = (server::find(server.number()), uuid.get()) {
            server.set_uuid(Uuid(uuid));
        }
    } or ();
    "0.11.2" fn spice_server_vm_start(server: ServerRef) {
        if let Some(server) = server::find(server.number()) {
            server.set_vm_runs(true);
        }
    } or ();
    "0.11.2" fn spice_server_vm_stop(server: ServerRef) {
        if let Some(server) = server::find(server.number()) {
            server.set_vm_runs(false);
        }
    } or ();
    "0.10.3" fn spice_server_is_server_mouse(server: ServerRef) -> c_int {
        server::find(server.number()).is_none_or(|server| !server.has_tablet()).into()
    } or 1;
    "0.10.0" fn spice_server_get_num_clients(server: ServerRef) -> c_int {
        server::find(server.number()).map_or(0, |server| c_int::try_from(server.viewers()).unwrap_or(c_int::MAX))
    } or 0;
    "0.6.0" fn spice_server_get_sock_info(_server: ServerRef, _address: *mut c_void, _len: *mut c_void) -> c_int {
        not_built("spice_server_get_sock_info");
        FAILED
    } or FAILED;
    "0.6.0" fn spice_server_get_peer_info(_server: ServerRef, _address: *mut c_void, _len: *mut c_void) -> c_int {
        not_built("spice_server_get_peer_info");
        FAILED
    } or FAILED;
    "0.11.4" fn spice_server_set_exit_on_disconnect(_server: ServerRef, flag: c_int) -> c_int {
        if flag == 0 {
            return 0;
        }
        not_built("spice_server_set_exit_on_disconnect");
        FAILED
    } or FAILED;
    // There is one renderer, whatever it is called.
    "0.6.0" fn spice_server_add_renderer(server: ServerRef, _name: Text) -> c_int { set(server, |_| 0) } or FAILED;
    // 0 is the version 0.4 of the protocol, which no client speaks any more.
    "0.6.1" fn spice_server_set_compat_version(server: ServerRef, version: c_int) -> c_int {
        set(server, |_| if version == 1 { 0 } else { FAILED })
    } or FAILED;
    "0.6.1" fn spice_get_current_compat_version() -> c_int { 1 } or 1;
}
