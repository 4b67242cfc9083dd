//! A system call that nobody here needs, for the test that it is refused.
#![allow(unsafe_code)]

use std::io;
use std::ptr;

/// Asks to be traced by the parent process.
pub(super) fn trace_me() -> io::Result<()> {
    let nowhere = ptr::null_mut::<libc::c_void>();
    // SAFETY: PTRACE_TRACEME ignores pid, address and data.
    let done = unsafe { libc::ptrace(libc::PTRACE_TRACEME, 0, nowhere, nowhere) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
