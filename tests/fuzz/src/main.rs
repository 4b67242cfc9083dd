//! libFuzzer around one target of `sumac_tests::oracles`, named by `SUMAC_FUZZ_TARGET`.
#![no_main]

use std::process::exit;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use sumac_tests::oracles::{TARGETS, Target, target};

static CHOSEN: OnceLock<&Target> = OnceLock::new();

fn choose() -> &'static Target {
    let name = std::env::var("SUMAC_FUZZ_TARGET").unwrap_or_default();
    target(&name).unwrap_or_else(|| {
        // Names go to stdout, so that a script can go through all of them.
        eprintln!("SUMAC_FUZZ_TARGET must be one of:");
        TARGETS.iter().for_each(|target| println!("{}", target.name));
        exit(2)
    })
}

fuzz_target!(
    init: { CHOSEN.get_or_init(choose); },
    |data: &[u8]| {
        (CHOSEN.get_or_init(choose).check)(data);
    }
);
