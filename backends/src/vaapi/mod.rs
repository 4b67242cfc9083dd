//! VA-API: the encoders of graphics devices, through libva, which is taken at run time.
//!
//! No driver is known by name here; what differs between them is asked of each, and ways are tried
//! in turn until one opens:
//!
//! | driver | what is different there | what is done about it |
//! |---|---|---|
//! | Intel iHD | newer devices encode H.264 only by `EncSliceLP`; its CBR and VBR need firmware (HuC), without which making a context fails | `EncSliceLP` first, then `EncSlice`; each rate control that is offered, then CQP with an own loop |
//! | Intel i965 | wants packed SPS, PPS and slice headers, and writes none itself | all that `EncPackedHeaders` lists are given |
//! | Mesa radeonsi | writes slice headers itself; some devices round sizes and have a smallest one | only the packed headers that are listed; the sizes are those of the cropped stream |
//! | drivers that encode HEVC | differ in their blocks and tools; newer Intel devices want two lists of references with every picture | both are asked for, and what older drivers had in common is taken where they do not answer; no HEVC on those that want two lists |
//! | all that encode VP8 or VP9 | write the headers themselves; libva has no word for VP9's colours | the structures only, and no packed headers; VP8 in BT.601, which it is by definition, VP9 in BT.709 |
//! | drivers, and libva before 2.9 | no `vaSyncBuffer` | `vaSyncSurface` of the encoder's input |
//! | decode-only drivers (NVIDIA's bridge) | no encoding entry point | `probe` says so |
//!
//! A picture in memory is refused: an encoder for it does not open, and a frame does not get a
//! ticket. To upload it would be the copy for whose sake this backend exists; the software encoders
//! take it as it lies.
//!
//! An encoder does its waiting in [`poll_completion`](crate::Encoder::poll_completion) and has one
//! picture in flight: the lowest latency, and it stays on one thread, as libva wants.
use std::{
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    rc::Rc,
};

use rustix::fs::{Mode, OFlags};

use crate::{
    Backend, BackendError, Chroma, Codec, Encoder, Frame, Offer, RateControl, Report, Settings, Unavailable,
    error::unopened,
};

mod avc;
#[allow(
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    dead_code,
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    unsafe_op_in_unsafe_fn,
    unsafe_code,
    clippy::all,
    clippy::undocumented_unsafe_blocks,
    clippy::multiple_unsafe_ops_per_block,
    reason = "written by bindgen: see backends/bindings/generate"
)]
mod bindings;
mod encoder;
mod h264;
mod hevc;
mod import;
mod jpeg;
mod rate;
#[allow(unsafe_code, reason = "libva is a C library")]
mod sys;
mod vpx;

use bindings as va;
use encoder::{VaEncoder, Way};
use sys::{Display, Failure};

const NAME: &str = "vaapi";

const CODECS: [Codec; 5] = [Codec::H264, Codec::Hevc, Codec::Vp9, Codec::Vp8, Codec::Mjpeg];

/// JPEG has one quantiser per picture, and no attribute says so.
const JPEG_RATE: u32 = va::VA_RC_CQP;

/// Encoders of graphics devices behind `/dev/dri/renderD` nodes.
#[derive(Debug)]
pub struct Vaapi;

impl Backend for Vaapi {
    fn name(&self) -> &'static str {
        NAME
    }

    fn probe(&self) -> Vec<Report> {
        if let Some(reason) = sys::missing() {
            let reason = format!("{reason} (install libva2 and libva-drm2)");
            let encoders = Err(Unavailable::Library { library: sys::NAME, reason });
            return vec![Report { backend: NAME, device: None, encoders }];
        }
        let report = |path: PathBuf| Report { backend: NAME, encoders: offers(&path), device: Some(path) };
        let mut reports: Vec<_> = nodes().into_iter().map(report).collect();
        if reports.is_empty() {
            let encoders = Err(Unavailable::NoDevice { looked: "no /dev/dri/renderD node".into() });
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
        if !CODECS.contains(&want.codec) || want.chroma != Chroma::Yuv420 {
            return Err(unsupported(format!("{} with {:?}", want.codec, want.chroma)));
        }
        let Some((mut descriptor, target)) = import::describe(dmabuf) else {
            return Err(unsupported(format!("{dmabuf:?}")));
        };
        let paths = want.device.clone().map_or_else(nodes, |path| vec![path]);
        let mut why = unsupported("anything: no device".into());
        for path in paths {
            let display = match connect(&path) {
                Ok(display) => display,
                Err(error) => {
                    why = error.into();
                    continue;
                }
            };
            if let Err(failure) = sys::Surface::import(&display, target, &mut descriptor) {
                why = error(&failure);
                continue;
            }
            match open_on(&display, want, dmabuf) {
                Ok(encoder) => return Ok(Box::new(encoder)),
                Err(error) => why = error,
            }
        }
        Err(why)
    }
}

/// Tries every way of a device, the preferred ones first.
fn open_on(display: &Rc<Display>, want: &Settings, like: &crate::Dmabuf) -> Result<VaEncoder, BackendError> {
    let what = format!("{}: {} has no entry point for it", want.codec, display.vendor());
    let mut why = BackendError::Unsupported { backend: NAME, what };
    for way in ways(display, want.codec) {
        let (width, height) = largest(display, way);
        if want.width > width || want.height > height {
            let what = format!("{} of {}x{} (at most {width}x{height})", want.codec, want.width, want.height);
            why = BackendError::Unsupported { backend: NAME, what };
            continue;
        }
        for mode in rate::preferred(rate_control(display, way), want.tuning.rate) {
            match VaEncoder::open(display, way, mode, want, like) {
                Ok(encoder) => {
                    tracing::debug!(?way, ?mode, "opened");
                    return Ok(encoder);
                }
                Err(failure) => {
                    tracing::debug!(?way, ?mode, call = failure.call, status = failure.status, "does not open");
                    why = error(&failure);
                }
            }
        }
    }
    Err(why)
}

/// The ways of a device to encode: the fixed-function encoder first, which leaves the shaders to
/// those who draw; the profile that every decoder takes first.
fn ways(display: &Display, codec: Codec) -> Vec<Way> {
    let has = display.profiles().unwrap_or_default();
    let profiles: &[_] = match codec {
        Codec::Mjpeg => &[va::VAProfileJPEGBaseline],
        Codec::Hevc => &[va::VAProfileHEVCMain],
        Codec::Vp8 => &[va::VAProfileVP8Version0_3],
        Codec::Vp9 => &[va::VAProfileVP9Profile0],
        _ => &[va::VAProfileH264ConstrainedBaseline, va::VAProfileH264High],
    };
    let entrypoints: &[_] = if codec == Codec::Mjpeg {
        &[va::VAEntrypointEncPicture]
    } else {
        &[va::VAEntrypointEncSliceLP, va::VAEntrypointEncSlice]
    };
    let all = entrypoints.iter().flat_map(|entrypoint| profiles.iter().map(move |profile| (*profile, *entrypoint)));
    let offered = |(profile, entrypoint): &(va::VAProfile, va::VAEntrypoint)| {
        has.contains(profile) && display.entrypoints(*profile).is_ok_and(|list| list.contains(entrypoint))
    };
    let ways = all.filter(offered).map(|(profile, entrypoint)| Way { profile, entrypoint });
    ways.filter(|way| codec != Codec::Hevc || hevc::predicts_forward(display, *way)).collect()
}

/// The rate controls of a way, as bits.
fn rate_control(display: &Display, way: Way) -> u32 {
    if way.profile == va::VAProfileJPEGBaseline {
        return JPEG_RATE;
    }
    display.attribute(way.profile, way.entrypoint, va::VAConfigAttribRateControl).unwrap_or(0)
}

fn offers(path: &Path) -> Result<Vec<Offer>, Unavailable> {
    let display = connect(path)?;
    let offers: Vec<_> = CODECS.iter().filter_map(|codec| offer(&display, *codec)).collect();
    if offers.is_empty() {
        let missing = "no entry point that encodes H.264, HEVC, VP9, VP8 or JPEG".to_owned();
        return Err(Unavailable::Driver { node: path.to_owned(), driver: display.vendor(), missing });
    }
    Ok(offers)
}

fn offer(display: &Display, codec: Codec) -> Option<Offer> {
    let ways = ways(display, codec);
    let first = *ways.first()?;
    let offered = rate_control(display, first);
    let rate_control: Vec<RateControl> =
        rate::MODES.iter().filter(|(_, bit)| offered & bit != 0).map(|(mode, _)| *mode).collect();
    if rate_control.is_empty() {
        tracing::debug!(%codec, offered, "no rate control that is known here");
        return None;
    }
    let mut profiles: Vec<_> = ways.iter().map(|way| profile_name(way.profile)).collect();
    profiles.sort_unstable();
    profiles.dedup();
    let converts = display.entrypoints(va::VAProfileNone).is_ok_and(|e| e.contains(&va::VAEntrypointVideoProc));
    if !converts && matches!(codec, Codec::Mjpeg | Codec::Vp8) {
        // No frame has their colours.
        return None;
    }
    let entry = match first.entrypoint {
        va::VAEntrypointEncSliceLP => "EncSliceLP",
        va::VAEntrypointEncPicture => "EncPicture",
        _ => "EncSlice",
    };
    Some(Offer {
        codec,
        profiles,
        max: largest(display, first),
        formats: if converts { import::formats() } else { vec![crate::dmabuf::Fourcc::NV12] },
        modifiers: Vec::new(),
        rate_control,
        by: format!("{}, {entry}", display.vendor()),
    })
}

/// The largest picture; the size that all drivers have had for long where one does not say.
fn largest(display: &Display, way: Way) -> (u32, u32) {
    let ask = |kind| display.attribute(way.profile, way.entrypoint, kind).unwrap_or(4096);
    (ask(va::VAConfigAttribMaxPictureWidth), ask(va::VAConfigAttribMaxPictureHeight))
}

fn profile_name(profile: va::VAProfile) -> &'static str {
    match profile {
        va::VAProfileH264High => "high",
        va::VAProfileJPEGBaseline => "baseline",
        va::VAProfileHEVCMain => "main",
        va::VAProfileVP8Version0_3 | va::VAProfileVP9Profile0 => "profile-0",
        _ => "constrained-baseline",
    }
}

/// All render nodes, in the order of their numbers.
fn nodes() -> Vec<PathBuf> {
    (128..192).map(|n| PathBuf::from(format!("/dev/dri/renderD{n}"))).filter(|path| path.exists()).collect()
}

fn connect(path: &Path) -> Result<Rc<Display>, Unavailable> {
    if let Some(reason) = sys::missing() {
        return Err(Unavailable::Library { library: sys::NAME, reason });
    }
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    let fd: OwnedFd = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| unopened(path, errno))?;
    Display::open(fd).map_err(|failure| Unavailable::Driver {
        node: path.to_owned(),
        driver: "libva".into(),
        missing: format!("{}: {} (is the driver of this device installed?)", failure.call, sys::words(failure.status)),
    })
}

fn error(failure: &Failure) -> BackendError {
    BackendError::Library { call: failure.call, message: sys::words(failure.status) }
}
