//! libva, taken at run time, and its objects as values that give themselves back.
use std::{
    ffi::{CStr, c_char, c_int, c_uint, c_void},
    os::fd::{AsRawFd, OwnedFd},
    ptr,
    rc::Rc,
    sync::OnceLock,
};

use super::bindings as va;
use va::{VABufferID, VAConfigID, VAContextID, VADisplay, VAStatus, VASurfaceID};

/// Holds `vaGetDisplayDRM`, and brings `libva.so.2` with all the rest along.
pub(super) const NAME: &str = "libva-drm.so.2";

/// Attributes, formats and segments beyond this number are a mistake of the driver.
const MOST: usize = 256;

/// A failed call and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) call: &'static str,
    pub(super) status: VAStatus,
}

type Callback = Option<unsafe extern "C" fn(*mut c_void, *const c_char)>;

/// Makes the table of libva's functions and a function that fills it.
macro_rules! functions {
    ($($name:ident($($argument:ty),*) -> $answer:ty;)*) => {
        #[allow(non_snake_case, reason = "libva's own names")]
        struct Library {
            $($name: unsafe extern "C" fn($($argument),*) -> $answer,)*
            /// New in VA-API 1.9, which is libva 2.9.
            vaSyncBuffer: Option<unsafe extern "C" fn(VADisplay, VABufferID, u64) -> VAStatus>,
            _library: libloading::Library,
        }

        impl Library {
            fn open() -> Result<Self, String> {
                // SAFETY: libva's initialisers do nothing but set up the library itself.
                let library = unsafe { libloading::Library::new(NAME) }.map_err(|e| e.to_string())?;
                Ok(Self {
                    $(
                        // SAFETY: the type is the one that va.h, va_drm.h declare for this name.
                        $name: *unsafe { library.get(concat!(stringify!($name), "\0").as_bytes()) }
                            .map_err(|e| e.to_string())?,
                    )*
                    // SAFETY: as above.
                    vaSyncBuffer: unsafe { library.get(b"vaSyncBuffer\0") }.ok().map(|f| *f),
                    _library: library,
                })
            }
        }
    };
}

functions! {
    vaGetDisplayDRM(c_int) -> VADisplay;
    vaSetErrorCallback(VADisplay, Callback, *mut c_void) -> Callback;
    vaSetInfoCallback(VADisplay, Callback, *mut c_void) -> Callback;
    vaInitialize(VADisplay, *mut c_int, *mut c_int) -> VAStatus;
    vaTerminate(VADisplay) -> VAStatus;
    vaErrorStr(VAStatus) -> *const c_char;
    vaQueryVendorString(VADisplay) -> *const c_char;
    vaMaxNumProfiles(VADisplay) -> c_int;
    vaMaxNumEntrypoints(VADisplay) -> c_int;
    vaQueryConfigProfiles(VADisplay, *mut va::VAProfile, *mut c_int) -> VAStatus;
    vaQueryConfigEntrypoints(VADisplay, va::VAProfile, *mut va::VAEntrypoint, *mut c_int) -> VAStatus;
    vaGetConfigAttributes(VADisplay, va::VAProfile, va::VAEntrypoint, *mut va::VAConfigAttrib, c_int) -> VAStatus;
    vaCreateConfig(VADisplay, va::VAProfile, va::VAEntrypoint, *mut va::VAConfigAttrib, c_int, *mut VAConfigID) -> VAStatus;
    vaDestroyConfig(VADisplay, VAConfigID) -> VAStatus;
    vaCreateSurfaces(VADisplay, c_uint, c_uint, c_uint, *mut VASurfaceID, c_uint, *mut va::VASurfaceAttrib, c_uint) -> VAStatus;
    vaDestroySurfaces(VADisplay, *mut VASurfaceID, c_int) -> VAStatus;
    vaCreateContext(VADisplay, VAConfigID, c_int, c_int, c_int, *mut VASurfaceID, c_int, *mut VAContextID) -> VAStatus;
    vaDestroyContext(VADisplay, VAContextID) -> VAStatus;
    vaCreateBuffer(VADisplay, VAContextID, va::VABufferType, c_uint, c_uint, *mut c_void, *mut VABufferID) -> VAStatus;
    vaDestroyBuffer(VADisplay, VABufferID) -> VAStatus;
    vaMapBuffer(VADisplay, VABufferID, *mut *mut c_void) -> VAStatus;
    vaUnmapBuffer(VADisplay, VABufferID) -> VAStatus;
    vaBeginPicture(VADisplay, VAContextID, VASurfaceID) -> VAStatus;
    vaRenderPicture(VADisplay, VAContextID, *mut VABufferID, c_int) -> VAStatus;
    vaEndPicture(VADisplay, VAContextID) -> VAStatus;
    vaSyncSurface(VADisplay, VASurfaceID) -> VAStatus;
}

/// Calls a function of libva that answers with a status.
macro_rules! call {
    ($display:expr, $name:ident $(, $argument:expr)*) => {{
        let display = $display;
        // SAFETY: the display is initialised until it is dropped, the objects named are alive (they
        // are values of this file), and each pointer leads to what the function reads or writes.
        let status = unsafe { (display.library.$name)(display.raw $(, $argument)*) };
        check(stringify!($name), status)
    }};
}

fn check(call: &'static str, status: VAStatus) -> Result<(), Failure> {
    if status == va::VA_STATUS_SUCCESS.cast_signed() { Ok(()) } else { Err(Failure { call, status }) }
}

/// The library, looked for once per process.
fn library() -> &'static Result<Library, String> {
    static LIBRARY: OnceLock<Result<Library, String>> = OnceLock::new();
    LIBRARY.get_or_init(Library::open)
}

/// Why libva cannot be used.
pub(super) fn missing() -> Option<String> {
    library().as_ref().err().cloned()
}

/// What libva says about a status.
pub(super) fn words(status: VAStatus) -> String {
    let Ok(library) = library() else { return status.to_string() };
    // SAFETY: no condition.
    let text = unsafe { (library.vaErrorStr)(status) };
    if text.is_null() {
        return status.to_string();
    }
    // SAFETY: a static text that ends with a zero.
    let text = unsafe { CStr::from_ptr(text) };
    format!("{} ({status})", text.to_string_lossy())
}

/// A connection to a driver. Its objects must stay on one thread, so it is not `Send`.
pub(super) struct Display {
    library: &'static Library,
    raw: VADisplay,
    /// Used by the driver until `vaTerminate`.
    _fd: OwnedFd,
}

impl Display {
    /// Opens the driver of a DRM device.
    pub(super) fn open(fd: OwnedFd) -> Result<Rc<Self>, Failure> {
        let failed = Failure { call: "vaGetDisplayDRM", status: va::VA_STATUS_ERROR_INVALID_DISPLAY.cast_signed() };
        let Ok(library) = library() else { return Err(failed) };
        // SAFETY: the fd is open; libva asks it who it is and answers NULL if it is no DRM device.
        let raw = unsafe { (library.vaGetDisplayDRM)(fd.as_raw_fd()) };
        if raw.is_null() {
            return Err(failed);
        }
        // SAFETY: a display may be told where its messages go before it is initialised; nowhere.
        unsafe { (library.vaSetErrorCallback)(raw, None, ptr::null_mut()) };
        // SAFETY: as above.
        unsafe { (library.vaSetInfoCallback)(raw, None, ptr::null_mut()) };
        let (mut major, mut minor) = (0, 0);
        // From here on, dropping terminates, which also frees a display that was not initialised.
        let display = Self { library, raw, _fd: fd };
        call!(&display, vaInitialize, &mut major, &mut minor)?;
        Ok(Rc::new(display))
    }

    /// The driver's name for itself.
    pub(super) fn vendor(&self) -> String {
        // SAFETY: the display is initialised.
        let text = unsafe { (self.library.vaQueryVendorString)(self.raw) };
        if text.is_null() {
            return "unnamed driver".into();
        }
        // SAFETY: a text of the driver that ends with a zero and lives as long as the display.
        unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
    }

    pub(super) fn profiles(&self) -> Result<Vec<va::VAProfile>, Failure> {
        // SAFETY: the display is initialised.
        let most = unsafe { (self.library.vaMaxNumProfiles)(self.raw) };
        let mut list = vec![0; room("vaMaxNumProfiles", most)?];
        let mut count = 0;
        call!(self, vaQueryConfigProfiles, list.as_mut_ptr(), &mut count)?;
        list.truncate(usize::try_from(count).unwrap_or(0));
        Ok(list)
    }

    pub(super) fn entrypoints(&self, profile: va::VAProfile) -> Result<Vec<va::VAEntrypoint>, Failure> {
        // SAFETY: the display is initialised.
        let most = unsafe { (self.library.vaMaxNumEntrypoints)(self.raw) };
        let mut list = vec![0; room("vaMaxNumEntrypoints", most)?];
        let mut count = 0;
        call!(self, vaQueryConfigEntrypoints, profile, list.as_mut_ptr(), &mut count)?;
        list.truncate(usize::try_from(count).unwrap_or(0));
        Ok(list)
    }

    /// The value of one attribute; `None` when the driver does not know it.
    pub(super) fn attribute(
        &self,
        profile: va::VAProfile,
        entrypoint: va::VAEntrypoint,
        kind: va::VAConfigAttribType,
    ) -> Option<u32> {
        let mut attribute = va::VAConfigAttrib { type_: kind, value: 0 };
        call!(self, vaGetConfigAttributes, profile, entrypoint, &mut attribute, 1).ok()?;
        (attribute.value != va::VA_ATTRIB_NOT_SUPPORTED).then_some(attribute.value)
    }
}

/// A bound that a driver has given for what it writes, as a length; less room than that would be written past.
fn room(call: &'static str, most: c_int) -> Result<usize, Failure> {
    let known = usize::try_from(most).ok().filter(|most| *most <= MOST);
    known.ok_or(Failure { call, status: va::VA_STATUS_ERROR_OPERATION_FAILED as VAStatus })
}

impl Drop for Display {
    fn drop(&mut self) {
        // All objects hold the display, so none is left.
        let _ = call!(&*self, vaTerminate);
    }
}

/// A way to work: a profile, an entry point and its attributes.
pub(super) struct Config {
    display: Rc<Display>,
    id: VAConfigID,
}

impl Config {
    pub(super) fn new(
        display: &Rc<Display>,
        profile: va::VAProfile,
        entrypoint: va::VAEntrypoint,
        attributes: &[(va::VAConfigAttribType, u32)],
    ) -> Result<Self, Failure> {
        let attribute =
            |(kind, value): &(va::VAConfigAttribType, u32)| va::VAConfigAttrib { type_: *kind, value: *value };
        let mut list: Vec<_> = attributes.iter().map(attribute).collect();
        let count = c_int::try_from(list.len()).unwrap_or(0);
        let mut id = 0;
        call!(&**display, vaCreateConfig, profile, entrypoint, list.as_mut_ptr(), count, &mut id)?;
        Ok(Self { display: Rc::clone(display), id })
    }
}

impl Drop for Config {
    fn drop(&mut self) {
        let _ = call!(&*self.display, vaDestroyConfig, self.id);
    }
}

/// A picture on the device.
pub(super) struct Surface {
    display: Rc<Display>,
    id: VASurfaceID,
}

impl Surface {
    /// A new one, of the driver's choice of layout.
    pub(super) fn new(display: &Rc<Display>, format: u32, width: u32, height: u32) -> Result<Self, Failure> {
        Self::create(display, format, width, height, &mut [])
    }

    /// One that lies in dmabufs; the driver duplicates their fds.
    pub(super) fn import(
        display: &Rc<Display>,
        format: u32,
        descriptor: &mut va::VADRMPRIMESurfaceDescriptor,
    ) -> Result<Self, Failure> {
        let (width, height) = (descriptor.width, descriptor.height);
        let attribute = |type_, value| va::VASurfaceAttrib { type_, flags: va::VA_SURFACE_ATTRIB_SETTABLE, value };
        let mut kind = va::VAGenericValue { type_: va::VAGenericValueTypeInteger, ..Default::default() };
        kind.value.i = va::VA_SURFACE_ATTRIB_MEM_TYPE_DRM_PRIME_2.cast_signed();
        let mut pointer = va::VAGenericValue { type_: va::VAGenericValueTypePointer, ..Default::default() };
        pointer.value.p = ptr::from_mut(descriptor).cast();
        let memory = attribute(va::VASurfaceAttribMemoryType, kind);
        let buffer = attribute(va::VASurfaceAttribExternalBufferDescriptor, pointer);
        Self::create(display, format, width, height, &mut [memory, buffer])
    }

    fn create(
        display: &Rc<Display>,
        format: u32,
        width: u32,
        height: u32,
        attributes: &mut [va::VASurfaceAttrib],
    ) -> Result<Self, Failure> {
        let mut id = 0;
        let count = c_uint::try_from(attributes.len()).unwrap_or(0);
        let list = attributes.as_mut_ptr();
        call!(&**display, vaCreateSurfaces, format, width, height, &mut id, 1, list, count)?;
        Ok(Self { display: Rc::clone(display), id })
    }

    pub(super) fn id(&self) -> VASurfaceID {
        self.id
    }

    /// Waits until nothing is being done with it.
    pub(super) fn sync(&self) -> Result<(), Failure> {
        call!(&*self.display, vaSyncSurface, self.id)
    }
}

impl Drop for Surface {
    fn drop(&mut self) {
        let mut id = self.id;
        let _ = call!(&*self.display, vaDestroySurfaces, &mut id, 1);
    }
}

/// A structure that libva copies as it is.
///
/// # Safety
/// It is `repr(C)`, as `KIND` wants it, and holds no pointer that outlives its use.
pub(super) unsafe trait Parameter {
    const KIND: va::VABufferType;
}

macro_rules! parameters {
    ($($structure:ident = $kind:ident;)*) => {$(
        // SAFETY: it is what va.h or the codec's va_enc header names for the type of buffer; none
        // holds a pointer but the pipeline's, whose regions `Context::process` keeps.
        unsafe impl Parameter for va::$structure {
            const KIND: va::VABufferType = va::$kind;
        }
    )*};
}

parameters! {
    VAProcPipelineParameterBuffer = VAProcPipelineParameterBufferType;
    VAEncPackedHeaderParameterBuffer = VAEncPackedHeaderParameterBufferType;
    VAEncSequenceParameterBufferH264 = VAEncSequenceParameterBufferType;
    VAEncPictureParameterBufferH264 = VAEncPictureParameterBufferType;
    VAEncSliceParameterBufferH264 = VAEncSliceParameterBufferType;
    VAEncSequenceParameterBufferHEVC = VAEncSequenceParameterBufferType;
    VAEncPictureParameterBufferHEVC = VAEncPictureParameterBufferType;
    VAEncSliceParameterBufferHEVC = VAEncSliceParameterBufferType;
    VAEncSequenceParameterBufferVP8 = VAEncSequenceParameterBufferType;
    VAEncPictureParameterBufferVP8 = VAEncPictureParameterBufferType;
    VAQMatrixBufferVP8 = VAQMatrixBufferType;
    VAEncSequenceParameterBufferVP9 = VAEncSequenceParameterBufferType;
    VAEncPictureParameterBufferVP9 = VAEncPictureParameterBufferType;
    VAEncPictureParameterBufferJPEG = VAEncPictureParameterBufferType;
    VAEncSliceParameterBufferJPEG = VAEncSliceParameterBufferType;
    VAQMatrixBufferJPEG = VAQMatrixBufferType;
    VAHuffmanTableBufferJPEGBaseline = VAHuffmanTableBufferType;
}

// SAFETY: a `VAEncMiscParameterBuffer` is a type and then the structure that it names.
unsafe impl<T> Parameter for Misc<T> {
    const KIND: va::VABufferType = va::VAEncMiscParameterBufferType;
}

/// A `VAEncMiscParameterBuffer` with what follows it.
#[repr(C)]
pub(super) struct Misc<T> {
    pub(super) kind: va::VAEncMiscParameterType,
    pub(super) data: T,
}

/// A running encoder or converter.
pub(super) struct Context {
    config: Config,
    id: VAContextID,
}

impl Context {
    pub(super) fn new(config: Config, width: u32, height: u32, targets: &[&Surface]) -> Result<Self, Failure> {
        let size = |side: u32| c_int::try_from(side).unwrap_or(c_int::MAX);
        let mut ids: Vec<_> = targets.iter().map(|surface| surface.id).collect();
        let count = c_int::try_from(ids.len()).unwrap_or(0);
        let flag = va::VA_PROGRESSIVE.cast_signed();
        let mut id = 0;
        let (width, height) = (size(width), size(height));
        call!(&*config.display, vaCreateContext, config.id, width, height, flag, ids.as_mut_ptr(), count, &mut id)?;
        Ok(Self { config, id })
    }

    pub(super) fn display(&self) -> &Rc<Display> {
        &self.config.display
    }

    /// What is to be said about the next picture; nothing yet.
    pub(super) fn tell(&self) -> Told<'_> {
        Told { context: self, buffers: heapless::Vec::new() }
    }

    /// A buffer for an encoded picture of at most `size` bytes.
    pub(super) fn coded(&self, size: usize) -> Result<Buffer, Failure> {
        self.buffer(va::VAEncCodedBufferType, size, ptr::null_mut())
    }

    fn buffer(&self, kind: va::VABufferType, size: usize, data: *mut c_void) -> Result<Buffer, Failure> {
        let len = c_uint::try_from(size).unwrap_or(c_uint::MAX);
        let mut id = 0;
        call!(&**self.display(), vaCreateBuffer, self.id, kind, len, 1, data, &mut id)?;
        Ok(Buffer { display: Rc::clone(self.display()), id, size })
    }

    /// Has the device draw a part of one surface into a part of another.
    pub(super) fn process(
        &self,
        mut pipeline: va::VAProcPipelineParameterBuffer,
        from: (&Surface, va::VARectangle),
        to: (&Surface, va::VARectangle),
    ) -> Result<(), Failure> {
        pipeline.surface = from.0.id;
        // Both rectangles live until `Told::render` returns, after which no driver looks at them.
        pipeline.surface_region = &from.1;
        pipeline.output_region = &to.1;
        let mut told = self.tell();
        told.parameter(&pipeline)?;
        told.render(to.0)
    }
}

/// Buffers that a device is told about one picture at most.
const MOST_TOLD: usize = 16;

/// What a device is told about one picture, in the order in which it is said.
pub(super) struct Told<'a> {
    context: &'a Context,
    buffers: heapless::Vec<Buffer, MOST_TOLD>,
}

impl Told<'_> {
    /// A structure.
    pub(super) fn parameter<T: Parameter>(&mut self, value: &T) -> Result<(), Failure> {
        // vaCreateBuffer copies, and only reads.
        self.push(T::KIND, size_of::<T>(), ptr::from_ref(value).cast_mut().cast())
    }

    /// Bytes.
    pub(super) fn bytes(&mut self, kind: va::VABufferType, bytes: &[u8]) -> Result<(), Failure> {
        self.push(kind, bytes.len(), bytes.as_ptr().cast_mut().cast())
    }

    fn push(&mut self, kind: va::VABufferType, size: usize, data: *mut c_void) -> Result<(), Failure> {
        let status = va::VA_STATUS_ERROR_MAX_NUM_EXCEEDED.cast_signed();
        let buffer = self.context.buffer(kind, size, data)?;
        self.buffers.push(buffer).map_err(|_| Failure { call: "vaCreateBuffer", status })
    }

    /// Has the device work on `target`. Does not wait for it.
    pub(super) fn render(self, target: &Surface) -> Result<(), Failure> {
        let display = &**self.context.display();
        let mut ids: heapless::Vec<_, MOST_TOLD> = self.buffers.iter().map(|buffer| buffer.id).collect();
        let count = c_int::try_from(ids.len()).unwrap_or(0);
        call!(display, vaBeginPicture, self.context.id, target.id)?;
        let rendered = call!(display, vaRenderPicture, self.context.id, ids.as_mut_ptr(), count);
        // A begun picture is ended also when it failed.
        let ended = call!(display, vaEndPicture, self.context.id);
        rendered.and(ended)
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        let _ = call!(&**self.display(), vaDestroyContext, self.id);
    }
}

/// A buffer of the driver.
pub(super) struct Buffer {
    display: Rc<Display>,
    id: VABufferID,
    size: usize,
}

impl Buffer {
    pub(super) fn id(&self) -> VABufferID {
        self.id
    }

    /// Waits until it is filled; `None` where the driver or libva has no such call.
    pub(super) fn sync(&self) -> Option<Result<(), Failure>> {
        let sync = self.display.library.vaSyncBuffer?;
        // SAFETY: the display is initialised and the buffer alive. Waits as long as it takes.
        let status = unsafe { sync(self.display.raw, self.id, u64::MAX) };
        let unknown = status == va::VA_STATUS_ERROR_UNIMPLEMENTED.cast_signed();
        (!unknown).then(|| check("vaSyncBuffer", status))
    }

    /// Appends the encoded picture to `out`; the status that the driver has given it.
    pub(super) fn read_coded(&self, out: &mut Vec<u8>) -> Result<u32, Failure> {
        let mut start = ptr::null_mut();
        call!(&*self.display, vaMapBuffer, self.id, &mut start)?;
        let mut segment: *const va::VACodedBufferSegment = start.cast_const().cast();
        let mut status = 0;
        let mut left = self.size;
        for _ in 0..MOST {
            if segment.is_null() {
                break;
            }
            // SAFETY: a mapped coded buffer is a list of segments, valid until it is unmapped.
            let this = unsafe { &*segment };
            status |= this.status;
            let len = (this.size as usize).min(left);
            left -= len;
            if len > 0 && !this.buf.is_null() {
                // SAFETY: `size` bytes are there; not more than the buffer was made for.
                out.extend_from_slice(unsafe { std::slice::from_raw_parts(this.buf.cast(), len) });
            }
            segment = this.next.cast_const().cast();
        }
        call!(&*self.display, vaUnmapBuffer, self.id)?;
        Ok(status)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let _ = call!(&*self.display, vaDestroyBuffer, self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_that_may_write_more_than_there_is_room_for_is_refused() {
        assert_eq!((room("x", 0), room("x", 256)), (Ok(0), Ok(256)));
        for most in [-1, 257, c_int::MAX] {
            assert_eq!(room("x", most).unwrap_err().call, "x");
        }
    }
}
