//! The SPICE protocol core: bytes and events in, bytes and events out.
//!
//! No I/O, no clock, no allocation, no `unsafe`. Layers, lowest first:
//!
//! | module | what |
//! |---|---|
//! | [`wire`] | bytes and nothing that knows what they mean |
//! | [`proto`] | every message of every channel, declared once |
//! | [`link`] | from the first byte to an open channel |
//! | [`channel`] | one state machine per channel |
//! | `io` | drivers over `embedded-io` streams, behind features of these names |
//! | [`agent`] | the guest agent's messages out of their pieces |
//! | [`image`] | image encoders and decoders |
//! | [`qxl`] | what a QXL guest wrote |
//! | [`stream_device`] | what a streaming agent in the guest says on its port |
//! | [`limits`] | every bound, with its reason |
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

#[macro_use]
mod log;
#[macro_use]
pub mod wire;

pub mod agent;
pub mod channel;
pub mod image;
#[cfg(any(feature = "embedded-io", feature = "embedded-io-async"))]
pub mod io;
pub mod limits;
pub mod link;
pub mod proto;
pub mod qxl;
pub mod stream_device;
pub mod time;
