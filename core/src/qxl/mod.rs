//! What a QXL guest wrote (protocol.md §20.2, §29): parsed from a copy, never where it lies.

pub mod monitors_config;
