//! The functions of the C interface, by subject.
//!
//! What is not built says so once in the log and returns what the interface has for a failure; the
//! table in README.md names these.

#[macro_use]
pub(crate) mod sys;

mod devices;
mod migration;
mod qxl;
mod replay;
mod server;
mod sound;

use std::collections::BTreeSet;
use std::sync::Mutex;

use crate::server::lock;

/// What was said to be not built.
static SAID: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

/// Says once that a function is not built.
fn not_built(name: &'static str) {
    if lock(&SAID).insert(name) {
        tracing::warn!(function = name, "not built in this version");
    }
}

/// All exported functions, with their version nodes.
pub fn exports() -> impl Iterator<Item = (&'static str, &'static str)> {
    let all = [server::EXPORTS, devices::EXPORTS, qxl::EXPORTS, sound::EXPORTS, migration::EXPORTS, replay::EXPORTS];
    all.into_iter().flatten().copied()
}
