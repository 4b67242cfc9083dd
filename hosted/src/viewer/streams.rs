//! One viewer's video streams: which it has, in which codec, and what it is sent next.

use std::rc::Rc;

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
use sumac_core::wire::{Data, Sized32};

use super::display;
use super::picture::wire_rect;
use crate::connection::{Close, Line};
use crate::plan::Region;
use crate::scene::Viewer;
use crate::video::{Hub, StreamInfo, StreamPacket};

/// Milliseconds from sending to showing, to begin with: MJPEG that arrives later is dropped by
/// spice-gtk, what arrives earlier waits.
const LEAD_MS: u32 = 10;
/// The most that reports of late frames can make of it.
const LEAD_MOST_MS: u32 = 400;
/// Frames of a report's window, and the longest time between reports.
const REPORT_FRAMES: u32 = 5;
const REPORT_MS: u32 = 1000;
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
    next_report: u32,
}

/// A stream of the hub as this viewer takes it.
struct Wanted {
    info: StreamInfo,
    codec: Codec,
    /// STREAM_CREATE was sent.
    created: bool,
    /// Number of the packet that was sent last, 0 for none.
    number: u64,
    /// The picture it showed.
    version: u64,
    report: u32,
    lead_ms: u32,
}

impl Streams {
    pub(super) fn new(hub: Rc<Hub>, viewer: Rc<Viewer>) -> Self {
        Self { hub, viewer, codecs: None, undecodable: Vec::new(), wanted: Vec::new(), next_report: 1 }
    }

    /// Says what is due: ends, begins and feeds streams.
    pub(super) fn update(&mut self, line: &mut Line<DisplayServer>) -> Result<(), Close> {
        self.follow_hub(line)?;
        for at in 0..self.wanted.len() {
            if line.unsent() > display::AHEAD || !line.machine.common().may_send() {
                return Ok(());
            }
            self.feed(line, at)?;
        }
        Ok(())
    }

    /// The surface goes: all streams on it end.
    pub(super) fn end_all(&mut self, line: &mut Line<DisplayServer>) -> Result<(), Close> {
        while let Some(wanted) = self.wanted.pop() {
            end(line, &wanted)?;
        }
        self.cover();
        Ok(())
    }

    /// How frames arrived: late ones make the lead longer, early ones slowly shorter.
    pub(super) fn on_report(&mut self, report: &StreamReport) {
        let Some(wanted) = self.wanted.iter_mut().find(|w| w.created && w.report == report.unique_id) else { return };
        let margin = report.last_frame_delay;
        if report.num_drops > 0 || margin < 2 {
            let late = u32::try_from(-i64::from(margin)).unwrap_or(0).min(LEAD_MOST_MS);
            wanted.lead_ms = (wanted.lead_ms + late + 5).min(LEAD_MOST_MS);
        } else if margin > i32::try_from(LEAD_MS).unwrap_or(i32::MAX) && wanted.lead_ms > LEAD_MS {
            wanted.lead_ms -= 1;
        }
    }

    /// The client cannot decode this stream: never again in that codec.
    pub(super) fn on_undecodable(&mut self, line: &mut Line<DisplayServer>, id: u32) -> Result<(), Close> {
        let Some(at) = self.wanted.iter().position(|w| w.created && u32::from(w.info.id) == id) else { return Ok(()) };
        let wanted = self.wanted.swap_remove(at);
        tracing::info!(codec = %wanted.codec, id, "the client cannot decode the stream");
        self.undecodable.push(wanted.codec);
        self.end(line, &wanted, &[])
    }

    /// The client's order of codecs: its streams start anew in the first that can be encoded.
    pub(super) fn on_preferred(&mut self, line: &mut Line<DisplayServer>, numbers: &[u8]) -> Result<(), Close> {
        let named = numbers.iter().filter_map(|&n| codec_of(VideoCodec(n)));
        let rest: Vec<Codec> = self.hub.codecs().collect();
        let mut codecs: Vec<Codec> = named.filter(|codec| rest.contains(codec)).collect();
        codecs.extend(rest.iter().filter(|codec| !codecs.contains(codec)).copied().collect::<Vec<_>>());
        self.codecs = Some(codecs);
        while let Some(wanted) = self.wanted.pop() {
            self.end(line, &wanted, &[])?;
        }
        Ok(())
    }

    /// Ends what the hub ended or cannot encode, wants what it began.
    fn follow_hub(&mut self, line: &mut Line<DisplayServer>) -> Result<(), Close> {
        let there = self.hub.streams();
        let taken: Vec<_> = there.iter().copied().filter(|info| self.choose(line, info.key).is_some()).collect();
        let mut at = 0;
        while let Some(wanted) = self.wanted.get(at) {
            let lives = there.contains(&wanted.info) && !self.hub.failed(wanted.info.key, wanted.codec);
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
                let lead_ms = LEAD_MS;
                self.wanted.push(Wanted { info, codec, created: false, number: 0, version: 0, report, lead_ms });
            }
        }
        Ok(())
    }

    fn choose(&self, line: &Line<DisplayServer>, key: u64) -> Option<Codec> {
        let ours: Vec<Codec> = self.hub.codecs().collect();
        let order = self.codecs.as_ref().unwrap_or(&ours);
        order.iter().copied().find(|&codec| {
            wire_codec(codec).is_some_and(|wire| line.machine.decodes(wire))
                && !self.undecodable.contains(&codec)
                && !self.hub.failed(key, codec)
        })
    }

    /// Sends the newest packet if it fits what the viewer has, and asks for the next.
    fn feed(&mut self, line: &mut Line<DisplayServer>, at: usize) -> Result<(), Close> {
        let Some(wanted) = self.wanted.get_mut(at) else { return Ok(()) };
        let (key, codec) = (wanted.info.key, wanted.codec);
        let next = self.hub.packet(key, codec).filter(|packet| packet.number > wanted.number);
        let fits = |packet: &StreamPacket| packet.keyframe || wanted.number != 0 && packet.number == wanted.number + 1;
        let missed = next.as_ref().is_some_and(|packet| !fits(packet));
        if let Some(packet) = next.filter(|packet| fits(packet)) {
            if !wanted.created {
                create(line, wanted, &packet)?;
                wanted.created = true;
            }
            if send_data(line, wanted, &packet)? {
                (wanted.number, wanted.version) = (packet.number, packet.version);
            }
            self.cover();
        }
        let Some(wanted) = self.wanted.get(at) else { return Ok(()) };
        if missed || self.hub.version(key) > wanted.version {
            self.hub.request(key, codec, missed);
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

    /// Tells the scene which areas need no pictures beside the video.
    fn cover(&self) {
        self.viewer.cover(self.wanted.iter().filter(|w| w.created).map(|w| w.info.rect).collect());
    }
}

fn create(line: &mut Line<DisplayServer>, wanted: &Wanted, packet: &StreamPacket) -> Result<(), Close> {
    let Some(codec) = wire_codec(wanted.codec) else { return Ok(()) };
    let id = u32::from(wanted.info.id);
    let create = StreamCreate {
        surface_id: 0,
        id,
        flags: StreamFlags::TOP_DOWN,
        codec,
        stamp: 0,
        stream_width: packet.size.width,
        stream_height: packet.size.height,
        src_width: packet.size.width,
        src_height: packet.size.height,
        dest: wire_rect(wanted.info.rect),
        clip: Clip::None,
    };
    display::send(line, &ServerMessage::StreamCreate(create))?;
    if line.machine.caps().contains(DisplayCaps::STREAM_REPORT) {
        let activate = StreamActivateReport {
            stream_id: id,
            unique_id: wanted.report,
            max_window_size: REPORT_FRAMES,
            timeout_ms: REPORT_MS,
        };
        display::send(line, &ServerMessage::StreamActivateReport(activate))?;
    }
    Ok(())
}

/// Sends a packet; `false` when the client has to acknowledge something first.
fn send_data(line: &mut Line<DisplayServer>, wanted: &Wanted, packet: &StreamPacket) -> Result<bool, Close> {
    let flush = if wanted.codec == Codec::H264 { Bytes::from_static(&H264_FLUSH) } else { Bytes::new() };
    let data = StreamData {
        id: wanted.info.id.into(),
        multi_media_time: line.now().mm_time().wrapping_add(wanted.lead_ms),
        data: Sized32(Data::Promised(packet.data.len() + flush.len())),
    };
    match line.send(&ServerMessage::StreamData(data), &[packet.data.clone(), flush]) {
        Ok(()) => Ok(true),
        Err(Refused::Hold) => Ok(false),
        Err(refused) => Err(Close::Refused(refused)),
    }
}

fn end(line: &mut Line<DisplayServer>, wanted: &Wanted) -> Result<(), Close> {
    if !wanted.created {
        return Ok(());
    }
    display::send(line, &ServerMessage::StreamDestroy(StreamDestroy { id: wanted.info.id.into() }))
}

fn wire_codec(codec: Codec) -> Option<VideoCodec> {
    match codec {
        Codec::Mjpeg => Some(VideoCodec::MJPEG),
        Codec::Vp8 => Some(VideoCodec::VP8),
        Codec::H264 => Some(VideoCodec::H264),
        Codec::Vp9 => Some(VideoCodec::VP9),
        Codec::Hevc => Some(VideoCodec::H265),
        _ => None,
    }
}

fn codec_of(wire: VideoCodec) -> Option<Codec> {
    Codec::ALL.into_iter().find(|&codec| wire_codec(codec) == Some(wire))
}
