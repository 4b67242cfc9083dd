//! Browsers: WebSocket in clear and files, by a client written from RFC 6455.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::client::{MAIN, connect, hello, word_at};
use crate::sumac::{Sumac, until};

const REQUEST: &str = "GET /websockify HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: binary\r\n";

fn serve(more: &[&str]) -> Sumac {
    Sumac::start(&[&["--port", "0", "--vv", "none", "--disable-ticketing", "--freeze"], more].concat())
}

fn address(sumac: &Sumac) -> String {
    format!("127.0.0.1:{}", sumac.told("port"))
}

/// Everything up to the end.
fn ask(sumac: &Sumac, request: &str) -> String {
    let mut stream = connect(&address(sumac));
    stream.write_all(request.as_bytes()).expect("the server reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("text");
    answer
}

/// Connects, with the request in pieces of this many bytes.
fn websocket(sumac: &Sumac, step: usize) -> TcpStream {
    let mut stream = connect(&address(sumac));
    stream.set_nodelay(true).expect("a socket");
    for piece in format!("{REQUEST}\r\n").as_bytes().chunks(step) {
        stream.write_all(piece).expect("the server reads");
    }
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.extend(read(&mut stream, 1));
    }
    let head = String::from_utf8(head).expect("text");
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{head}");
    assert!(head.contains("Sec-WebSocket-Protocol: binary\r\n"), "{head}");
    stream
}

fn read(stream: &mut TcpStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    stream.read_exact(&mut bytes).expect("the server answers");
    bytes
}

/// A client's frame of up to 125 bytes.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [1, 2, 3, 4];
    let masked = payload.iter().enumerate().map(|(n, byte)| byte ^ mask[n % 4]);
    let len = u8::try_from(payload.len()).expect("a short frame");
    [first, 0x80 | len].into_iter().chain(mask).chain(masked).collect()
}

/// The first byte and the payload of the server's next frame.
fn next(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let head = read(stream, 2);
    let len = match head[1] {
        126 => usize::from(u16::from_be_bytes(read(stream, 2).try_into().expect("two bytes"))),
        len => usize::from(len),
    };
    (head[0], read(stream, len))
}

#[test]
fn a_link_goes_through_a_websocket_however_it_is_cut() {
    let sumac = serve(&[]);
    for step in [1, 7, 1000] {
        let mut stream = websocket(&sumac, step);
        for (n, piece) in hello(0, MAIN).chunks(step).enumerate() {
            // One message in pieces, with pings between them.
            stream.write_all(&frame(if n == 0 { 0x02 } else { 0x00 }, piece)).expect("the server reads");
            stream.write_all(&frame(0x89, b"?")).expect("the server reads");
        }
        let (mut reply, mut pongs) = (Vec::new(), 0);
        while reply.len() < 16 || reply.len() < 16 + word_at(&reply, 12) as usize || pongs == 0 {
            match next(&mut stream) {
                (0x82, payload) => reply.extend(payload),
                (0x8a, payload) => {
                    assert_eq!(payload, b"?");
                    pongs += 1;
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(reply.starts_with(b"REDQ") && word_at(&reply, 16) == 0, "{reply:?}");
        stream.write_all(&frame(0x88, &[3, 0xe8])).expect("the server reads");
        // A last pong may be on its way.
        let last = std::iter::repeat_with(|| next(&mut stream)).find(|(first, _)| *first != 0x8a);
        assert_eq!(last, Some((0x88, vec![3, 0xe8])));
    }
}

#[test]
fn what_is_against_websocket_ends_the_connection_and_says_why() {
    let sumac = serve(&[]);
    for (bytes, why) in [
        (vec![0x82, 1, 0], "a client's frame is not masked"),
        (frame(0x81, b"text"), "a frame of kind 1"),
        (frame(0xf2, b"x"), "reserved bits are set in a frame's first byte 0xf2"),
    ] {
        let mut stream = websocket(&sumac, 1000);
        stream.write_all(&bytes).expect("the server reads");
        until(why, || sumac.err().contains(why));
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
        assert!(rest.is_empty() || rest.starts_with(&[0x88]), "{rest:?}");
    }
}

#[test]
fn pages_of_other_hosts_need_a_password_to_get_in() {
    let foreign = format!("{REQUEST}Origin: https://evil.example\r\n\r\n");
    assert!(ask(&serve(&[]), &foreign).starts_with("HTTP/1.1 403 "));
    let dir = tempfile::tempdir().expect("temporary directory");
    let password = dir.path().join("pw");
    std::fs::write(&password, "secret").expect("a file");
    let sumac = Sumac::start(&["--port", "0", "--vv", "none", "--password-file", password.to_str().expect("a path")]);
    let mut stream = connect(&address(&sumac));
    stream.write_all(foreign.as_bytes()).expect("the server reads");
    assert_eq!(read(&mut stream, 12), b"HTTP/1.1 101");
}

#[test]
fn files_come_from_the_folder_and_nothing_else_does() {
    let dir = tempfile::tempdir().expect("temporary directory");
    let root = dir.path().join("root");
    std::fs::create_dir(&root).expect("a folder");
    std::fs::write(dir.path().join("secret"), "secret").expect("a file");
    let large = "x".repeat(1_000_000);
    std::fs::write(root.join("spice_auto.html"), &large).expect("a file");
    let sumac = serve(&["--web-root", root.to_str().expect("a path")]);
    for target in ["/", "/spice_auto.html?host=a"] {
        let answer = ask(&sumac, &format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let (head, content) = answer.split_once("\r\n\r\n").expect("a response");
        assert!(head.starts_with("HTTP/1.1 200 ") && head.contains("text/html") && content == large, "{head}");
    }
    for target in ["/../secret", "/%2e%2e/secret", "/..%2fsecret", "//secret", "/nothing"] {
        let answer = ask(&sumac, &format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert!(answer.starts_with("HTTP/1.1 404 ") && !answer.contains("secret"), "{target}: {answer}");
    }
    assert!(ask(&sumac, "POST / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
    assert!(ask(&sumac, "GET nonsense\r\n\r\n").starts_with("HTTP/1.1 400 "));
}
