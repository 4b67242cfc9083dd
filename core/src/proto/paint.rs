//! What drawing is done with: brushes, masks, lines.

use zerocopy::little_endian::I32;

use crate::limits;
use crate::proto::picture::Image;
use crate::proto::shape::Point;
use crate::wire::{
    At, DecodeError, EncodeError, Field, FieldForm, Reader, Sample, Sampler, Writer, read_records, to_u32,
};

flags! {
    /// How source, brush and destination are combined (SpiceRopd).
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
    /// Its fields, in wire order.
    pub const FIELDS: &'static [FieldForm] = &[
        FieldForm::of::<LineFlags>("flags"),
        FieldForm::words("count", "with STYLED: u8", 0),
        FieldForm::words("style", "with STYLED: offset of count i32", 0),
    ];

    fn wire_flags(&self) -> LineFlags {
        let mut flags = self.flags;
        flags.set(LineFlags::STYLED, self.style.is_some());
        flags
    }
}

impl<'a> Field<'a> for LineAttr<'a> {
    const WIRE: &'static str = "LineAttr";
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
