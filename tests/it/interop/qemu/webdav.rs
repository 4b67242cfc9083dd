//! The WebDAV channel, whole: a guest lists the folder that the viewer shares, which spice-gtk
//! serves by libphodav.

use super::super::programs::{Client, Sumac, needs, until};
use super::guest::{Monitor, assemble, machine};

/// Bytes in front of a piece of a connection: its number and the piece's length.
const HEAD: usize = 10;

/// What the pieces of connection 1 come to.
fn connection(mut bytes: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some((head, rest)) = bytes.split_at_checked(HEAD) {
        let len = usize::from(u16::from_le_bytes([head[8], head[9]]));
        let (piece, after) = rest.split_at(len.min(rest.len()));
        assert_eq!(head[..8], 1u64.to_le_bytes(), "the guest has one connection");
        all.extend(piece);
        bytes = after;
    }
    all
}

#[test]
fn a_guest_lists_the_folder_that_the_viewer_shares() {
    needs!("a_guest_lists_the_folder_that_the_viewer_shares": "gi", "qemu-system-x86_64", "as", "ld");
    let dir = tempfile::tempdir().unwrap();
    assemble(dir.path(), "webdav-guest.s");
    let port = ["-chardev", "dbus,id=dav,name=org.spice-space.webdav.0", "-serial", "chardev:dav"];
    let words = [&["--disable-ticketing", "--"], &machine("std", &port)[..]].concat();
    let sumac = Sumac::start_in(dir, "qemu", &words);
    let mut monitor = Monitor::connect(sumac.dir());
    let shared = tempfile::tempdir().unwrap();
    std::fs::write(shared.path().join("found-by-the-guest.txt"), "hello").unwrap();
    let _client = Client::connect_with_folder(&sumac.tcp_uri(), shared.path());
    let mut answer = Vec::new();
    until("the folder's list", || {
        answer = connection(&monitor.log());
        answer.windows(22).any(|name| name == b"found-by-the-guest.txt")
    });
    assert!(answer.starts_with(b"HTTP/1.1 207 "), "{}", String::from_utf8_lossy(&answer));
}
