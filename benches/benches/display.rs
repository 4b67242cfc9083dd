//! The display channel into a socket: whole 1280x720 pictures as rows, and video frames of 60 kB,
//! framed by the core's machine and written head and payload in one call, while another thread
//! reads and acknowledges what it has to.
//!
//! `cargo bench -p sumac-benches --bench display`

#![expect(clippy::expect_used, reason = "a bench that cannot set itself up must stop")]

use std::io::{IoSlice, Read, Write};
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sumac_core::channel::display::DisplayServer;
use sumac_core::channel::{Channel, Negotiated, Poll};
use sumac_core::proto::caps::DisplayCaps;
use sumac_core::proto::display::{ServerMessage, SurfaceCreate, SurfaceFlags, SurfaceFormat};
use sumac_core::proto::draw::{Base, DrawCopy};
use sumac_core::proto::paint::{Mask, MaskFlags, Rop, ScaleMode};
use sumac_core::proto::picture::{Bitmap, BitmapFlags, BitmapFormat, Image, ImageBody, ImageFlags, PaletteRef};
use sumac_core::proto::shape::{Clip, Point, Rect};
use sumac_core::proto::stream::{StreamCreate, StreamData, StreamFlags, VideoCodec};
use sumac_core::time::Millis;
use sumac_core::wire::{At, Data, Sized32};

const WIDTH: u32 = 1280;
const HEIGHT: u32 = 720;
const NOW: Millis = Millis(0);
const VIDEO_FRAME: usize = 60_000;

/// A display channel with a surface and a stream, and its socket.
struct Line {
    machine: DisplayServer,
    socket: UnixStream,
    head: Vec<u8>,
    unacknowledged: u32,
}

impl Line {
    fn open() -> (Self, JoinHandle<()>) {
        let (socket, mut reader) = UnixStream::pair().expect("sockets");
        let sink = thread::spawn(move || {
            let mut room = vec![0; 1 << 20];
            while reader.read(&mut room).is_ok_and(|n| n > 0) {}
        });
        let negotiated = Negotiated { mini_header: true, peer_caps: DisplayCaps::STREAM_REPORT.bits() };
        let machine = DisplayServer::new(negotiated, false, NOW);
        let mut line = Self { machine, socket, head: vec![0; 4096], unacknowledged: 0 };
        while let Poll::Transmit(transmit) = line.machine.poll(NOW, &mut line.head).expect("room") {
            line.socket.write_all(&line.head[..transmit.head]).expect("the reader reads");
        }
        line.machine.on_message(NOW, 1, &1u32.to_le_bytes()).expect("ACK_SYNC");
        let flags = SurfaceFlags::PRIMARY;
        let format = SurfaceFormat::XRGB32;
        line.say(
            &ServerMessage::SurfaceCreate(SurfaceCreate { surface_id: 0, width: WIDTH, height: HEIGHT, format, flags }),
            &[],
        );
        line.say(&stream(), &[]);
        (line, sink)
    }

    /// One message, in as few calls as the socket allows; acknowledged as a client does.
    fn say(&mut self, message: &ServerMessage<'_>, payload: &[u8]) {
        let transmit = self.machine.send(NOW, message, &mut self.head).expect("it may be said");
        let mut slices = [IoSlice::new(&self.head[..transmit.head]), IoSlice::new(payload)];
        let mut left = &mut slices[..];
        while !left.is_empty() {
            let written = self.socket.write_vectored(left).expect("the reader reads");
            IoSlice::advance_slices(&mut left, written);
        }
        self.unacknowledged += 1;
        if self.unacknowledged == sumac_core::limits::ACK_WINDOW {
            self.unacknowledged = 0;
            self.machine.on_message(NOW, 2, &[]).expect("ACK");
        }
    }
}

fn stream() -> ServerMessage<'static> {
    ServerMessage::StreamCreate(StreamCreate {
        surface_id: 0,
        id: 0,
        flags: StreamFlags::TOP_DOWN,
        codec: VideoCodec::MJPEG,
        stamp: 0,
        stream_width: WIDTH,
        stream_height: HEIGHT,
        src_width: WIDTH,
        src_height: HEIGHT,
        dest: Rect::new(0, 0, 720, 1280),
        clip: Clip::None,
    })
}

fn video_frame() -> ServerMessage<'static> {
    let data = Sized32(Data::Promised(VIDEO_FRAME));
    ServerMessage::StreamData(StreamData { id: 0, multi_media_time: 0, data })
}

fn picture(len: usize) -> ServerMessage<'static> {
    let area = Rect::new(0, 0, 720, 1280);
    let bitmap = Bitmap {
        format: BitmapFormat::THIRTY_TWO_BIT,
        flags: BitmapFlags::TOP_DOWN,
        x: WIDTH,
        y: HEIGHT,
        stride: WIDTH * 4,
        palette: PaletteRef::Here(At(None)),
        data: Data::Promised(len),
    };
    let body = ImageBody::Bitmap(bitmap);
    ServerMessage::DrawCopy(DrawCopy {
        base: Base { surface_id: 0, area, clip: Clip::None },
        src: At(Some(Image { id: 1, flags: ImageFlags::empty(), width: WIDTH, height: HEIGHT, body })),
        src_area: area,
        rop: Rop::OP_PUT,
        scale_mode: ScaleMode::NEAREST,
        mask: Mask { flags: MaskFlags::empty(), pos: Point::new(0, 0), bitmap: At(None) },
    })
}

fn into_a_socket(c: &mut Criterion) {
    let mut group = c.benchmark_group("display");
    // Elements per second are frames per second.
    group.throughput(Throughput::Elements(1));
    let rows = vec![0x5a; (WIDTH * HEIGHT * 4) as usize];
    for (name, message, payload) in
        [("draw_copy", picture(rows.len()), &rows[..]), ("stream_data", video_frame(), &rows[..VIDEO_FRAME])]
    {
        let (mut line, sink) = Line::open();
        group.bench_function(BenchmarkId::new(name, payload.len()), |b| b.iter(|| line.say(&message, payload)));
        drop(line);
        sink.join().expect("the reader ends with its socket");
    }
    group.finish();
}

criterion_group!(benches, into_a_socket);
criterion_main!(benches);
