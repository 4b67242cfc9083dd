//! Lines of a strip of a picture, and where the same ones were before.

use super::super::rows::{COLOUR, Rows, colours};
use super::{Axis, STRIP};
use crate::source::Rect;

/// A number for every `step`-th line of a strip across the axis that is the same for the same colours.
pub(super) fn keys(axis: Axis, strip: Rect, rows: Rows<'_>, step: usize) -> Vec<u64> {
    // Sums of products: several pixels at a time, and equal keys are but a hint here.
    let lines = (strip.y..strip.bottom()).map(|y| rows.row(y, strip));
    match axis {
        Axis::Vertical => lines.step_by(step).map(line_key).collect(),
        Axis::Horizontal => {
            let mut keys = vec![0; strip.width as usize];
            for (row, factor) in lines.zip(FACTORS) {
                keys.iter_mut().zip(colours(row)).for_each(|(key, c)| *key += u64::from(c) * factor);
            }
            keys.into_iter().step_by(step).collect()
        }
    }
}

/// Odd factors for the pixels across a strip.
const FACTORS: [u64; STRIP as usize] = {
    let mut factors = [0; STRIP as usize];
    let mut n = 0;
    while n < factors.len() {
        factors[n] = (n as u32 + 1).wrapping_mul(0x9e37_79b9) as u64 | 1;
        n += 1;
    }
    factors
};

/// The key of a row: two pixels at a time.
fn line_key(row: &[u8]) -> u64 {
    const COLOURS: u64 = (COLOUR as u64) << 32 | COLOUR as u64;
    let pairs = row.as_chunks().0.iter().zip(FACTORS);
    pairs.fold(row.len() as u64, |key, (pair, factor)| {
        key.wrapping_add((u64::from_le_bytes(*pair) & COLOURS).wrapping_mul(factor << 32 | factor)).rotate_left(5)
    })
}

/// Lines by their keys: where each stands, if there are few of its kind.
pub(super) struct Lines {
    /// Keys and numbers of their last lines, from 1, or [`Lines::MANY`]; 0 is free. A power of two
    /// of places, half of them free.
    places: Vec<(u32, u32)>,
    /// For each line, the one of its kind before it; 0 for none.
    earlier: Vec<u32>,
}

impl Lines {
    /// Stands for lines that are all the same: blank ones, mostly. They say nothing.
    const MANY: u32 = u32::MAX;
    /// The most lines of a kind: text that repeats itself has a few of each.
    const FEW: usize = 8;

    pub(super) fn new(keys: &[u64]) -> Self {
        let places = vec![(0, 0); (keys.len() * 2).next_power_of_two()];
        let mut lines = Self { places, earlier: Vec::with_capacity(keys.len()) };
        for (key, n) in keys.iter().zip(1..) {
            let key = Self::short(*key);
            let place = lines.place(key);
            let before = lines.places[place].1;
            let few = before != Self::MANY && lines.of_a_kind(before).count() < Self::FEW;
            lines.places[place] = (key, if few { n } else { Self::MANY });
            lines.earlier.push(if few { before } else { 0 });
        }
        lines
    }

    /// The number of the line with this key that is nearest to `to`, from 0.
    pub(super) fn find(&self, key: u64, to: u32) -> Option<u32> {
        let (_, line) = self.places[self.place(Self::short(key))];
        if line == Self::MANY { None } else { self.of_a_kind(line).min_by_key(|from| from.abs_diff(to)) }
    }

    /// The numbers, from 0, of this line, which is counted from 1, and of those before it.
    fn of_a_kind(&self, line: u32) -> impl Iterator<Item = u32> {
        std::iter::successors(line.checked_sub(1), |n| self.earlier[*n as usize].checked_sub(1))
    }

    /// Where the key is, or would be.
    fn place(&self, key: u32) -> usize {
        let mask = self.places.len() - 1;
        let mut at = key as usize & mask;
        while self.places[at].1 != 0 && self.places[at].0 != key {
            at = (at + 1) & mask;
        }
        at
    }

    /// The well-mixed bits.
    fn short(key: u64) -> u32 {
        (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_of_few_is_found_and_none_of_many() {
        let lines = Lines::new(&[7, 9, 7, 1 << 40, 0]);
        assert_eq!([7, 9, 1 << 40, 0, 5].map(|key| lines.find(key, 4)), [Some(2), Some(1), Some(3), Some(4), None]);
        assert_eq!(lines.find(7, 0), Some(0));
        assert_eq!(Lines::new(&[3; 40]).find(3, 0), None);
        assert_eq!(Lines::new(&[]).find(0, 0), None);
    }
}
