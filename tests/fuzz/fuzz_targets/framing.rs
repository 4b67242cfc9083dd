//! A byte stream comes apart into the same messages wherever it is split.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sumac_tests::oracles::check("framing", data));
