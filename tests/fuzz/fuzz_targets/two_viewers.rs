//! Two viewers of one server that do anything.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sumac_tests::oracles::check("two_viewers", data));
