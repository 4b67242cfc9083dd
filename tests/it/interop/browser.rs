//! spice-html5 in a browser, from our own pages through our own WebSocket, in clear and over TLS.

use std::path::Path;
use std::process::Command;

use super::picture::{Picture, same_picture};
use super::programs::{Client, Program, Sumac, needs, run_sumac, tool, until};

/// Where Debian's spice-html5 is.
const PAGES: &str = "/usr/share/spice-html5";
/// Key codes of a browser.
const A: u8 = 65;
const ENTER: u8 = 13;

/// A browser, driven by `browser.py`.
fn browser(arguments: &[&str]) -> Client {
    let mut browser = Client(Program::start(Command::new(tool("browser.py")).args(arguments)));
    browser.event("\"ready\"");
    browser
}

/// Whether spice-html5 is missing, which is said.
fn pages_are_missing(test: &str) -> bool {
    let missing = !Path::new(PAGES).is_dir();
    if missing {
        println!("SKIPPED: {test}: no spice-html5 here");
    }
    missing
}

/// What it cannot decode (GLZ, LZ4) is not sent to it.
#[test]
fn a_browser_shows_the_same_pixels_with_every_compression() {
    needs!("a_browser_shows_the_same_pixels_with_every_compression": "chromium");
    if pages_are_missing("a_browser_shows_the_same_pixels_with_every_compression") {
        return;
    }
    let mut browser = browser(&[]);
    for (word, jpeg) in [("off", "never"), ("auto_glz", "always"), ("quic", "never"), ("lz4", "never")] {
        let options = ["--image-compression", word, "--jpeg-wan-compression", jpeg, "--web-root", PAGES];
        let sumac = Sumac::start(&[&["--freeze", "--size", "640x480"][..], &options].concat());
        let server = sumac.tcp_uri().replace("spice://", "http://");
        browser.does(&format!("open {server}/spice_auto.html"));
        let before = same_picture(&mut browser, &sumac);
        // Its keyboard may be there later than its picture.
        until("a key from the browser", || {
            browser.does(&format!("key press {A}"));
            Picture::of_server(&sumac) != before
        });
        browser.does(&format!("key press {ENTER} 30"));
        same_picture(&mut browser, &sumac);
    }
}

#[test]
fn a_browser_that_trusts_our_ca_shows_the_picture_over_tls_and_no_other_does() {
    needs!("a_browser_that_trusts_our_ca_shows_the_picture_over_tls_and_no_other_does": "chromium", "certutil");
    if pages_are_missing("a_browser_that_trusts_our_ca_shows_the_picture_over_tls_and_no_other_does") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    run_sumac(dir.path(), &["cert", "pki", "localhost"]);
    let secure = ["--x509-dir", "pki", "--tls-port", "0", "--tls-channel", "default", "--disable-ticketing"];
    let sumac = Sumac::start_in(dir, "serve", &[&["--freeze", "--web-root", PAGES][..], &secure].concat());
    let server = sumac.tls_uri().replace("spice://127.0.0.1?tls-port=", "https://localhost:");
    let page = format!("open {server}/spice_auto.html");
    assert!(!browser(&[]).tries(&page), "a CA that nobody trusts");
    let mut browser = browser(&["--ca-file", sumac.dir().join("pki/ca-cert.pem").to_str().unwrap()]);
    browser.does(&page);
    same_picture(&mut browser, &sumac);
    let shot = sumac.dir().join("shot.png");
    until("the desktop in the browser's window", || {
        browser.does(&format!("screenshot {}", shot.display()));
        // The desktop takes the size of the window, which may be later; the page's frame lies over its edge.
        Picture::of_server(&sumac).part(8, 8, 600, 400).position_in(&Picture::read_png(&shot)).is_some()
    });
}
