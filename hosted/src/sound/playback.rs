//! [`Playback`]: what a source plays, until the engine takes it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{RateError, SAMPLE_BYTES, Volume, bytes_of, check_rate};

/// Milliseconds of sound that wait for the engine; it takes them at once unless it is busy.
const WAITING_MS: u32 = 200;

/// The source's end of the playback channel. A clone is another handle; any thread may use it.
#[derive(Clone, Debug, Default)]
pub struct Playback {
    letters: Arc<Mutex<Letters>>,
    arrived: Arc<Notify>,
}

/// What was said and not taken.
#[derive(Debug, Default)]
struct Letters {
    /// Samples a second while the stream runs.
    rate: Option<u32>,
    samples: VecDeque<u8>,
    volume: Volume,
}

/// What the engine finds.
#[derive(Debug)]
pub(super) struct News {
    /// Samples a second while the stream runs.
    pub(super) rate: Option<u32>,
    pub(super) samples: Vec<u8>,
    pub(super) volume: Volume,
}

impl Playback {
    pub(super) fn new(arrived: Arc<Notify>) -> Self {
        Self { letters: Arc::default(), arrived }
    }

    /// The stream runs from now on, with this many samples of each channel in a second; 8000 to
    /// 192000. Opus has 8000, 12000, 16000, 24000 and 48000; of the others those that have enough in
    /// common with 48000, such as 44100, are brought to that, and the rest is sent as it is.
    pub fn start(&self, rate: u32) -> Result<(), RateError> {
        let rate = check_rate(rate)?;
        self.put(|letters| {
            if letters.rate.is_some_and(|before| before != rate) {
                letters.samples.clear();
            }
            letters.rate = Some(rate);
        });
        Ok(())
    }

    /// Plays these samples behind those before: signed 16-bit little-endian, left and right in turn.
    /// Part of a sample at the end, and everything while the stream is stopped, is dropped.
    pub fn write(&self, samples: &[u8]) {
        let whole = samples.get(..samples.len() - samples.len() % SAMPLE_BYTES).unwrap_or_default();
        self.put(|letters| {
            let Some(rate) = letters.rate else { return };
            letters.samples.extend(whole);
            let over = letters.samples.len().saturating_sub(bytes_of(rate, WAITING_MS));
            letters.samples.drain(..over.next_multiple_of(SAMPLE_BYTES).min(letters.samples.len()));
        });
    }

    /// The stream stops behind what was written; viewers are sent nothing until it starts again.
    pub fn stop(&self) {
        self.put(|letters| letters.rate = None);
    }

    /// How loud the viewers are to play it.
    pub fn set_volume(&self, volume: Volume) {
        self.put(|letters| letters.volume = volume);
    }

    pub(super) fn take(&self) -> News {
        let mut letters = self.lock();
        let samples = std::mem::take(&mut letters.samples).into();
        News { rate: letters.rate, samples, volume: letters.volume }
    }

    fn put(&self, change: impl FnOnce(&mut Letters)) {
        change(&mut self.lock());
        self.arrived.notify_one();
    }

    /// A panic of another thread leaves only sound behind.
    fn lock(&self) -> MutexGuard<'_, Letters> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_lost_when_nobody_takes_it() {
        let playback = Playback::default();
        playback.write(&[1; 8]);
        assert!(playback.take().samples.is_empty(), "stopped");
        playback.start(8000).unwrap();
        for n in 0..100 {
            playback.write(&[n; 320]);
        }
        let news = playback.take();
        assert_eq!((news.rate, news.samples.len()), (Some(8000), 6400));
        assert_eq!((news.samples[0], news.samples[6399]), (80, 99));
        assert!(playback.take().samples.is_empty());
    }

    #[test]
    fn what_was_written_before_a_stop_is_played_and_another_rate_begins_afresh() {
        let playback = Playback::default();
        playback.start(48_000).unwrap();
        playback.write(&[7; 6]);
        playback.stop();
        playback.write(&[8; 8]);
        let news = playback.take();
        assert_eq!((news.rate, news.samples), (None, vec![7; 4]), "no part of a sample");
        playback.start(48_000).unwrap();
        playback.write(&[1; 4]);
        playback.start(44_100).unwrap();
        assert!(playback.take().samples.is_empty());
    }

    #[test]
    fn rates_are_checked_at_their_limits() {
        for (rate, ok) in [(0, false), (7_999, false), (8_000, true), (192_000, true), (192_001, false)] {
            assert_eq!(Playback::default().start(rate).is_ok(), ok, "{rate}");
        }
        assert_eq!(RateError(9).to_string(), "9 samples a second are not possible, 8000 to 192000 are");
    }
}
