//! A QEMU's forms of sound.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sumac_tests::oracles::check("qemu_sound", data));
