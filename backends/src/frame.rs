//! [`Frame`]: one picture on its way from a source to the viewers, and the buffer under it.
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{Dmabuf, FrameError};

/// A picture that anyone may read; a clone is another handle to the same picture.
///
/// The buffer returns to its source when the last handle is dropped, on every path: encoded,
/// refused, replaced by a newer frame, encoder lost. The source learns of it by
/// [`on_release`](Self::on_release).
#[derive(Clone)]
pub struct Frame(Arc<Inner>);

// The order of the fields is the order in which they are dropped: pixels (and fds) first, so that
// a release action finds the buffer no longer in use.
struct Inner {
    pixels: Pixels,
    release: Release,
}

enum Pixels {
    Memory { layout: Layout, bytes: Box<dyn AsRef<[u8]> + Send + Sync> },
    Dmabuf(Dmabuf),
}

#[derive(Default)]
struct Release(Mutex<Vec<Box<dyn FnOnce() + Send>>>);

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

/// A rectangle in pixels: columns `x..x + width`, rows `y..y + height`, from the top left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rect {
    /// Leftmost column.
    pub x: u32,
    /// Topmost row.
    pub y: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl Frame {
    /// Wraps BGRX pixels (DRM's `XR24`), top row first.
    ///
    /// # Errors
    /// [`FrameError`] when a side is 0, the stride is below `width * 4` or `pixels` is too short.
    pub fn from_memory(layout: Layout, pixels: impl AsRef<[u8]> + Send + Sync + 'static) -> Result<Self, FrameError> {
        layout.check(pixels.as_ref().len())?;
        Ok(Self::new(Pixels::Memory { layout, bytes: Box::new(pixels) }))
    }

    /// Wraps a picture in dmabufs.
    pub fn from_dmabuf(dmabuf: Dmabuf) -> Self {
        Self::new(Pixels::Dmabuf(dmabuf))
    }

    /// Runs `action` when the last handle to this picture is dropped, after the pixels and fds are
    /// gone; several actions run in the order they were added. It runs on whatever thread drops
    /// that handle and must not block.
    #[must_use]
    pub fn on_release(self, action: impl FnOnce() + Send + 'static) -> Self {
        self.0.release.0.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(action));
        self
    }

    /// How the pixels lie; for a dmabuf, its size and the stride of its first plane.
    pub fn layout(&self) -> Layout {
        match &self.0.pixels {
            Pixels::Memory { layout, .. } => *layout,
            Pixels::Dmabuf(d) => {
                Layout { width: d.width(), height: d.height(), stride: d.planes().first().map_or(0, |p| p.stride) }
            }
        }
    }

    /// The rectangle that covers the picture.
    pub fn bounds(&self) -> Rect {
        let Layout { width, height, .. } = self.layout();
        Rect { x: 0, y: 0, width, height }
    }

    /// The bytes of a picture in memory, rows from the top; empty for a dmabuf, whose pixels
    /// [`Dmabuf::read_back`] copies out.
    pub fn pixels(&self) -> &[u8] {
        match &self.0.pixels {
            Pixels::Memory { bytes, .. } => (**bytes).as_ref(),
            Pixels::Dmabuf(_) => &[],
        }
    }

    /// The dmabufs, if that is where the picture lies.
    pub fn dmabuf(&self) -> Option<&Dmabuf> {
        match &self.0.pixels {
            Pixels::Memory { .. } => None,
            Pixels::Dmabuf(d) => Some(d),
        }
    }

    /// Whether both are handles to the same picture.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn new(pixels: Pixels) -> Self {
        Self(Arc::new(Inner { pixels, release: Release::default() }))
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.pixels {
            Pixels::Memory { layout, .. } => f.debug_tuple("Frame").field(layout).finish(),
            Pixels::Dmabuf(d) => f.debug_tuple("Frame").field(d).finish(),
        }
    }
}

impl Drop for Release {
    fn drop(&mut self) {
        for action in self.0.get_mut().unwrap_or_else(PoisonError::into_inner).drain(..) {
            action();
        }
    }
}

impl Layout {
    fn check(self, len: usize) -> Result<(), FrameError> {
        let Self { width, height, stride } = self;
        if width == 0 || height == 0 {
            return Err(FrameError::Empty { width, height });
        }
        // At most 2^32 * 2^32 + 2^34: fits.
        let row = u64::from(width) * 4;
        if u64::from(stride) < row {
            return Err(FrameError::Stride { plane: 0, stride, needed: row });
        }
        let needed = u64::from(stride).checked_mul(u64::from(height - 1)).and_then(|n| n.checked_add(row));
        match needed {
            Some(needed) if len as u64 >= needed => Ok(()),
            _ => Err(FrameError::Short { plane: 0, needed: needed.unwrap_or(u64::MAX), got: len as u64 }),
        }
    }
}

impl Rect {
    /// Whether every pixel of `inner` is in it.
    pub fn contains(self, inner: Self) -> bool {
        let right = |r: Self| u64::from(r.x) + u64::from(r.width);
        let bottom = |r: Self| u64::from(r.y) + u64::from(r.height);
        inner.x >= self.x && inner.y >= self.y && right(inner) <= right(self) && bottom(inner) <= bottom(self)
    }

    /// Whether there is no pixel in it.
    pub fn is_empty(self) -> bool {
        self.width == 0 || self.height == 0
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn layout(width: u32, height: u32, stride: u32) -> Layout {
        Layout { width, height, stride }
    }

    #[test]
    fn the_last_row_needs_no_padding() {
        assert!(Frame::from_memory(layout(2, 3, 16), vec![0; 16 * 2 + 8]).is_ok());
        let short = Frame::from_memory(layout(2, 3, 16), vec![0; 16 * 2 + 7]).unwrap_err();
        assert_eq!(short, FrameError::Short { plane: 0, needed: 40, got: 39 });
    }

    #[test]
    fn impossible_layouts_are_refused() {
        let refused = |l| Frame::from_memory(l, vec![0; 64]).unwrap_err();
        assert_eq!(refused(layout(0, 1, 4)), FrameError::Empty { width: 0, height: 1 });
        assert_eq!(refused(layout(4, 1, 15)), FrameError::Stride { plane: 0, stride: 15, needed: 16 });
        let max = u32::MAX;
        assert!(matches!(refused(layout(max, max, max)), FrameError::Stride { .. }));
        assert!(matches!(refused(layout(1, max, max)), FrameError::Short { .. }));
    }

    #[test]
    fn the_release_runs_once_when_the_last_handle_is_gone() {
        let count = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&count);
        let frame = Frame::from_memory(layout(1, 1, 4), [0; 4]).unwrap().on_release(move || {
            seen.fetch_add(1, Ordering::Relaxed);
        });
        let other = frame.clone();
        assert!(frame.is_same(&other));
        drop(frame);
        assert_eq!(count.load(Ordering::Relaxed), 0);
        drop(other);
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn the_pixels_are_gone_before_the_release() {
        struct Buffer(Arc<Mutex<Vec<&'static str>>>);
        impl AsRef<[u8]> for Buffer {
            fn as_ref(&self) -> &[u8] {
                &[0; 4]
            }
        }
        impl Drop for Buffer {
            fn drop(&mut self) {
                self.0.lock().unwrap().push("pixels");
            }
        }
        let log = Arc::new(Mutex::new(Vec::new()));
        let (first, second) = (Arc::clone(&log), Arc::clone(&log));
        let frame = Frame::from_memory(layout(1, 1, 4), Buffer(Arc::clone(&log))).unwrap();
        let frame = frame.on_release(move || first.lock().unwrap().push("first"));
        drop(frame.on_release(move || second.lock().unwrap().push("second")));
        assert_eq!(*log.lock().unwrap(), ["pixels", "first", "second"]);
    }

    #[test]
    fn contains_does_not_overflow() {
        let all = Rect { x: 0, y: 0, width: 10, height: 10 };
        assert!(all.contains(all));
        assert!(all.contains(Rect { x: 9, y: 9, width: 1, height: 1 }));
        assert!(!all.contains(Rect { x: 9, y: 9, width: 2, height: 1 }));
        assert!(!all.contains(Rect { x: u32::MAX, y: 0, width: u32::MAX, height: 1 }));
    }
}
