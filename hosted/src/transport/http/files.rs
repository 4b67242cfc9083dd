//! [`WebRoot`]: a folder of files for browsers, and nothing outside it.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;

use rustix::fs::{Mode, OFlags, openat};
use tokio::io::AsyncWriteExt;

use super::super::Stream;
use super::request::{Head, Refusal};

/// Bytes of a file sent at once.
const STEP: usize = 64 * 1024;
/// Folders in a path, at most.
const DEPTH: usize = 32;

/// What is sent for the folder itself, if it is there. The second is spice-html5's page that connects
/// to where it came from.
const INDEX: [&str; 2] = ["index.html", "spice_auto.html"];

/// What files are by the ends of their names.
const TYPES: [(&str, &str); 16] = [
    ("html", "text/html; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("css", "text/css; charset=utf-8"),
    ("json", "application/json"),
    ("map", "application/json"),
    ("txt", "text/plain; charset=utf-8"),
    ("svg", "image/svg+xml"),
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("gif", "image/gif"),
    ("ico", "image/x-icon"),
    ("cur", "image/x-icon"),
    ("wasm", "application/wasm"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
];

/// The folder of `--web-root`, opened once: it stays the same when it is moved.
#[derive(Clone, Debug)]
pub(crate) struct WebRoot(Rc<OwnedFd>);

/// Head and content of a response.
pub(super) struct Response {
    pub(super) head: Vec<u8>,
    pub(super) file: Option<io::Take<File>>,
}

impl WebRoot {
    /// Opens the folder.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(Rc::new(rustix::fs::open(path, flags, Mode::empty())?)))
    }

    /// Opens a regular file. Each folder on the way is opened by itself and no symbolic link is
    /// followed, so there is no way out.
    fn find(&self, parts: &[String]) -> Option<(File, u64, &'static str)> {
        let (name, folders) = parts.split_last()?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let mut folder = Rc::clone(&self.0);
        for part in folders {
            folder = Rc::new(openat(&folder, part.as_str(), flags | OFlags::DIRECTORY, Mode::empty()).ok()?);
        }
        let file = File::from(openat(&folder, name.as_str(), flags, Mode::empty()).ok()?);
        let found = file.metadata().ok().filter(|found| found.is_file())?;
        Some((file, found.len(), content_type(name)))
    }
}

/// The answer to a request that is not for a WebSocket, and its status.
pub(super) fn respond(root: Option<&WebRoot>, head: &Head) -> (u16, Response) {
    let refused = |refusal: &Refusal| (refusal.status, Response { head: refusal.response(), file: None });
    if !matches!(head.method.as_str(), "GET" | "HEAD") {
        return refused(&Refusal::METHOD);
    }
    let Some(root) = root else { return refused(&Refusal::NO_FILES) };
    let found = match head.target.split(['?', '#']).next() {
        Some("/") => INDEX.iter().find_map(|name| root.find(&[(*name).into()])),
        Some(path) => parts(path).and_then(|parts| root.find(&parts)),
        None => None,
    };
    let Some((file, len, kind)) = found else { return refused(&Refusal::NOT_FOUND) };
    let text = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {len}\r\nCache-Control: no-cache\r\n\
         X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
    );
    // A file that grows meanwhile is sent as long as was said.
    let file = (head.method == "GET").then(|| file.take(len));
    (200, Response { head: text.into(), file })
}

/// Sends what is left of a file.
pub(super) async fn send(stream: &mut Stream, file: &mut io::Take<File>) -> io::Result<()> {
    let mut buffer = vec![0; STEP];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(()),
            len => stream.write_all(buffer.get(..len).unwrap_or_default()).await?,
        }
    }
}

fn content_type(name: &str) -> &'static str {
    let end = name.rsplit_once('.').map_or("", |(_, end)| end);
    TYPES.iter().find(|(known, _)| known.eq_ignore_ascii_case(end)).map_or("application/octet-stream", |(_, kind)| kind)
}

/// The folders and the file that a path names; `None` for what names none, or a hidden one.
fn parts(path: &str) -> Option<Vec<String>> {
    let parts: Option<Vec<String>> = path.strip_prefix('/')?.split('/').map(decoded).collect();
    parts.filter(|parts| parts.len() <= DEPTH)
}

/// A part of a path with its escapes resolved.
fn decoded(part: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            bytes.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    let name = String::from_utf8(bytes).ok()?;
    // That includes the folder above.
    let hidden = name.starts_with('.');
    (!name.is_empty() && !hidden && !name.contains(['/', '\\', '\0'])).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::super::request::parse;
    use super::*;

    fn ask(root: &WebRoot, request: &str) -> (u16, String, Option<String>) {
        let head = parse(format!("{request} HTTP/1.1\r\n\r\n").as_bytes()).unwrap();
        let (status, response) = respond(Some(root), &head);
        let content = response.file.map(|mut file| {
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            text
        });
        (status, String::from_utf8(response.head).unwrap(), content)
    }

    fn folder() -> (tempfile::TempDir, WebRoot) {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir_all(root.join("sub dir")).unwrap();
        std::fs::write(dir.path().join("secret"), "secret").unwrap();
        std::fs::write(root.join("index.html"), "<p>").unwrap();
        std::fs::write(root.join(".hidden"), "secret").unwrap();
        std::fs::write(root.join("sub dir/a.JS"), "js").unwrap();
        std::os::unix::fs::symlink("../secret", root.join("link")).unwrap();
        std::os::unix::fs::symlink("..", root.join("up")).unwrap();
        let opened = WebRoot::open(&root).unwrap();
        (dir, opened)
    }

    #[test]
    fn files_have_their_types() {
        let (_dir, root) = folder();
        for (target, kind, content) in [
            ("/", "text/html; charset=utf-8", "<p>"),
            ("/index.html?host=a#b", "text/html; charset=utf-8", "<p>"),
            ("/sub%20dir/a.JS", "text/javascript; charset=utf-8", "js"),
        ] {
            let (status, head, got) = ask(&root, &format!("GET {target}"));
            assert_eq!((status, got.as_deref()), (200, Some(content)), "{target}");
            assert!(
                head.contains(&format!("\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n", content.len())),
                "{head}"
            );
        }
        let (status, head, content) = ask(&root, "HEAD /");
        assert!(status == 200 && content.is_none() && head.contains("Content-Length: 3\r\n"));
    }

    #[test]
    fn there_is_no_way_out() {
        let (_dir, root) = folder();
        for target in [
            "/../secret",
            "/%2e%2e/secret",
            "/..%2fsecret",
            "/%2e%2e%2fsecret",
            "/sub%20dir/../../secret",
            "/..\\secret",
            "//secret",
            "/./index.html",
            "/.hidden",
            "/%2ehidden",
            "/link",
            "/up/secret",
            "/up/root/index.html",
            "/sub%20dir",
            "/sub%20dir/",
            "/index.html/",
            "/index.html%00",
            "/%",
            "/%f",
            "/%ff",
            "secret",
            "/nothing",
        ] {
            let (status, _, content) = ask(&root, &format!("GET {target}"));
            assert_eq!((status, content), (404, None), "{target}");
        }
        assert_eq!(ask(&root, "POST /").0, 405);
        let deep = "/a".repeat(DEPTH + 1);
        assert_eq!(ask(&root, &format!("GET {deep}")).0, 404);
    }

    #[test]
    fn without_a_folder_there_are_no_files() {
        let head = parse(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let (status, response) = respond(None, &head);
        assert_eq!(status, 404);
        assert!(String::from_utf8(response.head).unwrap().contains("--web-root"));
    }
}
