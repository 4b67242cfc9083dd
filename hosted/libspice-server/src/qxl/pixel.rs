//! What drawings do to one pixel.

use sumac_core::proto::paint::Rop;

/// The combination of a source and what is there (SpiceRopd); `inverts` is the flag that inverts the
/// source.
pub(super) fn combine(rop: Rop, inverts: Rop, source: u32, old: u32) -> u32 {
    let source = if rop.contains(inverts) { !source } else { source };
    let old = if rop.contains(Rop::INVERS_DEST) { !old } else { old };
    let result = if rop.contains(Rop::OP_PUT) {
        source
    } else if rop.contains(Rop::OP_OR) {
        source | old
    } else if rop.contains(Rop::OP_AND) {
        source & old
    } else if rop.contains(Rop::OP_XOR) {
        source ^ old
    } else if rop.contains(Rop::OP_BLACKNESS) {
        0
    } else if rop.contains(Rop::OP_WHITENESS) {
        0xffff_ffff
    } else if rop.contains(Rop::OP_INVERS) {
        !old
    } else {
        old
    };
    if rop.contains(Rop::INVERS_RES) { !result } else { result }
}

/// Bit by bit, the bit of `table` that brush, source and old name.
pub(super) fn rop3(table: u8, brush: u32, source: u32, old: u32) -> u32 {
    (0..8).filter(|n| table >> n & 1 != 0).fold(0, |result, n| {
        let term = |value: u32, bit: u32| if n >> bit & 1 != 0 { value } else { !value };
        result | term(brush, 2) & term(source, 1) & term(old, 0)
    })
}

/// A premultiplied pixel over another, with one more alpha.
pub(super) fn over(source: u32, alpha: u8, old: u32) -> u32 {
    let scale = |n: u32, by: u32| {
        let product = n * by + 128;
        (product + (product >> 8)) >> 8
    };
    let channel = |pixel: u32, shift: u32| pixel >> shift & 255;
    let opacity = scale(channel(source, 24), alpha.into());
    [0, 8, 16, 24].iter().fold(0, |result, &shift| {
        let sum = scale(channel(source, shift), alpha.into()) + scale(channel(old, shift), 255 - opacity);
        result | sum.min(255) << shift
    })
}

/// `ink` where `coverage` is 255, `old` where it is 0.
pub(super) fn mix(ink: u32, coverage: u32, old: u32) -> u32 {
    match u8::try_from(coverage).unwrap_or(255) {
        0 => old,
        255 => ink,
        coverage => over(ink | 0xff00_0000, coverage, old),
    }
}

/// The `bits` of a row for this pixel, the first in the upper bits.
pub(super) fn bits_of(row: &[u8], x: usize, bits: usize) -> u32 {
    let byte = row.get(x * bits / 8).copied().unwrap_or(0);
    u32::from(byte) >> (8 - bits - x * bits % 8) & ((1 << bits) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_and_what_is_there_are_combined() {
        let (source, old) = (0x0f0f_0f0f, 0x00ff_00ff);
        for (rop, result) in [
            (Rop::OP_PUT, 0x0f0f_0f0f),
            (Rop::OP_OR, 0x0fff_0fff),
            (Rop::OP_AND, 0x000f_000f),
            (Rop::OP_XOR, 0x0ff0_0ff0),
            (Rop::OP_BLACKNESS, 0),
            (Rop::OP_WHITENESS, 0xffff_ffff),
            (Rop::OP_INVERS, 0xff00_ff00),
            (Rop::OP_PUT | Rop::INVERS_SRC, 0xf0f0_f0f0),
            (Rop::OP_AND | Rop::INVERS_DEST, 0x0f00_0f00),
            (Rop::OP_OR | Rop::INVERS_RES, 0xf000_f000),
            (Rop::OP_PUT | Rop::INVERS_BRUSH, 0x0f0f_0f0f),
            (Rop::empty(), old),
        ] {
            assert_eq!(combine(rop, Rop::INVERS_SRC, source, old), result, "{rop:?}");
        }
        assert_eq!(combine(Rop::OP_PUT | Rop::INVERS_BRUSH, Rop::INVERS_BRUSH, source, old), !source);
    }

    #[test]
    fn the_truth_table_is_windows_own() {
        let (brush, source, old) = (0xf0, 0xcc, 0xaa);
        // With these three every table is its own result: SRCCOPY, PATCOPY, DSTINVERT, MERGECOPY.
        for table in [0xcc, 0xf0, 0x55, 0xc0, 0, 0xff] {
            assert_eq!(rop3(table, brush, source, old) & 0xff, u32::from(table));
        }
    }

    #[test]
    fn premultiplied_pixels_lie_over_others() {
        assert_eq!(over(0xff01_0203, 255, 0xff99_9999), 0xff01_0203, "opaque");
        assert_eq!(over(0, 255, 0x1234_5678), 0x1234_5678, "not there");
        assert_eq!(over(0xffff_ffff, 0, 0x1234_5678), 0x1234_5678, "made not there");
        assert_eq!(over(0x8080_8080, 255, 0xff00_0000), 0xff80_8080);
        assert_eq!((mix(1, 0, 2), mix(1, 255, 2)), (2, 1));
        assert_eq!(mix(0xff_ffff, 128, 0xff00_0000), 0xff80_8080);
    }

    #[test]
    fn coverage_is_read_from_the_upper_bits_on() {
        assert_eq!([0, 1, 2, 7].map(|x| bits_of(&[0b0110_0001], x, 1)), [0, 1, 1, 1]);
        assert_eq!([0, 1, 2].map(|x| bits_of(&[0x12, 0x30], x, 4)), [1, 2, 3]);
        assert_eq!([0, 1, 2].map(|x| bits_of(&[7, 8], x, 8)), [7, 8, 0]);
    }
}
