//! The other process is a thread here: what it does is the same.
use std::{
    os::fd::{AsFd, BorrowedFd},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::*;
use crate::{
    Chroma, Codec, Completion, Dmabuf, EncodeRequest, Layout, Packet, Plane, Rate, Rect, Refusal, Refused, Ticket,
    Tuning,
    conformance::{check_backend, check_loss},
    dmabuf::{Fourcc, MOD_LINEAR, Shape},
    software::Software,
};

const SIZE: (u32, u32) = (160, 96);
const REGION: Rect = Rect { x: 0, y: 0, width: SIZE.0, height: SIZE.1 };

fn settings(codec: Codec) -> Settings {
    let (width, height) = SIZE;
    let tuning = Tuning { rate: Rate::Quality(80), fps: 25 };
    Settings { codec, width, height, chroma: Chroma::Yuv420, tuning, device: None }
}

/// Rows of a picture that is wider than the region by a few pixels.
fn pixels(n: u64) -> Vec<u8> {
    let width = u64::from(SIZE.0) + 5;
    (0..width * u64::from(SIZE.1)).flat_map(|p| [(p % width + n) as u8, (p / width) as u8, (p / 7) as u8, 0]).collect()
}

fn layout() -> Layout {
    Layout { width: SIZE.0 + 5, height: SIZE.1, stride: (SIZE.0 + 5) * 4 }
}

fn memory(n: u64) -> Frame {
    Frame::from_memory(layout(), pixels(n)).unwrap()
}

fn dmabuf(n: u64) -> Frame {
    let fd = rustix::fs::memfd_create("picture", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
    rustix::io::write(&fd, &pixels(n)).unwrap();
    let Layout { width, height, stride } = layout();
    let shape = Shape { width, height, fourcc: Fourcc::XRGB8888, modifier: MOD_LINEAR, y_inverted: false };
    Frame::from_dmabuf(Dmabuf::new(shape, &[Plane { fd: Arc::new(fd), offset: 0, stride }]).unwrap())
}

/// Starts threads, and keeps a handle to the socket of each.
struct Threads {
    started: AtomicUsize,
    sockets: Mutex<Vec<OwnedFd>>,
    /// How many may still start.
    left: AtomicUsize,
}

impl Threads {
    fn new(left: usize) -> Arc<Self> {
        Arc::new(Self { started: AtomicUsize::new(0), sockets: Mutex::default(), left: AtomicUsize::new(left) })
    }

    fn isolate(self: &Arc<Self>, backend: &'static dyn Backend) -> Isolated {
        let threads = Arc::clone(self);
        let start: Start = Box::new(move |name, socket| {
            assert_eq!(name, backend.name());
            let left = threads.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
            if left.is_ok() {
                let ours = socket.try_clone()?;
                threads.sockets.lock().unwrap().push(ours.try_clone()?);
                threads.started.fetch_add(1, Ordering::Relaxed);
                std::thread::spawn(move || {
                    drop(serve(socket, backend));
                    // As the end of a process, whoever else holds the socket.
                    rustix::net::shutdown(&ours, rustix::net::Shutdown::Both).unwrap();
                });
            }
            Ok(())
        });
        Isolated::new(backend, start)
    }

    /// The newest process is gone.
    fn kill(&self) {
        let socket = self.sockets.lock().unwrap().pop().unwrap();
        rustix::net::shutdown(&socket, rustix::net::Shutdown::Both).unwrap();
    }
}

/// Encoders that take two pictures and are never done.
struct Stuck;

struct StuckEncoder {
    never: OwnedFd,
    taken: Vec<Frame>,
}

impl Backend for Stuck {
    fn name(&self) -> &'static str {
        "stuck"
    }

    fn probe(&self) -> Vec<Report> {
        Vec::new()
    }

    fn open(&self, _: &Settings, _: &Frame) -> Result<Box<dyn Encoder>, BackendError> {
        let never = rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC).unwrap();
        Ok(Box::new(StuckEncoder { never, taken: Vec::new() }))
    }
}

impl Encoder for StuckEncoder {
    fn depth(&self) -> usize {
        2
    }

    fn submit(&mut self, frame: Frame, want: EncodeRequest) -> Result<Ticket, Refused> {
        self.taken.push(frame);
        Ok(Ticket(want.tag))
    }

    fn poll_completion(&mut self) -> Result<Option<Completion>, BackendError> {
        Ok(None)
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

fn request(tag: u64) -> EncodeRequest {
    EncodeRequest { region: REGION, damage: REGION, keyframe: false, tag }
}

/// Waits for the next completion.
fn complete(encoder: &mut dyn Encoder) -> Result<Packet, BackendError> {
    loop {
        match encoder.poll_completion()? {
            Some(Completion::Encoded(packet)) => return Ok(packet),
            Some(other) => panic!("{other:?}"),
            None => {
                let fd = encoder.readiness().unwrap();
                rustix::event::poll(&mut [rustix::event::PollFd::new(&fd, rustix::event::PollFlags::IN)], None)
                    .unwrap();
            }
        }
    }
}

#[test]
fn it_keeps_the_law() {
    let isolated = Threads::new(usize::MAX).isolate(&Software);
    for codec in [Codec::Mjpeg, Codec::H264] {
        for frames in [memory, dmabuf] {
            check_backend(&isolated, &settings(codec), &mut { frames }).unwrap();
        }
    }
}

#[test]
fn pictures_are_the_same_as_in_this_process() {
    let isolated = Threads::new(usize::MAX).isolate(&Software);
    let settings = settings(Codec::H264);
    let region = Rect { x: 3, ..REGION };
    let packets = |mut encoder: Box<dyn Encoder>, frame: fn(u64) -> Frame| {
        let one = |n| {
            encoder.submit(frame(n), EncodeRequest { region, ..request(n) }).unwrap();
            match encoder.poll_completion().unwrap() {
                Some(Completion::Encoded(packet)) => packet,
                _ => complete(&mut *encoder).unwrap(),
            }
        };
        (0..5).map(one).collect::<Vec<_>>()
    };
    let here = packets(Software.open(&settings, &memory(0)).unwrap(), memory);
    assert_eq!(packets(isolated.open(&settings, &memory(0)).unwrap(), memory), here);
    assert_eq!(packets(isolated.open(&settings, &dmabuf(0)).unwrap(), dmabuf), here);
}

#[test]
fn the_next_process_goes_on_with_a_key_frame() {
    let threads = Threads::new(usize::MAX);
    let isolated = threads.isolate(&Software);
    let mut encoder = isolated.open(&settings(Codec::H264), &memory(0)).unwrap();
    let mut keys = Vec::new();
    for n in 0..40 {
        // Between two pictures, and while it has one.
        if n % 20 == 5 {
            threads.kill();
        }
        encoder.submit(memory(n), request(n)).unwrap();
        if n % 20 == 15 {
            threads.kill();
        }
        let packet = complete(&mut *encoder).unwrap();
        assert_eq!((packet.ticket.0, packet.tag), (n, n));
        keys.extend(packet.keyframe.then_some(n));
    }
    assert!(keys.starts_with(&[0, 5]) && keys.contains(&25), "{keys:?}");
    // Whether a picture was done when its process was killed is up to the threads.
    assert!((3..=5).contains(&threads.started.load(Ordering::Relaxed)));
    assert!(encoder.finish().is_empty());
}

#[test]
fn processes_that_end_again_and_again_are_a_loss() {
    let threads = Threads::new(1);
    let isolated = threads.isolate(&Stuck);
    let settings = settings(Codec::H264);
    let encoder = isolated.open(&settings, &memory(0)).unwrap();
    assert_eq!(encoder.depth(), 2);
    let error = check_loss(encoder, &settings, &mut memory, 0, &mut || threads.kill()).unwrap();
    assert_eq!(error, BackendError::Process("it ends again and again".into()));
    let error = isolated.open(&settings, &memory(0)).map(drop).unwrap_err();
    assert_eq!(error.to_string(), "the encoder's process: it ended before it could encode");
}

#[test]
fn what_an_encoder_says_of_its_failure_is_passed_on() {
    let isolated = Threads::new(usize::MAX).isolate(&Software);
    let error = isolated.open(&settings(Codec::Fwht), &memory(0)).map(drop).unwrap_err();
    assert_eq!(error.to_string(), "the encoder's process: software cannot encode fwht");
    let mut encoder = isolated.open(&settings(Codec::Mjpeg), &memory(0)).unwrap();
    let refused = encoder.submit(dmabuf(0), request(0)).unwrap_err();
    assert!(matches!(refused.why, Refusal::Unlike(_)));
}
