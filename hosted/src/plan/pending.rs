//! What a viewer has yet to be sent: first what only moved, then pixels.

use super::{Region, Scroll};
use crate::source::Rect;

/// The most scrolls that are kept for a viewer that lags; what scrolls beyond is sent as pixels.
const MAX_SCROLLS: usize = 8;

/// What lies between the picture that a viewer shows and the newest one.
///
/// Whoever carries out the scrolls in order, and then puts the newest picture's pixels where they
/// are due, shows the newest picture. A viewer that shows something else than it was sent (video, a
/// lossy picture) says where with each change, so that nothing wrong is moved about.
#[derive(Clone, Debug, Default)]
pub struct Pending {
    /// What moved, the oldest first.
    pub scrolls: Vec<Scroll>,
    /// Where pixels are due, when the scrolls have been carried out.
    pub pixels: Region,
}

impl Pending {
    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.scrolls.is_empty() && self.pixels.is_empty()
    }

    /// Empties it and returns what was in it.
    pub fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    /// Takes in that the picture changed in `damage`; with `scroll`, part of that only moved.
    ///
    /// `stale` is where the viewer does not show what it was sent.
    pub fn change(&mut self, damage: &Region, scroll: Option<Scroll>, stale: &[Rect]) {
        match scroll.filter(|scroll| self.is_worth_it(scroll, stale)) {
            Some(scroll) => self.scroll(damage, scroll, stale),
            None => self.pixels.add_region(damage),
        }
    }

    /// Sends pixels for what moved, too: the viewer shows something else in these areas from now on.
    pub fn drop_scrolls_in(&mut self, areas: &[Rect]) {
        let touched = |r: Rect| areas.iter().any(|area| area.intersect(r).is_some());
        if self.scrolls.iter().any(|scroll| touched(scroll.dest) || touched(scroll.source())) {
            self.scrolls.drain(..).for_each(|scroll| self.pixels.add(scroll.dest));
        }
    }

    /// Whether the viewer can be told to scroll, and saves at least half of the pixels by that.
    fn is_worth_it(&self, scroll: &Scroll, stale: &[Rect]) -> bool {
        let source = scroll.source();
        let is_shown = stale.iter().all(|r| r.intersect(scroll.dest).is_none());
        let wrong = stale.iter().filter_map(|r| r.intersect(source)).map(Rect::area).sum::<u64>();
        let wrong = wrong + self.pixels.area_in(source);
        is_shown && self.scrolls.len() < MAX_SCROLLS && wrong * 2 < scroll.dest.area()
    }

    fn scroll(&mut self, damage: &Region, scroll: Scroll, stale: &[Rect]) {
        let source = scroll.source();
        // What is wrong where it comes from is wrong where it goes to.
        let wrong = self.pixels.rects().iter().chain(stale).filter_map(|r| r.intersect(source));
        let moved: Vec<Rect> = wrong.map(|r| scroll.moved(r)).collect();
        self.pixels.add_region(damage);
        self.pixels.subtract(scroll.dest);
        moved.into_iter().for_each(|r| self.pixels.add(r));
        self.scrolls.push(scroll);
    }
}

impl From<Region> for Pending {
    fn from(pixels: Region) -> Self {
        Self { scrolls: Vec::new(), pixels }
    }
}

#[cfg(test)]
mod tests {
    use sumac_backends::{Frame, Layout};

    use super::*;
    use crate::plan::{find_scroll, tighten};
    use crate::source::Size;

    const SIZE: Size = Size { width: 192, height: 160 };

    /// Numbers below `limit`, the same in every run.
    fn numbers(seed: u64) -> impl FnMut(u32) -> u32 {
        let mut state = seed;
        move |limit| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u32 % limit
        }
    }

    fn some_rect(next: &mut impl FnMut(u32) -> u32, least: u32, most: u32) -> Rect {
        let (width, height) = (least + next(most - least), least + next(most - least));
        Rect { x: next(SIZE.width - width), y: next(SIZE.height - height), width, height }
    }

    #[derive(Clone)]
    struct Picture(Vec<u32>);

    impl Picture {
        fn at(&mut self, x: u32, y: u32) -> &mut u32 {
            &mut self.0[(y * SIZE.width + x) as usize]
        }

        /// Copies `source` of another picture to the same size of area at `dest`.
        fn copy(&mut self, from: &Self, source: Rect, dest: Rect) {
            for (y, from_y) in (dest.y..dest.bottom()).zip(source.y..) {
                for (x, from_x) in (dest.x..dest.right()).zip(source.x..) {
                    *self.at(x, y) = from.0[(from_y * SIZE.width + from_x) as usize];
                }
            }
        }

        fn carry_out(&mut self, update: &Pending, newest: &Self) {
            for scroll in &update.scrolls {
                let before = self.clone();
                self.copy(&before, scroll.source(), scroll.dest);
            }
            update.pixels.rects().iter().for_each(|r| self.copy(newest, *r, *r));
        }

        fn frame(&self) -> Frame {
            let bytes: Vec<u8> = self.0.iter().flat_map(|p| p.to_le_bytes()).collect();
            Frame::from_memory(Layout { width: SIZE.width, height: SIZE.height, stride: SIZE.width * 4 }, bytes)
                .unwrap()
        }

        /// Changes as a desktop does: scrolls, typing, windows of one colour.
        fn change(&mut self, next: &mut impl FnMut(u32) -> u32) {
            let before = self.clone();
            let area = some_rect(next, 100, 150);
            let by = 1 + next(40);
            let (above, below) = (Rect { height: area.height - by, ..area }, area.bottom() - by);
            let down = Rect { y: area.y + by, ..above };
            match next(6) {
                0..=2 => self.copy(&before, down, above),
                3 => self.copy(&before, above, down),
                _ => {}
            }
            let noise = next(u32::MAX);
            let typed = match next(3) {
                0 => Rect { y: below, height: by, ..area },
                1 => some_rect(next, 1, 20),
                _ => some_rect(next, 1, 60),
            };
            for (x, y) in (typed.y..typed.bottom()).flat_map(|y| (typed.x..typed.right()).map(move |x| (x, y))) {
                *self.at(x, y) = (x * 7919 + y * 104_729).wrapping_mul(noise | 1) >> 9 & 0xff_ffff;
            }
        }
    }

    /// What the viewer shows equals the source whenever it has been sent what is pending, except
    /// where it shows video: there it shows anything, and the exact pixels when the video ends.
    #[test]
    fn a_viewer_that_carries_it_out_shows_the_newest_picture() {
        let (mut scrolls, mut lagged) = (0, 0);
        for seed in 0..6 {
            let mut next = numbers(seed);
            let mut newest = Picture((0..SIZE.bounds().area() as u32).map(|_| next(1 << 24)).collect());
            let mut shown = newest.clone();
            let mut pending = Pending::default();
            let mut video: Vec<Rect> = Vec::new();
            for _ in 0..60 {
                let before = newest.clone();
                newest.change(&mut next);
                let (old, new) = (before.frame(), newest.frame());
                let damage = tighten(&old, &new, &SIZE.bounds().into());
                pending.change(&damage, find_scroll(&old, &new, &damage), &video);
                video.iter().for_each(|r| pending.pixels.subtract(*r));
                match next(12) {
                    0 => {
                        video.drain(..).for_each(|r| pending.pixels.add(r));
                        video = vec![some_rect(&mut next, 10, 50)];
                        pending.drop_scrolls_in(&video);
                        pending.pixels.subtract(video[0]);
                    }
                    1 => video.drain(..).for_each(|r| pending.pixels.add(r)),
                    2..=5 => {
                        lagged += 1;
                        continue;
                    }
                    _ => {}
                }
                let update = pending.take();
                scrolls += update.scrolls.len();
                shown.carry_out(&update, &newest);
                let mut same = shown.clone();
                for r in &video {
                    // A frame of the video, which is not what the picture has there.
                    (r.x..r.right()).for_each(|x| *shown.at(x, r.y) = 0xff00_ff00);
                    same.copy(&newest, *r, *r);
                }
                assert!(same.0 == newest.0, "seed {seed}, {update:?}");
            }
        }
        assert!(scrolls > 20 && lagged > 50, "{scrolls} scrolls, {lagged} times behind");
    }

    fn scroll(dest: Rect, dy: i32) -> Scroll {
        Scroll { dest, dx: 0, dy }
    }

    #[test]
    fn what_is_due_moves_with_the_scroll() {
        let mut pending = Pending::from(Region::from(Rect { x: 10, y: 50, width: 8, height: 8 }));
        let dest = Rect { x: 0, y: 0, width: 200, height: 100 };
        pending.change(&Region::from(Rect { height: 116, ..dest }), Some(scroll(dest, -16)), &[]);
        assert_eq!(pending.scrolls, [scroll(dest, -16)]);
        let mut due = pending.pixels.rects().to_vec();
        due.sort_by_key(|r| r.y);
        assert_eq!(due, [Rect { x: 10, y: 34, width: 8, height: 8 }, Rect { x: 0, y: 100, width: 200, height: 16 }]);
    }

    #[test]
    fn where_little_is_in_step_pixels_are_sent() {
        let dest = Rect { x: 0, y: 0, width: 200, height: 100 };
        let damage = Region::from(dest);
        for (due, stale) in [
            (Some(Rect { height: 70, ..dest }), vec![]),
            (None, vec![Rect { y: 90, ..dest }]),
            (None, vec![Rect { y: 100, height: 8, ..dest }, Rect { y: 5, height: 1, ..dest }]),
        ] {
            let mut pending = Pending::from(due.map(Region::from).unwrap_or_default());
            pending.change(&damage, Some(scroll(dest, -16)), &stale);
            assert!(pending.scrolls.is_empty() && pending.pixels.area_in(dest) == dest.area());
        }
        let mut pending = Pending::default();
        (0..20).for_each(|_| pending.change(&damage, Some(scroll(dest, -16)), &[]));
        assert_eq!(pending.scrolls.len(), MAX_SCROLLS);
        pending.drop_scrolls_in(&[Rect { y: 300, ..dest }]);
        assert_eq!(pending.scrolls.len(), MAX_SCROLLS);
        pending.drop_scrolls_in(&[Rect { y: 110, ..dest }]);
        assert!(pending.scrolls.is_empty() && pending.pixels.area_in(dest) == dest.area());
    }
}
