//! A guest that codes its desktop itself, as spice-streaming-agent does, is seen by spice-gtk. The
//! agent is scripted: Debian has no package of it.

use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use sumac::devices::{Device, DeviceKind};
use sumac::source::{Host, Inbox, ToSource};
use sumac_backends::software::Software;
use sumac_backends::{Backend, Chroma, Codec, Completion, EncodeRequest, Frame, Layout, Rate, Settings, Tuning};

use super::embedded::{display, serve, uri};
use super::picture::Picture;
use super::programs::{Client, PATIENCE, needs, until};

const WIDTH: u32 = 160;
const HEIGHT: u32 = 120;
/// Red, green, blue.
const COLOUR: [u8; 3] = [200, 90, 30];

#[test]
fn a_guests_own_video_and_pointer_are_shown() {
    needs!("a_guests_own_video_and_pointer_are_shown": "gi");
    let (tell, told) = channel();
    let server = serve(move |host, inbox| agent(host, inbox, &tell));
    let mut client = Client::connect(&uri(&server));
    assert_eq!(told.recv_timeout(PATIENCE), Ok("started"));
    client.event("\"surface\", \"width\": 160, \"height\": 120, \"display\": 1");
    client.event("\"cursor-set\", \"width\": 2, \"height\": 2, \"hot_x\": 1, \"hot_y\": 0");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shown.ppm");
    until("the guest's colour", || {
        client.does(&format!("dump {} 1", file.display()));
        let shown = Picture::read_ppm(&file);
        let [r, g, b] = shown.at(80, 60);
        (shown.width, shown.height) == (160, 120)
            && [r, g, b].iter().zip(COLOUR).all(|(got, sent)| got.abs_diff(sent) < 8)
    });
    client.0.say("quit");
    assert!(client.0.ends_well());
    assert_eq!(told.recv_timeout(PATIENCE), Ok("stopped"), "nobody looks");
}

/// Codes one colour for as long as it is told to, and says when that changes.
fn agent(host: &dyn Host, inbox: &Inbox, tell: &Sender<&'static str>) {
    let _display = display(host, [90; 3]);
    let device = host.peripherals().devices.open(DeviceKind::of("org.spice-space.stream.0").unwrap(), "stream");
    device.set_opened(true);
    let picture = message(3, &jpeg());
    let (mut started, mut told) = (false, Vec::new());
    while !matches!(inbox.recv_timeout(Duration::from_millis(40)), Ok(ToSource::Quit)) {
        let mut bytes = [0; 256];
        let len = device.read(&mut bytes);
        told.extend_from_slice(&bytes[..len]);
        while let Some(count) = told.get(8).copied() {
            // START_STOP: how many codecs, and which.
            assert_eq!(told[..4], [1, 0, 4, 0]);
            let end = 9 + usize::from(count);
            assert!(count == 0 || told[9..end].contains(&1), "MJPEG is always among them");
            told.drain(..end);
            if std::mem::replace(&mut started, count > 0) != started {
                // Nobody hears it once the test is over.
                let _ = tell.send(if started { "started" } else { "stopped" });
            }
            if started {
                say(&device, &message(2, &[&WIDTH.to_le_bytes()[..], &HEIGHT.to_le_bytes(), &[1, 0, 0, 0]].concat()));
                let head = [2, 0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0];
                say(&device, &message(6, &[&head[..], &[255; 16]].concat()));
            }
        }
        if started {
            say(&device, &picture);
        }
    }
}

fn message(kind: u16, body: &[u8]) -> Vec<u8> {
    [&[1, 0][..], &kind.to_le_bytes(), &u32::try_from(body.len()).unwrap().to_le_bytes(), body].concat()
}

/// As a port does: what is not taken now is offered again.
fn say(device: &Device, bytes: &[u8]) {
    let mut at = 0;
    until("the server takes it", || {
        at += device.write(&bytes[at..]);
        at == bytes.len()
    });
}

fn jpeg() -> Vec<u8> {
    let [r, g, b] = COLOUR;
    let layout = Layout { width: WIDTH, height: HEIGHT, stride: WIDTH * 4 };
    let frame = Frame::from_memory(layout, [b, g, r, 0].repeat((WIDTH * HEIGHT) as usize)).unwrap();
    let tuning = Tuning { rate: Rate::Quality(90), fps: 30 };
    let (width, height, chroma) = (WIDTH, HEIGHT, Chroma::Yuv420);
    let settings = Settings { codec: Codec::Mjpeg, width, height, chroma, tuning, device: None };
    let mut encoder = Software.open(&settings, &frame).unwrap();
    let region = frame.bounds();
    encoder.submit(frame, EncodeRequest { region, damage: region, keyframe: true, tag: 0 }).unwrap();
    let Ok(Some(Completion::Encoded(packet))) = encoder.poll_completion() else { panic!("a JPEG") };
    packet.data.to_vec()
}
