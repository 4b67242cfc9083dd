//! `libspice-server.so.1` with Sumac inside.
//!
//! ```text
//!  application's main loop                 worker of each QXL device        server's thread
//!  ───────────────────────                 ─────────────────────────        ───────────────
//!  spice_server_… ──► Server ─► Settings
//!  spice_qxl_…    ──► Device ─ orders ───► Worker ─ frames ───────────────► sumac::Embedded
//!  keyboard, mice ◄── main loop ◄─ eventfd ─ Post ◄─────────────────────────┘
//! ```
//!
//! Nothing here speaks SPICE: that is the [`sumac`] library's. This crate is what is between it and
//! programs in C: structures and functions of the interface, memory of QXL guests, and canvases on
//! which their drawings are carried out.

#[macro_use]
mod exports;
mod channels;
mod chardev;
mod inputs;
mod interfaces;
mod log;
mod memory;
mod post;
mod qxl;
mod server;
mod settings;
mod sound;

pub use exports::exports;
