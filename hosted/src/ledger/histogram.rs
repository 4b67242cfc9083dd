//! [`Histogram`]: how long something took, in fixed buckets.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How long something took: counts in [`BOUNDS`].
#[derive(Debug, Default)]
pub struct Histogram {
    /// The last one is for what took longer than all bounds.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    sum_us: AtomicU64,
    max_us: AtomicU64,
}

/// Upper bounds of a histogram's buckets in microseconds, each included: 0.1 ms to 5 s.
pub const BOUNDS: [u64; 15] = [
    100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 2_000_000, 5_000_000,
];

/// A histogram in a few figures.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// How often.
    pub n: u64,
    /// What half of them did not exceed, in milliseconds, as exact as the buckets are.
    pub p50_ms: f64,
    /// What 99 of 100 did not exceed, likewise.
    pub p99_ms: f64,
    /// The longest one, exactly.
    pub max_ms: f64,
}

impl Histogram {
    pub(super) fn note(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let at = BOUNDS.partition_point(|bound| *bound < us);
        if let Some(bucket) = self.buckets.get(at) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.sum_us.fetch_add(us, Ordering::Relaxed);
        self.max_us.fetch_max(us, Ordering::Relaxed);
    }

    /// Counts per bucket; the last one is for what took longer than all of [`BOUNDS`].
    pub fn counts(&self) -> [u64; BOUNDS.len() + 1] {
        self.buckets.each_ref().map(|bucket| bucket.load(Ordering::Relaxed))
    }

    /// Of all, in microseconds.
    pub fn sum_us(&self) -> u64 {
        self.sum_us.load(Ordering::Relaxed)
    }

    /// In a few figures. Within a bucket values are taken to be spread evenly.
    pub fn figures(&self) -> Figures {
        let counts = self.counts();
        let (n, max_us) = (counts.iter().sum(), self.max_us.load(Ordering::Relaxed));
        let at = |percent| quantile(&counts, n, max_us, percent) / 1e3;
        Figures { n, p50_ms: at(50), p99_ms: at(99), max_ms: max_us as f64 / 1e3 }
    }
}

/// In microseconds.
fn quantile(counts: &[u64], n: u64, max_us: u64, percent: u64) -> f64 {
    let rank = n as f64 * percent as f64 / 100.0;
    let (mut below, mut low) = (0, 0);
    for (&count, high) in counts.iter().zip(BOUNDS.into_iter().chain([max_us])) {
        let high = high.min(max_us);
        if count > 0 && (below + count) as f64 >= rank {
            let part = (rank - below as f64) / count as f64;
            return low as f64 + high.saturating_sub(low) as f64 * part;
        }
        (below, low) = (below + count, high);
    }
    max_us as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(micros: impl IntoIterator<Item = u64>) -> Figures {
        let histogram = Histogram::default();
        micros.into_iter().for_each(|us| histogram.note(Duration::from_micros(us)));
        histogram.figures()
    }

    #[test]
    fn a_bound_belongs_to_its_bucket_and_nothing_is_lost() {
        let histogram = Histogram::default();
        for us in [0, 100, 101, 5_000_000, 5_000_001] {
            histogram.note(Duration::from_micros(us));
        }
        histogram.note(Duration::MAX);
        let counts = histogram.counts();
        assert_eq!((counts[0], counts[1], counts[14], counts[15]), (2, 1, 1, 2));
        assert_eq!(counts.iter().sum::<u64>(), 6);
        assert!(BOUNDS.is_sorted());
    }

    #[test]
    fn quantiles_lie_in_their_bucket_and_never_beyond_the_longest() {
        assert_eq!(figures([]), Figures::default());
        let one = figures([700]);
        assert_eq!((one.n, one.max_ms), (1, 0.7));
        assert!((0.5..=0.7).contains(&one.p50_ms) && (0.5..=0.7).contains(&one.p99_ms), "{one:?}");
        // 90 short ones and 10 long ones.
        let many = figures((0..100).map(|n| if n < 90 { 1500 } else { 8_000_000 }));
        assert!((1.0..=2.0).contains(&many.p50_ms), "{many:?}");
        assert!((5000.0..=8000.0).contains(&many.p99_ms), "{many:?}");
        assert_eq!(many.max_ms, 8000.0);
    }
}
