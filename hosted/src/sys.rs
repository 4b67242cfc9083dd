//! The C library's allocator, told once: the only unsafe code of the binary.
#![allow(unsafe_code)]

/// Allocations of so many bytes and more get pages of their own, which go back to the kernel when
/// they are freed. glibc begins with half of that, and raises it to the size of the largest one
/// that was ever freed: from the first picture on, pictures would lie on the heap, which shrinks at
/// its end only.
#[cfg(target_env = "gnu")]
const OWN_PAGES: libc::c_int = 256 * 1024;

/// Keeps large allocations off the heap; before there are other threads.
#[cfg(target_env = "gnu")]
pub(crate) fn give_back_pages() {
    // SAFETY: `mallopt` takes two numbers, and no pointer; it takes malloc's own lock.
    let taken = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, OWN_PAGES) };
    debug_assert_eq!(taken, 1, "M_MMAP_THRESHOLD has bounds, and this lies within them");
}

/// Other C libraries have no such threshold that moves.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn give_back_pages() {}
