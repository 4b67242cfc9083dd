//! One viewer's video streams: which it has, in which codec, and what it is sent next.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use sumac_backends::Codec;
use sumac_core::channel::Refused;
use sumac_core::channel::display::DisplayServer;
use sumac_core::proto::caps::DisplayCaps;
use sumac_core::proto::display::ServerMessage;
use sumac_core::proto::shape::Clip;
use sumac_core::proto::stream::{
    StreamActivateReport, StreamCreate, StreamData, StreamDestroy, StreamFlags, StreamReport, VideoCodec,
};
use sumac_core::wire::{Counted, Data, Sized32};
use tokio::time::Instant;

use super::allowance::Allowance;
use super::display;
use super::follower::{Follower, KeyFrames};
use super::picture::{draw_jpeg, wire_rect};
use super::slack::Slack;
use crate::connection::{Close, Line};
use crate::plan::Region;
use crate::scene::Viewer;
use crate::source::{Rect, Size};
use crate::video::{Asker, Hub, Next, StreamInfo, StreamPacket, codec_of, wire_codec};

/// The longest time between reports.
const REPORT_MS: u32 = 1000;
/// A JPEG that is on the way for longer is left out when a coarser one follows.
const TOO_LONG: Duration = Duration::from_millis(100);
/// An access unit delimiter and the start of one more NAL unit: without them spice-gtk's parser
/// holds each H.264 picture back until the next one begins.
const H264_FLUSH: [u8; 13] = [0, 0, 0, 1, 9, 0xf0, 0, 0, 0, 1, 12, 0xff, 0x80];

/// The streams of one viewer.
pub(super) struct Streams {
    hub: Rc<Hub>,
    viewer: Rc<Viewer>,
    /// Codecs in the client's order of preference, its own wish first.
    codecs: Option<Vec<Codec>>,
    undecodable: Vec<Codec>,
    wanted: Vec<Wanted>,
    keys: KeyFrames,
    next_report: u32,
    /// This viewer's id at the hub.
    id: u64,
    allowance: Allowance,
    /// How far the client's clock went ahead of ours, in milliseconds.
    drift: i32,
}

/// A stream of the hub as this viewer takes it.
struct Wanted {
    info: StreamInfo,
    codec: Codec,
    /// The coded size that STREAM_CREATE told, once it was sent.
    created: Option<Size>,
    /// Its pictures go as drawings: a stream's would come at the wrong time.
    drawn: bool,
    follower: Follower,
    report: u32,
    slack: Slack,
}

impl Streams {
    pub(super) fn new(hub: Rc<Hub>, viewer: Rc<Viewer>) -> Self {
        Self {
            id: hub.viewer(),
            hub,
            viewer,
            codecs: None,
            undecodable: Vec::new(),
            wanted: Vec::new(),
            keys: KeyFrames::new(Instant::now()),
            next_report: 1,
            allowance: Allowance::default(),
            drift: 0,
        }
    }

    /// Says what is due: ends, begins and feeds streams.
    pub(super) fn update(&mut self, line: &mut Line<DisplayServer>) -> Result<(), Close> {
        self.follow_hub(line)?;
        for at in 0..self.wanted.len() {
            if !line.machine.common().may_send() {
                return Ok(());
            }
            self.feed(line, at)?;
        }
        Ok(())
    }

    /// Where the guest codes the display, it does it for this client, too; answers the size of its
    /// pictures if there are some.
    pub(super) fn attend(&self, line: &Line<DisplayServer>) -> Option<Size> {
        let decodes = |codec: &Codec| wire_codec(*codec).is_some_and(|wire| line.machine.decodes(wire));
        let codecs = Codec::ALL.into_iter().filter(|codec| decodes(codec) && !self.undecodable.contains(codec));
        self.hub.attend(self.id, &codecs.collect::<Vec<_>>());
        self.hub.guest_format().map(|(_, size)| size)
    }

    /// Whether the guest codes the display.
    pub(super) fn is_guest(&self) -> bool {
        self.hub.guest_format().is_some()
    }

    /// Codecs of the streams that the client shows.
    pub(super) fn shown(&self) -> impl Iterator<Item = Codec> + Clone {
        self.wanted.iter().filter(|wanted| wanted.created.is_some() || wanted.drawn).map(|wanted| wanted.codec)
    }

    /// Too much is on the way for anything: a picture that has to wait for that says what the link
    /// carries.
    pub(super) fn hold(&mut self, line: &Line<DisplayServer>) {
        let waits = |wanted: &Wanted| {
            (wanted.created.is_some() || wanted.drawn) && self.hub.version(wanted.info.key) > wanted.follower.version()
        };
        if self.wanted.iter().any(waits) {
            self.allowance.held_up(line.link(), Instant::now());
        }
    }

    /// Whether pictures are timed for a client that does not tell how they arrive.
    pub(super) fn are_unheard(&self, line: &Line<DisplayServer>) -> bool {
        let reports = line.machine.caps().contains(DisplayCaps::STREAM_REPORT);
        !reports && self.wanted.iter().any(|wanted| wanted.created.is_some())
    }

    /// The surface goes: all streams on it end.
    pub(super) fn end_all(&mut self, line: &mut Line<DisplayServer>) -> Result<(), Close> {
        while let Some(wanted) = self.wanted.pop() {
            end(line, &wanted)?;
        }
        self.cover();
        Ok(())
    }

    /// How pictures arrived.
    pub(super) fn on_report(&mut self, line: &mut Line<DisplayServer>, report: &StreamReport) -> Result<(), Close> {
        let Some(wanted) = self.wanted.iter_mut().find(|w| w.created.is_some() && w.report == report.unique_id) else {
            return Ok(());
        };
        let anew = wanted.slack.on_report(report, line.now().mm_time());
        self.drift = wanted.slack.drift();
        if wanted.slack.is_hopeless() {
            tracing::debug!(id = wanted.info.id, "pictures arrive at no predictable time: they go as drawings");
            end(line, wanted)?;
            (wanted.created, wanted.drawn) = (None, true);
            return Ok(());
        }
        if anew { activate_report(line, wanted) } else { Ok(()) }
    }

    /// The client cannot decode this stream: never again in that codec.
    pub(super) fn on_undecodable(&mut self, line: &mut Line<DisplayServer>, id: u32) -> Result<(), Close> {
        let Some(at) = self.wanted.iter().position(|w| w.created.is_some() && u32::from(w.info.id) == id) else {
            return Ok(());
        };
        let wanted = self.wanted.swap_remove(at);
        tracing::info!(codec = %wanted.codec, id, "the client cannot decode the stream");
        self.undecodable.push(wanted.codec);
        self.end(line, &wanted, &[])
    }

    /// The client's order of codecs: streams that another one is better for start anew in that.
    pub(super) fn on_preferred(&mut self, line: &mut Line<DisplayServer>, numbers: &[u8]) -> Result<(), Close> {
        let named = numbers.iter().filter_map(|&n| codec_of(VideoCodec(n)));
        let rest: Vec<Codec> = self.hub.codecs().collect();
        let mut codecs: Vec<Codec> = named.filter(|codec| rest.contains(codec)).collect();
        codecs.extend(rest.iter().filter(|codec| !codecs.contains(codec)).copied().collect::<Vec<_>>());
        self.codecs = Some(codecs);
        let mut at = 0;
        while let Some(wanted) = self.wanted.get(at) {
            if self.choose(line, wanted.info.key) == Some(wanted.codec) {
                at += 1;
            } else {
                let wanted = self.wanted.swap_remove(at);
                self.end(line, &wanted, &[])?;
            }
        }
        Ok(())
    }

    /// Ends what the hub ended or cannot encode, wants what it began.
    fn follow_hub(&mut self, line: &mut Line<DisplayServer>) -> Result<(), Close> {
        let there = self.hub.streams();
        let taken: Vec<_> = there.iter().copied().filter(|info| self.choose(line, info.key).is_some()).collect();
        let mut at = 0;
        while let Some(wanted) = self.wanted.get(at) {
            let lives =
                there.contains(&wanted.info) && self.hub.can(wanted.info.key, wanted.codec, wanted.follower.rung());
            if lives {
                at += 1;
            } else {
                let wanted = self.wanted.swap_remove(at);
                self.end(line, &wanted, &taken)?;
            }
        }
        for info in taken {
            if self.wanted.iter().any(|w| w.info.key == info.key) {
                continue;
            }
            if let Some(codec) = self.choose(line, info.key) {
                let report = self.next_report;
                self.next_report += 1;
                let slack = Slack::new(codec, self.drift);
                let follower = Follower::new();
                self.wanted.push(Wanted { info, codec, created: None, drawn: false, follower, report, slack });
                self.allowance.begin(line.link(), Instant::now());
                self.cover();
            }
        }
        Ok(())
    }

    /// Whether the client has a codec for every stream there is.
    pub(super) fn can_show_all(&self, line: &Line<DisplayServer>) -> bool {
        self.hub.streams().iter().all(|info| self.choose(line, info.key).is_some())
    }

    fn choose(&self, line: &Line<DisplayServer>, key: u64) -> Option<Codec> {
        let fits = |codec: &Codec| {
            wire_codec(*codec).is_some_and(|wire| line.machine.decodes(wire))
                && !self.undecodable.contains(codec)
                && self.hub.can(key, *codec, 0)
        };
        if let Some((codec, _)) = self.hub.guest_format() {
            return Some(codec).filter(fits);
        }
        match &self.codecs {
            Some(order) => order.iter().copied().find(fits),
            None => self.hub.codecs().find(fits),
        }
    }

    /// Sends the packets that are due as long as there is room, and asks for the next picture.
    fn feed(&mut self, line: &mut Line<DisplayServer>, at: usize) -> Result<(), Close> {
        let now = Instant::now();
        let asker = Asker { id: self.id, allowance: self.allowance.each_of(self.wanted.len()) };
        while let Some(wanted) = self.wanted.get_mut(at) {
            let (key, codec, follower) = (wanted.info.key, wanted.codec, &mut wanted.follower);
            match self.hub.after(key, codec, follower.rung(), follower.number()) {
                Next::Packet(packet) => {
                    if !line.has_room() {
                        self.allowance.held_up(line.link(), now);
                        return Ok(());
                    }
                    self.allowance.passed(now);
                    if codec == Codec::Mjpeg
                        && packet.coarser_follows
                        && line.link().delay(packet.data.len()) > TOO_LONG
                    {
                        follower.left_out(&packet);
                        // The next one, also when nothing changed since.
                        self.hub.request(asker, key, codec, follower.rung(), true);
                        return Ok(());
                    }
                    if !send_packet(line, wanted, &packet)? {
                        return Ok(());
                    }
                    self.hub.sent(self.id, packet.number);
                }
                Next::Missed => {
                    let rung = follower.rung();
                    let keyframe = follower.missed(&mut self.keys, now);
                    if rung == follower.rung() {
                        if keyframe {
                            self.hub.request(asker, key, codec, rung, true);
                        }
                        return Ok(());
                    }
                }
                Next::UpToDate if follower.climb(now) => {}
                Next::UpToDate => {
                    if self.hub.version(key) <= follower.version() {
                        return Ok(());
                    }
                    if line.has_room() {
                        self.hub.request(asker, key, codec, follower.rung(), false);
                    } else {
                        self.allowance.held_up(line.link(), now);
                    }
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Ends a stream. What the video left behind is replaced by the exact pixels, except where one
    /// of `successors` goes on: a stream that grew is not sent as a picture in between.
    fn end(&self, line: &mut Line<DisplayServer>, wanted: &Wanted, successors: &[StreamInfo]) -> Result<(), Close> {
        end(line, wanted)?;
        self.cover();
        let mut left = Region::from(wanted.info.rect);
        successors.iter().for_each(|next| left.subtract(next.rect));
        self.viewer.damaged(&left);
        Ok(())
    }

    /// Tells the scene which areas need no pictures beside the video, from the moment on that there is
    /// to be some: on a slow link pictures would leave no room for its first packet.
    fn cover(&self) {
        self.viewer.cover(self.wanted.iter().map(|w| w.info.rect).collect());
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        self.hub.leave(self.id);
    }
}

/// Sends a packet, in a stream that is created for its size if need be; `false` when the client has
/// to acknowledge something first.
fn send_packet(line: &mut Line<DisplayServer>, wanted: &mut Wanted, packet: &StreamPacket) -> Result<bool, Close> {
    if !wanted.drawn && wanted.created != Some(packet.size) {
        // Another encoder may code another size, such as a multiple of 16.
        end(line, wanted)?;
        create(line, wanted, packet)?;
        wanted.created = Some(packet.size);
    }
    let sent = if wanted.drawn { send_drawing(line, wanted, packet)? } else { send_data(line, wanted, packet)? };
    if sent {
        // The first one shows what may have changed long before.
        if wanted.follower.number() != 0 {
            line.shown(packet.changed);
        }
        wanted.follower.sent(packet);
    }
    Ok(sent)
}

fn create(line: &mut Line<DisplayServer>, wanted: &Wanted, packet: &StreamPacket) -> Result<(), Close> {
    let Some(codec) = wire_codec(wanted.codec) else { return Ok(()) };
    let id = u32::from(wanted.info.id);
    let Size { width, height } = packet.size;
    // What was coded beyond the area is cut off: another destination would scale the picture.
    let (area, dest) = (wire_rect(wanted.info.rect), wire_rect(Rect { width, height, ..wanted.info.rect }));
    let clip = if dest == area { Clip::None } else { Clip::Rects(Counted::new(std::slice::from_ref(&area))) };
    let create = StreamCreate {
        surface_id: 0,
        id,
        flags: StreamFlags::TOP_DOWN,
        codec,
        stamp: 0,
        stream_width: width,
        stream_height: height,
        src_width: width,
        src_height: height,
        dest,
        clip,
    };
    display::send(line, &ServerMessage::StreamCreate(create))?;
    activate_report(line, wanted)
}

/// Asks the client to tell how the stream's pictures arrive.
fn activate_report(line: &mut Line<DisplayServer>, wanted: &Wanted) -> Result<(), Close> {
    if !line.machine.caps().contains(DisplayCaps::STREAM_REPORT) {
        return Ok(());
    }
    let activate = StreamActivateReport {
        stream_id: wanted.info.id.into(),
        unique_id: wanted.report,
        max_window_size: wanted.slack.window(),
        timeout_ms: REPORT_MS,
    };
    display::send(line, &ServerMessage::StreamActivateReport(activate))
}

/// Sends a JPEG as a drawing, which is shown when it comes; `false` as for [`send_data`].
fn send_drawing(line: &mut Line<DisplayServer>, wanted: &Wanted, packet: &StreamPacket) -> Result<bool, Close> {
    let message = draw_jpeg(wanted.info.key, wanted.info.rect, packet.size, packet.data.len());
    match line.send(&message, std::slice::from_ref(&packet.data)) {
        Ok(()) => Ok(true),
        Err(Refused::Hold) => Ok(false),
        Err(refused) => Err(Close::Refused(refused)),
    }
}

/// Sends a packet; `false` when the client has to acknowledge something first.
fn send_data(line: &mut Line<DisplayServer>, wanted: &mut Wanted, packet: &StreamPacket) -> Result<bool, Close> {
    let flush = if wanted.codec == Codec::H264 { Bytes::from_static(&H264_FLUSH) } else { Bytes::new() };
    // When it will be there, not when it leaves: a large picture takes its time on a slow link.
    let delay = u32::try_from(line.link().delay(packet.data.len()).as_millis()).unwrap_or(u32::MAX);
    let data = StreamData {
        id: wanted.info.id.into(),
        multi_media_time: wanted.slack.time(line.now().mm_time(), delay),
        data: Sized32(Data::Promised(packet.data.len() + flush.len())),
    };
    match line.send(&ServerMessage::StreamData(data), &[packet.data.clone(), flush]) {
        Ok(()) => Ok(true),
        Err(Refused::Hold) => Ok(false),
        Err(refused) => Err(Close::Refused(refused)),
    }
}

fn end(line: &mut Line<DisplayServer>, wanted: &Wanted) -> Result<(), Close> {
    if wanted.created.is_none() {
        return Ok(());
    }
    display::send(line, &ServerMessage::StreamDestroy(StreamDestroy { id: wanted.info.id.into() }))
}

#[cfg(test)]
mod tests;
