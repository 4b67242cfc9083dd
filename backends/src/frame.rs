//! [`Frame`]: one picture on its way from a source to the viewers, and the buffer under it.
use std::sync::Arc;

/// A picture in memory that anyone may read; a clone is another handle to the same picture.
#[derive(Clone)]
pub struct Frame(Arc<Inner>);

struct Inner {
    layout: Layout,
    pixels: Box<dyn AsRef<[u8]> + Send + Sync>,
}

/// How the pixels of a [`Frame`] lie in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Pixels per row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Bytes from one row to the next, at least `width * 4`.
    pub stride: u32,
}

impl Frame {
    /// Wraps BGRX pixels, top row first. `None` when `pixels` is too short for `layout`.
    pub fn from_memory(layout: Layout, pixels: impl AsRef<[u8]> + Send + Sync + 'static) -> Option<Self> {
        let row = u64::from(layout.width) * 4;
        let need = (u64::from(layout.stride) * u64::from(layout.height.saturating_sub(1))).checked_add(row)?;
        (u64::from(layout.stride) >= row && pixels.as_ref().len() as u64 >= need)
            .then(|| Self(Arc::new(Inner { layout, pixels: Box::new(pixels) })))
    }

    /// How the pixels lie.
    pub fn layout(&self) -> Layout {
        self.0.layout
    }

    /// The bytes, rows from the top.
    pub fn pixels(&self) -> &[u8] {
        (*self.0.pixels).as_ref()
    }
}
