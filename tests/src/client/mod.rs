//! A client for programs that try servers out: core's client role over any transport, blocking.

mod channel;
mod server;
mod wire;

pub use channel::Channel;
pub use server::{Sample, Server};
pub use wire::{Place, Way, Wire, trusting};
