//! [`Canvas`]: a surface's pixels, and the drawings that are carried out on them.

use sumac::source::{Rect, Size};
use sumac_core::proto::display::ServerMessage;
use sumac_core::proto::draw::{Base, CopyBits, DrawCopy, DrawFill, DrawText};
use sumac_core::proto::paint::{Brush, Mask, Rop};
use sumac_core::proto::picture::{BitmapFlags, BitmapFormat, Image, ImageBody};
use sumac_core::proto::shape::{Clip, Rect as Area};
use sumac_core::proto::text::{Glyph, Glyphs, StringFlags};
use sumac_core::wire::{At, Field, Items};

use super::picture::Picture;
use super::pixel::{bits_of, combine, mix, over, rop3};

/// Most rectangles of damage that one drawing says; more are told as the box around them.
const DAMAGE: usize = 32;

/// A surface: BGRX, or premultiplied BGRA, the top row first.
pub(super) struct Canvas {
    size: Size,
    pixels: Vec<u32>,
}

/// Why a drawing was not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Undrawn {
    /// The operation is not built yet.
    Operation(&'static str),
    /// Images of this kind are not decoded yet.
    Image(&'static str),
}

/// What a source is, for drawings: pixels, scaled from a part of them to the box.
struct Source<'p> {
    picture: &'p Picture,
    part: Area,
    to: Area,
}

impl Source<'_> {
    /// The pixel for this place of the surface.
    fn at(&self, x: i32, y: i32) -> u32 {
        let along = |place: i32, to: (i32, i32), part: (i32, i32)| {
            let (wide, narrow) = (i64::from(to.1) - i64::from(to.0), i64::from(part.1) - i64::from(part.0));
            let into = i64::from(place) - i64::from(to.0);
            let scaled = if wide == narrow { into } else { into * narrow / wide.max(1) };
            usize::try_from(i64::from(part.0) + scaled).unwrap_or(usize::MAX)
        };
        let column = along(x, (self.to.left(), self.to.right()), (self.part.left(), self.part.right()));
        let row = along(y, (self.to.top(), self.to.bottom()), (self.part.top(), self.part.bottom()));
        self.picture.at(column, row)
    }
}

/// What surfaces are to each other: sources of images.
pub(super) type Surfaces<'s> = &'s dyn Fn(u32) -> Option<Picture>;

impl Canvas {
    /// A black one.
    pub(super) fn new(size: Size) -> Self {
        Self { size, pixels: vec![0; size.width as usize * size.height as usize] }
    }

    pub(super) fn size(&self) -> Size {
        self.size
    }

    /// One row, which is inside, of these columns, which are too.
    pub(super) fn row(&self, y: u32, columns: std::ops::Range<u32>) -> &[u32] {
        let start = y as usize * self.size.width as usize;
        self.pixels.get(start + columns.start as usize..start + columns.end as usize).unwrap_or_default()
    }

    /// Takes over a whole row.
    pub(super) fn set_row(&mut self, y: u32, pixels: impl Iterator<Item = u32>) {
        let start = y as usize * self.size.width as usize;
        let row = self.pixels.get_mut(start..start + self.size.width as usize).unwrap_or_default();
        row.iter_mut().zip(pixels).for_each(|(to, from)| *to = from);
    }

    /// Its pixels as an image.
    pub(super) fn picture(&self) -> Picture {
        let (width, height) = (self.size.width as usize, self.size.height as usize);
        Picture { width, height, pixels: self.pixels.clone(), alpha: false }
    }

    /// The part of it that a drawing takes for its image.
    pub(super) fn part(&self, part: Area) -> Picture {
        let (columns, rows) = (span(part.left(), part.right()), span(part.top(), part.bottom()));
        let (width, height) = (columns.len(), rows.len());
        let pixels = rows.flat_map(|y| self.row(y, columns.clone())).copied().collect();
        Picture { width, height, pixels, alpha: false }
    }

    /// Carries out a drawing, whose box is inside; answers what changed.
    pub(super) fn draw(
        &mut self,
        message: &ServerMessage<'_>,
        own: Option<Area>,
        surfaces: Surfaces<'_>,
    ) -> Result<Vec<Rect>, Undrawn> {
        use ServerMessage as M;
        match message {
            M::DrawCopy(d) if self.copy_rows(d) => Ok(self.damage(&d.base)),
            M::DrawFill(d) => self.fill(d, surfaces),
            M::CopyBits(d) => Ok(self.copy_bits(d)),
            M::DrawCopy(d) => {
                let picture = self.source(&d.src, own, surfaces)?;
                let source = Source { picture: &picture, part: d.src_area, to: d.base.area };
                self.paint(&d.base, &d.mask, |x, y, old| combine(d.rop, Rop::INVERS_SRC, source.at(x, y), old))
            }
            M::DrawBlend(d) => {
                let picture = self.source(&d.src, own, surfaces)?;
                let source = Source { picture: &picture, part: d.src_area, to: d.base.area };
                self.paint(&d.base, &d.mask, |x, y, old| combine(d.rop, Rop::INVERS_SRC, source.at(x, y), old))
            }
            M::DrawOpaque(d) => {
                let (picture, brush) = (self.source(&d.src, own, surfaces)?, Paint::new(&d.brush, surfaces)?);
                let source = Source { picture: &picture, part: d.src_area, to: d.base.area };
                let inverted = if d.rop.contains(Rop::INVERS_SRC) { !0 } else { 0 };
                self.paint(&d.base, &d.mask, |x, y, _| {
                    combine(d.rop, Rop::INVERS_BRUSH, brush.at(x, y), source.at(x, y) ^ inverted)
                })
            }
            M::DrawRop3(d) => {
                let (picture, brush) = (self.source(&d.src, own, surfaces)?, Paint::new(&d.brush, surfaces)?);
                let source = Source { picture: &picture, part: d.src_area, to: d.base.area };
                self.paint(&d.base, &d.mask, |x, y, old| rop3(d.rop3, brush.at(x, y), source.at(x, y), old))
            }
            M::DrawBlackness(d) => self.paint(&d.base, &d.mask, |_, _, _| 0),
            M::DrawWhiteness(d) => self.paint(&d.base, &d.mask, |_, _, _| 0xffff_ffff),
            M::DrawInvers(d) => self.paint(&d.base, &d.mask, |_, _, old| !old),
            M::DrawTransparent(d) => {
                let picture = self.source(&d.src, own, surfaces)?;
                let source = Source { picture: &picture, part: d.src_area, to: d.base.area };
                let left_out = d.true_color & 0xff_ffff;
                self.paint(&d.base, &NO_MASK, |x, y, old| match source.at(x, y) {
                    color if color & 0xff_ffff == left_out => old,
                    color => color,
                })
            }
            M::DrawAlphaBlend(d) => {
                let picture = self.source(&d.src, own, surfaces)?;
                let opaque = if picture.alpha { 0 } else { 0xff00_0000 };
                let source = Source { picture: &picture, part: d.src_area, to: d.base.area };
                self.paint(&d.base, &NO_MASK, |x, y, old| over(source.at(x, y) | opaque, d.alpha, old))
            }
            M::DrawText(d) => self.text(d, surfaces),
            other => Err(Undrawn::Operation(other.name())),
        }
    }

    /// The usual drawing: rows of 32 bits, neither scaled nor combined. Whether it was that.
    fn copy_rows(&mut self, d: &DrawCopy<'_>) -> bool {
        let Some(Image { body: ImageBody::Bitmap(bitmap), .. }) = &d.src.0 else { return false };
        let (area, part) = (d.base.area, d.src_area);
        let plain = d.rop == Rop::OP_PUT && d.mask.bitmap.0.is_none() && d.base.clip == Clip::None;
        let same = part.right() - part.left() == area.right() - area.left()
            && part.bottom() - part.top() == area.bottom() - area.top();
        if !plain || !same || bitmap.format != BitmapFormat::THIRTY_TWO_BIT {
            return false;
        }
        let (columns, stride) = (span(area.left(), area.right()), bitmap.stride as usize);
        let skip = span(part.left(), part.right()).start as usize * 4;
        let width = self.size.width as usize;
        for (y, from) in span(area.top(), area.bottom()).zip(span(part.top(), part.bottom())) {
            let from =
                if bitmap.flags.contains(BitmapFlags::TOP_DOWN) { from } else { bitmap.y.saturating_sub(from + 1) };
            let bytes = bitmap.data.bytes().get(from as usize * stride + skip..).unwrap_or_default();
            let start = y as usize * width;
            let row = self.pixels.get_mut(start + columns.start as usize..start + columns.end as usize);
            for (to, from) in row.unwrap_or_default().iter_mut().zip(bytes.chunks_exact(4)) {
                *to = u32::from_le_bytes([from[0], from[1], from[2], from[3]]);
            }
        }
        true
    }

    fn fill(&mut self, d: &DrawFill<'_>, surfaces: Surfaces<'_>) -> Result<Vec<Rect>, Undrawn> {
        let brush = Paint::new(&d.brush, surfaces)?;
        self.paint(&d.base, &d.mask, |x, y, old| combine(d.rop, Rop::INVERS_BRUSH, brush.at(x, y), old))
    }

    fn copy_bits(&mut self, d: &CopyBits<'_>) -> Vec<Rect> {
        let area = d.base.area;
        let (right, down) = (area.left() - d.src_pos.x(), area.top() - d.src_pos.y());
        let part = Area::new(area.top() - down, area.left() - right, area.bottom() - down, area.right() - right);
        let picture = self.part(part);
        let whole = Area::new(0, 0, area.bottom() - area.top(), area.right() - area.left());
        let source = Source { picture: &picture, part: whole, to: area };
        self.paint(&d.base, &NO_MASK, |x, y, _| source.at(x, y)).unwrap_or_default()
    }

    fn text(&mut self, d: &DrawText<'_>, surfaces: Surfaces<'_>) -> Result<Vec<Rect>, Undrawn> {
        let Some(text) = d.text.0 else { return Ok(Vec::new()) };
        let (fore, back) = (Paint::new(&d.fore_brush, surfaces)?, Paint::new(&d.back_brush, surfaces)?);
        let mut damage = Vec::new();
        if d.back_brush != Brush::None && d.back_area.left() < d.back_area.right() {
            let behind = Base { area: within(d.back_area, d.base.area), ..d.base };
            damage =
                self.paint(&behind, &NO_MASK, |x, y, old| combine(d.back_mode, Rop::INVERS_BRUSH, back.at(x, y), old))?;
        }
        let top_down = text.flags.contains(StringFlags::RASTER_TOP_DOWN);
        let glyphs = match text.glyphs {
            Glyphs::A1(glyphs) => coverage(glyphs, top_down, |row, x| bits_of(row, x, 1) * 255),
            Glyphs::A4(glyphs) => coverage(glyphs, top_down, |row, x| bits_of(row, x, 4) * 17),
            Glyphs::A8(glyphs) => coverage(glyphs, top_down, |row, x| bits_of(row, x, 8)),
        };
        for (place, picture) in glyphs {
            let area = within(place, d.base.area);
            let base = Base { area, ..d.base };
            let whole = Area::new(0, 0, place.bottom() - place.top(), place.right() - place.left());
            let source = Source { picture: &picture, part: whole, to: place };
            let mut more = self.paint(&base, &NO_MASK, |x, y, old| {
                let ink = combine(d.fore_mode, Rop::INVERS_BRUSH, fore.at(x, y), old);
                mix(ink, source.at(x, y), old)
            })?;
            damage.append(&mut more);
        }
        Ok(if damage.len() > DAMAGE { self.damage(&Base { clip: Clip::None, ..d.base }) } else { damage })
    }

    /// Changes every pixel of the box that clip and mask leave.
    fn paint(
        &mut self,
        base: &Base<'_>,
        mask: &Mask<'_>,
        mut pixel: impl FnMut(i32, i32, u32) -> u32,
    ) -> Result<Vec<Rect>, Undrawn> {
        let bits = match &mask.bitmap.0 {
            Some(Image { body: ImageBody::Bitmap(bitmap), .. }) => Some(Picture::of_bitmap(bitmap)),
            _ => None,
        };
        let inverted = mask.flags.contains(sumac_core::proto::paint::MaskFlags::INVERS);
        let shown = |x: i32, y: i32| {
            let Some(bits) = &bits else { return true };
            let column = i64::from(x) - i64::from(base.area.left()) + i64::from(mask.pos.x());
            let row = i64::from(y) - i64::from(base.area.top()) + i64::from(mask.pos.y());
            let (Ok(column), Ok(row)) = (usize::try_from(column), usize::try_from(row)) else { return false };
            column < bits.width && row < bits.height && (bits.at(column, row) & 1 != 0) != inverted
        };
        let damage = self.rects(base);
        for area in &damage {
            for y in area.y..area.bottom() {
                let start = y as usize * self.size.width as usize;
                let row = self.pixels.get_mut(start + area.x as usize..start + area.right() as usize);
                for (x, old) in (area.x..).zip(row.unwrap_or_default()) {
                    let (x, y) = (x.cast_signed(), y.cast_signed());
                    if shown(x, y) {
                        *old = pixel(x, y, *old);
                    }
                }
            }
        }
        Ok(if damage.len() > DAMAGE { self.damage(&Base { clip: Clip::None, ..*base }) } else { damage })
    }

    fn damage(&self, base: &Base<'_>) -> Vec<Rect> {
        self.rects(base)
    }

    /// The parts of the box that the clip leaves, inside of the surface. Where rectangles of the clip
    /// overlap, only the first has what both have: a drawing may not be carried out twice.
    fn rects(&self, base: &Base<'_>) -> Vec<Rect> {
        let bounds = self.size.bounds();
        let Some(whole) = rect_of(base.area).and_then(|area| area.intersect(bounds)) else { return Vec::new() };
        let Clip::Rects(rects) = base.clip else { return vec![whole] };
        let mut left: Vec<Rect> = Vec::new();
        for rect in rects.items().iter().filter_map(|rect| rect_of(*rect)?.intersect(whole)) {
            let mut pieces = vec![rect];
            for taken in &left {
                pieces = pieces.into_iter().flat_map(|piece| without(piece, *taken)).collect();
            }
            left.extend(pieces);
        }
        left
    }

    fn source(&self, image: &At<Image<'_>>, own: Option<Area>, surfaces: Surfaces<'_>) -> Result<Picture, Undrawn> {
        match (&image.0, own) {
            (Some(image), _) => decode(image, surfaces),
            (None, Some(own)) => Ok(self.part(own)),
            (None, None) => Err(Undrawn::Image("none")),
        }
    }
}

const NO_MASK: Mask<'static> = Mask {
    flags: sumac_core::proto::paint::MaskFlags::empty(),
    pos: sumac_core::proto::shape::Point::new(0, 0),
    bitmap: At(None),
};

/// A brush with its picture decoded.
enum Paint {
    Solid(u32),
    Pattern(Picture, i32, i32),
}

impl Paint {
    fn new(brush: &Brush<'_>, surfaces: Surfaces<'_>) -> Result<Self, Undrawn> {
        Ok(match brush {
            Brush::None => Self::Solid(0),
            Brush::Solid(color) => Self::Solid(*color),
            Brush::Pattern(pattern) => {
                let image = pattern.image.0.as_ref().ok_or(Undrawn::Image("none"))?;
                Self::Pattern(decode(image, surfaces)?, pattern.pos.x(), pattern.pos.y())
            }
        })
    }

    fn at(&self, x: i32, y: i32) -> u32 {
        match self {
            Self::Solid(color) => *color,
            Self::Pattern(picture, left, top) => {
                let along = |place: i32, from: i32, size: usize| {
                    let size = i64::try_from(size).unwrap_or(1).max(1);
                    usize::try_from((i64::from(place) - i64::from(from)).rem_euclid(size)).unwrap_or(0)
                };
                picture.at(along(x, *left, picture.width), along(y, *top, picture.height))
            }
        }
    }
}

fn decode(image: &Image<'_>, surfaces: Surfaces<'_>) -> Result<Picture, Undrawn> {
    match &image.body {
        ImageBody::Bitmap(bitmap) => Ok(Picture::of_bitmap(bitmap)),
        ImageBody::Surface(id) => surfaces(*id).ok_or(Undrawn::Image("a surface that is gone")),
        ImageBody::Quic(data) => Picture::of_quic(data.0.bytes()).ok_or(Undrawn::Image("what is no QUIC picture")),
        _ => Err(Undrawn::Image("not a guest's")),
    }
}

/// Where each glyph lies, and how much of each pixel it covers.
fn coverage<const BITS: usize>(
    glyphs: Items<'_, Glyph<'_, BITS>>,
    top_down: bool,
    value: impl Fn(&[u8], usize) -> u32,
) -> Vec<(Area, Picture)>
where
    for<'a> Glyph<'a, BITS>: Field<'a>,
{
    let one = |glyph: Glyph<'_, BITS>| {
        let (width, height) = (usize::from(glyph.width), usize::from(glyph.height));
        let rows: Vec<_> = glyph.data.chunks((width * BITS).div_ceil(8).max(1)).take(height).collect();
        let order: Vec<_> = if top_down { rows } else { rows.into_iter().rev().collect() };
        let pixels = order.iter().flat_map(|row| (0..width).map(|x| value(row, x))).collect();
        let left = glyph.render_pos.x().saturating_add(glyph.glyph_origin.x());
        let top = glyph.render_pos.y().saturating_add(glyph.glyph_origin.y());
        let (right, bottom) = (left.saturating_add(glyph.width.into()), top.saturating_add(glyph.height.into()));
        (Area::new(top, left, bottom, right), Picture { width, height, pixels, alpha: false })
    };
    glyphs.iter().map(one).collect()
}

/// What both have; empty, and ordered, when that is nothing.
fn within(one: Area, other: Area) -> Area {
    let (top, left) = (one.top().max(other.top()), one.left().max(other.left()));
    let (bottom, right) = (one.bottom().min(other.bottom()), one.right().min(other.right()));
    Area::new(top, left, bottom.max(top), right.max(left))
}

fn span(from: i32, to: i32) -> std::ops::Range<u32> {
    u32::try_from(from).unwrap_or(0)..u32::try_from(to).unwrap_or(0)
}

/// A rectangle as sources have it; what lies above or left of the surface is cut off.
pub(super) fn rect_of(area: Area) -> Option<Rect> {
    let (columns, rows) = (span(area.left(), area.right()), span(area.top(), area.bottom()));
    (!columns.is_empty() && !rows.is_empty()).then(|| Rect {
        x: columns.start,
        y: rows.start,
        width: columns.end - columns.start,
        height: rows.end - rows.start,
    })
}

/// What is left of `rect` without `hole`.
fn without(rect: Rect, hole: Rect) -> Vec<Rect> {
    let Some(hole) = rect.intersect(hole) else { return vec![rect] };
    let piece = |x: u32, y: u32, right: u32, bottom: u32| Rect { x, y, width: right - x, height: bottom - y };
    let pieces = [
        piece(rect.x, rect.y, rect.right(), hole.y),
        piece(rect.x, hole.bottom(), rect.right(), rect.bottom()),
        piece(rect.x, hole.y, hole.x, hole.bottom()),
        piece(hole.right(), hole.y, rect.right(), hole.bottom()),
    ];
    pieces.into_iter().filter(|piece| !piece.is_empty()).collect()
}
