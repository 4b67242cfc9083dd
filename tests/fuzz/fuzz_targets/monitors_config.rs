//! A guest's monitors in its memory.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sumac_tests::oracles::check("monitors_config", data));
