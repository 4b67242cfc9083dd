//! Drawings on the primary surface, as messages.

use sumac_core::proto::display::ServerMessage;
use sumac_core::proto::draw::{Base, CopyBits, DrawCopy, DrawFill};
use sumac_core::proto::paint::{Brush, Mask, MaskFlags, Rop, ScaleMode};
use sumac_core::proto::picture::{Image, ImageBody, ImageFlags};
use sumac_core::proto::shape::{self, Clip, Point};
use sumac_core::wire::{At, Data, Sized32};

use crate::plan::{Fill, Scroll};
use crate::source::{Rect, Size};

/// DRAW_COPY of all of an image.
pub(super) fn draw_copy(image: Image<'static>, rect: Rect) -> ServerMessage<'static> {
    ServerMessage::DrawCopy(DrawCopy {
        base: base(rect),
        src: At(Some(image)),
        src_area: wire_rect(Rect { x: 0, y: 0, ..rect }),
        rop: Rop::OP_PUT,
        scale_mode: ScaleMode::NEAREST,
        mask: NO_MASK,
    })
}

/// DRAW_COPY of a JPEG of `size` and `len` bytes; what it has beyond `rect` is left out.
pub(in crate::viewer) fn draw_jpeg(id: u64, rect: Rect, size: Size, len: usize) -> ServerMessage<'static> {
    let Size { width, height } = size;
    let body = ImageBody::Jpeg(Sized32(Data::Promised(len)));
    draw_copy(Image { id, flags: ImageFlags::empty(), width, height, body }, rect)
}

/// DRAW_FILL.
pub(super) fn draw_fill(fill: Fill) -> ServerMessage<'static> {
    let brush = Brush::Solid(fill.colour);
    ServerMessage::DrawFill(DrawFill { base: base(fill.rect), brush, rop: Rop::OP_PUT, mask: NO_MASK })
}

/// COPY_BITS.
pub(super) fn copy_bits(scroll: Scroll) -> ServerMessage<'static> {
    let source = wire_rect(scroll.source());
    ServerMessage::CopyBits(CopyBits { base: base(scroll.dest), src_pos: Point::new(source.left(), source.top()) })
}

const NO_MASK: Mask<'static> = Mask { flags: MaskFlags::empty(), pos: Point::new(0, 0), bitmap: At(None) };

fn base(rect: Rect) -> Base<'static> {
    Base { surface_id: 0, area: wire_rect(rect), clip: Clip::None }
}

/// A rectangle as the wire has it. Pictures have at most 8192 pixels each way, so it always fits.
pub(in crate::viewer) fn wire_rect(rect: Rect) -> shape::Rect {
    let fit = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
    shape::Rect::new(fit(rect.y), fit(rect.x), fit(rect.bottom()), fit(rect.right()))
}
