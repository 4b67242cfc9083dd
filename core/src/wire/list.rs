//! Lists with a count in front.

use core::fmt;
use core::marker::PhantomData;

use zerocopy::{FromBytes, IntoBytes};

use super::{DecodeError, DecodeErrorKind, EncodeError, Field, Reader, Record, Shape, Writer, to_u32, to_usize};

/// A count of type `C` and that many records, at most `MAX`; borrowed where it lies.
pub struct Counted<'a, C, T, const MAX: usize> {
    items: &'a [T],
    count: PhantomData<C>,
}

impl<C, T: fmt::Debug, const MAX: usize> fmt::Debug for Counted<'_, C, T, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.items.fmt(f)
    }
}

impl<C, T, const MAX: usize> Clone for Counted<'_, C, T, MAX> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<C, T, const MAX: usize> Copy for Counted<'_, C, T, MAX> {}

impl<C, T: PartialEq, const MAX: usize> PartialEq for Counted<'_, C, T, MAX> {
    fn eq(&self, other: &Self) -> bool {
        self.items == other.items
    }
}
impl<C, T: Eq, const MAX: usize> Eq for Counted<'_, C, T, MAX> {}

impl<'a, C, T, const MAX: usize> Counted<'a, C, T, MAX> {
    /// A list of these items; encoding fails when there are more than `MAX`.
    #[must_use]
    pub const fn new(items: &'a [T]) -> Self {
        Self { items, count: PhantomData }
    }

    /// The items.
    #[must_use]
    pub const fn items(&self) -> &'a [T] {
        self.items
    }
}

/// Reads `count` records where they lie.
pub(crate) fn read_records<'a, T: Record>(r: &mut Reader<'a>, count: u32, max: usize) -> Result<&'a [T], DecodeError> {
    let n = to_usize(count);
    if n > max {
        return Err(DecodeError::new(DecodeErrorKind::TooMany { count, max: to_u32(max) }));
    }
    let bytes = r.take(n.saturating_mul(size_of::<T>()))?;
    <[T]>::ref_from_bytes(bytes)
        .map_err(|_| DecodeError::new(DecodeErrorKind::Short { needed: size_of::<T>(), got: bytes.len() }))
}

/// An integer that counts.
pub trait Count: for<'a> Field<'a> + TryFrom<usize> + Into<u32> {}
impl Count for u8 {}
impl Count for u16 {}
impl Count for u32 {}

impl<'a, C: Count, T: Record, const MAX: usize> Field<'a> for Counted<'a, C, T, MAX> {
    const WIRE: &'static str = "count, then count records";
    const MIN: usize = C::MIN;
    const SHAPE: Shape = Shape::List { count: C::MIN, item: T::RECORD, item_min: size_of::<T>(), max: MAX };

    #[inline]
    fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let count: u32 = C::read(r)?.into();
        Ok(Self::new(read_records(r, count, MAX)?))
    }

    #[inline]
    fn write(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        let count = self.items.len();
        let wire = C::try_from(count).map_err(|_| EncodeError::Count { count })?;
        if count > MAX {
            return Err(EncodeError::Count { count });
        }
        wire.write(w)?;
        w.put(self.items.as_bytes())
    }

    #[inline]
    fn inline_size(&self) -> usize {
        C::MIN.saturating_add(size_of_val(self.items))
    }
}

/// Records to the end of the message, at most `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestOf<'a, T, const MAX: usize>(pub &'a [T]);

impl<'a, T: Record, const MAX: usize> Field<'a> for RestOf<'a, T, MAX> {
    const WIRE: &'static str = "records to the end";
    const MIN: usize = 0;
    const SHAPE: Shape = Shape::List { count: 0, item: T::RECORD, item_min: size_of::<T>(), max: MAX };

    #[inline]
    fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let count = r.left().checked_div(size_of::<T>()).unwrap_or(0);
        read_records(r, to_u32(count), MAX).map(Self)
    }

    #[inline]
    fn write(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        let count = self.0.len();
        if count > MAX {
            return Err(EncodeError::Count { count });
        }
        w.put(self.0.as_bytes())
    }

    #[inline]
    fn inline_size(&self) -> usize {
        size_of_val(self.0)
    }
}
