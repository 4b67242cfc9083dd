use sumac_backends::{Backend, Frame, Layout, registry};
use sumac_core::channel::Negotiated;
use sumac_core::proto::display::{SurfaceCreate, SurfaceFlags, SurfaceFormat};
use tokio::sync::Notify;

use super::*;
use crate::config::Config;
use crate::connection::millis;
use crate::scene::testing::Shown;
use crate::transport::TcpInfo;
use crate::video::double::{Double, Takes};
use crate::video::{Bell, Encoders};

const SIZE: Size = Size { width: 320, height: 240 };

const CREATE: u16 = 122;
const DATA: u16 = 123;
const DESTROY: u16 = 125;
const DRAW_COPY: u16 = 304;

/// A display in video, and the encoders' bell.
struct Display {
    hub: Rc<Hub>,
    bell: Bell,
    shown: Shown,
    pictures: u8,
}

/// A viewer of it.
struct Client {
    streams: Streams,
    line: Line<DisplayServer>,
}

impl Display {
    fn new(codecs: &str, backends: &[&'static dyn Backend]) -> Self {
        let mut config = Config { size: SIZE, ..Config::default() };
        config.streaming_video = crate::config::StreamingVideo::All;
        config.video_codecs = codecs.parse().unwrap();
        let (encoders, bell) = (Encoders::among(backends, &config), Bell::default());
        let hub = Rc::new(Hub::new(&config, Rc::new(encoders), Instant::now(), bell.clone()));
        Self { hub, bell, shown: Shown::new(false), pictures: 0 }
    }

    fn client(&self, caps: DisplayCaps) -> Client {
        let now = Instant::now();
        let negotiated = Negotiated { mini_header: true, peer_caps: caps.bits() };
        let mut line = Line::new(DisplayServer::new(negotiated, false, millis(now)), now);
        let Size { width, height } = SIZE;
        let (format, flags) = (SurfaceFormat::XRGB32, SurfaceFlags::PRIMARY);
        let surface = SurfaceCreate { surface_id: 0, width, height, format, flags };
        display::send(&mut line, &ServerMessage::SurfaceCreate(surface)).unwrap();
        line.take_unsent();
        let viewer = self.shown.scene.watch(Rc::new(Notify::new()));
        Client { streams: Streams::new(Rc::clone(&self.hub), viewer), line }
    }

    /// Shows a picture that differs everywhere from the one before.
    fn show(&mut self) {
        self.pictures = self.pictures.wrapping_add(37);
        let Size { width, height } = SIZE;
        let pixels: Vec<u8> = (0..width * height * 4).map(|i| (i / 640) as u8 ^ self.pictures).collect();
        let frame = Frame::from_memory(Layout { width, height, stride: width * 4 }, pixels).unwrap();
        self.hub.on_frame(&frame, &Region::from(SIZE.bounds()), None);
    }

    async fn become_video(&mut self) {
        while self.hub.streams().is_empty() {
            self.show();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Shows a picture, for which a client asks, and sends it what came of that.
    async fn serve(&mut self, client: &mut Client) -> Vec<(u16, u8)> {
        self.show();
        self.encode_for(client).await
    }

    /// The same with the picture that is there.
    async fn encode_for(&mut self, client: &mut Client) -> Vec<(u16, u8)> {
        client.update();
        while !self.hub.collect() {
            self.bell.rang().await;
        }
        client.update();
        client.said()
    }
}

impl Client {
    fn update(&mut self) {
        self.streams.update(&mut self.line).unwrap();
    }

    fn prefer(&mut self, codecs: &[VideoCodec]) -> Vec<(u16, u8)> {
        let numbers: Vec<u8> = codecs.iter().map(|codec| codec.0).collect();
        self.streams.on_preferred(&mut self.line, &numbers).unwrap();
        self.said()
    }

    /// Messages about streams, and drawings, since the last call; one that creates a stream comes with the number
    /// of its codec.
    fn said(&mut self) -> Vec<(u16, u8)> {
        let bytes = self.line.take_unsent();
        let (mut rest, mut messages) = (&bytes[..], Vec::new());
        while let Some((id, after)) = rest.split_first_chunk() {
            let (len, after) = after.split_first_chunk().unwrap();
            let (body, after) = after.split_at(u32::from_le_bytes(*len) as usize);
            let id = u16::from_le_bytes(*id);
            if (CREATE..=DESTROY).contains(&id) || id == DRAW_COPY {
                messages.push((id, if id == CREATE { body[9] } else { 0 }));
            }
            rest = after;
        }
        messages
    }
}

const ALL: DisplayCaps = DisplayCaps::all();

#[tokio::test(start_paused = true)]
async fn the_order_is_the_clients_else_the_servers_also_in_mid_stream() {
    let mut display = Display::new("h264,mjpeg,vp8", &[Double::new("any").leak()]);
    display.become_video().await;
    let mut client = display.client(ALL);
    let create = |codec: VideoCodec| (CREATE, codec.0);
    assert_eq!(display.serve(&mut client).await, [create(VideoCodec::H264), (DATA, 0)]);
    assert_eq!(display.serve(&mut client).await, [(DATA, 0)]);
    assert_eq!(client.prefer(&[VideoCodec::VP8, VideoCodec::H264]), [(DESTROY, 0)]);
    assert_eq!(display.serve(&mut client).await, [create(VideoCodec::VP8), (DATA, 0)]);
    assert_eq!(client.prefer(&[VideoCodec::VP8]), [], "it has that");
    assert_eq!(client.prefer(&[VideoCodec::H265, VideoCodec::MJPEG]), [(DESTROY, 0)], "nobody encodes H.265");
    assert_eq!(display.serve(&mut client).await, [create(VideoCodec::MJPEG), (DATA, 0)]);
    assert_eq!(client.prefer(&[]), [(DESTROY, 0)]);
    let kept = [create(VideoCodec::H264), (DATA, 0), (DATA, 0), (DATA, 0)];
    assert_eq!(display.serve(&mut client).await, kept, "from the key frame on");
}

#[tokio::test(start_paused = true)]
async fn what_a_client_decodes_is_its_capabilities_minus_what_it_could_not() {
    let mut display = Display::new("vp9,h264,mjpeg", &[Double::new("any").leak()]);
    display.become_video().await;
    let mut client = display.client(DisplayCaps::MULTI_CODEC | DisplayCaps::CODEC_MJPEG | DisplayCaps::CODEC_H264);
    assert_eq!(display.serve(&mut client).await, [(CREATE, VideoCodec::H264.0), (DATA, 0)]);
    let id = display.hub.streams()[0].id.into();
    client.streams.on_undecodable(&mut client.line, id).unwrap();
    assert_eq!(client.said(), [(DESTROY, 0)]);
    assert_eq!(display.serve(&mut client).await, [(CREATE, VideoCodec::MJPEG.0), (DATA, 0)]);
    assert_eq!(client.prefer(&[VideoCodec::H264]), [], "never again");
    let mut old = display.client(DisplayCaps::empty());
    assert_eq!(display.serve(&mut old).await[0], (CREATE, VideoCodec::MJPEG.0));
}

#[tokio::test(start_paused = true)]
async fn a_codec_that_fails_gives_way_to_the_next_and_the_viewer_stays() {
    let none = Double::new("none").encodes(&[Codec::H264], 9000).takes(Takes::Nothing).leak();
    let large = Double::new("large").encodes(&[Codec::Vp8], SIZE.width - 1).leak();
    let other = Double::new("other").encodes(&[Codec::Mjpeg], 9000).leak();
    let mut display = Display::new("vp8,h264,mjpeg", &[none, large, other]);
    display.become_video().await;
    let mut client = display.client(ALL);
    assert_eq!(display.serve(&mut client).await, [], "VP8 is not of that size, H.264 fails");
    assert_eq!(display.serve(&mut client).await, [(CREATE, VideoCodec::MJPEG.0), (DATA, 0)]);
    assert_eq!(display.serve(&mut client).await, [(DATA, 0)]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_viewer_goes_down_a_rung_and_the_fast_one_sees_nothing_of_it() {
    let backend = Double::new("any").leak();
    let mut display = Display::new("h264", &[backend]);
    display.become_video().await;
    let (mut fast, mut slow) = (display.client(ALL), display.client(ALL));
    display.serve(&mut fast).await;
    slow.update();
    assert_eq!(slow.said(), [(CREATE, VideoCodec::H264.0), (DATA, 0)], "the same packet");
    for _ in 0..20 {
        assert_eq!(display.serve(&mut fast).await, [(DATA, 0)]);
    }
    assert_eq!(display.serve(&mut slow).await, [(DATA, 0)], "from an encoder of its own");
    assert_eq!((slow.streams.wanted[0].follower.rung(), backend.opened()), (1, 2));
    let (key, number) = (display.hub.streams()[0].key, fast.streams.wanted[0].follower.number());
    assert_eq!(display.serve(&mut fast).await, [(DATA, 0)]);
    let next = display.hub.after(key, Codec::H264, 0, number);
    assert!(matches!(next, Next::Packet(packet) if !packet.keyframe && packet.number == number + 1));
}

#[tokio::test(start_paused = true)]
async fn where_arrival_cannot_be_predicted_jpegs_go_as_drawings() {
    let mut display = Display::new("mjpeg", registry::backends());
    display.become_video().await;
    let mut client = display.client(ALL);
    let first = display.serve(&mut client).await;
    assert_eq!(first.first().map(|(id, _)| *id), Some(CREATE));
    let late = StreamReport {
        stream_id: 0,
        unique_id: 1,
        start_frame_mm_time: 0,
        end_frame_mm_time: 1 << 30,
        num_frames: 1,
        num_drops: 1,
        last_frame_delay: -50,
        audio_delay: StreamReport::NO_AUDIO,
    };
    for _ in 0..20 {
        client.streams.on_report(&mut client.line, &late).unwrap();
    }
    assert!(client.said().iter().any(|(id, _)| *id == DESTROY));
    for _ in 0..3 {
        assert_eq!(display.serve(&mut client).await, [(DRAW_COPY, 0)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_jpeg_that_is_too_large_for_the_link_gives_way_to_a_coarser_one_also_when_nothing_moves() {
    let mut display = Display::new("mjpeg", registry::backends());
    display.become_video().await;
    let mut client = display.client(ALL);
    let (rtt, delivery_rate) = (Duration::from_millis(80), 1000);
    let link = TcpInfo { rtt, min_rtt: rtt, delivery_rate, window: 1 << 20, ..TcpInfo::default() };
    client.line.set_link(link);
    client.streams.allowance.held_up(client.line.link(), Instant::now());
    let (mut said, mut left_out) = (display.serve(&mut client).await, 0);
    while said.is_empty() && left_out < 20 {
        left_out += 1;
        said = display.encode_for(&mut client).await;
    }
    assert_eq!(said, [(CREATE, VideoCodec::MJPEG.0), (DATA, 0)]);
    assert!((1..=5).contains(&left_out), "{left_out}");
    assert_eq!(display.serve(&mut client).await, [(DATA, 0)], "it is as coarse as it gets");
}
