use super::*;
use crate::config::Config;
use crate::devices::{Device, Devices};
use sumac_backends::Codec;

const FORMAT: [u8; 20] = [1, 0, 2, 0, 12, 0, 0, 0, 64, 0, 0, 0, 48, 0, 0, 0, 1, 0, 0, 0];

struct Guest {
    hub: DeviceHub,
    displays: Displays,
    agents: StreamingAgents,
    device: Device,
}

impl Guest {
    /// A guest with one display and an agent that has not opened its port.
    fn new() -> (Self, Box<dyn Stage>) {
        let devices = Devices::default();
        let displays = Displays::new(&Config::default(), Instant::now());
        let stage = displays.host().display(0).unwrap();
        let device = devices.open(DeviceKind::Stream, "org.spice-space.stream.0");
        let guest = Self { hub: DeviceHub::new(devices), displays, agents: StreamingAgents::default(), device };
        guest.turn();
        (guest, stage)
    }

    /// What the engine does when something arrives.
    fn turn(&self) {
        for _ in 0..3 {
            self.hub.take_mail();
            self.agents.take_mail(&self.hub, &self.displays);
            self.displays.take_mail();
        }
    }

    fn says(&self, bytes: &[u8]) {
        assert_eq!(self.device.write(bytes), bytes.len());
        self.turn();
    }

    /// What it was told since.
    fn told(&self) -> Vec<u8> {
        let mut out = vec![0; 4096];
        let len = self.device.read(&mut out);
        out.truncate(len);
        out
    }

    fn display(&self) -> Rc<Display> {
        self.displays.get(1).unwrap()
    }
}

fn data(bytes: &[u8]) -> Vec<u8> {
    [&[1, 0, 3, 0][..], &u32::try_from(bytes.len()).unwrap().to_le_bytes(), bytes].concat()
}

#[tokio::test(start_paused = true)]
async fn an_agent_is_a_display_from_the_moment_that_it_opens_its_port() {
    let (guest, _stage) = Guest::new();
    assert_eq!(guest.displays.numbers(), [0]);
    guest.device.set_opened(true);
    guest.turn();
    assert_eq!(guest.displays.numbers(), [0, 1]);
    assert!(guest.told().is_empty(), "nobody looks");
    let video = Rc::clone(&guest.display().video);
    video.attend(7, &[Codec::Mjpeg, Codec::H264]);
    guest.turn();
    assert_eq!(guest.told(), [1, 0, 4, 0, 3, 0, 0, 0, 2, 3, 1]);
    video.attend(8, &[Codec::Mjpeg]);
    guest.turn();
    assert_eq!(guest.told(), [1, 0, 4, 0, 2, 0, 0, 0, 1, 1]);
    [7, 8].into_iter().for_each(|viewer| video.leave(viewer));
    guest.turn();
    assert_eq!(guest.told(), [1, 0, 4, 0, 1, 0, 0, 0, 0]);
    drop(guest.device);
    guest.hub.take_mail();
    guest.agents.take_mail(&guest.hub, &guest.displays);
    guest.displays.take_mail();
    assert_eq!(guest.displays.numbers(), [0]);
}

#[tokio::test(start_paused = true)]
async fn its_pictures_are_read_as_viewers_take_them() {
    let (guest, _stage) = Guest::new();
    guest.device.set_opened(true);
    guest.turn();
    let video = Rc::clone(&guest.display().video);
    video.attend(7, &[Codec::Mjpeg]);
    guest.says(&FORMAT);
    assert_eq!(video.guest_format(), Some((Codec::Mjpeg, Size { width: 64, height: 48 })));
    let [info] = video.streams()[..] else { panic!("one stream") };
    // In pieces.
    let picture = data(&[9; 1000]);
    picture.chunks(300).for_each(|piece| guest.says(piece));
    assert_eq!(video.version(info.key), 1);
    video.sent(7, 1);
    guest.says(&[data(b"two"), data(b"three")].concat());
    assert_eq!(video.version(info.key), 2, "the third waits for the second");
    video.sent(7, 2);
    guest.turn();
    assert_eq!(video.version(info.key), 3);
    guest.device.set_opened(false);
    guest.turn();
    assert!(video.streams().is_empty());
    guest.device.set_opened(true);
    guest.says(&FORMAT);
    assert_ne!(video.streams()[0].key, info.key, "begun anew");
    assert_eq!(guest.displays.numbers(), [0, 1], "the display is the same");
}

#[tokio::test(start_paused = true)]
async fn one_that_breaks_the_rules_hears_why_and_is_heard_again_when_it_comes_back() {
    let (guest, _stage) = Guest::new();
    guest.device.set_opened(true);
    guest.turn();
    guest.says(&data(b"too early"));
    let told = guest.told();
    assert_eq!(told[..4], [1, 0, 5, 0]);
    assert!(String::from_utf8_lossy(&told).contains("DATA before FORMAT"));
    guest.says(&FORMAT);
    guest.says(&vec![1; 200_000]);
    assert!(guest.told().is_empty() && guest.display().video.guest_format().is_none());
    guest.device.set_opened(false);
    guest.device.set_opened(true);
    guest.turn();
    guest.says(&FORMAT);
    assert!(guest.display().video.guest_format().is_some());
}

/// Nothing is asked of one that does not read.
#[tokio::test(start_paused = true)]
async fn one_that_does_not_read_is_told_little() {
    let (guest, _stage) = Guest::new();
    guest.device.set_opened(true);
    guest.turn();
    let video = Rc::clone(&guest.display().video);
    for _ in 0..200_000 {
        video.attend(7, &[Codec::Mjpeg]);
        guest.agents.take_mail(&guest.hub, &guest.displays);
        video.leave(7);
        guest.agents.take_mail(&guest.hub, &guest.displays);
    }
    let mut told = vec![0; 2 << 20];
    assert!((1 << 20..(1 << 20) + 16).contains(&guest.device.read(&mut told)));
}
