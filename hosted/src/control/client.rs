//! The operator's end: one request and its answer.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::{Answer, Reply, Request, TIME};

/// Bytes of an answer: 256 viewers with a dozen channels each have fewer.
const ANSWER_MOST: u64 = 4 * 1024 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// There is no server behind the socket, or it may not be opened.
    #[error("--control {}: {error}", path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The connection broke.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The server closed it without a word.
    #[error("no answer: the server answers to the user that runs it and to root")]
    Refused,
    /// What came is no answer.
    #[error(transparent)]
    Answer(#[from] serde_json::Error),
    /// The server refused.
    #[error("{0}")]
    Failed(String),
}

/// Asks the server whose control socket is at `path`.
pub fn ask(path: &Path, request: &Request) -> Result<Answer, AskError> {
    let stream = UnixStream::connect(path);
    let mut stream = stream.map_err(|error| AskError::Connect { path: path.to_owned(), error })?;
    stream.set_read_timeout(Some(TIME))?;
    stream.set_write_timeout(Some(TIME))?;
    let mut line = Zeroizing::new(serde_json::to_vec(request)?);
    line.push(b'\n');
    let sent = stream.write_all(&line);
    let mut answer = Zeroizing::new(Vec::new());
    let read = BufReader::new(stream.take(ANSWER_MOST)).read_until(b'\n', &mut answer);
    match (sent, read) {
        (_, Ok(0)) => Err(AskError::Refused),
        (Err(error), _) if error.kind() == io::ErrorKind::BrokenPipe => Err(AskError::Refused),
        (Err(error), _) | (_, Err(error)) => Err(error.into()),
        (Ok(()), Ok(_)) => match serde_json::from_slice(&answer)? {
            Reply::Ok(answer) => Ok(answer),
            Reply::Error(why) => Err(AskError::Failed(why)),
        },
    }
}
