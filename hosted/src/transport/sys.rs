//! `getsockopt` for `TCP_INFO`, which has no safe wrapper.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Bytes of `struct tcp_info` that are looked at: all up to `tcpi_bytes_retrans`.
pub(super) const TCP_INFO_BYTES: usize = 216;

/// Fills `out`; what the kernel does not know stays as it is.
pub(super) fn tcp_info(socket: BorrowedFd<'_>, out: &mut [u8; TCP_INFO_BYTES]) -> io::Result<()> {
    let mut len = TCP_INFO_BYTES as libc::socklen_t;
    // SAFETY: the descriptor is borrowed, so it stays open; the kernel writes at most `len` bytes to
    // `out`, which has that many, and how many it wrote to `len`. Any bytes are a valid `[u8]`.
    let answer = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            out.as_mut_ptr().cast(),
            std::ptr::from_mut(&mut len),
        )
    };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
