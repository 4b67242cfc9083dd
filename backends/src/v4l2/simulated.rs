//! A stateful encoder at the ioctl boundary, for what the kernel's virtual one lacks: other codecs,
//! forced key frames, bitrates, headers, a buffer per plane, dropped and broken pictures, loss.
use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    rc::Rc,
};

use rustix::io::Errno;

use super::{
    abi::{self, Queue},
    controls,
    device::{Answer, Device, Done, Failure, Format, FormatEntry, OutputPlane},
};
use crate::{Codec, dmabuf::Fourcc};

/// How the device behaves.
#[derive(Clone)]
pub(super) struct Traits {
    pub(super) codec: Codec,
    /// V4L2's code of the pictures that it takes, and the buffers of each.
    pub(super) raw: ([u8; 4], usize),
    /// Controls that it has, with their ranges.
    pub(super) controls: BTreeMap<u32, (i32, i32)>,
    /// Sizes are rounded up to a multiple of this, and rows are this many bytes or a multiple.
    pub(super) align: (u32, u32),
    pub(super) crops: bool,
    /// Parameter sets come in a buffer of their own, and only once.
    pub(super) headers_apart: bool,
    pub(super) delimiters: bool,
    /// The encoded picture begins this far into its buffer.
    pub(super) offset: usize,
    /// Pictures stay inside until this many more came, or the device is stopped.
    pub(super) lag: usize,
    /// Whether timestamps are copied.
    pub(super) stamps: bool,
    /// Pictures, by number, that are left out.
    pub(super) skips: Vec<u64>,
    /// Pictures, by number, that fail.
    pub(super) breaks: Vec<u64>,
}

/// What H.264 encoders have.
pub(super) fn h264() -> Traits {
    let controls = [
        (controls::FORCE_KEY_FRAME, (0, 0)),
        (controls::BITRATE, (25_000, 25_000_000)),
        (controls::GOP_SIZE, (1, 600)),
        (controls::H264_PROFILE, (0, 4)),
        (controls::H264_LEVEL, (0, 13)),
        (controls::HEADER_MODE, (0, 1)),
        (controls::REPEAT_SEQ_HEADER, (0, 1)),
    ];
    Traits {
        codec: Codec::H264,
        raw: (*b"BGR4", 1),
        controls: controls.into(),
        align: (1, 1),
        crops: true,
        headers_apart: false,
        delimiters: false,
        offset: 0,
        lag: 0,
        stamps: true,
        skips: Vec::new(),
        breaks: Vec::new(),
    }
}

/// What encoders of other codecs have; JPEG's as hantro's, which knows a quality and nothing else.
pub(super) fn other(codec: Codec) -> Traits {
    let own: &[(u32, (i32, i32))] = match codec {
        Codec::Hevc => &[(controls::HEVC_PROFILE, (0, 2)), (controls::HEVC_LEVEL, (0, 12))],
        Codec::Vp8 => {
            &[(controls::VP8_PROFILE, (0, 3)), (controls::VPX_I_QP, (0, 127)), (controls::VPX_P_QP, (0, 127))]
        }
        Codec::Vp9 => &[(controls::VP9_PROFILE, (0, 3))],
        _ => &[(controls::JPEG_QUALITY, (5, 100))],
    };
    let common = [controls::FORCE_KEY_FRAME, controls::BITRATE, controls::GOP_SIZE, controls::HEADER_MODE];
    let mut traits = h264();
    traits.controls.retain(|id, _| codec != Codec::Mjpeg && common.contains(id));
    traits.controls.extend(own.iter().copied());
    Traits { codec, ..traits }
}

/// V4L2's code of a codec.
pub(super) fn coded(codec: Codec) -> Fourcc {
    let (_, letters) = super::CODED.iter().find(|(c, _)| *c == codec).unwrap();
    Fourcc::from_bytes(*letters)
}

/// Parameter sets, a delimiter, and the beginning of a picture.
fn headers(codec: Codec) -> &'static [u8] {
    match codec {
        Codec::H264 => &[0, 0, 0, 1, 0x67, 0x42, 0xe0, 0, 0, 0, 1, 0x68, 0xce],
        Codec::Hevc => &[0, 0, 0, 1, 0x40, 1, 9, 0, 0, 0, 1, 0x42, 1, 9, 0, 0, 0, 1, 0x44, 1, 9],
        _ => &[],
    }
}

fn delimiter(codec: Codec) -> &'static [u8] {
    match codec {
        Codec::H264 => &[0, 0, 0, 1, 9, 0xf0],
        Codec::Hevc => &[0, 0, 0, 1, 0x46, 1, 0x50],
        _ => &[],
    }
}

fn head(codec: Codec, key: bool) -> &'static [u8] {
    match (codec, key) {
        (Codec::H264, true) => &[0, 0, 0, 1, 0x65, 0x80],
        (Codec::H264, false) => &[0, 0, 0, 1, 0x41, 0x80],
        (Codec::Hevc, true) => &[0, 0, 0, 1, 0x26, 1, 0x80],
        (Codec::Hevc, false) => &[0, 0, 0, 1, 2, 1, 0x80],
        (Codec::Vp8, true) => &[0x10],
        (Codec::Vp8, false) => &[0x11],
        (Codec::Vp9, true) => &[0x82, 0x49, 0x83, 0x42],
        (Codec::Vp9, false) => &[0x86],
        _ => &[0xff, 0xd8],
    }
}

/// What can be seen of the device from outside.
#[derive(Default)]
pub(super) struct State {
    pub(super) set: BTreeMap<u32, i32>,
    /// All values that a control was set to.
    pub(super) history: Vec<(u32, i32)>,
    pub(super) crop: Option<(u32, u32)>,
    pub(super) lost: bool,
    pub(super) streaming: [bool; 2],
    starts: usize,
    inside: VecDeque<(u32, u64)>,
    free: VecDeque<u32>,
    returned: VecDeque<Done>,
    ready: VecDeque<Done>,
    payloads: BTreeMap<u32, Vec<u8>>,
    pictures: u64,
    force: bool,
    headers_sent: bool,
    stopped: bool,
}

/// The device. A pipe stands for its readiness: a byte per thing that can be dequeued.
pub(super) struct Simulated {
    traits: Traits,
    pub(super) state: Rc<RefCell<State>>,
    reader: OwnedFd,
    writer: OwnedFd,
}

impl Simulated {
    pub(super) fn new(traits: Traits) -> Self {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        Self { traits, state: Rc::default(), reader, writer }
    }

    fn answer(&self, call: &'static str) -> Answer<()> {
        if self.state.borrow().lost { Err(Failure { call, errno: Errno::NODEV }) } else { Ok(()) }
    }

    fn signal(&self) {
        assert_eq!(rustix::io::write(&self.writer, &[1]), Ok(1));
    }

    fn take_signal(&self) {
        assert_eq!(rustix::io::read(&self.reader, &mut [0; 1]), Ok(1));
    }

    /// Encodes what can be encoded.
    fn work(&self) {
        let mut state = self.state.borrow_mut();
        if state.streaming != [true; 2] {
            return;
        }
        let lag = if state.stopped { 0 } else { self.traits.lag };
        while state.inside.len() > lag && !state.free.is_empty() {
            let Some((index, stamp)) = state.inside.pop_front() else { break };
            state.returned.push_back(Done { index, from: 0, len: 0, flags: 0, stamp });
            self.signal();
            let number = state.pictures;
            state.pictures += 1;
            if self.traits.skips.contains(&number) {
                continue;
            }
            let failed = self.traits.breaks.contains(&number);
            let mut bytes = vec![0xee; self.traits.offset];
            let key = state.force || state.starts > 0;
            (state.force, state.starts) = (false, 0);
            let codec = self.traits.codec;
            if key && self.traits.headers_apart && !state.headers_sent {
                state.headers_sent = true;
                let headers = [&bytes[..], headers(codec)].concat();
                self.emit(&mut state, headers, 0, 0);
            }
            if self.traits.delimiters {
                bytes.extend(delimiter(codec));
            }
            if key && !self.traits.headers_apart {
                bytes.extend(headers(codec));
            }
            bytes.extend(head(codec, key));
            bytes.push(number as u8 | 0x80);
            let stamp = if self.traits.stamps { stamp } else { 1 };
            // V4L2_BUF_FLAG_KEYFRAME on every picture: what drivers flag is not relied upon.
            self.emit(&mut state, bytes, if failed { abi::BUF_FLAG_ERROR } else { 8 }, stamp);
        }
        if state.stopped && state.inside.is_empty() && !state.free.is_empty() {
            state.stopped = false;
            let Some(index) = state.free.pop_front() else { return };
            state.ready.push_back(Done { index, from: 0, len: 0, flags: abi::BUF_FLAG_LAST, stamp: 0 });
            self.signal();
        }
    }

    fn emit(&self, state: &mut State, bytes: Vec<u8>, flags: u32, stamp: u64) {
        let Some(index) = state.free.pop_front() else { panic!("CAPTURE buffers ran out") };
        let from = self.traits.offset;
        state.ready.push_back(Done { index, from, len: bytes.len() - from, flags, stamp });
        state.payloads.insert(index, bytes);
        self.signal();
    }
}

impl Device for Simulated {
    fn fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }

    fn format_at(&self, queue: Queue, index: u32) -> Answer<Option<FormatEntry>> {
        let compressed = queue == Queue::Capture;
        let fourcc = if compressed { coded(self.traits.codec) } else { Fourcc::from_bytes(self.traits.raw.0) };
        Ok((index == 0).then_some(FormatEntry { fourcc, compressed }))
    }

    fn largest(&self, _: Fourcc) -> Answer<Option<(u32, u32)>> {
        Ok(None)
    }

    fn set_format(&mut self, queue: Queue, want: &Format) -> Answer<Format> {
        self.answer("VIDIOC_S_FMT")?;
        let mut answer = want.clone();
        if queue == Queue::Capture {
            answer.fourcc = coded(self.traits.codec);
            return Ok(answer);
        }
        let (size, row) = self.traits.align;
        let (raw, buffers) = self.traits.raw;
        answer.fourcc = Fourcc::from_bytes(raw);
        (answer.width, answer.height) = (want.width.next_multiple_of(size), want.height.next_multiple_of(size));
        let bytes = if raw == *b"BGR4" { 4 } else { 1 };
        let stride = want.planes[0].0.max(answer.width * bytes).next_multiple_of(row);
        let rows = [answer.height, answer.height / 2];
        answer.planes = rows.iter().take(buffers).map(|rows| (stride, stride * rows)).collect();
        Ok(answer)
    }

    fn set_crop(&mut self, width: u32, height: u32) -> Answer<()> {
        if !self.traits.crops {
            return Err(Failure { call: "VIDIOC_S_SELECTION", errno: Errno::NOTTY });
        }
        self.state.borrow_mut().crop = Some((width, height));
        Ok(())
    }

    fn set_frame_rate(&mut self, _: u32) -> Answer<()> {
        Err(Failure { call: "VIDIOC_S_PARM", errno: Errno::NOTTY })
    }

    fn control_range(&self, id: u32) -> Answer<Option<(i32, i32)>> {
        self.answer("VIDIOC_QUERYCTRL")?;
        Ok(self.traits.controls.get(&id).copied())
    }

    fn menu_has(&self, id: u32, index: u32) -> bool {
        match id {
            controls::H264_PROFILE => [1, 4].contains(&index),
            controls::HEVC_PROFILE | controls::VP8_PROFILE | controls::VP9_PROFILE => index == 0,
            _ => false,
        }
    }

    fn control(&self, id: u32) -> Answer<i32> {
        Ok(self.state.borrow().set.get(&id).copied().unwrap_or(0))
    }

    fn set_control(&mut self, id: u32, value: i32) -> Answer<()> {
        self.answer("VIDIOC_S_CTRL")?;
        let (least, most) = self.traits.controls[&id];
        assert!((least..=most).contains(&value), "control {id:#x} to {value}");
        let mut state = self.state.borrow_mut();
        state.force |= id == controls::FORCE_KEY_FRAME;
        state.set.insert(id, value);
        state.history.push((id, value));
        Ok(())
    }

    fn request_buffers(&mut self, _: Queue, count: u32) -> Answer<u32> {
        self.answer("VIDIOC_REQBUFS").map(|()| count)
    }

    fn map(&mut self, _: u32) -> Answer<()> {
        Ok(())
    }

    fn copy(&self, index: u32, from: usize, len: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.state.borrow().payloads[&index][from..from + len]);
    }

    fn queue_output(&mut self, index: u32, planes: &[OutputPlane<'_>], stamp: u64) -> Answer<()> {
        self.answer("VIDIOC_QBUF")?;
        assert_eq!(planes.len(), self.traits.raw.1);
        assert!(planes.iter().all(|plane| plane.bytesused > 0));
        self.state.borrow_mut().inside.push_back((index, stamp));
        self.work();
        Ok(())
    }

    fn queue_capture(&mut self, index: u32) -> Answer<()> {
        self.answer("VIDIOC_QBUF")?;
        self.state.borrow_mut().free.push_back(index);
        self.work();
        Ok(())
    }

    fn dequeue(&mut self, queue: Queue) -> Answer<Option<Done>> {
        self.answer("VIDIOC_DQBUF")?;
        let mut state = self.state.borrow_mut();
        let done = if queue == Queue::Output { state.returned.pop_front() } else { state.ready.pop_front() };
        if done.is_some() {
            self.take_signal();
        }
        Ok(done)
    }

    fn stream(&mut self, queue: Queue, on: bool) -> Answer<()> {
        let mut state = self.state.borrow_mut();
        state.streaming[usize::from(queue == Queue::Capture)] = on;
        state.starts += usize::from(on);
        match (on, queue) {
            (true, _) => {}
            (false, Queue::Output) => {
                (0..state.returned.len()).for_each(|_| self.take_signal());
                state.returned.clear();
                state.inside.clear();
            }
            (false, Queue::Capture) => {
                (0..state.ready.len()).for_each(|_| self.take_signal());
                state.ready.clear();
                state.free.clear();
            }
        }
        Ok(())
    }

    fn stop(&mut self) -> Answer<()> {
        self.answer("VIDIOC_ENCODER_CMD")?;
        self.state.borrow_mut().stopped = true;
        self.work();
        Ok(())
    }
}
