//! [`Schedule`]: when pictures are due. Time is told to it.

use std::time::{Duration, Instant};

/// Numbers pictures by an absolute schedule: a late one does not delay those after it, and those
/// that were missed are left out. Time in which it does not run does not count.
#[derive(Debug)]
pub(super) struct Schedule {
    /// Pictures a second.
    rate: u32,
    /// The newest picture that was due.
    number: u64,
    /// When picture 0 would have been due; `None` while it does not run.
    since: Option<Instant>,
}

impl Schedule {
    /// A schedule that does not run yet and stands at picture 0. `rate` is in pictures a second.
    pub(super) fn new(rate: u32) -> Self {
        Self { rate: rate.max(1), number: 0, since: None }
    }

    /// Starts or stops; it goes on where it stopped.
    pub(super) fn set_running(&mut self, running: bool, now: Instant) {
        if !running {
            self.since = None;
        } else if self.since.is_none() {
            self.since = Some(now.checked_sub(self.time_of(self.number)).unwrap_or(now));
        }
    }

    /// When the next picture is due; `None` while it does not run.
    pub(super) fn next(&self) -> Option<Instant> {
        self.since?.checked_add(self.time_of(self.number.saturating_add(1)))
    }

    /// The number of the newest picture that is due, once.
    pub(super) fn due(&mut self, now: Instant) -> Option<u64> {
        let elapsed = now.saturating_duration_since(self.since?);
        let due = u64::try_from(elapsed.as_nanos() * u128::from(self.rate) / 1_000_000_000).unwrap_or(u64::MAX);
        let is_new = due > self.number;
        self.number = self.number.max(due);
        is_new.then_some(due)
    }

    /// From picture 0 to this one, rounded up so that it is due then.
    fn time_of(&self, number: u64) -> Duration {
        let nanos = (u128::from(number) * 1_000_000_000).div_ceil(u128::from(self.rate));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_pictures_are_left_out_and_never_make_a_burst() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut schedule = Schedule::new(50);
        assert_eq!((schedule.next(), schedule.due(at(1000))), (None, None));
        schedule.set_running(true, start);
        assert_eq!(schedule.next(), Some(at(20)));
        assert_eq!(schedule.due(at(19)), None);
        assert_eq!(schedule.due(at(20)), Some(1));
        assert_eq!(schedule.due(at(21)), None);
        // 2 to 6 were missed; 8 is due when it would have been without the delay.
        assert_eq!(schedule.due(at(155)), Some(7));
        assert_eq!(schedule.next(), Some(at(160)));
    }

    #[test]
    fn pauses_do_not_count() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut schedule = Schedule::new(10);
        schedule.set_running(true, start);
        assert_eq!(schedule.due(at(100)), Some(1));
        schedule.set_running(false, at(150));
        assert_eq!(schedule.due(at(900)), None);
        schedule.set_running(true, at(1000));
        schedule.set_running(true, at(1050));
        assert_eq!(schedule.next(), Some(at(1100)));
    }

    #[test]
    fn every_picture_is_due_when_the_schedule_says_so() {
        let start = Instant::now();
        for rate in [1, 7, 30, 60, 144, 1000] {
            let mut schedule = Schedule::new(rate);
            schedule.set_running(true, start);
            for number in 1..300 {
                let next = schedule.next().unwrap();
                assert_eq!(schedule.due(next), Some(number), "rate {rate}");
            }
        }
    }
}
