//! The inputs channel: keys, buttons and motion to the source, the lock lights back.

use std::rc::Rc;

use bytes::Bytes;
use sumac_core::channel::Heard;
use sumac_core::channel::inputs::{Input, InputsEvent, InputsServer, Key};
use sumac_core::proto::common::ChannelType;
use sumac_core::proto::inputs::{Init, KeyModifiers, KeyModifiersChanged, MouseButton, ServerMessage};
use tokio::sync::Notify;

use super::{Session, state_of};
use crate::connection::{Close, Handler, Line};
use crate::server::Engine;
use crate::source::{Button, InputEvent, Leds};

/// The handler.
pub(super) struct Inputs {
    engine: Rc<Engine>,
    session: Rc<Session>,
    /// The lights that the client knows.
    told: Leds,
}

impl Inputs {
    pub(super) fn new(engine: Rc<Engine>, session: Rc<Session>, bell: &Rc<Notify>) -> Self {
        engine.displays().watch_leds(bell);
        let told = engine.displays().leds();
        Self { engine, session, told }
    }

    fn hand_on(&self, inputs: impl Iterator<Item = Input>) {
        inputs.filter_map(event_of).for_each(|event| self.engine.input(event));
    }
}

impl Handler for Inputs {
    type Machine = InputsServer;

    fn on_open(&mut self, line: &mut Line<InputsServer>) -> Result<(), Close> {
        self.told = self.engine.displays().leds();
        let init = Init { keyboard_modifiers: modifiers_of(self.told) };
        line.send(&ServerMessage::Init(init), &[]).map_err(Close::Refused)
    }

    fn on_event(&mut self, _line: &mut Line<InputsServer>, event: InputsEvent<'_>) -> Result<(), Close> {
        match event {
            InputsEvent::Common(Heard::Disconnecting(_)) => return Err(Close::Goodbye),
            InputsEvent::Inputs(_) | InputsEvent::LockKeys(_) if self.session.ignores("input") => {}
            InputsEvent::Inputs(inputs) => self.hand_on(inputs),
            InputsEvent::LockKeys(modifiers) => self.engine.input(InputEvent::Leds(leds_of(modifiers))),
            _ => {}
        }
        Ok(())
    }

    fn on_wake(&mut self, line: &mut Line<InputsServer>) -> Result<(), Close> {
        self.session.check()?;
        let leds = self.engine.displays().leds();
        if leds != self.told {
            self.told = leds;
            let changed = KeyModifiersChanged { modifiers: modifiers_of(leds) };
            line.send(&ServerMessage::KeyModifiersChanged(changed), &[]).map_err(Close::Refused)?;
        }
        Ok(())
    }

    fn state(&mut self, line: &mut Line<InputsServer>) -> Result<Vec<Bytes>, Close> {
        state_of(ChannelType::INPUTS, line.machine.common().sent(), &line.machine.state(), Vec::new())
    }

    /// Whatever the viewer held is released, however it went; unless it holds it at another server.
    fn on_close(&mut self, line: &mut Line<InputsServer>) {
        if line.is_leaving() {
            return;
        }
        let held = line.machine.release_all();
        // What a viewer that may only look holds was never handed on.
        if !self.session.grant.view_only {
            self.hand_on(held);
        }
    }
}

/// A viewer's input as sources take it.
fn event_of(input: Input) -> Option<InputEvent> {
    Some(match input {
        Input::Key(event) => {
            let Key { code, extended } = event.key;
            InputEvent::Key { code, extended, down: event.down }
        }
        Input::Button { button, down } => InputEvent::Button { button: button_of(button)?, down },
        Input::Wheel(notches) => InputEvent::Wheel(notches),
        Input::MoveBy { dx, dy } => InputEvent::MoveBy { dx, dy },
        Input::MoveTo { x, y, display_id } => InputEvent::MoveTo { display: display_id, x, y },
    })
}

fn button_of(button: MouseButton) -> Option<Button> {
    Some(match button {
        MouseButton::LEFT => Button::Left,
        MouseButton::MIDDLE => Button::Middle,
        MouseButton::RIGHT => Button::Right,
        MouseButton::SIDE => Button::Side,
        MouseButton::EXTRA => Button::Extra,
        _ => return None,
    })
}

fn modifiers_of(leds: Leds) -> KeyModifiers {
    let mut modifiers = KeyModifiers::empty();
    modifiers.set(KeyModifiers::SCROLL_LOCK, leds.scroll);
    modifiers.set(KeyModifiers::NUM_LOCK, leds.num);
    modifiers.set(KeyModifiers::CAPS_LOCK, leds.caps);
    modifiers
}

fn leds_of(modifiers: KeyModifiers) -> Leds {
    Leds {
        scroll: modifiers.contains(KeyModifiers::SCROLL_LOCK),
        num: modifiers.contains(KeyModifiers::NUM_LOCK),
        caps: modifiers.contains(KeyModifiers::CAPS_LOCK),
    }
}
