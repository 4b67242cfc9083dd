//! Real clients against the `sumac` binary: spice-gtk's tools, its library through GObject
//! introspection, remote-viewer, and spice-html5 in a browser. What is not installed skips its tests with a line each.

mod browser;
mod devices;
mod dmabuf;
mod embedded;
mod gl;
mod helpers;
mod input;
mod migration;
mod picture;
mod pictures;
mod programs;
mod qemu;
mod recorded_anew;
mod sasl;
mod slow_viewer;
mod streaming_agent;
mod tickets;
mod tls;
mod video;
