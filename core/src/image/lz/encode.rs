//! Pictures to LZ data.

use super::header::{XXXA, header, type_of};
use super::token::TokenWriter;
use super::unit::{self, Alpha, Byte, Rgb, Rgb16, Unit, equal_units};
use super::{FAR, HASH_BITS, HASH_SIZE, MAX_DISTANCE, MIN_MEMORY};
use crate::image::{PixelFormat, Pixels};

/// Most units passed over at once where nothing repeats.
const MAX_SKIP: usize = 15;

/// Encodes `pixels` to the front of `out` and returns the length in bytes.
///
/// `memory` is working memory, [`MIN_MEMORY`] to [`MAX_MEMORY`](super::MAX_MEMORY) numbers,
/// whatever they are; more of it finds more repetitions.
///
/// `None` when the picture has 1 GiB or more, `memory` is too short, or the data is longer than
/// `out`. Lend as many bytes as the packed pixels have, and `None` means that LZ does not pay.
pub fn encode(pixels: &Pixels<'_>, memory: &mut [u32], out: &mut [u8]) -> Option<usize> {
    let mut tokens = TokenWriter::new(out);
    tokens.bytes(&header(pixels, type_of(pixels.format()))?)?;
    match pixels.format() {
        PixelFormat::Rgb16 => stream::<Rgb16>(pixels, memory, &mut tokens)?,
        PixelFormat::Rgb24 | PixelFormat::Rgb32 => stream::<Rgb>(pixels, memory, &mut tokens)?,
        PixelFormat::Rgba => {
            stream::<Rgb>(pixels, memory, &mut tokens)?;
            stream::<Alpha>(pixels, memory, &mut tokens)?;
        }
        _ => stream::<Byte>(pixels, memory, &mut tokens)?,
    }
    Some(tokens.len())
}

/// Encodes the alpha of `pixels` alone, as JPEG_ALPHA has it; as [`encode`] otherwise. `None` also
/// when the format is not RGBA.
pub fn encode_alpha(pixels: &Pixels<'_>, memory: &mut [u32], out: &mut [u8]) -> Option<usize> {
    if pixels.format() != PixelFormat::Rgba {
        return None;
    }
    let mut tokens = TokenWriter::new(out);
    tokens.bytes(&header(pixels, XXXA)?)?;
    stream::<Alpha>(pixels, memory, &mut tokens)?;
    Some(tokens.len())
}

/// One token stream over all units. The window slides: half of it is history when it is refilled.
fn stream<U: Unit>(pixels: &Pixels<'_>, memory: &mut [u32], tokens: &mut TokenWriter<'_>) -> Option<()> {
    if memory.len() < MIN_MEMORY {
        return None;
    }
    let (table, window) = memory.split_first_chunk_mut::<HASH_SIZE>()?;
    table.fill(0);
    let len = window.len().min(2 * MAX_DISTANCE);
    let row = unit::per_row(pixels.format(), pixels.row_bytes());
    let mut finder = Finder {
        table,
        window: &mut window[..len],
        // Not 0, so that an empty place in the table lies before the window.
        base: 1,
        row,
    };
    let unit_bytes = pixels.row_bytes() / row;
    let mut done = 0;
    let mut filled = 0;
    for mut row in pixels.rows() {
        while !row.is_empty() {
            let room = &mut finder.window[filled..];
            let units = room.len().min(row.len() / unit_bytes);
            unit::load(row, pixels.format(), &mut room[..units]);
            filled += units;
            row = &row[units * unit_bytes..];
            if filled == finder.window.len() {
                finder.tokens::<U>(done, filled, tokens)?;
                filled = finder.slide();
                done = filled;
            }
        }
    }
    finder.tokens::<U>(done, filled, tokens)
}

struct Finder<'m> {
    /// Where units like these were last seen, counted from the start of the stream, plus 1.
    table: &'m mut [u32; HASH_SIZE],
    window: &'m mut [u32],
    /// The count of the window's first unit.
    base: usize,
    /// Units in a row.
    row: usize,
}

impl Finder<'_> {
    /// Forgets the older half of the window and returns where new units go.
    fn slide(&mut self) -> usize {
        let half = self.window.len() / 2;
        self.window.copy_within(half.., 0);
        self.base += half;
        self.window.len() - half
    }

    /// Writes tokens for the units `from..to` of the window.
    fn tokens<U: Unit>(&mut self, from: usize, to: usize, tokens: &mut TokenWriter<'_>) -> Option<()> {
        let mut pending = from;
        let mut at = from;
        while at < to {
            let Some((start, distance, len)) = self.longest::<U>(to, at, pending) else {
                // The longer nothing is found, the fewer places are tried.
                at += 1 + ((at - pending) >> 5).min(MAX_SKIP);
                continue;
            };
            tokens.literals::<U>(&self.window[pending..start])?;
            put_match::<U>(tokens, distance, len)?;
            at = start + len;
            pending = at;
            if let Some(place) = place::<U>(&self.window[at - 1..to]) {
                self.table[place] = (self.base + at - 1) as u32;
            }
        }
        tokens.literals::<U>(&self.window[pending..to])
    }

    /// The best of a run, what stands above, and the last place where the units at `at` were seen: its start, which may lie before `at` but not before `pending`, distance
    /// and length.
    #[inline(always)]
    fn longest<U: Unit>(&mut self, to: usize, at: usize, pending: usize) -> Option<(usize, usize, usize)> {
        let window = &self.window[..to];
        let here = &window[at..];
        let place = place::<U>(here)?;
        let seen = core::mem::replace(&mut self.table[place], (self.base + at) as u32) as usize;
        let mut best = None;
        let mut best_len = 0;
        for distance in [1, self.row] {
            if let Some(earlier) = at.checked_sub(distance) {
                let len = equal_units::<U>(here, &window[earlier..]);
                if len > best_len && len >= shortest::<U>(distance) {
                    best_len = len;
                    best = Some((at, distance, len));
                }
            }
        }
        let Some(earlier) = seen.checked_sub(self.base) else {
            return best;
        };
        let distance = at - earlier;
        let len = equal_units::<U>(here, &window[earlier..]);
        if len <= best_len || len < shortest::<U>(distance) || distance > MAX_DISTANCE {
            return best;
        }
        let unseen = window[pending..at].iter().rev();
        let back = unseen.zip(window[..earlier].iter().rev()).take_while(|&(&a, &b)| (a ^ b) & U::MASK == 0).count();
        Some((at - back, distance, len + back))
    }
}

/// The place in the table for the next units, if there are as many as it takes.
#[inline(always)]
fn place<U: Unit>(units: &[u32]) -> Option<usize> {
    let &[a, b, c] = units.first_chunk()?;
    let mixed = (a & U::MASK).wrapping_mul(0x9e37_79b1)
        ^ (b & U::MASK).wrapping_mul(0x85eb_ca77)
        ^ (c & U::MASK).wrapping_mul(0xc2b2_ae3d);
    Some((mixed.wrapping_mul(0x9e37_79b1) >> (32 - HASH_BITS)) as usize)
}

/// The shortest match that costs less than its literals.
#[inline(always)]
const fn shortest<U: Unit>(distance: usize) -> usize {
    let bytes = if distance < FAR { 2 } else { 4 };
    let len = bytes / U::BYTES + 1;
    if len > U::BIAS { len } else { U::BIAS + 1 }
}

#[inline(always)]
fn put_match<U: Unit>(tokens: &mut TokenWriter<'_>, distance: usize, len: usize) -> Option<()> {
    let coded = distance - 1;
    if let Some(far) = coded.checked_sub(FAR - 1) {
        tokens.match_length::<U>(len, 31)?;
        tokens.bytes(&[255, (far >> 8) as u8, far as u8])
    } else {
        tokens.match_length::<U>(len, (coded >> 8) as u8)?;
        tokens.bytes(&[coded as u8])
    }
}
