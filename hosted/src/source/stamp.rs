//! The frame stamp: a number and a time in the picture itself, which a measuring client reads back.
//!
//! At the top left corner, 16 columns by 5 rows of blocks of 16x16 pixels, row by row, one bit each,
//! the most significant first, white for 1 and black for 0. They are ten bytes: `0xA5`, the frame's
//! number (3 bytes, big endian), `CLOCK_MONOTONIC` in microseconds modulo 2^40 (5 bytes, big endian)
//! when the frame was submitted, and the exclusive or of the nine bytes before.

use rustix::time::{ClockId, clock_gettime};

use super::Size;

/// The part of the picture that the stamp covers.
pub(super) const SIZE: Size = Size { width: COLUMNS as u32 * BLOCK as u32, height: ROWS as u32 * BLOCK as u32 };

const COLUMNS: usize = 16;
const ROWS: usize = 5;
const BLOCK: usize = 16;
const MAGIC: u8 = 0xa5;

/// `CLOCK_MONOTONIC` now, in microseconds.
pub(super) fn monotonic_us() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    (now.tv_sec as u64).wrapping_mul(1_000_000).wrapping_add(now.tv_nsec as u64 / 1000)
}

/// Stamps a picture (BGRX, no padding) that is `width` pixels wide; a part that does not fit is
/// left out.
pub(super) fn write(pixels: &mut [u8], width: u32, number: u64, us: u64) {
    let bytes = bytes(number, us);
    let stride = width as usize * 4;
    let rows = pixels.chunks_exact_mut(stride.max(4)).take(ROWS * BLOCK);
    for (y, row) in rows.enumerate() {
        let first_bit = y / BLOCK * COLUMNS;
        for (column, block) in row.chunks_mut(BLOCK * 4).take(COLUMNS).enumerate() {
            let bit = first_bit + column;
            let white = bytes[bit / 8] >> (7 - bit % 8) & 1 != 0;
            let color = if white { [0xff, 0xff, 0xff, 0] } else { [0; 4] };
            block.as_chunks_mut().0.fill(color);
        }
    }
}

fn bytes(number: u64, us: u64) -> [u8; COLUMNS * ROWS / 8] {
    let (number, us) = (number.to_be_bytes(), us.to_be_bytes());
    let mut bytes = [0; COLUMNS * ROWS / 8];
    bytes[0] = MAGIC;
    bytes[1..4].copy_from_slice(&number[5..]);
    bytes[4..9].copy_from_slice(&us[3..]);
    bytes[9] = bytes[..9].iter().fold(0, |sum, byte| sum ^ byte);
    bytes
}

/// Number and time in a stamped picture, read the way a client does: the middle of every block.
#[cfg(test)]
pub(super) fn read(pixels: &[u8], width: u32) -> Option<(u32, u64)> {
    let mut bytes = [0_u8; 10];
    for bit in 0..80 {
        let (x, y) = (bit % COLUMNS * BLOCK + BLOCK / 2, bit / COLUMNS * BLOCK + BLOCK / 2);
        let white = pixels[(y * width as usize + x) * 4] > 127;
        bytes[bit / 8] |= u8::from(white) << (7 - bit % 8);
    }
    let whole = bytes[0] == MAGIC && bytes.iter().fold(0, |sum, byte| sum ^ byte) == 0;
    let big_endian = |bytes: &[u8]| bytes.iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
    whole.then(|| (big_endian(&bytes[1..4]) as u32, big_endian(&bytes[4..9])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_back_and_covers_its_part_only() {
        let (width, height) = (300, 90);
        let mut pixels = vec![0x55; width * height * 4];
        write(&mut pixels, 300, 0x0012_3456, 0x00ab_cdef_0123_4567);
        assert_eq!(read(&pixels, 300), Some((0x0012_3456, 0xef_0123_4567)));
        for (i, pixel) in pixels.chunks_exact(4).enumerate() {
            let stamped = i % width < 256 && i / width < 80;
            assert_eq!(pixel == [0x55; 4], !stamped, "pixel {}, {}", i % width, i / width);
        }
    }

    #[test]
    fn the_first_rows_are_as_specified() {
        let mut pixels = vec![0; 256 * 80 * 4];
        write(&mut pixels, 256, 1, 0);
        let block = |n: usize| pixels[(n / 16 * 16 * 256 + n % 16 * 16) * 4] != 0;
        let bits: String = (0..32).map(|n| if block(n) { '1' } else { '0' }).collect();
        assert_eq!(bits, "10100101000000000000000000000001");
    }

    #[test]
    fn small_pictures_are_safe() {
        for (width, height) in [(1, 1), (17, 3), (255, 79), (0, 0)] {
            write(&mut vec![0; width * height * 4], width as u32, 7, 7);
        }
    }
}
