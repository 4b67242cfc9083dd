//! USB redirection, ports, WebDAV and smart cards: a viewer's bytes, compressed or not, on their way to the guest.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sumac_tests::oracles::check("devices", data));
