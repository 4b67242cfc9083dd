//! Quantisers: what a quality means on each codec's scale, and a loop that holds a bitrate for
//! encoders that know nothing else.
use crate::{Rate, Tuning};

/// The scale on which an encoder takes its quantiser, as one number per picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// libjpeg's quality, 1 to 100, larger is finer.
    Jpeg,
    /// H.264's and HEVC's QP, 0 to 51: six more double the step.
    H26x,
    /// VP8's and VP9's quantiser as their libraries and V4L2 count it, 0 to 63.
    Vpx,
    /// FWHT's quantiser, 1 to 31: the step itself.
    Fwht,
}

impl Scale {
    /// Finest and coarsest value that a bitrate may lead to: beyond the first bytes are spent that
    /// nobody sees, beyond the second nothing can be recognised.
    fn bounds(self) -> (u8, u8) {
        match self {
            Self::Jpeg => (90, 15),
            Self::H26x => (16, 46),
            Self::Vpx => (6, 60),
            Self::Fwht => (1, 31),
        }
    }

    /// The value for a [`Rate::Quality`].
    pub(crate) fn of_quality(self, quality: u8) -> u8 {
        let quality = quality.clamp(1, 100);
        let worse = 100 - quality;
        match self {
            Self::Jpeg => quality,
            // 100 is QP 12, where nothing can be told from the source, 80 is 23, 20 less cost 7.
            Self::H26x if worse <= 20 => 12 + worse * 11 / 20,
            Self::H26x => 23 + (worse - 20) / 20 * 7 + (worse - 20) % 20 * 7 / 20,
            Self::Vpx => 2 + worse / 2 + worse / 10,
            // Its tables alone cost text more than the default quality should: from there on the finest.
            Self::Fwht => 1 + worse.saturating_sub(10) / 4,
        }
    }

    /// log2 of the quantiser's step.
    fn step(self, value: u8) -> f32 {
        let number = f32::from(value);
        match self {
            Self::Jpeg if value < 50 => (5000.0 / number.max(1.0)).log2(),
            Self::Jpeg => (200.0 - 2.0 * number.min(99.0)).log2(),
            Self::H26x => number / 6.0,
            Self::Vpx => number / 9.0,
            Self::Fwht => number.max(1.0).log2(),
        }
    }

    /// The inverse of [`step`](Self::step), within [`bounds`](Self::bounds).
    fn value(self, step: f32) -> u8 {
        let number = match self {
            Self::Jpeg if step.exp2() > 100.0 => 5000.0 / step.exp2(),
            Self::Jpeg => (200.0 - step.exp2()) / 2.0,
            Self::H26x => step * 6.0,
            Self::Vpx => step * 9.0,
            Self::Fwht => step.exp2(),
        };
        let (a, b) = self.bounds();
        // `as` saturates.
        (number.round() as u8).clamp(a.min(b), a.max(b))
    }

    /// Where to begin when a picture is to take this many bits per pixel.
    fn begin(self, bits_per_pixel: f32) -> f32 {
        match self {
            Self::Jpeg => self.step(75),
            // A tenth of a bit is about right at QP 28.
            Self::H26x | Self::Vpx => 28.0 / 6.0 - (bits_per_pixel / 0.1).log2(),
            Self::Fwht => self.step(8),
        }
    }
}

/// Chooses the quantiser of each picture: the same for all, or the one that holds a bitrate.
#[derive(Clone, Debug)]
pub(crate) struct Quantiser {
    scale: Scale,
    pixels: u32,
    aim: Aim,
}

#[derive(Clone, Debug)]
enum Aim {
    Fixed(u8),
    Bitrate(RateLoop),
}

impl Quantiser {
    /// For pictures of this many pixels.
    pub(crate) fn new(scale: Scale, tuning: &Tuning, pixels: u32) -> Self {
        let mut new = Self { scale, pixels: pixels.max(1), aim: Aim::Fixed(scale.of_quality(75)) };
        new.retune(tuning);
        new
    }

    pub(crate) fn retune(&mut self, tuning: &Tuning) {
        match (tuning.rate, &mut self.aim) {
            (Rate::Quality(quality), aim) => *aim = Aim::Fixed(self.scale.of_quality(quality)),
            (Rate::Bitrate(bits), Aim::Bitrate(rate)) => rate.aim(bits, tuning.fps),
            (Rate::Bitrate(bits), aim) => {
                let per_pixel = bits as f32 / tuning.fps as f32 / self.pixels as f32;
                let (finest, coarsest) = self.scale.bounds();
                let (finest, coarsest) = (self.scale.step(finest), self.scale.step(coarsest));
                let mut rate = RateLoop::new(self.scale.begin(per_pixel), finest, coarsest);
                rate.aim(bits, tuning.fps);
                *aim = Aim::Bitrate(rate);
            }
        }
    }

    /// The value for the next picture.
    pub(crate) fn value(&self) -> u8 {
        match &self.aim {
            Aim::Fixed(value) => *value,
            Aim::Bitrate(rate) => self.scale.value(rate.step()),
        }
    }

    /// See [`RateLoop::spent`].
    pub(crate) fn spent(&mut self, bytes: usize, alone: bool) {
        if let Aim::Bitrate(rate) = &mut self.aim {
            rate.spent(bytes, alone);
        }
    }
}

/// Chooses quantiser steps, as powers of two, so that pictures use a number of bytes on average.
///
/// The model is that one power of two more in the quantiser's step halves the bytes; that is off
/// by up to a factor of two in either direction, so a picture corrects only half of what it was
/// wrong by, and what was overspent is paid back over the next half second.
#[derive(Clone, Debug)]
struct RateLoop {
    /// log2 of the quantiser's step.
    step: f32,
    finest: f32,
    coarsest: f32,
    /// Bytes per picture.
    budget: f32,
    /// Pictures in half a second.
    horizon: f32,
    /// Bytes spent beyond the budget, or saved when below 0.
    debt: f32,
}

impl RateLoop {
    /// Part of an error that one picture corrects.
    const GAIN: f32 = 0.5;

    /// Begins at `step` and stays within `finest..=coarsest`.
    fn new(step: f32, finest: f32, coarsest: f32) -> Self {
        let step = step.clamp(finest, coarsest);
        Self { step, finest, coarsest, budget: 1.0, horizon: 1.0, debt: 0.0 }
    }

    /// What to aim at from the next picture on.
    fn aim(&mut self, bits_per_second: u32, fps: u32) {
        let fps = fps.max(1) as f32;
        self.budget = (bits_per_second as f32 / 8.0 / fps).max(1.0);
        self.horizon = (fps / 2.0).max(1.0);
        let bound = self.budget * self.horizon;
        self.debt = self.debt.clamp(-bound, bound);
    }

    /// log2 of the quantiser's step for the next picture.
    fn step(&self) -> f32 {
        self.step
    }

    /// What the picture took. `alone`: it stood alone among pictures that lean on the one before,
    /// so that its size says nothing about theirs, but must be paid back.
    fn spent(&mut self, bytes: usize, alone: bool) {
        let bytes = (bytes as f32).max(1.0);
        let bound = self.budget * self.horizon;
        self.debt = (self.debt + bytes - self.budget).clamp(-bound, bound);
        if !alone {
            let wanted = (self.budget - self.debt / self.horizon).max(self.budget / 8.0);
            let off = (bytes / wanted).log2();
            self.step = (self.step + Self::GAIN * off).clamp(self.finest, self.coarsest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of a picture in a codec whose bytes fall by 2^-slope per power of two of the step.
    fn picture(slope: f32, step: f32, complexity: f32) -> usize {
        (complexity * (-slope * step).exp2()) as usize
    }

    const SCALES: [Scale; 4] = [Scale::Jpeg, Scale::H26x, Scale::Vpx, Scale::Fwht];

    #[test]
    fn value_and_step_are_inverse() {
        for scale in SCALES {
            let (a, b) = scale.bounds();
            for value in a.min(b)..=a.max(b) {
                assert_eq!(scale.value(scale.step(value)), value, "{scale:?}");
            }
            assert_eq!((scale.value(-99.0), scale.value(99.0)), (a, b), "{scale:?}");
            assert!(scale.step(a) < scale.step(b), "{scale:?}");
        }
    }

    #[test]
    fn a_better_quality_is_never_a_coarser_step() {
        for scale in SCALES {
            let steps: Vec<f32> = (1..=100).map(|q| scale.step(scale.of_quality(q))).collect();
            assert!(steps.is_sorted_by(|a, b| a >= b), "{scale:?}");
        }
        assert_eq!([1, 80, 100].map(|q| Scale::H26x.of_quality(q)), [50, 23, 12]);
        assert_eq!([1, 100].map(|q| Scale::Vpx.of_quality(q)), [60, 2]);
        assert_eq!([1, 90, 100].map(|q| Scale::Fwht.of_quality(q)), [23, 1, 1]);
    }

    #[test]
    fn it_holds_the_budget_for_codecs_of_both_slopes() {
        for slope in [0.5, 0.8, 1.0, 1.5] {
            let mut rate = RateLoop::new(4.0, -4.0, 12.0);
            rate.aim(8_000_000, 25);
            let mut spent = 0;
            for n in 0..200 {
                let bytes = picture(slope, rate.step(), 400_000.0);
                rate.spent(bytes, false);
                spent += if n >= 100 { bytes } else { 0 };
            }
            let average = spent / 100;
            assert!((36_000..44_000).contains(&average), "slope {slope}: {average} instead of 40000");
        }
    }

    #[test]
    fn a_key_frame_is_paid_back() {
        let mut rate = RateLoop::new(4.0, 0.0, 8.0);
        rate.aim(8_000_000, 25);
        let settled = {
            (0..50).for_each(|_| rate.spent(picture(1.0, rate.step(), 640_000.0), false));
            rate.step()
        };
        rate.spent(400_000, true);
        assert_eq!(rate.step(), settled);
        (0..5).for_each(|_| rate.spent(picture(1.0, rate.step(), 640_000.0), false));
        assert!(rate.step() > settled + 0.3, "{} after {settled}", rate.step());
    }

    #[test]
    fn it_stays_in_its_range() {
        let mut rate = RateLoop::new(9.0, 0.0, 5.0);
        assert_eq!(rate.step(), 5.0);
        rate.aim(1, u32::MAX);
        (0..100).for_each(|_| rate.spent(usize::MAX, false));
        assert_eq!(rate.step(), 5.0);
        rate.aim(u32::MAX, 1);
        (0..100).for_each(|_| rate.spent(0, false));
        assert_eq!(rate.step(), 0.0);
    }
}
