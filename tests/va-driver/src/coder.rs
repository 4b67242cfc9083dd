//! Slice data of I_PCM macroblocks behind a header that came from outside.
use crate::picture::Nv12;

/// A NAL unit as it is sent, from bits.
struct Writer {
    bytes: Vec<u8>,
    /// Bits of the last byte that are used; 0 means that it is full.
    used: u32,
}

impl Writer {
    /// Begins with `bits` bits of `header`.
    fn new(header: &[u8], bits: usize) -> Self {
        let mut bytes = header[..bits.div_ceil(8)].to_vec();
        let used = (bits % 8) as u32;
        if used != 0
            && let Some(last) = bytes.last_mut()
        {
            *last &= 0xff << (8 - used);
        }
        Self { bytes, used }
    }

    fn bit(&mut self, bit: u8) {
        if self.used == 0 {
            self.bytes.push(0);
        }
        if let Some(last) = self.bytes.last_mut() {
            *last |= bit << (7 - self.used);
        }
        self.used = (self.used + 1) % 8;
    }

    fn ue(&mut self, value: u32) {
        let value = value + 1;
        let bits = 32 - value.leading_zeros();
        (0..bits - 1).for_each(|_| self.bit(0));
        (0..bits).rev().for_each(|n| self.bit((value >> n & 1) as u8));
    }

    fn align(&mut self) {
        while self.used != 0 {
            self.bit(0);
        }
    }
}

/// Codes a picture. In P slices, macroblocks that differ from `before` by no more than `tolerance`
/// are skipped. Leaves in `before` what a decoder shows.
pub(crate) fn slice(
    header: &[u8],
    bits: usize,
    picture: &Nv12,
    before: &mut Option<Nv12>,
    intra: bool,
    tolerance: u8,
) -> Vec<u8> {
    let mut w = Writer::new(header, bits);
    let mut shown = before.take().unwrap_or_else(|| Nv12::new(picture.width, picture.height));
    let mut skipped = 0;
    for top in (0..picture.height).step_by(16) {
        for left in (0..picture.width).step_by(16) {
            if !intra && near(picture, &shown, (left, top), tolerance) {
                skipped += 1;
                continue;
            }
            if !intra {
                w.ue(skipped);
                skipped = 0;
            }
            // mb_type I_PCM: 25 in I slices, behind the five types of P slices else.
            w.ue(if intra { 25 } else { 30 });
            w.align();
            w.bytes.extend(macroblock(picture, left, top));
            copy(picture, &mut shown, left, top);
        }
    }
    if skipped > 0 {
        w.ue(skipped);
    }
    w.bit(1);
    w.align();
    *before = Some(shown);
    escape(&w.bytes)
}

/// 256 bytes of luma, 64 of Cb, 64 of Cr.
pub(crate) fn macroblock(from: &Nv12, left: usize, top: usize) -> Vec<u8> {
    let mut block = Vec::with_capacity(384);
    for y in top..top + 16 {
        block.extend_from_slice(&from.luma[y * from.width + left..][..16]);
    }
    for part in 0..2 {
        for y in top / 2..top / 2 + 8 {
            block.extend(from.chroma[y * from.width + left..][..16].iter().skip(part).step_by(2));
        }
    }
    // No sample may be 0 in I_PCM's original range; limited range has none.
    block
}

/// Whether no sample of a macroblock differs by more than `tolerance`.
pub(crate) fn near(a: &Nv12, b: &Nv12, (left, top): (usize, usize), tolerance: u8) -> bool {
    let (a, b) = (macroblock(a, left, top), macroblock(b, left, top));
    a.iter().zip(&b).all(|(a, b)| a.abs_diff(*b) <= tolerance)
}

pub(crate) fn copy(from: &Nv12, to: &mut Nv12, left: usize, top: usize) {
    for y in top..top + 16 {
        let row = y * from.width + left;
        to.luma[row..row + 16].copy_from_slice(&from.luma[row..row + 16]);
    }
    for y in top / 2..top / 2 + 8 {
        let row = y * from.width + left;
        to.chroma[row..row + 16].copy_from_slice(&from.chroma[row..row + 16]);
    }
}

/// Puts in the bytes that keep start codes out (7.4.1); the four of the start code stay.
pub(crate) fn escape(unit: &[u8]) -> Vec<u8> {
    let mut out = unit[..4].to_vec();
    let mut zeros = 0;
    for byte in &unit[4..] {
        if zeros >= 2 && *byte <= 3 {
            out.push(3);
            zeros = 0;
        }
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
        out.push(*byte);
    }
    out
}
