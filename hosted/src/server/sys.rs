//! Signal masks: the only calls into C of this module.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::ptr;

/// Does something with all signals blocked for the calling thread, and for threads that it starts
/// meanwhile for good.
pub fn with_signals_blocked<T>(run: impl FnOnce() -> T) -> T {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: `all` is memory for a signal set.
    let filled = unsafe { libc::sigfillset(all.as_mut_ptr()) };
    // SAFETY: both are memory for a signal set, and sigfillset, which cannot fail with that, wrote
    // the first; only this thread's mask changes.
    let blocked = unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) };
    let result = run();
    if filled == 0 && blocked == 0 {
        // SAFETY: the call that blocked succeeded and so wrote `before`; null asks for nothing back.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), ptr::null_mut()) };
    }
    result
}
