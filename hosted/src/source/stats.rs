//! [`SourceStats`]: what a source tells about its own work, for `--stats`.

use std::sync::atomic::{AtomicU64, Ordering};

use rustix::time::{ClockId, clock_gettime};

/// Counters that the source's thread writes and anyone may read at any time.
#[derive(Debug, Default)]
pub struct SourceStats {
    submitted: AtomicU64,
    draws: AtomicU64,
    done: AtomicU64,
    cpu_us: AtomicU64,
}

impl SourceStats {
    /// Frames published so far.
    pub fn submitted(&self) -> u64 {
        self.submitted.load(Ordering::Relaxed)
    }

    /// Draws into scanouts so far.
    pub fn draws(&self) -> u64 {
        self.draws.load(Ordering::Relaxed)
    }

    /// How many of them are done.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// CPU time that the source's thread has used so far, in milliseconds (`gen_ms`). It is brought
    /// up to date at least with every frame, so it may lag while the source sleeps, where it costs
    /// nothing.
    pub fn cpu_ms(&self) -> f64 {
        self.cpu_us.load(Ordering::Relaxed) as f64 / 1e3
    }

    /// Counts one published frame.
    pub(super) fn count_frame(&self) {
        self.submitted.fetch_add(1, Ordering::Relaxed);
        self.note_cpu();
    }

    /// Counts one draw into a scanout.
    pub(super) fn count_draw(&self) {
        self.draws.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts the completion of a draw.
    pub(super) fn count_done(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes the calling thread's CPU time; only the source's own thread may call it.
    pub(super) fn note_cpu(&self) {
        let used = clock_gettime(ClockId::ThreadCPUTime);
        let us = (used.tv_sec as u64).saturating_mul(1_000_000).saturating_add(used.tv_nsec as u64 / 1000);
        self.cpu_us.store(us, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_frames_and_only_grows() {
        let stats = SourceStats::default();
        stats.count_frame();
        let before = stats.cpu_ms();
        let mut sum = 0_u64;
        while stats.cpu_ms() <= before {
            sum = sum.wrapping_mul(31).wrapping_add(7);
            stats.note_cpu();
        }
        assert_eq!(stats.submitted(), 1);
        assert!(std::hint::black_box(sum) != 1);
    }
}
