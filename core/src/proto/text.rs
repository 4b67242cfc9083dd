//! Text: glyphs as bitmaps.

use crate::limits;
use crate::proto::shape::Point;
use crate::wire::{
    DecodeError, DecodeErrorKind, EncodeError, Field, FieldForm, Items, Reader, Sample, SampleItems, Sampler, Writer,
};

/// A glyph of `BITS` bits a pixel (RasterGlyph): two points, `u16` width and height, then `height`
/// rows of whole bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glyph<'a, const BITS: usize> {
    /// Where it is drawn.
    pub render_pos: Point,
    /// Its origin relative to that.
    pub glyph_origin: Point,
    /// Pixels in a row.
    pub width: u16,
    /// Rows.
    pub height: u16,
    /// The rows.
    pub data: &'a [u8],
}

impl<const BITS: usize> Glyph<'_, BITS> {
    /// Bytes of a glyph's rows.
    #[must_use]
    pub fn data_size(width: u16, height: u16) -> usize {
        usize::from(width).saturating_mul(BITS).div_ceil(8).saturating_mul(usize::from(height))
    }
}

impl<'a, const BITS: usize> Field<'a> for Glyph<'a, BITS> {
    const WIRE: &'static str = "Point render_pos, Point glyph_origin, u16 width, u16 height, rows";
    const MIN: usize = 20;

    fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let (render_pos, glyph_origin) = (Point::read(r)?, Point::read(r)?);
        let (width, height) = (u16::read(r)?, u16::read(r)?);
        let data = r.take(Self::data_size(width, height))?;
        Ok(Self { render_pos, glyph_origin, width, height, data })
    }

    fn write(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        let said = Self::data_size(self.width, self.height);
        if said != self.data.len() {
            return Err(EncodeError::Length { said, got: self.data.len() });
        }
        self.render_pos.write(w)?;
        self.glyph_origin.write(w)?;
        self.width.write(w)?;
        self.height.write(w)?;
        w.put(self.data)
    }

    fn inline_size(&self) -> usize {
        Self::MIN.saturating_add(self.data.len())
    }
}

flags! {
    /// Depth and direction of glyphs.
    pub struct StringFlags: u8 {
        /// One bit a pixel.
        const RASTER_A1 = 1;
        /// Four bits a pixel.
        const RASTER_A4 = 2;
        /// Eight bits a pixel.
        const RASTER_A8 = 4;
        /// The first row is the top one.
        const RASTER_TOP_DOWN = 8;
    }
}

/// Glyphs, all of one depth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glyphs<'a> {
    /// One bit a pixel.
    A1(Items<'a, Glyph<'a, 1>>),
    /// Four bits a pixel.
    A4(Items<'a, Glyph<'a, 4>>),
    /// Eight bits a pixel.
    A8(Items<'a, Glyph<'a, 8>>),
}

/// String: `u16` count, `u8` flags, then that many glyphs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<'a> {
    /// Depth and direction; the depth is written as the glyphs have it.
    pub flags: StringFlags,
    /// The glyphs.
    pub glyphs: Glyphs<'a>,
}

/// Does the same with glyphs of each depth.
macro_rules! each_depth {
    ($glyphs:expr, $items:ident => $do:expr) => {
        match $glyphs {
            Glyphs::A1($items) => $do,
            Glyphs::A4($items) => $do,
            Glyphs::A8($items) => $do,
        }
    };
}

impl Text<'_> {
    /// Its fields, in wire order.
    pub const FIELDS: &'static [FieldForm] = &[
        FieldForm::words("count", "u16, at most 16384", 2),
        FieldForm::of::<StringFlags>("flags"),
        FieldForm::words("glyphs", "count of: Point render_pos, Point glyph_origin, u16 width, u16 height, rows", 0),
    ];

    const DEPTHS: StringFlags = StringFlags::RASTER_A1.union(StringFlags::RASTER_A4).union(StringFlags::RASTER_A8);

    fn wire_flags(&self) -> StringFlags {
        let depth = match self.glyphs {
            Glyphs::A1(_) => StringFlags::RASTER_A1,
            Glyphs::A4(_) => StringFlags::RASTER_A4,
            Glyphs::A8(_) => StringFlags::RASTER_A8,
        };
        self.flags.difference(Self::DEPTHS).union(depth)
    }
}

impl<'a> Field<'a> for Text<'a> {
    const WIRE: &'static str = "Text";
    const MIN: usize = 3;

    fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let count = u32::from(u16::read(r)?);
        let flags = StringFlags::read(r)?;
        let depth = flags.intersection(Self::DEPTHS);
        let glyphs = if depth == StringFlags::RASTER_A1 {
            Glyphs::A1(Items::read(r, count, limits::GLYPHS)?)
        } else if depth == StringFlags::RASTER_A4 {
            Glyphs::A4(Items::read(r, count, limits::GLYPHS)?)
        } else if depth == StringFlags::RASTER_A8 {
            Glyphs::A8(Items::read(r, count, limits::GLYPHS)?)
        } else {
            return Err(DecodeError::new(DecodeErrorKind::Value { value: flags.bits().into() }).at("Text.flags"));
        };
        Ok(Self { flags, glyphs })
    }

    fn write(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        let count = each_depth!(self.glyphs, items => items.len());
        if count > limits::GLYPHS {
            return Err(EncodeError::Count { count });
        }
        u16::try_from(count).map_err(|_| EncodeError::Count { count })?.write(w)?;
        self.wire_flags().write(w)?;
        each_depth!(self.glyphs, items => items.write(w))
    }

    fn inline_size(&self) -> usize {
        Self::MIN.saturating_add(each_depth!(self.glyphs, items => items.size()))
    }
}

impl<const BITS: usize> SampleItems for Glyph<'static, BITS> {
    const ITEMS: &'static [Self] = &[
        Glyph {
            render_pos: Point::new(-1, 2),
            glyph_origin: Point::new(3, -4),
            width: 8,
            height: 2,
            data: match BITS {
                1 => &[0x81, 0x42],
                4 => &[1, 2, 3, 4, 5, 6, 7, 8],
                _ => &[0; 16],
            },
        },
        Glyph { render_pos: Point::new(0, 0), glyph_origin: Point::new(0, 0), width: 3, height: 0, data: &[] },
    ];
}

impl Sample for Text<'static> {
    fn sample(s: &mut Sampler) -> Self {
        let glyphs = match s.below(3) {
            0 => Glyphs::A1(Items::sample(s)),
            1 => Glyphs::A4(Items::sample(s)),
            _ => Glyphs::A8(Items::sample(s)),
        };
        let text = Self { flags: StringFlags::sample(s), glyphs };
        Self { flags: text.wire_flags(), glyphs }
    }
}
