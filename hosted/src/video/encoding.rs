//! [`Encoding`]: one codec's encoder, kept running whatever happens to it.
//!
//! ```text
//!              the first candidate that opens and takes the picture
//!   closed ─────────────────────────────────────────────────────────► running
//!     ▲                                                                  │
//!     └──────────────────────────────────────────────────────────────────┘
//!        lost, or the pictures are of another kind; the picture at hand is encoded anew
//! ```
//!
//! A candidate that is lost is opened once more, then passed over. The first packet of an encoder
//! stands alone, so whoever follows the packets goes on with it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use sumac_backends::dmabuf::Shape;
use sumac_backends::{
    BackendError, Chroma, Codec, Completion, EncodeRequest, Encoder, Frame, Packet, Rect, Refusal, Settings, Tuning,
};

use super::encoders::Candidate;
use crate::ledger::{Count, Ledger};

/// Losses after which a candidate is passed over.
const MOST_LOSSES: u8 = 2;
/// Pictures after which earlier losses no longer count: they had other reasons.
const FORGIVEN_AFTER: u32 = 1000;
/// How long an encoder may sit on as many pictures as it may have before it counts as lost.
const STUCK: Duration = Duration::from_secs(2);
/// How long it may sit on fewer: some give nothing before they have the next picture.
const HELD: Duration = Duration::from_millis(200);

/// A picture to encode.
pub(super) struct Job {
    pub(super) frame: Frame,
    pub(super) region: Rect,
    pub(super) keyframe: bool,
    /// Comes back in the packet.
    pub(super) tag: u64,
    pub(super) tuning: Tuning,
}

/// What came of a job.
pub(super) enum Outcome {
    /// An encoded picture.
    Packet(Packet),
    /// Nothing yet: the rate control left the picture out, or the encoder wants the next one first.
    Skipped,
    /// Nobody encodes this.
    Failed(String),
}

/// An encoder of one codec. Like the encoder, it stays on one thread.
pub(super) struct Encoding {
    codec: Codec,
    candidates: Vec<Candidate>,
    /// How often each was lost.
    losses: Vec<u8>,
    running: Option<Running>,
    ledger: Arc<Ledger>,
}

struct Running {
    /// Which candidate it is.
    at: usize,
    encoder: Box<dyn Encoder>,
    tuning: Tuning,
    /// Of the dmabufs that it was opened for; `None` for pictures in memory.
    shape: Option<Shape>,
    /// Pictures that it has and did not complete.
    open: usize,
    coded: u32,
}

impl Encoding {
    /// Nothing is opened before the first picture.
    pub(super) fn new(codec: Codec, candidates: Vec<Candidate>, ledger: Arc<Ledger>) -> Self {
        let losses = vec![0; candidates.len()];
        Self { codec, candidates, losses, running: None, ledger }
    }

    /// Encodes one picture and waits for it. No handle to the frame is left, unless the encoder
    /// wants the next picture first.
    pub(super) fn encode(&mut self, job: Job) -> Outcome {
        loop {
            if let Err(why) = self.submit(&job) {
                return Outcome::Failed(why);
            }
            match self.running.as_mut().map(Running::complete) {
                Some(Ok(outcome)) => return outcome,
                Some(Err(error)) => self.lose(&error),
                None => {}
            }
        }
    }

    /// Hands the picture to the running encoder, else to the first candidate that takes it.
    fn submit(&mut self, job: &Job) -> Result<(), String> {
        let shape = shape(&job.frame);
        // Another kind of picture may suit a better candidate.
        if let Some(running) = self.running.take_if(|running| running.shape != shape) {
            self.close(running, "the pictures are of another kind");
        }
        if let Some(running) = &mut self.running {
            match running.submit(job) {
                Ok(()) => return Ok(()),
                Err(Refusal::Failed(error)) => self.lose(&error),
                Err(refusal) => {
                    if let Some(running) = self.running.take() {
                        self.close(running, &refusal.to_string());
                    }
                }
            }
        }
        let mut passed = Vec::new();
        for (at, candidate) in self.candidates.iter().enumerate() {
            if self.losses.get(at).is_some_and(|losses| *losses >= MOST_LOSSES) {
                passed.push(format!("{}: it was lost twice", candidate.words));
                continue;
            }
            match self.start(at, candidate, job) {
                Ok(running) => {
                    let because =
                        if passed.is_empty() { String::new() } else { format!("; not {}", passed.join("; not ")) };
                    tracing::info!(
                        "a stream of {}x{}: {}{because}",
                        job.region.width,
                        job.region.height,
                        candidate.words
                    );
                    self.running = Some(running);
                    return Ok(());
                }
                Err(why) => passed.push(format!("{}: {why}", candidate.words)),
            }
        }
        Err(if passed.is_empty() { format!("nobody encodes {} of this size", self.codec) } else { passed.join("; ") })
    }

    /// Opens a candidate and hands it the picture.
    fn start(&self, at: usize, candidate: &Candidate, job: &Job) -> Result<Running, String> {
        let settings = Settings {
            codec: self.codec,
            width: job.region.width,
            height: job.region.height,
            chroma: Chroma::Yuv420,
            tuning: job.tuning,
            device: candidate.device.clone(),
        };
        let encoder = candidate.backend.open(&settings, &job.frame).map_err(|error| error.to_string())?;
        let mut running = Running { at, encoder, tuning: job.tuning, shape: shape(&job.frame), open: 0, coded: 0 };
        match running.submit(job) {
            Ok(()) => Ok(running),
            Err(refusal) => {
                drop(running.encoder.finish());
                Err(refusal.to_string())
            }
        }
    }

    fn lose(&mut self, error: &BackendError) {
        let Some(running) = self.running.take() else { return };
        self.ledger.add(Count::EncoderLosses, 1);
        if let Some(losses) = self.losses.get_mut(running.at) {
            *losses = if running.coded >= FORGIVEN_AFTER { 1 } else { *losses + 1 };
        }
        let words = self.candidates.get(running.at).map_or("", |candidate| &candidate.words);
        tracing::warn!(%error, "an encoder is lost: {words}");
        drop(running.encoder.finish());
    }

    fn close(&self, running: Running, why: &str) {
        tracing::debug!(codec = %self.codec, why, "the encoder is opened anew");
        drop(running.encoder.finish());
    }
}

impl Drop for Encoding {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            drop(running.encoder.finish());
        }
    }
}

impl Running {
    fn submit(&mut self, job: &Job) -> Result<(), Refusal> {
        let Job { region, keyframe, tag, tuning, .. } = *job;
        if self.tuning != tuning {
            self.tuning = tuning;
            // The old tuning stays when this one is impossible.
            if let Err(error) = self.encoder.retune(&tuning) {
                tracing::debug!(%error, "an encoder is not tuned anew");
            }
        }
        let request = EncodeRequest { region, damage: region, keyframe, tag };
        self.encoder.submit(job.frame.clone(), request).map_err(|refused| refused.why)?;
        self.open += 1;
        Ok(())
    }

    /// Waits for the next packet.
    fn complete(&mut self) -> Result<Outcome, BackendError> {
        let start = Instant::now();
        loop {
            match self.encoder.poll_completion()? {
                Some(Completion::Encoded(packet)) => {
                    self.open = self.open.saturating_sub(1);
                    self.coded = self.coded.saturating_add(1);
                    return Ok(Outcome::Packet(packet));
                }
                Some(Completion::Dropped { .. }) => {
                    self.open = self.open.saturating_sub(1);
                    if self.open == 0 {
                        return Ok(Outcome::Skipped);
                    }
                }
                None if self.encoder.readiness().is_none() => return Ok(Outcome::Skipped),
                None => {
                    let has_room = self.open < self.encoder.depth();
                    let left = (if has_room { HELD } else { STUCK }).saturating_sub(start.elapsed());
                    if left.is_zero() && has_room {
                        return Ok(Outcome::Skipped);
                    }
                    if left.is_zero() {
                        let message = format!("nothing came for {} s", STUCK.as_secs());
                        return Err(BackendError::Library { call: "poll", message });
                    }
                    self.wait(left);
                }
            }
        }
    }

    /// Sleeps until the encoder has news, for so long at most.
    fn wait(&self, most: Duration) {
        let Some(fd) = self.encoder.readiness() else { return };
        let most = Timespec { tv_sec: most.as_secs().cast_signed(), tv_nsec: most.subsec_nanos().into() };
        // An interrupted wait only means asking again.
        let _ = rustix::event::poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&most));
    }
}

fn shape(frame: &Frame) -> Option<Shape> {
    frame.dmabuf().map(|dmabuf| dmabuf.shape())
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd, BorrowedFd};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
    use sumac_backends::dmabuf::{Fourcc, MOD_LINEAR};
    use sumac_backends::scripted::{Scripted, Step};
    use sumac_backends::{Dmabuf, Layout, Plane, Refused, Ticket};

    use super::*;
    use crate::video::double::{Double, Takes, lost_after};

    const REGION: Rect = Rect { x: 0, y: 0, width: 16, height: 8 };

    /// Makes frames and counts how many of them are gone.
    #[derive(Default)]
    struct Frames {
        made: usize,
        released: Arc<AtomicUsize>,
    }

    impl Frames {
        fn memory(&mut self) -> Frame {
            self.counted(Frame::from_memory(Layout { width: 16, height: 8, stride: 64 }, [0; 512]).unwrap())
        }

        fn dmabuf(&mut self) -> Frame {
            let fd = memfd_create("picture", MemfdFlags::CLOEXEC).unwrap();
            ftruncate(&fd, 512).unwrap();
            let shape =
                Shape { width: 16, height: 8, fourcc: Fourcc::XRGB8888, modifier: MOD_LINEAR, y_inverted: false };
            let plane = Plane { fd: Arc::new(fd), offset: 0, stride: 64 };
            self.counted(Frame::from_dmabuf(Dmabuf::new(shape, &[plane]).unwrap()))
        }

        fn counted(&mut self, frame: Frame) -> Frame {
            self.made += 1;
            let released = Arc::clone(&self.released);
            frame.on_release(move || {
                released.fetch_add(1, Ordering::Relaxed);
            })
        }

        fn all_released(&self) -> bool {
            self.released.load(Ordering::Relaxed) == self.made
        }
    }

    fn encoding(backends: &[&'static Double]) -> Encoding {
        let candidate = |backend: &&'static Double| {
            let words = sumac_backends::Backend::name(*backend).to_owned();
            Candidate { backend: *backend, device: None, words }
        };
        Encoding::new(Codec::H264, backends.iter().map(candidate).collect(), Arc::default())
    }

    /// Encodes and tells whether the packet stands alone, `None` when there is none. The frame must
    /// be gone when that is known.
    fn encode(encoding: &mut Encoding, frames: &Frames, frame: Frame) -> Result<Option<bool>, String> {
        let outcome =
            encoding.encode(Job { frame, region: REGION, keyframe: false, tag: 7, tuning: Tuning::default() });
        assert!(frames.all_released(), "a frame is still held");
        match outcome {
            Outcome::Packet(packet) => {
                assert_eq!(packet.tag, 7);
                Ok(Some(packet.keyframe))
            }
            Outcome::Skipped => Ok(None),
            Outcome::Failed(why) => Err(why),
        }
    }

    #[test]
    fn a_lost_encoder_is_opened_once_more_and_then_the_next() {
        let (mut frames, script) = (Frames::default(), [lost_after(2), lost_after(0)].concat());
        let first = Double::new("first").follows(Scripted::new(1, false, script)).leak();
        let second = Double::new("second").leak();
        let mut encoding = encoding(&[first, second]);
        let mut keys = Vec::new();
        for _ in 0..4 {
            let frame = frames.memory();
            keys.push(encode(&mut encoding, &frames, frame).unwrap());
        }
        assert_eq!(keys, [Some(true), Some(false), Some(true), Some(false)], "the third is the second's first");
        assert_eq!((first.opened(), second.opened()), (2, 1));
        assert_eq!(encoding.ledger.count(Count::EncoderLosses), 2);
    }

    #[test]
    fn when_all_are_lost_it_says_so_and_holds_nothing() {
        let mut frames = Frames::default();
        for with_fd in [false, true] {
            let script = [lost_after(0), lost_after(0), lost_after(0)].concat();
            let only = Double::new("only").follows(Scripted::new(1, with_fd, script)).leak();
            let mut encoding = encoding(&[only]);
            let frame = frames.memory();
            assert_eq!(encode(&mut encoding, &frames, frame), Err("only: it was lost twice".into()));
            assert_eq!(only.opened(), 2);
        }
    }

    #[test]
    fn who_does_not_take_the_picture_is_passed_over_for_it_only() {
        let mut frames = Frames::default();
        let device = Double::new("device").takes(Takes::Dmabufs).leak();
        let none = Double::new("none").takes(Takes::Nothing).leak();
        let any = Double::new("any").leak();
        let mut encoding = encoding(&[device, none, any]);
        let mut encode_next = |frame: fn(&mut Frames) -> Frame| {
            let frame = frame(&mut frames);
            (encode(&mut encoding, &frames, frame).unwrap(), device.opened(), any.opened())
        };
        assert_eq!(encode_next(Frames::memory), (Some(true), 0, 1));
        assert_eq!(encode_next(Frames::memory), (Some(false), 0, 1));
        assert_eq!(encode_next(Frames::dmabuf), (Some(true), 1, 1), "the better one is back");
        assert_eq!(encode_next(Frames::dmabuf), (Some(false), 1, 1));
        assert_eq!(encode_next(Frames::memory), (Some(true), 1, 2));
    }

    #[test]
    fn another_size_opens_it_anew() {
        let mut frames = Frames::default();
        let only = Double::new("only").leak();
        let mut encoding = encoding(&[only]);
        for (region, opened) in [(REGION, 1), (Rect { width: 8, ..REGION }, 2), (Rect { width: 8, ..REGION }, 2)] {
            let outcome = encoding.encode(Job {
                frame: frames.memory(),
                region,
                keyframe: false,
                tag: 0,
                tuning: Tuning::default(),
            });
            let Outcome::Packet(packet) = outcome else { panic!("no packet") };
            assert_eq!((packet.width, only.opened()), (region.width, opened));
            assert!(frames.all_released());
        }
        let outside = Rect { width: 17, ..REGION };
        let outcome = encoding.encode(Job {
            frame: frames.memory(),
            region: outside,
            keyframe: false,
            tag: 0,
            tuning: Tuning::default(),
        });
        assert!(matches!(outcome, Outcome::Failed(why) if why.contains("not inside")));
        assert!(frames.all_released());
    }

    #[test]
    fn what_the_rate_control_leaves_out_is_no_failure() {
        let mut frames = Frames::default();
        let script = [Step::Encode, Step::Drop, Step::Encode];
        let only = Double::new("only").follows(Scripted::new(1, true, script)).leak();
        let mut encoding = encoding(&[only]);
        for expected in [Some(true), None, Some(false)] {
            let frame = frames.memory();
            assert_eq!(encode(&mut encoding, &frames, frame), Ok(expected));
        }
    }

    /// Keeps each picture until the next one comes, as encoders with a look-ahead do.
    struct Behind {
        never: std::os::fd::OwnedFd,
        held: Vec<(Frame, EncodeRequest)>,
    }

    impl Encoder for Behind {
        fn depth(&self) -> usize {
            2
        }

        fn submit(&mut self, frame: Frame, want: EncodeRequest) -> Result<Ticket, Refused> {
            self.held.push((frame, want));
            Ok(Ticket(want.tag))
        }

        fn poll_completion(&mut self) -> Result<Option<Completion>, BackendError> {
            if self.held.len() < 2 {
                return Ok(None);
            }
            let (_, want) = self.held.remove(0);
            Ok(Some(Completion::Dropped { ticket: Ticket(want.tag), tag: want.tag }))
        }

        fn readiness(&self) -> Option<BorrowedFd<'_>> {
            Some(self.never.as_fd())
        }

        fn retune(&mut self, _: &Tuning) -> Result<(), BackendError> {
            Ok(())
        }

        fn finish(self: Box<Self>) -> Vec<Completion> {
            Vec::new()
        }
    }

    #[test]
    fn an_encoder_that_wants_the_next_picture_first_gets_it() {
        let mut frames = Frames::default();
        let never = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC).unwrap();
        let encoder = Box::new(Behind { never, held: Vec::new() });
        let mut running = Running { at: 0, encoder, tuning: Tuning::default(), shape: None, open: 0, coded: 0 };
        for released in 0..3 {
            running
                .submit(&Job {
                    frame: frames.memory(),
                    region: REGION,
                    keyframe: false,
                    tag: 1,
                    tuning: Tuning::default(),
                })
                .unwrap();
            assert!(matches!(running.complete(), Ok(Outcome::Skipped)), "it is not stuck");
            assert_eq!((running.open, frames.released.load(Ordering::Relaxed)), (1, released));
        }
    }

    #[test]
    fn the_end_releases_what_an_encoder_holds() {
        let mut frames = Frames::default();
        let only = Double::new("only").leak();
        let mut encoding = encoding(&[only]);
        let job = Job { frame: frames.memory(), region: REGION, keyframe: false, tag: 1, tuning: Tuning::default() };
        encoding.submit(&job).unwrap();
        drop(job);
        assert!(!frames.all_released());
        drop(encoding);
        assert!(frames.all_released());
    }
}
