//! Scanouts in dmabufs.

use std::sync::Arc;

use sumac_backends::dmabuf::{Fourcc, Shape};
use sumac_backends::{Dmabuf, Plane};

use super::Scanout;

/// The modifier that says nothing of how the pixels lie.
pub(crate) const NO_MODIFIER: u64 = 0x00ff_ffff_ffff_ffff;

/// The scanout for the server; the error says why it cannot be one.
pub(super) fn dmabuf(scanout: Scanout) -> anyhow::Result<Dmabuf> {
    let Scanout { planes, size, fourcc, modifier, y_0_top } = scanout;
    let shape = Shape { width: size.width, height: size.height, fourcc: Fourcc(fourcc), modifier, y_inverted: y_0_top };
    let planes: Vec<_> =
        planes.into_iter().map(|(fd, offset, stride)| Plane { fd: Arc::new(fd), offset, stride }).collect();
    Ok(Dmabuf::new(shape, &planes)?)
}
