//! The images that an encoder may refer to, in memory lent by the caller.

use core::ops::DerefMut;

use super::{IMAGES_END, PIXELS_END};
use crate::image::PixelFormat;

/// The place of one image in a [`GlzDictionary`]; lend some of [`GlzImage::EMPTY`].
#[derive(Clone, Copy, Debug)]
pub struct GlzImage {
    /// Its first pixel in the ring.
    pub(super) start: usize,
    /// Its pixels.
    pub(super) len: usize,
    pub(super) format: PixelFormat,
}

impl GlzImage {
    /// No image.
    pub const EMPTY: Self = Self { start: 0, len: 0, format: PixelFormat::Rgb32 };

    pub(super) const fn end(&self) -> usize {
        self.start + self.len
    }
}

/// The dictionary of one client, shared by its display channels.
///
/// Channels take turns: an image is numbered when it is encoded, and each channel must send its
/// images in that order. Memory is lent for good, as `&mut` or in boxes where there are some: 4
/// bytes per pixel of the ring, 4 per place of the table, [`GlzImage`] per image.
pub struct GlzDictionary<W, I> {
    /// Where pixels like these lie in the ring; a hint that is checked.
    pub(super) table: W,
    /// Pixels of the images, each image in one piece.
    pub(super) ring: W,
    /// The images in the window, oldest at `first`, in a circle.
    images: I,
    first: usize,
    count: usize,
    /// Pixels of all images in the window.
    used: usize,
    window: usize,
    /// Where the newest image ends in the ring.
    end: usize,
    next_id: u64,
}

impl<W: DerefMut<Target = [u32]>, I: DerefMut<Target = [GlzImage]>> GlzDictionary<W, I> {
    /// An empty dictionary whose images together never exceed `window` pixels: the number from the
    /// client's INIT message.
    ///
    /// A `table` of 2^17 places does well for large windows; without one only runs are found. A
    /// ring somewhat longer than `window` wastes none of it, as images are not
    /// split where the ring ends. `images` bounds the number of images in the window.
    ///
    /// Nothing can be encoded while `ring` or `images` is empty.
    pub fn new(table: W, ring: W, images: I, window: u32) -> Self {
        Self {
            table,
            ring,
            images,
            first: 0,
            count: 0,
            used: 0,
            window: (window as usize).min(PIXELS_END),
            end: 0,
            next_id: 0,
        }
    }

    /// Goes on from a dictionary of another server: the window starts empty, and `next_id` is the
    /// number of the next image.
    pub fn restart_at(&mut self, next_id: u64) {
        self.first = 0;
        self.count = 0;
        self.used = 0;
        self.end = 0;
        self.next_id = next_id;
    }

    /// The number of the next image.
    pub fn next_id(&self) -> u64 {
        self.next_id
    }

    /// Images in the window.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether the window is empty.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Makes room for an image of `len` pixels, forgetting old ones, and returns where in the ring
    /// it goes. `None` when it is too large.
    pub(super) fn make_room(&mut self, len: usize) -> Option<usize> {
        if len >= self.window || len > self.places() || self.images.is_empty() {
            return None;
        }
        while self.count == self.images.len().min(IMAGES_END as usize - 1) || self.used + len > self.window {
            self.forget_oldest();
        }
        let mut start = self.end;
        if start + len > self.places() {
            // What lies behind is older than what lies at the front.
            while self.oldest().is_some_and(|image| image.start >= self.end) {
                self.forget_oldest();
            }
            start = 0;
        }
        let range = start..start + len;
        while self.oldest().is_some_and(|image| image.start < range.end && range.start < image.end()) {
            self.forget_oldest();
        }
        Some(start)
    }

    /// Enters the image that was encoded at `start`, the place [`Self::make_room`] gave.
    pub(super) fn enter(&mut self, image: GlzImage) {
        let slot = self.slot(self.count);
        self.images[slot] = image;
        self.count += 1;
        self.used += image.len;
        self.end = image.end();
        self.next_id += 1;
    }

    /// The image in which the pixel at `place` of the ring lies, and how far before the next image
    /// it was numbered.
    pub(super) fn find(&self, place: usize) -> Option<(GlzImage, usize)> {
        // In the order of age, starts ascend, but for one step back where the ring began anew.
        let oldest = self.oldest()?.start;
        let turn = |start: usize| (start < oldest, start);
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low.midpoint(high);
            if turn(self.images[self.slot(middle)].start) <= turn(place) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let n = low.checked_sub(1)?;
        let image = self.images[self.slot(n)];
        (image.start..image.end()).contains(&place).then_some((image, self.count - n))
    }

    /// Pixels of the ring that a table can point at.
    fn places(&self) -> usize {
        self.ring.len().min(u32::MAX as usize)
    }

    fn oldest(&self) -> Option<&GlzImage> {
        self.images[..].get(self.first).filter(|_| self.count > 0)
    }

    fn forget_oldest(&mut self) {
        if let Some(&GlzImage { len, .. }) = self.oldest() {
            self.used -= len;
            self.count -= 1;
            self.first = self.slot(1);
        }
    }

    /// Where the `n`th image counted from the oldest is kept.
    fn slot(&self, n: usize) -> usize {
        (self.first + n) % self.images.len()
    }
}
