//! [`Steer`]: the quality of a rung, as fine as the links of its viewers carry.

use std::time::Duration;

use tokio::time::Instant;

/// A viewer that did not ask for so long is no longer reckoned with.
const FORGOTTEN: Duration = Duration::from_millis(500);
/// Worse than that nobody can look at: fewer pictures are sent instead.
const FLOOR: f32 = 20.0;
/// Steps of quality that halve or double a picture's bytes, about.
const STEPS: f32 = 14.0;
/// Steps down and up that one picture's size leads to, at most: a link that became slower must be
/// followed at once, one that became faster within seconds.
const DOWN_MOST: f32 = 30.0;
const UP_MOST: f32 = 1.0;

/// A viewer that asks for pictures, and what its link carries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker {
    /// Tells one viewer from another.
    pub(crate) id: u64,
    /// Bytes a second that it may be sent of this stream; `None` when its link is not the limit.
    pub(crate) allowance: Option<u64>,
}

/// Follows what the viewers' links carry. The one that carries most counts: others leave pictures out,
/// or go to a lower rung.
pub(super) struct Steer {
    ceiling: f32,
    quality: f32,
    askers: Vec<(Asker, Instant)>,
}

impl Steer {
    /// `ceiling`: the quality when no link is the limit.
    pub(super) fn new(ceiling: u8) -> Self {
        Self { ceiling: ceiling.into(), quality: ceiling.into(), askers: Vec::new() }
    }

    /// The quality of the next picture.
    pub(super) fn quality(&self) -> u8 {
        // Between FLOOR and 100.
        self.quality as u8
    }

    /// A viewer asked for a picture.
    pub(super) fn asked(&mut self, asker: Asker, now: Instant) {
        self.askers.retain(|(other, at)| other.id != asker.id && now.saturating_duration_since(*at) < FORGOTTEN);
        self.askers.push((asker, now));
    }

    /// A picture was encoded into so many bytes, and another comes every `interval`. Answers whether
    /// the next one will have half the bytes or fewer.
    pub(super) fn encoded(&mut self, bytes: usize, interval: Duration) -> bool {
        let before = self.quality;
        let step = match self.limit() {
            None => UP_MOST,
            Some(limit) => {
                let target = (limit as f32 * interval.as_secs_f32()).max(1.0);
                (STEPS * (target / bytes.max(1) as f32).log2()).clamp(-DOWN_MOST, UP_MOST)
            }
        };
        self.quality = (self.quality + step).clamp(FLOOR.min(self.ceiling), self.ceiling);
        before - self.quality >= STEPS
    }

    /// Bytes a second; `None` when the link of one of them is not the limit.
    fn limit(&self) -> Option<u64> {
        let mut askers = self.askers.iter().map(|(asker, _)| asker.allowance);
        let first = askers.next()??;
        askers.try_fold(first, |most, allowance| Some(most.max(allowance?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(40);

    fn asker(id: u64, allowance: Option<u64>) -> Asker {
        Asker { id, allowance }
    }

    /// Bytes of a picture at this quality, as JPEG has it about.
    fn size(quality: u8) -> usize {
        (120_000.0 * f32::exp2((f32::from(quality) - 90.0) / 16.0)) as usize
    }

    #[test]
    fn a_slower_link_is_followed_in_a_few_pictures_and_a_faster_one_in_seconds() {
        let now = Instant::now();
        let mut steer = Steer::new(90);
        steer.asked(asker(1, Some(1_000_000)), now);
        let mut pictures = 0;
        while size(steer.quality()) > 44_000 {
            steer.encoded(size(steer.quality()), INTERVAL);
            pictures += 1;
        }
        assert!(pictures <= 3, "{pictures}");
        for _ in 0..50 {
            steer.encoded(size(steer.quality()), INTERVAL);
            assert!((30_000..48_000).contains(&size(steer.quality())), "{}", size(steer.quality()));
        }
        steer.asked(asker(1, None), now);
        pictures = 0;
        while steer.quality() < 90 {
            steer.encoded(size(steer.quality()), INTERVAL);
            pictures += 1;
        }
        assert!((5..100).contains(&pictures), "{pictures}");
    }

    #[test]
    fn the_widest_link_counts_until_it_is_gone() {
        let now = Instant::now();
        let mut steer = Steer::new(90);
        steer.asked(asker(1, Some(100_000)), now);
        steer.asked(asker(2, Some(300_000)), now);
        assert_eq!(steer.limit(), Some(300_000));
        steer.asked(asker(3, None), now);
        assert_eq!(steer.limit(), None);
        steer.asked(asker(1, Some(200_000)), now + FORGOTTEN);
        assert_eq!(steer.limit(), Some(200_000), "the others did not ask");
    }

    #[test]
    fn no_link_makes_it_worse_than_the_floor() {
        let mut steer = Steer::new(60);
        steer.asked(asker(1, Some(1)), Instant::now());
        assert!(steer.encoded(50_000, INTERVAL), "the next one is coarser");
        for _ in 0..20 {
            steer.encoded(50_000, INTERVAL);
        }
        assert!(!steer.encoded(50_000, INTERVAL), "as coarse as it gets");
        assert_eq!(f32::from(steer.quality()), FLOOR);
    }
}
