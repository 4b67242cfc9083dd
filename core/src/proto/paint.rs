//! What drawing is done with: brushes, masks, lines, text (protocol.md §12).

use zerocopy::little_endian::I32;

use crate::limits;
use crate::proto::picture::Image;
use crate::proto::shape::Point;
use crate::wire::{
    At, DecodeError, DecodeErrorKind, EncodeError, Field, Items, Reader, Sample, SampleItems, Sampler, Writer,
    read_records, to_u32,
};

flags! {
    /// How source, brush and destination are combined (SpiceRopd, protocol.md §12.8).
    pub struct Rop: u16 {
        /// Invert the source first.
        const INVERS_SRC = 0x001;
        /// Invert the brush first.
        const INVERS_BRUSH = 0x002;
        /// Invert the destination first.
        const INVERS_DEST = 0x004;
        /// Copy.
        const OP_PUT = 0x008;
        /// Bitwise or.
        const OP_OR = 0x010;
        /// Bitwise and.
        const OP_AND = 0x020;
        /// Bitwise exclusive or.
        const OP_XOR = 0x040;
        /// All zeros.
        const OP_BLACKNESS = 0x080;
        /// All ones.
        const OP_WHITENESS = 0x100;
        /// Invert the destination.
        const OP_INVERS = 0x200;
        /// Invert the result.
        const INVERS_RES = 0x400;
    }
}

open_enum! {
    /// How a picture is made larger or smaller.
    pub struct ScaleMode: u8 {
        /// Smoothly.
        INTERPOLATE = 0,
        /// By the nearest pixel.
        NEAREST = 1,
    }
}

flags! {
    /// Which sides of an alpha blend carry alpha.
    pub struct AlphaFlags: u8 {
        /// The destination does.
        const DEST_HAS_ALPHA = 1;
        /// The source surface does.
        const SRC_SURFACE_HAS_ALPHA = 2;
    }
}

fields! {
    /// A picture that is repeated.
    pub struct Pattern<'a> {
        /// The picture; never none.
        image: At<Image<'a>>,
        /// Where one of its corners lies.
        pos: Point,
    }
}

tagged! {
    /// What an area is filled with.
    pub enum Brush<'a>: u8 {
        /// Nothing.
        0 None,
        /// One colour, as xRGB.
        1 Solid(color: u32),
        /// A picture, over and over.
        2 Pattern(pattern: Pattern<'a>),
    }
}

flags! {
    /// How a mask is read.
    pub struct MaskFlags: u8 {
        /// Zeros are drawn, not ones.
        const INVERS = 1;
    }
}

fields! {
    /// Which pixels of the box are drawn (QMask).
    pub struct Mask<'a> {
        /// How it is read.
        flags: MaskFlags,
        /// The place in the bitmap that lies on the box's corner.
        pos: Point,
        /// A bitmap of one bit a pixel, or none: all of them.
        bitmap: At<Image<'a>>,
    }
}

flags! {
    /// How a line is dashed.
    pub struct LineFlags: u8 {
        /// The first dash is a gap.
        const START_WITH_GAP = 4;
        /// There are dashes. Set when written exactly when there is a style.
        const STYLED = 8;
    }
}

/// LineAttr: `u8` flags; with STYLED a `u8` count and a pointer to that many `i32` dash lengths in
/// 28.4 fixed point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineAttr<'a> {
    /// How it is dashed.
    pub flags: LineFlags,
    /// The lengths of dash and gap in turn.
    pub style: Option<&'a [I32]>,
}

impl LineAttr<'_> {
    fn wire_flags(&self) -> LineFlags {
        let mut flags = self.flags;
        flags.set(LineFlags::STYLED, self.style.is_some());
        flags
    }
}

impl<'a> Field<'a> for LineAttr<'a> {
    const WIRE: &'static str = "u8 flags LineFlags; with STYLED: u8 count, u32 offset of count i32";
    const MIN: usize = 1;

    fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let flags = LineFlags::read(r)?;
        if !flags.contains(LineFlags::STYLED) {
            return Ok(Self { flags, style: None });
        }
        let count = u8::read(r)?;
        let style = match (u32::read(r)?, count) {
            (0, 0) => [].as_slice(),
            (offset, _) => r.follow(offset, |r| read_records(r, count.into(), limits::LINE_STYLE))?,
        };
        Ok(Self { flags, style: Some(style) })
    }

    fn write(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        self.wire_flags().write(w)?;
        let Some(style) = self.style else { return Ok(()) };
        let count = style.len();
        u8::try_from(count).map_err(|_| EncodeError::Count { count })?.write(w)?;
        0u32.write(w)
    }

    fn inline_size(&self) -> usize {
        if self.style.is_some() { 6 } else { 1 }
    }

    fn write_targets(&self, w: &mut Writer<'_>, at: usize) -> Result<(), EncodeError> {
        match self.style {
            None | Some([]) => Ok(()),
            Some(style) => {
                w.patch_u32(at.saturating_add(2), to_u32(w.position()));
                w.put(zerocopy::IntoBytes::as_bytes(style))
            }
        }
    }

    fn targets_size(&self) -> usize {
        self.style.map_or(0, size_of_val)
    }
}

impl Sample for LineAttr<'static> {
    fn sample(s: &mut Sampler) -> Self {
        let style = (s.below(3) != 0).then(|| s.records(4));
        let line = Self { flags: LineFlags::sample(s), style };
        Self { flags: line.wire_flags(), style }
    }
}

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
    const WIRE: &'static str = "u16 count, u8 flags StringFlags, count glyphs";
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
