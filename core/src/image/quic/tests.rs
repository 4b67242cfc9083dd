//! Round trips, refusals, and data from someone who means harm.

extern crate std;

use std::vec;
use std::vec::Vec;

use super::*;
use crate::image::samples::{Content, Random};
use crate::image::{ImageError, Pixels};

const FORMATS: [PixelFormat; 4] = [PixelFormat::Rgb16, PixelFormat::Rgb24, PixelFormat::Rgb32, PixelFormat::Rgba];

fn picture(content: Content, format: PixelFormat, width: u32, height: u32) -> Vec<u8> {
    let mut bytes = vec![0; format.picture_bytes(width, height).unwrap()];
    content.fill(1, format, width, &mut bytes);
    bytes
}

fn rows(width: u32) -> Vec<u32> {
    vec![0xaaaa_aaaa; row_words(width)]
}

fn encoded(pixels: &Pixels<'_>) -> Vec<u8> {
    let mut out = vec![0; 5 * pixels.row_bytes() * pixels.height() as usize + 64];
    let len = encode(pixels, &mut rows(pixels.width()), &mut out).unwrap();
    out.truncate(len);
    out
}

fn text() -> Vec<u8> {
    let bytes = picture(Content::Text, PixelFormat::Rgba, 24, 18);
    encoded(&Pixels::new(&bytes, PixelFormat::Rgba, 24, 18, 96).unwrap())
}

#[test]
fn a_decoded_picture_is_the_encoded_one() {
    let sides: &[_] = if cfg!(miri) {
        &[(1, 1), (9, 5)]
    } else {
        // 2048 pixels are a step of the pace: at, before and after it.
        &[(1, 1), (1, 9), (3, 3), (2047, 2), (2048, 7), (301, 83)]
    };
    for content in Content::ALL.into_iter().step_by(if cfg!(miri) { 3 } else { 1 }) {
        for format in FORMATS {
            for &(width, height) in sides {
                let mut bytes = picture(content, format, width, height);
                let stride = format.row_bytes(width).unwrap();
                let pixels = Pixels::new(&bytes, format, width, height, stride).unwrap();
                let data = encoded(&pixels);
                let mut out = vec![0; bytes.len()];
                let got = decode(&data, &mut rows(width), &mut out).unwrap();
                assert_eq!((got.format, got.width, got.height), (format, width, height));
                if format == PixelFormat::Rgb32 {
                    bytes.iter_mut().skip(3).step_by(4).for_each(|x| *x = 0);
                }
                assert!(out == bytes, "{content:?} {format:?} {width}x{height}");
            }
        }
    }
}

#[test]
fn only_the_rectangle_is_sent_and_the_fourth_byte_never() {
    let mut bytes = picture(Content::Natural, PixelFormat::Rgb32, 40, 20);
    let rect = |bytes: &[u8]| {
        let frame = Pixels::new(bytes, PixelFormat::Rgb32, 40, 20, 160).unwrap();
        encoded(&frame.rect(3, 2, 30, 15).unwrap())
    };
    let before = rect(&bytes);
    bytes.iter_mut().skip(3).step_by(4).for_each(|x| *x ^= 0x55);
    bytes[..2 * 160 + 12].fill(1);
    assert_eq!(rect(&bytes), before);
}

#[test]
fn memory_too_short_is_none() {
    let bytes = picture(Content::Noise, PixelFormat::Rgb32, 8, 2);
    let pixels = Pixels::new(&bytes, PixelFormat::Rgb32, 8, 2, 32).unwrap();
    let needed = encoded(&pixels).len();
    let mut out = vec![0; needed];
    for short in 0..needed {
        assert_eq!(encode(&pixels, &mut rows(8), &mut out[..short]), None);
    }
    assert_eq!(encode(&pixels, &mut rows(8), &mut out), Some(needed));
    assert_eq!(encode(&pixels, &mut rows(8)[1..], &mut out), None);
    let palette = Pixels::new(&bytes, PixelFormat::Plt8, 8, 2, 32).unwrap();
    assert_eq!(encode(&palette, &mut rows(8), &mut out), None);
}

#[test]
fn headers_that_promise_the_impossible_are_refused() {
    let good = text();
    let refused = |word: usize, value: u32| {
        let mut data = good.clone();
        data[word * 4..word * 4 + 4].copy_from_slice(&value.to_le_bytes());
        decode(&data, &mut rows(24), &mut [0; 24 * 18 * 4]).unwrap_err()
    };
    assert!(matches!(refused(0, 7), ImageError::Magic { magic: 7, .. }));
    assert!(matches!(refused(1, 1), ImageError::Magic { version: 1, .. }));
    for number in [0, 1, 6, u32::MAX] {
        assert_eq!(refused(2, number), ImageError::Format { got: number });
    }
    for (word, side) in [(3, 0), (4, 0), (3, u32::MAX), (4, u32::MAX)] {
        assert!(matches!(refused(word, side), ImageError::Size { .. }));
    }
    assert!(matches!(refused(3, 25), ImageError::Scratch { .. }));
    assert!(matches!(refused(4, 19), ImageError::Output { .. }));
    assert!(matches!(refused(3, 512 * 1024 * 1024 / 18 + 1), ImageError::Size { .. }));
}

#[test]
fn data_that_ends_early_is_an_error() {
    let good = text();
    let mut out = vec![0; 24 * 18 * 4];
    // The last word is there for decoders that read ahead; this one does not.
    let needed = good.len() - 4;
    assert!(decode(&good[..needed], &mut rows(24), &mut out).is_ok());
    for short in (0..needed).step_by(if cfg!(miri) { 97 } else { 1 }) {
        let got = decode(&good[..short], &mut rows(24), &mut out);
        assert_eq!(got, Err(ImageError::Truncated { at: short }));
    }
}

#[test]
fn hostile_bytes_are_errors_or_pictures() {
    let good = text();
    let mut random = Random::new(4);
    let mut out = vec![0; 24 * 18 * 4];
    let mut memory = rows(24);
    let mut errors = 0;
    for _ in 0..if cfg!(miri) { 5 } else { 3000 } {
        let mut data = good.clone();
        let header = 4 * HEADER_WORDS as u32;
        for _ in 0..1 + random.below(6) {
            let at = header + random.below(data.len() as u32 - header);
            data[at as usize] = random.next_u32() as u8;
        }
        // What matters is that it returns.
        errors += u32::from(decode(&data, &mut memory, &mut out).is_err());
    }
    assert!(errors > 0);
}
