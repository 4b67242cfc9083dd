//! Messages of every channel.

use crate::limits;
use crate::proto::header::SubMessages;
use crate::wire::{Counted, DecodeError, EncodeError, Field, Reader, Rest, Sample, Sampler, Writer, to_u32};

open_enum! {
    /// What a channel is for.
    pub struct ChannelType: u8 {
        /// Session, agent, mouse mode.
        MAIN = 1,
        /// Pictures.
        DISPLAY = 2,
        /// Keyboard and pointer events.
        INPUTS = 3,
        /// The pointer's shape and place.
        CURSOR = 4,
        /// Sound to the client.
        PLAYBACK = 5,
        /// Sound from the client.
        RECORD = 6,
        /// Obsolete; never listed.
        TUNNEL = 7,
        /// Smart cards.
        SMARTCARD = 8,
        /// USB redirection.
        USBREDIR = 9,
        /// A named character device.
        PORT = 10,
        /// A shared folder.
        WEBDAV = 11,
    }
}

open_enum! {
    /// Why a link or a channel ends.
    pub struct LinkError: u32 {
        /// No error.
        OK = 0,
        /// Internal failure.
        ERROR = 1,
        /// Neither SPICE nor anything else that is spoken here.
        INVALID_MAGIC = 2,
        /// Sizes, capabilities or mechanism out of range.
        INVALID_DATA = 3,
        /// Another major version.
        VERSION_MISMATCH = 4,
        /// This channel is served over TLS only.
        NEED_SECURED = 5,
        /// This channel is served in clear only.
        NEED_UNSECURED = 6,
        /// The ticket is wrong, expired or cannot be decrypted.
        PERMISSION_DENIED = 7,
        /// No session has that connection id.
        BAD_CONNECTION_ID = 8,
        /// There is no such channel.
        CHANNEL_NOT_AVAILABLE = 9,
    }
}

open_enum! {
    /// How bad it is.
    pub struct Severity: u32 {
        /// Something to know.
        INFO = 0,
        /// Something to worry about.
        WARN = 1,
        /// Something failed.
        ERROR = 2,
    }
}

open_enum! {
    /// How visibly to tell it.
    pub struct Visibility: u32 {
        /// In a log.
        LOW = 0,
        /// In passing.
        MEDIUM = 1,
        /// In the user's face.
        HIGH = 2,
    }
}

flags! {
    /// What the client has to do before it moves to the migration target.
    pub struct MigrateFlags: u32 {
        /// Send MIGRATE_FLUSH_MARK.
        const NEED_FLUSH = 1;
        /// Wait for MIGRATE_DATA and hand it to the target.
        const NEED_DATA_TRANSFER = 2;
    }
}

record! {
    /// A message on another channel that must be handled before the next one here.
    pub struct WaitFor {
        /// Type of that channel, see [`ChannelType`].
        channel_type: u8,
        /// Its id.
        channel_id: u8,
        /// Serial of the message there.
        serial: u64,
    }
}

message! {
    /// SPICE_MSG_MIGRATE: the server moves; nothing but MIGRATE_DATA follows on this channel.
    1 pub struct Migrate {
        /// What the client has to do.
        flags: MigrateFlags,
    }
}

message! {
    /// SPICE_MSG_MIGRATE_DATA: opaque state for the target.
    2 pub struct MigrateData<'a> {
        /// What the target parses.
        data: Rest<'a>,
    }
}

message! {
    /// SPICE_MSG_SET_ACK: opens an acknowledgement window.
    3 pub struct SetAck {
        /// Echoed by the client in [`AckSync`].
        generation: u32,
        /// Messages from one [`Ack`] to the next.
        window: u32,
    }
}

message! {
    /// SPICE_MSG_PING: to be answered with [`Pong`] at once.
    4 pub struct Ping<'a> {
        /// Echoed.
        id: u32,
        /// The sender's clock, echoed.
        timestamp: u64,
        /// Anything; gives the message a size.
        padding: Rest<'a>,
    }
}

message! {
    /// SPICE_MSG_WAIT_FOR_CHANNELS: handle those messages first.
    5 pub struct WaitForChannels<'a> {
        /// Which.
        wait_list: Counted<'a, u8, WaitFor, { limits::WAIT_FOR }>,
    }
}

message! {
    /// SPICE_MSG_DISCONNECTING and SPICE_MSGC_DISCONNECTING: a friendly end.
    6 pub struct Disconnecting {
        /// The sender's clock, in milliseconds.
        time_stamp: u64,
        /// Why.
        reason: LinkError,
    }
}

message! {
    /// SPICE_MSG_NOTIFY: something for the user.
    7 pub struct Notify<'a> {
        /// The server's clock, in nanoseconds.
        time_stamp: u64,
        /// How bad.
        severity: Severity,
        /// How visibly.
        visibility: Visibility,
        /// A number for it; 0 where there is none.
        what: u32,
        /// The words.
        message: NotifyText<'a>,
    }
}

message! {
    /// SPICE_MSG_LIST: nothing but sub-messages, for mini headers.
    8 pub struct List<'a> {
        /// The sub-messages, from offset 0 of the body.
        messages: SubMessages<'a>,
    }
}

message! {
    /// SPICE_MSGC_ACK_SYNC: the window of this generation is in force.
    1 pub struct AckSync {
        /// From [`SetAck`].
        generation: u32,
    }
}

message! {
    /// SPICE_MSGC_ACK: a window's worth of messages has been handled.
    2 pub struct Ack {}
}

message! {
    /// SPICE_MSGC_PONG: the answer to [`Ping`].
    3 pub struct Pong {
        /// From the ping.
        id: u32,
        /// From the ping.
        timestamp: u64,
    }
}

message! {
    /// SPICE_MSGC_MIGRATE_FLUSH_MARK: nothing more comes on this channel but MIGRATE_DATA's echo.
    4 pub struct MigrateFlushMark {}
}

message! {
    /// SPICE_MSGC_MIGRATE_DATA: what the source said, for the target.
    5 pub struct ClientMigrateData<'a> {
        /// Hostile input, as everything from a client.
        data: Rest<'a>,
    }
}

channel_messages! {
    /// What a server says on every channel.
    pub enum ServerMessage<'a> ["common", Server] {
        Migrate, MigrateData<'a>, SetAck, Ping<'a>, WaitForChannels<'a>, Disconnecting, Notify<'a>, List<'a>,
    }
}

channel_messages! {
    /// What a client says on every channel.
    pub enum ClientMessage<'a> ["common", Client] {
        AckSync, Ack, Pong, MigrateFlushMark, ClientMigrateData<'a>, Disconnecting,
    }
}

/// The text of [`Notify`]: `u32` length, that many bytes, and a NUL that the length does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotifyText<'a>(pub &'a [u8]);

impl<'a> Field<'a> for NotifyText<'a> {
    const WIRE: &'static str = "u32 length, text, NUL";
    const MIN: usize = 5;

    fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let text: Counted<'a, u32, u8, { limits::NOTIFY_TEXT }> = Counted::read(r)?;
        r.take(1)?;
        Ok(Self(text.items()))
    }

    fn write(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        to_u32(self.0.len()).write(w)?;
        w.put(self.0)?;
        w.put(&[0])
    }

    fn inline_size(&self) -> usize {
        Self::MIN.saturating_add(self.0.len())
    }
}

impl Sample for NotifyText<'static> {
    fn sample(s: &mut Sampler) -> Self {
        Self(s.bytes(40))
    }
}
