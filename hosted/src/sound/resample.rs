//! [`Resampler`]: stereo sound at another rate, so that Opus, which has few rates, can carry it.
//!
//! Each sample out is a weighted sum of the samples in around its time; the weights are a windowed
//! sinc, one set for each place that a sample out can have between two samples in.

use std::f64::consts::PI;

/// Places between two samples, at most: 44.1 kHz to 48 kHz has 160, 11.025 kHz has 640.
const PHASES_MOST: u32 = 640;
/// Samples in that make one out, when the rate does not fall.
const TAPS: u32 = 48;
/// The part of the band that is kept; beyond it the filter falls.
const PASSBAND: f64 = 0.92;

/// From one rate to another.
pub(crate) struct Resampler {
    /// Places between two samples in, and how many of them a sample out is behind the one before.
    phases: usize,
    step: usize,
    taps: usize,
    /// `taps` weights for each place.
    weights: Vec<f32>,
    /// Samples in that are still needed.
    input: Vec<[f32; 2]>,
    phase: usize,
}

impl Resampler {
    /// `None` when the rates have too little in common.
    pub(crate) fn new(from: u32, to: u32) -> Option<Self> {
        let common = common_divisor(from, to);
        let (phases, step) = (to / common, from / common);
        if phases > PHASES_MOST {
            return None;
        }
        let falls = f64::from(to) / f64::from(from);
        let taps = (f64::from(TAPS) / falls.min(1.0)).ceil() as u32 & !1;
        let weights =
            (0..phases).flat_map(|phase| weights(f64::from(phase) / f64::from(phases), taps, falls)).collect();
        let [phases, step, taps] = [phases, step, taps].map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        Some(Self { phases, step, taps, weights, input: vec![[0.0; 2]; taps / 2 - 1], phase: 0 })
    }

    /// Takes samples, left and right in turn; answers those that they come to.
    pub(crate) fn push(&mut self, samples: impl Iterator<Item = [i16; 2]>) -> Vec<i16> {
        self.input.extend(samples.map(|sample| sample.map(f32::from)));
        let (mut at, mut out) = (0, Vec::new());
        while let Some(near) = self.input.get(at..at + self.taps) {
            let weights = self.weights.iter().skip(self.phase * self.taps);
            let sum = near.iter().zip(weights).fold([0.0; 2], |[l, r], ([a, b], w)| [l + a * w, r + b * w]);
            // A cast keeps to the range.
            out.extend(sum.map(|n: f32| n.round() as i16));
            self.phase += self.step;
            at += self.phase / self.phases;
            self.phase %= self.phases;
        }
        self.input.drain(..at.min(self.input.len()));
        out
    }
}

/// Weights of the samples around a place, which add up to 1.
fn weights(place: f64, taps: u32, falls: f64) -> Vec<f32> {
    let (half, cutoff) = (f64::from(taps) / 2.0, falls.min(1.0) * PASSBAND);
    let weight = |n: u32| {
        let t = f64::from(n) - (half - 1.0) - place;
        let x = PI * cutoff * t;
        let sinc = if x == 0.0 { 1.0 } else { x.sin() / x };
        // Blackman's window.
        let w = PI * t / half;
        sinc * (0.42 + 0.5 * w.cos() + 0.08 * (2.0 * w).cos())
    };
    let all: Vec<f64> = (0..taps).map(weight).collect();
    let sum: f64 = all.iter().sum();
    all.into_iter().map(|n| (n / sum) as f32).collect()
}

fn common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A second of a tone, louder on the left.
    fn tone(hz: f64, rate: u32) -> Vec<[i16; 2]> {
        let sample = |n: u32| (2.0 * PI * hz * f64::from(n) / f64::from(rate)).sin();
        (0..rate).map(|n| [16_000.0, 8000.0].map(|loud| (sample(n) * loud).round() as i16)).collect()
    }

    fn resampled(from: u32, to: u32, samples: &[[i16; 2]]) -> Vec<[i16; 2]> {
        let mut resampler = Resampler::new(from, to).unwrap();
        // In pieces that fit nothing.
        let out = samples.chunks(333).flat_map(|piece| resampler.push(piece.iter().copied()));
        out.collect::<Vec<_>>().as_chunks().0.to_vec()
    }

    /// How much louder the tone is than all that differs from it, in dB, whatever the phase.
    fn purity(samples: &[[i16; 2]], hz: f64, rate: u32) -> f64 {
        let left: Vec<f64> = samples.iter().map(|sample| f64::from(sample[0])).collect();
        let at = |n: usize| 2.0 * PI * hz * n as f64 / f64::from(rate);
        let part = |f: fn(f64) -> f64| {
            left.iter().enumerate().map(|(n, s)| s * f(at(n))).sum::<f64>() * 2.0 / left.len() as f64
        };
        let (sin, cos) = (part(f64::sin), part(f64::cos));
        let rest: f64 = left.iter().enumerate().map(|(n, s)| (s - sin * at(n).sin() - cos * at(n).cos()).powi(2)).sum();
        let wanted = (sin * sin + cos * cos) / 2.0 * left.len() as f64;
        10.0 * (wanted / rest).log10()
    }

    #[test]
    fn a_tone_stays_the_same_tone() {
        for (from, to) in [(44_100, 48_000), (48_000, 44_100), (22_050, 48_000), (32_000, 48_000), (96_000, 48_000)] {
            for hz in [100.0, 1000.0, 7000.0] {
                let out = resampled(from, to, &tone(hz, from));
                assert!(out.len().abs_diff(to as usize) < 100, "{from} to {to}: {} samples in a second", out.len());
                // Whole periods; the beginning and the end lack their neighbours.
                let middle = &out[1000..1000 + to as usize / 2];
                let purity = purity(middle, hz, to);
                assert!(purity > 70.0, "{from} to {to}, {hz} Hz: {purity} dB");
                assert!(middle.iter().all(|[l, r]| (l / 2).abs_diff(*r) <= 2), "channels do not mix");
            }
        }
    }

    #[test]
    fn what_the_new_rate_cannot_have_is_gone() {
        let out = resampled(96_000, 48_000, &tone(30_000.0, 96_000));
        assert!(out[1000..40_000].iter().flatten().all(|sample| sample.abs() < 16), "-60 dB");
    }

    #[test]
    fn the_loudest_stays_in_range_and_odd_rates_are_left_alone() {
        let square: Vec<_> = (0..44_100).map(|n| if n / 50 % 2 == 0 { [i16::MAX; 2] } else { [i16::MIN; 2] }).collect();
        let out = resampled(44_100, 48_000, &square);
        assert!(out.iter().flatten().any(|&sample| sample == i16::MAX));
        assert!(Resampler::new(44_101, 48_000).is_none());
        assert!(Resampler::new(11_025, 48_000).is_some());
    }
}
