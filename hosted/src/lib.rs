//! The hosted SPICE server: sources, scene, viewers, transports.

pub mod png;
pub mod source;
