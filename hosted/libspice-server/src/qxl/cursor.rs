//! A guest's cursor as the pixels that viewers get.

use std::sync::Arc;

use sumac::source::{CursorShape, Size};
use sumac_core::proto::cursor::{CursorHeader, CursorType};

use super::picture::from_x555;

/// The shape; `data` has the bytes that its type and size take. `None` for one without pixels.
pub(super) fn shape(header: &CursorHeader, data: &[u8]) -> Option<CursorShape> {
    let (width, height) = (usize::from(header.width), usize::from(header.height));
    if width == 0 || height == 0 {
        return None;
    }
    let pixels: Vec<u32> = match header.kind {
        CursorType::ALPHA => words(data, width * height),
        CursorType::MONO => mono(data, width, height),
        kind => masked(kind, data, width, height),
    };
    let size = Size { width: header.width.into(), height: header.height.into() };
    let bgra: Arc<[u8]> = pixels.iter().flat_map(|pixel| pixel.to_le_bytes()).collect();
    Some(CursorShape { size, hot_x: header.hot_spot_x, hot_y: header.hot_spot_y, bgra })
}

const OPAQUE: u32 = 0xff00_0000;

fn words(data: &[u8], count: usize) -> Vec<u32> {
    data.chunks_exact(4).take(count).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

fn bit(mask: &[u8], x: usize, y: usize, width: usize) -> bool {
    mask.get(y * width.div_ceil(8) + x / 8).is_some_and(|byte| byte >> (7 - x % 8) & 1 != 0)
}

/// An AND mask and an XOR mask. What inverts is black: pixels cannot invert.
fn mono(data: &[u8], width: usize, height: usize) -> Vec<u32> {
    let (and, xor) = data.split_at(data.len() / 2);
    let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    let pixel = |(x, y)| match (bit(and, x, y, width), bit(xor, x, y, width)) {
        (true, false) => 0,
        (false, true) => OPAQUE | 0xff_ffff,
        (false, false) | (true, true) => OPAQUE,
    };
    places.map(pixel).collect()
}

/// Colours, for some types a palette, and a mask of what is not there.
fn masked(kind: CursorType, data: &[u8], width: usize, height: usize) -> Vec<u32> {
    let bits = match kind {
        CursorType::COLOR4 => 4,
        CursorType::COLOR8 => 8,
        CursorType::COLOR16 => 16,
        CursorType::COLOR24 => 24,
        _ => 32,
    };
    let stride = (width * bits).div_ceil(8);
    let (rows, rest) = data.split_at((stride * height).min(data.len()));
    let colors = if bits <= 8 { words(rest, 1 << bits) } else { Vec::new() };
    let mask = rest.get(colors.len() * 4..).unwrap_or_default();
    let color = |n: u8| colors.get(usize::from(n)).copied().unwrap_or(0);
    let byte = |at: usize| rows.get(at).copied().unwrap_or(0);
    let places = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    let pixel = |(x, y): (usize, usize)| {
        let start = y * stride;
        let value = match bits {
            4 => color(byte(start + x / 2) >> (4 - 4 * (x % 2)) & 15),
            8 => color(byte(start + x)),
            16 => from_x555(u16::from_le_bytes([byte(start + 2 * x), byte(start + 2 * x + 1)])),
            24 => u32::from_le_bytes([byte(start + 3 * x), byte(start + 3 * x + 1), byte(start + 3 * x + 2), 0]),
            _ => {
                let at = start + 4 * x;
                u32::from_le_bytes([byte(at), byte(at + 1), byte(at + 2), 0])
            }
        };
        if bit(mask, x, y, width) { 0 } else { value & 0xff_ffff | OPAQUE }
    };
    places.map(pixel).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixels(kind: CursorType, width: u16, height: u16, data: &[u8]) -> Vec<u32> {
        let header = CursorHeader { unique: 0, kind, width, height, hot_spot_x: 0, hot_spot_y: 0 };
        words(&shape(&header, data).unwrap().bgra, usize::MAX)
    }

    #[test]
    fn every_type_becomes_pixels() {
        assert_eq!(pixels(CursorType::ALPHA, 1, 1, &[1, 2, 3, 4]), [0x0403_0201]);
        let mono = pixels(CursorType::MONO, 4, 1, &[0b1010_0000, 0b0110_0000]);
        assert_eq!(mono, [0, 0xffff_ffff, 0xff00_0000, 0xff00_0000]);
        let mut color4 = vec![0x12];
        color4.extend((0..16_u32).flat_map(|n| (n * 0x11).to_le_bytes()));
        color4.push(0b0100_0000);
        assert_eq!(pixels(CursorType::COLOR4, 2, 1, &color4), [0xff00_0011, 0]);
        let mut color8 = vec![1, 2];
        color8.extend((0..256_u32).flat_map(|n| (n * 0x11).to_le_bytes()));
        color8.push(0);
        assert_eq!(pixels(CursorType::COLOR8, 2, 1, &color8), [0xff00_0011, 0xff00_0022]);
        assert_eq!(pixels(CursorType::COLOR16, 1, 1, &[0xff, 0x7f, 0]), [0xffff_ffff]);
        assert_eq!(pixels(CursorType::COLOR24, 1, 1, &[1, 2, 3, 0x80]), [0]);
        assert_eq!(pixels(CursorType::COLOR32, 1, 1, &[1, 2, 3, 9, 0]), [0xff03_0201]);
    }

    #[test]
    fn one_without_pixels_is_none() {
        let kind = CursorType::ALPHA;
        let header = CursorHeader { unique: 0, kind, width: 0, height: 4, hot_spot_x: 0, hot_spot_y: 0 };
        assert_eq!(shape(&header, &[]), None);
    }
}
