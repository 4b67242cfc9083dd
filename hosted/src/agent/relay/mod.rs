//! [`Relay`]: a guest's own agent, between its port and the viewers.
//!
//! ```text
//!  port ─chunks behind headers─► filter ─► a queue for each viewer, which joins between messages
//!  port ◄─one message at a time─ filter ◄─ chunks of each viewer, as many as it has tokens
//! ```
//!
//! Messages are not put together here: their headers decide what becomes of their chunks. While one
//! viewer's queue is full the port is not read, and while the port is full viewers get no tokens.

mod travel;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use sumac_core::agent::{Piece, Pieces};
use sumac_core::channel::vmc::DeviceBytes;
use sumac_core::limits::AGENT_CHUNK;
use sumac_core::proto::agent::{
    AgentCaps, AnnounceCapabilities, ClientDisconnected, Clipboard, ClipboardGrab, ClipboardRelease, ClipboardRequest,
    FileXferData, FileXferStart, FileXferStatus, PROTOCOL, VdpPort,
};
use sumac_core::wire::Message;
use tokio::sync::Notify;

pub(crate) use travel::{Travel, begun, pieces};

use crate::devices::{Attached, DeviceHub, DeviceKind};

/// Bytes in front of a chunk on the port: whose it is, and how long.
const CHUNK_HEAD: usize = 8;
/// Where the first word of capabilities is in the body of ANNOUNCE_CAPABILITIES.
const CAPS_AT: std::ops::Range<usize> = 4..8;
/// Chunks that wait for a viewer; while one has as many the port is not read.
const QUEUE: usize = 64;
/// How long a viewer may leave them there: others wait for it.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes taken from the port at once.
const STEP: usize = 64 * 1024;

/// What the operator lets through.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Filter {
    pub(crate) copy_paste: bool,
    pub(crate) file_transfer: bool,
}

/// The guest's agent, if there is one.
pub(crate) struct Relay {
    filter: Filter,
    port: RefCell<Option<Attached>>,
    /// Number of the agent's connection; `None` while the guest has none.
    connection: Cell<Option<u64>>,
    connections: Cell<u64>,
    /// How often the guest had opened the port when the connection began.
    opens: Cell<u64>,
    incoming: RefCell<Incoming>,
    ears: RefCell<Vec<Weak<Ear>>>,
    /// The viewer whose message is on its way to the agent.
    speaker: RefCell<Weak<Ear>>,
    /// A message of a viewer's has begun and not ended; and how far it has come.
    amid: Cell<bool>,
    outgoing: RefCell<Pieces>,
    /// Viewers that come from another server with their state, and have not yet.
    held: Cell<usize>,
}

/// What the agent is saying.
#[derive(Default)]
struct Incoming {
    bytes: BytesMut,
    pieces: Pieces,
    /// Bytes of the body before the next chunk.
    at: usize,
}

/// A viewer that listens and speaks to the agent.
pub(crate) struct Ear {
    bell: Rc<Notify>,
    /// Whether it has joined: it does so between two messages.
    joined: Cell<bool>,
    heard: RefCell<VecDeque<Bytes>>,
    full_since: Cell<Option<Instant>>,
    /// Chunks for the agent, and whether their message ends with them.
    said: RefCell<VecDeque<(Bytes, bool)>>,
    /// Chunks that the agent took since this was asked.
    taken: Cell<u32>,
}

impl Filter {
    /// Whether messages of this number go through, either way.
    pub(crate) fn lets(self, kind: u32) -> bool {
        let is = |ids: &[u16]| ids.iter().any(|&id| u32::from(id) == kind);
        let copies = is(&[Clipboard::ID, ClipboardGrab::ID, ClipboardRequest::ID, ClipboardRelease::ID]);
        let sends = is(&[FileXferStart::ID, FileXferStatus::ID, FileXferData::ID]);
        (self.copy_paste || !copies) && (self.file_transfer || !sends)
    }

    /// What the agent's capabilities come to.
    fn caps(self, caps: AgentCaps) -> AgentCaps {
        const COPIES: AgentCaps =
            AgentCaps::CLIPBOARD.union(AgentCaps::CLIPBOARD_BY_DEMAND).union(AgentCaps::CLIPBOARD_SELECTION);
        let caps = if self.copy_paste { caps } else { caps.difference(COPIES) };
        if self.file_transfer { caps } else { caps.union(AgentCaps::FILE_XFER_DISABLED) }
    }
}

impl Relay {
    pub(crate) fn new(filter: Filter) -> Self {
        Self {
            filter,
            port: RefCell::default(),
            connection: Cell::default(),
            connections: Cell::default(),
            opens: Cell::default(),
            incoming: RefCell::default(),
            ears: RefCell::default(),
            speaker: RefCell::default(),
            amid: Cell::default(),
            outgoing: RefCell::default(),
            held: Cell::default(),
        }
    }

    /// Number of the agent's connection; `None` while there is no agent.
    pub(crate) fn connection(&self) -> Option<u64> {
        self.connection.get()
    }

    pub(crate) fn filter(&self) -> Filter {
        self.filter
    }

    /// Takes in what the port said; answers whether an agent came or went.
    pub(crate) fn take_mail(&self, devices: &DeviceHub) -> bool {
        let before = self.connection.get();
        let gone = self.port.borrow().as_ref().is_some_and(Attached::is_ended);
        if gone {
            self.port.replace(None);
        }
        if self.port.borrow().is_none() {
            self.port.replace(devices.attach_own(DeviceKind::Agent));
        }
        let guest = self.port.borrow().as_ref().map(Attached::guest).unwrap_or_default();
        if before.is_some() && (!guest.opened || guest.opens != self.opens.get()) {
            // What was on its way is from another time.
            self.connection.set(None);
            self.reattach();
        }
        if guest.opened && self.connection.get().is_none() {
            self.opens.set(guest.opens);
            self.connect();
        }
        self.hear();
        self.speak();
        self.connection.get() != before
    }

    /// A viewer's agent stream opened; `bell` rings when there is something to tell it.
    pub(crate) fn enter(&self, bell: &Rc<Notify>) -> Rc<Ear> {
        let ear = Rc::new(Ear {
            bell: Rc::clone(bell),
            joined: Cell::new(!self.incoming.borrow().pieces.is_amid()),
            heard: RefCell::default(),
            full_since: Cell::default(),
            said: RefCell::default(),
            taken: Cell::default(),
        });
        let mut ears = self.ears.borrow_mut();
        ears.retain(|ear| ear.strong_count() > 0);
        ears.push(Rc::downgrade(&ear));
        ear
    }

    /// It closed. The agent hears when the last one does; half a message of its would confuse the
    /// agent, so the port is closed and opened again.
    pub(crate) fn leave(&self, ear: &Rc<Ear>) {
        let speaks = self.speaker.borrow().as_ptr() == Rc::as_ptr(ear);
        if speaks && self.amid.get() && self.connection.get().is_some() {
            tracing::info!("a viewer went amid a message to the agent: the agent's port is opened anew");
            self.connect();
            self.reattach();
        }
        let mut ears = self.ears.borrow_mut();
        let was_in = ears.iter().any(|other| other.as_ptr() == Rc::as_ptr(ear));
        ears.retain(|other| other.as_ptr() != Rc::as_ptr(ear) && other.strong_count() > 0);
        if was_in && ears.is_empty() && self.connection.get().is_some() && !self.amid.get() {
            let message = [PROTOCOL, ClientDisconnected::ID.into(), 0, 0, 0].map(u32::to_le_bytes).concat();
            self.to_port(VdpPort::SERVER, &message);
        }
        drop(ears);
        // The port may have waited for this viewer.
        self.hear();
        self.speak();
    }

    /// Says a viewer's chunk to the agent, which ends its message or not.
    pub(crate) fn say(&self, ear: &Ear, chunk: Bytes, last: bool) {
        ear.said.borrow_mut().push_back((chunk, last));
        self.speak();
    }

    /// The next chunk for a viewer.
    pub(crate) fn next_chunk(&self, ear: &Ear) -> Option<Bytes> {
        let chunk = ear.heard.borrow_mut().pop_front()?;
        ear.full_since.set(None);
        self.hear();
        Some(chunk)
    }

    /// A connection to an agent begins: nothing of the one before counts.
    fn connect(&self) {
        self.connections.set(self.connections.get() + 1);
        self.connection.set(Some(self.connections.get()));
        self.incoming.replace(Incoming::default());
        self.speaker.replace(Weak::new());
        self.amid.set(false);
        self.outgoing.replace(Pieces::default());
        // Streams that are open end with the connection; theirs begin anew.
        for ear in self.ears.borrow_mut().drain(..).filter_map(|ear| ear.upgrade()) {
            ear.bell.notify_one();
        }
    }

    /// Hands on what the agent says, while all viewers have room.
    fn hear(&self) {
        if self.connection.get().is_none() || self.held.get() > 0 {
            return;
        }
        loop {
            while self.has_room() {
                match self.cut() {
                    Ok(Some(chunk)) => self.hand_out(&chunk),
                    Ok(None) => break,
                    Err(why) => return self.disobeyed(why),
                }
            }
            let bytes = match &*self.port.borrow() {
                Some(port) if self.has_room() => port.take(STEP),
                _ => return,
            };
            if bytes.is_empty() {
                return;
            }
            self.incoming.borrow_mut().bytes.extend_from_slice(&bytes);
        }
    }

    fn has_room(&self) -> bool {
        self.ears.borrow().iter().filter_map(Weak::upgrade).all(|ear| ear.heard.borrow().len() < QUEUE)
    }

    /// The next chunk for clients, if it is complete.
    fn cut(&self) -> Result<Option<Bytes>, &'static str> {
        let mut incoming = self.incoming.borrow_mut();
        loop {
            let Some(mut head) = incoming.bytes.get(..CHUNK_HEAD) else { return Ok(None) };
            let (port, len) = (VdpPort(head.get_u32_le()), head.get_u32_le());
            let len = usize::try_from(len).unwrap_or(usize::MAX);
            if len > AGENT_CHUNK {
                return Err("a chunk of more than 2048 bytes");
            }
            if incoming.bytes.len() < CHUNK_HEAD + len {
                return Ok(None);
            }
            incoming.bytes.advance(CHUNK_HEAD);
            let chunk = incoming.bytes.split_to(len);
            // What agents say to the server itself is of no use here.
            if port == VdpPort::CLIENT && !chunk.is_empty() {
                return Ok(Some(chunk.freeze()));
            }
        }
    }

    fn hand_out(&self, chunk: &Bytes) {
        let mut incoming = self.incoming.borrow_mut();
        let Ok(Piece { header, first, bytes, .. }) = incoming.pieces.on_chunk(chunk) else {
            drop(incoming);
            return self.disobeyed("a chunk that does not fit its message");
        };
        if first {
            incoming.at = 0;
            self.ears.borrow().iter().filter_map(Weak::upgrade).for_each(|ear| ear.joined.set(true));
        }
        let at = incoming.at;
        incoming.at += bytes.len();
        if !self.filter.lets(header.kind()) {
            return;
        }
        let announces = header.kind() == u32::from(AnnounceCapabilities::ID) && at < CAPS_AT.end;
        let chunk = if announces { self.rewritten(chunk, chunk.len() - bytes.len(), at) } else { chunk.clone() };
        for ear in self.ears.borrow().iter().filter_map(Weak::upgrade).filter(|ear| ear.joined.get()) {
            let mut heard = ear.heard.borrow_mut();
            heard.push_back(chunk.clone());
            if heard.len() >= QUEUE {
                ear.full_since.set(Some(Instant::now()));
            }
            ear.bell.notify_one();
        }
    }

    /// A chunk of an announcement, whose body from its byte `at` on begins at `head`, with the
    /// capabilities that are left.
    fn rewritten(&self, chunk: &Bytes, head: usize, at: usize) -> Bytes {
        let mut chunk = chunk.to_vec();
        // Bits are rewritten each by itself, so a word cut in two is no harm.
        let (none, all) = (self.filter.caps(AgentCaps::empty()), self.filter.caps(AgentCaps::all()));
        let (set, kept) = (none.bits().to_le_bytes(), (all.bits() | !AgentCaps::all().bits()).to_le_bytes());
        for (n, place) in CAPS_AT.enumerate() {
            let place = place.checked_sub(at).and_then(|place| chunk.get_mut(head + place));
            if let (Some(byte), Some(set), Some(kept)) = (place, set.get(n), kept.get(n)) {
                *byte = *byte & kept | set;
            }
        }
        chunk.into()
    }

    /// Says what viewers said to the agent, one message after another, while the port takes it.
    fn speak(&self) {
        while self.connection.get().is_some() && self.port.borrow().as_ref().is_some_and(|port| !port.is_full()) {
            let speaking = self.speaker.borrow().upgrade().filter(|_| self.amid.get());
            let speaker = speaking.or_else(|| {
                let ears = self.ears.borrow();
                ears.iter().filter_map(Weak::upgrade).find(|ear| !ear.said.borrow().is_empty())
            });
            let Some(ear) = speaker else { return };
            let Some((chunk, last)) = ear.said.borrow_mut().pop_front() else { return };
            self.amid.set(!last);
            if last {
                // Then it is the others' turn.
                let mut ears = self.ears.borrow_mut();
                ears.sort_by_key(|other| other.as_ptr() == Rc::as_ptr(&ear));
            }
            self.speaker.replace(Rc::downgrade(&ear));
            // It was checked when the viewer said it.
            let _ = self.outgoing.borrow_mut().on_chunk(&chunk);
            self.to_port(VdpPort::CLIENT, &chunk);
            ear.taken.set(ear.taken.get() + 1);
            ear.bell.notify_one();
        }
    }

    fn to_port(&self, from: VdpPort, chunk: &[u8]) {
        if let Some(port) = self.port.borrow().as_ref() {
            let len = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
            let head = [from.0, len].map(u32::to_le_bytes).concat();
            // Plain bytes are always taken.
            let _ = port.push(&DeviceBytes::Plain(&[&head, chunk].concat()));
        }
    }

    /// The agent broke the rules: it is as if its port had been closed and opened.
    fn disobeyed(&self, why: &'static str) {
        tracing::warn!(why, "the guest's agent broke its protocol: its port is opened anew");
        self.connect();
        self.reattach();
    }

    fn reattach(&self) {
        if let Some(port) = self.port.borrow().as_ref() {
            port.reattach();
        }
    }
}

impl Ear {
    /// Chunks that the agent took since this was asked: as many tokens are due.
    pub(crate) fn take_taken(&self) -> u32 {
        self.taken.take()
    }

    /// Whether the viewer has left its queue full for too long.
    pub(crate) fn is_stuck(&self) -> bool {
        self.full_since.get().is_some_and(|since| since.elapsed() > PATIENCE)
    }
}

#[cfg(test)]
mod tests;
