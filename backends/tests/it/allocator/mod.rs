//! What a picture costs in allocations, once the encoder runs: none, outside of C libraries.
use sumac_backends::{
    Backend, Chroma, Codec, EncodeRequest, Frame, Rate, Rect, Settings, Tuning, scripted::Scripted, software::Software,
};

use crate::content::natural;

#[allow(unsafe_code, reason = "an allocator that counts")]
mod sys;

/// Allocations of this thread for 20 pictures, after 10 that are not counted.
fn count(backend: &dyn Backend, codec: Codec, rate: Rate) -> usize {
    let frames: Vec<Frame> = (0..3).map(|n| natural(320, 240, n).frame()).collect();
    let Rect { width, height, .. } = frames[0].bounds();
    let tuning = Tuning { rate, fps: 30 };
    let settings = Settings { codec, width, height, chroma: Chroma::Yuv420, tuning, device: None };
    let mut encoder = backend.open(&settings, &frames[0]).unwrap();
    let mut before = 0;
    for n in 0..30 {
        if n == 10 {
            before = sys::allocations();
        }
        let region = frames[n % 3].bounds();
        let want = EncodeRequest { region, damage: region, keyframe: n % 7 == 0, tag: 0 };
        encoder.submit(frames[n % 3].clone(), want).unwrap();
        assert!(encoder.poll_completion().unwrap().is_some());
    }
    sys::allocations() - before
}

#[test]
fn a_running_encoder_allocates_nothing() {
    assert_eq!(count(&Scripted::new(1, false, []), Codec::H264, Rate::Quality(80)), 0, "scripted");
    for offer in Software.probe().remove(0).encoders.unwrap() {
        // The crate that writes JPEGs where libturbojpeg is missing allocates for each.
        if offer.by.contains("crate") {
            println!("SKIPPED: allocations of MJPEG: {}", offer.by);
            continue;
        }
        // A fixed quality: a rate loop may find a finer one, for which a buffer must grow once more.
        assert_eq!(count(&Software, offer.codec, Rate::Quality(80)), 0, "{}", offer.codec);
    }
}

#[test]
fn the_counter_counts() {
    let before = sys::allocations();
    drop(std::hint::black_box(vec![1u8; 100]));
    assert_eq!(sys::allocations() - before, 1);
}
