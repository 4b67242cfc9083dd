//! Units: what literals hold and what lengths and distances count.

use crate::image::PixelFormat;

/// One kind of unit. In working memory a unit is a u32 without meaningless bits, so that equal
/// units are equal numbers.
pub(in crate::image) trait Unit {
    /// Bytes of a literal.
    const BYTES: usize;
    /// How much longer a match is than its coded length.
    const BIAS: usize;
    /// The bits of a unit that are coded.
    const MASK: u32;
    /// Writes a literal to the first [`Self::BYTES`] of `out`.
    fn write(unit: u32, out: &mut [u8]);
    /// Reads a literal of [`Self::BYTES`] into a packed unit; meaningless bytes become 0.
    fn read(bytes: &[u8], unit: &mut [u8]);
}

/// Blue, green and red of a pixel of 24 or 32 bits.
pub(in crate::image) struct Rgb;
/// A pixel of 16 bits.
pub(in crate::image) struct Rgb16;
/// The alpha byte of a 32-bit pixel.
pub(in crate::image) struct Alpha;
/// A byte of palette indices or coverage.
pub(in crate::image) struct Byte;

impl Unit for Rgb {
    const BYTES: usize = 3;
    const BIAS: usize = 0;
    const MASK: u32 = 0x00ff_ffff;

    #[inline(always)]
    fn write(unit: u32, out: &mut [u8]) {
        let [b, g, r, _] = unit.to_le_bytes();
        out[..3].copy_from_slice(&[b, g, r]);
    }

    #[inline(always)]
    fn read(bytes: &[u8], unit: &mut [u8]) {
        unit[..3].copy_from_slice(&bytes[..3]);
        unit[3..].fill(0);
    }
}

impl Unit for Rgb16 {
    const BYTES: usize = 2;
    const BIAS: usize = 1;
    const MASK: u32 = 0x7fff;

    #[inline(always)]
    fn write(unit: u32, out: &mut [u8]) {
        out[..2].copy_from_slice(&(unit as u16).to_be_bytes());
    }

    #[inline(always)]
    fn read(bytes: &[u8], unit: &mut [u8]) {
        unit[..2].copy_from_slice(&[bytes[1], bytes[0] & 0x7f]);
    }
}

impl Unit for Alpha {
    const BYTES: usize = 1;
    const BIAS: usize = 2;
    const MASK: u32 = 0xff00_0000;

    #[inline(always)]
    fn write(unit: u32, out: &mut [u8]) {
        out[0] = (unit >> 24) as u8;
    }

    #[inline(always)]
    fn read(bytes: &[u8], unit: &mut [u8]) {
        unit[3] = bytes[0];
    }
}

impl Unit for Byte {
    const BYTES: usize = 1;
    const BIAS: usize = 2;
    const MASK: u32 = 0xff;

    #[inline(always)]
    fn write(unit: u32, out: &mut [u8]) {
        out[0] = unit as u8;
    }

    #[inline(always)]
    fn read(bytes: &[u8], unit: &mut [u8]) {
        unit[0] = bytes[0];
    }
}

/// Units in a row of `row` bytes.
pub(in crate::image) const fn per_row(format: PixelFormat, row: usize) -> usize {
    match format {
        PixelFormat::Rgb16 => row / 2,
        PixelFormat::Rgb24 => row / 3,
        PixelFormat::Rgb32 | PixelFormat::Rgba => row / 4,
        _ => row,
    }
}

/// Reads units from the bytes of a row, as many as `out` holds.
pub(in crate::image) fn load(row: &[u8], format: PixelFormat, out: &mut [u32]) {
    match format {
        PixelFormat::Rgb16 => {
            for (out, &pixel) in out.iter_mut().zip(row.as_chunks().0) {
                *out = u32::from(u16::from_le_bytes(pixel)) & Rgb16::MASK;
            }
        }
        PixelFormat::Rgb24 => {
            for (out, &[b, g, r]) in out.iter_mut().zip(row.as_chunks().0) {
                *out = u32::from_le_bytes([b, g, r, 0]);
            }
        }
        PixelFormat::Rgb32 => {
            for (out, &pixel) in out.iter_mut().zip(row.as_chunks().0) {
                *out = u32::from_le_bytes(pixel) & Rgb::MASK;
            }
        }
        PixelFormat::Rgba => {
            for (out, &pixel) in out.iter_mut().zip(row.as_chunks().0) {
                *out = u32::from_le_bytes(pixel);
            }
        }
        _ => {
            for (out, &byte) in out.iter_mut().zip(row) {
                *out = u32::from(byte);
            }
        }
    }
}

/// How many units at the front of `a` and `b` are equal.
#[inline(always)]
pub(in crate::image) fn equal_units<U: Unit>(a: &[u32], b: &[u32]) -> usize {
    const AT_ONCE: usize = 8;
    let (a_blocks, _) = a.as_chunks::<AT_ONCE>();
    let (b_blocks, _) = b.as_chunks::<AT_ONCE>();
    let differs = |a: u32, b: u32| (a ^ b) & U::MASK;
    let mut equal = 0;
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        let mut difference = 0;
        for (&a, &b) in a.iter().zip(b) {
            difference |= differs(a, b);
        }
        if difference != 0 {
            break;
        }
        equal += AT_ONCE;
    }
    let rest = a[equal..].iter().zip(&b[equal..]);
    equal + rest.take_while(|&(&a, &b)| differs(a, b) == 0).count()
}
