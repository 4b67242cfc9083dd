//! [`Allowance`]: what video may cost a viewer's link.

use std::time::Duration;

use tokio::time::Instant;

use crate::connection::Link;

/// Of what the link was seen to carry: the rest is for pictures, and for the queue to drain.
const SHARE_PERCENT: u64 = 85;
/// To begin with on a link with a long round trip, which may yet be a wide one: bytes a second.
const FIRST: u64 = 2_500_000;
/// Without a hold-up for so long the link may carry more.
const GROW_EVERY: Duration = Duration::from_millis(250);
const GROW_PERCENT: u64 = 112;
/// Without a hold-up for so long the link is not the limit.
const FREE_AFTER: Duration = Duration::from_secs(20);

/// Bytes a second. There is a bound on a slow link, and on any from the first time that video is held
/// up: it falls to what the link then carries, and rises slowly while nothing is held up.
#[derive(Default)]
pub(super) struct Allowance {
    bound: Option<Bound>,
}

struct Bound {
    bytes: u64,
    held_up: Instant,
    changed: Instant,
}

impl Allowance {
    /// A stream begins.
    pub(super) fn begin(&mut self, link: Link, now: Instant) {
        if self.bound.is_none() && link.is_slow() {
            self.bound = Some(Bound { bytes: fair(link).unwrap_or(0).max(FIRST), held_up: now, changed: now });
        }
    }

    /// A picture is there and cannot be sent, because too much is on the way.
    pub(super) fn held_up(&mut self, link: Link, now: Instant) {
        if let Some(fair) = fair(link) {
            let bytes = self.bound.as_ref().map_or(fair, |bound| bound.bytes.min(fair));
            self.bound = Some(Bound { bytes, held_up: now, changed: now });
        }
    }

    /// A picture was sent as soon as it was there.
    pub(super) fn passed(&mut self, now: Instant) {
        if self.bound.as_ref().is_some_and(|bound| now >= bound.held_up + FREE_AFTER) {
            self.bound = None;
        }
        let Some(bound) = &mut self.bound else { return };
        if now >= bound.changed + GROW_EVERY {
            bound.bytes = bound.bytes.saturating_mul(GROW_PERCENT) / 100;
            bound.changed = now;
        }
    }

    /// Bytes a second for each of `streams`; `None` when the link is not the limit.
    pub(super) fn each_of(&self, streams: usize) -> Option<u64> {
        self.bound.as_ref().map(|bound| bound.bytes / (streams as u64).max(1))
    }
}

/// Video's share of what the link is known to carry.
fn fair(link: Link) -> Option<u64> {
    link.rate.map(|rate| rate.saturating_mul(SHARE_PERCENT) / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(rate: Option<u64>) -> Link {
        Link { rate, ..Link::default() }
    }

    #[test]
    fn it_falls_with_the_link_and_rises_slowly_when_nothing_is_held_up() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut allowance = Allowance::default();
        allowance.passed(start);
        allowance.held_up(link(None), start);
        assert_eq!(allowance.each_of(1), None);
        allowance.held_up(link(Some(1_000_000)), at(0));
        assert_eq!((allowance.each_of(1), allowance.each_of(2)), (Some(850_000), Some(425_000)));
        allowance.held_up(link(Some(100_000)), at(10));
        assert_eq!(allowance.each_of(1), Some(85_000));
        for ms in 11..1011 {
            allowance.passed(at(ms));
        }
        let risen = allowance.each_of(1).unwrap();
        assert!((110_000..150_000).contains(&risen), "{risen}");
        allowance.passed(at(10) + FREE_AFTER);
        assert_eq!(allowance.each_of(1), None);
    }
    #[test]
    fn a_slow_link_bounds_from_the_start() {
        let (mut allowance, now) = (Allowance::default(), Instant::now());
        allowance.begin(link(Some(10_000_000)), now);
        assert_eq!(allowance.each_of(1), None);
        allowance.begin(link(Some(1_000_000)), now);
        assert_eq!(allowance.each_of(1), Some(FIRST));
        allowance.held_up(link(Some(1_000_000)), now);
        allowance.begin(link(Some(2_000_000)), now);
        assert_eq!(allowance.each_of(1), Some(850_000), "it is known better");
    }
}
