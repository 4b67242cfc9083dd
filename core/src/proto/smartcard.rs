//! The smart card channel.

use crate::proto::common;
use crate::wire::Sized32;

open_enum! {
    /// What a message is about (VSCMsgType).
    pub struct SmartcardType: u32 {
        /// Versions, towards the device.
        INIT = 1,
        /// A `u32` code.
        ERROR = 2,
        /// A reader, by its name.
        READER_ADD = 3,
        /// A reader is gone.
        READER_REMOVE = 4,
        /// A card was put in: its answer to reset.
        ATR = 5,
        /// The card is gone.
        CARD_REMOVE = 6,
        /// A command or its answer.
        APDU = 7,
        /// Answer everything that is outstanding.
        FLUSH = 8,
        /// Everything is answered.
        FLUSH_COMPLETE = 9,
    }
}

message! {
    /// SPICE_MSG_SMARTCARD_DATA and SPICE_MSGC_SMARTCARD_DATA.
    ///
    /// The guest's device has the same three numbers big-endian.
    101 pub struct Data<'a> {
        /// What it is about.
        kind: SmartcardType,
        /// The reader; [`UNDEFINED_READER`] before there is one.
        reader_id: u32,
        /// What the type has.
        data: Sized32<'a>,
    }
}

/// In [`Data::reader_id`]: no reader (VSCARD_UNDEFINED_READER_ID).
pub const UNDEFINED_READER: u32 = u32::MAX;

channel_messages! {
    /// What the server says on the smart card channel.
    pub enum ServerMessage<'a> ["smartcard", Server] {
        Data<'a>,
    } else Common(common::ServerMessage<'a>)
}

channel_messages! {
    /// What a client says on the smart card channel.
    pub enum ClientMessage<'a> ["smartcard", Client] {
        Data<'a>,
    } else Common(common::ClientMessage<'a>)
}
