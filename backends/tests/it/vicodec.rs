//! The V4L2 backend on the kernel's virtual stateful encoder, with real dmabufs. Runs where vicodec
//! is, as in the kernel of `tests/kernel`.
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sumac_backends::{
    Backend, BackendError, Chroma, Codec, Completion, Dmabuf, EncodeRequest, Encoder, Frame, Packet, Rate, Refusal,
    Settings, Tuning, conformance, dmabuf::Shape, v4l2::V4l2,
};

use crate::{
    allocator,
    content::{Picture, bars, natural, text},
    dmabuf::Origin,
    guard,
};

const ORIGINS: [Origin; 3] = [Origin::Udmabuf, Origin::Heap, Origin::Dumb("vgem")];

/// vicodec's node with this function, by the name that the kernel gives it.
fn node(function: &str) -> Option<PathBuf> {
    let entries = fs::read_dir("/sys/class/video4linux").ok()?.flatten();
    let named = |path: &PathBuf| fs::read_to_string(path.join("name")).is_ok_and(|name| name.trim() == function);
    let found = entries.map(|e| e.path()).find(named)?;
    Some(PathBuf::from("/dev").join(found.file_name()?))
}

fn present(test: &str) -> bool {
    let found = node("stateful-encoder").is_some();
    if !found {
        println!("SKIPPED: {test}: no vicodec here");
    }
    found
}

fn settings(width: u32, height: u32, rate: Rate) -> Settings {
    let tuning = Tuning { rate, fps: 30 };
    Settings { codec: Codec::Fwht, width, height, chroma: Chroma::Yuv420, tuning, device: node("stateful-encoder") }
}

fn open(settings: &Settings, like: &Frame) -> Box<dyn Encoder> {
    V4l2.open(settings, like).unwrap()
}

fn encode(encoder: &mut dyn Encoder, frame: Frame, keyframe: bool) -> Packet {
    let region = frame.bounds();
    encoder.submit(frame, EncodeRequest { region, damage: region, keyframe, tag: 0 }).unwrap();
    loop {
        if let Some(completion) = encoder.poll_completion().unwrap() {
            let Completion::Encoded(packet) = completion else { panic!("dropped") };
            return packet;
        }
        let fd = encoder.readiness().unwrap();
        let limit = Timespec::try_from(Duration::from_secs(10)).unwrap();
        assert_eq!(poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)], Some(&limit)), Ok(1));
    }
}

/// Decodes by vicodec's own decoder, driven by `v4l2-ctl`.
fn decode(packets: &[Packet], width: u32, height: u32) -> Option<Vec<Picture>> {
    let decoder = node("stateful-decoder")?;
    let folder = std::env::temp_dir().join(format!("fwht-{}-{width}x{height}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let (input, output) = (folder.join("in"), folder.join("out"));
    // v4l2-ctl's file of frames: the letters "Vhdr" and the length as big-endian words, the frame.
    let header = |p: &Packet| [b"rdhV", &(p.data.len() as u32).to_be_bytes()[..]].concat();
    let stream: Vec<u8> = packets.iter().flat_map(|p| [&header(p)[..], &p.data].concat()).collect();
    fs::write(&input, stream).unwrap();
    let done = Command::new("timeout")
        .args(["60", "v4l2-ctl", "-d"])
        .arg(decoder)
        .arg(format!("--set-fmt-video-out=width={width},height={height},pixelformat=FWHT"))
        .arg("--set-fmt-video=pixelformat=XR24")
        .args(["--stream-mmap", "--stream-out-mmap", "--stream-from-hdr"])
        .arg(&input)
        .arg("--stream-to")
        .arg(&output)
        .output()
        .ok()?;
    let bytes = fs::read(&output).unwrap_or_default();
    fs::remove_dir_all(&folder).unwrap();
    let size = width as usize * height as usize * 4;
    assert!(done.status.success(), "v4l2-ctl: {}", String::from_utf8_lossy(&done.stderr));
    Some(bytes.chunks_exact(size).map(|p| Picture { width, height, pixels: p.to_vec() }).collect())
}

#[test]
fn it_keeps_the_law_with_dmabufs_of_every_origin() {
    if !present("it_keeps_the_law_with_dmabufs_of_every_origin") {
        return;
    }
    let picture = natural(640, 368, 0);
    for origin in ORIGINS {
        if origin.frame(&picture, 2560, 368).is_none() {
            println!("SKIPPED: dmabufs of {origin:?}");
            continue;
        }
        for rate in [Rate::Quality(80), Rate::Bitrate(2_000_000)] {
            let mut frames = |_| origin.frame(&picture, 2560, 368).unwrap();
            let verdict = conformance::check_backend(&V4l2, &settings(640, 368, rate), &mut frames);
            assert_eq!(verdict, Ok(()), "{origin:?}, {rate:?}");
        }
    }
}

#[test]
fn a_running_encoder_allocates_nothing() {
    if !present("a_running_encoder_allocates_nothing") {
        return;
    }
    let frames = [0, 1, 2].map(|n| Origin::Udmabuf.frame(&natural(640, 368, n), 2560, 368).unwrap());
    assert_eq!(allocator::count(&V4l2, &settings(640, 368, Rate::Quality(80)), &frames), 0);
}

#[test]
fn its_own_decoder_shows_the_pictures() {
    if !present("its_own_decoder_shows_the_pictures") {
        return;
    }
    // FWHT cannot show text at the 38 dB asked of other codecs: its quantiser is a threshold below
    // which coefficients are left out, and those that stay lose up to six bits by a fixed table. At
    // its finest, which the default quality is, text has about 32 dB.
    for (name, make, least) in [("natural", natural as fn(u32, u32, u32) -> Picture, 34.0), ("text", text, 31.0)] {
        let pictures: Vec<_> = (0..6).map(|n| make(640, 368, n)).collect();
        let frames: Vec<_> = pictures.iter().map(|p| Origin::Udmabuf.frame(p, 2560, 368).unwrap()).collect();
        let mut encoder = open(&settings(640, 368, Tuning::default().rate), &frames[0]);
        let packets: Vec<_> = frames.into_iter().enumerate().map(|(n, f)| encode(&mut *encoder, f, n == 3)).collect();
        assert_eq!(packets.iter().map(|p| p.keyframe).collect::<Vec<_>>(), [true, false, false, true, false, false]);
        let Some(decoded) = decode(&packets, 640, 368) else {
            println!("SKIPPED: decoding FWHT: v4l2-ctl is not installed");
            return;
        };
        assert!(decoded.len() >= 5, "{} pictures of 6", decoded.len());
        let worst = pictures.iter().zip(&decoded).map(|(a, b)| a.psnr(b)).fold(f64::INFINITY, f64::min);
        println!("fwht {name}: {worst:.1} dB at the default quality");
        assert!(worst >= least, "{name}: {worst:.1} dB");
    }
}

/// A picture whose rows are as the device rounds them, encoded and decoded again.
fn round_trip(picture: &Picture, rate: Rate) -> Option<Picture> {
    let Picture { width, height, .. } = *picture;
    let (stride, rows) = (width.next_multiple_of(8) * 4, height.next_multiple_of(8));
    let frame = Origin::Udmabuf.frame(picture, stride, rows).unwrap();
    let packet = encode(&mut *open(&settings(width, height, rate), &frame), frame, false);
    assert_eq!((packet.width, packet.height), (width, height));
    decode(&[packet], width, height)?.into_iter().next()
}

#[test]
fn colours_are_right() {
    if !present("colours_are_right") {
        return;
    }
    if let Some(decoded) = round_trip(&bars(640, 368), Rate::Quality(95)) {
        decoded.assert_bars("fwht");
    }
}

#[test]
fn every_size_that_the_device_has_is_coded() {
    if !present("every_size_that_the_device_has_is_coded") {
        return;
    }
    for (width, height) in [(1366, 768), (650, 363), (4096, 2160)] {
        let picture = natural(width, height, 0);
        // Where its code is longer than half the pixels, vicodec sends planes as they are, and then
        // miscounts the rows of a height that is no multiple of 8: a quality that keeps clear of it.
        let Some(decoded) = round_trip(&picture, Rate::Quality(70)) else { return };
        assert!(picture.psnr(&decoded) >= 34.0, "{width}x{height}: {:.1} dB", picture.psnr(&decoded));
    }
    for (width, height) in [(1, 1), (4104, 16), (640, 2168)] {
        let frame = Origin::Udmabuf.frame(&natural(width, height, 0), width * 4, height).unwrap();
        match V4l2.open(&settings(width, height, Rate::Quality(90)), &frame).map(drop) {
            Err(BackendError::Unsupported { what, .. }) => println!("{width}x{height}: cannot encode {what}"),
            other => panic!("{width}x{height}: {other:?}"),
        }
    }
}

#[test]
fn what_lies_the_wrong_way_round_is_refused() {
    if !present("what_lies_the_wrong_way_round_is_refused") {
        return;
    }
    let upright = Origin::Udmabuf.frame(&natural(640, 368, 0), 2560, 368).unwrap();
    let dmabuf = upright.dmabuf().unwrap();
    let inverted = Dmabuf::new(Shape { y_inverted: true, ..dmabuf.shape() }, dmabuf.planes()).unwrap();
    let error = V4l2.open(&settings(640, 368, Rate::Quality(80)), &Frame::from_dmabuf(inverted)).map(drop).unwrap_err();
    assert!(error.to_string().contains("its bottom row is first"), "{error}");
}

#[test]
fn a_new_size_is_refused_and_coded_by_a_new_encoder() {
    if !present("a_new_size_is_refused_and_coded_by_a_new_encoder") {
        return;
    }
    let (small, large) = (natural(640, 368, 0), natural(800, 600, 0));
    let frame = |p: &Picture| Origin::Udmabuf.frame(p, p.width * 4, p.height).unwrap();
    let mut encoder = open(&settings(640, 368, Rate::Quality(90)), &frame(&small));
    encode(&mut *encoder, frame(&small), false);
    let region = frame(&large).bounds();
    let request = EncodeRequest { region, damage: region, keyframe: false, tag: 0 };
    let refused = encoder.submit(frame(&large), request).unwrap_err();
    assert!(matches!(refused.why, Refusal::Size { .. }), "{refused}");
    encode(&mut *encoder, frame(&small), false);
    assert!(encoder.finish().is_empty());
    let decoded = round_trip(&large, Rate::Quality(90));
    assert!(decoded.is_none_or(|d| large.psnr(&d) >= 34.0));
}

#[test]
fn a_bitrate_is_held() {
    if !present("a_bitrate_is_held") {
        return;
    }
    let frames: Vec<_> = (0..4).map(|n| Origin::Udmabuf.frame(&natural(640, 368, n), 2560, 368).unwrap()).collect();
    let average = |rate| {
        let mut encoder = open(&settings(640, 368, rate), &frames[0]);
        let sizes: Vec<_> = (0..48).map(|n| encode(&mut *encoder, frames[n % 4].clone(), false).data.len()).collect();
        sizes[24..].iter().sum::<usize>() as f64 / 24.0
    };
    let (fine, coarse) = (average(Rate::Quality(100)), average(Rate::Quality(1)));
    let aim = coarse + 0.4 * (fine - coarse);
    let got = average(Rate::Bitrate((aim * 30.0 * 8.0) as u32));
    assert!((aim * 0.8..aim * 1.2).contains(&got), "{got} bytes a picture instead of {aim} ({coarse} to {fine})");
}

#[test]
fn what_the_driver_cannot_take_is_said() {
    if !present("what_the_driver_cannot_take_is_said") {
        return;
    }
    let picture = natural(644, 363, 0);
    let tight = Origin::Udmabuf.frame(&picture, 644 * 4, 363).unwrap();
    match V4l2.open(&settings(644, 363, Rate::Quality(80)), &tight) {
        Ok(mut encoder) => assert!(encode(&mut *encoder, tight, false).keyframe),
        Err(BackendError::Unsupported { what, .. }) => {
            assert!(what.contains("stride") || what.contains("smaller"), "{what}");
        }
        Err(other) => panic!("{other}"),
    }
    let memory = picture.frame();
    let error = V4l2.open(&settings(644, 363, Rate::Quality(80)), &memory).map(drop).unwrap_err();
    assert_eq!(error.to_string(), "v4l2 cannot encode a picture that is not in a dmabuf");
}

/// A device that is unbound from its driver is gone for those who have it open, as when it is
/// unplugged.
#[test]
fn the_loss_of_the_device_keeps_the_law() {
    let driver = Path::new("/sys/bus/platform/drivers/vicodec");
    if !present("the_loss_of_the_device_keeps_the_law") {
        return;
    }
    let picture = natural(640, 368, 0);
    let mut frames = |_| Origin::Udmabuf.frame(&picture, 2560, 368).unwrap();
    let settings = settings(640, 368, Rate::Quality(80));
    let encoder = open(&settings, &frames(0));
    let mut lose = || fs::write(driver.join("unbind"), "vicodec.0").unwrap();
    let error = conformance::check_loss(encoder, &settings, &mut frames, 3, &mut lose);
    fs::write(driver.join("bind"), "vicodec.0").unwrap();
    assert_eq!(error, Ok(BackendError::Lost(settings.device.unwrap())));
    assert!(present("after it came back"));
}

#[test]
fn the_processor_reads_no_pixel() {
    if !present("the_processor_reads_no_pixel") {
        return;
    }
    // The guard is for a whole process.
    let done = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "vicodec::child", "--include-ignored", "--nocapture"])
        .env("SUMAC_V4L2_CASE", "unmapped")
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
#[ignore = "the other half of the test above, which runs it with an environment"]
fn child() {
    if std::env::var("SUMAC_V4L2_CASE").as_deref() != Ok("unmapped") {
        println!("SKIPPED: no case");
        return;
    }
    let pictures = [0, 1, 2].map(|n| natural(640, 368, n));
    let frames = pictures.each_ref().map(|p| Origin::Udmabuf.frame(p, 2560, 368).unwrap());
    let mut encoder = open(&settings(640, 368, Tuning::default().rate), &frames[0]);
    let mut packets = Vec::with_capacity(16);
    let mut round = || packets.extend(frames.iter().map(|frame| encode(&mut *encoder, frame.clone(), false)));
    // The first pictures need memory.
    (0..2).for_each(|_| round());
    guard::without_mappings(&frames[0], || (0..2).for_each(|_| round()));
    let Some(decoded) = decode(&packets, 640, 368) else { return };
    let shown = pictures.iter().cycle().zip(&decoded).map(|(a, b)| a.psnr(b)).fold(f64::INFINITY, f64::min);
    assert!(decoded.len() >= 11 && shown >= 34.0, "{} pictures, {shown:.1} dB", decoded.len());
}

#[test]
fn probe_names_it() {
    if !present("probe_names_it") {
        return;
    }
    let path = node("stateful-encoder");
    let reports = V4l2.probe();
    println!("{reports:#?}");
    let report = reports.iter().find(|r| r.device == path).unwrap();
    let offers = report.encoders.as_ref().unwrap();
    assert_eq!(offers.iter().map(|o| o.codec).collect::<Vec<_>>(), [Codec::Fwht]);
    assert!(offers[0].by.starts_with("vicodec"), "{}", offers[0].by);
    assert!(reports.iter().all(|r| r.device != node("stateful-decoder")));
}
