//! A display channel, server role.
//!
//! ```text
//!  open ──SET_ACK──► surfaces, pictures without cache flags or GLZ ──client's INIT──► everything
//!                                                   └─ no INIT within 30 s: expired
//! ```
//!
//! The surface and the first picture go out right behind the link result; only what needs the
//! client's cache or dictionary waits for its INIT. The machine knows which surfaces, streams and
//! cached images exist and refuses what a client could not follow. The INVAL_LIST of images that
//! have to make room stands in the same [`Transmit`] in front of the drawing that needs the room.

mod draws;
mod pixmaps;
mod streams;
mod surfaces;

use pixmaps::Pixmaps;
use streams::Streams;
use surfaces::Surfaces;

use super::migrate::DisplayState;
use super::{Channel, Common, Expired, Heard, Negotiated, PeerError, Poll, Refused, Transmit};
use crate::limits;
use crate::proto::caps::DisplayCaps;
use crate::proto::common;
use crate::proto::display::{
    ClientMessage, ImageCompression, Init, InvalList, ResourceId, ResourceType, ServerMessage, SurfaceFlags,
    SurfaceFormat,
};
use crate::proto::picture::{Image, ImageBody, ImageFlags};
use crate::proto::stream::{StreamReport, VideoCodec};
use crate::time::Millis;
use crate::wire::{Counted, EncodeError};

/// The machine; `KEPT` is how many images the client is asked to keep, 24 bytes of memory each. Its
/// account is that of one channel: display channels of a client that name the same cache are to be
/// given 0.
#[derive(Clone, Debug)]
pub struct DisplayServer<const KEPT: usize = { limits::PIXMAP_CACHE }> {
    pub(super) common: Common,
    caps: DisplayCaps,
    /// File descriptors can be passed: a plain UNIX socket.
    fds: bool,
    client: ClientState,
    surfaces: Surfaces,
    streams: Streams,
    pixmaps: Pixmaps<KEPT>,
    gl: Gl,
}

/// Whether the client has said what it can keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClientState {
    /// It must say so until then.
    Silent {
        until: Millis,
    },
    Ready(Init),
}

/// The GL scanout: at most one GL_DRAW is unanswered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gl {
    /// 2D, or no scanout was sent.
    Off,
    /// A scanout is there.
    Idle,
    /// GL_DRAW_DONE is awaited.
    Drawing,
}

/// What the client wants from the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DisplayEvent<'m> {
    /// Something that every channel has.
    Common(Heard<'m>),
    /// The client's cache and dictionary; images may use them from now on.
    Init(Init),
    /// How a stream arrived; only for streams whose report was asked for, with the right unique id.
    StreamReport(StreamReport),
    /// The client cannot decode this stream: end it and send pictures.
    StreamUndecodable(u32),
    /// How the client would like pictures compressed.
    PreferredCompression(ImageCompression),
    /// Which codecs the client would like, as [`VideoCodec`] numbers, the best first; not empty.
    PreferredVideoCodecs(&'m [u8]),
    /// The GL_DRAW is shown; the buffer is free.
    GlDrawDone,
}

impl<const KEPT: usize> DisplayServer<KEPT> {
    /// For a client that just linked; `fds` when the connection is a plain UNIX socket.
    #[must_use]
    pub fn new(negotiated: Negotiated, fds: bool, now: Millis) -> Self {
        let mut common = Common::new(negotiated);
        common.open_window(limits::ACK_WINDOW);
        common.start_pulse(now);
        Self {
            common,
            caps: DisplayCaps::from_bits_retain(negotiated.peer_caps),
            fds,
            client: ClientState::Silent { until: now.plus(limits::INIT_WAIT_MS) },
            surfaces: Surfaces::NONE,
            streams: Streams::NONE,
            pixmaps: Pixmaps::NONE,
            gl: Gl::Off,
        }
    }

    /// The client comes from another server with this state, and `sent` is how much that had said: its
    /// primary surface stays. What it keeps of images it is to be told to forget.
    ///
    /// # Errors
    /// The state is none that there can be.
    pub fn resume(&mut self, sent: u64, state: &DisplayState) -> Result<Option<Init>, PeerError> {
        self.common.continue_from(sent);
        self.surfaces.set(0, state.width != 0);
        if state.ready == 0 {
            return Ok(None);
        }
        let init = Init {
            pixmap_cache_id: state.pixmap_cache_id,
            pixmap_cache_size: state.pixmap_cache_size,
            glz_dictionary_id: state.glz_dictionary_id,
            glz_dictionary_window_size: state.glz_dictionary_window_size,
        };
        self.on_init(init).map(|_| Some(init))
    }

    /// What the client said that it keeps.
    #[must_use]
    pub const fn init(&self) -> Option<Init> {
        match self.client {
            ClientState::Ready(init) => Some(init),
            ClientState::Silent { .. } => None,
        }
    }

    /// The part that all channels share.
    #[must_use]
    pub const fn common(&self) -> &Common {
        &self.common
    }

    /// What the client can do on this channel.
    #[must_use]
    pub const fn caps(&self) -> DisplayCaps {
        self.caps
    }

    /// Whether the client can take a scanout as a file descriptor.
    #[must_use]
    pub const fn takes_scanout(&self) -> bool {
        self.fds && self.caps.contains(DisplayCaps::GL_SCANOUT)
    }

    /// Whether the client decodes this codec; without MULTI_CODEC that is MJPEG only.
    #[must_use]
    pub fn decodes(&self, codec: VideoCodec) -> bool {
        if !self.caps.contains(DisplayCaps::MULTI_CODEC) {
            return codec == VideoCodec::MJPEG;
        }
        match codec {
            VideoCodec::MJPEG => self.caps.contains(DisplayCaps::CODEC_MJPEG),
            VideoCodec::VP8 => self.caps.contains(DisplayCaps::CODEC_VP8),
            VideoCodec::H264 => self.caps.contains(DisplayCaps::CODEC_H264),
            VideoCodec::VP9 => self.caps.contains(DisplayCaps::CODEC_VP9),
            VideoCodec::H265 => self.caps.contains(DisplayCaps::CODEC_H265),
            _ => false,
        }
    }

    /// Whether the client keeps the image of this id in its pixmap cache: it may be drawn as
    /// FROM_CACHE.
    #[must_use]
    pub fn keeps(&self, image: u64) -> bool {
        self.pixmaps.keeps(image)
    }

    /// Pixels that the client's pixmap cache holds, of which an image that is to be kept may have no
    /// more; 0 until the client said so.
    #[must_use]
    pub const fn cache_pixels(&self) -> u64 {
        self.pixmaps.capacity()
    }

    fn need(&self, cap: DisplayCaps, name: &'static str) -> Result<(), Refused> {
        if self.caps.contains(cap) { Ok(()) } else { Err(Refused::Unsupported(name)) }
    }

    fn check(&self, message: &ServerMessage<'_>) -> Result<(), Refused> {
        use ServerMessage as M;
        match message {
            M::SurfaceCreate(m) => {
                if m.flags.contains(SurfaceFlags::STREAMING_MODE) {
                    self.need(DisplayCaps::MULTI_CODEC, "MULTI_CODEC")?;
                }
                if m.format == SurfaceFormat::A8 {
                    self.need(DisplayCaps::A8_SURFACE, "A8_SURFACE")?;
                }
                self.surfaces.check_new(m.surface_id)
            }
            M::SurfaceDestroy(m) => self.surfaces.check(m.surface_id),
            M::MonitorsConfig(_) => self.need(DisplayCaps::MONITORS_CONFIG, "MONITORS_CONFIG"),
            M::Mode(_) | M::Reset(_) => Err(Refused::Misuse("obsolete, replaced by surfaces")),
            M::Common(common::ServerMessage::SetAck(_)) => Err(Refused::Misuse("windows are opened by the machine")),
            M::StreamCreate(_)
            | M::StreamData(_)
            | M::StreamClip(_)
            | M::StreamDestroy(_)
            | M::StreamDataSized(_)
            | M::StreamActivateReport(_) => self.check_stream(message),
            M::GlScanoutUnix(_) | M::GlScanout2Unix(_) | M::GlDraw(_) => self.check_gl(message),
            _ => self.check_draw(message),
        }
    }

    fn check_stream(&self, message: &ServerMessage<'_>) -> Result<(), Refused> {
        use ServerMessage as M;
        match message {
            M::StreamCreate(m) if !self.decodes(m.codec) => Err(Refused::Unsupported("CODEC of this stream")),
            M::StreamCreate(m) => {
                self.surfaces.check(m.surface_id)?;
                self.streams.check_new(m.id)
            }
            M::StreamData(m) => self.streams.check(m.id),
            M::StreamClip(m) => self.streams.check(m.id),
            M::StreamDestroy(m) => self.streams.check(m.id),
            M::StreamDataSized(m) => {
                self.need(DisplayCaps::SIZED_STREAM, "SIZED_STREAM")?;
                self.streams.check(m.id)
            }
            M::StreamActivateReport(m) => {
                self.need(DisplayCaps::STREAM_REPORT, "STREAM_REPORT")?;
                self.streams.check(m.stream_id)
            }
            _ => Ok(()),
        }
    }

    fn check_gl(&self, message: &ServerMessage<'_>) -> Result<(), Refused> {
        if !self.fds {
            return Err(Refused::Unsupported("a plain UNIX socket"));
        }
        self.need(DisplayCaps::GL_SCANOUT, "GL_SCANOUT")?;
        match (message, self.gl) {
            (ServerMessage::GlScanout2Unix(_), Gl::Off | Gl::Idle) => {
                self.need(DisplayCaps::GL_SCANOUT2, "GL_SCANOUT2")
            }
            (ServerMessage::GlDraw(_), Gl::Off) => Err(Refused::Misuse("GL_DRAW without a scanout")),
            (_, Gl::Drawing) => Err(Refused::Hold),
            _ => Ok(()),
        }
    }

    /// Surfaces and images of a drawing operation.
    fn check_draw(&self, message: &ServerMessage<'_>) -> Result<(), Refused> {
        if matches!(message, ServerMessage::DrawComposite(_)) {
            self.need(DisplayCaps::COMPOSITE, "COMPOSITE")?;
        }
        draws::target(message).map_or(Ok(()), |id| self.surfaces.check(id))?;
        self.check_image(draws::source(message))?;
        self.check_image(draws::mask(message))
    }

    fn check_image(&self, image: Option<&Image<'_>>) -> Result<(), Refused> {
        let Some(image) = image else { return Ok(()) };
        let keeps = image.flags.intersects(ImageFlags::CACHE_ME | ImageFlags::CACHE_REPLACE_ME);
        let ready = matches!(self.client, ClientState::Ready(_));
        match image.body {
            ImageBody::FromCache | ImageBody::FromCacheLossless | ImageBody::GlzRgb(_) | ImageBody::ZlibGlzRgb(_)
                if !ready =>
            {
                Err(Refused::Hold)
            }
            _ if keeps && !ready => Err(Refused::Hold),
            ImageBody::Lz4(_) => {
                self.need(DisplayCaps::LZ4_COMPRESSION, "LZ4_COMPRESSION")?;
                self.pixmaps.check(image)
            }
            ImageBody::Surface(id) => self.surfaces.check(id),
            _ => self.pixmaps.check(image),
        }
    }

    /// Keeps account of a message that has been framed.
    fn said(&mut self, message: &ServerMessage<'_>) {
        use ServerMessage as M;
        match message {
            M::SurfaceCreate(m) => self.surfaces.set(m.surface_id, true),
            M::SurfaceDestroy(m) => self.surfaces.set(m.surface_id, false),
            M::StreamCreate(m) => self.streams.create(m.id),
            M::StreamActivateReport(m) => self.streams.activate(m.stream_id, m.unique_id),
            M::StreamDestroy(m) => self.streams.destroy(m.id),
            M::StreamDestroyAll(_) => self.streams = Streams::NONE,
            M::InvalList(m) => self.forget(m.resources.items()),
            M::InvalAllPixmaps(_) => self.pixmaps.clear(),
            M::GlScanoutUnix(m) => self.gl = if m.drm_fourcc == 0 { Gl::Off } else { Gl::Idle },
            M::GlScanout2Unix(m) => self.gl = if m.num_planes == 0 { Gl::Off } else { Gl::Idle },
            M::GlDraw(_) => self.gl = Gl::Drawing,
            _ => {
                if let Some(image) = draws::source(message) {
                    self.pixmaps.sent(image);
                }
            }
        }
    }

    fn forget(&mut self, resources: &[ResourceId]) {
        for resource in resources.iter().filter(|r| r.resource_type() == ResourceType::PIXMAP.0) {
            self.pixmaps.forget(resource.id());
        }
    }

    fn on_init(&mut self, init: Init) -> Result<DisplayEvent<'static>, PeerError> {
        let unexpected = |why| PeerError::Unexpected { message: "INIT", why };
        if matches!(self.client, ClientState::Ready(_)) {
            return Err(unexpected("it came before"));
        }
        if !(0..=limits::GLZ_WINDOW).contains(&init.glz_dictionary_window_size) {
            return Err(unexpected("a GLZ window has 0 to 2^25 pixels"));
        }
        self.client = ClientState::Ready(init);
        self.pixmaps.open(init.pixmap_cache_size);
        Ok(DisplayEvent::Init(init))
    }

    fn on_report(&self, report: StreamReport) -> Option<DisplayEvent<'static>> {
        if report.num_frames == 0 && report.num_drops == u32::MAX {
            return self
                .streams
                .check(report.stream_id)
                .is_ok()
                .then_some(DisplayEvent::StreamUndecodable(report.stream_id));
        }
        self.streams.reports(report.stream_id, report.unique_id).then_some(DisplayEvent::StreamReport(report))
    }

    fn on_gl_done(&mut self) -> Result<DisplayEvent<'static>, PeerError> {
        if self.gl != Gl::Drawing {
            return Err(PeerError::Unexpected { message: "GL_DRAW_DONE", why: "no GL_DRAW is outstanding" });
        }
        self.gl = Gl::Idle;
        Ok(DisplayEvent::GlDrawDone)
    }

    fn heard<'m>(&mut self, now: Millis, message: ClientMessage<'m>) -> Result<Option<DisplayEvent<'m>>, PeerError> {
        use ClientMessage as M;
        Ok(match message {
            M::Common(m) => self.common.on_message(now, &m)?.map(DisplayEvent::Common),
            M::Init(m) => Some(self.on_init(m)?),
            M::StreamReport(m) => self.on_report(m),
            M::PreferredCompression(m) => {
                let known = m.image_compression != ImageCompression::INVALID && m.image_compression.name().is_some();
                known.then_some(DisplayEvent::PreferredCompression(m.image_compression))
            }
            M::GlDrawDone(_) => Some(self.on_gl_done()?),
            M::PreferredVideoCodecType(m) => {
                let codecs = m.codecs.items();
                (!codecs.is_empty()).then_some(DisplayEvent::PreferredVideoCodecs(codecs))
            }
        })
    }
}

/// What waits for room in the acknowledgement window: everything that shows something. The rest is
/// small, and holding it back would only leave the client with surfaces and streams that are gone.
const fn is_picture(message: &ServerMessage<'_>) -> bool {
    use ServerMessage as M;
    !matches!(
        message,
        M::Mark(_)
            | M::SurfaceCreate(_)
            | M::SurfaceDestroy(_)
            | M::MonitorsConfig(_)
            | M::StreamCreate(_)
            | M::StreamClip(_)
            | M::StreamDestroy(_)
            | M::StreamDestroyAll(_)
            | M::StreamActivateReport(_)
            | M::InvalList(_)
            | M::InvalAllPixmaps(_)
            | M::InvalPalette(_)
            | M::InvalAllPalettes(_)
            | M::Common(_)
    )
}

impl<const KEPT: usize> Channel for DisplayServer<KEPT> {
    type Message<'c> = ServerMessage<'c>;
    type Event<'m> = DisplayEvent<'m>;

    fn max_body(&self) -> usize {
        limits::DISPLAY_BODY
    }

    fn on_message<'m>(&mut self, now: Millis, id: u16, body: &'m [u8]) -> Result<Option<DisplayEvent<'m>>, PeerError> {
        match self.common.accept(now, ClientMessage::decode(id, body))? {
            Some(message) => self.heard(now, message),
            None => Ok(None),
        }
    }

    fn send(&mut self, _now: Millis, message: &ServerMessage<'_>, out: &mut [u8]) -> Result<Transmit, Refused> {
        self.check(message)?;
        if is_picture(message) && !self.common.may_send() {
            return Err(Refused::Hold);
        }
        let evicted = draws::source(message).map(|image| self.pixmaps.evicted_by(image)).unwrap_or_default();
        // Both or none of the two.
        let mut common = self.common.clone();
        let at = match evicted.as_slice() {
            [] => 0,
            resources => common.frame(&InvalList { resources: Counted::new(resources) }, out)?.head,
        };
        let room = out.get_mut(at..).unwrap_or_default();
        let transmit = common.frame_with(message.id(), message.size(), room, |w| message.encode(w))?;
        self.common = common;
        self.forget(&evicted);
        self.said(message);
        Ok(Transmit { head: at.saturating_add(transmit.head), body: transmit.body })
    }

    fn poll(&mut self, now: Millis, out: &mut [u8]) -> Result<Poll, EncodeError> {
        let common = self.common.poll(now, out)?;
        let (Poll::Wait(at), ClientState::Silent { until }) = (common, self.client) else { return Ok(common) };
        if now >= until {
            return Ok(Poll::Expired(Expired::Init));
        }
        Ok(Poll::Wait(Some(at.map_or(until, |at| at.min(until)))))
    }
}

#[cfg(test)]
mod tests;
