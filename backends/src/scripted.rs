//! An encoder that follows a script: the double for tests of everything above this package.
use std::{
    collections::VecDeque,
    io::Write,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Arc, Mutex, PoisonError},
};

use rustix::event::{EventfdFlags, eventfd};

use crate::{
    Backend, BackendError, Codec, Completion, EncodeRequest, Encoder, Frame, Offer, Packet, RateControl, Refusal,
    Refused, Report, Settings, Ticket, Tuning, buffer::Pool, dmabuf::Fourcc,
};

const NAME: &str = "scripted";

/// What happens to the frame that is next to complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is encoded; also what happens when the script is at its end.
    Encode,
    /// It is dropped, as a rate control does.
    Drop,
    /// It is not ready when polled this once. Only an encoder with a readiness fd can say so.
    Later,
    /// The encoder is lost.
    Fail(BackendError),
}

/// Opens encoders that share one script.
#[derive(Debug, Default)]
pub struct Scripted {
    script: Arc<Mutex<VecDeque<Step>>>,
    depth: usize,
    with_fd: bool,
}

impl Scripted {
    /// Encoders of this depth, with or without a readiness fd, that follow `script`.
    pub fn new(depth: usize, with_fd: bool, script: impl IntoIterator<Item = Step>) -> Self {
        Self { script: Arc::new(Mutex::new(script.into_iter().collect())), depth: depth.max(1), with_fd }
    }
}

impl Backend for Scripted {
    fn name(&self) -> &'static str {
        NAME
    }

    fn probe(&self) -> Vec<Report> {
        let offer = |codec| Offer {
            codec,
            profiles: Vec::new(),
            max: (u32::MAX, u32::MAX),
            formats: vec![Fourcc::XRGB8888],
            modifiers: vec![crate::dmabuf::MOD_LINEAR],
            rate_control: vec![RateControl::Cqp],
            by: "a script".into(),
        };
        vec![Report { backend: NAME, device: None, encoders: Ok(Codec::ALL.map(offer).into()) }]
    }

    fn open(&self, want: &Settings, like: &Frame) -> Result<Box<dyn Encoder>, BackendError> {
        want.check(NAME, like)?;
        let ready = if self.with_fd {
            let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
            Some(eventfd(0, flags).map_err(|errno| BackendError::Driver { call: "eventfd", errno })?)
        } else {
            None
        };
        Ok(Box::new(Running {
            settings: want.clone(),
            depth: self.depth,
            script: Arc::clone(&self.script),
            ready,
            open: VecDeque::new(),
            submitted: 0,
            lost: None,
            pool: Pool::default(),
        }))
    }
}

struct Running {
    settings: Settings,
    depth: usize,
    script: Arc<Mutex<VecDeque<Step>>>,
    /// Readable as long as a ticket is open.
    ready: Option<OwnedFd>,
    open: VecDeque<(Ticket, Frame, EncodeRequest)>,
    submitted: u64,
    lost: Option<BackendError>,
    pool: Pool,
}

impl Encoder for Running {
    fn depth(&self) -> usize {
        self.depth
    }

    fn submit(&mut self, frame: Frame, want: EncodeRequest) -> Result<Ticket, Refused> {
        let why = match &self.lost {
            Some(error) => Some(Refusal::Failed(error.clone())),
            None if self.open.len() >= self.depth => Some(Refusal::Busy(self.depth)),
            None => want.check(&frame, &self.settings).err(),
        };
        if let Some(why) = why {
            return Err(Refused { frame, why });
        }
        let ticket = Ticket(self.submitted);
        self.submitted += 1;
        self.open.push_back((ticket, frame, want));
        self.signal();
        Ok(ticket)
    }

    fn poll_completion(&mut self) -> Result<Option<Completion>, BackendError> {
        if let Some(error) = &self.lost {
            return Err(error.clone());
        }
        if self.open.is_empty() {
            return Ok(None);
        }
        let step = self.script.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        match step.unwrap_or(Step::Encode) {
            Step::Later if self.ready.is_some() => Ok(None),
            Step::Fail(error) => {
                self.lost = Some(error.clone());
                Err(error)
            }
            Step::Drop => Ok(self.end(|_, ticket, want| Completion::Dropped { ticket, tag: want.tag })),
            Step::Encode | Step::Later => Ok(self.end(encode)),
        }
    }

    fn readiness(&self) -> Option<BorrowedFd<'_>> {
        self.ready.as_ref().map(AsFd::as_fd)
    }

    fn retune(&mut self, tuning: &Tuning) -> Result<(), BackendError> {
        tuning.check(NAME)?;
        self.settings.tuning = *tuning;
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Vec<Completion> {
        let ended = self.open.drain(..);
        ended.map(|(ticket, _, want)| Completion::Dropped { ticket, tag: want.tag }).collect()
    }
}

impl Running {
    fn end(&mut self, how: impl FnOnce(&mut Pool, Ticket, EncodeRequest) -> Completion) -> Option<Completion> {
        let (ticket, _, want) = self.open.pop_front()?;
        let completion = how(&mut self.pool, ticket, want);
        self.signal();
        Some(completion)
    }

    fn signal(&self) {
        let Some(fd) = &self.ready else { return };
        // The fd does not block and its counter stays below 2^64: the answers say nothing new.
        let _ = if self.open.is_empty() {
            rustix::io::read(fd, &mut [0; 8])
        } else {
            rustix::io::write(fd, &1u64.to_ne_bytes())
        };
    }
}

/// The data is the ticket's number, as text.
fn encode(pool: &mut Pool, ticket: Ticket, want: EncodeRequest) -> Completion {
    let filled = pool.fill(|out| {
        // Writing to memory does not fail.
        let _ = write!(out, "{}", ticket.0);
        Ok::<_, std::convert::Infallible>(())
    });
    let Ok(data) = filled;
    Completion::Encoded(Packet {
        ticket,
        tag: want.tag,
        damage: want.damage,
        keyframe: want.keyframe || ticket == Ticket(0),
        width: want.region.width,
        height: want.region.height,
        data,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Layout, Rate, conformance};

    fn frame(_: u64) -> Frame {
        Frame::from_memory(Layout { width: 4, height: 2, stride: 16 }, [7; 32]).unwrap()
    }

    fn settings() -> Settings {
        let tuning = Tuning { rate: Rate::Quality(80), fps: 30 };
        Settings { codec: Codec::H264, width: 4, height: 2, chroma: crate::Chroma::Yuv420, tuning, device: None }
    }

    #[test]
    fn it_keeps_the_law() {
        for (depth, with_fd) in [(1, false), (3, false), (1, true), (4, true)] {
            let script = [Step::Encode, Step::Later, Step::Drop, Step::Later, Step::Encode];
            let backend = Scripted::new(depth, with_fd, script);
            conformance::check_backend(&backend, &settings(), &mut frame).unwrap();
        }
    }

    #[test]
    fn a_lost_encoder_keeps_the_law() {
        let gone = BackendError::Lost("/dev/video0".into());
        let backend = Scripted::new(2, true, [Step::Encode, Step::Fail(gone.clone())]);
        let encoder = backend.open(&settings(), &frame(0)).unwrap();
        let error = conformance::check_loss(encoder, &settings(), &mut frame, 1, &mut || {}).unwrap();
        assert_eq!(error, gone);
    }
}
