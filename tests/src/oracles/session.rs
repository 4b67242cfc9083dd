//! A channel's server machine between a host and a client that do anything, in any order.
//!
//! Every message that the machine transmits reaches a client in core's own role, whose answers go
//! back; besides, the client says what the input wants.

use std::fmt::Debug;

use sumac_core::channel::client::{ClientChannel, Dialect};
use sumac_core::channel::{Channel, Common, Negotiated, PeerError, Poll, Refused, Transmit};
use sumac_core::proto::common;
use sumac_core::time::Millis;
use sumac_core::wire::{EncodeError, Row, Sampler};

use super::input::Input;

/// Room for every message that can come out of an input.
const ROOM: usize = 1 << 16;
/// Most that a machine says by itself without being spoken to: SET_ACK, a pair of PINGs.
const BY_ITSELF: u64 = 8;

/// A server machine under test.
pub(super) trait Subject: Clone + Debug {
    /// What is said on its channel.
    type Dialect: Dialect;
    /// The channel's own messages of the server.
    const SERVER: &'static [Row];
    /// And of the client.
    const CLIENT: &'static [Row];

    fn common(&self) -> &Common;
    fn hear(&mut self, now: Millis, id: u16, body: &[u8]) -> Result<(), PeerError>;
    /// `None` when the bytes are no message of the server's.
    fn say(&mut self, now: Millis, id: u16, body: &[u8], out: &mut [u8]) -> Option<Result<Transmit, Refused>>;
    fn poll(&mut self, now: Millis, out: &mut [u8]) -> Result<Poll, EncodeError>;
    /// Whether a message waits for room in the acknowledgement window.
    fn waits(id: u16) -> bool;
    /// A message of the server's that samples hardly ever are, if the channel has such.
    fn made(_: &mut Input<'_>) -> Option<(u16, Vec<u8>)> {
        None
    }
    /// Once the channel is closed.
    fn close(self) {}
}

/// Runs a machine for a client with these headers and capabilities.
///
/// Input: operations, each a byte and what it needs.
pub(super) fn run<S: Subject>(server: S, negotiated: Negotiated, input: &mut Input<'_>) {
    let client = ClientChannel::new(negotiated, ROOM);
    let mini = negotiated.mini_header;
    let mut session = Session { server, client, mini, now: START, sent: 0, heard: 0, window: Window::default() };
    let mut alive = session.drain();
    while alive && !input.is_empty() {
        alive = session.operate(input) && session.drain();
        session.check();
    }
    session.server.close();
}

/// When sessions start.
pub(super) const START: Millis = Millis(1_000_000);

struct Session<S: Subject> {
    server: S,
    client: ClientChannel<S::Dialect>,
    mini: bool,
    now: Millis,
    /// Messages that the server sent.
    sent: u64,
    /// Messages that it heard; it may keep answers to itself for a while.
    heard: u64,
    window: Window,
}

/// The acknowledgement window as the wire shows it.
#[derive(Debug, Default)]
struct Window {
    size: u32,
    generation: u32,
    synced: bool,
    unacknowledged: u32,
}

impl<S: Subject> Session<S> {
    /// `false` when the channel is closed.
    fn operate(&mut self, input: &mut Input<'_>) -> bool {
        match input.byte() % 9 {
            0 => {
                let id = input.u16();
                self.hear(id, input.block())
            }
            1 => match sample(input, S::CLIENT, common::ClientMessage::TABLE) {
                Some((id, body)) => self.hear(id, &body),
                None => true,
            },
            2 => {
                let id = input.u16();
                self.say(id, input.block(), ROOM);
                true
            }
            3 => {
                let room = input.u16().into();
                self.say_twice(sample(input, S::SERVER, common::ServerMessage::TABLE), room);
                true
            }
            4 => {
                self.now = self.now.plus(u64::from(input.u16()) * [1, 40][input.below(2)]);
                true
            }
            5 => self.poll(usize::from(input.byte())).is_some(),
            6 => self.answer(),
            7 => {
                let room = input.byte().into();
                self.say_twice(S::made(input), room);
                true
            }
            _ => (0..input.byte() % 64).all(|_| self.hear(ACK, &[])),
        }
    }

    fn hear(&mut self, id: u16, body: &[u8]) -> bool {
        if self.server.hear(self.now, id, body).is_err() {
            return false;
        }
        self.heard += 1;
        self.window.on_client(id, body);
        true
    }

    /// First with this much room, then with enough.
    fn say_twice(&mut self, message: Option<(u16, Vec<u8>)>, room: usize) {
        if let Some((id, body)) = message {
            self.say(id, &body, room);
            self.say(id, &body, ROOM);
        }
    }

    /// What was refused has changed nothing.
    fn say(&mut self, id: u16, body: &[u8], room: usize) {
        let before = self.server.clone();
        let mut out = vec![0; room];
        match self.server.say(self.now, id, body, &mut out) {
            None => {}
            Some(Ok(transmit)) => {
                assert!(self.window.has_room() || !S::waits(id), "message {id} did not wait for the client");
                self.transmitted(&out, transmit);
            }
            Some(Err(refused)) => {
                if matches!(refused, Refused::Encode(EncodeError::NoSpace { .. })) {
                    assert!(room < ROOM, "message {id} from {} bytes: {refused}", body.len());
                }
                self.unchanged(&before);
            }
        }
    }

    fn unchanged(&self, before: &S) {
        assert_eq!(format!("{:?}", self.server), format!("{before:?}"), "a refusal changes nothing");
    }

    /// Polls until there is nothing to do; `false` when the client has expired.
    fn drain(&mut self) -> bool {
        let most = self.sent + self.heard + BY_ITSELF;
        while self.sent <= most {
            match self.poll(ROOM) {
                Some(true) => {}
                Some(false) => return true,
                None => return false,
            }
        }
        assert!(self.sent <= most, "the machine talks without end");
        false
    }

    /// Whether there may be more; `None` when the client has expired. Lack of room changes nothing.
    fn poll(&mut self, room: usize) -> Option<bool> {
        let before = self.server.clone();
        let mut out = vec![0; room];
        match self.server.poll(self.now, &mut out) {
            Ok(Poll::Transmit(transmit)) => {
                self.transmitted(&out, transmit);
                Some(true)
            }
            Ok(Poll::Wait(until)) => {
                assert!(until.is_none_or(|at| at > self.now), "{until:?} is not later than {:?}", self.now);
                Some(false)
            }
            Ok(Poll::Expired(_)) => None,
            Err(e) => {
                assert!(room < ROOM, "{e}");
                self.unchanged(&before);
                Some(true)
            }
        }
    }

    /// Serials count on, and the client understands.
    fn transmitted(&mut self, out: &[u8], transmit: Transmit) {
        assert_eq!(transmit.body, 0, "nothing was promised");
        let mut bytes = Input::new(&out[..transmit.head]);
        while !bytes.is_empty() {
            self.sent += 1;
            if !self.mini {
                let serial = u64::from(bytes.u32()) | u64::from(bytes.u32()) << 32;
                assert_eq!(serial, self.sent);
            }
            let (id, size) = (bytes.u16(), bytes.u32());
            if !self.mini {
                assert_eq!(bytes.u32(), 0, "no sub-messages");
            }
            let body = bytes.take(usize::try_from(size).unwrap_or(usize::MAX));
            assert_eq!(u32::try_from(body.len()), Ok(size), "a whole message");
            self.window.on_server(id, body);
            let understood = self.client.on_message(self.now, id, body).map(drop);
            assert_eq!(understood, Ok(()), "message {id}");
        }
    }

    /// The client does its duties.
    fn answer(&mut self) -> bool {
        let mut out = [0; 64];
        while let Ok(Poll::Transmit(transmit)) = self.client.poll(self.now, &mut out) {
            let mut bytes = Input::new(&out[if self.mini { 0 } else { 8 }..transmit.head]);
            let (id, _) = (bytes.u16(), bytes.u32());
            if !self.mini {
                bytes.u32();
            }
            assert!(self.hear(id, bytes.rest()), "message {id} is a client's duty");
        }
        true
    }

    fn check(&self) {
        let common = self.server.common();
        assert_eq!(common.sent(), self.sent);
        assert_eq!(common.may_send(), self.window.has_room(), "{:?}", self.window);
    }
}

impl Window {
    fn has_room(&self) -> bool {
        self.size == 0 || self.unacknowledged <= self.size.saturating_mul(2)
    }

    fn on_server(&mut self, id: u16, body: &[u8]) {
        if id == SET_ACK {
            let mut body = Input::new(body);
            *self = Self { generation: body.u32(), size: body.u32(), synced: false, unacknowledged: 0 };
        }
        if self.size != 0 {
            self.unacknowledged = self.unacknowledged.saturating_add(1);
        }
    }

    /// Acknowledgements of what was not sent are worth nothing.
    fn on_client(&mut self, id: u16, body: &[u8]) {
        match id {
            ACK_SYNC => self.synced = Input::new(body).u32() == self.generation,
            ACK if self.synced => self.unacknowledged = self.unacknowledged.saturating_sub(self.size),
            _ => {}
        }
    }
}

const SET_ACK: u16 = 3;
const ACK_SYNC: u16 = 1;
const ACK: u16 = 2;

/// A message of a channel's own table or of the common one: its number and a body.
fn sample(input: &mut Input<'_>, own: &[Row], common: &[Row]) -> Option<(u16, Vec<u8>)> {
    let n = input.below(own.len() + common.len());
    let row = own.iter().chain(common).nth(n)?;
    let mut body = vec![0; 4096];
    let len = (row.sample)(&mut Sampler::new(input.u16().into()), &mut body).ok()?;
    body.truncate(len);
    // Samples have all values; surfaces, streams and the like should often be the same.
    for _ in 0..input.below(4) {
        let at = usize::from(input.byte());
        let value = input.byte();
        if let Some(byte) = body.get_mut(at) {
            *byte = value;
        }
    }
    Some((row.id, body))
}
