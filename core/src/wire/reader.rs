//! The checked cursor.

use super::{DecodeError, DecodeErrorKind, to_usize};

/// Reads a message body from front to back; pointers may lead forward only.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    body: &'a [u8],
    pos: usize,
    /// End of the furthest byte that a pointer's target used.
    reach: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the beginning of `body`.
    #[must_use]
    pub const fn new(body: &'a [u8]) -> Self {
        Self { body, pos: 0, reach: 0 }
    }

    /// The next `n` bytes.
    ///
    /// # Errors
    /// `Short` when fewer are left.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], DecodeError> {
        let left = self.body.get(self.pos..).unwrap_or_default();
        match left.get(..n) {
            Some(bytes) => {
                self.pos = self.pos.saturating_add(n);
                Ok(bytes)
            }
            None => Err(DecodeError::new(DecodeErrorKind::Short { needed: n, got: left.len() })),
        }
    }

    /// The next `N` bytes as an array.
    ///
    /// # Errors
    /// `Short` when fewer are left.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let left = self.body.get(self.pos..).unwrap_or_default();
        match left.first_chunk::<N>() {
            Some(bytes) => {
                self.pos = self.pos.saturating_add(N);
                Ok(*bytes)
            }
            None => Err(DecodeError::new(DecodeErrorKind::Short { needed: N, got: left.len() })),
        }
    }

    /// All bytes that are left.
    pub fn rest(&mut self) -> &'a [u8] {
        let left = self.body.get(self.pos..).unwrap_or_default();
        self.pos = self.body.len();
        left
    }

    /// How many bytes are left.
    #[must_use]
    pub const fn left(&self) -> usize {
        self.body.len().saturating_sub(self.pos)
    }

    /// Reads at `offset` from the start of the body, which must not lie before the present place.
    ///
    /// # Errors
    /// `Offset` when it leads backwards or outside, else what `read` says.
    pub fn follow<T>(
        &mut self,
        offset: u32,
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, DecodeError>,
    ) -> Result<T, DecodeError> {
        let pos = to_usize(offset);
        if pos < self.pos || pos > self.body.len() {
            return Err(DecodeError::new(DecodeErrorKind::Offset { offset, len: self.body.len() }));
        }
        let mut target = Reader { body: self.body, pos, reach: self.reach };
        let value = read(&mut target)?;
        self.reach = target.reach.max(target.pos);
        Ok(value)
    }

    /// The whole body.
    #[must_use]
    pub const fn body(&self) -> &'a [u8] {
        self.body
    }

    /// Where the next read happens, from the start of the body.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.pos
    }

    /// Bytes behind everything that was read, pointers' targets included.
    #[must_use]
    pub fn trailing(&self) -> usize {
        self.body.len().saturating_sub(self.pos.max(self.reach))
    }
}
