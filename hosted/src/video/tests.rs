use sumac_backends::Layout;

use super::*;

const SIZE: Size = Size { width: 320, height: 240 };

fn hub(codecs: &[VideoCodec]) -> Hub {
    let mut config = Config { size: SIZE, streaming_video: StreamingVideo::All, ..Config::default() };
    config.video_codecs = codecs.iter().map(|codec| codec.name()).collect::<Vec<_>>().join(",").parse().unwrap();
    let choices = choices(config.video_codecs.as_slice());
    Hub::new(&config, choices, Instant::now(), Arc::default())
}

/// A picture that differs everywhere from the one with another number.
fn frame(number: u8) -> Frame {
    let pixels: Vec<u8> =
        (0..SIZE.width * SIZE.height * 4).map(|i| (i / 640) as u8 ^ number.wrapping_mul(37)).collect();
    Frame::from_memory(Layout { width: SIZE.width, height: SIZE.height, stride: SIZE.width * 4 }, pixels).unwrap()
}

/// Shows pictures until there is a stream.
async fn moving(hub: &Hub) -> StreamInfo {
    for number in 0..50 {
        hub.on_frame(&frame(number), &Region::from(SIZE.bounds()));
        if let Some(info) = hub.streams().first() {
            return *info;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("nothing became video");
}

/// Waits for the packet that a request leads to.
async fn encoded(hub: &Hub) {
    while !hub.collect() {
        hub.done.notified().await;
    }
}

#[tokio::test]
async fn what_moves_is_encoded_when_asked_for_and_only_then() {
    let hub = hub(&[VideoCodec::Mjpeg]);
    let info = moving(&hub).await;
    assert_eq!(hub.packet(info.key, Codec::Mjpeg).map(|p| p.number), None);
    hub.request(info.key, Codec::Mjpeg, false);
    encoded(&hub).await;
    let first = hub.packet(info.key, Codec::Mjpeg).unwrap();
    assert_eq!((first.number, first.version, first.keyframe), (1, hub.version(info.key), true));
    assert_eq!((&first.data[..2], &first.data[first.data.len() - 2..]), (&[0xff, 0xd8][..], &[0xff, 0xd9][..]));

    hub.request(info.key, Codec::Mjpeg, false);
    assert!(!hub.collect(), "the newest picture is encoded already");
    hub.on_frame(&frame(99), &Region::from(SIZE.bounds()));
    assert!(hub.version(info.key) > first.version);
    hub.request(info.key, Codec::Mjpeg, false);
    encoded(&hub).await;
    assert_eq!(hub.packet(info.key, Codec::Mjpeg).unwrap().number, 2);
}

#[tokio::test]
async fn who_missed_a_packet_gets_a_key_frame_and_none_comes_twice_in_a_second() {
    let hub = hub(&[VideoCodec::H264]);
    let info = moving(&hub).await;
    let next = async |number, keyframe| {
        hub.on_frame(&frame(number), &Region::from(SIZE.bounds()));
        hub.request(info.key, Codec::H264, keyframe);
        encoded(&hub).await;
        hub.packet(info.key, Codec::H264).unwrap().keyframe
    };
    assert!(next(60, false).await, "the first stands alone");
    assert!(!next(61, false).await);
    assert!(!next(62, true).await, "one was just sent");
    tokio::time::sleep(KEY_PAUSE).await;
    assert!(next(63, false).await, "the wish was kept");
    assert!(!next(64, false).await);
}

#[tokio::test]
async fn a_new_size_ends_all_streams() {
    let hub = hub(&[VideoCodec::Mjpeg]);
    let info = moving(&hub).await;
    let small = Frame::from_memory(Layout { width: 8, height: 8, stride: 32 }, vec![0; 256]).unwrap();
    assert!(hub.on_frame(&small, &Region::from(Rect { x: 0, y: 0, width: 8, height: 8 })));
    assert!(hub.streams().is_empty());
    assert_eq!(hub.version(info.key), 0);
    hub.request(info.key, Codec::Mjpeg, true);
    assert!(!hub.collect());
}
