//! Where a client shows pictures that are not exact, until they are sent again without loss.

use std::time::Duration;

use tokio::time::Instant;

use crate::plan::{Region, Scroll};
use crate::source::Rect;

/// How long a part rests before it is sent without loss.
const REST: Duration = Duration::from_millis(150);
/// Regions of an age of their own; the oldest are joined when there are more.
const MAX_AGES: usize = 8;

/// Where the client's surface is not exact, and since when; the oldest first.
#[derive(Debug, Default)]
pub(super) struct Lossy {
    ages: Vec<(Instant, Region)>,
}

impl Lossy {
    /// `rect` was drawn as it is.
    pub(super) fn exact(&mut self, rect: Rect) {
        self.ages.iter_mut().for_each(|(_, region)| region.subtract(rect));
        self.ages.retain(|(_, region)| !region.is_empty());
    }

    /// `rect` was drawn with loss.
    pub(super) fn lossy(&mut self, rect: Rect, now: Instant) {
        self.exact(rect);
        match self.ages.last_mut() {
            Some((at, region)) if *at == now => region.add(rect),
            _ => self.ages.push((now, rect.into())),
        }
        if self.ages.len() > MAX_AGES {
            let (_, oldest) = self.ages.remove(0);
            if let Some((_, next)) = self.ages.first_mut() {
                next.add_region(&oldest);
            }
        }
    }

    /// Puts back what was taken and not drawn: it has rested.
    pub(super) fn put_back(&mut self, region: Region, now: Instant) {
        if !region.is_empty() {
            self.ages.insert(0, (now.checked_sub(REST).unwrap_or(now), region));
        }
    }

    /// What moved is as exact as it was.
    pub(super) fn scrolled(&mut self, scroll: &Scroll) {
        for (_, region) in &mut self.ages {
            let source = scroll.source();
            let moved: Vec<Rect> = region.rects().iter().filter_map(|r| r.intersect(source)).collect();
            region.subtract(scroll.dest);
            moved.into_iter().for_each(|r| region.add(scroll.moved(r)));
        }
        self.ages.retain(|(_, region)| !region.is_empty());
    }

    /// The surface is another one.
    pub(super) fn clear(&mut self) {
        self.ages.clear();
    }

    /// When [`take_rested`](Self::take_rested) has something.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.ages.first().map(|(at, _)| *at + REST)
    }

    /// What has rested for long enough, to be drawn without loss.
    pub(super) fn take_rested(&mut self, now: Instant) -> Region {
        let rested = self.ages.extract_if(.., |(at, _)| *at + REST <= now);
        rested.fold(Region::new(), |mut all, (_, region)| {
            all.add_region(&region);
            all
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rect(x: u32, y: u32, width: u32, height: u32) -> Rect {
        Rect { x, y, width, height }
    }

    #[test]
    fn each_part_is_due_when_it_rested() {
        let start = Instant::now();
        let later = start + REST / 2;
        let mut lossy = Lossy::default();
        assert_eq!(lossy.deadline(), None);
        lossy.lossy(rect(0, 0, 100, 100), start);
        lossy.lossy(rect(0, 50, 100, 100), later);
        assert_eq!(lossy.deadline(), Some(start + REST));
        assert!(lossy.take_rested(later).is_empty());
        assert_eq!(lossy.take_rested(start + REST).rects(), [rect(0, 0, 100, 50)]);
        assert_eq!(lossy.take_rested(later + REST).rects(), [rect(0, 50, 100, 100)]);
        assert_eq!(lossy.deadline(), None);
    }

    #[test]
    fn what_is_drawn_exactly_is_not_due_and_what_moves_stays_so() {
        let now = Instant::now();
        let mut lossy = Lossy::default();
        lossy.lossy(rect(0, 100, 100, 20), now);
        lossy.exact(rect(0, 110, 100, 10));
        lossy.scrolled(&Scroll { dest: rect(0, 0, 100, 200), dx: 0, dy: -16 });
        assert_eq!(lossy.take_rested(now + REST).rects(), [rect(0, 84, 100, 10)]);
        lossy.lossy(rect(0, 0, 9, 9), now);
        lossy.exact(rect(0, 0, 100, 100));
        assert_eq!(lossy.deadline(), None);
    }

    #[test]
    fn ages_are_bounded_and_nothing_is_lost() {
        let start = Instant::now();
        let mut lossy = Lossy::default();
        for n in 0..100 {
            lossy.lossy(rect(20 * n, 0, 10, 10), start + Duration::from_millis(n.into()));
            assert!(lossy.ages.len() <= MAX_AGES);
        }
        assert!(lossy.take_rested(start + REST * 2).area() >= 100 * 100);
    }
}
