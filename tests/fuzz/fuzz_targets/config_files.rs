//! Files that an operator names: certificates, passwords, films.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sumac_tests::oracles::check("config_files", data));
