//! A V4L2 encoder whose device answers anything.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sumac_tests::oracles::check("v4l2", data));
