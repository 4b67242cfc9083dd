//! The damage of the last second's frames: how much of an area changes, and exactly where it ends.

use std::collections::VecDeque;

use super::tiles::{History, Motion, Slot};
use crate::plan::Region;
use crate::source::Rect;

/// The damage of recent frames, oldest first: those of the last second, and at most one a slot.
#[derive(Debug, Default)]
pub(super) struct Recent {
    frames: VecDeque<(Slot, Region)>,
}

impl Recent {
    /// Slots that are remembered.
    pub(super) const SLOTS: u32 = 64;

    pub(super) fn push(&mut self, now: Slot, damage: Region) {
        while self.frames.front().is_some_and(|(slot, _)| now.since(*slot) >= u64::from(Self::SLOTS)) {
            self.frames.pop_front();
        }
        match self.frames.back_mut() {
            Some((slot, last)) if *slot >= now => last.add_region(&damage),
            _ => self.frames.push_back((now, damage)),
        }
    }

    /// The bounds of what changed within `area` in the last `window` slots.
    pub(super) fn bounds_in(&self, area: Rect, now: Slot, window: u32) -> Option<Rect> {
        self.last(now, window).filter_map(|(_, d)| d.bounds_in(area)).reduce(Rect::union)
    }

    /// How many percent of `area` a frame of the last `window` slots changed on average; those that
    /// left it alone do not count.
    pub(super) fn density(&self, area: Rect, now: Slot, window: u32) -> u64 {
        let (mut frames, mut changed) = (0, 0);
        for pixels in self.last(now, window).map(|(_, d)| d.area_in(area)).filter(|p| *p > 0) {
            frames += 1;
            changed += pixels;
        }
        (changed * 100).checked_div(frames * area.area()).unwrap_or(0)
    }

    /// The part of `area` that moves: each of its edges is where motion reaches, and not just a
    /// frame that changed everything.
    pub(super) fn outline(&self, area: Rect, now: Slot, motion: Motion) -> Option<Rect> {
        let frames: Vec<(Slot, Rect)> =
            self.last(now, motion.window).filter_map(|(slot, damage)| Some((*slot, damage.bounds_in(area)?))).collect();
        // From the outermost frame inwards until those that reach as far are motion.
        let edge = |outward: &dyn Fn(Rect) -> i64| {
            let mut edges: Vec<(i64, Slot)> = frames.iter().map(|(slot, r)| (outward(*r), *slot)).collect();
            edges.sort_unstable_by_key(|(edge, _)| std::cmp::Reverse(*edge));
            let mut history = History::new();
            edges.into_iter().find_map(|(edge, slot)| {
                history.mark(slot);
                history.moves(now, motion).then_some(edge.unsigned_abs() as u32)
            })
        };
        let (x, y) = (edge(&|r| -i64::from(r.x))?, edge(&|r| -i64::from(r.y))?);
        let (right, bottom) = (edge(&|r| i64::from(r.right()))?, edge(&|r| i64::from(r.bottom()))?);
        (x < right && y < bottom).then(|| Rect { x, y, width: right - x, height: bottom - y })
    }

    /// Whether what changes around `area` goes from place to place without changing its size: a
    /// window that is dragged.
    pub(super) fn travels(&self, area: Rect, now: Slot, window: u32) -> bool {
        let bounds: Vec<Rect> = self
            .last(now, window)
            .filter_map(|(_, d)| d.rects().iter().copied().filter(|r| r.intersect(area).is_some()).reduce(Rect::union))
            .collect();
        let range = |of: &dyn Fn(&Rect) -> u32| {
            let values = || bounds.iter().map(of);
            values().max().unwrap_or(0) - values().min().unwrap_or(0)
        };
        let travels = |place: u32, size: u32| place > 1 && size * 2 <= place;
        travels(range(&|r| r.x), range(&|r| r.width)) || travels(range(&|r| r.y), range(&|r| r.height))
    }

    /// The frames of the last `window` slots whose damage is wanted.
    pub(super) fn history(&self, now: Slot, window: u32, wanted: impl Fn(&Region) -> bool) -> History {
        let mut history = History::new();
        let first = self.frames.len() - self.last(now, window).count();
        let wanted = self.frames.range(first..).filter(|(_, damage)| wanted(damage));
        wanted.for_each(|(slot, _)| history.mark(*slot));
        history
    }

    fn last(&self, now: Slot, window: u32) -> impl Iterator<Item = &(Slot, Region)> {
        self.frames.iter().rev().take_while(move |(slot, _)| now.since(*slot) < u64::from(window))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn rect(x: u32, y: u32, width: u32, height: u32) -> Rect {
        Rect { x, y, width, height }
    }

    fn slot(n: u64) -> Slot {
        Slot::of(Duration::from_millis(16 * n))
    }

    #[test]
    fn a_second_is_remembered() {
        let mut recent = Recent::default();
        for n in 0..1000 {
            recent.push(slot(n), Region::from(rect(n as u32, 0, 10, 10)));
            recent.push(slot(n), Region::from(rect(n as u32, 5, 10, 10)));
        }
        assert_eq!(recent.frames.len(), 64);
        let all = rect(0, 0, 5000, 5000);
        assert_eq!(recent.bounds_in(all, slot(999), 64), Some(rect(936, 0, 73, 15)));
        assert_eq!(recent.bounds_in(all, slot(999), 1), Some(rect(999, 0, 10, 15)));
        assert_eq!(recent.bounds_in(rect(940, 12, 4, 4), slot(999), 64), Some(rect(940, 12, 4, 3)));
        assert_eq!(recent.bounds_in(all, slot(2000), 64), None);
    }

    #[test]
    fn density_is_the_mean_of_the_frames_that_touch() {
        let mut recent = Recent::default();
        let area = rect(0, 0, 100, 100);
        assert_eq!(recent.density(area, slot(0), 64), 0);
        recent.push(slot(1), Region::from(rect(0, 0, 100, 50)));
        recent.push(slot(2), Region::from(rect(200, 0, 100, 50)));
        recent.push(slot(3), Region::from(rect(50, 50, 100, 100)));
        assert_eq!(recent.density(area, slot(3), 64), 37);
        assert_eq!(recent.density(area, slot(3), 1), 25);
    }

    #[test]
    fn an_outline_is_where_motion_reaches() {
        let motion = Motion { changes: 3, window: 16, span: 6 };
        let (screen, film) = (rect(0, 0, 1000, 1000), rect(100, 200, 320, 240));
        let mut recent = Recent::default();
        recent.push(slot(0), Region::from(screen));
        recent.push(slot(2), Region::from(film));
        assert_eq!(recent.outline(screen, slot(2), motion), None);
        for n in [4, 6, 8] {
            recent.push(slot(n), Region::from(film));
        }
        assert_eq!(recent.outline(screen, slot(8), motion), Some(film));
        assert_eq!(recent.outline(rect(0, 0, 128, 1000), slot(8), motion), Some(rect(100, 200, 28, 240)));
        assert_eq!(recent.outline(rect(500, 0, 10, 1000), slot(8), motion), None);
    }

    #[test]
    fn a_window_travels_and_a_film_does_not() {
        let area = rect(200, 200, 200, 200);
        let travels = |at: &dyn Fn(u64) -> Rect| {
            let mut recent = Recent::default();
            (0..16).for_each(|n| recent.push(slot(n), Region::from(at(n))));
            recent.travels(area, slot(15), 16)
        };
        assert!(travels(&|n| rect(150 + 3 * n as u32, 150, 300, 300)), "to the right");
        assert!(travels(&|n| rect(150, 150 + 20 * (n as u32).abs_diff(8), 300, 300)), "up and down");
        assert!(!travels(&|_| rect(150, 150, 300, 300)));
        assert!(!travels(&|n| rect(150 + 3 * n as u32, 150, 300 - 3 * n as u32, 300)), "one edge only");
        assert!(!travels(&|n| rect(3 * n as u32, 0, 100, 100)), "elsewhere");
    }

    #[test]
    fn an_area_has_a_history() {
        let mut recent = Recent::default();
        let (left, right) = (rect(0, 0, 10, 10), rect(20, 0, 10, 10));
        for n in 0..64 {
            recent.push(slot(n), Region::from(if n % 4 == 0 { right } else { left }));
        }
        let motion = Motion { changes: 3, window: 16, span: 6 };
        let history = |area, window| recent.history(slot(63), window, |d| d.intersects(area));
        assert_eq!((history(right, 64).rate(), history(left, 64).rate()), (16, 47));
        assert!(history(right, 16).moves(slot(63), motion) && !history(right, 8).moves(slot(63), motion));
    }
}
