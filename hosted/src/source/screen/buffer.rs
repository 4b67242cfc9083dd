//! [`Buffer`]: one picture in a dmabuf, and the memory it is made of.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use anyhow::{Context, bail};
use sumac_backends::dmabuf::{Fourcc, MOD_LINEAR, Shape};
use sumac_backends::{Dmabuf, Frame, Plane};

use super::sys::{self, Mapping};
use crate::config::DmabufMemory;
use crate::plan::Region;
use crate::source::Size;

const UDMABUF: &str = "/dev/udmabuf";
const HEAP: &str = "/dev/dma_heap/system";
/// Sizes of udmabufs are multiples of the page size; no page is larger.
const PAGE: u64 = 64 * 1024;

/// A picture that can be written.
#[derive(Debug)]
pub(super) struct Buffer {
    pub(super) dmabuf: Dmabuf,
    mapping: Mapping,
}

impl Buffer {
    /// A buffer of this memory for pictures of this size, BGRX.
    pub(super) fn new(memory: Memory, size: Size) -> anyhow::Result<Self> {
        let Size { width, height } = size;
        let stride = width.checked_mul(4).context("the picture is too wide")?;
        let bytes = (u64::from(stride) * u64::from(height)).next_multiple_of(PAGE);
        let fd = memory.allocate(bytes).with_context(|| format!("{bytes} bytes of {}", memory.name()))?;
        let mapping = Mapping::new(fd.as_fd(), usize::try_from(bytes)?).context("mapping a dmabuf")?;
        let shape = Shape { width, height, fourcc: Fourcc::XRGB8888, modifier: MOD_LINEAR, y_inverted: false };
        let dmabuf = Dmabuf::new(shape, &[Plane { fd: Arc::new(fd), offset: 0, stride }])?;
        Ok(Self { dmabuf, mapping })
    }

    /// Copies `region` of a picture in memory that is as large.
    pub(super) fn copy(&mut self, frame: &Frame, region: &Region) -> anyhow::Result<()> {
        let Self { dmabuf, mapping } = self;
        let (from, to) = (frame.layout().stride as usize, dmabuf.width() as usize * 4);
        let Some(plane) = dmabuf.planes().first() else { return Ok(()) };
        let write = || {
            for rect in region.rects() {
                let (left, row) = (rect.x as usize * 4, rect.width as usize * 4);
                for y in rect.y as usize..rect.bottom() as usize {
                    let pixels = frame.pixels().get(y * from + left..y * from + left + row);
                    mapping.write(y * to + left, pixels.unwrap_or_default());
                }
            }
        };
        sys::writing(&plane.fd, write).context("writing into a dmabuf")
    }
}

/// What buffers are made of here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Memory {
    Udmabuf,
    DmaHeap,
    Memfd,
}

impl Memory {
    /// What was asked for, or the first that this kernel has.
    pub(super) fn choose(wanted: DmabufMemory) -> anyhow::Result<Self> {
        let chosen = match wanted {
            DmabufMemory::Udmabuf => Self::Udmabuf,
            DmabufMemory::DmaHeap => Self::DmaHeap,
            DmabufMemory::Memfd => Self::Memfd,
            DmabufMemory::Any => {
                let there = |memory: &Self| memory.allocate(PAGE).is_ok();
                [Self::Udmabuf, Self::DmaHeap].into_iter().find(there).unwrap_or(Self::Memfd)
            }
        };
        if let Err(error) = chosen.allocate(PAGE) {
            bail!("--dmabuf={}: {error:#}", chosen.name());
        }
        tracing::info!("pictures are in dmabufs of {}", chosen.name());
        Ok(chosen)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Udmabuf => "udmabuf",
            Self::DmaHeap => "dma-heap",
            Self::Memfd => "memfd",
        }
    }

    fn allocate(self, bytes: u64) -> anyhow::Result<OwnedFd> {
        let open = |path| File::options().read(true).write(true).open(path).with_context(|| format!("opening {path}"));
        Ok(match self {
            Self::Udmabuf => sys::udmabuf(&open(UDMABUF)?, bytes).context("UDMABUF_CREATE")?,
            Self::DmaHeap => sys::heap(&open(HEAP)?, bytes).context("DMA_HEAP_IOCTL_ALLOC")?,
            Self::Memfd => sys::memfd(bytes).context("memfd_create")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use sumac_backends::Layout;

    use super::*;
    use crate::source::Rect;

    #[test]
    fn a_buffer_holds_what_is_copied_into_it() {
        let size = Size { width: 33, height: 17 };
        let mut buffer = Buffer::new(Memory::Memfd, size).unwrap();
        let pixels: Vec<u8> = (0..33 * 17 * 4).map(|n: u32| n as u8).collect();
        let layout = Layout { width: 33, height: 17, stride: 33 * 4 };
        let picture = Frame::from_memory(layout, pixels.clone()).unwrap();
        buffer.copy(&picture, &size.bounds().into()).unwrap();
        let read = |buffer: &Buffer| {
            let mut out = Vec::new();
            buffer.dmabuf.read_back(picture.bounds(), &mut out).unwrap();
            out
        };
        assert_eq!(read(&buffer), pixels);
        let other = Frame::from_memory(layout, vec![9; pixels.len()]).unwrap();
        buffer.copy(&other, &Rect { x: 32, y: 16, width: 1, height: 1 }.into()).unwrap();
        let (last, rest) = (pixels.len() - 4, read(&buffer));
        assert_eq!((&rest[..last], &rest[last..]), (&pixels[..last], &[9; 4][..]));
    }

    #[test]
    fn what_is_missing_is_named() {
        let Err(error) = Memory::choose(DmabufMemory::Udmabuf) else { return };
        let text = format!("{error:#}");
        assert!(text.starts_with("--dmabuf=udmabuf: ") && text.contains(UDMABUF), "{text}");
    }
}
