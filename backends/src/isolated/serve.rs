//! [`serve`]: what the process does in which an encoder works.
use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
};

use super::{
    SLOTS, Slots,
    message::{Answer, Order, Picture},
    sys::Memory,
};
use crate::{
    Backend, BackendError, Completion, EncodeRequest, Encoder, Frame, FrameError, Layout, Packet, Rect, Settings,
};

/// Why the process has to end before it is told to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The other process is gone, or says what means nothing.
    #[error("the socket: {0}")]
    Socket(#[from] Errno),
    /// The orders are not in order.
    #[error("{0}")]
    Order(&'static str),
    /// The encoder failed; the other process has been told.
    #[error(transparent)]
    Encoder(#[from] BackendError),
}

/// Encodes what comes over `socket`, one end of which [`Start`](super::Start) got, until the other is closed.
///
/// # Errors
/// [`ServeError`]; the other process has noticed, and the only thing left to do is to end.
pub fn serve(socket: OwnedFd, backend: &dyn Backend) -> Result<(), ServeError> {
    let served = Session::open(socket.as_fd(), backend).and_then(|session| session.map_or(Ok(()), Session::run));
    if let Err(ServeError::Encoder(error)) = &served {
        Answer::Failed(error.to_string()).send(socket.as_fd())?;
    }
    served
}

/// An open encoder.
struct Session<'a> {
    socket: BorrowedFd<'a>,
    encoder: Box<dyn Encoder>,
    memory: Arc<Memory>,
    slots: Slots,
    layout: Layout,
    /// Tickets that came, and those that are not complete.
    submitted: u64,
    open: u64,
}

impl<'a> Session<'a> {
    /// `None` when there is no order.
    fn open(socket: BorrowedFd<'a>, backend: &dyn Backend) -> Result<Option<Self>, ServeError> {
        let (settings, picture, memory) = match Order::receive(socket)? {
            Some((Order::Open(settings, picture), fds)) => (settings, picture, fds.into_iter().next()),
            None => return Ok(None),
            Some(_) => return Err(ServeError::Order("the first order is not to open an encoder")),
        };
        let memory = memory.ok_or(ServeError::Order("no memory came with the first order"))?;
        let Settings { width, height, .. } = settings;
        let slots = Slots::new(&settings).ok_or(ServeError::Order("the picture is too large"))?;
        let memory = Arc::new(Memory::received(memory, slots.total())?);
        let layout = Layout { width, height, stride: width.saturating_mul(4) };
        let like = frame(picture, &memory, slots, layout, 0).map_err(BackendError::from)?;
        let encoder = backend.open(&settings, &like)?;
        drop(like);
        Answer::Opened { depth: encoder.depth().min(SLOTS) as u64 }.send(socket)?;
        Ok(Some(Self { socket, encoder, memory, slots, layout, submitted: 0, open: 0 }))
    }

    fn run(mut self) -> Result<(), ServeError> {
        loop {
            if self.has_order()? {
                match Order::receive(self.socket)? {
                    Some((Order::Submit { picture, region, keyframe }, _)) => self.submit(picture, region, keyframe)?,
                    // The old tuning stays when this one is impossible.
                    Some((Order::Retune(tuning), _)) => drop(self.encoder.retune(&tuning)),
                    Some((Order::Open(..), _)) => return Err(ServeError::Order("an encoder is open already")),
                    None => break,
                }
            }
            while self.open > 0
                && let Some(completion) = self.encoder.poll_completion()?
            {
                self.open -= 1;
                self.tell(completion)?;
            }
        }
        self.encoder.finish();
        Ok(())
    }

    /// Waits for an order or the encoder; answers whether it is an order.
    fn has_order(&self) -> Result<bool, Errno> {
        let encoder = self.encoder.readiness().filter(|_| self.open > 0);
        let Some(encoder) = encoder else { return Ok(true) };
        let mut fds = [PollFd::from_borrowed_fd(self.socket, PollFlags::IN), PollFd::new(&encoder, PollFlags::IN)];
        loop {
            match poll(&mut fds, None) {
                Err(Errno::INTR) => {}
                answer => {
                    answer?;
                    break;
                }
            }
        }
        let [socket, _] = fds;
        Ok(!socket.revents().is_empty())
    }

    fn submit(&mut self, picture: Picture, region: Rect, keyframe: bool) -> Result<(), ServeError> {
        let region = match picture {
            // Only the region is in the slot.
            Picture::Memory => Rect { x: 0, y: 0, ..region },
            Picture::Dmabuf(_) => region,
        };
        let frame =
            frame(picture, &self.memory, self.slots, self.layout, self.submitted).map_err(BackendError::from)?;
        let want = EncodeRequest { region, damage: region, keyframe, tag: 0 };
        let refused = |refused: crate::Refused| BackendError::Process(refused.why.to_string());
        self.encoder.submit(frame, want).map_err(refused)?;
        self.submitted += 1;
        self.open += 1;
        Ok(())
    }

    fn tell(&self, completion: Completion) -> Result<(), ServeError> {
        let ticket = completion.ticket().0;
        let answer = match completion {
            Completion::Dropped { .. } => Answer::Dropped { ticket },
            Completion::Encoded(Packet { keyframe, width, height, data, .. }) => {
                if data.len() > self.slots.room() {
                    let what = format!("a packet of {} bytes, at most {} are possible", data.len(), self.slots.room());
                    return Err(BackendError::Process(what).into());
                }
                self.put(self.slots.output(ticket) as u64, &data)?;
                Answer::Encoded { ticket, keyframe, width, height, len: data.len() as u64 }
            }
        };
        Ok(answer.send(self.socket)?)
    }

    fn put(&self, mut at: u64, mut bytes: &[u8]) -> Result<(), Errno> {
        while !bytes.is_empty() {
            match rustix::io::pwrite(&self.memory.fd, bytes, at) {
                Ok(done) => {
                    at += done as u64;
                    bytes = bytes.get(done..).unwrap_or_default();
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }
}

/// The picture of a ticket.
fn frame(
    picture: Picture,
    memory: &Arc<Memory>,
    slots: Slots,
    layout: Layout,
    ticket: u64,
) -> Result<Frame, FrameError> {
    match picture {
        Picture::Memory => Frame::from_memory(
            layout,
            Pixels { memory: Arc::clone(memory), at: slots.input(ticket), len: slots.pixels },
        ),
        Picture::Dmabuf(dmabuf) => Ok(Frame::from_dmabuf(dmabuf)),
    }
}

/// The pixels in a slot.
struct Pixels {
    memory: Arc<Memory>,
    at: usize,
    len: usize,
}

impl AsRef<[u8]> for Pixels {
    fn as_ref(&self) -> &[u8] {
        self.memory.bytes(self.at, self.len)
    }
}
