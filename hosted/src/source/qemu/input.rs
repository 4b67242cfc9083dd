//! What the server says: [`Messages`], joined while they wait for QEMU. When it is slow, motion adds
//! up and places are overtaken.

use std::collections::BTreeMap;

use tokio::sync::mpsc::Receiver;

use crate::source::{InputEvent, Monitor, ToSource};

/// Messages that are taken at once.
const BATCH: usize = 256;

/// The server's messages.
pub(super) struct Messages {
    pub(super) channel: Receiver<ToSource>,
    /// The monitors that viewers asked for last, by display, for a QEMU that comes later.
    pub(super) wishes: BTreeMap<u8, Monitor>,
}

impl Messages {
    /// Waits for messages and takes what has come; `None` when the server wants the end. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<Vec<ToSource>> {
        let mut waiting = Vec::new();
        let mut next = self.channel.recv().await;
        while let Some(message) = next.filter(|message| *message != ToSource::Quit) {
            if let ToSource::Resize { display, monitor } = message {
                self.wishes.insert(display, monitor);
            }
            join(&mut waiting, message);
            if waiting.len() == BATCH {
                return Some(waiting);
            }
            next = match self.channel.try_recv() {
                Ok(message) => Some(message),
                Err(_) => return Some(waiting),
            };
        }
        // What came before the end counts; then the channel is empty.
        self.channel.close();
        (!waiting.is_empty()).then_some(waiting)
    }

    /// Waits for the end. What else is said now is said to nobody; monitors are kept.
    pub(super) async fn quit(&mut self) {
        while self.next().await.is_some() {}
    }
}

/// Adds a message to those that wait.
fn join(waiting: &mut Vec<ToSource>, message: ToSource) {
    let joined = match (waiting.last_mut(), &message) {
        (
            Some(ToSource::Input(InputEvent::MoveBy { dx, dy })),
            ToSource::Input(InputEvent::MoveBy { dx: x, dy: y }),
        ) => {
            (*dx, *dy) = (dx.saturating_add(*x), dy.saturating_add(*y));
            true
        }
        (
            Some(ToSource::Input(last @ InputEvent::MoveTo { .. })),
            ToSource::Input(next @ InputEvent::MoveTo { .. }),
        ) => {
            last.clone_from(next);
            true
        }
        (Some(last @ ToSource::Resize { .. }), ToSource::Resize { display, .. }) => {
            let same = matches!(last, ToSource::Resize { display: before, .. } if before == display);
            if same {
                last.clone_from(&message);
            }
            same
        }
        _ => false,
    };
    if !joined {
        waiting.push(message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Button, Size};

    fn joined(messages: &[ToSource]) -> Vec<ToSource> {
        let mut waiting = Vec::new();
        messages.iter().cloned().for_each(|message| join(&mut waiting, message));
        waiting
    }

    #[test]
    fn neighbours_of_a_kind_are_joined_and_order_stays() {
        let by = |dx, dy| ToSource::Input(InputEvent::MoveBy { dx, dy });
        let to = |x| ToSource::Input(InputEvent::MoveTo { display: 0, x, y: 0 });
        let button = |down| ToSource::Input(InputEvent::Button { button: Button::Left, down });
        let resize = |display, width| ToSource::Resize { display, monitor: Monitor::of(Size { width, height: 9 }) };
        assert_eq!(joined(&[by(1, 2), by(3, -4), by(i32::MAX, 0)]), [by(i32::MAX, -2)]);
        assert_eq!(joined(&[to(1), to(2), button(true), to(3), to(4)]), [to(2), button(true), to(4)]);
        assert_eq!(joined(&[resize(0, 1), resize(0, 2), resize(1, 3)]), [resize(0, 2), resize(1, 3)]);
        assert_eq!(joined(&[button(true), button(true)]), [button(true), button(true)]);
    }
}
