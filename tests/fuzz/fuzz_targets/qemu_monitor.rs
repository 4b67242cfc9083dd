//! What a QEMU's monitor says.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sumac_tests::oracles::check("qemu_monitor", data));
