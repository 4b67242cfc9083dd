//! Two viewers and a guest that share a clipboard.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sumac_tests::oracles::check("clipboard", data));
