//! [`Follower`]: where one viewer stands among the packets of a stream, and on which rung.
//!
//! ```text
//!   uppermost ── missed a packet ──► next ── missed a packet ──► lowest: begins again with a key frame
//!       ▲                             │ ▲                          │
//!       └──── kept pace for a while ──┘ └── kept pace for a while ─┘
//! ```
//!
//! Everybody on a rung gets the key frame that one of them needs. Who keeps falling behind climbs
//! ever more rarely.

use std::time::Duration;

use tokio::time::Instant;

use crate::video::{RUNGS, StreamPacket};

/// How long a viewer keeps pace before it climbs: after its first fall, and at most.
const PATIENCE: Duration = Duration::from_secs(10);
const PATIENCE_MOST: Duration = Duration::from_secs(160);

/// Key frames that one viewer may ask for at once: one for each of its streams.
const KEYS: u32 = 8;
/// How long it takes until it may ask for one more.
const KEY_PAUSE: Duration = Duration::from_secs(1);

/// A viewer's place.
pub(super) struct Follower {
    rung: u8,
    /// Number of the packet that was sent last, 0 for none of this rung.
    number: u64,
    /// The picture it showed.
    version: u64,
    /// When to climb, on any rung but the uppermost.
    climb_at: Option<Instant>,
    patience: Duration,
    /// When it asked for the key frame that it waits for.
    asked: Option<Instant>,
}

/// The key frames that a viewer may ask for: who never keeps pace, or begins its streams anew all
/// the time, must not cost the others more than one in a second.
pub(super) struct KeyFrames {
    left: u32,
    since: Instant,
}

impl Follower {
    pub(super) fn new() -> Self {
        Self { rung: 0, number: 0, version: 0, climb_at: None, patience: PATIENCE, asked: None }
    }

    pub(super) fn rung(&self) -> u8 {
        self.rung
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// This packet was sent.
    pub(super) fn sent(&mut self, packet: &StreamPacket) {
        (self.number, self.version, self.asked) = (packet.number, packet.version, None);
    }

    /// This packet was not sent, and those after it do not need it.
    pub(super) fn left_out(&mut self, packet: &StreamPacket) {
        (self.number, self.asked) = (packet.number, None);
    }

    /// There is nothing that it could decode. Answers whether a key frame is to be asked for on this
    /// rung; otherwise it went to another, or has asked.
    pub(super) fn missed(&mut self, keys: &mut KeyFrames, now: Instant) -> bool {
        if self.number != 0 {
            self.climb_at = Some(now + self.patience);
            self.patience = (self.patience * 2).min(PATIENCE_MOST);
            if self.rung + 1 < RUNGS {
                self.go(self.rung + 1);
                return false;
            }
            self.go(self.rung);
        }
        // One that was not taken in time is lost.
        let waits = self.asked.is_some_and(|at| now < at + KEY_PAUSE);
        let ask = !waits && keys.take(now);
        if ask {
            self.asked = Some(now);
        }
        ask
    }

    /// It has the newest packet of its rung: climbs if it is time; answers whether it did.
    pub(super) fn climb(&mut self, now: Instant) -> bool {
        if self.climb_at.take_if(|at| *at <= now).is_none() {
            return false;
        }
        self.go(self.rung.saturating_sub(1));
        // The next one up, if there is one, wants the same.
        self.climb_at = (self.rung > 0).then(|| now + self.patience);
        true
    }

    fn go(&mut self, rung: u8) {
        (self.rung, self.number, self.version, self.asked) = (rung, 0, 0, None);
    }
}

impl KeyFrames {
    pub(super) fn new(now: Instant) -> Self {
        Self { left: KEYS, since: now }
    }

    fn take(&mut self, now: Instant) -> bool {
        let earned = u32::try_from((now - self.since).as_secs() / KEY_PAUSE.as_secs()).unwrap_or(KEYS);
        self.since += KEY_PAUSE * earned;
        self.left = self.left.saturating_add(earned).min(KEYS);
        let some = self.left > 0;
        self.left = self.left.saturating_sub(1);
        some
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::source::Size;

    fn packet(number: u64) -> StreamPacket {
        let (changed, size) = (Instant::now(), Size { width: 1, height: 1 });
        StreamPacket { number, keyframe: false, version: 10, changed, size, coarser_follows: false, data: Bytes::new() }
    }

    #[tokio::test(start_paused = true)]
    async fn who_falls_behind_goes_down_and_asks_only_where_it_comes_to() {
        let (mut follower, mut keys) = (Follower::new(), KeyFrames::new(Instant::now()));
        for rung in 1..RUNGS {
            follower.sent(&packet(5));
            assert!(!follower.missed(&mut keys, Instant::now()), "the others keep their pictures");
            assert_eq!((follower.rung(), follower.number(), follower.version()), (rung, 0, 0));
        }
        follower.sent(&packet(5));
        assert!(follower.missed(&mut keys, Instant::now()), "there is no lower one");
        assert_eq!((follower.rung(), follower.number()), (RUNGS - 1, 0));
        assert!(!follower.missed(&mut keys, Instant::now()), "it has asked");
        tokio::time::advance(KEY_PAUSE).await;
        assert!(follower.missed(&mut keys, Instant::now()), "that one came and was not taken");
    }

    #[tokio::test(start_paused = true)]
    async fn who_keeps_pace_climbs_and_ever_more_rarely() {
        let (mut follower, mut keys) = (Follower::new(), KeyFrames::new(Instant::now()));
        let mut waited = Vec::new();
        for _ in 0..6 {
            follower.sent(&packet(5));
            follower.missed(&mut keys, Instant::now());
            let fell = Instant::now();
            while !follower.climb(Instant::now()) {
                tokio::time::advance(Duration::from_secs(1)).await;
            }
            waited.push(fell.elapsed().as_secs());
            assert_eq!(follower.rung(), 0);
        }
        assert_eq!(waited, [10, 20, 40, 80, 160, 160]);
        assert!(!follower.climb(Instant::now() + PATIENCE_MOST), "it is at the top");
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_viewer_never_waits_for_a_key_frame_and_a_greedy_one_does() {
        let mut keys = KeyFrames::new(Instant::now());
        let begins = |keys: &mut KeyFrames| Follower::new().missed(keys, Instant::now());
        assert_eq!((0..20).filter(|_| begins(&mut keys)).count(), KEYS as usize);
        tokio::time::advance(KEY_PAUSE * 3 / 2).await;
        assert_eq!((0..20).filter(|_| begins(&mut keys)).count(), 1);
        tokio::time::advance(KEY_PAUSE / 2).await;
        assert!(begins(&mut keys), "halves add up");
        tokio::time::advance(KEY_PAUSE * 1000).await;
        assert_eq!((0..20).filter(|_| begins(&mut keys)).count(), KEYS as usize);
    }
}
