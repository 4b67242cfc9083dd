//! What the plan makes of the desktop: real text, windows and a movie, on a virtual clock.

use std::time::Duration;

use sumac_backends::{Frame, Layout};

use super::area::Area;
use super::canvas::{Canvas, Pixel, rgb};
use super::desktop::{Desktop, Moment};
use super::movie;
use crate::config::StreamingVideo;
use crate::plan::{Region, VideoPlan, find_scroll, tighten};
use crate::source::{Button, InputEvent, Rect, Size};

const SIZE: Size = Size { width: 1024, height: 640 };
const SECOND: u64 = movie::RATE as u64;

/// A desktop with a plan that watches it.
struct Watched {
    desktop: Desktop,
    pixels: Vec<Pixel>,
    frame: Frame,
    plan: VideoPlan,
    /// Frame numbers at which streams began, and where.
    started: Vec<(u64, Rect)>,
    moved: usize,
    ended: usize,
    /// Damage of the last frame, and how many frames were mostly a scroll.
    damage: Region,
    scrolls: usize,
}

impl Watched {
    fn new() -> Self {
        let desktop = Desktop::new(SIZE, Moment::FROZEN);
        let pixels = vec![rgb(0); (SIZE.width * SIZE.height) as usize];
        let mut watched = Self {
            frame: frame(&pixels),
            desktop,
            pixels,
            plan: VideoPlan::new(StreamingVideo::Filter, SIZE),
            started: Vec::new(),
            moved: 0,
            ended: 0,
            damage: Region::new(),
            scrolls: 0,
        };
        watched.next(0, 0);
        watched
    }

    /// Draws the frame `n` with this picture of the movie and shows it to the plan.
    fn next(&mut self, n: u64, movie: u64) {
        self.desktop.show(Moment { frame: movie, seconds: n / SECOND });
        let parts = self.desktop.take_dirty();
        for part in &parts {
            self.desktop.draw(&mut Canvas::new(&mut self.pixels, SIZE), *part);
        }
        let damage: Region = parts.into_iter().filter_map(|part: Area| part.to_rect(SIZE)).collect();
        let after = frame(&self.pixels);
        self.damage = tighten(&self.frame, &after, &damage);
        let scroll = find_scroll(&self.frame, &after, &self.plan.split(&self.damage).0);
        self.scrolls += usize::from(scroll.is_some());
        let now = Duration::from_secs(n) / movie::RATE;
        for changes in [self.plan.on_time(now), self.plan.on_damage(now, &self.damage, &after)] {
            self.started.extend(changes.started.iter().map(|s| (n, s.rect)));
            self.moved += changes.moved.len();
            self.ended += changes.ended.len();
        }
        self.frame = after;
    }

    fn press_key(&mut self, code: u8) {
        for down in [true, false] {
            self.desktop.input(&InputEvent::Key { code, extended: false, down });
        }
    }

    fn point_at(&mut self, x: u32, y: u32) {
        self.desktop.input(&InputEvent::MoveTo { display: 0, x, y });
    }

    fn left(&mut self, down: bool) {
        self.desktop.input(&InputEvent::Button { button: Button::Left, down });
    }

    /// Types `help` and Enter again and again, a key a frame.
    fn type_on(&mut self, n: u64) {
        let keys = [0x23, 0x12, 0x26, 0x19, 0x1c];
        self.press_key(keys[n as usize % keys.len()]);
    }
}

fn frame(pixels: &[Pixel]) -> Frame {
    let layout = Layout { width: SIZE.width, height: SIZE.height, stride: SIZE.width * 4 };
    Frame::from_memory(layout, pixels.as_flattened().to_vec()).unwrap()
}

/// A point in the terminal, which is at the upper left.
const TERMINAL: (u32, u32) = (300, 250);

#[test]
fn the_movie_is_one_stream_of_its_exact_size_and_what_is_typed_is_none() {
    let mut watched = Watched::new();
    for n in 1..2 * SECOND {
        watched.type_on(n);
        watched.next(n, n);
    }
    let [(start, rect)] = watched.started[..] else { panic!("{:?}", watched.started) };
    assert_eq!((rect.width, rect.height), (movie::WIDTH as u32, movie::HEIGHT as u32));
    assert!((3..=8).contains(&start), "began with frame {start}");
    assert_eq!((watched.moved, watched.ended), (0, 0));
    let (lossless, streams) = watched.plan.split(&watched.damage);
    assert_eq!(streams, [0]);
    assert!(!lossless.is_empty() && !lossless.intersects(rect));
}

#[test]
fn a_terminal_that_scrolls_is_copied_and_not_streamed() {
    let mut watched = Watched::new();
    watched.point_at(TERMINAL.0, TERMINAL.1);
    for n in 1..2 * SECOND {
        watched.type_on(n);
        watched.next(n, 0);
    }
    let before = watched.scrolls;
    for n in 2 * SECOND..4 * SECOND {
        // Up for a while, then down again.
        watched.desktop.input(&InputEvent::Wheel(if n / 10 % 2 == 0 { -1 } else { 1 }));
        watched.next(n, 0);
    }
    assert_eq!(watched.started, []);
    assert!(watched.scrolls - before > 40, "{} scrolls in 60 frames", watched.scrolls - before);
}

#[test]
fn windows_can_be_dragged_without_video() {
    let mut watched = Watched::new();
    for n in 1..SECOND {
        watched.type_on(n);
        watched.next(n, 0);
    }
    // The title bar of the terminal.
    watched.point_at(TERMINAL.0, 60);
    watched.left(true);
    for n in SECOND..3 * SECOND {
        watched.point_at(TERMINAL.0 + (n - SECOND) as u32 * 4, 60 + n as u32 % 40 * 2);
        watched.next(n, 0);
        assert!(!watched.damage.is_empty(), "it was taken by its title bar");
    }
    assert_eq!(watched.started, []);
}
