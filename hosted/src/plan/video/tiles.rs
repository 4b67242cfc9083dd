//! Which tiles of the picture changed when, over the last second, and where they form an area.

use crate::plan::Region;
use crate::source::{Rect, Size};

/// Side of a tile in pixels: small enough that a letter's line is one tile high, large enough that
/// a 4K picture has 8160 of them.
pub(super) const TILE: u32 = 32;

/// Time in slots of 16 ms: at 60 changes a second each has a slot of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot(u64);

/// In which of the last 64 slots (1.024 s) something changed.
#[derive(Clone, Copy, Debug)]
pub(super) struct History {
    /// Bit n: in the slot n before `newest`.
    bits: u64,
    newest: Slot,
}

/// When a tile counts as moving.
#[derive(Clone, Copy, Debug)]
pub(super) struct Motion {
    /// It changed in at least this many slots
    pub(super) changes: u32,
    /// of the last so many, at most 64,
    pub(super) window: u32,
    /// the first and the last of them at least this many apart.
    pub(super) span: u32,
}

/// The change history of every tile.
#[derive(Debug)]
pub(super) struct Tiles {
    columns: u32,
    rows: u32,
    tiles: Vec<History>,
}

/// The tiles that move at one moment.
#[derive(Debug)]
pub(super) struct Moving {
    columns: u32,
    rows: u32,
    tiles: Vec<bool>,
}

impl Slot {
    const MILLIS: u64 = 16;

    pub(super) fn of(time: std::time::Duration) -> Self {
        Self(u64::try_from(time.as_millis()).unwrap_or(u64::MAX) / Self::MILLIS)
    }

    /// Slots from `earlier` to this one; 0 if it is not earlier.
    pub(super) fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl History {
    pub(super) const fn new() -> Self {
        Self { bits: 0, newest: Slot(0) }
    }

    /// Notes a change; the order of changes does not matter.
    pub(super) fn mark(&mut self, slot: Slot) {
        let newest = slot.max(self.newest);
        let changed = Self { bits: 1, newest: slot };
        *self = Self { bits: self.at(newest) | changed.at(newest), newest };
    }

    /// Whether something moved as `motion` has it, seen from `now`.
    pub(super) fn moves(self, now: Slot, motion: Motion) -> bool {
        let bits = self.at(now) & (u64::MAX >> (u64::BITS - motion.window.clamp(1, u64::BITS)));
        let span = (u64::BITS - bits.leading_zeros()).saturating_sub(bits.trailing_zeros() + 1);
        bits.count_ones() >= motion.changes && span >= motion.span
    }

    /// Changes a second, from the first of the last 64 slots with one to the newest; 0 while there
    /// is but one.
    pub(super) fn rate(self) -> u32 {
        let slots = u64::BITS - 1 - self.bits.leading_zeros().min(u64::BITS - 1);
        let millis = slots * Slot::MILLIS as u32;
        (self.bits.count_ones().saturating_sub(1) * 1000 + millis / 2).checked_div(millis).unwrap_or(0)
    }

    /// The changes, bit n for the slot n before `now`.
    fn at(self, now: Slot) -> u64 {
        u32::try_from(now.since(self.newest)).ok().and_then(|age| self.bits.checked_shl(age)).unwrap_or(0)
    }
}

impl Tiles {
    pub(super) fn new(size: Size) -> Self {
        let (columns, rows) = (size.width.div_ceil(TILE), size.height.div_ceil(TILE));
        Self { columns, rows, tiles: vec![History::new(); columns as usize * rows as usize] }
    }

    /// Notes a change of every tile that `damage`, which lies in the picture, touches; says whether
    /// any of them moves.
    pub(super) fn mark(&mut self, now: Slot, damage: &Region, motion: Motion) -> bool {
        let mut moves = false;
        for rect in damage.rects() {
            let area = tiles_of(*rect);
            for row in area.y..area.bottom().min(self.rows) {
                let start = row as usize * self.columns as usize;
                let columns = start + area.x as usize..start + area.right().min(self.columns) as usize;
                for tile in self.tiles.get_mut(columns).unwrap_or_default() {
                    tile.mark(now);
                    moves |= tile.moves(now, motion);
                }
            }
        }
        moves
    }

    pub(super) fn moving(&self, now: Slot, motion: Motion) -> Moving {
        let tiles = self.tiles.iter().map(|t| t.moves(now, motion)).collect();
        Moving { columns: self.columns, rows: self.rows, tiles }
    }
}

impl Moving {
    /// The areas that move densely, in tiles: each group of touching tiles, without the edges that
    /// are mostly still: a line of text beside a video is not part of it.
    pub(super) fn dense_areas(&self) -> Vec<Rect> {
        let mut areas: Vec<Rect> = self.groups().into_iter().filter_map(|g| self.trim(g)).collect();
        areas.retain(|a| self.is_half_moving(*a));
        areas
    }

    fn at(&self, x: u32, y: u32) -> bool {
        x < self.columns && y < self.rows && self.tiles[y as usize * self.columns as usize + x as usize]
    }

    /// The bounds of each group of moving tiles that touch by a side or a corner, in tiles.
    pub(super) fn groups(&self) -> Vec<Rect> {
        let mut left = self.tiles.clone();
        let mut groups = Vec::new();
        let mut stack = Vec::new();
        let index = |x: u32, y: u32| y as usize * self.columns as usize + x as usize;
        for (x, y) in points(Rect { x: 0, y: 0, width: self.columns, height: self.rows }) {
            if !std::mem::take(&mut left[index(x, y)]) {
                continue;
            }
            let mut bounds = Rect { x, y, width: 1, height: 1 };
            stack.push(bounds);
            while let Some(tile) = stack.pop() {
                bounds = bounds.union(tile);
                let around = Rect { x: tile.x.saturating_sub(1), y: tile.y.saturating_sub(1), width: 3, height: 3 };
                for (x, y) in points(around) {
                    if x < self.columns && y < self.rows && std::mem::take(&mut left[index(x, y)]) {
                        stack.push(Rect { x, y, width: 1, height: 1 });
                    }
                }
            }
            groups.push(bounds);
        }
        groups
    }

    /// Cuts off outer rows and columns of which less than half moves, the stillest first.
    fn trim(&self, mut area: Rect) -> Option<Rect> {
        loop {
            let edges = [
                (Rect { height: 1, ..area }, Rect { y: area.y + 1, height: area.height - 1, ..area }),
                (Rect { y: area.bottom() - 1, height: 1, ..area }, Rect { height: area.height - 1, ..area }),
                (Rect { width: 1, ..area }, Rect { x: area.x + 1, width: area.width - 1, ..area }),
                (Rect { x: area.right() - 1, width: 1, ..area }, Rect { width: area.width - 1, ..area }),
            ];
            let still = edges.into_iter().filter(|(edge, _)| !self.is_half_moving(*edge));
            match still.min_by_key(|(edge, _)| self.count(*edge) * 1000 / edge.area()) {
                Some((_, rest)) if rest.is_empty() => return None,
                Some((_, rest)) => area = rest,
                None => return Some(area),
            }
        }
    }

    fn is_half_moving(&self, area: Rect) -> bool {
        self.count(area) * 2 >= area.area()
    }

    fn count(&self, area: Rect) -> u64 {
        points(area).filter(|(x, y)| self.at(*x, *y)).count() as u64
    }
}

/// The tiles that a rectangle of pixels touches, in tiles.
fn tiles_of(pixels: Rect) -> Rect {
    let (x, y) = (pixels.x / TILE, pixels.y / TILE);
    Rect { x, y, width: pixels.right().div_ceil(TILE) - x, height: pixels.bottom().div_ceil(TILE) - y }
}

/// The pixels of a rectangle of tiles.
pub(super) fn pixels_of(tiles: Rect) -> Rect {
    Rect { x: tiles.x * TILE, y: tiles.y * TILE, width: tiles.width * TILE, height: tiles.height * TILE }
}

fn points(area: Rect) -> impl Iterator<Item = (u32, u32)> {
    (area.y..area.bottom()).flat_map(move |y| (area.x..area.right()).map(move |x| (x, y)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOTION: Motion = Motion { changes: 3, window: 16, span: 6 };

    fn history(slots: &[u64]) -> History {
        let mut history = History::new();
        slots.iter().for_each(|s| history.mark(Slot(*s)));
        history
    }

    #[test]
    fn motion_is_a_number_of_changes_over_a_time() {
        assert!(history(&[100, 103, 106]).moves(Slot(106), MOTION));
        assert!(!history(&[100, 101, 105]).moves(Slot(105), MOTION), "too short a time");
        assert!(!history(&[100, 106, 106]).moves(Slot(106), MOTION), "one slot is one change");
        assert!(!history(&[100, 108, 116]).moves(Slot(116), MOTION), "too slow");
        assert!(history(&[100, 108, 115]).moves(Slot(115), MOTION));
        assert!(!history(&[100, 108, 115]).moves(Slot(116), MOTION), "over");
    }

    #[test]
    fn changes_are_forgotten_after_64_slots() {
        let all = history(&(0..200).collect::<Vec<_>>());
        let count = |history: History, now| history.at(Slot(now)).count_ones();
        assert_eq!(count(all, 199), 64);
        assert_eq!(count(all, 199 + 63), 1);
        assert_eq!(count(all, 199 + 64), 0);
        assert_eq!(count(all, u64::MAX), 0);
        assert_eq!(count(history(&[50, 20, 400]), 400), 1);
        assert_eq!(count(history(&[400, 390, 20]), 400), 2, "the order does not matter");
    }

    #[test]
    fn the_rate_is_known_from_the_second_change_on() {
        let at_rate = |rate: u64, frames: u64| {
            let mut history = History::new();
            (0..frames).for_each(|n| history.mark(Slot::of(std::time::Duration::from_micros(n * 1_000_000 / rate))));
            history.rate()
        };
        assert_eq!(at_rate(30, 1), 0);
        assert_eq!(at_rate(10, 300), 10);
        for rate in [15, 24, 25, 30, 50, 60] {
            assert!(at_rate(rate, 300).abs_diff(rate as u32) <= 1, "{rate}: {}", at_rate(rate, 300));
        }
    }

    fn moving(picture: &[&str]) -> Moving {
        let tiles = picture.iter().flat_map(|row| row.bytes().map(|b| b == b'#')).collect();
        Moving { columns: picture[0].len() as u32, rows: picture.len() as u32, tiles }
    }

    fn tiles(x: u32, y: u32, width: u32, height: u32) -> Rect {
        Rect { x, y, width, height }
    }

    #[test]
    fn a_full_rectangle_is_one_area() {
        assert_eq!(moving(&["......", ".####.", ".####.", "......"]).dense_areas(), [tiles(1, 1, 4, 2)]);
        assert_eq!(moving(&["######", "######"]).dense_areas(), [tiles(0, 0, 6, 2)]);
        assert_eq!(moving(&["....", "...."]).dense_areas(), []);
    }

    #[test]
    fn what_sticks_out_is_cut_off() {
        let picture = moving(&["..........", ".####.....", ".#######..", ".####.....", ".####....#"]);
        assert_eq!(picture.dense_areas(), [tiles(1, 1, 4, 4), tiles(9, 4, 1, 1)]);
    }

    #[test]
    fn holes_belong_to_the_area() {
        assert_eq!(moving(&["#####", "#...#", "#.#.#", "#####"]).dense_areas(), [tiles(0, 0, 5, 4)]);
    }

    #[test]
    fn two_areas_stay_two() {
        let mut areas = moving(&["###...", "###...", "###.##", "....##"]).dense_areas();
        areas.sort_by_key(|a| a.x);
        assert_eq!(areas, [tiles(0, 0, 3, 3), tiles(4, 2, 2, 2)]);
    }

    #[test]
    fn a_line_across_is_not_an_area() {
        let diagonal = moving(&["#.....", ".#....", "..#...", "...#..", "....#.", ".....#"]).dense_areas();
        assert!(diagonal.iter().all(|a| a.area() <= 4), "{diagonal:?}");
    }

    #[test]
    fn pixels_and_tiles() {
        let pixels = tiles(100, 50, 320, 240);
        assert_eq!(tiles_of(pixels), tiles(3, 1, 11, 9));
        assert!(pixels_of(tiles_of(pixels)).contains(pixels));
        assert_eq!(tiles_of(pixels_of(tiles(3, 1, 11, 9))), tiles(3, 1, 11, 9));
        let mut map = Tiles::new(Size { width: 65, height: 33 });
        assert!(!map.mark(Slot(9), &Region::from(tiles(64, 32, 1, 1)), MOTION));
        assert_eq!(map.tiles.iter().map(|t| t.bits).collect::<Vec<_>>(), [0, 0, 0, 0, 0, 1]);
    }
}
