//! What the plan costs per published frame: comparing pixels, finding video, scrolls and fills.
//!
//! `cargo bench -p sumac-benches --bench plan`

#![expect(clippy::unwrap_used, reason = "a bench that cannot set itself up must stop")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sumac::config::StreamingVideo;
use sumac::plan::{Region, VideoPlan, find_fills, find_scroll, natural_parts, tighten};
use sumac::source::{Rect, Size};
use sumac_backends::{Frame, Layout};

const SIZE: Size = Size { width: 1920, height: 1080 };
const TERMINAL: Rect = Rect { x: 60, y: 40, width: 800, height: 600 };

fn picture(pixel: impl Fn(u32, u32) -> u32) -> Frame {
    let Size { width, height } = SIZE;
    let pixels = (0..width * height).map(|i| pixel(i % width, i / width));
    let bytes: Vec<u8> = pixels.flat_map(u32::to_le_bytes).collect();
    Frame::from_memory(Layout { width, height, stride: width * 4 }, bytes).unwrap()
}

/// A picture of gradients, shifted by `step` inside of `moved`.
fn gradient(moved: Rect, step: u32) -> Frame {
    picture(|x, y| {
        let inside = moved.intersect(Rect { x, y, width: 1, height: 1 }).is_some();
        ((x * 3 + y * 2 + if inside { step } else { 0 }) * 0x1041) & 0xff_ffff
    })
}

/// A terminal full of text in an empty desktop; its first line has this number.
fn text(first: u32) -> Frame {
    picture(|x, y| {
        if TERMINAL.intersect(Rect { x, y, width: 1, height: 1 }).is_none() {
            return 0x30_5060;
        }
        let (line, row) = ((y - TERMINAL.y) / 18 + first, (y - TERMINAL.y) % 18);
        let letter = (line * 131 + (x - TERMINAL.x) / 9).wrapping_mul(0x9e37_79b9) >> 16;
        let is_ink = row < 12 && (x - TERMINAL.x) / 9 < 20 + line % 60 && letter >> ((row * 3 + x % 9) % 16) & 1 == 1;
        if is_ink { 0x20_2020 } else { 0xff_ffff }
    })
}

fn diff(c: &mut Criterion) {
    let mut group = c.benchmark_group("tighten 1920x1080");
    // Both pictures are read.
    group.throughput(Throughput::Bytes(2 * 4 * SIZE.bounds().area()));
    let before = gradient(SIZE.bounds(), 0);
    let caret = Rect { x: 700, y: 500, width: 9, height: 18 };
    let cases = [
        ("nothing changed", gradient(caret, 0)),
        ("a letter changed", gradient(caret, 77)),
        ("a terminal changed", gradient(TERMINAL, 77)),
        ("everything changed", gradient(SIZE.bounds(), 77)),
    ];
    for (name, after) in cases {
        let damage = Region::from(SIZE.bounds());
        group.bench_function(name, |b| b.iter(|| tighten(black_box(&before), black_box(&after), &damage)));
    }
    group.finish();
}

/// A name, what the picture shows, and the damage of its n-th frame.
type Case<'a> = (&'a str, &'a Frame, &'a dyn Fn(u64) -> Region);

fn video(c: &mut Criterion) {
    let mut group = c.benchmark_group("video plan 1920x1080, per frame");
    let (movie, letters) = (gradient(SIZE.bounds(), 0), text(0));
    let typed = |n: u64| Rect { x: 9 * (n as u32 % 200), y: 500, width: 18, height: 18 };
    let ragged = |n: u64| {
        let line =
            move |l: u32| Rect { y: 40 + 18 * l, width: 200 + (l * 97 + n as u32 * 31) % 600, height: 18, ..TERMINAL };
        (0..33).map(line).collect::<Region>()
    };
    let cases: [Case<'_>; 4] = [
        ("typing", &letters, &|n| typed(n).into()),
        ("a scrolling terminal", &letters, &ragged),
        ("a movie in a window", &movie, &|_| TERMINAL.into()),
        ("a full-screen movie", &movie, &|_| SIZE.bounds().into()),
    ];
    for (name, picture, damage) in cases {
        let mut plan = VideoPlan::new(StreamingVideo::Filter, SIZE);
        let mut n = 0;
        group.bench_function(name, |b| {
            b.iter(|| {
                n += 1;
                let changes = plan.on_damage(Duration::from_micros(n * 16_667), &damage(n), picture);
                (changes, plan.split(&damage(n)))
            });
        });
    }
    group.finish();
}

fn scroll_and_fill(c: &mut Criterion) {
    let mut group = c.benchmark_group("scrolls and fills 1920x1080");
    let (before, after) = (text(100), text(103));
    let damage = tighten(&before, &after, &SIZE.bounds().into());
    assert_eq!(find_scroll(&before, &after, &damage).map(|s| s.dy), Some(-54));
    group.bench_function("a terminal scrolls", |b| b.iter(|| find_scroll(&before, &after, black_box(&damage))));
    let (before, other) = (gradient(SIZE.bounds(), 0), text(0));
    let all = Region::from(SIZE.bounds());
    assert_eq!(find_scroll(&before, &other, &all), None);
    group.bench_function("no scroll", |b| b.iter(|| find_scroll(&before, &other, black_box(&all))));
    group.bench_function("fills of a desktop", |b| b.iter(|| find_fills(&other, black_box(&all))));
    group.bench_function("fills of a picture", |b| b.iter(|| find_fills(&before, black_box(&all))));
    for (name, picture) in [("natural parts of a desktop", &other), ("natural parts of a picture", &before)] {
        group.bench_function(name, |b| b.iter(|| natural_parts(black_box(picture), SIZE.bounds())));
    }
    group.finish();
}

fn region(c: &mut Criterion) {
    let rects: Vec<Rect> = (0..200u32)
        .map(|i| Rect { x: i * 7919 % 1800, y: i * 104_729 % 1000, width: 20 + i % 50, height: 10 + i % 30 })
        .collect();
    c.bench_function("region of 200 scattered rectangles", |b| b.iter(|| rects.iter().copied().collect::<Region>()));
}

criterion_group!(benches, diff, video, scroll_and_fill, region);
criterion_main!(benches);
