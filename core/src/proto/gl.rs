//! Scanouts that are passed as file descriptors.
//!
//! The descriptors are not part of a message: right behind it one byte `@` carries them as
//! ancillary data, exactly when [`GlScanoutUnix::drm_fourcc`] (one descriptor) or
//! [`GlScanout2Unix::num_dma_bufs`] (that many) is not 0.

use zerocopy::little_endian::U32;

use crate::limits;
use crate::wire::{DecodeError, DecodeErrorKind, EncodeError, Field, Reader, Sample, Sampler, Writer, to_u32};

flags! {
    /// How a scanout lies.
    pub struct GlScanoutFlags: u32 {
        /// The first row in memory is the bottom one, in spite of the name: libspice-server's users clear it for
        /// pictures from the top down, and spice-gtk draws them so.
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

impl GlScanout2Unix {
    /// Offset and stride of each plane in use.
    ///
    /// # Errors
    /// When there are more planes or buffers than [`limits::PLANES`].
    pub fn planes(&self) -> Result<impl Iterator<Item = (u32, u32)>, DecodeError> {
        for (count, at) in
            [(self.num_planes, "GlScanout2Unix.num_planes"), (self.num_dma_bufs, "GlScanout2Unix.num_dma_bufs")]
        {
            if usize::from(count) > limits::PLANES {
                let kind = DecodeErrorKind::TooMany { count: count.into(), max: to_u32(limits::PLANES) };
                return Err(DecodeError::new(kind).at(at));
            }
        }
        Ok(self.offset.0.into_iter().zip(self.stride.0).take(usize::from(self.num_planes)))
    }
}

/// A number for each plane: four `u32`, unused ones 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerPlane(pub [u32; limits::PLANES]);

impl Field<'_> for PerPlane {
    const WIRE: &'static str = "u32[4]";
    const MIN: usize = 4 * limits::PLANES;
    const FIXED: bool = true;

    #[inline]
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let planes: [U32; limits::PLANES] = zerocopy::transmute!(r.array::<{ 4 * limits::PLANES }>()?);
        Ok(Self(planes.map(U32::get)))
    }

    #[inline]
    fn write(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        w.put(zerocopy::IntoBytes::as_bytes(&self.0.map(U32::new)))
    }
}

impl Sample for PerPlane {
    fn sample(s: &mut Sampler) -> Self {
        Self(core::array::from_fn(|_| u32::sample(s)))
    }
}
