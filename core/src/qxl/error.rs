//! What can be wrong with what a guest wrote.

use core::fmt;

use crate::proto::shape::Rect;
use crate::wire::{DecodeError, DecodeErrorKind};

/// Why a command of the guest is not carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QxlError {
    /// Structure and field, such as `"QXLBitmap.stride"`; empty where no name is known.
    pub at: &'static str,
    /// What is wrong there.
    pub kind: QxlErrorKind,
}

/// What is wrong there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QxlErrorKind {
    /// No such group of memory slots.
    Group {
        /// Its number.
        group: u32,
        /// How many there are.
        groups: u32,
    },
    /// No such memory slot.
    Slot {
        /// Its number.
        slot: u32,
        /// How many there can be in a group.
        slots: u32,
    },
    /// The address is one of an earlier use of its slot.
    Generation {
        /// That of the address.
        said: u32,
        /// That of the slot.
        now: u32,
    },
    /// The address, or the end of what lies there, is not in its slot.
    Range {
        /// The address.
        address: u64,
        /// Bytes that should lie there.
        len: u64,
    },
    /// The host could not read there.
    Unreadable {
        /// The host's address.
        address: u64,
        /// Bytes that should lie there.
        len: usize,
    },
    /// The lent memory is too small: lend more and parse again.
    NoRoom {
        /// Bytes that the next piece takes.
        needed: usize,
        /// Bytes that were left.
        left: usize,
    },
    /// An address that may not be 0 is.
    Missing,
    /// A number that has no meaning there.
    Value {
        /// The number.
        value: u32,
    },
    /// A count is above its limit.
    TooMany {
        /// The count.
        count: u64,
        /// The limit.
        max: u64,
    },
    /// Two lengths that must agree do not.
    Length {
        /// By the structure.
        said: u64,
        /// By what is there.
        got: u64,
    },
    /// There is no such surface.
    NoSurface {
        /// Its id.
        id: u32,
    },
    /// There is such a surface already.
    SurfaceInUse {
        /// Its id.
        id: u32,
    },
    /// A rectangle is reversed, or not inside of what it is a part of.
    Outside {
        /// The rectangle.
        area: Rect,
        /// Columns of what it should be a part of.
        width: u32,
        /// Rows of it.
        height: u32,
    },
    /// Bytes inside a structure are not what they should be.
    Decode(DecodeErrorKind),
}

impl QxlError {
    /// An error whose place is not known yet.
    #[must_use]
    pub const fn new(kind: QxlErrorKind) -> Self {
        Self { at: "", kind }
    }

    /// Names the place, unless a more exact one is named already.
    #[must_use]
    pub const fn at(self, at: &'static str) -> Self {
        if self.at.is_empty() { Self { at, kind: self.kind } } else { self }
    }
}

impl From<DecodeError> for QxlError {
    fn from(error: DecodeError) -> Self {
        Self { at: error.at, kind: QxlErrorKind::Decode(error.kind) }
    }
}

impl fmt::Display for QxlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let QxlErrorKind::Decode(kind) = self.kind {
            return DecodeError { at: self.at, kind }.fmt(f);
        }
        if !self.at.is_empty() {
            write!(f, "{}: ", self.at)?;
        }
        match self.kind {
            QxlErrorKind::Group { group, groups } => write!(f, "slot group {group} of {groups}"),
            QxlErrorKind::Slot { slot, slots } => write!(f, "memory slot {slot} of {slots} is not there"),
            QxlErrorKind::Generation { said, now } => write!(f, "generation {said} of a slot in its {now}th"),
            QxlErrorKind::Range { address, len } => write!(f, "{len} bytes at {address:#x} do not lie in the slot"),
            QxlErrorKind::Unreadable { address, len } => write!(f, "{len} bytes at {address:#x} cannot be read"),
            QxlErrorKind::NoRoom { needed, left } => write!(f, "needs {needed} bytes of room, {left} are left"),
            QxlErrorKind::Missing => f.write_str("the address is 0"),
            QxlErrorKind::Value { value } => write!(f, "value {value} has no meaning here"),
            QxlErrorKind::TooMany { count, max } => write!(f, "{count} is above the limit of {max}"),
            QxlErrorKind::Length { said, got } => write!(f, "{got} bytes where {said} are announced"),
            QxlErrorKind::NoSurface { id } => write!(f, "there is no surface {id}"),
            QxlErrorKind::SurfaceInUse { id } => write!(f, "surface {id} exists"),
            QxlErrorKind::Outside { area, width, height } => write!(
                f,
                "columns {} to {}, rows {} to {} are no part of {width}x{height} pixels",
                area.left(),
                area.right(),
                area.top(),
                area.bottom(),
            ),
            QxlErrorKind::Decode(_) => Ok(()),
        }
    }
}

impl core::error::Error for QxlError {}
