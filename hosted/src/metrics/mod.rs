//! [`serve`]: figures over HTTP, for Prometheus and for whoever asks whether the server works.
//!
//! It knows GET and HEAD of a path, one request per connection, and answers from what is in memory.
//! A connection has [`TIME`] in all and [`HEAD_MOST`] bytes; how many there are at once is bounded
//! as for viewers that are not authenticated: newcomers push out the oldest.

mod page;

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

pub(crate) use page::page;

use crate::transport::{Lobby, Peer};

/// How long a connection may take from accept to close.
const TIME: Duration = Duration::from_secs(5);
/// Bytes of a request, at most.
const HEAD_MOST: usize = 8 * 1024;
/// Bytes behind a request that are read and forgotten, so that closing does not reset the answer.
const BEHIND_MOST: u64 = 64 * 1024;
/// The pause after an accept that failed for want of descriptors or memory.
const PAUSE: Duration = Duration::from_millis(50);

/// What is answered to a GET.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// A status of HTTP's.
    pub(crate) status: Status,
    /// Text in UTF-8.
    pub(crate) body: String,
}

/// The statuses that are used, with their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Ok = 200,
    BadRequest = 400,
    NotFound = 404,
    MethodNotAllowed = 405,
    TooLarge = 431,
    Unavailable = 503,
}

/// Answers requests for paths, for ever.
pub(crate) async fn serve(listener: TcpListener, answer: Rc<dyn Fn(&str) -> Answer>) {
    let lobby = Rc::new(RefCell::new(Lobby::default()));
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                let leave = Rc::new(Notify::new());
                let (place, evicted) = lobby.borrow_mut().enter(Peer::Tcp(address).key(), Rc::clone(&leave));
                if let Some(evicted) = evicted {
                    evicted.notify_one();
                }
                let (lobby, answer) = (Rc::clone(&lobby), Rc::clone(&answer));
                tokio::task::spawn_local(async move {
                    tokio::select! {
                        done = tokio::time::timeout(TIME, connection(stream, &*answer)) => match done {
                            Ok(Ok(())) => {}
                            Ok(Err(error)) => tracing::debug!(%address, %error, "a request for figures broke off"),
                            Err(_) => tracing::debug!(%address, "a request for figures took too long"),
                        },
                        () = leave.notified() => {}
                    }
                    lobby.borrow_mut().leave(place);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "cannot accept a connection for figures");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// One request and its answer.
async fn connection(mut stream: TcpStream, answer: &dyn Fn(&str) -> Answer) -> io::Result<()> {
    let mut head = Vec::new();
    let whole = loop {
        if ends(&head) {
            break true;
        }
        if head.len() >= HEAD_MOST {
            break false;
        }
        if stream.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    };
    let parsed = if whole { parse(&head) } else { Err(Status::TooLarge) };
    let text = match parsed {
        Ok(request) => response(&answer(request.path), request.with_body),
        Err(status) => response(&Answer { status, body: format!("{}\n", status.words()) }, true),
    };
    stream.write_all(text.as_bytes()).await?;
    stream.shutdown().await?;
    tokio::io::copy(&mut stream.take(BEHIND_MOST), &mut tokio::io::sink()).await.map(drop)
}

struct Request<'a> {
    path: &'a str,
    with_body: bool,
}

/// Whether an empty line is there.
fn ends(head: &[u8]) -> bool {
    head.windows(4).any(|end| end == b"\r\n\r\n")
}

/// Reads the request line; the fields behind it mean nothing here.
fn parse(head: &[u8]) -> Result<Request<'_>, Status> {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = std::str::from_utf8(line).map_err(|_| Status::BadRequest)?;
    let [method, target, version] = line.split(' ').collect::<Vec<_>>()[..] else { return Err(Status::BadRequest) };
    let is_path = target.starts_with('/') && !target.contains(char::is_control);
    if !is_path || !matches!(version, "HTTP/1.0" | "HTTP/1.1") {
        return Err(Status::BadRequest);
    }
    let with_body = match method {
        "GET" => true,
        "HEAD" => false,
        _ => return Err(Status::MethodNotAllowed),
    };
    Ok(Request { path: target.split('?').next().unwrap_or_default(), with_body })
}

fn response(answer: &Answer, with_body: bool) -> String {
    let Answer { status, body } = answer;
    let allow = if *status == Status::MethodNotAllowed { "Allow: GET, HEAD\r\n" } else { "" };
    format!(
        "HTTP/1.1 {} {}\r\n{allow}Content-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}",
        *status as u16,
        status.words(),
        body.len(),
        if with_body { body } else { "" },
    )
}

impl Status {
    fn words(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::BadRequest => "Bad Request",
            Self::NotFound => "Not Found",
            Self::MethodNotAllowed => "Method Not Allowed",
            Self::TooLarge => "Request Header Fields Too Large",
            Self::Unavailable => "Service Unavailable",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_line_names_a_path() {
        for (head, path, with_body) in [
            ("GET / HTTP/1.1\r\n\r\n", "/", true),
            ("HEAD /metrics?x=y HTTP/1.0\r\nHost: a\r\n\r\n", "/metrics", false),
        ] {
            assert!(ends(head.as_bytes()));
            let request = parse(head.as_bytes()).unwrap();
            assert_eq!((request.path, request.with_body), (path, with_body));
        }
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for (head, status) in [
            (&b"\r\n\r\n"[..], Status::BadRequest),
            (b"GET /\r\n\r\n", Status::BadRequest),
            (b"GET  / HTTP/1.1\r\n\r\n", Status::BadRequest),
            (b"GET / HTTP/1.1 x\r\n\r\n", Status::BadRequest),
            (b"GET / HTTP/2\r\n\r\n", Status::BadRequest),
            (b"GET metrics HTTP/1.1\r\n\r\n", Status::BadRequest),
            (b"GET /\0 HTTP/1.1\r\n\r\n", Status::BadRequest),
            (b"GET /\xff HTTP/1.1\r\n\r\n", Status::BadRequest),
            (b"REDQ\x02\0\0\0 / HTTP/1.1\r\n\r\n", Status::MethodNotAllowed),
            (b"POST /metrics HTTP/1.1\r\n\r\n", Status::MethodNotAllowed),
        ] {
            assert_eq!(parse(head).map(|request| request.path), Err(status), "{}", head.escape_ascii());
        }
        let text = response(&Answer { status: Status::MethodNotAllowed, body: "no".into() }, false);
        assert!(text.starts_with("HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD\r\n"), "{text}");
        assert!(text.contains("Content-Length: 2\r\n") && text.ends_with("\r\n\r\n"), "{text}");
    }
}
