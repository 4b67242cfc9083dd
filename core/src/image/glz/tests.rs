//! Round trips through a window, the window's bounds, refusals, and data from someone who means
//! harm.

extern crate std;

use std::vec;
use std::vec::Vec;

use super::header::HEADER;
use super::*;
use crate::image::samples::{Content, Random};
use crate::image::{ImageError, PixelFormat, Pixels};

/// What both ends of a stream of images are lent.
struct Memory {
    hashes: Vec<u32>,
    sent: Vec<u32>,
    images: Vec<GlzImage>,
    window: Vec<u8>,
    kept: Vec<GlzKept>,
}

impl Memory {
    fn new(pixels: usize, images: usize) -> Self {
        Self {
            hashes: vec![0; 1 << 10],
            sent: vec![0; pixels],
            images: vec![GlzImage::EMPTY; images],
            window: vec![0; 4 * pixels],
            kept: vec![GlzKept::EMPTY; images],
        }
    }
}

/// Both ends of a stream of images.
struct Pair<'a> {
    dictionary: GlzDictionary<&'a mut [u32], &'a mut [GlzImage]>,
    window: GlzWindow<'a>,
}

impl<'a> Pair<'a> {
    fn new(memory: &'a mut Memory) -> Self {
        let pixels = memory.sent.len() as u32;
        Self {
            dictionary: GlzDictionary::new(&mut memory.hashes[..], &mut memory.sent, &mut memory.images[..], pixels),
            window: GlzWindow::new(&mut memory.window, &mut memory.kept, 0),
        }
    }

    fn encode(&mut self, bytes: &[u8], format: PixelFormat, width: u32) -> Vec<u8> {
        let row = format.row_bytes(width).unwrap();
        let height = (bytes.len() / row) as u32;
        let pixels = Pixels::new(bytes, format, width, height, row).unwrap();
        let mut out = vec![0; 2 * bytes.len() + 64];
        let len = self.dictionary.encode(&pixels, &mut out).unwrap();
        out.truncate(len);
        out
    }

    /// Sends a picture through, and returns how many bytes it took.
    fn send(&mut self, bytes: &[u8], format: PixelFormat, width: u32) -> usize {
        let data = self.encode(bytes, format, width);
        let mut out = vec![0; bytes.len()];
        let got = self.window.decode(&data, &mut out).unwrap();
        assert_eq!((got.format, got.width, got.top_down), (format, width, true));
        assert!(out == bytes, "image {} {format:?}", got.id);
        data.len()
    }
}

fn picture(content: Content, seed: u32, format: PixelFormat, width: u32, height: u32) -> Vec<u8> {
    let mut bytes = vec![0; format.picture_bytes(width, height).unwrap()];
    content.fill(seed, format, width, &mut bytes);
    match format {
        PixelFormat::Rgb32 => bytes.iter_mut().skip(3).step_by(4).for_each(|x| *x = 0),
        PixelFormat::Rgb16 => bytes.iter_mut().skip(1).step_by(2).for_each(|x| *x &= 127),
        _ => {}
    }
    bytes
}

const RGB32: PixelFormat = PixelFormat::Rgb32;

#[test]
fn a_stream_of_images_of_all_formats_comes_out_as_it_went_in() {
    let mut random = Random::new(3);
    // Small enough to forget images all the time.
    let mut memory = Memory::new(if cfg!(miri) { 400 } else { 9000 }, 20);
    let mut pair = Pair::new(&mut memory);
    for _ in 0..if cfg!(miri) { 12 } else { 600 } {
        let format = [PixelFormat::Rgb16, PixelFormat::Rgb24, RGB32, PixelFormat::Rgba][random.below(4) as usize];
        let content = Content::ALL[random.below(6) as usize];
        let limit = if cfg!(miri) { 12 } else { 80 };
        let (width, height) = (1 + random.below(limit), 1 + random.below(limit));
        let bytes = picture(content, random.below(3), format, width, height);
        pair.send(&bytes, format, width);
    }
    assert!(pair.dictionary.len() < 20);
}

#[test]
fn what_was_sent_before_costs_a_few_bytes() {
    let mut memory = Memory::new(1 << 14, 300);
    let mut pair = Pair::new(&mut memory);
    let bytes = picture(Content::Noise, 1, RGB32, 50, 20);
    assert!(pair.send(&bytes, RGB32, 50) > 3000);
    // Other images in between take the image distance through 1 and 2 bytes.
    for n in 0..if cfg!(miri) { 3 } else { 140 } {
        let same = pair.send(&bytes[4 * n..4 * n + 400], RGB32, 1);
        assert!(same < HEADER + 30, "{n}: {same}");
    }
    assert!(pair.send(&bytes, RGB32, 50) < HEADER + 60);
    // Only pictures of one format refer to each other.
    let rgba = pair.send(&bytes, PixelFormat::Rgba, 50);
    assert!(rgba > 3000);
    assert!(pair.send(&bytes, PixelFormat::Rgba, 50) < HEADER + 60);
}

#[test]
fn distances_and_offsets_of_every_length_come_back() {
    if cfg!(miri) {
        return;
    }
    // A block of noise, a flat gap, the block again, at the edges of the forms; then the same
    // picture again, where the offset of the second block is what was the distance.
    for distance in [4095, 4096, 4097, 131_071, 131_072, 131_073] {
        let mut memory = Memory::new(1 << 19, 4);
        let mut pair = Pair::new(&mut memory);
        let mut bytes = picture(Content::Noise, 1, RGB32, 600, 1);
        bytes.resize(distance * 4, 0);
        bytes.extend_from_within(..2400);
        let width = bytes.len() as u32 / 4;
        let first = pair.send(&bytes, RGB32, width);
        assert!(first < HEADER + 1800 + 19 + distance / 255 + 40, "{distance}");
        let tail = bytes.split_off(distance * 4);
        assert!(pair.send(&tail[4..], RGB32, 599) < HEADER + 20);
    }
}

#[test]
fn the_window_never_exceeds_its_bounds() {
    let mut memory = Memory::new(100, 3);
    let mut pair = Pair::new(&mut memory);
    let bytes = picture(Content::Noise, 1, RGB32, 10, 9);
    for (pixels, kept) in [(40, 1), (40, 2), (20, 3), (20, 3), (20, 3), (90, 1)] {
        let data = pair.encode(&bytes[..4 * pixels], RGB32, 10);
        let head = GlzPicture::parse(&data).unwrap().window_head as usize;
        assert_eq!((head + 1, pair.dictionary.len()), (kept, kept));
    }
}

#[test]
fn a_picture_that_is_refused_uses_up_no_number() {
    let mut memory = Memory::new(200, 3);
    let mut pair = Pair::new(&mut memory);
    let bytes = picture(Content::Noise, 1, RGB32, 10, 20);
    let mut out = [0; 2000];
    let mut refused = |format, height, out: &mut [u8]| {
        let pixels = Pixels::new(&bytes, format, 10, height, 40).unwrap();
        pair.dictionary.encode(&pixels, out)
    };
    // A picture as large as the window, a format not carried, an output too short.
    assert_eq!(refused(RGB32, 20, &mut out), None);
    assert_eq!(refused(PixelFormat::A8, 5, &mut out), None);
    assert_eq!(refused(RGB32, 5, &mut out[..100]), None);
    assert_eq!(pair.dictionary.next_id(), 0);
    assert!(pair.dictionary.is_empty());
    // What lies in the ring from the attempt is not referred to.
    pair.send(&bytes[..400], RGB32, 10);
    pair.send(&bytes[..400], RGB32, 10);
}

#[test]
fn a_dictionary_without_memory_encodes_nothing() {
    let bytes = [0; 64];
    let pixels = Pixels::new(&bytes, RGB32, 4, 4, 16).unwrap();
    let mut none = GlzDictionary::new(&mut [][..], &mut [], &mut [][..], 1 << 20);
    assert_eq!(none.encode(&pixels, &mut [0; 99]), None);
    let (mut ring, mut images) = ([0; 99], [GlzImage::EMPTY]);
    let mut no_table = GlzDictionary::new(&mut [][..], &mut ring, &mut images[..], 99);
    assert!(no_table.encode(&pixels, &mut [0; 99]).is_some());
}

#[test]
fn migration_goes_on_with_the_next_number() {
    let mut memory = Memory::new(1000, 9);
    let mut pair = Pair::new(&mut memory);
    let bytes = picture(Content::Noise, 1, RGB32, 10, 10);
    pair.send(&bytes, RGB32, 10);
    pair.dictionary.restart_at(1);
    // The window is empty, so nothing is referred to.
    assert!(pair.send(&bytes, RGB32, 10) > 300);
    assert_eq!(pair.dictionary.next_id(), 2);
}

#[test]
fn images_out_of_turn_and_outside_the_window_are_refused() {
    let mut memory = Memory::new(1000, 9);
    let mut pair = Pair::new(&mut memory);
    let bytes = picture(Content::Noise, 1, RGB32, 10, 10);
    let first = pair.encode(&bytes, RGB32, 10);
    let mut second = pair.encode(&bytes, RGB32, 10);
    let mut out = [0; 400];
    let order = |got, want| Err(ImageError::Order { got, want });
    assert_eq!(pair.window.decode(&second, &mut out), order(1, 0));
    pair.window.decode(&first, &mut out).unwrap();
    assert_eq!(pair.window.decode(&first, &mut out), order(0, 1));
    // The header says that the first image is gone, the tokens refer to it.
    let head = HEADER - 4..HEADER;
    second[head.clone()].fill(0);
    let missing = pair.window.decode(&second, &mut out);
    assert!(matches!(missing, Err(ImageError::Reference { .. })));
    // It was forgotten as the header said, so it does not come back either.
    second[head].copy_from_slice(&[0, 0, 0, 1]);
    let missing = pair.window.decode(&second, &mut out);
    assert!(matches!(missing, Err(ImageError::Reference { .. })));
}

#[test]
fn a_window_too_small_for_its_server_is_an_error() {
    let mut memory = Memory::new(1000, 9);
    let mut pair = Pair::new(&mut memory);
    let bytes = picture(Content::Noise, 1, RGB32, 10, 10);
    let (mut ring, mut images) = ([0; 700], [GlzKept::EMPTY; 9]);
    let mut window = GlzWindow::new(&mut ring, &mut images, 0);
    let mut out = [0; 400];
    let first = pair.encode(&bytes, RGB32, 10);
    window.decode(&first, &mut out).unwrap();
    let second = pair.encode(&bytes, RGB32, 10);
    let full = ImageError::Scratch { needed: 800, got: 700 };
    assert_eq!(window.decode(&second, &mut out), Err(full));
    let mut nothing = GlzWindow::new(&mut [], &mut [], 0);
    assert!(nothing.decode(&first, &mut out).is_err());
}

#[test]
fn headers_that_promise_the_impossible_are_refused() {
    let mut memory = Memory::new(1000, 9);
    let mut pair = Pair::new(&mut memory);
    let bytes = picture(Content::Text, 1, RGB32, 10, 10);
    let good = pair.encode(&bytes, RGB32, 10);
    let mut refused = |at: usize, value: u32| {
        let mut data = good.clone();
        data[at..at + 4].copy_from_slice(&value.to_be_bytes());
        pair.window.decode(&data, &mut [0; 400]).unwrap_err()
    };
    assert!(matches!(refused(0, 7), ImageError::Magic { magic: 7, .. }));
    assert!(matches!(refused(4, 1), ImageError::Magic { version: 1, .. }));
    // The type stands in the lowest byte of these four.
    for number in [0, 5, 0x1a, 0xff] {
        let got = ImageError::Format { got: number };
        assert_eq!(refused(5, 0x0100_0100 | number), got);
    }
    for (at, side) in [(9, 0), (13, 0), (9, u32::MAX), (13, u32::MAX)] {
        assert!(matches!(refused(at, side), ImageError::Size { .. }));
    }
    assert!(matches!(refused(13, 11), ImageError::Output { .. }));
    assert!(matches!(refused(17, 41), ImageError::Stride { .. }));
}

#[test]
fn data_that_ends_early_or_late_is_an_error() {
    let mut memory = Memory::new(1000, 9);
    let mut pair = Pair::new(&mut memory);
    let bytes = picture(Content::Text, 1, PixelFormat::Rgba, 20, 10);
    let mut good = pair.encode(&bytes, PixelFormat::Rgba, 20);
    let mut out = [0; 800];
    for short in 0..good.len() {
        let got = pair.window.decode(&good[..short], &mut out);
        assert_eq!(got, Err(ImageError::Truncated { at: short }));
    }
    good.push(0);
    let late = pair.window.decode(&good, &mut out);
    assert!(matches!(late, Err(ImageError::Trailing { left: 1, .. })));
}

#[test]
fn hostile_bytes_are_errors_or_pictures() {
    let mut memory = Memory::new(4000, 9);
    let mut pair = Pair::new(&mut memory);
    let bytes = picture(Content::Text, 1, PixelFormat::Rgba, 40, 18);
    pair.send(&bytes, PixelFormat::Rgba, 40);
    let mut random = Random::new(4);
    let mut out = vec![0; bytes.len()];
    let mut errors = 0;
    for _ in 0..if cfg!(miri) { 5 } else { 2000 } {
        let shift = 40 * random.below(9) as usize;
        let mut data = pair.encode(&bytes[shift..], PixelFormat::Rgba, 1);
        for _ in 0..random.below(6) {
            let at = HEADER as u32 + random.below((data.len() - HEADER) as u32);
            data[at as usize] = random.next_u32() as u8;
        }
        // What matters is that it returns.
        if pair.window.decode(&data, &mut out).is_err() {
            errors += 1;
            pair.dictionary.restart_at(pair.window.next_id());
        }
    }
    assert!(errors > 0);
}
