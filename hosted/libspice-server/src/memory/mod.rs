//! Memory that is not the library's.

mod sys;

pub(crate) use sys::HostMemory;
