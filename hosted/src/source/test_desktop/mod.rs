//! [`TestDesktop`]: the desktop that the program draws itself.
//!
//! It needs nothing from the machine it runs on and shows everything a viewer can do: windows with
//! anti-aliased text, a terminal that echoes what is typed, a sheet to paint on, a moving picture,
//! pointer shapes by region, lock lights, a clock. It follows the size that a viewer asks for.
//!
//! Frozen, it is a function of its input: the same events give the same pixels. Without viewers it
//! draws nothing and runs no timers.

use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use self::area::Area;
use self::canvas::Canvas;
use self::cursor::Pointer;
use self::desktop::{Desktop, Moment};
use super::pool::FramePool;
use super::{Inbox, Leds, Rect, Size, Source, SourceStats, Stage, ToSource};

mod area;
mod canvas;
mod clock;
mod cursor;
mod desktop;
mod dirty;
mod keyboard;
mod layout;
mod movie;
mod paint;
mod shell;
mod taskbar;
mod terminal;
mod text;
mod wallpaper;
mod window;

/// The smallest desktop that a viewer can ask for, in pixels.
pub const MIN_SIZE: Size = Size { width: 320, height: 200 };

/// The largest desktop that a viewer can ask for, in pixels.
pub const MAX_SIZE: Size = Size { width: 8192, height: 8192 };

/// Messages taken at once before the screen is drawn: input faster than drawing is joined.
const BATCH: usize = 256;

/// The embedded desktop, a [`Source`].
#[derive(Debug)]
pub struct TestDesktop {
    size: Size,
    frozen: bool,
    stats: Arc<SourceStats>,
}

impl TestDesktop {
    /// A desktop of this size, brought between [`MIN_SIZE`] and [`MAX_SIZE`]; `frozen` starts it
    /// as [`ToSource::Freeze`] would leave it.
    pub fn new(size: Size, frozen: bool) -> Self {
        Self { size: clamped(size), frozen, stats: Arc::default() }
    }
}

impl Source for TestDesktop {
    fn size(&self) -> Size {
        self.size
    }

    fn stats(&self) -> Arc<SourceStats> {
        Arc::clone(&self.stats)
    }

    fn run(self: Box<Self>, stage: Box<dyn Stage>, inbox: Inbox) -> anyhow::Result<()> {
        let mut show = Show::new(*self, stage);
        show.publish();
        show.report();
        let mut going = true;
        while going {
            going = show.wait(&inbox);
            show.report();
            if show.viewers > 0 {
                show.publish();
            }
            show.stats.note_cpu();
        }
        Ok(())
    }
}

/// A running desktop.
struct Show {
    desktop: Desktop,
    pool: FramePool,
    stage: Box<dyn Stage>,
    stats: Arc<SourceStats>,
    viewers: usize,
    frozen: bool,
    /// Number of the movie's frame that was shown last.
    frame: u64,
    /// When frame 0 would have been shown; `None` while nothing moves.
    since: Option<Instant>,
    /// What the stage was told last.
    reported: Option<(Pointer, (i32, i32), Leds)>,
}

impl Show {
    fn new(source: TestDesktop, stage: Box<dyn Stage>) -> Self {
        let moment = if source.frozen { Moment::FROZEN } else { Moment { frame: 0, seconds: clock::now() } };
        let mut desktop = Desktop::new(source.size, moment);
        desktop.freeze(source.frozen);
        Self {
            desktop,
            pool: FramePool::new(source.size),
            stage,
            stats: source.stats,
            viewers: 0,
            frozen: source.frozen,
            frame: 0,
            since: None,
            reported: None,
        }
    }

    /// Waits for messages or the next frame's time; `false` when it is time to end.
    fn wait(&mut self, inbox: &Inbox) -> bool {
        let first = match self.since {
            None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(since) => {
                let next = since + frame_time(self.frame + 1);
                inbox.recv_timeout(next.saturating_duration_since(Instant::now()))
            }
        };
        let going = match first {
            Ok(message) => std::iter::once(message).chain(inbox.try_iter().take(BATCH)).all(|m| self.take(m)),
            Err(RecvTimeoutError::Timeout) => true,
            Err(RecvTimeoutError::Disconnected) => false,
        };
        self.advance();
        going
    }

    /// Obeys; `false` when told to quit.
    fn take(&mut self, message: ToSource) -> bool {
        match message {
            ToSource::Input(event) => self.desktop.input(&event),
            ToSource::Resize(size) => {
                let size = clamped(size);
                if size != self.desktop.size() {
                    self.desktop.resize(size);
                }
            }
            ToSource::Viewers(viewers) => {
                self.viewers = viewers;
                self.desktop.set_viewers(viewers);
                self.set_motion();
            }
            ToSource::Freeze(frozen) => {
                self.frozen = frozen;
                self.desktop.freeze(frozen);
                if frozen {
                    self.desktop.show(Moment::FROZEN);
                }
                self.set_motion();
            }
            ToSource::Quit => return false,
        }
        true
    }

    /// Starts or stops the clockwork; the movie goes on where it stopped.
    fn set_motion(&mut self) {
        let moving = self.viewers > 0 && !self.frozen;
        if !moving {
            self.since = None;
        } else if self.since.is_none() {
            let now = Instant::now();
            self.since = Some(now.checked_sub(frame_time(self.frame)).unwrap_or(now));
        }
    }

    /// Shows the frame whose time has come, if any; those that were missed are left out.
    fn advance(&mut self) {
        let Some(since) = self.since else { return };
        let due = frames_in(since.elapsed());
        if due > self.frame {
            self.frame = due;
            self.desktop.show(Moment { frame: due, seconds: clock::now() });
        }
    }

    /// Draws what changed and shows it.
    fn publish(&mut self) {
        if !self.desktop.is_dirty() {
            return;
        }
        let size = self.desktop.size();
        if self.pool.size() != size {
            self.pool = FramePool::new(size);
        }
        let areas = self.desktop.take_dirty();
        let damage: Vec<Rect> = areas.iter().filter_map(|area| area.to_rect(size)).collect();
        if damage.is_empty() {
            return;
        }
        let frame = self.pool.publish(&damage, |pixels| draw(&self.desktop, pixels, &areas));
        self.stage.publish(frame, &damage);
        self.stats.count_frame();
    }

    /// Tells the stage about pointer and lights, as far as they changed.
    fn report(&mut self) {
        let now = (self.desktop.pointer_shape(), self.desktop.pointer(), self.desktop.leds());
        let before = self.reported.replace(now);
        if before.map(|b| b.0) != Some(now.0) {
            self.stage.cursor(Some(now.0.shape()));
        }
        if before.map(|b| b.1) != Some(now.1) {
            self.stage.pointer(now.1.0, now.1.1);
        }
        if before.map(|b| b.2) != Some(now.2) {
            self.stage.leds(now.2);
        }
    }
}

fn draw(desktop: &Desktop, pixels: &mut [u8], areas: &[Area]) {
    let (pixels, _) = pixels.as_chunks_mut();
    let mut canvas = Canvas::new(pixels, desktop.size());
    areas.iter().for_each(|area| desktop.draw(&mut canvas, *area));
}

fn clamped(size: Size) -> Size {
    Size {
        width: size.width.clamp(MIN_SIZE.width, MAX_SIZE.width),
        height: size.height.clamp(MIN_SIZE.height, MAX_SIZE.height),
    }
}

/// When a frame is shown, from frame 0 on.
fn frame_time(frame: u64) -> Duration {
    Duration::from_micros(frame.saturating_mul(1_000_000).div_ceil(u64::from(movie::RATE)))
}

/// The newest frame whose time has come.
fn frames_in(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_micros() * u128::from(movie::RATE) / 1_000_000).unwrap_or(u64::MAX)
}
