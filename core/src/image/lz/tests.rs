//! Round trips, refusals, and data from someone who means harm.

extern crate std;

use std::vec;
use std::vec::Vec;

use super::header::HEADER;
use super::*;
use crate::image::samples::{Content, Random};
use crate::image::{ImageError, PixelFormat, Pixels};

const FORMATS: [PixelFormat; 8] = [
    PixelFormat::Plt1Be,
    PixelFormat::Plt4Le,
    PixelFormat::Plt8,
    PixelFormat::Rgb16,
    PixelFormat::Rgb24,
    PixelFormat::Rgb32,
    PixelFormat::Rgba,
    PixelFormat::A8,
];

fn picture(content: Content, format: PixelFormat, width: u32, height: u32) -> Vec<u8> {
    let row = format.row_bytes(width).unwrap();
    let units = unit::per_row(format, row) as u32;
    let mut bytes = vec![0; row * height as usize];
    content.fill(1, format, units, &mut bytes);
    bytes
}

fn encoded(pixels: &Pixels<'_>, memory: usize) -> Vec<u8> {
    let mut out = vec![0; 2 * pixels.row_bytes() * pixels.height() as usize + 64];
    let len = encode(pixels, &mut vec![0xaaaa_aaaa; memory], &mut out).unwrap();
    out.truncate(len);
    out
}

fn text() -> Vec<u8> {
    let bytes = picture(Content::Text, PixelFormat::Rgba, 40, 18);
    let pixels = Pixels::new(&bytes, PixelFormat::Rgba, 40, 18, 160).unwrap();
    encoded(&pixels, MIN_MEMORY)
}

/// A header and `tokens`, for a picture of one row.
fn by_hand(format: PixelFormat, width: u32, tokens: &[u8]) -> Vec<u8> {
    let bytes = vec![0; format.row_bytes(width).unwrap()];
    let pixels = Pixels::new(&bytes, format, width, 1, bytes.len()).unwrap();
    let mut data = header::header(&pixels, header::type_of(format)).unwrap().to_vec();
    data.extend_from_slice(tokens);
    data
}

#[test]
fn a_decoded_picture_is_the_encoded_one() {
    let sides: &[_] = if cfg!(miri) { &[(9, 5)] } else { &[(1, 1), (1, 9), (3, 3), (7, 300), (301, 83)] };
    for content in Content::ALL.into_iter().step_by(if cfg!(miri) { 3 } else { 1 }) {
        for format in FORMATS {
            for &(width, height) in sides {
                let mut bytes = picture(content, format, width, height);
                let stride = format.row_bytes(width).unwrap();
                let pixels = Pixels::new(&bytes, format, width, height, stride).unwrap();
                // The least memory makes the window slide many times.
                let data = encoded(&pixels, MIN_MEMORY);
                let mut out = vec![0; bytes.len()];
                let got = decode(&data, &mut out).unwrap();
                assert_eq!((got.format, got.width, got.height), (format, width, height));
                assert!(got.top_down);
                match format {
                    PixelFormat::Rgb32 => {
                        bytes.iter_mut().skip(3).step_by(4).for_each(|x| *x = 0);
                    }
                    PixelFormat::Rgb16 => {
                        bytes.iter_mut().skip(1).step_by(2).for_each(|x| *x &= 127);
                    }
                    _ => {}
                }
                assert!(out == bytes, "{content:?} {format:?} {width}x{height}");
            }
        }
    }
}

#[test]
fn alpha_alone_leaves_the_colours() {
    let bytes = picture(Content::Natural, PixelFormat::Rgba, 30, 20);
    let pixels = Pixels::new(&bytes, PixelFormat::Rgba, 30, 20, 120).unwrap();
    let mut data = vec![0; 4096];
    let len = encode_alpha(&pixels, &mut vec![0; MIN_MEMORY], &mut data).unwrap();
    let mut out = vec![7; bytes.len()];
    assert!(decode_alpha(&data[..len], &mut out).unwrap().alpha_only);
    for (got, want) in out.chunks(4).zip(bytes.chunks(4)) {
        assert_eq!(got, [7, 7, 7, want[3]]);
    }
    assert!(decode(&data[..len], &mut out).is_err());
    assert!(decode_alpha(&text(), &mut out).is_err());
}

#[test]
fn every_form_of_match_at_its_edges() {
    // A block of noise, a flat gap, the block again: one match at `distance`.
    for distance in [FAR - 1, FAR, FAR + 1, MAX_DISTANCE, MAX_DISTANCE + 1] {
        if cfg!(miri) && distance > FAR {
            continue;
        }
        let width = distance + 600;
        let mut bytes = vec![0; width * 4];
        Content::Noise.fill(1, PixelFormat::Rgb32, width as u32, &mut bytes[..2400]);
        bytes.copy_within(..2400, distance * 4);
        bytes.iter_mut().skip(3).step_by(4).for_each(|x| *x = 0);
        let pixels = Pixels::new(&bytes, PixelFormat::Rgb32, width as u32, 1, width * 4).unwrap();
        let data = encoded(&pixels, MAX_MEMORY);
        let mut out = vec![0; bytes.len()];
        decode(&data, &mut out).unwrap();
        assert!(out == bytes, "{distance}");
        let found = data.len() < 2 * 600 * 3;
        assert_eq!(found, distance <= MAX_DISTANCE, "{distance}");
    }
}

#[test]
fn tokens_by_hand() {
    let mut out = [0; 64];
    // Two literals, then five units from two back: they overlap what they produce.
    let data = by_hand(PixelFormat::Rgb24, 7, &[1, 1, 2, 3, 4, 5, 6, 0xa0, 1]);
    decode(&data, &mut out).unwrap();
    assert_eq!(out[..9], [1, 2, 3, 4, 5, 6, 1, 2, 3]);
    assert_eq!(out[9..21], [4, 5, 6, 1, 2, 3, 4, 5, 6, 1, 2, 3]);
    // Length 7 has an extension of 0; bytes are 2 longer, pixels of 16 bits 1.
    decode(&by_hand(PixelFormat::A8, 10, &[0, 9, 0xe0, 0, 0]), &mut out).unwrap();
    assert_eq!(out[..10], [9; 10]);
    let data = by_hand(PixelFormat::Rgb16, 9, &[0, 0x7f, 0x12, 0xe0, 0, 0]);
    decode(&data, &mut out).unwrap();
    assert_eq!(out[..18], [0x12, 0x7f].repeat(9));
}

#[test]
fn tokens_that_reach_too_far_are_errors() {
    let mut out = [0; 64];
    let mut refused = |width, tokens: &[u8]| decode(&by_hand(PixelFormat::A8, width, tokens), &mut out).unwrap_err();
    let distance = |at, distance, produced| ImageError::Distance { at: HEADER + at, distance, produced };
    let length = |at, length, room| ImageError::Length { at: HEADER + at, length, room };
    let trailing = ImageError::Trailing { at: HEADER + 2, left: 1 };
    assert_eq!(refused(4, &[0x20, 0]), distance(2, 1, 0));
    assert_eq!(refused(9, &[0, 9, 0x20, 1]), distance(4, 2, 1));
    assert_eq!(refused(9, &[0, 9, 0x3f, 255, 0, 0]), distance(6, FAR, 1));
    assert_eq!(refused(1, &[1, 9, 9]), length(1, 2, 1));
    assert_eq!(refused(3, &[0, 9, 0x20, 0]), length(3, 3, 2));
    assert_eq!(refused(3, &[0, 9, 0xe0, 255, 255]), length(4, 264, 2));
    assert_eq!(refused(1, &[0, 9, 9]), trailing);
}

#[test]
fn headers_that_promise_the_impossible_are_refused() {
    let good = text();
    let refused = |word: usize, value: u32| {
        let mut data = good.clone();
        data[word * 4..word * 4 + 4].copy_from_slice(&value.to_be_bytes());
        decode(&data, &mut [0; 40 * 18 * 4]).unwrap_err()
    };
    assert!(matches!(refused(0, 7), ImageError::Magic { magic: 7, .. }));
    assert!(matches!(refused(1, 1), ImageError::Magic { version: 1, .. }));
    for number in [0, 12, u32::MAX] {
        assert_eq!(refused(2, number), ImageError::Format { got: number });
    }
    for (word, side) in [(3, 0), (4, 0), (3, u32::MAX), (4, u32::MAX), (4, 1 << 23)] {
        assert!(matches!(refused(word, side), ImageError::Size { .. }));
    }
    for stride in [0, 159, 161, u32::MAX] {
        let want = ImageError::Stride { got: stride, want: 160 };
        assert_eq!(refused(5, stride), want);
    }
    assert!(matches!(refused(4, 19), ImageError::Output { .. }));
}

#[test]
fn memory_too_short_is_none() {
    let bytes = picture(Content::Text, PixelFormat::Rgb32, 40, 18);
    let pixels = Pixels::new(&bytes, PixelFormat::Rgb32, 40, 18, 160).unwrap();
    let needed = encoded(&pixels, MIN_MEMORY).len();
    let mut memory = vec![0; MIN_MEMORY];
    let mut out = vec![0; needed];
    for short in (0..needed).step_by(if cfg!(miri) { 97 } else { 1 }) {
        assert_eq!(encode(&pixels, &mut memory, &mut out[..short]), None);
    }
    assert_eq!(encode(&pixels, &mut memory, &mut out), Some(needed));
    assert_eq!(encode(&pixels, &mut memory[1..], &mut out), None);
    assert_eq!(encode_alpha(&pixels, &mut memory, &mut out), None);
}

#[test]
fn data_that_ends_early_is_an_error() {
    let good = text();
    let mut out = vec![0; 40 * 18 * 4];
    for short in (0..good.len()).step_by(if cfg!(miri) { 97 } else { 1 }) {
        let got = decode(&good[..short], &mut out);
        assert_eq!(got, Err(ImageError::Truncated { at: short }));
    }
}

#[test]
fn hostile_bytes_are_errors_or_pictures() {
    let good = text();
    let mut random = Random::new(4);
    let mut out = vec![0; 40 * 18 * 4];
    let mut errors = 0;
    for _ in 0..if cfg!(miri) { 5 } else { 20_000 } {
        let mut data = good.clone();
        for _ in 0..1 + random.below(6) {
            let at = HEADER as u32 + random.below((data.len() - HEADER) as u32);
            data[at as usize] = random.next_u32() as u8;
        }
        // What matters is that it returns.
        errors += u32::from(decode(&data, &mut out).is_err());
    }
    assert!(errors > 0);
}
