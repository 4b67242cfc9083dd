//! Pictures to LZ4 data, by an encoder that knows pixels: it looks for what repeats at the first byte
//! of each, and in the row above.

use core::mem;
use core::ops::Range;

use super::{BLOCK_HEAD, HEAD};
use crate::image::{PixelFormat, Pixels};

/// The reach of an LZ4 reference, in bytes.
const REACH: usize = 64 * 1024 - 1;
/// Rows that do not follow one another in memory are gathered, and coded so many bytes at a time.
const GATHER: usize = 64 * 1024;
/// Places where bytes were last seen: as many as stay in a processor's first cache.
const TABLE_BITS: u32 = 12;
const TABLE: usize = 1 << TABLE_BITS;
/// The shortest match.
const SHORTEST: usize = 4;
/// A block's last bytes are literals, and its last match begins so many bytes before the end.
const LAST_LITERALS: usize = 5;
const LAST_MATCH: usize = 12;
/// Lengths from this one on continue in further bytes.
const LONG: usize = 15;
/// Literals are copied so many at once where there is room: those behind are overwritten.
const FEW: usize = 16;
const SOME: usize = 64;

/// Encodes pictures as LZ4. About 150 KiB, to be placed where it can stay.
pub struct Lz4Encoder {
    /// Where bytes like these were last seen, counted from the start of the picture, plus 1.
    table: [u32; TABLE],
    gathered: [u8; 2 * GATHER],
}

impl Lz4Encoder {
    /// An encoder for any number of pictures; nothing is carried from one to the next.
    pub fn new() -> Self {
        Self { table: [0; TABLE], gathered: [0; 2 * GATHER] }
    }

    /// Whether the format can be sent as LZ4: 16, 24 and 32 bits per pixel, not palettes or A8.
    pub const fn carries(format: PixelFormat) -> bool {
        matches!(format, PixelFormat::Rgb16 | PixelFormat::Rgb24 | PixelFormat::Rgb32 | PixelFormat::Rgba)
    }

    /// An output of this many bytes is always enough for `pixels`.
    pub fn max_len(pixels: &Pixels<'_>) -> usize {
        let bytes = pixels.row_bytes() * pixels.height() as usize;
        // No match is longer than what it stands for; literals cost a byte in 255.
        let block = BLOCK_HEAD + 2;
        HEAD + bytes + bytes / 255 + (1 + bytes / GATHER) * block
    }

    /// Writes `pixels` to the front of `out` and returns the length, or `None` when the format is
    /// not carried, `out` is too short or the picture has 2^32 bytes or more. A length above that of
    /// the packed pixels is possible.
    pub fn encode(&mut self, pixels: &Pixels<'_>, out: &mut [u8]) -> Option<usize> {
        let format = pixels.format();
        u32::try_from(pixels.row_bytes().checked_mul(pixels.height() as usize)?).ok()?;
        out.get_mut(..HEAD)?.copy_from_slice(&[1, format.to_wire()]);
        match format {
            PixelFormat::Rgb16 => self.blocks::<2>(pixels, out),
            PixelFormat::Rgb24 => self.blocks::<3>(pixels, out),
            PixelFormat::Rgb32 | PixelFormat::Rgba => self.blocks::<4>(pixels, out),
            _ => None,
        }
    }

    /// Codes pixels of `P` bytes each.
    fn blocks<const P: usize>(&mut self, pixels: &Pixels<'_>, out: &mut [u8]) -> Option<usize> {
        self.table.fill(0);
        let mut finder = Finder::<P> { table: &mut self.table, base: 1, row: pixels.row_bytes() };
        match pixels.packed() {
            Some(packed) => finder.put_block(packed, 0, out, HEAD),
            None => finder.put_gathered(pixels, &mut self.gathered, out),
        }
    }
}

impl Default for Lz4Encoder {
    fn default() -> Self {
        Self::new()
    }
}

/// Finds what repeats among pixels of `P` bytes each.
struct Finder<'t, const P: usize> {
    table: &'t mut [u32; TABLE],
    /// What the table calls the first byte of the window that is looked at.
    base: usize,
    /// Bytes of a row.
    row: usize,
}

/// Bytes that repeat others in the window.
struct Match {
    at: usize,
    from: usize,
    len: usize,
}

impl<const P: usize> Finder<'_, P> {
    /// Gathers rows in a window that slides: half of it is history.
    fn put_gathered(mut self, pixels: &Pixels<'_>, window: &mut [u8; 2 * GATHER], out: &mut [u8]) -> Option<usize> {
        let (mut len, mut begin, mut filled) = (HEAD, 0, 0);
        for mut row in pixels.rows() {
            while !row.is_empty() {
                let room = &mut window[filled..];
                let (now, later) = row.split_at(row.len().min(room.len()));
                room[..now.len()].copy_from_slice(now);
                filled += now.len();
                row = later;
                if filled == window.len() {
                    len = self.put_block(window, begin, out, len)?;
                    window.copy_within(GATHER.., 0);
                    self.base += GATHER;
                    (begin, filled) = (GATHER, GATHER);
                }
            }
        }
        if filled > begin { self.put_block(&window[..filled], begin, out, len) } else { Some(len) }
    }

    /// Writes one block, of what follows `begin` in the window, with its length at `at`, and returns
    /// where it ends.
    fn put_block(&mut self, window: &[u8], begin: usize, out: &mut [u8], at: usize) -> Option<usize> {
        let mut writer = Writer { out, at: at + BLOCK_HEAD };
        let mut pending = begin;
        while let Some(found) = self.next_match(window, pending) {
            writer.sequence(window, pending, &found)?;
            pending = found.at + found.len;
        }
        writer.last_literals(window.get(pending..)?)?;
        let end = writer.at;
        let len = u32::try_from(end - at - BLOCK_HEAD).ok()?;
        out.get_mut(at..)?.first_chunk_mut().map(|head| *head = len.to_be_bytes())?;
        Some(end)
    }

    /// The next bytes from `pending` on, where a pixel begins or a match ended, that repeat others.
    #[inline(always)]
    fn next_match(&mut self, window: &[u8], pending: usize) -> Option<Match> {
        // Pixels are counted from the start of the picture, and so is the base.
        let mut at = pending + (P - (self.base - 1 + pending) % P) % P;
        if at > pending {
            let before = at.saturating_sub(P);
            word(window, before).map(|word| self.swap(word, before));
        }
        let end = window.len().checked_sub(LAST_MATCH)?;
        let mut misses = 0;
        while at < end {
            let here = word(window, at)?;
            let seen = self.swap(here, at).filter(|from| at - from <= REACH && word(window, *from) == Some(here));
            let above = at.checked_sub(self.row).filter(|from| self.row <= REACH && word(window, *from) == Some(here));
            let found = match (seen, above) {
                (None, None) => None,
                (Some(from), None) | (None, Some(from)) => Some(Match::new(window, at, from)),
                (Some(seen), Some(above)) => {
                    let (seen, above) = (Match::new(window, at, seen), Match::new(window, at, above));
                    Some(if above.len > seen.len { above } else { seen })
                }
            };
            if let Some(found) = found {
                return Some(found.lengthened(window, pending));
            }
            // The longer nothing is found, the fewer pixels are tried.
            at += P * (1 + misses * 3 / 16);
            misses += 1;
        }
        None
    }

    /// Where these bytes were last seen in the window; `at` takes its place.
    #[inline(always)]
    fn swap(&mut self, word: u32, at: usize) -> Option<usize> {
        let place = word.wrapping_mul(0x9e37_79b1) >> (32 - TABLE_BITS);
        let seen = mem::replace(&mut self.table[place as usize], (self.base + at) as u32);
        (seen as usize).checked_sub(self.base)
    }
}

impl Match {
    /// What begins with four equal bytes.
    #[inline(always)]
    fn new(window: &[u8], at: usize, from: usize) -> Self {
        Self { at, from, len: equal(window, at, from) }
    }

    /// The same with the bytes before it that repeat, too, but none before `pending`.
    #[inline(always)]
    fn lengthened(self, window: &[u8], pending: usize) -> Self {
        let Self { at, from, len } = self;
        let before = window[pending..at].iter().rev().zip(window[..from].iter().rev());
        let back = before.take_while(|(a, b)| a == b).count();
        Self { at: at - back, from: from - back, len: len + back }
    }
}

#[inline(always)]
fn word(window: &[u8], at: usize) -> Option<u32> {
    window.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

/// How many bytes at two places are equal, of which the first four are known to be.
#[inline(always)]
fn equal(window: &[u8], at: usize, from: usize) -> usize {
    let (at, from) = (at + SHORTEST, from + SHORTEST);
    let (here, there) = (&window[at..window.len() - LAST_LITERALS], &window[from..]);
    let mut equal = SHORTEST;
    for (a, b) in here.as_chunks().0.iter().zip(there.as_chunks().0) {
        let differs = u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
        if differs != 0 {
            return equal + (differs.trailing_zeros() / 8) as usize;
        }
        equal += 8;
    }
    let done = equal - SHORTEST;
    equal + here[done..].iter().zip(&there[done..]).take_while(|(a, b)| a == b).count()
}

/// Writes sequences to lent memory; `None` means that it is full.
struct Writer<'o> {
    out: &'o mut [u8],
    at: usize,
}

impl Writer<'_> {
    /// The literals from `pending` on, and the match behind them.
    #[inline(always)]
    fn sequence(&mut self, window: &[u8], pending: usize, found: &Match) -> Option<()> {
        let more = found.len - SHORTEST;
        self.literals(window, pending..found.at, more.min(LONG) as u8)?;
        // A match lies within reach, which is what two bytes say.
        let distance = (found.at - found.from) as u16;
        self.bytes(&distance.to_le_bytes())?;
        self.rest_of_length(more)
    }

    fn last_literals(&mut self, literals: &[u8]) -> Option<()> {
        self.literals(literals, 0..literals.len(), 0)
    }

    /// A token, with what it says of the match, and the literals behind it.
    #[inline(always)]
    fn literals(&mut self, window: &[u8], range: Range<usize>, low: u8) -> Option<()> {
        let len = range.len();
        self.bytes(&[(len.min(LONG) as u8) << 4 | low])?;
        self.rest_of_length(len)?;
        let copied = len <= FEW && self.copy_ahead::<FEW>(window, range.start)
            || len <= SOME && self.copy_ahead::<SOME>(window, range.start);
        if !copied {
            self.out.get_mut(self.at..self.at + len)?.copy_from_slice(window.get(range)?);
        }
        self.at += len;
        Some(())
    }

    /// Copies a number of bytes that the compiler knows, where there are as many and there is room.
    #[inline(always)]
    fn copy_ahead<const N: usize>(&mut self, window: &[u8], from: usize) -> bool {
        let bytes = window.get(from..).and_then(<[u8]>::first_chunk::<N>);
        let room = self.out.get_mut(self.at..).and_then(<[u8]>::first_chunk_mut);
        room.zip(bytes).map(|(room, bytes)| *room = *bytes).is_some()
    }

    /// What a token has no room for.
    #[inline(always)]
    fn rest_of_length(&mut self, len: usize) -> Option<()> {
        let Some(rest) = len.checked_sub(LONG) else { return Some(()) };
        let full = rest / 255;
        self.out.get_mut(self.at..self.at + full)?.fill(255);
        self.at += full;
        self.bytes(&[(rest % 255) as u8])
    }

    #[inline(always)]
    fn bytes(&mut self, bytes: &[u8]) -> Option<()> {
        self.out.get_mut(self.at..self.at + bytes.len())?.copy_from_slice(bytes);
        self.at += bytes.len();
        Some(())
    }
}
