//! The first bytes of a connection in clear: HTTP, a WebSocket, SPICE, in any pieces.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sumac_tests::oracles::check("http", data));
