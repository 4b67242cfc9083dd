//! The memory that two processes share.
use std::{os::fd::OwnedFd, ptr::NonNull};

use rustix::{
    fs::{MemfdFlags, SealFlags, fcntl_add_seals, fstat, ftruncate, memfd_create},
    io::Errno,
    mm::{MapFlags, ProtFlags, mmap, munmap},
};

/// A memfd of a fixed size, and its mapping.
pub(super) struct Memory {
    pub(super) fd: OwnedFd,
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: a mapping belongs to the process, not to a thread.
unsafe impl Send for Memory {}
// SAFETY: as above; `bytes` gives out shared slices, and `write` needs the only handle.
unsafe impl Sync for Memory {}

impl Memory {
    /// Makes it: zeros, which take no memory before they are written.
    pub(super) fn new(len: usize) -> Result<Self, Errno> {
        let fd = memfd_create("sumac-encoder", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&fd, len as u64)?;
        // The other process cannot make it shorter under this one's mapping.
        fcntl_add_seals(&fd, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        Self::map(fd, len, ProtFlags::READ | ProtFlags::WRITE)
    }

    /// Maps what the other process has made, for reading.
    pub(super) fn received(fd: OwnedFd, len: usize) -> Result<Self, Errno> {
        if u64::try_from(fstat(&fd)?.st_size).unwrap_or(0) < len as u64 {
            return Err(Errno::OVERFLOW);
        }
        Self::map(fd, len, ProtFlags::READ)
    }

    fn map(fd: OwnedFd, len: usize, access: ProtFlags) -> Result<Self, Errno> {
        // SAFETY: a null hint lets the kernel place the mapping where nothing else is.
        let start = unsafe { mmap(std::ptr::null_mut(), len, access, MapFlags::SHARED, &fd, 0) }?;
        NonNull::new(start.cast()).map(|start| Self { fd, start, len }).ok_or(Errno::NOMEM)
    }

    /// Writes `bytes` at `at`, in the process that made it; nothing when they do not fit.
    pub(super) fn write(&mut self, at: usize, bytes: &[u8]) {
        if at.checked_add(bytes.len()).is_none_or(|end| end > self.len) {
            return;
        }
        // SAFETY: `at` is within the mapping (checked above).
        let to = unsafe { self.start.as_ptr().add(at) };
        // SAFETY: so are `bytes.len()` bytes from there on; `new` has made them writable, and its seals keep
        // the pages. No reference to the mapping exists here: `write` has the only handle. What the other
        // process reads or writes meanwhile concerns only its picture.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
    }

    /// These bytes, in the process that was given the memory; empty when they are not all there.
    ///
    /// The other one writes them before it says so, and not again before it has the answer.
    pub(super) fn bytes(&self, at: usize, len: usize) -> &[u8] {
        if at.checked_add(len).is_none_or(|end| end > self.len) {
            return &[];
        }
        // SAFETY: `at` is within the mapping (checked above).
        let from = unsafe { self.start.as_ptr().add(at) };
        // SAFETY: `len` bytes from there on are readable (checked above, and `received` has seen that the file
        // has them; its maker has sealed its size) as long as `self` lives. They do not change while they are
        // read: the process that writes them waits for the answer to this picture, and it is the one that
        // this process obeys.
        unsafe { std::slice::from_raw_parts(from, len) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: exactly what `map` mapped; every slice of it has ended with the borrow of `self`.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.len) };
        debug_assert!(unmapped.is_ok(), "unmapping our own mapping: {unmapped:?}");
    }
}
