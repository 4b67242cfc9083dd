//! [`Keyboard`]: set-1 scancodes to characters of a US keyboard, with its modifiers and locks.

use crate::source::Leds;

/// What a key press means to a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stroke {
    /// A character to type.
    Char(char),
    /// A letter typed with Ctrl held, in lower case.
    Control(char),
    Enter,
    Backspace,
    Delete,
    Escape,
    Tab,
    Left,
    Right,
    Up,
    Down,
    Home,
    End,
    PageUp,
    PageDown,
}

/// The keys that are down and the lock lights.
#[derive(Debug, Default)]
pub(super) struct Keyboard {
    /// One bit a key; the extended ones are the upper 128.
    held: [u128; 2],
    leds: Leds,
}

const CAPS_LOCK: u8 = 0x3a;
const NUM_LOCK: u8 = 0x45;
const SCROLL_LOCK: u8 = 0x46;
const SHIFT: [(u8, bool); 2] = [(0x2a, false), (0x36, false)];
const CONTROL: [(u8, bool); 2] = [(0x1d, false), (0x1d, true)];
const ALT: [(u8, bool); 2] = [(0x38, false), (0x38, true)];

impl Keyboard {
    /// Takes a key's change. A press that repeats a held key types again but locks nothing.
    pub(super) fn key(&mut self, code: u8, extended: bool, down: bool) -> Option<Stroke> {
        let repeats = self.is_held(code, extended);
        let bit = 1_u128 << (code & 0x7f);
        let row = &mut self.held[usize::from(extended)];
        if !down {
            *row &= !bit;
            return None;
        }
        *row |= bit;
        if !extended && !repeats {
            match code {
                CAPS_LOCK => self.leds.caps = !self.leds.caps,
                NUM_LOCK => self.leds.num = !self.leds.num,
                SCROLL_LOCK => self.leds.scroll = !self.leds.scroll,
                _ => {}
            }
        }
        if extended { self.extended(code) } else { self.plain(code) }
    }

    /// The lock lights now.
    pub(super) fn leds(&self) -> Leds {
        self.leds
    }

    /// Sets the lock lights as if their keys had been pressed.
    pub(super) fn set_leds(&mut self, leds: Leds) {
        self.leds = leds;
    }

    /// The keys that are down: code, and whether it is an extended one.
    pub(super) fn held(&self) -> impl Iterator<Item = (u8, bool)> {
        let all = [false, true].into_iter().flat_map(|extended| (0..0x80).map(move |code| (code, extended)));
        all.filter(|&(code, extended)| self.is_held(code, extended))
    }

    fn shift(&self) -> bool {
        self.any(SHIFT)
    }

    fn control(&self) -> bool {
        self.any(CONTROL)
    }

    fn alt(&self) -> bool {
        self.any(ALT)
    }

    fn any(&self, keys: [(u8, bool); 2]) -> bool {
        keys.iter().any(|&(code, extended)| self.is_held(code, extended))
    }

    fn is_held(&self, code: u8, extended: bool) -> bool {
        self.held[usize::from(extended)] >> (code & 0x7f) & 1 != 0
    }

    fn plain(&self, code: u8) -> Option<Stroke> {
        match code {
            0x01 => Some(Stroke::Escape),
            0x0e => Some(Stroke::Backspace),
            0x0f => Some(Stroke::Tab),
            0x1c => Some(Stroke::Enter),
            0x47..=0x53 if code != 0x4a && code != 0x4e => self.keypad(code),
            _ => self.character(code),
        }
    }

    fn character(&self, code: u8) -> Option<Stroke> {
        let pair = CHARACTERS.iter().find(|(first, plain, _)| in_row(*first, plain, code))?;
        let at = usize::from(code - pair.0);
        let (plain, shifted) = (char::from(*pair.1.get(at)?), char::from(*pair.2.get(at)?));
        if self.control() || self.alt() {
            return (self.control() && plain.is_ascii_lowercase()).then_some(Stroke::Control(plain));
        }
        let upper = self.shift() != (self.leds.caps && plain.is_ascii_lowercase());
        Some(Stroke::Char(if upper { shifted } else { plain }))
    }

    /// The numbers with Num Lock (Shift turns it round), else the keys printed below them.
    fn keypad(&self, code: u8) -> Option<Stroke> {
        if self.leds.num != self.shift() {
            return KEYPAD.get(usize::from(code - 0x47)).map(|&c| Stroke::Char(char::from(c)));
        }
        navigation(code)
    }

    fn extended(&self, code: u8) -> Option<Stroke> {
        match code {
            0x1c => Some(Stroke::Enter),
            0x35 => Some(Stroke::Char('/')),
            _ => navigation(code),
        }
    }
}

/// First code of a run of keys, what they type, and what they type with Shift.
type Row = (u8, &'static [u8], &'static [u8]);

const CHARACTERS: &[Row] = &[
    (0x02, b"1234567890-=", b"!@#$%^&*()_+"),
    (0x10, b"qwertyuiop[]", b"QWERTYUIOP{}"),
    (0x1e, b"asdfghjkl;'`", b"ASDFGHJKL:\"~"),
    (0x2b, b"\\zxcvbnm,./", b"|ZXCVBNM<>?"),
    (0x37, b"*", b"*"),
    (0x39, b" ", b" "),
    (0x4a, b"-", b"-"),
    (0x4e, b"+", b"+"),
    (0x56, b"\\", b"|"),
];

/// 0x47 to 0x53 with Num Lock.
const KEYPAD: &[u8; 13] = b"789-456+1230.";

fn in_row(first: u8, row: &[u8], code: u8) -> bool {
    code.checked_sub(first).is_some_and(|at| usize::from(at) < row.len())
}

fn navigation(code: u8) -> Option<Stroke> {
    Some(match code {
        0x47 => Stroke::Home,
        0x48 => Stroke::Up,
        0x49 => Stroke::PageUp,
        0x4b => Stroke::Left,
        0x4d => Stroke::Right,
        0x4f => Stroke::End,
        0x50 => Stroke::Down,
        0x51 => Stroke::PageDown,
        0x53 => Stroke::Delete,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(keyboard: &mut Keyboard, codes: &[u8]) -> String {
        let mut text = String::new();
        for &code in codes {
            if let Some(Stroke::Char(c)) = keyboard.key(code & 0x7f, false, code < 0x80) {
                text.push(c);
            }
        }
        text
    }

    #[test]
    fn shift_and_caps_lock() {
        let mut keyboard = Keyboard::default();
        assert_eq!(typed(&mut keyboard, &[0x23, 0xa3, 0x2a, 0x17, 0x02, 0xaa, 0x17, 0x02]), "hI!i1");
        assert_eq!(typed(&mut keyboard, &[CAPS_LOCK, CAPS_LOCK, 0xba, 0x1e, 0x02, 0x36, 0x1e, 0x02, 0xb6]), "A1a!");
        assert!(keyboard.leds().caps);
        keyboard.set_leds(Leds::default());
        assert_eq!(typed(&mut keyboard, &[0x1e]), "a");
    }

    #[test]
    fn every_printable_character_can_be_typed() {
        let mut keyboard = Keyboard::default();
        let mut all: String = (1..0x80).map(|code| typed(&mut keyboard, &[code, code | 0x80])).collect();
        keyboard.set_leds(Leds::default());
        // With the left Shift key held all the time.
        let shifted = (1..0x80).filter(|code| *code != 0x2a);
        typed(&mut keyboard, &[0x2a]);
        all.extend(shifted.map(|code| typed(&mut keyboard, &[code, code | 0x80])));
        for c in ' '..='~' {
            assert!(all.contains(c), "{c:?} is missing");
        }
    }

    #[test]
    fn keypad_follows_num_lock() {
        let mut keyboard = Keyboard::default();
        assert_eq!(keyboard.key(0x48, false, true), Some(Stroke::Up));
        assert_eq!(keyboard.key(0x48, true, true), Some(Stroke::Up));
        keyboard.key(NUM_LOCK, false, true);
        assert_eq!(keyboard.key(0x48, false, true), Some(Stroke::Char('8')));
        assert_eq!(keyboard.key(0x53, false, true), Some(Stroke::Char('.')));
        assert_eq!(keyboard.key(0x48, true, true), Some(Stroke::Up));
    }

    #[test]
    fn control_makes_commands_and_alt_types_nothing() {
        let mut keyboard = Keyboard::default();
        keyboard.key(0x1d, true, true);
        assert_eq!(keyboard.key(0x2e, false, true), Some(Stroke::Control('c')));
        keyboard.key(0x1d, true, false);
        keyboard.key(0x38, false, true);
        assert_eq!(keyboard.key(0x2e, false, true), None);
    }

    #[test]
    fn no_code_panics() {
        let mut keyboard = Keyboard::default();
        for code in 0..=u8::MAX {
            for extended in [false, true] {
                keyboard.key(code, extended, true);
                keyboard.key(code, extended, false);
            }
        }
    }
}
