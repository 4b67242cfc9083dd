//! [`Desktop`]: all that is on the screen, and what input does to it. It knows no threads and no
//! clock: time is told to it, and it tells what must be drawn again.

use super::area::Area;
use super::canvas::Canvas;
use super::clock;
use super::cursor::Pointer;
use super::dirty::Dirty;
use super::keyboard::Keyboard;
use super::layout;
use super::movie::{self, Movie};
use super::paint::Paint;
use super::shell::Shell;
use super::taskbar::Taskbar;
use super::wallpaper::Wallpaper;
use super::window::{App, Window};
use crate::source::{Button, InputEvent, Leds, Size};

/// Frames of the movie for which the caret stays as it is: half a second.
const BLINK: u64 = movie::RATE as u64 / 2;

/// What the moving parts show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// Number of the movie's frame; the caret follows it too.
    pub(super) frame: u64,
    /// The clock, in seconds since 1970.
    pub(super) seconds: u64,
}

impl Moment {
    /// What a frozen desktop shows, always.
    pub(super) const FROZEN: Self = Self { frame: 0, seconds: clock::FROZEN };
}

/// The desktop.
pub(super) struct Desktop {
    size: Size,
    dirty: Dirty,
    wallpaper: Wallpaper,
    /// From the lowest to the highest.
    windows: Vec<Window>,
    taskbar: Taskbar,
    shell: Shell,
    paint: Paint,
    movie: Movie,
    keyboard: Keyboard,
    pointer: (i32, i32),
    /// The window that follows the pointer, and the pointer's place in it.
    dragged: Option<(App, i32, i32)>,
}

impl Desktop {
    /// A desktop of which nothing has been drawn yet.
    pub(super) fn new(size: Size, moment: Moment) -> Self {
        let windows = layout::windows(size);
        let content = |app| content_of(&windows, app);
        let mut desktop = Self {
            size,
            dirty: Dirty::default(),
            wallpaper: Wallpaper::new(size),
            taskbar: Taskbar::new(size, moment.seconds),
            shell: Shell::new(content(App::Terminal), layout::terminal_face(size), size),
            paint: Paint::new(content(App::Paint)),
            movie: Movie::new(),
            keyboard: Keyboard::default(),
            pointer: (0, 0),
            dragged: None,
            windows,
        };
        desktop.dirty.add(Area::of(size));
        desktop.pointer = desktop.inside(Area::of(size).right() / 2, Area::of(size).bottom() / 2);
        desktop.show(moment);
        desktop
    }

    pub(super) fn size(&self) -> Size {
        self.size
    }

    /// Where the pointer is, in pixels.
    pub(super) fn pointer(&self) -> (i32, i32) {
        self.pointer
    }

    /// The lock lights.
    pub(super) fn leds(&self) -> Leds {
        self.keyboard.leds()
    }

    /// The pointer's shape where it is now.
    pub(super) fn pointer_shape(&self) -> Pointer {
        let (x, y) = self.pointer;
        if self.dragged.is_some() {
            return Pointer::Arrow;
        }
        match self.window_at(x, y) {
            Some(window) if !window.content().contains(x, y) => Pointer::Arrow,
            Some(Window { app: App::Terminal, .. }) => Pointer::Text,
            Some(window) if window.app == App::Paint => Paint::pointer(window.content(), x, y),
            _ => Pointer::Arrow,
        }
    }

    /// Lays everything out anew for another size.
    pub(super) fn resize(&mut self, size: Size) {
        self.size = size;
        self.dirty = Dirty::default();
        self.dirty.add(Area::of(size));
        self.wallpaper = Wallpaper::new(size);
        self.windows = layout::windows(size);
        self.taskbar.resize(size);
        self.shell.resize(self.content(App::Terminal), layout::terminal_face(size), size);
        self.paint.resize(self.content(App::Paint));
        self.dragged = None;
        self.pointer = self.inside(self.pointer.0, self.pointer.1);
    }

    pub(super) fn set_viewers(&mut self, viewers: usize) {
        self.taskbar.set_viewers(viewers, &mut self.dirty);
    }

    /// What `date` answers: the frozen clock, or the machine's.
    pub(super) fn freeze(&mut self, frozen: bool) {
        self.shell.freeze(frozen.then_some(clock::FROZEN));
    }

    /// Shows the moving parts as they are at this moment.
    pub(super) fn show(&mut self, moment: Moment) {
        self.movie.show(moment.frame);
        self.dirty.add(self.content(App::Movie));
        self.taskbar.set_clock(moment.seconds, &mut self.dirty);
        self.shell.set_caret((moment.frame / BLINK).is_multiple_of(2));
        self.update_shell();
    }

    /// Takes a viewer's input.
    pub(super) fn input(&mut self, event: &InputEvent) {
        match *event {
            InputEvent::Key { code, extended, down } => {
                if let Some(stroke) = self.keyboard.key(code, extended, down) {
                    self.shell.stroke(stroke);
                    self.update_shell();
                }
            }
            InputEvent::MoveTo { x, y } => {
                let pixel = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
                self.move_to(pixel(x), pixel(y));
            }
            InputEvent::MoveBy { dx, dy } => {
                self.move_to(self.pointer.0.saturating_add(dx), self.pointer.1.saturating_add(dy));
            }
            InputEvent::Button { button: Button::Left, down: true } => self.press(),
            InputEvent::Button { button: Button::Left, down: false } => {
                self.dragged = None;
                self.paint.release();
            }
            InputEvent::Button { .. } => {}
            InputEvent::Wheel(notches) => {
                let (x, y) = self.pointer;
                if self.window_at(x, y).is_some_and(|window| window.app == App::Terminal) {
                    self.shell.wheel(notches);
                    self.update_shell();
                }
            }
            InputEvent::Leds(leds) => self.keyboard.set_leds(leds),
        }
        self.taskbar.set_leds(self.keyboard.leds(), &mut self.dirty);
        self.taskbar.set_event(describe(event, self.pointer), &mut self.dirty);
    }

    /// Whether anything must be drawn again.
    pub(super) fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Takes the list of what must be drawn again.
    pub(super) fn take_dirty(&mut self) -> Vec<Area> {
        let all = Area::of(self.size);
        self.dirty.take().into_iter().map(|area| area.intersect(all)).filter(|area| !area.is_empty()).collect()
    }

    /// Draws one part of the screen completely.
    pub(super) fn draw(&self, canvas: &mut Canvas<'_>, part: Area) {
        let mut canvas = canvas.clipped(part);
        // Whatever lies below a window that covers all of the part is not seen.
        let lowest = self.windows.iter().rposition(|window| window.content().holds(part));
        if lowest.is_none() {
            self.wallpaper.draw(&mut canvas);
        }
        let top = self.windows.last().map(|window| window.app);
        for window in &self.windows[lowest.unwrap_or(0)..] {
            if canvas.clip().intersect(window.extent()).is_empty() {
                continue;
            }
            let content = window.content();
            if !content.holds(part) {
                window.draw_frame(&mut canvas, Some(window.app) == top);
            }
            match window.app {
                App::Terminal => self.shell.draw(&mut canvas, content),
                App::Paint => self.paint.draw(&mut canvas, content),
                App::Movie => {
                    canvas.clipped(content).blit(content.x, content.y, movie::WIDTH, self.movie.pixels());
                }
            }
        }
        if !canvas.clip().intersect(Taskbar::area(self.size)).is_empty() {
            self.taskbar.draw(&mut canvas);
        }
    }

    fn move_to(&mut self, x: i32, y: i32) {
        let (x, y) = self.inside(x, y);
        self.pointer = (x, y);
        if let Some((app, dx, dy)) = self.dragged {
            self.move_window(app, x - dx, y - dy);
        } else {
            self.paint.draw_to(self.content(App::Paint), x, y, &mut self.dirty);
        }
    }

    fn press(&mut self) {
        let (x, y) = self.pointer;
        let Some(window) = self.window_at(x, y).copied() else {
            return;
        };
        self.raise(window.app);
        if window.title_bar().contains(x, y) {
            self.dragged = Some((window.app, x - window.frame.x, y - window.frame.y));
        } else if window.app == App::Paint {
            self.paint.press(window.content(), x, y, &mut self.dirty);
        }
    }

    fn raise(&mut self, app: App) {
        if self.windows.last().is_some_and(|top| top.app == app) {
            return;
        }
        // The one that was on top is drawn as inactive.
        let changed: Vec<Area> = self.windows.iter().rev().take(1).map(Window::extent).collect();
        if let Some(at) = self.windows.iter().position(|window| window.app == app) {
            let window = self.windows.remove(at);
            self.dirty.add(window.extent());
            self.windows.push(window);
        }
        changed.into_iter().for_each(|area| self.dirty.add(area));
    }

    fn move_window(&mut self, app: App, x: i32, y: i32) {
        let Some(window) = self.windows.iter_mut().find(|window| window.app == app) else {
            return;
        };
        let before = window.extent();
        (window.frame.x, window.frame.y) = (x, y);
        if before != window.extent() {
            self.dirty.add(before.union(window.extent()));
        }
    }

    /// The highest window there.
    fn window_at(&self, x: i32, y: i32) -> Option<&Window> {
        if Taskbar::area(self.size).contains(x, y) {
            return None;
        }
        self.windows.iter().rev().find(|window| window.frame.contains(x, y))
    }

    fn content(&self, app: App) -> Area {
        content_of(&self.windows, app)
    }

    fn update_shell(&mut self) {
        let content = self.content(App::Terminal);
        self.shell.update(content, &mut self.dirty);
    }

    /// The nearest point on the screen.
    fn inside(&self, x: i32, y: i32) -> (i32, i32) {
        let all = Area::of(self.size);
        (x.clamp(0, (all.w - 1).max(0)), y.clamp(0, (all.h - 1).max(0)))
    }
}

fn content_of(windows: &[Window], app: App) -> Area {
    windows.iter().find(|window| window.app == app).map(Window::content).unwrap_or_default()
}

/// The event in words, for the taskbar.
fn describe(event: &InputEvent, pointer: (i32, i32)) -> String {
    let way = |down| if down { "down" } else { "up" };
    match event {
        InputEvent::Key { code, extended, down } => {
            format!("key {}{code:02x} {}", if *extended { "e0 " } else { "" }, way(*down))
        }
        InputEvent::MoveTo { .. } => format!("pointer {}, {}", pointer.0, pointer.1),
        InputEvent::MoveBy { dx, dy } => {
            format!("pointer {}, {} ({dx:+}, {dy:+})", pointer.0, pointer.1)
        }
        InputEvent::Button { button, down } => {
            format!("{button:?} button {} at {}, {}", way(*down), pointer.0, pointer.1)
        }
        InputEvent::Wheel(notches) => format!("wheel {notches:+}"),
        InputEvent::Leds(_) => "lock lights set by a viewer".to_owned(),
    }
}
