//! What each kind of drawing has: the union of [`super::Drawable`].

use crate::proto::shape::{Point, Point16, Rect};
use crate::wire::{DecodeError, EncodeError, Field, Reader, Sample, Sampler, Writer};

/// QXLBrush: `u32` type, then 12 bytes: a colour, or an image's address; and 8 bytes of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Brush {
    /// 0: nothing.
    None,
    /// 1: one colour.
    Solid(u32),
    /// 2: the image of this address, over and over from this place.
    Pattern(u64, Point),
    /// Another type.
    Unknown(u32),
}

impl Field<'_> for Brush {
    const WIRE: &'static str = "QXLBrush";
    const MIN: usize = 20;
    const FIXED: bool = true;

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let kind = u32::read(r)?;
        let (low, high, pos) = (u32::read(r)?, u32::read(r)?, Point::read(r)?);
        Ok(match kind {
            0 => Self::None,
            1 => Self::Solid(low),
            2 => Self::Pattern(u64::from(high) << 32 | u64::from(low), pos),
            other => Self::Unknown(other),
        })
    }

    fn write(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        let (kind, value, pos) = match *self {
            Self::None => (0, 0, Point::new(0, 0)),
            Self::Solid(color) => (1, u64::from(color), Point::new(0, 0)),
            Self::Pattern(image, pos) => (2, image, pos),
            Self::Unknown(kind) => (kind, 0, Point::new(0, 0)),
        };
        kind.write(w)?;
        value.write(w)?;
        pos.write(w)
    }
}

impl Sample for Brush {
    fn sample(s: &mut Sampler) -> Self {
        match s.below(3) {
            0 => Self::None,
            1 => Self::Solid(u32::sample(s)),
            _ => Self::Pattern(u64::sample(s), Point::sample(s)),
        }
    }
}

fields! {
    /// QXLQMask.
    pub struct QMask {
        /// How it is read.
        flags: u8,
        /// The place in the bitmap that lies on the box's corner.
        pos: Point,
        /// An image, or 0.
        bitmap: u64,
    }
}

fields! {
    /// QXLFill.
    pub struct Fill {
        /// With what.
        brush: Brush,
        /// How.
        rop: u16,
        /// Through what.
        mask: QMask,
    }
}

fields! {
    /// QXLOpaque.
    pub struct Opaque {
        /// The image.
        src: u64,
        /// Which part of it.
        src_area: Rect,
        /// The brush.
        brush: Brush,
        /// How.
        rop: u16,
        /// How the image is scaled.
        scale_mode: u8,
        /// Through what.
        mask: QMask,
    }
}

fields! {
    /// QXLCopy, which is QXLBlend, too.
    pub struct Copy {
        /// The image.
        src: u64,
        /// Which part of it.
        src_area: Rect,
        /// How.
        rop: u16,
        /// How the image is scaled.
        scale_mode: u8,
        /// Through what.
        mask: QMask,
    }
}

fields! {
    /// QXLTransparent.
    pub struct Transparent {
        /// The image.
        src: u64,
        /// Which part of it.
        src_area: Rect,
        /// The colour that is left out, in the image's format.
        src_color: u32,
        /// The same as xRGB.
        true_color: u32,
    }
}

fields! {
    /// QXLAlphaBlend.
    pub struct AlphaBlend {
        /// Which sides carry alpha.
        alpha_flags: u16,
        /// One more alpha, 255 = opaque.
        alpha: u8,
        /// The image.
        src: u64,
        /// Which part of it.
        src_area: Rect,
    }
}

fields! {
    /// QXLCompatAlphaBlend.
    pub struct CompatAlphaBlend {
        /// One more alpha, 255 = opaque.
        alpha: u8,
        /// The image.
        src: u64,
        /// Which part of it.
        src_area: Rect,
    }
}

fields! {
    /// QXLRop3.
    pub struct Rop3 {
        /// The image.
        src: u64,
        /// Which part of it.
        src_area: Rect,
        /// The brush.
        brush: Brush,
        /// The truth table.
        rop3: u8,
        /// How the image is scaled.
        scale_mode: u8,
        /// Through what.
        mask: QMask,
    }
}

fields! {
    /// QXLLineAttr.
    pub struct LineAttr {
        /// How it is dashed.
        flags: u8,
        /// Not looked at, as by every canvas.
        join_style: u8,
        /// Not looked at.
        end_style: u8,
        /// Lengths in `style`.
        style_nseg: u8,
        /// Not looked at: lines are one pixel wide.
        width: i32,
        /// Not looked at.
        miter_limit: i32,
        /// That many `i32`.
        style: u64,
    }
}

fields! {
    /// QXLStroke.
    pub struct Stroke {
        /// A [`Path`].
        path: u64,
        /// How it is dashed.
        attr: LineAttr,
        /// With what.
        brush: Brush,
        /// How dashes are drawn.
        fore_mode: u16,
        /// How gaps are.
        back_mode: u16,
    }
}

fields! {
    /// QXLPath; its segments lie in a chain of chunks whose first is right behind.
    pub struct Path {
        /// Bytes of all segments.
        data_size: u32,
    }
}

fields! {
    /// QXLPathSeg; its points follow.
    pub struct PathSeg {
        /// What it is.
        flags: u32,
        /// How many points.
        count: u32,
    }
}

fields! {
    /// QXLText.
    pub struct Text {
        /// A [`GlyphString`].
        string: u64,
        /// What is filled behind the glyphs.
        back_area: Rect,
        /// Their colour.
        fore_brush: Brush,
        /// That of what is behind.
        back_brush: Brush,
        /// How they are drawn.
        fore_mode: u16,
        /// How what is behind is.
        back_mode: u16,
    }
}

fields! {
    /// QXLString; its glyphs lie in a chain of chunks whose first is right behind.
    pub struct GlyphString {
        /// Bytes of all glyphs.
        data_size: u32,
        /// How many glyphs.
        length: u16,
        /// Their depth and direction.
        flags: u16,
    }
}

fields! {
    /// QXLComposite.
    pub struct Composite {
        /// Operator, filters, repetition.
        flags: u32,
        /// The image.
        src: u64,
        /// A QXLTransform, or 0.
        src_transform: u64,
        /// The mask, or 0.
        mask: u64,
        /// A QXLTransform, or 0.
        mask_transform: u64,
        /// The image's pixel on the box's corner.
        src_origin: Point16,
        /// The mask's.
        mask_origin: Point16,
    }
}
