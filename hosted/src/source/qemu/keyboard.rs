//! [`Keyboard`]: keys to QEMU by its numbers, and the lock lights in both directions.

use std::collections::BTreeSet;

use super::interfaces::KeyboardProxy;
use crate::source::Leds;

/// The lock keys' set-1 codes; their lights stand in the order of [`LIGHTS`].
const LOCK_KEYS: [u8; 3] = [0x46, 0x45, 0x3a];
/// The bits of `Modifiers`.
const LIGHTS: [u32; 3] = [1, 2, 4];
/// The bit of a QEMU key number that stands for an E0 prefix.
const EXTENDED: u32 = 0x80;

/// The guest's keyboard.
pub(super) struct Keyboard<'a> {
    proxy: KeyboardProxy<'a>,
    /// What the lights are as far as is known: as QEMU told, or as the lock keys pressed since make them.
    lights: u32,
    /// The numbers of the keys that are down.
    held: BTreeSet<u32>,
}

impl<'a> Keyboard<'a> {
    /// The keyboard with the lights that QEMU told.
    pub(super) fn new(proxy: KeyboardProxy<'a>, lights: u32) -> Self {
        Self { proxy, lights, held: BTreeSet::new() }
    }

    /// QEMU told its lights.
    pub(super) fn told(&mut self, lights: u32) {
        self.lights = lights;
    }

    /// A key by its set-1 code went down or up. A press that repeats a held key types again.
    pub(super) async fn key(&mut self, code: u8, extended: bool, down: bool) -> zbus::Result<()> {
        let number = number(code, extended);
        if !down {
            self.held.remove(&number);
            return self.proxy.release(number).await;
        }
        self.held.insert(number);
        if !extended && let Some(at) = LOCK_KEYS.iter().position(|&lock| lock == code) {
            self.lights ^= LIGHTS[at];
        }
        self.proxy.press(number).await
    }

    /// Releases the keys that are down.
    pub(super) async fn release_all(&mut self) -> zbus::Result<()> {
        for number in std::mem::take(&mut self.held) {
            self.proxy.release(number).await?;
        }
        Ok(())
    }

    /// Presses the lock keys whose lights are not as the viewer wants them. A guest that has no
    /// lights, or is slow to show them, gets each press once.
    pub(super) async fn set_leds(&mut self, leds: Leds) -> zbus::Result<()> {
        for code in to_press(self.lights, leds) {
            self.key(code, false, true).await?;
            self.key(code, false, false).await?;
        }
        Ok(())
    }
}

/// QEMU's number of a key: its set-1 code, with 0x80 for an E0 prefix. Pause, which is E0 46 here,
/// and PrintScreen, E0 37, have the numbers 0xc6 and 0xb7 there, so the rule knows no exception.
fn number(code: u8, extended: bool) -> u32 {
    u32::from(code & 0x7f) | if extended { EXTENDED } else { 0 }
}

/// The lights of QEMU's `Modifiers`.
pub(super) fn leds(lights: u32) -> Leds {
    let [scroll, num, caps] = LIGHTS.map(|light| lights & light != 0);
    Leds { scroll, num, caps }
}

fn to_press(lights: u32, leds: Leds) -> impl Iterator<Item = u8> {
    let wanted = [leds.scroll, leds.num, leds.caps];
    let keys = LOCK_KEYS.into_iter().zip(LIGHTS).zip(wanted);
    keys.filter(move |((_, light), wanted)| (lights & light != 0) != *wanted).map(|((code, _), _)| code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extended_keys_have_their_own_numbers() {
        assert_eq!([number(0x1e, false), number(0x1d, true)], [0x1e, 0x9d]);
        assert_eq!(number(0x46, true), 0xc6, "Pause");
        assert_eq!(number(0x37, true), 0xb7, "PrintScreen");
    }

    #[test]
    fn lights_are_told_and_set() {
        let caps = Leds { caps: true, ..Leds::default() };
        assert_eq!(leds(4), caps);
        assert_eq!(leds(3), Leds { scroll: true, num: true, caps: false });
        assert_eq!(to_press(3, caps).collect::<Vec<_>>(), [0x46, 0x45, 0x3a]);
        assert_eq!(to_press(4, caps).count(), 0);
        // Bits that QEMU may add are not lights.
        assert_eq!(to_press(0xf8 | 4, caps).count(), 0);
    }
}
