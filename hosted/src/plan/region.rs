//! A set of pixels as a few rectangles that do not overlap.

use crate::source::{Rect, Size};

/// A set of pixels, kept as a bounded number of rectangles without overlap.
///
/// A pixel that was added is never lost. Where more than [`MAX_RECTS`](Self::MAX_RECTS) rectangles
/// would be needed, those are merged that cover the fewest pixels in vain: the region then holds
/// some pixels that were not added, but none outside the bounds of what was.
#[derive(Clone, Debug, Default)]
pub struct Region {
    rects: Vec<Rect>,
}

impl Region {
    /// The most rectangles that adding leaves: each becomes a message of its own, and a pair is
    /// compared with every other when two must be merged.
    pub const MAX_RECTS: usize = 32;
    /// The most rectangles that [`subtract`](Self::subtract) leaves; up to this it is exact.
    pub const MAX_PIECES: usize = 4 * Self::MAX_RECTS;

    /// No pixel.
    pub const fn new() -> Self {
        Self { rects: Vec::new() }
    }

    /// Adds the pixels of `rect`.
    pub fn add(&mut self, rect: Rect) {
        let rect = on_plane(rect);
        if rect.is_empty() || self.rects.iter().any(|r| r.contains(rect)) {
            return;
        }
        self.rects.retain(|r| !rect.contains(*r));
        if self.rects.iter().all(|r| r.intersect(rect).is_none()) {
            self.push(rect);
        } else {
            let mut pieces = vec![rect];
            for r in &self.rects {
                cut_all(&mut pieces, *r);
            }
            for piece in pieces {
                self.push(piece);
            }
        }
        self.merge_down_to(Self::MAX_RECTS);
    }

    /// Adds the pixels of `other`.
    pub fn add_region(&mut self, other: &Self) {
        for rect in &other.rects {
            self.add(*rect);
        }
    }

    /// Takes the pixels of `rect` out.
    ///
    /// Exact as long as [`MAX_PIECES`](Self::MAX_PIECES) rectangles can say what is left; beyond
    /// that some pixels of `rect` may stay in.
    pub fn subtract(&mut self, rect: Rect) {
        let rect = on_plane(rect);
        if !self.intersects(rect) {
            return;
        }
        cut_all(&mut self.rects, rect);
        for piece in std::mem::take(&mut self.rects) {
            self.push(piece);
        }
        self.merge_down_to(Self::MAX_PIECES);
    }

    /// Takes the pixels outside a picture of this size out.
    pub fn clip(&mut self, size: Size) {
        self.clip_to(size.bounds());
    }

    /// Takes the pixels outside `bounds` out.
    pub fn clip_to(&mut self, bounds: Rect) {
        self.rects.retain_mut(|r| match r.intersect(bounds) {
            Some(inside) => {
                *r = inside;
                true
            }
            None => false,
        });
    }

    /// Whether there is no pixel in it.
    pub fn is_empty(&self) -> bool {
        self.rects.is_empty()
    }

    /// The rectangles: none empty, no two overlapping, in no particular order.
    pub fn rects(&self) -> &[Rect] {
        &self.rects
    }

    /// How many pixels are in it.
    pub fn area(&self) -> u64 {
        self.rects.iter().map(|r| r.area()).sum()
    }

    /// How many pixels of `rect` are in it.
    pub fn area_in(&self, rect: Rect) -> u64 {
        self.rects.iter().filter_map(|r| r.intersect(rect)).map(Rect::area).sum()
    }

    /// Whether any pixel of `rect` is in it.
    pub fn intersects(&self, rect: Rect) -> bool {
        self.rects.iter().any(|r| r.intersect(rect).is_some())
    }

    /// The smallest rectangle that holds all of it, if there is a pixel.
    pub fn bounds(&self) -> Option<Rect> {
        self.rects.iter().copied().reduce(Rect::union)
    }

    /// The smallest rectangle that holds all of it within `area`, if there is a pixel.
    pub fn bounds_in(&self, area: Rect) -> Option<Rect> {
        self.rects.iter().filter_map(|r| r.intersect(area)).reduce(Rect::union)
    }

    /// Empties the region and returns what was in it.
    pub fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    /// Adds a rectangle that overlaps none, joined with those that continue it exactly.
    fn push(&mut self, mut rect: Rect) {
        while let Some(i) = self.rects.iter().position(|r| continues(*r, rect)) {
            rect = rect.union(self.rects.swap_remove(i));
        }
        self.rects.push(rect);
    }

    fn merge_down_to(&mut self, limit: usize) {
        while self.rects.len() > limit {
            let (first, second) = self.cheapest_pair();
            // The second comes after the first: removing it moves nothing that comes before.
            let other = self.rects.swap_remove(second);
            let mut merged = self.rects.swap_remove(first).union(other);
            // What the merged rectangle now overlaps goes into it too.
            while let Some(i) = self.rects.iter().position(|r| r.intersect(merged).is_some()) {
                merged = merged.union(self.rects.swap_remove(i));
            }
            self.push(merged);
        }
    }

    /// The two rectangles whose bounds hold the fewest pixels of neither; the lower index first.
    fn cheapest_pair(&self) -> (usize, usize) {
        let mut best = (u64::MAX, (0, 1));
        for (i, a) in self.rects.iter().enumerate() {
            for (j, b) in self.rects.iter().enumerate().skip(i + 1) {
                let waste = a.union(*b).area() - a.area() - b.area();
                if waste < best.0 {
                    best = (waste, (i, j));
                }
            }
        }
        best.1
    }
}

impl From<Rect> for Region {
    fn from(rect: Rect) -> Self {
        [rect].into_iter().collect()
    }
}

impl FromIterator<Rect> for Region {
    fn from_iter<I: IntoIterator<Item = Rect>>(rects: I) -> Self {
        let mut region = Self::new();
        rects.into_iter().for_each(|r| region.add(r));
        region
    }
}

/// The same pixels with right and bottom edges that are numbers: nothing past column or row
/// `u32::MAX` exists.
fn on_plane(rect: Rect) -> Rect {
    Rect { width: rect.right() - rect.x, height: rect.bottom() - rect.y, ..rect }
}

/// Whether the union of two rectangles without overlap is exactly their pixels.
fn continues(a: Rect, b: Rect) -> bool {
    let across = a.y == b.y && a.height == b.height && (a.right() == b.x || b.right() == a.x);
    let down = a.x == b.x && a.width == b.width && (a.bottom() == b.y || b.bottom() == a.y);
    across || down
}

/// Takes `hole` out of every rectangle.
fn cut_all(rects: &mut Vec<Rect>, hole: Rect) {
    let mut i = 0;
    while let Some(rect) = rects.get(i).copied() {
        match rect.intersect(hole) {
            // The pieces go to the end; they no longer touch the hole.
            Some(gone) => {
                rects.swap_remove(i);
                rects.extend(around(rect, gone));
            }
            None => i += 1,
        }
    }
}

/// What is left of `rect` without `gone`, which lies in it: above, below, left and right.
fn around(rect: Rect, gone: Rect) -> impl Iterator<Item = Rect> {
    let beside = Rect { y: gone.y, height: gone.height, ..rect };
    [
        Rect { height: gone.y - rect.y, ..rect },
        Rect { y: gone.bottom(), height: rect.bottom() - gone.bottom(), ..rect },
        Rect { width: gone.x - rect.x, ..beside },
        Rect { x: gone.right(), width: rect.right() - gone.right(), ..beside },
    ]
    .into_iter()
    .filter(|r| !r.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIDE: u32 = 48;

    fn rect(x: u32, y: u32, width: u32, height: u32) -> Rect {
        Rect { x, y, width, height }
    }

    /// The same set kept as one flag per pixel: slow, and too simple to be wrong.
    #[derive(Clone, PartialEq)]
    struct Pixels([[bool; SIDE as usize]; SIDE as usize]);

    impl Pixels {
        fn none() -> Self {
            Self([[false; SIDE as usize]; SIDE as usize])
        }

        fn of(region: &Region) -> Self {
            let mut pixels = Self::none();
            for r in region.rects() {
                assert!(!r.is_empty());
                for (x, y) in points(*r) {
                    assert!(!pixels.0[y][x], "{x},{y} is in two rectangles of {region:?}");
                    pixels.0[y][x] = true;
                }
            }
            pixels
        }

        fn set(&mut self, rect: Rect, to: bool) {
            points(rect).for_each(|(x, y)| self.0[y][x] = to);
        }

        fn holds(&self, other: &Self) -> bool {
            self.0.as_flattened().iter().zip(other.0.as_flattened()).all(|(a, b)| *a || !*b)
        }

        fn count(&self) -> u64 {
            self.0.as_flattened().iter().filter(|p| **p).count() as u64
        }
    }

    fn points(r: Rect) -> impl Iterator<Item = (usize, usize)> {
        (r.y..r.bottom()).flat_map(move |y| (r.x..r.right()).map(move |x| (x as usize, y as usize)))
    }

    /// Numbers below `limit`, the same in every run.
    fn numbers(seed: u64) -> impl FnMut(u32) -> u32 {
        let mut state = seed;
        move |limit| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u32 % limit
        }
    }

    fn some_rect(next: &mut impl FnMut(u32) -> u32, longest: u32) -> Rect {
        let (width, height) = (next(longest), next(longest));
        rect(next(SIDE - width), next(SIDE - height), width, height)
    }

    #[test]
    fn few_rectangles_are_the_exact_set() {
        for seed in 0..300 {
            let mut next = numbers(seed);
            let (mut region, mut pixels) = (Region::new(), Pixels::none());
            for _ in 0..8 {
                let r = some_rect(&mut next, 24);
                if next(3) == 0 {
                    region.subtract(r);
                    pixels.set(r, false);
                } else {
                    region.add(r);
                    pixels.set(r, true);
                }
                // Eight steps rarely need more than the limit; one that does is the next test's.
                if region.rects().len() == Region::MAX_RECTS {
                    break;
                }
                assert!(Pixels::of(&region) == pixels, "seed {seed}");
                assert_eq!(region.area(), pixels.count());
            }
        }
    }

    #[test]
    fn many_rectangles_lose_nothing_and_stay_in_bounds() {
        for seed in 0..60 {
            let mut next = numbers(seed);
            let (mut region, mut pixels) = (Region::new(), Pixels::none());
            let mut bounds: Option<Rect> = None;
            for _ in 0..200 {
                let r = some_rect(&mut next, 5);
                region.add(r);
                pixels.set(r, true);
                if !r.is_empty() {
                    bounds = Some(bounds.map_or(r, |b| b.union(r)));
                }
                assert!(region.rects().len() <= Region::MAX_RECTS);
                assert!(Pixels::of(&region).holds(&pixels), "seed {seed}");
                assert_eq!(region.bounds(), bounds);
            }
        }
    }

    #[test]
    fn subtracting_is_exact_also_from_a_full_region() {
        for seed in 0..100 {
            let mut next = numbers(seed);
            let mut region: Region = (0..80).map(|_| some_rect(&mut next, 6)).collect();
            let mut pixels = Pixels::of(&region);
            for _ in 0..8 {
                let hole = some_rect(&mut next, 20);
                region.subtract(hole);
                pixels.set(hole, false);
                assert!(region.rects().len() <= Region::MAX_PIECES);
                assert!(Pixels::of(&region) == pixels, "seed {seed}");
            }
        }
    }

    #[test]
    fn pieces_are_bounded_and_never_too_few() {
        let mut region: Region = (0..24).map(|i| rect(0, 2 * i, SIDE, 1)).collect();
        let mut pixels = Pixels::of(&region);
        for x in (1..SIDE).step_by(2) {
            region.subtract(rect(x, 0, 1, SIDE));
            pixels.set(rect(x, 0, 1, SIDE), false);
            assert!(region.rects().len() <= Region::MAX_PIECES);
            assert!(Pixels::of(&region).holds(&pixels));
        }
    }

    #[test]
    fn the_nearest_rectangles_are_merged() {
        let mut region: Region = (0..Region::MAX_RECTS as u32).map(|i| rect(100 * i, 0, 10, 10)).collect();
        region.add(rect(112, 0, 10, 10));
        assert_eq!(region.rects().len(), Region::MAX_RECTS);
        assert!(region.rects().contains(&rect(100, 0, 22, 10)));
    }

    #[test]
    fn neighbours_become_one_rectangle() {
        let tiles = (0..64).map(|i| rect(i % 8 * 16, i / 8 * 16, 16, 16));
        assert_eq!(tiles.collect::<Region>().rects(), [rect(0, 0, 128, 128)]);
    }

    #[test]
    fn clipping_and_questions() {
        let mut region: Region = [rect(10, 10, 20, 20), rect(100, 100, 5, 5)].into_iter().collect();
        assert_eq!(region.area_in(rect(0, 0, 15, 15)), 25);
        assert_eq!(region.bounds_in(rect(0, 0, 15, 200)), Some(rect(10, 10, 5, 20)));
        assert_eq!(region.bounds_in(rect(30, 0, 70, 200)), None);
        assert!(region.intersects(rect(104, 104, 9, 9)) && !region.intersects(rect(30, 10, 70, 90)));
        region.clip(Size { width: 20, height: 100 });
        assert_eq!(region.rects(), [rect(10, 10, 10, 20)]);
        assert_eq!(region.take().area(), 200);
        assert!(region.is_empty() && region.bounds().is_none());
    }

    #[test]
    fn rectangles_at_the_end_of_the_plane_do_not_overflow() {
        let mut region = Region::from(rect(u32::MAX - 10, 5, u32::MAX, 1));
        assert_eq!(region.area(), 10);
        region.subtract(rect(u32::MAX - 5, 0, u32::MAX, u32::MAX));
        assert_eq!(region.rects(), [rect(u32::MAX - 10, 5, 5, 1)]);
        region.add(rect(0, 0, u32::MAX, u32::MAX));
        assert_eq!(region.area(), u64::from(u32::MAX) * u64::from(u32::MAX));
        region.add(rect(u32::MAX, 0, 1, 1));
        assert_eq!(region.rects().len(), 1);
    }
}
