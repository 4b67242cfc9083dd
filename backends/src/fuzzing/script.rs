//! [`Script`]: a driver's answers out of bytes.
use std::{cell::RefCell, collections::VecDeque};

/// Bytes that are used up; behind their end everything is zero.
#[derive(Debug)]
pub(crate) struct Script(RefCell<VecDeque<u8>>);

/// What a call is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// The driver fails, in the way of this number.
    Fails(u8),
    /// It answers anything.
    Lies,
    /// It does what it is for.
    Works,
}

impl Script {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self(RefCell::new(bytes.iter().copied().collect()))
    }

    pub(crate) fn is_over(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// How the driver takes a call: mostly well, or most calls would never be made.
    pub(crate) fn mood(&self) -> Mood {
        match self.byte() {
            number @ ..8 => Mood::Fails(number),
            8..64 => Mood::Lies,
            _ => Mood::Works,
        }
    }

    pub(crate) fn byte(&self) -> u8 {
        self.0.borrow_mut().pop_front().unwrap_or(0)
    }

    pub(crate) fn u32(&self) -> u32 {
        u32::from_le_bytes([(); 4].map(|()| self.byte()))
    }

    /// The next bytes, this many at most.
    pub(crate) fn bytes(&self, most: usize) -> Vec<u8> {
        let mut left = self.0.borrow_mut();
        let most = most.min(left.len());
        left.drain(..most).collect()
    }
}
