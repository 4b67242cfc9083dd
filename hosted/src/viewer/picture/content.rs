//! Telling equal pictures from others without comparing them.

use std::hash::{BuildHasher, RandomState};

use sumac_core::image::Pixels;

/// A prime of which remainders are cheap: 2^61 - 1.
const PRIME: u64 = (1 << 61) - 1;
/// The colours of two pixels.
const COLOURS: u64 = 0x00ff_ffff_00ff_ffff;

/// What a picture shows.
///
/// Two values of a polynomial whose coefficients are the colours, at two secret places modulo a
/// prime. Two different pictures of 2^18 pixels have the same two with a probability of less than
/// 2^-86, whoever made them: nobody outside sees these numbers or the places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Content {
    width: u32,
    height: u32,
    values: [u64; 2],
}

/// The secret places.
pub(super) struct Secret([u64; 2]);

impl Default for Secret {
    fn default() -> Self {
        let random = RandomState::new();
        Self([0u8, 1].map(|n| random.hash_one(n) % (PRIME - 1) + 1))
    }
}

impl Secret {
    /// What 32-bit pixels show; their fourth byte means nothing.
    pub(super) fn content(&self, pixels: &Pixels<'_>) -> Content {
        let Self([p, q]) = *self;
        let mut values = [0; 2];
        for row in pixels.rows() {
            let (pairs, last) = row.as_chunks::<8>();
            for pair in pairs {
                let colours = u64::from_le_bytes(*pair) & COLOURS;
                values = [next(values[0], p, colours), next(values[1], q, colours)];
            }
            if let Some(last) = last.first_chunk::<4>() {
                let colour = u64::from(u32::from_le_bytes(*last)) & COLOURS;
                values = [next(values[0], p, colour), next(values[1], q, colour)];
            }
        }
        Content { width: pixels.width(), height: pixels.height(), values }
    }
}

/// `value * place + colours` modulo the prime.
#[inline(always)]
fn next(value: u64, place: u64, colours: u64) -> u64 {
    let product = u128::from(value) * u128::from(place) + u128::from(colours);
    let sum = (product as u64 & PRIME) + (product >> 61) as u64;
    if sum >= PRIME { sum - PRIME } else { sum }
}

#[cfg(test)]
mod tests {
    use sumac_core::image::PixelFormat;

    use super::*;

    fn content(secret: &Secret, bytes: &[u8], width: u32, height: u32) -> Content {
        let stride = bytes.len() / height as usize;
        secret.content(&Pixels::new(bytes, PixelFormat::Rgb32, width, height, stride).unwrap())
    }

    #[test]
    fn the_arithmetic_is_that_of_the_prime() {
        for (a, b, c) in [(0, 0, 0), (PRIME - 1, PRIME - 1, COLOURS), (PRIME - 1, 2, 1), (1 << 60, 1 << 60, 5)] {
            let want = (u128::from(a) * u128::from(b) + u128::from(c)) % u128::from(PRIME);
            assert_eq!(u128::from(next(a, b, c)), want, "{a} {b} {c}");
        }
    }

    #[test]
    fn equal_colours_are_equal_and_every_other_picture_differs() {
        let secret = Secret::default();
        let mut bytes: Vec<u8> = (0..7 * 5 * 4).collect();
        let first = content(&secret, &bytes, 7, 5);
        (3..bytes.len()).step_by(4).for_each(|at| bytes[at] ^= 0x55);
        assert_eq!(content(&secret, &bytes, 7, 5), first, "the unused byte");
        assert_eq!(content(&secret, &[&bytes[..28], &[9; 12], &bytes[28..56], &[7; 12]].concat(), 7, 2), {
            content(&secret, &bytes[..56], 7, 2)
        });
        for at in (0..bytes.len()).filter(|at| at % 4 != 3) {
            bytes[at] ^= 1;
            assert_ne!(content(&secret, &bytes, 7, 5), first, "byte {at}");
            bytes[at] ^= 1;
        }
        assert_ne!(content(&secret, &bytes, 5, 7), first, "another shape");
        assert_ne!(content(&Secret::default(), &bytes, 7, 5).values, first.values, "another secret");
    }
}
