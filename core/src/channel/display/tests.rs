use super::*;
use crate::proto::display::{Mark, MonitorsConfig, SurfaceCreate, SurfaceDestroy};
use crate::proto::draw::{Base, DrawCopy};
use crate::proto::gl::{GlDraw, GlScanoutFlags, GlScanoutUnix};
use crate::proto::paint::{Mask, MaskFlags, Rop, ScaleMode};
use crate::proto::shape::{Clip, Point, Rect};
use crate::proto::stream::{StreamActivateReport, StreamCreate, StreamData, StreamDestroy, StreamFlags};
use crate::wire::{At, Data, Message, Sized32, Writer};
use std::vec::Vec;

const NOW: Millis = Millis(500);

fn machine(caps: DisplayCaps, fds: bool) -> DisplayServer {
    let mut machine = DisplayServer::new(Negotiated { mini_header: true, peer_caps: caps.bits() }, fds, NOW);
    let mut out = [0; 64];
    assert_eq!(machine.poll(NOW, &mut out), Ok(Poll::Transmit(Transmit { head: 14, body: 0 })));
    assert_eq!(out[..2], [3, 0], "SET_ACK is the first message");
    assert!(matches!(machine.poll(NOW, &mut out), Ok(Poll::Wait(Some(_)))));
    machine
}

fn say(machine: &mut DisplayServer, message: &ServerMessage<'_>) -> Result<(), Refused> {
    machine.send(NOW, message, &mut [0; 512]).map(|_| ())
}

fn hear(machine: &mut DisplayServer, id: u16, body: &[u8]) -> Result<bool, PeerError> {
    machine.on_message(NOW, id, body).map(|event| event.is_some())
}

fn surface(id: u32) -> ServerMessage<'static> {
    let flags = SurfaceFlags::PRIMARY;
    ServerMessage::SurfaceCreate(SurfaceCreate {
        surface_id: id,
        width: 8,
        height: 8,
        format: SurfaceFormat::XRGB32,
        flags,
    })
}

fn copy(surface_id: u32, flags: ImageFlags, body: ImageBody<'static>) -> ServerMessage<'static> {
    let area = Rect::new(0, 0, 8, 8);
    ServerMessage::DrawCopy(DrawCopy {
        base: Base { surface_id, area, clip: Clip::None },
        src: At(Some(Image { id: 1, flags, width: 8, height: 8, body })),
        src_area: area,
        rop: Rop::OP_PUT,
        scale_mode: ScaleMode::NEAREST,
        mask: Mask { flags: MaskFlags::empty(), pos: Point::new(0, 0), bitmap: At(None) },
    })
}

fn quic() -> ImageBody<'static> {
    ImageBody::Quic(Sized32(Data::Promised(100)))
}

fn stream(id: u32, codec: VideoCodec) -> ServerMessage<'static> {
    ServerMessage::StreamCreate(StreamCreate {
        surface_id: 0,
        id,
        flags: StreamFlags::TOP_DOWN,
        codec,
        stamp: 0,
        stream_width: 8,
        stream_height: 8,
        src_width: 8,
        src_height: 8,
        dest: Rect::new(0, 0, 8, 8),
        clip: Clip::None,
    })
}

fn data(id: u32) -> ServerMessage<'static> {
    ServerMessage::StreamData(StreamData { id, multi_media_time: 0, data: Sized32(Data::Promised(9)) })
}

fn init_body(window: i32) -> Vec<u8> {
    let init =
        Init { pixmap_cache_id: 1, pixmap_cache_size: 100, glz_dictionary_id: 1, glz_dictionary_window_size: window };
    let mut out = [0; 32];
    let mut w = Writer::new(&mut out);
    init.encode(&mut w).expect("room");
    w.written().to_vec()
}

#[test]
fn pictures_go_out_before_the_clients_init_but_not_into_its_cache() {
    let mut m = machine(DisplayCaps::empty(), false);
    assert!(matches!(say(&mut m, &copy(0, ImageFlags::empty(), quic())), Err(Refused::Misuse(_))), "no surface yet");
    assert_eq!(say(&mut m, &surface(0)), Ok(()));
    assert_eq!(say(&mut m, &copy(0, ImageFlags::empty(), quic())), Ok(()));
    assert_eq!(say(&mut m, &copy(0, ImageFlags::CACHE_ME, quic())), Err(Refused::Hold));
    assert_eq!(say(&mut m, &copy(0, ImageFlags::empty(), ImageBody::FromCache)), Err(Refused::Hold));
    let glz = ImageBody::GlzRgb(Sized32(Data::Promised(1)));
    assert_eq!(say(&mut m, &copy(0, ImageFlags::empty(), glz)), Err(Refused::Hold));
    assert_eq!(hear(&mut m, 101, &init_body(0)), Ok(true));
    assert!(matches!(say(&mut m, &copy(0, ImageFlags::empty(), ImageBody::FromCache)), Err(Refused::Misuse(_))));
    assert_eq!(say(&mut m, &copy(0, ImageFlags::CACHE_ME, quic())), Ok(()));
    assert_eq!(say(&mut m, &copy(0, ImageFlags::empty(), ImageBody::FromCache)), Ok(()));
    assert_eq!(say(&mut m, &copy(0, ImageFlags::empty(), glz)), Ok(()));
}

#[test]
fn what_makes_room_is_named_in_front_of_the_picture_that_needs_it() {
    let mut m = machine(DisplayCaps::empty(), false);
    say(&mut m, &surface(0)).expect("surface");
    hear(&mut m, 101, &init_body(0)).expect("INIT");
    say(&mut m, &copy(0, ImageFlags::CACHE_ME, quic())).expect("64 of 100 pixels");
    let ServerMessage::DrawCopy(mut next) = copy(0, ImageFlags::CACHE_ME, quic()) else { panic!("not a copy") };
    next.src.0.as_mut().expect("an image").id = 2;
    let next = ServerMessage::DrawCopy(next);
    let sent = m.common().sent();
    assert!(matches!(m.send(NOW, &next, &mut [0; 60]), Err(Refused::Encode(_))), "no room: nothing changes");
    assert_eq!(m.common().sent(), sent);
    let mut out = [0; 512];
    let transmit = m.send(NOW, &next, &mut out).expect("both");
    // INVAL_LIST of one pixmap, number 1; then DRAW_COPY.
    assert_eq!(out[..17], [105, 0, 11, 0, 0, 0, 1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!((&out[17..19], m.common().sent()), (&304u16.to_le_bytes()[..], sent + 2));
    assert!(transmit.head > 17 && transmit.body == 100);
    assert!(matches!(say(&mut m, &copy(0, ImageFlags::empty(), ImageBody::FromCache)), Err(Refused::Misuse(_))));
}

#[test]
fn init_comes_once_in_time_and_with_a_window_that_exists() {
    let mut m = machine(DisplayCaps::empty(), false);
    assert!(hear(&mut m, 101, &init_body(-1)).is_err());
    assert!(hear(&mut m, 101, &init_body(limits::GLZ_WINDOW + 1)).is_err());
    assert!(hear(&mut m, 101, &init_body(limits::GLZ_WINDOW)).is_ok());
    assert!(hear(&mut m, 101, &init_body(0)).is_err(), "a second time");
    let mut silent = machine(DisplayCaps::empty(), false);
    let mut out = [0; 64];
    let mut now = NOW.plus(limits::INIT_WAIT_MS);
    // Pings that are due come first.
    let last = loop {
        match silent.poll(now, &mut out).expect("room") {
            Poll::Transmit(_) => now = now.plus(1),
            other => break other,
        }
    };
    assert_eq!(last, Poll::Expired(Expired::Init));
}

#[test]
fn surfaces_exist_once_and_have_ids_below_the_limit() {
    let mut m = machine(DisplayCaps::empty(), false);
    assert_eq!(say(&mut m, &surface(1023)), Ok(()));
    assert!(matches!(say(&mut m, &surface(1023)), Err(Refused::Misuse(_))));
    for id in [1024, u32::MAX] {
        assert!(matches!(say(&mut m, &surface(id)), Err(Refused::Misuse(_))));
        let destroy = ServerMessage::SurfaceDestroy(SurfaceDestroy { surface_id: id });
        assert!(matches!(say(&mut m, &destroy), Err(Refused::Misuse(_))));
    }
    assert_eq!(say(&mut m, &ServerMessage::SurfaceDestroy(SurfaceDestroy { surface_id: 1023 })), Ok(()));
    assert_eq!(say(&mut m, &surface(1023)), Ok(()));
}

#[test]
fn streams_need_a_codec_that_the_client_has_and_an_id_that_is_free() {
    let mut m = machine(DisplayCaps::empty(), false);
    say(&mut m, &surface(0)).expect("surface");
    assert_eq!(say(&mut m, &stream(0, VideoCodec::MJPEG)), Ok(()), "implied without MULTI_CODEC");
    assert!(matches!(say(&mut m, &stream(0, VideoCodec::MJPEG)), Err(Refused::Misuse(_))));
    assert!(matches!(say(&mut m, &stream(1, VideoCodec::H264)), Err(Refused::Unsupported(_))));
    assert_eq!(say(&mut m, &stream(63, VideoCodec::MJPEG)), Ok(()));
    for id in [64, u32::MAX] {
        assert!(matches!(say(&mut m, &stream(id, VideoCodec::MJPEG)), Err(Refused::Misuse(_))));
        assert!(matches!(say(&mut m, &data(id)), Err(Refused::Misuse(_))));
    }
    assert_eq!(say(&mut m, &data(63)), Ok(()));
    assert_eq!(say(&mut m, &ServerMessage::StreamDestroy(StreamDestroy { id: 63 })), Ok(()));
    assert!(matches!(say(&mut m, &data(63)), Err(Refused::Misuse(_))), "it is gone");

    let multi = machine(DisplayCaps::MULTI_CODEC | DisplayCaps::CODEC_H264, false);
    assert!(multi.decodes(VideoCodec::H264) && !multi.decodes(VideoCodec::MJPEG) && !multi.decodes(VideoCodec(9)));
}

#[test]
fn reports_count_only_with_their_unique_id() {
    let report = |id: u32, unique: u32, frames: u32, drops: u32| {
        [id, unique, 0, 0, frames, drops, 0, 0].iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<_>>()
    };
    let mut m = machine(DisplayCaps::STREAM_REPORT, false);
    say(&mut m, &surface(0)).expect("surface");
    say(&mut m, &stream(3, VideoCodec::MJPEG)).expect("stream");
    assert_eq!(hear(&mut m, 102, &report(3, 77, 5, 0)), Ok(false), "not asked for");
    let activate = StreamActivateReport { stream_id: 3, unique_id: 77, max_window_size: 5, timeout_ms: 1000 };
    assert_eq!(say(&mut m, &ServerMessage::StreamActivateReport(activate)), Ok(()));
    assert_eq!(hear(&mut m, 102, &report(3, 77, 5, 0)), Ok(true));
    assert_eq!(hear(&mut m, 102, &report(3, 78, 5, 0)), Ok(false));
    assert_eq!(hear(&mut m, 102, &report(u32::MAX, 77, 5, 0)), Ok(false));
    let gone = m
        .on_message(NOW, 102, &report(3, 0, 0, u32::MAX))
        .map(|e| matches!(e, Some(DisplayEvent::StreamUndecodable(3))));
    assert_eq!(gone, Ok(true));
    assert_eq!(hear(&mut m, 102, &report(4, 0, 0, u32::MAX)), Ok(false), "no such stream");
}

#[test]
fn a_spent_window_holds_pictures_and_nothing_else() {
    let mut m = machine(DisplayCaps::MONITORS_CONFIG, false);
    say(&mut m, &surface(0)).expect("surface");
    let mut sent = 0;
    while say(&mut m, &copy(0, ImageFlags::empty(), quic())).is_ok() {
        sent += 1;
    }
    // SET_ACK and SURFACE_CREATE count as well.
    assert_eq!(sent, 2 * limits::ACK_WINDOW + 1 - 2);
    assert_eq!(say(&mut m, &ServerMessage::Mark(Mark {})), Ok(()));
    assert_eq!(say(&mut m, &ServerMessage::MonitorsConfig(MonitorsConfig { max_allowed: 1, heads: &[] })), Ok(()));
    assert_eq!(say(&mut m, &stream(0, VideoCodec::MJPEG)), Ok(()));
    assert_eq!(say(&mut m, &data(0)), Err(Refused::Hold));
    hear(&mut m, 1, &1u32.to_le_bytes()).expect("ACK_SYNC");
    hear(&mut m, 2, &[]).expect("ACK");
    assert_eq!(say(&mut m, &data(0)), Ok(()));
}

#[test]
fn a_scanout_goes_to_local_clients_and_one_draw_waits_for_its_answer() {
    let scanout = ServerMessage::GlScanoutUnix(GlScanoutUnix {
        width: 8,
        height: 8,
        stride: 32,
        drm_fourcc: 0x3432_5258,
        flags: GlScanoutFlags::empty(),
    });
    let draw = ServerMessage::GlDraw(GlDraw { x: 0, y: 0, w: 8, h: 8 });
    let remote = &mut machine(DisplayCaps::GL_SCANOUT, false);
    assert!(matches!(say(remote, &scanout), Err(Refused::Unsupported(_))) && !remote.takes_scanout());
    let unable = &mut machine(DisplayCaps::empty(), true);
    assert!(matches!(say(unable, &scanout), Err(Refused::Unsupported(_))));
    let mut m = machine(DisplayCaps::GL_SCANOUT, true);
    assert!(m.takes_scanout());
    assert!(matches!(say(&mut m, &draw), Err(Refused::Misuse(_))), "nothing to draw from");
    assert!(hear(&mut m, 104, &[]).is_err(), "no draw is outstanding");
    assert_eq!(say(&mut m, &scanout), Ok(()));
    assert_eq!(say(&mut m, &draw), Ok(()));
    assert_eq!(say(&mut m, &draw), Err(Refused::Hold));
    assert_eq!(say(&mut m, &scanout), Err(Refused::Hold));
    assert_eq!(hear(&mut m, 104, &[]), Ok(true));
    assert_eq!(say(&mut m, &draw), Ok(()));
}

#[test]
fn wishes_that_mean_nothing_are_not_heard() {
    let mut m = machine(DisplayCaps::empty(), false);
    for (compression, heard) in [(0, false), (1, true), (7, true), (8, false), (255, false)] {
        assert_eq!(hear(&mut m, 103, &[compression]), Ok(heard), "{compression}");
    }
    assert_eq!(hear(&mut m, 105, &[0]), Ok(false), "an empty list, and before INIT");
    assert_eq!(hear(&mut m, 105, &[2, 3, 1]), Ok(true));
}

#[test]
fn windows_are_opened_by_the_machine_alone() {
    let mut m = machine(DisplayCaps::empty(), false);
    let ack = common::ServerMessage::SetAck(common::SetAck { generation: 9, window: 1 });
    assert!(matches!(say(&mut m, &ServerMessage::Common(ack)), Err(Refused::Misuse(_))));
}
