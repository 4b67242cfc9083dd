//! The hosted SPICE server: sources, scene, viewers, transports.

pub mod auth;
pub mod config;
pub mod png;
pub mod source;
pub mod transport;
