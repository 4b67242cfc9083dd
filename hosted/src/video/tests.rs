use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use sumac_backends::dmabuf::{Fourcc, MOD_LINEAR, Shape};
use sumac_backends::scripted::Scripted;
use sumac_backends::{Backend, Dmabuf, Layout, Plane, registry};

use super::double::{Double, Takes, lost_after};
use super::*;

const SIZE: Size = Size { width: 320, height: 240 };
const ASKER: Asker = Asker { id: 1, allowance: None };

fn hub(codecs: &str, backends: &[&'static dyn Backend]) -> Hub {
    let mut config = Config { size: SIZE, streaming_video: StreamingVideo::All, ..Config::default() };
    config.video_codecs = codecs.parse().unwrap();
    let encoders = Encoders::among(backends, &config);
    Hub::new(&config, Rc::new(encoders), Instant::now(), Bell::default())
}

/// A picture that differs everywhere from the one with another number.
fn frame(number: u8) -> Frame {
    let pixels: Vec<u8> =
        (0..SIZE.width * SIZE.height * 4).map(|i| (i / 640) as u8 ^ number.wrapping_mul(37)).collect();
    Frame::from_memory(Layout { width: SIZE.width, height: SIZE.height, stride: SIZE.width * 4 }, pixels).unwrap()
}

fn show(hub: &Hub, frame: &Frame) {
    hub.on_frame(frame, &Region::from(SIZE.bounds()), None);
}

/// Shows pictures until there is a stream.
async fn moving(hub: &Hub) -> u64 {
    for number in 0..50 {
        show(hub, &frame(number));
        if let Some(info) = hub.streams().first() {
            return info.key;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("nothing became video");
}

#[tokio::test(start_paused = true)]
async fn what_scrolls_is_no_video() {
    let hub = hub("h264", &[]);
    let moved = Some(Rect { height: SIZE.height - 16, ..SIZE.bounds() });
    let below = Rect { y: SIZE.height - 16, height: 16, ..SIZE.bounds() };
    for number in 0..50 {
        hub.on_frame(&frame(number), &Region::from(SIZE.bounds()), moved);
        assert!(hub.streams().iter().all(|stream| below.contains(stream.rect)), "{:?}", hub.streams());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits for what a request leads to.
async fn encoded(hub: &Hub) {
    while !hub.collect() {
        hub.bell.rang().await;
    }
}

/// What somebody gets who got the packet `number` last: its number, and whether it stands alone.
fn after(hub: &Hub, key: u64, rung: u8, number: u64) -> Option<(u64, bool)> {
    match hub.after(key, Codec::H264, rung, number) {
        Next::Packet(packet) => Some((packet.number, packet.keyframe)),
        Next::UpToDate => None,
        Next::Missed => panic!("missed what comes after {number} on {rung}"),
    }
}

/// Draws into a scanout, and how many of them are done.
#[derive(Default)]
struct Draws(Arc<AtomicUsize>);

impl Draws {
    fn draw(&self) -> Frame {
        let fd = memfd_create("scanout", MemfdFlags::CLOEXEC).unwrap();
        ftruncate(&fd, u64::from(SIZE.width * SIZE.height * 4)).unwrap();
        let Size { width, height } = SIZE;
        let shape = Shape { width, height, fourcc: Fourcc::XRGB8888, modifier: MOD_LINEAR, y_inverted: false };
        let plane = Plane { fd: Arc::new(fd), offset: 0, stride: width * 4 };
        let done = Arc::clone(&self.0);
        Frame::from_dmabuf(Dmabuf::new(shape, &[plane]).unwrap()).on_release(move || {
            done.fetch_add(1, Ordering::Relaxed);
        })
    }

    fn done(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

#[tokio::test(start_paused = true)]
async fn what_moves_is_encoded_when_asked_for_and_only_then() {
    let hub = hub("mjpeg", registry::backends());
    let key = moving(&hub).await;
    assert!(matches!(hub.after(key, Codec::Mjpeg, 0, 0), Next::UpToDate), "nobody asked");
    hub.request(ASKER, key, Codec::Mjpeg, 0, false);
    encoded(&hub).await;
    let Next::Packet(first) = hub.after(key, Codec::Mjpeg, 0, 0) else { panic!("no packet") };
    assert_eq!((first.number, first.version, first.keyframe), (1, hub.version(key), true));
    assert_eq!((&first.data[..2], &first.data[first.data.len() - 2..]), (&[0xff, 0xd8][..], &[0xff, 0xd9][..]));

    hub.request(ASKER, key, Codec::Mjpeg, 0, false);
    assert!(!hub.collect(), "the newest picture is encoded already");
    show(&hub, &frame(99));
    assert!(hub.version(key) > first.version);
    hub.request(ASKER, key, Codec::Mjpeg, 0, false);
    encoded(&hub).await;
    assert!(matches!(hub.after(key, Codec::Mjpeg, 0, 1), Next::Packet(packet) if packet.number == 2));
}

#[tokio::test(start_paused = true)]
async fn a_late_viewer_gets_a_key_frame_at_once_also_while_nothing_moves() {
    let hub = hub("h264", &[Double::new("any").leak()]);
    let key = moving(&hub).await;
    for number in 0..20 {
        show(&hub, &frame(number));
        hub.request(ASKER, key, Codec::H264, 0, false);
        encoded(&hub).await;
        assert_eq!(after(&hub, key, 0, u64::from(number)), Some((u64::from(number) + 1, number == 0)));
    }
    for newcomer in 21..24 {
        let version = hub.version(key);
        assert!(matches!(hub.after(key, Codec::H264, 0, 0), Next::Missed) || newcomer > 21);
        hub.request(ASKER, key, Codec::H264, 0, true);
        encoded(&hub).await;
        assert_eq!(after(&hub, key, 0, 0), Some((newcomer, true)), "the same picture again");
        assert_eq!(hub.version(key), version);
    }
}

#[tokio::test(start_paused = true)]
async fn who_falls_behind_gets_an_encoder_of_its_own_at_its_own_pace() {
    let backend = Double::new("any").leak();
    let hub = hub("h264", &[backend]);
    let key = moving(&hub).await;
    let next = async |rung, number| {
        show(&hub, &frame(number));
        hub.request(ASKER, key, Codec::H264, rung, false);
        encoded(&hub).await;
    };
    for number in 0..20 {
        next(0, number).await;
    }
    assert!(matches!(hub.after(key, Codec::H264, 0, 1), Next::Missed));
    assert_eq!(after(&hub, key, 1, 0), None, "nothing to miss there");
    next(1, 20).await;
    assert_eq!((after(&hub, key, 1, 0), backend.opened()), (Some((1, true)), 2));
    next(0, 21).await;
    assert_eq!(after(&hub, key, 0, 20), Some((21, false)), "the others got no key frame");
    // The lower rung comes after its pause, and without being asked again.
    show(&hub, &frame(22));
    hub.request(ASKER, key, Codec::H264, 1, false);
    assert!(!hub.collect() && hub.deadline().unwrap() > Instant::now());
    tokio::time::sleep_until(hub.deadline().unwrap()).await;
    hub.on_time();
    encoded(&hub).await;
    assert_eq!(after(&hub, key, 1, 1), Some((2, false)));
}

#[tokio::test(start_paused = true)]
async fn a_lost_encoder_is_replaced_and_viewers_stay() {
    let script = [lost_after(3), lost_after(0)].concat();
    let first = Double::new("first").follows(Scripted::new(1, true, script)).leak();
    let second = Double::new("second").leak();
    let hub = hub("h264", &[first, second]);
    let key = moving(&hub).await;
    for number in 0..6 {
        show(&hub, &frame(number));
        hub.request(ASKER, key, Codec::H264, 0, false);
        encoded(&hub).await;
        let stands_alone = number == 0 || number == 3;
        assert_eq!(after(&hub, key, 0, u64::from(number)), Some((u64::from(number) + 1, stands_alone)));
        assert!(hub.can(key, Codec::H264, 0));
    }
    assert_eq!((first.opened(), second.opened()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_codec_is_given_up_when_nobody_encodes_it() {
    let small = Double::new("small").encodes(&[Codec::Vp8], SIZE.width - 1).leak();
    let none = Double::new("none").encodes(&[Codec::H264, Codec::Vp9], 9000).takes(Takes::Nothing).leak();
    let hub = hub("vp8,h264,vp9,h265", &[small, none]);
    assert_eq!(hub.codecs().collect::<Vec<_>>(), [Codec::Vp8, Codec::H264, Codec::Vp9]);
    let key = moving(&hub).await;
    let can = |codec| hub.can(key, codec, 0);
    assert_eq!((can(Codec::Vp8), can(Codec::H264), can(Codec::Hevc)), (false, true, false));
    hub.request(ASKER, key, Codec::H264, 0, false);
    encoded(&hub).await;
    assert_eq!((can(Codec::H264), can(Codec::Vp9), hub.can(key, Codec::H264, 1)), (false, true, true));
    hub.request(ASKER, key, Codec::H264, 0, true);
    assert!(!hub.collect(), "it is not tried again");
}

#[tokio::test(start_paused = true)]
async fn a_draw_is_done_when_it_is_encoded_and_at_once_when_nobody_asks() {
    let (hub, draws) = (hub("h264", &[Double::new("any").leak()]), Draws::default());
    let key = moving(&hub).await;
    show(&hub, &draws.draw());
    assert_eq!(draws.done(), 1, "there is no viewer");
    hub.request(ASKER, key, Codec::H264, 0, false);
    encoded(&hub).await;
    show(&hub, &draws.draw());
    assert_eq!(draws.done(), 1, "the viewer will ask");
    hub.request(ASKER, key, Codec::H264, 0, false);
    encoded(&hub).await;
    assert_eq!((after(&hub, key, 0, 1), draws.done()), (Some((2, false)), 2));
    hub.request(ASKER, key, Codec::H264, 0, true);
    encoded(&hub).await;
    assert_eq!(after(&hub, key, 0, 2), Some((3, true)), "its picture is still there");
}

#[tokio::test(start_paused = true)]
async fn a_draw_does_not_wait_for_a_viewer_that_is_slow_or_gone() {
    let (hub, draws) = (hub("h264", &[Double::new("any").leak()]), Draws::default());
    let key = moving(&hub).await;
    hub.request(ASKER, key, Codec::H264, 0, false);
    encoded(&hub).await;
    show(&hub, &draws.draw());
    let until = hub.deadline().unwrap();
    assert!(until <= Instant::now() + Duration::from_millis(10), "who has room asks at once");
    tokio::time::sleep_until(until).await;
    hub.on_time();
    assert_eq!(draws.done(), 1);
    show(&hub, &draws.draw());
    show(&hub, &draws.draw());
    assert_eq!(draws.done(), 2, "overtaken");
    tokio::time::sleep(Duration::from_secs(1)).await;
    show(&hub, &draws.draw());
    assert_eq!(draws.done(), 4, "nobody has asked for a second");
}

#[tokio::test(start_paused = true)]
async fn the_end_releases_every_picture_also_in_mid_encode() {
    for wait in [false, true] {
        let (hub, draws) = (hub("h264", &[Double::new("any").leak()]), Draws::default());
        let key = moving(&hub).await;
        hub.request(ASKER, key, Codec::H264, 0, false);
        encoded(&hub).await;
        show(&hub, &draws.draw());
        hub.request(ASKER, key, Codec::H264, 0, false);
        if wait {
            hub.bell.rang().await;
        }
        hub.end();
        while hub.bell.threads() > 0 {
            hub.bell.rang().await;
        }
        assert_eq!(draws.done(), 1);
        assert_eq!((hub.version(key), hub.streams().len()), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_size_ends_all_streams() {
    let hub = hub("mjpeg", registry::backends());
    let key = moving(&hub).await;
    let small = Frame::from_memory(Layout { width: 8, height: 8, stride: 32 }, vec![0; 256]).unwrap();
    assert!(hub.on_frame(&small, &Region::from(Rect { x: 0, y: 0, width: 8, height: 8 }), None));
    assert!(hub.streams().is_empty());
    assert_eq!(hub.version(key), 0);
    hub.request(ASKER, key, Codec::Mjpeg, 0, true);
    assert!(!hub.collect());
}
