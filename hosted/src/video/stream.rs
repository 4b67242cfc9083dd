//! [`Stream`]: a video area, its newest picture, and the encoders that viewers of it share.
//!
//! Viewers that keep pace share one encoder, whose pictures depend on each other. Who falls behind
//! would need a key frame, and everybody would get it: so it goes down to the next *rung*, an
//! encoder that those share who fell behind. Each rung goes at the pace of its fastest viewer, so
//! that a slow one neither slows nor degrades another.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sumac_backends::{Codec, Dmabuf, Frame, Packet, Rate, Rect as FrameRect, Tuning};
use tokio::time::Instant;

use super::chain::{Chain, Next};
use super::encoders::Encoders;
use super::encoding::{Job, Outcome};
use super::steer::{Asker, Steer};
use super::worker::{Bell, Worker};
use super::{StreamInfo, StreamPacket};
use crate::ledger::{Count, Ledger, Step};
use crate::plan::looks_like_text;
use crate::source::{Rect, Size};

/// Encoders of a stream and codec, at most.
pub(crate) const RUNGS: u8 = 3;
/// How long a picture that was left out waits for the next one before it is tried again.
const SKIPPED_AGAIN: Duration = Duration::from_millis(100);
/// How long a draw waits for a busy encoder.
const DRAW_WAITS: Duration = Duration::from_millis(100);
/// How long it waits for viewers to ask for it: the draw wakes them, and who has room asks at once.
const ASKING: Duration = Duration::from_millis(10);
/// The time between pictures before it is known, and its bounds.
const INTERVAL: Duration = Duration::from_millis(33);
const INTERVAL_LEAST: Duration = Duration::from_millis(8);
const INTERVAL_MOST: Duration = Duration::from_millis(250);
/// A rung that nobody asked for so long is not waited for.
const DESERTED: Duration = Duration::from_millis(500);

pub(super) struct Stream {
    pub(super) info: StreamInfo,
    /// Codecs that somebody encodes in its size.
    codecs: Vec<Codec>,
    /// Counts pictures in which the stream's area changed.
    pub(super) version: u64,
    /// The newest picture, for whoever comes while nothing changes.
    frame: Option<Frame>,
    /// The same with the draw's completion, until encoders have read it.
    draw: Option<Frame>,
    /// When it changed last, and the time between changes, on average.
    shown: Option<Instant>,
    interval: Duration,
    rungs: Vec<Rung>,
    /// Its packets come from the guest.
    guest: Option<Chain>,
}

/// One encoder and who follows it.
struct Rung {
    codec: Codec,
    level: u8,
    /// `None` when nobody encodes this any more.
    worker: Option<Worker>,
    chain: Chain,
    steer: Steer,
    /// Somebody has room for the newest picture.
    wanted: bool,
    key_wanted: bool,
    /// The version that was handed to the encoder last.
    begun: u64,
    /// When that picture changed, and when it was handed over.
    times: (Instant, Instant),
    ledger: Arc<Ledger>,
    /// The next picture is begun then at the earliest.
    due: Instant,
    /// When somebody asked last.
    asked: Instant,
}

/// What a rung is like when no link is the limit; the lower ones are for links that do not carry all.
#[derive(Clone, Copy)]
struct Pace {
    /// The least time between two pictures.
    least: Duration,
    quality: u8,
    fps: u32,
}

const PACES: [Pace; RUNGS as usize] = [
    Pace { least: Duration::ZERO, quality: 90, fps: 30 },
    Pace { least: Duration::from_millis(66), quality: 80, fps: 15 },
    Pace { least: Duration::from_millis(125), quality: 60, fps: 8 },
];

fn pace(level: u8) -> Pace {
    let [.., lowest] = PACES;
    PACES.get(usize::from(level)).copied().unwrap_or(lowest)
}

/// The best quality that is worth its bytes and its time. Text needs the finer one in MJPEG (38 dB);
/// elsewhere most of what the coarser loses is lost to the resolution of colours anyway: a film has
/// 0.3 to 0.7 dB less, and three quarters (MJPEG) or half of the bytes.
fn finest(codec: Codec, is_text: bool) -> u8 {
    if codec == Codec::Mjpeg && is_text { 90 } else { 85 }
}

impl Stream {
    pub(super) fn new(info: StreamInfo, encoders: &Encoders) -> Self {
        let size = (info.rect.width, info.rect.height);
        let codecs = encoders.codecs().filter(|codec| encoders.can(*codec, size)).collect();
        Self::of(info, codecs, None)
    }

    /// A stream that the guest codes.
    pub(super) fn of_guest(info: StreamInfo, codec: Codec) -> Self {
        Self::of(info, vec![codec], Some(Chain::default()))
    }

    fn of(info: StreamInfo, codecs: Vec<Codec>, guest: Option<Chain>) -> Self {
        let (version, interval, rungs) = (0, INTERVAL, Vec::new());
        Self { info, codecs, version, frame: None, draw: None, shown: None, interval, rungs, guest }
    }

    /// The guest coded a picture; answers the packet's number.
    pub(super) fn on_packet(&mut self, packet: StreamPacket) -> u64 {
        self.version += 1;
        let packet = StreamPacket { version: self.version, ..packet };
        self.guest.as_mut().map_or(0, |chain| chain.push(packet))
    }

    /// Whether it has a picture.
    pub(super) fn has_picture(&self) -> bool {
        self.frame.is_some()
    }

    /// Whether its encoders take pictures of this buffer, too: they were opened for a layout.
    pub(super) fn is_like(&self, dmabuf: &Dmabuf) -> bool {
        let layout = |d: &Dmabuf| d.planes().iter().map(|plane| (plane.offset, plane.stride)).collect::<Vec<_>>();
        let before = self.frame.as_ref().and_then(Frame::dmabuf);
        before.is_some_and(|before| before.shape() == dmabuf.shape() && layout(before) == layout(dmabuf))
    }

    /// The next picture will be in this buffer, and nobody reads the one before any more.
    pub(super) fn scan_out(&mut self, dmabuf: &Dmabuf) {
        self.draw = None;
        self.frame = Some(Frame::from_dmabuf(dmabuf.clone()));
    }

    /// A new picture. One in dmabufs is a draw whose completion is a handle to it: that one is held
    /// only as long as encoders are about to read it.
    pub(super) fn show(&mut self, frame: &Frame, now: Instant) {
        self.version += 1;
        if let Some(before) = self.shown.replace(now) {
            let gap = now.saturating_duration_since(before).clamp(INTERVAL_LEAST, INTERVAL_MOST);
            self.interval = (self.interval * 7 + gap) / 8;
        }
        self.draw = None;
        match frame.dmabuf() {
            None => self.frame = Some(frame.clone()),
            Some(dmabuf) => {
                self.frame = Some(Frame::from_dmabuf(dmabuf.clone()));
                self.draw = self.draw_until().is_some().then(|| frame.clone());
            }
        }
    }

    /// Whether it can be had in this codec: somebody encodes its size, and did not fail to on this
    /// rung.
    pub(super) fn can(&self, codec: Codec, level: u8) -> bool {
        self.codecs.contains(&codec) && self.rung(codec, level).is_none_or(|rung| rung.worker.is_some())
    }

    /// What somebody on this rung gets who got the packet `number` last.
    pub(super) fn after(&self, codec: Codec, level: u8, number: u64) -> Next {
        let rung = || self.rung(codec, level).map(|rung| &rung.chain);
        self.guest.as_ref().or_else(rung).map_or(Next::UpToDate, |chain| chain.after(number))
    }

    /// Somebody has room for the newest picture; with `keyframe` it needs one that stands alone.
    pub(super) fn request(
        &mut self,
        asker: Asker,
        (codec, level): (Codec, u8),
        keyframe: bool,
        encoders: &Encoders,
        bell: &Bell,
    ) {
        if self.guest.is_some() {
            return;
        }
        let now = Instant::now();
        if self.rung(codec, level).is_none() {
            let Rect { width, height, .. } = self.info.rect;
            let candidates = encoders.candidates(codec, (width, height));
            let ledger = Arc::clone(&encoders.ledger);
            let worker = Worker::start(codec, candidates, bell.clone(), Arc::clone(&ledger));
            if let Err(error) = &worker {
                tracing::error!(%error, "cannot start an encoder thread");
            }
            let ceiling = pace(level).quality.min(finest(codec, self.may_be_text()));
            self.rungs.push(Rung::new(codec, level, ceiling, worker.ok(), now, ledger));
        }
        if let Some(rung) = self.rungs.iter_mut().find(|rung| rung.is(codec, level)) {
            rung.asked = now;
            rung.steer.asked(asker, now);
            rung.key_wanted |= keyframe;
            // Who asks while a picture is under way asks again when it has that.
            rung.wanted |= rung.worker.as_ref().is_some_and(|worker| !worker.is_busy());
        }
        self.encode(now);
    }

    /// Takes what encoders made; answers whether there was anything.
    pub(super) fn collect(&mut self) -> bool {
        let now = Instant::now();
        let interval = self.interval;
        let taken = self.rungs.iter_mut().filter_map(|rung| rung.collect(interval, now)).count();
        self.encode(now);
        taken > 0
    }

    /// Hands the newest picture to the encoders for which the time has come, and lets go of a draw
    /// that nobody is about to read.
    pub(super) fn encode(&mut self, now: Instant) {
        let Self { info, version, frame, draw, rungs, shown, .. } = self;
        let Rect { x, y, width, height } = info.rect;
        let region = FrameRect { x, y, width, height };
        if let Some(frame) = draw.as_ref().or(frame.as_ref()) {
            for rung in rungs.iter_mut().filter(|rung| rung.wants(*version) && rung.due <= now) {
                let (keyframe, tuning) = (rung.key_wanted, rung.tuning());
                let job = Job { frame: frame.clone(), region, keyframe, tag: *version, tuning };
                rung.submit(job, shown.unwrap_or(now), now);
            }
        }
        if self.draw_until().is_none_or(|until| until <= now) {
            self.draw = None;
        }
    }

    /// How long the newest draw waits to be read; `None` when nobody is about to.
    fn draw_until(&self) -> Option<Instant> {
        let shown = self.shown?;
        let behind = self.rungs.iter().filter(|rung| rung.is_behind(self.version, shown));
        behind.map(|rung| shown + if rung.is_asked() { DRAW_WAITS } else { ASKING }).max()
    }

    /// When [`Self::encode`] is to be called.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let due =
            self.rungs.iter().filter(|rung| self.frame.is_some() && rung.wants(self.version)).map(|rung| rung.due);
        due.chain(self.draw.as_ref().and_then(|_| self.draw_until())).min()
    }

    /// Whether its picture is text, or cannot be looked at.
    fn may_be_text(&self) -> bool {
        let is_text = |frame: &Frame| frame.dmabuf().is_some() || looks_like_text(frame, self.info.rect);
        self.frame.as_ref().is_none_or(is_text)
    }

    fn rung(&self, codec: Codec, level: u8) -> Option<&Rung> {
        self.rungs.iter().find(|rung| rung.is(codec, level))
    }
}

impl Rung {
    fn new(codec: Codec, level: u8, ceiling: u8, worker: Option<Worker>, now: Instant, ledger: Arc<Ledger>) -> Self {
        Self {
            codec,
            level,
            worker,
            chain: Chain::default(),
            steer: Steer::new(ceiling),
            wanted: false,
            key_wanted: false,
            begun: 0,
            times: (now, now),
            ledger,
            due: now,
            asked: now,
        }
    }

    fn is(&self, codec: Codec, level: u8) -> bool {
        (self.codec, self.level) == (codec, level)
    }

    /// Whether it is to encode this version, as soon as it is due.
    fn wants(&self, version: u64) -> bool {
        let idle = self.worker.as_ref().is_some_and(|worker| !worker.is_busy());
        let current = self.chain.newest().is_some_and(|packet| packet.version == version);
        idle && (self.key_wanted || self.wanted && !current)
    }

    /// Whether it will read the newest picture when it can.
    fn is_asked(&self) -> bool {
        self.wanted || self.key_wanted || self.worker.as_ref().is_some_and(Worker::is_busy)
    }

    /// Whether it is about to read this version and has not begun. Only the uppermost rung is waited
    /// for: the others are for viewers that are slow.
    fn is_behind(&self, version: u64, now: Instant) -> bool {
        let follows = self.worker.is_some() && self.level == 0 && now < self.asked + DESERTED;
        follows && self.begun < version
    }

    /// `changed` is when the job's picture did.
    fn submit(&mut self, job: Job, changed: Instant, now: Instant) {
        let version = job.tag;
        if self.worker.as_mut().is_some_and(|worker| worker.submit(job)) {
            (self.wanted, self.key_wanted, self.begun, self.times) = (false, false, version, (changed, now));
            self.due = now + pace(self.level).least;
        }
    }

    /// How the next picture is to be encoded.
    fn tuning(&self) -> Tuning {
        Tuning { rate: Rate::Quality(self.steer.quality()), fps: pace(self.level).fps }
    }

    fn collect(&mut self, interval: Duration, now: Instant) -> Option<()> {
        match self.worker.as_mut()?.take()? {
            Outcome::Packet(packet) => {
                // A key frame among others is no measure of them.
                let coarser_follows = (self.codec == Codec::Mjpeg || !packet.keyframe)
                    && self.steer.encoded(packet.data.len(), interval.max(pace(self.level).least));
                let (changed, begun) = self.times;
                self.ledger.note(Step::Encode, now.saturating_duration_since(begun));
                self.ledger.add(Count::Frames, 1);
                self.ledger.add(Count::KeyFrames, packet.keyframe.into());
                self.chain.push(StreamPacket { coarser_follows, ..stream_packet(packet, changed) });
            }
            Outcome::Skipped => {
                self.wanted = true;
                self.due = now + SKIPPED_AGAIN;
            }
            Outcome::Failed(error) => {
                tracing::warn!(codec = %self.codec, %error, "a stream cannot be encoded");
                self.worker = None;
            }
        }
        Some(())
    }
}

/// The chain gives it its number.
fn stream_packet(packet: Packet, changed: Instant) -> StreamPacket {
    StreamPacket {
        number: 0,
        keyframe: packet.keyframe,
        version: packet.tag,
        changed,
        size: Size { width: packet.width, height: packet.height },
        coarser_follows: false,
        data: Bytes::from_owner(packet.data),
    }
}
