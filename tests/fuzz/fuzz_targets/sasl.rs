//! The exchange of SASL in both roles.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sumac_tests::oracles::check("sasl", data));
