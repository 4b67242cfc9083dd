//! The server's end: who is listened to, for how long, and how much.

use std::cell::RefCell;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Notify;
use zeroize::Zeroizing;

use super::{REQUEST_MOST, Reply, Request, TIME, parse};
use crate::transport::{ListenError, Lobby, Peer, SocketFile, listen_private};

/// The pause after an accept that failed for want of descriptors or memory.
const PAUSE: Duration = Duration::from_millis(50);

/// A control socket; its file goes when this is dropped.
#[derive(Debug)]
pub(crate) struct Control {
    listener: UnixListener,
    _file: SocketFile,
}

/// Opens the socket. Needs a tokio runtime.
pub(crate) fn listen(path: &Path) -> Result<Control, ListenError> {
    let opened = listen_private(path);
    let (listener, file) =
        opened.map_err(|source| ListenError::Open { at: format!("--control {}", path.display()), source })?;
    Ok(Control { listener, _file: file })
}

/// Answers requests, for ever.
pub(crate) async fn serve(control: Control, answer: Rc<dyn Fn(Request) -> Reply>) {
    let lobby = Rc::new(RefCell::new(Lobby::default()));
    loop {
        let accepted = control.listener.accept().await.and_then(|(stream, _)| {
            let user = stream.peer_cred()?;
            Ok((stream, Peer::Unix { uid: user.uid(), pid: user.pid() }))
        });
        match accepted {
            Ok((_, peer)) if !may_ask(&peer) => {
                tracing::warn!(%peer, reason = "another user", "nothing is answered on the control socket");
            }
            Ok((stream, peer)) => {
                let leave = Rc::new(Notify::new());
                let (place, evicted) = lobby.borrow_mut().enter(peer.key(), Rc::clone(&leave));
                if let Some(evicted) = evicted {
                    evicted.notify_one();
                }
                let (lobby, answer) = (Rc::clone(&lobby), Rc::clone(&answer));
                tokio::task::spawn_local(async move {
                    tokio::select! {
                        done = tokio::time::timeout(TIME, connection(stream, &*answer)) => match done {
                            Ok(Ok(())) => {}
                            Ok(Err(error)) => tracing::debug!(%peer, %error, "a control connection broke off"),
                            Err(_) => tracing::debug!(%peer, "a control connection took too long"),
                        },
                        () = leave.notified() => {}
                    }
                    lobby.borrow_mut().leave(place);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "cannot accept a control connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// The user that runs the server, and root.
fn may_ask(peer: &Peer) -> bool {
    matches!(peer, Peer::Unix { uid, .. } if *uid == 0 || *uid == rustix::process::geteuid().as_raw())
}

/// Requests and their answers, until the end.
async fn connection(stream: UnixStream, answer: &dyn Fn(Request) -> Reply) -> io::Result<()> {
    let mut stream = BufReader::with_capacity(REQUEST_MOST, stream);
    loop {
        // May hold a password.
        let mut line = Zeroizing::new(Vec::with_capacity(REQUEST_MOST));
        (&mut stream).take(REQUEST_MOST as u64).read_until(b'\n', &mut line).await?;
        if line.is_empty() {
            return Ok(());
        }
        let whole = line.strip_suffix(b"\n");
        let reply = match whole {
            Some(line) => parse(line).map_or_else(Reply::Error, answer),
            None => Reply::Error(format!("a request is a line of at most {REQUEST_MOST} bytes")),
        };
        let mut text = Zeroizing::new(serde_json::to_vec(&reply)?);
        text.push(b'\n');
        stream.get_mut().write_all(&text).await?;
        if whole.is_none() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::control::Answer;

    fn answer(request: Request) -> Reply {
        match request {
            Request::Disconnect { viewer } => Reply::Ok(Answer::Disconnected(viewer as usize)),
            _ => Reply::Error("no".into()),
        }
    }

    /// What is answered to these bytes.
    async fn said(bytes: &[u8]) -> String {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let client = async {
            // What is refused early is not read to its end.
            let _ = theirs.write_all(bytes).await;
            let _ = theirs.shutdown().await;
            let mut text = Vec::new();
            // What was not read resets the connection behind the answer.
            let _ = theirs.read_to_end(&mut text).await;
            String::from_utf8(text).unwrap()
        };
        let (served, text) = tokio::join!(connection(ours, &answer), client);
        served.unwrap();
        text
    }

    #[tokio::test]
    async fn each_line_is_answered_in_order() {
        let text = said(b"{\"do\":\"disconnect\",\"viewer\":1}\n{\"do\":\"status\"}\n").await;
        assert_eq!(text, "{\"ok\":{\"disconnected\":1}}\n{\"error\":\"no\"}\n");
        assert_eq!(said(b"").await, "");
    }

    #[tokio::test]
    async fn a_line_has_its_bounds() {
        let refused = format!("{{\"error\":\"a request is a line of at most {REQUEST_MOST} bytes\"}}\n");
        assert_eq!(said(b"{\"do\":\"status\"}").await, refused, "without its end");
        let longest = |len: usize| [b"{\"do\":\"disconnect\",\"viewer\":1}", &*vec![b' '; len - 31], b"\n"].concat();
        assert_eq!(said(&longest(REQUEST_MOST)).await, "{\"ok\":{\"disconnected\":1}}\n");
        assert!(said(&longest(REQUEST_MOST + 1)).await.starts_with(&refused));
    }

    #[tokio::test]
    async fn only_its_owner_can_open_the_file_and_it_goes_in_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control");
        let control = listen(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(control);
        assert!(!path.exists());
        let error = listen(&dir.path().join("no/control")).unwrap_err().to_string();
        assert!(error.starts_with("cannot listen on --control "), "{error}");
    }

    #[test]
    fn only_root_and_this_user_are_answered() {
        let own = rustix::process::geteuid().as_raw();
        for (uid, may) in [(0, true), (own, true), (own + 1, false), (u32::MAX, false)] {
            assert_eq!(may_ask(&Peer::Unix { uid, pid: None }), may, "{uid}");
        }
    }
}
