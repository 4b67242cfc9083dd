//! Drawing operations of the display channel.

use crate::proto::paint::{AlphaFlags, Brush, LineAttr, Mask, Rop, ScaleMode};
use crate::proto::picture::Image;
use crate::proto::shape::{Clip, Path, Point, Point16, Rect, Transform};
use crate::proto::text::Text;
use crate::wire::{At, DecodeError, EncodeError, Field, FieldForm, Message, Reader, Sample, Sampler, Writer};

fields! {
    /// Where something is drawn (DisplayBase).
    pub struct Base<'a> {
        /// On which surface.
        surface_id: u32,
        /// In which box.
        area: Rect,
        /// In which part of it.
        clip: Clip<'a>,
    }
}

message! {
    /// SPICE_MSG_DISPLAY_COPY_BITS: moves a part of the surface.
    104 pub struct CopyBits<'a> {
        /// To where.
        base: Base<'a>,
        /// From where: its top left corner.
        src_pos: Point,
    }
}

message! {
    /// SPICE_MSG_DISPLAY_DRAW_FILL.
    302 pub struct DrawFill<'a> {
        /// Where.
        base: Base<'a>,
        /// With what.
        brush: Brush<'a>,
        /// How.
        rop: Rop,
        /// Through what.
        mask: Mask<'a>,
    }
}

message! {
    /// SPICE_MSG_DISPLAY_DRAW_OPAQUE: a picture combined with a brush.
    303 pub struct DrawOpaque<'a> {
        /// Where.
        base: Base<'a>,
        /// The picture.
        src: At<Image<'a>>,
        /// Which part of it.
        src_area: Rect,
        /// The brush.
        brush: Brush<'a>,
        /// How they are combined.
        rop: Rop,
        /// How the picture is scaled.
        scale_mode: ScaleMode,
        /// Through what.
        mask: Mask<'a>,
    }
}

message! {
    /// SPICE_MSG_DISPLAY_DRAW_COPY: a picture.
    304 pub struct DrawCopy<'a> {
        /// Where.
        base: Base<'a>,
        /// The picture.
        src: At<Image<'a>>,
        /// Which part of it.
        src_area: Rect,
        /// How.
        rop: Rop,
        /// How the picture is scaled.
        scale_mode: ScaleMode,
        /// Through what.
        mask: Mask<'a>,
    }
}

message! {
    /// SPICE_MSG_DISPLAY_DRAW_BLEND: a picture combined with what is there.
    305 pub struct DrawBlend<'a> {
        /// Where.
        base: Base<'a>,
        /// The picture.
        src: At<Image<'a>>,
        /// Which part of it.
        src_area: Rect,
        /// How.
        rop: Rop,
        /// How the picture is scaled.
        scale_mode: ScaleMode,
        /// Through what.
        mask: Mask<'a>,
    }
}

message! {
    /// SPICE_MSG_DISPLAY_DRAW_BLACKNESS: all zeros.
    306 pub struct DrawBlackness<'a> {
        /// Where.
        base: Base<'a>,
        /// Through what.
        mask: Mask<'a>,
    }
}

message! {
    /// SPICE_MSG_DISPLAY_DRAW_WHITENESS: all ones.
    307 pub struct DrawWhiteness<'a> {
        /// Where.
        base: Base<'a>,
        /// Through what.
        mask: Mask<'a>,
    }
}

message! {
    /// SPICE_MSG_DISPLAY_DRAW_INVERS: every bit inverted.
    308 pub struct DrawInvers<'a> {
        /// Where.
        base: Base<'a>,
        /// Through what.
        mask: Mask<'a>,
    }
}

message! {
    /// SPICE_MSG_DISPLAY_DRAW_ROP3: source, brush and destination by a truth table.
    309 pub struct DrawRop3<'a> {
        /// Where.
        base: Base<'a>,
        /// The picture.
        src: At<Image<'a>>,
        /// Which part of it.
        src_area: Rect,
        /// The brush.
        brush: Brush<'a>,
        /// The truth table, indexed by brush, source, destination bit.
        rop3: u8,
        /// How the picture is scaled.
        scale_mode: ScaleMode,
        /// Through what.
        mask: Mask<'a>,
    }
}

message! {
    /// SPICE_MSG_DISPLAY_DRAW_STROKE: a line along a path.
    310 pub struct DrawStroke<'a> {
        /// Where.
        base: Base<'a>,
        /// The path.
        path: At<Path<'a>>,
        /// How it is dashed.
        attr: LineAttr<'a>,
        /// With what.
        brush: Brush<'a>,
        /// How dashes are drawn.
        fore_mode: Rop,
        /// How gaps are drawn.
        back_mode: Rop,
    }
}

message! {
    /// SPICE_MSG_DISPLAY_DRAW_TEXT: glyphs.
    311 pub struct DrawText<'a> {
        /// Where.
        base: Base<'a>,
        /// The glyphs.
        text: At<Text<'a>>,
        /// What is filled behind them.
        back_area: Rect,
        /// The glyphs' colour.
        fore_brush: Brush<'a>,
        /// The background's.
        back_brush: Brush<'a>,
        /// How glyphs are drawn.
        fore_mode: Rop,
        /// How the background is.
        back_mode: Rop,
    }
}

message! {
    /// SPICE_MSG_DISPLAY_DRAW_TRANSPARENT: a picture without its pixels of one colour.
    312 pub struct DrawTransparent<'a> {
        /// Where.
        base: Base<'a>,
        /// The picture.
        src: At<Image<'a>>,
        /// Which part of it.
        src_area: Rect,
        /// That colour in the picture's own format.
        src_color: u32,
        /// The same as xRGB.
        true_color: u32,
    }
}

message! {
    /// SPICE_MSG_DISPLAY_DRAW_ALPHA_BLEND.
    313 pub struct DrawAlphaBlend<'a> {
        /// Where.
        base: Base<'a>,
        /// Which sides carry alpha.
        alpha_flags: AlphaFlags,
        /// One more alpha for the whole picture, 255 = opaque.
        alpha: u8,
        /// The picture.
        src: At<Image<'a>>,
        /// Which part of it.
        src_area: Rect,
    }
}

flags! {
    /// Operator, filters and further fields of [`DrawComposite`].
    ///
    /// Bits 0–7 are the operator, 8–10 and 11–13 the filters of source and mask, 14–15 and 16–17
    /// their repetition.
    pub struct CompositeFlags: u32 {
        /// The mask's colour components are alphas of their own.
        const COMPONENT_ALPHA = 1 << 18;
        /// There is a mask. Written as the message has it.
        const HAS_MASK = 1 << 19;
        /// There is a transform of the source. Written as the message has it.
        const HAS_SRC_TRANSFORM = 1 << 20;
        /// There is a transform of the mask. Written as the message has it.
        const HAS_MASK_TRANSFORM = 1 << 21;
        /// The source is opaque.
        const SOURCE_OPAQUE = 1 << 22;
        /// The mask is opaque.
        const MASK_OPAQUE = 1 << 23;
        /// The destination is opaque.
        const DEST_OPAQUE = 1 << 24;
    }
}

/// SPICE_MSG_DISPLAY_DRAW_COMPOSITE: an operation of the X RENDER extension.
///
/// Message number 318. Written by hand because three of its fields are there only with their flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrawComposite<'a> {
    /// Where.
    pub base: Base<'a>,
    /// Operator, filters, repetition; the HAS bits are written as the fields below have it.
    pub flags: CompositeFlags,
    /// The picture.
    pub src: At<Image<'a>>,
    /// Its mask.
    pub mask: Option<At<Image<'a>>>,
    /// Maps destination to source.
    pub src_transform: Option<Transform>,
    /// Maps destination to mask.
    pub mask_transform: Option<Transform>,
    /// The source pixel on the box's corner.
    pub src_origin: Point16,
    /// The mask pixel on the box's corner.
    pub mask_origin: Point16,
}

impl DrawComposite<'_> {
    fn wire_flags(&self) -> CompositeFlags {
        let mut flags = self.flags;
        flags.set(CompositeFlags::HAS_MASK, self.mask.is_some());
        flags.set(CompositeFlags::HAS_SRC_TRANSFORM, self.src_transform.is_some());
        flags.set(CompositeFlags::HAS_MASK_TRANSFORM, self.mask_transform.is_some());
        flags
    }
}

/// Reads a field that is there only with its flag.
fn read_if<'a, T: Field<'a>>(there: bool, r: &mut Reader<'a>) -> Result<Option<T>, DecodeError> {
    if there { T::read(r).map(Some) } else { Ok(None) }
}

impl<'a> Field<'a> for DrawComposite<'a> {
    const WIRE: &'static str = "DrawComposite";
    const MIN: usize = Base::MIN + 4 + 4 + 2 * Point16::MIN;

    fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        fn named<'a, T: Field<'a>>(r: &mut Reader<'a>, at: &'static str) -> Result<T, DecodeError> {
            T::read(r).map_err(|e| e.at(at))
        }
        let base = named(r, "DrawComposite.base")?;
        let flags: CompositeFlags = named(r, "DrawComposite.flags")?;
        let src = named(r, "DrawComposite.src")?;
        let has = |flag| flags.contains(flag);
        let mask = read_if(has(CompositeFlags::HAS_MASK), r).map_err(|e| e.at("DrawComposite.mask"))?;
        let src_transform =
            read_if(has(CompositeFlags::HAS_SRC_TRANSFORM), r).map_err(|e| e.at("DrawComposite.src_transform"))?;
        let mask_transform =
            read_if(has(CompositeFlags::HAS_MASK_TRANSFORM), r).map_err(|e| e.at("DrawComposite.mask_transform"))?;
        let src_origin = named(r, "DrawComposite.src_origin")?;
        let mask_origin = named(r, "DrawComposite.mask_origin")?;
        Ok(Self { base, flags, src, mask, src_transform, mask_transform, src_origin, mask_origin })
    }

    fn write(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        self.base.write(w)?;
        self.wire_flags().write(w)?;
        self.src.write(w)?;
        self.mask.as_ref().map_or(Ok(()), |mask| mask.write(w))?;
        for transform in [&self.src_transform, &self.mask_transform].into_iter().flatten() {
            transform.write(w)?;
        }
        self.src_origin.write(w)?;
        self.mask_origin.write(w)
    }

    fn inline_size(&self) -> usize {
        let transforms = [self.src_transform, self.mask_transform].into_iter().flatten().count();
        let mask = self.mask.map_or(0, |mask| mask.inline_size());
        let fixed = Self::MIN.saturating_sub(Base::MIN).saturating_add(self.base.inline_size());
        fixed.saturating_add(mask).saturating_add(transforms.saturating_mul(Transform::MIN))
    }

    fn write_targets(&self, w: &mut Writer<'_>, at: usize) -> Result<(), EncodeError> {
        let src = at.saturating_add(self.base.inline_size()).saturating_add(CompositeFlags::MIN);
        self.src.write_targets(w, src)?;
        self.mask.as_ref().map_or(Ok(()), |mask| mask.write_targets(w, src.saturating_add(4)))
    }

    fn targets_size(&self) -> usize {
        self.src.targets_size().saturating_add(self.mask.as_ref().map_or(0, Field::targets_size))
    }
}

impl<'a> Message<'a> for DrawComposite<'a> {
    const ID: u16 = 318;
    const NAME: &'static str = "DrawComposite";
    const FORM: &'static [FieldForm] = &[
        FieldForm::of::<Base<'_>>("base"),
        FieldForm::of::<CompositeFlags>("flags"),
        FieldForm::of::<At<Image<'_>>>("src"),
        FieldForm::words("mask", "with HAS_MASK: offset of Image", 0),
        FieldForm::words("src_transform", "with HAS_SRC_TRANSFORM: Transform", 0),
        FieldForm::words("mask_transform", "with HAS_MASK_TRANSFORM: Transform", 0),
        FieldForm::of::<Point16>("src_origin"),
        FieldForm::of::<Point16>("mask_origin"),
    ];
}

impl Sample for DrawComposite<'static> {
    fn sample(s: &mut Sampler) -> Self {
        let message = Self {
            base: Base::sample(s),
            flags: CompositeFlags::sample(s),
            src: At::sample(s),
            mask: (s.below(2) == 0).then(|| At::sample(s)),
            src_transform: (s.below(2) == 0).then(|| Transform::sample(s)),
            mask_transform: (s.below(2) == 0).then(|| Transform::sample(s)),
            src_origin: Point16::sample(s),
            mask_origin: Point16::sample(s),
        };
        Self { flags: message.wire_flags(), ..message }
    }
}
