//! Tests of the `sumac` binary from outside.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests fail the test, and a skipped test says so"
)]

mod client;
mod command;
mod control;
mod devices;
mod hostile;
mod idle;
mod link;
mod metrics;
mod open;
mod sandbox;
mod sasl;
mod sumac;
mod systemd;
mod tls;
mod web;
