//! H.264 by openh264: Constrained Baseline, no B pictures, one reference, every picture coded.
//!
//! openh264's own rate control is switched off, because it holds a bitrate only by leaving
//! pictures out; [`Quantiser`] holds it by the quantiser instead.
use std::{num::NonZero, sync::OnceLock, thread::available_parallelism};

use crate::{
    BackendError, Chroma, Codec, EncodeRequest, Frame, Offer, RateControl, Settings, Tuning,
    rate::{Quantiser, Scale},
};

use super::{
    Coded, Encode,
    pixels::Reader,
    yuv420::{Matrix, Yuv420},
};

#[allow(unsafe_code, reason = "openh264 is a C++ library")]
mod sys;

/// Both sides, in pixels, and their product: level 5.2.
const MAX: (u32, u32) = (4096, 2304);
const MIN_SIDE: u32 = 16;

pub(super) fn offer() -> Offer {
    let rate = [RateControl::Cqp];
    super::offer(Codec::H264, &["constrained-baseline"], MAX, &rate, library().describe())
}

/// The library, chosen once per process.
fn library() -> &'static sys::Library {
    static LIBRARY: OnceLock<sys::Library> = OnceLock::new();
    LIBRARY.get_or_init(sys::Library::choose)
}

pub(super) struct H264 {
    encoder: sys::Encoder,
    reader: Reader,
    picture: Yuv420,
    quantiser: Quantiser,
    /// What the encoder was told last.
    qp: u8,
    count: u64,
}

impl H264 {
    pub(super) fn open(settings: &Settings) -> Result<Self, BackendError> {
        let Settings { width, height, chroma, tuning, .. } = *settings;
        let unsupported = |what| Err(BackendError::Unsupported { backend: super::NAME, what });
        if chroma == Chroma::Yuv444 {
            return unsupported("h264 with full colour resolution".to_owned());
        }
        if width > MAX.0 || height > MAX.1 {
            return unsupported(format!("h264 of {width}x{height} (at most {}x{})", MAX.0, MAX.1));
        }
        let coded = |side: u32| side.next_multiple_of(2).max(MIN_SIDE);
        let picture = Yuv420::new(coded(width), coded(height), Matrix::Bt709);
        let quantiser = Quantiser::new(Scale::H26x, &tuning, width * height);
        let qp = quantiser.value();
        let config = sys::Config {
            width: picture.width,
            height: picture.height,
            fps: tuning.fps,
            qp,
            slices: slices(picture.height),
        };
        let encoder = library().encoder(&config).map_err(failed("ISVCEncoder::InitializeExt"))?;
        Ok(Self { encoder, reader: Reader::default(), picture, quantiser, qp, count: 0 })
    }
}

impl Encode for H264 {
    fn encode(
        &mut self,
        frame: &Frame,
        want: &EncodeRequest,
        out: &mut Vec<u8>,
    ) -> Result<Option<Coded>, BackendError> {
        let rows = self.reader.read(frame, want.region)?;
        self.picture.convert(rows, want.region.width, want.region.height)?;
        if self.quantiser.value() != self.qp {
            self.qp = self.quantiser.value();
            self.encoder.set_qp(self.qp).map_err(failed("ISVCEncoder::SetOption"))?;
        }
        if want.keyframe {
            self.encoder.force_key_frame().map_err(failed("ISVCEncoder::ForceIntraFrame"))?;
        }
        let (width, height) = (self.picture.width, self.picture.height);
        let picture = sys::Picture { width, height, planes: self.picture.planes(), number: self.count };
        self.count += 1;
        let kind = self.encoder.encode(picture, out).map_err(failed("ISVCEncoder::EncodeFrame"))?;
        let keyframe = kind == sys::Kind::Key;
        self.quantiser.spent(out.len(), keyframe);
        Ok((kind != sys::Kind::Skipped).then_some(Coded { keyframe, width, height }))
    }

    fn retune(&mut self, tuning: &Tuning) -> Result<(), BackendError> {
        self.quantiser.retune(tuning);
        Ok(())
    }
}

/// Slices of a picture, coded side by side on the cores there are. More than four cost more bits
/// than they win time, and each should have a few rows of macroblocks.
fn slices(height: u32) -> u32 {
    let cores = available_parallelism().map_or(1, NonZero::get);
    u32::try_from(cores).unwrap_or(1).min(4).min(height / 64).max(1)
}

fn failed(call: &'static str) -> impl FnOnce(i32) -> BackendError {
    move |code| BackendError::Library { call, message: format!("error {code}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Backend, Completion, Layout, Packet, Rate, Rect,
        bitstream::annexb::{AccessUnit, nal_units},
        conformance,
        software::Software,
    };

    const SIZE: (u32, u32) = (175, 131);

    /// Texture that moves.
    fn frame(n: u64) -> Frame {
        let layout = Layout { width: SIZE.0, height: SIZE.1, stride: SIZE.0 * 4 + 12 };
        let pixel = |p: u64| {
            let (x, y) = (p % u64::from(layout.stride / 4) + n, p / u64::from(layout.stride / 4));
            [(x * y / 8) as u8, (x * 5) as u8, (y * 9 + n) as u8, 0]
        };
        let pixels: Vec<u8> = (0..u64::from(layout.stride / 4 * SIZE.1)).flat_map(pixel).collect();
        Frame::from_memory(layout, pixels).unwrap()
    }

    fn settings(rate: Rate) -> Settings {
        let (width, height) = SIZE;
        let tuning = Tuning { rate, fps: 25 };
        Settings { codec: Codec::H264, width, height, chroma: Chroma::Yuv420, tuning, device: None }
    }

    fn encode(encoder: &mut dyn crate::Encoder, n: u64, keyframe: bool) -> Packet {
        let region = Rect { x: 0, y: 0, width: SIZE.0, height: SIZE.1 };
        encoder.submit(frame(n), EncodeRequest { region, damage: region, keyframe, tag: n }).unwrap();
        match encoder.poll_completion().unwrap() {
            Some(Completion::Encoded(packet)) => packet,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn it_keeps_the_law() {
        for rate in [Rate::Quality(80), Rate::Bitrate(1_000_000)] {
            conformance::check_backend(&Software, &settings(rate), &mut frame).unwrap();
        }
    }

    #[test]
    fn what_it_says_is_what_is_in_the_stream() {
        let mut encoder = Software.open(&settings(Rate::Quality(80)), &frame(0)).unwrap();
        for n in 0..40 {
            let wanted = n == 0 || n % 7 == 3;
            let packet = encode(&mut *encoder, n, n % 7 == 3);
            assert_eq!((packet.width, packet.height), (176, 132));
            let unit = AccessUnit::h264(&packet.data);
            assert!(unit.slice && !unit.delimiter, "{unit:?}");
            assert_eq!((unit.keyframe, unit.parameter_sets, packet.keyframe), (wanted, wanted, wanted), "{n}");
        }
    }

    #[test]
    fn a_large_picture_has_a_slice_for_each_core_up_to_four() {
        let layout = Layout { width: 640, height: 360, stride: 2560 };
        let frame = Frame::from_memory(layout, vec![99; 2560 * 360]).unwrap();
        let settings = Settings { width: 640, height: 360, ..settings(Rate::Quality(80)) };
        let mut encoder = Software.open(&settings, &frame).unwrap();
        let region = frame.bounds();
        encoder.submit(frame, EncodeRequest { region, damage: region, keyframe: false, tag: 0 }).unwrap();
        let Some(Completion::Encoded(packet)) = encoder.poll_completion().unwrap() else { panic!("dropped") };
        let coded = nal_units(&packet.data).filter(|unit| matches!(unit[0] & 0x1f, 1 | 5)).count();
        let cores = available_parallelism().map_or(1, NonZero::get);
        assert_eq!(coded, cores.min(4));
    }

    #[test]
    fn a_change_of_quality_needs_no_key_frame() {
        let mut encoder = Software.open(&settings(Rate::Quality(90)), &frame(0)).unwrap();
        let sizes = [90, 20, 90].map(|quality| {
            encoder.retune(&Tuning { rate: Rate::Quality(quality), fps: 25 }).unwrap();
            let packets: Vec<_> = (0..4).map(|n| encode(&mut *encoder, n, false)).collect();
            assert!(packets.iter().all(|p| p.keyframe == (p.ticket.0 == 0)));
            packets[3].data.len()
        });
        assert!(sizes[0] > 2 * sizes[1] && sizes[2] > 2 * sizes[1], "{sizes:?}");
    }

    #[test]
    fn a_bitrate_is_held_and_changed_without_leaving_pictures_out() {
        let mut encoder = Software.open(&settings(Rate::Bitrate(150_000)), &frame(0)).unwrap();
        for bits in [150_000, 400_000, 80_000] {
            encoder.retune(&Tuning { rate: Rate::Bitrate(bits), fps: 25 }).unwrap();
            let sizes: Vec<_> = (0..75).map(|n| encode(&mut *encoder, n, false).data.len()).collect();
            let got = sizes[25..].iter().sum::<usize>() as f64 * 8.0 / 2.0;
            let wanted = f64::from(bits);
            assert!((wanted * 0.85..wanted * 1.15).contains(&got), "{got} bits a second instead of {wanted}");
        }
    }

    #[test]
    fn what_it_cannot_do_is_refused() {
        let full = Settings { chroma: Chroma::Yuv444, ..settings(Rate::Quality(80)) };
        assert!(matches!(Software.open(&full, &frame(0)), Err(BackendError::Unsupported { .. })));
        let layout = Layout { width: 4098, height: 1, stride: 4098 * 4 };
        let wide = Frame::from_memory(layout, vec![0; 4098 * 4]).unwrap();
        let settings = Settings { width: 4098, height: 1, ..settings(Rate::Quality(80)) };
        assert!(matches!(Software.open(&settings, &wide), Err(BackendError::Unsupported { .. })));
    }
}
