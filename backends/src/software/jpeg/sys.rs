//! libturbojpeg, taken at run time: the four functions of its 2.x interface that 3.x still has.
use std::{
    ffi::{CStr, c_char, c_int, c_uchar, c_ulong, c_void},
    ptr::NonNull,
};

pub(super) const NAME: &str = "libturbojpeg.so.0";

type Handle = NonNull<c_void>;
type Compress = unsafe extern "C" fn(
    handle: Handle,
    source: *const c_uchar,
    width: c_int,
    pitch: c_int,
    height: c_int,
    pixel_format: c_int,
    jpeg: *mut *mut c_uchar,
    size: *mut c_ulong,
    subsampling: c_int,
    quality: c_int,
    flags: c_int,
) -> c_int;

/// `TJPF_BGRX`.
const BGRX: c_int = 3;
/// `TJSAMP_444`.
const SAMPLING_444: c_int = 0;
/// `TJSAMP_420`.
const SAMPLING_420: c_int = 2;
/// `TJFLAG_NOREALLOC`: fail rather than allocate when the output does not fit.
const NO_REALLOC: c_int = 1024;

/// The loaded library. It is never unloaded: it lives in a static.
pub(super) struct Library {
    init: unsafe extern "C" fn() -> Option<Handle>,
    compress: Compress,
    buffer_size: unsafe extern "C" fn(width: c_int, height: c_int, subsampling: c_int) -> c_ulong,
    error: unsafe extern "C" fn(handle: Handle) -> *const c_char,
    destroy: unsafe extern "C" fn(handle: Handle) -> c_int,
    _library: libloading::Library,
}

/// One picture to compress.
pub(super) struct Picture<'a> {
    /// From the first pixel to the last, four bytes each.
    pub(super) rows: &'a [u8],
    /// Bytes from one row to the next.
    pub(super) stride: usize,
    pub(super) width: u16,
    pub(super) height: u16,
}

impl Library {
    pub(super) fn open() -> Result<Self, String> {
        // SAFETY: libturbojpeg's initialisers do nothing but set up the library itself.
        let library = unsafe { libloading::Library::new(NAME) }.map_err(|e| e.to_string())?;
        // SAFETY: turbojpeg.h declares `tjhandle tjInitCompress(void)`; a handle is a pointer, NULL
        // on failure.
        let init = *unsafe { library.get(b"tjInitCompress\0") }.map_err(|e| e.to_string())?;
        // SAFETY: `tjCompress2` has the parameters of `Compress`, in this order.
        let compress = *unsafe { library.get(b"tjCompress2\0") }.map_err(|e| e.to_string())?;
        // SAFETY: `unsigned long tjBufSize(int, int, int)`.
        let buffer_size = *unsafe { library.get(b"tjBufSize\0") }.map_err(|e| e.to_string())?;
        // SAFETY: `char *tjGetErrorStr2(tjhandle)`.
        let error = *unsafe { library.get(b"tjGetErrorStr2\0") }.map_err(|e| e.to_string())?;
        // SAFETY: `int tjDestroy(tjhandle)`.
        let destroy = *unsafe { library.get(b"tjDestroy\0") }.map_err(|e| e.to_string())?;
        Ok(Self { init, compress, buffer_size, error, destroy, _library: library })
    }

    pub(super) fn compressor(&'static self) -> Option<Compressor> {
        // SAFETY: no condition.
        let handle = unsafe { (self.init)() }?;
        Some(Compressor { library: self, handle })
    }
}

/// One compressor of the library.
pub(super) struct Compressor {
    library: &'static Library,
    handle: Handle,
}

// SAFETY: a handle belongs to no thread; it may be used by one at a time, which `&mut self` and
// ownership grant.
unsafe impl Send for Compressor {}

impl Compressor {
    /// Appends a JPEG to `out`; `scratch` is memory to work in.
    pub(super) fn compress(
        &mut self,
        picture: Picture<'_>,
        quality: u8,
        half_colour: bool,
        scratch: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        let Picture { rows, stride, width, height } = picture;
        let row = usize::from(width) * 4;
        let needed = stride.checked_mul(usize::from(height).saturating_sub(1)).and_then(|n| n.checked_add(row));
        let pitch = c_int::try_from(stride).map_err(|_| format!("stride {stride}"))?;
        if stride < row || needed.is_none_or(|needed| rows.len() < needed) {
            return Err(format!("{} bytes for {width}x{height}", rows.len()));
        }
        let sampling = if half_colour { SAMPLING_420 } else { SAMPLING_444 };
        // SAFETY: no condition; -1, which does not fit, is its answer to sizes it cannot do.
        let most = unsafe { (self.library.buffer_size)(width.into(), height.into(), sampling) };
        if most == c_ulong::MAX {
            return Err(format!("tjBufSize of {width}x{height}"));
        }
        scratch.clear();
        scratch.reserve(most as usize);
        let (mut at, mut size) = (scratch.as_mut_ptr(), most);
        // SAFETY: `height` rows of `row` bytes, `stride` apart, can be read at `rows` (checked
        // above); `most` bytes, the most that such a picture takes, can be written at `at`, and
        // `NO_REALLOC` keeps the library from replacing that memory. The handle is alive.
        let answer = unsafe {
            (self.library.compress)(
                self.handle,
                rows.as_ptr(),
                width.into(),
                pitch,
                height.into(),
                BGRX,
                &mut at,
                &mut size,
                sampling,
                quality.into(),
                NO_REALLOC,
            )
        };
        if answer != 0 {
            return Err(self.message());
        }
        let size = (size as usize).min(scratch.capacity());
        // SAFETY: the library has written `size` bytes, and they are within the capacity.
        unsafe { scratch.set_len(size) };
        out.extend_from_slice(scratch);
        Ok(())
    }

    fn message(&self) -> String {
        // SAFETY: the handle is alive.
        let text = unsafe { (self.library.error)(self.handle) };
        if text.is_null() {
            return "no message".into();
        }
        // SAFETY: a NUL-terminated text that lives until the handle is used again.
        unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
    }
}

impl Drop for Compressor {
    fn drop(&mut self) {
        // SAFETY: the handle is alive and not used after this.
        unsafe { (self.library.destroy)(self.handle) };
    }
}
