//! The encoder against the simulated device.
use std::{cell::RefCell, rc::Rc, sync::Arc};

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};

use super::{
    NAME, controls,
    encoder::M2m,
    simulated::{Simulated, State, Traits, coded, h264, other},
};
use crate::{
    Backend, BackendError, Chroma, Codec, Completion, Dmabuf, EncodeRequest, Encoder, Frame, Packet, Plane, Rate, Rect,
    Refusal, Report, Settings, Tuning,
    bitstream::annexb::AccessUnit,
    conformance,
    dmabuf::{Fourcc, MOD_LINEAR, Shape},
};

const SIZE: (u32, u32) = (64, 40);

fn picture(width: u32, height: u32, stride: u32, rows: u32) -> Frame {
    let fd = memfd_create("picture", MemfdFlags::CLOEXEC).unwrap();
    ftruncate(&fd, u64::from(stride * rows)).unwrap();
    let shape = Shape { width, height, fourcc: Fourcc::XRGB8888, modifier: MOD_LINEAR, y_inverted: false };
    let plane = Plane { fd: Arc::new(fd), offset: 0, stride };
    Frame::from_dmabuf(Dmabuf::new(shape, &[plane]).unwrap())
}

fn frame(_: u64) -> Frame {
    picture(SIZE.0, SIZE.1, SIZE.0 * 4, SIZE.1)
}

fn settings(rate: Rate) -> Settings {
    let (width, height) = SIZE;
    let tuning = Tuning { rate, fps: 30 };
    Settings { codec: Codec::H264, width, height, chroma: Chroma::Yuv420, tuning, device: None }
}

type Opened = Result<(M2m<Simulated>, Rc<RefCell<State>>), BackendError>;

fn open(traits: Traits, settings: &Settings, like: &Frame) -> Opened {
    let device = Simulated::new(traits);
    let state = Rc::clone(&device.state);
    let encoder = M2m::open(device, "/dev/video0".into(), settings, coded(settings.codec), like.dmabuf().unwrap())?;
    Ok((encoder, state))
}

fn running(traits: Traits) -> (Box<M2m<Simulated>>, Rc<RefCell<State>>) {
    let (encoder, state) = open(traits, &settings(Rate::Bitrate(1_000_000)), &frame(0)).unwrap();
    (Box::new(encoder), state)
}

fn request(keyframe: bool) -> EncodeRequest {
    let region = Rect { x: 0, y: 0, width: SIZE.0, height: SIZE.1 };
    EncodeRequest { region, damage: region, keyframe, tag: 0 }
}

fn encode(encoder: &mut dyn Encoder, keyframe: bool) -> Packet {
    encoder.submit(frame(0), request(keyframe)).unwrap();
    match encoder.poll_completion().unwrap() {
        Some(Completion::Encoded(packet)) => packet,
        other => panic!("{other:?}"),
    }
}

struct Bench(Traits);

// The simulated device stays on the thread of its test.
impl Backend for Bench {
    fn name(&self) -> &'static str {
        NAME
    }

    fn probe(&self) -> Vec<Report> {
        Vec::new()
    }

    fn open(&self, want: &Settings, like: &Frame) -> Result<Box<dyn Encoder>, BackendError> {
        Ok(Box::new(open(self.0.clone(), want, like)?.0))
    }
}

#[test]
fn it_keeps_the_law_whatever_the_driver_does() {
    let without = |ids: &[u32]| {
        let mut traits = h264();
        traits.controls.retain(|id, _| !ids.contains(id));
        traits
    };
    let variants = [
        h264(),
        without(&[controls::FORCE_KEY_FRAME]),
        without(&[controls::BITRATE]),
        Traits { headers_apart: true, delimiters: true, offset: 64, ..h264() },
        Traits { stamps: false, ..h264() },
        Traits { breaks: vec![2, 7], ..h264() },
    ];
    for (n, traits) in variants.into_iter().enumerate() {
        for rate in [Rate::Bitrate(1_000_000), Rate::Quality(80)] {
            let verdict = conformance::check_backend(&Bench(traits.clone()), &settings(rate), &mut frame);
            assert_eq!(verdict, Ok(()), "variant {n}, {rate:?}");
        }
    }
}

fn for_codec(codec: Codec, rate: Rate) -> Settings {
    Settings { codec, ..settings(rate) }
}

const OTHERS: [Codec; 4] = [Codec::Hevc, Codec::Vp8, Codec::Vp9, Codec::Mjpeg];

#[test]
fn other_codecs_keep_the_law_with_and_without_their_controls() {
    for codec in OTHERS {
        let mut bare = other(codec);
        bare.controls.clear();
        let variants = [
            other(codec),
            bare,
            Traits { headers_apart: true, delimiters: true, offset: 64, ..other(codec) },
            Traits { stamps: false, breaks: vec![2, 7], ..other(codec) },
        ];
        for (n, traits) in variants.into_iter().enumerate() {
            for rate in [Rate::Bitrate(1_000_000), Rate::Quality(80)] {
                let verdict = conformance::check_backend(&Bench(traits.clone()), &for_codec(codec, rate), &mut frame);
                assert_eq!(verdict, Ok(()), "{codec}, variant {n}, {rate:?}");
            }
        }
        let (encoder, state) = open(other(codec), &for_codec(codec, Rate::Quality(80)), &frame(0)).unwrap();
        let mut lose = || state.borrow_mut().lost = true;
        let settings = for_codec(codec, Rate::Quality(80));
        let error = conformance::check_loss(Box::new(encoder), &settings, &mut frame, 3, &mut lose);
        assert_eq!(error, Ok(BackendError::Lost("/dev/video0".into())), "{codec}");
    }
}

#[test]
fn key_frames_of_other_codecs_are_known_by_their_bytes() {
    for codec in OTHERS {
        let traits = Traits { headers_apart: true, delimiters: true, ..other(codec) };
        let (mut encoder, _) = open(traits, &for_codec(codec, Rate::Quality(80)), &frame(0)).unwrap();
        for n in 0..6 {
            let packet = encode(&mut encoder, n == 3);
            assert_eq!(packet.keyframe, n % 3 == 0 || codec == Codec::Mjpeg, "{codec}, {n}");
            if codec == Codec::Hevc {
                let (keyframe, parameter_sets) = (n % 3 == 0, n % 3 == 0);
                let expected = AccessUnit { slice: true, keyframe, parameter_sets, delimiter: false };
                assert_eq!(AccessUnit::hevc(&packet.data), expected, "{n}");
            }
        }
    }
}

#[test]
fn controls_of_other_codecs_are_set_in_their_ranges() {
    let set = |codec, rate, id| {
        let (mut encoder, state) = open(other(codec), &for_codec(codec, rate), &frame(0)).unwrap();
        encode(&mut encoder, false);
        state.borrow().set.get(&id).copied()
    };
    let (quality, bitrate) = (Rate::Quality(80), Rate::Bitrate(1_000_000));
    assert_eq!(set(Codec::Hevc, bitrate, controls::HEVC_PROFILE), Some(0), "main");
    assert_eq!(set(Codec::Hevc, bitrate, controls::HEVC_LEVEL), Some(1), "64x40 at 30 fits 2");
    assert_eq!(set(Codec::Hevc, bitrate, controls::HEADER_MODE), Some(1));
    assert_eq!(set(Codec::Vp8, bitrate, controls::VP8_PROFILE), Some(0));
    assert_eq!(set(Codec::Vp9, bitrate, controls::VP9_PROFILE), Some(0));
    assert_eq!(set(Codec::Vp9, bitrate, controls::BITRATE), Some(1_000_000));
    // 14 of the library's 63 is 28 of the driver's 127.
    assert_eq!(set(Codec::Vp8, quality, controls::VPX_P_QP), Some(28));
    assert_eq!(set(Codec::Mjpeg, quality, controls::JPEG_QUALITY), Some(80));
}

/// NV12 with a dmabuf for each plane.
fn nv12(_: u64) -> Frame {
    let plane = |rows: u32| {
        let fd = memfd_create("plane", MemfdFlags::CLOEXEC).unwrap();
        ftruncate(&fd, u64::from(SIZE.0 * rows)).unwrap();
        Plane { fd: Arc::new(fd), offset: 0, stride: SIZE.0 }
    };
    let (width, height) = SIZE;
    let shape = Shape { width, height, fourcc: Fourcc::NV12, modifier: MOD_LINEAR, y_inverted: false };
    Frame::from_dmabuf(Dmabuf::new(shape, &[plane(height), plane(height / 2)]).unwrap())
}

#[test]
fn planes_in_buffers_of_their_own_go_where_the_driver_wants_them_so() {
    let settings = settings(Rate::Quality(80));
    let apart = Traits { raw: (*b"NM12", 2), ..h264() };
    assert_eq!(conformance::check_backend(&Bench(apart), &settings, &mut nv12), Ok(()));
    let together = Traits { raw: (*b"NV12", 1), ..h264() };
    let error = open(together, &settings, &nv12(0)).map(drop).unwrap_err();
    assert!(error.to_string().ends_with("2 planes): the driver takes none of [Fourcc(NM12)]"), "{error}");
}

#[test]
fn the_loss_of_the_device_keeps_the_law() {
    let (encoder, state) = running(h264());
    let mut lose = || state.borrow_mut().lost = true;
    let error = conformance::check_loss(encoder, &settings(Rate::Quality(80)), &mut frame, 3, &mut lose);
    assert_eq!(error, Ok(BackendError::Lost("/dev/video0".into())));
}

#[test]
fn every_key_frame_carries_parameter_sets_and_no_delimiter() {
    for headers_apart in [false, true] {
        let (mut encoder, _) = running(Traits { headers_apart, delimiters: true, offset: 16, ..h264() });
        for n in 0..6 {
            let keyframe = n % 3 == 0;
            let unit = AccessUnit::h264(&encode(&mut *encoder, keyframe).data);
            let expected = AccessUnit { slice: true, keyframe, parameter_sets: keyframe, delimiter: false };
            assert_eq!(unit, expected, "{n}, {headers_apart}");
        }
    }
}

#[test]
fn pictures_left_out_are_dropped_by_their_stamps() {
    let (mut encoder, _) = running(Traits { skips: vec![1], ..h264() });
    encode(&mut *encoder, false);
    encoder.submit(frame(0), request(false)).unwrap();
    assert_eq!(encoder.poll_completion(), Ok(None));
    encoder.submit(frame(0), request(false)).unwrap();
    let ends: Vec<_> = std::iter::from_fn(|| encoder.poll_completion().unwrap()).collect();
    assert!(matches!(ends[..], [Completion::Dropped { .. }, Completion::Encoded(_)]), "{ends:?}");
}

#[test]
fn a_broken_picture_is_dropped_and_followed_by_a_key_frame() {
    let (mut encoder, _) = running(Traits { breaks: vec![1], ..h264() });
    encode(&mut *encoder, false);
    encoder.submit(frame(0), request(false)).unwrap();
    assert!(matches!(encoder.poll_completion(), Ok(Some(Completion::Dropped { .. }))));
    assert!(encode(&mut *encoder, false).keyframe);
    assert!(!encode(&mut *encoder, false).keyframe);
}

#[test]
fn what_the_driver_has_is_set_and_nothing_else() {
    let (mut encoder, state) = running(h264());
    let value = |id| state.borrow().set.get(&id).copied();
    assert_eq!(value(controls::BITRATE), Some(1_000_000));
    assert_eq!(value(controls::H264_PROFILE), Some(1), "constrained baseline");
    assert_eq!(value(controls::H264_LEVEL), Some(5), "64x40 at 30 fits 2.0");
    assert_eq!(value(controls::GOP_SIZE), Some(600), "clamped to the driver's range");
    assert_eq!((value(controls::HEADER_MODE), value(controls::REPEAT_SEQ_HEADER)), (Some(1), Some(1)));
    encoder.retune(&Tuning { rate: Rate::Bitrate(1), fps: 30 }).unwrap();
    assert_eq!(value(controls::BITRATE), Some(25_000));
}

#[test]
fn a_forced_key_frame_is_asked_for_once() {
    let (mut encoder, state) = running(h264());
    for n in 0..6 {
        encode(&mut *encoder, n == 3);
    }
    let forced = state.borrow().history.iter().filter(|(id, _)| *id == controls::FORCE_KEY_FRAME).count();
    assert_eq!(forced, 2, "the first picture and the one asked for");
}

#[test]
fn without_a_forced_key_frame_the_queues_begin_anew() {
    let mut traits = h264();
    traits.controls.remove(&controls::FORCE_KEY_FRAME);
    let (mut encoder, state) = running(traits);
    assert_eq!(encoder.depth(), 1);
    let keys: Vec<_> = (0..6).map(|n| encode(&mut *encoder, n == 3).keyframe).collect();
    assert_eq!(keys, [true, false, false, true, false, false]);
    assert_eq!(state.borrow().streaming, [true; 2]);
}

#[test]
fn finish_drains() {
    let (mut encoder, state) = running(Traits { lag: 2, ..h264() });
    encoder.submit(frame(0), request(false)).unwrap();
    encoder.submit(frame(0), request(false)).unwrap();
    assert_eq!(encoder.poll_completion(), Ok(None));
    let ends = encoder.finish();
    assert!(matches!(ends[..], [Completion::Encoded(_), Completion::Encoded(_)]), "{ends:?}");
    assert_eq!(state.borrow().streaming, [false; 2]);
}

#[test]
fn as_many_buffers_as_the_driver_wants() {
    let mut traits = h264();
    traits.controls.insert(controls::MIN_BUFFERS_FOR_OUTPUT, (5, 5));
    assert_eq!(running(traits.clone()).0.depth(), 5);
    traits.controls.insert(controls::MIN_BUFFERS_FOR_OUTPUT, (i32::MAX, i32::MAX));
    assert_eq!(running(traits).0.depth(), 32);
    assert_eq!(running(h264()).0.depth(), 2);
}

#[test]
fn rounded_sizes_are_cropped_or_refused() {
    let settings = settings(Rate::Bitrate(1_000_000));
    let roomy = picture(SIZE.0, SIZE.1, SIZE.0 * 4, 48);
    let traits = Traits { align: (16, 1), ..h264() };
    let (_, state) = open(traits.clone(), &settings, &roomy).unwrap();
    assert_eq!(state.borrow().crop, Some(SIZE));
    let words = |traits, like: &Frame| match open(traits, &settings, like) {
        Err(BackendError::Unsupported { what, .. }) => what,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("opened"),
    };
    let tight = words(traits.clone(), &frame(0));
    assert!(tight.contains("its buffer is smaller than the driver wants"), "{tight}");
    let uncropped = words(Traits { crops: false, ..traits }, &roomy);
    assert!(uncropped.contains("the driver makes it 64x48, and does not crop"), "{uncropped}");
    let wide = words(Traits { align: (1, 96), ..h264() }, &roomy);
    assert!(wide.contains("the driver wants another stride"), "{wide}");
}

#[test]
fn frames_unlike_the_first_are_handed_back() {
    let (mut encoder, _) = running(h264());
    let inverted = {
        let dmabuf = frame(0);
        let dmabuf = dmabuf.dmabuf().unwrap();
        let shape = Shape { y_inverted: true, ..dmabuf.shape() };
        Frame::from_dmabuf(Dmabuf::new(shape, dmabuf.planes()).unwrap())
    };
    let memory = Frame::from_memory(frame(0).layout(), vec![0; 64 * 40 * 4]).unwrap();
    for other in [picture(SIZE.0, 50, SIZE.0 * 4, 50), picture(SIZE.0, SIZE.1, 300, SIZE.1), inverted, memory] {
        let refused = encoder.submit(other.clone(), request(false)).unwrap_err();
        assert!(matches!(refused.why, Refusal::Unlike(_)), "{refused}");
        assert!(refused.frame.is_same(&other));
    }
    let mut off = request(false);
    off.region.x = 1;
    let wider = picture(SIZE.0, SIZE.1, SIZE.0 * 4, SIZE.1);
    assert!(matches!(encoder.submit(wider, off).unwrap_err().why, Refusal::Region(_)));
}

#[test]
fn a_stopped_device_reads_no_frame_when_it_goes() {
    let (mut encoder, state) = running(Traits { lag: 2, ..h264() });
    let seen = Rc::clone(&state);
    let frame = frame(0);
    encoder.submit(frame.clone(), request(false)).unwrap();
    assert_eq!(seen.borrow().streaming, [true; 2]);
    drop(encoder);
    assert_eq!(state.borrow().streaming, [false; 2]);
}
