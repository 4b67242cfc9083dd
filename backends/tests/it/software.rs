//! The software encoders, decoded by FFmpeg.
use sumac_backends::{
    Backend, Chroma, Codec, Completion, EncodeRequest, Encoder, Frame, Packet, Rate, Rect, Settings, Tuning,
    software::Software,
};

use crate::{
    content::{BARS, Picture, bars, natural, text},
    decode,
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
fn colours_are_right() {
    if !decode::available("colours_are_right") {
        return;
    }
    for codec in codecs() {
        let decoded = round_trip(codec, Rate::Quality(95), &[bars(640, 64)]);
        for (n, wanted) in BARS.iter().enumerate() {
            let at = (32 * 640 + n * 80 + 40) * 4;
            let got = &decoded[0].pixels[at..at + 3];
            let off = wanted.iter().zip(got).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(off <= Some(4), "{codec}: {got:?} instead of {wanted:?}");
        }
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
