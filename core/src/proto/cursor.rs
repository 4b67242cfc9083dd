//! The cursor channel; clients say only what is common to all channels.

use crate::proto::common;
use crate::proto::shape::Point16;
use crate::wire::{Data, DecodeError, EncodeError, Field, FieldForm, Reader, Sample, Sampler, Writer};

flags! {
    /// Where a cursor's shape is. What is written follows from [`Shape`].
    pub struct CursorFlags: u16 {
        /// There is none.
        const NONE = 1;
        /// The client keeps it under its id.
        const CACHE_ME = 2;
        /// It is the kept one of that id.
        const FROM_CACHE = 4;
    }
}

open_enum! {
    /// Layout of a shape's data.
    pub struct CursorType: u8 {
        /// Premultiplied ARGB: bytes b, g, r, a.
        ALPHA = 0,
        /// An AND mask, then an XOR mask, rows padded to bytes.
        MONO = 1,
        /// 4-bit rows, 16 × `u32` palette, a mask.
        COLOR4 = 2,
        /// 8-bit rows, 256 × `u32` palette, a mask.
        COLOR8 = 3,
        /// 16-bit rows, a mask.
        COLOR16 = 4,
        /// 24-bit rows, a mask.
        COLOR24 = 5,
        /// 32-bit rows, a mask.
        COLOR32 = 6,
    }
}

fields! {
    /// Which shape it is (CursorHeader).
    pub struct CursorHeader {
        /// Its id in the client's cursor cache.
        unique: u64,
        /// Layout of its data.
        kind: CursorType,
        /// Pixels in a row.
        width: u16,
        /// Rows.
        height: u16,
        /// Column of the pixel that points.
        hot_spot_x: u16,
        /// Row of the pixel that points.
        hot_spot_y: u16,
    }
}

/// Cursor: `u16` flags; unless NONE a [`CursorHeader`]; unless FROM_CACHE the shape to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor<'a> {
    /// CACHE_ME, and bits without a name; NONE and FROM_CACHE are as `shape` has it.
    pub flags: CursorFlags,
    /// The shape.
    pub shape: Shape<'a>,
}

/// Where a cursor's shape is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape<'a> {
    /// There is none.
    None,
    /// The client has it.
    FromCache(CursorHeader),
    /// It is here.
    Here(CursorHeader, Data<'a>),
}

impl Cursor<'_> {
    /// Its fields, in wire order.
    pub const FIELDS: &'static [FieldForm] = &[
        FieldForm::of::<CursorFlags>("flags"),
        FieldForm::words("header", "unless NONE: CursorHeader", 0),
        FieldForm::words("data", "unless NONE or FROM_CACHE: bytes to the end", 0),
    ];

    fn wire_flags(&self) -> CursorFlags {
        let mut flags = self.flags;
        flags.set(CursorFlags::NONE, matches!(self.shape, Shape::None));
        flags.set(CursorFlags::FROM_CACHE, matches!(self.shape, Shape::FromCache(_)));
        flags
    }
}

impl<'a> Field<'a> for Cursor<'a> {
    const WIRE: &'static str = "Cursor";
    const MIN: usize = 2;

    fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let flags = CursorFlags::read(r)?;
        let shape = if flags.contains(CursorFlags::NONE) {
            Shape::None
        } else if flags.contains(CursorFlags::FROM_CACHE) {
            Shape::FromCache(CursorHeader::read(r)?)
        } else {
            Shape::Here(CursorHeader::read(r)?, Data::Here(r.rest()))
        };
        let cursor = Self { flags, shape };
        // With both flags there is no shape, in a cache or not.
        Ok(Self { flags: cursor.wire_flags(), ..cursor })
    }

    fn write(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        self.wire_flags().write(w)?;
        match &self.shape {
            Shape::None => Ok(()),
            Shape::FromCache(header) => header.write(w),
            Shape::Here(header, data) => {
                header.write(w)?;
                data.write(w)
            }
        }
    }

    fn inline_size(&self) -> usize {
        match &self.shape {
            Shape::None => Self::MIN,
            Shape::FromCache(_) => Self::MIN.saturating_add(CursorHeader::MIN),
            Shape::Here(_, data) => Self::MIN.saturating_add(CursorHeader::MIN).saturating_add(data.len()),
        }
    }
}

impl Sample for Cursor<'static> {
    fn sample(s: &mut Sampler) -> Self {
        let shape = match s.below(3) {
            0 => Shape::None,
            1 => Shape::FromCache(CursorHeader::sample(s)),
            _ => Shape::Here(CursorHeader::sample(s), Data::sample(s)),
        };
        let cursor = Self { flags: CursorFlags::sample(s), shape };
        Self { flags: cursor.wire_flags(), shape }
    }
}

message! {
    /// SPICE_MSG_CURSOR_INIT: all there is to know about the cursor.
    101 pub struct Init<'a> {
        /// Where it is.
        position: Point16,
        /// Positions in its trail.
        trail_length: u16,
        /// How often one is left.
        trail_frequency: u16,
        /// 1 when it is shown.
        visible: u8,
        /// How it looks.
        cursor: Cursor<'a>,
    }
}

message! {
    /// SPICE_MSG_CURSOR_RESET: hide it and forget everything.
    102 pub struct Reset {}
}

message! {
    /// SPICE_MSG_CURSOR_SET: another shape.
    103 pub struct Set<'a> {
        /// Where it is.
        position: Point16,
        /// 1 when it is shown.
        visible: u8,
        /// How it looks.
        cursor: Cursor<'a>,
    }
}

message! {
    /// SPICE_MSG_CURSOR_MOVE: shows it there; in server mouse mode.
    104 pub struct Move {
        /// Where it is.
        position: Point16,
    }
}

message! {
    /// SPICE_MSG_CURSOR_HIDE.
    105 pub struct Hide {}
}

message! {
    /// SPICE_MSG_CURSOR_TRAIL.
    106 pub struct Trail {
        /// Positions in its trail.
        length: u16,
        /// How often one is left.
        frequency: u16,
    }
}

message! {
    /// SPICE_MSG_CURSOR_INVAL_ONE: forget that shape.
    107 pub struct InvalOne {
        /// Its id.
        id: u64,
    }
}

message! {
    /// SPICE_MSG_CURSOR_INVAL_ALL: forget all shapes.
    108 pub struct InvalAll {}
}

channel_messages! {
    /// What the server says on a cursor channel.
    pub enum ServerMessage<'a> ["cursor", Server] {
        Init<'a>, Reset, Set<'a>, Move, Hide, Trail, InvalOne, InvalAll,
    } else Common(common::ServerMessage<'a>)
}
