//! The VA-API backend through the real libva, on a render node, with the driver of
//! `tests/va-driver`. Runs where vgem's render node is, as in the kernel of `tests/kernel`.
//!
//! libva reads its environment once, so each case runs in a process of its own: the tests start
//! this binary again with [`child`] and the driver's switches.
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use sumac_backends::{
    Backend, BackendError, Chroma, Codec, Completion, Dmabuf, EncodeRequest, Encoder, Frame, Packet, Rate, RateControl,
    Rect, Settings, Tuning, conformance,
    dmabuf::{Shape, read_back_bytes},
    vaapi::Vaapi,
};

use crate::{
    allocator,
    content::{BARS, Picture, bars, natural, text},
    decode,
    dmabuf::Origin,
    guard,
};

const NODE: &str = "/dev/dri/renderD128";
const ORIGINS: [Origin; 3] = [Origin::Udmabuf, Origin::Heap, Origin::Dumb("vgem")];

/// Runs a case in a process of its own and returns what the driver wrote, or nothing without node.
fn run(case: &str, switches: &str) -> Option<String> {
    if !Path::new(NODE).exists() {
        println!("SKIPPED: VA-API {case}: no {NODE}");
        return None;
    }
    let binary = env::current_exe().unwrap();
    let library = binary.with_file_name("libsumac_drv_video.so");
    let folder = env::temp_dir().join(format!("va-{}-{case}-{switches}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    fs::copy(&library, folder.join("sumac_drv_video.so")).unwrap();
    let account = folder.join("account");
    let done = Command::new(&binary)
        .args(["--exact", "vaapi::child", "--include-ignored", "--nocapture"])
        .env("LIBVA_DRIVERS_PATH", &folder)
        .env("LIBVA_DRIVER_NAME", "sumac")
        .env("SUMAC_VA", switches)
        .env("SUMAC_VA_ACCOUNT", &account)
        .env("SUMAC_VA_CASE", case)
        .output()
        .unwrap();
    let account = fs::read_to_string(account).unwrap_or_default();
    fs::remove_dir_all(&folder).unwrap();
    print!("{}", String::from_utf8_lossy(&done.stdout));
    assert!(done.status.success(), "{case} with {switches:?}:\n{account}{}", String::from_utf8_lossy(&done.stderr));
    assert!(!account.contains("complaint:"), "{case} with {switches:?}:\n{account}");
    Some(account)
}

#[test]
fn it_keeps_the_law() {
    for switches in ["", "no-lp,no-sync-buffer", "cqp"] {
        run("law", switches);
    }
}

#[test]
fn pictures_survive() {
    for switches in ["", "cqp,no-lp"] {
        run("pictures", switches);
    }
}

#[test]
fn shapes_are_right() {
    run("shapes", "");
}

#[test]
fn without_rate_control_an_own_loop_holds_a_bitrate() {
    run("bitrate", "cqp");
}

#[test]
fn a_broken_picture_is_dropped_and_followed_by_a_key_frame() {
    run("broken", "fail=2,slow");
}

#[test]
fn what_the_driver_lacks_is_said() {
    run("lacking", "no-vpp");
}

#[test]
fn the_processor_reads_no_pixel() {
    let Some(account) = run("zero", "") else { return };
    // The driver, which stands for the device, has read each picture once: 12 of 320x240.
    assert!(account.contains(&format!("12 pictures, 0 complaints, {} pixel bytes", 12 * 320 * 240 * 4)), "{account}");
    // When the driver reads nothing, nobody does: pictures pass where nothing can be mapped.
    run("unmapped", "null");
}

#[test]
fn a_running_encoder_allocates_nothing() {
    run("allocations", "");
    run("allocations", "cqp,no-lp,no-sync-buffer");
}

#[test]
#[ignore = "the other half of the tests beside it, which run it with an environment"]
fn child() {
    match env::var("SUMAC_VA_CASE").as_deref() {
        Ok("law") => law(),
        Ok("pictures") => pictures(),
        Ok("shapes") => shapes(),
        Ok("bitrate") => bitrate(),
        Ok("broken") => broken(),
        Ok("lacking") => lacking(),
        Ok("zero") => zero(),
        Ok("unmapped") => unmapped(),
        Ok("allocations") => allocations(),
        other => println!("SKIPPED: no case {other:?}"),
    }
}

const CODECS: [Codec; 2] = [Codec::H264, Codec::Mjpeg];

fn settings(codec: Codec, width: u32, height: u32, rate: Rate) -> Settings {
    let device = Some(PathBuf::from(NODE));
    let tuning = Tuning { rate, fps: 30 };
    Settings { codec, width, height, chroma: Chroma::Yuv420, tuning, device }
}

fn encode(encoder: &mut dyn Encoder, frame: Frame, region: Rect) -> Option<Packet> {
    encoder.submit(frame, EncodeRequest { region, damage: region, keyframe: false, tag: 0 }).unwrap();
    match encoder.poll_completion().unwrap() {
        Some(Completion::Encoded(packet)) => Some(packet),
        Some(Completion::Dropped { .. }) => None,
        None => panic!("nothing came"),
    }
}

fn frame(picture: &Picture) -> Frame {
    Origin::Udmabuf.frame(picture, picture.width * 4, picture.height).unwrap()
}

/// Encodes whole frames and decodes them.
fn round_trip(codec: Codec, pictures: &[(Picture, Frame)], rate: Rate) -> Vec<Picture> {
    let first = &pictures[0].1;
    let Rect { width, height, .. } = first.bounds();
    let mut encoder = Vaapi.open(&settings(codec, width, height, rate), first).unwrap();
    let packets: Vec<_> = pictures.iter().map(|(_, f)| encode(&mut *encoder, f.clone(), f.bounds()).unwrap()).collect();
    let decoded = decode::decode(codec, &packets, packets[0].width, packets[0].height);
    assert_eq!(decoded.len(), pictures.len());
    decoded
}

fn law() {
    let picture = natural(160, 96, 0);
    for origin in ORIGINS {
        for rate in [Rate::Quality(80), Rate::Bitrate(2_000_000)] {
            for codec in CODECS {
                let mut frames = |_| origin.frame(&picture, 640, 96).unwrap();
                let verdict = conformance::check_backend(&Vaapi, &settings(codec, 160, 96, rate), &mut frames);
                assert_eq!(verdict, Ok(()), "{codec}, {origin:?}, {rate:?}");
            }
        }
    }
    let reports = Vaapi.probe();
    let offers = reports[0].encoders.as_ref().unwrap();
    assert_eq!(offers.iter().map(|o| (o.codec, o.max)).collect::<Vec<_>>(), CODECS.map(|c| (c, (4096, 4096))));
    assert!(offers[0].by.starts_with("Sumac test driver"), "{}", offers[0].by);
}

/// The driver is a library with an allocator of its own, which is not counted.
fn allocations() {
    let frames = [0, 1, 2].map(|n| frame(&natural(160, 96, n)));
    for codec in CODECS {
        let settings = settings(codec, 160, 96, Rate::Quality(80));
        assert_eq!(allocator::count(&Vaapi, &settings, &frames), 0, "{codec}");
    }
}

fn pictures() {
    if !decode::available("VA-API pictures") {
        return;
    }
    for codec in CODECS {
        for (name, make, least) in [("natural", natural as fn(u32, u32, u32) -> Picture, 34.0), ("text", text, 38.0)] {
            let pictures: Vec<_> = (0..5)
                .map(|n| {
                    let picture = make(320, 240, n);
                    let frame = frame(&picture);
                    (picture, frame)
                })
                .collect();
            let decoded = round_trip(codec, &pictures, Tuning::default().rate);
            let worst = pictures.iter().zip(&decoded).map(|((a, _), b)| a.psnr(b)).fold(f64::INFINITY, f64::min);
            println!("vaapi {codec} {name}: {worst:.1} dB at the default quality");
            assert!(worst >= least, "{codec} {name}: {worst:.1} dB");
        }
        let picture = bars(640, 64);
        let decoded = round_trip(codec, &[(picture.clone(), frame(&picture))], Rate::Quality(95));
        for (n, wanted) in BARS.iter().enumerate() {
            let at = (32 * 640 + n * 80 + 40) * 4;
            let off = wanted.iter().zip(&decoded[0].pixels[at..]).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(off <= Some(4), "{codec}: {:?} instead of {wanted:?}", &decoded[0].pixels[at..at + 3]);
        }
    }
}

fn shapes() {
    if !decode::available("VA-API shapes") {
        return;
    }
    for codec in CODECS {
        for (width, height) in [(1366, 768), (33, 17), (1, 1)] {
            let picture = natural(width, height, 0);
            let frame = Origin::Udmabuf.frame(&picture, (width * 4).next_multiple_of(64), height).unwrap();
            let decoded = round_trip(codec, &[(picture.clone(), frame)], Rate::Quality(90));
            // An odd side is scaled by less than a pixel.
            assert!(picture.psnr(&decoded[0]) >= 30.0, "{codec} {width}x{height}: {:.1} dB", picture.psnr(&decoded[0]));
        }
        let picture = text(320, 240, 0);
        let inverted = {
            let frame = frame(&picture);
            let dmabuf = frame.dmabuf().unwrap();
            let shape = Shape { y_inverted: true, ..dmabuf.shape() };
            Frame::from_dmabuf(Dmabuf::new(shape, dmabuf.planes()).unwrap())
        };
        let decoded = round_trip(codec, &[(picture.clone(), inverted)], Rate::Quality(90));
        let row = 320 * 4;
        let turned: Vec<u8> = picture.pixels.chunks(row).rev().flatten().copied().collect();
        assert!(Picture { pixels: turned, ..picture.clone() }.psnr(&decoded[0]) >= 38.0);
        let whole = frame(&picture);
        let region = Rect { x: 64, y: 48, width: 160, height: 96 };
        let mut encoder = Vaapi.open(&settings(codec, 160, 96, Rate::Quality(90)), &whole).unwrap();
        let packet = encode(&mut *encoder, whole, region).unwrap();
        let part = Picture::new(160, 96, |x, y| {
            let at = ((y + 48) * 320 + x + 64) as usize * 4;
            [picture.pixels[at], picture.pixels[at + 1], picture.pixels[at + 2]]
        });
        assert!(part.psnr(&decode::decode(codec, &[packet], 160, 96)[0]) >= 38.0);
    }
}

fn bitrate() {
    let frames: Vec<_> = (0..6).map(|n| frame(&natural(160, 96, n * 5))).collect();
    for codec in CODECS {
        let average = |rate| {
            let mut encoder = Vaapi.open(&settings(codec, 160, 96, rate), &frames[0]).unwrap();
            let region = frames[0].bounds();
            let sizes = (0..60).map(|n| encode(&mut *encoder, frames[n % 6].clone(), region).unwrap().data.len());
            sizes.skip(30).sum::<usize>() as f64 / 30.0
        };
        let (fine, coarse) = (average(Rate::Quality(90)), average(Rate::Quality(1)));
        let aim = coarse + 0.5 * (fine - coarse);
        let got = average(Rate::Bitrate((aim * 30.0 * 8.0) as u32));
        assert!(
            (aim * 0.7..aim * 1.3).contains(&got),
            "{codec}: {got} bytes a picture instead of {aim} ({coarse} to {fine})"
        );
    }
    let offers = Vaapi.probe().remove(0).encoders.unwrap();
    assert_eq!(offers[0].rate_control, [RateControl::Cqp]);
}

fn broken() {
    let frame = frame(&natural(160, 96, 0));
    let mut encoder = Vaapi.open(&settings(Codec::H264, 160, 96, Rate::Quality(90)), &frame).unwrap();
    let keys: Vec<_> =
        (0..5).map(|_| encode(&mut *encoder, frame.clone(), frame.bounds()).map(|p| p.keyframe)).collect();
    assert_eq!(keys, [Some(true), Some(false), None, Some(true), Some(false)]);
}

fn lacking() {
    let frame = frame(&natural(160, 96, 0));
    let error = Vaapi.open(&settings(Codec::H264, 160, 96, Rate::Quality(90)), &frame).map(drop).unwrap_err();
    assert!(matches!(error, BackendError::Library { call: "vaCreateConfig", .. }), "{error}");
    let memory = natural(160, 96, 0).frame();
    let error = Vaapi.open(&settings(Codec::H264, 160, 96, Rate::Quality(90)), &memory).map(drop).unwrap_err();
    assert_eq!(error.to_string(), "vaapi cannot encode a picture that is not in a dmabuf");
    let offers = Vaapi.probe().remove(0).encoders.unwrap();
    assert_eq!(offers[0].formats.iter().map(ToString::to_string).collect::<Vec<_>>(), ["NV12"]);
}

fn zero() {
    let frames: Vec<_> = (0..3).map(|n| frame(&natural(320, 240, n))).collect();
    let mut encoder = Vaapi.open(&settings(Codec::H264, 320, 240, Rate::Quality(90)), &frames[0]).unwrap();
    for n in 0..12 {
        encode(&mut *encoder, frames[n % 3].clone(), frames[0].bounds()).unwrap();
    }
    assert_eq!(read_back_bytes(), 0);
}

fn unmapped() {
    let frames: Vec<_> = (0..3).map(|n| frame(&natural(320, 240, n))).collect();
    for codec in CODECS {
        let mut encoder = Vaapi.open(&settings(codec, 320, 240, Rate::Quality(90)), &frames[0]).unwrap();
        let mut packets = Vec::with_capacity(16);
        let mut encode = |packets: &mut Vec<Packet>| {
            for frame in &frames {
                packets.extend(encode(&mut *encoder, frame.clone(), frame.bounds()));
            }
        };
        // The first pictures need memory.
        encode(&mut packets);
        guard::without_mappings(&frames[0], || (0..3).for_each(|_| encode(&mut packets)));
        assert_eq!(packets.len(), 12, "{codec}");
    }
}
