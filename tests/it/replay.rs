//! The fuzzer's seeds, and whatever it found in the past, through their oracles.

use std::fs;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use sumac_tests::oracles::{TARGETS, target};

const FUZZ: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz");

/// What is in a folder, sorted; nothing if it is not there.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut entries: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries
}

/// Runs every file under `kind`; how many there were.
fn replay(kind: &str) -> usize {
    let mut files = 0;
    for target in TARGETS {
        for file in entries(&Path::new(FUZZ).join(kind).join(target.name)) {
            let bytes = fs::read(&file).unwrap();
            assert!(catch_unwind(|| (target.check)(&bytes)).is_ok(), "the oracle panics on {}", file.display());
            files += 1;
        }
    }
    files
}

#[test]
fn seeds_pass_their_oracles() {
    let files = replay("corpus");
    println!("{files} seeds");
    for target in TARGETS {
        assert!(!entries(&Path::new(FUZZ).join("corpus").join(target.name)).is_empty(), "{} has seeds", target.name);
    }
}

#[test]
fn findings_stay_fixed() {
    println!("{} findings", replay("findings"));
}

#[test]
fn every_folder_belongs_to_a_target() {
    for kind in ["corpus", "findings"] {
        for folder in entries(&Path::new(FUZZ).join(kind)) {
            let name = folder.file_name().unwrap().to_str().unwrap();
            assert!(target(name).is_some(), "{}", folder.display());
        }
    }
}
