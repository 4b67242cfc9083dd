//! Image codecs on 1280x720 pictures: time per frame, and the coded bytes in each row's name.
//!
//! `cargo bench -p sumac-benches --bench codecs`. With `SUMAC_BENCH_FRAME=FILE` a frame of your own
//! (raw b, g, r, x bytes, 1280x720) is measured as well.

#![expect(clippy::expect_used, reason = "a bench that cannot set itself up must stop")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use sumac_core::image::glz::{GlzDictionary, GlzImage, GlzKept, GlzWindow};
use sumac_core::image::lz4::{self, Lz4Encoder};
use sumac_core::image::samples::Content;
use sumac_core::image::{PixelFormat, Pixels, lz, quic};

const WIDTH: u32 = 1280;
const HEIGHT: u32 = 720;
const FORMAT: PixelFormat = PixelFormat::Rgb32;
const STRIDE: usize = WIDTH as usize * 4;
const BYTES: usize = STRIDE * HEIGHT as usize;

/// A window for a few frames, as clients announce it.
const GLZ_PIXELS: usize = 1 << 23;
const GLZ_TABLE: usize = 1 << 17;
const GLZ_IMAGES: usize = 1000;

struct Frame {
    name: String,
    bytes: Vec<u8>,
}

impl Frame {
    fn pixels(&self) -> Pixels<'_> {
        rows(&self.bytes)
    }
}

fn rows(bytes: &[u8]) -> Pixels<'_> {
    let height = (bytes.len() / STRIDE) as u32;
    Pixels::new(bytes, FORMAT, WIDTH, height, STRIDE).expect("whole rows")
}

fn frames() -> Vec<Frame> {
    let samples = [Content::Text, Content::Natural, Content::Gradient];
    let mut frames: Vec<_> = samples
        .iter()
        .map(|content| {
            let mut bytes = vec![0; BYTES];
            content.fill(1, FORMAT, WIDTH, &mut bytes);
            let name = format!("{content:?}").to_lowercase();
            Frame { name, bytes }
        })
        .collect();
    if let Some(file) = std::env::var_os("SUMAC_BENCH_FRAME") {
        let bytes = std::fs::read(file).expect("SUMAC_BENCH_FRAME names a readable file");
        assert_eq!(bytes.len(), BYTES, "SUMAC_BENCH_FRAME is 1280x720x4 bytes");
        let name = "own".to_owned();
        frames.push(Frame { name, bytes });
    }
    frames
}

fn quic(c: &mut Criterion) {
    let mut group = c.benchmark_group("quic");
    let mut memory = vec![0; quic::row_words(WIDTH)];
    let (mut data, mut out) = (vec![0; 2 * BYTES], vec![0; BYTES]);
    for frame in frames() {
        let len = quic::encode(&frame.pixels(), &mut memory, &mut data).expect("room");
        let name = format!("{} {len} B", frame.name);
        group.bench_function(BenchmarkId::new("decode", &name), |b| {
            b.iter(|| quic::decode(&data[..len], &mut memory, &mut out));
        });
        group.bench_function(BenchmarkId::new("encode", &name), |b| {
            b.iter(|| quic::encode(black_box(&frame.pixels()), &mut memory, &mut data));
        });
    }
}

fn lz(c: &mut Criterion) {
    let mut group = c.benchmark_group("lz");
    let mut memory = vec![0; lz::MAX_MEMORY];
    let (mut data, mut out) = (vec![0; 2 * BYTES], vec![0; BYTES]);
    for frame in frames() {
        let len = lz::encode(&frame.pixels(), &mut memory, &mut data).expect("room");
        let name = format!("{} {len} B", frame.name);
        group.bench_function(BenchmarkId::new("decode", &name), |b| {
            b.iter(|| lz::decode(&data[..len], &mut out));
        });
        group.bench_function(BenchmarkId::new("encode", &name), |b| {
            b.iter(|| lz::encode(black_box(&frame.pixels()), &mut memory, &mut data));
        });
    }
}

fn lz4(c: &mut Criterion) {
    let mut group = c.benchmark_group("lz4");
    let mut encoder = Box::new(Lz4Encoder::new());
    let (mut data, mut out) = (vec![0; 2 * BYTES], vec![0; BYTES]);
    for frame in frames() {
        let len = encoder.encode(&frame.pixels(), &mut data).expect("room");
        let name = format!("{} {len} B", frame.name);
        group.bench_function(BenchmarkId::new("decode", &name), |b| {
            b.iter(|| lz4::decode(&data[..len], WIDTH, HEIGHT, &mut out));
        });
        group.bench_function(BenchmarkId::new("encode", &name), |b| {
            b.iter(|| encoder.encode(black_box(&frame.pixels()), &mut data));
        });
    }
}

/// GLZ has a past: a frame nothing like which was sent before, the same scrolled by 16 rows a
/// step, and small updates inside it.
fn glz(c: &mut Criterion) {
    let mut group = c.benchmark_group("glz");
    // Written once, so that page faults are not measured.
    let mut table = vec![1; GLZ_TABLE];
    let mut ring = vec![1; GLZ_PIXELS + BYTES / 4];
    let mut images = vec![GlzImage::EMPTY; GLZ_IMAGES];
    let (mut window, mut kept) = (vec![1; 4 * GLZ_PIXELS], vec![GlzKept::EMPTY; GLZ_IMAGES]);
    let (mut data, mut out) = (vec![0; 2 * BYTES], vec![0; BYTES]);
    for frame in frames() {
        let window_size = GLZ_PIXELS as u32;
        let mut dictionary = GlzDictionary::new(&mut table[..], &mut ring, &mut images[..], window_size);
        let first = dictionary.encode(&frame.pixels(), &mut data).expect("room");
        let name = format!("{} {first} B", frame.name);
        group.bench_function(BenchmarkId::new("decode first", &name), |b| {
            b.iter(|| GlzWindow::new(&mut window, &mut kept, 0).decode(&data[..first], &mut out));
        });
        group.bench_function(BenchmarkId::new("encode first", &name), |b| {
            b.iter(|| {
                // Everything seen before is outside the window.
                dictionary.restart_at(0);
                dictionary.encode(black_box(&frame.pixels()), &mut data)
            });
        });
        let twice = [&frame.bytes[..], &frame.bytes].concat();
        let mut top = 0;
        let mut scrolled = || {
            top = (top + 16) % HEIGHT as usize;
            rows(&twice[top * STRIDE..top * STRIDE + BYTES])
        };
        let len = dictionary.encode(&scrolled(), &mut data).expect("room");
        let name = format!("{} {len} B", frame.name);
        group.bench_function(BenchmarkId::new("encode scrolled", &name), |b| {
            b.iter(|| dictionary.encode(&scrolled(), &mut data));
        });
        let mut left = 0;
        let mut update = || {
            left = (left + 8) % 640;
            frame.pixels().rect(left, 100, 200, 32).expect("inside")
        };
        let len = dictionary.encode(&update(), &mut data).expect("room");
        let name = format!("{} {len} B", frame.name);
        group.bench_function(BenchmarkId::new("encode 200x32 update", &name), |b| {
            b.iter(|| dictionary.encode(&update(), &mut data));
        });
    }
}

criterion_group!(codecs, lz4, lz, glz, quic);
criterion_main!(codecs);
