//! [`Desk`]: a server in this process, with a picture and viewers over sockets that lead nowhere.

use sumac::fuzzing::server::{Channel, Client, Server};
use sumac::source::Rect;
use sumac_backends::{Frame, Layout};

/// A server with a picture, and a viewer's main channel on it.
pub(crate) struct Desk {
    pub(crate) server: Server,
    main: Client,
    session: u32,
    size: (u32, u32),
}

impl Desk {
    pub(crate) fn new(width: u32, height: u32) -> Self {
        let server = Server::new(width, height).unwrap();
        let mut desk = Self { main: link(&server, 0, 1), server, session: 0, size: (width, height) };
        desk.server.turn();
        let init = desk.main.hear(64);
        desk.session = u32::from_le_bytes(init[6..10].try_into().unwrap());
        desk.show(1);
        desk
    }

    /// Another picture.
    pub(crate) fn show(&self, shade: u8) {
        let (width, height) = self.size;
        let pixels: Vec<u8> = (0..width * height * 4).map(|n| (n % 251) as u8 ^ shade).collect();
        let frame = Frame::from_memory(Layout { width, height, stride: width * 4 }, pixels).unwrap();
        self.server.stage().publish(frame, &[Rect { x: 0, y: 0, width, height }]);
        self.server.turn();
    }

    /// Another viewer's main channel, and the session's number.
    pub(crate) fn viewer(&self) -> (Client, u32) {
        let mut main = link(&self.server, 0, 1);
        self.server.turn();
        let init = main.hear(64);
        (main, u32::from_le_bytes(init[6..10].try_into().unwrap()))
    }

    /// A channel of that session's.
    pub(crate) fn link_to(&self, session: u32, kind: u8) -> Client {
        link(&self.server, session, kind)
    }

    /// Another channel of the viewer's, or another viewer's main channel.
    pub(crate) fn link(&self, kind: u8) -> Client {
        let client = link(&self.server, if kind == 1 { 0 } else { self.session }, kind);
        self.server.turn();
        assert!(client.is_open(), "channel type {kind}");
        client
    }

    /// It serves a newcomer.
    pub(crate) fn is_well(&self) {
        let mut newcomer = link(&self.server, 0, 1);
        self.server.turn();
        assert!(newcomer.is_open() && newcomer.hear(64).len() == 64);
    }
}

fn link(server: &Server, session: u32, kind: u8) -> Client {
    server.link(Channel { session, kind, id: 0, mini_header: true, caps: u32::MAX }).unwrap()
}

/// A message that is said to have this size.
pub(crate) fn framed(id: u16, size: u32, body: &[u8]) -> Vec<u8> {
    [&id.to_le_bytes()[..], &size.to_le_bytes(), body].concat()
}

/// A message.
pub(crate) fn message(id: u16, body: &[u8]) -> Vec<u8> {
    framed(id, body.len() as u32, body)
}
