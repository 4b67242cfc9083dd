//! Pictures to encode, the same in every run.
use sumac_backends::{Frame, Layout};

/// BGRX pixels without padding.
#[derive(Clone)]
pub(crate) struct Picture {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) pixels: Vec<u8>,
}

impl Picture {
    pub(crate) fn new(width: u32, height: u32, color: impl Fn(u32, u32) -> [u8; 3]) -> Self {
        let at = |y: u32| move |x: u32| (x, y);
        let places = (0..height).flat_map(|y| (0..width).map(at(y)));
        let pixels = places
            .flat_map(|(x, y)| {
                let [b, g, r] = color(x, y);
                [b, g, r, 0xff]
            })
            .collect();
        Self { width, height, pixels }
    }

    pub(crate) fn frame(&self) -> Frame {
        let layout = Layout { width: self.width, height: self.height, stride: self.width * 4 };
        Frame::from_memory(layout, self.pixels.clone()).unwrap()
    }

    /// Luma (BT.709) of the top left `width` by `height` pixels.
    fn luma(&self, width: u32, height: u32) -> impl Iterator<Item = f64> {
        let rows = self.pixels.chunks_exact(self.width as usize * 4).take(height as usize);
        rows.flat_map(move |row| row.chunks_exact(4).take(width as usize))
            .map(|p| 0.0722 * f64::from(p[0]) + 0.7152 * f64::from(p[1]) + 0.2126 * f64::from(p[2]))
    }

    /// Peak signal to noise ratio of luma, in dB, over the smaller of the two sizes.
    pub(crate) fn psnr(&self, other: &Self) -> f64 {
        let (width, height) = (self.width.min(other.width), self.height.min(other.height));
        let pairs = self.luma(width, height).zip(other.luma(width, height));
        let sum: f64 = pairs.map(|(a, b)| (a - b) * (a - b)).sum();
        let mean = sum / f64::from(width) / f64::from(height);
        if mean == 0.0 { f64::INFINITY } else { 10.0 * (255.0 * 255.0 / mean).log10() }
    }
}

/// Clouds: noise whose power falls with its frequency, as in photographs, that drifts with `n`.
pub(crate) fn natural(width: u32, height: u32, n: u32) -> Picture {
    Picture::new(width, height, |x, y| {
        let (x, y) = (x + 3 * n, y + n);
        let channel = |seed: u32| {
            let octaves = (0..8).map(|o| {
                let size = 128 >> o;
                smooth(x, y, size, seed + o) * (f64::from(size) / 128.0).powf(0.7)
            });
            (20.0 + 75.0 * octaves.sum::<f64>()) as u8
        };
        let (a, b) = (channel(1), channel(77));
        [a, ((u32::from(a) + u32::from(b)) / 2) as u8, b]
    })
}

/// Lines of text as an editor shows it: dark, anti-aliased strokes on a light ground, scrolled up
/// by `n` rows.
pub(crate) fn text(width: u32, height: u32, n: u32) -> Picture {
    Picture::new(width, height, |x, y| {
        let (x, y) = (f64::from(x), f64::from(y + n));
        // The part of the pixel that ink covers, from four samples.
        let samples = [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)];
        let ink = samples.iter().filter(|(dx, dy)| is_ink(x + dx, y + dy)).count() as f64 / 4.0;
        let mix = |ground: f64, ink_color: f64| (ground + (ink_color - ground) * ink) as u8;
        [mix(245.0, 40.0), mix(248.0, 30.0), mix(250.0, 20.0)]
    })
}

/// Glyphs of 8 by 20 pixels: an upright stroke, a bar and a diagonal, each there or not.
fn is_ink(x: f64, y: f64) -> bool {
    let (column, row) = ((x / 8.0) as u32, (y / 20.0) as u32);
    let (gx, gy) = (x % 8.0, y % 20.0);
    let glyph = hash(column, row, 5);
    let line_length = 30 + hash(0, row, 9) % 50;
    if !(4.0..14.0).contains(&gy) || !(1.0..7.0).contains(&gx) || column > line_length || glyph.is_multiple_of(6) {
        return false;
    }
    let upright = glyph & 8 != 0 && (1.0..2.2).contains(&gx);
    let bar = glyph & 16 != 0 && (8.0..9.1).contains(&gy);
    let foot = glyph & 32 != 0 && (12.8..13.9).contains(&gy);
    let diagonal = glyph & 64 != 0 && (gx - 1.0 - (gy - 4.0) / 2.0).abs() < 0.7;
    upright || bar || foot || diagonal
}

/// The colours whose order shows a wrong matrix or range.
pub(crate) const BARS: [[u8; 3]; 8] =
    [[255, 255, 255], [0, 255, 255], [255, 255, 0], [0, 255, 0], [255, 0, 255], [0, 0, 255], [255, 0, 0], [0, 0, 0]];

impl Picture {
    /// Whether the middle of each of eight [`bars`] has its colour.
    pub(crate) fn assert_bars(&self, of: &str) {
        for (n, wanted) in (0u32..).zip(&BARS) {
            let x = n * self.width / 8 + self.width / 16;
            let at = (self.height / 2 * self.width + x) as usize * 4;
            let off = wanted.iter().zip(&self.pixels[at..]).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(off <= Some(4), "{of}: {:?} instead of {wanted:?}", &self.pixels[at..at + 3]);
        }
    }
}

/// [`BARS`] from left to right.
pub(crate) fn bars(width: u32, height: u32) -> Picture {
    Picture::new(width, height, |x, _| BARS[(x * 8 / width) as usize])
}

/// Value noise in 0..1 with a grid of `size` pixels.
fn smooth(x: u32, y: u32, size: u32, seed: u32) -> f64 {
    let at = |dx: u32, dy: u32| f64::from(hash(x / size + dx, y / size + dy, seed) & 0xffff) / 65536.0;
    let ease = |v: u32| {
        let t = f64::from(v % size) / f64::from(size);
        t * t * (3.0 - 2.0 * t)
    };
    let (u, v) = (ease(x), ease(y));
    let top = at(0, 0) * (1.0 - u) + at(1, 0) * u;
    let bottom = at(0, 1) * (1.0 - u) + at(1, 1) * u;
    top * (1.0 - v) + bottom * v
}

fn hash(x: u32, y: u32, seed: u32) -> u32 {
    let mut h = x.wrapping_mul(0x9e37_79b1) ^ y.wrapping_mul(0x85eb_ca77) ^ seed.wrapping_mul(0xc2b2_ae3d);
    h ^= h >> 15;
    h = h.wrapping_mul(0x2c1b_3c6d);
    h ^= h >> 12;
    h = h.wrapping_mul(0x297a_2d39);
    h ^ (h >> 15)
}
