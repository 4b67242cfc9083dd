//! The shared library from outside: its symbols, and programs that use it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod application;
mod library;
mod qemu;
mod symbols;
