//! The stream device: video that the guest coded, on a port of its own.

use crate::limits;
use crate::proto::cursor::CursorType;
use crate::proto::stream::VideoCodec;
use crate::wire::{Counted, Padded, Rest};

/// The version in every [`StreamDevHeader`].
pub const VERSION: u8 = 1;

record! {
    /// StreamDevHeader: in front of every message, both directions.
    pub struct StreamDevHeader {
        /// [`VERSION`].
        version: u8,
        /// 0.
        padding: u8,
        /// The message's number.
        kind: u16,
        /// Bytes of its body.
        size: u32,
    }
}

message! {
    /// STREAM_TYPE_CAPABILITIES.
    1 pub struct Capabilities<'a> {
        /// A bit map, at most [`limits::STREAM_DEVICE_CAPS`] bytes; bit 0 is QUALITY_INDICATOR.
        capabilities: Rest<'a>,
    }
}

message! {
    /// STREAM_TYPE_FORMAT: what the data that follows is.
    2 pub struct Format {
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
        /// How it is coded.
        codec: Padded<VideoCodec, 3>,
    }
}

message! {
    /// STREAM_TYPE_DATA: a coded picture, at most [`limits::STREAM_DEVICE_FRAME`] bytes.
    3 pub struct Data<'a> {
        /// The picture.
        data: Rest<'a>,
    }
}

message! {
    /// STREAM_TYPE_CURSOR_SET.
    6 pub struct CursorSet<'a> {
        /// Pixels in a row, at most [`limits::STREAM_DEVICE_CURSOR`].
        width: u16,
        /// Rows, at most [`limits::STREAM_DEVICE_CURSOR`].
        height: u16,
        /// Column of the pixel that points.
        hot_spot_x: u16,
        /// Row of the pixel that points.
        hot_spot_y: u16,
        /// ALPHA, COLOR24 or COLOR32.
        kind: Padded<CursorType, 3>,
        /// The shape.
        data: Rest<'a>,
    }
}

message! {
    /// STREAM_TYPE_CURSOR_MOVE.
    7 pub struct CursorMove {
        /// Column.
        x: i32,
        /// Row.
        y: i32,
    }
}

message! {
    /// STREAM_TYPE_DEVICE_DISPLAY_INFO: which of the guest's monitors this is.
    8 pub struct DeviceDisplayInfo<'a> {
        /// The stream among those of the agent.
        stream_id: u32,
        /// The display among those of the graphics device.
        device_display_id: u32,
        /// The graphics device, such as `pci/0000/02.0`.
        device_address: Counted<'a, u32, u8, { limits::DEVICE_ADDRESS }>,
    }
}

channel_messages! {
    /// What the streaming agent says.
    pub enum GuestMessage<'a> ["stream device", Guest] {
        Capabilities<'a>, Format, Data<'a>, CursorSet<'a>, CursorMove, DeviceDisplayInfo<'a>,
    }
}

message! {
    /// STREAM_TYPE_START_STOP: start with one of these codecs, or stop.
    4 pub struct StartStop<'a> {
        /// [`VideoCodec`] numbers that every viewer decodes; none to stop.
        codecs: Counted<'a, u8, u8, { limits::CODECS }>,
    }
}

message! {
    /// STREAM_TYPE_NOTIFY_ERROR: the server stopped listening.
    5 pub struct NotifyError<'a> {
        /// 0.
        error_code: u32,
        /// Why, in words.
        message: Rest<'a>,
    }
}

message! {
    /// STREAM_TYPE_QUALITY_INDICATOR: never sent by the reference.
    9 pub struct QualityIndicator<'a> {
        /// Free text.
        quality: Rest<'a>,
    }
}

channel_messages! {
    /// What the server says to the streaming agent.
    pub enum ServerMessage<'a> ["stream device", Server] {
        Capabilities<'a>, StartStop<'a>, NotifyError<'a>, QualityIndicator<'a>,
    }
}
