//! [`Hub`]: the video streams of one display, encoded once for all viewers that can share.
//!
//! ```text
//!  damage ─► plan: which areas are video ─► streams ─┐
//!                                                    ├─► a worker per stream and codec ─► newest packet
//!  a viewer that has room asks for the next picture ─┘
//! ```
//!
//! Viewers pull: nothing is encoded that nobody will send, and a worker always gets the newest
//! picture. Of each encoder only the newest packet is kept. A codec whose pictures depend on each
//! other forms a chain of packets; who missed one asks for a key frame.

mod worker;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sumac_backends::{self as backends, Codec, Frame, Packet, Rect as FrameRect, Tuning};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::config::{Config, StreamingVideo, VideoCodec};
use crate::plan::{Region, VideoPlan};
use crate::source::{Rect, Size};
pub(crate) use worker::Choice;
use worker::{Job, Outcome, Worker};

/// Shortest time between two key frames that were asked for by viewers who missed a packet.
const KEY_PAUSE: Duration = Duration::from_secs(1);

/// The streams of one display.
pub(crate) struct Hub {
    plan: RefCell<VideoPlan>,
    mode: StreamingVideo,
    size: Cell<Size>,
    streams: RefCell<Vec<Stream>>,
    choices: Rc<[Choice]>,
    epoch: Instant,
    next_key: Cell<u64>,
    done: Arc<Notify>,
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
    /// Counts the packets of one encoder.
    pub(crate) number: u64,
    /// Decodable on its own.
    pub(crate) keyframe: bool,
    /// Which picture it shows; compare with [`Hub::version`].
    pub(crate) version: u64,
    /// The coded size in pixels; may be a little larger than the stream's.
    pub(crate) size: Size,
    pub(crate) data: Bytes,
}

struct Stream {
    info: StreamInfo,
    /// Counts pictures in which the stream's area changed.
    version: u64,
    frame: Option<Frame>,
    encoders: Vec<SharedEncoder>,
}

struct SharedEncoder {
    codec: Codec,
    worker: Worker,
    packet: Option<StreamPacket>,
    packets: u64,
    key_wanted: bool,
    last_key: Option<Instant>,
    failed: bool,
}

impl Hub {
    /// Time on the plan's clock counts from `epoch`; `done` is notified when an encoder is done.
    pub(crate) fn new(config: &Config, choices: Rc<[Choice]>, epoch: Instant, done: Arc<Notify>) -> Self {
        Self {
            plan: RefCell::new(VideoPlan::new(config.streaming_video, config.size)),
            mode: config.streaming_video,
            size: Cell::new(config.size),
            streams: RefCell::default(),
            choices,
            epoch,
            next_key: Cell::new(1),
            done,
        }
    }

    /// Codecs that can be encoded here, in the order of the configuration.
    pub(crate) fn codecs(&self) -> impl Iterator<Item = Codec> {
        self.choices.iter().map(|choice| choice.codec)
    }

    /// Takes in a new picture and what changed in it; answers whether streams began, moved or ended.
    pub(crate) fn on_frame(&self, frame: &Frame, damage: &Region) -> bool {
        let layout = frame.layout();
        let size = Size { width: layout.width, height: layout.height };
        if self.size.replace(size) != size {
            *self.plan.borrow_mut() = VideoPlan::new(self.mode, size);
        }
        let now = self.epoch.elapsed();
        // What the plan says of changes is not needed: `follow` compares.
        drop(self.plan.borrow_mut().on_damage(now, damage, frame));
        let changed = self.on_time();
        for stream in self.streams.borrow_mut().iter_mut() {
            if damage.rects().iter().any(|rect| rect.intersect(stream.info.rect).is_some()) || stream.frame.is_none() {
                stream.version += 1;
                stream.frame = Some(frame.clone());
            }
        }
        changed
    }

    /// A deadline of the plan may have passed; answers whether streams began, moved or ended.
    pub(crate) fn on_time(&self) -> bool {
        drop(self.plan.borrow_mut().on_time(self.epoch.elapsed()));
        self.follow()
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
                streams.push(Stream { info, version: 0, frame: None, encoders: Vec::new() });
                changed = true;
            }
        }
        changed
    }

    /// When [`Self::on_time`] is to be called.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.plan.borrow().deadline().map(|at| self.epoch + at)
    }

    /// The streams there are.
    pub(crate) fn streams(&self) -> Vec<StreamInfo> {
        self.streams.borrow().iter().map(|s| s.info).collect()
    }

    /// Counts pictures of a stream; 0 when it is gone.
    pub(crate) fn version(&self, key: u64) -> u64 {
        self.streams.borrow().iter().find(|s| s.info.key == key).map_or(0, |s| s.version)
    }

    /// The newest packet of a stream in this codec.
    pub(crate) fn packet(&self, key: u64, codec: Codec) -> Option<StreamPacket> {
        self.with_encoder(key, codec, |e| e.packet.clone()).flatten()
    }

    /// Whether encoding the stream in this codec failed.
    pub(crate) fn failed(&self, key: u64, codec: Codec) -> bool {
        self.with_encoder(key, codec, |e| e.failed).unwrap_or(false)
    }

    /// A viewer has room for the stream's newest picture; with `key` it needs one that stands alone.
    pub(crate) fn request(&self, key: u64, codec: Codec, keyframe: bool) {
        let mut streams = self.streams.borrow_mut();
        let Some(stream) = streams.iter_mut().find(|s| s.info.key == key) else { return };
        if !stream.encoders.iter().any(|e| e.codec == codec) {
            let size = (stream.info.rect.width, stream.info.rect.height);
            let Some(choice) = self.choices.iter().find(|choice| choice.codec == codec) else { return };
            match Worker::start(choice, size, Arc::clone(&self.done)) {
                Ok(worker) => stream.encoders.push(SharedEncoder::new(codec, worker)),
                Err(error) => return tracing::error!(%error, "cannot start an encoder thread"),
            }
        }
        stream.encode(codec, keyframe);
    }

    /// Takes what encoders made; answers whether there was anything.
    pub(crate) fn collect(&self) -> bool {
        let mut any = false;
        for stream in self.streams.borrow_mut().iter_mut() {
            for encoder in &mut stream.encoders {
                any |= encoder.collect();
            }
        }
        any
    }

    fn with_encoder<T>(&self, key: u64, codec: Codec, f: impl FnOnce(&SharedEncoder) -> T) -> Option<T> {
        let streams = self.streams.borrow();
        let stream = streams.iter().find(|s| s.info.key == key)?;
        stream.encoders.iter().find(|e| e.codec == codec).map(f)
    }
}

impl Stream {
    /// Hands the newest picture to the encoder, unless it is busy or has encoded it already.
    fn encode(&mut self, codec: Codec, keyframe: bool) {
        let Some(encoder) = self.encoders.iter_mut().find(|e| e.codec == codec) else { return };
        encoder.key_wanted |= keyframe;
        let Some(frame) = &self.frame else { return };
        let forced = encoder.key_wanted && encoder.last_key.is_none_or(|at| at.elapsed() >= KEY_PAUSE);
        let current = encoder.packet.as_ref().is_some_and(|p| p.version == self.version);
        if encoder.failed || encoder.worker.is_busy() || (current && !forced) {
            return;
        }
        let Rect { x, y, width, height } = self.info.rect;
        let region = FrameRect { x, y, width, height };
        let job = Job { frame: frame.clone(), region, keyframe: forced, tag: self.version };
        if encoder.worker.submit(job) && forced {
            encoder.key_wanted = false;
        }
    }
}

impl SharedEncoder {
    fn new(codec: Codec, worker: Worker) -> Self {
        Self { codec, worker, packet: None, packets: 0, key_wanted: false, last_key: None, failed: false }
    }

    fn collect(&mut self) -> bool {
        match self.worker.take() {
            None => return false,
            Some(Outcome::Packet(packet)) => self.on_packet(packet),
            Some(Outcome::Skipped) => {}
            Some(Outcome::Failed(error)) => {
                tracing::warn!(codec = %self.codec, %error, "encoding failed");
                self.failed = true;
            }
        }
        true
    }

    fn on_packet(&mut self, packet: Packet) {
        self.packets += 1;
        if packet.keyframe {
            self.last_key = Some(Instant::now());
            self.key_wanted = false;
        }
        self.packet = Some(StreamPacket {
            number: self.packets,
            keyframe: packet.keyframe,
            version: packet.tag,
            size: Size { width: packet.width, height: packet.height },
            data: Bytes::from_owner(packet.data),
        });
    }
}

/// Who can encode which codec, asked once.
pub(crate) fn choices(codecs: &[VideoCodec]) -> Rc<[Choice]> {
    let reports = backends::registry::probe();
    codecs
        .iter()
        .filter_map(|&codec| {
            let codec = codec.name().parse().ok()?;
            let found = backends::registry::candidates(&reports, codec, (1, 1), &[]);
            // Says which library does the work: a faster one may not be installed.
            found.first().inspect(|best| tracing::info!("video: {best}"));
            let candidates: Rc<[_]> = found
                .iter()
                .filter_map(|c| Some((backends::registry::backend(c.backend)?, c.device.map(Into::into))))
                .collect();
            (!candidates.is_empty()).then(|| Choice { codec, candidates, tuning: Tuning::default() })
        })
        .collect()
}

#[cfg(test)]
mod tests;
