//! Video streams of the display channel.

use crate::proto::shape::{Clip, Rect};
use crate::wire::Sized32;

open_enum! {
    /// How a stream is coded.
    pub struct VideoCodec: u8 {
        /// Motion JPEG.
        MJPEG = 1,
        /// VP8.
        VP8 = 2,
        /// H.264, Annex B byte stream.
        H264 = 3,
        /// VP9.
        VP9 = 4,
        /// H.265, byte stream.
        H265 = 5,
    }
}

flags! {
    /// How a stream's pictures lie.
    pub struct StreamFlags: u8 {
        /// The first row is the top one.
        const TOP_DOWN = 1;
    }
}

message! {
    /// SPICE_MSG_DISPLAY_STREAM_CREATE.
    122 pub struct StreamCreate<'a> {
        /// The surface it is shown on.
        surface_id: u32,
        /// Its id, below 64; free again after [`StreamDestroy`].
        id: u32,
        /// How its pictures lie.
        flags: StreamFlags,
        /// How it is coded.
        codec: VideoCodec,
        /// Unused.
        stamp: u64,
        /// Pixels in a coded row.
        stream_width: u32,
        /// Coded rows.
        stream_height: u32,
        /// Pixels in a row of the source.
        src_width: u32,
        /// Rows of the source.
        src_height: u32,
        /// Where it is shown.
        dest: Rect,
        /// In which part of that.
        clip: Clip<'a>,
    }
}

message! {
    /// SPICE_MSG_DISPLAY_STREAM_DATA: a coded picture of the stream's size.
    123 pub struct StreamData<'a> {
        /// The stream.
        id: u32,
        /// When to show it, in milliseconds of the multi-media clock.
        multi_media_time: u32,
        /// The coded picture.
        data: Sized32<'a>,
    }
}

message! {
    /// SPICE_MSG_DISPLAY_STREAM_CLIP: in place of the clip before.
    124 pub struct StreamClip<'a> {
        /// The stream.
        id: u32,
        /// Which part of its place is drawn.
        clip: Clip<'a>,
    }
}

message! {
    /// SPICE_MSG_DISPLAY_STREAM_DESTROY.
    125 pub struct StreamDestroy {
        /// The stream.
        id: u32,
    }
}

message! {
    /// SPICE_MSG_DISPLAY_STREAM_DESTROY_ALL.
    126 pub struct StreamDestroyAll {}
}

message! {
    /// SPICE_MSG_DISPLAY_STREAM_DATA_SIZED: a coded picture of another size, for clients with
    /// SIZED_STREAM.
    316 pub struct StreamDataSized<'a> {
        /// The stream.
        id: u32,
        /// When to show it, in milliseconds of the multi-media clock.
        multi_media_time: u32,
        /// Pixels in a coded row.
        width: u32,
        /// Coded rows.
        height: u32,
        /// Where it is shown.
        dest: Rect,
        /// The coded picture.
        data: Sized32<'a>,
    }
}

message! {
    /// SPICE_MSG_DISPLAY_STREAM_ACTIVATE_REPORT: asks for [`StreamReport`]s, of clients with
    /// STREAM_REPORT.
    319 pub struct StreamActivateReport {
        /// The stream.
        stream_id: u32,
        /// To be named by the reports.
        unique_id: u32,
        /// Pictures from one report to the next.
        max_window_size: u32,
        /// Milliseconds from one report to the next, at most.
        timeout_ms: u32,
    }
}

message! {
    /// SPICE_MSGC_DISPLAY_STREAM_REPORT: how a stream arrives.
    102 pub struct StreamReport {
        /// The stream.
        stream_id: u32,
        /// From [`StreamActivateReport`].
        unique_id: u32,
        /// Time of the window's first picture.
        start_frame_mm_time: u32,
        /// Time of its last picture.
        end_frame_mm_time: u32,
        /// Pictures in the window; 0 with [`StreamReport::CANNOT_DECODE`].
        num_frames: u32,
        /// How many of them came too late, or [`StreamReport::CANNOT_DECODE`].
        num_drops: u32,
        /// Milliseconds from the last picture's arrival to its time; negative when it was late.
        last_frame_delay: i32,
        /// Milliseconds of audio latency, or [`StreamReport::NO_AUDIO`].
        audio_delay: u32,
    }
}

impl StreamReport {
    /// In `num_drops`, with no frames: the client cannot decode the stream, or does not know it.
    pub const CANNOT_DECODE: u32 = u32::MAX;
    /// In `audio_delay`: no audio plays.
    pub const NO_AUDIO: u32 = u32::MAX;
}
