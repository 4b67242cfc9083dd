//! [`Screen`]: where a source of this crate shows its pictures, in memory or scanned out.
//!
//! A source makes its pictures in memory. With dmabufs, what changed is copied into one of a few
//! buffers that go round: each is drawn into again when its draw is done and another one is
//! scanned out, as a guest with page flips does.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use sumac_backends::Frame;

use self::buffer::{Buffer, Memory};
use super::{Cookie, Rect, Size, SourceStats, Stage};
use crate::config::DmabufMemory;
use crate::plan::Region;

mod buffer;
mod sys;

/// Buffers that go round: one is scanned out, one may be read still, one is drawn into.
const BUFFERS: usize = 3;

/// No draw takes longer, however slow the viewers: else a cookie was lost.
const LOST: Duration = Duration::from_secs(20);

/// A display of a source.
pub(super) struct Screen {
    stage: Box<dyn Stage>,
    stats: Arc<SourceStats>,
    memory: Option<Memory>,
    ring: Option<Ring>,
}

/// Buffers of one size.
struct Ring {
    size: Size,
    slots: Vec<Slot>,
    /// The one that is scanned out.
    current: usize,
    returned: Arc<Returned>,
}

struct Slot {
    buffer: Buffer,
    /// What is not as in the newest picture.
    stale: Region,
}

/// Which draws are not done.
#[derive(Default)]
struct Returned {
    busy: Mutex<[bool; BUFFERS]>,
    changed: Condvar,
}

impl Screen {
    /// Shows on `stage`, in dmabufs if there is a wish for them.
    ///
    /// # Errors
    /// When this kernel does not have what was asked for.
    pub(super) fn new(
        stage: Box<dyn Stage>,
        stats: Arc<SourceStats>,
        dmabufs: Option<DmabufMemory>,
    ) -> anyhow::Result<Self> {
        Ok(Self { stage, stats, memory: dmabufs.map(Memory::choose).transpose()?, ring: None })
    }

    /// For the pointer.
    pub(super) fn stage(&mut self) -> &mut dyn Stage {
        &mut *self.stage
    }

    /// Shows a picture in memory that differs from the one before in `damage`. With dmabufs, waits
    /// until a buffer is free.
    pub(super) fn show(&mut self, frame: Frame, damage: &[Rect]) -> anyhow::Result<()> {
        match self.memory {
            None => self.stage.publish(frame, damage),
            Some(memory) => self.scan_out(memory, &frame, damage)?,
        }
        self.stats.count_frame();
        Ok(())
    }

    fn scan_out(&mut self, memory: Memory, frame: &Frame, damage: &[Rect]) -> anyhow::Result<()> {
        let size = Size { width: frame.layout().width, height: frame.layout().height };
        let mut ring = match self.ring.take().filter(|ring| ring.size == size) {
            Some(ring) => ring,
            None => Ring::new(memory, size)?,
        };
        let (slot, returned) = ring.next(damage)?;
        slot.buffer.copy(frame, &slot.stale.take())?;
        let dmabuf = slot.buffer.dmabuf.clone();
        let (stats, current) = (Arc::clone(&self.stats), ring.current);
        stats.count_draw();
        let done = Cookie::new(move || {
            stats.count_done();
            returned.give_back(current);
        });
        self.stage.scanout(Some(dmabuf));
        let changed = damage.iter().copied().reduce(Rect::union).unwrap_or(size.bounds());
        self.stage.gl_draw(changed, done);
        self.ring = Some(ring);
        Ok(())
    }
}

impl Ring {
    fn new(memory: Memory, size: Size) -> anyhow::Result<Self> {
        let slot = |_| Ok(Slot { buffer: Buffer::new(memory, size)?, stale: size.bounds().into() });
        let slots = (0..BUFFERS).map(slot).collect::<anyhow::Result<_>>()?;
        Ok(Self { size, slots, current: 0, returned: Arc::default() })
    }

    /// The next buffer to draw into and scan out, busy from now on; in all of them `damage` is
    /// stale.
    fn next(&mut self, damage: &[Rect]) -> anyhow::Result<(&mut Slot, Arc<Returned>)> {
        for slot in &mut self.slots {
            damage.iter().for_each(|rect| slot.stale.add(*rect));
        }
        self.current = self.returned.take_one(self.current)?;
        let slot = self.slots.get_mut(self.current).context("there is no such buffer")?;
        Ok((slot, Arc::clone(&self.returned)))
    }
}

impl Returned {
    /// Waits until one other than `current` is free, and takes it.
    fn take_one(&self, current: usize) -> anyhow::Result<usize> {
        let free = |busy: &[bool]| (0..BUFFERS).find(|&n| n != current && !busy.get(n).is_some_and(|busy| *busy));
        let none = |busy: &mut [bool; BUFFERS]| free(&busy[..]).is_none();
        let waited = self.changed.wait_timeout_while(self.lock(), LOST, none);
        let (mut busy, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let Some(next) = free(&busy[..]) else { bail!("no draw was done within {} s", LOST.as_secs()) };
        if let Some(taken) = busy.get_mut(next) {
            *taken = true;
        }
        Ok(next)
    }

    fn give_back(&self, number: usize) {
        if let Some(busy) = self.lock().get_mut(number) {
            *busy = false;
        }
        self.changed.notify_one();
    }

    /// Flags are whole, whoever panicked.
    fn lock(&self) -> MutexGuard<'_, [bool; BUFFERS]> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::Receiver;
    use std::thread;

    use sumac_backends::{Dmabuf, Layout};

    use super::*;
    use crate::source::Host;
    use crate::source::recorder::{Recorder, Told};

    const SIZE: Size = Size { width: 64, height: 48 };

    /// A picture of one colour, but for a square.
    fn frame(shade: u8, square: Option<Rect>) -> Frame {
        let mut pixels = vec![shade; 64 * 48 * 4];
        if let Some(rect) = square {
            for y in rect.y..rect.bottom() {
                let row = (y * 64) as usize;
                pixels[(row + rect.x as usize) * 4..(row + rect.right() as usize) * 4].fill(!shade);
            }
        }
        Frame::from_memory(Layout { width: 64, height: 48, stride: 256 }, pixels).unwrap()
    }

    fn screen(host: &Arc<dyn Host>) -> Screen {
        Screen::new(host.display(0).unwrap(), Arc::default(), Some(DmabufMemory::Memfd)).unwrap()
    }

    fn pixels(dmabuf: &Dmabuf) -> Vec<u8> {
        let mut pixels = Vec::new();
        let all = sumac_backends::Rect { x: 0, y: 0, width: dmabuf.width(), height: dmabuf.height() };
        dmabuf.read_back(all, &mut pixels).unwrap();
        pixels
    }

    /// The next scanout and the draw into it.
    fn next(told: &Receiver<Told>) -> (Dmabuf, Rect, Cookie) {
        match (told.try_recv().unwrap(), told.try_recv().unwrap()) {
            (Told::Scanout(Some(scanout)), Told::GlDraw(rect, done)) => (scanout, rect, done),
            _ => panic!("a scanout and a draw"),
        }
    }

    #[test]
    fn every_buffer_shows_the_newest_picture_when_its_turn_comes() {
        let (host, told) = Recorder::host();
        let mut screen = screen(&host);
        screen.show(frame(1, None), &[SIZE.bounds()]).unwrap();
        drop(next(&told));
        let mut before = None;
        for x in [8, 16, 24, 32, 40] {
            let square = Rect { x, y: 8, width: 4, height: 4 };
            let picture = frame(1, Some(square));
            let damage: Vec<Rect> = [before.replace(square), Some(square)].into_iter().flatten().collect();
            screen.show(picture.clone(), &damage).unwrap();
            let (scanout, rect, _done) = next(&told);
            assert_eq!(pixels(&scanout), picture.pixels());
            assert_eq!(Some(rect), damage.into_iter().reduce(Rect::union));
        }
    }

    #[test]
    fn a_buffer_is_drawn_into_again_only_after_its_draw_is_done() {
        let (host, told) = Recorder::host();
        let mut screen = screen(&host);
        let stats = Arc::clone(&screen.stats);
        let mut held = Vec::new();
        for shade in 0..3 {
            screen.show(frame(shade, None), &[SIZE.bounds()]).unwrap();
            held.push(next(&told));
        }
        assert_eq!((stats.draws(), stats.done()), (3, 0));
        let (oldest, _, done) = held.remove(0);
        let giving_back = thread::spawn(move || {
            thread::sleep(Duration::from_millis(50));
            drop(done);
        });
        screen.show(frame(3, None), &[SIZE.bounds()]).unwrap();
        giving_back.join().unwrap();
        let (newest, _, _done) = next(&told);
        assert!(Arc::ptr_eq(&newest.planes()[0].fd, &oldest.planes()[0].fd));
        assert_eq!((stats.draws(), stats.done(), stats.submitted()), (4, 1, 4));
        for (shade, (scanout, ..)) in (1..).zip(&held) {
            assert_eq!(pixels(scanout)[0], shade, "drawn into while somebody read it");
        }
    }

    #[test]
    fn another_size_gets_other_buffers() {
        let (host, told) = Recorder::host();
        let mut screen = screen(&host);
        screen.show(frame(1, None), &[SIZE.bounds()]).unwrap();
        let small = Frame::from_memory(Layout { width: 8, height: 8, stride: 32 }, vec![9; 256]).unwrap();
        screen.show(small, &[Rect { x: 0, y: 0, width: 8, height: 8 }]).unwrap();
        let scanouts = told.try_iter().filter_map(|t| if let Told::Scanout(s) = t { s } else { None });
        let scanouts: Vec<Dmabuf> = scanouts.collect();
        assert_eq!(scanouts.iter().map(Dmabuf::width).collect::<Vec<_>>(), [64, 8]);
        assert_eq!(pixels(&scanouts[1]), [9; 256]);
    }
}
