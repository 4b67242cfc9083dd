//! [`Desktop`]: all that is on the screen, and what input does to it. It knows no threads and no
//! clock: time is told to it, and it tells what must be drawn again.

use super::area::Area;
use super::canvas::Canvas;
use super::clock;
use super::cursor::Pointer;
use super::dirty::Dirty;
use super::inputs::InputView;
use super::keyboard::Keyboard;
use super::layout;
use super::movie::{self, Movie};
use super::paint::Paint;
use super::shell::Shell;
use super::stack::Stack;
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
    windows: Stack,
    taskbar: Taskbar,
    shell: Shell,
    paint: Paint,
    movie: Movie,
    inputs: InputView,
    keyboard: Keyboard,
    pointer: (i32, i32),
    /// The window that follows the pointer, and the pointer's place in it.
    dragged: Option<(App, i32, i32)>,
}

impl Desktop {
    /// A desktop of which nothing has been drawn yet.
    pub(super) fn new(size: Size, moment: Moment) -> Self {
        let windows = Stack::new(size);
        let content = |app| windows.content(app);
        let mut desktop = Self {
            size,
            dirty: Dirty::default(),
            wallpaper: Wallpaper::new(size),
            taskbar: Taskbar::new(size, moment.seconds),
            shell: Shell::new(content(App::Terminal), layout::terminal_face(size), size),
            paint: Paint::new(content(App::Paint)),
            movie: Movie::new(),
            inputs: InputView::new(),
            keyboard: Keyboard::default(),
            pointer: (0, 0),
            dragged: None,
            windows,
        };
        desktop.dirty.add(Area::of(size));
        desktop.pointer = desktop.inside(Area::of(size).right() / 2, Area::of(size).bottom() / 2);
        desktop.show(moment);
        desktop.update_inputs();
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
        match self.windows.at(x, y) {
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
        self.windows = Stack::new(size);
        self.taskbar.resize(size);
        self.shell.resize(self.content(App::Terminal), layout::terminal_face(size), size);
        self.paint.resize(self.content(App::Paint));
        self.dragged = None;
        self.pointer = self.inside(self.pointer.0, self.pointer.1);
        self.update_inputs();
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
            InputEvent::MoveTo { x, y, .. } => {
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
                if self.windows.at(x, y).is_some_and(|window| window.app == App::Terminal) {
                    self.shell.wheel(notches);
                    self.update_shell();
                }
            }
            InputEvent::Leds(leds) => self.keyboard.set_leds(leds),
        }
        self.inputs.note(event);
        self.update_inputs();
        self.taskbar.set_leds(self.keyboard.leds(), &mut self.dirty);
        self.taskbar.set_event(event, self.pointer, &mut self.dirty);
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
        let (windows, wallpaper) = self.windows.seen_in(part);
        if wallpaper {
            self.wallpaper.draw(&mut canvas);
        }
        for (i, window) in windows.iter().enumerate() {
            if canvas.clip().intersect(window.extent()).is_empty() {
                continue;
            }
            let content = window.content();
            if !content.holds(part) {
                window.draw_frame(&mut canvas, i + 1 == windows.len());
            }
            match window.app {
                App::Terminal => self.shell.draw(&mut canvas, content),
                App::Paint => self.paint.draw(&mut canvas, content),
                App::Inputs => self.inputs.draw(&mut canvas, content),
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
            self.windows.place(app, x - dx, y - dy, &mut self.dirty);
        } else {
            self.paint.draw_to(self.content(App::Paint), x, y, &mut self.dirty);
        }
    }

    fn press(&mut self) {
        let (x, y) = self.pointer;
        let Some(window) = self.windows.at(x, y).copied() else {
            return;
        };
        self.windows.raise(window.app, &mut self.dirty);
        if window.title_bar().contains(x, y) {
            self.dragged = Some((window.app, x - window.frame.x, y - window.frame.y));
        } else if window.app == App::Paint {
            self.paint.press(window.content(), x, y, &mut self.dirty);
        }
    }

    fn content(&self, app: App) -> Area {
        self.windows.content(app)
    }

    fn update_shell(&mut self) {
        let content = self.content(App::Terminal);
        self.shell.update(content, &mut self.dirty);
    }

    fn update_inputs(&mut self) {
        let content = self.content(App::Inputs);
        self.inputs.update(content, self.pointer, &self.keyboard, &mut self.dirty);
    }

    /// The nearest point on the screen.
    fn inside(&self, x: i32, y: i32) -> (i32, i32) {
        let all = Area::of(self.size);
        (x.clamp(0, (all.w - 1).max(0)), y.clamp(0, (all.h - 1).max(0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::ToSource;
    use crate::source::conformance::storm;
    use crate::source::test_desktop::canvas::{Pixel, rgb};

    const SIZE: Size = Size { width: 1280, height: 720 };

    fn frozen(size: Size) -> Desktop {
        let mut desktop = Desktop::new(size, Moment::FROZEN);
        desktop.freeze(true);
        desktop.take_dirty();
        desktop
    }

    fn drawn(desktop: &Desktop) -> Vec<Pixel> {
        let size = desktop.size();
        let mut pixels = vec![rgb(0xff00ff); size.width as usize * size.height as usize];
        desktop.draw(&mut Canvas::new(&mut pixels, size), Area::of(size));
        pixels
    }

    fn click(desktop: &mut Desktop, x: i32, y: i32) {
        move_to(desktop, x, y);
        left(desktop, true);
        left(desktop, false);
    }

    fn move_to(desktop: &mut Desktop, x: i32, y: i32) {
        desktop.input(&InputEvent::MoveTo { display: 0, x: x.unsigned_abs(), y: y.unsigned_abs() });
    }

    fn left(desktop: &mut Desktop, down: bool) {
        desktop.input(&InputEvent::Button { button: Button::Left, down });
    }

    fn press_key(desktop: &mut Desktop, code: u8) {
        for down in [true, false] {
            desktop.input(&InputEvent::Key { code, extended: false, down });
        }
    }

    /// A point in the middle of a program's content.
    fn middle(desktop: &Desktop, app: App) -> (i32, i32) {
        let content = desktop.content(app);
        (content.x + content.w / 2, content.y + content.h / 2)
    }

    #[test]
    fn every_pixel_is_drawn_at_any_size_without_panic() {
        for (width, height) in [(0, 0), (1, 1), (37, 5), (5, 300), (320, 200), (8192, 20), (20, 8192), (1024, 768)] {
            let desktop = frozen(Size { width, height });
            assert!(drawn(&desktop).iter().all(|p| *p != rgb(0xff00ff) && p[3] == 0), "{width}x{height}");
        }
    }

    #[test]
    fn the_same_input_gives_the_same_pixels_and_dirty_parts_are_enough() {
        let messages = storm(99, 300);
        let run = || {
            let mut desktop = frozen(Size { width: 640, height: 480 });
            let mut pixels = drawn(&desktop);
            for message in &messages {
                match message {
                    ToSource::Input(event) => desktop.input(event),
                    ToSource::Viewers(viewers) => desktop.set_viewers(*viewers),
                    _ => continue,
                }
                let size = desktop.size();
                for part in desktop.take_dirty() {
                    desktop.draw(&mut Canvas::new(&mut pixels, size), part);
                }
            }
            assert!(pixels == drawn(&desktop), "drawing the dirty parts gives another picture than drawing all");
            pixels
        };
        assert!(run() == run());
    }

    #[test]
    fn the_pointer_has_a_shape_for_each_region() {
        let mut desktop = frozen(SIZE);
        let (sheet, terminal) = (middle(&desktop, App::Paint), middle(&desktop, App::Terminal));
        let paint = desktop.content(App::Paint);
        for ((x, y), shape) in [
            (sheet, Pointer::Cross),
            (terminal, Pointer::Text),
            ((paint.x + 12, paint.y + 14), Pointer::Hand),
            ((paint.x + 3, paint.bottom() - 3), Pointer::Arrow),
            ((terminal.0, desktop.content(App::Terminal).y - 5), Pointer::Arrow),
            ((2, 2), Pointer::Arrow),
            ((600, 710), Pointer::Arrow),
        ] {
            move_to(&mut desktop, x, y);
            assert_eq!(desktop.pointer_shape(), shape, "at {x}, {y}");
        }
    }

    #[test]
    fn windows_are_raised_and_dragged_and_stay_within_reach() {
        let mut desktop = frozen(SIZE);
        let title = |desktop: &Desktop| {
            let movie = desktop.content(App::Movie);
            (movie.x + 40, movie.y - 10)
        };
        let before = desktop.content(App::Movie);
        let (x, y) = title(&desktop);
        move_to(&mut desktop, x, y);
        left(&mut desktop, true);
        assert_eq!(desktop.windows.at(x, y).map(|window| window.app), Some(App::Movie));
        move_to(&mut desktop, x - 100, y + 70);
        assert_eq!(desktop.content(App::Movie), before.offset(-100, 70));
        for (x, y) in [(0, 0), (5000, 0), (0, 5000), (5000, 5000)] {
            move_to(&mut desktop, x, y);
            let (x, y) = title(&desktop);
            assert!(Area::new(-1, -1, 1282, 688).contains(x, y), "the title is at {x}, {y}");
        }
        left(&mut desktop, false);
        let there = desktop.content(App::Movie);
        move_to(&mut desktop, 100, 100);
        assert_eq!(desktop.content(App::Movie), there);
    }

    #[test]
    fn the_relative_mouse_moves_a_pointer_of_its_own() {
        let mut desktop = frozen(SIZE);
        assert_eq!(desktop.pointer(), (640, 360));
        desktop.input(&InputEvent::MoveBy { dx: -40, dy: 15 });
        assert_eq!(desktop.pointer(), (600, 375));
        desktop.input(&InputEvent::MoveBy { dx: i32::MAX, dy: i32::MIN });
        assert_eq!(desktop.pointer(), (1279, 0));
        desktop.resize(Size { width: 400, height: 300 });
        assert_eq!(desktop.pointer(), (399, 0));
    }

    #[test]
    fn lock_lights_follow_their_keys_and_the_viewer() {
        let mut desktop = frozen(SIZE);
        press_key(&mut desktop, 0x3a);
        assert_eq!(desktop.leds(), Leds { caps: true, ..Leds::default() });
        let bar = Taskbar::area(SIZE);
        assert!(desktop.take_dirty().iter().any(|area| bar.holds(*area)));
        let wished = Leds { num: true, scroll: true, caps: false };
        desktop.input(&InputEvent::Leds(wished));
        assert_eq!(desktop.leds(), wished);
    }

    #[test]
    fn typing_is_seen_wherever_the_pointer_is_and_the_wheel_needs_the_terminal() {
        let mut desktop = frozen(SIZE);
        let (x, y) = middle(&desktop, App::Paint);
        click(&mut desktop, x, y);
        let terminal = desktop.content(App::Terminal);
        let in_terminal = |desktop: &mut Desktop| desktop.take_dirty().iter().any(|area| terminal.holds(*area));
        in_terminal(&mut desktop);
        press_key(&mut desktop, 0x1e);
        assert!(in_terminal(&mut desktop));
        for _ in 0..60 {
            press_key(&mut desktop, 0x1c);
        }
        in_terminal(&mut desktop);
        desktop.input(&InputEvent::Wheel(-1));
        assert!(!in_terminal(&mut desktop));
        let (x, y) = middle(&desktop, App::Terminal);
        move_to(&mut desktop, x, y);
        in_terminal(&mut desktop);
        desktop.input(&InputEvent::Wheel(-1));
        assert!(in_terminal(&mut desktop));
    }
}
