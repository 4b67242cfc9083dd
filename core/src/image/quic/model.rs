//! What encoder and decoder learn alike: which code suits symbols in which neighbourhood.

use super::family::{EIGHT_BITS, FIVE_BITS, Family, MAX_CODES};
use super::lanes::lane;

/// The components coded together, as byte numbers in coding order.
pub(super) trait Group {
    const LANES: &'static [usize];
    /// The bytes of the group.
    const MASK: u32;
}

/// Red, green, blue.
pub(super) struct Rgb;
/// Alpha alone.
pub(super) struct Alpha;

impl Group for Rgb {
    const LANES: &'static [usize] = &[2, 1, 0];
    const MASK: u32 = super::lanes::RGB;
}

impl Group for Alpha {
    const LANES: &'static [usize] = &[3];
    const MASK: u32 = super::lanes::ALPHA;
}

/// The best code of every bucket of every component, for symbols of `B` bits.
pub(super) struct Model<const B: usize> {
    best: [[u8; MAX_CODES]; 4],
    /// For each component, bucket and code: how many bits it would have cost so far.
    costs: [[[u16; MAX_CODES]; MAX_CODES]; 4],
}

impl<const B: usize> Model<B> {
    pub(super) const FAMILY: &'static Family = if B == 8 { &EIGHT_BITS } else { &FIVE_BITS };

    pub(super) const fn new() -> Self {
        Self { best: [[B as u8 - 1; MAX_CODES]; 4], costs: [[[0; MAX_CODES]; MAX_CODES]; 4] }
    }

    /// The code for component `n` after a neighbour with symbol `context`; below `B`.
    #[inline(always)]
    pub(super) fn code(&self, n: usize, context: usize) -> usize {
        usize::from(self.best[n & 3][bucket::<B>(context)]) & (MAX_CODES - 1)
    }

    /// Learns from the pixel with `symbols` after one with `contexts`.
    pub(super) fn learn<G: Group>(&mut self, contexts: u32, symbols: u32, trigger: u16) {
        for &n in G::LANES {
            let bucket = bucket::<B>(lane(contexts, n));
            let costs = &mut self.costs[n][bucket];
            for (cost, length) in costs.iter_mut().zip(&Self::FAMILY.lengths[lane(symbols, n)]) {
                *cost += length;
            }
            let mut best = B - 1;
            for code in (0..B - 1).rev() {
                if costs[code] < costs[best] {
                    best = code;
                }
            }
            self.best[n][bucket] = best as u8;
            if costs[best] > trigger {
                for cost in costs {
                    *cost >>= 1;
                }
            }
        }
    }
}

/// Buckets hold symbols 0, 1-2, 3-6, 7-14 and so on; the last holds the rest.
#[inline(always)]
const fn bucket<const B: usize>(symbol: usize) -> usize {
    static BUCKETS: [u8; 256] = {
        let mut buckets = [0; 256];
        let mut symbol = 0;
        while symbol < 255 {
            buckets[symbol] = (symbol + 1).ilog2() as u8;
            symbol += 1;
        }
        buckets[255] = 7;
        buckets
    };
    let bucket = BUCKETS[symbol & 255] as usize;
    if B == 8 || bucket < B { bucket } else { B - 1 }
}
