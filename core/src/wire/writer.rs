//! The checked writer over lent memory.

use super::EncodeError;

/// Writes a message body into memory that the caller lends.
///
/// The last bytes of a message may be *promised* instead of written: the host sends them from
/// where they lie (see [`super::Data`]).
#[derive(Debug)]
pub struct Writer<'o> {
    out: &'o mut [u8],
    pos: usize,
    promised: usize,
}

impl<'o> Writer<'o> {
    /// Starts at the beginning of `out`.
    #[inline]
    pub const fn new(out: &'o mut [u8]) -> Self {
        Self { out, pos: 0, promised: 0 }
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// `NoSpace`; `PromiseNotLast` once something was promised.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.room(bytes.len())?.copy_from_slice(bytes);
        Ok(())
    }

    /// The next `n` bytes for fields without pointers or promises, so that one look at the room does
    /// for all of them.
    #[inline]
    pub(crate) fn window(&mut self, n: usize) -> Result<Writer<'_>, EncodeError> {
        self.room(n).map(Writer::new)
    }

    /// The next `n` bytes.
    #[inline]
    fn room(&mut self, n: usize) -> Result<&mut [u8], EncodeError> {
        let end = self.pos.saturating_add(n);
        let (left, promised) = (self.out.len().saturating_sub(self.pos), self.promised != 0);
        match self.out.get_mut(self.pos..end) {
            Some(room) if !promised || n == 0 => {
                self.pos = end;
                Ok(room)
            }
            _ => Err(refused(n, left, promised)),
        }
    }

    /// Writes a pointer's value over its place, once its target's place is known.
    #[inline]
    pub(crate) fn patch_u32(&mut self, at: usize, value: u32) {
        let written = self.out.get_mut(..self.pos).unwrap_or_default();
        if let Some(room) = written.get_mut(at..at.saturating_add(4)) {
            room.copy_from_slice(&value.to_le_bytes());
        }
    }

    /// Says that `len` more bytes belong to the message and will be sent by the host.
    ///
    /// # Errors
    /// `PromiseNotLast` when something was promised before.
    pub fn promise(&mut self, len: usize) -> Result<(), EncodeError> {
        if self.promised != 0 {
            return Err(EncodeError::PromiseNotLast);
        }
        self.promised = len;
        Ok(())
    }

    /// Bytes written so far; where the next byte goes.
    #[inline]
    #[must_use]
    pub const fn position(&self) -> usize {
        self.pos
    }

    /// Bytes promised.
    #[must_use]
    pub const fn promised(&self) -> usize {
        self.promised
    }

    /// What has been written.
    #[must_use]
    pub fn written(&self) -> &[u8] {
        self.out.get(..self.pos).unwrap_or_default()
    }
}

/// Why there is no room for `needed` bytes.
#[cold]
#[inline(never)]
const fn refused(needed: usize, left: usize, promised: bool) -> EncodeError {
    if promised && needed != 0 { EncodeError::PromiseNotLast } else { EncodeError::NoSpace { needed, left } }
}

#[cfg(test)]
mod tests {
    use super::Writer;
    use crate::wire::EncodeError;

    #[test]
    fn it_writes_up_to_the_end_and_not_beyond() {
        let mut out = [0xee; 4];
        let mut w = Writer::new(&mut out);
        assert_eq!(w.put(&[1, 2, 3]), Ok(()));
        assert_eq!(w.put(&[4, 5]), Err(EncodeError::NoSpace { needed: 2, left: 1 }));
        assert_eq!((w.position(), w.written()), (3, &[1, 2, 3][..]), "a write that fails writes nothing");
        assert_eq!((w.put(&[4]), w.put(&[])), (Ok(()), Ok(())));
        assert_eq!(w.put(&[5]), Err(EncodeError::NoSpace { needed: 1, left: 0 }));
    }

    #[test]
    fn what_is_promised_is_the_end() {
        let mut out = [0; 4];
        let mut w = Writer::new(&mut out);
        assert_eq!((w.promise(0), w.put(&[1]), w.promise(9)), (Ok(()), Ok(()), Ok(())), "nothing promises nothing");
        assert_eq!((w.put(&[]), w.put(&[2])), (Ok(()), Err(EncodeError::PromiseNotLast)));
        assert_eq!(w.promise(1), Err(EncodeError::PromiseNotLast));
        assert_eq!(w.window(1).err(), Some(EncodeError::PromiseNotLast));
        assert_eq!((w.position(), w.promised()), (1, 9));
    }

    #[test]
    fn a_pointer_outside_of_what_is_written_is_not_set() {
        let mut out = [0xee; 6];
        let mut w = Writer::new(&mut out);
        w.put(&[0; 4]).unwrap();
        w.patch_u32(0, 0x0403_0201);
        w.patch_u32(3, 0xdead_beef);
        w.patch_u32(usize::MAX, 0xdead_beef);
        assert_eq!(out, [1, 2, 3, 4, 0xee, 0xee]);
    }
}
