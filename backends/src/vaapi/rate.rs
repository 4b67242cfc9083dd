//! How a device is told what to aim at, by what it offers.
use crate::{
    Rate, RateControl, Tuning,
    rate::{Quantiser, Scale},
};

use super::{
    bindings as va,
    sys::{Failure, Misc, Told},
};

/// The ways a device may offer, as bits of VAConfigAttribRateControl.
pub(super) const MODES: [(RateControl, u32); 4] = [
    (RateControl::Cbr, va::VA_RC_CBR),
    (RateControl::Vbr, va::VA_RC_VBR),
    (RateControl::Qvbr, va::VA_RC_QVBR),
    (RateControl::Cqp, va::VA_RC_CQP),
];

/// The ways of a device that suit an aim, best first.
pub(super) fn preferred(offered: u32, rate: Rate) -> Vec<RateControl> {
    let order = match rate {
        Rate::Bitrate(_) => [RateControl::Cbr, RateControl::Vbr, RateControl::Cqp, RateControl::Qvbr],
        Rate::Quality(_) => [RateControl::Cqp, RateControl::Qvbr, RateControl::Vbr, RateControl::Cbr],
    };
    order.into_iter().filter(|mode| offered & bit(*mode) != 0).collect()
}

/// A mode as libva's bit.
pub(super) fn bit(mode: RateControl) -> u32 {
    MODES.iter().find(|(m, _)| *m == mode).map_or(va::VA_RC_NONE, |(_, bit)| *bit)
}

/// What steers the size of pictures.
pub(super) struct Steering {
    mode: RateControl,
    scale: Scale,
    tuning: Tuning,
    pixels: u32,
    /// In CQP: one quantiser per picture, also for a bitrate.
    quantiser: Quantiser,
    /// What the device must be told with the next picture.
    news: bool,
}

impl Steering {
    pub(super) fn new(mode: RateControl, scale: Scale, tuning: &Tuning, pixels: u32) -> Self {
        let quantiser = Quantiser::new(scale, tuning, pixels);
        Self { mode, scale, tuning: *tuning, pixels, quantiser, news: true }
    }

    pub(super) fn retune(&mut self, tuning: &Tuning) {
        self.quantiser.retune(tuning);
        self.tuning = *tuning;
        self.news = true;
    }

    /// Bits per second, also where a quality was asked for.
    pub(super) fn bits(&self) -> u32 {
        self.tuning.bits(self.pixels)
    }

    pub(super) fn fps(&self) -> u32 {
        self.tuning.fps
    }

    /// The quantiser of the next picture, on its scale: the device's own business unless in CQP.
    pub(super) fn qp(&self) -> Option<u8> {
        (self.mode == RateControl::Cqp).then(|| self.quantiser.value())
    }

    /// After a picture was encoded.
    pub(super) fn spent(&mut self, bytes: usize, alone: bool) {
        self.quantiser.spent(bytes, alone);
    }

    /// Says what is new since the picture before, and everything with a key frame.
    pub(super) fn tell(&mut self, told: &mut Told<'_>, keyframe: bool) -> Result<(), Failure> {
        if !std::mem::take(&mut self.news) && !keyframe {
            return Ok(());
        }
        let rate = va::VAEncMiscParameterFrameRate { framerate: self.tuning.fps, ..Default::default() };
        told.parameter(&Misc { kind: va::VAEncMiscParameterTypeFrameRate, data: rate })?;
        if self.mode == RateControl::Cqp {
            return Ok(());
        }
        let bits = self.bits();
        let mut control = va::VAEncMiscParameterRateControl {
            // For all but CBR the number is the peak, of which `target_percentage` is aimed at.
            bits_per_second: if self.mode == RateControl::Cbr { bits } else { bits.saturating_add(bits / 2) },
            target_percentage: if self.mode == RateControl::Cbr { 100 } else { 67 },
            window_size: 500,
            ..Default::default()
        };
        if self.mode == RateControl::Qvbr {
            // Of a bitrate, the quality beyond which bits are not worth spending.
            let quality = if let Rate::Quality(quality) = self.tuning.rate { quality } else { 90 };
            // H.264's is its QP; VP9's counts to 255.
            let value = u32::from(self.scale.of_quality(quality));
            control.quality_factor = if self.scale == Scale::Vpx { value * 4 } else { value };
        }
        // disable_frame_skip at 1, disable_bit_stuffing at 2.
        control.rc_flags.value = 1 << 1 | 1 << 2;
        told.parameter(&Misc { kind: va::VAEncMiscParameterTypeRateControl, data: control })?;
        // Half a second of buffer: short enough that no picture waits behind a large one for long.
        let half = (bits / 2).max(1);
        let hrd =
            va::VAEncMiscParameterHRD { initial_buffer_fullness: half / 2, buffer_size: half, ..Default::default() };
        told.parameter(&Misc { kind: va::VAEncMiscParameterTypeHRD, data: hrd })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_offered_decides() {
        let all = va::VA_RC_CBR | va::VA_RC_VBR | va::VA_RC_CQP | va::VA_RC_QVBR;
        assert_eq!(preferred(all, Rate::Bitrate(1))[0], RateControl::Cbr);
        assert_eq!(preferred(all, Rate::Quality(1))[0], RateControl::Cqp);
        assert_eq!(preferred(va::VA_RC_CQP, Rate::Bitrate(1)), [RateControl::Cqp]);
        assert_eq!(preferred(va::VA_RC_VBR | va::VA_RC_QVBR, Rate::Quality(1)), [RateControl::Qvbr, RateControl::Vbr]);
        assert!(preferred(va::VA_RC_NONE, Rate::Quality(1)).is_empty());
    }

    #[test]
    fn only_cqp_has_a_quantiser_of_ours() {
        let tuning = Tuning { rate: Rate::Quality(80), fps: 30 };
        assert_eq!(Steering::new(RateControl::Cqp, Scale::H26x, &tuning, 1000).qp(), Some(23));
        assert_eq!(Steering::new(RateControl::Cbr, Scale::H26x, &tuning, 1000).qp(), None);
    }
}
