//! Scanouts that are passed as file descriptors (protocol.md §19).
//!
//! The descriptors are not part of a message: right behind it one byte `@` carries them as
//! ancillary data, exactly when [`GlScanoutUnix::drm_fourcc`] (one descriptor) or
//! [`GlScanout2Unix::num_dma_bufs`] (that many) is not 0.

use crate::limits;
use crate::wire::{DecodeError, EncodeError, Field, Reader, Sample, Sampler, Writer};

flags! {
    /// How a scanout lies.
    pub struct GlScanoutFlags: u32 {
        /// The first row is the top one.
        const Y0TOP = 1;
    }
}

message! {
    /// SPICE_MSG_DISPLAY_GL_SCANOUT_UNIX: a picture of one plane, for clients with GL_SCANOUT.
    320 pub struct GlScanoutUnix {
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
        /// Bytes from one row to the next.
        stride: u32,
        /// Its DRM format.
        drm_fourcc: u32,
        /// How it lies.
        flags: GlScanoutFlags,
    }
}

message! {
    /// SPICE_MSG_DISPLAY_GL_DRAW: the scanout changed there; to be answered with [`GlDrawDone`].
    321 pub struct GlDraw {
        /// First column.
        x: u32,
        /// First row.
        y: u32,
        /// Columns.
        w: u32,
        /// Rows.
        h: u32,
    }
}

message! {
    /// SPICE_MSG_DISPLAY_GL_SCANOUT2_UNIX: a picture of up to four planes, for clients with
    /// GL_SCANOUT2.
    323 pub struct GlScanout2Unix {
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
        /// Where each plane begins in its buffer, in bytes.
        offset: PerPlane,
        /// Bytes from one row to the next, of each plane.
        stride: PerPlane,
        /// Its DRM format.
        drm_fourcc: u32,
        /// How it lies.
        flags: GlScanoutFlags,
        /// Its DRM format modifier.
        modifier: u64,
        /// Planes, at most [`limits::PLANES`]; 0 ends the scanout.
        num_planes: u16,
        /// Descriptors behind the message, at most [`limits::PLANES`].
        num_dma_bufs: u16,
    }
}

message! {
    /// SPICE_MSGC_DISPLAY_GL_DRAW_DONE: the outstanding [`GlDraw`] has been shown.
    104 pub struct GlDrawDone {}
}

/// A number for each plane: four `u32`, unused ones 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerPlane(pub [u32; limits::PLANES]);

impl Field<'_> for PerPlane {
    const WIRE: &'static str = "u32[4]";
    const MIN: usize = 4 * limits::PLANES;

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut planes = Self::default();
        for plane in &mut planes.0 {
            *plane = u32::read(r)?;
        }
        Ok(planes)
    }

    fn write(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        self.0.iter().try_for_each(|plane| plane.write(w))
    }
}

impl Sample for PerPlane {
    fn sample(s: &mut Sampler) -> Self {
        Self(core::array::from_fn(|_| u32::sample(s)))
    }
}
