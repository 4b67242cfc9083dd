//! The cursor channel: the pointer's shape, and its place while the mouse is relative.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::rc::Rc;

use bytes::Bytes;
use sumac_core::channel::cursor::CursorServer;
use sumac_core::channel::{Heard, Refused};
use sumac_core::proto::cursor::{
    Cursor as Wire, CursorFlags, CursorHeader, CursorType, Init, InvalAll, Move, ServerMessage, Set, Shape,
};
use sumac_core::proto::main::MouseModes;
use sumac_core::proto::shape::Point16;
use sumac_core::wire::Data;
use tokio::sync::Notify;

use super::Session;
use crate::connection::{Close, Handler, Line};
use crate::scene::{Pointer, Scene};
use crate::source::CursorShape;

/// The handler.
pub(super) struct Cursor {
    scene: Rc<Scene>,
    session: Rc<Session>,
    /// Number of the shape that the client has.
    shape: u64,
    /// The place it was told last.
    place: Option<(i32, i32)>,
    /// The client comes from another server and has a pointer.
    goes_on: bool,
}

impl Cursor {
    pub(super) fn new(scene: Rc<Scene>, session: Rc<Session>, bell: &Rc<Notify>, goes_on: bool) -> Self {
        scene.watch_pointer(bell);
        Self { scene, session, shape: 0, place: None, goes_on }
    }

    fn send_shape(&mut self, line: &mut Line<CursorServer>, pointer: &Pointer) -> Result<(), Close> {
        let position = point(pointer.place);
        let (cursor, payload) = match &pointer.shape {
            Some(shape) => said(line, shape),
            None => (Wire { flags: CursorFlags::empty(), shape: Shape::None }, Bytes::new()),
        };
        let visible = u8::from(pointer.shape.is_some());
        let message = ServerMessage::Set(Set { position, visible, cursor });
        match line.send(&message, &[payload]) {
            Ok(()) => {
                self.shape = pointer.shape_number;
                self.place = Some(pointer.place);
                Ok(())
            }
            Err(Refused::Hold) => Ok(()),
            Err(refused) => Err(Close::Refused(refused)),
        }
    }
}

impl Handler for Cursor {
    type Machine = CursorServer;

    fn on_open(&mut self, line: &mut Line<CursorServer>) -> Result<(), Close> {
        if self.goes_on {
            // Shapes have other numbers here. The newest one follows.
            return line.send(&ServerMessage::InvalAll(InvalAll {}), &[]).map_err(Close::Refused);
        }
        let pointer = self.scene.pointer();
        let (cursor, payload) = match &pointer.shape {
            Some(shape) => said(line, shape),
            None => (Wire { flags: CursorFlags::empty(), shape: Shape::None }, Bytes::new()),
        };
        let init = Init {
            position: point(pointer.place),
            trail_length: 0,
            trail_frequency: 0,
            visible: u8::from(pointer.shape.is_some()),
            cursor,
        };
        (self.shape, self.place) = (pointer.shape_number, Some(pointer.place));
        line.send(&ServerMessage::Init(init), &[payload]).map_err(Close::Refused)
    }

    fn on_event(&mut self, _line: &mut Line<CursorServer>, event: Heard<'_>) -> Result<(), Close> {
        match event {
            Heard::Disconnecting(_) => Err(Close::Goodbye),
            _ => Ok(()),
        }
    }

    fn on_wake(&mut self, line: &mut Line<CursorServer>) -> Result<(), Close> {
        self.session.check()?;
        self.scene.check()?;
        let pointer = self.scene.pointer();
        if pointer.shape_number != self.shape {
            self.send_shape(line, &pointer)?;
        }
        // In client mode the client knows better where its pointer is.
        let relative = self.session.mouse_mode.get() == MouseModes::SERVER;
        if relative && pointer.shape.is_some() && self.place != Some(pointer.place) {
            match line.send(&ServerMessage::Move(Move { position: point(pointer.place) }), &[]) {
                Ok(()) => self.place = Some(pointer.place),
                // The next place replaces this one.
                Err(Refused::Hold) => {}
                Err(refused) => return Err(Close::Refused(refused)),
            }
        }
        Ok(())
    }
}

/// The shape as the machine says it: by its id when the client keeps it.
fn said(line: &Line<CursorServer>, shape: &CursorShape) -> (Wire<'static>, Bytes) {
    let fit = |n: u32| u16::try_from(n).unwrap_or(u16::MAX);
    let header = CursorHeader {
        unique: id_of(shape),
        kind: CursorType::ALPHA,
        width: fit(shape.size.width),
        height: fit(shape.size.height),
        hot_spot_x: shape.hot_x,
        hot_spot_y: shape.hot_y,
    };
    let cursor = line.machine.cursor(header, Data::Promised(shape.bgra.len()));
    let payload = match cursor.shape {
        Shape::Here(..) => Bytes::from_owner(std::sync::Arc::clone(&shape.bgra)),
        Shape::None | Shape::FromCache(_) => Bytes::new(),
    };
    (cursor, payload)
}

/// Equal shapes have equal ids, so that the client's cache serves them; 0 would mean "do not keep".
fn id_of(shape: &CursorShape) -> u64 {
    let mut hasher = DefaultHasher::new();
    (shape.size, shape.hot_x, shape.hot_y).hash(&mut hasher);
    shape.bgra.hash(&mut hasher);
    hasher.finish().max(1)
}

fn point((x, y): (i32, i32)) -> Point16 {
    let fit = |n: i32| i16::try_from(n.clamp(i16::MIN.into(), i16::MAX.into())).unwrap_or_default();
    Point16::new(fit(x), fit(y))
}
