//! [`Pacer`]: how much may be on the way to a client.
//!
//! What lies in queues (the kernel's, the network's) is old before it is seen. So a handler begins
//! something large only while the bytes on the way are fewer than the link carries in one round
//! trip, plus a little. That is measured in bytes, from what the kernel knows of the connection:
//!
//! | the path | what may be on the way |
//! |---|---|
//! | a UNIX socket, or a round trip below a millisecond | what the kernel takes |
//! | no queue was seen lately: round trips take as long as the shortest | the congestion window, so that it can grow |
//! | a queue is seen | the measured rate times the shortest round trip, and a little |
//! | one was seen lately | a quarter more, so that a faster link is noticed |

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::arrivals::Arrivals;
use crate::transport::TcpInfo;

/// Unsent bytes up to which something large may be begun: enough to keep the kernel busy.
const AHEAD: u64 = 16 * 1024;
/// Below it a path has no queue worth steering, and timers are too coarse for it.
const NEAR: Duration = Duration::from_millis(1);
/// A link with such a round trip is slow before it carried anything: TCP begins with a few kilobytes.
const FAR: Duration = Duration::from_millis(15);
/// One that carries less is slow, too; bytes a second.
const NARROW: u64 = 2_500_000;
/// Round trips longer than the shortest by an eighth and this much mean that a queue stands.
const JITTER: Duration = Duration::from_millis(4);
/// How much more than a round trip's worth may be on the way, as time on the link.
const SLACK: Duration = Duration::from_millis(8);
/// How long a queue that was seen is remembered: the congestion window is what made it, and may be
/// several times what the link carries in a round trip.
const CROWDED: Duration = Duration::from_secs(5);
/// Round trips that a rate measurement lives while there are newer ones, and at least this long.
const MEMORY_TRIPS: u32 = 3;
const MEMORY: Duration = Duration::from_millis(200);
/// How long arrivals are counted, if not for a round trip.
const COUNTED: Duration = Duration::from_millis(50);
/// Time until a look at a link that is being measured anew.
const MEASURING: Duration = Duration::from_millis(10);
/// Longest time until room is looked for again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// What is known of a connection's link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Link {
    /// Shortest round trip; 0 when it is not known or means nothing (UNIX sockets).
    pub(crate) round_trip: Duration,
    /// Bytes a second that it carries; `None` until it was ever full.
    pub(crate) rate: Option<u64>,
    /// Bytes that were said and not acknowledged.
    pub(crate) in_flight: u64,
}

impl Link {
    /// Whether it takes so long that showing something sooner is worth sending it with loss first.
    pub(crate) fn is_slow(&self) -> bool {
        self.round_trip >= FAR || self.rate.is_some_and(|rate| rate < NARROW)
    }

    /// How much later than the link's shortest time `more` bytes arrive, because they and what
    /// queues before them have to be carried; 0 on a link whose rate is not known.
    pub(crate) fn delay(&self, more: usize) -> Duration {
        self.rate.map_or(Duration::ZERO, |rate| {
            let queued = self.in_flight.saturating_sub(bytes_in(self.round_trip, rate));
            time_of(queued.saturating_add(more as u64), rate)
        })
    }
}

/// Whether something large may be begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// Yes.
    Now,
    /// When the client has read what waits for it.
    WhenWritten,
    /// Ask again after this time.
    After(Duration),
}

/// Measures one connection.
#[derive(Debug, Default)]
pub(super) struct Pacer {
    last: TcpInfo,
    /// Rates that the full link was seen to carry, and when.
    rates: VecDeque<(Instant, u64)>,
    /// When a queue was seen last.
    crowded: Option<Instant>,
    arrivals: Arrivals,
    /// When arrivals were looked at last to be counted, and what had arrived.
    counted: Option<(Instant, u64)>,
}

impl Pacer {
    /// A look at the connection.
    pub(super) fn observe(&mut self, now: Instant, info: TcpInfo) {
        let before = std::mem::replace(&mut self.last, info);
        if self.sees_queue() {
            self.crowded = Some(now);
        }
        self.crowded = self.crowded.filter(|at| now.saturating_duration_since(*at) < CROWDED);
        self.measure(now, &before);
        if let Some(rate) = self.rate().filter(|_| self.last.min_rtt >= NEAR)
            && let Some(slower) = self.arrivals.observe(now, &self.last, rate)
        {
            self.rates.clear();
            self.remember(now, slower);
        }
    }

    /// Takes in the kernel's measurement.
    fn measure(&mut self, now: Instant, before: &TcpInfo) {
        let TcpInfo { delivery_rate, app_limited, rtt, .. } = self.last;
        if delivery_rate == 0 {
            return;
        }
        if app_limited {
            // The link carries at least that. The kernel goes on to tell the highest one that it had.
            let is_new = delivery_rate != before.delivery_rate;
            let seen = self.count(now).max(if is_new { delivery_rate } else { 0 });
            if seen > self.rate().unwrap_or(0) {
                self.remember(now, seen);
            }
            return;
        }
        // Only a full link's measurements make older ones outdated: idleness proves nothing.
        let memory = (rtt * MEMORY_TRIPS).max(MEMORY);
        while self.rates.front().is_some_and(|(at, _)| now.saturating_duration_since(*at) > memory) {
            self.rates.pop_front();
        }
        self.remember(now, delivery_rate);
    }

    /// What arrived lately, in bytes a second; 0 until that has been counted for a round trip.
    fn count(&mut self, now: Instant) -> u64 {
        let (since, had) = *self.counted.get_or_insert((now, self.last.delivered));
        let time = now.saturating_duration_since(since);
        if time < self.last.min_rtt.max(COUNTED) {
            return 0;
        }
        self.counted = Some((now, self.last.delivered));
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.last.delivered.saturating_sub(had).saturating_mul(1000) / millis.max(1)
    }

    /// Keeps the rates falling from the front on, so that the front is the highest.
    fn remember(&mut self, now: Instant, rate: u64) {
        while self.rates.back().is_some_and(|(_, lower)| *lower <= rate) {
            self.rates.pop_back();
        }
        self.rates.push_back((now, rate));
    }

    fn rate(&self) -> Option<u64> {
        self.rates.front().map(|(_, rate)| *rate)
    }

    /// What is known, with `unsent` bytes that the kernel has not taken.
    pub(super) fn link(&self, unsent: usize) -> Link {
        let near = self.last.min_rtt < NEAR;
        Link {
            round_trip: self.last.min_rtt,
            rate: self.rate().filter(|_| !near),
            in_flight: self.last.in_flight + unsent as u64,
        }
    }

    /// Whether there is room, with `unsent` bytes that the kernel has not taken.
    pub(super) fn room(&self, unsent: usize) -> Room {
        if unsent as u64 > AHEAD {
            return Room::WhenWritten;
        }
        if self.last.min_rtt < NEAR {
            return Room::Now;
        }
        let in_flight = self.last.in_flight + unsent as u64;
        let budget = self.budget();
        if self.arrivals.is_late() {
            // The link is not what it was believed to be: it is being measured.
            return Room::After(MEASURING);
        }
        if in_flight < budget {
            return Room::Now;
        }
        let wait = self.rate().map_or(LOOK_AGAIN, |rate| time_of(in_flight - budget, rate));
        Room::After(wait.clamp(NEAR, LOOK_AGAIN))
    }

    /// Bytes that may be on the way.
    fn budget(&self) -> u64 {
        let TcpInfo { min_rtt, window, .. } = self.last;
        match self.rate().filter(|_| self.crowded.is_some()) {
            Some(rate) if self.sees_queue() => bytes_in(min_rtt + SLACK, rate),
            Some(rate) => window.min(bytes_in(min_rtt * 5 / 4 + SLACK, rate)),
            None => window,
        }
        .max(AHEAD)
    }

    fn sees_queue(&self) -> bool {
        let TcpInfo { rtt, min_rtt, .. } = self.last;
        self.arrivals.is_late() || rtt > min_rtt + min_rtt / 8 + JITTER
    }
}

/// How long `bytes` take at `rate` bytes a second.
pub(super) fn time_of(bytes: u64, rate: u64) -> Duration {
    Duration::from_micros(bytes.saturating_mul(1_000_000) / rate.max(1))
}

/// Bytes that `rate` bytes a second are in this time.
fn bytes_in(time: Duration, rate: u64) -> u64 {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    rate.saturating_mul(micros) / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    /// 10 Mbit a second.
    const RATE: u64 = 1_250_000;

    fn info(in_flight: u64, rtt: u32) -> TcpInfo {
        let (rtt, min_rtt) = (MS * rtt, MS * 80);
        TcpInfo { in_flight, window: 200_000, rtt, min_rtt, delivery_rate: RATE, ..TcpInfo::default() }
    }

    fn seen(info: TcpInfo) -> Pacer {
        let mut pacer = Pacer::default();
        pacer.observe(Instant::now(), info);
        pacer
    }

    #[test]
    fn without_a_queue_the_window_may_be_filled() {
        assert_eq!(seen(info(199_999, 85)).room(0), Room::Now);
        assert!(matches!(seen(info(200_000, 85)).room(0), Room::After(_)));
    }

    #[test]
    fn with_a_queue_a_round_trip_and_a_little_is_on_the_way() {
        // 88 ms at 1.25 MB/s.
        let budget = 110_000;
        assert_eq!(seen(info(budget - 1, 150)).room(0), Room::Now);
        assert_eq!(seen(info(budget + 25_000, 150)).room(0), Room::After(MS * 20));
        assert_eq!(seen(info(budget, 150)).room(0), Room::After(MS), "timers have no smaller step");
        assert_eq!(seen(info(10_000_000, 150)).room(0), Room::After(LOOK_AGAIN));
        assert!(matches!(seen(info(budget - 1, 150)).room(1), Room::After(_)), "unsent bytes count");
    }

    #[test]
    fn the_window_that_made_a_queue_is_not_filled_again_soon() {
        let start = Instant::now();
        let mut pacer = Pacer::default();
        pacer.observe(start, info(0, 150));
        pacer.observe(start + MS * 1000, info(0, 85));
        // 108 ms at 1.25 MB/s.
        let at = |in_flight| info(in_flight, 85);
        pacer.observe(start + MS * 1000, at(135_000 - 1));
        assert_eq!(pacer.room(0), Room::Now);
        pacer.observe(start + MS * 1000, at(135_000));
        assert!(matches!(pacer.room(0), Room::After(_)));
        pacer.observe(start + CROWDED, at(135_000));
        assert_eq!(pacer.room(0), Room::Now, "the window again");
    }

    #[test]
    fn what_the_kernel_does_not_take_waits_for_the_client() {
        let near = TcpInfo { min_rtt: MS / 20, ..info(1_000_000, 0) };
        for (pacer, room) in [(Pacer::default(), Room::Now), (seen(near), Room::Now)] {
            assert_eq!(pacer.room(AHEAD as usize), room);
            assert_eq!(pacer.room(AHEAD as usize + 1), Room::WhenWritten);
        }
    }

    #[test]
    fn a_slower_link_is_believed_in_three_round_trips_and_a_faster_one_at_once() {
        let start = Instant::now();
        let at = |ms| start + MS * ms;
        let mut pacer = Pacer::default();
        let rate = |n: u64| TcpInfo { delivery_rate: n, ..info(0, 80) };
        pacer.observe(at(0), rate(6_000_000));
        pacer.observe(at(200), rate(600_000));
        assert_eq!(pacer.rate(), Some(6_000_000));
        pacer.observe(at(241), rate(500_000));
        assert_eq!(pacer.rate(), Some(600_000));
        pacer.observe(at(250), rate(7_000_000));
        assert_eq!(pacer.rate(), Some(7_000_000));
    }

    #[test]
    fn having_little_to_send_says_nothing_about_the_link() {
        let start = Instant::now();
        let mut pacer = seen(info(0, 80));
        let little = TcpInfo { delivery_rate: 1000, app_limited: true, ..info(0, 80) };
        pacer.observe(start + MS * 100_000, little);
        assert_eq!(pacer.rate(), Some(RATE));
        pacer.observe(start + MS * 100_000, TcpInfo { delivery_rate: RATE * 2, ..little });
        assert_eq!(pacer.rate(), Some(RATE * 2), "but that it carried so much does");
    }

    #[test]
    fn the_delay_is_what_is_queued_before_and_the_bytes_themselves() {
        // A round trip holds 100 kB.
        assert_eq!(seen(info(100_000, 80)).link(0).delay(25_000), MS * 20);
        assert_eq!(seen(info(100_000, 80)).link(50_000).delay(0), MS * 40);
        assert_eq!(Link::default().delay(1 << 30), Duration::ZERO);
    }
}
