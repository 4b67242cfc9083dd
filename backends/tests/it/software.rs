//! The software encoders, decoded by FFmpeg.
use std::{cell::RefCell, sync::Arc};

use sumac_backends::{
    Backend, BackendError, Chroma, Codec, Completion, Dmabuf, EncodeRequest, Encoder, Frame, FrameError, Packet, Rate,
    Rect, Refusal, Settings, Tuning, conformance,
    dmabuf::{Fourcc, MOD_INVALID, MOD_LINEAR, Shape},
    software::Software,
};

use crate::{
    content::{Picture, bars, natural, text},
    decode,
    dmabuf::memfd,
};

/// What is there: VP8 and VP9 only with libvpx.
fn codecs() -> Vec<Codec> {
    let offers = Software.probe().remove(0).encoders.unwrap();
    let found: Vec<_> = offers.iter().map(|offer| offer.codec).collect();
    if !found.contains(&Codec::Vp8) {
        println!("SKIPPED: VP8 and VP9: libvpx is not installed");
    }
    found
}

fn open(codec: Codec, rate: Rate, like: &Frame) -> Box<dyn Encoder> {
    let Rect { width, height, .. } = like.bounds();
    let tuning = Tuning { rate, fps: 30 };
    Software.open(&Settings { codec, width, height, chroma: Chroma::Yuv420, tuning, device: None }, like).unwrap()
}

fn encode(encoder: &mut dyn Encoder, frame: Frame) -> Packet {
    let region = frame.bounds();
    encoder.submit(frame, EncodeRequest { region, damage: region, keyframe: false, tag: 0 }).unwrap();
    match encoder.poll_completion().unwrap() {
        Some(Completion::Encoded(packet)) => packet,
        other => panic!("{other:?}"),
    }
}

/// Encodes and decodes; the coded size may be larger than the pictures'.
fn round_trip(codec: Codec, rate: Rate, pictures: &[Picture]) -> Vec<Picture> {
    let mut encoder = open(codec, rate, &pictures[0].frame());
    let packets: Vec<_> = pictures.iter().map(|p| encode(&mut *encoder, p.frame())).collect();
    let decoded = decode::decode(codec, &packets, packets[0].width, packets[0].height);
    assert_eq!(decoded.len(), pictures.len(), "{codec}");
    decoded
}

#[test]
fn natural_pictures_and_text_survive() {
    if !decode::available("natural_pictures_and_text_survive") {
        return;
    }
    for codec in codecs() {
        for (name, make, least) in [("natural", natural as fn(u32, u32, u32) -> Picture, 34.0), ("text", text, 38.0)] {
            let pictures: Vec<_> = (0..6).map(|n| make(640, 368, n)).collect();
            let decoded = round_trip(codec, Tuning::default().rate, &pictures);
            let worst = pictures.iter().zip(&decoded).map(|(a, b)| a.psnr(b)).fold(f64::INFINITY, f64::min);
            println!("{codec} {name}: {worst:.1} dB at the default quality");
            assert!(worst >= least, "{codec} {name}: {worst:.1} dB");
        }
    }
}

#[test]
fn colours_are_right_and_signalled() {
    if !decode::available("colours_are_right_and_signalled") {
        return;
    }
    for codec in codecs() {
        let picture = bars(640, 64);
        let packet = encode(&mut *open(codec, Rate::Quality(95), &picture.frame()), picture.frame());
        decode::decode(codec, std::slice::from_ref(&packet), 640, 64)[0].assert_bars(codec.name());
        let (range, matrix) = decode::colours(codec, &[packet], 640, 64);
        match codec {
            // JFIF: full range and BT.601, which FFmpeg calls by the name of one of its countries.
            Codec::Mjpeg => assert_eq!((&*range, &*matrix), ("pc", "bt470bg")),
            // A VP8 stream can say nothing; it is BT.601 by definition.
            Codec::Vp8 => {}
            _ => assert_eq!((&*range, &*matrix), ("tv", "bt709"), "{codec}"),
        }
    }
}

#[test]
fn a_new_size_is_refused_and_coded_by_a_new_encoder() {
    if !decode::available("a_new_size_is_refused_and_coded_by_a_new_encoder") {
        return;
    }
    for codec in codecs() {
        let (small, large) = (natural(320, 240, 0), natural(400, 304, 1));
        let mut encoder = open(codec, Rate::Quality(90), &small.frame());
        encode(&mut *encoder, small.frame());
        let region = large.frame().bounds();
        let request = EncodeRequest { region, damage: region, keyframe: false, tag: 0 };
        let refused = encoder.submit(large.frame(), request).unwrap_err();
        let (width, height, got_width, got_height) = (320, 240, 400, 304);
        assert_eq!(refused.why, Refusal::Size { width, height, got_width, got_height }, "{codec}");
        // The encoder goes on: a picture of the old size may still come.
        encode(&mut *encoder, small.frame());
        assert!(encoder.finish().is_empty());
        let packet = encode(&mut *open(codec, Rate::Quality(90), &refused.frame), refused.frame);
        assert!(packet.keyframe, "{codec}");
        assert!(large.psnr(&decode::decode(codec, &[packet], 400, 304)[0]) >= 34.0, "{codec}");
    }
}

#[test]
fn every_size_is_coded_with_its_edges() {
    if !decode::available("every_size_is_coded_with_its_edges") {
        return;
    }
    for codec in codecs() {
        for (width, height) in [(1, 1), (3, 200), (200, 7), (1366, 768), (639, 479)] {
            let picture = natural(width, height, 0);
            let decoded = round_trip(codec, Rate::Quality(90), std::slice::from_ref(&picture));
            let psnr = picture.psnr(&decoded[0]);
            assert!(psnr >= 34.0, "{codec} {width}x{height}: {psnr:.1} dB");
        }
    }
}

#[test]
fn four_k_is_coded() {
    if !decode::available("four_k_is_coded") {
        return;
    }
    let picture = bars(4096, 2160);
    for codec in codecs() {
        let decoded = round_trip(codec, Rate::Quality(80), std::slice::from_ref(&picture));
        assert!(picture.psnr(&decoded[0]) >= 34.0, "{codec}");
    }
}

#[test]
fn a_part_of_a_frame_is_that_part() {
    if !decode::available("a_part_of_a_frame_is_that_part") {
        return;
    }
    let whole = natural(400, 300, 0);
    let region = Rect { x: 101, y: 53, width: 160, height: 120 };
    let part = Picture::new(160, 120, |x, y| {
        let at = ((y + region.y) * 400 + x + region.x) as usize * 4;
        [whole.pixels[at], whole.pixels[at + 1], whole.pixels[at + 2]]
    });
    for codec in codecs() {
        let mut encoder = open(codec, Rate::Quality(90), &part.frame());
        let want = EncodeRequest { region, damage: region, keyframe: false, tag: 0 };
        encoder.submit(whole.frame(), want).unwrap();
        let Some(Completion::Encoded(packet)) = encoder.poll_completion().unwrap() else { panic!("dropped") };
        let decoded = decode::decode(codec, &[packet], 160, 120);
        assert!(part.psnr(&decoded[0]) >= 34.0, "{codec}");
    }
}

#[test]
fn dmabufs_are_read_back_once_and_turned_upright() {
    if !decode::available("dmabufs_are_read_back_once_and_turned_upright") {
        return;
    }
    let picture = natural(320, 240, 0);
    let turned: Vec<u8> = picture.pixels.chunks(320 * 4).rev().flatten().copied().collect();
    let swapped: Vec<u8> = picture.pixels.chunks(4).flat_map(|p| [p[2], p[1], p[0], p[3]]).collect();
    for (pixels, fourcc, y_inverted) in [
        (picture.pixels.clone(), Fourcc::ARGB8888, false),
        (turned, Fourcc::XRGB8888, true),
        (swapped, Fourcc::XBGR8888, false),
    ] {
        let upright = memfd(&Picture { pixels, ..picture });
        let dmabuf = upright.dmabuf().unwrap();
        let shape = Shape { fourcc, y_inverted, ..dmabuf.shape() };
        let frame = Frame::from_dmabuf(Dmabuf::new(shape, dmabuf.planes()).unwrap());
        for codec in codecs() {
            let packet = encode(&mut *open(codec, Rate::Quality(90), &frame), frame.clone());
            let psnr = picture.psnr(&decode::decode(codec, &[packet], 320, 240)[0]);
            assert!(psnr >= 34.0, "{codec} of {fourcc}: {psnr:.1} dB");
        }
    }
}

#[test]
fn a_picture_that_vanishes_keeps_the_law() {
    for codec in codecs() {
        let picture = natural(64, 48, 0);
        let files = RefCell::new(Vec::new());
        let like = memfd(&picture);
        let settings =
            Settings { codec, width: 64, height: 48, chroma: Chroma::Yuv420, tuning: Tuning::default(), device: None };
        let encoder = Software.open(&settings, &like).unwrap();
        let mut frames = |_| {
            let frame = memfd(&picture);
            files.borrow_mut().push(Arc::clone(&frame.dmabuf().unwrap().planes()[0].fd));
            frame
        };
        let mut lose = || rustix::fs::ftruncate(files.borrow().last().unwrap(), 0).unwrap();
        let error = conformance::check_loss(encoder, &settings, &mut frames, 3, &mut lose).unwrap();
        assert!(matches!(error, BackendError::Frame(FrameError::System { .. })), "{codec}: {error}");
    }
}

#[test]
fn what_only_a_device_can_read_is_refused_before_a_ticket() {
    let readable = memfd(&natural(64, 48, 0));
    let dmabuf = readable.dmabuf().unwrap();
    for (fourcc, modifier) in
        [(Fourcc::XRGB8888, 0x0100_0000_0000_0002), (Fourcc::XRGB8888, MOD_INVALID), (Fourcc::P010, MOD_LINEAR)]
    {
        let (width, height) = if fourcc == Fourcc::P010 { (32, 16) } else { (64, 48) };
        let shape = Shape { fourcc, modifier, width, height, y_inverted: false };
        let planes = vec![dmabuf.planes()[0].clone(); if fourcc == Fourcc::P010 { 2 } else { 1 }];
        let tiled = Frame::from_dmabuf(Dmabuf::new(shape, &planes).unwrap());
        let tuning = Tuning::default();
        let settings = Settings { codec: Codec::H264, width, height, chroma: Chroma::Yuv420, tuning, device: None };
        let error = Software.open(&settings, &tiled).map(drop).unwrap_err();
        assert!(error.to_string().starts_with("the processor cannot read"), "{error}");
        let mut encoder = open(Codec::H264, Rate::Quality(80), &readable);
        let region = readable.bounds();
        let refused = encoder.submit(tiled.clone(), EncodeRequest { region, damage: region, keyframe: false, tag: 0 });
        let refused = refused.unwrap_err();
        assert!(matches!(refused.why, Refusal::Unlike(_)) && refused.frame.is_same(&tiled), "{refused}");
    }
}
