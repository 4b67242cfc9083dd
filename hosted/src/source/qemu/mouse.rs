//! [`Mouse`]: the pointer to QEMU, by position or by motion as the guest's device wants it.

use std::collections::BTreeSet;

use super::interfaces::MouseProxy;
use crate::source::{Button, Size};

/// Notches of the wheel that one event may turn; more than a hand can.
const MAX_NOTCHES: u32 = 32;
/// The wheel's directions are buttons of QEMU's.
const WHEEL_UP: u32 = 3;
const WHEEL_DOWN: u32 = 4;

/// The guest's pointing device.
pub(super) struct Mouse<'a> {
    proxy: MouseProxy<'a>,
    absolute: bool,
    /// Size of the console, which bounds positions.
    size: Size,
    /// Where the pointer was put last.
    place: (u32, u32),
    /// The numbers of the buttons that are down.
    held: BTreeSet<u32>,
}

impl<'a> Mouse<'a> {
    /// A device on a console of this size.
    pub(super) fn new(proxy: MouseProxy<'a>, absolute: bool, size: Size) -> Self {
        Self { proxy, absolute, size, place: (0, 0), held: BTreeSet::new() }
    }

    /// Whether the guest's device wants positions.
    pub(super) fn is_absolute(&self) -> bool {
        self.absolute
    }

    /// The guest's device is another one now.
    pub(super) fn set_absolute(&mut self, absolute: bool) {
        self.absolute = absolute;
    }

    /// The console has another size.
    pub(super) fn set_size(&mut self, size: Size) {
        self.size = size;
    }

    /// The pointer goes to this pixel. A device that wants motion has no use for that: the viewers
    /// know already, or will in a moment, that they must send motion.
    pub(super) async fn move_to(&mut self, x: u32, y: u32) -> zbus::Result<()> {
        if !self.absolute {
            return Ok(());
        }
        // QEMU refuses what lies outside.
        self.place = (x.min(self.size.width.saturating_sub(1)), y.min(self.size.height.saturating_sub(1)));
        self.proxy.set_abs_position(self.place.0, self.place.1).await
    }

    /// The pointer moves by this much. A device that wants positions gets the place where that
    /// leads to; answers that place, which the viewer does not know.
    pub(super) async fn move_by(&mut self, dx: i32, dy: i32) -> zbus::Result<Option<(u32, u32)>> {
        if !self.absolute {
            return self.proxy.rel_motion(dx, dy).await.map(|()| None);
        }
        let (x, y) = (self.place.0.saturating_add_signed(dx), self.place.1.saturating_add_signed(dy));
        self.move_to(x, y).await?;
        Ok(Some(self.place))
    }

    /// A button goes down or up.
    pub(super) async fn button(&mut self, button: Button, down: bool) -> zbus::Result<()> {
        let number = number(button);
        if down {
            self.held.insert(number);
            return self.proxy.press(number).await;
        }
        self.held.remove(&number);
        self.proxy.release(number).await
    }

    /// Releases the buttons that are down.
    pub(super) async fn release_all(&mut self) -> zbus::Result<()> {
        for number in std::mem::take(&mut self.held) {
            self.proxy.release(number).await?;
        }
        Ok(())
    }

    /// The wheel turns; negative is up.
    pub(super) async fn wheel(&self, notches: i32) -> zbus::Result<()> {
        let number = if notches < 0 { WHEEL_UP } else { WHEEL_DOWN };
        for _ in 0..notches.unsigned_abs().min(MAX_NOTCHES) {
            self.proxy.press(number).await?;
            self.proxy.release(number).await?;
        }
        Ok(())
    }
}

/// QEMU's number of a button.
fn number(button: Button) -> u32 {
    match button {
        Button::Left => 0,
        Button::Middle => 1,
        Button::Right => 2,
        Button::Side => 5,
        Button::Extra => 6,
    }
}
