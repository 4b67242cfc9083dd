//! Files and TCP by Landlock: what stays open is named here, everything else is closed.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, LandlockStatus, RestrictSelfAttr, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, Scope, make_bitflags, path_beneath_rules,
};

use super::Needs;
use crate::config::{Config, UnixAddress};

/// The newest ABI whose rights are all taken away; older kernels know fewer of them.
const NEWEST: ABI = ABI::V9;
/// The first ABI that knows of TCP.
pub(super) const TCP: i32 = ABI::V4 as i32;

const READ: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir});
const DEVICE: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir | WriteFile | IoctlDev});
const WRITE: BitFlags<AccessFs> = make_bitflags!(AccessFs::{MakeReg | WriteFile | Truncate});
const REMOVE: BitFlags<AccessFs> = make_bitflags!(AccessFs::{RemoveFile});

/// What drivers of encoders and of graphics devices read when an encoder is opened: libraries, their
/// settings, and the kernel's words about devices and processors. Nothing there is secret.
const FOR_DRIVERS: [&str; 14] = [
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/local/lib",
    "/usr/share",
    "/lib",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/drirc",
    "/etc/libva.conf",
    "/sys/dev",
    "/sys/devices",
    "/sys/class",
    "/sys/fs/cgroup",
];
/// Variables that name more folders of libraries, divided by colons.
const LIBRARY_VARIABLES: [&str; 3] = ["LD_LIBRARY_PATH", "LIBVA_DRIVERS_PATH", "LIBGL_DRIVERS_PATH"];
/// The beginnings of names in `/dev` of what encodes, or lends memory for pictures.
const DEVICES: [&str; 7] = ["dri", "video", "media", "udmabuf", "dma_heap", "nvidia", "kfd"];

/// What came of it.
pub(super) struct Held {
    /// What the kernel has.
    pub(super) landlock: LandlockStatus,
    /// Threads that were there before and are not held.
    pub(super) others: usize,
}

/// Holds this thread and those it starts; all threads where the kernel can. A kernel without Landlock is
/// no error.
pub(super) fn restrict(config: &Config, needs: Needs) -> Result<Held, RulesetError> {
    let mut files = AccessFs::from_all(NEWEST);
    let mut scope = Scope::from_all(NEWEST);
    if needs.bus {
        // The bus may be anywhere, and come back elsewhere.
        files.remove(AccessFs::ResolveUnix);
        scope.remove(Scope::AbstractUnixSocket);
    }
    if needs.qemu.is_some() {
        scope.remove(Scope::Signal);
    }
    let ruleset = everything(files, scope)?
        .add_rules(path_beneath_rules(readable(config), READ))?
        .add_rules(path_beneath_rules(devices(), DEVICE))?
        .add_rules(path_beneath_rules(config.write_ref.iter().map(|file| folder(file)), WRITE))?
        .add_rules(path_beneath_rules(removable(config), REMOVE))?;
    hold(ruleset)
}

/// The same for the process that starts encoders: what these load, and this program.
pub(super) fn restrict_spawner() -> Result<Held, RulesetError> {
    let program = std::iter::once("/proc/self/exe".into());
    let ruleset = everything(AccessFs::from_all(NEWEST), Scope::from_all(NEWEST))?
        .add_rules(path_beneath_rules(for_drivers().into_iter().chain(program), READ | AccessFs::Execute))?
        .add_rules(path_beneath_rules(devices(), DEVICE))?;
    hold(ruleset)
}

/// The same, and nothing is left.
pub(super) fn restrict_entirely() -> Result<Held, RulesetError> {
    hold(everything(AccessFs::from_all(NEWEST), Scope::from_all(NEWEST))?)
}

/// Takes all of this away, until rules give some back.
fn everything(files: BitFlags<AccessFs>, scope: BitFlags<Scope>) -> Result<RulesetCreated, RulesetError> {
    Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(files)?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(scope)?
        .create()
}

fn hold(ruleset: RulesetCreated) -> Result<Held, RulesetError> {
    let before = threads();
    let status = ruleset.all_threads(true)?.restrict_self()?;
    let others = if status.all_threads { 0 } else { before.saturating_sub(1) };
    Ok(Held { landlock: status.landlock, others })
}

/// Whether the kernel has Landlock.
#[cfg(test)]
pub(super) fn has_landlock() -> bool {
    let status = landlock::RestrictSelf::default().no_new_privs(false).apply();
    status.is_ok_and(|status| matches!(status.landlock, LandlockStatus::Available { .. }))
}

/// What drivers and libraries of encoders are read from.
fn for_drivers() -> Vec<PathBuf> {
    let mut paths: Vec<_> = FOR_DRIVERS.iter().map(PathBuf::from).collect();
    for list in LIBRARY_VARIABLES.iter().filter_map(std::env::var_os) {
        paths.extend(std::env::split_paths(&list).filter(|path| path.is_absolute()));
    }
    paths
}

fn readable(config: &Config) -> Vec<PathBuf> {
    let mut paths = for_drivers();
    paths.extend(["/proc/self", "/proc/sys/vm/overcommit_memory", "/dev/urandom"].map(PathBuf::from));
    paths.extend(config.web_root.clone());
    // Whoever replaces a file makes a new one, so it is the folder that counts, and where a link in it leads.
    for file in config.tls.files().into_iter().chain(config.sasl.users.clone()) {
        paths.extend(file.canonicalize().ok().map(|real| folder(&real)));
        paths.push(folder(&file));
    }
    paths
}

fn devices() -> Vec<PathBuf> {
    let wanted = |name: &OsStr| name.to_str().is_some_and(|name| DEVICES.iter().any(|start| name.starts_with(start)));
    let entries = std::fs::read_dir("/dev").into_iter().flatten().flatten();
    let mut found: Vec<_> = entries.filter(|entry| wanted(&entry.file_name())).map(|entry| entry.path()).collect();
    found.push("/dev/null".into());
    found
}

/// Folders in which a file of ours is removed at the end.
fn removable(config: &Config) -> impl Iterator<Item = PathBuf> {
    let unix = match &config.listen.unix {
        Some(UnixAddress::Path(path)) => Some(path),
        _ => None,
    };
    unix.into_iter().chain(&config.control).map(|path| folder(path))
}

/// The folder that a file is in.
fn folder(file: &Path) -> PathBuf {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => ".".into(),
    }
}

/// How many threads this process has.
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_folder_is_in_this_one() {
        for (file, expected) in [("r.png", "."), ("a/r.png", "a"), ("/r.png", "/")] {
            assert_eq!(folder(Path::new(file)), Path::new(expected));
        }
    }

    #[test]
    fn only_what_is_named_is_open() {
        let all = readable(&Config::default());
        assert!(all.iter().all(|path| path.is_absolute() && path.parent().is_some()), "{all:?}");
        let pki = tempfile::tempdir().unwrap();
        let (dir, web_root) = (Some(pki.path().to_owned()), Some("/srv/web".into()));
        let tls = crate::config::Tls { dir, ..Default::default() };
        let more = readable(&Config { tls, web_root, ..Config::default() });
        for path in [pki.path(), Path::new("/srv/web")] {
            assert!(more.iter().any(|known| known == path) && !all.iter().any(|known| known == path));
        }
    }
}
