//! [`Canvas`]: drawing into BGRX pixels. Everything is clipped, so that nothing can panic.

use super::area::Area;
use crate::source::Size;

/// A pixel: blue, green, red, and a byte that is always 0.
pub(super) type Pixel = [u8; 4];

/// The colour `0xRRGGBB` as a pixel.
pub(super) const fn rgb(hex: u32) -> Pixel {
    [hex as u8, (hex >> 8) as u8, (hex >> 16) as u8, 0]
}

/// `over` laid over `under`, `alpha` of 255 parts opaque.
pub(super) fn mix(under: Pixel, over: Pixel, alpha: u8) -> Pixel {
    let alpha = u32::from(alpha);
    let part = |u: u8, o: u8| {
        // Exact rounding division by 255 for the range of the sum.
        let sum = u32::from(u) * (255 - alpha) + u32::from(o) * alpha + 128;
        ((sum + (sum >> 8)) >> 8) as u8
    };
    [part(under[0], over[0]), part(under[1], over[1]), part(under[2], over[2]), 0]
}

/// Pixels to draw into, and where drawing is allowed.
pub(super) struct Canvas<'a> {
    pixels: &'a mut [Pixel],
    size: Area,
    clip: Area,
}

impl<'a> Canvas<'a> {
    /// Draws into pixels of this size: top row first, no padding. A length that does not fit the
    /// size gives a canvas on which nothing can be drawn.
    pub(super) fn new(pixels: &'a mut [Pixel], size: Size) -> Self {
        let fits = size.width as usize * size.height as usize == pixels.len();
        let size = if fits { Area::of(size) } else { Area::default() };
        Self { pixels, size, clip: size }
    }

    /// Where drawing is allowed.
    pub(super) fn clip(&self) -> Area {
        self.clip
    }

    /// The same canvas, allowing drawing in `area` only.
    pub(super) fn clipped(&mut self, area: Area) -> Canvas<'_> {
        Canvas { pixels: self.pixels, size: self.size, clip: self.clip.intersect(area) }
    }

    /// The pixels of row `y` from column `x`, `w` of them, as far as drawing is allowed, and the
    /// column of the first one.
    pub(super) fn row(&mut self, x: i32, y: i32, w: i32) -> Option<(i32, &mut [Pixel])> {
        let row = self.clip.intersect(Area::new(x, y, w, 1));
        if row.is_empty() {
            return None;
        }
        let start = row.y as usize * self.size.w as usize + row.x as usize;
        Some((row.x, &mut self.pixels[start..start + row.w as usize]))
    }

    /// Fills with one colour.
    pub(super) fn fill(&mut self, area: Area, color: Pixel) {
        let area = self.clip.intersect(area);
        for y in area.y..area.bottom() {
            if let Some((_, row)) = self.row(area.x, y, area.w) {
                row.fill(color);
            }
        }
    }

    /// Fills with a gradient from the top row's colour to the bottom row's.
    pub(super) fn gradient(&mut self, area: Area, top: Pixel, bottom: Pixel) {
        let visible = self.clip.intersect(area);
        let last = i64::from(area.h - 1).max(1);
        for y in visible.y..visible.bottom() {
            let alpha = (i64::from(y) - i64::from(area.y)) * 255 / last;
            let color = mix(top, bottom, alpha.clamp(0, 255) as u8);
            if let Some((_, row)) = self.row(visible.x, y, visible.w) {
                row.fill(color);
            }
        }
    }

    /// Fills a rectangle with round, anti-aliased corners, `alpha` of 255 parts opaque.
    pub(super) fn rounded(&mut self, area: Area, radius: i32, color: Pixel, alpha: u8) {
        let radius = radius.clamp(0, area.w.min(area.h).max(0) / 2);
        let visible = self.clip.intersect(area);
        for y in visible.y..visible.bottom() {
            let Some((x0, row)) = self.row(visible.x, y, visible.w) else {
                continue;
            };
            // How far the row is from the line on which the corners' centres lie.
            let dy = f32::outside(area.y + radius, area.bottom() - radius, y);
            for (x, pixel) in (x0..).zip(row) {
                let dx = f32::outside(area.x + radius, area.right() - radius, x);
                let inside = if dx > 0.0 && dy > 0.0 { coverage(radius as f32 - dx.hypot(dy)) } else { 255 };
                *pixel = mix(*pixel, color, mul(inside, alpha));
            }
        }
    }

    /// Darkens around a rectangle: `strength` of 255 in and at it, nothing `spread` pixels away.
    /// `hole` stays as it is: what will be drawn over.
    pub(super) fn shadow(&mut self, area: Area, hole: Area, spread: i32, strength: u8) {
        let visible = self.clip.intersect(area.inset(-spread));
        for y in visible.y..visible.bottom() {
            let dy = f32::outside(area.y, area.bottom(), y);
            let beside = Area::between(visible.x, y, visible.right(), y + 1).intersect(hole);
            let (left_end, right_start) =
                if beside.is_empty() { (visible.right(), visible.right()) } else { (beside.x, beside.right()) };
            for (left, right) in [(visible.x, left_end), (right_start, visible.right())] {
                let Some((x0, row)) = self.row(left, y, right - left) else {
                    continue;
                };
                for (x, pixel) in (x0..).zip(row) {
                    let dx = f32::outside(area.x, area.right(), x);
                    let near = (1.0 - dx.hypot(dy) / spread.max(1) as f32).clamp(0.0, 1.0);
                    *pixel = mix(*pixel, rgb(0), (near * near * f32::from(strength)) as u8);
                }
            }
        }
    }

    /// Draws an anti-aliased line of the given width with round ends.
    pub(super) fn line(&mut self, from: (f32, f32), to: (f32, f32), width: f32, color: Pixel) {
        let half = width / 2.0;
        let visible = self.clip.intersect(line_bounds(from, to, width));
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let length2 = (dx * dx + dy * dy).max(1e-6);
        for y in visible.y..visible.bottom() {
            let Some((x0, row)) = self.row(visible.x, y, visible.w) else {
                continue;
            };
            let py = y as f32 + 0.5 - from.1;
            for (x, pixel) in (x0..).zip(row) {
                let px = x as f32 + 0.5 - from.0;
                let along = ((px * dx + py * dy) / length2).clamp(0.0, 1.0);
                let away = (px - along * dx).hypot(py - along * dy);
                *pixel = mix(*pixel, color, coverage(half - away));
            }
        }
    }

    /// Fills an anti-aliased disc around a point.
    pub(super) fn disc(&mut self, center: (f32, f32), radius: f32, color: Pixel) {
        self.line(center, center, radius * 2.0, color);
    }

    /// Copies a picture of `w` pixels a row to where its top left corner is at `x`, `y`.
    pub(super) fn blit(&mut self, x: i32, y: i32, w: i32, picture: &[Pixel]) {
        for (y, from) in (y..).zip(picture.chunks_exact(w.max(1) as usize)) {
            if let Some((x0, to)) = self.row(x, y, w) {
                let skip = (x0 - x) as usize;
                to.copy_from_slice(&from[skip..skip + to.len()]);
            }
        }
    }
}

/// What a line of this width may touch.
pub(super) fn line_bounds(from: (f32, f32), to: (f32, f32), width: f32) -> Area {
    let reach = width / 2.0 + 1.0;
    Area::between(
        (from.0.min(to.0) - reach).floor() as i32,
        (from.1.min(to.1) - reach).floor() as i32,
        (from.0.max(to.0) + reach).ceil() as i32,
        (from.1.max(to.1) + reach).ceil() as i32,
    )
}

/// How much of a pixel is covered (of 255) whose centre is `depth` pixels inside of an edge.
fn coverage(depth: f32) -> u8 {
    ((depth + 0.5).clamp(0.0, 1.0) * 255.0) as u8
}

fn mul(a: u8, b: u8) -> u8 {
    (u16::from(a) * u16::from(b) / 255) as u8
}

/// Distances on one axis.
trait Distance {
    /// How far the centre of pixel `at` is outside of `start..end`; 0 inside.
    fn outside(start: i32, end: i32, at: i32) -> f32;
}

impl Distance for f32 {
    fn outside(start: i32, end: i32, at: i32) -> f32 {
        let at = at as f32 + 0.5;
        (start as f32 - at).max(at - end as f32).max(0.0)
    }
}
