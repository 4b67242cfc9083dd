//! What a picture costs in allocations, once the encoder runs: none, outside of C libraries and of
//! what stands for a device.
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sumac_backends::{
    Backend, Chroma, Codec, EncodeRequest, Frame, Rate, Rect, Settings, Tuning, overhead, scripted::Scripted,
    software::Software,
};

use crate::{content::natural, dmabuf::memfd};

#[allow(unsafe_code, reason = "an allocator that counts")]
mod sys;

/// Allocations of this thread for 20 pictures, after 10 that are not counted.
pub(crate) fn count(backend: &dyn Backend, settings: &Settings, frames: &[Frame]) -> usize {
    let mut encoder = backend.open(settings, &frames[0]).unwrap();
    let limit = Timespec::try_from(Duration::from_secs(10)).unwrap();
    let mut before = 0;
    for n in 0..30 {
        if n == 10 {
            before = sys::allocations();
        }
        let frame = &frames[n % frames.len()];
        let region = frame.bounds();
        let want = EncodeRequest { region, damage: region, keyframe: n % 7 == 0, tag: 0 };
        encoder.submit(frame.clone(), want).unwrap();
        while encoder.poll_completion().unwrap().is_none() {
            let fd = encoder.readiness().unwrap();
            assert_eq!(poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)], Some(&limit)), Ok(1));
        }
    }
    sys::allocations() - before
}

/// A fixed quality: a rate loop may find a finer one, for which a buffer must grow once more.
fn settings(codec: Codec, like: &Frame) -> Settings {
    let Rect { width, height, .. } = like.bounds();
    let tuning = Tuning { rate: Rate::Quality(80), fps: 30 };
    Settings { codec, width, height, chroma: Chroma::Yuv420, tuning, device: None }
}

#[test]
fn a_running_encoder_allocates_nothing() {
    let frames = [0, 1, 2].map(|n| natural(320, 240, n).frame());
    let scripted = Scripted::new(1, false, []);
    assert_eq!(count(&scripted, &settings(Codec::H264, &frames[0]), &frames), 0, "scripted");
    for offer in Software.probe().remove(0).encoders.unwrap() {
        // The crate that writes JPEGs where libturbojpeg is missing allocates for each.
        if offer.by.contains("crate") {
            println!("SKIPPED: allocations of MJPEG: {}", offer.by);
            continue;
        }
        assert_eq!(count(&Software, &settings(offer.codec, &frames[0]), &frames), 0, "{}", offer.codec);
    }
    let frames = [0, 1, 2].map(|n| memfd(&natural(320, 240, n)));
    for backend in overhead::backends() {
        assert_eq!(count(backend, &settings(Codec::H264, &frames[0]), &frames), 0, "{}", backend.name());
    }
}

#[test]
fn a_picture_read_back_costs_no_allocation() {
    let frames = [0, 1, 2].map(|n| memfd(&natural(320, 240, n)));
    assert_eq!(count(&Software, &settings(Codec::H264, &frames[0]), &frames), 0);
}

#[test]
fn the_counter_counts() {
    let before = sys::allocations();
    drop(std::hint::black_box(vec![1u8; 100]));
    assert_eq!(sys::allocations() - before, 1);
}
