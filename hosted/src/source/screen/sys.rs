//! Making dmabufs, and writing into them: the only unsafe code of scanouts.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::{self, NonNull};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use rustix::io::Errno;
use rustix::ioctl::{Ioctl, IoctlOutput, Opcode, Setter, Updater, ioctl, opcode};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// A memfd of `size` bytes that can never shrink.
pub(super) fn memfd(size: u64) -> Result<OwnedFd, Errno> {
    let memfd = memfd_create("sumac-scanout", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    ftruncate(&memfd, size)?;
    fcntl_add_seals(&memfd, SealFlags::SHRINK)?;
    Ok(memfd)
}

/// `struct udmabuf_create`.
#[repr(C)]
struct UdmabufCreate {
    memfd: u32,
    flags: u32,
    offset: u64,
    size: u64,
}

const UDMABUF_CREATE: Opcode = opcode::write::<UdmabufCreate>(b'u', 0x42);
const UDMABUF_FLAGS_CLOEXEC: u32 = 1;

// SAFETY: the opcode is `_IOW('u', 0x42, struct udmabuf_create)` and `as_ptr` points to such a
// struct, which the kernel only reads; its answer is a descriptor of ours.
unsafe impl Ioctl for UdmabufCreate {
    type Output = OwnedFd;
    const IS_MUTATING: bool = false;

    fn opcode(&self) -> Opcode {
        UDMABUF_CREATE
    }

    fn as_ptr(&mut self) -> *mut c_void {
        ptr::from_mut(self).cast()
    }

    unsafe fn output_from_ptr(answer: IoctlOutput, _: *mut c_void) -> rustix::io::Result<OwnedFd> {
        // SAFETY: called after the ioctl has succeeded, which has just made this descriptor for us.
        Ok(unsafe { OwnedFd::from_raw_fd(answer) })
    }
}

/// A dmabuf over the pages of a memfd; `size` is a multiple of the page size.
pub(super) fn udmabuf(device: &File, size: u64) -> Result<OwnedFd, Errno> {
    let memfd = memfd(size)?;
    let number = u32::try_from(memfd.as_raw_fd()).map_err(|_| Errno::BADF)?;
    let request = UdmabufCreate { memfd: number, flags: UDMABUF_FLAGS_CLOEXEC, offset: 0, size };
    // SAFETY: the type's implementation of `Ioctl` says why; another kind of file answers ENOTTY.
    unsafe { ioctl(device, request) }
}

/// `struct dma_heap_allocation_data`.
#[repr(C)]
struct HeapAllocation {
    len: u64,
    fd: u32,
    fd_flags: u32,
    heap_flags: u64,
}

const DMA_HEAP_IOCTL_ALLOC: Opcode = opcode::read_write::<HeapAllocation>(b'H', 0);

/// A dmabuf of a heap.
pub(super) fn heap(device: &File, size: u64) -> Result<OwnedFd, Errno> {
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC;
    let mut allocation = HeapAllocation { len: size, fd: 0, fd_flags: flags.bits(), heap_flags: 0 };
    // SAFETY: `DMA_HEAP_IOCTL_ALLOC` is `_IOWR('H', 0, struct dma_heap_allocation_data)`.
    let request = unsafe { Updater::<DMA_HEAP_IOCTL_ALLOC, HeapAllocation>::new(&mut allocation) };
    // SAFETY: the kernel reads and writes that struct; another kind of file answers ENOTTY.
    unsafe { ioctl(device, request) }?;
    let fd = i32::try_from(allocation.fd).map_err(|_| Errno::BADF)?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A writable mapping of a dmabuf, or of a memfd from [`memfd`]: neither can shrink.
#[derive(Debug)]
pub(super) struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the mapping belongs to the process and not to a thread, and writing needs `&mut self`.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Maps the first `len` bytes.
    pub(super) fn new(fd: BorrowedFd<'_>, len: usize) -> Result<Self, Errno> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: with a null address the kernel chooses addresses that nothing else uses.
        let start = unsafe { mmap(ptr::null_mut(), len, access, MapFlags::SHARED, fd, 0) }?;
        NonNull::new(start.cast()).map(|start| Self { start, len }).ok_or(Errno::NOMEM)
    }

    /// Writes `bytes` from `at` on; nothing when they do not fit.
    pub(super) fn write(&mut self, at: usize, bytes: &[u8]) {
        if at.checked_add(bytes.len()).is_none_or(|end| end > self.len) {
            return;
        }
        // SAFETY: `at` is within the mapping (checked above).
        let to = unsafe { self.start.as_ptr().add(at) };
        // SAFETY: `bytes.len()` bytes fit at `to` (checked above), the pages stay because the buffer
        // cannot shrink, and no reference to the mapping exists: others read it as devices do.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly what `new` mapped, and no pointer into it outlives `self`.
        let unmapped = unsafe { munmap(self.start.as_ptr().cast(), self.len) };
        debug_assert!(unmapped.is_ok(), "unmapping our own mapping: {unmapped:?}");
    }
}

const DMA_BUF_IOCTL_SYNC: Opcode = opcode::write::<u64>(b'b', 0);
const DMA_BUF_SYNC_WRITE: u64 = 2;
const DMA_BUF_SYNC_END: u64 = 4;

/// Runs `write` between the start and the end of the processor's access; a memfd needs neither.
pub(super) fn writing<T>(fd: &impl AsFd, write: impl FnOnce() -> T) -> Result<T, Errno> {
    sync(fd.as_fd(), DMA_BUF_SYNC_WRITE)?;
    let written = write();
    sync(fd.as_fd(), DMA_BUF_SYNC_WRITE | DMA_BUF_SYNC_END)?;
    Ok(written)
}

fn sync(fd: BorrowedFd<'_>, flags: u64) -> Result<(), Errno> {
    loop {
        // SAFETY: `DMA_BUF_IOCTL_SYNC` is `_IOW('b', 0, struct dma_buf_sync)`, a struct of one `__u64`.
        let request = unsafe { Setter::<DMA_BUF_IOCTL_SYNC, u64>::new(flags) };
        // SAFETY: the kernel reads the eight bytes and writes none.
        match unsafe { ioctl(fd, request) } {
            Err(Errno::INTR | Errno::AGAIN) => {}
            // Not a dmabuf.
            Err(Errno::NOTTY) => return Ok(()),
            answer => return answer,
        }
    }
}
