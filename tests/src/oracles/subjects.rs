//! The server machines for [`super::session`].
//!
//! Input of each: a byte of flags, `u32` capabilities of the client, then operations.

use std::collections::BTreeSet;

use sumac_core::channel::client::{self, Dialect};
use sumac_core::channel::cursor::CursorServer;
use sumac_core::channel::display::DisplayServer;
use sumac_core::channel::inputs::{Input as UserInput, Inputs, InputsEvent, InputsServer};
use sumac_core::channel::main::MainServer;
use sumac_core::channel::playback::PlaybackServer;
use sumac_core::channel::port::PortServer;
use sumac_core::channel::record::RecordServer;
use sumac_core::channel::smartcard::SmartcardServer;
use sumac_core::channel::vmc::VmcServer;
use sumac_core::channel::{Channel, Common, Negotiated, PeerError, Poll, Refused, Transmit};
use sumac_core::proto;
use sumac_core::time::Millis;
use sumac_core::wire::{EncodeError, Row};

use super::input::Input;
use super::session::{START, Subject, run};

pub(super) fn main(data: &[u8]) {
    let (_, negotiated, mut input) = start(data);
    run(Main(MainServer::new(negotiated)), negotiated, &mut input);
}

pub(super) fn display(data: &[u8]) {
    let (flags, negotiated, mut input) = start(data);
    run(Display(DisplayServer::new(negotiated, flags & 2 != 0, START)), negotiated, &mut input);
}

pub(super) fn inputs(data: &[u8]) {
    let (_, negotiated, mut input) = start(data);
    let subject = InputsSubject { server: InputsServer::new(negotiated), held: Held::default() };
    run(subject, negotiated, &mut input);
}

pub(super) fn cursor(data: &[u8]) {
    let (_, negotiated, mut input) = start(data);
    run(Cursor(CursorServer::new(negotiated)), negotiated, &mut input);
}

pub(super) fn playback(data: &[u8]) {
    let (_, negotiated, mut input) = start(data);
    run(Playback(PlaybackServer::new(negotiated)), negotiated, &mut input);
}

pub(super) fn port(data: &[u8]) {
    let (_, negotiated, mut input) = start(data);
    run(Port(PortServer::new(negotiated)), negotiated, &mut input);
}

pub(super) fn record(data: &[u8]) {
    let (_, negotiated, mut input) = start(data);
    run(Record(RecordServer::new(negotiated)), negotiated, &mut input);
}

pub(super) fn smartcard(data: &[u8]) {
    let (_, negotiated, mut input) = start(data);
    run(Smartcard(SmartcardServer::new(negotiated)), negotiated, &mut input);
}

pub(super) fn usbredir(data: &[u8]) {
    let (_, negotiated, mut input) = start(data);
    run(Usbredir(VmcServer::new(negotiated)), negotiated, &mut input);
}

fn start(data: &[u8]) -> (u8, Negotiated, Input<'_>) {
    let mut input = Input::new(data);
    let flags = input.byte();
    let negotiated = Negotiated { mini_header: flags & 1 == 0, peer_caps: input.u32() };
    (flags, negotiated, input)
}

/// Few shapes, so that they are evicted soon.
const KEPT: usize = 4;

/// The client's messages on cursor and playback channels are those of every channel.
const NONE: &[Row] = &[];

macro_rules! subjects {
    ($($name:ident($server:ty): $module:ident, $client:expr, $waits:expr, $made:expr;)*) => {$(
        #[derive(Clone, Debug)]
        struct $name($server);

        impl Subject for $name {
            type Dialect = client::$name;
            const SERVER: &'static [Row] = proto::$module::ServerMessage::TABLE;
            const CLIENT: &'static [Row] = $client;

            fn common(&self) -> &Common {
                self.0.common()
            }

            fn hear(&mut self, now: Millis, id: u16, body: &[u8]) -> Result<(), PeerError> {
                self.0.on_message(now, id, body).map(drop)
            }

            fn say(&mut self, now: Millis, id: u16, body: &[u8], out: &mut [u8]) -> Option<Result<Transmit, Refused>> {
                let (message, _) = client::$name::decode(id, body).ok()?;
                Some(self.0.send(now, &message, out))
            }

            fn poll(&mut self, now: Millis, out: &mut [u8]) -> Result<Poll, EncodeError> {
                self.0.poll(now, out)
            }

            fn waits(id: u16) -> bool {
                let waits: fn(u16) -> bool = $waits;
                waits(id)
            }

            fn made(input: &mut Input<'_>) -> Option<(u16, Vec<u8>)> {
                let made: fn(&mut Input<'_>) -> Option<(u16, Vec<u8>)> = $made;
                made(input)
            }
        }
    )*};
}

subjects! {
    Main(MainServer): main, proto::main::ClientMessage::TABLE, |_| true, |_| None;
    Display(DisplayServer): display, proto::display::ClientMessage::TABLE, waits, |_| None;
    Cursor(CursorServer<KEPT>): cursor, NONE, |_| true, shape;
    Playback(PlaybackServer): playback, NONE, |_| true, |_| None;
    Port(PortServer): port, proto::port::ClientMessage::TABLE, |_| true, |_| None;
    Record(RecordServer): record, proto::record::ClientMessage::TABLE, |_| true, |_| None;
    Smartcard(SmartcardServer): smartcard, proto::smartcard::ClientMessage::TABLE, |_| true, |_| None;
    Usbredir(VmcServer): vmc, proto::vmc::ClientMessage::TABLE, |_| true, |_| None;
}

/// COPY_BITS, STREAM_DATA and the drawing operations.
fn waits(id: u16) -> bool {
    matches!(id, 104 | 123 | 302..=312)
}

/// INIT or SET with a shape of few ids whose data is as long as it must be.
fn shape(input: &mut Input<'_>) -> Option<(u16, Vec<u8>)> {
    let (init, unique, flags) = (input.byte() & 7 == 0, input.below(8), input.byte() & 7);
    let data = if flags & 5 == 0 { 4 } else { 0 };
    let (id, head) = if init { (101, 9) } else { (103, 5) };
    let mut body = vec![0; head];
    body.extend([flags, 0]);
    if flags & 1 == 0 {
        // ALPHA, of one pixel.
        body.extend(u64::try_from(unique).unwrap_or(0).to_le_bytes());
        body.extend([0, 1, 0, 1, 0, 0, 0, 0, 0]);
    }
    body.extend(vec![0xaa; data]);
    Some((id, body))
}

/// The inputs machine, and what its events say is held.
#[derive(Clone, Debug)]
struct InputsSubject {
    server: InputsServer,
    held: Held,
}

/// Keys by code, buttons by number.
#[derive(Clone, Debug, Default)]
struct Held {
    keys: BTreeSet<(u8, bool)>,
    buttons: BTreeSet<u8>,
}

impl Held {
    fn take(&mut self, inputs: Inputs<'_>) {
        for input in inputs {
            match input {
                UserInput::Key(event) => {
                    let key = (event.key.code, event.key.extended);
                    assert!((1..=0x7f).contains(&event.key.code), "{event:?}");
                    let was = if event.down { !self.keys.insert(key) } else { self.keys.remove(&key) };
                    assert!(event.down || was, "{event:?}: what is released was held");
                }
                UserInput::Button { button, down } => {
                    let changed = if down { self.buttons.insert(button.0) } else { self.buttons.remove(&button.0) };
                    assert!(changed, "{button:?} down {down}: a button changes with each event");
                }
                UserInput::Wheel(_) | UserInput::MoveBy { .. } | UserInput::MoveTo { .. } => {}
            }
        }
    }
}

impl Subject for InputsSubject {
    type Dialect = client::Inputs;
    const SERVER: &'static [Row] = proto::inputs::ServerMessage::TABLE;
    const CLIENT: &'static [Row] = proto::inputs::ClientMessage::TABLE;

    fn common(&self) -> &Common {
        self.server.common()
    }

    fn hear(&mut self, now: Millis, id: u16, body: &[u8]) -> Result<(), PeerError> {
        if let Some(InputsEvent::Inputs(inputs)) = self.server.on_message(now, id, body)? {
            self.held.take(inputs);
        }
        Ok(())
    }

    fn say(&mut self, now: Millis, id: u16, body: &[u8], out: &mut [u8]) -> Option<Result<Transmit, Refused>> {
        let (message, _) = client::Inputs::decode(id, body).ok()?;
        Some(self.server.send(now, &message, out))
    }

    fn poll(&mut self, now: Millis, out: &mut [u8]) -> Result<Poll, EncodeError> {
        self.server.poll(now, out)
    }

    fn waits(_: u16) -> bool {
        true
    }

    /// Nothing stays stuck.
    fn close(mut self) {
        let released = self.server.release_all();
        self.held.take(released);
        assert!(self.held.keys.is_empty() && self.held.buttons.is_empty(), "still held: {:?}", self.held);
    }
}
