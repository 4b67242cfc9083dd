//! libopus, taken at run time: the few functions that code and decode, as opus.h declares them.

use std::ffi::{CStr, c_char, c_int, c_uchar};
use std::ptr::NonNull;
use std::sync::OnceLock;

/// The interface has been the same since 1.0.
pub(super) const NAME: &str = "libopus.so.0";
/// OPUS_APPLICATION_AUDIO: anything may be played, not only speech.
const APPLICATION_AUDIO: c_int = 2049;
const CHANNELS: c_int = 2;

/// Memory that only libopus looks into.
#[repr(C)]
struct OpusEncoder([u8; 0]);
/// The same.
#[repr(C)]
struct OpusDecoder([u8; 0]);

macro_rules! functions {
    ($($name:ident($($argument:ty),*) $(-> $answer:ty)?;)*) => {
        struct Library {
            $($name: unsafe extern "C" fn($($argument),*) $(-> $answer)?,)*
            _library: libloading::Library,
        }

        impl Library {
            fn open() -> Result<Self, String> {
                // SAFETY: libopus has no initialisers that do anything.
                let library = unsafe { libloading::Library::new(NAME) }.map_err(|e| e.to_string())?;
                Ok(Self {
                    $(
                        // SAFETY: the type is the one that opus.h declares for this name.
                        $name: *unsafe { library.get(concat!(stringify!($name), "\0").as_bytes()) }
                            .map_err(|e| e.to_string())?,
                    )*
                    _library: library,
                })
            }
        }
    };
}

functions! {
    opus_get_version_string() -> *const c_char;
    opus_strerror(c_int) -> *const c_char;
    opus_encoder_create(i32, c_int, c_int, *mut c_int) -> *mut OpusEncoder;
    opus_encode(*mut OpusEncoder, *const i16, c_int, *mut c_uchar, i32) -> i32;
    opus_encoder_destroy(*mut OpusEncoder);
    opus_decoder_create(i32, c_int, *mut c_int) -> *mut OpusDecoder;
    opus_decode(*mut OpusDecoder, *const c_uchar, i32, *mut i16, c_int, c_int) -> c_int;
    opus_decoder_destroy(*mut OpusDecoder);
}

/// The library, looked for once per process.
fn library() -> Result<&'static Library, &'static str> {
    static LIBRARY: OnceLock<Result<Library, String>> = OnceLock::new();
    LIBRARY.get_or_init(Library::open).as_ref().map_err(String::as_str)
}

/// The library's version, or why it cannot be used.
pub(super) fn version() -> Result<&'static str, &'static str> {
    let library = library()?;
    // SAFETY: no condition.
    let text = unsafe { (library.opus_get_version_string)() };
    Ok(words(text))
}

fn words(text: *const c_char) -> &'static str {
    if text.is_null() {
        return "no message";
    }
    // SAFETY: libopus's texts are static and end with a zero.
    unsafe { CStr::from_ptr(text) }.to_str().unwrap_or("no message")
}

impl Library {
    /// The answer as a length, or libopus's words when it is negative.
    fn check(&self, answer: c_int) -> Result<usize, &'static str> {
        // SAFETY: any number is allowed.
        usize::try_from(answer).map_err(|_| words(unsafe { (self.opus_strerror)(answer) }))
    }
}

/// One encoder of two channels.
pub(super) struct Encoder {
    library: &'static Library,
    state: NonNull<OpusEncoder>,
}

impl Encoder {
    /// `rate` is one of Opus's.
    pub(super) fn open(rate: u32) -> Result<Self, &'static str> {
        let library = library()?;
        let mut error = 0;
        // SAFETY: libopus checks the numbers; `error` lives during the call.
        let state =
            unsafe { (library.opus_encoder_create)(rate.cast_signed(), CHANNELS, APPLICATION_AUDIO, &mut error) };
        library.check(error)?;
        Ok(Self { library, state: NonNull::new(state).ok_or("no memory")? })
    }

    /// Codes interleaved samples of 10 ms into the front of `out`; answers the length.
    pub(super) fn encode(&mut self, samples: &[i16], out: &mut [u8]) -> Result<usize, &'static str> {
        let frame = c_int::try_from(samples.len() / 2).map_err(|_| "too many samples")?;
        let room = i32::try_from(out.len()).map_err(|_| "too much room")?;
        // SAFETY: the state is alive; `frame` samples of two channels are in `samples`, `room` bytes in `out`.
        let answer =
            unsafe { (self.library.opus_encode)(self.state.as_ptr(), samples.as_ptr(), frame, out.as_mut_ptr(), room) };
        self.library.check(answer)
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: the state is alive, and not used after this.
        unsafe { (self.library.opus_encoder_destroy)(self.state.as_ptr()) };
    }
}

/// One decoder to two channels.
pub(super) struct Decoder {
    library: &'static Library,
    state: NonNull<OpusDecoder>,
}

impl Decoder {
    /// `rate` is one of Opus's.
    pub(super) fn open(rate: u32) -> Result<Self, &'static str> {
        let library = library()?;
        let mut error = 0;
        // SAFETY: libopus checks the numbers; `error` lives during the call.
        let state = unsafe { (library.opus_decoder_create)(rate.cast_signed(), CHANNELS, &mut error) };
        library.check(error)?;
        Ok(Self { library, state: NonNull::new(state).ok_or("no memory")? })
    }

    /// Decodes a packet into the front of `out`, interleaved; answers how many numbers.
    pub(super) fn decode(&mut self, packet: &[u8], out: &mut [i16]) -> Result<usize, &'static str> {
        let len = i32::try_from(packet.len()).map_err(|_| "a packet too long")?;
        let room = c_int::try_from(out.len() / 2).map_err(|_| "too much room")?;
        // SAFETY: the state is alive; `packet` has `len` bytes, `out` room for `room` samples of two
        // channels. Any packet is allowed: libopus reads it as hostile.
        let answer =
            unsafe { (self.library.opus_decode)(self.state.as_ptr(), packet.as_ptr(), len, out.as_mut_ptr(), room, 0) };
        self.library.check(answer).map(|samples| samples * 2)
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: the state is alive, and not used after this.
        unsafe { (self.library.opus_decoder_destroy)(self.state.as_ptr()) };
    }
}
