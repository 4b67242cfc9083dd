//! [`Paint`]: a sheet to draw on, some colours, and a button that clears it.

use std::f32::consts::TAU;

use super::area::Area;
use super::canvas::{Canvas, Pixel, line_bounds, rgb};
use super::cursor::Pointer;
use super::dirty::Dirty;
use super::text::REGULAR;
use crate::source::Size;

const SHEET: Pixel = rgb(0xfbf8f1);
const TOOLS: Pixel = rgb(0xe9e3da);
const INK: Pixel = rgb(0x3a3346);
const COLORS: [Pixel; 6] = [rgb(0x2d2a3e), rgb(0xc0392b), rgb(0xe58e26), rgb(0x3f8f5f), rgb(0x2f74c0), rgb(0x8e44ad)];

/// Width of the column with the tools.
const TOOL_WIDTH: i32 = 58;
const SWATCH: i32 = 20;
const PEN: f32 = 4.0;

/// The sheet and the pen. Places are told with every call: the window moves.
pub(super) struct Paint {
    sheet: Vec<Pixel>,
    size: Size,
    color: usize,
    /// Where the pen is while it is down, on the sheet.
    pen: Option<(f32, f32)>,
}

/// Where things are in the window's content.
struct Places {
    sheet: Area,
    swatches: [Area; COLORS.len()],
    clear: Area,
}

impl Paint {
    /// A sheet with a flower on it.
    pub(super) fn new(content: Area) -> Self {
        let mut paint = Self { sheet: Vec::new(), size: Size { width: 0, height: 0 }, color: 1, pen: None };
        paint.resize(content);
        paint.flower();
        paint
    }

    /// Fits the sheet to the window; what is on it stays.
    pub(super) fn resize(&mut self, content: Area) {
        let area = Places::new(content).sheet;
        let size = Size { width: area.w.max(0).unsigned_abs(), height: area.h.max(0).unsigned_abs() };
        let old = std::mem::take(&mut self.sheet);
        let old_width = i32::try_from(self.size.width).unwrap_or(0);
        self.sheet = vec![SHEET; size.width as usize * size.height as usize];
        self.size = size;
        self.pen = None;
        Canvas::new(&mut self.sheet, size).blit(0, 0, old_width, &old);
    }

    /// The left button went down at a point of the window's content.
    pub(super) fn press(&mut self, content: Area, x: i32, y: i32, dirty: &mut Dirty) {
        let places = Places::new(content);
        if places.sheet.contains(x, y) {
            self.pen = Some(on_sheet(&places, x, y));
            self.draw_to(content, x, y, dirty);
        } else if places.clear.contains(x, y) {
            self.sheet.fill(SHEET);
            dirty.add(places.sheet);
        } else if let Some(swatch) = places.swatches.iter().position(|s| s.contains(x, y)) {
            dirty.add(places.swatches[self.color].inset(-3));
            dirty.add(places.swatches[swatch].inset(-3));
            self.color = swatch;
        }
    }

    /// The pointer moved; draws if the pen is down.
    pub(super) fn draw_to(&mut self, content: Area, x: i32, y: i32, dirty: &mut Dirty) {
        let Some(from) = self.pen else { return };
        let places = Places::new(content);
        let to = on_sheet(&places, x, y);
        let color = COLORS[self.color];
        Canvas::new(&mut self.sheet, self.size).line(from, to, PEN, color);
        self.pen = Some(to);
        let touched = line_bounds(from, to, PEN).offset(places.sheet.x, places.sheet.y);
        dirty.add(touched.intersect(places.sheet));
    }

    /// The left button went up.
    pub(super) fn release(&mut self) {
        self.pen = None;
    }

    /// The pointer's shape over a point of the content.
    pub(super) fn pointer(content: Area, x: i32, y: i32) -> Pointer {
        let places = Places::new(content);
        if places.sheet.contains(x, y) {
            Pointer::Cross
        } else if places.clear.contains(x, y) || places.swatches.iter().any(|s| s.contains(x, y)) {
            Pointer::Hand
        } else {
            Pointer::Arrow
        }
    }

    pub(super) fn draw(&self, canvas: &mut Canvas<'_>, content: Area) {
        let places = Places::new(content);
        let mut canvas = canvas.clipped(content);
        canvas.fill(content, TOOLS);
        let width = i32::try_from(self.size.width).unwrap_or(0);
        canvas.clipped(places.sheet).blit(places.sheet.x, places.sheet.y, width, &self.sheet);
        for (i, (swatch, color)) in places.swatches.iter().zip(COLORS).enumerate() {
            if i == self.color {
                canvas.rounded(swatch.inset(-3), 7, INK);
                canvas.rounded(swatch.inset(-1), 5, TOOLS);
            }
            canvas.rounded(*swatch, 4, color);
        }
        canvas.rounded(places.clear, 6, rgb(0xc9bfb2));
        canvas.rounded(places.clear.inset(1), 5, rgb(0xf7f3ec));
        canvas.text_centered(places.clear, "Clear", REGULAR, INK);
    }

    /// A rose curve, so that the sheet is not empty.
    fn flower(&mut self) {
        let (width, height) = (self.size.width as f32, self.size.height as f32);
        let (x, y) = (width / 2.0, height * 0.44);
        let reach = width.min(height) * 0.36;
        let mut canvas = Canvas::new(&mut self.sheet, self.size);
        canvas.line((x, y), (x + reach * 0.12, height * 0.98), PEN, COLORS[3]);
        for (petals, reach, color) in [(4.0, reach, COLORS[1]), (4.0, reach * 0.62, COLORS[2])] {
            let point = |step: i32| {
                let turn = step as f32 / 240.0 * TAU;
                let radius = reach * (turn * petals / 2.0).sin().abs();
                (x + radius * turn.cos(), y + radius * turn.sin())
            };
            for step in 0..240 {
                canvas.line(point(step), point(step + 1), PEN * 0.8, color);
            }
        }
    }
}

impl Places {
    fn new(content: Area) -> Self {
        let sheet = Area::between(content.x + TOOL_WIDTH, content.y, content.right(), content.bottom());
        let swatch = |i: usize| {
            let (column, row) = (i as i32 % 2, i as i32 / 2);
            Area::new(content.x + 7 + column * (SWATCH + 5), content.y + 8 + row * (SWATCH + 6), SWATCH, SWATCH)
        };
        let clear = Area::new(content.x + 6, content.y + 8 + 3 * (SWATCH + 6) + 6, TOOL_WIDTH - 12, 24);
        Self { sheet, swatches: std::array::from_fn(swatch), clear }
    }
}

/// The centre of a pixel, from the sheet's corner.
fn on_sheet(places: &Places, x: i32, y: i32) -> (f32, f32) {
    ((x - places.sheet.x) as f32 + 0.5, (y - places.sheet.y) as f32 + 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTENT: Area = Area::new(100, 50, 300, 200);

    fn pixel(paint: &Paint, x: i32, y: i32) -> Pixel {
        let sheet = Places::new(CONTENT).sheet;
        paint.sheet[((y - sheet.y) * sheet.w + x - sheet.x) as usize]
    }

    fn blank() -> (Paint, Dirty) {
        let mut paint = Paint::new(CONTENT);
        let clear = Places::new(CONTENT).clear;
        let mut dirty = Dirty::default();
        paint.press(CONTENT, clear.x, clear.y, &mut dirty);
        assert_eq!(dirty.take(), [Places::new(CONTENT).sheet]);
        assert!(paint.sheet.iter().all(|p| *p == SHEET));
        (paint, dirty)
    }

    #[test]
    fn a_stroke_changes_the_pixels_along_its_way_and_marks_them() {
        let (mut paint, mut dirty) = blank();
        paint.press(CONTENT, 200, 100, &mut dirty);
        dirty.take();
        paint.draw_to(CONTENT, 260, 100, &mut dirty);
        let [stroke] = dirty.take()[..] else { panic!("one area was drawn on") };
        assert!(stroke.h <= 8 && (60..=68).contains(&stroke.w), "{stroke:?}");
        assert_eq!(pixel(&paint, 230, 100), COLORS[1]);
        assert_eq!(pixel(&paint, 230, 110), SHEET);
        paint.release();
        paint.draw_to(CONTENT, 200, 150, &mut dirty);
        assert!(dirty.is_empty());
    }

    #[test]
    fn strokes_that_leave_the_sheet_are_cut_off() {
        let (mut paint, mut dirty) = blank();
        paint.press(CONTENT, 200, 100, &mut dirty);
        for (x, y) in [(-5000, 100), (9000, 9000), (200, -9000)] {
            paint.draw_to(CONTENT, x, y, &mut dirty);
        }
        let sheet = Places::new(CONTENT).sheet;
        assert!(dirty.take().into_iter().all(|area| sheet.holds(area)));
    }

    #[test]
    fn swatches_choose_the_colour() {
        let (mut paint, mut dirty) = blank();
        let blue = Places::new(CONTENT).swatches[4];
        paint.press(CONTENT, blue.x + 3, blue.y + 3, &mut dirty);
        paint.press(CONTENT, 200, 100, &mut dirty);
        assert_eq!(pixel(&paint, 200, 100), COLORS[4]);
    }

    #[test]
    fn the_picture_survives_another_size() {
        let (mut paint, mut dirty) = blank();
        paint.press(CONTENT, 170, 60, &mut dirty);
        paint.resize(Area { w: 150, h: 60, ..CONTENT });
        paint.resize(CONTENT);
        assert_eq!(pixel(&paint, 170, 60), COLORS[1]);
        assert_eq!(pixel(&paint, 390, 240), SHEET);
        paint.resize(Area { w: 0, h: -5, ..CONTENT });
        assert!(paint.sheet.is_empty());
    }
}
