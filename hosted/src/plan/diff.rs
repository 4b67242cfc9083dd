//! Which pixels really changed: sources report too much.

use std::ops::Range;

use sumac_backends::Frame;

use super::Region;
use super::rows::{Rows, differ, same};
use crate::source::{Rect, Size};

/// Columns of a tile: a row of it is two cache lines. Changes in one tile are one rectangle.
const TILE_COLUMNS: u32 = 32;
const TILE_BYTES: usize = TILE_COLUMNS as usize * 4;
/// Rows that are compared before their changes are joined: about a line of text.
const BAND_ROWS: u32 = 16;
/// Two changes become one rectangle when this many unchanged pixels, or fewer, come with it, so
/// that the letters of a word do not become a message each.
const CHEAP_WASTE: u64 = 64;
/// Large changes may take along as many unchanged pixels as the smaller one has, up to this many. A
/// letter beside a movie is never joined with it.
const MAX_WASTE: u64 = 16_384;

/// Shrinks `damage` to the pixels that differ between `before` and `after`, in few rectangles.
///
/// The result holds every differing pixel of the damage and no pixel outside it; an identical
/// picture gives an empty region. The unused fourth byte of a pixel is not compared. Everything is
/// damage when the sizes differ; the damage stays as it is, clipped, when a picture lies in dmabufs
/// and cannot be read here.
pub fn tighten(before: &Frame, after: &Frame, damage: &Region) -> Region {
    tighten_beside(before, after, damage, &[])
}

/// The same, but in the `video` areas, which do not overlap, only to tiles of 32x16 pixels. Where
/// nearly all changes, a row of a tile tells, and sixteen times less is read.
pub fn tighten_beside(before: &Frame, after: &Frame, damage: &Region, video: &[Rect]) -> Region {
    let size = |frame: &Frame| Size { width: frame.layout().width, height: frame.layout().height };
    if size(before) != size(after) {
        return Region::from(size(after).bounds());
    }
    if before.is_same(after) {
        return Region::new();
    }
    let mut damage = damage.clone();
    damage.clip(size(after));
    let (Some(before), Some(after)) = (Rows::of(before), Rows::of(after)) else { return damage };
    let in_video = |area: &Rect| damage.rects().iter().filter_map(|rect| rect.intersect(*area)).collect::<Vec<_>>();
    let coarse: Vec<Rect> = video.iter().flat_map(in_video).collect();
    video.iter().for_each(|area| damage.subtract(*area));
    let exactly = damage.rects().iter().flat_map(|rect| changes_in(*rect, before, after, compare_band));
    let by_tiles = coarse.into_iter().flat_map(|rect| changes_in(rect, before, after, compare_tiles));
    exactly.chain(by_tiles).collect()
}

/// Notes for each tile of a band, which are those rows of the rectangle, what changed in it.
type Compare = fn(Rect, Range<u32>, Rows<'_>, Rows<'_>, &mut [Option<Rect>]);

/// The changes in one rectangle, top to bottom, joined where that is cheap.
fn changes_in(rect: Rect, before: Rows<'_>, after: Rows<'_>, compare: Compare) -> Vec<Rect> {
    let mut done = Vec::new();
    let mut open: Vec<Rect> = Vec::new();
    let mut tiles = vec![None; rect.width.div_ceil(TILE_COLUMNS) as usize];
    for y in (rect.y..rect.bottom()).step_by(BAND_ROWS as usize) {
        // What ends more than a band above can no longer be continued.
        done.extend(open.extract_if(.., |b| b.bottom() + BAND_ROWS < y));
        compare(rect, y..rect.bottom().min(y + BAND_ROWS), before, after, &mut tiles);
        for run in runs(&mut tiles) {
            continue_nearest(&mut open, run);
        }
    }
    done.extend(open);
    done
}

/// Joins a run with the box above that it continues most cheaply, or begins a box with it.
fn continue_nearest(open: &mut Vec<Rect>, run: Rect) {
    let nearest = (0..open.len()).min_by_key(|i| waste(open[*i], run));
    let Some(i) = nearest.filter(|i| is_cheap(open[*i], run)) else { return open.push(run) };
    let mut joined = open.swap_remove(i).union(run);
    // Boxes that overlap would be cut into slivers.
    while let Some(i) = open.iter().position(|b| b.intersect(joined).is_some()) {
        joined = joined.union(open.swap_remove(i));
    }
    open.push(joined);
}

/// Notes the whole of each tile in which something changed.
fn compare_tiles(rect: Rect, rows: Range<u32>, before: Rows<'_>, after: Rows<'_>, tiles: &mut [Option<Rect>]) {
    let height = rows.end - rows.start;
    for y in rows.clone() {
        let (old, new) = (before.row(y, rect), after.row(y, rect));
        let columns = (rect.x..).step_by(TILE_COLUMNS as usize);
        let pairs = old.chunks(TILE_BYTES).zip(new.chunks(TILE_BYTES)).zip(columns);
        for (tile, ((old, new), x)) in tiles.iter_mut().zip(pairs).filter(|(tile, _)| tile.is_none()) {
            let width = TILE_COLUMNS.min(rect.right() - x);
            *tile = (!same(old, new)).then_some(Rect { x, y: rows.start, width, height });
        }
        if tiles.iter().all(Option::is_some) {
            return;
        }
    }
}

/// Notes the smallest rectangle that holds the changes of each tile.
fn compare_band(rect: Rect, rows: Range<u32>, before: Rows<'_>, after: Rows<'_>, tiles: &mut [Option<Rect>]) {
    if changed_all_over(rect, &rows, before, after) {
        for (tile, x) in tiles.iter_mut().zip((rect.x..).step_by(TILE_COLUMNS as usize)) {
            let width = TILE_COLUMNS.min(rect.right() - x);
            *tile = Some(Rect { x, y: rows.start, width, height: rows.end - rows.start });
        }
        return;
    }
    for y in rows {
        let (old, new) = (before.row(y, rect), after.row(y, rect));
        if old == new {
            continue;
        }
        let columns = (rect.x..).step_by(TILE_COLUMNS as usize);
        for (((old, new), tile), x) in old.chunks(TILE_BYTES).zip(new.chunks(TILE_BYTES)).zip(&mut *tiles).zip(columns)
        {
            if let Some((first, last)) = differing_columns(old, new) {
                let changed = Rect { x: x + first, y, width: last - first + 1, height: 1 };
                *tile = Some(tile.map_or(changed, |t: Rect| t.union(changed)));
            }
        }
    }
}

/// Whether a change fills the band: it reaches into each corner, and into each tile at the top and at the bottom.
/// What lies between is then sent in any case and need not be read.
fn changed_all_over(rect: Rect, rows: &Range<u32>, before: Rows<'_>, after: Rows<'_>) -> bool {
    [rows.start, rows.end - 1].into_iter().all(|y| {
        let (old, new) = (before.row(y, rect), after.row(y, rect));
        let mut pixels = old.as_chunks().0.iter().zip(new.as_chunks().0);
        let corners = pixels.next().is_some_and(differ) && pixels.next_back().is_none_or(differ);
        corners && old.chunks(TILE_BYTES).zip(new.chunks(TILE_BYTES)).all(|(old, new)| !same(old, new))
    })
}

/// The first and last column whose colours differ.
fn differing_columns(old: &[u8], new: &[u8]) -> Option<(u32, u32)> {
    let mut pixels = old.as_chunks().0.iter().zip(new.as_chunks().0);
    // Where everything changes, both ends nearly always do: no need to look between.
    let last = pixels.len().checked_sub(1)?;
    if pixels.clone().next().is_some_and(differ) && pixels.clone().next_back().is_some_and(differ) {
        return Some((0, last as u32));
    }
    if old == new {
        return None;
    }
    let first = pixels.clone().position(differ)?;
    let last = pixels.rposition(differ)?;
    Some((first as u32, last as u32))
}

/// Empties the tiles of a band into rectangles, left to right.
fn runs(tiles: &mut [Option<Rect>]) -> Vec<Rect> {
    let mut runs: Vec<Rect> = Vec::new();
    for tile in tiles.iter_mut().filter_map(Option::take) {
        match runs.last_mut() {
            Some(run) if is_cheap(*run, tile) => *run = run.union(tile),
            _ => runs.push(tile),
        }
    }
    runs
}

/// Whether two rectangles are better sent as one.
fn is_cheap(a: Rect, b: Rect) -> bool {
    waste(a, b) <= a.area().min(b.area()).clamp(CHEAP_WASTE, MAX_WASTE)
}

/// Pixels that joining two rectangles adds; a little less where they overlap.
fn waste(a: Rect, b: Rect) -> u64 {
    a.union(b).area().saturating_sub(a.area() + b.area())
}

#[cfg(test)]
mod tests {
    use sumac_backends::Layout;

    use super::*;

    const SIZE: Size = Size { width: 700, height: 333 };

    fn rect(x: u32, y: u32, width: u32, height: u32) -> Rect {
        Rect { x, y, width, height }
    }

    /// A picture whose rows end in `pad` bytes of anything.
    #[derive(Clone)]
    struct Picture {
        bytes: Vec<u8>,
        stride: u32,
    }

    impl Picture {
        fn new(pad: u32) -> Self {
            let stride = SIZE.width * 4 + pad;
            let bytes = (0..stride * SIZE.height).map(|i| (i % 251) as u8).collect();
            Self { bytes, stride }
        }

        fn pixel(&mut self, x: u32, y: u32) -> &mut [u8] {
            let at = (y * self.stride + x * 4) as usize;
            &mut self.bytes[at..at + 4]
        }

        fn change(mut self, rect: Rect) -> Self {
            for y in rect.y..rect.bottom() {
                (rect.x..rect.right()).for_each(|x| self.pixel(x, y)[0] ^= 0x10);
            }
            self
        }

        fn frame(self) -> Frame {
            let layout = Layout { width: SIZE.width, height: SIZE.height, stride: self.stride };
            Frame::from_memory(layout, self.bytes).unwrap()
        }
    }

    fn tightened(before: Picture, after: Picture, damage: impl Into<Region>) -> Region {
        tighten(&before.frame(), &after.frame(), &damage.into())
    }

    #[test]
    fn an_identical_picture_is_no_damage() {
        let picture = Picture::new(0);
        assert!(tightened(picture.clone(), picture.clone(), SIZE.bounds()).is_empty());
        let frame = picture.frame();
        assert!(tighten(&frame, &frame.clone(), &SIZE.bounds().into()).is_empty());
    }

    #[test]
    fn a_change_is_found_to_the_pixel() {
        let cases = [
            rect(0, 0, 1, 1),
            rect(699, 332, 1, 1),
            rect(63, 15, 2, 2),
            rect(130, 40, 320, 240),
            rect(0, 0, 700, 333),
            rect(5, 0, 1, 333),
        ];
        for changed in cases {
            let picture = Picture::new(0);
            let found = tightened(picture.clone(), picture.change(changed), SIZE.bounds());
            assert_eq!(found.rects(), [changed]);
        }
    }

    #[test]
    fn far_changes_stay_apart_and_near_ones_are_joined() {
        let (caret, clock) = (rect(20, 200, 9, 18), rect(640, 4, 50, 16));
        let picture = Picture::new(0);
        let found = tightened(picture.clone(), picture.change(caret).change(clock), SIZE.bounds());
        assert_eq!(found.rects().len(), 2);
        assert!(found.rects().contains(&caret) && found.rects().contains(&clock));
        let picture = Picture::new(0);
        let letters = (0..20).fold(picture.clone(), |p, i| p.change(rect(30 + 12 * i, 50, 7, 12)));
        assert_eq!(tightened(picture, letters, SIZE.bounds()).rects(), [rect(30, 50, 235, 12)]);
    }

    #[test]
    fn a_caret_beside_a_movie_is_not_joined_with_it() {
        let movie = rect(100, 40, 320, 240);
        for caret in [rect(455, 100, 2, 18), rect(450, 40, 9, 18), rect(60, 270, 2, 18), rect(200, 300, 9, 18)] {
            let picture = Picture::new(0);
            let found = tightened(picture.clone(), picture.change(movie).change(caret), SIZE.bounds());
            assert_eq!(found.rects().len(), 2, "{found:?}");
            assert!(found.rects().contains(&movie) && found.rects().contains(&caret), "{found:?}");
        }
    }

    #[test]
    fn lines_of_text_become_few_rectangles() {
        let picture = Picture::new(0);
        let line = |i: u32| rect(20, 18 * i, 150 + i * 397 % 500, 14);
        let text = (0..18).fold(picture.clone(), |p, i| p.change(line(i)));
        let found = tightened(picture, text, SIZE.bounds());
        assert!(found.rects().len() <= 9, "{found:?}");
        assert!((0..18).all(|i| found.area_in(line(i)) == line(i).area()));
    }

    #[test]
    fn nothing_outside_the_damage_is_looked_at() {
        let picture = Picture::new(0);
        let damage: Region = [rect(100, 100, 50, 50), rect(400, 0, 10, 333)].into_iter().collect();
        let found = tightened(picture.clone(), picture.change(SIZE.bounds()), damage.clone());
        assert_eq!(found.area(), damage.area());
        assert!(damage.rects().iter().all(|r| found.area_in(*r) == r.area()));
    }

    #[test]
    fn the_unused_byte_and_the_padding_do_not_count() {
        let before = Picture::new(12);
        let mut after = before.clone();
        for y in 0..SIZE.height {
            (0..SIZE.width).for_each(|x| after.pixel(x, y)[3] ^= 0xff);
        }
        assert!(tightened(before.clone(), after.clone(), SIZE.bounds()).is_empty());
        let changed = rect(300, 100, 3, 1);
        assert_eq!(tightened(before, after.change(changed), SIZE.bounds()).rects(), [changed]);
        let (tight, padded) = (Picture::new(0), Picture::new(64));
        let mut same = padded.clone();
        let mut tight_again = tight;
        for y in 0..SIZE.height {
            (0..SIZE.width).for_each(|x| same.pixel(x, y).copy_from_slice(tight_again.pixel(x, y)));
        }
        assert!(tightened(tight_again, same, SIZE.bounds()).is_empty(), "strides may differ");
    }

    #[test]
    fn in_video_every_change_is_found_and_not_much_more() {
        let video = rect(100, 40, 320, 240);
        let beside = |picture: Picture, after: Picture| {
            tighten_beside(&picture.frame(), &after.frame(), &SIZE.bounds().into(), &[video])
        };
        let (picture, caret) = (Picture::new(0), rect(455, 100, 2, 18));
        let found = beside(picture.clone(), picture.clone().change(video).change(caret));
        assert_eq!(found.rects().len(), 2, "{found:?}");
        assert!(found.rects().contains(&video) && found.rects().contains(&caret), "{found:?}");
        assert!(beside(picture.clone(), picture.clone()).is_empty());
        for dot in [rect(100, 40, 1, 1), rect(419, 279, 1, 1), rect(199, 71, 1, 1), rect(131, 56, 2, 1)] {
            let found = beside(picture.clone(), picture.clone().change(dot));
            assert!(found.area_in(dot) == dot.area() && found.area() <= 64 * 16, "{dot:?}: {found:?}");
            assert_eq!(found.area_in(video), found.area());
        }
        let mut unused = picture.clone();
        unused.pixel(200, 100)[3] ^= 0xff;
        assert!(beside(picture, unused).is_empty());
    }

    #[test]
    fn another_size_is_all_damage() {
        let small = Frame::from_memory(Layout { width: 2, height: 2, stride: 8 }, [0; 16]).unwrap();
        let found = tighten(&small, &Picture::new(0).frame(), &Region::new());
        assert_eq!(found.rects(), [SIZE.bounds()]);
    }

    #[test]
    fn damage_beyond_the_picture_is_ignored() {
        let picture = Picture::new(0);
        let found = tightened(picture.clone(), picture.change(SIZE.bounds()), rect(690, 330, u32::MAX, u32::MAX));
        assert_eq!(found.rects(), [rect(690, 330, 10, 3)]);
    }

    #[test]
    fn scattered_changes_are_all_found() {
        let mut state = 1u32;
        let mut next = |limit| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % limit
        };
        for count in [1, 10, 100, 1000] {
            let dots: Vec<Rect> = (0..count).map(|_| rect(next(SIZE.width), next(SIZE.height), 1, 1)).collect();
            let picture = Picture::new(0);
            // Set and not flipped: two dots may meet.
            let mut after = picture.clone();
            dots.iter().for_each(|d| after.pixel(d.x, d.y).fill(255));
            let found = tightened(picture, after, SIZE.bounds());
            assert!(found.rects().len() <= Region::MAX_RECTS);
            assert!(dots.iter().all(|d| found.intersects(*d)));
        }
    }
}
