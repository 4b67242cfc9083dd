use std::vec::Vec;
use std::{format, vec};

use super::*;
use crate::proto::stream_device::{Capabilities, NotifyError, StartStop};
use crate::wire::{Counted, Data, Rest, Sampler};

fn message(kind: u16, body: &[u8]) -> Vec<u8> {
    announced(kind, u32::try_from(body.len()).expect("short"), body)
}

fn announced(kind: u16, size: u32, body: &[u8]) -> Vec<u8> {
    [&[1, 0][..], &kind.to_le_bytes(), &size.to_le_bytes(), body].concat()
}

fn format(width: u32, height: u32, codec: u8) -> Vec<u8> {
    message(2, &[&width.to_le_bytes()[..], &height.to_le_bytes(), &[codec, 0, 0, 0]].concat())
}

fn cursor(width: u16, height: u16, kind: u8, data: usize) -> Vec<u8> {
    let head = [width, height, 1, 2].map(u16::to_le_bytes).concat();
    message(6, &[&head[..], &[kind, 0, 0, 0], &vec![9; data]].concat())
}

/// Hands all of it over; answers how many messages there were, and the error that ended them.
fn hear(device: &mut StreamDevice, bytes: &[u8]) -> (usize, Option<StreamError>) {
    let (mut at, mut messages) = (0, 0);
    while let Some(unit) = bytes.get(at..).and_then(|rest| rest.get(..device.want())) {
        at += unit.len();
        match device.on_bytes(unit) {
            Ok(message) => messages += usize::from(message.is_some()),
            Err(error) => return (messages, Some(error)),
        }
    }
    (messages, None)
}

fn error(bytes: &[u8]) -> Option<StreamError> {
    hear(&mut StreamDevice::default(), bytes).1
}

#[test]
fn an_agent_is_understood() {
    let mut device = StreamDevice::default();
    let caps = message(1, &[1]);
    assert_eq!(hear(&mut device, &caps), (1, None));
    assert_eq!(hear(&mut device, &format(640, 480, 1)), (1, None));
    assert_eq!(hear(&mut device, &message(3, b"a picture")), (1, None));
    assert_eq!(hear(&mut device, &message(3, b"")), (1, None));
    assert_eq!(hear(&mut device, &cursor(2, 2, 0, 16)), (1, None));
    assert_eq!(hear(&mut device, &message(7, &[0; 8])), (1, None));
    let info = [&[0; 8][..], &5u32.to_le_bytes(), b"pci/0"].concat();
    let header = message(8, &info);
    assert_eq!(device.on_bytes(&header[..8]), Ok(None));
    let got = device.on_bytes(&info);
    assert!(matches!(got, Ok(Some(GuestMessage::DeviceDisplayInfo(i))) if i.device_address.items() == b"pci/0"));
}

#[test]
fn every_shorter_stream_is_waited_for() {
    let whole = [format(8, 8, 3), message(3, &[7; 20]), cursor(3, 3, 5, 27 + 3)].concat();
    for len in 0..whole.len() {
        let (messages, error) = hear(&mut StreamDevice::default(), &whole[..len]);
        assert!(messages < 3 && error.is_none(), "{len}");
    }
    assert_eq!(hear(&mut StreamDevice::default(), &whole), (3, None));
}

#[test]
fn what_is_written_is_read() {
    let mut out = [0; 64];
    let start = ServerMessage::StartStop(StartStop { codecs: Counted::new(&[1, 3]) });
    let len = write(&start, &mut out).expect("room");
    assert_eq!(out[..len], [1, 0, 4, 0, 3, 0, 0, 0, 2, 1, 3]);
    assert!(write(&start, &mut [0; 10]).is_err());
    let text = NotifyError { error_code: 0, message: Rest(Data::Here(b"no")) };
    let len = write(&ServerMessage::NotifyError(text), &mut out).expect("room");
    assert_eq!(out[..len], [1, 0, 5, 0, 6, 0, 0, 0, 0, 0, 0, 0, b'n', b'o']);
    let caps = ServerMessage::Capabilities(Capabilities { capabilities: Rest(Data::Here(&[])) });
    assert_eq!(write(&caps, &mut out), Ok(8));
}

/// A size is refused before anything is waited for: an agent cannot make the host hold more.
#[test]
fn sizes_are_checked_at_the_limit_and_beyond() {
    let frame = u32::try_from(limits::STREAM_DEVICE_FRAME).expect("small");
    for (kind, most) in [(1, 1024), (2, 12), (3, frame), (6, 12 + 1024 * 1024 * 4 + 128 * 1024), (7, 8), (8, 268)] {
        assert_eq!(error(&announced(kind, most, &[])), None, "{kind}");
        for beyond in [most + 1, u32::MAX] {
            let got = error(&announced(kind, beyond, &[]));
            assert!(matches!(got, Some(StreamError::Size { .. })), "{kind} {beyond}");
        }
    }
    for (kind, fewer) in [(2, 11), (6, 11), (7, 7), (8, 11)] {
        assert!(matches!(error(&announced(kind, fewer, &[])), Some(StreamError::Size { .. })), "{kind}");
    }
}

#[test]
fn headers_of_others_are_refused() {
    assert_eq!(error(&[2, 0, 1, 0, 0, 0, 0, 0]), Some(StreamError::Version(2)));
    for kind in [0, 4, 5, 9, 10, u16::MAX] {
        assert_eq!(error(&message(kind, &[])), Some(StreamError::Unknown(kind)));
    }
}

#[test]
fn formats_are_checked() {
    let most = limits::STREAM_DEVICE_SIDE;
    assert_eq!(error(&format(most, 1, 5)), None);
    for (width, height) in [(0, 1), (1, 0), (most + 1, 1), (1, u32::MAX)] {
        assert_eq!(error(&format(width, height, 1)), Some(StreamError::Pixels { width, height }));
    }
    for codec in [0, 6, 255] {
        assert_eq!(error(&format(1, 1, codec)), Some(StreamError::Codec(codec)));
    }
    assert_eq!(error(&message(3, b"x")), Some(StreamError::NoFormat));
}

/// A shape with fewer bytes than its size says would make whoever draws it read beyond its end.
#[test]
fn cursors_have_as_many_bytes_as_their_size_takes() {
    for (kind, takes) in [(0, 9 * 2 * 4), (5, 9 * 2 * 3 + 4), (6, 9 * 2 * 4 + 4)] {
        assert_eq!(error(&cursor(9, 2, kind, takes)), None);
        for got in [0, takes - 1, takes + 1] {
            assert_eq!(error(&cursor(9, 2, kind, got)), Some(StreamError::ShapeBytes { got, takes }));
        }
    }
    for kind in [1, 2, 3, 4, 7, 255] {
        assert_eq!(error(&cursor(1, 1, kind, 4)), Some(StreamError::Shape { kind, width: 1, height: 1 }));
    }
    let (width, height) = (1025, 0);
    assert_eq!(error(&cursor(width, height, 0, 0)), Some(StreamError::Shape { kind: 0, width, height }));
    assert_eq!(error(&cursor(0, 0, 0, 0)), None, "no pixels: a hidden pointer");
}

#[test]
fn an_address_fills_its_message_and_no_more() {
    let info = |len: u32, address: &[u8]| message(8, &[&[0; 8][..], &len.to_le_bytes(), address].concat());
    assert_eq!(error(&info(256, &[b'x'; 256])), None);
    for (len, address) in [(6, &b"pci/0"[..]), (4, b"pci/0"), (u32::MAX, b"pci/0")] {
        assert!(error(&info(len, address)).is_some(), "{len}");
    }
}

#[test]
fn after_an_error_nothing_is_heard() {
    let mut device = StreamDevice::default();
    let wrong = message(3, b"x");
    assert!(hear(&mut device, &wrong).1.is_some());
    assert_eq!(hear(&mut device, &format(8, 8, 1)), (0, None));
    assert_eq!(device.on_bytes(&format(8, 8, 1)), Ok(None));
    assert_eq!(device.want(), usize::MAX);
}

#[test]
fn any_bytes_are_messages_or_an_error_in_words() {
    let mut sampler = Sampler::new(5);
    let good = [format(8, 8, 1), message(3, &[7; 9]), cursor(2, 2, 0, 16), message(7, &[1; 8])].concat();
    for _ in 0..if cfg!(miri) { 50 } else { 5_000 } {
        let mut bytes = good.clone();
        for _ in 0..1 + sampler.below(3) {
            let at = sampler.below(bytes.len());
            bytes[at] = sampler.number().to_le_bytes()[0];
        }
        if let (_, Some(error)) = hear(&mut StreamDevice::default(), &bytes) {
            assert!(!format!("{error}").is_empty());
        }
    }
}
