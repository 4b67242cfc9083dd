//! What a service manager and the server tell each other, in systemd's words: sockets that are open already,
//! and when the server is ready, reloads and ends. Without one, nothing is there and nothing happens.

mod notify;
mod sockets;

pub(crate) use notify::Notifier;
pub use sockets::inherited_sockets;
