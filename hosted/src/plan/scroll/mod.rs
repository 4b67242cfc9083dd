//! Scrolls: what moved as it was is copied on the client (COPY_BITS) and not sent.

mod lines;

use sumac_backends::Frame;

use super::Region;
use super::matrix::largest_rectangle;
use super::rows::{Rows, same};
use crate::source::{Rect, Size};
use lines::{Lines, keys};

/// Columns of a cell: what a scroll copies is exact in rows and a whole number of cells wide.
const CELL: u32 = 32;
/// Strips of the damage in which a shift is looked for, and pixels across each of them.
const STRIPS: u32 = 3;
const STRIP: u32 = 32;
/// When fewer lines agree after the first two strips, no more are looked at.
const PROMISING: u32 = 2;
/// One of so many lines is looked for: each costs a page of memory that was not read lately.
const SAMPLE: usize = 4;
/// Lines that must agree on a shift: fewer are chance.
const MIN_VOTES: u32 = 8;
/// Damage smaller than this is sent: it costs less than finding out.
const MIN_AREA: u64 = 128 * 128;
/// Damage that lies nearer together than this may have moved together, in pixels.
const NEAR: u32 = 32;

/// Pixels that moved in a straight line without a change: `dest` of the new picture is what was
/// `dx` columns and `dy` rows before it in the old one.
///
/// It is DRAW COPY_BITS (104 of the display channel in spice.proto) with `source` as src_pos.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scroll {
    /// Where the pixels are now.
    pub dest: Rect,
    /// How far they went to the right; negative is left.
    pub dx: i32,
    /// How far they went down; negative is up.
    pub dy: i32,
}

impl Scroll {
    /// Where the pixels were.
    pub fn source(&self) -> Rect {
        moved(self.dest, (-self.dx, -self.dy))
    }

    /// Where the pixels of `rect`, which lies in the source, are now.
    pub(crate) fn moved(&self, rect: Rect) -> Rect {
        moved(rect, (self.dx, self.dy))
    }
}

/// Finds the vertical or horizontal scroll that explains most of the damage, at least half of it.
///
/// Every colour in [`dest`](Scroll::dest) was compared: a client that shows `before` and copies has
/// `after` there. `None` also when the pictures cannot be read or differ in size.
pub fn find_scroll(before: &Frame, after: &Frame, damage: &Region) -> Option<Scroll> {
    let (before, after) = (Rows::of(before)?, Rows::of(after)?);
    if before.size() != after.size() {
        return None;
    }
    let (area, changed) = densest(damage, after.size())?;
    if changed < MIN_AREA {
        return None;
    }
    [Axis::Vertical, Axis::Horizontal].into_iter().find_map(|axis| {
        let shift = axis.shift(find_shift(axis, area, before, after)?);
        let dest = copied_area(area, shift, before, after)?;
        let explains = damage.area_in(dest) * 2 >= changed;
        explains.then_some(Scroll { dest, dx: shift.0, dy: shift.1 })
    })
}

/// The bounds of the rectangles that lie together and have the most pixels, and how many these are:
/// a clock in a corner does not count to what scrolls elsewhere.
fn densest(damage: &Region, size: Size) -> Option<(Rect, u64)> {
    let mut groups: Vec<(Rect, u64)> = Vec::new();
    for rect in damage.rects().iter().filter_map(|rect| rect.intersect(size.bounds())) {
        let mut group = (rect, rect.area());
        while let Some(at) = groups.iter().position(|(other, _)| around(*other).intersect(group.0).is_some()) {
            let (other, area) = groups.swap_remove(at);
            group = (group.0.union(other), group.1 + area);
        }
        groups.push(group);
    }
    groups.into_iter().max_by_key(|(_, area)| *area)
}

fn around(rect: Rect) -> Rect {
    let (x, y) = (rect.x.saturating_sub(NEAR), rect.y.saturating_sub(NEAR));
    Rect { x, y, width: rect.right() + NEAR - x, height: rect.bottom() + NEAR - y }
}

#[derive(Clone, Copy)]
enum Axis {
    Vertical,
    Horizontal,
}

impl Axis {
    /// Columns and rows of a distance along the axis.
    fn shift(self, distance: i32) -> (i32, i32) {
        match self {
            Self::Vertical => (0, distance),
            Self::Horizontal => (distance, 0),
        }
    }

    /// The strips of an area in which a shift along the axis is looked for.
    fn strips(self, area: Rect) -> impl Iterator<Item = Rect> {
        let across = match self {
            Self::Vertical => area.width,
            Self::Horizontal => area.height,
        };
        let wide = across.min(STRIP);
        (0..STRIPS.min(across / wide)).map(move |n| {
            let at = u64::from(across - wide) * u64::from(2 * n + 1) / u64::from(2 * STRIPS);
            let at = at as u32;
            match self {
                Self::Vertical => Rect { x: whole_lines(area.x + at, area.x), width: wide, ..area },
                Self::Horizontal => Rect { y: area.y + at, height: wide, ..area },
            }
        })
    }
}

/// The column where the cache lines of a strip begin, but none before `least`.
fn whole_lines(column: u32, least: u32) -> u32 {
    (column & !(STRIP - 1)).max(least)
}

/// The shift, other than none, on which most lines agree of which there are few before.
fn find_shift(axis: Axis, area: Rect, before: Rows<'_>, after: Rows<'_>) -> Option<i32> {
    let (length, first) = match axis {
        Axis::Vertical => (before.size().height, area.y),
        Axis::Horizontal => (before.size().width, area.x),
    };
    let mut votes = vec![0u32; 2 * length as usize];
    for (n, strip) in axis.strips(area).enumerate() {
        if n == 2 && votes.iter().all(|votes| *votes < PROMISING) {
            return None;
        }
        // What came from beyond the damage stands there still; most of what moved does not.
        let old = Lines::new(&keys(axis, strip, before, 1));
        let mut last = None;
        for (key, to) in keys(axis, strip, after, SAMPLE).into_iter().zip((first..).step_by(SAMPLE)) {
            // Lines that repeat themselves are blank, mostly.
            if last.replace(key) != Some(key)
                && let Some(from) = old.find(key, to - first).map(|from| first + from)
                && from != to
            {
                votes[(to + length - from) as usize] += 1;
            }
        }
    }
    // Of equals the shorter, and up rather than down: the same in every run.
    let shift = |place: usize| place as i32 - length as i32;
    let best = (0..votes.len()).max_by_key(|place| (votes[*place], -shift(*place).abs(), shift(*place) < 0))?;
    (votes[best] >= MIN_VOTES).then(|| shift(best))
}

/// The largest rectangle in `area` whose pixels were in the picture before, a shift away.
fn copied_area(area: Rect, shift: (i32, i32), before: Rows<'_>, after: Rows<'_>) -> Option<Rect> {
    let reach = moved(before.size().bounds(), shift).intersect(area)?;
    let columns = reach.width.div_ceil(CELL);
    let mut cells = Vec::with_capacity(columns as usize * reach.height as usize);
    for y in reach.y..reach.bottom() {
        let new = Rect { y, height: 1, ..reach };
        let old = moved(new, (-shift.0, -shift.1));
        let (new, old) = (after.row(y, new), before.row(old.y, old));
        cells.extend(new.chunks(CELL as usize * 4).zip(old.chunks(CELL as usize * 4)).map(|(a, b)| same(a, b)));
    }
    let found = largest_rectangle(columns as usize, &cells)?;
    let (x, y) = (reach.x + found.x * CELL, reach.y + found.y);
    Rect { x, y, width: found.width * CELL, height: found.height }.intersect(reach)
}

/// The same rectangle elsewhere; what would be left of or above the plane is cut off.
fn moved(rect: Rect, (dx, dy): (i32, i32)) -> Rect {
    let (right, bottom) = (rect.right().saturating_add_signed(dx), rect.bottom().saturating_add_signed(dy));
    let (x, y) = (rect.x.saturating_add_signed(dx), rect.y.saturating_add_signed(dy));
    Rect { x, y, width: right - x, height: bottom - y }
}

#[cfg(test)]
mod tests {
    use sumac_backends::Layout;

    use super::*;
    use crate::plan::tighten;

    const SIZE: Size = Size { width: 640, height: 480 };

    fn rect(x: u32, y: u32, width: u32, height: u32) -> Rect {
        Rect { x, y, width, height }
    }

    #[derive(Clone)]
    struct Picture(Vec<u32>);

    impl Picture {
        /// Lines of letters, every one different, on white.
        fn text() -> Self {
            let mut picture = Self(vec![0xff_ffff; SIZE.bounds().area() as usize]);
            picture.write(SIZE.bounds(), 0);
            picture
        }

        /// Fills an area with text whose first line has this number.
        fn write(&mut self, area: Rect, first: u32) {
            for y in area.y..area.bottom() {
                let (line, row) = ((y - area.y) / 16 + first, (y - area.y) % 16);
                for x in area.x..area.right() {
                    let letter = (line * 131 + (x - area.x) / 8).wrapping_mul(0x9e37_79b9) >> 16;
                    let ink =
                        row < 12 && (x - area.x) / 8 < 20 + line % 30 && letter >> ((row * 3 + x % 8) % 16) & 1 == 1;
                    *self.at(x, y) = if ink { 0x20_2020 } else { 0xff_ffff };
                }
            }
        }

        fn at(&mut self, x: u32, y: u32) -> &mut u32 {
            &mut self.0[(y * SIZE.width + x) as usize]
        }

        /// Moves what is in `area`; other text comes in at the edge.
        fn scroll(&self, area: Rect, dx: i32, dy: i32) -> Self {
            let mut new = self.clone();
            let mut old = self.clone();
            new.write(area, 500);
            let dest = moved(area, (dx, dy)).intersect(area).unwrap();
            for y in dest.y..dest.bottom() {
                for x in dest.x..dest.right() {
                    *new.at(x, y) = *old.at(x.wrapping_add_signed(-dx), y.wrapping_add_signed(-dy));
                }
            }
            new
        }

        fn frame(&self, unused: u8) -> Frame {
            let bytes: Vec<u8> = self.0.iter().flat_map(|p| (p | u32::from(unused) << 24).to_le_bytes()).collect();
            Frame::from_memory(Layout { width: SIZE.width, height: SIZE.height, stride: SIZE.width * 4 }, bytes)
                .unwrap()
        }
    }

    /// Finds the scroll, checks that copying and sending the rest gives the new picture, and says
    /// how many percent of the damage need not be sent.
    fn found(before: &Picture, after: &Picture) -> Option<(Scroll, u64)> {
        let (old, new) = (before.frame(0), after.frame(255));
        let damage = tighten(&old, &new, &SIZE.bounds().into());
        let scroll = find_scroll(&old, &new, &damage)?;
        let mut shown = before.clone();
        let (from, to) = (scroll.source(), scroll.dest);
        assert!(SIZE.bounds().contains(from) && SIZE.bounds().contains(to));
        let mut copy = before.clone();
        for (x, y) in points(to) {
            *shown.at(x, y) = *copy.at(x - to.x + from.x, y - to.y + from.y);
        }
        let saved = damage.area_in(to) * 100 / damage.area();
        let mut rest = damage;
        rest.subtract(to);
        let mut after_too = after.clone();
        for (x, y) in rest.rects().iter().flat_map(|r| points(*r)) {
            *shown.at(x, y) = *after_too.at(x, y);
        }
        assert!(shown.0 == after.0, "{scroll:?} is not exact");
        Some((scroll, saved))
    }

    fn points(r: Rect) -> impl Iterator<Item = (u32, u32)> {
        (r.y..r.bottom()).flat_map(move |y| (r.x..r.right()).map(move |x| (x, y)))
    }

    #[test]
    fn a_terminal_that_scrolls_is_copied() {
        let area = rect(40, 30, 500, 400);
        for lines in [1, 3, 10] {
            let (mut before, mut after) = (Picture::text(), Picture::text());
            before.write(area, 100);
            after.write(area, 100 + lines);
            let (scroll, saved) = found(&before, &after).unwrap();
            assert_eq!((scroll.dx, scroll.dy), (0, -16 * lines as i32));
            assert!(saved >= 95 - 5 * u64::from(lines), "{saved}% with {scroll:?}");
        }
    }

    #[test]
    fn every_direction_and_distance_is_found() {
        let area = rect(64, 64, 512, 384);
        for (dx, dy) in [(0, -1), (0, 1), (0, -57), (0, 150), (-1, 0), (3, 0), (-40, 0), (200, 0)] {
            let before = Picture::text();
            let after = before.scroll(area, dx, dy);
            let (scroll, saved) = found(&before, &after).unwrap();
            assert_eq!((scroll.dx, scroll.dy), (dx, dy));
            let stays = Rect { width: 512 - dx.unsigned_abs(), height: 384 - dy.unsigned_abs(), ..area };
            assert!(saved * area.area() >= 80 * stays.area(), "{saved}% with {scroll:?}");
        }
    }

    #[test]
    fn a_scroll_bar_and_a_caret_are_left_over() {
        let area = rect(40, 32, 480, 400);
        let before = Picture::text();
        let mut after = before.scroll(area, 0, -48);
        // A scroll bar moves the other way at the right of the text, and a caret sits in its last line.
        points(rect(522, 100, 12, 90)).for_each(|(x, y)| *after.at(x, y) = 0x80_80ff);
        points(rect(200, 420, 2, 12)).for_each(|(x, y)| *after.at(x, y) = 0);
        let (scroll, saved) = found(&before, &after).unwrap();
        assert_eq!((scroll.dx, scroll.dy), (0, -48));
        assert!(saved >= 80, "{saved}% with {scroll:?}");
    }

    #[test]
    fn other_text_typing_and_pictures_are_no_scrolls() {
        let before = Picture::text();
        let mut page = before.clone();
        page.write(rect(40, 30, 500, 400), 5000);
        assert_eq!(found(&before, &page), None);
        let mut typed = before.clone();
        points(rect(100, 100, 9, 16)).for_each(|(x, y)| *typed.at(x, y) = 0x12_3456);
        assert_eq!(found(&before, &typed), None);
        let mut noise = before.clone();
        points(rect(100, 100, 320, 240))
            .for_each(|(x, y)| *noise.at(x, y) = x.wrapping_mul(y).wrapping_mul(0x9e37_79b9) >> 8);
        assert_eq!(found(&before, &noise), None);
        let mut blank = before.clone();
        points(SIZE.bounds()).for_each(|(x, y)| *blank.at(x, y) = 0);
        assert_eq!(found(&before, &blank), None);
        assert_eq!(found(&before, &before), None);
    }

    #[test]
    fn small_and_strange_areas_are_survived() {
        let before = Picture::text();
        for area in [rect(0, 0, 640, 7), rect(0, 0, 7, 480), rect(0, 0, 33, 200), rect(600, 440, 40, 40)] {
            let _ = found(&before, &before.scroll(area, 0, -1));
            let _ = found(&before, &before.scroll(area, 1, 0));
        }
        let small = Frame::from_memory(Layout { width: 64, height: 64, stride: 256 }, vec![0; 64 * 256]).unwrap();
        assert_eq!(find_scroll(&small, &before.frame(0), &SIZE.bounds().into()), None);
        let beyond = Region::from(rect(600, 400, u32::MAX, u32::MAX));
        assert_eq!(find_scroll(&before.frame(0), &before.frame(0), &beyond), None);
        assert_eq!(find_scroll(&before.frame(0), &before.frame(0), &Region::new()), None);
    }
}
