//! The shared library, linked once from what cargo built for these tests.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::SystemTime;

/// The folder with `libspice-server.so.1`; the error says why there is none.
pub(crate) static FOLDER: LazyLock<Result<PathBuf, String>> = LazyLock::new(link);

fn link() -> Result<PathBuf, String> {
    let test = std::env::current_exe().map_err(|error| error.to_string())?;
    let deps = test.parent().ok_or("the test has no folder")?;
    let archive = newest_archive(deps).ok_or("cargo left no static library")?;
    let folder = deps.join("libspice-server-tests");
    std::fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("link");
    let linked = Command::new(script).arg(archive).arg(folder.join("libspice-server.so.1")).output();
    let linked = linked.map_err(|error| error.to_string())?;
    if linked.status.success() { Ok(folder) } else { Err(String::from_utf8_lossy(&linked.stderr).into_owned()) }
}

/// Cargo names it with a hash of how it was built.
fn newest_archive(deps: &Path) -> Option<PathBuf> {
    let archives = std::fs::read_dir(deps).ok()?.flatten().map(|entry| entry.path()).filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("libspice_server") && name.ends_with(".a")
    });
    let age = |path: &PathBuf| path.metadata().and_then(|data| data.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    archives.max_by_key(age)
}

#[test]
fn it_links() {
    assert!(FOLDER.as_ref().is_ok_and(|folder| folder.join("libspice-server.so.1").exists()), "{:?}", *FOLDER);
}
