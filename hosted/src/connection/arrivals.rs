//! [`Arrivals`]: notices that a link became slower before the kernel says so.
//!
//! Video does not fill a link, and while the kernel has nothing unsent it keeps the highest rate that
//! it ever measured. So what is sent gets a moment when it should have arrived, by the rate that is
//! believed. When it has not, the rate is wrong, and what arrives meanwhile is what the link carries.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::pacer::time_of;
use crate::transport::TcpInfo;

/// How much later than expected something is before that means anything, and an eighth of the round
/// trip: acknowledgements wait for each other.
const LATE: Duration = Duration::from_millis(25);
/// How long arrivals are counted before they are a rate, and how many bytes there are to be then: they
/// come two segments at a time.
const COUNTED: Duration = Duration::from_millis(30);
const COUNTED_BYTES: u64 = 20_000;
/// What is on the way, in pieces, at most: more are taken for part of the last one.
const PIECES: usize = 256;

/// What is on the way, and when it should have arrived.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    /// Bytes handed to the kernel since the connection began.
    handed: u64,
    pieces: VecDeque<Piece>,
    /// When the link has carried all that it was given.
    free_at: Option<Instant>,
    late: Option<Late>,
}

/// Something is late: what arrives is counted, from the first that does. A link that carries nothing
/// for a moment has no rate.
#[derive(Debug)]
struct Late {
    since: Instant,
    /// What had arrived then.
    had: u64,
    moves: bool,
}

#[derive(Debug)]
struct Piece {
    /// It has arrived when so much has.
    until: u64,
    due: Instant,
}

impl Arrivals {
    /// A look at the connection, on a link that is believed to carry `rate` bytes a second. Answers
    /// what it really carries when that turned out to be less.
    pub(super) fn observe(&mut self, now: Instant, info: &TcpInfo, rate: u64) -> Option<u64> {
        while self.pieces.front().is_some_and(|piece| piece.until <= info.delivered) {
            self.pieces.pop_front();
        }
        self.take_new(now, info, rate);
        let allowed = LATE + info.min_rtt / 8;
        // What was lost on the way comes later: that says nothing of the rate.
        let is_late = !info.recovers && self.pieces.front().is_some_and(|piece| now > piece.due + allowed);
        if !is_late {
            self.late = None;
            return None;
        }
        let had = info.delivered;
        let late = self.late.get_or_insert(Late { since: now, had, moves: false });
        if !late.moves {
            *late = Late { since: now, had, moves: had > late.had };
            return None;
        }
        let counted = now - late.since;
        let arrived = had.saturating_sub(late.had);
        if counted < COUNTED || arrived < COUNTED_BYTES {
            return None;
        }
        let millis = u64::try_from(counted.as_millis()).unwrap_or(u64::MAX);
        let carried = arrived.saturating_mul(1000) / millis.max(1);
        (self.free_at, self.late) = (None, None);
        self.pieces.clear();
        Some(carried).filter(|carried| (1..rate).contains(carried))
    }

    /// Expects what was handed to the kernel since the last look.
    fn take_new(&mut self, now: Instant, info: &TcpInfo, rate: u64) {
        let new = info.handed.saturating_sub(self.handed);
        self.handed = info.handed;
        if new == 0 {
            return;
        }
        let behind = self.free_at.map_or(now, |at| at.max(now)) + time_of(new, rate);
        // There is not more before it than is on the way.
        let free_at = behind.min(now + time_of(info.in_flight, rate));
        self.free_at = Some(free_at);
        if self.pieces.len() == PIECES {
            self.pieces.pop_back();
        }
        self.pieces.push_back(Piece { until: info.delivered + info.in_flight, due: free_at + info.min_rtt });
    }

    /// Whether something is later than it should be.
    pub(super) fn is_late(&self) -> bool {
        self.late.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// A link of 40 ms that carries `rate` bytes a millisecond; looked at every 10 ms.
    struct Link {
        now: Instant,
        rate: u64,
        info: TcpInfo,
        /// What was handed over, for the last 40 ms.
        way: VecDeque<u64>,
    }

    impl Link {
        fn new(rate: u64) -> Self {
            let info = TcpInfo { min_rtt: MS * 40, ..TcpInfo::default() };
            Self { now: Instant::now(), rate, info, way: VecDeque::from([0; 4]) }
        }

        /// Sends so many bytes and looks 10 ms later.
        fn step(&mut self, arrivals: &mut Arrivals, bytes: u64, believed: u64) -> Option<u64> {
            self.info.handed += bytes;
            self.way.push_back(self.info.handed);
            let could = self.way.pop_front().unwrap() - self.info.delivered;
            self.info.delivered += could.min(self.rate * 10);
            self.info.in_flight = self.info.handed - self.info.delivered;
            self.now += MS * 10;
            arrivals.observe(self.now, &self.info, believed * 1000)
        }
    }

    #[test]
    fn what_arrives_in_time_says_nothing() {
        let (mut link, mut arrivals) = (Link::new(1000), Arrivals::default());
        for n in 0..1000_u64 {
            // A picture takes 30 ms to be carried, and less than half of the link.
            let bytes = if n.is_multiple_of(8) { 30_000 } else { 0 };
            assert_eq!(link.step(&mut arrivals, bytes, 1000), None);
            assert!(!arrivals.is_late());
        }
    }

    #[test]
    fn a_link_that_becomes_slower_is_found_out_in_two_round_trips() {
        let (mut link, mut arrivals) = (Link::new(6000), Arrivals::default());
        for _ in 0..100 {
            assert_eq!(link.step(&mut arrivals, 20_000, 6000), None);
        }
        link.rate = 600;
        let (steps, rate) = (1..100).find_map(|n| Some((n, link.step(&mut arrivals, 20_000, 6000)?))).unwrap();
        assert!(steps <= 14, "{steps} steps of 10 ms");
        assert!((550_000..=650_000).contains(&rate), "{rate}");
        for _ in 0..100 {
            assert_eq!(link.step(&mut arrivals, 0, 600), None, "nothing more is late by that rate");
        }
    }

    #[test]
    fn a_link_that_stops_for_a_moment_is_waited_for_and_not_taken_for_a_slow_one() {
        let (mut link, mut arrivals) = (Link::new(6000), Arrivals::default());
        assert!((0..100).all(|_| link.step(&mut arrivals, 20_000, 6000).is_none()));
        link.rate = 0;
        for _ in 0..30 {
            assert_eq!(link.step(&mut arrivals, 0, 6000), None);
        }
        assert!(arrivals.is_late());
        link.rate = 6000;
        for _ in 0..30 {
            assert_eq!(link.step(&mut arrivals, 20_000, 6000), None);
        }
        assert!(!arrivals.is_late());
    }

    #[test]
    fn what_was_lost_is_late_for_that_reason() {
        let (mut link, mut arrivals) = (Link::new(6000), Arrivals::default());
        assert!((0..100).all(|_| link.step(&mut arrivals, 20_000, 6000).is_none()));
        (link.rate, link.info.recovers) = (0, true);
        for _ in 0..1000 {
            assert_eq!(link.step(&mut arrivals, 100, 6000), None);
            assert!(!arrivals.is_late() && arrivals.pieces.len() <= PIECES);
        }
    }
}
