//! The hosted SPICE server: sources, scene, viewers, transports.

pub mod source;
