//! Pointers: `u32` offsets from the start of the body, 0 for none.

use super::{Data, DecodeError, EncodeError, Field, Reader, Shape, Writer, to_u32, to_usize};

/// A pointer to a `T`, or to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At<T>(pub Option<T>);

impl<'a, T: Field<'a>> Field<'a> for At<T> {
    const WIRE: &'static str = "u32 offset, 0 = none";
    const MIN: usize = 4;
    const SHAPE: Shape = Shape::Pointer(T::WIRE);

    #[inline]
    fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        match u32::read(r)? {
            0 => Ok(Self(None)),
            offset => r.follow(offset, T::read).map(|target| Self(Some(target))),
        }
    }

    #[inline]
    fn write(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        w.put(&[0; 4])
    }

    #[inline]
    fn write_targets(&self, w: &mut Writer<'_>, at: usize) -> Result<(), EncodeError> {
        let Some(target) = &self.0 else { return Ok(()) };
        let place = w.position();
        w.patch_u32(at, to_u32(place));
        target.write(w)?;
        target.write_targets(w, place)
    }

    #[inline]
    fn targets_size(&self) -> usize {
        self.0.as_ref().map_or(0, |t| t.inline_size().saturating_add(t.targets_size()))
    }
}

/// `u32` size and a pointer to that many bytes; nothing when the pointer is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizedAt<'a>(pub Option<&'a [u8]>);

impl<'a> Field<'a> for SizedAt<'a> {
    const WIRE: &'static str = "u32 size, u32 offset of that many bytes, 0 = none";
    const MIN: usize = 8;

    #[inline]
    fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let size = u32::read(r)?;
        match u32::read(r)? {
            0 => Ok(Self(None)),
            offset => r.follow(offset, |r| r.take(to_usize(size))).map(|bytes| Self(Some(bytes))),
        }
    }

    #[inline]
    fn write(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        let count = self.0.map_or(0, <[u8]>::len);
        u32::try_from(count).map_err(|_| EncodeError::Count { count })?.write(w)?;
        w.put(&[0; 4])
    }

    #[inline]
    fn write_targets(&self, w: &mut Writer<'_>, at: usize) -> Result<(), EncodeError> {
        let Some(bytes) = self.0 else { return Ok(()) };
        w.patch_u32(at.saturating_add(4), to_u32(w.position()));
        Data::Here(bytes).write(w)
    }

    #[inline]
    fn targets_size(&self) -> usize {
        self.0.map_or(0, <[u8]>::len)
    }
}
