//! The path of the V4L2 encoders without a device: see [`overhead`](crate::overhead).
use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::PathBuf,
};

use rustix::event::{EventfdFlags, eventfd};

use super::{
    NAME, abi,
    abi::Queue,
    controls,
    device::{Answer, Device, Done, Failure, Format, FormatEntry, OutputPlane},
    encoder::M2m,
};
use crate::{Backend, BackendError, Encoder, Frame, Report, Settings, dmabuf::Fourcc, overhead};

const H264: Fourcc = Fourcc::from_bytes(*b"H264");

/// Buffers of a queue.
const BUFFERS: usize = 32;

#[derive(Debug)]
pub(crate) struct NullDevice;

impl Backend for NullDevice {
    fn name(&self) -> &'static str {
        NAME
    }

    fn probe(&self) -> Vec<Report> {
        Vec::new()
    }

    fn open(&self, want: &Settings, like: &Frame) -> Result<Box<dyn Encoder>, BackendError> {
        want.check(NAME, like)?;
        let unsupported = |what: String| BackendError::Unsupported { backend: NAME, what };
        let dmabuf = like.dmabuf().ok_or_else(|| unsupported("a picture that is not in a dmabuf".into()))?;
        // An eventfd that is not 0 is readable: something is always done.
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let fd = eventfd(1, flags).map_err(|errno| BackendError::Driver { call: "eventfd", errno })?;
        let units = [overhead::access_unit(false), overhead::access_unit(true)];
        let (inside, free) = (heapless::Deque::new(), heapless::Deque::new());
        let (output, capture) = (heapless::Deque::new(), heapless::Deque::new());
        let null = Null { fd, units, key: false, inside, free, output, capture };
        Ok(Box::new(M2m::open(null, PathBuf::from("null"), want, H264, dmabuf)?))
    }
}

/// An H.264 encoder that answers at once.
struct Null {
    fd: OwnedFd,
    /// A picture like the one before it, and a key frame.
    units: [Vec<u8>; 2],
    key: bool,
    /// OUTPUT buffers that are queued, with their stamps.
    inside: heapless::Deque<(u32, u64), BUFFERS>,
    /// CAPTURE buffers that are queued.
    free: heapless::Deque<u32, BUFFERS>,
    output: heapless::Deque<Done, BUFFERS>,
    capture: heapless::Deque<Done, BUFFERS>,
}

impl Null {
    fn work(&mut self) {
        while let Some((index, stamp)) = self.inside.front().copied()
            && let Some(to) = self.free.pop_front()
        {
            self.inside.pop_front();
            let key = std::mem::take(&mut self.key);
            // No queue is longer than its buffers are many.
            let _ = self.output.push_back(Done { index, from: 0, len: 0, flags: 0, stamp });
            let len = self.units[usize::from(key)].len();
            let done = Done { index: to, from: usize::from(key), len, flags: 0, stamp };
            let _ = self.capture.push_back(done);
        }
    }
}

impl Device for Null {
    fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    fn format_at(&self, _: Queue, _: u32) -> Answer<Option<FormatEntry>> {
        Ok(None)
    }

    fn largest(&self, _: Fourcc) -> Answer<Option<(u32, u32)>> {
        Ok(None)
    }

    fn set_format(&mut self, _: Queue, want: &Format) -> Answer<Format> {
        Ok(want.clone())
    }

    fn set_crop(&mut self, _: u32, _: u32) -> Answer<()> {
        Ok(())
    }

    fn set_frame_rate(&mut self, _: u32) -> Answer<()> {
        Ok(())
    }

    fn control_range(&self, id: u32) -> Answer<Option<(i32, i32)>> {
        Ok([controls::FORCE_KEY_FRAME, controls::BITRATE].contains(&id).then_some((0, i32::MAX)))
    }

    fn menu_has(&self, _: u32, _: u32) -> bool {
        false
    }

    fn control(&self, _: u32) -> Answer<i32> {
        Ok(0)
    }

    fn set_control(&mut self, id: u32, _: i32) -> Answer<()> {
        self.key |= id == controls::FORCE_KEY_FRAME;
        Ok(())
    }

    fn request_buffers(&mut self, _: Queue, count: u32) -> Answer<u32> {
        Ok(count)
    }

    fn map(&mut self, _: u32) -> Answer<()> {
        Ok(())
    }

    /// `from` tells which of the two it is.
    fn copy(&self, _: u32, from: usize, len: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(self.units.get(from).and_then(|unit| unit.get(..len)).unwrap_or(&[]));
    }

    fn queue_output(&mut self, index: u32, _: &[OutputPlane<'_>], stamp: u64) -> Answer<()> {
        let full = Failure { call: "VIDIOC_QBUF", errno: rustix::io::Errno::NOBUFS };
        self.inside.push_back((index, stamp)).map_err(|_| full)?;
        self.work();
        Ok(())
    }

    fn queue_capture(&mut self, index: u32) -> Answer<()> {
        let full = Failure { call: "VIDIOC_QBUF", errno: rustix::io::Errno::NOBUFS };
        self.free.push_back(index).map_err(|_| full)?;
        self.work();
        Ok(())
    }

    fn dequeue(&mut self, queue: Queue) -> Answer<Option<Done>> {
        Ok(if queue == Queue::Output { self.output.pop_front() } else { self.capture.pop_front() })
    }

    fn stream(&mut self, queue: Queue, on: bool) -> Answer<()> {
        if !on && queue == Queue::Output {
            self.inside.clear();
            self.output.clear();
        } else if !on {
            self.free.clear();
            self.capture.clear();
        }
        Ok(())
    }

    fn stop(&mut self) -> Answer<()> {
        if let Some(index) = self.free.pop_front() {
            let last = Done { index, from: 0, len: 0, flags: abi::BUF_FLAG_LAST, stamp: 0 };
            let _ = self.capture.push_back(last);
        }
        Ok(())
    }
}
