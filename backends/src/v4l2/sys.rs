//! The ioctls of a stateful encoder, and the mappings of its CAPTURE buffers.
use std::{
    os::fd::{AsRawFd, BorrowedFd},
    ptr::NonNull,
};

use rustix::{
    io::Errno,
    ioctl::{Getter, Opcode, Setter, Updater, ioctl, opcode},
    mm::{MapFlags, ProtFlags, mmap, munmap},
};

use super::abi;

const fn update<T>(number: u8) -> Opcode {
    opcode::read_write::<T>(b'V', number)
}

pub(super) fn query_capability(fd: BorrowedFd<'_>) -> Result<abi::Capability, Errno> {
    const OPCODE: Opcode = opcode::read::<abi::Capability>(b'V', 0);
    // SAFETY: VIDIOC_QUERYCAP writes one `v4l2_capability`; the opcode is made from its size.
    let request = unsafe { Getter::<OPCODE, abi::Capability>::new() };
    // SAFETY: as above; a file of another kind answers ENOTTY.
    unsafe { ioctl(fd, request) }
}

/// Makes a function for an ioctl that reads and writes one structure without pointers.
macro_rules! updates {
    ($($(#[$doc:meta])* $name:ident($argument:ty) = $number:literal;)*) => {$(
        $(#[$doc])*
        pub(super) fn $name(fd: BorrowedFd<'_>, argument: &mut $argument) -> Result<(), Errno> {
            const OPCODE: Opcode = update::<$argument>($number);
            // SAFETY: the kernel reads and writes exactly the structure whose size is in the
            // opcode; `abi.rs` asserts that it is the kernel's, and it holds no pointer.
            let request = unsafe { Updater::<OPCODE, $argument>::new(argument) };
            // SAFETY: as above; a file of another kind answers ENOTTY.
            unsafe { ioctl(fd, request) }
        }
    )*};
}

updates! {
    /// VIDIOC_ENUM_FMT.
    enum_fmt(abi::FmtDesc) = 2;
    /// VIDIOC_S_FMT of a single-planar queue.
    set_format_single(abi::FormatSingle) = 5;
    /// VIDIOC_S_FMT of a multi-planar queue.
    set_format_multi(abi::FormatMulti) = 5;
    /// VIDIOC_REQBUFS.
    request_buffers(abi::RequestBuffers) = 8;
    /// VIDIOC_S_PARM.
    set_parameters(abi::StreamParm) = 22;
    /// VIDIOC_G_CTRL.
    get_control(abi::Control) = 27;
    /// VIDIOC_S_CTRL.
    set_control(abi::Control) = 28;
    /// VIDIOC_QUERYCTRL.
    query_control(abi::QueryCtrl) = 36;
    /// VIDIOC_QUERYMENU.
    query_menu(abi::QueryMenu) = 37;
    /// VIDIOC_ENUM_FRAMESIZES.
    enum_frame_sizes(abi::FrmSizeEnum) = 74;
    /// VIDIOC_ENCODER_CMD.
    encoder_command(abi::EncoderCmd) = 77;
    /// VIDIOC_S_SELECTION.
    set_selection(abi::Selection) = 95;
}

/// Makes a function for an ioctl on one buffer, whose planes are behind a pointer if it has any.
macro_rules! buffers {
    ($($(#[$doc:meta])* $name:ident = $number:literal;)*) => {$(
        $(#[$doc])*
        pub(super) fn $name(
            fd: BorrowedFd<'_>,
            buffer: &mut abi::Buffer,
            planes: Option<&mut [abi::PlaneBuffer]>,
        ) -> Result<(), Errno> {
            const OPCODE: Opcode = update::<abi::Buffer>($number);
            if let Some(planes) = planes {
                buffer.length = u32::try_from(planes.len()).map_err(|_| Errno::INVAL)?;
                buffer.m = (planes.as_mut_ptr() as usize as u64).to_ne_bytes();
            } else if !matches!(buffer.buf_type, 1 | 2) {
                // A multi-planar buffer without planes would lead the kernel to a stray address.
                return Err(Errno::INVAL);
            }
            // SAFETY: the kernel reads and writes one `v4l2_buffer`, whose size is in the opcode.
            let request = unsafe { Updater::<OPCODE, abi::Buffer>::new(buffer) };
            // SAFETY: of multi-planar buffers it also writes `length` planes at `m`, which point to
            // the slice lent for this call; of single-planar ones `m` is no pointer.
            unsafe { ioctl(fd, request) }
        }
    )*};
}

buffers! {
    /// VIDIOC_QUERYBUF.
    query_buffer = 9;
    /// VIDIOC_QBUF.
    queue_buffer = 15;
    /// VIDIOC_DQBUF.
    dequeue_buffer = 17;
}

/// VIDIOC_STREAMON or VIDIOC_STREAMOFF.
pub(super) fn stream(fd: BorrowedFd<'_>, buf_type: u32, on: bool) -> Result<(), Errno> {
    const ON: Opcode = opcode::write::<i32>(b'V', 18);
    const OFF: Opcode = opcode::write::<i32>(b'V', 19);
    let value = buf_type.cast_signed();
    if on {
        // SAFETY: the kernel reads one `int`.
        let request = unsafe { Setter::<ON, i32>::new(value) };
        // SAFETY: as above.
        unsafe { ioctl(fd, request) }
    } else {
        // SAFETY: the kernel reads one `int`.
        let request = unsafe { Setter::<OFF, i32>::new(value) };
        // SAFETY: as above.
        unsafe { ioctl(fd, request) }
    }
}

/// Writes an fd into the union of a buffer or plane.
pub(super) fn fd_field(fd: BorrowedFd<'_>) -> [u8; 8] {
    let [a, b, c, d] = fd.as_raw_fd().to_ne_bytes();
    [a, b, c, d, 0, 0, 0, 0]
}

/// A CAPTURE buffer in the memory of this process.
pub(super) struct Mapping {
    start: NonNull<u8>,
    len: usize,
}

impl Mapping {
    pub(super) fn new(fd: BorrowedFd<'_>, offset: u32, len: u32) -> Result<Self, Errno> {
        let len = len as usize;
        // SAFETY: a null hint lets the kernel place the mapping where nothing else is.
        let start = unsafe { mmap(std::ptr::null_mut(), len, ProtFlags::READ, MapFlags::SHARED, fd, offset.into()) }?;
        NonNull::new(start.cast()).map(|start| Self { start, len }).ok_or(Errno::NOMEM)
    }

    /// Appends `len` bytes from `at` on, or as many as there are.
    pub(super) fn append(&self, at: usize, len: usize, out: &mut Vec<u8>) {
        let at = at.min(self.len);
        let len = len.min(self.len - at);
        out.reserve(len);
        let spare = out.spare_capacity_mut().as_mut_ptr().cast::<u8>();
        // SAFETY: `at` is within the mapping (just bounded).
        let from = unsafe { self.start.as_ptr().add(at) };
        // SAFETY: `len` bytes can be read at `from` (just bounded) and written at `spare` (just
        // reserved); a mapping of a device and a vector do not overlap. The buffer is dequeued, so
        // the device does not write; if it did, the copy would hold old or new bytes.
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
