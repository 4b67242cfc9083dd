//! Video4Linux stateful encoders (the kernel's `dev-encoder.rst`): `/dev/video` nodes that take
//! pictures as dmabufs on their OUTPUT queue and give packets on their CAPTURE queue.
//!
//! A picture in memory is refused: an encoder for it does not open, and a frame does not get a
//! ticket. To upload it would be the copy for whose sake this backend exists; the software encoders
//! take it as it lies.
//!
//! No driver is known by name here; what differs between them is asked of each:
//!
//! | driver | what is different there | what is done about it |
//! |---|---|---|
//! | `bcm2835-codec` (Raspberry Pi) | rows of a multiple of 32 or 64 bytes; RGB as `BGR4`; CAPTURE buffers too small for a key frame unless asked for; parameter sets only once unless told | S_FMT's stride is compared with the frame's; `BGR4` follows `XR24`; `sizeimage` is asked for; `REPEAT_SEQ_HEADER` |
//! | `mtk-vcodec-enc` (Mediatek) | multi-planar; only formats with a buffer per plane (`NM12`); sizes rounded up to 16 or 32 | the `M` formats for frames whose planes are dmabufs of their own; the crop rectangle |
//! | `hantro-vpu` (Rockchip, i.MX8M) | JPEG only; `YM12`, `NM12`, `YUYV`, `UYVY`; quality instead of bitrate | quality by `JPEG_COMPRESSION_QUALITY`, a bitrate by an own loop |
//! | `qcom-venus` (Qualcomm) | `NV12` with rows of a multiple of 128 bytes and chroma behind 32 rows; more buffers than one before the first packet | chroma's place is compared; `MIN_BUFFERS_FOR_OUTPUT` |
//! | `coda` (i.MX6) | single-planar; buffers must be contiguous for the device; no forced key frame in older kernels | single-planar calls; the queues are stopped and started |
//! | `amphion` (i.MX8) | `NM12`; parameter sets with the first picture only | they are kept and put before every later key frame |
//! | `s5p-mfc` (Exynos) | `NM12`; parameter sets in a buffer of their own unless told; VP8's quantiser counted to 127 | the header mode, and such a buffer is kept and put before the picture; the control's own range |
//! | `rkvenc` (Rockchip) | the vendor's kernels have it behind an interface of its own (MPP), the kernel proper has none | nothing: `probe` does not see it |
//! | `vicodec` (virtual) | FWHT only; no bitrate, no forced key frame, no flags, unreliable timestamps | quantisers by an own loop; the queues are stopped and started; the order of tickets; larger pictures (640x360 is its smallest) |
use std::path::{Path, PathBuf};

use crate::{
    Backend, BackendError, Codec, Encoder, Frame, Offer, RateControl, Report, Settings, Unavailable,
    dmabuf::{Fourcc, MOD_LINEAR},
    error::unopened,
};

mod abi;
mod controls;
mod device;
mod encoder;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
pub(crate) mod null;
mod picture;
mod setup;
#[cfg(test)]
mod simulated;
#[allow(unsafe_code, reason = "ioctls and mmap")]
mod sys;
#[cfg(test)]
mod tests;

use abi::Queue;
use device::{Device, Failure, Node};

const NAME: &str = "v4l2";

/// Formats or nodes beyond this number are a mistake of the driver or system.
const MOST: u32 = 256;

/// V4L2's codes of codecs.
const CODED: [(Codec, [u8; 4]); 7] = [
    (Codec::H264, *b"H264"),
    (Codec::Hevc, *b"HEVC"),
    (Codec::Vp8, *b"VP80"),
    (Codec::Vp9, *b"VP90"),
    (Codec::Mjpeg, *b"JPEG"),
    (Codec::Mjpeg, *b"MJPG"),
    (Codec::Fwht, *b"FWHT"),
];

/// Encoders behind `/dev/video` nodes.
#[derive(Debug)]
pub struct V4l2;

impl Backend for V4l2 {
    fn name(&self) -> &'static str {
        NAME
    }

    fn probe(&self) -> Vec<Report> {
        let mut reports: Vec<_> = nodes().into_iter().filter_map(|path| probe(&path)).collect();
        if reports.is_empty() {
            let looked = "no /dev/video node is a memory-to-memory encoder".to_owned();
            let encoders = Err(Unavailable::NoDevice { looked });
            reports.push(Report { backend: NAME, device: None, encoders });
        }
        reports
    }

    fn open(&self, want: &Settings, like: &Frame) -> Result<Box<dyn Encoder>, BackendError> {
        want.check(NAME, like)?;
        let unsupported = |what: String| BackendError::Unsupported { backend: NAME, what };
        let Some(dmabuf) = like.dmabuf() else {
            return Err(unsupported("a picture that is not in a dmabuf".into()));
        };
        if dmabuf.modifier() != MOD_LINEAR {
            return Err(unsupported(format!("{dmabuf:?}: only linear pictures")));
        }
        let paths = want.device.clone().map_or_else(nodes, |path| vec![path]);
        let mut why = unsupported(format!("{}: no device offers it", want.codec));
        for path in paths {
            let Ok(Some(node)) = Node::open(&path) else { continue };
            let Ok(Some(coded)) = coded(&node, want.codec) else { continue };
            match encoder::M2m::open(node, path, want, coded, dmabuf) {
                Ok(encoder) => return Ok(Box::new(encoder)),
                Err(error) => why = error,
            }
        }
        Err(why)
    }
}

/// All video nodes, in the order of their numbers.
fn nodes() -> Vec<PathBuf> {
    let number = |name: &str| name.strip_prefix("video").and_then(|n| n.parse::<u32>().ok());
    let entries = std::fs::read_dir("/dev").into_iter().flatten().flatten();
    let mut found: Vec<_> = entries
        .filter_map(|entry| number(entry.file_name().to_str()?).map(|n| (n, entry.path())))
        .take(MOST as usize)
        .collect();
    found.sort();
    found.into_iter().map(|(_, path)| path).collect()
}

/// What one node encodes; `None` when it is something else, such as a camera or a decoder.
fn probe(path: &Path) -> Option<Report> {
    let report = |encoders| Some(Report { backend: NAME, device: Some(path.to_owned()), encoders });
    let node = match Node::open(path) {
        Ok(Some(node)) => node,
        Ok(None) => return None,
        Err(Failure { call: "open", errno }) => return report(Err(unopened(path, errno))),
        Err(failure) => {
            tracing::debug!(path = %path.display(), call = failure.call, errno = %failure.errno, "no encoder");
            return None;
        }
    };
    match offers(&node) {
        Ok(offers) if offers.is_empty() => None,
        Ok(offers) => report(Ok(offers)),
        Err(Failure { call, errno }) => {
            let missing = format!("{call}: {errno}");
            report(Err(Unavailable::Driver { node: path.to_owned(), driver: node.driver, missing }))
        }
    }
}

fn offers(node: &Node) -> Result<Vec<Offer>, Failure> {
    let by = format!("{}, {}", node.driver, node.card);
    let raw = formats(node, Queue::Output)?;
    let mut offers: Vec<Offer> = Vec::new();
    if raw.iter().any(|entry| entry.compressed) {
        return Ok(offers);
    }
    for (codec, letters) in CODED {
        let fourcc = Fourcc::from_bytes(letters);
        let known = offers.iter().any(|offer| offer.codec == codec);
        if known || coded(node, codec)? != Some(fourcc) {
            continue;
        }
        offers.push(Offer {
            codec,
            profiles: controls::profiles(node, codec),
            max: node.largest(fourcc)?.unwrap_or((4096, 4096)),
            formats: raw.iter().map(|entry| entry.fourcc).collect(),
            modifiers: vec![MOD_LINEAR],
            rate_control: rate_control(node)?,
            by: by.clone(),
        });
    }
    Ok(offers)
}

fn rate_control(node: &Node) -> Result<Vec<RateControl>, Failure> {
    let mut found = vec![RateControl::Cqp];
    if node.control_range(controls::BITRATE)?.is_some() {
        found.insert(0, RateControl::Vbr);
    }
    Ok(found)
}

/// The code under which a device offers a codec.
fn coded(device: &impl Device, codec: Codec) -> Result<Option<Fourcc>, Failure> {
    let offered = formats(device, Queue::Capture)?;
    let mut codes = CODED.iter().filter(|(c, _)| *c == codec).map(|(_, letters)| Fourcc::from_bytes(*letters));
    Ok(codes.find(|code| offered.iter().any(|entry| entry.fourcc == *code)))
}

fn formats(device: &impl Device, queue: Queue) -> Result<Vec<device::FormatEntry>, Failure> {
    let mut found = Vec::new();
    for index in 0..MOST {
        match device.format_at(queue, index)? {
            Some(entry) => found.push(entry),
            None => break,
        }
    }
    Ok(found)
}
