//! Pixels as u32 with a component in each byte: all components predicted at once.

use crate::image::PixelFormat;

/// The blue, green and red bytes.
pub(super) const RGB: u32 = 0x00ff_ffff;
/// The alpha byte.
pub(super) const ALPHA: u32 = 0xff00_0000;

const ONES: u32 = 0x0101_0101;

/// The component of `pixel` in byte `lane`.
#[inline(always)]
pub(super) const fn lane(pixel: u32, lane: usize) -> usize {
    ((pixel >> (8 * lane)) & 0xff) as usize
}

/// Reads a row of bytes in `format`; bytes that mean nothing become 0.
pub(super) fn load(row: &[u8], format: PixelFormat, out: &mut [u32]) {
    match format {
        PixelFormat::Rgb16 => {
            for (out, &[low, high]) in out.iter_mut().zip(row.as_chunks().0) {
                let pixel = u32::from(u16::from_le_bytes([low, high]));
                *out = (pixel & 0x1f) | ((pixel & 0x3e0) << 3) | ((pixel & 0x7c00) << 6);
            }
        }
        PixelFormat::Rgb24 => {
            for (out, &[b, g, r]) in out.iter_mut().zip(row.as_chunks().0) {
                *out = u32::from_le_bytes([b, g, r, 0]);
            }
        }
        PixelFormat::Rgba => {
            for (out, &pixel) in out.iter_mut().zip(row.as_chunks().0) {
                *out = u32::from_le_bytes(pixel);
            }
        }
        _ => {
            for (out, &pixel) in out.iter_mut().zip(row.as_chunks().0) {
                *out = u32::from_le_bytes(pixel) & RGB;
            }
        }
    }
}

/// Writes a row of bytes in `format`.
pub(super) fn store(row: &[u32], format: PixelFormat, out: &mut [u8]) {
    match format {
        PixelFormat::Rgb16 => {
            for (out, &p) in out.as_chunks_mut().0.iter_mut().zip(row) {
                let pixel = (p & 0x1f) | ((p >> 3) & 0x3e0) | ((p >> 6) & 0x7c00);
                *out = (pixel as u16).to_le_bytes();
            }
        }
        PixelFormat::Rgb24 => {
            for (out, &pixel) in out.as_chunks_mut().0.iter_mut().zip(row) {
                let [b, g, r, _] = pixel.to_le_bytes();
                *out = [b, g, r];
            }
        }
        _ => {
            for (out, &pixel) in out.as_chunks_mut().0.iter_mut().zip(row) {
                *out = pixel.to_le_bytes();
            }
        }
    }
}

/// The prediction below the first row: half of left and above, rounded down.
#[inline(always)]
pub(super) const fn average(left: u32, above: u32) -> u32 {
    (left & above) + (((left ^ above) >> 1) & (ONES * 0x7f))
}

/// Symbols of the pixels `here`, predicted by `prediction`, with components of `B` bits.
#[inline(always)]
pub(super) const fn to_symbols<const B: usize>(here: u32, prediction: u32) -> u32 {
    let low = ONES * (0xff >> (8 - B));
    let top = ONES << (B - 1);
    // Differences byte by byte: the top bits are set, so that nothing is borrowed from the next
    // byte, and put right afterwards.
    let difference = ((here | top) - (prediction & (low ^ top))) ^ ((here ^ prediction ^ top) & top);
    let negative = (difference >> (B - 1)) & ONES;
    ((difference << 1) & (low ^ ONES)) ^ (negative * (low & 0xff))
}

/// The pixels whose symbols against `prediction` are `symbols`.
#[inline(always)]
pub(super) const fn from_symbols<const B: usize>(symbols: u32, prediction: u32) -> u32 {
    let low = ONES * (0xff >> (8 - B));
    let top = ONES << (B - 1);
    let difference = ((symbols >> 1) & (low ^ top)) ^ ((symbols & ONES) * (low & 0xff));
    (((difference & (low ^ top)) + (prediction & (low ^ top))) ^ ((difference ^ prediction) & top)) & low
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, one component at a time.
    fn symbol(here: u32, prediction: u32, bits: u32) -> u32 {
        let max = (1 << bits) - 1;
        let difference = here.wrapping_sub(prediction) & max;
        if difference <= max >> 1 { 2 * difference } else { 2 * (max - difference) + 1 }
    }

    fn check<const B: usize>(step: usize) {
        for here in (0..1u32 << B).step_by(step) {
            for prediction in (0..1u32 << B).step_by(step) {
                let want = symbol(here, prediction, B as u32);
                let other = (1u32 << B) - 1;
                // Neighbouring bytes at their extremes must not leak into each other.
                for [low, high] in [[0, other], [other, 0], [other, other]] {
                    let pixel = low | (here << 8) | (high << 16) | (here << 24);
                    let expected = high | (prediction << 8) | (low << 16) | (prediction << 24);
                    let got = to_symbols::<B>(pixel, expected);
                    assert_eq!(lane(got, 1), want as usize);
                    assert_eq!(lane(got, 3), want as usize);
                    assert_eq!(from_symbols::<B>(got, expected), pixel);
                }
            }
        }
    }

    #[test]
    fn symbols_are_those_of_the_definition() {
        check::<5>(1);
        check::<8>(if cfg!(miri) { 51 } else { 1 });
    }

    #[test]
    fn averages_round_down_in_every_byte() {
        assert_eq!(average(0xff00_ff01, 0xff00_0102), 0xff00_8001);
    }
}
