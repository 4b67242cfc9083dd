//! A device at the ioctl boundary that follows a script.
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    event::{EventfdFlags, eventfd},
    io::Errno,
};

use super::{
    CODED, NAME, abi,
    abi::Queue,
    device::{Answer, Device, Done, Failure, Format, FormatEntry, OutputPlane},
    encoder::M2m,
};
use crate::{
    BackendError, Encoder, Frame, Settings,
    dmabuf::Fourcc,
    fuzzing::{Mood, Script},
};

/// Most bytes that a CAPTURE buffer has.
const CAPTURE: usize = 256;

/// An encoder of this device.
pub(crate) fn open(settings: &Settings, like: &Frame, script: Script) -> Result<Box<dyn Encoder>, BackendError> {
    settings.check(NAME, like)?;
    let unsupported = |what: &str| BackendError::Unsupported { backend: NAME, what: what.into() };
    let dmabuf = like.dmabuf().ok_or_else(|| unsupported("a picture that is not in a dmabuf"))?;
    let known = CODED.iter().find(|(codec, _)| *codec == settings.codec);
    let (_, letters) = known.ok_or_else(|| unsupported("this codec"))?;
    // Always readable, as a device that has always something to say.
    let ready = eventfd(1, EventfdFlags::CLOEXEC).map_err(|errno| BackendError::Driver { call: "eventfd", errno })?;
    let coded = Fourcc::from_bytes(*letters);
    let device = Scripted { script, ready, output: RefCell::default(), capture: RefCell::default(), on: Cell::new(0) };
    Ok(Box::new(M2m::open(device, "/dev/video0".into(), settings, coded, dmabuf)?))
}

struct Scripted {
    script: Script,
    ready: OwnedFd,
    /// Buffers that were queued, OUTPUT's with their stamps.
    output: RefCell<VecDeque<(u32, u64)>>,
    capture: RefCell<VecDeque<u32>>,
    /// Pictures that were taken in.
    on: Cell<u64>,
}

impl Scripted {
    /// Answers what `works` says, or anything that `lies` makes up.
    fn answer<T>(&self, call: &'static str, works: impl FnOnce() -> T, lies: impl FnOnce(&Script) -> T) -> Answer<T> {
        const ERRORS: [Errno; 8] =
            [Errno::NODEV, Errno::INVAL, Errno::NOTTY, Errno::AGAIN, Errno::PIPE, Errno::NOMEM, Errno::BUSY, Errno::IO];
        if self.script.is_over() {
            return Err(Failure { call, errno: Errno::NODEV });
        }
        match self.script.mood() {
            Mood::Fails(number) => {
                let errno = ERRORS.get(usize::from(number)).copied().unwrap_or(Errno::IO);
                Err(Failure { call, errno })
            }
            Mood::Works => Ok(works()),
            Mood::Lies => Ok(lies(&self.script)),
        }
    }

    fn done(&self, queue: Queue) -> Option<Done> {
        if queue == Queue::Output {
            let (index, stamp) = self.output.borrow_mut().pop_front()?;
            self.on.set(stamp);
            return Some(Done { index, from: 0, len: 0, flags: 0, stamp });
        }
        let index = self.capture.borrow_mut().pop_front()?;
        Some(Done { index, from: 0, len: usize::from(self.script.byte()), flags: 0, stamp: self.on.get() })
    }
}

impl Device for Scripted {
    fn fd(&self) -> BorrowedFd<'_> {
        self.ready.as_fd()
    }

    fn format_at(&self, _: Queue, _: u32) -> Answer<Option<FormatEntry>> {
        let lie =
            |script: &Script| Some(FormatEntry { fourcc: Fourcc(script.u32()), compressed: script.byte() & 1 == 0 });
        self.answer("VIDIOC_ENUM_FMT", || None, lie)
    }

    fn largest(&self, _: Fourcc) -> Answer<Option<(u32, u32)>> {
        self.answer("VIDIOC_ENUM_FRAMESIZES", || None, |script| Some((script.u32(), script.u32())))
    }

    fn set_format(&mut self, _: Queue, want: &Format) -> Answer<Format> {
        let lie = |script: &Script| {
            let mut lie = want.clone();
            match script.byte() & 7 {
                0 => lie.fourcc = Fourcc(script.u32()),
                1 => lie.width = script.u32(),
                2 => lie.height = script.u32(),
                3 => lie.planes.clear(),
                4 => drop(lie.planes.push((script.u32(), script.u32()))),
                _ => lie.planes.iter_mut().for_each(|plane| *plane = (script.u32(), script.u32())),
            }
            lie
        };
        self.answer("VIDIOC_S_FMT", || want.clone(), lie)
    }

    fn set_crop(&mut self, _: u32, _: u32) -> Answer<()> {
        self.answer("VIDIOC_S_SELECTION", || (), |_| ())
    }

    fn set_frame_rate(&mut self, _: u32) -> Answer<()> {
        self.answer("VIDIOC_S_PARM", || (), |_| ())
    }

    fn control_range(&self, _: u32) -> Answer<Option<(i32, i32)>> {
        let lie = |script: &Script| Some((script.u32().cast_signed(), script.u32().cast_signed()));
        self.answer("VIDIOC_QUERYCTRL", || None, lie)
    }

    fn menu_has(&self, _: u32, _: u32) -> bool {
        self.script.byte() & 1 == 1
    }

    fn control(&self, _: u32) -> Answer<i32> {
        self.answer("VIDIOC_G_CTRL", || 0, |script| script.u32().cast_signed())
    }

    fn set_control(&mut self, _: u32, _: i32) -> Answer<()> {
        self.answer("VIDIOC_S_CTRL", || (), |_| ())
    }

    fn request_buffers(&mut self, _: Queue, count: u32) -> Answer<u32> {
        self.answer("VIDIOC_REQBUFS", || count, Script::u32)
    }

    fn map(&mut self, _: u32) -> Answer<()> {
        self.answer("mmap", || (), |_| ())
    }

    fn copy(&self, _: u32, from: usize, len: usize, out: &mut Vec<u8>) {
        // A mapping has its own end, whatever a driver says of what is in it.
        out.extend(self.script.bytes(len.min(CAPTURE.saturating_sub(from))));
    }

    fn queue_output(&mut self, index: u32, _: &[OutputPlane<'_>], stamp: u64) -> Answer<()> {
        self.answer("VIDIOC_QBUF", || self.output.borrow_mut().push_back((index, stamp)), |_| ())
    }

    fn queue_capture(&mut self, index: u32) -> Answer<()> {
        self.answer("VIDIOC_QBUF", || self.capture.borrow_mut().push_back(index), |_| ())
    }

    fn dequeue(&mut self, queue: Queue) -> Answer<Option<Done>> {
        let lie = |script: &Script| {
            let (index, from, len) = (script.u32(), script.u32() as usize, script.u32() as usize);
            let flags = [0, abi::BUF_FLAG_ERROR, abi::BUF_FLAG_LAST][usize::from(script.byte() % 3)];
            Some(Done { index, from, len, flags, stamp: u64::from(script.byte()) })
        };
        self.answer("VIDIOC_DQBUF", || self.done(queue), lie)
    }

    fn stream(&mut self, _: Queue, _: bool) -> Answer<()> {
        self.answer("VIDIOC_STREAMON", || (), |_| ())
    }

    fn stop(&mut self) -> Answer<()> {
        self.answer("VIDIOC_ENCODER_CMD", || (), |_| ())
    }
}
