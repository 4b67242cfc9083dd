//! Which parts of a picture look natural: a photo or a shaded drawing, not text or a desktop.

use sumac_backends::Frame;

use super::matrix::largest_rectangle;
use super::rows::Rows;
use crate::source::Rect;

/// Side of the cells that are looked at one by one, in pixels.
const CELL: u32 = 64;
/// The smallest part that is worth an image of its own, in pixels.
const MIN_AREA: u64 = 128 * 128;
/// The most parts that are looked for in one rectangle.
const MAX_PARTS: usize = 4;
/// Rows that are looked at in a cell, and pixels in each of them.
const ROWS: u32 = 8;
const RUN: u32 = 24;
/// The largest step of a colour between neighbours that shading makes; letters make larger ones.
const SHADING: u8 = 24;

/// The parts of `rect`, which lies in the frame, that look natural: QUIC codes them in fewer bytes
/// than LZ and its kin. They do not overlap; the rest looks like text. None when the frame cannot
/// be read here (dmabufs).
pub fn natural_parts(frame: &Frame, rect: Rect) -> Vec<Rect> {
    let Some(rows) = Rows::of(frame) else { return Vec::new() };
    let (columns, lines) = (rect.width.div_ceil(CELL), rect.height.div_ceil(CELL));
    let pixels = |cells: Rect| {
        let (x, y) = (rect.x + cells.x * CELL, rect.y + cells.y * CELL);
        Rect { x, y, width: cells.width * CELL, height: cells.height * CELL }.intersect(rect)
    };
    let cells = (0..lines).flat_map(|y| (0..columns).map(move |x| Rect { x, y, width: 1, height: 1 }));
    let mut natural: Vec<bool> = cells.map(|cell| pixels(cell).is_some_and(|cell| looks_natural(rows, cell))).collect();
    let count = natural.iter().filter(|n| **n).count();
    // Little of the other kind does not pay for images of its own.
    if count * 8 >= natural.len() * 7 {
        return vec![rect];
    }
    let mut parts = Vec::new();
    while parts.len() < MAX_PARTS
        && let Some(found) = largest_rectangle(columns as usize, &natural)
        && let Some(part) = pixels(found).filter(|part| part.area() >= MIN_AREA)
    {
        parts.push(part);
        for y in found.y..found.bottom() {
            let start = (y * columns + found.x) as usize;
            natural[start..start + found.width as usize].fill(false);
        }
    }
    parts
}

/// Whether many pixels differ from those to the left and above, and most of those by little.
fn looks_natural(rows: Rows<'_>, cell: Rect) -> bool {
    let (mut all, mut equal, mut shaded) = (0u32, 0u32, 0u32);
    let run = cell.width.min(RUN + 1);
    for n in 0..ROWS.min(cell.height - 1) {
        let y = cell.y + 1 + spread(n, cell.height - 1);
        let part = Rect { x: cell.x + spread(n * 7 + 3, cell.width - run + 1), width: run, ..cell };
        let (here, above) = (rows.row(y, part).as_chunks::<4>().0, rows.row(y - 1, part).as_chunks::<4>().0);
        for ((left, here), above) in here.iter().zip(&here[1..]).zip(&above[1..]) {
            let (to_left, to_above) = (difference(here, left), difference(here, above));
            all += 1;
            equal += u32::from(to_left == 0 || to_above == 0);
            shaded += u32::from(to_left.min(to_above) <= SHADING);
        }
    }
    // What is equal is shaded, too.
    equal * 4 < all * 3 && (shaded - equal) * 2 > all - equal
}

fn difference(a: &[u8; 4], b: &[u8; 4]) -> u8 {
    a[0].abs_diff(b[0]).max(a[1].abs_diff(b[1])).max(a[2].abs_diff(b[2]))
}

/// The n-th of a series of numbers below `limit` that spreads evenly without a period.
fn spread(n: u32, limit: u32) -> u32 {
    // 2^32 over the golden ratio.
    ((u64::from(n.wrapping_mul(0x9e37_79b9)) * u64::from(limit)) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use sumac_backends::Layout;

    use super::*;

    const ALL: Rect = Rect { x: 0, y: 0, width: 640, height: 480 };

    fn frame(pixel: impl Fn(u32, u32) -> u32) -> Frame {
        let bytes = (0..ALL.area() as u32).flat_map(|i| pixel(i % ALL.width, i / ALL.width).to_le_bytes());
        let layout = Layout { width: ALL.width, height: ALL.height, stride: ALL.width * 4 };
        Frame::from_memory(layout, bytes.collect::<Vec<u8>>()).unwrap()
    }

    /// Soft waves with a little noise.
    fn photo(x: u32, y: u32) -> u32 {
        let noise = x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503_001);
        let wave = |step: u32| ((x * step + y * 2) / 3 % 200) + (noise >> (step * 3) & 7);
        wave(1) | wave(2) << 8 | wave(3) << 16
    }

    fn letters(x: u32, y: u32) -> u32 {
        if y % 16 < 12 && (x / 2 * 7 + y / 3) % 9 < 3 { 0x20_2020 } else { 0xff_ffff }
    }

    #[test]
    fn photos_are_natural_and_the_rest_is_not() {
        assert_eq!(natural_parts(&frame(photo), ALL), [ALL]);
        let others: [fn(u32, u32) -> u32; 4] =
            [letters, |_, _| 7, |x, y| (x * 7919 + y).wrapping_mul(0x9e37_79b9), |x, _| x / 3 * 0x01_0101];
        for other in others {
            assert_eq!(natural_parts(&frame(other), ALL), []);
        }
        let small = Rect { x: 3, y: 5, width: 40, height: 2 };
        assert_eq!(natural_parts(&frame(photo), small), [small]);
        assert_eq!(natural_parts(&frame(letters), small), []);
        let line = Rect { height: 1, ..small };
        assert_eq!(natural_parts(&frame(photo), line), [], "too little to tell");
    }

    #[test]
    fn a_photo_in_a_page_is_found() {
        let shown = Rect { x: 100, y: 130, width: 320, height: 256 };
        let page = frame(|x, y| {
            let inside = shown.intersect(Rect { x, y, width: 1, height: 1 }).is_some();
            if inside { photo(x, y) } else { letters(x, y) }
        });
        let [part] = natural_parts(&page, ALL)[..] else { panic!("one part") };
        let common = part.intersect(shown).map_or(0, Rect::area);
        assert!(common * 10 >= shown.area() * 6 && part.area() <= shown.area() * 13 / 10, "{part:?}");
    }
}
