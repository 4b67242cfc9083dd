//! What must hold for any bytes: plain functions that panic when it does not.
//!
//! The fuzzer of `tests/fuzz` calls them with bytes that it makes up, and `cargo test` with the
//! seeds and findings that are kept there (`tests/it/replay.rs`). Each target has a name, which is
//! also that of its folders of seeds and findings.

mod agent;
mod client;
mod door;
mod driver;
mod framing;
mod guest;
mod image;
mod input;
mod link;
mod monitors;
mod operator;
mod qemu;
mod qxl;
mod session;
mod subjects;
mod viewers;
mod wire;

/// Something to be fuzzed.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// What it is called on the command line and among the seeds.
    pub name: &'static str,
    /// Checks what these bytes come to.
    pub check: fn(&[u8]),
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "agent", check: agent::check },
    Target { name: "bitstream", check: driver::bitstream },
    Target { name: "client", check: client::check },
    Target { name: "clipboard", check: guest::clipboard },
    Target { name: "config_files", check: operator::config_files },
    Target { name: "devices", check: guest::devices },
    Target { name: "framing", check: framing::check },
    Target { name: "glz", check: image::glz },
    Target { name: "http", check: door::http },
    Target { name: "link", check: link::check },
    Target { name: "lz", check: image::lz },
    Target { name: "lz4", check: image::lz4 },
    Target { name: "monitors_config", check: monitors::check },
    Target { name: "options", check: operator::options },
    Target { name: "qemu_display", check: qemu::display },
    Target { name: "qemu_monitor", check: qemu::monitor },
    Target { name: "qemu_sound", check: qemu::sound },
    Target { name: "quic", check: image::quic },
    Target { name: "qxl", check: qxl::check },
    Target { name: "relay", check: guest::relay },
    Target { name: "sasl", check: link::sasl },
    Target { name: "session_cursor", check: subjects::cursor },
    Target { name: "session_display", check: subjects::display },
    Target { name: "session_inputs", check: subjects::inputs },
    Target { name: "session_main", check: subjects::main },
    Target { name: "session_playback", check: subjects::playback },
    Target { name: "session_port", check: subjects::port },
    Target { name: "session_record", check: subjects::record },
    Target { name: "session_smartcard", check: subjects::smartcard },
    Target { name: "session_usbredir", check: subjects::usbredir },
    Target { name: "tls", check: door::tls },
    Target { name: "two_viewers", check: viewers::check },
    Target { name: "v4l2", check: driver::v4l2 },
    Target { name: "websocket", check: door::websocket },
    Target { name: "wire", check: wire::check },
];

/// The target of this name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// Checks what these bytes come to for the target of this name, which there has to be.
pub fn check(name: &str, data: &[u8]) {
    let target = target(name);
    assert!(target.is_some(), "no target is called {name}");
    if let Some(target) = target {
        (target.check)(data);
    }
}
