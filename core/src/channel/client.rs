//! Any channel in the client's role: for tests, fuzzers, proxies and tools.
//!
//! The machine keeps a client's duties: it echoes SET_ACK, acknowledges each
//! window, and answers PING. Every message that it decodes is an event, those too. What a client
//! does with pictures, keys and the rest is the host's.

use core::fmt;
use core::marker::PhantomData;

use super::framing::Outgoing;
use super::{Channel, Negotiated, PeerError, Poll, Refused, Transmit};
use crate::proto::common::{self, Ack, AckSync, Pong};
use crate::proto::{cursor, display, inputs, main, playback, port, record, smartcard, vmc};
use crate::time::Millis;
use crate::wire::{DecodeError, EncodeError, Message, Writer};

/// What is said on a channel.
pub trait Dialect {
    /// What the server says.
    type Server<'m>: fmt::Debug;
    /// What the client says.
    type Client<'c>: fmt::Debug;

    /// Decodes a server's message; the number counts bytes behind the end.
    ///
    /// # Errors
    /// When the body is not that message, or no message has this number.
    fn decode(id: u16, body: &[u8]) -> Result<(Self::Server<'_>, usize), DecodeError>;

    /// The message, if it is one that every channel has.
    fn common<'m, 's>(message: &'s Self::Server<'m>) -> Option<&'s common::ServerMessage<'m>>;

    /// Number and size of a client's message.
    fn id_and_size(message: &Self::Client<'_>) -> (u16, usize);

    /// Writes the body of a client's message.
    ///
    /// # Errors
    /// When there is no room.
    fn encode(message: &Self::Client<'_>, w: &mut Writer<'_>) -> Result<(), EncodeError>;
}

macro_rules! dialects {
    ($($(#[$m:meta])* $name:ident: $server:ident, $client:ident;)*) => {$(
        $(#[$m])*
        #[derive(Clone, Copy, Debug)]
        pub enum $name {}

        impl Dialect for $name {
            type Server<'m> = $server::ServerMessage<'m>;
            type Client<'c> = $client::ClientMessage<'c>;

            fn decode(id: u16, body: &[u8]) -> Result<(Self::Server<'_>, usize), DecodeError> {
                $server::ServerMessage::decode(id, body)
            }

            fn common<'m, 's>(message: &'s Self::Server<'m>) -> Option<&'s common::ServerMessage<'m>> {
                match message {
                    $server::ServerMessage::Common(message) => Some(message),
                    _ => None,
                }
            }

            fn id_and_size(message: &Self::Client<'_>) -> (u16, usize) {
                (message.id(), message.size())
            }

            fn encode(message: &Self::Client<'_>, w: &mut Writer<'_>) -> Result<(), EncodeError> {
                message.encode(w)
            }
        }
    )*};
}

dialects! {
    /// The main channel.
    Main: main, main;
    /// A display channel.
    Display: display, display;
    /// The inputs channel.
    Inputs: inputs, inputs;
    /// A cursor channel; clients say only what is common to all.
    Cursor: cursor, common;
    /// A playback channel; clients say only what is common to all.
    Playback: playback, common;
    /// A record channel.
    Record: record, record;
    /// A USB redirection channel.
    Usbredir: vmc, vmc;
    /// A port channel, WebDAV among them.
    Port: port, port;
    /// The smart card channel.
    Smartcard: smartcard, smartcard;
}

/// The machine.
#[derive(Clone, Debug)]
pub struct ClientChannel<D> {
    outgoing: Outgoing,
    max_body: usize,
    /// Messages from one ACK to the next, 0 for never; and those since the last one.
    window: u32,
    unacknowledged: u32,
    sync_due: Option<u32>,
    acks_due: u32,
    pong_due: Option<Pong>,
    dialect: PhantomData<D>,
}

impl<D: Dialect> ClientChannel<D> {
    /// For a channel that was just linked; `max_body` is the largest message that is taken.
    #[must_use]
    pub const fn new(negotiated: Negotiated, max_body: usize) -> Self {
        Self {
            outgoing: Outgoing::new(negotiated.mini_header),
            max_body,
            window: 0,
            unacknowledged: 0,
            sync_due: None,
            acks_due: 0,
            pong_due: None,
            dialect: PhantomData,
        }
    }

    /// Messages sent so far.
    #[must_use]
    pub const fn sent(&self) -> u64 {
        self.outgoing.sent()
    }

    fn count(&mut self) {
        if self.window == 0 {
            return;
        }
        self.unacknowledged = self.unacknowledged.saturating_add(1);
        if self.unacknowledged >= self.window {
            self.unacknowledged = 0;
            self.acks_due = self.acks_due.saturating_add(1);
        }
    }

    fn heard(&mut self, message: &common::ServerMessage<'_>) {
        match message {
            common::ServerMessage::SetAck(m) => {
                self.window = m.window;
                self.unacknowledged = 0;
                self.acks_due = 0;
                self.sync_due = Some(m.generation);
            }
            common::ServerMessage::Ping(m) => self.pong_due = Some(Pong { id: m.id, timestamp: m.timestamp }),
            _ => {}
        }
    }

    fn frame<'a, M: Message<'a>>(&mut self, message: &M, out: &mut [u8]) -> Result<Poll, EncodeError> {
        self.outgoing.frame(M::ID, message.size(), out, |w| message.encode(w)).map(Poll::Transmit)
    }
}

impl<D: Dialect> Channel for ClientChannel<D> {
    type Message<'c> = D::Client<'c>;
    type Event<'m> = D::Server<'m>;

    fn max_body(&self) -> usize {
        self.max_body
    }

    /// Unlike a server it takes no message of unknown number: tests are to notice.
    fn on_message<'m>(&mut self, _now: Millis, id: u16, body: &'m [u8]) -> Result<Option<D::Server<'m>>, PeerError> {
        self.count();
        let (message, _) = D::decode(id, body)?;
        if let Some(common) = D::common(&message) {
            self.heard(common);
        }
        Ok(Some(message))
    }

    fn send(&mut self, _now: Millis, message: &D::Client<'_>, out: &mut [u8]) -> Result<Transmit, Refused> {
        let (id, size) = D::id_and_size(message);
        Ok(self.outgoing.frame(id, size, out, |w| D::encode(message, w))?)
    }

    fn poll(&mut self, _now: Millis, out: &mut [u8]) -> Result<Poll, EncodeError> {
        if let Some(generation) = self.sync_due {
            let poll = self.frame(&AckSync { generation }, out)?;
            self.sync_due = None;
            return Ok(poll);
        }
        if self.acks_due != 0 {
            let poll = self.frame(&Ack {}, out)?;
            self.acks_due = self.acks_due.saturating_sub(1);
            return Ok(poll);
        }
        if let Some(pong) = self.pong_due {
            let poll = self.frame(&pong, out)?;
            self.pong_due = None;
            return Ok(poll);
        }
        Ok(Poll::Wait(None))
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::channel::cursor::CursorServer;
    use crate::proto::cursor::{Cursor as Look, CursorFlags, Hide, Init, ServerMessage, Shape};
    use crate::proto::shape::Point16;

    const NOW: Millis = Millis(0);
    const BOTH: Negotiated = Negotiated { mini_header: true, peer_caps: 0 };

    fn polled<C: Channel>(channel: &mut C) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut out = [0; 64];
        while let Ok(Poll::Transmit(Transmit { head, body: 0 })) = channel.poll(NOW, &mut out) {
            bytes.extend(&out[..head]);
        }
        bytes
    }

    #[test]
    fn windows_are_echoed_and_acknowledged() {
        let mut client = ClientChannel::<Main>::new(BOTH, 64);
        assert_eq!(polled(&mut client), []);
        client.on_message(NOW, 3, &[7, 0, 0, 0, 2, 0, 0, 0]).expect("SET_ACK");
        assert_eq!(polled(&mut client), [1, 0, 4, 0, 0, 0, 7, 0, 0, 0]);
        client.on_message(NOW, 108, &[0; 4]).expect("first");
        assert_eq!(polled(&mut client), []);
        client.on_message(NOW, 108, &[0; 4]).expect("second");
        assert_eq!(polled(&mut client), [2, 0, 0, 0, 0, 0]);
        client.on_message(NOW, 3, &[8, 0, 0, 0, 0, 0, 0, 0]).expect("SET_ACK");
        for _ in 0..9 {
            client.on_message(NOW, 108, &[0; 4]).expect("AGENT_DISCONNECTED");
        }
        assert_eq!(polled(&mut client), [1, 0, 4, 0, 0, 0, 8, 0, 0, 0], "a window of 0 is none");
    }

    #[test]
    fn pings_are_answered_and_the_unknown_is_noticed() {
        let mut client = ClientChannel::<Inputs>::new(BOTH, 64);
        let ping = [1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 9, 9];
        client.on_message(NOW, 4, &ping).expect("PING");
        assert_eq!(polled(&mut client), [&[3, 0, 12, 0, 0, 0][..], &ping[..12]].concat());
        assert!(client.on_message(NOW, 999, &[]).is_err());
        assert!(client.on_message(NOW, 102, &[]).is_err());
    }

    #[test]
    fn a_server_goes_on_as_long_as_its_client_keeps_its_duties() {
        let mut server = CursorServer::<4>::new(BOTH);
        let mut client = ClientChannel::<Cursor>::new(BOTH, 64);
        let cursor = Look { flags: CursorFlags::empty(), shape: Shape::None };
        let position = Point16::new(0, 0);
        let mut next = ServerMessage::Init(Init { position, trail_length: 0, trail_frequency: 0, visible: 0, cursor });
        for n in 0..1000 {
            let mut out = [0; 64];
            let mut from_server = polled(&mut server);
            let said = server.send(NOW, &next, &mut out).expect("the client acknowledges");
            from_server.extend(&out[..said.head]);
            next = ServerMessage::Hide(Hide {});
            if n % 30 != 29 {
                deliver(&from_server, &mut client);
                deliver(&polled(&mut client), &mut server);
            } else {
                // A burst on the way is no harm.
                deliver(&from_server, &mut client);
            }
        }
        assert_eq!((server.common().sent(), client.sent()), (1001, 1 + 1000 / 20));
    }

    fn deliver<C: Channel>(mut bytes: &[u8], to: &mut C) {
        while let Some((header, rest)) = bytes.split_at_checked(6) {
            let (body, rest) = rest.split_at(header[2].into());
            to.on_message(NOW, header[0].into(), body).expect("well-formed");
            bytes = rest;
        }
    }
}
