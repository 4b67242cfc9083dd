//! A QEMU's calls about its console.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sumac_tests::oracles::check("qemu_display", data));
