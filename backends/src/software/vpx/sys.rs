//! libvpx 1.12, taken at run time.
use std::{
    ffi::{CStr, c_char, c_int, c_long, c_uint, c_ulong},
    ptr,
    sync::OnceLock,
};

use super::{super::yuv420::Yuv420, bindings as vpx};
use crate::Codec;

/// Other versions lay out their structures differently, which `vpx_codec_enc_init_ver` refuses.
pub(super) const NAME: &str = "libvpx.so.7";

type Context = *mut vpx::vpx_codec_ctx_t;
type Config = vpx::vpx_codec_enc_cfg_t;

macro_rules! functions {
    ($($name:ident($($argument:ty),*) $(-> $answer:ty)?;)*) => {
        struct Library {
            $($name: unsafe extern "C" fn($($argument),*) $(-> $answer)?,)*
            /// Takes one `int` or `unsigned int` behind its name for each control used here.
            vpx_codec_control_: unsafe extern "C" fn(Context, c_int, ...) -> vpx::vpx_codec_err_t,
            _library: libloading::Library,
        }

        impl Library {
            fn open() -> Result<Self, String> {
                // SAFETY: libvpx's initialisers do nothing but set up the library itself.
                let library = unsafe { libloading::Library::new(NAME) }.map_err(|e| e.to_string())?;
                Ok(Self {
                    $(
                        // SAFETY: the type is the one that libvpx's headers declare for this name.
                        $name: *unsafe { library.get(concat!(stringify!($name), "\0").as_bytes()) }
                            .map_err(|e| e.to_string())?,
                    )*
                    // SAFETY: as above.
                    vpx_codec_control_: *unsafe { library.get(b"vpx_codec_control_\0") }
                        .map_err(|e| e.to_string())?,
                    _library: library,
                })
            }
        }
    };
}

functions! {
    vpx_codec_version_str() -> *const c_char;
    vpx_codec_err_to_string(vpx::vpx_codec_err_t) -> *const c_char;
    vpx_codec_vp8_cx() -> *mut vpx::vpx_codec_iface_t;
    vpx_codec_vp9_cx() -> *mut vpx::vpx_codec_iface_t;
    vpx_codec_enc_config_default(*mut vpx::vpx_codec_iface_t, *mut Config, c_uint) -> vpx::vpx_codec_err_t;
    vpx_codec_enc_init_ver(Context, *mut vpx::vpx_codec_iface_t, *const Config, c_long, c_int) -> vpx::vpx_codec_err_t;
    vpx_codec_enc_config_set(Context, *const Config) -> vpx::vpx_codec_err_t;
    vpx_codec_encode(Context, *const vpx::vpx_image_t, i64, c_ulong, c_long, c_ulong) -> vpx::vpx_codec_err_t;
    vpx_codec_get_cx_data(Context, *mut vpx::vpx_codec_iter_t) -> *const vpx::vpx_codec_cx_pkt_t;
    vpx_codec_destroy(Context) -> vpx::vpx_codec_err_t;
}

/// A failed call and libvpx's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) call: &'static str,
    pub(super) message: String,
}

/// The library, looked for once per process.
fn library() -> &'static Result<Library, String> {
    static LIBRARY: OnceLock<Result<Library, String>> = OnceLock::new();
    LIBRARY.get_or_init(Library::open)
}

/// The library's version, or why it cannot be used.
pub(super) fn version() -> Result<String, String> {
    let library = library().as_ref().map_err(Clone::clone)?;
    // SAFETY: no condition; the text is static.
    let text = unsafe { (library.vpx_codec_version_str)() };
    Ok(words(text))
}

fn words(text: *const c_char) -> String {
    if text.is_null() {
        return "no message".into();
    }
    // SAFETY: libvpx's texts are static and end with a zero.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

impl Library {
    fn check(&self, call: &'static str, answer: vpx::vpx_codec_err_t) -> Result<(), Failure> {
        if answer == vpx::VPX_CODEC_OK {
            return Ok(());
        }
        // SAFETY: no condition.
        let message = words(unsafe { (self.vpx_codec_err_to_string)(answer) });
        Err(Failure { call, message })
    }
}

/// One encoder.
pub(super) struct Encoder {
    library: &'static Library,
    /// Boxed, because libvpx may keep its address.
    context: Box<vpx::vpx_codec_ctx_t>,
    config: Box<Config>,
}

impl Encoder {
    /// Opens with libvpx's defaults as `change` leaves them.
    pub(super) fn open(codec: Codec, change: impl FnOnce(&mut Config)) -> Result<Self, Failure> {
        let library = library().as_ref().map_err(|e| Failure { call: "dlopen", message: format!("{NAME}: {e}") })?;
        let interface = if codec == Codec::Vp8 {
            // SAFETY: no condition.
            unsafe { (library.vpx_codec_vp8_cx)() }
        } else {
            // SAFETY: no condition.
            unsafe { (library.vpx_codec_vp9_cx)() }
        };
        let (mut context, mut config) = (Box::<vpx::vpx_codec_ctx_t>::default(), Box::<Config>::default());
        // SAFETY: the library fills the structure, which has the layout of this version.
        let answer = unsafe { (library.vpx_codec_enc_config_default)(interface, &mut *config, 0) };
        library.check("vpx_codec_enc_config_default", answer)?;
        change(&mut config);
        let version = vpx::VPX_ENCODER_ABI_VERSION.cast_signed();
        // SAFETY: both structures live as long as the encoder, and the library refuses another
        // version of their layout. On failure it has undone what it did.
        let answer = unsafe { (library.vpx_codec_enc_init_ver)(&mut *context, interface, &*config, 0, version) };
        library.check("vpx_codec_enc_init_ver", answer)?;
        Ok(Self { library, context, config })
    }

    /// Sets a control whose value is an `int`.
    pub(super) fn control(&mut self, id: vpx::vp8e_enc_control_id, value: c_int) -> Result<(), Failure> {
        // SAFETY: the context is alive; all controls used here take one `int` or `unsigned int`.
        let answer = unsafe { (self.library.vpx_codec_control_)(&mut *self.context, id.cast_signed(), value) };
        self.library.check("vpx_codec_control_", answer)
    }

    /// Changes the configuration of a running encoder.
    pub(super) fn reconfigure(&mut self, change: impl FnOnce(&mut Config)) -> Result<(), Failure> {
        let mut config = self.config.clone();
        change(&mut config);
        // SAFETY: the context is alive; the library copies the configuration.
        let answer = unsafe { (self.library.vpx_codec_enc_config_set)(&mut *self.context, &*config) };
        self.library.check("vpx_codec_enc_config_set", answer)?;
        self.config = config;
        Ok(())
    }

    /// Appends the encoded picture to `out`; nothing when it was left out. The picture must have
    /// the configured size, rounded up to even.
    pub(super) fn encode(
        &mut self,
        picture: &Yuv420,
        number: i64,
        keyframe: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let (width, height) = (self.config.g_w, self.config.g_h);
        if (picture.width, picture.height) != (width.next_multiple_of(2), height.next_multiple_of(2)) {
            let message = format!("a picture of {}x{}", picture.width, picture.height);
            return Err(Failure { call: "vpx_codec_encode", message });
        }
        let mut image = vpx::vpx_image_t {
            fmt: vpx::VPX_IMG_FMT_I420,
            w: picture.width,
            h: picture.height,
            d_w: width,
            d_h: height,
            bit_depth: 8,
            bps: 12,
            x_chroma_shift: 1,
            y_chroma_shift: 1,
            ..Default::default()
        };
        for (n, plane) in picture.planes().iter().enumerate() {
            image.planes[n] = plane.bytes.as_ptr().cast_mut();
            image.stride[n] = c_int::try_from(plane.stride).unwrap_or(0);
        }
        let flags = if keyframe { c_long::from(vpx::VPX_EFLAG_FORCE_KF) } else { 0 };
        let deadline = c_ulong::from(vpx::VPX_DL_REALTIME);
        // SAFETY: the context is alive; the planes hold a picture of the configured size, as
        // `Yuv420` has it and was checked, and are only read.
        let answer = unsafe { (self.library.vpx_codec_encode)(&mut *self.context, &image, number, 1, flags, deadline) };
        self.library.check("vpx_codec_encode", answer)?;
        self.collect(out);
        Ok(())
    }

    fn collect(&mut self, out: &mut Vec<u8>) {
        let mut iterator = ptr::null();
        loop {
            // SAFETY: the context is alive and the iterator began as null.
            let packet = unsafe { (self.library.vpx_codec_get_cx_data)(&mut *self.context, &mut iterator) };
            if packet.is_null() {
                return;
            }
            // SAFETY: a packet stays until the next call that encodes.
            let packet = unsafe { &*packet };
            if packet.kind != vpx::VPX_CODEC_CX_FRAME_PKT {
                continue;
            }
            // SAFETY: the kind says which member of the union is there.
            let frame = unsafe { packet.data.frame };
            // SAFETY: `sz` bytes are there, until the next call that encodes.
            out.extend_from_slice(unsafe { std::slice::from_raw_parts(frame.buf.cast(), frame.sz) });
        }
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: the context is alive, and not used after this.
        unsafe { (self.library.vpx_codec_destroy)(&mut *self.context) };
    }
}
