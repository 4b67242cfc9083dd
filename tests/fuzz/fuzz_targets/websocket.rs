//! A WebSocket's frames, in any pieces.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sumac_tests::oracles::check("websocket", data));
