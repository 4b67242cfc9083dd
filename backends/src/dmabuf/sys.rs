//! The kernel's side of reading a dmabuf: `mmap` and `DMA_BUF_IOCTL_SYNC`.
use std::{os::fd::BorrowedFd, ptr::NonNull};

use rustix::{
    io::Errno,
    ioctl::{Setter, ioctl, opcode},
    mm::{MapFlags, ProtFlags, mmap, munmap},
};

/// Which bytes of a buffer to read.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    /// Bytes from the buffer's start to the first row.
    pub(super) offset: u64,
    /// Bytes from one row to the next.
    pub(super) stride: usize,
    /// Bytes of a row.
    pub(super) row: usize,
    /// Rows, at least one.
    pub(super) count: usize,
}

/// Copies rows out of a dmabuf, or of a memfd that stands in for one. `out` then holds exactly
/// `row * count` bytes. Fails with the name of the call and its answer.
pub(super) fn read_rows(fd: BorrowedFd<'_>, rows: Rows, out: &mut Vec<u8>) -> Result<(), (&'static str, Errno)> {
    out.clear();
    match Sync::start(fd) {
        // Not a dmabuf. A memfd can shrink under a mapping, which kills; `pread` then reads less.
        Err(Errno::NOTTY) => pread_rows(fd, rows, out),
        Err(errno) => Err(("DMA_BUF_IOCTL_SYNC", errno)),
        Ok(_until_end) => {
            let end = rows.offset + (rows.stride * (rows.count - 1) + rows.row) as u64;
            let map = Mapping::new(fd, end).map_err(|errno| ("mmap", errno))?;
            out.reserve_exact(rows.row * rows.count);
            for n in 0..rows.count {
                // Both are below `end`, the length of the mapping, which is a `usize`.
                map.append(rows.offset as usize + n * rows.stride, rows.row, out);
            }
            Ok(())
        }
    }
}

fn pread_rows(fd: BorrowedFd<'_>, rows: Rows, out: &mut Vec<u8>) -> Result<(), (&'static str, Errno)> {
    out.resize(rows.row * rows.count, 0);
    for (n, row) in out.chunks_exact_mut(rows.row).enumerate() {
        let mut at = rows.offset + (n * rows.stride) as u64;
        let mut rest = row;
        while !rest.is_empty() {
            match rustix::io::pread(fd, &mut *rest, at) {
                Ok(0) => return Err(("pread", Errno::NODATA)),
                Ok(got) => {
                    at += got as u64;
                    rest = rest.split_at_mut(got).1;
                }
                Err(Errno::INTR) => {}
                Err(errno) => return Err(("pread", errno)),
            }
        }
    }
    Ok(())
}

/// Between start and end the processor sees what devices wrote.
struct Sync<'a>(BorrowedFd<'a>);

const SYNC: rustix::ioctl::Opcode = opcode::write::<u64>(b'b', 0);
const READ: u64 = 1;
const END: u64 = 1 << 2;

impl<'a> Sync<'a> {
    fn start(fd: BorrowedFd<'a>) -> Result<Self, Errno> {
        loop {
            match sync(fd, READ) {
                Err(Errno::INTR | Errno::AGAIN) => {}
                answer => return answer.map(|()| Self(fd)),
            }
        }
    }
}

impl Drop for Sync<'_> {
    fn drop(&mut self) {
        // Nothing was written, so there is nothing to lose when this fails.
        let _ = sync(self.0, READ | END);
    }
}

fn sync(fd: BorrowedFd<'_>, flags: u64) -> Result<(), Errno> {
    // SAFETY: `DMA_BUF_IOCTL_SYNC` is `_IOW('b', 0, struct dma_buf_sync)`, a struct of one `__u64`;
    // the opcode is made from that type.
    let request = unsafe { Setter::<SYNC, u64>::new(flags) };
    // SAFETY: the kernel reads the eight bytes and writes none; another kind of file answers ENOTTY.
    unsafe { ioctl(fd, request) }
}

/// A readable mapping of the first bytes of a buffer.
struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

impl Mapping {
    fn new(fd: BorrowedFd<'_>, len: u64) -> Result<Self, Errno> {
        let len = usize::try_from(len).map_err(|_| Errno::OVERFLOW)?;
        // SAFETY: a null hint lets the kernel place the mapping where nothing else is.
        let start = unsafe { mmap(std::ptr::null_mut(), len, ProtFlags::READ, MapFlags::SHARED, fd, 0) }?;
        NonNull::new(start.cast()).map(|start| Self { start, len }).ok_or(Errno::NOMEM)
    }

    /// Appends `len` bytes from `at` on; nothing when they are not all in the mapping.
    fn append(&self, at: usize, len: usize, out: &mut Vec<u8>) {
        if at.checked_add(len).is_none_or(|end| end > self.len) {
            return;
        }
        out.reserve(len);
        let spare = out.spare_capacity_mut().as_mut_ptr().cast::<u8>();
        // SAFETY: `at` is within the mapping (checked above).
        let from = unsafe { self.start.as_ptr().add(at) };
        // SAFETY: `len` bytes can be read at `from` (checked above) and written at `spare`
        // (reserved above), and a new mapping and a vector do not overlap. A dmabuf cannot shrink,
        // so the pages stay. A device may write meanwhile: then the copy holds old or new bytes,
        // each of which is a byte; no reference to the mapping exists.
        unsafe { std::ptr::copy_nonoverlapping(from, spare, len) };
        // SAFETY: `len` bytes beyond the old length were just written and are within capacity.
        unsafe { out.set_len(out.len() + len) };
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly what `mmap` returned, and no pointer into it outlives `self`.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.len) };
    }
}
