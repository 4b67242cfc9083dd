//! The playback channel: sound to the client.

use zerocopy::little_endian::U16;

use crate::limits;
use crate::proto::common;
use crate::wire::{Counted, Rest};

open_enum! {
    /// How sound is coded (SpiceAudioDataMode).
    pub struct AudioMode: u16 {
        /// Not a coding.
        INVALID = 0,
        /// Samples as [`AudioFormat`] has them.
        RAW = 1,
        /// CELT 0.5.1; obsolete.
        CELT_0_5_1 = 2,
        /// Opus, a packet a message.
        OPUS = 3,
    }
}

open_enum! {
    /// Layout of a sample (SpiceAudioFmt).
    pub struct AudioFormat: u16 {
        /// Not a format.
        INVALID = 0,
        /// Signed 16-bit, channels interleaved.
        S16 = 1,
    }
}

message! {
    /// SPICE_MSG_PLAYBACK_DATA.
    101 pub struct Data<'a> {
        /// When to play it, in milliseconds of the multi-media clock.
        time: u32,
        /// Sound in the mode in force.
        data: Rest<'a>,
    }
}

message! {
    /// SPICE_MSG_PLAYBACK_MODE: how the following data is coded.
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
    /// SPICE_MSG_PLAYBACK_START.
    103 pub struct Start {
        /// Channels, 2 for stereo.
        channels: u32,
        /// Layout of a sample.
        format: AudioFormat,
        /// Samples of a channel in a second.
        frequency: u32,
        /// Milliseconds of the multi-media clock.
        time: u32,
    }
}

message! {
    /// SPICE_MSG_PLAYBACK_STOP.
    104 pub struct Stop {}
}

message! {
    /// SPICE_MSG_PLAYBACK_VOLUME: for clients with VOLUME.
    105 pub struct Volume<'a> {
        /// Of each channel; 65535 is the loudest.
        volume: Counted<'a, u8, U16, { limits::AUDIO_CHANNELS }>,
    }
}

message! {
    /// SPICE_MSG_PLAYBACK_MUTE: for clients with VOLUME.
    106 pub struct Mute {
        /// 1 when nothing is to be heard.
        mute: u8,
    }
}

message! {
    /// SPICE_MSG_PLAYBACK_LATENCY: for clients with LATENCY.
    107 pub struct Latency {
        /// Milliseconds of sound to hold back.
        latency_ms: u32,
    }
}

channel_messages! {
    /// What the server says on a playback channel; clients say only what is common to all channels.
    pub enum ServerMessage<'a> ["playback", Server] {
        Data<'a>, Mode<'a>, Start, Stop, Volume<'a>, Mute, Latency,
    } else Common(common::ServerMessage<'a>)
}
