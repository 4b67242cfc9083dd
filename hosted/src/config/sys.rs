//! File descriptors that the process was started with: the only unsafe code of the configuration.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::path::Path;

use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};

/// Our own duplicate of the file descriptor of this number.
///
/// # Errors
/// When none of this number is open.
pub(super) fn duplicate(number: RawFd) -> io::Result<OwnedFd> {
    // Of the numbers that are not there, -1 is one that may not even be borrowed.
    if number < 0 || !Path::new(&format!("/proc/self/fd/{number}")).exists() {
        return Err(io::ErrorKind::NotFound.into());
    }
    // SAFETY: the number is not -1 and was open a moment ago, and is borrowed for one system call.
    // Should another thread close it before, the call answers EBADF, or duplicates what took its
    // place: either way nothing is closed that is not ours.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    Ok(fcntl_dupfd_cloexec(borrowed, 3)?)
}

/// The same, and programs that are started do not get the original either.
///
/// # Errors
/// As [`duplicate`].
pub(super) fn take_over(number: RawFd) -> io::Result<OwnedFd> {
    let ours = duplicate(number)?;
    // SAFETY: as in `duplicate`, which has just seen that it is open; a flag of a descriptor that took its place
    // means only that other programs do not get that one.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    fcntl_setfd(borrowed, FdFlags::CLOEXEC)?;
    Ok(ours)
}
