//! Pictures to GLZ data.

use core::ops::DerefMut;

use super::dictionary::{GlzDictionary, GlzImage};
use super::header::{carries, header};
use crate::image::lz::token::TokenWriter;
use crate::image::lz::unit::{self, Alpha, Rgb, Rgb16, Unit, equal_units};
use crate::image::{PixelFormat, Pixels};

/// Most pixels passed over at once where nothing repeats.
const MAX_SKIP: usize = 7;
/// Distances inside an image and offsets into another from this one on take a longer form.
const LONG: usize = 1 << 12;
const VERY_LONG: usize = 1 << 17;
/// Pixels among which one hint is refreshed.
const REFRESH: usize = 64;
/// Pixels that a long hint looks at.
const LONG_SAMPLE: usize = 32;

impl<W: DerefMut<Target = [u32]>, I: DerefMut<Target = [GlzImage]>> GlzDictionary<W, I> {
    /// Encodes `pixels` to the front of `out`, enters them into the dictionary and returns the
    /// length in bytes. The image must then be sent.
    ///
    /// `None` when the format is not RGB16, RGB24, RGB32 or RGBA, the picture does not fit the
    /// window, or the data is longer than `out`; then no number is used up, though old images may
    /// have left the window. Lend as many bytes as the packed pixels have, and `None` means that
    /// GLZ does not pay.
    pub fn encode(&mut self, pixels: &Pixels<'_>, out: &mut [u8]) -> Option<usize> {
        let (format, width) = (pixels.format(), pixels.width() as usize);
        if !carries(format) {
            return None;
        }
        let len = width.checked_mul(pixels.height() as usize)?;
        let start = self.make_room(len)?;
        for (row, out) in pixels.rows().zip(self.ring[start..].chunks_exact_mut(width)) {
            unit::load(row, format, out);
        }
        let image = GlzImage { start, len, format };
        let mut encoder =
            Encoder { dictionary: self, image, row: width, tokens: TokenWriter::new(out), pending: start, jump: None };
        encoder.encode(pixels)?;
        let len = encoder.tokens.len();
        self.enter(image);
        Some(len)
    }
}

struct Encoder<'d, 'o, W, I> {
    dictionary: &'d mut GlzDictionary<W, I>,
    /// The image being encoded: its pixels are in the ring, but it is not entered yet.
    image: GlzImage,
    tokens: TokenWriter<'o>,
    /// Pixels in a row.
    row: usize,
    /// The first pixel not yet written, as a place in the ring.
    pending: usize,
    /// Where the last match came from, as a wrapping distance in the ring.
    jump: Option<usize>,
}

/// Pixels that repeat others; places are in the ring.
#[derive(Clone, Copy)]
struct Match {
    at: usize,
    len: usize,
    /// Where the others are.
    place: usize,
    /// Images back, 0 for the one being encoded.
    image: usize,
    /// Distance inside the image being encoded, or offset into the other one.
    reach: usize,
}

impl<W: DerefMut<Target = [u32]>, I: DerefMut<Target = [GlzImage]>> Encoder<'_, '_, W, I> {
    fn encode(&mut self, pixels: &Pixels<'_>) -> Option<()> {
        let head = u32::try_from(self.dictionary.len()).ok()?;
        let header = header(pixels, self.dictionary.next_id(), head)?;
        self.tokens.bytes(&header)?;
        match pixels.format() {
            PixelFormat::Rgb16 => self.stream::<Rgb16>(),
            PixelFormat::Rgba => {
                self.stream::<Rgb>()?;
                self.stream::<Alpha>()
            }
            _ => self.stream::<Rgb>(),
        }
    }

    fn stream<U: Unit>(&mut self) -> Option<()> {
        let end = self.image.end();
        let mut at = self.image.start;
        self.pending = at;
        self.jump = None;
        while at < end {
            let Some(found) = self.longest::<U>(at) else {
                // The longer nothing is found, the fewer places are tried.
                at += 1 + ((at - self.pending) >> 5).min(MAX_SKIP);
                continue;
            };
            self.tokens.literals::<U>(&self.dictionary.ring[self.pending..found.at])?;
            self.put_match::<U>(&found)?;
            at = found.at + found.len;
            self.pending = at;
            self.jump = Some(found.at.wrapping_sub(found.place));
            self.swap_hints::<U>(at - 1);
            if found.image > 0 {
                self.refresh_hints::<U>(found.at, at);
            }
        }
        self.tokens.literals::<U>(&self.dictionary.ring[self.pending..end])
    }

    /// The repetition at `at` that saves most, among a run, what stands above, the continuation of the last match,
    /// and the places where pixels like these were last seen.
    #[inline(always)]
    fn longest<U: Unit>(&mut self, at: usize) -> Option<Match> {
        let before = at.checked_sub(1);
        let continued = self.jump.map(|jump| at.wrapping_sub(jump));
        let [short, long] = self.swap_hints::<U>(at);
        let mut best: Option<Match> = None;
        let above = at.checked_sub(self.row);
        for place in [before, above, continued, long, short].into_iter().flatten() {
            if let Some(found) = self.try_place::<U>(at, place)
                && best.is_none_or(|best| found.saves::<U>() > best.saves::<U>())
            {
                best = Some(found);
            }
        }
        best
    }

    /// What the pixels at `at` and those at `place` have in common, if that pays.
    #[inline(always)]
    fn try_place<U: Unit>(&self, at: usize, place: usize) -> Option<Match> {
        let ring = &*self.dictionary.ring;
        if (*ring.get(place)? ^ ring[at]) & U::MASK != 0 {
            return None;
        }
        let (source, image) = if (self.image.start..at).contains(&place) {
            (self.image, 0)
        } else {
            let (source, image) = self.dictionary.find(place)?;
            if source.format != self.image.format {
                return None;
            }
            (source, image)
        };
        let len = equal_units::<U>(&ring[at..self.image.end()], &ring[place..source.end()]);
        let unwritten = ring[self.pending..at].iter().rev();
        let back = unwritten
            .zip(ring[source.start..place].iter().rev())
            .take_while(|&(&a, &b)| (a ^ b) & U::MASK == 0)
            .count();
        let (at, place) = (at - back, place - back);
        let reach = match image {
            0 => at - place,
            _ => place - source.start,
        };
        let found = Match { at, len: len + back, place, image, reach };
        (found.len > U::BIAS && found.saves::<U>() > 0).then_some(found)
    }

    /// The places where three pixels like those at `at`, and many like them, were last seen; `at`
    /// takes their place. Three find the letter, many find the line of text.
    #[inline(always)]
    fn swap_hints<U: Unit>(&mut self, at: usize) -> [Option<usize>; 2] {
        let rest = &self.dictionary.ring[at..self.image.end()];
        let short = rest.first_chunk::<3>().map(mix::<U, 3>);
        let long = rest.first_chunk::<LONG_SAMPLE>().map(|pixels| {
            // Ever farther apart.
            let &[a, b, c, _, d, _, _, e, _, _, _, f, .., g] = pixels;
            mix::<U, 8>(&[a, b, c, d, e, f, pixels[19], g])
        });
        let half = self.dictionary.table.len() / 2;
        let (shorts, longs) = self.dictionary.table.split_at_mut(half);
        [swap_hint(shorts, short, at), swap_hint(longs, long, at)]
    }

    /// Points hints at this copy of pixels from an older image, which will be forgotten sooner:
    /// at the ends of runs, where searches begin.
    fn refresh_hints<U: Unit>(&mut self, from: usize, end: usize) {
        let mut at = from + 1;
        while at < end {
            let next = end.min(at + REFRESH);
            let ring = &*self.dictionary.ring;
            let run = equal_units::<U>(&ring[at..next], &ring[at - 1..]);
            if at + run < next {
                self.swap_hints::<U>(at + run);
            }
            at = next;
        }
    }

    #[inline(always)]
    fn put_match<U: Unit>(&mut self, found: &Match) -> Option<()> {
        let Match { image, len, .. } = *found;
        let reach = found.coded_reach();
        let more = found.image_bytes();
        let tokens = &mut self.tokens;
        let low = reach as u8 & 0x0f;
        let middle = (reach >> 4) as u8;
        let flags = (more as u8) << 6;
        // What is left of the image number goes into further bytes, lowest first.
        let rest = if reach < LONG {
            tokens.match_length::<U>(len, low)?;
            tokens.bytes(&[middle, flags | (image & 0x3f) as u8])?;
            image >> 6
        } else {
            let very_long = u8::from(reach >= VERY_LONG) << 5;
            tokens.match_length::<U>(len, 0x10 | low)?;
            tokens.bytes(&[middle, flags | very_long | ((reach >> 12) & 0x1f) as u8])?;
            image
        };
        tokens.bytes(&rest.to_le_bytes()[..more])?;
        if reach >= VERY_LONG {
            tokens.bytes(&[(reach >> 17) as u8])?;
        }
        Some(())
    }
}

#[inline(always)]
fn mix<U: Unit, const N: usize>(pixels: &[u32; N]) -> u32 {
    pixels.iter().fold(0, |mixed: u32, pixel| (mixed ^ (pixel & U::MASK)).wrapping_mul(0x9e37_79b1).rotate_left(11))
}

/// Puts `at` into the place of `hash` in a table of 2^n places and returns what was there.
#[inline(always)]
fn swap_hint(table: &mut [u32], hash: Option<u32>, at: usize) -> Option<usize> {
    let hash = hash?.wrapping_mul(0x9e37_79b1);
    // The high bits are the well-mixed ones.
    let place = (u64::from(hash) * table.len() as u64) >> 32;
    let hint = table.get_mut(place as usize)?;
    Some(core::mem::replace(hint, at as u32) as usize)
}

impl Match {
    /// Distances are coded less 1, offsets as they are.
    const fn coded_reach(&self) -> usize {
        if self.image == 0 { self.reach - 1 } else { self.reach }
    }

    /// Bytes of the image number, but for what stands beside the flags.
    const fn image_bytes(&self) -> usize {
        let rest = if self.coded_reach() < LONG { self.image >> 6 } else { self.image };
        match rest {
            0 => 0,
            1..0x100 => 1,
            0x100..0x1_0000 => 2,
            _ => 3,
        }
    }

    /// Bytes that the match saves against literals; the length's continuation is not counted.
    const fn saves<U: Unit>(&self) -> isize {
        let very_long = (self.coded_reach() >= VERY_LONG) as usize;
        let cost = 3 + self.image_bytes() + very_long;
        (self.len * U::BYTES) as isize - cost as isize
    }
}
