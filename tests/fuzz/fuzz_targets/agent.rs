//! The agent's stream: the same messages out of any chunks, and every message in every form.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sumac_tests::oracles::check("agent", data));
