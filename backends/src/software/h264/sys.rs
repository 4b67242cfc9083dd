//! openh264's C++ interface, through the C table of functions that its headers describe.
use std::{
    ffi::{c_int, c_uint, c_void},
    ptr,
};

use openh264_sys2 as h264;
use openh264_sys2::API;

use super::super::yuv420::PlaneRef;

/// A system's library, by its names of the last years; the newest first.
const NAMES: [&str; 3] = ["libopenh264.so.8", "libopenh264.so.7", "libopenh264.so.6"];

type Create = unsafe extern "C" fn(*mut *mut h264::ISVCEncoder) -> c_int;
type Destroy = unsafe extern "C" fn(*mut h264::ISVCEncoder);
type Version = unsafe extern "C" fn(*mut h264::OpenH264Version);

/// The openh264 to use: the system's when it is the version that the bindings describe, because
/// the structures differ between versions, else the one in this binary.
pub(super) struct Library {
    system: Option<(Create, Destroy, libloading::Library)>,
    why: String,
}

/// What an encoder is opened for.
pub(super) struct Config {
    /// Even.
    pub(super) width: u32,
    /// Even.
    pub(super) height: u32,
    pub(super) fps: u32,
    /// 0 to 51.
    pub(super) qp: u8,
    /// Slices of a picture, coded in as many threads.
    pub(super) slices: u32,
}

/// One picture to encode.
pub(super) struct Picture<'a> {
    pub(super) width: u32,
    pub(super) height: u32,
    /// Luma, Cb, Cr.
    pub(super) planes: [PlaneRef<'a>; 3],
    /// Counts up.
    pub(super) number: u64,
}

/// What became of a picture.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Key,
    Delta,
    Skipped,
}

impl Library {
    pub(super) fn choose() -> Self {
        let own = own_version();
        let text = |v: [c_uint; 3]| v.map(|n| n.to_string()).join(".");
        let mut seen = Vec::new();
        for name in NAMES {
            match load(name) {
                Ok((library, create, destroy, version)) if version == own => {
                    let why = format!("{name} {}, found at run time", text(own));
                    return Self { system: Some((create, destroy, library)), why };
                }
                Ok((.., version)) => seen.push(format!("{name} is {}", text(version))),
                Err(_) => {}
            }
        }
        let seen = if seen.is_empty() { "no libopenh264 is installed".into() } else { seen.join(", ") };
        Self { system: None, why: format!("openh264 {} in this binary ({seen})", text(own)) }
    }

    pub(super) fn describe(&self) -> String {
        self.why.clone()
    }

    /// Fails with openh264's own number.
    pub(super) fn encoder(&'static self, config: &Config) -> Result<Encoder, c_int> {
        let mut raw = ptr::null_mut();
        let answer = match &self.system {
            // SAFETY: the function writes one pointer to where it is told.
            Some((create, ..)) => unsafe { create(&mut raw) },
            // SAFETY: as above.
            None => unsafe { h264::source::APILoader::new().WelsCreateSVCEncoder(&mut raw) },
        };
        if answer != 0 || raw.is_null() {
            return Err(answer);
        }
        let mut encoder = Encoder { library: self, raw, params: Box::default(), info: Box::default() };
        encoder.initialize(config)?;
        Ok(encoder)
    }
}

fn own_version() -> [c_uint; 3] {
    let mut version = h264::OpenH264Version::default();
    // SAFETY: the function writes one `OpenH264Version` to where it is told.
    unsafe { h264::source::APILoader::new().WelsGetCodecVersionEx(&mut version) };
    [version.uMajor, version.uMinor, version.uRevision]
}

fn load(name: &str) -> Result<(libloading::Library, Create, Destroy, [c_uint; 3]), libloading::Error> {
    // SAFETY: openh264's initialisers do nothing but set up the library itself.
    let library = unsafe { libloading::Library::new(name) }?;
    // SAFETY: codec_api.h declares `void WelsGetCodecVersionEx (OpenH264Version*)`, in all versions.
    let get = *unsafe { library.get::<Version>(b"WelsGetCodecVersionEx\0") }?;
    // SAFETY: `int WelsCreateSVCEncoder (ISVCEncoder**)`.
    let create = *unsafe { library.get::<Create>(b"WelsCreateSVCEncoder\0") }?;
    // SAFETY: `void WelsDestroySVCEncoder (ISVCEncoder*)`.
    let destroy = *unsafe { library.get::<Destroy>(b"WelsDestroySVCEncoder\0") }?;
    let mut version = h264::OpenH264Version::default();
    // SAFETY: the function writes one `OpenH264Version`, four numbers in all versions.
    unsafe { get(&mut version) };
    Ok((library, create, destroy, [version.uMajor, version.uMinor, version.uRevision]))
}

/// One encoder.
pub(super) struct Encoder {
    library: &'static Library,
    /// Not null, alive until dropped, used by nobody else.
    raw: *mut h264::ISVCEncoder,
    params: Box<h264::SEncParamExt>,
    info: Box<h264::SFrameBSInfo>,
}

/// openh264's "a function is missing from the table"; it never is.
const MISSING: c_int = c_int::MIN;

impl Encoder {
    fn initialize(&mut self, config: &Config) -> Result<(), c_int> {
        let quiet: c_uint = h264::WELS_LOG_QUIET as c_uint;
        self.set(h264::ENCODER_OPTION_TRACE_LEVEL, ptr::from_ref(&quiet).cast())?;
        let get_default = self.table().GetDefaultParams.ok_or(MISSING)?;
        // SAFETY: `raw` is alive, and `params` is the structure that this version fills in.
        ok(unsafe { get_default(self.raw, &mut *self.params) })?;
        fill(&mut self.params, config);
        let initialize = self.table().InitializeExt.ok_or(MISSING)?;
        // SAFETY: as above; the library copies the parameters.
        ok(unsafe { initialize(self.raw, &*self.params) })?;
        let format: c_int = h264::videoFormatI420;
        self.set(h264::ENCODER_OPTION_DATAFORMAT, ptr::from_ref(&format).cast())
    }

    pub(super) fn set_qp(&mut self, qp: u8) -> Result<(), c_int> {
        self.params.sSpatialLayers[0].iDLayerQp = qp.min(51).into();
        self.set(h264::ENCODER_OPTION_SVC_ENCODE_PARAM_EXT, ptr::from_ref(&*self.params).cast())
    }

    pub(super) fn force_key_frame(&mut self) -> Result<(), c_int> {
        let force = self.table().ForceIntraFrame.ok_or(MISSING)?;
        // SAFETY: `raw` is alive and initialised.
        ok(unsafe { force(self.raw, true) })
    }

    /// Appends an access unit to `out`.
    pub(super) fn encode(&mut self, picture: Picture<'_>, out: &mut Vec<u8>) -> Result<Kind, c_int> {
        let Picture { width, height, planes, number } = picture;
        let params = &*self.params;
        let size = [width, height].map(c_int::try_from);
        if size != [Ok(params.iPicWidth), Ok(params.iPicHeight)] {
            return Err(MISSING);
        }
        let mut source = h264::SSourcePicture {
            iColorFormat: h264::videoFormatI420,
            iPicWidth: params.iPicWidth,
            iPicHeight: params.iPicHeight,
            // Milliseconds; with the rate control off only their order matters.
            uiTimeStamp: i64::try_from(number).unwrap_or(0).saturating_mul(16),
            ..Default::default()
        };
        for (n, plane) in planes.iter().enumerate() {
            let half = if n == 0 { 1 } else { 2 };
            let (columns, rows) = (width as usize / half, height as usize / half);
            let needed = plane.stride.checked_mul(rows - 1).and_then(|n| n.checked_add(columns));
            let stride = c_int::try_from(plane.stride).map_err(|_| MISSING)?;
            if plane.stride < columns || needed.is_none_or(|needed| plane.bytes.len() < needed) {
                return Err(MISSING);
            }
            source.iStride[n] = stride;
            source.pData[n] = plane.bytes.as_ptr().cast_mut();
        }
        let encode = self.table().EncodeFrame.ok_or(MISSING)?;
        // SAFETY: `raw` is alive and initialised for pictures of this size; each plane holds all
        // its rows (checked above) and is only read; `info` is written by the library.
        ok(unsafe { encode(self.raw, &source, &mut *self.info) })?;
        self.collect(out);
        Ok(match self.info.eFrameType {
            h264::videoFrameTypeIDR => Kind::Key,
            h264::videoFrameTypeSkip | h264::videoFrameTypeInvalid => Kind::Skipped,
            _ => Kind::Delta,
        })
    }

    /// Appends the bytes that `info` names.
    fn collect(&self, out: &mut Vec<u8>) {
        let layers = usize::try_from(self.info.iLayerNum).unwrap_or(0);
        for layer in self.info.sLayerInfo.iter().take(layers) {
            let count = usize::try_from(layer.iNalCount).unwrap_or(0);
            if count == 0 || layer.pNalLengthInByte.is_null() || layer.pBsBuf.is_null() {
                continue;
            }
            // SAFETY: the library holds `iNalCount` lengths there until the next call.
            let lengths = unsafe { std::slice::from_raw_parts(layer.pNalLengthInByte, count) };
            let total = lengths.iter().filter_map(|n| usize::try_from(*n).ok()).sum();
            // SAFETY: the units of a layer lie one behind the other, as long as the lengths say,
            // until the next call.
            out.extend_from_slice(unsafe { std::slice::from_raw_parts(layer.pBsBuf, total) });
        }
    }

    fn set(&mut self, option: h264::ENCODER_OPTION, value: *const c_void) -> Result<(), c_int> {
        let set = self.table().SetOption.ok_or(MISSING)?;
        // SAFETY: `raw` is alive; each caller passes the type that codec_app_def.h names for its
        // option, and the library only reads it.
        ok(unsafe { set(self.raw, option, value.cast_mut()) })
    }

    fn table(&self) -> &h264::ISVCEncoderVtbl {
        // SAFETY: `raw` is alive; an encoder begins with the pointer to its table.
        let table = unsafe { *self.raw };
        // SAFETY: the table is static in the library, which is never unloaded.
        unsafe { &*table }
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        if let Some(uninitialize) = self.table().Uninitialize {
            // SAFETY: `raw` is alive; before `InitializeExt` this does nothing.
            unsafe { uninitialize(self.raw) };
        }
        match &self.library.system {
            // SAFETY: made by this library, and not used after this.
            Some((_, destroy, _)) => unsafe { destroy(self.raw) },
            // SAFETY: as above.
            None => unsafe { h264::source::APILoader::new().WelsDestroySVCEncoder(self.raw) },
        }
    }
}

fn ok(answer: c_int) -> Result<(), c_int> {
    if answer == 0 { Ok(()) } else { Err(answer) }
}

/// From openh264's defaults to pictures without delay: one layer, one reference, key frames only
/// when asked for, the quantiser given.
fn fill(params: &mut h264::SEncParamExt, config: &Config) {
    let width = c_int::try_from(config.width).unwrap_or(0);
    let height = c_int::try_from(config.height).unwrap_or(0);
    let fps = config.fps.clamp(1, 60) as f32;
    params.iUsageType = h264::CAMERA_VIDEO_REAL_TIME;
    params.iPicWidth = width;
    params.iPicHeight = height;
    params.iTargetBitrate = 5_000_000;
    params.iMaxBitrate = h264::UNSPECIFIED_BIT_RATE as c_int;
    params.iRCMode = h264::RC_OFF_MODE;
    params.fMaxFrameRate = fps;
    params.iTemporalLayerNum = 1;
    params.iSpatialLayerNum = 1;
    params.iComplexityMode = h264::LOW_COMPLEXITY;
    params.uiIntraPeriod = 0;
    params.iNumRefFrame = 1;
    params.eSpsPpsIdStrategy = h264::CONSTANT_ID;
    params.iEntropyCodingModeFlag = 0;
    params.bEnableFrameSkip = false;
    params.bEnableLongTermReference = false;
    params.iMultipleThreadIdc = u16::try_from(config.slices).unwrap_or(1);
    params.bUseLoadBalancing = false;
    params.bEnableDenoise = false;
    params.bEnableBackgroundDetection = false;
    params.bEnableAdaptiveQuant = false;
    params.bEnableSceneChangeDetect = false;
    let layer = &mut params.sSpatialLayers[0];
    layer.iVideoWidth = width;
    layer.iVideoHeight = height;
    layer.fFrameRate = fps;
    layer.iSpatialBitrate = 5_000_000;
    layer.iMaxSpatialBitrate = h264::UNSPECIFIED_BIT_RATE as c_int;
    layer.uiProfileIdc = h264::PRO_BASELINE;
    layer.iDLayerQp = config.qp.min(51).into();
    let slices = &mut layer.sSliceArgument;
    slices.uiSliceMode = if config.slices > 1 { h264::SM_FIXEDSLCNUM_SLICE } else { h264::SM_SINGLE_SLICE };
    slices.uiSliceNum = config.slices;
    // BT.709 in limited range (ITU-T H.264, annex E): what `yuv420.rs` makes.
    layer.bVideoSignalTypePresent = true;
    layer.uiVideoFormat = 5;
    layer.bFullRange = false;
    layer.bColorDescriptionPresent = true;
    layer.uiColorPrimaries = 1;
    layer.uiTransferCharacteristics = 1;
    layer.uiColorMatrix = 1;
}
