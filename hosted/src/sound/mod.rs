//! Sound, between a source's threads and the engine's: [`Playback`] to all viewers, [`Record`] from
//! one of them.
//!
//! ```text
//!  source ─write─► Playback ─► PlaybackHub: packets of 10 ms, coded once ─► each listener
//!  source ◄─read── Record   ◄─ RecordHub ◄─ decoded ◄─ the viewer that is recorded
//! ```
//!
//! Samples are signed 16-bit little-endian, two channels interleaved. Nothing waits and nothing
//! piles up: what is not taken in time is lost, the oldest first.

mod hub;
mod opus;
mod playback;
mod record;
mod resample;

use std::sync::Arc;

use tokio::sync::Notify;

pub(crate) use hub::{Packet, PlaybackHub, Stream};
pub(crate) use opus::{Decoder, is_there as opus_is_there, report as report_opus};
pub use playback::Playback;
pub use record::Record;
pub(crate) use record::RecordHub;
pub(crate) use resample::Resampler;

/// Bytes of a sample of both channels.
pub(crate) const SAMPLE_BYTES: usize = 4;

/// How loud.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Volume {
    /// Of the left channel; 65535 is the loudest.
    pub left: u16,
    /// Of the right channel.
    pub right: u16,
    /// Whether nothing is to be heard, whatever the rest says.
    pub muted: bool,
}

/// A frequency that sound cannot have here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} samples a second are not possible, {min} to {max} are", min = RATES.start(), max = RATES.end())]
pub struct RateError(pub u32);

/// Samples of a channel in a second.
const RATES: std::ops::RangeInclusive<u32> = 8_000..=192_000;

/// The source's end of both directions. A clone is another handle; any thread may use it.
#[derive(Clone, Debug, Default)]
pub struct Sound {
    playback: Playback,
    record: Record,
}

impl Sound {
    /// `arrived` is notified when the engine should look.
    pub(crate) fn new(arrived: &Arc<Notify>) -> Self {
        Self { playback: Playback::new(Arc::clone(arrived)), record: Record::new(Arc::clone(arrived)) }
    }

    /// Sound for the viewers. There is one stream of it.
    pub fn playback(&self) -> &Playback {
        &self.playback
    }

    /// Sound from a viewer. There is one stream of it.
    pub fn record(&self) -> &Record {
        &self.record
    }
}

impl Default for Volume {
    fn default() -> Self {
        Self { left: u16::MAX, right: u16::MAX, muted: false }
    }
}

fn check_rate(rate: u32) -> Result<u32, RateError> {
    if RATES.contains(&rate) { Ok(rate) } else { Err(RateError(rate)) }
}

/// The rate to which sound of this rate is brought so that it can be Opus; the same where it need
/// not or cannot.
pub(crate) fn wire_rate(rate: u32) -> u32 {
    const WIRE_RATE: u32 = 48_000;
    let is_odd = opus::is_there() && !opus::RATES.contains(&rate);
    if is_odd && Resampler::new(rate, WIRE_RATE).is_some() { WIRE_RATE } else { rate }
}

/// Bytes of this many milliseconds at `rate`.
fn bytes_of(rate: u32, ms: u32) -> usize {
    let samples = u64::from(rate) * u64::from(ms) / 1000;
    usize::try_from(samples).unwrap_or(usize::MAX).saturating_mul(SAMPLE_BYTES)
}
