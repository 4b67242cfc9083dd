//! What each kind of client is said when its source goes into GL and comes back.

use std::time::Duration;

use sumac_backends::Layout;
use sumac_core::channel::{Channel, Negotiated};
use tokio::task::LocalSet;

use super::*;
use crate::config::{Config, DmabufMemory};
use crate::scene::testing::{Done, dmabuf};
use crate::server::testing::engine;
use crate::source::{Host, Stage};

const SIZE: Size = Size { width: 64, height: 64 };
const LARGE: Size = Size { width: 96, height: 64 };

const MARK: u16 = 102;
const STREAM_CREATE: u16 = 122;
const STREAM_DATA: u16 = 123;
const STREAM_DESTROY: u16 = 125;
const DRAW_COPY: u16 = 304;
const SURFACE_CREATE: u16 = 314;
const SURFACE_DESTROY: u16 = 315;
const MONITORS_CONFIG: u16 = 317;
const GL_SCANOUT: u16 = 320;
const GL_DRAW: u16 = 321;
const GL_DRAW_DONE: u16 = 104;

/// A server with one display, MJPEG only.
struct Server {
    engine: Rc<Engine>,
    stage: Box<dyn Stage>,
    done: Done,
    shade: u8,
}

impl Server {
    fn new() -> Self {
        let config = Config {
            size: SIZE,
            dmabuf: Some(DmabufMemory::Memfd),
            video_codecs: "mjpeg".parse().unwrap(),
            ..Config::default()
        };
        let engine = engine(config);
        let stage = engine.displays().host().display(0).unwrap();
        engine.take_mail();
        Self { engine, stage, done: Done::default(), shade: 0 }
    }

    /// A picture in memory, unlike the one before.
    fn publish(&mut self) {
        self.shade += 50;
        // Not of one colour, which would be filled.
        let pixels: Vec<u8> = (0..64 * 64 * 4_u32).map(|i| (i * 7 % 251) as u8 ^ self.shade).collect();
        let frame = Frame::from_memory(Layout { width: 64, height: 64, stride: 256 }, pixels).unwrap();
        self.stage.publish(frame, &[SIZE.bounds()]);
        self.engine.take_mail();
    }

    fn scan_out(&mut self, size: Size) {
        self.stage.scanout(Some(dmabuf(size)));
        self.draw();
    }

    fn draw(&mut self) {
        self.stage.gl_draw(SIZE.bounds(), self.done.cookie());
        self.engine.take_mail();
    }
}

/// A client of that display, its acknowledgement window wide open.
struct Client {
    display: Display,
    line: Line<DisplayServer>,
}

impl Client {
    fn new(server: &Server, caps: DisplayCaps, unix: bool) -> Self {
        let engine = &server.engine;
        let caps = caps | DisplayCaps::MONITORS_CONFIG;
        let negotiated = Negotiated { mini_header: true, peer_caps: caps.bits() };
        let mut line = Line::new(DisplayServer::new(negotiated, unix, engine.now()), engine.epoch());
        line.pump().unwrap();
        line.take_unsent();
        let (shown, bell) = (engine.displays().get(0).unwrap(), Rc::new(Notify::new()));
        let mut display = Display::new(engine, &shown, Session::for_tests(false), bell, unix);
        display.on_open(&mut line).unwrap();
        Self { display, line }
    }

    /// The messages that it is said now, by their numbers.
    fn said(&mut self) -> Vec<u16> {
        let mut said = Vec::new();
        loop {
            self.display.on_wake(&mut self.line).unwrap();
            let bytes = self.line.take_unsent();
            if bytes.is_empty() {
                return said;
            }
            let mut rest = &bytes[..];
            while let Some((id, after)) = rest.split_first_chunk() {
                let (len, after) = after.split_first_chunk().unwrap();
                said.push(u16::from_le_bytes(*id));
                let behind = usize::from(said.last() == Some(&GL_SCANOUT));
                rest = &after[u32::from_le_bytes(*len) as usize + behind..];
            }
        }
    }

    /// The same when it begins with these: waits for encoders and copies.
    async fn says(&mut self, server: &Server, expected: &[u16]) {
        let mut said = self.said();
        while said.len() < expected.len() {
            tokio::time::sleep(Duration::from_millis(1)).await;
            server.engine.displays().collect();
            server.engine.displays().on_time();
            said.extend(self.said());
        }
        assert_eq!(said, expected);
    }

    fn answer(&mut self) {
        self.line.machine.on_message(self.line.now(), GL_DRAW_DONE, &[]).unwrap();
        self.display.gl.on_done();
    }
}

#[tokio::test]
async fn video_begins_on_a_surface_and_ends_in_a_picture() {
    let mut server = Server::new();
    server.scan_out(SIZE);
    let mut client = Client::new(&server, DisplayCaps::MULTI_CODEC | DisplayCaps::CODEC_MJPEG, false);
    client.says(&server, &[SURFACE_CREATE, MONITORS_CONFIG, MARK, STREAM_CREATE, STREAM_DATA]).await;
    server.draw();
    client.says(&server, &[STREAM_DATA]).await;
    server.publish();
    client.says(&server, &[STREAM_DESTROY, DRAW_COPY]).await;
    server.scan_out(LARGE);
    let large = [SURFACE_DESTROY, SURFACE_CREATE, MONITORS_CONFIG, MARK, STREAM_CREATE, STREAM_DATA];
    client.says(&server, &large).await;
    server.stage.scanout(None);
    server.engine.take_mail();
    client.says(&server, &[STREAM_DESTROY, SURFACE_DESTROY, SURFACE_CREATE, DRAW_COPY, MONITORS_CONFIG, MARK]).await;
    assert_eq!(server.done.count(), 3);
}

#[tokio::test]
async fn a_scanout_is_passed_again_after_a_picture() {
    let mut server = Server::new();
    server.scan_out(SIZE);
    let mut client = Client::new(&server, DisplayCaps::GL_SCANOUT, true);
    client.says(&server, &[GL_SCANOUT, MONITORS_CONFIG, GL_DRAW]).await;
    server.publish();
    client.says(&server, &[SURFACE_CREATE, DRAW_COPY, MONITORS_CONFIG, MARK]).await;
    server.scan_out(SIZE);
    client.says(&server, &[]).await;
    client.answer();
    client.says(&server, &[GL_SCANOUT, MONITORS_CONFIG, GL_DRAW]).await;
    client.answer();
    assert_eq!(server.done.count(), 2);
    server.draw();
    client.says(&server, &[GL_DRAW]).await;
    drop(client);
    assert_eq!(server.done.count(), 3);
}

#[tokio::test]
async fn who_has_no_codec_gets_images_of_what_changed() {
    let test = async {
        let mut server = Server::new();
        server.scan_out(SIZE);
        let scanout = server.engine.displays().get(0).unwrap().scene.scanout().unwrap().dmabuf;
        let noise: Vec<u8> = (0..64 * 64 * 4_u32).map(|i| (i * 31 % 253) as u8).collect();
        rustix::io::pwrite(&scanout.planes()[0].fd, &noise, 0).unwrap();
        let mut client = Client::new(&server, DisplayCaps::MULTI_CODEC, false);
        client.says(&server, &[SURFACE_CREATE, DRAW_COPY, MONITORS_CONFIG, MARK]).await;
        rustix::io::pwrite(&scanout.planes()[0].fd, &noise[..1024], 4096).unwrap();
        server.draw();
        client.says(&server, &[DRAW_COPY]).await;
        server.publish();
        client.says(&server, &[DRAW_COPY]).await;
        drop(client);
        assert_eq!(server.done.count(), 2);
    };
    LocalSet::new().run_until(test).await;
}
