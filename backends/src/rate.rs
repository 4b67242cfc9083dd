//! A rate loop for encoders that know only a quantiser: holds a bitrate by choosing it anew for
//! each picture.

/// Chooses quantiser steps, as powers of two, so that pictures use a number of bytes on average.
///
/// The model is that one power of two more in the quantiser's step halves the bytes; that is off
/// by up to a factor of two in either direction, so a picture corrects only half of what it was
/// wrong by, and what was overspent is paid back over the next half second.
#[derive(Clone, Debug)]
pub(crate) struct RateLoop {
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
    pub(crate) fn new(step: f32, finest: f32, coarsest: f32) -> Self {
        let step = step.clamp(finest, coarsest);
        Self { step, finest, coarsest, budget: 1.0, horizon: 1.0, debt: 0.0 }
    }

    /// What to aim at from the next picture on.
    pub(crate) fn aim(&mut self, bits_per_second: u32, fps: u32) {
        let fps = fps.max(1) as f32;
        self.budget = (bits_per_second as f32 / 8.0 / fps).max(1.0);
        self.horizon = (fps / 2.0).max(1.0);
        let bound = self.budget * self.horizon;
        self.debt = self.debt.clamp(-bound, bound);
    }

    /// log2 of the quantiser's step for the next picture.
    pub(crate) fn step(&self) -> f32 {
        self.step
    }

    /// What the picture took. `alone`: it stood alone among pictures that lean on the one before,
    /// so that its size says nothing about theirs, but must be paid back.
    pub(crate) fn spent(&mut self, bytes: usize, alone: bool) {
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
