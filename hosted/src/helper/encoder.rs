//! The process in which an encoder works.

use std::os::fd::OwnedFd;

use anyhow::Context;
use sumac_backends::{isolated, registry, software};

use crate::sandbox;

/// Loads the libraries of this backend, confines the process and encodes.
pub(super) fn run(backend: &str, socket: OwnedFd) -> anyhow::Result<()> {
    let backend = registry::backend(backend).with_context(|| format!("no backend is named {backend:?}"))?;
    backend.probe();
    sandbox::enter_encoder(backend.name() != software::NAME);
    Ok(isolated::serve(socket, backend)?)
}
