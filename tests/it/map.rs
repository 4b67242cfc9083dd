//! The map is checked: ARCHITECTURE.md names every module, its rules hold in the sources, and the
//! links of the documents lead somewhere.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The documents whose links are followed.
const DOCUMENTS: &[&str] = &["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "STYLE.md"];

/// Where the packages are; each has a section "### `NAME/`" in ARCHITECTURE.md.
const PACKAGES: &[&str] = &["core", "backends", "hosted", "tests", "benches"];

/// Files with `unsafe` that are not named `sys.rs` (or `bindings.rs`, written by bindgen), and why.
const UNSAFE_ELSEWHERE: &[(&str, &str)] = &[
    ("backends/tests/it/dmabuf.rs", "a test's own makers of dmabufs: ioctls and nothing else"),
    ("tests/va-driver/src/entry.rs", "what libva calls: pointers in, checked values out"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// All Rust files below `folder`, by their path from the root.
fn sources(folder: &str) -> Vec<String> {
    let (mut found, mut open) = (Vec::new(), vec![PathBuf::from(folder)]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(root().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                if path.file_name().is_some_and(|n| n != "target" && n != "corpus") {
                    open.push(path);
                }
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path.to_str().unwrap().to_owned());
            }
        }
    }
    found
}

/// The part of ARCHITECTURE.md about one package.
fn section<'a>(text: &'a str, package: &str) -> &'a str {
    let heading = format!("\n### `{package}/`");
    let start = text.find(&heading).unwrap_or_else(|| panic!("ARCHITECTURE.md has no section {heading}"));
    let body = &text[start + heading.len()..];
    &body[..body.find("\n#").unwrap_or(body.len())]
}

/// What stands in backquotes in the first cell of each row of a section's table.
fn mapped(section: &str) -> BTreeSet<String> {
    let cells = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    cells.map(str::to_owned).collect()
}

/// The entries of `PACKAGE/src` and the other folders with code, as the map writes them.
fn modules(package: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(root().join(package)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if name != "src" && name != "target" && entry.file_type().unwrap().is_dir() {
            found.insert(format!("{name}/"));
        }
    }
    for entry in fs::read_dir(root().join(package).join("src")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let folder = if entry.file_type().unwrap().is_dir() { "/" } else { "" };
        found.insert(format!("src/{name}{folder}"));
    }
    found
}

#[test]
fn every_module_is_on_the_map_and_nothing_else() {
    let text = read("ARCHITECTURE.md");
    for package in PACKAGES {
        let (there, mapped) = (modules(package), mapped(section(&text, package)));
        let missing: Vec<_> = there.difference(&mapped).collect();
        let gone: Vec<_> = mapped.difference(&there).collect();
        assert!(missing.is_empty() && gone.is_empty(), "{package}/: not on the map {missing:?}, only there {gone:?}");
    }
}

/// The module files that are declared with `#[cfg(test)]` in `file`, which is at `path`.
fn test_modules(path: &str, text: &str) -> Vec<String> {
    let own = Path::new(path);
    let folder = match own.file_stem().unwrap().to_str().unwrap() {
        "mod" | "lib" => own.parent().unwrap().to_owned(),
        _ => own.with_extension(""),
    };
    let mut after_cfg = false;
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        if after_cfg && let Some(name) = line.strip_suffix(';').and_then(|l| l.rsplit_once("mod ")) {
            found.push(folder.join(name.1).to_str().unwrap().to_owned());
        }
        after_cfg = line == "#[cfg(test)]" || (after_cfg && line.starts_with("#["));
    }
    found
}

/// The part of `text` that is compiled outside tests.
fn outside_tests(text: &str) -> &str {
    &text[..text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len())]
}

/// Numbered lines without comments and without what stands in quotes.
fn code(text: &str) -> impl Iterator<Item = (usize, String)> {
    let bare = |line: &str| line.split('"').step_by(2).collect::<Vec<_>>().join("\"\"");
    let bare = move |line: &str| bare(line).split("//").next().unwrap_or_default().to_owned();
    text.lines().enumerate().map(move |(n, line)| (n + 1, bare(line)))
}

/// Whether `word` stands in `line` by itself.
fn has_word(line: &str, word: &str) -> bool {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word)
        .any(|(at, _)| !part(line[..at].chars().next_back()) && !part(line[at + word.len()..].chars().next()))
}

#[test]
fn core_names_neither_std_nor_alloc() {
    let files = sources("core/src");
    let tests: Vec<_> = files.iter().flat_map(|file| test_modules(file, &read(file))).collect();
    assert!(tests.iter().any(|t| t == "core/src/link/tests"), "{tests:?}");
    let outside = files.iter().filter(|file| {
        let in_folder =
            |test: &String| file.strip_prefix(test.as_str()).is_some_and(|rest| rest.starts_with(['/', '.']));
        !tests.iter().any(in_folder)
    });
    let mut seen = 0;
    for file in outside {
        let text = read(file).replace("#[cfg(test)]\nextern crate std;", "\n");
        for (number, line) in code(outside_tests(&text)) {
            assert!(!has_word(&line, "std") && !has_word(&line, "alloc"), "{file}:{number}: {line}");
            seen += 1;
        }
    }
    assert!(seen > 5_000, "only {seen} lines were looked at");
    let lib = read("core/src/lib.rs");
    assert!(lib.contains("#![no_std]") && lib.contains("#![forbid(unsafe_code)]"));
}

#[test]
fn unsafe_stands_in_files_of_its_own() {
    let mut files: Vec<_> = PACKAGES.iter().flat_map(|package| sources(package)).collect();
    let own = ["sys.rs", "bindings.rs", "map.rs"];
    files.retain(|file| !own.contains(&file.rsplit('/').next().unwrap()));
    for (exception, _) in UNSAFE_ELSEWHERE {
        let at = files.iter().position(|file| file == exception);
        let text = read(files.swap_remove(at.unwrap_or_else(|| panic!("{exception} is no more"))));
        assert!(code(&text).any(|(_, line)| has_word(&line, "unsafe")), "{exception} has no unsafe");
    }
    for file in files {
        for (number, line) in code(&read(&file)) {
            assert!(!has_word(&line, "unsafe"), "{file}:{number}: {line}");
        }
    }
}

/// The targets of the links in `text`, which is Markdown.
fn links(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("](").filter_map(|(at, _)| text[at + 2..].split([')', ' ', '\n']).next())
}

/// The anchor that a heading gets.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect::<String>().replace(' ', "-")
}

#[test]
fn the_links_of_the_documents_lead_somewhere() {
    let mut followed = 0;
    for document in DOCUMENTS {
        let text = read(document);
        for link in links(&text).filter(|link| !link.contains("://")) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let file = if file.is_empty() { document } else { file };
            assert!(root().join(file).exists(), "{document} links {link}");
            if !heading.is_empty() {
                let there = read(file).lines().any(|line| line.starts_with('#') && anchor(line) == heading);
                assert!(there, "{document} links {link}");
            }
            followed += 1;
        }
    }
    assert!(followed > 5, "only {followed} links were followed");
}

#[test]
fn words_are_found_by_themselves_only() {
    assert!(has_word("use std::fmt;", "std") && has_word("std", "std"));
    assert!(!has_word("no_std", "std") && !has_word("stdout", "std"));
    let lines = ["unsafe", "reason = \"unsafe\" // unsafe"].map(|line| code(line).next().unwrap().1);
    assert_eq!(lines, ["unsafe", "reason = \"\" "]);
    assert_eq!(anchor("## What works (and what not yet)"), "what-works-and-what-not-yet");
    assert_eq!(links("see [a](b.md#c) and [d](https://e)").collect::<Vec<_>>(), ["b.md#c", "https://e"]);
    let text = "#[cfg(test)]\n#[path = \"x\"]\nmod a;\nmod b;\n#[cfg(test)]\npub(crate) mod c;";
    assert_eq!(test_modules("core/src/x/mod.rs", text), ["core/src/x/a", "core/src/x/c"]);
}
