//! The display channel, whose drawing is in [`draw`](super::draw), whose
//! video is in [`stream`](super::stream) and whose scanouts are in [`gl`](super::gl).

use crate::limits;
use crate::proto::common::{self, WaitFor};
use crate::proto::draw::{
    CopyBits, DrawAlphaBlend, DrawBlackness, DrawBlend, DrawComposite, DrawCopy, DrawFill, DrawInvers, DrawOpaque,
    DrawRop3, DrawStroke, DrawText, DrawTransparent, DrawWhiteness,
};
use crate::proto::gl::{GlDraw, GlDrawDone, GlScanout2Unix, GlScanoutUnix};
use crate::proto::stream::{
    StreamActivateReport, StreamClip, StreamCreate, StreamData, StreamDataSized, StreamDestroy, StreamDestroyAll,
    StreamReport,
};
use crate::wire::{
    Counted, DecodeError, EncodeError, Field, FieldForm, Message, Reader, Rest, Sample, Sampler, Writer, read_records,
};

message! {
    /// SPICE_MSG_DISPLAY_MODE: obsolete, in place of it surfaces are created and destroyed.
    101 pub struct Mode {
        /// Pixels in a row.
        x_res: u32,
        /// Rows.
        y_res: u32,
        /// Bits of a pixel.
        bits: u32,
    }
}

message! {
    /// SPICE_MSG_DISPLAY_MARK: the primary surface has content, show it.
    102 pub struct Mark {}
}

message! {
    /// SPICE_MSG_DISPLAY_RESET: obsolete, forget everything.
    103 pub struct Reset {}
}

open_enum! {
    /// What [`InvalList`] names.
    pub struct ResourceType: u8 {
        /// Nothing.
        INVALID = 0,
        /// An image of the pixmap cache.
        PIXMAP = 1,
    }
}

record! {
    /// Something a client keeps.
    pub struct ResourceId {
        /// See [`ResourceType`].
        resource_type: u8,
        /// Its id.
        id: u64,
    }
}

message! {
    /// SPICE_MSG_DISPLAY_INVAL_LIST: forget these.
    105 pub struct InvalList<'a> {
        /// Which.
        resources: Counted<'a, u16, ResourceId, { limits::INVAL_LIST }>,
    }
}

message! {
    /// SPICE_MSG_DISPLAY_INVAL_ALL_PIXMAPS: forget all images, after those messages.
    106 pub struct InvalAllPixmaps<'a> {
        /// Which messages of other channels come first.
        wait_list: Counted<'a, u8, WaitFor, { limits::WAIT_FOR }>,
    }
}

message! {
    /// SPICE_MSG_DISPLAY_INVAL_PALETTE: forget that palette.
    107 pub struct InvalPalette {
        /// Its id.
        id: u64,
    }
}

message! {
    /// SPICE_MSG_DISPLAY_INVAL_ALL_PALETTES: forget all palettes.
    108 pub struct InvalAllPalettes {}
}

open_enum! {
    /// Layout of a surface's pixels.
    pub struct SurfaceFormat: u32 {
        /// Not a format.
        INVALID = 0,
        /// Alpha, one bit.
        A1 = 1,
        /// Alpha, a byte.
        A8 = 8,
        /// x1r5g5b5.
        X555 = 16,
        /// xRGB, 32 bits.
        XRGB32 = 32,
        /// r5g6b5.
        RGB565 = 80,
        /// ARGB, 32 bits, premultiplied.
        ARGB32 = 96,
    }
}

flags! {
    /// What a surface is.
    pub struct SurfaceFlags: u32 {
        /// The one that is shown.
        const PRIMARY = 1;
        /// It shows a video; only for clients with MULTI_CODEC.
        const STREAMING_MODE = 2;
    }
}

message! {
    /// SPICE_MSG_DISPLAY_SURFACE_CREATE.
    314 pub struct SurfaceCreate {
        /// Its id, below 1024; the primary one's is 0.
        surface_id: u32,
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
        /// Layout of a pixel.
        format: SurfaceFormat,
        /// What it is.
        flags: SurfaceFlags,
    }
}

message! {
    /// SPICE_MSG_DISPLAY_SURFACE_DESTROY.
    315 pub struct SurfaceDestroy {
        /// Its id.
        surface_id: u32,
    }
}

record! {
    /// A monitor's place on its surface.
    pub struct Head {
        /// Its number.
        monitor_id: u32,
        /// The surface.
        surface_id: u32,
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
        /// First column.
        x: u32,
        /// First row.
        y: u32,
        /// None is defined.
        flags: u32,
    }
}
const _: () = assert!(size_of::<Head>() == 28);

/// SPICE_MSG_DISPLAY_MONITORS_CONFIG: where the monitors are, for clients with MONITORS_CONFIG.
///
/// Message number 317. Written by hand because another field stands between its count and its
/// heads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MonitorsConfig<'a> {
    /// How many there can be.
    pub max_allowed: u16,
    /// Where they are.
    pub heads: &'a [Head],
}

impl<'a> Field<'a> for MonitorsConfig<'a> {
    const WIRE: &'static str = "MonitorsConfig";
    const MIN: usize = 4;

    fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let count = u16::read(r).map_err(|e| e.at("MonitorsConfig.count"))?;
        let max_allowed = u16::read(r).map_err(|e| e.at("MonitorsConfig.max_allowed"))?;
        let heads = read_records(r, count.into(), limits::HEADS).map_err(|e| e.at("MonitorsConfig.heads"))?;
        Ok(Self { max_allowed, heads })
    }

    fn write(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        let count = self.heads.len();
        if count > limits::HEADS {
            return Err(EncodeError::Count { count });
        }
        u16::try_from(count).map_err(|_| EncodeError::Count { count })?.write(w)?;
        self.max_allowed.write(w)?;
        w.put(zerocopy::IntoBytes::as_bytes(self.heads))
    }

    fn inline_size(&self) -> usize {
        Self::MIN.saturating_add(size_of_val(self.heads))
    }
}

impl<'a> Message<'a> for MonitorsConfig<'a> {
    const ID: u16 = 317;
    const NAME: &'static str = "MonitorsConfig";
    const FORM: &'static [FieldForm] = &[
        FieldForm::words("count", "u16, at most 256", 2),
        FieldForm::of::<u16>("max_allowed"),
        FieldForm::words("heads", "count Head", 0),
    ];
}

impl Sample for MonitorsConfig<'static> {
    fn sample(s: &mut Sampler) -> Self {
        Self { max_allowed: u16::sample(s), heads: s.records(limits::HEADS) }
    }
}

message! {
    /// SPICE_MSG_DISPLAY_QUALITY_INDICATOR: never sent by the reference.
    322 pub struct ServerQualityIndicator<'a> {
        /// Free text.
        text: Rest<'a>,
    }
}

channel_messages! {
    /// What the server says on a display channel.
    pub enum ServerMessage<'a> ["display", Server] {
        Mode, Mark, Reset, CopyBits<'a>, InvalList<'a>, InvalAllPixmaps<'a>, InvalPalette, InvalAllPalettes,
        StreamCreate<'a>, StreamData<'a>, StreamClip<'a>, StreamDestroy, StreamDestroyAll,
        DrawFill<'a>, DrawOpaque<'a>, DrawCopy<'a>, DrawBlend<'a>, DrawBlackness<'a>, DrawWhiteness<'a>,
        DrawInvers<'a>, DrawRop3<'a>, DrawStroke<'a>, DrawText<'a>, DrawTransparent<'a>, DrawAlphaBlend<'a>,
        SurfaceCreate, SurfaceDestroy, StreamDataSized<'a>, MonitorsConfig<'a>, DrawComposite<'a>,
        StreamActivateReport, GlScanoutUnix, GlDraw, ServerQualityIndicator<'a>, GlScanout2Unix,
    } else Common(common::ServerMessage<'a>)
}

message! {
    /// SPICE_MSGC_DISPLAY_INIT: the first message; what the client can keep.
    101 pub struct Init {
        /// Channels of one client that say the same share a pixmap cache.
        pixmap_cache_id: u8,
        /// Its pixels; with none nothing is kept.
        pixmap_cache_size: i64,
        /// Channels of one client that say the same share a GLZ dictionary.
        glz_dictionary_id: u8,
        /// Its pixels, at most 2²⁵.
        glz_dictionary_window_size: i32,
    }
}

open_enum! {
    /// How a client or an operator wants pictures compressed (SpiceImageCompression).
    pub struct ImageCompression: u8 {
        /// Not a wish.
        INVALID = 0,
        /// Not at all.
        OFF = 1,
        /// QUIC for photos, GLZ for the rest.
        AUTO_GLZ = 2,
        /// QUIC for photos, LZ for the rest.
        AUTO_LZ = 3,
        /// QUIC.
        QUIC = 4,
        /// GLZ.
        GLZ = 5,
        /// LZ.
        LZ = 6,
        /// LZ4.
        LZ4 = 7,
    }
}

message! {
    /// SPICE_MSGC_DISPLAY_PREFERRED_COMPRESSION.
    103 pub struct PreferredCompression {
        /// The wish.
        image_compression: ImageCompression,
    }
}

message! {
    /// SPICE_MSGC_DISPLAY_PREFERRED_VIDEO_CODEC_TYPE.
    105 pub struct PreferredVideoCodecType<'a> {
        /// [`VideoCodec`](super::stream::VideoCodec) numbers, the best first.
        codecs: Counted<'a, u8, u8, { limits::CODECS }>,
    }
}

channel_messages! {
    /// What a client says on a display channel.
    pub enum ClientMessage<'a> ["display", Client] {
        Init, StreamReport, PreferredCompression, GlDrawDone, PreferredVideoCodecType<'a>,
    } else Common(common::ClientMessage<'a>)
}
