//! One moving area, from its start to its rest.

use std::time::Duration;

use super::tiles::{History, Slot};
use crate::plan::Region;
use crate::source::Rect;

/// A region that is sent as video.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Its number, below [`VideoPlan::MAX_STREAMS`](super::VideoPlan::MAX_STREAMS); free again for
    /// another stream when this one has ended.
    pub id: u8,
    /// Where it is, with even sides as 4:2:0 codecs want them, except at the edge of the picture.
    pub rect: Rect,
    /// When it started.
    pub since: Duration,
    /// When it last changed substantially.
    last_change: Duration,
    /// When its rectangle last changed.
    settled_since: Duration,
    /// Since when much less than the rectangle moves.
    oversized_since: Option<Duration>,
    history: History,
}

impl Stream {
    pub(super) fn new(id: u8, rect: Rect, now: Duration, history: History) -> Self {
        Self { id, rect, since: now, last_change: now, settled_since: now, oversized_since: None, history }
    }

    /// Pictures a second, on average over the last second; above 62 it cannot be told.
    pub fn fps(&self) -> u32 {
        self.history.rate()
    }

    /// When it will have been without a substantial change for this long.
    pub(super) fn rests_at(&self, after: Duration) -> Duration {
        self.last_change.saturating_add(after)
    }

    /// How long its rectangle has been the same.
    pub(super) fn settled_for(&self, now: Duration) -> Duration {
        now.saturating_sub(self.settled_since)
    }

    pub(super) fn note(&mut self, now: Duration, damage: &Region) {
        if is_substantial(damage, self.rect) {
            self.last_change = now;
            self.history.mark(Slot::of(now));
        }
    }

    /// Notes whether its rectangle is too large now; returns for how long it has been.
    pub(super) fn note_oversized(&mut self, now: Duration, oversized: bool) -> Duration {
        let since = oversized.then(|| self.oversized_since.unwrap_or(now));
        self.oversized_since = since;
        since.map_or(Duration::ZERO, |since| now.saturating_sub(since))
    }

    pub(super) fn move_to(&mut self, rect: Rect, now: Duration) {
        *self = Self { rect, settled_since: now, oversized_since: None, ..self.clone() };
    }
}

/// Whether damage changes at least a thirty-second part of an area: less is a pointer above a video
/// or the clock of its player, and must not keep it from coming to rest.
pub(super) fn is_substantial(damage: &Region, area: Rect) -> bool {
    damage.area_in(area) * 32 >= area.area()
}
