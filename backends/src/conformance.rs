//! The law of [`Encoder`], as a check that every backend's tests run.
use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use crate::{
    Backend, BackendError, Codec, Completion, EncodeRequest, Encoder, Frame, Rate, Rect, Refusal, Settings, Ticket,
    Tuning,
};

/// A breach of the law, in words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Violation(String);

/// How often an encoder may say "not yet" after its fd was readable, and how many times a second
/// may pass without the fd becoming so, before it counts as stuck.
const PATIENCE: usize = 1000;
const SECONDS: usize = 10;

/// Opens encoders and checks that they keep the law: tickets complete once and in order, the depth
/// holds, refused frames come back, requests are echoed, key frames come when asked for, and every
/// frame is released when its ticket is complete, when the encoder is finished, and when it is
/// dropped. `frames` makes the picture with this number; each must be a new [`Frame`].
///
/// # Errors
/// The first [`Violation`].
pub fn check_backend(
    backend: &dyn Backend,
    settings: &Settings,
    frames: &mut dyn FnMut(u64) -> Frame,
) -> Result<(), Violation> {
    let open = |frames: &mut dyn FnMut(u64) -> Frame| {
        backend.open(settings, &frames(0)).map_err(|e| Violation(format!("open: {e}")))
    };
    check_stream(Bench::new(open(frames)?, settings), frames)?;
    check_depth(Bench::new(open(frames)?, settings), frames)?;
    check_refusals(Bench::new(open(frames)?, settings), frames)?;
    let mut bench = Bench::new(open(frames)?, settings);
    bench.fill(frames)?;
    let Bench { encoder, released, submitted, .. } = bench;
    drop(encoder);
    expect("frames released when the encoder is dropped", released.load(Ordering::Acquire), submitted)
}

/// Checks an encoder whose device is lost by `lose` after `before` completions: that it says so,
/// that every open ticket still completes once, and that every frame is released.
///
/// # Errors
/// The first [`Violation`]; otherwise returns what the encoder said.
pub fn check_loss(
    encoder: Box<dyn Encoder>,
    settings: &Settings,
    frames: &mut dyn FnMut(u64) -> Frame,
    before: usize,
    lose: &mut dyn FnMut(),
) -> Result<BackendError, Violation> {
    let mut bench = Bench::new(encoder, settings);
    for _ in 0..before {
        bench.submit(frames, |_| {})?;
        bench.complete()?;
    }
    bench.fill(frames)?;
    lose();
    let error = loop {
        match bench.encoder.poll_completion() {
            Ok(Some(completion)) => drop(bench.check(completion)?),
            Ok(None) if bench.encoder.readiness().is_none() || bench.open.is_empty() => {
                return Err(Violation("the loss was not reported".into()));
            }
            Ok(None) => bench.wait()?,
            Err(error) => break error,
        }
    };
    let frame = bench.frame(frames);
    match bench.encoder.submit(frame, bench.request()) {
        Err(refused) if matches!(refused.why, Refusal::Failed(_)) => {}
        Err(refused) => {
            return Err(Violation(format!("after the loss a frame was refused as {}", refused.why)));
        }
        Ok(_) => return Err(Violation("a lost encoder accepted a frame".into())),
    }
    bench.finish()?;
    Ok(error)
}

/// A dozen pictures, one after the other, with key frames asked for and the rate changed.
fn check_stream(mut bench: Bench, frames: &mut dyn FnMut(u64) -> Frame) -> Result<(), Violation> {
    const COUNT: u64 = 12;
    let mut encoded = 0;
    let mut owed = true;
    for n in 0..COUNT {
        if n == 4 {
            bench.retune(Tuning { rate: Rate::Bitrate(2_000_000), fps: 15 })?;
        }
        if n == 8 {
            bench.retune(Tuning { rate: Rate::Bitrate(500_000), fps: 30 })?;
        }
        owed |= n % 5 == 3;
        bench.submit(frames, |request| request.keyframe = owed)?;
        if let Completion::Encoded(packet) = bench.complete()? {
            encoded += 1;
            if owed && !packet.keyframe {
                return Err(Violation(format!("{:?} was to be a key frame", packet.ticket)));
            }
            owed = false;
        }
        expect("frames released when all tickets are complete", bench.count(), bench.submitted)?;
    }
    if encoded < COUNT / 2 {
        return Err(Violation(format!("only {encoded} of {COUNT} pictures were encoded")));
    }
    let tuning = Tuning { rate: Rate::Quality(0), fps: 30 };
    if bench.encoder.retune(&tuning).is_ok() {
        return Err(Violation("quality 0 was accepted".into()));
    }
    bench.finish()
}

/// As many as there may be, and one more.
fn check_depth(mut bench: Bench, frames: &mut dyn FnMut(u64) -> Frame) -> Result<(), Violation> {
    expect("a poll before any ticket", bench.poll()?.is_some(), false)?;
    for _ in 0..3 {
        bench.fill(frames)?;
        let extra = bench.frame(frames);
        let request = bench.request();
        match bench.encoder.submit(extra.clone(), request) {
            Err(refused) => {
                expect("the refused frame is the one submitted", refused.frame.is_same(&extra), true)?;
                expect("busy", matches!(refused.why, Refusal::Busy(_)), true)?;
            }
            Ok(_) => return Err(Violation("the depth does not hold".into())),
        }
        drop(extra);
        while !bench.open.is_empty() {
            bench.complete()?;
        }
        expect("frames released when all tickets are complete", bench.count(), bench.submitted)?;
    }
    expect("a poll after all tickets", bench.poll()?.is_some(), false)?;
    bench.fill(frames)?;
    bench.finish()
}

/// Frames that the encoder is not for.
fn check_refusals(mut bench: Bench, frames: &mut dyn FnMut(u64) -> Frame) -> Result<(), Violation> {
    let Rect { width, height, .. } = bench.region;
    let outside = Rect { x: u32::MAX, y: 0, width, height };
    let larger = Rect { x: 0, y: 0, width: width.saturating_add(1), height };
    for (region, name) in [(outside, "outside"), (larger, "larger")] {
        let frame = bench.frame(frames);
        let refused = bench.encoder.submit(frame, EncodeRequest { region, ..bench.request() });
        match refused.map_err(|refused| refused.why) {
            Err(Refusal::Region(_) | Refusal::Size { .. }) => {}
            answer => return Err(Violation(format!("a region {name} the frame: {answer:?}"))),
        }
        expect("refused frames released", bench.count(), bench.submitted)?;
    }
    bench.submit(frames, |_| {})?;
    bench.complete()?;
    bench.finish()
}

/// An encoder under test and what is known about it.
struct Bench {
    encoder: Box<dyn Encoder>,
    codec: Codec,
    region: Rect,
    released: Arc<AtomicUsize>,
    /// Frames made, refused ones included.
    submitted: usize,
    next: Ticket,
    open: VecDeque<(Ticket, EncodeRequest)>,
}

impl Bench {
    fn new(encoder: Box<dyn Encoder>, settings: &Settings) -> Self {
        Self {
            encoder,
            codec: settings.codec,
            region: Rect { x: 0, y: 0, width: settings.width, height: settings.height },
            released: Arc::default(),
            submitted: 0,
            next: Ticket(0),
            open: VecDeque::new(),
        }
    }

    fn count(&self) -> usize {
        self.released.load(Ordering::Acquire)
    }

    fn frame(&mut self, frames: &mut dyn FnMut(u64) -> Frame) -> Frame {
        let released = Arc::clone(&self.released);
        let frame = frames(self.submitted as u64);
        self.submitted += 1;
        frame.on_release(move || {
            released.fetch_add(1, Ordering::Release);
        })
    }

    fn request(&self) -> EncodeRequest {
        let damage = Rect { x: 1, y: 2, width: 3, height: 4 };
        EncodeRequest { region: self.region, damage, keyframe: false, tag: 1 << 40 | self.submitted as u64 }
    }

    fn submit(
        &mut self,
        frames: &mut dyn FnMut(u64) -> Frame,
        change: impl FnOnce(&mut EncodeRequest),
    ) -> Result<(), Violation> {
        let frame = self.frame(frames);
        let mut request = self.request();
        change(&mut request);
        let ticket = self.encoder.submit(frame, request).map_err(|e| Violation(format!("submit: {e}")))?;
        expect("the ticket", ticket, self.next)?;
        self.next = Ticket(ticket.0 + 1);
        self.open.push_back((ticket, request));
        Ok(())
    }

    fn fill(&mut self, frames: &mut dyn FnMut(u64) -> Frame) -> Result<(), Violation> {
        let depth = self.encoder.depth();
        expect("a depth of at least 1", depth >= 1, true)?;
        while self.open.len() < depth {
            self.submit(frames, |_| {})?;
        }
        Ok(())
    }

    fn poll(&mut self) -> Result<Option<Completion>, Violation> {
        self.encoder.poll_completion().map_err(|e| Violation(format!("poll: {e}")))
    }

    /// Waits for the next completion and checks it.
    fn complete(&mut self) -> Result<Completion, Violation> {
        for _ in 0..PATIENCE {
            if let Some(completion) = self.poll()? {
                return self.check(completion);
            }
            self.wait()?;
        }
        Err(Violation("the encoder is stuck: its fd is readable and it has no news".into()))
    }

    fn wait(&self) -> Result<(), Violation> {
        let Some(fd) = self.encoder.readiness() else {
            return Err(Violation("no completion, an open ticket, and no fd to wait on".into()));
        };
        let second = Timespec { tv_sec: 1, tv_nsec: 0 };
        for _ in 0..SECONDS {
            match poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)], Some(&second)) {
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(errno) => return Err(Violation(format!("poll(2): {errno}"))),
            }
        }
        Err(Violation(format!("no news on an open ticket in {SECONDS} s")))
    }

    fn check(&mut self, completion: Completion) -> Result<Completion, Violation> {
        let Some((ticket, request)) = self.open.pop_front() else {
            return Err(Violation(format!("{:?} completes, but no ticket is open", completion.ticket())));
        };
        expect("the ticket of the completion", completion.ticket(), ticket)?;
        expect("its tag", completion.tag(), request.tag)?;
        if let Completion::Encoded(packet) = &completion {
            expect("its damage", packet.damage, request.damage)?;
            expect("an empty packet", packet.data.is_empty(), false)?;
            let Rect { width, height, .. } = request.region;
            let (extra_w, extra_h) = (packet.width.wrapping_sub(width), packet.height.wrapping_sub(height));
            expect("a coded size of the region's or little more", extra_w <= 15 && extra_h <= 15, true)?;
            if self.codec == Codec::Mjpeg || packet.ticket == Ticket(0) {
                expect("a key frame", packet.keyframe, true)?;
            }
        }
        Ok(completion)
    }

    fn retune(&mut self, tuning: Tuning) -> Result<(), Violation> {
        self.encoder.retune(&tuning).map_err(|e| Violation(format!("retune to {tuning:?}: {e}")))
    }

    /// Ends the encoder and checks what is still open.
    fn finish(mut self) -> Result<(), Violation> {
        let encoder = std::mem::replace(&mut self.encoder, Box::new(Ended));
        for completion in encoder.finish() {
            self.check(completion)?;
        }
        expect("tickets still open after finish", self.open.len(), 0)?;
        expect("frames released after finish", self.count(), self.submitted)
    }
}

fn expect<T: PartialEq + std::fmt::Debug>(what: &str, got: T, wanted: T) -> Result<(), Violation> {
    if got == wanted { Ok(()) } else { Err(Violation(format!("{what}: {got:?} instead of {wanted:?}"))) }
}

/// What stands in for an encoder that was finished.
struct Ended;

impl Encoder for Ended {
    fn depth(&self) -> usize {
        1
    }

    fn submit(&mut self, frame: Frame, _: EncodeRequest) -> Result<Ticket, crate::Refused> {
        Err(crate::Refused { frame, why: Refusal::Busy(0) })
    }

    fn poll_completion(&mut self) -> Result<Option<Completion>, BackendError> {
        Ok(None)
    }

    fn readiness(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
        None
    }

    fn retune(&mut self, _: &Tuning) -> Result<(), BackendError> {
        Ok(())
    }

    fn finish(self: Box<Self>) -> Vec<Completion> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    //! Each of these encoders breaks the law in one way, and the check says so.
    use super::*;
    use crate::{Chroma, Layout, Packet, Refused, buffer::Pool};

    #[derive(Clone, Copy, PartialEq)]
    enum Flaw {
        None,
        KeepsFrame,
        Unbounded,
        Reorders,
        LosesTicket,
        IgnoresKeyframe,
        TagWrong,
        LeaksOnFinish,
    }

    struct Flawed(Flaw);

    struct Running {
        flaw: Flaw,
        settings: Settings,
        open: VecDeque<(Ticket, Frame, EncodeRequest)>,
        kept: Vec<Frame>,
        count: u64,
        pool: Pool,
    }

    impl Backend for Flawed {
        fn name(&self) -> &'static str {
            "flawed"
        }

        fn probe(&self) -> Vec<crate::Report> {
            Vec::new()
        }

        fn open(&self, want: &Settings, _: &Frame) -> Result<Box<dyn Encoder>, BackendError> {
            let (settings, open, kept) = (want.clone(), VecDeque::new(), Vec::new());
            Ok(Box::new(Running { flaw: self.0, settings, open, kept, count: 0, pool: Pool::default() }))
        }
    }

    impl Encoder for Running {
        fn depth(&self) -> usize {
            2
        }

        fn submit(&mut self, frame: Frame, want: EncodeRequest) -> Result<Ticket, Refused> {
            let busy = self.open.len() >= 2 && self.flaw != Flaw::Unbounded;
            let why = if busy { Err(Refusal::Busy(2)) } else { want.check(&frame, &self.settings) };
            if let Err(why) = why {
                return Err(Refused { frame, why });
            }
            if self.flaw == Flaw::KeepsFrame {
                self.kept.push(frame.clone());
            }
            self.open.push_back((Ticket(self.count), frame, want));
            self.count += 1;
            Ok(Ticket(self.count - 1))
        }

        fn poll_completion(&mut self) -> Result<Option<Completion>, BackendError> {
            let next = match self.flaw {
                Flaw::Reorders => self.open.pop_back(),
                Flaw::LosesTicket if self.count == 5 => {
                    self.open.pop_front();
                    self.open.pop_front()
                }
                _ => self.open.pop_front(),
            };
            let Some((ticket, _, want)) = next else {
                return Ok(None);
            };
            let data = self.pool.fill(|out| {
                out.push(1);
                Ok::<_, BackendError>(())
            })?;
            Ok(Some(Completion::Encoded(Packet {
                ticket,
                tag: if self.flaw == Flaw::TagWrong { 0 } else { want.tag },
                damage: want.damage,
                keyframe: ticket == Ticket(0) || (want.keyframe && self.flaw != Flaw::IgnoresKeyframe),
                width: 4,
                height: 2,
                data,
            })))
        }

        fn readiness(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
            None
        }

        fn retune(&mut self, tuning: &Tuning) -> Result<(), BackendError> {
            tuning.check("flawed")
        }

        fn finish(mut self: Box<Self>) -> Vec<Completion> {
            let ended: Vec<_> = self.open.drain(..).collect();
            if self.flaw == Flaw::LeaksOnFinish {
                return Vec::new();
            }
            ended.iter().map(|(ticket, _, want)| Completion::Dropped { ticket: *ticket, tag: want.tag }).collect()
        }
    }

    fn verdict(flaw: Flaw) -> Result<(), Violation> {
        let tuning = Tuning { rate: Rate::Quality(80), fps: 30 };
        let settings =
            Settings { codec: Codec::H264, width: 4, height: 2, chroma: Chroma::Yuv420, tuning, device: None };
        let layout = Layout { width: 4, height: 2, stride: 16 };
        check_backend(&Flawed(flaw), &settings, &mut |_| Frame::from_memory(layout, [0; 32]).unwrap())
    }

    #[test]
    fn every_flaw_is_found() {
        assert_eq!(verdict(Flaw::None), Ok(()));
        let words = |flaw| verdict(flaw).unwrap_err().0;
        assert!(words(Flaw::KeepsFrame).starts_with("frames released when all tickets"));
        assert_eq!(words(Flaw::Unbounded), "the depth does not hold");
        assert!(words(Flaw::Reorders).starts_with("the ticket of the completion"));
        assert!(words(Flaw::LosesTicket).starts_with("no completion, an open ticket"));
        assert_eq!(words(Flaw::IgnoresKeyframe), "Ticket(3) was to be a key frame");
        assert!(words(Flaw::TagWrong).starts_with("its tag"));
        assert!(words(Flaw::LeaksOnFinish).starts_with("tickets still open after finish"));
    }
}
