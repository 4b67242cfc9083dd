//! Encoders whose driver says anything: the law of encoders holds all the same.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sumac::fuzzing::files;
use sumac_backends::bitstream::{annexb, is_key_frame};
use sumac_backends::dmabuf::{Fourcc, MOD_LINEAR, Plane, Shape};
use sumac_backends::{
    BackendError, Chroma, Codec, Completion, Dmabuf, EncodeRequest, Encoder, Frame, Rate, Rect, Settings, Ticket,
    Tuning,
};

use super::input::Input;

const SIZE: (u32, u32) = (64, 40);
const CODECS: [Codec; 6] = [Codec::H264, Codec::Hevc, Codec::Vp8, Codec::Vp9, Codec::Mjpeg, Codec::Fwht];

type Open = fn(&Settings, &Frame, &[u8]) -> Result<Box<dyn Encoder>, BackendError>;

/// Input: see [`run`].
pub(super) fn v4l2(data: &[u8]) {
    run(data, sumac_backends::fuzzing::v4l2);
}

/// Input: a byte for the codec, one for the rate; a block of what is done with the encoder; then what
/// the driver answers.
fn run(data: &[u8], open: Open) {
    let mut input = Input::new(data);
    let codec = input.pick(&CODECS);
    let (rate, operations) = (input.byte(), input.block());
    drive(codec, rate, operations, input.rest(), open);
}

fn drive(codec: Codec, rate: u8, operations: &[u8], answers: &[u8], open: Open) {
    let mut operations = Input::new(operations);
    let (width, height) = SIZE;
    let settings = Settings { codec, width, height, chroma: Chroma::Yuv420, tuning: tuning(rate), device: None };
    let released = Arc::new(AtomicUsize::new(0));
    let mut bench = Bench { open: VecDeque::new(), made: 1, released: Arc::clone(&released) };
    let like = bench.frame();
    let Ok(mut encoder) = open(&settings, &like, answers) else { return };
    drop(like);
    while !operations.is_empty() {
        match operations.byte() % 4 {
            0 => bench.submit(&mut *encoder, operations.byte() & 1 == 0),
            1 => {
                let done = encoder.poll_completion();
                if let Ok(Some(completion)) = done {
                    bench.completed(&completion);
                }
            }
            2 => drop(encoder.retune(&tuning(operations.byte()))),
            _ => break,
        }
        assert!(bench.open.len() <= encoder.depth().max(1), "more is open than the depth says");
    }
    if operations.byte() & 1 == 0 {
        let last = encoder.finish();
        last.iter().for_each(|completion| bench.completed(completion));
        assert!(bench.open.is_empty(), "tickets without an end: {:?}", bench.open);
    } else {
        drop(encoder);
    }
    assert_eq!(released.load(Ordering::Relaxed), bench.made, "every frame comes back");
}

fn tuning(byte: u8) -> Tuning {
    let rate =
        if byte & 1 == 0 { Rate::Quality((byte >> 1).clamp(1, 100)) } else { Rate::Bitrate(u32::from(byte) << 12) };
    Tuning { rate, fps: 30 }
}

struct Bench {
    open: VecDeque<Ticket>,
    made: usize,
    released: Arc<AtomicUsize>,
}

impl Bench {
    fn frame(&mut self) -> Frame {
        let (width, height) = SIZE;
        let bytes = [0; (SIZE.0 * SIZE.1 * 4) as usize];
        let shape = Shape { width, height, fourcc: Fourcc::XRGB8888, modifier: MOD_LINEAR, y_inverted: false };
        let dmabuf = files::file(&bytes).ok().and_then(|(file, _)| {
            let plane = Plane { fd: Arc::new(file.into()), offset: 0, stride: width * 4 };
            Dmabuf::new(shape, &[plane]).ok()
        });
        let Some(dmabuf) = dmabuf else { unreachable!("no dmabuf") };
        let released = Arc::clone(&self.released);
        Frame::from_dmabuf(dmabuf).on_release(move || _ = released.fetch_add(1, Ordering::Relaxed))
    }

    fn submit(&mut self, encoder: &mut dyn Encoder, keyframe: bool) {
        let (width, height) = SIZE;
        let region = Rect { x: 0, y: 0, width, height };
        let frame = self.frame();
        self.made += 1;
        match encoder.submit(frame, EncodeRequest { region, damage: region, keyframe, tag: 7 }) {
            Ok(ticket) => self.open.push_back(ticket),
            // The frame is dropped with the refusal.
            Err(refused) => assert!(refused.frame.dmabuf().is_some()),
        }
    }

    fn completed(&mut self, completion: &Completion) {
        let (ticket, tag) = match completion {
            Completion::Encoded(packet) => {
                assert!(!packet.data.is_empty(), "a packet without a byte");
                (packet.ticket, packet.tag)
            }
            Completion::Dropped { ticket, tag } => (*ticket, *tag),
        };
        assert_eq!((self.open.pop_front(), tag), (Some(ticket), 7), "once, in order");
    }
}

/// Input: a byte for the codec, then an encoded picture.
pub(super) fn bitstream(data: &[u8]) {
    let mut input = Input::new(data);
    let codec = input.pick(&CODECS);
    let stream = input.rest();
    // Whatever it says.
    is_key_frame(codec, stream);
    let hevc = codec == Codec::Hevc;
    let units: Vec<_> = annexb::nal_units(stream).collect();
    assert!(units.iter().all(|unit| unit.last().is_some_and(|last| *last != 0)));
    let sets = annexb::parameter_sets(hevc, stream);
    assert!(stream.starts_with(sets));
    let mut stripped = stream.to_vec();
    annexb::strip_delimiters(hevc, &mut stripped);
    assert!(stream.ends_with(&stripped), "only the head is taken away");
    let mut again = stripped.clone();
    annexb::strip_delimiters(hevc, &mut again);
    assert_eq!(stripped, again, "a stream without delimiters stays as it is");
    let joined: Vec<u8> = units.iter().flat_map(|unit| [&[0, 0, 0, 1][..], unit].concat()).collect();
    assert!(annexb::nal_units(&joined).eq(units));
}
