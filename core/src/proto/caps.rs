//! What two ends can do: the capability words of the link.

use zerocopy::little_endian::U32;

use crate::wire::{Sample, Sampler};

flags! {
    /// Capabilities of every channel: SPICE_COMMON_CAP_*.
    pub struct CommonCaps: u32 {
        /// PROTOCOL_AUTH_SELECTION: the client says which mechanism it uses.
        const AUTH_SELECTION = 1;
        /// AUTH_SPICE: tickets.
        const AUTH_SPICE = 1 << 1;
        /// AUTH_SASL.
        const AUTH_SASL = 1 << 2;
        /// MINI_HEADER: with both ends' bit, mini headers in both directions.
        const MINI_HEADER = 1 << 3;
    }
}

flags! {
    /// Main channel: SPICE_MAIN_CAP_*.
    pub struct MainCaps: u32 {
        /// SEMI_SEAMLESS_MIGRATE: can connect to a migration target early.
        const SEMI_SEAMLESS_MIGRATE = 1;
        /// NAME_AND_UUID: may receive [`Name`](super::main::Name) and [`Uuid`](super::main::Uuid).
        const NAME_AND_UUID = 1 << 1;
        /// AGENT_CONNECTED_TOKENS: receives
        /// [`AgentConnectedTokens`](super::main::AgentConnectedTokens).
        const AGENT_CONNECTED_TOKENS = 1 << 2;
        /// SEAMLESS_MIGRATE: knows MIGRATE_BEGIN_SEAMLESS and what follows from it.
        const SEAMLESS_MIGRATE = 1 << 3;
    }
}

flags! {
    /// Display channel: SPICE_DISPLAY_CAP_*.
    pub struct DisplayCaps: u32 {
        /// SIZED_STREAM: may receive [`StreamDataSized`](super::stream::StreamDataSized).
        const SIZED_STREAM = 1;
        /// MONITORS_CONFIG: may receive [`MonitorsConfig`](super::display::MonitorsConfig).
        const MONITORS_CONFIG = 1 << 1;
        /// COMPOSITE: may receive [`DrawComposite`](super::draw::DrawComposite).
        const COMPOSITE = 1 << 2;
        /// A8_SURFACE: may receive 8-bit alpha surfaces and images.
        const A8_SURFACE = 1 << 3;
        /// STREAM_REPORT: reports on streams when asked to.
        const STREAM_REPORT = 1 << 4;
        /// LZ4_COMPRESSION: may receive LZ4 images.
        const LZ4_COMPRESSION = 1 << 5;
        /// PREF_COMPRESSION: the server obeys
        /// [`PreferredCompression`](super::display::PreferredCompression).
        const PREF_COMPRESSION = 1 << 6;
        /// GL_SCANOUT: may receive [`GlScanoutUnix`](super::gl::GlScanoutUnix) on a UNIX socket.
        const GL_SCANOUT = 1 << 7;
        /// MULTI_CODEC: the CODEC bits count; without it MJPEG is implied and nothing else.
        const MULTI_CODEC = 1 << 8;
        /// CODEC_MJPEG: decodes Motion JPEG.
        const CODEC_MJPEG = 1 << 9;
        /// CODEC_VP8: decodes VP8.
        const CODEC_VP8 = 1 << 10;
        /// CODEC_H264: decodes H.264.
        const CODEC_H264 = 1 << 11;
        /// PREF_VIDEO_CODEC_TYPE: the server obeys
        /// [`PreferredVideoCodecType`](super::display::PreferredVideoCodecType).
        const PREF_VIDEO_CODEC_TYPE = 1 << 12;
        /// CODEC_VP9: decodes VP9.
        const CODEC_VP9 = 1 << 13;
        /// CODEC_H265: decodes H.265.
        const CODEC_H265 = 1 << 14;
        /// GL_SCANOUT2: may receive [`GlScanout2Unix`](super::gl::GlScanout2Unix).
        const GL_SCANOUT2 = 1 << 15;
    }
}

flags! {
    /// Inputs channel: SPICE_INPUTS_CAP_*.
    pub struct InputsCaps: u32 {
        /// KEY_SCANCODE: the server takes [`KeyScancode`](super::inputs::KeyScancode).
        const KEY_SCANCODE = 1;
    }
}

flags! {
    /// Playback channel: SPICE_PLAYBACK_CAP_*.
    pub struct PlaybackCaps: u32 {
        /// CELT_0_5_1: obsolete.
        const CELT_0_5_1 = 1;
        /// VOLUME: may receive volume and mute.
        const VOLUME = 1 << 1;
        /// LATENCY: may receive a latency to buffer for.
        const LATENCY = 1 << 2;
        /// OPUS: decodes Opus.
        const OPUS = 1 << 3;
    }
}

flags! {
    /// Record channel: SPICE_RECORD_CAP_*.
    pub struct RecordCaps: u32 {
        /// CELT_0_5_1: obsolete.
        const CELT_0_5_1 = 1;
        /// VOLUME: may receive volume and mute.
        const VOLUME = 1 << 1;
        /// OPUS: encodes Opus.
        const OPUS = 1 << 2;
    }
}

flags! {
    /// USB redirection, port and WebDAV channels: SPICE_SPICEVMC_CAP_*.
    pub struct VmcCaps: u32 {
        /// DATA_COMPRESS_LZ4: may receive compressed data.
        const DATA_COMPRESS_LZ4 = 1;
    }
}

/// A list of capability words; bit *n* of the set is bit *n* mod 32 of word *n* / 32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CapWords<'a>(pub &'a [U32]);

impl<'a> CapWords<'a> {
    /// The first word, which holds every capability that is defined so far; 0 when there is none.
    #[must_use]
    pub fn first(&self) -> u32 {
        self.0.first().map_or(0, |word| word.get())
    }

    /// All words.
    #[must_use]
    pub const fn words(&self) -> &'a [U32] {
        self.0
    }
}

impl Sample for CapWords<'static> {
    fn sample(s: &mut Sampler) -> Self {
        Self(s.records(4))
    }
}
