//! Bitmaps and palettes.

use zerocopy::little_endian::U32;

use crate::limits;
use crate::wire::{
    At, Counted, Data, DecodeError, EncodeError, Field, FieldForm, Reader, Sample, Sampler, Writer, to_u32, to_usize,
};

open_enum! {
    /// Layout of a pixel (SpiceBitmapFmt).
    pub struct BitmapFormat: u8 {
        /// Not a format.
        INVALID = 0,
        /// Palette, 8 pixels a byte, the lowest bit first.
        ONE_BIT_LE = 1,
        /// Palette, 8 pixels a byte, the highest bit first.
        ONE_BIT_BE = 2,
        /// Palette, 2 pixels a byte, the low half first.
        FOUR_BIT_LE = 3,
        /// Palette, 2 pixels a byte, the high half first.
        FOUR_BIT_BE = 4,
        /// Palette, a byte a pixel.
        EIGHT_BIT = 5,
        /// x1r5g5b5.
        SIXTEEN_BIT = 6,
        /// Bytes b, g, r.
        TWENTY_FOUR_BIT = 7,
        /// Bytes b, g, r and an unused one.
        THIRTY_TWO_BIT = 8,
        /// Bytes b, g, r, a; premultiplied.
        RGBA = 9,
        /// Alpha only, a byte a pixel.
        EIGHT_BIT_A = 10,
    }
}

flags! {
    /// Where a bitmap's palette is and which row comes first.
    pub struct BitmapFlags: u8 {
        /// The client keeps the palette under its id.
        const PAL_CACHE_ME = 1;
        /// The palette is the kept one of that id. Written as [`PaletteRef`] has it.
        const PAL_FROM_CACHE = 2;
        /// The first row is the top one.
        const TOP_DOWN = 4;
    }
}

fields! {
    /// Colours by number.
    pub struct Palette<'a> {
        /// Its id in the client's palette cache; 0 when it is not to be kept.
        unique: u64,
        /// The colours, as xRGB.
        entries: Counted<'a, u16, U32, { limits::PALETTE }>,
    }
}

/// A palette, or the id of one that the client keeps; BitmapFlags::PAL_FROM_CACHE tells which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaletteRef<'a> {
    /// `u32` offset of a [`Palette`], 0 = none.
    Here(At<Palette<'a>>),
    /// `u64` id.
    FromCache(u64),
}

impl<'a> PaletteRef<'a> {
    #[inline]
    fn read(flags: BitmapFlags, r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        if flags.contains(BitmapFlags::PAL_FROM_CACHE) {
            u64::read(r).map(Self::FromCache)
        } else {
            At::read(r).map(Self::Here)
        }
    }

    /// The flags with PAL_FROM_CACHE as it must be.
    #[inline]
    fn mark(&self, mut flags: BitmapFlags) -> BitmapFlags {
        flags.set(BitmapFlags::PAL_FROM_CACHE, matches!(self, Self::FromCache(_)));
        flags
    }

    #[inline]
    fn write(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        match self {
            Self::Here(palette) => palette.write(w),
            Self::FromCache(id) => id.write(w),
        }
    }

    #[inline]
    const fn inline_size(&self) -> usize {
        match self {
            Self::Here(_) => 4,
            Self::FromCache(_) => 8,
        }
    }

    #[inline]
    fn write_targets(&self, w: &mut Writer<'_>, at: usize) -> Result<(), EncodeError> {
        match self {
            Self::Here(palette) => palette.write_targets(w, at),
            Self::FromCache(_) => Ok(()),
        }
    }

    #[inline]
    fn targets_size(&self) -> usize {
        match self {
            Self::Here(palette) => palette.targets_size(),
            Self::FromCache(_) => 0,
        }
    }
}

impl Sample for PaletteRef<'static> {
    fn sample(s: &mut Sampler) -> Self {
        if s.below(3) == 0 { Self::FromCache(s.number()) } else { Self::Here(At::sample(s)) }
    }
}

/// Uncompressed rows: `u8` format, `u8` flags, `u32` width, height and stride, the palette, then
/// `height` × `stride` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bitmap<'a> {
    /// Layout of a pixel.
    pub format: BitmapFormat,
    /// Order of rows; PAL_FROM_CACHE is written as `palette` has it.
    pub flags: BitmapFlags,
    /// Pixels in a row.
    pub x: u32,
    /// Rows.
    pub y: u32,
    /// Bytes from one row to the next.
    pub stride: u32,
    /// Colours, for the formats that have numbers.
    pub palette: PaletteRef<'a>,
    /// The rows.
    pub data: Data<'a>,
}

impl Bitmap<'_> {
    /// Its fields, in wire order.
    pub const FIELDS: &'static [FieldForm] = &[
        FieldForm::of::<BitmapFormat>("format"),
        FieldForm::of::<BitmapFlags>("flags"),
        FieldForm::of::<u32>("x"),
        FieldForm::of::<u32>("y"),
        FieldForm::of::<u32>("stride"),
        FieldForm::words("palette", "u64 id with PAL_FROM_CACHE, else offset of Palette", 4),
        FieldForm::words("data", "y × stride bytes", 0),
    ];

    const HEAD: usize = 14;

    #[inline]
    fn data_size(y: u32, stride: u32) -> usize {
        to_usize(y).saturating_mul(to_usize(stride))
    }
}

impl<'a> Field<'a> for Bitmap<'a> {
    const WIRE: &'static str = "Bitmap";
    const MIN: usize = Self::HEAD + 4;

    #[inline]
    fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let format = BitmapFormat::read(r)?;
        let flags = BitmapFlags::read(r)?;
        let (x, y, stride) = (u32::read(r)?, u32::read(r)?, u32::read(r)?);
        let palette = PaletteRef::read(flags, r)?;
        let data = Data::Here(r.take(Self::data_size(y, stride))?);
        Ok(Self { format, flags, x, y, stride, palette, data })
    }

    #[inline]
    fn write(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        let said = Self::data_size(self.y, self.stride);
        if said != self.data.len() {
            return Err(EncodeError::Length { said, got: self.data.len() });
        }
        self.format.write(w)?;
        self.palette.mark(self.flags).write(w)?;
        self.x.write(w)?;
        self.y.write(w)?;
        self.stride.write(w)?;
        self.palette.write(w)?;
        self.data.write(w)
    }

    #[inline]
    fn inline_size(&self) -> usize {
        Self::HEAD.saturating_add(self.palette.inline_size()).saturating_add(self.data.len())
    }

    #[inline]
    fn write_targets(&self, w: &mut Writer<'_>, at: usize) -> Result<(), EncodeError> {
        self.palette.write_targets(w, at.saturating_add(Self::HEAD))
    }

    #[inline]
    fn targets_size(&self) -> usize {
        self.palette.targets_size()
    }
}

impl Sample for Bitmap<'static> {
    fn sample(s: &mut Sampler) -> Self {
        let data = s.bytes(64);
        let palette = PaletteRef::sample(s);
        Self {
            format: BitmapFormat::sample(s),
            flags: palette.mark(BitmapFlags::sample(s)),
            x: u32::sample(s),
            y: 1,
            stride: to_u32(data.len()),
            palette,
            data: Data::Here(data),
        }
    }
}

/// LZ with a palette: `u8` flags, `u32` size, the palette, then that many bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LzPalette<'a> {
    /// As a bitmap's.
    pub flags: BitmapFlags,
    /// Colours; never none.
    pub palette: PaletteRef<'a>,
    /// The LZ stream.
    pub data: Data<'a>,
}

impl LzPalette<'_> {
    /// Its fields, in wire order.
    pub const FIELDS: &'static [FieldForm] = &[
        FieldForm::of::<BitmapFlags>("flags"),
        FieldForm::words("size", "u32", 4),
        FieldForm::words("palette", "u64 id with PAL_FROM_CACHE, else offset of Palette", 4),
        FieldForm::words("data", "size bytes", 0),
    ];

    const HEAD: usize = 5;
}

impl<'a> Field<'a> for LzPalette<'a> {
    const WIRE: &'static str = "LzPalette";
    const MIN: usize = Self::HEAD + 4;

    #[inline]
    fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let flags = BitmapFlags::read(r)?;
        let size = u32::read(r)?;
        let palette = PaletteRef::read(flags, r)?;
        Ok(Self { flags, palette, data: Data::Here(r.take(to_usize(size))?) })
    }

    #[inline]
    fn write(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        let count = self.data.len();
        self.palette.mark(self.flags).write(w)?;
        u32::try_from(count).map_err(|_| EncodeError::Count { count })?.write(w)?;
        self.palette.write(w)?;
        self.data.write(w)
    }

    #[inline]
    fn inline_size(&self) -> usize {
        Self::HEAD.saturating_add(self.palette.inline_size()).saturating_add(self.data.len())
    }

    #[inline]
    fn write_targets(&self, w: &mut Writer<'_>, at: usize) -> Result<(), EncodeError> {
        self.palette.write_targets(w, at.saturating_add(Self::HEAD))
    }

    #[inline]
    fn targets_size(&self) -> usize {
        self.palette.targets_size()
    }
}

impl Sample for LzPalette<'static> {
    fn sample(s: &mut Sampler) -> Self {
        let palette = PaletteRef::sample(s);
        Self { flags: palette.mark(BitmapFlags::sample(s)), palette, data: Data::sample(s) }
    }
}
