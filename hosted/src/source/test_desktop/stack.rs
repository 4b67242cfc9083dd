//! [`Stack`]: the windows, one above the other.

use super::area::Area;
use super::dirty::Dirty;
use super::layout;
use super::taskbar::Taskbar;
use super::window::{App, TITLE, Window};
use crate::source::Size;

/// The window of every program; the highest hides the others.
pub(super) struct Stack {
    /// From the lowest to the highest.
    windows: Vec<Window>,
    taskbar: Area,
}

impl Stack {
    /// The windows where a screen of this size has them at first.
    pub(super) fn new(size: Size) -> Self {
        Self { windows: layout::windows(size), taskbar: Taskbar::area(size) }
    }

    /// Where a program draws.
    pub(super) fn content(&self, app: App) -> Area {
        self.windows.iter().find(|window| window.app == app).map(Window::content).unwrap_or_default()
    }

    /// The highest window there; none where the taskbar is, which is above all.
    pub(super) fn at(&self, x: i32, y: i32) -> Option<&Window> {
        let free = !self.taskbar.contains(x, y);
        self.windows.iter().rev().find(|window| free && window.frame.contains(x, y))
    }

    /// The windows that must be drawn for a part of the screen, from the lowest to the highest, and
    /// whether the wallpaper must be, too: not when a window's program covers all of the part.
    pub(super) fn seen_in(&self, part: Area) -> (&[Window], bool) {
        let lowest = self.windows.iter().rposition(|window| window.content().holds(part));
        (&self.windows[lowest.unwrap_or(0)..], lowest.is_none())
    }

    /// Puts a window above all others.
    pub(super) fn raise(&mut self, app: App, dirty: &mut Dirty) {
        let Some(top) = self.windows.last().filter(|top| top.app != app) else { return };
        // It is drawn as inactive from now on.
        dirty.add(top.extent());
        if let Some(at) = self.windows.iter().position(|window| window.app == app) {
            let window = self.windows.remove(at);
            dirty.add(window.extent());
            self.windows.push(window);
        }
    }

    /// Moves a window; its title bar stays above the taskbar, where it can be taken again.
    pub(super) fn place(&mut self, app: App, x: i32, y: i32, dirty: &mut Dirty) {
        let Some(window) = self.windows.iter_mut().find(|window| window.app == app) else { return };
        let before = window.extent();
        (window.frame.x, window.frame.y) = (x, y.clamp(0, (self.taskbar.y - TITLE).max(0)));
        if before != window.extent() {
            dirty.add(before);
            dirty.add(window.extent());
        }
    }
}
