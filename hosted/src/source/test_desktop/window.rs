//! [`Window`]: a frame with a title around a program's picture.

use super::area::Area;
use super::canvas::{Canvas, Pixel, rgb};
use super::text::BOLD;

/// Height of the title bar.
pub(super) const TITLE: i32 = 28;

/// How far the shadow reaches.
pub(super) const SHADOW: i32 = 22;

/// How far below the window its shadow is.
const DROP: i32 = 4;

const RADIUS: i32 = 9;
const BORDER: i32 = 1;

/// The programs of the desktop; each has one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum App {
    Terminal,
    Paint,
    Movie,
    Inputs,
}

/// A window's program and place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) app: App,
    /// All of it without the shadow.
    pub(super) frame: Area,
}

impl Window {
    /// Where the program draws.
    pub(super) fn content(&self) -> Area {
        let f = self.frame;
        Area::between(f.x + BORDER, f.y + TITLE, f.right() - BORDER, f.bottom() - BORDER)
    }

    /// The frame that a content of this size needs.
    pub(super) fn around(x: i32, y: i32, content_w: i32, content_h: i32) -> Area {
        Area::new(x, y, content_w + 2 * BORDER, content_h + TITLE + BORDER)
    }

    /// Where the window can be taken to move it.
    pub(super) fn title_bar(&self) -> Area {
        Area { h: TITLE, ..self.frame }
    }

    /// Everything that it draws on, with the shadow.
    pub(super) fn extent(&self) -> Area {
        self.frame.inset(-SHADOW)
    }

    /// Draws everything but the content.
    pub(super) fn draw_frame(&self, canvas: &mut Canvas<'_>, active: bool) {
        let (name, dot) = match self.app {
            App::Terminal => ("Terminal", rgb(0x8fbf6a)),
            App::Paint => ("Paint", rgb(0xe8b75d)),
            App::Inputs => ("Inputs", rgb(0xe0566b)),
            App::Movie => ("Moving picture", rgb(0x6c9ee8)),
        };
        let (top, bottom, text): (Pixel, Pixel, Pixel) = if active {
            (rgb(0x4a4259), rgb(0x37314a), rgb(0xf3eff8))
        } else {
            (rgb(0x35304a), rgb(0x2b273c), rgb(0xa39db5))
        };
        let below_title = Area::between(self.frame.x, self.frame.y + RADIUS, self.frame.right(), self.frame.bottom());
        let strength = if active { 160 } else { 110 };
        canvas.shadow(self.frame.offset(0, DROP), below_title, SHADOW - DROP, strength);
        // Only the upper corners are round.
        let higher = Area { h: self.frame.h + RADIUS, ..self.frame };
        canvas.clipped(self.frame).rounded(higher, RADIUS, rgb(0x15121d));
        let title = self.title_bar();
        let inside = Area::between(title.x + BORDER, title.y + BORDER, title.right() - BORDER, title.bottom() + RADIUS);
        let mut bar = canvas.clipped(Area { h: TITLE, ..title });
        bar.rounded(inside, RADIUS - BORDER, top);
        bar.gradient(Area::between(inside.x, title.y + RADIUS, inside.right(), title.bottom()), top, bottom);
        bar.disc((title.x as f32 + 17.0, title.y as f32 + TITLE as f32 / 2.0), 4.5, dot);
        bar.text(title.x + 30, title.y + (TITLE - BOLD.line_height()) / 2, name, BOLD, text);
    }
}
