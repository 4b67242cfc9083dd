//! Images on the wire: descriptor, head, data.

mod bitmap;

pub use bitmap::{Bitmap, BitmapFlags, BitmapFormat, LzPalette, Palette, PaletteRef};

use crate::wire::{DecodeError, EncodeError, Field, FieldForm, Reader, Sample, Sampler, Sized32, Writer, to_usize};

flags! {
    /// What the client does with an image beside drawing it.
    pub struct ImageFlags: u8 {
        /// Keeps it in the pixmap cache under its id.
        const CACHE_ME = 1;
        /// May use a 32-bit image as opaque ARGB: the unused byte is all ones.
        const HIGH_BITS_SET = 2;
        /// Puts it in place of a lossy one of the same id.
        const CACHE_REPLACE_ME = 4;
    }
}

fields! {
    /// zlib over GLZ.
    pub struct ZlibGlz<'a> {
        /// Bytes of the GLZ stream after inflating.
        glz_size: u32,
        /// The zlib stream.
        data: Sized32<'a>,
    }
}

flags! {
    /// Orientation of JPEG_ALPHA's alpha rows.
    pub struct JpegAlphaFlags: u8 {
        /// The first row is the top one.
        const TOP_DOWN = 1;
    }
}

fields! {
    /// A JPEG picture and the LZ stream of its alpha.
    pub struct JpegAlpha<'a> {
        /// Orientation of the alpha rows.
        flags: JpegAlphaFlags,
        /// How many of the data's bytes are JPEG; the rest is an LZ stream of type XXXA.
        jpeg_size: u32,
        /// Both, one behind the other.
        data: Sized32<'a>,
    }
}

impl<'a> JpegAlpha<'a> {
    /// The JPEG picture and the LZ stream, when they are here and the first is not longer than both.
    #[must_use]
    pub fn parts(&self) -> Option<(&'a [u8], &'a [u8])> {
        self.data.0.bytes().split_at_checked(to_usize(self.jpeg_size))
    }
}

tagged! {
    /// The kinds of image, by their number in the descriptor (SpiceImageType).
    pub enum ImageBody<'a>: u8 {
        /// Uncompressed.
        0 Bitmap(bitmap: Bitmap<'a>),
        /// QUIC.
        1 Quic(data: Sized32<'a>),
        /// LZ with a palette.
        100 LzPlt(lz: LzPalette<'a>),
        /// LZ.
        101 LzRgb(data: Sized32<'a>),
        /// GLZ.
        102 GlzRgb(data: Sized32<'a>),
        /// The pixmap cache's image of the descriptor's id.
        103 FromCache,
        /// The content of a surface.
        104 Surface(surface_id: u32),
        /// JPEG, its rows top-down.
        105 Jpeg(data: Sized32<'a>),
        /// As `FromCache`, but a lossy one does not do.
        106 FromCacheLossless,
        /// zlib over GLZ.
        107 ZlibGlzRgb(zlib: ZlibGlz<'a>),
        /// JPEG and alpha.
        108 JpegAlpha(jpeg: JpegAlpha<'a>),
        /// LZ4.
        109 Lz4(data: Sized32<'a>),
    }
}

/// An image: `u64` id, `u8` type, `u8` flags, `u32` width, `u32` height, then what the type has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image<'a> {
    /// Its id in the pixmap cache.
    pub id: u64,
    /// What the client does with it.
    pub flags: ImageFlags,
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Type and content.
    pub body: ImageBody<'a>,
}

impl Image<'_> {
    /// Its fields, in wire order.
    pub const FIELDS: &'static [FieldForm] = &[
        FieldForm::of::<u64>("id"),
        FieldForm::words("type", "u8, the body's number", 1),
        FieldForm::of::<ImageFlags>("flags"),
        FieldForm::of::<u32>("width"),
        FieldForm::of::<u32>("height"),
        FieldForm::words("body", "ImageBody without its number", 0),
    ];

    /// Bytes of the descriptor.
    const DESCRIPTOR: usize = 18;
}

impl<'a> Field<'a> for Image<'a> {
    const WIRE: &'static str = "Image";
    const MIN: usize = Self::DESCRIPTOR;

    #[inline]
    fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let id = u64::read(r)?;
        let kind = u8::read(r)?;
        let flags = ImageFlags::read(r)?;
        let (width, height) = (u32::read(r)?, u32::read(r)?);
        let body = ImageBody::read_body(kind, r)?;
        Ok(Self { id, flags, width, height, body })
    }

    #[inline]
    fn write(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        self.id.write(w)?;
        self.body.tag().write(w)?;
        self.flags.write(w)?;
        self.width.write(w)?;
        self.height.write(w)?;
        self.body.write_body(w)
    }

    #[inline]
    fn inline_size(&self) -> usize {
        Self::DESCRIPTOR.saturating_add(self.body.body_size())
    }

    #[inline]
    fn write_targets(&self, w: &mut Writer<'_>, at: usize) -> Result<(), EncodeError> {
        self.body.write_body_targets(w, at.saturating_add(Self::DESCRIPTOR))
    }

    #[inline]
    fn targets_size(&self) -> usize {
        self.body.targets_size()
    }
}

impl Sample for Image<'static> {
    fn sample(s: &mut Sampler) -> Self {
        Self {
            id: s.number(),
            flags: ImageFlags::sample(s),
            width: u32::sample(s),
            height: u32::sample(s),
            body: ImageBody::sample(s),
        }
    }
}
