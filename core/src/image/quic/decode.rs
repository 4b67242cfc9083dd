//! QUIC data to pictures. The data is not trusted.

use super::bits::{BitReader, Ended};
use super::lanes::{average, from_symbols, lane, store};
use super::model::{Alpha, Group, Model, Rgb};
use super::walk::{Coder, Pace, RUN_BITS};
use super::{HEADER_WORDS, MAGIC, PIXELS_END, Rows, VERSION, format_of, row_words};
use crate::image::{ImageError, PixelFormat};

/// What [`decode`] found. Its rows run from the top.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuicPicture {
    /// How the decoded pixels lie in memory.
    pub format: PixelFormat,
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Bytes written to the output: packed rows.
    pub len: usize,
}

impl QuicPicture {
    /// Reads the header alone: what the data claims to be, and how much output it needs.
    pub fn parse(data: &[u8]) -> Result<Self, ImageError> {
        let mut words = [0; HEADER_WORDS];
        for (word, at) in words.iter_mut().zip((0..).step_by(4)) {
            let bytes = data.get(at..).and_then(<[u8]>::first_chunk);
            let truncated = ImageError::Truncated { at: data.len() };
            *word = u32::from_le_bytes(*bytes.ok_or(truncated)?);
        }
        let [magic, version, number, width, height] = words;
        if (magic, version) != (MAGIC, VERSION) {
            return Err(ImageError::Magic { magic, version });
        }
        let format = format_of(number).ok_or(ImageError::Format { got: number })?;
        let pixels = u64::from(width) * u64::from(height);
        let refused = ImageError::Size { width, height };
        if pixels == 0 || pixels >= PIXELS_END {
            return Err(refused);
        }
        let len = format.picture_bytes(width, height).ok_or(refused)?;
        Ok(Self { format, width, height, len })
    }
}

/// Decodes QUIC data into packed rows at the front of `out`.
///
/// `rows` is working memory of [`row_words`] numbers, whatever they are. Data after the last pixel
/// is not looked at: an encoder adds words for decoders that read ahead.
pub fn decode(data: &[u8], rows: &mut [u32], out: &mut [u8]) -> Result<QuicPicture, ImageError> {
    let picture = QuicPicture::parse(data)?;
    let memory = ImageError::Scratch { needed: row_words(picture.width), got: rows.len() };
    let rows = Rows::new(rows, picture.width).ok_or(memory)?;
    let lent = out.len();
    let out = out.get_mut(..picture.len).ok_or(ImageError::Output { needed: picture.len, got: lent })?;
    let body = data.get(HEADER_WORDS * 4..).unwrap_or_default();
    let mut reader = BitReader::new(body);
    let result = if picture.format == PixelFormat::Rgb16 {
        decode_rows::<5>(&picture, rows, &mut reader, out)
    } else {
        decode_rows::<8>(&picture, rows, &mut reader, out)
    };
    let at = HEADER_WORDS * 4 + reader.at();
    match result {
        Ok(()) => Ok(picture),
        Err(Bad::Ended) => Err(ImageError::Truncated { at: data.len() }),
        Err(Bad::Symbol) => Err(ImageError::Code { at }),
        Err(Bad::Run { run, room }) => Err(ImageError::Length { at, length: run, room }),
    }
}

fn decode_rows<const B: usize>(
    picture: &QuicPicture,
    mut rows: Rows<'_>,
    reader: &mut BitReader<'_>,
    out: &mut [u8],
) -> Result<(), Bad> {
    let width = picture.width as usize;
    let row_bytes = out.len() / picture.height as usize;
    let mut model = Model::<B>::new();
    let mut rgb = Pace::new();
    let mut alpha = Pace::new();
    for (y, out) in out.chunks_exact_mut(row_bytes).enumerate() {
        rows.here.fill(0);
        let mut decoder = Decoder { rows: &mut rows, model: &mut model, reader, first_row: y == 0 };
        decoder.begin_row::<Rgb>();
        rgb.row::<Rgb, _>(&mut decoder, width, y == 0)?;
        if picture.format == PixelFormat::Rgba {
            decoder.begin_row::<Alpha>();
            alpha.row::<Alpha, _>(&mut decoder, width, y == 0)?;
        }
        store(rows.here, picture.format, out);
        rows.next_row();
    }
    Ok(())
}

enum Bad {
    Ended,
    /// A code word for a number that is no symbol.
    Symbol,
    /// A run that leaves its row.
    Run {
        run: usize,
        room: usize,
    },
}

impl From<Ended> for Bad {
    fn from(_: Ended) -> Self {
        Self::Ended
    }
}

struct Decoder<'e, 'm, 'o, const B: usize> {
    rows: &'e mut Rows<'m>,
    model: &'e mut Model<B>,
    reader: &'e mut BitReader<'o>,
    first_row: bool,
}

impl<const B: usize> Decoder<'_, '_, '_, B> {
    /// Column 0 takes its context from the row above.
    fn begin_row<G: Group>(&mut self) {
        let contexts = &mut self.rows.contexts;
        contexts[0] = (contexts[0] & !G::MASK) | (contexts[1] & G::MASK);
    }

    #[inline(always)]
    fn symbol(&mut self, code: usize) -> Result<u32, Bad> {
        let escape = Model::<B>::FAMILY.escapes[code];
        let bits = self.reader.peek();
        let zeros = bits.leading_zeros();
        if zeros < u32::from(escape.zeros) {
            let length = zeros + 1 + code as u32;
            // The marking one bit stands above the low bits.
            let low = (bits >> (64 - length)) as u32 ^ (1 << code);
            self.reader.skip(length)?;
            return Ok((zeros << code) | low);
        }
        self.reader.skip(u32::from(escape.zeros))?;
        let symbol = u32::from(escape.first) + self.reader.take(u32::from(escape.suffix))?;
        if symbol >> B != 0 {
            return Err(Bad::Symbol);
        }
        Ok(symbol)
    }

    fn prediction(&self, i: usize) -> u32 {
        match (i, self.first_row) {
            (0, true) => 0,
            (0, false) => self.rows.above[0],
            (_, true) => self.rows.here[i - 1],
            (_, false) => average(self.rows.here[i - 1], self.rows.above[i]),
        }
    }
}

impl<G: Group, const B: usize> Coder<G> for Decoder<'_, '_, '_, B> {
    type Error = Bad;

    #[inline(always)]
    fn pixel(&mut self, i: usize) -> Result<(), Bad> {
        let contexts = self.rows.contexts[i];
        let mut symbols = 0;
        for &n in G::LANES {
            let code = self.model.code(n, lane(contexts, n));
            symbols |= self.symbol(code)? << (8 * n);
        }
        let pixel = from_symbols::<B>(symbols, self.prediction(i));
        let here = &mut self.rows.here[i];
        *here = (*here & !G::MASK) | (pixel & G::MASK);
        let context = &mut self.rows.contexts[i + 1];
        *context = (*context & !G::MASK) | symbols;
        Ok(())
    }

    fn learn(&mut self, i: usize, trigger: u16) {
        let (contexts, symbols) = (self.rows.contexts[i], self.rows.contexts[i + 1]);
        self.model.learn::<G>(contexts, symbols, trigger);
    }

    #[inline(always)]
    fn run_here(&self, i: usize) -> bool {
        let (above, here) = (&self.rows.above, &self.rows.here);
        ((above[i - 1] ^ above[i]) | (here[i - 1] ^ here[i - 2])) & G::MASK == 0
    }

    fn run(&mut self, i: usize, end: usize, state: &mut u8) -> Result<usize, Bad> {
        let room = end - i;
        let mut run = 0;
        loop {
            let bits = u32::from(RUN_BITS[usize::from(*state)]);
            let more = self.reader.take(1)? == 1;
            run += match (more, bits) {
                (true, _) => 1 << bits,
                (false, 0) => 0,
                (false, _) => self.reader.take(bits)? as usize,
            };
            if run > room {
                return Err(Bad::Run { run, room });
            }
            if !more {
                *state = state.saturating_sub(1);
                break;
            }
            *state = (*state + 1).min(RUN_BITS.len() as u8 - 1);
        }
        let left = self.rows.here[i - 1];
        for pixel in &mut self.rows.here[i..i + run] {
            *pixel = (*pixel & !G::MASK) | (left & G::MASK);
        }
        Ok(run)
    }
}
