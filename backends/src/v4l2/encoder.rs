//! A running stateful encoder: frames into its OUTPUT queue, packets out of its CAPTURE queue.
use std::{
    collections::VecDeque,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::PathBuf,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, epoll, poll},
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
    picture,
};

/// Buffers a driver may ask for; more would be a mistake of its.
const MOST_BUFFERS: u32 = 32;
/// What `finish` waits for the device at most.
const DRAIN: Duration = Duration::from_secs(1);

/// The encoder of one device.
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
        let sizeimage = (width.saturating_mul(height).saturating_mul(3) / 2).max(128 * 1024);
        let mut planes = heapless::Vec::new();
        planes.extend([(0, sizeimage)]);
        let colorspace = abi::COLORSPACE_REC709;
        let want = Format { width, height, fourcc: coded, colorspace, planes };
        let answer = device.set_format(Queue::Capture, &want).map_err(lost)?;
        if answer.fourcc != coded {
            return Err(unsupported(format!("{codec}: the driver answers with {}", answer.fourcc)));
        }
        let output = negotiate(&mut device, like, width, height).map_err(|e| e.unwrap_or_else(lost))?;
        if (output.width, output.height) != (width, height)
            && let Err(failure) = device.set_crop(width, height)
        {
            let (w, h, errno) = (output.width, output.height, failure.errno);
            return Err(unsupported(format!(
                "{width}x{height}: the driver makes it {w}x{h}, and does not crop ({errno})"
            )));
        }
        controls::prepare(&mut device, codec, (width, height), tuning.fps);
        if let Err(failure) = device.set_frame_rate(tuning.fps) {
            tracing::debug!(errno = %failure.errno, "the driver takes no frame rate");
        }
        let key_frames = KeyFrames::of(&device, codec).map_err(lost)?;
        let steering = Steering::new(&mut device, codec, tuning, width * height).map_err(lost)?;
        let (slots, capture_buffers) = allocate(&mut device).map_err(lost)?;
        let epoll = watch(device.fd()).map_err(|errno| lost(Failure { call: "epoll", errno }))?;
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

/// The first of V4L2's codes for such a picture that the driver takes as it lies.
fn negotiate(
    device: &mut impl Device,
    like: &Dmabuf,
    width: u32,
    height: u32,
) -> Result<Format, Result<BackendError, Failure>> {
    let mut why = format!("the driver takes no {}", like.fourcc());
    for code in picture::codes(like) {
        let want = picture::wanted(like, code, width, height);
        let answer = device.set_format(Queue::Output, &want).map_err(Err)?;
        if answer.fourcc != code {
            continue;
        }
        match picture::mismatch(like, &answer) {
            None if answer.width >= width && answer.height >= height => return Ok(answer),
            None => why = format!("{width}x{height}: the driver makes it {}x{}", answer.width, answer.height),
            Some(reason) => why = format!("{like:?}: {reason} ({:?})", answer.planes),
        }
    }
    Err(Ok(unsupported(why)))
}

/// Buffers of both queues, as many as the driver wants: how many of each.
fn allocate(device: &mut impl Device) -> Result<(u32, u32), Failure> {
    let least = |device: &dyn Fn(u32) -> Result<Option<(i32, i32)>, Failure>, id| -> Result<u32, Failure> {
        Ok(device(id)?.and_then(|(least, _)| u32::try_from(least).ok()).unwrap_or(0))
    };
    let ask = |id| device.control_range(id);
    let (output, capture) =
        (least(&ask, controls::MIN_BUFFERS_FOR_OUTPUT)?, least(&ask, controls::MIN_BUFFERS_FOR_CAPTURE)?);
    // Two pictures: one that is encoded and one that waits.
    let slots = device.request_buffers(Queue::Output, output.clamp(2, MOST_BUFFERS))?.min(MOST_BUFFERS);
    let wanted = capture.max(slots + 2).min(MOST_BUFFERS);
    let captures = device.request_buffers(Queue::Capture, wanted)?.min(MOST_BUFFERS);
    if slots == 0 || captures == 0 {
        return Err(Failure { call: "VIDIOC_REQBUFS", errno: Errno::NOMEM });
    }
    for index in 0..captures {
        device.map(index)?;
    }
    Ok((slots, captures))
}

/// One fd that is readable when the device is readable or writable.
fn watch(fd: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let set = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let flags = epoll::EventFlags::IN | epoll::EventFlags::OUT;
    epoll::add(&set, fd, epoll::EventData::new_u64(0), flags)?;
    Ok(set)
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
    if unit.slices == 0 {
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

fn unsupported(what: String) -> BackendError {
    BackendError::Unsupported { backend: NAME, what }
}

fn error(path: &std::path::Path, Failure { call, errno }: Failure) -> BackendError {
    if errno == Errno::NODEV || errno == Errno::NXIO {
        BackendError::Lost(path.to_owned())
    } else {
        BackendError::Driver { call, errno }
    }
}
