//! The doors by which untrusted bytes come in, without the world around them: for the oracles of
//! `tests/`, which say what must hold, and for fuzzers. Behind a feature, and no part of the interface.
//!
//! Nothing is decided here. What fails on our side (no descriptors, no threads) is an error; what a
//! peer gets wrong is a value.

use std::io;

use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

pub mod agent;
pub mod devices;
pub mod door;
pub mod files;
pub mod server;

pub use crate::auth::ticket_for as ticket;
pub use crate::source::qemu::fuzzing as qemu;

/// Writing to a peer that is gone is an error and not the end of the process, as in every Rust program
/// but those whose `main` is a fuzzer's.
fn survive_broken_pipes(runtime: &Runtime) -> io::Result<()> {
    let _inside = runtime.enter();
    signal(SignalKind::pipe()).map(drop)
}
