//! A rectangle of a frame as an image on the wire.

use bytes::Bytes;
use sumac_backends::Frame;
use sumac_core::image::lz;
use sumac_core::image::lz4::Lz4Encoder;
use sumac_core::image::{PixelFormat, Pixels};
use sumac_core::proto::picture::{Bitmap, BitmapFlags, BitmapFormat, Image, ImageBody, ImageFlags, PaletteRef};
use sumac_core::wire::{At, Data, Sized32};

use crate::source::Rect;

/// How pictures are compressed for one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::viewer) enum Compression {
    /// Rows as they are.
    Raw,
    /// LZ4, for clients with LZ4_COMPRESSION.
    Lz4,
    /// LZ, which every client decodes.
    Lz,
}

/// Bytes below which compressing costs more than it gives.
const WORTH_IT: usize = 256;

/// An encoded picture: what kind of image, and its bytes.
pub(super) struct Encoded {
    body: Body,
    pub(super) payload: Bytes,
}

enum Body {
    Rows { stride: u32 },
    Lz4,
    Lz,
}

/// Encodes pictures of one client.
pub(super) enum PictureEncoder {
    Raw,
    Lz4(Box<Lz4Encoder>),
    /// With the encoder's working memory.
    Lz(Vec<u32>),
}

impl PictureEncoder {
    pub(super) fn new(compression: Compression) -> Self {
        match compression {
            Compression::Raw => Self::Raw,
            Compression::Lz4 => Self::Lz4(Box::new(Lz4Encoder::new())),
            Compression::Lz => Self::Lz(vec![0; lz::MAX_MEMORY]),
        }
    }

    /// Encodes `rect`, which lies inside the frame.
    pub(super) fn encode(&mut self, frame: &Frame, rect: Rect) -> Option<Encoded> {
        let bytes = rect.width as usize * rect.height as usize * 4;
        let compressed = match self {
            _ if bytes < WORTH_IT => None,
            Self::Raw => None,
            Self::Lz4(lz4) => compress(frame, rect, Body::Lz4, Lz4Encoder::max_len, |p, out| lz4.encode(p, out)),
            Self::Lz(memory) => compress(frame, rect, Body::Lz, |_| bytes, |p, out| lz::encode(p, memory, out)),
        };
        compressed.filter(|encoded| encoded.payload.len() < bytes).or_else(|| encode_raw(frame, rect))
    }
}

/// Full-width rows are sent from where they lie; others are gathered.
fn encode_raw(frame: &Frame, rect: Rect) -> Option<Encoded> {
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

/// Compresses the rectangle with `encode` into at most `most` bytes.
fn compress(
    frame: &Frame,
    rect: Rect,
    body: Body,
    most: impl FnOnce(&Pixels<'_>) -> usize,
    encode: impl FnOnce(&Pixels<'_>, &mut [u8]) -> Option<usize>,
) -> Option<Encoded> {
    let layout = frame.layout();
    let start = rect.y as usize * layout.stride as usize + rect.x as usize * 4;
    let bytes = frame.pixels().get(start..)?;
    let pixels = Pixels::new(bytes, PixelFormat::Rgb32, rect.width, rect.height, layout.stride as usize).ok()?;
    let mut out = vec![0; most(&pixels)];
    let len = encode(&pixels, &mut out)?;
    out.truncate(len);
    out.shrink_to_fit();
    Some(Encoded { body, payload: out.into() })
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
    pub(super) fn image(&self, id: u64, rect: Rect) -> Image<'static> {
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
            Body::Lz4 => ImageBody::Lz4(Sized32(data)),
            Body::Lz => ImageBody::LzRgb(Sized32(data)),
        };
        Image { id, flags: ImageFlags::empty(), width: rect.width, height: rect.height, body }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sumac_backends::Layout;

    /// Four rows of a ramp that repeats, in a wider frame.
    fn frame() -> Frame {
        let pixels: Vec<u8> = (0..64 * 64 * 4).map(|i| ((i / 4) % 8 * 30) as u8).collect();
        Frame::from_memory(Layout { width: 64, height: 64, stride: 256 }, pixels).unwrap()
    }

    fn kind(compression: Compression, rect: Rect) -> (&'static str, usize) {
        let encoded = PictureEncoder::new(compression).encode(&frame(), rect).unwrap();
        let kind = match encoded.body {
            Body::Rows { .. } => "rows",
            Body::Lz4 => "lz4",
            Body::Lz => "lz",
        };
        (kind, encoded.payload.len())
    }

    #[test]
    fn what_pays_is_compressed_and_the_rest_sent_as_it_is() {
        let all = Rect { x: 0, y: 0, width: 64, height: 64 };
        assert_eq!(kind(Compression::Raw, all), ("rows", 64 * 64 * 4));
        for (compression, name) in [(Compression::Lz4, "lz4"), (Compression::Lz, "lz")] {
            let (kind_of_all, len) = kind(compression, all);
            assert!(kind_of_all == name && len < 64 * 64, "{name}: {len}");
            let small = Rect { x: 3, y: 3, width: 7, height: 9 };
            assert_eq!(kind(compression, small), ("rows", 7 * 9 * 4), "too small to pay");
        }
    }

    #[test]
    fn rows_of_the_whole_width_are_sent_from_where_they_lie() {
        let frame = frame();
        let band = Rect { x: 0, y: 8, width: 64, height: 4 };
        let encoded = PictureEncoder::new(Compression::Raw).encode(&frame, band).unwrap();
        assert_eq!(encoded.payload.as_ptr(), frame.pixels()[8 * 256..].as_ptr());
        let part = Rect { x: 1, ..band };
        let Rect { width, .. } = part;
        assert!(PictureEncoder::new(Compression::Raw).encode(&frame, Rect { width: width - 1, ..part }).is_some());
        assert!(PictureEncoder::new(Compression::Raw).encode(&frame, Rect { y: 63, height: 2, ..part }).is_none());
    }
}
