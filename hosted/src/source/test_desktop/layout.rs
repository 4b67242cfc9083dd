//! Where the windows are on a screen of a given size.

use super::area::Area;
use super::inputs;
use super::movie;
use super::taskbar::Taskbar;
use super::text::{Face, LARGE, REGULAR};
use super::window::{App, Window};
use crate::source::Size;

/// From this width on the terminal's text is larger.
const LARGE_FROM: u32 = 1600;

/// The windows from the lowest to the highest.
pub(super) fn windows(size: Size) -> Vec<Window> {
    let all = Area::of(size);
    let work = Area::between(0, 0, all.w, Taskbar::area(size).y);
    let gap = (all.w / 28).clamp(10, 64);
    let movie = Window::around(0, 0, movie::WIDTH, movie::HEIGHT);
    let inputs = Window::around(0, 0, inputs::WIDTH, inputs::HEIGHT);
    let (terminal_w, terminal_h) = ((all.w * 53 / 100).clamp(280, 1100), (work.h * 66 / 100).clamp(180, 760));
    let (paint_w, paint_h) = ((all.w * 37 / 100).clamp(220, 720), (work.h * 45 / 100).clamp(170, 520));
    let place = |app, x, y, w, h| Window { app, frame: Area::new(x, y, w, h) };
    vec![
        place(App::Movie, work.right() - movie.w - gap, gap * 3 / 4, movie.w, movie.h),
        place(App::Paint, work.right() - paint_w - gap / 2, work.bottom() - paint_h - gap / 2, paint_w, paint_h),
        place(App::Inputs, gap * 2, work.bottom() - inputs.h - gap / 2, inputs.w, inputs.h),
        place(App::Terminal, gap, gap, terminal_w, terminal_h),
    ]
}

/// The terminal's text on a screen of this size.
pub(super) fn terminal_face(size: Size) -> Face {
    if size.width >= LARGE_FROM { LARGE } else { REGULAR }
}
