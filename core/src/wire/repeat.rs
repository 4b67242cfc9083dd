//! Lists of items that differ in size, so that they cannot be borrowed as a slice.

use core::fmt;
use core::marker::PhantomData;

use super::list::Count;
use super::{DecodeError, DecodeErrorKind, EncodeError, Field, Reader, Shape, Writer, to_u32, to_usize};

/// Items one after another: where they lie in a body, validated, or as a slice of values to send.
///
/// The items may not hold pointers.
#[derive(Clone, Copy)]
pub enum Items<'a, T> {
    /// As they were received; read again, without a way to fail, on each walk.
    Wire(WireItems<'a>),
    /// As they are to be sent.
    Here(&'a [T]),
}

/// Items that were validated where they lie.
#[derive(Clone, Copy, Debug)]
pub struct WireItems<'a> {
    bytes: &'a [u8],
    count: usize,
}

impl<'a, T: Field<'a> + Copy> Items<'a, T> {
    /// Number of items.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::Wire(wire) => wire.count,
            Self::Here(items) => items.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The items, in order.
    pub fn iter(&self) -> impl Iterator<Item = T> {
        let (wire, here) = match *self {
            Self::Wire(wire) => (wire, [].as_slice()),
            Self::Here(items) => (WireItems { bytes: &[], count: 0 }, items),
        };
        let mut r = Reader::new(wire.bytes);
        (0..wire.count).map_while(move |_| T::read(&mut r).ok()).chain(here.iter().copied())
    }

    /// Reads `count` items.
    pub(crate) fn read(r: &mut Reader<'a>, count: u32, max: usize) -> Result<Self, DecodeError> {
        let n = to_usize(count);
        if n > max {
            return Err(DecodeError::new(DecodeErrorKind::TooMany { count, max: to_u32(max) }));
        }
        let mut from = r.clone();
        for _ in 0..n {
            T::read(r)?;
        }
        let bytes = from.take(r.position().saturating_sub(from.position()))?;
        Ok(Self::Wire(WireItems { bytes, count: n }))
    }

    /// Writes the items.
    pub(crate) fn write(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        match self {
            Self::Wire(wire) => w.put(wire.bytes),
            Self::Here(items) => items.iter().try_for_each(|item| item.write(w)),
        }
    }

    /// Bytes of all items.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Wire(wire) => wire.bytes.len(),
            Self::Here(items) => items.iter().fold(0, |sum, item| item.inline_size().saturating_add(sum)),
        }
    }
}

impl<'a, T: Field<'a> + Copy + fmt::Debug> fmt::Debug for Items<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a, T: Field<'a> + Copy + PartialEq> PartialEq for Items<'a, T> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}
impl<'a, T: Field<'a> + Copy + Eq> Eq for Items<'a, T> {}

/// A count of type `C` and that many items, at most `MAX`.
pub struct Repeat<'a, C, T: Field<'a> + Copy, const MAX: usize> {
    items: Items<'a, T>,
    count: PhantomData<C>,
}

impl<'a, C, T: Field<'a> + Copy + fmt::Debug, const MAX: usize> fmt::Debug for Repeat<'a, C, T, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.items.fmt(f)
    }
}

impl<'a, C, T: Field<'a> + Copy, const MAX: usize> Repeat<'a, C, T, MAX> {
    /// A list of these items; encoding fails when there are more than `MAX`.
    #[must_use]
    pub const fn new(items: Items<'a, T>) -> Self {
        Self { items, count: PhantomData }
    }

    /// The items.
    #[must_use]
    pub const fn items(&self) -> Items<'a, T> {
        self.items
    }
}

impl<'a, C, T: Field<'a> + Copy, const MAX: usize> Clone for Repeat<'a, C, T, MAX> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<'a, C, T: Field<'a> + Copy, const MAX: usize> Copy for Repeat<'a, C, T, MAX> {}

impl<'a, C, T: Field<'a> + Copy + PartialEq, const MAX: usize> PartialEq for Repeat<'a, C, T, MAX> {
    fn eq(&self, other: &Self) -> bool {
        self.items == other.items
    }
}
impl<'a, C, T: Field<'a> + Copy + Eq, const MAX: usize> Eq for Repeat<'a, C, T, MAX> {}

impl<'a, C: Count, T: Field<'a> + Copy, const MAX: usize> Field<'a> for Repeat<'a, C, T, MAX> {
    const WIRE: &'static str = "count, then count items";
    const MIN: usize = C::MIN;
    const SHAPE: Shape = Shape::List { count: C::MIN, item: T::WIRE, item_min: T::MIN, max: MAX };

    fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let count: u32 = C::read(r)?.into();
        Items::read(r, count, MAX).map(Self::new)
    }

    fn write(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        let count = self.items.len();
        if count > MAX {
            return Err(EncodeError::Count { count });
        }
        C::try_from(count).map_err(|_| EncodeError::Count { count })?.write(w)?;
        self.items.write(w)
    }

    fn inline_size(&self) -> usize {
        C::MIN.saturating_add(self.items.size())
    }
}

#[cfg(test)]
mod tests {
    use super::{Items, Repeat};
    use crate::wire::{Counted, DecodeErrorKind, Field, Reader, Writer};

    type Words<'a> = Repeat<'a, u8, Counted<'a, u8, u8, 4>, 3>;

    #[test]
    fn received_and_made_items_are_alike() {
        let bytes = [3, 1, 7, 0, 2, 8, 9];
        let received = Words::read(&mut Reader::new(&bytes)).unwrap();
        let items = [Counted::new(&[7]), Counted::new(&[]), Counted::new(&[8, 9])];
        let made = Words::new(Items::Here(&items));
        assert_eq!((received, received.inline_size(), made.inline_size()), (made, 7, 7));
        assert!(received.items().iter().eq(items));
        for list in [received, made] {
            let mut out = [0; 7];
            list.write(&mut Writer::new(&mut out)).unwrap();
            assert_eq!(out, bytes);
        }
        assert_ne!(received, Words::new(Items::Here(&items[..2])));
    }

    #[test]
    fn an_item_that_is_not_one_is_found_when_the_list_is_read() {
        let too_long = Words::read(&mut Reader::new(&[2, 1, 7, 5, 0, 0, 0, 0, 0])).unwrap_err();
        assert_eq!(too_long.kind, DecodeErrorKind::TooMany { count: 5, max: 4 });
        let short = Words::read(&mut Reader::new(&[2, 1, 7, 2, 0])).unwrap_err();
        assert_eq!(short.kind, DecodeErrorKind::Short { needed: 2, got: 1 });
    }
}
