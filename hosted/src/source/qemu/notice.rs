//! Words on the screen while QEMU shows nothing: one line, grey on black, in the middle of a bar.

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

use crate::source::{Rect, Size};

/// Size of the picture before QEMU's first, in pixels: a firmware's text screen.
pub(super) const SIZE: Size = Size { width: 720, height: 400 };
/// Height of the bar over the last picture, in pixels.
const BAR: u32 = 32;

const WEIGHT: FontWeight = FontWeight::Regular;
const HEIGHT: RasterHeight = RasterHeight::Size16;

/// The bar's place along the lower edge of a picture of this size.
pub(super) fn bar(size: Size) -> Rect {
    let height = BAR.min(size.height);
    Rect { x: 0, y: size.height - height, width: size.width, height }
}

/// Fills `area` of a picture of this size, BGRX without padding, with black and the text; what
/// does not fit is cut off, and what the font lacks becomes `?`.
pub(super) fn draw(pixels: &mut [u8], size: Size, area: Rect, text: &str) {
    let stride = size.width as usize * 4;
    let rows = pixels.chunks_exact_mut(stride.max(1)).skip(area.y as usize).take(area.height as usize);
    let mut rows: Vec<&mut [u8]> = rows.map(|row| &mut row[area.x as usize * 4..area.right() as usize * 4]).collect();
    rows.iter_mut().for_each(|row| row.fill(0));
    let advance = get_raster_width(WEIGHT, HEIGHT);
    let width = advance * text.chars().count();
    let left = (area.width as usize).saturating_sub(width) / 2;
    let top = (area.height as usize).saturating_sub(HEIGHT.val()) / 2;
    for (at, c) in text.chars().enumerate() {
        let Some(raster) = get_raster(c, WEIGHT, HEIGHT).or_else(|| get_raster('?', WEIGHT, HEIGHT)) else { continue };
        for (row, line) in rows.iter_mut().skip(top).zip(raster.rows()) {
            let glyph = row.as_chunks_mut::<4>().0.iter_mut().skip(left + at * advance);
            glyph.zip(line.iter()).for_each(|(pixel, &shade)| *pixel = [shade, shade, shade, 0]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_area_is_drawn_into_and_long_texts_are_cut() {
        for size in [SIZE, Size { width: 33, height: 7 }, Size { width: 1, height: 1 }] {
            let mut pixels = vec![9; size.width as usize * size.height as usize * 4];
            draw(&mut pixels, size, bar(size), "Waiting for QEMU. \u{1f600}");
            let above = pixels.len() - bar(size).height as usize * size.width as usize * 4;
            assert!(pixels[..above].iter().all(|&byte| byte == 9));
            assert!(pixels[above..].iter().all(|&byte| byte != 9 || size == SIZE));
            if size == SIZE {
                assert!(pixels[above..].iter().any(|&byte| byte > 200), "no word can be seen");
            }
        }
    }
}
