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
