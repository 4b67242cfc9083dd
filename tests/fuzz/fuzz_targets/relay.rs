//! A guest's own agent, between its port and two viewers.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sumac_tests::oracles::check("relay", data));
