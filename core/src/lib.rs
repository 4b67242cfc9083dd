//! The SPICE protocol core: bytes and events in, bytes and events out.
#![no_std]
#![forbid(unsafe_code)]

pub mod image;
