//! Whether pixels look like text or like a picture.

use sumac_backends::Frame;

use crate::source::Rect;

/// Rows that are looked at, runs in each of them, and pixels of a run: up to 7936 pairs say enough
/// of any area. A run holds more than a letter.
const ROWS: u32 = 64;
const RUNS: u32 = 4;
const RUN: u32 = 32;
/// The largest step of a colour between neighbours that shading makes; letters make larger ones.
const SHADING: u8 = 16;

/// Whether an area looks like text or a drawing rather than a picture: at least half of the
/// neighbours in a row are equal, and of the others most differ by more than shading.
///
/// An area that cannot be read here (dmabufs) counts as a picture.
pub fn looks_like_text(frame: &Frame, area: Rect) -> bool {
    let stride = frame.layout().stride as usize;
    let (mut pairs, mut equal, mut shaded) = (0u32, 0u32, 0u32);
    for n in 0..ROWS {
        let y = area.y + spread(n, area.height);
        let start = y as usize * stride + area.x as usize * 4;
        let Some(row) = frame.pixels().get(start..start + area.width as usize * 4) else { break };
        for m in 0..RUNS {
            let skip = spread(n * RUNS + m, area.width.saturating_sub(RUN - 1));
            for pair in row.as_chunks::<4>().0.windows(2).skip(skip as usize).take(RUN as usize - 1) {
                let difference = |c: usize| pair[0][c].abs_diff(pair[1][c]);
                let largest = difference(0).max(difference(1)).max(difference(2));
                pairs += 1;
                equal += u32::from(largest == 0);
                shaded += u32::from((1..=SHADING).contains(&largest));
            }
        }
    }
    let sharp = pairs - equal - shaded;
    equal * 2 >= pairs && shaded < sharp
}

/// The n-th of a series of numbers below `limit` that spreads evenly without a period: with one,
/// all samples could fall between the lines of a text.
fn spread(n: u32, limit: u32) -> u32 {
    // 2^32 over the golden ratio.
    ((u64::from(n.wrapping_mul(0x9e37_79b9)) * u64::from(limit)) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use sumac_backends::Layout;

    use super::*;

    fn frame(pixel: impl Fn(u32, u32) -> u8) -> Frame {
        let (width, height) = (200, 100);
        let bytes: Vec<u8> = (0..width * height).flat_map(|i| [pixel(i % width, i / width); 4]).collect();
        Frame::from_memory(Layout { width, height, stride: width * 4 }, bytes).unwrap()
    }

    #[test]
    fn letters_are_text_and_pictures_are_not() {
        let all = Rect { x: 0, y: 0, width: 200, height: 100 };
        let looks = |pixel: fn(u32, u32) -> u8| looks_like_text(&frame(pixel), all);
        let letters = |x: u32, y: u32| if y % 16 < 12 && x % 9 < 2 { 30 } else { 250 };
        assert!(looks(letters));
        assert!(!looks(|x, y| (x / 3 + y) as u8), "a gradient");
        assert!(!looks(|x, y| (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503_001)).to_le_bytes()[2]), "noise");
        assert!(!looks(|_, _| 7), "one colour");
        let lower = Rect { x: 0, y: 50, width: 200, height: 50 };
        let half = frame(|x, y| if y < 50 { (x + y) as u8 } else { letters(x, y) });
        assert!(looks_like_text(&half, lower) && !looks_like_text(&half, Rect { y: 0, ..lower }));
    }

    #[test]
    fn areas_beyond_the_picture_are_pictures() {
        let beyond = Rect { x: 0, y: 90, width: 400, height: 4000 };
        assert!(!looks_like_text(&frame(|_, _| 0), beyond));
    }
}
