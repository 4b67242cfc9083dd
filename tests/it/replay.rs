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

/// Each target is a program of its own, too, for those who fuzz for long.
#[test]
fn every_target_has_a_file_and_every_file_a_target() {
    let manifest = fs::read_to_string(Path::new(FUZZ).join("Cargo.toml")).unwrap();
    let files = entries(&Path::new(FUZZ).join("fuzz_targets"));
    let names: Vec<_> = files.iter().map(|file| file.file_stem().unwrap().to_str().unwrap()).collect();
    assert!(names.iter().copied().eq(TARGETS.iter().map(|target| target.name)), "{names:?}");
    for (file, name) in files.iter().zip(names) {
        let check = format!("oracles::check(\"{name}\", data)");
        assert!(fs::read_to_string(file).unwrap().contains(&check), "{}", file.display());
        let entry = format!("[[bin]]\nname = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\n");
        assert!(manifest.contains(&entry), "{name} is no program of the manifest");
    }
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
