//! [`Remote`]: an encoder in another process, and the next process when that one ends.
use std::{
    collections::VecDeque,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{AddressFamily, Shutdown, SocketFlags, SocketType, shutdown, socketpair},
};

use super::{
    Home, SLOTS, Slots,
    message::{Answer, Order, Picture},
    sys::Memory,
};
use crate::{
    BackendError, Buffer, Completion, EncodeRequest, Encoder, Frame, Packet, Refusal, Refused, Settings, Ticket,
    Tuning, buffer::Pool, dmabuf::Shape,
};

/// How long a process may take to open its encoder; it loads libraries first.
const OPENED: Duration = Duration::from_secs(5);
/// How long it may take to let go of dmabufs in the end.
const ENDED: Duration = Duration::from_secs(1);
/// So many processes that end one after the other, without a picture between them, are a loss: it is the picture.
const TOO_MANY: u32 = 3;

/// The side of this process.
pub(super) struct Remote {
    home: Arc<Home>,
    settings: Settings,
    slots: Slots,
    /// Of the dmabufs that it was opened for; `None` for pictures in memory.
    shape: Option<Shape>,
    depth: usize,
    helper: Helper,
    open: VecDeque<(Ticket, Frame, EncodeRequest)>,
    next: u64,
    /// Processes that ended since the last picture.
    ended: u32,
    lost: Option<BackendError>,
    pool: Pool,
}

/// One process.
struct Helper {
    socket: OwnedFd,
    memory: Memory,
    /// Our number of its first ticket.
    first: u64,
}

/// It ended, or means nothing to us.
struct Dead;

impl Remote {
    pub(super) fn open(home: Arc<Home>, want: &Settings, like: &Frame) -> Result<Self, BackendError> {
        let slots = Slots::new(want).ok_or_else(|| BackendError::Unsupported {
            backend: home.backend.name(),
            what: format!("{}x{} in another process", want.width, want.height),
        })?;
        let helper = Helper::start(&home, slots, want, like, 0)?;
        let depth = helper.wait_until_open()?;
        Ok(Self {
            home,
            settings: want.clone(),
            slots,
            shape: shape(like),
            depth,
            helper,
            open: VecDeque::new(),
            next: 0,
            ended: 0,
            lost: None,
            pool: Pool::default(),
        })
    }

    /// A new process with all open tickets, the first of which stands alone then.
    fn replace(&mut self) -> Result<(), BackendError> {
        loop {
            self.ended += 1;
            if self.ended >= TOO_MANY {
                return Err(BackendError::Process("it ends again and again".into()));
            }
            let Some((ticket, frame, _)) = self.open.front() else { return Ok(()) };
            self.helper = Helper::start(&self.home, self.slots, &self.settings, frame, ticket.0)?;
            tracing::warn!(codec = %self.settings.codec, "an encoder's process ended; there is another one");
            let mut first = true;
            let sent = self.open.iter().try_for_each(|(ticket, frame, want)| {
                let want = EncodeRequest { keyframe: want.keyframe || std::mem::take(&mut first), ..*want };
                self.helper.submit(self.slots, *ticket, frame, &want)
            });
            if sent.is_ok() {
                return Ok(());
            }
        }
    }

    fn lose(&mut self, error: BackendError) -> BackendError {
        self.lost.insert(error).clone()
    }

    /// What an answer says about the oldest ticket.
    fn complete(&mut self, answer: Answer) -> Result<Option<Completion>, Dead> {
        let (number, packet) = match answer {
            // Said again by each process.
            Answer::Opened { .. } => return Ok(None),
            Answer::Encoded { ticket, keyframe, width, height, len } => (ticket, Some((keyframe, width, height, len))),
            Answer::Dropped { ticket } => (ticket, None),
            Answer::Failed(_) => return Err(Dead),
        };
        let Some((ticket, _, want)) = self.open.front() else { return Err(Dead) };
        let (ticket, want) = (*ticket, *want);
        if self.helper.first.checked_add(number) != Some(ticket.0) {
            return Err(Dead);
        }
        let (tag, damage) = (want.tag, want.damage);
        let completion = match packet {
            None => Completion::Dropped { ticket, tag },
            Some((keyframe, width, height, len)) => {
                let data = self.packet(number, len)?;
                Completion::Encoded(Packet { ticket, tag, damage, keyframe, width, height, data })
            }
        };
        self.open.pop_front();
        self.ended = 0;
        Ok(Some(completion))
    }

    /// Copies a packet out of its slot.
    fn packet(&mut self, number: u64, len: u64) -> Result<Buffer, Dead> {
        let len = usize::try_from(len).ok().filter(|len| (1..=self.slots.room()).contains(len)).ok_or(Dead)?;
        let (memory, mut at) = (&self.helper.memory.fd, self.slots.output(number) as u64);
        self.pool.fill(|out| {
            out.resize(len, 0);
            let mut rest = out.as_mut_slice();
            while !rest.is_empty() {
                match rustix::io::pread(memory, &mut *rest, at) {
                    Ok(0) => return Err(Dead),
                    Ok(got) => {
                        at += got as u64;
                        rest = rest.split_at_mut(got).1;
                    }
                    Err(Errno::INTR) => {}
                    Err(_) => return Err(Dead),
                }
            }
            Ok(())
        })
    }
}

impl Encoder for Remote {
    fn depth(&self) -> usize {
        self.depth
    }

    fn submit(&mut self, frame: Frame, want: EncodeRequest) -> Result<Ticket, Refused> {
        let why = match &self.lost {
            Some(error) => Some(Refusal::Failed(error.clone())),
            None if self.open.len() >= self.depth => Some(Refusal::Busy(self.open.len())),
            None if shape(&frame) != self.shape => Some(Refusal::Unlike("it lies in another kind of memory")),
            None => want.check(&frame, &self.settings).err(),
        };
        if let Some(why) = why {
            return Err(Refused { frame, why });
        }
        let ticket = Ticket(self.next);
        let sent = self.helper.submit(self.slots, ticket, &frame, &want);
        self.open.push_back((ticket, frame, want));
        if sent.is_err()
            && let Err(error) = self.replace()
            && let Some((_, frame, _)) = self.open.pop_back()
        {
            return Err(Refused { frame, why: Refusal::Failed(self.lose(error)) });
        }
        self.next += 1;
        Ok(ticket)
    }

    fn poll_completion(&mut self) -> Result<Option<Completion>, BackendError> {
        if let Some(error) = &self.lost {
            return Err(error.clone());
        }
        loop {
            let answer = match Answer::receive(self.helper.socket.as_fd()) {
                Err(Errno::AGAIN) => return Ok(None),
                Ok(Answer::Failed(why)) => return Err(self.lose(BackendError::Process(why))),
                answer => answer.map_err(|_| Dead),
            };
            match answer.and_then(|answer| self.complete(answer)) {
                Ok(None) => {}
                Ok(completion) => return Ok(completion),
                Err(Dead) if self.open.is_empty() => return Ok(None),
                Err(Dead) => self.replace().map_err(|error| self.lose(error))?,
            }
        }
    }

    fn readiness(&self) -> Option<BorrowedFd<'_>> {
        Some(self.helper.socket.as_fd())
    }

    fn retune(&mut self, tuning: &Tuning) -> Result<(), BackendError> {
        tuning.check(self.home.backend.name())?;
        self.settings.tuning = *tuning;
        // A process that has ended is noticed with the next picture, and the next one is told at once.
        let _ = Order::Retune(*tuning).send(self.helper.socket.as_fd(), None);
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Vec<Completion> {
        self.helper.end();
        let open = std::mem::take(&mut self.open).into_iter();
        open.map(|(ticket, _, want)| Completion::Dropped { ticket, tag: want.tag }).collect()
    }
}

impl Helper {
    /// Has a process started and tells it what to open; the answer comes later.
    fn start(home: &Home, slots: Slots, settings: &Settings, like: &Frame, first: u64) -> Result<Self, BackendError> {
        let failed = |call: &str, why: &dyn std::fmt::Display| BackendError::Process(format!("{call}: {why}"));
        let memory = Memory::new(slots.total()).map_err(|errno| failed("memfd", &errno))?;
        let pair = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
        let (socket, theirs) = pair.map_err(|errno| failed("socketpair", &errno))?;
        let order = Order::Open(settings.clone(), picture(like));
        order.send(socket.as_fd(), Some(memory.fd.as_fd())).map_err(|errno| failed("sendmsg", &errno))?;
        (home.start)(home.backend.name(), theirs).map_err(|error| failed("starting it", &error))?;
        Ok(Self { socket, memory, first })
    }

    /// How many tickets may be open.
    fn wait_until_open(&self) -> Result<usize, BackendError> {
        let start = Instant::now();
        let failed = |why: &str| BackendError::Process(why.into());
        loop {
            match Answer::receive(self.socket.as_fd()) {
                Ok(Answer::Opened { depth }) => {
                    let depth = usize::try_from(depth).ok().filter(|depth| (1..=SLOTS).contains(depth));
                    return depth.ok_or_else(|| failed("it makes no sense"));
                }
                Ok(Answer::Failed(why)) => return Err(failed(&why)),
                Err(Errno::AGAIN) => self.wait(OPENED.saturating_sub(start.elapsed())).map_err(failed)?,
                Ok(_) => return Err(failed("it makes no sense")),
                Err(_) => return Err(failed("it ended before it could encode")),
            }
        }
    }

    /// Sleeps until it says something, or is gone.
    fn wait(&self, most: Duration) -> Result<(), &'static str> {
        let most = Timespec { tv_sec: most.as_secs().cast_signed(), tv_nsec: most.subsec_nanos().into() };
        match poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], Some(&most)) {
            Ok(0) => Err("it says nothing"),
            // An interrupted wait only means asking again.
            _ => Ok(()),
        }
    }

    fn submit(&mut self, slots: Slots, ticket: Ticket, frame: &Frame, want: &EncodeRequest) -> Result<(), Dead> {
        let EncodeRequest { region, keyframe, .. } = *want;
        let picture = picture(frame);
        if matches!(picture, Picture::Memory) {
            let number = ticket.0.checked_sub(self.first).ok_or(Dead)?;
            let (stride, row) = (frame.layout().stride as usize, region.width as usize * 4);
            let rows = frame.pixels().chunks(stride).skip(region.y as usize).take(region.height as usize);
            let left = region.x as usize * 4;
            for (n, bytes) in rows.enumerate() {
                self.memory.write(slots.input(number) + n * row, bytes.get(left..left + row).ok_or(Dead)?);
            }
        }
        Order::Submit { picture, region, keyframe }.send(self.socket.as_fd(), None).map_err(|_| Dead)
    }

    /// Tells it to end and waits, for a moment, until it has let go of what it was given.
    fn end(&self) {
        // Whatever fails here: it is gone, or ends when the socket is closed.
        let _ = shutdown(&self.socket, Shutdown::Write);
        let start = Instant::now();
        while let Some(left) = ENDED.checked_sub(start.elapsed()) {
            match Answer::receive(self.socket.as_fd()) {
                Ok(_) => {}
                Err(Errno::AGAIN) if self.wait(left).is_ok() => {}
                Err(_) => return,
            }
        }
    }
}

fn shape(frame: &Frame) -> Option<Shape> {
    frame.dmabuf().map(|dmabuf| dmabuf.shape())
}

fn picture(frame: &Frame) -> Picture {
    frame.dmabuf().map_or(Picture::Memory, |dmabuf| Picture::Dmabuf(dmabuf.clone()))
}
