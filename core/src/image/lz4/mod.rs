//! SPICE LZ4 image data: a byte that says whether rows run from the top, the bitmap format, then
//! blocks, each behind its length as a big-endian u32. Image type 109; the client must have
//! announced the display capability LZ4_COMPRESSION.
//!
//! Blocks of one picture form one stream: what one says may refer to what the ones before it said.

mod decode;
mod encode;

pub use decode::{Lz4Picture, decode};
pub use encode::Lz4Encoder;

/// Bytes before the first block: the direction of rows and the bitmap format.
const HEAD: usize = 2;
/// Bytes before each block: its length.
const BLOCK_HEAD: usize = 4;

#[cfg(test)]
mod tests {
    extern crate std;

    use std::boxed::Box;
    use std::vec;
    use std::vec::Vec;

    use super::*;
    use crate::image::samples::{Content, Random};
    use crate::image::{ImageError, PixelFormat, Pixels};

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
    fn every_format_is_decoded_by_a_foreign_decoder_and_fits_where_it_must() {
        let (width, height) = if cfg!(miri) { (21, 5) } else { (611, 157) };
        let mut encoder = Box::new(Lz4Encoder::new());
        for format in [PixelFormat::Rgb16, PixelFormat::Rgb24, PixelFormat::Rgb32, PixelFormat::Rgba] {
            let row = format.row_bytes(width).unwrap();
            for (content, gap) in Content::ALL.into_iter().flat_map(|content| [(content, 0), (content, 7)]) {
                let mut bytes = vec![0; (row + gap) * height as usize];
                bytes.chunks_mut(row + gap).for_each(|bytes| content.fill(3, format, width, &mut bytes[..row]));
                let pixels = Pixels::new(&bytes, format, width, height, row + gap).unwrap();
                let want: Vec<u8> = pixels.rows().flatten().copied().collect();
                let most = Lz4Encoder::max_len(&pixels);
                let (mut data, mut out) = (vec![0; most], vec![0; want.len()]);
                let len = encoder.encode(&pixels, &mut data).unwrap();
                decode(&data[..len], width, height, &mut out).unwrap();
                assert!(out == want, "{format:?}, {content:?}, rows {gap} apart");
                assert_eq!(encoder.encode(&pixels, &mut data[..len - 1]), None);
            }
        }
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
