//! [`InputView`]: what is pressed now, so that a stuck key or button can be seen.

use super::area::Area;
use super::canvas::{Canvas, Pixel, rgb};
use super::dirty::Dirty;
use super::keyboard::Keyboard;
use super::text::{BOLD, REGULAR};
use crate::source::{Button, InputEvent};

/// Size of the window's content in pixels.
pub(super) const WIDTH: i32 = 318;
pub(super) const HEIGHT: i32 = 128;

const BACKGROUND: Pixel = rgb(0x262235);
const NAME: Pixel = rgb(0x8a849c);
const VALUE: Pixel = rgb(0xf3eff8);
const BODY: Pixel = rgb(0xd7d3e0);
const SHADE: Pixel = rgb(0xa39db5);
const PRESSED: Pixel = rgb(0xe0566b);

/// Held keys that fit into their line.
const MAX_KEYS: usize = 7;

const LINE: i32 = 24;
const NAMES: [&str; 4] = ["Pointer", "Buttons", "Wheel", "Keys"];

/// The buttons and the words beside them.
pub(super) struct InputView {
    /// Held buttons: left, middle, right, side, extra.
    buttons: [bool; 5],
    /// All notches so far; positive is towards the user.
    wheel: i32,
    values: [String; 4],
}

impl InputView {
    pub(super) fn new() -> Self {
        Self { buttons: [false; 5], wheel: 0, values: Default::default() }
    }

    /// Takes an event that the rest of the desktop has taken already.
    pub(super) fn note(&mut self, event: &InputEvent) {
        match *event {
            InputEvent::Button { button, down } => self.buttons[index(button)] = down,
            InputEvent::Wheel(notches) => self.wheel = self.wheel.wrapping_add(notches),
            _ => {}
        }
    }

    /// Brings the words up to date and marks what changed; `content` is where they are shown.
    pub(super) fn update(&mut self, content: Area, pointer: (i32, i32), keyboard: &Keyboard, dirty: &mut Dirty) {
        const BUTTONS: [&str; 5] = ["left", "middle", "right", "side", "extra"];
        let held: Vec<&str> = BUTTONS.into_iter().zip(self.buttons).filter(|b| b.1).map(|b| b.0).collect();
        let mut keys: Vec<String> = keyboard.held().map(|(code, e0)| key_name(code, e0)).collect();
        if keys.len() > MAX_KEYS {
            keys.truncate(MAX_KEYS - 1);
            keys.push("...".to_owned());
        }
        let or_none = |text: String| if text.is_empty() { "none held".to_owned() } else { text };
        let values = [
            format!("{}, {}", pointer.0, pointer.1),
            or_none(held.join(" ")),
            format!("{:+} notches", self.wheel),
            or_none(keys.join(" ")),
        ];
        for (i, (old, new)) in self.values.iter().zip(&values).enumerate() {
            if old != new {
                dirty.add(value(content, i));
            }
        }
        if self.values[1] != values[1] {
            dirty.add(mouse(content).inset(-2));
        }
        self.values = values;
    }

    pub(super) fn draw(&self, canvas: &mut Canvas<'_>, content: Area) {
        let mut canvas = canvas.clipped(content);
        canvas.fill(content, BACKGROUND);
        self.draw_mouse(&mut canvas, mouse(content));
        for (i, (name, text)) in NAMES.iter().zip(&self.values).enumerate() {
            let place = value(content, i);
            canvas.text(place.x - 9 * REGULAR.advance(), place.y, name, REGULAR, NAME);
            canvas.clipped(place).text(place.x, place.y, text, BOLD, VALUE);
        }
    }

    fn draw_mouse(&self, canvas: &mut Canvas<'_>, body: Area) {
        let [left, middle, right, side, extra] = self.buttons;
        let color = |pressed, idle| if pressed { PRESSED } else { idle };
        canvas.rounded(Area::new(body.x - 2, body.y + 46, 5, 13), 2, color(side, SHADE));
        canvas.rounded(Area::new(body.x - 2, body.y + 30, 5, 13), 2, color(extra, SHADE));
        canvas.rounded(body, body.w / 2 - 1, BODY);
        // The buttons are the upper part of the body, in the same outline.
        let middle_x = body.x + body.w / 2;
        for (from, to, pressed) in [(body.x, middle_x, left), (middle_x, body.right(), right)] {
            if pressed {
                let half = Area::between(from, body.y, to, body.y + 40);
                canvas.clipped(half).rounded(body, body.w / 2 - 1, PRESSED);
            }
        }
        canvas.fill(Area::new(body.x, body.y + 40, body.w, 1), SHADE);
        canvas.fill(Area::new(middle_x, body.y, 1, 40), SHADE);
        canvas.rounded(Area::new(middle_x - 4, body.y + 11, 9, 20), 4, BACKGROUND);
        canvas.rounded(Area::new(middle_x - 3, body.y + 12, 7, 18), 3, color(middle, SHADE));
    }
}

fn index(button: Button) -> usize {
    match button {
        Button::Left => 0,
        Button::Middle => 1,
        Button::Right => 2,
        Button::Side => 3,
        Button::Extra => 4,
    }
}

fn mouse(content: Area) -> Area {
    Area::new(content.x + 18, content.y + 16, 60, 96)
}

/// Where the value of a line is written.
fn value(content: Area, line: usize) -> Area {
    let x = content.x + 100 + 9 * REGULAR.advance();
    let y = content.y + 18 + LINE * i32::try_from(line).unwrap_or(0);
    Area::between(x, y, content.right() - 4, y + REGULAR.line_height())
}

/// The modifiers by name, everything else by its code.
fn key_name(code: u8, extended: bool) -> String {
    match (code, extended) {
        (0x2a | 0x36, false) => "Shift".to_owned(),
        (0x1d, _) => "Ctrl".to_owned(),
        (0x38, false) => "Alt".to_owned(),
        (0x38, true) => "AltGr".to_owned(),
        (_, true) => format!("e0{code:02x}"),
        (_, false) => format!("{code:02x}"),
    }
}
