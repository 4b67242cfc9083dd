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
        self.last(now, window).flat_map(|(_, d)| d.rects()).filter_map(|r| r.intersect(area)).reduce(Rect::union)
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

    /// Whether `area` as a whole moves.
    pub(super) fn moves(&self, area: Rect, now: Slot, motion: Motion) -> bool {
        self.history(now, motion.window, |damage| damage.intersects(area)).moves(now, motion)
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
    fn an_area_has_a_history() {
        let mut recent = Recent::default();
        let (left, right) = (rect(0, 0, 10, 10), rect(20, 0, 10, 10));
        for n in 0..64 {
            recent.push(slot(n), Region::from(if n % 4 == 0 { right } else { left }));
        }
        let motion = Motion { changes: 3, window: 16, span: 6 };
        assert!(recent.moves(right, slot(63), motion) && recent.moves(left, slot(63), motion));
        assert!(!recent.moves(right, slot(63), Motion { changes: 5, ..motion }));
        assert!(!recent.moves(right, slot(63), Motion { window: 8, ..motion }));
        assert_eq!(recent.history(slot(63), 64, |d| d.intersects(right)).rate(), 16);
    }
}
