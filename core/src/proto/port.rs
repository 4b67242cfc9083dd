//! Port and WebDAV channels: a device's bytes, its name, its events.

use crate::limits;
use crate::proto::common;
use crate::proto::vmc::{CompressedData, Data};
use crate::wire::{Counted, SizedAt};

open_enum! {
    /// What happened to a port.
    pub struct PortEvent: u8 {
        /// Somebody opened it.
        OPENED = 0,
        /// It is closed.
        CLOSED = 1,
        /// A break was sent.
        BREAK = 2,
    }
}

message! {
    /// SPICE_MSG_PORT_INIT: once, before anything else.
    201 pub struct Init<'a> {
        /// The port's name and its NUL.
        name: SizedAt<'a>,
        /// 1 when the guest has it open.
        opened: u8,
    }
}

message! {
    /// SPICE_MSG_PORT_EVENT: at the guest's end.
    202 pub struct Event {
        /// What.
        event: PortEvent,
    }
}

channel_messages! {
    /// What the server says on a port or WebDAV channel.
    pub enum ServerMessage<'a> ["port", Server] {
        Data<'a>, CompressedData<'a>, Init<'a>, Event,
    } else Common(common::ServerMessage<'a>)
}

message! {
    /// SPICE_MSGC_PORT_EVENT: at the client's end.
    201 pub struct ClientEvent {
        /// What.
        event: PortEvent,
    }
}

channel_messages! {
    /// What a client says on a port or WebDAV channel.
    pub enum ClientMessage<'a> ["port", Client] {
        Data<'a>, CompressedData<'a>, ClientEvent,
    } else Common(common::ClientMessage<'a>)
}

fields! {
    /// A piece of one HTTP connection among the bytes of a WebDAV channel: a convention between the
    /// guest's spice-webdavd and the client, which a server only passes on.
    pub struct WebdavFrame<'a> {
        /// The connection.
        client: i64,
        /// Its bytes; none when it ends.
        data: Counted<'a, u16, u8, { limits::WEBDAV_FRAME }>,
    }
}
