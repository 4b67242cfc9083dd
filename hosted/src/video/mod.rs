//! [`Hub`]: the video streams of one display, encoded once for all viewers that can share.
//!
//! ```text
//!  damage ─► plan: which areas are video ─► streams ─┐
//!                                                    ├─► a worker per stream, codec, rung ─► newest packets
//!  a viewer that has room asks for the next picture ─┘
//! ```
//!
//! Viewers pull: nothing is encoded that nobody will send, and a worker always gets the newest
//! picture. Of each encoder a few of the newest packets are kept. A codec whose pictures depend on
//! each other forms a chain of packets; who missed one needs a key frame, and goes down a rung for
//! it.

mod chain;
#[cfg(test)]
pub(crate) mod double;
mod encoders;
mod encoding;
mod gl;
mod guest;
mod steer;
mod stream;
#[cfg(test)]
mod tests;
mod worker;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use bytes::Bytes;
use sumac_backends::{Codec, Frame};
use sumac_core::proto::stream::VideoCodec;
use tokio::time::Instant;

pub(crate) use chain::Next;
pub(crate) use encoders::Encoders;
use guest::Guest;
pub(crate) use steer::Asker;
pub(crate) use stream::RUNGS;
use stream::Stream;
pub(crate) use worker::Bell;

use crate::config::{Config, StreamingVideo};
use crate::plan::{Region, VideoPlan};
use crate::source::{Rect, Size};

/// The streams of one display.
pub(crate) struct Hub {
    plan: RefCell<VideoPlan>,
    mode: StreamingVideo,
    size: Cell<Size>,
    streams: RefCell<Vec<Stream>>,
    encoders: Rc<Encoders>,
    epoch: Instant,
    next_key: Cell<u64>,
    next_viewer: Cell<u64>,
    /// The display is in GL.
    gl: Cell<bool>,
    /// The guest codes the display.
    guest: RefCell<Option<Guest>>,
    bell: Bell,
}

/// A stream as viewers see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StreamInfo {
    /// Never used twice: tells a stream from a later one with the same id.
    pub(crate) key: u64,
    /// The id on the wire, below 64.
    pub(crate) id: u8,
    /// Where it is.
    pub(crate) rect: Rect,
}

/// An encoded picture of a stream.
#[derive(Clone, Debug)]
pub(crate) struct StreamPacket {
    /// Counts the packets of one encoder, from 1.
    pub(crate) number: u64,
    /// Decodable on its own.
    pub(crate) keyframe: bool,
    /// Which picture it shows; compare with [`Hub::version`].
    pub(crate) version: u64,
    /// When that picture changed.
    pub(crate) changed: Instant,
    /// The coded size in pixels; may be a little larger than the stream's.
    pub(crate) size: Size,
    /// The next one will have half the bytes or fewer, because it is more than those who asked can be
    /// sent.
    pub(crate) coarser_follows: bool,
    pub(crate) data: Bytes,
}

/// The protocol's number of a codec, if it has one.
pub(crate) fn wire_codec(codec: Codec) -> Option<VideoCodec> {
    match codec {
        Codec::Mjpeg => Some(VideoCodec::MJPEG),
        Codec::Vp8 => Some(VideoCodec::VP8),
        Codec::H264 => Some(VideoCodec::H264),
        Codec::Vp9 => Some(VideoCodec::VP9),
        Codec::Hevc => Some(VideoCodec::H265),
        _ => None,
    }
}

/// The codec of this number, if there is one.
pub(crate) fn codec_of(wire: VideoCodec) -> Option<Codec> {
    Codec::ALL.into_iter().find(|&codec| wire_codec(codec) == Some(wire))
}

impl Hub {
    /// Time on the plan's clock counts from `epoch`; `bell` rings when an encoder is done.
    pub(crate) fn new(config: &Config, encoders: Rc<Encoders>, epoch: Instant, bell: Bell) -> Self {
        Self {
            plan: RefCell::new(VideoPlan::new(config.streaming_video, config.size)),
            mode: config.streaming_video,
            size: Cell::new(config.size),
            streams: RefCell::default(),
            encoders,
            epoch,
            next_key: Cell::new(1),
            next_viewer: Cell::new(1),
            gl: Cell::default(),
            guest: RefCell::default(),
            bell,
        }
    }

    /// An id for a new viewer.
    pub(crate) fn viewer(&self) -> u64 {
        self.next_viewer.replace(self.next_viewer.get() + 1)
    }

    /// Codecs that can be encoded here, the most wanted first.
    pub(crate) fn codecs(&self) -> impl Iterator<Item = Codec> {
        self.encoders.codecs()
    }

    /// Takes in a new picture, what changed in it, and where that only moved; answers whether streams
    /// began, moved or ended.
    pub(crate) fn on_frame(&self, frame: &Frame, damage: &Region, moved: Option<Rect>) -> bool {
        let layout = frame.layout();
        let size = Size { width: layout.width, height: layout.height };
        if self.size.replace(size) != size {
            *self.plan.borrow_mut() = VideoPlan::new(self.mode, size);
        }
        let now = self.epoch.elapsed();
        // What the plan says of changes is not needed: `follow` compares.
        let mut fresh = damage.clone();
        // What scrolls is moved on the client, and is no video.
        moved.filter(|rect| !self.is_video(*rect)).iter().for_each(|rect| fresh.subtract(*rect));
        drop(self.plan.borrow_mut().on_damage(now, &fresh, frame));
        let changed = self.on_time();
        for stream in self.streams.borrow_mut().iter_mut() {
            if damage.intersects(stream.info.rect) || !stream.has_picture() {
                stream.show(frame, Instant::now());
            }
        }
        changed
    }

    fn is_video(&self, rect: Rect) -> bool {
        self.streams.borrow().iter().any(|stream| stream.info.rect.intersect(rect).is_some())
    }

    /// A deadline may have passed; answers whether streams began, moved or ended.
    pub(crate) fn on_time(&self) -> bool {
        self.ring_guest(Instant::now());
        let changed = !self.gl.get() && {
            drop(self.plan.borrow_mut().on_time(self.epoch.elapsed()));
            self.follow()
        };
        self.streams.borrow_mut().iter_mut().for_each(|stream| stream.encode(Instant::now()));
        changed
    }

    /// Makes the streams those of the plan.
    fn follow(&self) -> bool {
        let plan = self.plan.borrow();
        let mut streams = self.streams.borrow_mut();
        let before = streams.len();
        let planned = plan.streams();
        streams.retain(|s| planned.iter().any(|p| p.id == s.info.id && p.rect == s.info.rect));
        let mut changed = streams.len() != before;
        for p in planned {
            if !streams.iter().any(|s| s.info.id == p.id) {
                let key = self.next_key.get();
                self.next_key.set(key + 1);
                let info = StreamInfo { key, id: p.id, rect: p.rect };
                streams.push(Stream::new(info, &self.encoders));
                changed = true;
            }
        }
        changed
    }

    /// When [`Self::on_time`] is to be called.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let plan = self.plan.borrow().deadline().filter(|_| !self.gl.get()).map(|at| self.epoch + at);
        self.streams.borrow().iter().filter_map(Stream::deadline).chain(plan).chain(self.guest_deadline()).min()
    }

    /// The streams there are.
    pub(crate) fn streams(&self) -> Vec<StreamInfo> {
        self.streams.borrow().iter().map(|s| s.info).collect()
    }

    /// Counts pictures of a stream; 0 when it is gone.
    pub(crate) fn version(&self, key: u64) -> u64 {
        self.with(key, |stream| stream.version).unwrap_or(0)
    }

    /// What a viewer gets of a stream in this codec that got the packet `number` last on this rung,
    /// 0 for none.
    pub(crate) fn after(&self, key: u64, codec: Codec, rung: u8, number: u64) -> Next {
        self.with(key, |stream| stream.after(codec, rung, number)).unwrap_or(Next::UpToDate)
    }

    /// Whether the stream can be had in this codec on this rung.
    pub(crate) fn can(&self, key: u64, codec: Codec, rung: u8) -> bool {
        self.with(key, |stream| stream.can(codec, rung)).unwrap_or(false)
    }

    /// A viewer has room for the stream's newest picture; with `keyframe` it needs one that stands
    /// alone.
    pub(crate) fn request(&self, asker: Asker, key: u64, codec: Codec, rung: u8, keyframe: bool) {
        if keyframe && self.want_guest_key() {
            return;
        }
        let mut streams = self.streams.borrow_mut();
        if let Some(stream) = streams.iter_mut().find(|s| s.info.key == key) {
            stream.request(asker, (codec, rung), keyframe, &self.encoders, &self.bell);
        }
    }

    /// Ends all streams: encoders finish the picture at hand and let go of their frames.
    pub(crate) fn end(&self) {
        self.streams.borrow_mut().clear();
    }

    /// Takes what encoders made; answers whether there was anything.
    pub(crate) fn collect(&self) -> bool {
        self.streams.borrow_mut().iter_mut().filter_map(|stream| stream.collect().then_some(())).count() > 0
    }

    fn with<T>(&self, key: u64, f: impl FnOnce(&Stream) -> T) -> Option<T> {
        self.streams.borrow().iter().find(|s| s.info.key == key).map(f)
    }
}
