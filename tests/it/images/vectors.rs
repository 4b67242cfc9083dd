//! Image data that the reference encoders made of pictures we know.

use std::fs;
use std::path::Path;

use sumac_core::image::glz::{GlzKept, GlzWindow};
use sumac_core::image::samples::Content;
use sumac_core::image::{PixelFormat, lz, quic};

/// One picture of a vector file: `[content format width height seed]`, then lines of hex.
struct Vector {
    title: String,
    pixels: Vec<u8>,
    format: PixelFormat,
    width: u32,
    height: u32,
    data: Vec<u8>,
}

fn vectors(name: &str) -> Vec<Vector> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/images").join(name);
    let text = fs::read_to_string(&file).unwrap();
    let mut vectors: Vec<Vector> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some(title) = line.strip_prefix('[') {
            vectors.push(Vector::new(title.trim_end_matches(']')));
        } else if let Some(vector) = vectors.last_mut() {
            let digits: Vec<_> = line.chars().map(|c| c.to_digit(16).unwrap() as u8).collect();
            let bytes = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]);
            vector.data.extend(bytes);
        }
    }
    assert!(!vectors.is_empty(), "{}", file.display());
    vectors
}

impl Vector {
    fn new(title: &str) -> Self {
        let words: Vec<_> = title.split(' ').collect();
        let content = Content::ALL.into_iter().find(|content| format!("{content:?}") == words[0]).unwrap();
        let format =
            (1..=10).filter_map(PixelFormat::from_wire).find(|format| format!("{format:?}") == words[1]).unwrap();
        let number = |n: usize| words[n].parse::<u32>().unwrap();
        let (width, height, seed) = (number(2), number(3), number(4));
        let row = format.row_bytes(width).unwrap();
        let units = if format.bits() < 16 { row as u32 } else { width };
        let mut pixels = vec![0; row * height as usize];
        content.fill(seed, format, units, &mut pixels);
        if format == PixelFormat::Rgb32 {
            pixels.iter_mut().skip(3).step_by(4).for_each(|x| *x = 0);
        }
        Self { title: title.to_owned(), pixels, format, width, height, data: Vec::new() }
    }

    fn check(&self, format: PixelFormat, width: u32, height: u32, pixels: &[u8]) {
        let want = (self.format, self.width, self.height);
        assert_eq!((format, width, height), want, "{}", self.title);
        assert!(pixels == self.pixels, "{}", self.title);
    }
}

#[test]
fn quic_data_of_the_reference_is_decoded() {
    for vector in vectors("quic.hex") {
        let mut rows = vec![0; quic::row_words(vector.width)];
        let mut out = vec![0; vector.pixels.len()];
        let got = quic::decode(&vector.data, &mut rows, &mut out).unwrap();
        vector.check(got.format, got.width, got.height, &out);
    }
}

/// QUIC leaves an encoder no choice, so ours must write the reference's bytes.
#[test]
fn quic_data_is_that_of_the_reference() {
    use sumac_core::image::Pixels;
    for vector in vectors("quic.hex") {
        let stride = vector.format.row_bytes(vector.width).unwrap();
        let pixels = Pixels::new(&vector.pixels, vector.format, vector.width, vector.height, stride).unwrap();
        let mut rows = vec![0; quic::row_words(vector.width)];
        let mut out = vec![0; vector.data.len()];
        let len = quic::encode(&pixels, &mut rows, &mut out);
        assert_eq!(len, Some(vector.data.len()), "{}", vector.title);
        assert!(out == vector.data, "{}", vector.title);
    }
}

#[test]
fn lz_data_of_the_reference_is_decoded() {
    for vector in vectors("lz.hex") {
        let mut out = vec![0; vector.pixels.len()];
        let got = lz::decode(&vector.data, &mut out).unwrap();
        vector.check(got.format, got.width, got.height, &out);
    }
}

#[test]
fn glz_data_of_the_reference_is_decoded() {
    let mut ring = vec![0; 4 * 4000];
    let mut images = vec![GlzKept::EMPTY; 100];
    let mut window = GlzWindow::new(&mut ring, &mut images, 0);
    let mut forgotten = 0;
    for vector in vectors("glz.hex") {
        let mut out = vec![0; vector.pixels.len()];
        let got = window.decode(&vector.data, &mut out).unwrap();
        vector.check(got.format, got.width, got.height, &out);
        forgotten = got.id - u64::from(got.window_head);
    }
    // The file is long enough for images to leave the window.
    assert!(forgotten > 0);
}
