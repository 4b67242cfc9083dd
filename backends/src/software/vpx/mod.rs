//! VP8 and VP9 by libvpx, where it is installed.
//!
//! A bitrate is held by libvpx's own rate control, without leaving pictures out; a quality is one
//! quantiser for all. VP9 says that it is BT.709; VP8 is BT.601 by definition.
use std::{num::NonZero, thread::available_parallelism};

use crate::{
    BackendError, Chroma, Codec, EncodeRequest, Frame, Offer, Rate, RateControl, Settings, Tuning, Unavailable,
    bitstream::is_key_frame, rate::Scale,
};

use super::{
    Coded, Encode,
    pixels::Reader,
    yuv420::{Matrix, Yuv420},
};

#[allow(
    non_camel_case_types,
    non_upper_case_globals,
    dead_code,
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    unsafe_code,
    clippy::all,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "written by bindgen: see backends/bindings/generate"
)]
mod bindings;
#[allow(unsafe_code, reason = "libvpx is a C library")]
mod sys;

use bindings as vpx;

/// VP8's limit on both sides; VP9's is higher.
const MAX_SIDE: u32 = 16_383;

/// VP8 and VP9, if the library is there.
pub(super) fn offers() -> Result<Vec<Offer>, Unavailable> {
    let version = sys::version().map_err(|why| {
        let reason = format!("no vp8 and vp9: {why} (install libvpx7)");
        Unavailable::Library { library: sys::NAME, reason }
    })?;
    let by = format!("{} {version}, found at run time", sys::NAME);
    let rate = [RateControl::Cbr, RateControl::Cqp];
    let offer = |codec, profile| super::offer(codec, &[profile], (MAX_SIDE, MAX_SIDE), &rate, by.clone());
    Ok(vec![offer(Codec::Vp9, "profile-0"), offer(Codec::Vp8, "profile-0")])
}

pub(super) struct Vpx {
    encoder: sys::Encoder,
    codec: Codec,
    reader: Reader,
    picture: Yuv420,
    count: i64,
}

impl Vpx {
    pub(super) fn open(settings: &Settings) -> Result<Self, BackendError> {
        let Settings { codec, width, height, chroma, ref tuning, .. } = *settings;
        let unsupported = |what| Err(BackendError::Unsupported { backend: super::NAME, what });
        if chroma == Chroma::Yuv444 {
            return unsupported(format!("{codec} with full colour resolution"));
        }
        if width > MAX_SIDE || height > MAX_SIDE {
            return unsupported(format!("{codec} of {width}x{height} (at most {MAX_SIDE})"));
        }
        let mut encoder = sys::Encoder::open(codec, |config| {
            (config.g_w, config.g_h) = (width, height);
            // VP8's threads wait for each other by spinning: on processors that others use too, a
            // picture took twenty times the processor time. More than four cost more bits than time.
            let cores = available_parallelism().map_or(1, NonZero::get).min(4);
            config.g_threads = if codec == Codec::Vp8 { 1 } else { cores as u32 };
            config.g_timebase = vpx::vpx_rational { num: 1, den: tuning.fps.clamp(1, 1000).cast_signed() };
            config.g_lag_in_frames = 0;
            config.g_error_resilient = 0;
            config.kf_mode = vpx::VPX_KF_DISABLED;
            config.rc_dropframe_thresh = 0;
            config.rc_resize_allowed = 0;
            (config.rc_buf_sz, config.rc_buf_initial_sz, config.rc_buf_optimal_sz) = (600, 400, 500);
            tune(config, tuning);
        })
        .map_err(failed)?;
        for (id, value) in controls(codec, width) {
            encoder.control(id, value).map_err(failed)?;
        }
        let matrix = if codec == Codec::Vp8 { Matrix::Bt601 } else { Matrix::Bt709 };
        let picture = Yuv420::new(width.next_multiple_of(2), height.next_multiple_of(2), matrix);
        Ok(Self { encoder, codec, reader: Reader::default(), picture, count: 0 })
    }
}

impl Encode for Vpx {
    fn encode(
        &mut self,
        frame: &Frame,
        want: &EncodeRequest,
        out: &mut Vec<u8>,
    ) -> Result<Option<Coded>, BackendError> {
        let (width, height) = (want.region.width, want.region.height);
        let rows = self.reader.read(frame, want.region)?;
        self.picture.convert(rows, width, height)?;
        self.encoder.encode(&self.picture, self.count, want.keyframe, out).map_err(failed)?;
        self.count += 1;
        let keyframe = is_key_frame(self.codec, out);
        Ok((!out.is_empty()).then_some(Coded { keyframe, width, height }))
    }

    fn retune(&mut self, tuning: &Tuning) -> Result<(), BackendError> {
        self.encoder.reconfigure(|config| tune(config, tuning)).map_err(failed)
    }
}

fn tune(config: &mut vpx::vpx_codec_enc_cfg_t, tuning: &Tuning) {
    match tuning.rate {
        Rate::Bitrate(bits) => {
            config.rc_end_usage = vpx::VPX_CBR;
            // The bitrate is one per unit of the time base, which stays what it was at the start.
            let begun = u64::from(config.g_timebase.den.unsigned_abs());
            let bits = u64::from(bits) * begun / u64::from(tuning.fps.max(1));
            config.rc_target_bitrate = u32::try_from(bits / 1000).unwrap_or(u32::MAX).clamp(1, 1_000_000);
            (config.rc_min_quantizer, config.rc_max_quantizer) = (2, 60);
        }
        Rate::Quality(quality) => {
            let value = u32::from(Scale::Vpx.of_quality(quality));
            config.rc_end_usage = vpx::VPX_VBR;
            (config.rc_min_quantizer, config.rc_max_quantizer) = (value, value);
        }
    }
}

/// What is no part of the configuration.
fn controls(codec: Codec, width: u32) -> Vec<(vpx::vp8e_enc_control_id, i32)> {
    if codec == Codec::Vp8 {
        // Speed 12 of 16; text counts as much as pictures.
        return vec![(vpx::VP8E_SET_CPUUSED, -12)];
    }
    // A column of tiles per 512 pixels, as powers of two.
    let columns = (width / 512).max(1).ilog2().min(2).cast_signed();
    // Speed 9 of 9.
    vec![
        (vpx::VP8E_SET_CPUUSED, 9),
        (vpx::VP9E_SET_TILE_COLUMNS, columns),
        (vpx::VP9E_SET_ROW_MT, 1),
        (vpx::VP9E_SET_AQ_MODE, 0),
        (vpx::VP9E_SET_TUNE_CONTENT, 1),
        (vpx::VP9E_SET_COLOR_SPACE, vpx::VPX_CS_BT_709.cast_signed()),
        (vpx::VP9E_SET_COLOR_RANGE, vpx::VPX_CR_STUDIO_RANGE.cast_signed()),
    ]
}

fn failed(sys::Failure { call, message }: sys::Failure) -> BackendError {
    BackendError::Library { call, message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Backend, Completion, Layout, Rect, conformance, software::Software};

    const SIZE: (u32, u32) = (175, 131);

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

    fn settings(codec: Codec, rate: Rate) -> Settings {
        let (width, height) = SIZE;
        let tuning = Tuning { rate, fps: 25 };
        Settings { codec, width, height, chroma: Chroma::Yuv420, tuning, device: None }
    }

    fn present(test: &str) -> bool {
        if let Err(why) = sys::version() {
            println!("SKIPPED: {test}: {why}");
            return false;
        }
        true
    }

    #[test]
    fn they_keep_the_law() {
        if !present("they_keep_the_law") {
            return;
        }
        for codec in [Codec::Vp8, Codec::Vp9] {
            for rate in [Rate::Quality(80), Rate::Bitrate(1_000_000)] {
                let verdict = conformance::check_backend(&Software, &settings(codec, rate), &mut frame);
                assert_eq!(verdict, Ok(()), "{codec}, {rate:?}");
            }
        }
    }

    /// Bytes of the last of some pictures after a change of rate; `fps` is that of the tuning.
    fn average(encoder: &mut dyn crate::Encoder, rate: Rate, fps: u32) -> f64 {
        encoder.retune(&Tuning { rate, fps }).unwrap();
        let region = Rect { x: 0, y: 0, width: SIZE.0, height: SIZE.1 };
        let mut sizes = Vec::new();
        for n in 0..45 {
            let want = EncodeRequest { region, damage: region, keyframe: false, tag: n };
            encoder.submit(frame(n), want).unwrap();
            match encoder.poll_completion().unwrap() {
                Some(Completion::Encoded(packet)) => sizes.push(packet.data.len()),
                other => panic!("{other:?}"),
            }
        }
        sizes[25..].iter().sum::<usize>() as f64 / 20.0
    }

    #[test]
    fn rates_are_held_and_changed_without_leaving_pictures_out() {
        if !present("rates_are_held_and_changed_without_leaving_pictures_out") {
            return;
        }
        for codec in [Codec::Vp8, Codec::Vp9] {
            let mut encoder = Software.open(&settings(codec, Rate::Quality(90)), &frame(0)).unwrap();
            let fine = average(&mut *encoder, Rate::Quality(90), 25);
            let coarse = average(&mut *encoder, Rate::Quality(20), 25);
            assert!(fine > 1.5 * coarse, "{codec}: {fine} and {coarse}");
            let aim = (fine * coarse).sqrt();
            for fps in [25, 50] {
                let bits = (aim * 8.0) as u32 * fps;
                let got = average(&mut *encoder, Rate::Bitrate(bits), fps);
                assert!((aim * 0.7..aim * 1.3).contains(&got), "{codec}: {got} bytes instead of {aim}");
            }
        }
    }
}
