//! Tests of the `sumac` binary from outside.
#![expect(clippy::expect_used, clippy::panic, reason = "in a test's helper they mean that the test failed")]

mod client;
mod command;
mod link;
mod sumac;
