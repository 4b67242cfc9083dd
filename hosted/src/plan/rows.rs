//! Pixels of a frame in memory, as rows of bytes.

use sumac_backends::Frame;

use crate::source::{Rect, Size};

/// The bits of a BGRX pixel that are colour.
pub(super) const COLOUR: u32 = 0x00ff_ffff;

/// A picture in memory, row by row.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    bytes: &'a [u8],
    stride: usize,
    size: Size,
}

impl<'a> Rows<'a> {
    /// The rows of a frame; `None` for dmabufs, which cannot be read here.
    pub(super) fn of(frame: &'a Frame) -> Option<Self> {
        let layout = frame.layout();
        let size = Size { width: layout.width, height: layout.height };
        let rows = Self { bytes: frame.pixels(), stride: layout.stride as usize, size };
        frame.dmabuf().is_none().then_some(rows)
    }

    pub(super) fn size(self) -> Size {
        self.size
    }

    /// Row `y` of the picture, columns of `rect`, which must lie in the picture.
    pub(super) fn row(self, y: u32, rect: Rect) -> &'a [u8] {
        let start = y as usize * self.stride + rect.x as usize * 4;
        &self.bytes[start..start + rect.width as usize * 4]
    }
}

/// The colours of a row.
pub(super) fn colours(row: &[u8]) -> impl Iterator<Item = u32> {
    row.as_chunks().0.iter().map(|p| u32::from_le_bytes(*p) & COLOUR)
}

/// Whether the colours of two pixels differ.
pub(super) fn differ((a, b): (&[u8; 4], &[u8; 4])) -> bool {
    (u32::from_le_bytes(*a) ^ u32::from_le_bytes(*b)) & COLOUR != 0
}

/// Whether two rows of the same length have the same colours.
pub(super) fn same(a: &[u8], b: &[u8]) -> bool {
    // Bytes first: that is fast, and nearly always the unused ones are equal too.
    a == b || !a.as_chunks().0.iter().zip(b.as_chunks().0).any(differ)
}
