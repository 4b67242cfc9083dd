//! The doors by which untrusted bytes come in, without the world around them: for the oracles of
//! `tests/`, which say what must hold, and for fuzzers. Behind a feature, and no part of the interface.
//!
//! Nothing is decided here. What fails on our side (no descriptors, no threads) is an error; what a
//! peer gets wrong is a value.

pub mod agent;
pub mod devices;
pub mod door;
pub mod files;
pub mod server;

pub use crate::auth::ticket_for as ticket;
pub use crate::source::qemu::fuzzing as qemu;
