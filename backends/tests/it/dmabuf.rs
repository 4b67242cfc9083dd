//! Real dmabufs from the kernel, filled with pictures.
use std::{
    fs::File,
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
    sync::Arc,
};

use rustix::{
    fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create},
    ioctl::{Opcode, Setter, Updater, ioctl, opcode},
};
use sumac_backends::{
    Dmabuf, Frame, Plane,
    dmabuf::{Fourcc, MOD_LINEAR, Shape},
};

use crate::content::Picture;

/// Where dmabufs come from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Origin {
    /// `/dev/udmabuf`: pages of a memfd.
    Udmabuf,
    /// `/dev/dma_heap/system`.
    Heap,
    /// A dumb buffer of the DRM device with this driver, exported by PRIME.
    Dumb(&'static str),
}

impl Origin {
    /// A dmabuf of `size` bytes, and its stride where the origin chooses one.
    fn allocate(self, size: usize) -> Option<OwnedFd> {
        match self {
            Self::Udmabuf => udmabuf(size),
            Self::Heap => heap(size),
            Self::Dumb(driver) => dumb(driver, size),
        }
    }

    /// Bytes of a plane, in a dmabuf of their own.
    pub(crate) fn plane(self, bytes: &[u8], stride: u32) -> Option<Plane> {
        let mut padded = bytes.to_vec();
        padded.resize(bytes.len().next_multiple_of(4096), 0);
        let fd = self.allocate(padded.len())?;
        write(&fd, &padded);
        Some(Plane { fd: Arc::new(fd), offset: 0, stride })
    }

    /// A picture as XR24 with the given stride, whose buffer has room for `rows` rows.
    pub(crate) fn frame(self, picture: &Picture, stride: u32, rows: u32) -> Option<Frame> {
        let size = (stride as usize * rows as usize).next_multiple_of(4096);
        let fd = self.allocate(size)?;
        let row = picture.width as usize * 4;
        let mut bytes = vec![0; size];
        for (to, from) in bytes.chunks_mut(stride as usize).zip(picture.pixels.chunks(row)) {
            to[..row].copy_from_slice(from);
        }
        write(&fd, &bytes);
        let (width, height) = (picture.width, picture.height);
        let shape = Shape { width, height, fourcc: Fourcc::XRGB8888, modifier: MOD_LINEAR, y_inverted: false };
        let plane = Plane { fd: Arc::new(fd), offset: 0, stride };
        Some(Frame::from_dmabuf(Dmabuf::new(shape, &[plane]).unwrap()))
    }
}

/// A picture as XR24 in a memfd, which stands in for a dmabuf where the kernel has none.
pub(crate) fn memfd(picture: &Picture) -> Frame {
    let fd = memfd_create("picture", MemfdFlags::CLOEXEC).unwrap();
    assert_eq!(rustix::io::pwrite(&fd, &picture.pixels, 0), Ok(picture.pixels.len()));
    let (width, height) = (picture.width, picture.height);
    let shape = Shape { width, height, fourcc: Fourcc::XRGB8888, modifier: MOD_LINEAR, y_inverted: false };
    let plane = Plane { fd: Arc::new(fd), offset: 0, stride: width * 4 };
    Frame::from_dmabuf(Dmabuf::new(shape, &[plane]).unwrap())
}

/// `struct udmabuf_create`.
#[repr(C)]
struct UdmabufCreate {
    memfd: u32,
    flags: u32,
    offset: u64,
    size: u64,
}

fn udmabuf(size: usize) -> Option<OwnedFd> {
    const CREATE: Opcode = opcode::write::<UdmabufCreate>(b'u', 0x42);
    let device = File::options().read(true).write(true).open("/dev/udmabuf").ok()?;
    let memfd = memfd_create("picture", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    ftruncate(&memfd, size as u64).unwrap();
    fcntl_add_seals(&memfd, SealFlags::SHRINK).unwrap();
    let request = UdmabufCreate { memfd: memfd.as_raw_fd() as u32, flags: 1, offset: 0, size: size as u64 };
    // `UDMABUF_CREATE` answers with a new fd, which `Setter` cannot hand out.
    struct Create(UdmabufCreate);
    // SAFETY: the kernel reads one `udmabuf_create`, whose size is in the opcode, and writes none.
    unsafe impl rustix::ioctl::Ioctl for Create {
        type Output = i32;
        const IS_MUTATING: bool = false;
        fn opcode(&self) -> Opcode {
            CREATE
        }
        fn as_ptr(&mut self) -> *mut std::ffi::c_void {
            (&raw mut self.0).cast()
        }
        unsafe fn output_from_ptr(
            out: rustix::ioctl::IoctlOutput,
            _: *mut std::ffi::c_void,
        ) -> rustix::io::Result<i32> {
            Ok(out)
        }
    }
    // SAFETY: as above.
    let fd = unsafe { ioctl(&device, Create(request)) }.unwrap();
    // SAFETY: the kernel has just made this fd for us.
    Some(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn heap(size: usize) -> Option<OwnedFd> {
    // `struct dma_heap_allocation_data`: length, fd, fd flags (O_RDWR | O_CLOEXEC), heap flags.
    const ALLOCATE: Opcode = opcode::read_write::<[u64; 3]>(b'H', 0);
    let device = File::options().read(true).write(true).open("/dev/dma_heap/system").ok()?;
    let mut data = [size as u64, 0o2_000_002 << 32, 0];
    // SAFETY: the kernel reads and writes these 24 bytes.
    let request = unsafe { Updater::<ALLOCATE, [u64; 3]>::new(&mut data) };
    // SAFETY: as above.
    unsafe { ioctl(&device, request) }.unwrap();
    // SAFETY: the kernel has just made this fd for us.
    Some(unsafe { OwnedFd::from_raw_fd(data[1] as u32 as i32) })
}

/// The node of a DRM device by the name of its driver.
fn card(driver: &str) -> Option<File> {
    (0..8).find_map(|n| {
        let link = std::fs::read_link(format!("/sys/class/drm/card{n}/device/driver")).ok();
        let named = link.is_some_and(|l| l.ends_with(driver))
            || std::fs::read_to_string(format!("/sys/class/drm/card{n}/device/uevent"))
                .is_ok_and(|text| text.contains(driver));
        let path = format!("/dev/dri/card{n}");
        named.then(|| File::options().read(true).write(true).open(path).ok()).flatten()
    })
}

fn dumb(driver: &str, size: usize) -> Option<OwnedFd> {
    // `struct drm_mode_create_dumb`: height, width, bpp, flags, handle, pitch, size.
    const CREATE: Opcode = opcode::read_write::<[u32; 8]>(b'd', 0xb2);
    // `struct drm_prime_handle`: handle, flags (O_RDWR | O_CLOEXEC), fd.
    const EXPORT: Opcode = opcode::read_write::<[u32; 3]>(b'd', 0x2d);
    let device = card(driver)?;
    let mut create = [(size / 4096) as u32, 1024, 32, 0, 0, 0, 0, 0];
    // SAFETY: the kernel reads and writes these 32 bytes.
    let request = unsafe { Updater::<CREATE, [u32; 8]>::new(&mut create) };
    // SAFETY: as above.
    unsafe { ioctl(&device, request) }.unwrap();
    let mut export = [create[4], 0o2_000_002, 0];
    // SAFETY: the kernel reads and writes these 12 bytes.
    let request = unsafe { Updater::<EXPORT, [u32; 3]>::new(&mut export) };
    // SAFETY: as above.
    unsafe { ioctl(&device, request) }.unwrap();
    // SAFETY: the kernel has just made this fd for us.
    Some(unsafe { OwnedFd::from_raw_fd(export[2] as i32) })
}

/// Writes bytes through a mapping, between the calls that make them seen by devices.
fn write(fd: &OwnedFd, bytes: &[u8]) {
    use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
    const SYNC: Opcode = opcode::write::<u64>(b'b', 0);
    let sync = |flags| {
        // SAFETY: the kernel reads these eight bytes.
        let request = unsafe { Setter::<SYNC, u64>::new(flags) };
        // SAFETY: as above.
        unsafe { ioctl(fd, request) }.unwrap();
    };
    // SAFETY: a null hint lets the kernel place the mapping where nothing else is.
    let map =
        unsafe { mmap(std::ptr::null_mut(), bytes.len(), ProtFlags::WRITE, MapFlags::SHARED, fd.as_fd(), 0) }.unwrap();
    sync(2);
    // SAFETY: the mapping is as long as the bytes, new, and nobody else's.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), map.cast(), bytes.len()) };
    sync(2 | 4);
    // SAFETY: exactly what `mmap` returned, and no pointer into it is left.
    unsafe { munmap(map, bytes.len()) }.unwrap();
}
