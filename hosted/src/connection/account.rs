//! [`Account`]: what a connection tells the ledger.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use sumac_core::proto::common::ChannelType;
use tokio::time::Instant;

use crate::ledger::{Ledger, Step};

/// Pictures on the way that are followed at once; more are not noted.
const MARKS: usize = 64;
/// The least time between two looks at what is on the way.
const LOOK: Duration = Duration::from_millis(1);

/// Keeps account of one channel.
#[derive(Debug)]
pub(super) struct Account {
    ledger: Arc<Ledger>,
    kind: ChannelType,
    /// Bytes that the kernel took.
    sent: u64,
    /// Pictures on the way, in order.
    marks: VecDeque<Mark>,
    /// What the newest picture took that was followed to its end.
    latency: Option<Duration>,
}

/// The end of a picture among the bytes.
#[derive(Debug)]
struct Mark {
    changed: Instant,
    /// Bytes up to it.
    at: u64,
    said: Instant,
    written: Option<Instant>,
}

impl Account {
    /// For a channel of this type that is open from now on.
    pub(super) fn open(ledger: Arc<Ledger>, kind: ChannelType) -> Self {
        ledger.traffic(kind).opened();
        Self { ledger, kind, sent: 0, marks: VecDeque::new(), latency: None }
    }

    /// A message was said.
    pub(super) fn message(&self) {
        self.ledger.traffic(self.kind).messages.fetch_add(1, Ordering::Relaxed);
    }

    /// The kernel took so many bytes.
    pub(super) fn wrote(&mut self, bytes: usize, now: Instant) {
        self.sent += bytes as u64;
        self.ledger.traffic(self.kind).bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        let sent = self.sent;
        for mark in self.marks.iter_mut().filter(|mark| mark.written.is_none() && mark.at <= sent) {
            mark.written = Some(now);
            self.ledger.note(Step::Write, now - mark.said);
        }
    }

    /// All that shows a viewer what changed at `changed` has been said; `unsent` bytes wait.
    pub(super) fn shown(&mut self, changed: Instant, unsent: usize, now: Instant) {
        self.ledger.note(Step::Say, now.saturating_duration_since(changed));
        if self.ledger.is_watched() && self.marks.len() < MARKS {
            self.marks.push_back(Mark { changed, at: self.sent + unsent as u64, said: now, written: None });
        }
    }

    /// So many bytes that the kernel took are not acknowledged; `None` when that cannot be known.
    pub(super) fn observe(&mut self, in_flight: Option<u64>, now: Instant) {
        while let Some(Mark { at, changed, written: Some(written), .. }) = self.marks.front() {
            let seen = match in_flight {
                Some(in_flight) if at + in_flight > self.sent => return,
                Some(_) => {
                    self.ledger.note(Step::Ack, now - *written);
                    now
                }
                None => *written,
            };
            self.latency = Some(seen.saturating_duration_since(*changed));
            self.marks.pop_front();
        }
    }

    /// From a change to its acknowledgement, or where nobody says so to the kernel's taking it, for
    /// the newest picture that was followed.
    pub(super) fn latency(&self) -> Option<Duration> {
        self.latency
    }

    /// When to look again at what is on the way, on a link with such a shortest round trip.
    pub(super) fn look_at(&self, round_trip: Duration, now: Instant) -> Option<Instant> {
        let written = self.marks.front()?.written?;
        let waited = now - written;
        Some((written + round_trip).max(now + (waited / 4).max(LOOK)))
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.ledger.traffic(self.kind).closed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Figures;

    const MS: Duration = Duration::from_millis(1);

    fn account() -> (Arc<Ledger>, Account) {
        let ledger = Arc::new(Ledger::new(true));
        (Arc::clone(&ledger), Account::open(ledger, ChannelType::DISPLAY))
    }

    #[test]
    fn a_picture_is_followed_to_its_acknowledgement() {
        let (ledger, mut account) = account();
        let start = Instant::now();
        account.shown(start, 1000, start + MS * 3);
        account.wrote(400, start + MS * 4);
        assert_eq!(account.look_at(MS * 80, start + MS * 4), None, "the kernel has not all of it");
        account.wrote(900, start + MS * 10);
        // 300 bytes behind it are on the way.
        account.observe(Some(301), start + MS * 50);
        assert_eq!(account.look_at(MS * 80, start + MS * 50), Some(start + MS * 90));
        assert_eq!(account.look_at(MS * 20, start + MS * 50), Some(start + MS * 60));
        account.observe(Some(300), start + MS * 100);
        assert_eq!(account.look_at(MS * 80, start + MS * 100), None, "nothing is followed any more");
        let figures = ledger.figures();
        assert_eq!(figures.map(|Figures { n, .. }| n), [0, 0, 0, 1, 1, 1]);
        assert_eq!(figures.map(|Figures { max_ms, .. }| max_ms), [0.0, 0.0, 0.0, 3.0, 7.0, 90.0]);
        assert_eq!(ledger.traffic(ChannelType::DISPLAY).bytes.load(Ordering::Relaxed), 1300);
    }

    #[test]
    fn where_nobody_acknowledges_nothing_is_waited_for() {
        let (ledger, mut account) = account();
        let now = Instant::now();
        account.shown(now, 10, now);
        account.wrote(10, now);
        account.observe(None, now);
        assert_eq!((ledger.step(Step::Write).figures().n, ledger.step(Step::Ack).figures().n), (1, 0));
        assert_eq!(account.look_at(MS, now), None);
    }

    #[test]
    fn what_is_followed_is_bounded_and_nothing_is_when_nobody_watches() {
        let (ledger, mut account) = account();
        let now = Instant::now();
        (0..1000).for_each(|_| account.shown(now, 1, now));
        assert_eq!((account.marks.len(), ledger.step(Step::Say).figures().n), (MARKS, 1000));
        let mut unwatched = Account::open(Arc::default(), ChannelType::DISPLAY);
        unwatched.shown(now, 1, now);
        assert!(unwatched.marks.is_empty());
    }

    #[test]
    fn an_open_channel_is_counted_until_it_is_gone() {
        let (ledger, account) = account();
        assert_eq!(ledger.traffic(ChannelType::DISPLAY).open(), 1);
        drop(account);
        assert_eq!(ledger.traffic(ChannelType::DISPLAY).open(), 0);
    }
}
