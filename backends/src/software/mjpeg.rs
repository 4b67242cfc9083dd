//! MJPEG: every picture a JPEG, at a fixed quality or at the quality that holds a bitrate.
use crate::{
    BackendError, Chroma, Codec, EncodeRequest, Frame, Offer, Rate, RateControl, Settings, Tuning, rate::RateLoop,
};

use super::{
    Coded, Encode,
    jpeg::{Jpeg, MAX_SIDE},
};

/// Qualities that a bitrate may lead to: below the first nothing can be recognised, above the
/// last bytes are spent that nobody sees.
const QUALITIES: (u8, u8) = (15, 90);

pub(super) fn offer() -> Offer {
    let rate = [RateControl::Cqp];
    super::offer(Codec::Mjpeg, &["baseline"], (MAX_SIDE, MAX_SIDE), &rate, Jpeg::engine())
}

pub(super) struct Mjpeg {
    jpeg: Jpeg,
    chroma: Chroma,
    aim: Aim,
}

enum Aim {
    Quality(u8),
    Bitrate(RateLoop),
}

impl Mjpeg {
    pub(super) fn open(settings: &Settings) -> Result<Self, BackendError> {
        if settings.width > MAX_SIDE || settings.height > MAX_SIDE {
            let what = format!("mjpeg of {}x{} (at most {MAX_SIDE})", settings.width, settings.height);
            return Err(BackendError::Unsupported { backend: super::NAME, what });
        }
        let mut new = Self { jpeg: Jpeg::new(), chroma: settings.chroma, aim: Aim::Quality(75) };
        new.retune(&settings.tuning)?;
        Ok(new)
    }
}

impl Encode for Mjpeg {
    fn encode(
        &mut self,
        frame: &Frame,
        want: &EncodeRequest,
        out: &mut Vec<u8>,
    ) -> Result<Option<Coded>, BackendError> {
        let quality = match &self.aim {
            Aim::Quality(quality) => *quality,
            Aim::Bitrate(rate) => quality(rate.step()),
        };
        self.jpeg.encode_into(frame, want.region, quality, self.chroma, out)?;
        if let Aim::Bitrate(rate) = &mut self.aim {
            rate.spent(out.len(), false);
        }
        Ok(Some(Coded { keyframe: true, width: want.region.width, height: want.region.height }))
    }

    fn retune(&mut self, tuning: &Tuning) -> Result<(), BackendError> {
        match (tuning.rate, &mut self.aim) {
            (Rate::Quality(quality), aim) => *aim = Aim::Quality(quality),
            (Rate::Bitrate(bits), Aim::Bitrate(rate)) => rate.aim(bits, tuning.fps),
            (Rate::Bitrate(bits), aim) => {
                let before = if let Aim::Quality(quality) = aim { *quality } else { 75 };
                let mut rate = RateLoop::new(step(before), step(QUALITIES.1), step(QUALITIES.0));
                rate.aim(bits, tuning.fps);
                *aim = Aim::Bitrate(rate);
            }
        }
        Ok(())
    }
}

/// log2 of the percentage by which libjpeg's scale multiplies the standard's quantisers.
fn step(quality: u8) -> f32 {
    let quality = f32::from(quality.clamp(1, 99));
    let percent = if quality < 50.0 { 5000.0 / quality } else { 200.0 - 2.0 * quality };
    percent.log2()
}

/// The inverse of [`step`].
fn quality(step: f32) -> u8 {
    let percent = step.exp2();
    let quality = if percent > 100.0 { 5000.0 / percent } else { (200.0 - percent) / 2.0 };
    // `as` saturates, and the range is within 1..=100.
    (quality.round() as u8).clamp(QUALITIES.0, QUALITIES.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Backend, Completion, Layout, Rect, conformance, software::Software};

    const SIZE: (u32, u32) = (160, 96);

    /// Texture that moves.
    fn frame(n: u64) -> Frame {
        let layout = Layout { width: SIZE.0, height: SIZE.1, stride: SIZE.0 * 4 };
        let pixel = |p: u64| {
            let (x, y) = (p % u64::from(SIZE.0) + n, p / u64::from(SIZE.0));
            [(x * y / 8) as u8, (x * 5) as u8, (y * 9 + n) as u8, 0]
        };
        let pixels: Vec<u8> = (0..u64::from(SIZE.0 * SIZE.1)).flat_map(pixel).collect();
        Frame::from_memory(layout, pixels).unwrap()
    }

    fn settings(rate: Rate) -> Settings {
        let (width, height) = SIZE;
        let tuning = Tuning { rate, fps: 25 };
        Settings { codec: Codec::Mjpeg, width, height, chroma: Chroma::Yuv420, tuning, device: None }
    }

    #[test]
    fn it_keeps_the_law() {
        for rate in [Rate::Quality(80), Rate::Bitrate(1_000_000)] {
            conformance::check_backend(&Software, &settings(rate), &mut frame).unwrap();
        }
    }

    #[test]
    fn quality_and_step_are_inverse() {
        for q in QUALITIES.0..=QUALITIES.1 {
            assert_eq!(quality(step(q)), q);
        }
        assert_eq!((quality(99.0), quality(-99.0)), (QUALITIES.0, QUALITIES.1));
    }

    /// Bytes per picture, of pictures 30 to 60.
    fn average(bits: u32) -> usize {
        let mut encoder = Software.open(&settings(Rate::Quality(75)), &frame(0)).unwrap();
        encoder.retune(&Tuning { rate: Rate::Bitrate(bits), fps: 25 }).unwrap();
        let region = Rect { x: 0, y: 0, width: SIZE.0, height: SIZE.1 };
        let mut sizes = Vec::new();
        for n in 0..60 {
            let want = EncodeRequest { region, damage: region, keyframe: false, tag: n };
            encoder.submit(frame(n), want).unwrap();
            let Some(Completion::Encoded(packet)) = encoder.poll_completion().unwrap() else { panic!("dropped") };
            sizes.push(packet.data.len());
        }
        sizes[30..].iter().sum::<usize>() / 30
    }

    #[test]
    fn a_bitrate_is_held_where_a_quality_can() {
        let (coarse, fine) = (average(1), average(u32::MAX));
        for share in [0.3, 0.6] {
            let aim = coarse as f64 + share * (fine - coarse) as f64;
            let got = average((aim * 25.0 * 8.0) as u32) as f64;
            assert!((aim * 0.9..aim * 1.1).contains(&got), "{got} bytes a picture instead of {aim}");
        }
    }
}
