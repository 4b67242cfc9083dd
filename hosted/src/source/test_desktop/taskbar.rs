//! [`Taskbar`]: the strip at the bottom: last input, viewers, lock lights, clock.

use super::area::Area;
use super::canvas::{Canvas, Pixel, rgb};
use super::clock;
use super::dirty::Dirty;
use super::text::{BOLD, REGULAR};
use crate::source::{InputEvent, Leds, Size};

pub(super) const HEIGHT: i32 = 34;

const BACKGROUND: Pixel = rgb(0x17141f);
const EDGE: Pixel = rgb(0x3a3346);
const TEXT: Pixel = rgb(0xd7d3e0);
const DIM: Pixel = rgb(0x8a849c);
const ACCENT: Pixel = rgb(0xe0566b);
const LIT: Pixel = rgb(0xffd98a);
const UNLIT: Pixel = rgb(0x3a3346);

/// What the strip says.
pub(super) struct Taskbar {
    size: Size,
    event: String,
    viewers: usize,
    leds: Leds,
    /// What the clock shows, in seconds since 1970.
    seconds: u64,
}

/// Where its parts are.
struct Places {
    bar: Area,
    event: Area,
    viewers: Area,
    leds: [Area; 3],
    clock: Area,
}

impl Taskbar {
    pub(super) fn new(size: Size, seconds: u64) -> Self {
        Self { size, event: "no input yet".to_owned(), viewers: 0, leds: Leds::default(), seconds }
    }

    /// The picture has another size; all of it must be drawn again.
    pub(super) fn resize(&mut self, size: Size) {
        self.size = size;
    }

    pub(super) fn area(size: Size) -> Area {
        let all = Area::of(size);
        Area::between(0, all.bottom() - HEIGHT, all.right(), all.bottom())
    }

    /// An event came; the pointer is there now.
    pub(super) fn set_event(&mut self, event: &InputEvent, pointer: (i32, i32), dirty: &mut Dirty) {
        let event = describe(event, pointer);
        if self.event != event {
            let longer = self.event.chars().count().max(event.chars().count());
            let area = self.places().event;
            let width = i32::try_from(longer).unwrap_or(i32::MAX).saturating_mul(REGULAR.advance());
            dirty.add(Area { w: width, ..area }.intersect(area));
            self.event = event;
        }
    }

    pub(super) fn set_viewers(&mut self, viewers: usize, dirty: &mut Dirty) {
        if self.viewers != viewers {
            self.viewers = viewers;
            dirty.add(self.places().viewers);
        }
    }

    pub(super) fn set_leds(&mut self, leds: Leds, dirty: &mut Dirty) {
        for (area, (before, after)) in self.places().leds.iter().zip(lights(self.leds).iter().zip(lights(leds))) {
            if before.1 != after.1 {
                dirty.add(*area);
            }
        }
        self.leds = leds;
    }

    pub(super) fn set_clock(&mut self, seconds: u64, dirty: &mut Dirty) {
        if self.seconds != seconds {
            self.seconds = seconds;
            dirty.add(self.places().clock);
        }
    }

    pub(super) fn draw(&self, canvas: &mut Canvas<'_>) {
        let places = self.places();
        canvas.fill(places.bar, BACKGROUND);
        canvas.fill(Area { h: 1, ..places.bar }, EDGE);
        let y = text_top(places.bar, REGULAR.line_height());
        canvas.disc((places.bar.x as f32 + 20.0, y as f32 + 8.0), 6.0, ACCENT);
        canvas.disc((places.bar.x as f32 + 22.0, y as f32 + 6.0), 2.0, LIT);
        canvas.text(places.bar.x + 34, y, "Sumac", BOLD, TEXT);
        canvas.clipped(places.event).text(places.event.x, y, &self.event, REGULAR, DIM);
        let viewers = format!("{} viewer{}", self.viewers, if self.viewers == 1 { "" } else { "s" });
        let x = places.viewers.right() - REGULAR.width(&viewers);
        canvas.clipped(places.viewers).text(x, y, &viewers, REGULAR, DIM);
        for (area, (name, on)) in places.leds.iter().zip(lights(self.leds)) {
            let lamp = (area.x as f32 + 8.0, y as f32 + 8.5);
            canvas.disc(lamp, 3.5, if on { LIT } else { UNLIT });
            canvas.text(area.x + 16, y, name, REGULAR, if on { TEXT } else { DIM });
        }
        let now = format!("{}  {} UTC", clock::short_date(self.seconds), clock::time_of_day(self.seconds));
        let x = places.clock.right() - BOLD.width(&now);
        canvas.text(x, y, &now, BOLD, TEXT);
    }

    fn places(&self) -> Places {
        let bar = Self::area(self.size);
        let y = text_top(bar, REGULAR.line_height());
        let mut right = bar.right() - 12;
        let mut from_right = |characters: i32, extra: i32| {
            let w = characters * REGULAR.advance() + extra;
            right -= w + 14;
            Area::new(right + 14, y, w, REGULAR.line_height())
        };
        let clock = from_right(24, 0);
        let [scroll, num, caps] = [from_right(4, 16), from_right(3, 16), from_right(4, 16)];
        let viewers = from_right(12, 0);
        let event = Area::between(bar.x + 92, y, right, y + REGULAR.line_height());
        Places { bar, event, viewers, leds: [caps, num, scroll], clock }
    }
}

fn text_top(bar: Area, height: i32) -> i32 {
    bar.y + 1 + (bar.h - 1 - height) / 2
}

fn lights(leds: Leds) -> [(&'static str, bool); 3] {
    [("Caps", leds.caps), ("Num", leds.num), ("Scrl", leds.scroll)]
}

/// The event in words.
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
