//! The inputs channel, server role.
//!
//! ```text
//!  Fresh ──INIT──► Open ──KEY_MODIFIERS──► Open
//! ```
//!
//! What a client does is taken in from the first moment on; what it is told waits for INIT. Scan
//! codes become keys, the words of held buttons become presses and releases, and the machine knows
//! at any time what is held, so that [`InputsServer::release_all`] leaves nothing stuck.

mod keys;

pub use keys::{Key, KeyEvent};

use super::migrate::InputsState;
use super::{Channel, Common, Heard, Negotiated, PeerError, Poll, Refused, Transmit};
use crate::limits;
use crate::proto::common;
use crate::proto::inputs::{ClientMessage, KeyModifiers, MouseButton, MouseButtons, MouseMotionAck, ServerMessage};
use crate::time::Millis;
use crate::wire::EncodeError;
use keys::{Held, Keyboard};

/// The machine.
#[derive(Clone, Debug)]
pub struct InputsServer {
    pub(super) common: Common,
    stage: Stage,
    keyboard: Keyboard,
    /// Those of [`BUTTONS`] that are down.
    buttons: MouseButtons,
    /// Motions and positions that are not acknowledged, and full bunches of them.
    motions: u32,
    bunches: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Fresh,
    Open,
}

/// What the client wants from the host.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InputsEvent<'m> {
    /// Something that every channel has.
    Common(Heard<'m>),
    /// Keys, buttons and motion, in this order.
    Inputs(Inputs<'m>),
    /// The guest's lock keys are to be like this.
    LockKeys(KeyModifiers),
}

/// One thing that a user did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A key went down or up.
    Key(KeyEvent),
    /// A button went down or up; never a wheel.
    Button {
        /// Which.
        button: MouseButton,
        /// Pressed or released.
        down: bool,
    },
    /// The wheel turned by this many notches, positive towards the user.
    Wheel(i32),
    /// The pointer moved by this many pixels, in server mouse mode.
    MoveBy {
        /// To the right.
        dx: i32,
        /// Downwards.
        dy: i32,
    },
    /// The pointer went to this pixel, in client mouse mode.
    MoveTo {
        /// Column.
        x: u32,
        /// Row.
        y: u32,
        /// The display channel that it is on.
        display_id: u8,
    },
}

/// What a message of the client's comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Inputs<'m> {
    /// A motion, or a turn of the wheel.
    pointer: Option<Input>,
    /// Buttons that change, and those that are down then.
    changed: MouseButtons,
    down: MouseButtons,
    /// Scan codes, and the keyboard before them.
    codes: &'m [u8],
    keyboard: Keyboard,
    /// Keys to release.
    released: Held,
}

impl InputsServer {
    /// For a client that just linked.
    #[must_use]
    pub fn new(negotiated: Negotiated) -> Self {
        Self {
            common: Common::new(negotiated),
            stage: Stage::Fresh,
            keyboard: Keyboard::default(),
            buttons: MouseButtons::empty(),
            motions: 0,
            bunches: 0,
        }
    }

    /// The client comes from another server with this state, and `sent` is how much that had said.
    pub fn resume(&mut self, sent: u64, state: &InputsState) {
        self.common.continue_from(sent);
        self.motions = state.motions.checked_rem(limits::MOTION_BUNCH).unwrap_or(0);
        self.buttons = state.buttons.intersection(HOLDABLE);
        self.keyboard = Keyboard::holding(state.held);
    }

    /// What is to be resumed.
    #[must_use]
    pub fn state(&self) -> InputsState {
        InputsState { motions: self.motions, buttons: self.buttons, held: self.keyboard.held() }
    }

    /// The part that all channels share.
    #[must_use]
    pub const fn common(&self) -> &Common {
        &self.common
    }

    /// Releases of everything that the client holds, for when it is gone.
    pub fn release_all(&mut self) -> Inputs<'static> {
        let changed = core::mem::take(&mut self.buttons);
        Inputs { changed, released: self.keyboard.release(), ..Inputs::default() }
    }

    fn on_codes<'m>(&mut self, codes: &'m [u8]) -> InputsEvent<'m> {
        let keyboard = self.keyboard.clone();
        for &byte in codes {
            let _ = self.keyboard.push(byte);
        }
        InputsEvent::Inputs(Inputs { codes, keyboard, ..Inputs::default() })
    }

    fn on_pointer(&mut self, pointer: Option<Input>, down: MouseButtons) -> InputsEvent<'static> {
        let down = down.intersection(HOLDABLE);
        let changed = core::mem::replace(&mut self.buttons, down).symmetric_difference(down);
        InputsEvent::Inputs(Inputs { pointer, changed, down, ..Inputs::default() })
    }

    fn on_motion(&mut self, motion: Input, down: MouseButtons) -> InputsEvent<'static> {
        self.motions = self.motions.saturating_add(1);
        if self.motions == limits::MOTION_BUNCH {
            self.motions = 0;
            self.bunches = self.bunches.saturating_add(1);
        }
        self.on_pointer(Some(motion), down)
    }

    /// The button that is named wins over the word, which clients fill in before or after the fact.
    fn on_button(&mut self, button: MouseButton, down: bool, word: MouseButtons) -> InputsEvent<'static> {
        let wheel = match button {
            MouseButton::UP => -1,
            MouseButton::DOWN => 1,
            _ => {
                let mut word = word;
                word.set(mask(button), down);
                return self.on_pointer(None, word);
            }
        };
        // The word of a turning wheel is not to be relied on: spice-html5 always says 0.
        self.on_pointer(down.then_some(Input::Wheel(wheel)), self.buttons)
    }

    fn heard<'m>(
        &mut self,
        now: Millis,
        message: ClientMessage<'m>,
        body: &'m [u8],
    ) -> Result<Option<InputsEvent<'m>>, PeerError> {
        use ClientMessage as M;
        Ok(Some(match message {
            M::Common(m) => return Ok(self.common.on_message(now, &m)?.map(InputsEvent::Common)),
            M::KeyDown(_) | M::KeyUp(_) => self.on_codes(packed(body)),
            M::KeyScancode(m) => self.on_codes(m.code.0.bytes()),
            M::SetKeyModifiers(m) => InputsEvent::LockKeys(m.modifiers.intersection(LOCK_KEYS)),
            M::MouseMotion(m) => self.on_motion(Input::MoveBy { dx: m.dx, dy: m.dy }, m.buttons_state),
            M::MousePosition(m) => {
                self.on_motion(Input::MoveTo { x: m.x, y: m.y, display_id: m.display_id }, m.buttons_state)
            }
            M::MousePress(m) => self.on_button(m.button, true, m.buttons_state),
            M::MouseRelease(m) => self.on_button(m.button, false, m.buttons_state),
        }))
    }
}

impl Channel for InputsServer {
    type Message<'c> = ServerMessage<'c>;
    type Event<'m> = InputsEvent<'m>;

    fn max_body(&self) -> usize {
        limits::INPUTS_BODY
    }

    fn on_message<'m>(&mut self, now: Millis, id: u16, body: &'m [u8]) -> Result<Option<InputsEvent<'m>>, PeerError> {
        match self.common.accept(now, ClientMessage::decode(id, body))? {
            Some(message) => self.heard(now, message, body),
            None => Ok(None),
        }
    }

    fn send(&mut self, _now: Millis, message: &ServerMessage<'_>, out: &mut [u8]) -> Result<Transmit, Refused> {
        use ServerMessage as M;
        match (message, self.stage) {
            (M::Init(_), Stage::Open) => return Err(Refused::Misuse("INIT was sent before")),
            (M::KeyModifiersChanged(_), Stage::Fresh) => return Err(Refused::Misuse("KEY_MODIFIERS before INIT")),
            (M::MouseMotionAck(_), _) => return Err(Refused::Misuse("motions are acknowledged by the machine")),
            (M::Common(common::ServerMessage::SetAck(_)), _) => {
                return Err(Refused::Misuse("windows are opened by the machine"));
            }
            _ => {}
        }
        let transmit = self.common.send_any(message.id(), message.size(), out, |w| message.encode(w))?;
        if matches!(message, M::Init(_)) {
            self.stage = Stage::Open;
        }
        Ok(transmit)
    }

    fn poll(&mut self, now: Millis, out: &mut [u8]) -> Result<Poll, EncodeError> {
        if self.stage == Stage::Open && self.bunches != 0 && !self.common.is_leaving() {
            let transmit = self.common.frame(&MouseMotionAck {}, out)?;
            self.bunches = self.bunches.saturating_sub(1);
            return Ok(Poll::Transmit(transmit));
        }
        self.common.poll(now, out)
    }
}

impl Iterator for Inputs<'_> {
    type Item = Input;

    fn next(&mut self) -> Option<Input> {
        // First to where it happens, then what happens.
        if let Some(pointer) = self.pointer.take() {
            return Some(pointer);
        }
        if let Some(&button) = BUTTONS.iter().find(|&&button| self.changed.contains(mask(button))) {
            self.changed.remove(mask(button));
            return Some(Input::Button { button, down: self.down.contains(mask(button)) });
        }
        while let Some((&byte, rest)) = self.codes.split_first() {
            self.codes = rest;
            if let Some(event) = self.keyboard.push(byte) {
                return Some(Input::Key(event));
            }
        }
        self.released.drain().next().map(|key| Input::Key(KeyEvent { key, down: false }))
    }
}

/// Buttons that can be held.
const BUTTONS: [MouseButton; 5] =
    [MouseButton::LEFT, MouseButton::MIDDLE, MouseButton::RIGHT, MouseButton::SIDE, MouseButton::EXTRA];
/// Their bits.
const HOLDABLE: MouseButtons = MouseButtons::LEFT
    .union(MouseButtons::MIDDLE)
    .union(MouseButtons::RIGHT)
    .union(MouseButtons::SIDE)
    .union(MouseButtons::EXTRA);
const LOCK_KEYS: KeyModifiers = KeyModifiers::SCROLL_LOCK.union(KeyModifiers::NUM_LOCK).union(KeyModifiers::CAPS_LOCK);

/// A button's bit; none for a wheel and for what is no button.
const fn mask(button: MouseButton) -> MouseButtons {
    match button {
        MouseButton::LEFT => MouseButtons::LEFT,
        MouseButton::MIDDLE => MouseButtons::MIDDLE,
        MouseButton::RIGHT => MouseButtons::RIGHT,
        MouseButton::SIDE => MouseButtons::SIDE,
        MouseButton::EXTRA => MouseButtons::EXTRA,
        _ => MouseButtons::empty(),
    }
}

/// The scan codes of KEY_DOWN and KEY_UP: the bytes of the word as they lie, up to a zero byte.
fn packed(body: &[u8]) -> &[u8] {
    let word = body.get(..4).unwrap_or_default();
    word.split(|&byte| byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::proto::inputs::{Init, KeyModifiersChanged};
    use crate::wire::Sampler;

    const NOW: Millis = Millis(1);

    fn fresh() -> InputsServer {
        InputsServer::new(Negotiated { mini_header: true, peer_caps: 0 })
    }

    fn open() -> InputsServer {
        let mut inputs = fresh();
        let init = ServerMessage::Init(Init { keyboard_modifiers: KeyModifiers::NUM_LOCK });
        let mut out = [0; 8];
        assert_eq!(inputs.send(NOW, &init, &mut out), Ok(Transmit { head: 8, body: 0 }));
        assert_eq!(out, [101, 0, 2, 0, 0, 0, 2, 0]);
        inputs
    }

    fn did(inputs: &mut InputsServer, id: u16, body: &[u8]) -> Vec<Input> {
        match inputs.on_message(NOW, id, body).expect("well-formed") {
            Some(InputsEvent::Inputs(all)) => all.collect(),
            other => panic!("{other:?}"),
        }
    }

    fn key(code: u8, extended: bool, down: bool) -> Input {
        Input::Key(KeyEvent { key: Key { code, extended }, down })
    }

    fn press(inputs: &mut InputsServer, button: u8, word: u8) -> Vec<Input> {
        did(inputs, 113, &[button, word, 0])
    }

    fn release(inputs: &mut InputsServer, button: u8, word: u8) -> Vec<Input> {
        did(inputs, 114, &[button, word, 0])
    }

    fn button(button: MouseButton, down: bool) -> Input {
        Input::Button { button, down }
    }

    #[test]
    fn packed_codes_are_read_from_the_low_byte_to_a_zero() {
        let inputs = &mut fresh();
        assert_eq!(did(inputs, 101, &[0xe0, 0x48, 0, 0]), [key(0x48, true, true)]);
        assert_eq!(did(inputs, 102, &[0xe0, 0xc8, 0, 0]), [key(0x48, true, false)]);
        assert_eq!(did(inputs, 101, &[0x1e, 0, 0x1f, 0]), [key(0x1e, false, true)]);
        assert_eq!(did(inputs, 101, &[0x20, 0xa0, 0x21, 0xa1]).len(), 4);
        assert_eq!(did(inputs, 101, &[0; 4]), []);
    }

    #[test]
    fn sequences_go_on_over_messages() {
        let inputs = &mut fresh();
        assert_eq!(did(inputs, 101, &[0xe1, 0x1d, 0, 0]), []);
        assert_eq!(did(inputs, 101, &[0x45, 0, 0, 0]), [key(0x46, true, true)]);
        assert_eq!(did(inputs, 104, &[0xe1, 0x9d, 0xc5, 0xe0]), [key(0x46, true, false)]);
        assert_eq!(
            did(inputs, 104, &[0x4b, 0x1e, 0x9e]),
            [key(0x4b, true, true), key(0x1e, false, true), key(0x1e, false, false)]
        );
    }

    #[test]
    fn everything_held_is_released_once() {
        let inputs = &mut fresh();
        did(inputs, 104, &[0x2a, 0xe0, 0x1d, 0x1e, 0x9e]);
        press(inputs, 1, 1);
        press(inputs, 7, 1);
        let released: Vec<Input> = inputs.release_all().collect();
        assert_eq!(
            released,
            [
                button(MouseButton::LEFT, false),
                button(MouseButton::EXTRA, false),
                key(0x2a, false, false),
                key(0x1d, true, false)
            ]
        );
        assert_eq!(inputs.release_all().count(), 0);
    }

    #[test]
    fn all_seven_buttons() {
        let inputs = &mut fresh();
        for named in [MouseButton::LEFT, MouseButton::MIDDLE, MouseButton::RIGHT, MouseButton::SIDE, MouseButton::EXTRA]
        {
            assert_eq!(press(inputs, named.0, 0), [button(named, true)], "the word was filled in before");
            assert_eq!(press(inputs, named.0, 0), [], "down already");
            assert_eq!(
                release(inputs, named.0, 0xff),
                [MouseButton::LEFT, MouseButton::MIDDLE, MouseButton::RIGHT, MouseButton::SIDE, MouseButton::EXTRA]
                    .map(|b| button(b, b != named))
            );
            release(inputs, 0, 0);
        }
        for (wheel, notches) in [(MouseButton::UP, -1), (MouseButton::DOWN, 1)] {
            press(inputs, 1, 1);
            assert_eq!(press(inputs, wheel.0, 0), [Input::Wheel(notches)], "left stays down");
            assert_eq!(release(inputs, wheel.0, 0), []);
            assert_eq!(release(inputs, 1, 0), [button(MouseButton::LEFT, false)]);
        }
        for odd in [0, 8, 255] {
            assert_eq!(press(inputs, odd, 0), []);
            assert_eq!(release(inputs, odd, 0), []);
        }
    }

    #[test]
    fn the_word_of_a_motion_is_believed() {
        let inputs = &mut fresh();
        let motion = Input::MoveBy { dx: -1, dy: 2 };
        let body = [255, 255, 255, 255, 2, 0, 0, 0, 0x1c, 0];
        assert_eq!(did(inputs, 111, &body), [motion, button(MouseButton::RIGHT, true)], "no wheels in it");
        assert_eq!(did(inputs, 111, &body), [motion]);
        let body = [1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 3];
        let position = Input::MoveTo { x: 1, y: 2, display_id: 3 };
        assert_eq!(did(inputs, 112, &body), [position, button(MouseButton::RIGHT, false)]);
    }

    #[test]
    fn four_motions_are_acknowledged_at_once_but_not_before_init() {
        let inputs = &mut fresh();
        let poll = |inputs: &mut InputsServer| inputs.poll(NOW, &mut [0; 6]);
        let ack = Ok(Poll::Transmit(Transmit { head: 6, body: 0 }));
        for n in 0..9 {
            did(inputs, 111 + n % 2, &[0; 11]);
        }
        assert_eq!(poll(inputs), Ok(Poll::Wait(None)));
        let init = ServerMessage::Init(Init { keyboard_modifiers: KeyModifiers::empty() });
        assert!(inputs.send(NOW, &init, &mut [0; 8]).is_ok());
        assert_eq!((poll(inputs), poll(inputs), poll(inputs)), (ack, ack, Ok(Poll::Wait(None))));
        (0..3).for_each(|_| drop(did(inputs, 111, &[0; 10])));
        let mut out = [0; 6];
        assert!(inputs.poll(NOW, &mut out[..5]).is_err());
        assert_eq!(inputs.poll(NOW, &mut out), ack);
        assert_eq!(out, [111, 0, 0, 0, 0, 0]);
        assert_eq!(poll(inputs), Ok(Poll::Wait(None)));
    }

    #[test]
    fn lock_keys_go_both_ways_and_init_comes_first() {
        let changed = ServerMessage::KeyModifiersChanged(KeyModifiersChanged { modifiers: KeyModifiers::CAPS_LOCK });
        let init = ServerMessage::Init(Init { keyboard_modifiers: KeyModifiers::empty() });
        assert!(matches!(fresh().send(NOW, &changed, &mut [0; 8]), Err(Refused::Misuse(_))));
        let inputs = &mut open();
        assert!(inputs.send(NOW, &changed, &mut [0; 8]).is_ok());
        assert!(matches!(inputs.send(NOW, &init, &mut [0; 8]), Err(Refused::Misuse(_))));
        let ack = ServerMessage::MouseMotionAck(MouseMotionAck {});
        assert!(matches!(inputs.send(NOW, &ack, &mut [0; 8]), Err(Refused::Misuse(_))));
        let heard = inputs.on_message(NOW, 103, &[0xfe, 0xff]);
        let lock = KeyModifiers::NUM_LOCK | KeyModifiers::CAPS_LOCK;
        assert_eq!(heard, Ok(Some(InputsEvent::LockKeys(lock))), "bits without a name are dropped");
    }

    #[test]
    fn no_message_is_too_odd_and_held_is_what_was_told() {
        let mut sampler = Sampler::new(3);
        let inputs = &mut open();
        let mut down: Vec<Key> = Vec::new();
        for _ in 0..if cfg!(miri) { 100 } else { 20_000 } {
            let id = sampler.pick(&[101, 102, 103, 104, 111, 112, 113, 114, 115]).unwrap_or(0);
            let mut body = [0; 12];
            for byte in &mut body {
                *byte = sampler.pick(&[0xe0, 0xe1, 0x1d, 0x45]).unwrap_or(0);
                if sampler.below(4) != 0 {
                    *byte = sampler.number().to_le_bytes()[0];
                }
            }
            let Ok(Some(InputsEvent::Inputs(all))) = inputs.on_message(NOW, id, &body) else { continue };
            for input in all {
                if let Input::Key(event) = input {
                    let held = down.iter().position(|k| *k == event.key);
                    match (held, event.down) {
                        (None, true) => down.push(event.key),
                        (Some(at), false) => drop(down.swap_remove(at)),
                        (Some(_), true) => {}
                        (None, false) => panic!("{event:?} was not down"),
                    }
                }
            }
        }
        let released = inputs.release_all().filter(|i| matches!(i, Input::Key(_))).count();
        assert_eq!(released, down.len());
    }
}
