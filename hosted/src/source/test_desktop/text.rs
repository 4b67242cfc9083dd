//! Anti-aliased text: Noto Sans Mono, rasterised ahead of time.

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

use super::area::Area;
use super::canvas::{Canvas, Pixel, mix};

/// A font at a size.
#[derive(Clone, Copy)]
pub(super) struct Face {
    weight: FontWeight,
    height: RasterHeight,
}

/// The normal text.
pub(super) const REGULAR: Face = Face { weight: FontWeight::Regular, height: RasterHeight::Size16 };
/// Titles and emphasis, as wide as [`REGULAR`].
pub(super) const BOLD: Face = Face { weight: FontWeight::Bold, height: RasterHeight::Size16 };

/// Larger text for larger screens.
pub(super) const LARGE: Face = Face { weight: FontWeight::Regular, height: RasterHeight::Size20 };

impl Face {
    /// The same size in bold, which is as wide.
    pub(super) fn bold(self) -> Self {
        Self { weight: FontWeight::Bold, ..self }
    }

    /// Width of every character in pixels.
    pub(super) fn advance(self) -> i32 {
        get_raster_width(self.weight, self.height) as i32
    }

    /// Height of a line in pixels.
    pub(super) fn line_height(self) -> i32 {
        self.height.val() as i32
    }

    /// Width of a line of text in pixels.
    pub(super) fn width(self, text: &str) -> i32 {
        let count = i32::try_from(text.chars().count()).unwrap_or(i32::MAX);
        count.saturating_mul(self.advance())
    }
}

impl Canvas<'_> {
    /// Writes one line whose top left corner is at `x`, `y`; what the font lacks becomes `?`.
    pub(super) fn text(&mut self, x: i32, y: i32, text: &str, face: Face, color: Pixel) {
        let mut x = x;
        for c in text.chars() {
            if x >= self.clip().right() {
                break;
            }
            self.glyph(x, y, c, face, color);
            x = x.saturating_add(face.advance());
        }
    }

    /// Writes one line in the middle of an area.
    pub(super) fn text_centered(&mut self, area: Area, text: &str, face: Face, color: Pixel) {
        let x = area.x + (area.w - face.width(text)) / 2;
        self.clipped(area).text(x, area.y + (area.h - face.line_height()) / 2, text, face, color);
    }

    /// Writes one character.
    pub(super) fn glyph(&mut self, x: i32, y: i32, c: char, face: Face, color: Pixel) {
        let raster = get_raster(c, face.weight, face.height).or_else(|| get_raster('?', face.weight, face.height));
        let Some(raster) = raster.filter(|_| c != ' ') else {
            return;
        };
        for (y, line) in (y..).zip(raster.rows()) {
            let Some((x0, row)) = self.row(x, y, face.advance()) else {
                continue;
            };
            let skip = usize::try_from(x0 - x).unwrap_or(0);
            for (pixel, &alpha) in row.iter_mut().zip(line.iter().skip(skip)) {
                *pixel = mix(*pixel, color, alpha);
            }
        }
    }
}
