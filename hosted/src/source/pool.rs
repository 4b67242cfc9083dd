//! [`FramePool`]: pictures that change a little at a time, without copying them whole each time.
//!
//! A published [`Frame`] is immutable and lives as long as anyone holds it, so the next picture
//! needs another buffer. The pool keeps the buffers that came back and knows how old each one is: it
//! copies into it only what changed since, and the source draws its change on top. This is what
//! compositors call *buffer age*.
//!
//! ```text
//!              publish()                 all handles dropped
//!   [idle] ---------------> [published] --------------------> [idle]   at most IDLE_BUFFERS,
//!      ^   catch up, draw                                        |     the rest is freed
//!      +---------------------------------------------------------+
//! ```

use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sumac_backends::{Frame, Layout};

use super::{Rect, Size};

/// Buffers kept for the next picture. One is enough while the server lets go of a picture before
/// the one after next comes; a second one absorbs a viewer that holds on a little longer.
const IDLE_BUFFERS: usize = 2;

/// Pictures whose damage is remembered. A buffer that is older is copied whole.
const REMEMBERED: usize = 8;

/// Buffers of one size for one source.
///
/// How many exist at a time is up to who holds frames: the pool itself keeps the newest picture and
/// at most two spare buffers, and never refuses to publish.
pub struct FramePool {
    size: Size,
    /// The newest picture and its number, counted from 1.
    newest: Option<Frame>,
    version: u64,
    /// Damage of the pictures up to `version`, oldest first.
    history: VecDeque<Vec<Rect>>,
    shelf: Arc<Shelf>,
}

impl FramePool {
    /// An empty pool for pictures of this size.
    pub fn new(size: Size) -> Self {
        let shelf = Arc::new(Shelf { idle: Mutex::new(Vec::new()) });
        Self { size, newest: None, version: 0, history: VecDeque::new(), shelf }
    }

    /// The size of its pictures in pixels.
    pub fn size(&self) -> Size {
        self.size
    }

    /// Makes the next picture: the newest one with what `draw` changes in it.
    ///
    /// `draw` gets the pixels (BGRX, top row first, no padding) and must change nothing outside of
    /// `damage`; inside, it finds arbitrary older pixels and must write all of them. The first
    /// picture needs damage that covers it all.
    pub fn publish(&mut self, damage: &[Rect], draw: impl FnOnce(&mut [u8])) -> Frame {
        let damage: Vec<Rect> = damage.iter().filter_map(|r| r.intersect(self.size.bounds())).collect();
        let mut buffer = self.shelf.take().unwrap_or_else(|| Buffer::new(self.size));
        self.catch_up(&mut buffer, &damage);
        draw(&mut buffer.pixels);

        self.version += 1;
        buffer.version = self.version;
        if self.history.len() == REMEMBERED {
            self.history.pop_front();
        }
        self.history.push_back(damage);
        let frame = buffer.into_frame(self.size, Arc::clone(&self.shelf));
        self.newest = Some(frame.clone());
        frame
    }

    /// Brings an old buffer up to the newest picture, except where it will be drawn over anyway.
    fn catch_up(&self, buffer: &mut Buffer, drawn_over: &[Rect]) {
        let Some(newest) = &self.newest else { return };
        let missed = usize::try_from(self.version - buffer.version).unwrap_or(usize::MAX);
        let everything = [self.size.bounds()];
        let mut copy = |rect: &Rect| {
            if !drawn_over.iter().any(|d| d.intersect(*rect) == Some(*rect)) {
                copy_rect(newest.pixels(), &mut buffer.pixels, self.size, *rect);
            }
        };
        if missed > self.history.len() || buffer.version == 0 {
            everything.iter().for_each(&mut copy);
        } else {
            self.history.iter().rev().take(missed).flatten().for_each(&mut copy);
        }
    }
}

/// Where buffers wait; shared with every buffer that is out, so that it finds its way back.
struct Shelf {
    idle: Mutex<Vec<Buffer>>,
}

impl Shelf {
    fn idle(&self) -> MutexGuard<'_, Vec<Buffer>> {
        // A list of buffers is whole after every push and pop.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The most recent buffer: it has missed the least.
    fn take(&self) -> Option<Buffer> {
        let mut idle = self.idle();
        let newest = (0..idle.len()).max_by_key(|&i| idle[i].version)?;
        Some(idle.swap_remove(newest))
    }

    fn give_back(&self, buffer: Buffer) {
        let mut idle = self.idle();
        if idle.len() < IDLE_BUFFERS {
            idle.push(buffer);
        }
    }
}

/// Pixels and the number of the picture that they show; 0 before the first.
#[derive(Default)]
struct Buffer {
    pixels: Vec<u8>,
    version: u64,
}

impl Buffer {
    fn new(size: Size) -> Self {
        Self { pixels: vec![0; size.width as usize * size.height as usize * 4], version: 0 }
    }

    fn into_frame(self, size: Size, shelf: Arc<Shelf>) -> Frame {
        let layout = Layout { width: size.width, height: size.height, stride: size.width * 4 };
        #[expect(clippy::expect_used, reason = "Buffer::new made the pixels for this very size")]
        Frame::from_memory(layout, Loan { buffer: self, shelf }).expect("a buffer of the pool's size")
    }
}

/// A buffer that is out; dropping it brings it back to the shelf.
struct Loan {
    buffer: Buffer,
    shelf: Arc<Shelf>,
}

impl AsRef<[u8]> for Loan {
    fn as_ref(&self) -> &[u8] {
        &self.buffer.pixels
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        self.shelf.give_back(mem::take(&mut self.buffer));
    }
}

/// Copies one rectangle, which lies inside of both pictures.
fn copy_rect(from: &[u8], to: &mut [u8], size: Size, rect: Rect) {
    let stride = size.width as usize * 4;
    let (left, right) = (rect.x as usize * 4, rect.right() as usize * 4);
    let rows = rect.y as usize * stride..rect.bottom() as usize * stride;
    let from = from[rows.clone()].chunks_exact(stride.max(1));
    let to = to[rows].chunks_exact_mut(stride.max(1));
    for (from, to) in from.zip(to) {
        to[left..right].copy_from_slice(&from[left..right]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { width: 8, height: 4 };

    fn rect(x: u32, y: u32, width: u32, height: u32) -> Rect {
        Rect { x, y, width, height }
    }

    /// Fills `damage` with `value` in the pool's next picture and in `expected`.
    fn paint(pool: &mut FramePool, expected: &mut [u8], damage: Rect, value: u8) -> Frame {
        let fill = |pixels: &mut [u8]| {
            for y in damage.y..damage.bottom() {
                let row = (y * SIZE.width * 4) as usize;
                pixels[row + damage.x as usize * 4..row + damage.right() as usize * 4].fill(value);
            }
        };
        fill(expected);
        pool.publish(&[damage], fill)
    }

    fn idle(pool: &FramePool) -> usize {
        pool.shelf.idle().len()
    }

    #[test]
    fn every_picture_is_right_however_long_buffers_stay_out() {
        for hold in 0..REMEMBERED + 4 {
            let mut pool = FramePool::new(SIZE);
            let mut expected = vec![0; 8 * 4 * 4];
            let mut held: VecDeque<(Frame, Vec<u8>)> = VecDeque::new();
            let mut random = 1_u32;
            for step in 0..200_u32 {
                random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let damage = match step {
                    0 => SIZE.bounds(),
                    _ => rect(random >> 8 & 3, random >> 10 & 1, 1 + (random >> 12 & 3), 1 + (random >> 14 & 1)),
                };
                let frame = paint(&mut pool, &mut expected, damage, step as u8);
                held.push_back((frame, expected.clone()));
                while held.len() > hold + usize::from(random & 1 << 20 != 0) {
                    held.pop_front();
                }
                for (frame, pixels) in &held {
                    assert_eq!(frame.pixels(), pixels, "hold {hold} step {step}");
                }
                assert_eq!(pool.newest.as_ref().map(Frame::pixels), Some(&expected[..]));
            }
        }
    }

    #[test]
    fn a_buffer_that_is_only_behind_by_what_is_drawn_is_not_touched_elsewhere() {
        let mut pool = FramePool::new(SIZE);
        let mut expected = vec![0; 8 * 4 * 4];
        drop(paint(&mut pool, &mut expected, SIZE.bounds(), 1));
        drop(paint(&mut pool, &mut expected, rect(0, 0, 2, 2), 2));
        // Poison the returned first buffer: whatever is copied over it would heal it.
        for byte in &mut pool.shelf.idle()[0].pixels {
            *byte = 99;
        }
        let frame = pool.publish(&[rect(0, 0, 3, 3)], |_| {});
        assert!(frame.pixels().iter().all(|&b| b == 99));
    }

    #[test]
    fn steady_use_needs_two_buffers_and_bursts_are_freed_again() {
        let mut pool = FramePool::new(SIZE);
        let mut expected = vec![0; 8 * 4 * 4];
        for step in 0..10 {
            drop(paint(&mut pool, &mut expected, SIZE.bounds(), step));
            assert!(idle(&pool) <= 1);
        }
        let burst: Vec<Frame> = (0..9).map(|i| paint(&mut pool, &mut expected, rect(0, 0, 1, 1), i)).collect();
        assert_eq!(idle(&pool), 0);
        assert_eq!(Arc::strong_count(&pool.shelf), 1 + burst.len());
        drop(burst);
        assert_eq!(idle(&pool), IDLE_BUFFERS);
        // The pool and its newest picture.
        assert_eq!(Arc::strong_count(&pool.shelf), 2);
    }

    #[test]
    fn frames_outlive_the_pool() {
        let mut pool = FramePool::new(SIZE);
        let frame = pool.publish(&[SIZE.bounds()], |pixels| pixels.fill(7));
        drop(pool);
        assert!(frame.pixels().iter().all(|&b| b == 7));
    }

    #[test]
    fn damage_outside_of_the_picture_is_clipped() {
        let mut pool = FramePool::new(SIZE);
        pool.publish(&[SIZE.bounds()], |_| {});
        pool.publish(&[rect(6, 2, 100, 100), rect(50, 50, 1, 1), rect(u32::MAX, 0, 9, 9)], |_| {});
        assert_eq!(pool.history.back().map(Vec::as_slice), Some(&[rect(6, 2, 2, 2)][..]));
        pool.publish(&[], |_| {});
        pool.publish(&[], |_| {});
    }
}
