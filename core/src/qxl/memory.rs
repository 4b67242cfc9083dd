//! Guest memory: every byte is copied once, and only the copy is looked at.
//!
//! The guest may write while it is read. So nothing is checked in one copy and used from another:
//! a structure is copied whole, and what lies behind it is copied by the counts of that copy.

use super::abi;
use super::error::{QxlError, QxlErrorKind};
use super::slots::{MemSlots, to_u64};
use crate::limits;
use crate::wire::{Field, Reader, to_usize};

/// Bytes of the longest structure of [`abi`], rounded up.
const STRUCTURE: usize = 128;

/// Memory that a host can copy from.
pub trait GuestMemory {
    /// Copies from this host's address on, which was checked against a slot; whether it could. The
    /// guest may write meanwhile: then any mixture of old and new bytes will do.
    fn copy(&self, address: u64, into: &mut [u8]) -> bool;
}

/// Memory that was lent as a slice, for guests that do not run: replays, tests.
#[derive(Clone, Copy, Debug)]
pub struct Lent<'m> {
    /// The host's address of the first byte.
    pub base: u64,
    /// The bytes.
    pub bytes: &'m [u8],
}

impl GuestMemory for Lent<'_> {
    fn copy(&self, address: u64, into: &mut [u8]) -> bool {
        let bytes = address
            .checked_sub(self.base)
            .and_then(|at| usize::try_from(at).ok())
            .and_then(|at| self.bytes.get(at..at.checked_add(into.len())?));
        bytes.map(|bytes| into.copy_from_slice(bytes)).is_some()
    }
}

/// The memory as the addresses of one group of slots lead into it.
#[derive(Debug)]
pub struct View<'m, M: ?Sized> {
    memory: &'m M,
    slots: &'m MemSlots,
    group: u32,
}

impl<M: ?Sized> Clone for View<'_, M> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<M: ?Sized> Copy for View<'_, M> {}

impl<'m, M: GuestMemory + ?Sized> View<'m, M> {
    /// The memory through these slots.
    pub const fn new(memory: &'m M, slots: &'m MemSlots, group: u32) -> Self {
        Self { memory, slots, group }
    }

    /// Copies from a guest's address on.
    ///
    /// # Errors
    /// When the bytes do not all lie in one slot, or the host cannot read them.
    pub fn copy(&self, address: u64, into: &mut [u8]) -> Result<(), QxlError> {
        let host = self.slots.locate(self.group, address, to_u64(into.len()))?;
        let unreadable = QxlErrorKind::Unreadable { address: host, len: into.len() };
        if self.memory.copy(host, into) { Ok(()) } else { Err(QxlError::new(unreadable)) }
    }

    /// Looks whether this many bytes lie in one slot; the host's address of them.
    ///
    /// # Errors
    /// When they do not.
    pub fn locate(&self, address: u64, len: u64) -> Result<u64, QxlError> {
        self.slots.locate(self.group, address, len)
    }

    /// Copies and reads a structure of fixed size.
    ///
    /// # Errors
    /// When its bytes do not all lie in one slot, or the host cannot read them.
    pub fn read<T: for<'a> Field<'a>>(&self, address: u64) -> Result<T, QxlError> {
        const { assert!(T::FIXED && T::MIN <= STRUCTURE) };
        let mut bytes = [0; STRUCTURE];
        let bytes = bytes.get_mut(..T::MIN).unwrap_or_default();
        self.copy(address, bytes)?;
        Ok(T::read(&mut Reader::new(bytes))?)
    }

    /// Fills `into` from a chain of chunks that has exactly as many bytes.
    ///
    /// # Errors
    /// When it has more or fewer, or too many chunks.
    pub(super) fn copy_chain(&self, first: u64, into: &mut [u8]) -> Result<(), QxlError> {
        let said = to_u64(into.len());
        let mut filled = 0usize;
        let mut chain = Chain { view: *self, next: first, count: 0 };
        while let Some((address, len)) = chain.next()? {
            let end = filled.saturating_add(len);
            let Some(room) = into.get_mut(filled..end) else {
                return Err(QxlError {
                    at: "QXLDataChunk.data_size",
                    kind: QxlErrorKind::Length { said, got: to_u64(end) },
                });
            };
            self.copy(address, room)?;
            filled = end;
        }
        let short = QxlErrorKind::Length { said, got: to_u64(filled) };
        if filled == into.len() { Ok(()) } else { Err(QxlError { at: "QXLDataChunk.next_chunk", kind: short }) }
    }

    /// Fills `into` from the beginning of a chain of chunks.
    ///
    /// # Errors
    /// When it has fewer bytes, or too many chunks.
    pub(super) fn copy_chain_start(&self, first: u64, into: &mut [u8]) -> Result<(), QxlError> {
        let said = to_u64(into.len());
        let mut filled = 0usize;
        let mut chain = Chain { view: *self, next: first, count: 0 };
        while filled < into.len() {
            let room = into.get_mut(filled..).unwrap_or_default();
            let Some((address, len)) = chain.next()? else {
                let kind = QxlErrorKind::Length { said, got: to_u64(filled) };
                return Err(QxlError { at: "QXLDataChunk.next_chunk", kind });
            };
            let some = len.min(room.len());
            self.copy(address, room.get_mut(..some).unwrap_or_default())?;
            filled = filled.saturating_add(some);
        }
        Ok(())
    }
}

/// A walk along a chain of chunks.
struct Chain<'m, M: ?Sized> {
    view: View<'m, M>,
    /// The next chunk's address; 0 at the end.
    next: u64,
    count: usize,
}

impl<M: GuestMemory + ?Sized> Chain<'_, M> {
    /// Address and length of the next chunk's bytes.
    fn next(&mut self) -> Result<Option<(u64, usize)>, QxlError> {
        if self.next == 0 {
            return Ok(None);
        }
        self.count = self.count.saturating_add(1);
        if self.count > limits::QXL_CHUNKS {
            let kind = QxlErrorKind::TooMany { count: to_u64(self.count), max: to_u64(limits::QXL_CHUNKS) };
            return Err(QxlError { at: "QXLDataChunk.next_chunk", kind });
        }
        let chunk: abi::DataChunk = self.view.read(self.next).map_err(|e| e.at("QXLDataChunk"))?;
        let data = behind(self.next, abi::DataChunk::MIN)?;
        self.next = chunk.next_chunk;
        Ok(Some((data, to_usize(chunk.data_size))))
    }
}

/// The address so many bytes behind another.
pub(super) fn behind(address: u64, bytes: usize) -> Result<u64, QxlError> {
    let kind = QxlErrorKind::Range { address, len: to_u64(bytes) };
    address.checked_add(to_u64(bytes)).ok_or(QxlError::new(kind))
}

/// Lent memory from which the parser takes pieces for what it copies.
#[derive(Debug)]
pub(super) struct Scratch<'a> {
    left: &'a mut [u8],
}

impl<'a> Scratch<'a> {
    pub(super) const fn new(lent: &'a mut [u8]) -> Self {
        Self { left: lent }
    }

    /// A piece of this length.
    pub(super) fn take(&mut self, len: usize) -> Result<&'a mut [u8], QxlError> {
        let left = self.left.len();
        let (piece, rest) = core::mem::take(&mut self.left)
            .split_at_mut_checked(len)
            .ok_or(QxlError::new(QxlErrorKind::NoRoom { needed: len, left }))?;
        self.left = rest;
        Ok(piece)
    }

    /// A piece of this many records, if these are no more than `max`.
    pub(super) fn take_for(&mut self, count: usize, size: usize, max: usize) -> Result<&'a mut [u8], QxlError> {
        if count > max {
            return Err(QxlError::new(QxlErrorKind::TooMany { count: to_u64(count), max: to_u64(max) }));
        }
        self.take(count.saturating_mul(size))
    }
}
