//! Pictures to QUIC data.

use super::bits::{BitWriter, Full};
use super::lanes::{average, lane, load, to_symbols};
use super::model::{Alpha, Group, Model, Rgb};
use super::walk::{Coder, Pace, RUN_BITS};
use super::{HEADER_WORDS, MAGIC, PIXELS_END, Rows, VERSION, type_of};
use crate::image::{PixelFormat, Pixels};

/// Encodes `pixels` to the front of `out` and returns the length in bytes, a multiple of 4.
///
/// `rows` is working memory of [`row_words`](super::row_words) numbers, whatever they are.
///
/// `None` when the format is not RGB16, RGB24, RGB32 or RGBA, the picture has 512 Mi pixels or
/// more, `rows` is too short, or the data is longer than `out`. Lend as many bytes as the packed
/// pixels have, and `None` means that QUIC does not pay.
pub fn encode(pixels: &Pixels<'_>, rows: &mut [u32], out: &mut [u8]) -> Option<usize> {
    let number = type_of(pixels.format())?;
    let (width, height) = (pixels.width(), pixels.height());
    if u64::from(width) * u64::from(height) >= PIXELS_END {
        return None;
    }
    let rows = Rows::new(rows, width)?;
    let mut writer = BitWriter::new(out);
    let header: [u32; HEADER_WORDS] = [MAGIC, VERSION, number, width, height];
    for word in header {
        writer.put(word, 32).ok()?;
    }
    if pixels.format() == PixelFormat::Rgb16 {
        encode_rows::<5>(pixels, rows, &mut writer).ok()?;
    } else {
        encode_rows::<8>(pixels, rows, &mut writer).ok()?;
    }
    writer.finish().ok()
}

fn encode_rows<const B: usize>(
    pixels: &Pixels<'_>,
    mut rows: Rows<'_>,
    writer: &mut BitWriter<'_>,
) -> Result<(), Full> {
    let width = pixels.width() as usize;
    let mut model = Model::<B>::new();
    let mut rgb = Pace::new();
    let mut alpha = Pace::new();
    for (y, row) in pixels.rows().enumerate() {
        load(row, pixels.format(), rows.here);
        predict::<B>(&mut rows, y == 0);
        let mut encoder = Encoder { rows: &mut rows, model: &mut model, writer };
        encoder.begin_row::<Rgb>();
        rgb.row::<Rgb, _>(&mut encoder, width, y == 0)?;
        if pixels.format() == PixelFormat::Rgba {
            encoder.begin_row::<Alpha>();
            alpha.row::<Alpha, _>(&mut encoder, width, y == 0)?;
        }
        rows.next_row();
    }
    Ok(())
}

/// Computes the symbols of the row.
fn predict<const B: usize>(rows: &mut Rows<'_>, first_row: bool) {
    let (Some((first, others)), [here, rest @ ..]) = (rows.symbols.split_first_mut(), &*rows.here) else {
        return;
    };
    *first = to_symbols::<B>(*here, if first_row { 0 } else { rows.above[0] });
    let lefts = rows.here.iter();
    let pixels = others.iter_mut().zip(lefts).zip(rest);
    if first_row {
        for ((symbols, &left), &here) in pixels {
            *symbols = to_symbols::<B>(here, left);
        }
    } else {
        for (((symbols, &left), &here), &above) in pixels.zip(&rows.above[1..]) {
            *symbols = to_symbols::<B>(here, average(left, above));
        }
    }
}

struct Encoder<'e, 'm, 'o, const B: usize> {
    rows: &'e mut Rows<'m>,
    model: &'e mut Model<B>,
    writer: &'e mut BitWriter<'o>,
}

impl<const B: usize> Encoder<'_, '_, '_, B> {
    /// Column 0 takes its context from the row above.
    fn begin_row<G: Group>(&mut self) {
        let contexts = &mut self.rows.contexts;
        contexts[0] = (contexts[0] & !G::MASK) | (contexts[1] & G::MASK);
    }
}

impl<G: Group, const B: usize> Coder<G> for Encoder<'_, '_, '_, B> {
    type Error = Full;

    #[inline(always)]
    fn pixel(&mut self, i: usize) -> Result<(), Full> {
        let symbols = self.rows.symbols[i];
        let contexts = self.rows.contexts[i];
        let mut words = [0; 3];
        let words = &mut words[..G::LANES.len()];
        for (word, &n) in words.iter_mut().zip(G::LANES) {
            let code = self.model.code(n, lane(contexts, n));
            *word = u32::from(Model::<B>::FAMILY.words[code][lane(symbols, n)]);
        }
        let length: u32 = words.iter().map(|word| word >> 8).sum();
        if length <= 32 {
            // Nearly always: one write for the pixel.
            let all = words.iter().fold(0, |all, word| (all << (word >> 8)) | u64::from(word & 0xff));
            self.writer.put(all as u32, length)?;
        } else {
            for word in words {
                self.writer.put(*word & 0xff, *word >> 8)?;
            }
        }
        let context = &mut self.rows.contexts[i + 1];
        *context = (*context & !G::MASK) | (symbols & G::MASK);
        Ok(())
    }

    fn learn(&mut self, i: usize, trigger: u16) {
        let contexts = self.rows.contexts[i];
        self.model.learn::<G>(contexts, self.rows.symbols[i], trigger);
    }

    #[inline(always)]
    fn run_here(&self, i: usize) -> bool {
        let (above, here) = (&self.rows.above, &self.rows.here);
        ((above[i - 1] ^ above[i]) | (here[i - 1] ^ here[i - 2])) & G::MASK == 0
    }

    fn run(&mut self, i: usize, end: usize, state: &mut u8) -> Result<usize, Full> {
        let here = &self.rows.here[..end];
        let left = here[i - 1];
        let same = |&&pixel: &&u32| (pixel ^ left) & G::MASK == 0;
        let run = here[i..].iter().take_while(same).count();
        let mut rest = run;
        loop {
            let bits = u32::from(RUN_BITS[usize::from(*state)]);
            if rest < 1 << bits {
                self.writer.put(rest as u32, bits + 1)?;
                *state = state.saturating_sub(1);
                return Ok(run);
            }
            self.writer.put(1, 1)?;
            rest -= 1 << bits;
            *state = (*state + 1).min(RUN_BITS.len() as u8 - 1);
        }
    }
}
