//! SPICE LZ4 image data: a byte that says whether rows run from the top, the bitmap format, then
//! blocks, each behind its length as a big-endian u32. Image type 109; the client must have
//! announced the display capability LZ4_COMPRESSION.
//!
//! Blocks of one picture form one stream for the decoder. The encoder here starts each block
//! afresh, which every decoder of the stream accepts.

use lz4_flex::block::{self, CompressTable};

use super::{ImageError, PixelFormat, Pixels};

/// Bytes before the first block: the direction of rows and the bitmap format.
const HEAD: usize = 2;
/// Bytes before each block: its length.
const BLOCK_HEAD: usize = 4;
/// Rows that do not follow one another in memory are packed into blocks of this size, the reach
/// of an LZ4 reference.
const GATHER: usize = 64 * 1024;

/// Encodes pictures as LZ4. About 80 KiB, to be placed where it can stay.
pub struct Lz4Encoder {
    table: CompressTable,
    gathered: [u8; GATHER],
}

impl Lz4Encoder {
    /// An encoder for any number of pictures; nothing is carried from one to the next.
    pub fn new() -> Self {
        Self { table: CompressTable::large(), gathered: [0; GATHER] }
    }

    /// Whether the format can be sent as LZ4: 16, 24 and 32 bits per pixel, not palettes or A8.
    pub const fn carries(format: PixelFormat) -> bool {
        matches!(format, PixelFormat::Rgb16 | PixelFormat::Rgb24 | PixelFormat::Rgb32 | PixelFormat::Rgba)
    }

    /// An output of this many bytes is always enough for `pixels`.
    pub fn max_len(pixels: &Pixels<'_>) -> usize {
        let bytes = pixels.row_bytes() * pixels.height() as usize;
        let blocks = match pixels.packed() {
            Some(_) => 1,
            None => bytes.div_ceil(GATHER),
        };
        HEAD + blocks * (BLOCK_HEAD + block::get_maximum_output_size(0)) + block::get_maximum_output_size(bytes)
    }

    /// Writes `pixels` to the front of `out` and returns the length, or `None` when the format is
    /// not carried or `out` is too short. A length above that of the packed pixels is possible.
    pub fn encode(&mut self, pixels: &Pixels<'_>, out: &mut [u8]) -> Option<usize> {
        if !Self::carries(pixels.format()) {
            return None;
        }
        out.get_mut(..HEAD)?.copy_from_slice(&[1, pixels.format().to_wire()]);
        match pixels.packed() {
            Some(packed) => put_block(&mut self.table, packed, out, HEAD),
            None => self.encode_gathered(pixels, out),
        }
    }

    fn encode_gathered(&mut self, pixels: &Pixels<'_>, out: &mut [u8]) -> Option<usize> {
        let mut len = HEAD;
        let mut filled = 0;
        for mut row in pixels.rows() {
            while !row.is_empty() {
                let room = &mut self.gathered[filled..];
                let (now, later) = row.split_at(row.len().min(room.len()));
                room[..now.len()].copy_from_slice(now);
                filled += now.len();
                row = later;
                if filled == GATHER {
                    len = put_block(&mut self.table, &self.gathered, out, len)?;
                    filled = 0;
                }
            }
        }
        if filled > 0 {
            len = put_block(&mut self.table, &self.gathered[..filled], out, len)?;
        }
        Some(len)
    }
}

impl Default for Lz4Encoder {
    fn default() -> Self {
        Self::new()
    }
}

/// What [`decode`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lz4Picture {
    /// How the decoded pixels lie in memory.
    pub format: PixelFormat,
    /// Whether the first decoded row is the top one.
    pub top_down: bool,
    /// Bytes written to the output: packed rows.
    pub len: usize,
}

/// Decodes LZ4 image data of a `width` by `height` picture (the image descriptor's) into packed
/// rows at the front of `out`.
pub fn decode(data: &[u8], width: u32, height: u32, out: &mut [u8]) -> Result<Lz4Picture, ImageError> {
    let truncated = ImageError::Truncated { at: data.len() };
    let (&[top_down, number], mut rest) = data.split_first_chunk::<HEAD>().ok_or(truncated)?;
    let format = PixelFormat::from_wire(number)
        .filter(|&format| Lz4Encoder::carries(format))
        .ok_or(ImageError::Format { got: u32::from(number) })?;
    let lent = out.len();
    let len = format.picture_bytes(width, height).unwrap_or(usize::MAX);
    let out = out.get_mut(..len).ok_or(ImageError::Output { needed: len, got: lent })?;
    let mut done = 0;
    while done < len {
        let (&size, blocks) = rest.split_first_chunk::<BLOCK_HEAD>().ok_or(truncated)?;
        let at = data.len() - blocks.len();
        let size = usize::try_from(u32::from_be_bytes(size)).map_err(|_| truncated)?;
        let (compressed, after) = blocks.split_at_checked(size).ok_or(truncated)?;
        let refused = ImageError::Block { at, len: size };
        let (before, room) = out.split_at_mut(done);
        let got = block::decompress_into_with_dict(compressed, room, before);
        match got {
            Ok(got) if got > 0 => done += got,
            _ => return Err(refused),
        }
        rest = after;
    }
    if !rest.is_empty() {
        return Err(ImageError::Trailing { at: data.len() - rest.len(), left: rest.len() });
    }
    Ok(Lz4Picture { format, top_down: top_down != 0, len })
}

/// Writes one block with its length at `at` and returns where it ends.
fn put_block(table: &mut CompressTable, bytes: &[u8], out: &mut [u8], at: usize) -> Option<usize> {
    let (head, room) = out.get_mut(at..)?.split_first_chunk_mut::<BLOCK_HEAD>()?;
    let len = block::compress_into_with_table(bytes, room, table).ok()?;
    *head = u32::try_from(len).ok()?.to_be_bytes();
    Some(at + BLOCK_HEAD + len)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::boxed::Box;
    use std::vec;
    use std::vec::Vec;

    use super::*;
    use crate::image::samples::{Content, Random};

    fn encoded(pixels: &Pixels<'_>) -> Vec<u8> {
        let mut out = vec![0; Lz4Encoder::max_len(pixels)];
        let mut encoder = Box::new(Lz4Encoder::new());
        let len = encoder.encode(pixels, &mut out).unwrap();
        out.truncate(len);
        out
    }

    fn picture(content: Content, width: u32, height: u32) -> Vec<u8> {
        let mut bytes = vec![0; (width * height * 4) as usize];
        content.fill(1, PixelFormat::Rgb32, width, &mut bytes);
        bytes
    }

    #[test]
    fn a_decoded_picture_is_the_encoded_one() {
        let sides = if cfg!(miri) { [(1, 1), (5, 3), (17, 9)] } else { [(1, 1), (64, 1), (601, 173)] };
        for content in Content::ALL {
            for (width, height) in sides {
                let bytes = picture(content, width, height);
                let stride = width as usize * 4;
                let pixels = Pixels::new(&bytes, PixelFormat::Rgb32, width, height, stride).unwrap();
                let data = encoded(&pixels);
                let mut out = vec![0; bytes.len() + 3];
                let got = decode(&data, width, height, &mut out).unwrap();
                assert_eq!((got.format, got.top_down), (PixelFormat::Rgb32, true));
                assert!(out[..got.len] == bytes[..], "{content:?} {width}x{height}");
            }
        }
    }

    #[test]
    fn a_rectangle_is_gathered_over_several_blocks() {
        let (width, height) = if cfg!(miri) { (40, 30) } else { (400, 300) };
        let bytes = picture(Content::Natural, width, height);
        let stride = width as usize * 4;
        let frame = Pixels::new(&bytes, PixelFormat::Rgba, width, height, stride).unwrap();
        let rect = frame.rect(3, 2, width - 5, height - 4).unwrap();
        let want: Vec<u8> = rect.rows().flatten().copied().collect();
        let data = encoded(&rect);
        let mut out = vec![0; want.len()];
        let got = decode(&data, width - 5, height - 4, &mut out).unwrap();
        assert_eq!(got.format, PixelFormat::Rgba);
        assert!(out == want);
    }

    #[test]
    fn later_blocks_may_refer_to_earlier_ones() {
        // By hand: 8 literals, then a second block whose match reaches back into the first.
        let mut data = vec![0, 8];
        data.extend([0, 0, 0, 9, 0x80, 1, 2, 3, 4, 5, 6, 7, 8]);
        data.extend([0, 0, 0, 9, 0x03, 8, 0, 0x50, 4, 5, 6, 7, 8]);
        let mut out = [0; 20];
        let got = decode(&data, 5, 1, &mut out).unwrap();
        assert!(!got.top_down);
        assert_eq!(out, [1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn palettes_are_refused_and_a_short_output_is_none() {
        let bytes = [7; 64];
        let mut out = [0; 256];
        let mut encoder = Box::new(Lz4Encoder::new());
        let plt = Pixels::new(&bytes, PixelFormat::Plt8, 8, 8, 8).unwrap();
        assert_eq!(encoder.encode(&plt, &mut out), None);
        let rgb = Pixels::new(&bytes, PixelFormat::Rgb32, 4, 4, 16).unwrap();
        for short in 0..HEAD + BLOCK_HEAD {
            assert_eq!(encoder.encode(&rgb, &mut out[..short]), None);
        }
    }

    #[test]
    fn every_shorter_or_longer_input_is_an_error() {
        let bytes = picture(Content::Text, 16, 4);
        let pixels = Pixels::new(&bytes, PixelFormat::Rgb32, 16, 4, 64).unwrap();
        let mut data = encoded(&pixels);
        let mut out = [0; 256];
        for short in 0..data.len() {
            assert!(decode(&data[..short], 16, 4, &mut out).is_err(), "{short}");
        }
        data.push(0);
        let left = ImageError::Trailing { at: data.len() - 1, left: 1 };
        assert_eq!(decode(&data, 16, 4, &mut out), Err(left));
    }

    #[test]
    fn hostile_bytes_are_errors() {
        let mut random = Random::new(9);
        let bytes = picture(Content::Text, 20, 10);
        let pixels = Pixels::new(&bytes, PixelFormat::Rgb32, 20, 10, 80).unwrap();
        let good = encoded(&pixels);
        let mut out = [0; 800];
        for _ in 0..if cfg!(miri) { 20 } else { 20_000 } {
            let mut data = good.clone();
            for _ in 0..1 + random.below(4) {
                let at = random.below(data.len() as u32) as usize;
                data[at] = random.next_u32() as u8;
            }
            data.truncate(random.below(2 * data.len() as u32) as usize);
            // What matters is that it returns.
            let _ = decode(&data, random.below(30), random.below(30), &mut out);
        }
        assert!(decode(&good, u32::MAX, u32::MAX, &mut out).is_err());
    }
}
