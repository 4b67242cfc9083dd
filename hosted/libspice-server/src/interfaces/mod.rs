//! What the application hands over: its interfaces, as tables of functions.

pub(crate) mod sys;

pub(crate) use sys::{CharDevice, Core, Instance, Keyboard, Mouse, Qxl, Tablet};
