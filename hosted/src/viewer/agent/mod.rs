//! [`Agent`]: one viewer's agent stream, with the guest's own agent or with what stands in for it.

mod outgoing;
mod relayed;
mod stand_in;

use std::rc::Rc;

use bytes::Bytes;
use sumac_core::channel::PeerError;
use sumac_core::limits::AGENT_TOKENS;
use sumac_core::proto::agent::{MonitorsConfig, MonitorsFlags};
use tokio::sync::Notify;

use self::relayed::Relayed;
use self::stand_in::StandIn;
use crate::agent::{Board, Relay};
use crate::source::{Monitor, Size};

/// Tokens are handed back this many at a time.
const TOKENS_AT_ONCE: u32 = AGENT_TOKENS / 2;

/// The agent of one viewer.
pub(crate) struct Agent {
    bell: Rc<Notify>,
    stream: Stream,
    /// Chunks that were taken and no token was handed back for.
    spent: u32,
}

enum Stream {
    StandIn(StandIn),
    /// With the number of the agent's connection.
    Relayed(Relayed, u64),
}

/// The parts of the engine that agents use.
#[derive(Clone, Copy)]
pub(crate) struct Guest<'e> {
    pub(crate) board: &'e Board,
    pub(crate) relay: &'e Relay,
}

impl Agent {
    /// `bell` rings when there may be something to say.
    pub(crate) fn new(guest: Guest<'_>, bell: Rc<Notify>) -> Self {
        let stream = Stream::new(guest, &bell);
        Self { bell, stream, spent: 0 }
    }

    /// Follows the guest's agent as it comes and goes; answers whether the stream is another one now:
    /// the client is to be told.
    pub(crate) fn follow(&mut self, guest: Guest<'_>) -> bool {
        let now = match &self.stream {
            Stream::StandIn(_) => None,
            Stream::Relayed(_, connection) => Some(*connection),
        };
        let changed = now != guest.relay.connection();
        if changed {
            self.leave(guest);
            *self = Self::new(guest, Rc::clone(&self.bell));
        }
        changed
    }

    /// A client opened the stream: everything begins anew.
    pub(crate) fn start(&mut self, guest: Guest<'_>) {
        self.leave(guest);
        *self = Self::new(guest, Rc::clone(&self.bell));
        match &mut self.stream {
            Stream::StandIn(stand_in) => stand_in.start(guest.board),
            Stream::Relayed(relayed, _) => relayed.start(guest.relay, &self.bell),
        }
    }

    /// Whether it is the guest's own.
    pub(crate) fn is_relayed(&self) -> bool {
        matches!(self.stream, Stream::Relayed(..))
    }

    /// What another server is to know: the chunks that no token was handed back for, and what is on its
    /// way. Here it is not any more.
    pub(crate) fn state(&mut self, guest: Guest<'_>) -> (u32, Bytes) {
        let data = match &mut self.stream {
            Stream::StandIn(_) => Bytes::new(),
            Stream::Relayed(relayed, _) => {
                self.spent += relayed.take_taken();
                relayed.state(guest.relay)
            }
        };
        (self.spent, data)
    }

    /// The client comes from another server, where it had opened the stream or not. Answers whether it
    /// can go on, and else it is to be told of another agent.
    pub(crate) fn resume(&mut self, guest: Guest<'_>, open: bool, spent: u32, data: &[u8]) -> Result<bool, PeerError> {
        if !open {
            return Ok(true);
        }
        self.start(guest);
        self.spent = spent.min(AGENT_TOKENS);
        match &mut self.stream {
            // It asks the client anew what that can do.
            Stream::StandIn(_) => Ok(true),
            Stream::Relayed(relayed, _) => relayed.resume(guest.relay, data),
        }
    }

    /// The client is gone.
    pub(crate) fn leave(&mut self, guest: Guest<'_>) {
        match &mut self.stream {
            Stream::StandIn(stand_in) => stand_in.leave(guest.board),
            Stream::Relayed(relayed, _) => relayed.leave(guest.relay),
        }
    }

    /// Takes a chunk of the client's; answers the monitors that it would like displays to be, by
    /// their number.
    pub(crate) fn on_chunk(&mut self, guest: Guest<'_>, chunk: &[u8]) -> Result<Vec<(u8, Monitor)>, PeerError> {
        match &mut self.stream {
            Stream::StandIn(stand_in) => {
                self.spent += 1;
                stand_in.on_chunk(guest.board, chunk)
            }
            Stream::Relayed(relayed, _) => relayed.on_chunk(guest.relay, chunk),
        }
    }

    /// Tokens to hand back, if it is time.
    pub(crate) fn tokens(&mut self) -> Option<u32> {
        if let Stream::Relayed(relayed, _) = &mut self.stream {
            self.spent += relayed.take_taken();
        }
        (self.spent >= TOKENS_AT_ONCE).then(|| std::mem::take(&mut self.spent))
    }

    /// The next chunk to say, in two pieces.
    pub(crate) fn next_chunk(&mut self, guest: Guest<'_>) -> Option<[Bytes; 2]> {
        match &mut self.stream {
            Stream::StandIn(stand_in) => stand_in.next_chunk(guest.board),
            Stream::Relayed(relayed, _) => relayed.next_chunk(guest.relay).map(|chunk| [chunk, Bytes::new()]),
        }
    }

    /// Whether the client has left so much unread that others wait for it.
    pub(crate) fn is_stuck(&self) -> bool {
        matches!(&self.stream, Stream::Relayed(relayed, _) if relayed.is_stuck())
    }
}

impl Stream {
    fn new(guest: Guest<'_>, bell: &Rc<Notify>) -> Self {
        match guest.relay.connection() {
            Some(connection) => Self::Relayed(Relayed::default(), connection),
            None => Self::StandIn(StandIn::new(Rc::clone(bell))),
        }
    }
}

/// A monitor without pixels is one that is switched off.
fn monitors(config: &MonitorsConfig<'_>) -> Vec<(u8, Monitor)> {
    let placed = config.flags.contains(MonitorsFlags::USE_POS);
    let on = (0..).zip(config.monitors.iter()).filter(|(_, m)| m.width() != 0 && m.height() != 0);
    on.map(|(number, m)| {
        let size = Size { width: m.width(), height: m.height() };
        let place = if placed { (m.x(), m.y()) } else { (0, 0) };
        let millimetres = config.sizes.and_then(|sizes| sizes.get(usize::from(number)));
        (number, Monitor { size, place, millimetres: millimetres.map_or((0, 0), |mm| (mm.width(), mm.height())) })
    })
    .collect()
}
