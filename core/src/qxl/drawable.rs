//! Drawables: what a guest draws, as messages of the display channel.

use super::abi::{self, DrawType, Effect};
use super::command::CommandFlags;
use super::error::{QxlError, QxlErrorKind};
use super::image::{Parser, value};
use super::memory::{GuestMemory, behind};
use super::shape::scale_mode;
use super::surface::Surface;
use crate::proto::display::ServerMessage;
use crate::proto::draw::{
    Base, CompositeFlags, CopyBits, DrawAlphaBlend, DrawBlackness, DrawBlend, DrawComposite, DrawCopy, DrawFill,
    DrawInvers, DrawOpaque, DrawRop3, DrawStroke, DrawText, DrawTransparent, DrawWhiteness,
};
use crate::proto::paint::{AlphaFlags, Rop};
use crate::proto::shape::{Point, Rect};
use crate::wire::{At, Field};

/// A drawing whose box, images and surfaces were found to be in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drawable<'a> {
    /// What it does to what lies under it.
    pub effect: Effect,
    /// When, on the multimedia clock, in milliseconds.
    pub mm_time: u32,
    /// The part of its surface that it draws: where the message has no source image, it is this.
    pub self_bitmap: Option<Rect>,
    /// Surfaces that it reads, and which part of each.
    pub depends: [Option<(u32, Rect)>; 3],
    /// What it draws, where, and with what: pictures as the guest has them, to be compressed,
    /// cached or changed before they are sent.
    pub message: ServerMessage<'a>,
}

/// What both revisions of the structure have.
struct Head {
    base: abi::Clip,
    surface_id: u32,
    surface: Surface,
    effect: Effect,
    kind: DrawType,
    own: Option<Rect>,
    bbox: Rect,
    mm_time: u32,
    depends: [Option<(u32, Rect)>; 3],
    /// The union's address.
    union: u64,
}

impl<'a, M: GuestMemory + ?Sized> Parser<'_, 'a, M> {
    pub(super) fn drawable(&mut self, address: u64) -> Result<Drawable<'a>, QxlError> {
        let compat = self.flags.contains(CommandFlags::COMPAT);
        let head = if compat { self.compat_head(address)? } else { self.head(address)? };
        head.surface.check(head.bbox).map_err(|e| e.at("QXLDrawable.bbox"))?;
        if let Some(own) = head.own {
            head.surface.check(own).map_err(|e| e.at("QXLDrawable.self_bitmap_area"))?;
        }
        let base = Base { surface_id: head.surface_id, area: head.bbox, clip: self.clip(head.base)? };
        let message = self.operation(&head, base)?;
        let Head { effect, mm_time, own, depends, .. } = head;
        Ok(Drawable { effect, mm_time, self_bitmap: own, depends, message })
    }

    fn head(&self, address: u64) -> Result<Head, QxlError> {
        let d: abi::Drawable = self.view.read(address).map_err(|e| e.at("QXLDrawable"))?;
        let surface = *self.surfaces.get(d.surface_id).map_err(|e| e.at("QXLDrawable.surface_id"))?;
        let depends = [(d.surface_0, d.rect_0), (d.surface_1, d.rect_1), (d.surface_2, d.rect_2)];
        let depends = [self.depend(depends[0])?, self.depend(depends[1])?, self.depend(depends[2])?];
        Ok(Head {
            base: d.clip,
            surface_id: d.surface_id,
            surface,
            effect: d.effect,
            kind: d.kind,
            own: (d.self_bitmap != 0).then_some(d.self_bitmap_area),
            bbox: d.bbox,
            mm_time: d.mm_time,
            depends,
            union: behind(address, abi::Drawable::MIN)?,
        })
    }

    /// What drivers for the first revision write: there is one surface.
    fn compat_head(&self, address: u64) -> Result<Head, QxlError> {
        let d: abi::CompatDrawable = self.view.read(address).map_err(|e| e.at("QXLCompatDrawable"))?;
        let surface = *self.surfaces.get(0).map_err(|e| e.at("QXLCompatDrawable"))?;
        Ok(Head {
            base: d.clip,
            surface_id: 0,
            surface,
            effect: d.effect,
            kind: d.kind,
            own: (d.bitmap_offset != 0).then_some(d.bitmap_area),
            bbox: d.bbox,
            mm_time: d.mm_time,
            depends: [None; 3],
            union: behind(address, abi::CompatDrawable::MIN)?,
        })
    }

    fn depend(&self, (id, area): (i32, Rect)) -> Result<Option<(u32, Rect)>, QxlError> {
        if id == -1 {
            return Ok(None);
        }
        let id = u32::try_from(id).unwrap_or(u32::MAX);
        self.surfaces.check_area(id, area).map_err(|e| e.at("QXLDrawable.surfaces_dest"))?;
        Ok(Some((id, area)))
    }

    fn operation(&mut self, head: &Head, base: Base<'a>) -> Result<ServerMessage<'a>, QxlError> {
        use ServerMessage as M;
        let at = head.union;
        Ok(match head.kind {
            DrawType::FILL => M::DrawFill(self.fill(at, base)?),
            DrawType::OPAQUE => M::DrawOpaque(self.opaque(head, base)?),
            DrawType::COPY => M::DrawCopy(self.copy_image(head, base)?),
            DrawType::COPY_BITS => M::CopyBits(self.copy_bits(head, base)?),
            DrawType::BLEND => {
                let DrawCopy { base, src, src_area, rop, scale_mode, mask } = self.copy_image(head, base)?;
                M::DrawBlend(DrawBlend { base, src, src_area, rop, scale_mode, mask })
            }
            DrawType::BLACKNESS | DrawType::WHITENESS | DrawType::INVERS => {
                let mask = self.view.read(at).map_err(|e| e.at("QXLQMask"))?;
                let mask = self.mask(mask)?;
                match head.kind {
                    DrawType::BLACKNESS => M::DrawBlackness(DrawBlackness { base, mask }),
                    DrawType::WHITENESS => M::DrawWhiteness(DrawWhiteness { base, mask }),
                    _ => M::DrawInvers(DrawInvers { base, mask }),
                }
            }
            DrawType::ROP3 => M::DrawRop3(self.rop3(head, base)?),
            DrawType::STROKE => M::DrawStroke(self.stroke(at, base)?),
            DrawType::TEXT => M::DrawText(self.draw_text(at, base)?),
            DrawType::TRANSPARENT => M::DrawTransparent(self.transparent(head, base)?),
            DrawType::ALPHA_BLEND => M::DrawAlphaBlend(self.alpha_blend(head, base)?),
            DrawType::COMPOSITE if !self.flags.contains(CommandFlags::COMPAT) => {
                M::DrawComposite(self.composite(at, base)?)
            }
            other => return Err(value("QXLDrawable.type", other.0.into())),
        })
    }

    fn fill(&mut self, at: u64, base: Base<'a>) -> Result<DrawFill<'a>, QxlError> {
        let d: abi::Fill = self.view.read(at).map_err(|e| e.at("QXLFill"))?;
        let (brush, mask) = (self.brush(d.brush)?, self.mask(d.mask)?);
        Ok(DrawFill { base, brush, rop: Rop::from_bits_retain(d.rop), mask })
    }

    fn opaque(&mut self, head: &Head, base: Base<'a>) -> Result<DrawOpaque<'a>, QxlError> {
        let d: abi::Opaque = self.view.read(head.union).map_err(|e| e.at("QXLOpaque"))?;
        let src = self.source(d.src, d.src_area, head.own)?;
        let (brush, scale_mode, mask) = (self.brush(d.brush)?, scale_mode(d.scale_mode)?, self.mask(d.mask)?);
        let rop = Rop::from_bits_retain(d.rop);
        Ok(DrawOpaque { base, src, src_area: d.src_area, brush, rop, scale_mode, mask })
    }

    fn copy_image(&mut self, head: &Head, base: Base<'a>) -> Result<DrawCopy<'a>, QxlError> {
        let d: abi::Copy = self.view.read(head.union).map_err(|e| e.at("QXLCopy"))?;
        let src = self.source(d.src, d.src_area, head.own)?;
        let (scale_mode, mask) = (scale_mode(d.scale_mode)?, self.mask(d.mask)?);
        Ok(DrawCopy { base, src, src_area: d.src_area, rop: Rop::from_bits_retain(d.rop), scale_mode, mask })
    }

    /// What is moved lies on the surface, too.
    fn copy_bits(&self, head: &Head, base: Base<'a>) -> Result<CopyBits<'a>, QxlError> {
        let src_pos: Point = self.view.read(head.union).map_err(|e| e.at("QXLCopyBits"))?;
        let bbox = head.bbox;
        let area = Rect::new(
            src_pos.y(),
            src_pos.x(),
            src_pos.y().saturating_add(bbox.bottom().saturating_sub(bbox.top())),
            src_pos.x().saturating_add(bbox.right().saturating_sub(bbox.left())),
        );
        head.surface.check(area).map_err(|e| e.at("QXLCopyBits.src_pos"))?;
        Ok(CopyBits { base, src_pos })
    }

    fn rop3(&mut self, head: &Head, base: Base<'a>) -> Result<DrawRop3<'a>, QxlError> {
        let d: abi::Rop3 = self.view.read(head.union).map_err(|e| e.at("QXLRop3"))?;
        let src = self.source(d.src, d.src_area, head.own)?;
        let (brush, scale_mode, mask) = (self.brush(d.brush)?, scale_mode(d.scale_mode)?, self.mask(d.mask)?);
        Ok(DrawRop3 { base, src, src_area: d.src_area, brush, rop3: d.rop3, scale_mode, mask })
    }

    fn stroke(&mut self, at: u64, base: Base<'a>) -> Result<DrawStroke<'a>, QxlError> {
        let d: abi::Stroke = self.view.read(at).map_err(|e| e.at("QXLStroke"))?;
        let (path, attr, brush) = (self.path(d.path)?, self.line(d.attr)?, self.brush(d.brush)?);
        let (fore_mode, back_mode) = (Rop::from_bits_retain(d.fore_mode), Rop::from_bits_retain(d.back_mode));
        Ok(DrawStroke { base, path: At(Some(path)), attr, brush, fore_mode, back_mode })
    }

    fn draw_text(&mut self, at: u64, base: Base<'a>) -> Result<DrawText<'a>, QxlError> {
        let d: abi::Text = self.view.read(at).map_err(|e| e.at("QXLText"))?;
        let text = At(Some(self.text(d.string)?));
        // An empty box behind the glyphs means that there is none, wherever it lies.
        let (back_area, empty) = (d.back_area, d.back_area.left() >= d.back_area.right());
        if !empty && back_area.top() > back_area.bottom() {
            let kind = QxlErrorKind::Outside { area: back_area, width: u32::MAX, height: u32::MAX };
            return Err(QxlError { at: "QXLText.back_area", kind });
        }
        let (fore_brush, back_brush) = (self.brush(d.fore_brush)?, self.brush(d.back_brush)?);
        let (fore_mode, back_mode) = (Rop::from_bits_retain(d.fore_mode), Rop::from_bits_retain(d.back_mode));
        Ok(DrawText { base, text, back_area, fore_brush, back_brush, fore_mode, back_mode })
    }

    fn transparent(&mut self, head: &Head, base: Base<'a>) -> Result<DrawTransparent<'a>, QxlError> {
        let d: abi::Transparent = self.view.read(head.union).map_err(|e| e.at("QXLTransparent"))?;
        let src = self.source(d.src, d.src_area, head.own)?;
        let (src_color, true_color) = (d.src_color, d.true_color);
        Ok(DrawTransparent { base, src, src_area: d.src_area, src_color, true_color })
    }

    fn alpha_blend(&mut self, head: &Head, base: Base<'a>) -> Result<DrawAlphaBlend<'a>, QxlError> {
        let d = if self.flags.contains(CommandFlags::COMPAT) {
            let d: abi::CompatAlphaBlend = self.view.read(head.union).map_err(|e| e.at("QXLCompatAlphaBlend"))?;
            abi::AlphaBlend { alpha_flags: 0, alpha: d.alpha, src: d.src, src_area: d.src_area }
        } else {
            self.view.read(head.union).map_err(|e| e.at("QXLAlphaBlend"))?
        };
        let flags =
            u8::try_from(d.alpha_flags).map_err(|_| value("QXLAlphaBlend.alpha_flags", d.alpha_flags.into()))?;
        let (alpha_flags, src) = (AlphaFlags::from_bits_retain(flags), self.source(d.src, d.src_area, head.own)?);
        Ok(DrawAlphaBlend { base, alpha_flags, alpha: d.alpha, src, src_area: d.src_area })
    }

    fn composite(&mut self, at: u64, base: Base<'a>) -> Result<DrawComposite<'a>, QxlError> {
        let d: abi::Composite = self.view.read(at).map_err(|e| e.at("QXLComposite"))?;
        let src = self.image(d.src)?.ok_or(QxlError { at: "QXLComposite.src", kind: QxlErrorKind::Missing })?;
        let mask = self.image(d.mask)?.map(|mask| At(Some(mask)));
        let src_transform = self.transform(d.src_transform)?;
        let mask_transform = if mask.is_some() { self.transform(d.mask_transform)? } else { None };
        // Which fields there are is not the guest's to say.
        let mut flags = CompositeFlags::from_bits_retain(d.flags);
        flags.set(CompositeFlags::HAS_MASK, mask.is_some());
        flags.set(CompositeFlags::HAS_SRC_TRANSFORM, src_transform.is_some());
        flags.set(CompositeFlags::HAS_MASK_TRANSFORM, mask_transform.is_some());
        Ok(DrawComposite {
            base,
            flags,
            src: At(Some(src)),
            mask,
            src_transform,
            mask_transform,
            src_origin: d.src_origin,
            mask_origin: d.mask_origin,
        })
    }
}
