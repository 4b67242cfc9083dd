//! The bytes, and nothing that knows what they mean.
//!
//! Every number on the wire is little-endian and unaligned. Reading goes through
//! [`Reader`]: every read returns a `Result`, no read can panic, nothing outside the message body
//! is reached. Writing goes through [`Writer`] into memory that the caller lends; "no room" is an
//! ordinary answer.
//!
//! A type with a wire form is a [`Field`]; a message is a list of fields with a number, declared
//! with `message!`; a channel's messages are listed once with `channel_messages!`, from which come
//! the enum, its decoder, and the rows of [`Row`] that tests, fuzzers and tracers walk.
#![deny(clippy::as_conversions, clippy::arithmetic_side_effects, clippy::indexing_slicing)]

mod data;
mod error;
mod field;
mod list;
#[macro_use]
mod macros;
mod pointer;
mod reader;
mod repeat;
mod sample;
mod table;
mod writer;

pub use data::{Data, Rest, Sized32, Sized64};
pub use error::{DecodeError, DecodeErrorKind, EncodeError};
pub use field::{Field, Native, Padded, Record};
pub(crate) use list::read_records;
pub use list::{Counted, RestOf};
pub use pointer::{At, SizedAt};
pub use reader::Reader;
pub use repeat::{Items, Repeat};
pub use sample::{Sample, SampleItems, Sampler};
pub(crate) use table::again;
pub use table::{Again, Failure, FieldForm, Message, Row, Sender, Shape};
pub use writer::Writer;

/// A 32-bit length as a `usize`; saturates where `usize` is narrower, so that it never fits.
pub(crate) fn to_usize(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// A length as the `u32` that the wire carries; saturates.
pub(crate) fn to_u32(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
