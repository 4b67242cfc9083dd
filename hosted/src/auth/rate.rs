//! [`AuthRate`]: wrong tickets slow their sender down.
//!
//! Every attempt is booked as a failure when it begins and taken back when its ticket was right, so
//! many guesses at once are no faster than one after another. The first few are free (people
//! mistype); from then on attempts of one peer wait for each other, longer each time. Failures are
//! forgiven one by one as time goes by.
//!
//! Only new sessions pay. A channel that joins a session by naming a *live* connection id never
//! comes here, so a viewer that is in stays undisturbed whatever others do from the same address.
//! Every other link does, also one that names an unknown connection id: otherwise its result
//! (PERMISSION_DENIED or BAD_CONNECTION_ID) would tell a guesser about the ticket for free.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::transport::{HANDSHAKE_TIME, PeerKey};

/// Failures without consequence.
const FREE_FAILURES: u32 = 3;
/// The wait after the free ones; it doubles with each further failure.
const FIRST_DELAY: Duration = Duration::from_millis(250);
/// The longest wait.
const MAX_DELAY: Duration = Duration::from_secs(5);
/// It leaves a link time for the rest of its handshake.
const _: () = assert!(MAX_DELAY.as_millis() * 2 <= HANDSHAKE_TIME.as_millis());
/// After this long without an attempt one failure is forgiven, and one more for each time again.
const FORGIVE_AFTER: Duration = Duration::from_secs(30);
/// Failures beyond this do not count, so that even the worst sender is forgiven within minutes.
const MAX_FAILURES: u32 = 16;
/// Senders remembered; about 100 bytes each.
const MAX_PEERS: usize = 1024;

/// The brake on guessing. Time is passed in; one value serves one server.
#[derive(Debug)]
pub struct AuthRate {
    peers: HashMap<PeerKey, Record>,
    enabled: bool,
}

/// What to do with a link that is about to have its ticket checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// Check the ticket after this long (zero in the normal case), then call
    /// [`AuthRate::succeeded`] if it was right.
    After(Duration),
    /// Too many are waiting already: deny it without a look at the ticket.
    Deny,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    failures: u32,
    /// When failures were last added or forgiven.
    counted: Instant,
    /// The next attempt may begin its wait here.
    free_at: Instant,
}

impl AuthRate {
    /// A brake that has seen nobody; with `enabled` false it never brakes (`--auth-rate off`).
    pub fn new(enabled: bool) -> Self {
        Self { peers: HashMap::new(), enabled }
    }

    /// Books an attempt of `peer` that begins `now`.
    pub fn begin(&mut self, peer: PeerKey, now: Instant) -> Attempt {
        if !self.enabled {
            return Attempt::After(Duration::ZERO);
        }
        self.make_room(&peer);
        let record = self.peers.entry(peer).or_insert_with(|| Record { failures: 0, counted: now, free_at: now });
        record.forgive(now);
        let start = record.free_at.max(now) + delay(record.failures);
        let wait = start.saturating_duration_since(now);
        if wait > MAX_DELAY {
            return Attempt::Deny;
        }
        record.failures = (record.failures + 1).min(MAX_FAILURES);
        record.counted = now;
        record.free_at = start;
        Attempt::After(wait)
    }

    /// Takes one booked attempt of `peer` back: its ticket was right.
    pub fn succeeded(&mut self, peer: &PeerKey) {
        if let Some(record) = self.peers.get_mut(peer) {
            record.failures = record.failures.saturating_sub(1);
            if record.failures == 0 {
                self.peers.remove(peer);
            }
        }
    }

    /// When the table is full, forgets who failed least, and of those who failed longest ago: a
    /// sender with many addresses cannot wash the worst ones out.
    fn make_room(&mut self, coming: &PeerKey) {
        if self.peers.len() < MAX_PEERS || self.peers.contains_key(coming) {
            return;
        }
        let least = self.peers.iter().min_by_key(|(_, record)| (record.failures, record.counted));
        if let Some(least) = least.map(|(peer, _)| *peer) {
            self.peers.remove(&least);
        }
    }
}

impl Record {
    fn forgive(&mut self, now: Instant) {
        let periods = now.saturating_duration_since(self.counted).as_secs() / FORGIVE_AFTER.as_secs();
        let periods = u32::try_from(periods).unwrap_or(u32::MAX);
        if periods > 0 {
            self.failures = self.failures.saturating_sub(periods);
            self.counted = now;
        }
    }
}

/// How long an attempt waits after `failures` failures.
fn delay(failures: u32) -> Duration {
    match failures.checked_sub(FREE_FAILURES) {
        None => Duration::ZERO,
        Some(beyond) => FIRST_DELAY.saturating_mul(2_u32.saturating_pow(beyond)).min(MAX_DELAY),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};

    fn peer(n: u32) -> PeerKey {
        PeerKey::Address(IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + n)))
    }

    fn millis(ms: u64) -> Attempt {
        Attempt::After(Duration::from_millis(ms))
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let (mut rate, mut now) = (AuthRate::new(true), Instant::now());
        let mut waits = Vec::new();
        for _ in 0..10 {
            let Attempt::After(wait) = rate.begin(peer(1), now) else { panic!("denied although it waited") };
            waits.push(wait.as_millis());
            now += wait; // the guesser waits for its answer, then tries again
        }
        assert_eq!(waits, [0, 0, 0, 250, 500, 1000, 2000, 4000, 5000, 5000]);
    }

    #[test]
    fn guesses_at_once_are_no_faster_and_at_last_denied() {
        let (mut rate, now) = (AuthRate::new(true), Instant::now());
        let attempts: Vec<_> = (0..8).map(|_| rate.begin(peer(1), now)).collect();
        let waits = [0, 0, 0, 250, 750, 1750, 3750].map(millis);
        assert_eq!(attempts.get(..7), Some(&waits[..]));
        assert_eq!(attempts.last(), Some(&Attempt::Deny));
    }

    #[test]
    fn right_tickets_cost_nothing() {
        let (mut rate, now) = (AuthRate::new(true), Instant::now());
        for _ in 0..100 {
            assert_eq!(rate.begin(peer(1), now), millis(0));
            rate.succeeded(&peer(1));
        }
        assert!(rate.peers.is_empty());
    }

    #[test]
    fn a_right_ticket_takes_back_only_itself() {
        let (mut rate, now) = (AuthRate::new(true), Instant::now());
        for _ in 0..4 {
            rate.begin(peer(1), now);
        }
        rate.succeeded(&peer(1));
        assert_eq!(rate.begin(peer(1), now + Duration::from_secs(1)), millis(250));
    }

    #[test]
    fn others_are_not_slowed_down() {
        let (mut rate, now) = (AuthRate::new(true), Instant::now());
        for _ in 0..20 {
            rate.begin(peer(1), now);
        }
        assert_eq!(rate.begin(peer(2), now), millis(0));
        assert_eq!(rate.begin(PeerKey::User(0), now), millis(0));
    }

    #[test]
    fn failures_are_forgiven_one_by_one() {
        let (mut rate, start) = (AuthRate::new(true), Instant::now());
        for _ in 0..5 {
            rate.begin(peer(1), start);
        }
        // Five failures; after one period four are left, after many none.
        assert_eq!(rate.begin(peer(1), start + FORGIVE_AFTER), millis(500));
        assert_eq!(rate.begin(peer(1), start + FORGIVE_AFTER * 20), millis(0));
    }

    #[test]
    fn even_the_worst_is_forgiven_within_minutes() {
        let (mut rate, mut now) = (AuthRate::new(true), Instant::now());
        for _ in 0..1000 {
            rate.begin(peer(1), now);
            now += Duration::from_secs(9);
        }
        assert_eq!(rate.begin(peer(1), now + FORGIVE_AFTER * MAX_FAILURES), millis(0));
    }

    #[test]
    fn the_table_is_bounded_and_keeps_the_worst() {
        let (mut rate, now) = (AuthRate::new(true), Instant::now());
        for _ in 0..6 {
            rate.begin(peer(0), now);
        }
        for n in 1..3000 {
            rate.begin(peer(n), now + Duration::from_secs(1));
        }
        assert_eq!(rate.peers.len(), MAX_PEERS);
        assert!(rate.peers.contains_key(&peer(0)));
        assert!(rate.peers.contains_key(&peer(2999)));
    }

    #[test]
    fn off_means_never() {
        let (mut rate, now) = (AuthRate::new(false), Instant::now());
        for _ in 0..100 {
            assert_eq!(rate.begin(peer(1), now), millis(0));
        }
        assert!(rate.peers.is_empty());
    }
}
