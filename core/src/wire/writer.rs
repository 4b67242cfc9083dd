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
    pub const fn new(out: &'o mut [u8]) -> Self {
        Self { out, pos: 0, promised: 0 }
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// `NoSpace`; `PromiseNotLast` once something was promised.
    pub fn put(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        if self.promised != 0 && !bytes.is_empty() {
            return Err(EncodeError::PromiseNotLast);
        }
        let left = self.out.len().saturating_sub(self.pos);
        let end = self.pos.saturating_add(bytes.len());
        match self.out.get_mut(self.pos..end) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.pos = end;
                Ok(())
            }
            None => Err(EncodeError::NoSpace { needed: bytes.len(), left }),
        }
    }

    /// Writes a pointer's value over its place, once its target's place is known.
    pub(crate) fn patch_u32(&mut self, at: usize, value: u32) {
        if let Some(room) = self.out.get_mut(at..at.saturating_add(4)) {
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
