//! What a QXL guest wrote: parsed from a copy, never where it lies.

pub mod monitors_config;
