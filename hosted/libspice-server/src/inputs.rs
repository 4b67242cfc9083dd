//! [`Inputs`]: what viewers type and point at, as the application's keyboard and mice take it.

use std::collections::BTreeMap;

use sumac::source::{Button, InputEvent, Leds, Monitor, Size};

use crate::interfaces::sys::{MonConfig, MonitorsConfig};
use crate::interfaces::{Keyboard, Mouse, Tablet};

/// The instances there are, and what is pressed.
#[derive(Clone, Default)]
pub(crate) struct Inputs {
    pub(crate) keyboard: Option<Keyboard>,
    pub(crate) mouse: Option<Mouse>,
    pub(crate) tablet: Option<Tablet>,
    /// As the interface numbers buttons: 1 left, 2 right, 4 middle, 64 side, 128 extra.
    buttons: u32,
    /// What viewers want displays to be like.
    monitors: BTreeMap<u8, Monitor>,
    /// The size that the tablet was told.
    pub(crate) size: Option<Size>,
}

/// A call of the application's, to be made without a lock.
pub(crate) enum Call {
    Scan(Keyboard, Vec<u8>),
    /// Lock keys are pressed until the keyboard's lights are these.
    Leds(Keyboard, Leds),
    Motion(Mouse, i32, i32, i32, u32),
    MouseButtons(Mouse, u32),
    Position(Tablet, u32, u32, u32),
    Wheel(Tablet, i32, u32),
    TabletButtons(Tablet, u32),
}

impl Inputs {
    /// What is to be called for this event.
    pub(crate) fn on_event(&mut self, event: &InputEvent) -> Option<Call> {
        match *event {
            InputEvent::Key { code, extended, down } => {
                let code = if down { code } else { code | 0x80 };
                let bytes = if extended { vec![0xe0, code] } else { vec![code] };
                Some(Call::Scan(self.keyboard?, bytes))
            }
            InputEvent::Leds(leds) => Some(Call::Leds(self.keyboard?, leds)),
            InputEvent::MoveBy { dx, dy } => Some(Call::Motion(self.mouse?, dx, dy, 0, self.buttons)),
            InputEvent::MoveTo { x, y, .. } => Some(Call::Position(self.tablet?, x, y, self.buttons)),
            InputEvent::Button { button, down } => {
                let bit = match button {
                    Button::Left => 1,
                    Button::Right => 2,
                    Button::Middle => 4,
                    Button::Side => 0x40,
                    Button::Extra => 0x80,
                };
                self.buttons = if down { self.buttons | bit } else { self.buttons & !bit };
                match (self.tablet, self.mouse) {
                    (Some(tablet), _) => Some(Call::TabletButtons(tablet, self.buttons)),
                    (None, mouse) => Some(Call::MouseButtons(mouse?, self.buttons)),
                }
            }
            InputEvent::Wheel(notches) => match (self.tablet, self.mouse) {
                (Some(tablet), _) => Some(Call::Wheel(tablet, notches, self.buttons)),
                (None, mouse) => Some(Call::Motion(mouse?, 0, 0, notches, self.buttons)),
            },
        }
    }

    /// A viewer wants a display to be like this; what devices are told, by their numbers.
    pub(crate) fn on_resize(&mut self, display: u8, monitor: Monitor) -> MonitorsConfig {
        self.monitors.insert(display, monitor);
        let mut monitors = [MonConfig::default(); 16];
        for (place, wish) in self.monitors.iter().map(|(n, wish)| (usize::from(*n), wish)) {
            if let Some(monitor) = monitors.get_mut(place) {
                let (width, height) = (wish.size.width, wish.size.height);
                *monitor = MonConfig { height, width, depth: 32, x: wish.place.0, y: wish.place.1 };
            }
        }
        let last = self.monitors.keys().filter(|n| usize::from(**n) < monitors.len()).max();
        MonitorsConfig { num_of_monitors: last.map_or(0, |n| u32::from(*n) + 1), flags: 0, monitors }
    }
}

impl Call {
    /// Calls the application, on its main loop.
    pub(crate) fn make(self) {
        match self {
            Self::Scan(keyboard, bytes) => bytes.into_iter().for_each(|byte| keyboard.push_scan(byte)),
            Self::Leds(keyboard, wanted) => {
                let now = keyboard.leds();
                for (bit, key, wanted) in [(1, 0x46, wanted.scroll), (2, 0x45, wanted.num), (4, 0x3a, wanted.caps)] {
                    if (now & bit != 0) != wanted {
                        keyboard.push_scan(key);
                        keyboard.push_scan(key | 0x80);
                    }
                }
            }
            Self::Motion(mouse, dx, dy, wheel, buttons) => mouse.motion(dx, dy, wheel, buttons),
            Self::MouseButtons(mouse, buttons) => mouse.buttons(buttons),
            Self::Position(tablet, x, y, buttons) => tablet.position(x, y, buttons),
            Self::Wheel(tablet, wheel, buttons) => tablet.wheel(wheel, buttons),
            Self::TabletButtons(tablet, buttons) => tablet.buttons(buttons),
        }
    }
}
