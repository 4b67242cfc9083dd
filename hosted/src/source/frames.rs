//! [`Frames`]: raw frames from a file, over and over, at a steady rate.

use std::fs::{self, File};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use sumac_backends::{Frame, Layout};

use super::pool::FramePool;
use super::schedule::Schedule;
use super::screen::Screen;
use super::sys::Mapping;
use super::{Host, Inbox, Rect, Size, Source, SourceStats, ToSource, stamp};
use crate::config::DmabufMemory;
use crate::plan::{Region, tighten};

/// Frames a second that [`Frames`] can be asked for, at most.
pub const MAX_RATE: u32 = 1000;

/// A file of BGRX frames, shown in a loop at so many frames a second.
///
/// It starts with the first viewer, showing the first frame until then; pauses while there is no
/// viewer, and keeps to an absolute schedule: frames that are late are left out, never made up for.
/// A frame that equals the one before is not published again.
///
/// The file is mapped, not read, and its frames are published where they are, without a copy
/// (except with a stamp, or into dmabufs). It must not change meanwhile: a file that became shorter is an error when
/// it is noticed before the next frame, and the end of the process (SIGBUS) when a missing part is
/// read first.
#[derive(Debug)]
pub struct Frames {
    path: PathBuf,
    mapping: Arc<Mapping>,
    size: Size,
    rate: u32,
    stamp: bool,
    dmabufs: Option<DmabufMemory>,
    stats: Arc<SourceStats>,
}

impl Frames {
    /// Opens a file of frames of this size: BGRX, top row first, no padding. With `stamp`, every
    /// frame carries a frame stamp (256x80 pixels at the top left) of when it was submitted.
    ///
    /// # Errors
    /// When the file cannot be opened or mapped; when its length is not a whole number of frames, or
    /// zero; when `rate` is not in `1..=MAX_RATE`; when a stamp does not fit into a frame.
    pub fn open(path: &Path, size: Size, rate: u32, stamp: bool) -> anyhow::Result<Self> {
        let Size { width, height } = size;
        ensure!((1..=MAX_RATE).contains(&rate), "--rate {rate}: must be from 1 to {MAX_RATE} frames a second");
        ensure!(
            !stamp || (width >= stamp::SIZE.width && height >= stamp::SIZE.height),
            "--stamp needs frames of at least {}x{} pixels, not {width}x{height}",
            stamp::SIZE.width,
            stamp::SIZE.height,
        );
        // A frame's stride must be a u32, and all of it a number that a slice can have.
        let frame = u64::from(width).checked_mul(4).filter(|stride| *stride <= u64::from(u32::MAX));
        let frame = frame.and_then(|stride| stride.checked_mul(u64::from(height)));
        let frame = frame.filter(|bytes| *bytes > 0 && isize::try_from(*bytes).is_ok());
        let frame = frame.with_context(|| format!("--size {width}x{height}: no frame can have this size"))?;

        let naming = || format!("--frames {}", path.display());
        let metadata = fs::metadata(path).with_context(naming)?;
        // Opening a pipe would wait for its other end, and only files can be mapped.
        ensure!(metadata.is_file(), "--frames {}: not a regular file", path.display());
        let length = metadata.len();
        if length == 0 || !length.is_multiple_of(frame) {
            bail!(
                "--frames {}: {length} bytes are not a whole number of {width}x{height} frames of {frame} bytes: \
                 {} frames and {} bytes",
                path.display(),
                length / frame,
                length % frame,
            );
        }
        let file = File::open(path).with_context(naming)?;
        let length = usize::try_from(length).with_context(naming)?;
        let mapping = Arc::new(Mapping::new(file, length).with_context(naming)?);
        Ok(Self { path: path.to_owned(), mapping, size, rate, stamp, dmabufs: None, stats: Arc::default() })
    }

    /// Shows its frames as scanouts in dmabufs, if `memory` says of what kind.
    pub fn in_dmabufs(self, memory: Option<DmabufMemory>) -> Self {
        Self { dmabufs: memory, ..self }
    }

    /// Frames in the file.
    pub fn count(&self) -> u64 {
        (self.mapping.bytes().len() / self.frame_bytes()) as u64
    }

    fn frame_bytes(&self) -> usize {
        self.size.width as usize * self.size.height as usize * 4
    }

    /// Where the frame of this number lies in the file.
    fn place(&self, number: u64) -> Range<usize> {
        let index = usize::try_from(number % self.count()).unwrap_or(0);
        index * self.frame_bytes()..(index + 1) * self.frame_bytes()
    }

    /// A frame of the file, where it is.
    fn frame(&self, place: Range<usize>) -> anyhow::Result<Frame> {
        let Size { width, height } = self.size;
        let mapped = MappedFrame { mapping: Arc::clone(&self.mapping), place };
        Frame::from_memory(Layout { width, height, stride: width * 4 }, mapped)
            .context("a frame of the file is shorter than a frame")
    }

    /// Fails when the file became shorter than what is mapped of it.
    fn check_length(&self) -> anyhow::Result<()> {
        let (now, mapped) = (self.mapping.file_length()?, self.mapping.bytes().len());
        ensure!(
            now >= mapped as u64,
            "--frames {}: the file became shorter while it was shown: {now} bytes, not {mapped}",
            self.path.display(),
        );
        Ok(())
    }
}

impl Source for Frames {
    fn stats(&self) -> Arc<SourceStats> {
        Arc::clone(&self.stats)
    }

    fn run(self: Box<Self>, host: Arc<dyn Host>, inbox: Inbox) -> anyhow::Result<()> {
        let stage = host.display(0).context("there is a display 0 already")?;
        let screen = Screen::new(stage, Arc::clone(&self.stats), self.dmabufs)?;
        let schedule = Schedule::new(self.rate);
        let pool = FramePool::new(self.size);
        let mut player = Player { file: *self, schedule, pool, screen, shown: None, viewers: 0, frozen: false };
        player.show(0)?;
        while player.wait(&inbox) {
            if let Some(number) = player.schedule.due(Instant::now()) {
                player.show(number)?;
            }
            player.file.stats.note_cpu();
        }
        Ok(())
    }
}

/// A file that is being shown.
struct Player {
    file: Frames,
    schedule: Schedule,
    /// Where stamped frames are made.
    pool: FramePool,
    screen: Screen,
    /// Where in the file the frame lies that was shown last.
    shown: Option<Range<usize>>,
    viewers: usize,
    frozen: bool,
}

impl Player {
    /// Waits for a message or the next frame's time; `false` when it is time to end.
    fn wait(&mut self, inbox: &Inbox) -> bool {
        let message = match self.schedule.next() {
            None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(next) => inbox.recv_timeout(next.saturating_duration_since(Instant::now())),
        };
        match message {
            Ok(ToSource::Quit) | Err(RecvTimeoutError::Disconnected) => return false,
            Ok(ToSource::Viewers(viewers)) => self.viewers = viewers,
            Ok(ToSource::Freeze(frozen)) => self.frozen = frozen,
            // A film has no use for input and cannot change its size.
            Ok(ToSource::Input(_) | ToSource::Resize { .. }) | Err(RecvTimeoutError::Timeout) => {}
        }
        self.schedule.set_running(self.viewers > 0 && !self.frozen, Instant::now());
        true
    }

    /// Shows the frame of this number, unless it equals what is shown.
    fn show(&mut self, number: u64) -> anyhow::Result<()> {
        self.file.check_length()?;
        let place = self.file.place(number);
        let size = self.file.size;
        let mut frame = self.file.frame(place.clone())?;
        let mut damage = Region::from(size.bounds());
        if let Some(shown) = self.shown.clone() {
            damage = if shown == place { Region::new() } else { tighten(&self.file.frame(shown)?, &frame, &damage) };
        }
        if self.file.stamp {
            damage.add(Rect { x: 0, y: 0, width: stamp::SIZE.width, height: stamp::SIZE.height });
            let bytes = frame.pixels();
            let stamped = self.pool.publish(damage.rects(), |pixels| {
                damage.rects().iter().for_each(|rect| copy(pixels, bytes, size.width, *rect));
                stamp::write(pixels, size.width, number, stamp::monotonic_us());
            });
            frame = stamped;
        }
        self.shown = Some(place);
        if damage.is_empty() {
            return Ok(());
        }
        self.screen.show(frame, damage.rects())
    }
}

/// Copies a rectangle between pictures of this width.
fn copy(to: &mut [u8], from: &[u8], width: u32, rect: Rect) {
    for y in rect.y..rect.bottom() {
        let start = (y as usize * width as usize + rect.x as usize) * 4;
        let row = start..start + rect.width as usize * 4;
        to[row.clone()].copy_from_slice(&from[row]);
    }
}

/// One frame of a mapped file, which stays mapped as long as anyone holds one.
struct MappedFrame {
    mapping: Arc<Mapping>,
    place: Range<usize>,
}

impl AsRef<[u8]> for MappedFrame {
    fn as_ref(&self) -> &[u8] {
        &self.mapping.bytes()[self.place.clone()]
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;

    use super::*;
    use crate::source::conformance::check_source;
    use crate::source::recorder::{Recorder, Told};

    const SIZE: Size = Size { width: 256, height: 80 };
    const FRAME: usize = 256 * 80 * 4;

    /// A file that is removed again.
    struct TestFile(PathBuf);

    impl TestFile {
        fn new(name: &str, bytes: &[u8]) -> Self {
            let path = std::env::temp_dir().join(format!("sumac-frames-{}-{name}", std::process::id()));
            fs::write(&path, bytes).unwrap();
            Self(path)
        }

        /// Frames of one value each.
        fn of(name: &str, values: &[u8]) -> Self {
            Self::new(name, &values.iter().flat_map(|value| [*value; FRAME]).collect::<Vec<u8>>())
        }

        fn open(&self, rate: u32, stamp: bool) -> anyhow::Result<Frames> {
            Frames::open(&self.0, SIZE, rate, stamp)
        }
    }

    impl Drop for TestFile {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    /// The first `count` pictures that a viewer sees.
    fn watch(frames: Frames, count: usize) -> Vec<Frame> {
        let (to_source, inbox) = channel();
        let (host, told) = Recorder::host();
        let thread = thread::spawn(move || Box::new(frames).run(host, inbox));
        to_source.send(ToSource::Viewers(1)).unwrap();
        let picture = |told| match told {
            Told::Publish(frame, damage) => {
                assert!(!damage.is_empty() && damage.iter().all(|rect| SIZE.bounds().contains(*rect)));
                frame
            }
            _ => panic!("a film has no pointer and no lights"),
        };
        let seen = told.iter().take(count).map(picture).collect();
        to_source.send(ToSource::Quit).unwrap();
        thread.join().unwrap().unwrap();
        seen
    }

    fn message(result: anyhow::Result<Frames>) -> String {
        format!("{:#}", result.unwrap_err())
    }

    #[test]
    fn conforms() {
        let file = TestFile::of("conforms", &[1, 2, 2, 3]);
        check_source(SIZE, &|| Box::new(file.open(100, false).unwrap()));
        check_source(SIZE, &|| Box::new(file.open(100, true).unwrap()));
        check_source(SIZE, &|| Box::new(file.open(100, false).unwrap().in_dmabufs(Some(DmabufMemory::Memfd))));
    }

    #[test]
    fn loops_in_order_from_the_first_frame_without_copies() {
        let file = TestFile::of("loops", &[1, 2, 3, 4]);
        let frames = file.open(100, false).unwrap();
        let mapping = Arc::clone(&frames.mapping);
        let mapped = mapping.bytes().as_ptr_range();
        let seen = watch(frames, 12);
        assert_eq!(seen[0].pixels(), &[1; FRAME]);
        for pair in seen.windows(2) {
            assert_ne!(pair[0].pixels()[0], pair[1].pixels()[0], "shown twice");
            assert!(mapped.contains(&pair[1].pixels().as_ptr()), "copied");
        }
        assert_eq!(Arc::strong_count(&mapping), 1 + seen.len());
    }

    #[test]
    fn stamped_frames_carry_growing_numbers_and_times() {
        let file = TestFile::of("stamped", &[1, 2]);
        let before = stamp::monotonic_us();
        let seen = watch(file.open(200, true).unwrap(), 6);
        let stamps: Vec<(u32, u64)> = seen.iter().map(|f| stamp::read(f.pixels(), SIZE.width).unwrap()).collect();
        assert_eq!(stamps[0].0, 0);
        assert!(stamps.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1), "{stamps:?}");
        assert!((before..=stamp::monotonic_us()).contains(&stamps[5].1));
    }

    #[test]
    fn equal_frames_are_shown_once() {
        let file = TestFile::of("equal", &[5, 5, 5, 6]);
        let seen = watch(file.open(500, false).unwrap(), 4);
        let values: Vec<u8> = seen.iter().map(|frame| frame.pixels()[0]).collect();
        assert_eq!(values, [5, 6, 5, 6]);
    }

    #[test]
    fn errors_say_what_is_wrong_with_which_numbers() {
        let file = TestFile::new("odd", &[0; FRAME + 100]);
        let error = message(file.open(30, false));
        assert!(error.contains("82020 bytes") && error.contains("81920 bytes: 1 frames and 100 bytes"), "{error}");
        assert!(message(TestFile::new("empty", &[]).open(30, false)).contains("0 frames and 0 bytes"));
        assert!(message(file.open(0, false)).contains("--rate 0: must be from 1 to 1000"));
        assert!(message(file.open(1001, false)).contains("--rate 1001"));
        let open = |width, height, stamp| message(Frames::open(&file.0, Size { width, height }, 30, stamp));
        assert!(open(255, 80, true).contains("not 255x80"));
        for (width, height) in [(0, 80), (80, 0), (u32::MAX, 1), (u32::MAX / 4, u32::MAX)] {
            let error = open(width, height, false);
            assert!(error.contains("no frame can have this size") || error.contains("bytes are not"), "{error}");
        }
        let missing = message(Frames::open(Path::new("/nowhere/film"), SIZE, 30, false));
        assert!(missing.contains("/nowhere/film") && missing.contains("No such file"), "{missing}");
        let directory = message(Frames::open(&std::env::temp_dir(), SIZE, 30, false));
        assert!(directory.contains("not a regular file"), "{directory}");
    }

    #[test]
    fn a_file_that_becomes_shorter_is_an_error() {
        let file = TestFile::of("shrinks", &[1, 2]);
        let frames = file.open(30, false).unwrap();
        File::options().write(true).open(&file.0).unwrap().set_len(FRAME as u64).unwrap();
        let (_to_source, inbox) = channel();
        let (host, _told) = Recorder::host();
        let error = Box::new(frames).run(host, inbox).unwrap_err().to_string();
        assert!(error.contains("became shorter") && error.contains("81920 bytes, not 163840"), "{error}");
    }
}
