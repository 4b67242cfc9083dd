//! What a picture of 1280x720 costs on its way through the encoders of this package, from submit to
//! completion, without the codec: packets are 20 kB that are there already.
//!
//! `cargo bench -p sumac-benches --bench encoders`. VA-API is measured where its test driver can be
//! loaded, which wants a render node: in the kernel of `tests/kernel`, with `SUMAC_VA=null`,
//! `LIBVA_DRIVER_NAME=sumac` and `LIBVA_DRIVERS_PATH`. The driver's own bookkeeping is then part of
//! the figure, and so is the price of a system call in that kernel, which is measured beside it.

#![expect(clippy::expect_used, clippy::print_stdout, reason = "a bench that cannot set itself up must stop")]

use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use rustix::fs::{MemfdFlags, fstat, ftruncate, memfd_create};
use sumac_backends::{
    Backend, Chroma, Codec, Dmabuf, EncodeRequest, Encoder, Frame, Plane, Rate, Settings, Tuning,
    dmabuf::{Fourcc, MOD_LINEAR, Shape},
    overhead,
    scripted::Scripted,
    vaapi::Vaapi,
};

const WIDTH: u32 = 1280;
const HEIGHT: u32 = 720;

/// A picture in a memfd: it has an fd to hand over, and nobody reads it.
fn frame() -> Frame {
    let fd = memfd_create("picture", MemfdFlags::CLOEXEC).expect("a memfd");
    ftruncate(&fd, u64::from(WIDTH * HEIGHT * 4)).expect("room for a picture");
    let (width, height) = (WIDTH, HEIGHT);
    let shape = Shape { width, height, fourcc: Fourcc::XRGB8888, modifier: MOD_LINEAR, y_inverted: false };
    let plane = Plane { fd: Arc::new(fd), offset: 0, stride: WIDTH * 4 };
    Frame::from_dmabuf(Dmabuf::new(shape, &[plane]).expect("a picture"))
}

fn picture(encoder: &mut dyn Encoder, frame: &Frame) {
    let region = frame.bounds();
    let want = EncodeRequest { region, damage: region, keyframe: false, tag: 0 };
    encoder.submit(frame.clone(), want).expect("the encoder is free");
    while encoder.poll_completion().expect("an encoder that works").is_none() {}
}

fn overhead(c: &mut Criterion) {
    let mut group = c.benchmark_group("submit to completion without codec");
    let frame = frame();
    let fd = memfd_create("empty", MemfdFlags::CLOEXEC).expect("a memfd");
    group.bench_function("one system call, for scale", |b| b.iter(|| fstat(&fd)));
    let tuning = Tuning { rate: Rate::Quality(80), fps: 30 };
    let (codec, chroma) = (Codec::H264, Chroma::Yuv420);
    let settings = Settings { codec, width: WIDTH, height: HEIGHT, chroma, tuning, device: None };
    let scripted = Scripted::new(1, true, []);
    let [software, v4l2] = overhead::backends();
    let backends: [&dyn Backend; 4] = [&scripted, software, v4l2, &Vaapi];
    for backend in backends {
        match backend.open(&settings, &frame) {
            Ok(mut encoder) => {
                group.bench_function(backend.name(), |b| b.iter(|| picture(&mut *encoder, &frame)));
            }
            Err(error) => println!("SKIPPED: the overhead of {}: {error}", backend.name()),
        }
    }
}

criterion_group!(encoders, overhead);
criterion_main!(encoders);
