//! Declarations: a structure's fields, an open enum, flags, a message, a channel.

#[macro_use]
mod record;
#[macro_use]
mod number;
#[macro_use]
mod fields;
#[macro_use]
mod message;
