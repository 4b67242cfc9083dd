//! Encoded pictures: what their first bytes say.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sumac_tests::oracles::check("bitstream", data));
