//! Pictures in dmabufs: described by DRM's fourccs and modifiers, checked once, then passed on.
use std::{
    fmt,
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{FrameError, Rect};

mod format;
#[allow(unsafe_code, reason = "mmap and the dma-buf ioctl")]
mod sys;

pub use format::{Fourcc, modifier_name};

/// Planes that a picture has at most, as in DRM.
pub const MAX_PLANES: usize = 4;

/// `DRM_FORMAT_MOD_LINEAR`: rows follow each other.
pub const MOD_LINEAR: u64 = 0;
/// `DRM_FORMAT_MOD_INVALID`: the layout is known to the driver alone.
pub const MOD_INVALID: u64 = 0x00ff_ffff_ffff_ffff;

/// See [`read_back_bytes`].
static READ_BACK: AtomicU64 = AtomicU64::new(0);

/// Pixel bytes that the processor has copied out of dmabufs in this process so far: 0 for as long as
/// every frame went to a device or to a client as it was.
pub fn read_back_bytes() -> u64 {
    READ_BACK.load(Ordering::Relaxed)
}

/// One plane: a range of a dmabuf. Planes may share a dmabuf.
#[derive(Clone, Debug)]
pub struct Plane {
    /// The dmabuf.
    pub fd: Arc<OwnedFd>,
    /// Bytes from its start to the plane's first row.
    pub offset: u32,
    /// Bytes from one row to the next.
    pub stride: u32,
}

/// How the pixels of a [`Dmabuf`] are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Pixels per row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// DRM's code of the format.
    pub fourcc: Fourcc,
    /// DRM's format modifier; one that is unknown here is passed on as it is.
    pub modifier: u64,
    /// Whether the first row in memory is the bottom one, as GL draws.
    pub y_inverted: bool,
}

/// A picture in one to four dmabuf planes; a clone shares the fds.
#[derive(Clone)]
pub struct Dmabuf {
    shape: Shape,
    planes: heapless::Vec<Plane, MAX_PLANES>,
}

impl Dmabuf {
    /// Checks that the planes can hold the picture.
    ///
    /// With a known format and [`MOD_LINEAR`] the number of planes, every stride and every size is
    /// checked; other modifiers may have more planes (compression) and rows that mean nothing, so
    /// only the number of planes and the offsets are.
    ///
    /// # Errors
    /// [`FrameError`] with the first plane that does not fit.
    pub fn new(shape: Shape, planes: &[Plane]) -> Result<Self, FrameError> {
        let Shape { width, height, fourcc, modifier, .. } = shape;
        if width == 0 || height == 0 {
            return Err(FrameError::Empty { width, height });
        }
        let linear = modifier == MOD_LINEAR;
        let known = fourcc.planes();
        let needed = known.map_or(1, <[_]>::len);
        let exact = known.is_some() && linear;
        if planes.len() < needed || (exact && planes.len() > needed) || planes.len() > MAX_PLANES {
            return Err(FrameError::Planes { format: fourcc.to_string(), needed, got: planes.len() });
        }
        for (index, plane) in planes.iter().enumerate() {
            let row = known.filter(|_| linear).and_then(|k| k.get(index)).map(|p| p.size(width, height));
            plane.check(index, row)?;
        }
        let mut kept = heapless::Vec::new();
        kept.extend(planes.iter().cloned());
        Ok(Self { shape, planes: kept })
    }

    /// How the pixels are to be read.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Pixels per row.
    pub fn width(&self) -> u32 {
        self.shape.width
    }

    /// Rows.
    pub fn height(&self) -> u32 {
        self.shape.height
    }

    /// DRM's code of the format.
    pub fn fourcc(&self) -> Fourcc {
        self.shape.fourcc
    }

    /// DRM's format modifier.
    pub fn modifier(&self) -> u64 {
        self.shape.modifier
    }

    /// One to four planes.
    pub fn planes(&self) -> &[Plane] {
        &self.planes
    }

    /// Whether [`read_back`](Self::read_back) can read such pictures at all.
    ///
    /// # Errors
    /// [`FrameError::Unreadable`] unless the format is linear with 4 bytes per pixel in the order
    /// B, G, R or R, G, B.
    pub fn readable(&self) -> Result<(), FrameError> {
        let Shape { fourcc, modifier, .. } = self.shape;
        if (fourcc.is_bgrx() || fourcc.is_rgbx()) && modifier == MOD_LINEAR {
            return Ok(());
        }
        Err(FrameError::Unreadable { format: fourcc.to_string(), modifier })
    }

    /// Copies `region` out as BGRX, top row first, without padding, and replaces what `out` held.
    ///
    /// Each byte is read once, because graphics memory may be slow to read, and a copy cannot
    /// change while it is looked at. This is the only place where the processor touches the pixels
    /// of a dmabuf.
    ///
    /// # Errors
    /// What [`readable`](Self::readable) says; [`FrameError::Region`]; [`FrameError::System`] when the
    /// kernel refuses.
    pub fn read_back(&self, region: Rect, out: &mut Vec<u8>) -> Result<(), FrameError> {
        let Shape { width, height, fourcc, modifier, y_inverted } = self.shape;
        self.readable()?;
        if region.is_empty() || !(Rect { x: 0, y: 0, width, height }).contains(region) {
            return Err(FrameError::Region(region));
        }
        let Some(plane) = self.planes.first() else {
            return Err(FrameError::Unreadable { format: fourcc.to_string(), modifier });
        };
        // The region is inside the picture, and `new` has seen that the picture is inside the
        // buffer, so nothing here overflows.
        let first = if y_inverted { height - region.y - region.height } else { region.y };
        let rows = sys::Rows {
            offset: u64::from(plane.offset) + u64::from(first) * u64::from(plane.stride) + u64::from(region.x) * 4,
            stride: plane.stride as usize,
            row: region.width as usize * 4,
            count: region.height as usize,
        };
        sys::read_rows(plane.fd.as_fd(), rows, out).map_err(|(call, errno)| FrameError::System { call, errno })?;
        READ_BACK.fetch_add(out.len() as u64, Ordering::Relaxed);
        if y_inverted {
            flip(out, rows.row);
        }
        if fourcc.is_rgbx() {
            out.chunks_exact_mut(4).for_each(|pixel| pixel.swap(0, 2));
        }
        Ok(())
    }
}

impl fmt::Debug for Dmabuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shape { width, height, fourcc, modifier, y_inverted } = self.shape;
        let turned = if y_inverted { ", bottom row first" } else { "" };
        write!(f, "Dmabuf({width}x{height} {fourcc}, modifier {modifier:#x}, {} planes{turned})", self.planes.len())
    }
}

impl Plane {
    /// `size`: bytes of a row and number of rows, where they are known.
    fn check(&self, plane: usize, size: Option<(u64, u64)>) -> Result<(), FrameError> {
        let stat = rustix::fs::fstat(&self.fd).map_err(|errno| FrameError::System { call: "fstat", errno })?;
        let got = u64::try_from(stat.st_size).unwrap_or(0);
        let (row, rows) = size.unwrap_or((1, 1));
        if u64::from(self.stride) < row {
            return Err(FrameError::Stride { plane, stride: self.stride, needed: row });
        }
        // At most 2^32 * 2^32: the two sums may not fit.
        let last = u64::from(self.stride).saturating_mul(rows - 1);
        let needed = last.saturating_add(row).saturating_add(u64::from(self.offset));
        if got < needed { Err(FrameError::Short { plane, needed, got }) } else { Ok(()) }
    }
}

/// Turns rows of `row` bytes upside down.
fn flip(pixels: &mut [u8], row: usize) {
    let rows = pixels.len() / row;
    let (top, bottom) = pixels.split_at_mut(rows / 2 * row);
    for (a, b) in top.chunks_exact_mut(row).zip(bottom.chunks_exact_mut(row).rev()) {
        a.swap_with_slice(b);
    }
}

#[cfg(test)]
mod tests {
    use rustix::fs::{MemfdFlags, memfd_create};

    use super::*;

    fn memfd(bytes: &[u8]) -> Arc<OwnedFd> {
        let fd = memfd_create("picture", MemfdFlags::CLOEXEC).unwrap();
        assert_eq!(rustix::io::pwrite(&fd, bytes, 0).unwrap(), bytes.len());
        Arc::new(fd)
    }

    fn shape(width: u32, height: u32, fourcc: Fourcc) -> Shape {
        Shape { width, height, fourcc, modifier: MOD_LINEAR, y_inverted: false }
    }

    #[test]
    fn a_plane_must_hold_its_rows() {
        let plane = |offset, stride, len| Plane { fd: memfd(&vec![0; len]), offset, stride };
        let new = |p| Dmabuf::new(shape(4, 3, Fourcc::XRGB8888), &[p]);
        assert!(new(plane(8, 20, 8 + 20 * 2 + 16)).is_ok());
        assert_eq!(new(plane(8, 20, 63)).unwrap_err(), FrameError::Short { plane: 0, needed: 64, got: 63 });
        assert_eq!(new(plane(0, 15, 64)).unwrap_err(), FrameError::Stride { plane: 0, stride: 15, needed: 16 });
        assert!(matches!(new(plane(u32::MAX, u32::MAX, 64)).unwrap_err(), FrameError::Short { .. }));
        let huge = shape(u32::MAX, u32::MAX, Fourcc::XRGB8888);
        assert!(Dmabuf::new(huge, &[plane(0, u32::MAX, 64)]).is_err());
        assert!(Dmabuf::new(shape(0, 3, Fourcc::XRGB8888), &[plane(0, 16, 64)]).is_err());
    }

    #[test]
    fn the_number_of_planes_is_the_formats() {
        let fd = memfd(&[0; 64]);
        let plane = |offset| Plane { fd: Arc::clone(&fd), offset, stride: 4 };
        let nv12 = shape(4, 4, Fourcc::NV12);
        assert!(Dmabuf::new(nv12, &[plane(0), plane(16)]).is_ok());
        assert!(Dmabuf::new(nv12, &[plane(0)]).is_err());
        assert!(Dmabuf::new(nv12, &[plane(0), plane(16), plane(24)]).is_err());
        let tiled = Shape { modifier: 0x0100_0000_0000_0004, ..nv12 };
        assert!(Dmabuf::new(tiled, &[plane(0), plane(16), plane(24), plane(32)]).is_ok());
        assert!(Dmabuf::new(tiled, &[plane(0), plane(16), plane(24), plane(32), plane(40)]).is_err());
        assert!(Dmabuf::new(tiled, &[plane(0), plane(64)]).is_err());
        let unknown = shape(4, 4, Fourcc::from_bytes(*b"????"));
        assert!(Dmabuf::new(unknown, &[plane(0)]).is_ok());
        assert!(Dmabuf::new(unknown, &[]).is_err());
    }

    #[test]
    fn read_back_is_top_row_first_without_padding() {
        // Two rows of two pixels, 4 bytes before and between them.
        let bytes: Vec<u8> = (0..4 + 12 + 8).collect();
        let plane = Plane { fd: memfd(&bytes), offset: 4, stride: 12 };
        let mut out = vec![9; 3];
        let whole = Rect { x: 0, y: 0, width: 2, height: 2 };
        let upright = Dmabuf::new(shape(2, 2, Fourcc::XRGB8888), std::slice::from_ref(&plane)).unwrap();
        upright.read_back(whole, &mut out).unwrap();
        assert_eq!(out, [4, 5, 6, 7, 8, 9, 10, 11, 16, 17, 18, 19, 20, 21, 22, 23]);
        let gl = Shape { y_inverted: true, ..upright.shape() };
        let gl = Dmabuf::new(gl, &[plane]).unwrap();
        gl.read_back(whole, &mut out).unwrap();
        assert_eq!(out, [16, 17, 18, 19, 20, 21, 22, 23, 4, 5, 6, 7, 8, 9, 10, 11]);
        gl.read_back(Rect { x: 1, y: 0, width: 1, height: 1 }, &mut out).unwrap();
        assert_eq!(out, [20, 21, 22, 23]);
        let outside = Rect { x: 1, y: 0, width: 2, height: 1 };
        assert_eq!(gl.read_back(outside, &mut out).unwrap_err(), FrameError::Region(outside));
    }

    #[test]
    fn red_and_blue_change_places() {
        let plane = Plane { fd: memfd(&(0..16).collect::<Vec<u8>>()), offset: 0, stride: 8 };
        let rgbx = Dmabuf::new(shape(2, 2, Fourcc::XBGR8888), &[plane]).unwrap();
        let mut out = Vec::new();
        rgbx.read_back(Rect { x: 0, y: 0, width: 2, height: 2 }, &mut out).unwrap();
        assert_eq!(out, [2, 1, 0, 3, 6, 5, 4, 7, 10, 9, 8, 11, 14, 13, 12, 15]);
    }

    #[test]
    fn only_linear_bgrx_and_rgbx_is_read_back() {
        let plane = Plane { fd: memfd(&[0; 64]), offset: 0, stride: 8 };
        let whole = Rect { x: 0, y: 0, width: 2, height: 2 };
        let tiled = Shape { modifier: MOD_INVALID, ..shape(2, 2, Fourcc::XRGB8888) };
        for shape in [tiled, shape(2, 2, Fourcc::from_bytes(*b"RX24"))] {
            let dmabuf = Dmabuf::new(shape, std::slice::from_ref(&plane)).unwrap();
            let error = dmabuf.read_back(whole, &mut Vec::new()).unwrap_err();
            assert!(matches!(error, FrameError::Unreadable { .. }), "{error}");
        }
    }

    #[test]
    fn a_buffer_that_shrinks_is_an_error_not_a_crash() {
        let fd = memfd(&[0; 16]);
        let plane = Plane { fd: Arc::clone(&fd), offset: 0, stride: 8 };
        let dmabuf = Dmabuf::new(shape(2, 2, Fourcc::XRGB8888), &[plane]).unwrap();
        rustix::fs::ftruncate(&fd, 8).unwrap();
        let whole = Rect { x: 0, y: 0, width: 2, height: 2 };
        assert!(matches!(dmabuf.read_back(whole, &mut Vec::new()), Err(FrameError::System { call: "pread", .. })));
    }
}
