//! QEMU's option string, and the values of options.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sumac_tests::oracles::check("options", data));
