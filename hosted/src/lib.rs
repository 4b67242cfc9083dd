//! The hosted SPICE server: sources, scene, viewers, transports.

pub mod agent;
pub mod auth;
pub mod cert;
pub mod config;
pub mod control;
pub mod devices;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod helper;
pub mod ledger;
pub mod migration;
pub mod plan;
pub mod png;
pub mod probe;
pub mod qemu;
pub mod signals;
pub mod sound;
pub mod source;
pub mod stats;
pub mod systemd;
pub mod transport;
pub mod vv;

pub use server::{ChannelNews, Embedded, Observer, OpenChannel, serve, serve_qemu, with_signals_blocked};

mod connection;
mod metrics;
mod sandbox;
mod scene;
mod server;
mod streaming_agent;
mod video;
mod viewer;
