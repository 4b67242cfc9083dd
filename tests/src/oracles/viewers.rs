//! Two viewers of one server that do anything, at once and one after the other.

use sumac::devices::{Device, DeviceKind};
use sumac::fuzzing::server::{Channel, Client, Server};
use sumac::source::{CursorShape, Rect, Size};
use sumac_backends::{Frame, Layout};
use sumac_core::proto;
use sumac_core::wire::{Row, Sampler};

use super::input::Input;

const SIZE: (u32, u32) = (96, 64);
/// Channel types, as SPICE numbers them.
const KINDS: [u8; 10] = [1, 2, 3, 4, 5, 6, 8, 9, 10, 11];
/// Bytes of a client's that wait here for the server; what is more is not said.
const UNSAID: usize = 1 << 16;

/// Input: operations, each a byte and what it needs. The highest bit says which viewer.
pub(super) fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let Ok(server) = Server::new(SIZE.0, SIZE.1) else { unreachable!("no server") };
    let mut desk = Desk { server, viewers: Default::default(), devices: Vec::new(), shade: 0 };
    while !input.is_empty() {
        desk.operate(&mut input);
        desk.server.turn();
    }
    // Whatever they did, a newcomer is served.
    let mut newcomer = Viewer::default();
    desk.devices.clear();
    newcomer.link(&desk.server, 1, true, 0);
    desk.server.turn();
    assert!(newcomer.main_is_served(), "a newcomer is not served");
}

struct Desk {
    server: Server,
    viewers: [Viewer; 2],
    devices: Vec<Device>,
    shade: u8,
}

/// A viewer's channels, by their place in [`KINDS`].
#[derive(Default)]
struct Viewer {
    session: u32,
    channels: [Option<Line>; KINDS.len()],
}

/// A channel, and what is left of what its client says.
struct Line {
    client: Client,
    mini: bool,
    unsaid: Vec<u8>,
}

impl Desk {
    fn operate(&mut self, input: &mut Input<'_>) {
        let operation = input.byte();
        let viewer = &mut self.viewers[usize::from(operation >> 7)];
        match operation % 12 {
            0 => {
                let (flags, caps) = (input.byte(), input.u32());
                viewer.link(&self.server, input.pick(&KINDS), flags & 1 == 0, caps);
            }
            1 => {
                let kind = input.below(KINDS.len());
                viewer.channels[kind] = None;
            }
            2 | 3 => {
                let kind = input.below(KINDS.len());
                let message = message(kind, input);
                if let (Some(line), Some((id, body))) = (&mut viewer.channels[kind], message) {
                    line.say(id, &body);
                }
            }
            4 => {
                let (kind, bytes) = (input.below(KINDS.len()), input.block());
                if let Some(line) = &mut viewer.channels[kind] {
                    line.push(bytes);
                }
            }
            5 | 6 => viewer.read(usize::from(input.u16())),
            7 => self.show(input),
            8 => self.devices.clear(),
            9 => {
                let kind =
                    input.pick(&[DeviceKind::Usbredir, DeviceKind::Port, DeviceKind::Webdav, DeviceKind::Smartcard]);
                if self.devices.len() < 4 {
                    self.devices.push(self.server.devices().open(kind, "device"));
                }
            }
            10 => {
                if let Some(device) = self.devices.first() {
                    let _ = device.write(input.block());
                    device.read(&mut [0; 64]);
                    device.set_opened(input.byte() & 1 == 0);
                }
            }
            _ => viewer.acknowledge(input.byte()),
        }
    }

    /// A picture, of either size, or a pointer.
    fn show(&mut self, input: &mut Input<'_>) {
        let (width, height) = input.pick(&[SIZE, (SIZE.1, SIZE.0), SIZE]);
        self.shade = self.shade.wrapping_add(37);
        if input.byte() & 3 == 0 {
            let size = Size { width: 4, height: 4 };
            let shape = CursorShape { size, hot_x: 1, hot_y: 1, bgra: vec![self.shade; 64].into() };
            return self.server.stage().cursor(Some(shape));
        }
        let noise = input.byte();
        let pixels: Vec<u8> =
            (0..width * height * 4).map(|n| (n.to_le_bytes()[0] & noise).wrapping_add(self.shade)).collect();
        let Ok(frame) = Frame::from_memory(Layout { width, height, stride: width * 4 }, pixels) else { return };
        self.server.stage().publish(frame, &[Rect { x: 0, y: 0, width, height }]);
    }
}

impl Viewer {
    fn link(&mut self, server: &Server, kind: u8, mini: bool, caps: u32) {
        let Some(place) = KINDS.iter().position(|known| *known == kind) else { return };
        let session = if kind == 1 { 0 } else { self.session };
        let channel = Channel { session, kind, id: 0, mini_header: mini, caps };
        if let Ok(client) = server.link(channel) {
            self.channels[place] = Some(Line { client, mini, unsaid: Vec::new() });
        }
        server.turn();
        if let (1, Some(main)) = (kind, &mut self.channels[place]) {
            self.session = main.session().unwrap_or(0);
        }
    }

    fn main_is_served(&self) -> bool {
        self.session != 0 && self.channels[0].as_ref().is_some_and(|main| main.client.is_open())
    }

    fn read(&mut self, most: usize) {
        for line in self.channels.iter_mut().flatten() {
            line.client.hear(most);
            line.push(&[]);
        }
    }

    /// Each channel's window.
    fn acknowledge(&mut self, generation: u8) {
        for line in self.channels.iter_mut().flatten() {
            line.say(1, &u32::from(generation & 3).to_le_bytes());
            line.say(2, &[]);
        }
    }
}

impl Line {
    /// The session's number in INIT, the first message on a main channel.
    fn session(&mut self) -> Option<u32> {
        let head = if self.mini { 6 } else { 18 };
        let heard = self.client.hear(1024);
        let number = heard.get(head..)?.first_chunk()?;
        Some(u32::from_le_bytes(*number))
    }

    fn say(&mut self, id: u16, body: &[u8]) {
        let size = u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes();
        let head = if self.mini {
            [&id.to_le_bytes()[..], &size].concat()
        } else {
            [&[1; 8][..], &id.to_le_bytes(), &size, &[0; 4]].concat()
        };
        self.push(&[&head, body].concat());
    }

    fn push(&mut self, bytes: &[u8]) {
        if self.unsaid.len() + bytes.len() <= UNSAID {
            self.unsaid.extend_from_slice(bytes);
        }
        let said = self.client.say(&self.unsaid);
        self.unsaid.drain(..said);
    }
}

/// A message that the client of this kind of channel may say.
fn message(kind: usize, input: &mut Input<'_>) -> Option<(u16, Vec<u8>)> {
    let common = proto::common::ClientMessage::TABLE;
    let own: &[Row] = match KINDS.get(kind)? {
        1 => proto::main::ClientMessage::TABLE,
        2 => proto::display::ClientMessage::TABLE,
        3 => proto::inputs::ClientMessage::TABLE,
        6 => proto::record::ClientMessage::TABLE,
        8 => proto::smartcard::ClientMessage::TABLE,
        9 => proto::vmc::ClientMessage::TABLE,
        10 | 11 => proto::port::ClientMessage::TABLE,
        _ => &[],
    };
    let n = input.below(own.len() + common.len());
    let row = own.iter().chain(common).nth(n)?;
    let mut body = vec![0; 4096];
    let len = (row.sample)(&mut Sampler::new(input.u16().into()), &mut body).ok()?;
    body.truncate(len);
    for _ in 0..input.below(4) {
        let (at, value) = (usize::from(input.byte()), input.byte());
        if let Some(byte) = body.get_mut(at) {
            *byte = value;
        }
    }
    Some((row.id, body))
}
