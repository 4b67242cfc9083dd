//! MJPEG: every picture a JPEG, at a fixed quality or at the quality that holds a bitrate.
use crate::{
    BackendError, Chroma, Codec, EncodeRequest, Frame, Offer, RateControl, Settings, Tuning,
    rate::{Quantiser, Scale},
};

use super::{
    Coded, Encode,
    jpeg::{Jpeg, MAX_SIDE},
};

pub(super) fn offer() -> Offer {
    let rate = [RateControl::Cqp];
    super::offer(Codec::Mjpeg, &["baseline"], (MAX_SIDE, MAX_SIDE), &rate, Jpeg::engine())
}

pub(super) struct Mjpeg {
    jpeg: Jpeg,
    chroma: Chroma,
    quality: Quantiser,
}

impl Mjpeg {
    pub(super) fn open(settings: &Settings) -> Result<Self, BackendError> {
        let Settings { width, height, chroma, ref tuning, .. } = *settings;
        if width > MAX_SIDE || height > MAX_SIDE {
            let what = format!("mjpeg of {width}x{height} (at most {MAX_SIDE})");
            return Err(BackendError::Unsupported { backend: super::NAME, what });
        }
        let quality = Quantiser::new(Scale::Jpeg, tuning, width.saturating_mul(height));
        Ok(Self { jpeg: Jpeg::new(), chroma, quality })
    }
}

impl Encode for Mjpeg {
    fn encode(
        &mut self,
        frame: &Frame,
        want: &EncodeRequest,
        out: &mut Vec<u8>,
    ) -> Result<Option<Coded>, BackendError> {
        self.jpeg.encode_into(frame, want.region, self.quality.value(), self.chroma, out)?;
        self.quality.spent(out.len(), false);
        Ok(Some(Coded { keyframe: true, width: want.region.width, height: want.region.height }))
    }

    fn retune(&mut self, tuning: &Tuning) -> Result<(), BackendError> {
        self.quality.retune(tuning);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Backend, Completion, Layout, Rate, Rect, conformance, software::Software};

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
