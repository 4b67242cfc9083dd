//! Memory of the application and of its guest, which writes whenever it likes.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use sumac_core::qxl::GuestMemory;

/// Memory of this process, by address.
///
/// Only addresses inside of memory slots come here ([`sumac_core::qxl::MemSlots::locate`]): the
/// application says with a slot that its memory is there, and takes the slot away before the memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostMemory(());

impl HostMemory {
    /// For a worker that was given memory slots.
    pub(crate) fn of_slots() -> Self {
        Self(())
    }

    /// Copies into memory at an address that a slot has.
    pub(crate) fn write(self, address: u64, from: &[u8]) {
        let Some(address) = place(address, from.len()) else { return };
        for (at, byte) in from.iter().enumerate() {
            byte_at(address.saturating_add(at)).store(*byte, Ordering::Relaxed);
        }
    }
}

impl GuestMemory for HostMemory {
    fn copy(&self, address: u64, into: &mut [u8]) -> bool {
        let Some(address) = place(address, into.len()) else { return false };
        let lead = address.wrapping_neg() % size_of::<u64>();
        let (first, rest) = into.split_at_mut(lead.min(into.len()));
        let mut at = address;
        for byte in first {
            *byte = byte_at(at).load(Ordering::Relaxed);
            at = at.saturating_add(1);
        }
        let mut words = rest.chunks_exact_mut(size_of::<u64>());
        for word in &mut words {
            word.copy_from_slice(&word_at(at).load(Ordering::Relaxed).to_ne_bytes());
            at = at.saturating_add(size_of::<u64>());
        }
        for byte in words.into_remainder() {
            *byte = byte_at(at).load(Ordering::Relaxed);
            at = at.saturating_add(1);
        }
        true
    }
}

/// The address as one of this process, when so many bytes can lie there.
fn place(address: u64, len: usize) -> Option<usize> {
    let address = usize::try_from(address).ok().filter(|address| *address != 0)?;
    address.checked_add(len).map(|_| address)
}

fn byte_at(address: usize) -> &'static AtomicU8 {
    // SAFETY: a slot has this address, so its memory is there as long as the worker looks at it; the
    // reference is gone before the worker takes its next order. Others write meanwhile, which for
    // atomic accesses is no fault.
    unsafe { AtomicU8::from_ptr(std::ptr::with_exposed_provenance_mut(address)) }
}

/// `address` is a multiple of 8.
fn word_at(address: usize) -> &'static AtomicU64 {
    // SAFETY: as above; the caller rounds the address.
    unsafe { AtomicU64::from_ptr(std::ptr::with_exposed_provenance_mut(address)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_place_and_length_is_copied_both_ways() {
        let mut memory = [0_u64; 8];
        let base = memory.as_mut_ptr().expose_provenance() as u64;
        let host = HostMemory::of_slots();
        let bytes: Vec<u8> = (1..=64).collect();
        host.write(base, &bytes);
        for start in 0..20 {
            for len in 0..40 {
                let mut into = vec![0; len];
                assert!(host.copy(base + start as u64, &mut into));
                assert_eq!(into, bytes[start..start + len]);
            }
        }
        assert!(!host.copy(0, &mut [0]) && !host.copy(u64::MAX, &mut [0; 2]));
    }
}
