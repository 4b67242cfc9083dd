//! Areas of one colour: they are filled on the client (DRAW_FILL) and not sent.

use std::collections::HashMap;

use sumac_backends::Frame;

use super::Region;
use super::matrix::largest_rectangle;
use super::rows::{Rows, colours};
use crate::source::Rect;

/// Side of the cells of which larger areas are made, in pixels.
const CELL: u32 = 32;
/// The smallest area that is worth a message of its own, in pixels.
const MIN_AREA: u64 = 128 * 128;
/// The most areas that are looked for in one rectangle.
const MAX_FILLS: usize = 4;

/// A rectangle of one colour: DRAW_FILL (302 of the display channel in spice.proto) with a solid
/// brush.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// Where.
    pub rect: Rect,
    /// Red, green and blue, `0x00rrggbb`.
    pub colour: u32,
}

/// The colour of an area that has only one; `None` also when it is empty or leaves the picture.
pub fn solid_colour(frame: &Frame, rect: Rect) -> Option<u32> {
    let rows = Rows::of(frame)?;
    rows.size().bounds().contains(rect).then(|| colour_of(rows, rect)).flatten()
}

/// The parts of the damage that have one colour: its rectangles that do as a whole, and in others
/// the largest areas of at least 128x128 pixels' worth. They do not overlap.
pub fn find_fills(frame: &Frame, damage: &Region) -> Vec<Fill> {
    let Some(rows) = Rows::of(frame) else { return Vec::new() };
    let inside = damage.rects().iter().filter_map(|r| r.intersect(rows.size().bounds()));
    inside.flat_map(|rect| fills_in(rows, rect)).collect()
}

fn fills_in(rows: Rows<'_>, rect: Rect) -> Vec<Fill> {
    if let Some(colour) = colour_of(rows, rect) {
        return vec![Fill { rect, colour }];
    }
    let mut fills = Vec::new();
    if rect.area() < MIN_AREA {
        return fills;
    }
    let columns = rect.width.div_ceil(CELL);
    let cells_high = rect.height.div_ceil(CELL);
    let pixels = |cells: Rect| {
        let (x, y) = (rect.x + cells.x * CELL, rect.y + cells.y * CELL);
        Rect { x, y, width: cells.width * CELL, height: cells.height * CELL }.intersect(rect)
    };
    let cells = (0..cells_high).flat_map(|y| (0..columns).map(move |x| Rect { x, y, width: 1, height: 1 }));
    let mut cells: Vec<Option<u32>> = cells.map(|cell| colour_of(rows, pixels(cell)?)).collect();
    while fills.len() < MAX_FILLS
        && let Some(colour) = most_frequent(&cells)
    {
        let of_colour: Vec<bool> = cells.iter().map(|c| *c == Some(colour)).collect();
        let Some(found) = largest_rectangle(columns as usize, &of_colour) else { break };
        let Some(rect) = pixels(found).filter(|r| r.area() >= MIN_AREA) else { break };
        fills.push(Fill { rect, colour });
        for y in found.y..found.bottom() {
            let start = (y * columns + found.x) as usize;
            cells[start..start + found.width as usize].fill(None);
        }
    }
    fills
}

fn colour_of(rows: Rows<'_>, rect: Rect) -> Option<u32> {
    let first = colours(rows.row(rect.y, Rect { width: rect.width.min(1), ..rect })).next()?;
    // Not `all` over every pixel: a fold without an exit in each row is several pixels at a time.
    let is_solid = |row: &[u8]| colours(row).fold(0, |seen, colour| seen | (colour ^ first)) == 0;
    (rect.y..rect.bottom()).all(|y| is_solid(rows.row(y, rect))).then_some(first)
}

/// The colour of most cells; of equals the darkest.
fn most_frequent(cells: &[Option<u32>]) -> Option<u32> {
    let mut counts: HashMap<u32, usize> = HashMap::new();
    cells.iter().flatten().for_each(|colour| *counts.entry(*colour).or_default() += 1);
    counts.into_iter().max_by_key(|(colour, count)| (*count, std::cmp::Reverse(*colour))).map(|(colour, _)| colour)
}

#[cfg(test)]
mod tests {
    use sumac_backends::Layout;

    use super::*;

    const ALL: Rect = Rect { x: 0, y: 0, width: 700, height: 500 };

    fn rect(x: u32, y: u32, width: u32, height: u32) -> Rect {
        Rect { x, y, width, height }
    }

    /// Noise with rectangles of one colour in it; the unused byte is different everywhere.
    fn frame(areas: &[(Rect, u32)]) -> Frame {
        let mut pixels: Vec<u32> = (0..ALL.area() as u32).map(|i| i.wrapping_mul(0x9e37_79b9)).collect();
        for (area, colour) in areas {
            for y in area.y..area.bottom() {
                for x in area.x..area.right() {
                    let pixel = &mut pixels[(y * ALL.width + x) as usize];
                    *pixel = *pixel & 0xff00_0000 | colour;
                }
            }
        }
        let bytes: Vec<u8> = pixels.into_iter().flat_map(u32::to_le_bytes).collect();
        Frame::from_memory(Layout { width: 700, height: 500, stride: 2800 }, bytes).unwrap()
    }

    #[test]
    fn one_colour_is_told_from_nearly_one() {
        let area = rect(101, 53, 77, 31);
        let solid = frame(&[(area, 0x12_3456)]);
        assert_eq!(solid_colour(&solid, area), Some(0x12_3456));
        assert_eq!(solid_colour(&solid, rect(101, 53, 78, 31)), None);
        assert_eq!(solid_colour(&solid, rect(101, 52, 77, 31)), None);
        let spot = frame(&[(area, 0x12_3456), (rect(177, 83, 1, 1), 0x12_3457)]);
        assert_eq!(solid_colour(&spot, area), None);
        assert_eq!(solid_colour(&solid, rect(101, 53, 0, 31)), None);
        assert_eq!(solid_colour(&solid, rect(690, 490, 11, 10)), None);
        assert_eq!(solid_colour(&solid, rect(5000, 5000, 0, 0)), None);
    }

    #[test]
    fn a_solid_rectangle_of_damage_is_one_fill() {
        let (one, other) = (rect(10, 10, 50, 20), rect(300, 200, 31, 57));
        let frame = frame(&[(one, 7), (other, 0xff_ffff)]);
        let mut fills = find_fills(&frame, &[one, other, rect(100, 400, 40, 40)].into_iter().collect());
        fills.sort_by_key(|f| f.rect.x);
        assert_eq!(fills, [Fill { rect: one, colour: 7 }, Fill { rect: other, colour: 0xff_ffff }]);
    }

    #[test]
    fn the_large_solid_parts_of_a_window_are_found() {
        let (page, side, small) = (rect(200, 100, 400, 300), rect(20, 100, 160, 300), rect(620, 0, 60, 60));
        let frame = frame(&[(page, 0xff_ffff), (side, 0x40_4040), (small, 0)]);
        let fills = find_fills(&frame, &ALL.into());
        assert_eq!(fills.len(), 2, "{fills:?}");
        for (fill, (area, colour)) in fills.iter().zip([(page, 0xff_ffff), (side, 0x40_4040)]) {
            assert!(area.contains(fill.rect) && fill.colour == colour, "{fill:?}");
            assert_eq!(solid_colour(&frame, fill.rect), Some(colour));
            assert!(fill.rect.area() * 3 >= area.area() * 2, "{fill:?}");
        }
    }

    #[test]
    fn nothing_solid_nothing_filled() {
        assert_eq!(find_fills(&frame(&[]), &ALL.into()), []);
        assert_eq!(find_fills(&frame(&[(ALL, 3)]), &Region::new()), []);
        let beyond = find_fills(&frame(&[(ALL, 3)]), &rect(650, 450, 1000, 1000).into());
        assert_eq!(beyond, [Fill { rect: rect(650, 450, 50, 50), colour: 3 }]);
    }
}
