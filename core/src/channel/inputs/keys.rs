//! Scan code set 1 in, keys out.

use core::iter;

/// A key, named by its make code in scan code set 1.
///
/// Pause and Ctrl+Break are the same key, E0 46, whichever of its two sequences was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// 1 to 0x7f.
    pub code: u8,
    /// Behind an E0.
    pub extended: bool,
}

impl Key {
    /// The key with the long sequence E1 1D 45.
    pub const PAUSE: Self = Self { code: 0x46, extended: true };

    fn of(byte: u8, extended: bool) -> Self {
        Self { code: byte & !BREAK, extended }
    }

    /// The shifts that keyboards pretend around some extended keys, PrintScreen among them.
    fn is_pretended(self) -> bool {
        self.extended && matches!(self.code, 0x2a | 0x36)
    }

    /// 0 to 255.
    fn index(self) -> u8 {
        if self.extended { self.code | 0x80 } else { self.code }
    }
}

/// A key went down or up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyEvent {
    /// Which.
    pub key: Key,
    /// Pressed (also again and again while held), or released.
    pub down: bool,
}

/// Takes the bytes one by one; sequences may be spread over messages, as spice-gtk's Pause is.
///
/// ```text
///  Plain ─E0─► Extended ─code─► Plain
///    └──E1─► Long ─1D/9D─► Pause ─45/C5─► Plain     (anything else starts afresh)
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Keyboard {
    state: State,
    held: Held,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Plain,
    Extended,
    Long,
    /// The high bit that the last byte must have.
    Pause(u8),
}

/// Keys that are down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Held([u32; 8]);

/// The bit that makes a break code.
const BREAK: u8 = 0x80;

impl Keyboard {
    /// A release is told only for a key that was pressed.
    pub(super) fn push(&mut self, byte: u8) -> Option<KeyEvent> {
        let event = self.decode(byte)?;
        let was = self.held.set(event.key, event.down);
        (event.down || was).then_some(event)
    }

    /// With the keys of this bit map down.
    pub(super) fn holding(held: [u8; 32]) -> Self {
        let mut words = [0; 8];
        for (word, bytes) in words.iter_mut().zip(held.as_chunks::<4>().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        Self { state: State::Plain, held: Held(words) }
    }

    /// That bit map.
    pub(super) fn held(&self) -> [u8; 32] {
        let mut held = [0; 32];
        for (bytes, word) in held.as_chunks_mut::<4>().0.iter_mut().zip(self.held.0) {
            *bytes = word.to_le_bytes();
        }
        held
    }

    /// Forgets everything; answers what was held.
    pub(super) fn release(&mut self) -> Held {
        core::mem::take(self).held
    }

    fn decode(&mut self, byte: u8) -> Option<KeyEvent> {
        let state = core::mem::take(&mut self.state);
        let down = byte & BREAK == 0;
        match (state, byte) {
            (_, 0xe0) => self.state = State::Extended,
            (_, 0xe1) => self.state = State::Long,
            (State::Long, 0x1d | 0x9d) => self.state = State::Pause(byte & BREAK),
            (State::Pause(bit), 0x45 | 0xc5) if byte & BREAK == bit => return Some(KeyEvent { key: Key::PAUSE, down }),
            // No key has code 0; a zero byte is padding.
            (_, 0 | BREAK) => {}
            _ => {
                let key = Key::of(byte, state == State::Extended);
                return (!key.is_pretended()).then_some(KeyEvent { key, down });
            }
        }
        None
    }
}

impl Held {
    /// Whether it was held before.
    fn set(&mut self, key: Key, down: bool) -> bool {
        let index = key.index();
        let Some(word) = self.0.get_mut(usize::from(index >> 5)) else { return false };
        let bit = 1u32.rotate_left(index.into());
        let was = *word & bit != 0;
        *word = if down { *word | bit } else { *word & !bit };
        was
    }

    /// Takes the keys out, one by one.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Key> + '_ {
        iter::from_fn(|| {
            let (n, word) = (0u8..).zip(&mut self.0).find(|(_, word)| **word != 0)?;
            let bit = u8::try_from(word.trailing_zeros()).ok()?;
            *word &= word.wrapping_sub(1);
            let index = n << 5 | bit;
            Some(Key { code: index & !BREAK, extended: index & BREAK != 0 })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    fn pushed(bytes: &[u8]) -> Vec<(u8, bool, bool)> {
        let mut keyboard = Keyboard::default();
        bytes.iter().filter_map(|&b| keyboard.push(b)).map(|e| (e.key.code, e.key.extended, e.down)).collect()
    }

    #[test]
    fn plain_and_extended_codes_are_told_apart() {
        assert_eq!(pushed(&[0x1e, 0x9e]), [(0x1e, false, true), (0x1e, false, false)]);
        assert_eq!(pushed(&[0xe0, 0x4b, 0xe0, 0xcb]), [(0x4b, true, true), (0x4b, true, false)]);
        assert_eq!(pushed(&[0x4b, 0xe0, 0xcb]), [(0x4b, false, true)], "another key");
    }

    #[test]
    fn a_held_key_repeats_and_is_released_once() {
        assert_eq!(pushed(&[0x1e, 0x1e, 0x9e, 0x9e]).len(), 3);
        assert_eq!(pushed(&[0x9e]), []);
    }

    #[test]
    fn pause_is_one_key_in_every_form() {
        let both = [(0x46, true, true), (0x46, true, false)];
        assert_eq!(pushed(&[0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5]), both);
        assert_eq!(pushed(&[0xe0, 0x46, 0xe0, 0xc6]), both, "with Ctrl");
        assert_eq!(pushed(&[0xe1, 0x1d, 0xc5]), [], "half of each");
        assert_eq!(pushed(&[0xe1, 0x1d, 0x1e]), [(0x1e, false, true)], "something else");
        assert_eq!(pushed(&[0xe1, 0x1e]), [(0x1e, false, true)]);
    }

    #[test]
    fn print_screen_comes_without_its_shifts() {
        let keyboard = [0xe0, 0x2a, 0xe0, 0x37, 0xe0, 0xb7, 0xe0, 0xaa];
        assert_eq!(pushed(&keyboard), [(0x37, true, true), (0x37, true, false)]);
        assert_eq!(pushed(&[0xe0, 0x36, 0xe0, 0xb6]), []);
        assert_eq!(pushed(&[0x2a, 0xaa, 0x36, 0xb6]).len(), 4, "real shifts");
        assert_eq!(pushed(&[0x54, 0xd4]).len(), 2, "with Alt it is SysRq");
    }

    #[test]
    fn odd_bytes_do_nothing_odd() {
        assert_eq!(pushed(&[0, 0x80, 0xe0, 0, 0xe0, 0x80, 0xe0, 0xe0, 0xe1, 0xe1]), []);
        let step = if cfg!(miri) { 37 } else { 1 };
        for a in (0..=255).step_by(step) {
            for b in (0..=255).step_by(step) {
                for (code, _, _) in pushed(&[0xe1, a, b, 0xe0, a, b]) {
                    assert!((1..=0x7f).contains(&code));
                }
            }
        }
    }

    #[test]
    fn every_key_can_be_held_and_is_given_back_once() {
        let mut keyboard = Keyboard::default();
        let keys = |extended| (1..=0x7f).map(move |code| Key { code, extended });
        for key in keys(false).chain(keys(true).filter(|k| !k.is_pretended() && !matches!(k.code, 0x60 | 0x61))) {
            if key.extended {
                assert_eq!(keyboard.push(0xe0), None);
            }
            assert_eq!(keyboard.push(key.code), Some(KeyEvent { key, down: true }));
        }
        let mut held = keyboard.release();
        assert_eq!(held.drain().count(), 127 + 127 - 2 - 2);
        assert_eq!(held.drain().count(), 0);
        assert_eq!(keyboard.release(), Held::default());
    }
}
