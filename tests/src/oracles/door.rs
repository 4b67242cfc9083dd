//! Bytes before SPICE: TLS, HTTP, WebSocket, in whatever pieces they come.

use std::path::PathBuf;

use sumac::fuzzing::door::{self, Door, Visit, Visited};

use super::input::Input;

/// Bytes of TLS that are sent at once at least: one by one would take long.
const LEAST_STEP: usize = 16;

fn visit(visit: &Visit<'_>) -> Visited {
    thread_local! {
        static DOOR: Door = {
            let thread = std::thread::current().id();
            let folder: PathBuf = std::env::temp_dir().join(format!("sumac-door-{}-{thread:?}", std::process::id()));
            let door = Door::new(&folder);
            // What it needs was read.
            let _ = std::fs::remove_dir_all(&folder);
            match door {
                Ok(door) => door,
                Err(error) => unreachable!("no door: {error:#}"),
            }
        };
    }
    let visited = DOOR.with(|door| door.visit(visit));
    assert!(visited.is_ok(), "{visited:?}");
    visited.unwrap_or_default()
}

/// Cuts bytes into pieces of these sizes and a rest.
fn pieces<'b>(sizes: &[u8], bytes: &'b [u8]) -> Vec<&'b [u8]> {
    let mut rest = Input::new(bytes);
    let mut pieces: Vec<_> = sizes.iter().map(|&n| rest.take(n.into())).collect();
    pieces.push(rest.rest());
    pieces
}

/// Input: a byte of flags, a block of piece sizes, then a request or anything else in clear.
pub(super) fn http(data: &[u8]) {
    let mut input = Input::new(data);
    let tls_only = input.byte() & 7 == 7;
    let sizes = input.block();
    let bytes = input.rest();
    let whole = visit(&Visit { tls_only, pieces: vec![bytes], ..Visit::default() });
    let cut = visit(&Visit { tls_only, pieces: pieces(sizes, bytes), ..Visit::default() });
    assert_eq!(whole, cut, "in pieces of {sizes:?}");
    // The first byte of TLS begins a handshake, which whatever follows here does not end.
    let begins_tls = bytes.first() == Some(&0x16);
    assert!(!whole.secure || begins_tls && whole.bytes.is_empty(), "{whole:?}");
    let spoken = bytes.first().is_some_and(|first| *first != 0x16 && !b"GHOPDCT".contains(first));
    if spoken && !tls_only {
        assert_eq!((&whole.bytes[..], &whole.told[..], whole.error), (bytes, &[][..], None), "SPICE is left alone");
    } else if whole.error.is_none() {
        assert!(whole.told.starts_with(b"HTTP/1.1 101 "), "nothing but a WebSocket leads to SPICE");
    }
}

/// Input: a byte of flags; a byte of bytes sent at once; a block of changes, each a place and what is
/// changed; a block of piece sizes; then what is said inside TLS. With flag 1 that is sent in clear.
pub(super) fn tls(data: &[u8]) {
    let mut input = Input::new(data);
    let (flags, step) = (input.byte(), usize::from(input.byte()).max(LEAST_STEP));
    let mut changes = Input::new(input.block());
    let mut changed = Vec::new();
    while !changes.is_empty() && changed.len() < 64 {
        changed.push((changes.u16().into(), changes.byte()));
    }
    let sizes = input.block();
    let bytes = input.rest();
    let (tls, tls_only) = (flags & 1 == 0, flags & 2 != 0);
    let untouched = changed.iter().all(|(_, change)| *change == 0);
    let visited = visit(&Visit { tls_only, tls, pieces: pieces(sizes, bytes), changed, step });
    if !tls {
        return;
    }
    let is_http = bytes.first().is_some_and(|first| b"GHOPDCT".contains(first));
    if untouched && !is_http && !bytes.is_empty() {
        assert_eq!((visited.secure, &visited.bytes[..], visited.error), (true, bytes, None));
    } else if !is_http && visited.secure {
        // What was changed on the way is noticed, and nothing behind it is believed.
        assert!(bytes.starts_with(&visited.bytes), "bytes that nobody said");
    }
}

/// Input: a byte that says whether frames or bytes follow; a block of piece sizes; then frames (kind,
/// mask, block) or bytes.
pub(super) fn websocket(data: &[u8]) {
    let mut input = Input::new(data);
    let framed = input.byte() & 1 == 0;
    let sizes = input.block();
    if !framed {
        let bytes = input.rest();
        same_in_pieces(sizes, bytes);
        return;
    }
    let (mut bytes, mut payload, mut pong, mut amid) = (Vec::new(), Vec::new(), None, false);
    while !input.is_empty() {
        let (kind, mask) = (input.byte(), input.u32().to_le_bytes());
        let content = input.block();
        if kind & 1 == 0 {
            // A piece of a message, the last one or not.
            let last = kind & 2 == 0;
            frame(if amid { 0 } else { 2 } | if last { 0x80 } else { 0 }, mask, content, &mut bytes);
            payload.extend_from_slice(content);
            amid = !last;
        } else {
            let content = &content[..content.len().min(125)];
            frame(if kind & 2 == 0 { 0x89 } else { 0x8a }, mask, content, &mut bytes);
            if kind & 2 == 0 {
                let len = u8::try_from(content.len()).unwrap_or(0);
                pong = Some([&[0x8a, len], content].concat());
            }
        }
    }
    assert_eq!(door::websocket(&[&bytes]), Ok((payload, pong)));
    same_in_pieces(sizes, &bytes);
}

fn same_in_pieces(sizes: &[u8], bytes: &[u8]) {
    let whole = door::websocket(&[bytes]);
    assert_eq!(whole, door::websocket(&pieces(sizes, bytes)), "in pieces of {sizes:?}");
    if let Ok((payload, answer)) = whole {
        assert!(payload.len() <= bytes.len());
        assert!(answer.is_none_or(|answer| answer.len() <= 2 + 125), "one answer is kept");
    }
}

/// A frame as a client writes it.
fn frame(first: u8, mask: [u8; 4], content: &[u8], out: &mut Vec<u8>) {
    out.push(first);
    match content.len() {
        len @ ..126 => out.push(0x80 | u8::try_from(len).unwrap_or(0)),
        len => {
            out.push(0x80 | 126);
            out.extend(u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes());
        }
    }
    out.extend(mask);
    out.extend(content.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}
