//! A QXL guest's commands in its memory, which it may change meanwhile.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sumac_tests::oracles::check("qxl", data));
