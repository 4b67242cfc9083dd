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

use anyhow::Context;

use self::area::Area;
use self::canvas::Canvas;
use self::cursor::Pointer;
use self::desktop::{Desktop, Moment};
use super::pool::FramePool;
use super::schedule::Schedule;
use super::screen::Screen;
use super::{Host, Inbox, Leds, Monitor, Rect, Size, Source, SourceStats, ToSource};
use crate::config::DmabufMemory;

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
#[cfg(test)]
mod plan_tests;
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
    dmabufs: Option<DmabufMemory>,
    stats: Arc<SourceStats>,
}

impl TestDesktop {
    /// A desktop of this size, brought between [`MIN_SIZE`] and [`MAX_SIZE`]; `frozen` starts it
    /// as [`ToSource::Freeze`] would leave it.
    pub fn new(size: Size, frozen: bool) -> Self {
        Self { size: clamped(size), frozen, dmabufs: None, stats: Arc::default() }
    }

    /// Shows its pictures as scanouts in dmabufs, if `memory` says of what kind.
    pub fn in_dmabufs(self, memory: Option<DmabufMemory>) -> Self {
        Self { dmabufs: memory, ..self }
    }
}

impl Source for TestDesktop {
    fn stats(&self) -> Arc<SourceStats> {
        Arc::clone(&self.stats)
    }

    fn run(self: Box<Self>, host: Arc<dyn Host>, inbox: Inbox) -> anyhow::Result<()> {
        let stage = host.display(0).context("there is a display 0 already")?;
        let screen = Screen::new(stage, Arc::clone(&self.stats), self.dmabufs)?;
        let mut show = Show::new(*self, host, screen);
        show.publish()?;
        show.report();
        let mut going = true;
        while going {
            going = show.wait(&inbox);
            show.report();
            if show.viewers > 0 {
                show.publish()?;
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
    host: Arc<dyn Host>,
    screen: Screen,
    stats: Arc<SourceStats>,
    viewers: usize,
    frozen: bool,
    /// Of the moving parts.
    schedule: Schedule,
    /// What host and stage were told last.
    reported: Option<(Pointer, (i32, i32), Leds)>,
}

impl Show {
    fn new(source: TestDesktop, host: Arc<dyn Host>, screen: Screen) -> Self {
        let moment = if source.frozen { Moment::FROZEN } else { Moment { frame: 0, seconds: clock::now() } };
        let mut desktop = Desktop::new(source.size, moment);
        desktop.freeze(source.frozen);
        Self {
            desktop,
            pool: FramePool::new(source.size),
            host,
            screen,
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
            ToSource::Resize { monitor: Monitor { size, .. }, .. } => {
                let size = clamped(size);
                if size != self.desktop.size() {
                    self.desktop.resize(size);
                }
            }
            ToSource::Viewers(viewers) => {
                self.viewers = viewers;
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

    /// Starts or stops the moving parts; they go on where they stopped. The number of viewers is
    /// one of them: who looks at a frozen desktop sees the picture that was there before.
    fn set_motion(&mut self) {
        if !self.frozen {
            self.desktop.set_viewers(self.viewers);
        }
        self.schedule.set_running(self.viewers > 0 && !self.frozen, Instant::now());
    }

    /// Draws what changed and shows it.
    fn publish(&mut self) -> anyhow::Result<()> {
        if !self.desktop.is_dirty() {
            return Ok(());
        }
        let size = self.desktop.size();
        if self.pool.size() != size {
            self.pool = FramePool::new(size);
        }
        let areas = self.desktop.take_dirty();
        let damage: Vec<Rect> = areas.iter().filter_map(|area| area.to_rect(size)).collect();
        if damage.is_empty() {
            return Ok(());
        }
        let frame = self.pool.publish(&damage, |pixels| draw(&self.desktop, pixels, &areas));
        self.screen.show(frame, &damage)
    }

    /// Tells host and stage about pointer and lights, as far as they changed.
    fn report(&mut self) {
        let now = (self.desktop.pointer_shape(), self.desktop.pointer(), self.desktop.leds());
        let before = self.reported.replace(now);
        if before.map(|b| b.0) != Some(now.0) {
            self.screen.stage().cursor(Some(now.0.shape()));
        }
        if before.map(|b| b.1) != Some(now.1) {
            self.screen.stage().pointer(now.1.0, now.1.1);
        }
        if before.map(|b| b.2) != Some(now.2) {
            self.host.leds(now.2);
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
    use std::sync::mpsc::channel;

    use sumac_backends::Frame;

    use super::*;
    use crate::source::conformance::{check_source, storm};
    use crate::source::recorder::{Recorder, Told};
    use crate::source::{CursorShape, InputEvent};

    const SIZE: Size = Size { width: 640, height: 480 };

    /// What a frozen desktop tells after its start, for messages that were all sent before.
    fn told(messages: Vec<ToSource>) -> Vec<Told> {
        let (to_source, inbox) = channel();
        messages.into_iter().chain([ToSource::Quit]).for_each(|m| to_source.send(m).unwrap());
        let (host, told) = Recorder::host();
        Box::new(TestDesktop::new(SIZE, true)).run(host, inbox).unwrap();
        told.into_iter().collect()
    }

    fn pictures(told: &[Told]) -> Vec<&Frame> {
        told.iter().filter_map(|t| if let Told::Publish(frame, _) = t { Some(frame) } else { None }).collect()
    }

    fn key(code: u8, down: bool) -> ToSource {
        ToSource::Input(InputEvent::Key { code, extended: false, down })
    }

    #[test]
    fn conforms() {
        check_source(SIZE, &|| Box::new(TestDesktop::new(SIZE, false)));
        check_source(SIZE, &|| Box::new(TestDesktop::new(SIZE, false).in_dmabufs(Some(DmabufMemory::Any))));
        check_source(MIN_SIZE, &|| Box::new(TestDesktop::new(Size { width: 0, height: 0 }, true)));
    }

    #[test]
    fn sizes_are_clamped_and_a_new_size_is_all_damage() {
        let wish = |width, height| {
            vec![ToSource::Viewers(1), ToSource::Resize { display: 0, monitor: Monitor::of(Size { width, height }) }]
        };
        for (wished, (width, height)) in [(wish(0, 0), (320, 200)), (wish(801, 403), (801, 403))] {
            let told = told(wished);
            let Some(Told::Publish(frame, damage)) = told.last() else { panic!("no picture at the end") };
            assert_eq!((frame.layout().width, frame.layout().height), (width, height));
            assert_eq!(*damage, [Size { width, height }.bounds()]);
        }
        assert_eq!(clamped(Size { width: u32::MAX, height: 8193 }), MAX_SIZE);
        assert_eq!(pictures(&told(wish(640, 480))).len(), 1, "the size it has");
    }

    #[test]
    fn the_same_input_gives_the_same_picture() {
        let run = || {
            let told =
                told([ToSource::Viewers(1)].into_iter().chain(storm(5, 200)).chain([ToSource::Freeze(true)]).collect());
            pictures(&told).last().map(|frame| frame.pixels().to_vec())
        };
        assert!(run() == run());
    }

    #[test]
    fn pointer_and_lights_are_told_at_the_start_and_when_they_change() {
        let told = told(vec![
            ToSource::Viewers(1),
            ToSource::Input(InputEvent::MoveBy { dx: -600, dy: 5 }),
            key(0x3a, true),
            key(0x3a, false),
        ]);
        let shapes: Vec<&CursorShape> =
            told.iter().filter_map(|t| if let Told::Cursor(shape) = t { shape.as_ref() } else { None }).collect();
        let places: Vec<(i32, i32)> =
            told.iter().filter_map(|t| if let Told::Pointer(x, y) = t { Some((*x, *y)) } else { None }).collect();
        let leds: Vec<Leds> = told.iter().filter_map(|t| if let Told::Leds(l) = t { Some(*l) } else { None }).collect();
        assert_eq!(places, [(320, 240), (0, 245)]);
        assert_eq!(shapes, [&Pointer::Text.shape(), &Pointer::Arrow.shape()]);
        assert_eq!(leds, [Leds::default(), Leds { caps: true, ..Leds::default() }]);
    }

    #[test]
    fn input_is_drawn_in_one_picture_with_small_damage_when_it_comes_at_once() {
        let typed = [key(0x23, true), key(0x23, false), key(0x17, true), key(0x17, false)];
        let told = told([ToSource::Viewers(1)].into_iter().chain(typed).collect());
        let [Told::Publish(first, _), .., Told::Publish(second, damage)] = &told[..] else { panic!("two pictures") };
        assert_ne!(first.pixels(), second.pixels());
        let pixels: u64 = damage.iter().map(|r| u64::from(r.width) * u64::from(r.height)).sum();
        assert!(pixels < 10_000, "{pixels} pixels of damage for two letters: {damage:?}");
    }
}
