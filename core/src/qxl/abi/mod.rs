//! QXL structures as they lie in guest memory: packed, little-endian, declared once.
//!
//! Addresses (QXLPHYSICAL) are `u64`; what they lead to is read by [`super::View`]. Structures that
//! end in bytes of a variable number are declared without these.

mod draw;

pub use draw::{
    AlphaBlend, Brush, CompatAlphaBlend, Composite, Copy, Fill, GlyphString, LineAttr, Opaque, Path, PathSeg, QMask,
    Rop3, Stroke, Text, Transparent,
};

use crate::proto::shape::{Point16, Rect};

open_enum! {
    /// What a QXLCommand leads to (QXLCmdType).
    pub struct CommandType: u32 {
        /// Nothing.
        NOP = 0,
        /// A [`Drawable`].
        DRAW = 1,
        /// An [`UpdateCmd`].
        UPDATE = 2,
        /// A [`CursorCmd`].
        CURSOR = 3,
        /// A text.
        MESSAGE = 4,
        /// A [`SurfaceCmd`].
        SURFACE = 5,
    }
}

open_enum! {
    /// What a [`Drawable`] draws.
    pub struct DrawType: u8 {
        /// Nothing.
        NOP = 0,
        /// [`Fill`].
        FILL = 1,
        /// [`Opaque`].
        OPAQUE = 2,
        /// [`struct@Copy`].
        COPY = 3,
        /// A [`crate::proto::shape::Point`]: the source's corner.
        COPY_BITS = 4,
        /// [`struct@Copy`], combined with what is there.
        BLEND = 5,
        /// [`QMask`].
        BLACKNESS = 6,
        /// [`QMask`].
        WHITENESS = 7,
        /// [`QMask`].
        INVERS = 8,
        /// [`Rop3`].
        ROP3 = 9,
        /// [`Stroke`].
        STROKE = 10,
        /// [`Text`].
        TEXT = 11,
        /// [`Transparent`].
        TRANSPARENT = 12,
        /// [`AlphaBlend`].
        ALPHA_BLEND = 13,
        /// [`Composite`].
        COMPOSITE = 14,
    }
}

open_enum! {
    /// What a drawing does to what lies under it (QXLEffectType).
    pub struct Effect: u8 {
        /// Depends on it.
        BLEND = 0,
        /// Hides it.
        OPAQUE = 1,
        /// Twice is as never.
        REVERT_ON_DUP = 2,
        /// Twice is black.
        BLACKNESS_ON_DUP = 3,
        /// Twice is white.
        WHITENESS_ON_DUP = 4,
        /// Twice is as once.
        NOP_ON_DUP = 5,
        /// Nothing.
        NOP = 6,
        /// Hides it where the brush is opaque.
        OPAQUE_BRUSH = 7,
    }
}

flags! {
    /// Where a bitmap's rows are and which comes first (QXLBitmapFlags).
    pub struct BitmapFlags: u8 {
        /// Its data is an address of rows, not of a chain of chunks.
        const DIRECT = 1;
        /// Its data will change.
        const UNSTABLE = 2;
        /// The first row is the top one.
        const TOP_DOWN = 4;
    }
}

flags! {
    /// What an image is (QXLImageFlags).
    pub struct ImageFlags: u8 {
        /// It will be drawn again.
        const CACHE = 1;
        /// The unused byte of 32-bit pixels is all ones.
        const HIGH_BITS_SET = 2;
    }
}

fields! {
    /// QXLDataChunk: bytes, and where there are more.
    pub struct DataChunk {
        /// Bytes behind this head.
        data_size: u32,
        /// The chunk in front, or 0.
        prev_chunk: u64,
        /// The next chunk, or 0.
        next_chunk: u64,
    }
}

fields! {
    /// QXLClip.
    pub struct Clip {
        /// 0 none, 1 rectangles.
        kind: u32,
        /// A [`ClipRects`].
        data: u64,
    }
}

fields! {
    /// QXLClipRects; its rectangles lie in a chain of chunks whose first is right behind.
    pub struct ClipRects {
        /// How many.
        num_rects: u32,
    }
}

fields! {
    /// QXLDrawable up to its union, which is of the type's structure.
    pub struct Drawable {
        /// QXLReleaseInfo: the guest's id of the resource.
        release_info: u64,
        /// On which surface.
        surface_id: u32,
        /// What it does to what lies under it.
        effect: Effect,
        /// What the union is.
        kind: DrawType,
        /// Whether it draws what is on the surface.
        self_bitmap: u8,
        /// Which part of that.
        self_bitmap_area: Rect,
        /// In which box.
        bbox: Rect,
        /// In which part of it.
        clip: Clip,
        /// When, on the multimedia clock.
        mm_time: u32,
        /// Surfaces that it reads; -1 none.
        surface_0: i32,
        /// The second.
        surface_1: i32,
        /// The third.
        surface_2: i32,
        /// Which parts of them.
        rect_0: Rect,
        /// Of the second.
        rect_1: Rect,
        /// Of the third.
        rect_2: Rect,
    }
}

fields! {
    /// QXLCompatDrawable up to its union: what drivers for the first revision write.
    pub struct CompatDrawable {
        /// QXLReleaseInfo: the guest's id of the resource.
        release_info: u64,
        /// What it does to what lies under it.
        effect: Effect,
        /// What the union is.
        kind: DrawType,
        /// Not 0 when it draws what is on the surface.
        bitmap_offset: u16,
        /// Which part of that.
        bitmap_area: Rect,
        /// In which box.
        bbox: Rect,
        /// In which part of it.
        clip: Clip,
        /// When, on the multimedia clock.
        mm_time: u32,
    }
}

fields! {
    /// QXLImageDescriptor; the image follows.
    pub struct ImageDescriptor {
        /// The guest's id.
        id: u64,
        /// Its type, an [`crate::proto::picture::ImageBody`] number.
        kind: u8,
        /// What it is.
        flags: ImageFlags,
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
    }
}

fields! {
    /// QXLBitmap.
    pub struct Bitmap {
        /// Layout of a pixel.
        format: u8,
        /// Where its rows are.
        flags: BitmapFlags,
        /// Pixels in a row.
        x: u32,
        /// Rows.
        y: u32,
        /// Bytes from one row to the next.
        stride: u32,
        /// A [`Palette`], or 0.
        palette: u64,
        /// Rows, or the first chunk of them.
        data: u64,
    }
}

fields! {
    /// QXLPalette; its colours follow.
    pub struct Palette {
        /// The guest's id.
        unique: u64,
        /// How many colours.
        num_ents: u16,
    }
}

fields! {
    /// QXLUpdateCmd.
    pub struct UpdateCmd {
        /// QXLReleaseInfo: the guest's id of the resource.
        release_info: u64,
        /// Which part of the surface.
        area: Rect,
        /// What the guest is told when it is done.
        update_id: u32,
        /// Which surface.
        surface_id: u32,
    }
}

fields! {
    /// QXLCompatUpdateCmd.
    pub struct CompatUpdateCmd {
        /// QXLReleaseInfo: the guest's id of the resource.
        release_info: u64,
        /// Which part of the surface.
        area: Rect,
        /// What the guest is told when it is done.
        update_id: u32,
    }
}

fields! {
    /// QXLSurfaceCmd.
    pub struct SurfaceCmd {
        /// QXLReleaseInfo: the guest's id of the resource.
        release_info: u64,
        /// Which surface.
        surface_id: u32,
        /// 0 create, 1 destroy.
        kind: u8,
        /// 1: its memory holds pixels.
        flags: u32,
    }
}

fields! {
    /// QXLSurface, behind a [`SurfaceCmd`] that creates.
    pub struct Surface {
        /// A [`crate::proto::display::SurfaceFormat`].
        format: u32,
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
        /// Bytes from one row to the next, negative with the last row first.
        stride: i32,
        /// Its memory.
        data: u64,
    }
}

fields! {
    /// QXLCursorCmd up to its union.
    pub struct CursorCmd {
        /// QXLReleaseInfo: the guest's id of the resource.
        release_info: u64,
        /// 0 set, 1 move, 2 hide, 3 trail.
        kind: u8,
    }
}

fields! {
    /// The union of a [`CursorCmd`] that sets a shape.
    pub struct CursorSet {
        /// Where the cursor is.
        position: Point16,
        /// Whether it is shown.
        visible: u8,
        /// A [`Cursor`].
        shape: u64,
    }
}

fields! {
    /// QXLCursor; its shape lies in a chain of chunks whose first is right behind.
    pub struct Cursor {
        /// The guest's id.
        unique: u64,
        /// A [`crate::proto::cursor::CursorType`].
        kind: u16,
        /// Pixels in a row.
        width: u16,
        /// Rows.
        height: u16,
        /// Column of the pixel that points.
        hot_spot_x: u16,
        /// Row of the pixel that points.
        hot_spot_y: u16,
        /// Bytes of the shape.
        data_size: u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Field;

    /// Sizes and offsets as the device's C header has them.
    #[test]
    fn structures_are_as_long_as_the_device_has_them() {
        assert_eq!((Drawable::MIN, CompatDrawable::MIN), (123, 60));
        assert_eq!((Brush::MIN, QMask::MIN, Fill::MIN, Opaque::MIN, Copy::MIN), (20, 17, 39, 64, 44));
        assert_eq!((Transparent::MIN, AlphaBlend::MIN, CompatAlphaBlend::MIN, Rop3::MIN), (32, 27, 25, 63));
        assert_eq!((LineAttr::MIN, Stroke::MIN, Text::MIN, Composite::MIN), (20, 52, 68, 44));
        assert_eq!((DataChunk::MIN, GlyphString::MIN + 20, Path::MIN + 20, ClipRects::MIN + 20), (20, 28, 24, 24));
        assert_eq!((ImageDescriptor::MIN, Bitmap::MIN, Palette::MIN), (18, 30, 10));
        assert_eq!((CursorCmd::MIN + 13 + 128, Cursor::MIN + 20), (150, 42));
        assert_eq!((SurfaceCmd::MIN + Surface::MIN, UpdateCmd::MIN, CompatUpdateCmd::MIN), (41, 32, 28));
    }
}
