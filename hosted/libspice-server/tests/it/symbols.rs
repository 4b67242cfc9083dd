//! What is exported: the functions that are built, the version script, the library, the system's.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use super::library::FOLDER;

/// Names with their version nodes.
type Symbols = BTreeSet<(String, String)>;

/// What this has and Debian's libspice-server 0.15.1 has not.
const NEWER: &str = "spice_qxl_gl_scanout2";

fn built() -> Symbols {
    spice_server::exports().map(|(name, node)| (name.to_owned(), node.to_owned())).collect()
}

/// The dynamic symbols of a library and its name; `None` where there is no readelf.
fn of_library(path: &Path) -> Option<(Symbols, String)> {
    let read = |arguments: &[&str]| {
        let output = Command::new("readelf").args(arguments).arg(path).env("LC_ALL", "C").output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let symbols = read(&["--dyn-syms", "--wide"])?;
    let defined = symbols.lines().filter(|line| !line.contains(" UND ") && line.contains(" FUNC "));
    let named = defined.filter_map(|line| line.split_whitespace().nth(7)?.split_once("@@"));
    let symbols = named.map(|(name, node)| (name.to_owned(), node.to_owned())).collect();
    let dynamic = read(&["--dynamic", "--wide"])?;
    let name = dynamic.lines().find(|line| line.contains("(SONAME)"))?.split(['[', ']']).nth(1)?.to_owned();
    Some((symbols, name))
}

#[test]
fn the_version_script_names_the_functions_that_are_built() {
    let script = include_str!("../../libspice-server.map");
    let (mut node, mut named) = ("", Symbols::new());
    for line in script.lines() {
        if line.starts_with("SPICE_SERVER_") {
            node = line.split(' ').next().unwrap();
        } else if let Some(name) = line.trim().strip_suffix(';').filter(|name| name.starts_with("spice_")) {
            named.insert((name.to_owned(), node.to_owned()));
        }
    }
    assert_eq!(named, built());
    assert_eq!(named.len(), 98);
    let nodes: BTreeSet<_> = named.iter().map(|(_, node)| node).collect();
    assert_eq!(nodes.len(), 23);
}

#[test]
fn the_library_exports_them_and_nothing_else() {
    let folder = FOLDER.as_ref().unwrap();
    let Some((symbols, name)) = of_library(&folder.join("libspice-server.so.1")) else {
        println!("SKIPPED: the_library_exports_them_and_nothing_else: no readelf");
        return;
    };
    assert_eq!((symbols, name.as_str()), (built(), "libspice-server.so.1"));
}

#[test]
fn the_system_s_library_exports_the_same() {
    let places = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"];
    let found = places.iter().map(|place| Path::new(place).join("libspice-server.so.1")).find(|path| path.exists());
    let Some((symbols, name)) = found.and_then(|path| of_library(&path)) else {
        println!("SKIPPED: the_system_s_library_exports_the_same: no libspice-server.so.1 or no readelf");
        return;
    };
    let mut ours = built();
    ours.retain(|(name, _)| name != NEWER);
    assert_eq!((symbols, name.as_str()), (ours, "libspice-server.so.1"));
}
