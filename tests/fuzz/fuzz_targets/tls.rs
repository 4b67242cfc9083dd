//! TLS, with what is said inside it and with bytes that are changed on the way.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sumac_tests::oracles::check("tls", data));
