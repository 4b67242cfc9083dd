//! A running stateful encoder: frames into its OUTPUT queue, packets out of its CAPTURE queue.
use std::{
    collections::VecDeque,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::PathBuf,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use crate::{
    BackendError, Codec, Completion, Dmabuf, EncodeRequest, Encoder, Frame, Packet, Refusal, Refused, Settings, Ticket,
    Tuning,
    bitstream::{annexb, is_key_frame},
    buffer::Pool,
    dmabuf::Shape,
};

use super::{
    NAME, abi,
    abi::Queue,
    controls::{self, KeyFrames, Steering},
    device::{Device, Done, Failure, Format},
    picture, setup,
};

/// What `finish` waits for the device at most.
const DRAIN: Duration = Duration::from_secs(1);

/// The encoder of one device. A picture that a driver leaves out without a word completes, as
/// dropped, with the next one that it encodes.
pub(super) struct M2m<D: Device> {
    device: D,
    path: PathBuf,
    settings: Settings,
    /// Frames must be like this one.
    shape: Shape,
    output: Format,
    key_frames: KeyFrames,
    steering: Steering,
    /// Frames the device reads from, by OUTPUT buffer.
    slots: Vec<Option<Ticket>>,
    capture_buffers: u32,
    open: VecDeque<Open>,
    submitted: u64,
    /// A key frame was asked for and has not come.
    owed: bool,
    /// Parameter sets that came in a buffer of their own, or with the first key frame.
    headers: Vec<u8>,
    /// The device is drained.
    ended: bool,
    lost: Option<BackendError>,
    epoll: OwnedFd,
    pool: Pool,
}

/// A ticket that has not completed.
struct Open {
    ticket: Ticket,
    want: EncodeRequest,
    /// Until the device has read it.
    frame: Option<Frame>,
    result: Option<Completion>,
}

impl<D: Device> M2m<D> {
    /// Sets the device up and starts it.
    pub(super) fn open(
        mut device: D,
        path: PathBuf,
        settings: &Settings,
        coded: crate::dmabuf::Fourcc,
        like: &Dmabuf,
    ) -> Result<Self, BackendError> {
        let lost = |failure: Failure| error(&path, failure);
        let Settings { width, height, codec, ref tuning, .. } = *settings;
        let output = setup::formats(&mut device, settings, coded, like).map_err(|e| e.unwrap_or_else(lost))?;
        controls::prepare(&mut device, codec, (width, height), tuning.fps);
        if let Err(failure) = device.set_frame_rate(tuning.fps) {
            tracing::debug!(errno = %failure.errno, "the driver takes no frame rate");
        }
        let key_frames = KeyFrames::of(&device, codec).map_err(lost)?;
        let steering = Steering::new(&mut device, codec, tuning, width * height).map_err(lost)?;
        let (slots, capture_buffers) = setup::buffers(&mut device).map_err(lost)?;
        let epoll = setup::watch(device.fd()).map_err(|errno| lost(Failure { call: "epoll", errno }))?;
        let mut new = Self {
            device,
            settings: settings.clone(),
            shape: like.shape(),
            output,
            key_frames,
            steering,
            slots: vec![None; slots as usize],
            capture_buffers,
            open: VecDeque::new(),
            submitted: 0,
            owed: true,
            headers: Vec::new(),
            ended: false,
            lost: None,
            epoll,
            pool: Pool::default(),
            path: path.clone(),
        };
        new.start().map_err(|failure| error(&path, failure))?;
        Ok(new)
    }

    fn start(&mut self) -> Result<(), Failure> {
        for index in 0..self.capture_buffers {
            self.device.queue_capture(index)?;
        }
        self.device.stream(Queue::Output, true)?;
        self.device.stream(Queue::Capture, true)
    }

    /// Begins anew, for a key frame that cannot be had otherwise. Only when no ticket is open.
    fn restart(&mut self) -> Result<(), Failure> {
        self.device.stream(Queue::Output, false)?;
        self.device.stream(Queue::Capture, false)?;
        self.start()
    }

    fn queue(&mut self, slot: usize, frame: &Frame) -> Result<(), Failure> {
        if self.owed {
            match self.key_frames {
                KeyFrames::Restart if self.submitted > 0 => self.restart()?,
                KeyFrames::Forced => drop(controls::set(&mut self.device, controls::FORCE_KEY_FRAME, 1)?),
                KeyFrames::Always | KeyFrames::Restart => {}
            }
        }
        self.steering.before(&mut self.device)?;
        let index = u32::try_from(slot).unwrap_or(u32::MAX);
        let Some(dmabuf) = frame.dmabuf() else { return Ok(()) };
        let planes = picture::planes(dmabuf, &self.output);
        self.device.queue_output(index, &planes, stamp(Ticket(self.submitted)))
    }

    /// Why a frame is not taken; else the OUTPUT buffer for it.
    fn admit(&self, frame: &Frame, want: &EncodeRequest) -> Result<usize, Refusal> {
        if let Some(error) = &self.lost {
            return Err(Refusal::Failed(error.clone()));
        }
        if self.open.len() >= self.depth() {
            return Err(Refusal::Busy(self.depth()));
        }
        want.check(frame, &self.settings)?;
        if (want.region.x, want.region.y) != (0, 0) {
            return Err(Refusal::Unlike("the region does not begin at the top left"));
        }
        let Some(dmabuf) = frame.dmabuf() else { return Err(Refusal::Unlike("it is not a dmabuf")) };
        if dmabuf.shape() != self.shape {
            return Err(Refusal::Unlike("its size, format or modifier"));
        }
        if let Some(why) = picture::mismatch(dmabuf, &self.output) {
            return Err(Refusal::Unlike(why));
        }
        self.slots.iter().position(Option::is_none).ok_or(Refusal::Busy(self.depth()))
    }

    /// Takes from the device what it is done with.
    fn collect(&mut self) -> Result<(), Failure> {
        while let Some(done) = self.device.dequeue(Queue::Output)? {
            let ticket = self.slots.get_mut(done.index as usize).and_then(Option::take);
            if let Some(open) = self.open.iter_mut().find(|open| Some(open.ticket) == ticket) {
                open.frame = None;
            }
        }
        while !self.ended {
            match self.device.dequeue(Queue::Capture) {
                Ok(Some(done)) => self.accept(done)?,
                Ok(None) => break,
                Err(Failure { errno: Errno::PIPE, .. }) => self.ended = true,
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// Takes one CAPTURE buffer and gives it back.
    fn accept(&mut self, done: Done) -> Result<(), Failure> {
        let failed = done.flags & abi::BUF_FLAG_ERROR != 0;
        if failed || done.len > 0 {
            self.finish_picture(done, failed);
        }
        if done.flags & abi::BUF_FLAG_LAST != 0 {
            self.ended = true;
            return Ok(());
        }
        self.device.queue_capture(done.index)
    }

    fn finish_picture(&mut self, done: Done, failed: bool) {
        let codec = self.settings.codec;
        let (device, headers) = (&self.device, &mut self.headers);
        let filled = self.pool.fill(|out| {
            device.copy(done.index, done.from, done.len, out);
            tidy(codec, headers, out);
            if out.is_empty() { Err(()) } else { Ok(()) }
        });
        // Parameter sets in a buffer of their own: they go before the next picture.
        let (Ok(data), false) = (&filled, failed) else {
            if failed {
                self.drop_next();
            }
            return;
        };
        let waiting = |open: &Open| open.result.is_none();
        // Pictures that the driver has left out are those before the one whose stamp this is.
        let named = self.open.iter().position(|open| waiting(open) && stamp(open.ticket) == done.stamp);
        let Some(place) = named.or_else(|| self.open.iter().position(waiting)) else { return };
        for open in self.open.iter_mut().take(place).filter(|open| open.result.is_none()) {
            open.result = Some(Completion::Dropped { ticket: open.ticket, tag: open.want.tag });
        }
        let keyframe = is_key_frame(codec, data);
        self.steering.after(data.len(), keyframe && codec != Codec::Mjpeg);
        let Settings { width, height, .. } = self.settings;
        if let Some(Open { ticket, want, result, .. }) = self.open.get_mut(place) {
            let (ticket, tag, damage, data) = (*ticket, want.tag, want.damage, data.clone());
            *result = Some(Completion::Encoded(Packet { ticket, tag, damage, keyframe, width, height, data }));
        }
        self.owed &= !keyframe;
    }

    /// The driver could not encode the next picture.
    fn drop_next(&mut self) {
        if let Some(open) = self.open.iter_mut().find(|open| open.result.is_none()) {
            open.result = Some(Completion::Dropped { ticket: open.ticket, tag: open.want.tag });
            self.owed = true;
        }
    }

    /// The oldest ticket, when its picture is encoded and its frame is not read from any more.
    fn next(&mut self) -> Option<Completion> {
        self.open.front().filter(|open| open.frame.is_none() && open.result.is_some())?;
        self.open.pop_front()?.result
    }

    fn lose(&mut self, failure: Failure) -> BackendError {
        let error = error(&self.path, failure);
        self.lost = Some(error.clone());
        error
    }

    /// Waits for what the device still has.
    fn drain(&mut self) -> Result<(), Failure> {
        self.device.stop()?;
        let end = Instant::now() + DRAIN;
        while !self.ended && self.open.iter().any(|open| open.result.is_none() || open.frame.is_some()) {
            let left = end.saturating_duration_since(Instant::now());
            let Ok(left) = Timespec::try_from(left) else { break };
            match poll(&mut [PollFd::from_borrowed_fd(self.epoll.as_fd(), PollFlags::IN)], Some(&left)) {
                Ok(0) => break,
                Ok(_) | Err(Errno::INTR) => self.collect()?,
                Err(errno) => return Err(Failure { call: "poll", errno }),
            }
        }
        Ok(())
    }
}

impl<D: Device> Encoder for M2m<D> {
    fn depth(&self) -> usize {
        // A restart loses what is open.
        if self.key_frames == KeyFrames::Restart { 1 } else { self.slots.len() }
    }

    fn submit(&mut self, frame: Frame, want: EncodeRequest) -> Result<Ticket, Refused> {
        let slot = match self.admit(&frame, &want) {
            Ok(slot) => slot,
            Err(why) => return Err(Refused { frame, why }),
        };
        self.owed |= want.keyframe;
        if let Err(failure) = self.queue(slot, &frame) {
            let why = Refusal::Failed(self.lose(failure));
            return Err(Refused { frame, why });
        }
        let ticket = Ticket(self.submitted);
        self.submitted += 1;
        self.slots[slot] = Some(ticket);
        self.open.push_back(Open { ticket, want, frame: Some(frame), result: None });
        Ok(ticket)
    }

    fn poll_completion(&mut self) -> Result<Option<Completion>, BackendError> {
        if let Some(error) = &self.lost {
            return Err(error.clone());
        }
        self.collect().map_err(|failure| self.lose(failure))?;
        Ok(self.next())
    }

    fn readiness(&self) -> Option<BorrowedFd<'_>> {
        Some(self.epoll.as_fd())
    }

    fn retune(&mut self, tuning: &Tuning) -> Result<(), BackendError> {
        tuning.check(NAME)?;
        let pixels = self.settings.width * self.settings.height;
        if let Err(failure) = self.steering.retune(&mut self.device, tuning, pixels) {
            return Err(error(&self.path, failure));
        }
        if tuning.fps != self.settings.tuning.fps
            && let Err(failure) = self.device.set_frame_rate(tuning.fps)
        {
            tracing::debug!(errno = %failure.errno, "the driver takes no frame rate while it runs");
        }
        self.settings.tuning = *tuning;
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Vec<Completion> {
        if self.lost.is_none()
            && !self.open.is_empty()
            && let Err(failure) = self.drain()
        {
            self.lose(failure);
        }
        let end = |open: Open| {
            let dropped = Completion::Dropped { ticket: open.ticket, tag: open.want.tag };
            open.result.unwrap_or(dropped)
        };
        let open = std::mem::take(&mut self.open);
        // Frames go only after the device has stopped reading from them.
        self.halt();
        open.into_iter().map(end).collect()
    }
}

impl<D: Device> M2m<D> {
    /// Stops the device, also one that is lost: it answers or is gone.
    fn halt(&mut self) {
        let _ = self.device.stream(Queue::Output, false);
        let _ = self.device.stream(Queue::Capture, false);
    }
}

impl<D: Device> Drop for M2m<D> {
    fn drop(&mut self) {
        // Before the frames, which are dropped after this.
        self.halt();
    }
}

/// Leaves an access unit as [`Packet::data`] promises it. Parameter sets alone are kept for the
/// next picture, and `out` is then empty.
fn tidy(codec: Codec, headers: &mut Vec<u8>, out: &mut Vec<u8>) {
    let unit = match codec {
        Codec::H264 => annexb::AccessUnit::h264(out),
        Codec::Hevc => annexb::AccessUnit::hevc(out),
        _ => return,
    };
    if unit.delimiter {
        annexb::strip_delimiters(codec == Codec::Hevc, out);
    }
    if !unit.slice {
        if unit.parameter_sets {
            headers.clone_from(out);
        }
        out.clear();
    } else if unit.keyframe && !unit.parameter_sets {
        out.splice(0..0, headers.iter().copied());
    } else if unit.keyframe && headers.is_empty() {
        headers.extend_from_slice(annexb::parameter_sets(codec == Codec::Hevc, out));
    }
}

/// Microseconds; never 0, which drivers leave in buffers that they did not stamp.
fn stamp(ticket: Ticket) -> u64 {
    ticket.0 + 1
}

fn error(path: &std::path::Path, Failure { call, errno }: Failure) -> BackendError {
    if errno == Errno::NODEV || errno == Errno::NXIO {
        BackendError::Lost(path.to_owned())
    } else {
        BackendError::Driver { call, errno }
    }
}
