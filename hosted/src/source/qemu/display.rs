//! [`Display`]: what one console shows, put together from QEMU's calls.
//!
//! Updates are collected as long as more of them have arrived already, and published as one
//! picture; nothing waits. A picture in memory is QEMU's bytes copied once, into a buffer that is
//! up to date but for what changed.
//!
//! A Scanout says how large the picture is. QEMU 7.2 sends none when a guest changes its mode and
//! then draws row by row, as text screens do: only the console's properties tell the size, over
//! another connection, before or after the first updates. So an update that lies outside of the
//! picture waits for that, with all that follow it; what fits is drawn where it belongs in either
//! size.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use anyhow::{Context, ensure};
use sumac_backends::{Dmabuf, Frame};

use super::notice;
use super::pixels::PixelFormat;
use crate::source::{Cookie, CursorShape, FramePool, Rect, Size, SourceStats, Stage};

/// The longest side of a picture, in pixels: no display device of QEMU's has more.
const MAX_SIDE: u32 = 16384;
/// The longest side of a pointer, in pixels.
const MAX_CURSOR_SIDE: u32 = 512;
/// Updates that are collected before they are published in any case, and their bytes.
const MAX_PATCHES: usize = 256;
const MAX_BYTES: usize = 64 << 20;

/// A console's picture and pointer, and the stage they are shown on.
pub(super) struct Display {
    stage: Box<dyn Stage>,
    stats: Arc<SourceStats>,
    pool: FramePool,
    /// The picture in memory that was published last.
    shown: Option<Frame>,
    patches: Vec<Patch>,
    /// Updates of a picture whose size is not known yet.
    early: Vec<Patch>,
    /// Where the pixels of [`Display::update_map`] are.
    map: Option<Map>,
    cursor: Option<CursorShape>,
    visible: bool,
}

/// A rectangle of new pixels.
pub(super) struct Patch {
    /// Where, in pixels of the picture.
    pub(super) rect: Rect,
    /// Bytes from one row to the next.
    pub(super) stride: usize,
    /// How they lie in memory.
    pub(super) format: PixelFormat,
    /// The rows, top row first.
    pub(super) bytes: Box<dyn AsRef<[u8]>>,
}

/// Memory that QEMU draws into.
pub(super) struct Map {
    /// It is read and not mapped, so nothing that QEMU does to the file can hurt.
    pub(super) file: File,
    /// Bytes from the start of the file to the first pixel.
    pub(super) offset: u64,
    /// Size of the picture.
    pub(super) size: Size,
    /// Bytes from one row to the next.
    pub(super) stride: usize,
    /// How a pixel lies in memory.
    pub(super) format: PixelFormat,
}

impl Display {
    /// A display that says `text` until QEMU draws something.
    pub(super) fn new(stage: Box<dyn Stage>, stats: Arc<SourceStats>, text: &str) -> Self {
        let pool = FramePool::new(notice::SIZE);
        let (patches, early) = (Vec::new(), Vec::new());
        let mut display =
            Self { stage, stats, pool, shown: None, patches, early, map: None, cursor: None, visible: false };
        let whole = [notice::SIZE.bounds()];
        let frame =
            display.pool.publish(&whole, |pixels| notice::draw(pixels, notice::SIZE, notice::SIZE.bounds(), text));
        display.publish(frame, &whole);
        display
    }

    /// Size of the picture in memory.
    pub(super) fn size(&self) -> Size {
        self.pool.size()
    }

    /// A new picture, perhaps of another size.
    ///
    /// # Errors
    /// When the size is none that a picture can have, or its rows are not all there.
    pub(super) fn scanout(&mut self, patch: Patch) -> anyhow::Result<()> {
        let size = Size { width: patch.rect.width, height: patch.rect.height };
        check_size(size)?;
        patch.check()?;
        self.map = None;
        self.begin(size);
        self.patches.push(patch);
        Ok(())
    }

    /// Some pixels changed; they take effect with [`Display::flush`], or with [`Display::resize`]
    /// when they lie outside of the picture.
    ///
    /// # Errors
    /// When they are not all there.
    pub(super) fn update(&mut self, patch: Patch) -> anyhow::Result<()> {
        patch.check()?;
        // What follows an update that waits waits too: it may be newer pixels of the same place.
        if !self.early.is_empty() || !self.size().bounds().contains(patch.rect) {
            self.early.push(patch);
            if is_much(&self.early) {
                self.settle();
            }
            return Ok(());
        }
        self.patches.push(patch);
        if is_much(&self.patches) {
            self.flush();
        }
        Ok(())
    }

    /// Whether updates wait for the picture to get another size.
    pub(super) fn is_early(&self) -> bool {
        !self.early.is_empty()
    }

    /// The size is what it is: updates that wait are drawn as far as they lie in the picture.
    pub(super) fn settle(&mut self) {
        let bounds = self.size().bounds();
        let early = std::mem::take(&mut self.early);
        self.patches.extend(early.into_iter().filter(|patch| bounds.contains(patch.rect)));
        self.flush();
    }

    /// Whether updates wait for the picture to get this size.
    pub(super) fn awaits(&self, size: Size) -> bool {
        !self.early.is_empty() && self.early.iter().all(|patch| size.bounds().contains(patch.rect))
    }

    /// The picture has this size now: what is known of it stays, the rest is black.
    pub(super) fn resize(&mut self, size: Size) {
        if size == self.size() || check_size(size).is_err() {
            return;
        }
        self.flush();
        let before = self.shown.take();
        self.pool = FramePool::new(size);
        let whole = [size.bounds()];
        let frame = self.pool.publish(&whole, |pixels| {
            pixels.fill(0);
            if let Some(before) = &before {
                let stride = before.layout().stride as usize;
                let rows = before.pixels().chunks(stride);
                for (to, from) in pixels.chunks_exact_mut(size.width as usize * 4).zip(rows) {
                    PixelFormat::Bgrx.convert(from, to);
                }
            }
        });
        self.publish(frame, &whole);
        self.settle();
    }

    /// The picture is in this memory from now on.
    ///
    /// # Errors
    /// When the size is none that a picture can have, or the memory does not hold it.
    pub(super) fn scanout_map(&mut self, map: Map) -> anyhow::Result<()> {
        check_size(map.size)?;
        let whole = map.size.bounds();
        let patch = map.read(whole)?;
        patch.check()?;
        self.begin(map.size);
        self.patches.push(patch);
        self.map = Some(map);
        Ok(())
    }

    /// Pixels in that memory changed.
    ///
    /// # Errors
    /// When there is none, the rectangle lies outside, or the memory cannot be read any more.
    pub(super) fn update_map(&mut self, rect: Rect) -> anyhow::Result<()> {
        let map = self.map.as_ref().context("an update of shared memory, and there is none")?;
        ensure!(map.size.bounds().contains(rect), "an update outside of the shared memory's picture");
        let patch = map.read(rect)?;
        self.update(patch)
    }

    /// The picture is in these dmabufs.
    pub(super) fn scanout_dmabuf(&mut self, dmabuf: Dmabuf) {
        self.flush();
        self.map = None;
        self.stage.scanout(Some(dmabuf));
    }

    /// Something was drawn into them; `done` when QEMU may draw again.
    pub(super) fn update_dmabuf(&mut self, rect: Rect, done: Cookie) {
        self.stats.count_frame();
        self.stage.gl_draw(rect, done);
    }

    /// The console shows nothing: black, in the size it had.
    pub(super) fn disable(&mut self) {
        self.begin(self.size());
        self.map = None;
        self.stage.scanout(None);
        let whole = [self.size().bounds()];
        let frame = self.pool.publish(&whole, |pixels| pixels.fill(0));
        self.publish(frame, &whole);
    }

    /// Publishes what was collected.
    pub(super) fn flush(&mut self) {
        if self.patches.is_empty() {
            return;
        }
        let patches = std::mem::take(&mut self.patches);
        let damage: Vec<Rect> = patches.iter().map(|patch| patch.rect).collect();
        let width = self.size().width as usize;
        let frame = self.pool.publish(&damage, |pixels| patches.iter().for_each(|patch| patch.draw(pixels, width)));
        self.publish(frame, &damage);
    }

    /// Writes a line of text over the lower edge of the last picture, which stays.
    pub(super) fn notice(&mut self, text: &str) {
        self.flush();
        self.stage.scanout(None);
        self.map = None;
        let size = self.size();
        let bar = notice::bar(size);
        let frame = self.pool.publish(&[bar], |pixels| notice::draw(pixels, size, bar, text));
        self.publish(frame, &[bar]);
        self.cursor = None;
        self.show_cursor();
    }

    /// The pointer has this shape.
    ///
    /// # Errors
    /// When it is larger than pointers are, or its pixels are not all there.
    pub(super) fn define_cursor(&mut self, shape: CursorShape) -> anyhow::Result<()> {
        let Size { width, height } = shape.size;
        ensure!(
            (1..=MAX_CURSOR_SIDE).contains(&width) && (1..=MAX_CURSOR_SIDE).contains(&height),
            "a pointer of {width}x{height} pixels"
        );
        let (needed, got) = (width as usize * height as usize * 4, shape.bgra.len());
        ensure!(got == needed, "a pointer of {width}x{height} pixels in {got} bytes, not {needed}");
        self.cursor = Some(shape);
        self.visible = true;
        self.show_cursor();
        Ok(())
    }

    /// The pointer's image has its top left corner here, or is hidden.
    pub(super) fn set_mouse(&mut self, x: i32, y: i32, visible: bool) {
        let (hot_x, hot_y) = self.cursor.as_ref().map_or((0, 0), |shape| (shape.hot_x, shape.hot_y));
        if self.visible != visible {
            self.visible = visible;
            self.show_cursor();
        }
        self.stage.pointer(x.saturating_add(hot_x.into()), y.saturating_add(hot_y.into()));
    }

    /// The pointer went to this pixel, and the guest will not tell.
    pub(super) fn pointer(&mut self, x: u32, y: u32) {
        let fit = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
        self.stage.pointer(fit(x), fit(y));
    }

    fn show_cursor(&mut self) {
        self.stage.cursor(self.cursor.clone().filter(|_| self.visible));
    }

    /// What was collected is overtaken by a whole picture of this size.
    fn begin(&mut self, size: Size) {
        self.patches.clear();
        self.early.clear();
        if self.pool.size() != size {
            self.pool = FramePool::new(size);
        }
    }

    fn publish(&mut self, frame: Frame, damage: &[Rect]) {
        self.shown = Some(frame.clone());
        self.stage.publish(frame, damage);
        self.stats.count_frame();
    }
}

impl Patch {
    /// All rows are there.
    fn check(&self) -> anyhow::Result<()> {
        let Rect { width, height, .. } = self.rect;
        let row = width as usize * self.format.bytes();
        let needed = self.stride.checked_mul((height as usize).saturating_sub(1)).and_then(|n| n.checked_add(row));
        let got = (*self.bytes).as_ref().len();
        ensure!(
            self.stride >= row && needed.is_some_and(|needed| got >= needed),
            "{width}x{height} pixels of {} bytes in {got} bytes with a stride of {}",
            self.format.bytes(),
            self.stride
        );
        Ok(())
    }

    /// Draws it into a picture that is `columns` wide.
    fn draw(&self, pixels: &mut [u8], columns: usize) {
        let row = self.rect.width as usize;
        let rows = (*self.bytes).as_ref().chunks(self.stride.max(1));
        let to = pixels.chunks_exact_mut(columns * 4).skip(self.rect.y as usize).take(self.rect.height as usize);
        for (from, to) in rows.zip(to) {
            let left = self.rect.x as usize * 4;
            self.format.convert(&from[..row * self.format.bytes()], &mut to[left..left + row * 4]);
        }
    }
}

impl Map {
    /// The pixels of a rectangle as they are now.
    fn read(&self, rect: Rect) -> anyhow::Result<Patch> {
        let row = rect.width as usize * self.format.bytes();
        ensure!(self.stride >= self.size.width as usize * self.format.bytes(), "a stride of {} bytes", self.stride);
        let mut bytes = vec![0; row * rect.height as usize];
        let left = rect.x as usize * self.format.bytes();
        for (at, to) in bytes.chunks_exact_mut(row.max(1)).enumerate() {
            let from = self.stride as u64 * (u64::from(rect.y) + at as u64) + left as u64;
            self.file.read_exact_at(to, self.offset + from).context("reading the picture in shared memory")?;
        }
        Ok(Patch { rect, stride: row, format: self.format, bytes: Box::new(bytes) })
    }
}

fn is_much(patches: &[Patch]) -> bool {
    let bytes: usize = patches.iter().map(|patch| (*patch.bytes).as_ref().len()).sum();
    patches.len() >= MAX_PATCHES || bytes >= MAX_BYTES
}

fn check_size(Size { width, height }: Size) -> anyhow::Result<()> {
    let fits = (1..=MAX_SIDE).contains(&width) && (1..=MAX_SIDE).contains(&height);
    ensure!(fits, "a picture of {width}x{height} pixels; a side may have 1 to {MAX_SIDE}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::mpsc::Receiver;

    use super::*;
    use crate::source::recorder::{Recorder, Told};

    fn display() -> (Display, Receiver<Told>) {
        let (host, told) = Recorder::host();
        (Display::new(host.display(0).unwrap(), Arc::default(), "Hello."), told)
    }

    /// A rectangle of one shade.
    fn patch(rect: Rect, shade: u8) -> Patch {
        let stride = rect.width as usize * 4 + 8;
        let bytes = Box::new(vec![shade; stride * rect.height as usize]);
        Patch { rect, stride, format: PixelFormat::Bgrx, bytes }
    }

    fn rect(x: u32, y: u32, width: u32, height: u32) -> Rect {
        Rect { x, y, width, height }
    }

    fn at(display: &Display, x: u32, y: u32) -> u8 {
        let frame = display.shown.as_ref().unwrap();
        frame.pixels()[(y * frame.layout().stride + x * 4) as usize]
    }

    fn pictures(told: &Receiver<Told>) -> Vec<Vec<Rect>> {
        let damage = |told| match told {
            Told::Publish(_, damage) => Some(damage),
            _ => None,
        };
        told.try_iter().filter_map(damage).collect()
    }

    #[test]
    fn updates_are_collected_into_one_picture() {
        let (mut display, told) = display();
        assert_eq!(pictures(&told), [vec![notice::SIZE.bounds()]]);
        display.scanout(patch(rect(0, 0, 16, 8), 1)).unwrap();
        display.update(patch(rect(2, 2, 4, 4), 2)).unwrap();
        display.update(patch(rect(4, 4, 12, 4), 3)).unwrap();
        assert_eq!(pictures(&told).len(), 0);
        display.flush();
        assert_eq!(pictures(&told), [vec![rect(0, 0, 16, 8), rect(2, 2, 4, 4), rect(4, 4, 12, 4)]]);
        assert_eq!([at(&display, 1, 1), at(&display, 3, 3), at(&display, 4, 4), at(&display, 15, 7)], [1, 2, 3, 3]);
        display.flush();
        assert_eq!(pictures(&told).len(), 0);
        for shade in 0..=255 {
            display.update(patch(rect(0, 0, 1, 1), shade)).unwrap();
        }
        assert_eq!(pictures(&told).len(), 1, "a bound on what is collected");
    }

    #[test]
    fn updates_that_lie_outside_wait_for_the_size_in_order() {
        let (mut display, told) = display();
        display.scanout(patch(rect(0, 0, 8, 8), 1)).unwrap();
        display.update(patch(rect(0, 0, 16, 4), 2)).unwrap();
        display.update(patch(rect(0, 0, 2, 2), 3)).unwrap();
        display.flush();
        assert_eq!(at(&display, 0, 0), 1, "what follows one that waits waits too");
        assert!(display.awaits(Size { width: 16, height: 4 }) && !display.awaits(Size { width: 8, height: 9 }));
        display.resize(Size { width: 16, height: 9 });
        assert_eq!([at(&display, 0, 0), at(&display, 15, 3), at(&display, 7, 7), at(&display, 15, 8)], [3, 2, 1, 0]);
        assert!(!display.is_early());
        display.resize(Size { width: 4, height: 4 });
        assert_eq!([at(&display, 0, 0), at(&display, 3, 3)], [3, 2]);
        // No size comes: what fits is drawn.
        display.update(patch(rect(4, 4, 1, 1), 4)).unwrap();
        display.update(patch(rect(3, 3, 1, 1), 5)).unwrap();
        display.settle();
        assert_eq!(at(&display, 3, 3), 5);
        drop(told);
    }

    #[test]
    fn sizes_and_rows_that_make_no_picture_are_errors() {
        let (mut display, _told) = display();
        for (bad, text) in [
            (rect(0, 0, 0, 9), "a picture of 0x9 pixels; a side may have 1 to 16384"),
            (rect(0, 0, 16385, 1), "a picture of 16385x1 pixels; a side may have 1 to 16384"),
        ] {
            assert_eq!(display.scanout(patch(bad, 0)).unwrap_err().to_string(), text);
        }
        let short = |stride, len| Patch { stride, bytes: Box::new(vec![0; len]), ..patch(rect(0, 0, 4, 2), 0) };
        assert!(display.update(short(20, 36)).is_ok());
        let mut error = |patch| display.update(patch).unwrap_err().to_string();
        assert_eq!(error(short(20, 35)), "4x2 pixels of 4 bytes in 35 bytes with a stride of 20");
    }

    #[test]
    fn shared_memory_is_read_when_it_changed() {
        let (mut display, told) = display();
        let file = tempfile::tempfile().unwrap();
        (&file).write_all(&[7; 4 * 4 * 4 + 16]).unwrap();
        let size = Size { width: 4, height: 4 };
        let map = |offset| Map { file: file.try_clone().unwrap(), offset, size, stride: 16, format: PixelFormat::Bgrx };
        assert!(display.scanout_map(map(17)).is_err(), "the file ends before the picture does");
        display.scanout_map(map(16)).unwrap();
        display.flush();
        file.write_all_at(&[9; 4], 16 + 16 + 4).unwrap();
        assert_eq!(at(&display, 1, 1), 7);
        display.update_map(rect(1, 1, 1, 1)).unwrap();
        display.flush();
        assert_eq!([at(&display, 1, 1), at(&display, 2, 1)], [9, 7]);
        assert!(display.update_map(rect(1, 1, 4, 1)).is_err());
        file.set_len(8).unwrap();
        assert!(display.update_map(rect(1, 1, 1, 1)).is_err(), "the file became shorter");
        display.scanout(patch(rect(0, 0, 4, 4), 1)).unwrap();
        assert!(display.update_map(rect(1, 1, 1, 1)).is_err(), "there is no shared memory any more");
        drop(told);
    }

    #[test]
    fn the_pointer_is_where_its_hot_spot_is_and_hides() {
        let (mut display, told) = display();
        let shape = |side: u32, len| CursorShape {
            size: Size { width: side, height: side },
            hot_x: 3,
            hot_y: 4,
            bgra: vec![0; len].into(),
        };
        assert!(display.define_cursor(shape(8, 255)).is_err());
        assert!(display.define_cursor(shape(513, 513 * 513 * 4)).is_err());
        display.define_cursor(shape(8, 256)).unwrap();
        display.set_mouse(10, 20, true);
        display.set_mouse(-3, i32::MAX, false);
        let heard: Vec<_> = told
            .try_iter()
            .filter_map(|told| match told {
                Told::Cursor(shape) => Some((i32::from(shape.is_some()), 0)),
                Told::Pointer(x, y) => Some((x, y)),
                _ => None,
            })
            .collect();
        assert_eq!(heard, [(1, 0), (13, 24), (0, 0), (0, i32::MAX)]);
    }

    #[test]
    fn a_notice_leaves_the_picture_above_it() {
        let (mut display, _told) = display();
        display.scanout(patch(rect(0, 0, 64, 64), 77)).unwrap();
        display.notice("Gone.");
        assert_eq!([at(&display, 0, 0), at(&display, 63, 31), at(&display, 0, 63)], [77, 77, 0]);
        display.disable();
        assert_eq!(at(&display, 0, 0), 0);
    }
}
