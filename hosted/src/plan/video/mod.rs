//! Which regions are video.
//!
//! ```text
//!            enough of it changes,                 it grew, or most of
//!            often, and is no text                 it is still: moved
//!   still ---------------------------> video ----------------------------> video
//!     ^                                  |
//!     +----------------------------------+
//!        no substantial change: ended, refine
//! ```
//!
//! A picture is looked at in tiles of 32 pixels, each with a history of its changes over the last
//! second. Tiles that change steadily and lie together are an area; an area that is large enough
//! becomes a stream, with the bounds of its changes as its rectangle. Streams never overlap.

use std::time::Duration;

use sumac_backends::Frame;

use self::recent::Recent;
use self::rules::Rules;
use self::stream::is_substantial;
use self::tiles::{Motion, Slot, Tiles, pixels_of};
use super::Region;
use crate::config::StreamingVideo;
use crate::source::{Rect, Size};

pub use self::look::looks_like_text;
pub use self::stream::Stream;

mod look;
mod recent;
mod rules;
mod stream;
#[cfg(test)]
mod tests;
mod tiles;

/// How long a stream keeps its rectangle at least before it grows.
const GROW_AFTER: Duration = Duration::from_millis(250);
/// How long a stream must be too large, or look like text, before it shrinks or ends: a scene in
/// which little moves for a moment is no reason.
const SHRINK_AFTER: Duration = Duration::from_secs(2);
/// How often the streams are fitted to what moves.
const ADAPT_EVERY: Duration = Duration::from_millis(250);
/// What belongs to a stream that there is: tiles that changed five times in the last second.
const SLOW_MOTION: Motion = Motion { changes: 5, window: 64, span: 6 };

/// Finds the regions of a picture that are video, frame by frame.
#[derive(Debug)]
pub struct VideoPlan {
    /// None when there is no video at all.
    rules: Option<&'static Rules>,
    size: Size,
    tiles: Tiles,
    recent: Recent,
    streams: Vec<Stream>,
    /// When the streams were last fitted to what moves.
    adapted: Duration,
}

/// What became of the streams. To be carried out in the order of the fields: a stream that starts
/// may have the number of one that ended.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Changes {
    /// Streams that are no more.
    pub ended: Vec<Stream>,
    /// Streams with a new rectangle.
    pub moved: Vec<Stream>,
    /// New streams.
    pub started: Vec<Stream>,
    /// What is no longer in any stream and must be sent again, losslessly.
    pub refine: Region,
}

impl VideoPlan {
    /// The most streams at a time. Their numbers are below it, and so below SPICE_MAX_NUM_STREAMS
    /// (64 in spice.proto).
    pub const MAX_STREAMS: usize = 8;

    /// A plan for pictures of this size.
    pub fn new(mode: StreamingVideo, size: Size) -> Self {
        let rules = Rules::of(mode);
        Self {
            rules,
            size,
            tiles: Tiles::new(size),
            recent: Recent::default(),
            streams: Vec::new(),
            adapted: Duration::ZERO,
        }
    }

    /// Takes note of a published frame: its damage, tightened, without what a scroll explains.
    ///
    /// `frame` is looked at only when an area might become video. `now` is any clock that does not
    /// go back.
    pub fn on_damage(&mut self, now: Duration, damage: &Region, frame: &Frame) -> Changes {
        let changes = Changes::default();
        let Some(rules) = self.rules else { return changes };
        let mut damage = damage.clone();
        damage.clip(self.size);
        if damage.is_empty() {
            return changes;
        }
        self.streams.iter_mut().for_each(|s| s.note(now, &damage));
        let slot = Slot::of(now);
        let moves = self.tiles.mark(slot, &damage, rules.motion);
        self.recent.push(slot, damage);
        let mut step = Step { rules, now, slot, frame, changes };
        if moves {
            for area in self.areas(rules.motion, &step) {
                self.consider(area, rules.motion, &mut step);
            }
        }
        if !self.streams.is_empty() && now.saturating_sub(self.adapted) >= ADAPT_EVERY {
            self.adapted = now;
            self.adapt(&mut step);
        }
        step.changes
    }

    /// Ends the streams that came to rest; to be called at [`deadline`](Self::deadline), and
    /// harmless at any other time.
    pub fn on_time(&mut self, now: Duration) -> Changes {
        let mut changes = Changes::default();
        if let Some(rules) = self.rules {
            changes.ended = self.streams.extract_if(.., |s| now >= s.rests_at(rules.end_after)).collect();
            changes.refine = changes.ended.iter().map(|s| s.rect).collect();
        }
        changes
    }

    /// When [`on_time`](Self::on_time) must be called; `None` while there is no stream.
    pub fn deadline(&self) -> Option<Duration> {
        let rules = self.rules?;
        self.streams.iter().map(|s| s.rests_at(rules.end_after)).min()
    }

    /// The streams there are now; no two overlap.
    pub fn streams(&self) -> &[Stream] {
        &self.streams
    }

    /// What of `damage` is to be sent losslessly, and the numbers of the streams that it changes.
    pub fn split(&self, damage: &Region) -> (Region, Vec<u8>) {
        let mut lossless = damage.clone();
        let touched: Vec<&Stream> = self.streams.iter().filter(|s| damage.intersects(s.rect)).collect();
        touched.iter().for_each(|s| lossless.subtract(s.rect));
        (lossless, touched.iter().map(|s| s.id).collect())
    }

    /// Begins anew with pictures of another size; all streams end, and nothing is to be refined
    /// because all of the new picture is damage.
    pub fn resize(&mut self, size: Size) -> Changes {
        let ended = std::mem::take(&mut self.streams);
        self.size = size;
        self.tiles = Tiles::new(size);
        self.recent = Recent::default();
        Changes { ended, ..Changes::default() }
    }

    /// The areas that move, in pixels, the largest first.
    fn areas(&self, motion: Motion, step: &Step<'_>) -> Vec<Rect> {
        let moving = self.tiles.moving(step.slot, motion);
        let is_dense = step.rules.is_dense();
        let tiles = if is_dense { moving.dense_areas() } else { moving.groups() };
        let outline = |tiles: Rect| {
            let area = pixels_of(tiles);
            let exact = if is_dense {
                self.recent.outline(area, step.slot, motion)
            } else {
                self.recent.bounds_in(area, step.slot, motion.window)
            };
            even(exact?).intersect(self.size.bounds())
        };
        let mut areas: Vec<Rect> = tiles.into_iter().filter_map(outline).collect();
        areas.sort_by_key(|a| std::cmp::Reverse(a.area()));
        areas
    }

    /// Starts a stream where an area moves, or makes those that it touches larger.
    fn consider(&mut self, area: Rect, motion: Motion, step: &mut Step<'_>) {
        let mut members: Vec<u8> = Vec::new();
        let mut union = area;
        while let Some(s) = self.streams.iter().find(|s| !members.contains(&s.id) && s.rect.intersect(union).is_some())
        {
            union = union.union(s.rect);
            members.push(s.id);
        }
        let is_known = self.streams.iter().any(|s| s.rect.contains(area));
        if is_known || (step.rules.is_dense() && self.recent.travels(area, step.slot, motion.window)) {
            return;
        }
        match members.as_slice() {
            [] => self.start(area, step),
            _ => self.grow(&members, area, step),
        }
    }

    fn start(&mut self, area: Rect, step: &mut Step<'_>) {
        let Step { rules, now, slot, .. } = *step;
        let free = (0..Self::MAX_STREAMS as u8).find(|id| self.streams.iter().all(|s| s.id != *id));
        let Some(id) = free.filter(|_| rules.fits(area)) else { return };
        if self.recent.density(area, slot, rules.motion.window) < rules.min_density || step.is_text(area) {
            return;
        }
        let history = self.recent.history(slot, rules.motion.window, |damage| is_substantial(damage, area));
        let stream = Stream::new(id, area, now, history);
        step.changes.started.push(stream.clone());
        self.streams.push(stream);
    }

    /// Makes one stream of those with the numbers `members` and an area that touches them, unless
    /// too much else would come with it.
    fn grow(&mut self, members: &[u8], area: Rect, step: &mut Step<'_>) {
        let is_member = |s: &&Stream| members.contains(&s.id);
        let union = self.streams.iter().filter(is_member).fold(area, |union, s| union.union(s.rect));
        let mut covered = Region::from(area);
        let mut gained = Region::from(union);
        for member in self.streams.iter().filter(is_member) {
            if member.settled_for(step.now) < GROW_AFTER {
                return;
            }
            covered.add(member.rect);
            gained.subtract(member.rect);
        }
        let is_sparse = step.rules.is_dense() && covered.area() * 4 < union.area() * 3;
        if is_sparse || gained.rects().iter().any(|r| step.is_text(*r)) {
            return;
        }
        let oldest = self.streams.iter().filter(is_member).min_by_key(|s| s.since).map(|s| s.id);
        let absorbed = self.streams.extract_if(.., |s| members.contains(&s.id) && Some(s.id) != oldest);
        step.changes.ended.extend(absorbed);
        if let Some(stream) = self.streams.iter_mut().find(|s| Some(s.id) == oldest) {
            stream.move_to(union, step.now);
            step.changes.moved.push(stream.clone());
        }
    }

    /// Fits the streams to what moved over the last second: larger where parts of a video move only
    /// now and then, smaller where most has long been still, as the desktop around a full-screen
    /// video that became a window; none where text is scrolled now.
    fn adapt(&mut self, step: &mut Step<'_>) {
        let Step { rules, now, .. } = *step;
        if !rules.is_dense() {
            return;
        }
        let lively = self.areas(SLOW_MOTION, step);
        for area in &lively {
            if self.streams.iter().any(|s| s.rect.intersect(*area).is_some()) {
                self.consider(*area, SLOW_MOTION, step);
            }
        }
        self.streams.retain_mut(|stream| {
            let whole = stream.rect;
            let active = lively.iter().filter_map(|a| a.intersect(whole)).max_by_key(|a| a.area());
            let active = active.filter(|_| !step.is_text(whole));
            let oversized = active.map_or(0, Rect::area) * 4 < whole.area() * 3;
            if stream.note_oversized(now, oversized) < SHRINK_AFTER {
                return true;
            }
            let mut rest = Region::from(whole);
            let active = active.filter(|a| rules.fits(*a));
            if let Some(rect) = active {
                rest.subtract(rect);
                stream.move_to(rect, now);
                step.changes.moved.push(stream.clone());
            } else {
                step.changes.ended.push(stream.clone());
            }
            step.changes.refine.add_region(&rest);
            active.is_some()
        });
    }
}

/// The same rectangle with even sides, a pixel more to the right and below where they are odd.
fn even(rect: Rect) -> Rect {
    Rect { width: rect.width.next_multiple_of(2), height: rect.height.next_multiple_of(2), ..rect }
}

/// One call of [`VideoPlan::on_damage`].
struct Step<'a> {
    rules: &'static Rules,
    now: Duration,
    slot: Slot,
    frame: &'a Frame,
    changes: Changes,
}

impl Step<'_> {
    fn is_text(&self, area: Rect) -> bool {
        self.rules.not_text && looks_like_text(self.frame, area)
    }
}
