//! An encoded picture, and its image on the wire.

use bytes::Bytes;
use sumac_backends::Frame;
use sumac_core::proto::picture::{
    Bitmap, BitmapFlags, BitmapFormat, Image, ImageBody, ImageFlags, PaletteRef, ZlibGlz,
};
use sumac_core::wire::{At, Data, Sized32};

use crate::source::Rect;

/// An encoded picture: what kind of image, and its bytes.
#[derive(Clone)]
pub(super) struct Encoded {
    pub(super) body: Body,
    pub(super) payload: Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    Rows {
        stride: u32,
    },
    Lz,
    Lz4,
    Quic,
    Glz,
    /// Bytes after inflating.
    ZlibGlz {
        glz_size: u32,
    },
    Jpeg,
}

/// Full-width rows are sent from where they lie; others are gathered.
pub(super) fn rows(frame: &Frame, rect: Rect) -> Option<Encoded> {
    let layout = frame.layout();
    let stride = layout.stride as usize;
    let row = rect.width as usize * 4;
    let start = rect.y as usize * stride + rect.x as usize * 4;
    if rect.width == layout.width && stride == row {
        let range = start..start + row * rect.height as usize;
        frame.pixels().get(range.clone())?;
        let payload = Bytes::from_owner(FrameBytes { frame: frame.clone() }).slice(range);
        return Some(Encoded { body: Body::Rows { stride: layout.stride }, payload });
    }
    let mut rows = Vec::with_capacity(row * rect.height as usize);
    for y in 0..rect.height as usize {
        let at = start + y * stride;
        rows.extend_from_slice(frame.pixels().get(at..at + row)?);
    }
    Some(Encoded { body: Body::Rows { stride: rect.width * 4 }, payload: rows.into() })
}

/// Keeps the frame as long as its bytes are on their way.
struct FrameBytes {
    frame: Frame,
}

impl AsRef<[u8]> for FrameBytes {
    fn as_ref(&self) -> &[u8] {
        self.frame.pixels()
    }
}

impl Encoded {
    /// The image on the wire.
    pub(super) fn image(&self, id: u64, flags: ImageFlags, rect: Rect) -> Image<'static> {
        let data = Data::Promised(self.payload.len());
        let body = match self.body {
            Body::Rows { stride } => ImageBody::Bitmap(Bitmap {
                format: BitmapFormat::THIRTY_TWO_BIT,
                flags: BitmapFlags::TOP_DOWN,
                x: rect.width,
                y: rect.height,
                stride,
                palette: PaletteRef::Here(At(None)),
                data,
            }),
            Body::Lz => ImageBody::LzRgb(Sized32(data)),
            Body::Lz4 => ImageBody::Lz4(Sized32(data)),
            Body::Quic => ImageBody::Quic(Sized32(data)),
            Body::Glz => ImageBody::GlzRgb(Sized32(data)),
            Body::ZlibGlz { glz_size } => ImageBody::ZlibGlzRgb(ZlibGlz { glz_size, data: Sized32(data) }),
            Body::Jpeg => ImageBody::Jpeg(Sized32(data)),
        };
        Image { id, flags, width: rect.width, height: rect.height, body }
    }
}

/// The image of this id in the client's cache.
pub(super) fn from_cache(id: u64, rect: Rect) -> Image<'static> {
    let Rect { width, height, .. } = rect;
    Image { id, flags: ImageFlags::empty(), width, height, body: ImageBody::FromCache }
}
