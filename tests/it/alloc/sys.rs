//! An allocator that counts, for each thread on its own so that tests do not disturb each other.
#![expect(unsafe_code, reason = "an allocator is an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static LIVE: Cell<isize> = const { Cell::new(0) };
}

/// Allocations of this thread so far.
pub(super) fn allocations() -> u64 {
    ALLOCATIONS.with(Cell::get)
}

/// Bytes that this thread has allocated and not given back.
pub(crate) fn live() -> isize {
    LIVE.with(Cell::get)
}

fn count(bytes: usize) {
    // Not there any more while a thread ends: nobody asks then.
    let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
    change(bytes.cast_signed());
}

fn change(bytes: isize) {
    let _ = LIVE.try_with(|n| n.set(n.get().wrapping_add(bytes)));
}

// SAFETY: every method hands its arguments to the system's allocator and answers what it answers;
// counting touches thread-local integers without a destructor and does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promises are passed on as they are.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        change(layout.size().cast_signed().wrapping_neg());
        // SAFETY: the caller's promises are passed on as they are; the block came from `System`.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promises are passed on as they are.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(new_size);
        change(layout.size().cast_signed().wrapping_neg());
        // SAFETY: the caller's promises are passed on as they are; the block came from `System`.
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}
