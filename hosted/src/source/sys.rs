//! A file as memory: the only unsafe code of the sources.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::ptr::{self, NonNull};
use std::slice;

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// All bytes of a file, mapped for reading until it is dropped.
///
/// The bytes are the file's: if another program writes into it, they change. If another program
/// makes the file *shorter*, reading what is no longer there ends this process (SIGBUS): see
/// [`Self::file_length`] for noticing that early. There is no way to make that impossible for an
/// ordinary file, so the file must be one that nobody changes while it is shown.
#[derive(Debug)]
pub(super) struct Mapping {
    file: File,
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping belongs to the process and not to a thread, and `Mapping` gives out nothing
// but shared slices of it.
unsafe impl Send for Mapping {}
// SAFETY: as above; there is no interior mutability.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `length` bytes of a file, which must have that many.
    pub(super) fn new(file: File, length: usize) -> io::Result<Self> {
        if length == 0 || length > isize::MAX as usize {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // SAFETY: with a null address and without MAP_FIXED the kernel chooses addresses that
        // nothing else uses, so no existing memory is touched.
        let start = unsafe { mmap(ptr::null_mut(), length, ProtFlags::READ, MapFlags::SHARED, &file, 0) }?;
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { file, start, length })
    }

    /// How long the file is now; less than what is mapped means that someone made it shorter.
    pub(super) fn file_length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// The mapped bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: `start..start + length` is one readable mapping, made in `new` and unmapped only
        // in `drop`, which the borrow of `self` excludes; `length` fits an isize; every byte is a
        // valid u8. Nothing in this process writes to it: the mapping is read-only. A program that
        // writes to the file meanwhile changes what is read here; the type's contract excludes it,
        // as every file mapping's must.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly what `new` mapped; no slice of it outlives `self`.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.length) };
        debug_assert!(unmapped.is_ok(), "unmapping our own mapping: {unmapped:?}");
    }
}
