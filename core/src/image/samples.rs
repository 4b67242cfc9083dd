//! Deterministic pictures for round-trip tests, fuzz seeds and benches.

use super::PixelFormat;

/// What a sample picture looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// One colour.
    Flat,
    /// Random bytes: nothing repeats.
    Noise,
    /// Colours that change slowly in both directions.
    Gradient,
    /// Dark glyphs of a small alphabet on white, in lines.
    Text,
    /// Few random pixels on one colour.
    Sparse,
    /// Soft blobs with a little noise, as a camera sees the world.
    Natural,
}

impl Content {
    /// Every kind.
    pub const ALL: [Self; 6] = [Self::Flat, Self::Noise, Self::Gradient, Self::Text, Self::Sparse, Self::Natural];

    /// Fills `out` with packed rows of pixels in `format`, `width` to a row; palette pictures are
    /// filled byte by byte. The fourth byte of a pixel is a smooth pattern, so that alpha has
    /// something to code.
    pub fn fill(self, seed: u32, format: PixelFormat, width: u32, out: &mut [u8]) {
        let mut random = Random::new(seed);
        let bytes = (format.bits() as usize).div_ceil(8);
        for (i, pixel) in (0..).zip(out.chunks_exact_mut(bytes)) {
            let (x, y) = (i % width, i / width);
            let rgb = self.pixel(&mut random, seed, x, y);
            let [b, g, r, _] = rgb.to_le_bytes();
            match pixel {
                [index] => *index = b,
                [low, high] => {
                    let five = |byte: u8| u16::from(byte >> 3);
                    let rgb = five(b) | (five(g) << 5) | (five(r) << 10);
                    [*low, *high] = rgb.to_le_bytes();
                }
                _ => {
                    let fourth = (x / 7 + y / 5) as u8;
                    pixel.copy_from_slice(&[b, g, r, fourth][..bytes]);
                }
            }
        }
    }

    fn pixel(self, random: &mut Random, seed: u32, x: u32, y: u32) -> u32 {
        match self {
            Self::Flat => 0x0030_6090,
            Self::Noise => random.next_u32(),
            Self::Gradient => (x / 3) | ((y / 2) << 8) | (((x + y) / 5) << 16),
            Self::Text => glyph_pixel(seed, x, y),
            Self::Sparse if random.below(50) == 0 => random.next_u32(),
            Self::Sparse => 0x00f0_f0f0,
            Self::Natural => natural_pixel(random, x, y),
        }
    }
}

/// A small generator of numbers (xorshift), the same everywhere.
pub struct Random(u32);

impl Random {
    /// A sequence of its own for every seed.
    pub fn new(seed: u32) -> Self {
        Self(mix(seed) | 1)
    }

    /// The next number.
    pub fn next_u32(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0.wrapping_mul(0x9e37_79b1)
    }

    /// The next number below `limit`, which must not be 0.
    pub fn below(&mut self, limit: u32) -> u32 {
        (self.next_u32() >> 8) % limit
    }
}

/// A picture of lines of 8x16 cells; the ink of a cell depends on its letter alone.
fn glyph_pixel(seed: u32, x: u32, y: u32) -> u32 {
    const PAPER: u32 = 0x00ff_ffff;
    let (column, line) = (x / 8, y / 16);
    let line_length = 20 + mix(seed ^ line.wrapping_mul(77)) % 100;
    let letter = mix(seed ^ (line << 12) ^ column) % 40;
    let inside = (1..7).contains(&(x % 8)) && (3..13).contains(&(y % 16));
    if column >= line_length || letter < 6 || !inside {
        return PAPER;
    }
    let strokes = mix(letter.wrapping_mul(0x1001) ^ (y % 16 / 2));
    match (strokes >> ((x % 8) * 2)) & 3 {
        0 => 0,
        1 => 0x0080_8080,
        _ => PAPER,
    }
}

fn natural_pixel(random: &mut Random, x: u32, y: u32) -> u32 {
    let grain = random.next_u32();
    let channel = |n: u32| {
        let coarse = soft(x, y, 64, n);
        let middle = soft(x, y, 16, n + 3) / 4;
        let fine = soft(x, y, 4, n + 6) / 16;
        (coarse * 5 / 8 + middle + fine + ((grain >> (8 * n)) & 3)).min(255)
    };
    channel(0) | (channel(1) << 8) | (channel(2) << 16)
}

/// Bilinear interpolation between random values, 0 to 255, on a grid of `cell` pixels.
fn soft(x: u32, y: u32, cell: u32, salt: u32) -> u32 {
    let corner = |dx: u32, dy: u32| mix((x / cell + dx) ^ ((y / cell + dy) << 12) ^ (salt << 26)) & 255;
    let (u, v) = (x % cell, y % cell);
    let top = corner(0, 0) * (cell - u) + corner(1, 0) * u;
    let bottom = corner(0, 1) * (cell - u) + corner(1, 1) * u;
    (top * (cell - v) + bottom * v) / (cell * cell)
}

fn mix(mut n: u32) -> u32 {
    n ^= n >> 16;
    n = n.wrapping_mul(0x7feb_352d);
    n ^= n >> 15;
    n = n.wrapping_mul(0x846c_a68b);
    n ^ (n >> 16)
}
