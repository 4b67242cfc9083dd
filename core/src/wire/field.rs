//! [`Field`]: anything with one wire form.

use zerocopy::little_endian::{I16, I32, I64, U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::{DecodeError, EncodeError, Reader, Shape, Writer};

/// A value with one wire form: an inline part, and for pointers a target further back.
///
/// The inline parts of a structure's fields follow each other without padding; the targets are
/// appended behind the whole structure in field order, each followed by its own targets.
pub trait Field<'a>: Sized {
    /// How the wire form is written in documentation.
    const WIRE: &'static str;
    /// Fewest bytes the inline part takes.
    const MIN: usize;
    /// Whether it is always `MIN` bytes, without pointers and promises.
    const FIXED: bool = false;
    /// What it is made of, for documentation and tests.
    const SHAPE: Shape = Shape::Plain;

    /// Reads the inline part and, through pointers, the targets.
    ///
    /// # Errors
    /// When the bytes are not this field.
    fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError>;

    /// Writes the inline part; pointers are written as 0.
    ///
    /// # Errors
    /// When there is no room.
    fn write(&self, w: &mut Writer<'_>) -> Result<(), EncodeError>;

    /// Bytes of the inline part, promised ones included.
    #[inline]
    fn inline_size(&self) -> usize {
        Self::MIN
    }

    /// Appends the targets of the pointers in the inline part that was written at `at`, and sets
    /// the pointers.
    ///
    /// # Errors
    /// When there is no room.
    #[inline]
    fn write_targets(&self, _w: &mut Writer<'_>, _at: usize) -> Result<(), EncodeError> {
        Ok(())
    }

    /// Bytes of all targets, promised ones included.
    #[inline]
    fn targets_size(&self) -> usize {
        0
    }
}

/// A fixed-size value that can be looked at where it lies: element of a [`super::Counted`] list.
pub trait Record: FromBytes + IntoBytes + Immutable + KnownLayout + Unaligned + Copy + 'static {
    /// How the wire form is written in documentation.
    const RECORD: &'static str;
}

/// An integer with a little-endian, unaligned form.
pub trait Native: Copy {
    /// That form.
    type Wire: Record;
}

macro_rules! integers {
    ($($t:ident $wire:ident $n:literal;)*) => {$(
        impl Field<'_> for $t {
            const WIRE: &'static str = stringify!($t);
            const MIN: usize = $n;
            const FIXED: bool = true;
            #[inline]
            fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok($t::from_le_bytes(r.array()?))
            }
            #[inline]
            fn write(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
                w.put(&self.to_le_bytes())
            }
        }
    )*};
}
integers! { u8 U8 1; u16 U16 2; u32 U32 4; u64 U64 8; i16 I16 2; i32 I32 4; i64 I64 8; }

macro_rules! natives {
    ($($t:ident $wire:ident;)*) => {$(
        impl Record for $wire {
            const RECORD: &'static str = stringify!($t);
        }
        impl Native for $t {
            type Wire = $wire;
        }
    )*};
}
natives! { u16 U16; u32 U32; u64 U64; i16 I16; i32 I32; i64 I64; }

impl Record for u8 {
    const RECORD: &'static str = "u8";
}
impl Native for u8 {
    type Wire = u8;
}

impl<const N: usize> Field<'_> for [u8; N] {
    const WIRE: &'static str = "bytes";
    const MIN: usize = N;
    const SHAPE: Shape = Shape::Bytes;
    const FIXED: bool = true;
    #[inline]
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.array()
    }
    #[inline]
    fn write(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        w.put(self)
    }
}

/// A field and `PAD` bytes behind it: not looked at when read, 0 when written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Padded<T, const PAD: usize>(pub T);

impl<'a, T: Field<'a>, const PAD: usize> Field<'a> for Padded<T, PAD> {
    const WIRE: &'static str = T::WIRE;
    const MIN: usize = T::MIN.saturating_add(PAD);
    const FIXED: bool = T::FIXED;

    #[inline]
    fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let value = T::read(r)?;
        r.take(PAD)?;
        Ok(Self(value))
    }

    #[inline]
    fn write(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        self.0.write(w)?;
        w.put(&[0; PAD])
    }
}
