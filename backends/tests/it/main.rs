//! Pictures that were really encoded, seen through other people's decoders.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests; clippy.toml allows these only inside test functions"
)]

mod allocator;
mod content;
mod decode;
#[allow(unsafe_code, reason = "ioctls and mmap")]
mod dmabuf;
mod guard;
mod software;
mod vaapi;
mod vicodec;
