//! Telling equal pictures from others without comparing them.

use std::hash::{BuildHasher, RandomState};

use sumac_core::image::Pixels;

/// A prime of which remainders are cheap: 2^61 - 1.
const PRIME: u64 = (1 << 61) - 1;
/// The colours of two pixels: a coefficient.
const COLOURS: u64 = 0x00ff_ffff_00ff_ffff;
/// Coefficients that are taken in at once.
const RUN: usize = 8;

/// What a picture shows.
///
/// Two values of a polynomial whose coefficients are the colours, at two secret places modulo a
/// prime. Two different pictures of 2^18 pixels have the same two with a probability of less than
/// 2^-80, whoever made them: nobody outside sees these numbers or the places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Content {
    width: u32,
    height: u32,
    values: [u64; 2],
}

/// The secret places.
pub(super) struct Secret([Place; 2]);

impl Default for Secret {
    fn default() -> Self {
        let random = RandomState::new();
        Self([0u8, 1].map(|n| Place::new(random.hash_one(n) % (PRIME - 1) + 1)))
    }
}

impl Secret {
    /// What 32-bit pixels show; their fourth byte means nothing.
    pub(super) fn content(&self, pixels: &Pixels<'_>) -> Content {
        let Self([p, q]) = self;
        let mut values = [0; 2];
        let mut take_in = |colours: &[u64; RUN]| values = [p.next(values[0], colours), q.next(values[1], colours)];
        for row in pixels.rows() {
            let (runs, rest) = row.as_chunks::<{ 8 * RUN }>();
            runs.iter().for_each(|run| take_in(&colours(run)));
            if !rest.is_empty() {
                // Rows of one length end alike: what is filled up tells nothing apart and joins nothing.
                let mut run = [0; 8 * RUN];
                run[..rest.len()].copy_from_slice(rest);
                take_in(&colours(&run));
            }
        }
        Content { width: pixels.width(), height: pixels.height(), values }
    }
}

#[inline(always)]
fn colours(run: &[u8; 8 * RUN]) -> [u64; RUN] {
    let mut colours = [0; RUN];
    for (colours, pair) in colours.iter_mut().zip(run.as_chunks().0) {
        *colours = u64::from_le_bytes(*pair) & COLOURS;
    }
    colours
}

/// A place, raised to 1 and up to [`RUN`].
struct Place([u64; RUN]);

impl Place {
    fn new(place: u64) -> Self {
        let mut powers = [place; RUN];
        for n in 1..RUN {
            powers[n] = reduced(u128::from(powers[n - 1]) * u128::from(place));
        }
        Self(powers)
    }

    /// The value with these coefficients more. They do not wait for one another: only their sum is
    /// reduced, which is below 2^125.
    #[inline(always)]
    fn next(&self, value: u64, colours: &[u64; RUN]) -> u64 {
        let [.., all] = self.0;
        let [before @ .., last] = colours;
        let mut sum = u128::from(value) * u128::from(all) + u128::from(*last);
        for (colours, power) in before.iter().rev().zip(self.0) {
            sum += u128::from(*colours) * u128::from(power);
        }
        reduced(sum)
    }
}

/// A number below 2^125 modulo the prime.
#[inline(always)]
fn reduced(number: u128) -> u64 {
    let sum = (number as u64 & PRIME) + (number >> 61) as u64;
    let sum = (sum & PRIME) + (sum >> 61);
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
        let most = [PRIME - 1, 2, 1 << 60, PRIME / 3, 0, 1];
        for (value, place, colours) in most.iter().flat_map(|v| most.map(|p| (*v, p, [COLOURS, 0, 5, p & COLOURS]))) {
            let run = [colours, colours].concat();
            let one_by_one = run.iter().fold(u128::from(value), |value, colours| {
                (value * u128::from(place) + u128::from(*colours)) % u128::from(PRIME)
            });
            let run = *run.first_chunk().unwrap();
            assert_eq!(u128::from(Place::new(place).next(value, &run)), one_by_one, "{value} {place} {run:?}");
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
