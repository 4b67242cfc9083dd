//! QUIC image data: prediction, adaptive Golomb codes and runs; the lossless codec for natural
//! pictures. Image type 1 of spice.proto, decoded by every client.
//!
//! Rows run from the top. A pixel is predicted from its left and upper neighbours, the residual of
//! each component becomes a symbol, and the symbol is written with the code that did best for
//! symbols in a like neighbourhood. Encoder and decoder walk a row in the same way (`walk`) with
//! the same models (`model`); only what they do at a pixel differs.
//!
//! Inside, a pixel is a u32 with a component in each byte, blue lowest, alpha highest, whatever
//! the format; 16-bit pictures have five bits in each.

mod bits;
mod decode;
mod encode;
mod family;
mod lanes;
mod model;
mod walk;

pub use decode::{QuicPicture, decode};
pub use encode::encode;

use super::PixelFormat;

/// Number of u32 that [`encode`] and [`decode`] need as row memory for pictures `width` wide:
/// 16 bytes per pixel and 4 more.
pub const fn row_words(width: u32) -> usize {
    (width as usize).saturating_mul(4).saturating_add(1)
}

const MAGIC: u32 = u32::from_le_bytes(*b"QUIC");
const VERSION: u32 = 0;
/// Magic, version, type, width, height.
const HEADER_WORDS: usize = 5;
/// Pictures of this many pixels and more are not coded.
const PIXELS_END: u64 = 512 * 1024 * 1024;

/// The type number in the header.
const fn type_of(format: PixelFormat) -> Option<u32> {
    match format {
        PixelFormat::Rgb16 => Some(2),
        PixelFormat::Rgb24 => Some(3),
        PixelFormat::Rgb32 => Some(4),
        PixelFormat::Rgba => Some(5),
        _ => None,
    }
}

const fn format_of(number: u32) -> Option<PixelFormat> {
    match number {
        2 => Some(PixelFormat::Rgb16),
        3 => Some(PixelFormat::Rgb24),
        4 => Some(PixelFormat::Rgb32),
        5 => Some(PixelFormat::Rgba),
        _ => None,
    }
}

/// The row memory, cut up.
struct Rows<'m> {
    /// The row above.
    above: &'m mut [u32],
    /// The row being coded.
    here: &'m mut [u32],
    /// Symbols of the row being encoded; unused by the decoder.
    symbols: &'m mut [u32],
    /// The symbol last coded in each column, one place to the right: the first is the one "left
    /// of" column 0.
    contexts: &'m mut [u32],
}

impl<'m> Rows<'m> {
    fn new(memory: &'m mut [u32], width: u32) -> Option<Self> {
        let width_ = width as usize;
        let memory = memory.get_mut(..row_words(width))?;
        memory.fill(0);
        let (above, rest) = memory.split_at_mut(width_);
        let (here, rest) = rest.split_at_mut(width_);
        let (symbols, contexts) = rest.split_at_mut(width_);
        Some(Self { above, here, symbols, contexts })
    }

    fn next_row(&mut self) {
        core::mem::swap(&mut self.above, &mut self.here);
    }
}

#[cfg(test)]
mod tests;
