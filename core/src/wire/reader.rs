//! The checked cursor.

use super::{DecodeError, DecodeErrorKind, to_usize};

/// Reads a message body from front to back; pointers may lead forward only.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    body: &'a [u8],
    /// The end of the body that is not read yet.
    ahead: &'a [u8],
    /// End of the furthest byte that a pointer's target used.
    reach: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the beginning of `body`.
    #[inline]
    #[must_use]
    pub const fn new(body: &'a [u8]) -> Self {
        Self { body, ahead: body, reach: 0 }
    }

    /// The next `n` bytes.
    ///
    /// # Errors
    /// `Short` when fewer are left.
    #[inline]
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], DecodeError> {
        match self.ahead.split_at_checked(n) {
            Some((bytes, ahead)) => {
                self.ahead = ahead;
                Ok(bytes)
            }
            None => Err(self.short(n)),
        }
    }

    /// The next `N` bytes as an array.
    ///
    /// # Errors
    /// `Short` when fewer are left.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        match self.ahead.split_first_chunk::<N>() {
            Some((bytes, ahead)) => {
                self.ahead = ahead;
                Ok(*bytes)
            }
            None => Err(self.short(N)),
        }
    }

    /// The next `n` bytes for fields without pointers, so that one look at the length does for all
    /// of them; nothing when fewer are left.
    #[inline]
    pub(crate) fn window(&mut self, n: usize) -> Option<Self> {
        let (bytes, ahead) = self.ahead.split_at_checked(n)?;
        self.ahead = ahead;
        Some(Self::new(bytes))
    }

    /// All bytes that are left.
    #[inline]
    pub fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.ahead)
    }

    /// How many bytes are left.
    #[inline]
    #[must_use]
    pub const fn left(&self) -> usize {
        self.ahead.len()
    }

    /// Reads at `offset` from the start of the body, which must not lie before the present place.
    ///
    /// # Errors
    /// `Offset` when it leads backwards or outside, else what `read` says.
    #[inline]
    pub fn follow<T>(
        &mut self,
        offset: u32,
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        let pos = to_usize(offset);
        match self.body.get(pos..) {
            Some(ahead) if pos >= self.position() => {
                let mut target = Reader { body: self.body, ahead, reach: self.reach };
                let value = read(&mut target)?;
                self.reach = target.reach.max(target.position());
                Ok(value)
            }
            _ => Err(self.astray(offset)),
        }
    }

    /// The whole body.
    #[must_use]
    pub const fn body(&self) -> &'a [u8] {
        self.body
    }

    /// Where the next read happens, from the start of the body.
    #[inline]
    #[must_use]
    pub const fn position(&self) -> usize {
        self.body.len().saturating_sub(self.ahead.len())
    }

    /// Bytes behind everything that was read, pointers' targets included.
    #[inline]
    #[must_use]
    pub fn trailing(&self) -> usize {
        self.ahead.len().min(self.body.len().saturating_sub(self.reach))
    }

    /// What is wrong when a field of `needed` bytes does not fit.
    #[cold]
    #[inline(never)]
    fn short(&self, needed: usize) -> DecodeError {
        DecodeError::new(DecodeErrorKind::Short { needed, got: self.ahead.len() })
    }

    /// What is wrong when fields of these sizes, one after another, do not fit.
    #[cold]
    #[inline(never)]
    pub(crate) fn short_of(&self, fields: &[(&'static str, usize)]) -> DecodeError {
        let mut got = self.ahead.len();
        for &(at, needed) in fields {
            match got.checked_sub(needed) {
                Some(left) => got = left,
                None => return DecodeError::new(DecodeErrorKind::Short { needed, got }).at(at),
            }
        }
        self.short(0)
    }

    /// What is wrong with a pointer.
    #[cold]
    #[inline(never)]
    fn astray(&self, offset: u32) -> DecodeError {
        DecodeError::new(DecodeErrorKind::Offset { offset, len: self.body.len() })
    }
}

#[cfg(test)]
mod tests {
    use super::Reader;
    use crate::wire::{DecodeError, DecodeErrorKind as Kind, Field};

    fn kind<T>(result: Result<T, DecodeError>) -> Option<Kind> {
        result.err().map(|e| e.kind)
    }

    #[test]
    fn it_reads_up_to_the_end_and_not_beyond() {
        let mut r = Reader::new(&[1, 2, 3, 4, 5]);
        assert_eq!(r.array(), Ok([1, 2]));
        assert_eq!(kind(r.array::<4>()), Some(Kind::Short { needed: 4, got: 3 }));
        assert_eq!(kind(r.take(usize::MAX)), Some(Kind::Short { needed: usize::MAX, got: 3 }));
        assert_eq!((r.position(), r.left()), (2, 3), "a read that fails takes nothing");
        assert_eq!(r.take(3), Ok(&[3, 4, 5][..]));
        assert_eq!((r.take(0), r.rest(), r.trailing()), (Ok(&[][..]), &[][..], 0));
    }

    #[test]
    fn pointers_lead_forward_and_inside() {
        let body = [0, 1, 2, 3, 4, 5, 6, 7];
        let mut r = Reader::new(&body);
        r.take(4).unwrap();
        assert_eq!(r.follow(4, u16::read), Ok(0x0504));
        assert_eq!((r.position(), r.trailing()), (4, 2), "what a target used is not trailing");
        for offset in [0, 3, 9, u32::MAX] {
            assert_eq!(kind(r.follow(offset, u8::read)), Some(Kind::Offset { offset, len: 8 }));
        }
        assert_eq!(r.follow(8, |r| Ok(r.left())), Ok(0), "just behind the end there is nothing, but it is a place");
        assert_eq!(kind(r.follow(7, u16::read)), Some(Kind::Short { needed: 2, got: 1 }));
    }

    #[test]
    fn targets_may_share_bytes_and_lie_in_any_order() {
        let body = [9; 8];
        let mut r = Reader::new(&body);
        r.take(2).unwrap();
        for offset in [6, 2, 6] {
            r.follow(offset, u16::read).unwrap();
        }
        assert_eq!(r.trailing(), 0);
    }

    #[test]
    fn a_target_s_own_pointers_lead_forward_from_there() {
        let body = [4, 0, 0, 0, 3, 0, 0, 0, 1];
        let mut r = Reader::new(&body);
        let back = r.follow(4, |r| {
            let offset = u32::read(r)?;
            r.follow(offset, u8::read)
        });
        assert_eq!(kind(back), Some(Kind::Offset { offset: 3, len: 9 }));
    }

    #[test]
    fn fixed_fields_name_the_one_that_is_cut() {
        let r = Reader::new(&[0; 5]);
        let short = r.short_of(&[("T.a", 4), ("T.b", 4), ("T.c", 1)]);
        assert_eq!(short, DecodeError { at: "T.b", kind: Kind::Short { needed: 4, got: 1 } });
    }
}
