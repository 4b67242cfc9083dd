//! The record channel: sound from the client.

use zerocopy::little_endian::U16;

use crate::limits;
use crate::proto::common;
use crate::proto::playback::{AudioFormat, AudioMode};
use crate::wire::{Counted, Rest};

message! {
    /// SPICE_MSG_RECORD_START: the guest listens.
    101 pub struct Start {
        /// Channels, 2 for stereo.
        channels: u32,
        /// Layout of a sample.
        format: AudioFormat,
        /// Samples of a channel in a second.
        frequency: u32,
    }
}

message! {
    /// SPICE_MSG_RECORD_STOP: the guest does not listen any more.
    102 pub struct Stop {}
}

message! {
    /// SPICE_MSG_RECORD_VOLUME: for clients with VOLUME.
    103 pub struct Volume<'a> {
        /// Of each channel; 65535 is the loudest.
        volume: Counted<'a, u8, U16, { limits::AUDIO_CHANNELS }>,
    }
}

message! {
    /// SPICE_MSG_RECORD_MUTE: for clients with VOLUME.
    104 pub struct Mute {
        /// 1 when nothing is to be recorded.
        mute: u8,
    }
}

channel_messages! {
    /// What the server says on a record channel.
    pub enum ServerMessage<'a> ["record", Server] {
        Start, Stop, Volume<'a>, Mute,
    } else Common(common::ServerMessage<'a>)
}

message! {
    /// SPICE_MSGC_RECORD_DATA.
    101 pub struct Data<'a> {
        /// When it was recorded, in milliseconds of the multi-media clock.
        time: u32,
        /// Sound in the mode in force.
        data: Rest<'a>,
    }
}

message! {
    /// SPICE_MSGC_RECORD_MODE: how the following data is coded.
    102 pub struct Mode<'a> {
        /// Milliseconds of the multi-media clock.
        time: u32,
        /// The coding.
        mode: AudioMode,
        /// For the coding; none of those that exist has any.
        data: Rest<'a>,
    }
}

message! {
    /// SPICE_MSGC_RECORD_START_MARK: the first sample's time.
    103 pub struct StartMark {
        /// Milliseconds of the multi-media clock.
        time: u32,
    }
}

channel_messages! {
    /// What a client says on a record channel.
    pub enum ClientMessage<'a> ["record", Client] {
        Data<'a>, Mode<'a>, StartMark,
    } else Common(common::ClientMessage<'a>)
}
