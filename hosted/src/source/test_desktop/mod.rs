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
use std::time::Instant;

use self::area::Area;
use self::canvas::Canvas;
use self::cursor::Pointer;
use self::desktop::{Desktop, Moment};
use super::pool::FramePool;
use super::schedule::Schedule;
use super::{Inbox, Leds, Rect, Size, Source, SourceStats, Stage, ToSource};

mod area;
mod canvas;
mod clock;
mod cursor;
mod desktop;
mod dirty;
mod inputs;
mod keyboard;
mod layout;
mod movie;
mod paint;
mod shell;
mod stack;
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
    /// Of the moving parts.
    schedule: Schedule,
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
            schedule: Schedule::new(movie::RATE),
            reported: None,
        }
    }

    /// Waits for messages or the next frame's time; `false` when it is time to end.
    fn wait(&mut self, inbox: &Inbox) -> bool {
        let first = match self.schedule.next() {
            None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(next) => inbox.recv_timeout(next.saturating_duration_since(Instant::now())),
        };
        let going = match first {
            Ok(message) => std::iter::once(message).chain(inbox.try_iter().take(BATCH)).all(|m| self.take(m)),
            Err(RecvTimeoutError::Timeout) => true,
            Err(RecvTimeoutError::Disconnected) => false,
        };
        if let Some(frame) = self.schedule.due(Instant::now()) {
            self.desktop.show(Moment { frame, seconds: clock::now() });
        }
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

    /// Starts or stops the moving parts; they go on where they stopped.
    fn set_motion(&mut self) {
        self.schedule.set_running(self.viewers > 0 && !self.frozen, Instant::now());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::conformance::check_source;

    #[test]
    fn conforms() {
        check_source(&|| Box::new(TestDesktop::new(Size { width: 640, height: 480 }, false)));
        check_source(&|| Box::new(TestDesktop::new(Size { width: 0, height: 0 }, true)));
    }
}
