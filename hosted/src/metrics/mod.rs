//! [`serve`]: figures over HTTP, for Prometheus and for whoever asks whether the server works.
//!
//! It knows GET and HEAD of a path, one request per connection, and answers from what is in memory.
//! A connection has [`TIME`] in all and as many bytes as a browser's request; how many there are at
//! once is bounded as for viewers that are not authenticated: newcomers push out the oldest.

mod page;

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

pub(crate) use page::page;

use crate::transport::http::{self, Head, Refusal};
use crate::transport::{Lobby, Peer, Stream};

/// How long a connection may take from accept to close.
const TIME: Duration = Duration::from_secs(5);
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
    NotFound = 404,
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
async fn connection(stream: TcpStream, answer: &dyn Fn(&str) -> Answer) -> io::Result<()> {
    let mut stream = Stream::from(stream);
    let response = match http::read_head(&mut stream).await? {
        Ok((head, _)) => respond(&head, answer),
        Err(refusal) => refusal.response(),
    };
    stream.write_all(&response).await?;
    stream.shutdown().await?;
    tokio::io::copy(&mut stream.take(BEHIND_MOST), &mut tokio::io::sink()).await.map(drop)
}

fn respond(head: &Head, answer: &dyn Fn(&str) -> Answer) -> Vec<u8> {
    let with_body = head.method == "GET";
    match head.path() {
        _ if !with_body && head.method != "HEAD" => Refusal::METHOD.response(),
        Some(path) => response(&answer(path), with_body),
        None => Refusal::MALFORMED.response(),
    }
}

fn response(answer: &Answer, with_body: bool) -> Vec<u8> {
    let Answer { status, body } = answer;
    let head = format!(
        "HTTP/1.1 {} {}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        *status as u16,
        status.words(),
        body.len(),
    );
    if with_body { [head.as_bytes(), body.as_bytes()].concat() } else { head.into() }
}

impl Status {
    fn words(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::NotFound => "Not Found",
            Self::Unavailable => "Service Unavailable",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::http::parse;

    fn answered(request: &[u8]) -> String {
        let answer = |path: &str| Answer { status: Status::Ok, body: format!("of {path}") };
        let response = parse(request).map_or_else(|refusal| refusal.response(), |head| respond(&head, &answer));
        String::from_utf8(response).unwrap()
    }

    #[test]
    fn a_path_is_answered() {
        let get = answered(b"GET / HTTP/1.1\r\n\r\n");
        assert!(get.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4;"), "{get}");
        assert!(get.ends_with("\r\nContent-Length: 4\r\nConnection: close\r\n\r\nof /"), "{get}");
        let head = answered(b"HEAD /metrics?x=y HTTP/1.0\r\nHost: a\r\n\r\n");
        assert!(head.ends_with("\r\nContent-Length: 11\r\nConnection: close\r\n\r\n"), "{head}");
    }

    #[test]
    fn what_is_no_request_for_a_path_is_refused() {
        for (request, status) in [
            (&b"\r\n\r\n"[..], "400 "),
            (b"GET metrics HTTP/1.1\r\n\r\n", "400 "),
            (b"GET /\0 HTTP/1.1\r\n\r\n", "400 "),
            (b"POST /metrics HTTP/1.1\r\n\r\n", "405 "),
            (b"POST metrics HTTP/1.1\r\n\r\n", "405 "),
        ] {
            let text = answered(request);
            assert_eq!(text.strip_prefix("HTTP/1.1 ").and_then(|text| text.get(..4)), Some(status), "{text}");
        }
    }
}
