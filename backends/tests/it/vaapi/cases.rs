//! What is tested, in a process whose environment names the test driver.
use std::path::PathBuf;

use sumac_backends::{
    Backend, BackendError, Chroma, Codec, Completion, Dmabuf, EncodeRequest, Encoder, Frame, Packet, Rate, RateControl,
    Rect, Refusal, Settings, Tuning, conformance,
    dmabuf::{Fourcc, Shape, read_back_bytes},
    vaapi::Vaapi,
};

use super::NODE;
use crate::{
    allocator,
    content::{Picture, bars, natural, text},
    decode,
    dmabuf::Origin,
    guard,
};

const ORIGINS: [Origin; 3] = [Origin::Udmabuf, Origin::Heap, Origin::Dumb("vgem")];

/// In the order in which they are offered.
const CODECS: [Codec; 5] = [Codec::H264, Codec::Hevc, Codec::Vp9, Codec::Vp8, Codec::Mjpeg];

fn settings(codec: Codec, width: u32, height: u32, rate: Rate) -> Settings {
    let device = Some(PathBuf::from(NODE));
    let tuning = Tuning { rate, fps: 30 };
    Settings { codec, width, height, chroma: Chroma::Yuv420, tuning, device }
}

/// An encoder for whole frames.
fn open(codec: Codec, rate: Rate, like: &Frame) -> Box<dyn Encoder> {
    let Rect { width, height, .. } = like.bounds();
    Vaapi.open(&settings(codec, width, height, rate), like).unwrap()
}

fn encode(encoder: &mut dyn Encoder, frame: Frame, region: Rect) -> Option<Packet> {
    encoder.submit(frame, EncodeRequest { region, damage: region, keyframe: false, tag: 0 }).unwrap();
    match encoder.poll_completion().unwrap() {
        Some(Completion::Encoded(packet)) => Some(packet),
        Some(Completion::Dropped { .. }) => None,
        None => panic!("nothing came"),
    }
}

fn frame(picture: &Picture) -> Frame {
    Origin::Udmabuf.frame(picture, picture.width * 4, picture.height).unwrap()
}

/// Encodes whole frames and decodes them.
fn round_trip(codec: Codec, pictures: &[(Picture, Frame)], rate: Rate) -> Vec<Picture> {
    let mut encoder = open(codec, rate, &pictures[0].1);
    let packets: Vec<_> = pictures.iter().map(|(_, f)| encode(&mut *encoder, f.clone(), f.bounds()).unwrap()).collect();
    let decoded = decode::decode(codec, &packets, packets[0].width, packets[0].height);
    assert_eq!(decoded.len(), pictures.len());
    decoded
}

pub(super) fn law() {
    let picture = natural(160, 96, 0);
    for (n, origin) in ORIGINS.into_iter().enumerate() {
        for rate in [Rate::Quality(80), Rate::Bitrate(2_000_000)] {
            // Where a dmabuf comes from is no matter of codecs: one of them tries all.
            for codec in CODECS.into_iter().filter(|codec| n == 0 || *codec == Codec::H264) {
                let mut frames = |_| origin.frame(&picture, 640, 96).unwrap();
                let verdict = conformance::check_backend(&Vaapi, &settings(codec, 160, 96, rate), &mut frames);
                assert_eq!(verdict, Ok(()), "{codec}, {origin:?}, {rate:?}");
            }
        }
    }
    let reports = Vaapi.probe();
    let offers = reports[0].encoders.as_ref().unwrap();
    assert_eq!(offers.iter().map(|o| (o.codec, o.max)).collect::<Vec<_>>(), CODECS.map(|c| (c, (4096, 4096))));
    assert!(offers[0].by.starts_with("Sumac test driver"), "{}", offers[0].by);
}

/// The driver is a library with an allocator of its own, which is not counted.
pub(super) fn allocations() {
    let frames = [0, 1, 2].map(|n| frame(&natural(160, 96, n)));
    for codec in CODECS {
        let settings = settings(codec, 160, 96, Rate::Quality(80));
        assert_eq!(allocator::count(&Vaapi, &settings, &frames), 0, "{codec}");
    }
}

pub(super) fn pictures() {
    if !decode::available("VA-API pictures") {
        return;
    }
    for (name, make, least) in [("natural", natural as fn(u32, u32, u32) -> Picture, 34.0), ("text", text, 38.0)] {
        let pictures: Vec<_> = (0..5)
            .map(|n| {
                let picture = make(320, 240, n);
                let frame = frame(&picture);
                (picture, frame)
            })
            .collect();
        for codec in CODECS {
            let decoded = round_trip(codec, &pictures, Tuning::default().rate);
            let worst = pictures.iter().zip(&decoded).map(|((a, _), b)| a.psnr(b)).fold(f64::INFINITY, f64::min);
            println!("vaapi {codec} {name}: {worst:.1} dB at the default quality");
            assert!(worst >= least, "{codec} {name}: {worst:.1} dB");
        }
    }
    for codec in CODECS {
        let picture = bars(640, 64);
        let packet =
            encode(&mut *open(codec, Rate::Quality(95), &frame(&picture)), frame(&picture), frame(&picture).bounds());
        let packets = [packet.unwrap()];
        decode::decode(codec, &packets, 640, 64)[0].assert_bars(codec.name());
        if matches!(codec, Codec::H264 | Codec::Hevc) {
            assert_eq!(decode::colours(codec, &packets, 640, 64), ("tv".into(), "bt709".into()));
        }
    }
}

pub(super) fn shapes() {
    if !decode::available("VA-API shapes") {
        return;
    }
    for (width, height) in [(1366, 768), (33, 17), (1, 1)] {
        let picture = natural(width, height, 0);
        let frame = Origin::Udmabuf.frame(&picture, (width * 4).next_multiple_of(64), height).unwrap();
        for codec in CODECS {
            let decoded = round_trip(codec, &[(picture.clone(), frame.clone())], Rate::Quality(90));
            // An odd side is scaled by less than a pixel.
            assert!(picture.psnr(&decoded[0]) >= 30.0, "{codec} {width}x{height}: {:.1} dB", picture.psnr(&decoded[0]));
        }
    }
    for codec in CODECS {
        let picture = text(320, 240, 0);
        let inverted = {
            let frame = frame(&picture);
            let dmabuf = frame.dmabuf().unwrap();
            let shape = Shape { y_inverted: true, ..dmabuf.shape() };
            Frame::from_dmabuf(Dmabuf::new(shape, dmabuf.planes()).unwrap())
        };
        let decoded = round_trip(codec, &[(picture.clone(), inverted)], Rate::Quality(90));
        let row = 320 * 4;
        let turned: Vec<u8> = picture.pixels.chunks(row).rev().flatten().copied().collect();
        assert!(Picture { pixels: turned, ..picture.clone() }.psnr(&decoded[0]) >= 38.0);
        let whole = frame(&picture);
        let region = Rect { x: 64, y: 48, width: 160, height: 96 };
        let mut encoder = Vaapi.open(&settings(codec, 160, 96, Rate::Quality(90)), &whole).unwrap();
        let packet = encode(&mut *encoder, whole, region).unwrap();
        let part = Picture::new(160, 96, |x, y| {
            let at = ((y + 48) * 320 + x + 64) as usize * 4;
            [picture.pixels[at], picture.pixels[at + 1], picture.pixels[at + 2]]
        });
        assert!(part.psnr(&decode::decode(codec, &[packet], 160, 96)[0]) >= 38.0);
    }
}

pub(super) fn bitrate() {
    let frames: Vec<_> = (0..6).map(|n| frame(&natural(160, 96, n * 5))).collect();
    for codec in CODECS {
        let average = |rate| {
            let mut encoder = Vaapi.open(&settings(codec, 160, 96, rate), &frames[0]).unwrap();
            let region = frames[0].bounds();
            let sizes = (0..60).map(|n| encode(&mut *encoder, frames[n % 6].clone(), region).unwrap().data.len());
            sizes.skip(30).sum::<usize>() as f64 / 30.0
        };
        let (fine, coarse) = (average(Rate::Quality(90)), average(Rate::Quality(1)));
        let aim = coarse + 0.5 * (fine - coarse);
        let got = average(Rate::Bitrate((aim * 30.0 * 8.0) as u32));
        assert!(
            (aim * 0.7..aim * 1.3).contains(&got),
            "{codec}: {got} bytes a picture instead of {aim} ({coarse} to {fine})"
        );
    }
    let offers = Vaapi.probe().remove(0).encoders.unwrap();
    assert_eq!(offers[0].rate_control, [RateControl::Cqp]);
}

pub(super) fn broken() {
    let frame = frame(&natural(160, 96, 0));
    let mut encoder = Vaapi.open(&settings(Codec::H264, 160, 96, Rate::Quality(90)), &frame).unwrap();
    let keys: Vec<_> =
        (0..5).map(|_| encode(&mut *encoder, frame.clone(), frame.bounds()).map(|p| p.keyframe)).collect();
    assert_eq!(keys, [Some(true), Some(false), None, Some(true), Some(false)]);
}

pub(super) fn lacking() {
    let frame = frame(&natural(160, 96, 0));
    let error = Vaapi.open(&settings(Codec::H264, 160, 96, Rate::Quality(90)), &frame).map(drop).unwrap_err();
    assert!(matches!(error, BackendError::Library { call: "vaCreateConfig", .. }), "{error}");
    // What needs no conversion needs no VPP.
    let picture = natural(384, 256, 0);
    for codec in [Codec::H264, Codec::Hevc, Codec::Vp9] {
        let mut encoder = open(codec, Rate::Quality(90), &nv12(&picture));
        let packet = encode(&mut *encoder, nv12(&picture), nv12(&picture).bounds()).unwrap();
        assert!(packet.keyframe, "{codec}");
    }
    let memory = natural(160, 96, 0).frame();
    let error = Vaapi.open(&settings(Codec::H264, 160, 96, Rate::Quality(90)), &memory).map(drop).unwrap_err();
    assert_eq!(error.to_string(), "vaapi cannot encode a picture that is not in a dmabuf");
    let offers = Vaapi.probe().remove(0).encoders.unwrap();
    assert_eq!(offers[0].formats.iter().map(ToString::to_string).collect::<Vec<_>>(), ["NV12"]);
}

pub(super) fn zero() {
    let frames: Vec<_> = (0..3).map(|n| frame(&natural(320, 240, n))).collect();
    let mut encoder = Vaapi.open(&settings(Codec::H264, 320, 240, Rate::Quality(90)), &frames[0]).unwrap();
    for n in 0..12 {
        encode(&mut *encoder, frames[n % 3].clone(), frames[0].bounds()).unwrap();
    }
    assert_eq!(read_back_bytes(), 0);
}

pub(super) fn unmapped() {
    let frames: Vec<_> = (0..3).map(|n| frame(&natural(320, 240, n))).collect();
    for codec in CODECS {
        let mut encoder = Vaapi.open(&settings(codec, 320, 240, Rate::Quality(90)), &frames[0]).unwrap();
        let mut packets = Vec::with_capacity(16);
        let mut encode = |packets: &mut Vec<Packet>| {
            for frame in &frames {
                packets.extend(encode(&mut *encoder, frame.clone(), frame.bounds()));
            }
        };
        // The first pictures need memory.
        encode(&mut packets);
        guard::without_mappings(&frames[0], || (0..3).for_each(|_| encode(&mut packets)));
        assert_eq!(packets.len(), 12, "{codec}");
    }
}

/// NV12 in BT.709 and limited range, a dmabuf for each plane.
fn nv12(picture: &Picture) -> Frame {
    let (width, height) = (picture.width, picture.height);
    let pixel = |x: u32, y: u32| {
        let at = (y * width + x) as usize * 4;
        [picture.pixels[at + 2], picture.pixels[at + 1], picture.pixels[at]].map(f64::from)
    };
    let brightness = |[r, g, b]: [f64; 3]| 0.2126 * r + 0.7152 * g + 0.0722 * b;
    let luma = |x, y| (16.5 + brightness(pixel(x, y)) * 219.0 / 255.0) as u8;
    let chroma = |x, y| {
        let [r, g, b] = pixel(x, y);
        let y = brightness([r, g, b]);
        let code = |difference: f64, most: f64| (128.5 + 112.0 * difference / most / 255.0) as u8;
        [code(b - y, 0.9278), code(r - y, 0.7874)]
    };
    let luma: Vec<u8> = (0..height).flat_map(|y| (0..width).map(move |x| luma(x, y))).collect();
    let places = (0..height / 2).flat_map(|y| (0..width / 2).map(move |x| (2 * x, 2 * y)));
    let chroma: Vec<u8> = places.flat_map(|(x, y)| chroma(x, y)).collect();
    let planes = [&luma, &chroma].map(|bytes| Origin::Udmabuf.plane(bytes, width).unwrap());
    let shape = Shape { width, height, fourcc: Fourcc::NV12, modifier: 0, y_inverted: false };
    Frame::from_dmabuf(Dmabuf::new(shape, &planes).unwrap())
}

pub(super) fn loss() {
    let picture = natural(160, 96, 0);
    let settings = settings(Codec::H264, 160, 96, Rate::Quality(80));
    let encoder = Vaapi.open(&settings, &frame(&picture)).unwrap();
    let mut frames = |_| frame(&picture);
    let error = conformance::check_loss(encoder, &settings, &mut frames, 3, &mut || {}).unwrap();
    assert!(matches!(error, BackendError::Library { .. }), "{error}");
}

pub(super) fn planes() {
    if !decode::available("VA-API planes") {
        return;
    }
    // Sides that are whole superblocks need no conversion, but for the codecs of other colours.
    let picture = natural(384, 256, 0);
    for codec in CODECS {
        let decoded = round_trip(codec, &[(picture.clone(), nv12(&picture))], Rate::Quality(90));
        assert!(picture.psnr(&decoded[0]) >= 34.0, "{codec}: {:.1} dB", picture.psnr(&decoded[0]));
    }
}

pub(super) fn resize() {
    if !decode::available("VA-API resize") {
        return;
    }
    for codec in CODECS {
        let (small, large) = (natural(160, 96, 0), natural(240, 144, 1));
        let mut encoder = open(codec, Rate::Quality(90), &frame(&small));
        encode(&mut *encoder, frame(&small), frame(&small).bounds()).unwrap();
        let region = frame(&large).bounds();
        let request = EncodeRequest { region, damage: region, keyframe: false, tag: 0 };
        let refused = encoder.submit(frame(&large), request).unwrap_err();
        assert!(matches!(refused.why, Refusal::Size { .. }), "{refused}");
        // A part of a larger frame has the right size, but the device has not seen such a frame.
        let part = frame(&small).bounds();
        let request = EncodeRequest { region: part, damage: part, keyframe: false, tag: 0 };
        let refused = encoder.submit(refused.frame, request).unwrap_err();
        assert!(matches!(refused.why, Refusal::Unlike(_)), "{refused}");
        encode(&mut *encoder, frame(&small), part).unwrap();
        assert!(encoder.finish().is_empty());
        let decoded = round_trip(codec, &[(large.clone(), refused.frame)], Rate::Quality(90));
        assert!(large.psnr(&decoded[0]) >= 34.0, "{codec}");
    }
}

pub(super) fn largest() {
    if !decode::available("VA-API largest") {
        return;
    }
    let picture = bars(4096, 2160);
    let (largest, wide) = (frame(&picture), frame(&bars(4098, 16)));
    for codec in CODECS {
        let packet = encode(&mut *open(codec, Rate::Quality(95), &largest), largest.clone(), largest.bounds());
        decode::decode(codec, &[packet.unwrap()], 4096, 2160)[0].assert_bars(codec.name());
        let error = Vaapi.open(&settings(codec, 4098, 16, Rate::Quality(80)), &wide).map(drop).unwrap_err();
        assert_eq!(error.to_string(), format!("vaapi cannot encode {codec} of 4098x16 (at most 4096x4096)"));
    }
}
