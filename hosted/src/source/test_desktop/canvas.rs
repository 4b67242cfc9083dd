//! [`Canvas`]: drawing into BGRX pixels. Everything is clipped, so that nothing can panic for
//! coordinates and lengths within ±2^28, which pictures of at most 8192 pixels a side and pointers
//! that stay inside of them never leave.

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

    /// Fills a rectangle with round, anti-aliased corners.
    pub(super) fn rounded(&mut self, area: Area, radius: i32, color: Pixel) {
        let radius = radius.clamp(0, area.w.min(area.h).max(0) / 2);
        let visible = self.clip.intersect(area);
        for y in visible.y..visible.bottom() {
            let Some((x0, row)) = self.row(visible.x, y, visible.w) else { continue };
            // How far the row is from the lines on which the corners' centres lie.
            let dy = f32::outside(area.y + radius, area.bottom() - radius, y);
            if dy == 0.0 {
                row.fill(color);
                continue;
            }
            for (x, pixel) in (x0..).zip(row) {
                let dx = f32::outside(area.x + radius, area.right() - radius, x);
                *pixel = mix(*pixel, color, coverage(radius as f32 - dx.hypot(dy)));
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

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { width: 20, height: 10 };
    const WHITE: Pixel = rgb(0xff_ff_ff);

    const FAR: i32 = 1 << 28;

    /// Draws on black and gives back the pixels.
    fn drawn(draw: impl FnOnce(&mut Canvas<'_>)) -> Vec<Pixel> {
        let mut pixels = vec![rgb(0); 200];
        draw(&mut Canvas::new(&mut pixels, SIZE));
        pixels
    }

    /// Every way of drawing, in an area.
    fn draw_everything(canvas: &mut Canvas<'_>, area: Area) {
        let (x, y) = (area.x as f32, area.y as f32);
        canvas.fill(area, WHITE);
        canvas.gradient(area, WHITE, rgb(1));
        canvas.rounded(area, 5, WHITE);
        canvas.shadow(area, area.inset(2), 9, 200);
        canvas.line((x, y), (area.right() as f32, area.bottom() as f32), 3.0, WHITE);
        canvas.disc((x, y), 4.0, WHITE);
        canvas.blit(area.x, area.y, 3, &[WHITE; 12]);
        canvas.text(area.x, area.y, "Ag\u{1F600}\n", super::super::text::REGULAR, WHITE);
        canvas.text_centered(area, "Ag", super::super::text::BOLD, WHITE);
    }

    #[test]
    fn nothing_is_drawn_outside_of_the_clip_and_nothing_panics() {
        let clip = Area::new(3, 2, 9, 5);
        for x in [-FAR, -30, -3, 0, 5, 19, 400, FAR] {
            for y in [-FAR, -30, -3, 0, 5, 9, 400, FAR] {
                for side in [-FAR, -1, 0, 1, 7, 1000, FAR] {
                    let pixels =
                        drawn(|canvas| draw_everything(&mut canvas.clipped(clip), Area::new(x, y, side, side)));
                    let outside = (0..200).filter(|i| !clip.contains(i % 20, i / 20));
                    assert!(outside.into_iter().all(|i| pixels[i as usize] == rgb(0)), "{x} {y} {side}");
                }
            }
        }
    }

    #[test]
    fn pixels_that_do_not_fit_the_size_are_not_touched() {
        let mut pixels = vec![rgb(0); 199];
        draw_everything(&mut Canvas::new(&mut pixels, SIZE), Area::of(SIZE));
        assert!(pixels.iter().all(|p| *p == rgb(0)));
    }

    #[test]
    fn drawing_in_parts_gives_the_same_pixels() {
        let area = Area::new(2, 1, 15, 8);
        let whole = drawn(|canvas| draw_everything(canvas, area));
        let parts = drawn(|canvas| {
            for x in (0..20).step_by(3) {
                for y in (0..10).step_by(4) {
                    draw_everything(&mut canvas.clipped(Area::new(x, y, 3, 4)), area);
                }
            }
        });
        assert_eq!(whole, parts);
    }

    #[test]
    fn mixing_is_exact_at_its_ends() {
        for value in 0..=255 {
            let color = [value, 255 - value, 7, 0];
            assert_eq!(mix(rgb(0x123456), color, 255), color);
            assert_eq!(mix(color, rgb(0x123456), 0), color);
            assert_eq!(mix(color, color, value), color);
        }
        assert_eq!(mix(rgb(0), WHITE, 128), rgb(0x808080));
    }

    #[test]
    fn edges_are_soft() {
        let pixels = drawn(|canvas| canvas.line((2.0, 2.0), (17.0, 6.0), 2.0, WHITE));
        assert!(pixels.contains(&WHITE));
        assert!(pixels.iter().any(|p| (40..200).contains(&p[0])));
    }
}
