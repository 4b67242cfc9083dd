//! How C enters: exported symbols, and the arguments that come with them.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::marker::PhantomData;
use std::os::fd::{FromRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

/// Exported functions with their version nodes. A panic inside of one ends there: it is logged, and
/// the function returns what stands behind `or`.
macro_rules! exports {
    ($($(#[$m:meta])* $node:literal fn $name:ident($($arg:ident: $t:ty),* $(,)?) $(-> $ret:ty)? $body:block or $failed:expr;)*) => {
        $(
            $(#[$m])*
            #[allow(unsafe_code)]
            #[unsafe(no_mangle)]
            pub(crate) extern "C" fn $name($($arg: $t),*) $(-> $ret)? {
                crate::exports::sys::guarded(stringify!($name), || $failed, || $body)
            }
        )*
        /// The names of these functions with their version nodes.
        pub(crate) const EXPORTS: &[(&str, &str)] = &[$((stringify!($name), concat!("SPICE_SERVER_", $node))),*];
    };
}

/// Runs the body of an exported function.
pub(crate) fn guarded<T>(name: &'static str, failed: impl FnOnce() -> T, body: impl FnOnce() -> T) -> T {
    // What a panic leaves behind is locked state, whose locks say so.
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|_| {
        tracing::error!(function = name, "a mistake of the library's");
        failed()
    })
}

/// `SpiceServer *`: a number that is never followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct ServerRef(*mut c_void);

impl ServerRef {
    /// What the application gets for the server of this number, which is not 0.
    pub(crate) fn of(number: usize) -> Self {
        Self(ptr::without_provenance_mut(number))
    }

    /// The number.
    pub(crate) fn number(self) -> usize {
        self.0.addr()
    }
}

/// `const char *`.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub(crate) struct Text(*const c_char);

impl Text {
    /// The text, unless it is null.
    pub(crate) fn get(self) -> Option<String> {
        if self.0.is_null() {
            return None;
        }
        // SAFETY: the application's texts are C strings, as the headers have it.
        Some(unsafe { CStr::from_ptr(self.0) }.to_string_lossy().into_owned())
    }

    /// A text for the application, which gives it back; null for one with a NUL in it.
    pub(crate) fn give(text: String) -> Self {
        Self(CString::new(text).map_or(ptr::null(), |text| text.into_raw().cast_const()))
    }

    /// Takes back what [`give`](Self::give) gave.
    pub(crate) fn take_back(self) {
        if !self.0.is_null() {
            // SAFETY: the header says that what comes here was given by `give`, once.
            drop(unsafe { CString::from_raw(self.0.cast_mut()) });
        }
    }
}

/// A pointer to one `T` that the application has filled.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub(crate) struct In<T>(*const T);

impl<T: Copy> In<T> {
    /// A copy, unless it is null.
    pub(crate) fn get(self) -> Option<T> {
        if self.0.is_null() {
            return None;
        }
        // SAFETY: the application's structure of this type, as the headers have it; it may stand
        // anywhere, since QXL structures are packed.
        Some(unsafe { self.0.read_unaligned() })
    }

    /// Copies of `count` of them.
    pub(crate) fn list(self, count: usize) -> Vec<T> {
        if self.0.is_null() {
            return Vec::new();
        }
        // SAFETY: the application says that so many are there.
        (0..count).map(|n| unsafe { self.0.wrapping_add(n).read_unaligned() }).collect()
    }
}

/// A pointer to room for `T`s.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub(crate) struct Out<T>(*mut T, PhantomData<T>);

impl<T: Copy> Out<T> {
    /// Writes the first, unless it is null.
    pub(crate) fn set(self, value: T) {
        self.set_all(&[value]);
    }

    /// Writes these, for which there is room, unless it is null.
    pub(crate) fn set_all(self, values: &[T]) {
        if self.0.is_null() {
            return;
        }
        for (n, value) in values.iter().enumerate() {
            // SAFETY: the application says how much room there is, and no more values come here.
            unsafe { self.0.wrapping_add(n).write_unaligned(*value) };
        }
    }
}

/// A null-terminated list of texts that are always there.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct Texts(*const *const c_char);

/// An array of pointers to texts.
pub(crate) struct TextList<const N: usize>(pub(crate) [*const c_char; N]);

// SAFETY: the texts are constants.
unsafe impl<const N: usize> Sync for TextList<N> {}

impl Texts {
    /// A list whose last entry is null.
    pub(crate) const fn of<const N: usize>(list: &'static TextList<N>) -> Self {
        Self(list.0.as_ptr())
    }
}

/// A descriptor that the application gives away; `None` for none.
pub(crate) fn given(fd: c_int) -> Option<OwnedFd> {
    // SAFETY: the interface says that the library owns the descriptor from now on.
    (fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd) })
}
