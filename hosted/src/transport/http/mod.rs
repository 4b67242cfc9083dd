//! As much of HTTP/1.1 as a browser needs to become a viewer: the request for a WebSocket, and the
//! files of the page that asks for it. One request per connection. The server of figures reads its
//! requests here, too.

mod files;
mod request;

use std::io;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub(crate) use files::WebRoot;
pub(crate) use request::parse;
pub(crate) use request::{Head, Refusal};

use super::Stream;

/// Most bytes of a request: browsers send less than 2 KiB, and cookies of others on the same host.
const REQUEST_MOST: usize = 16 * 1024;
/// Bytes read at once.
const READ_STEP: usize = 1024;
/// RFC 6455 has it for the answer to the key.
const KEY_SUFFIX: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// What became of a request.
pub(super) enum Answered {
    /// The stream is a WebSocket now.
    WebSocket,
    /// It was about a file, or wrong: what was asked, and the status.
    Page(String, u16),
}

/// Reads a request and answers it. `any_page` lets pages of other hosts open a WebSocket.
pub(super) async fn answer(stream: &mut Stream, files: Option<&WebRoot>, any_page: bool) -> io::Result<Answered> {
    let (head, behind) = match read_head(stream).await? {
        Ok(read) => read,
        Err(refusal) => return refuse(stream, "?".into(), &refusal).await,
    };
    let asked = format!("{} {}", head.method, head.target);
    if !head.wants_websocket() {
        let (status, response) = files::respond(files, &head);
        stream.write_all(&response.head).await?;
        if let Some(mut file) = response.file {
            files::send(stream, &mut file).await?;
        }
        stream.flush().await?;
        return Ok(Answered::Page(asked, status));
    }
    match head.websocket_key(any_page) {
        Ok(key) => {
            stream.write_all(switch(key, head.has_protocol()).as_bytes()).await?;
            let layers = stream.layers();
            layers.begin_websocket();
            layers.unread(&behind);
            Ok(Answered::WebSocket)
        }
        Err(refusal) => refuse(stream, asked, &refusal).await,
    }
}

/// Reads up to the empty line, in whatever pieces it comes; answers also what came behind it.
pub(crate) async fn read_head(stream: &mut Stream) -> io::Result<Result<(Head, Vec<u8>), Refusal>> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let behind = bytes.split_off(end + 4);
            return Ok(parse(&bytes).map(|head| (head, behind)));
        }
        if bytes.len() >= REQUEST_MOST {
            return Ok(Err(Refusal::TOO_LARGE));
        }
        bytes.reserve(READ_STEP);
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

async fn refuse(stream: &mut Stream, asked: String, refusal: &Refusal) -> io::Result<Answered> {
    stream.write_all(&refusal.response()).await?;
    stream.flush().await?;
    Ok(Answered::Page(asked, refusal.status))
}

/// The answer that makes it a WebSocket.
fn switch(key: &str, protocol: bool) -> String {
    let accept = STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{KEY_SUFFIX}").as_bytes()));
    let protocol = if protocol { "Sec-WebSocket-Protocol: binary\r\n" } else { "" };
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{protocol}\r\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::UnixStream;

    #[test]
    fn the_example_of_the_rfc() {
        let answer = switch("dGhlIHNhbXBsZSBub25jZQ==", true);
        assert!(answer.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{answer}");
        assert!(answer.ends_with("Sec-WebSocket-Protocol: binary\r\n\r\n"));
    }

    #[tokio::test]
    async fn a_request_byte_by_byte_and_what_follows_it() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let client = async {
            let request = b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\
                \x82\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
            for byte in request {
                theirs.write_all(&[*byte]).await.unwrap();
                tokio::task::yield_now().await;
            }
            let mut answer = vec![0; 12];
            theirs.read_exact(&mut answer).await.unwrap();
            assert_eq!(answer, b"HTTP/1.1 101");
        };
        let server = async {
            let mut stream = Stream::from(ours);
            assert!(matches!(answer(&mut stream, None, false).await, Ok(Answered::WebSocket)));
            let mut hello = [0; 5];
            stream.read_exact(&mut hello).await.unwrap();
            assert_eq!(&hello, b"Hello");
        };
        tokio::join!(client, server);
    }

    #[tokio::test]
    async fn a_request_without_an_end_is_refused_at_its_limit() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let client = async {
            let _ = theirs.write_all(&vec![b'a'; REQUEST_MOST + READ_STEP]).await;
            let mut answer = vec![0; 12];
            theirs.read_exact(&mut answer).await.unwrap();
            assert_eq!(answer, b"HTTP/1.1 431");
        };
        let mut stream = Stream::from(ours);
        let (answered, ()) = tokio::join!(answer(&mut stream, None, false), client);
        assert!(matches!(answered, Ok(Answered::Page(_, 431))));
    }
}
