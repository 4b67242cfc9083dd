//! [`Gate`]: what a client speaks, told by its first byte, on whatever port.
//!
//! | first byte | what it is |
//! |---|---|
//! | `0x16` | TLS, in which there is one of the others |
//! | `G`, `H`, `O`, `P` … | HTTP: a WebSocket, or a file |
//! | anything else | SPICE, which begins with `REDQ` |

use std::io;

use rustix::net::RecvFlags;
use tokio::io::{AsyncReadExt, Interest};

use super::http::{self, Answered, WebRoot};
use super::tls::{Acceptor, Identity, TlsError};
use super::{Entrance, Stream};
use crate::config::{Config, InheritedSocket, Ticketing};

/// The record type of a TLS handshake.
const TLS_HANDSHAKE: u8 = 0x16;
/// Where HTTP's methods begin: GET, HEAD, OPTIONS, POST, PUT, PATCH, DELETE, CONNECT, TRACE.
const METHODS: &[u8] = b"GHOPDCT";

/// What connections may become before they are SPICE.
#[derive(Debug)]
pub(crate) struct Gate {
    tls: Option<Acceptor>,
    files: Option<WebRoot>,
    any_page: bool,
}

/// Why a connection did not come to SPICE.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotEntered {
    /// It ended, broke, or did not keep to its protocol.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// TLS was asked for.
    #[error("the client speaks TLS, and there is no certificate")]
    NoTls,
    /// TLS was not spoken.
    #[error("the client does not speak TLS, and nothing else may come on this port")]
    NeedsTls,
    /// A mistake of ours.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// A browser got its answer.
    #[error("HTTP: {0} answered with {1}")]
    Page(String, u16),
}

impl Gate {
    /// Reads certificates and opens the folder.
    pub(crate) fn new(config: &Config) -> anyhow::Result<Self> {
        let listen = &config.listen;
        let only_tls = listen.tls_port.is_some() || listen.inherited.iter().any(InheritedSocket::is_tls);
        if only_tls && !config.tls.is_wanted() {
            return Err(TlsError::Missing("a certificate").into());
        }
        let tls = config.tls.is_wanted().then(|| Acceptor::new(config.tls.clone())).transpose()?;
        let open = |path: &std::path::PathBuf| {
            WebRoot::open(path).map_err(|error| anyhow::anyhow!("--web-root {}: {error}", path.display()))
        };
        let files = config.web_root.as_ref().map(open).transpose()?;
        // A page of another host could use a desktop that asks for no password.
        let any_page = !matches!(config.ticketing, Ticketing::Disabled) || config.sasl.is_wanted();
        Ok(Self { tls, files, any_page })
    }

    /// The certificate that is used now.
    pub(crate) fn identity(&self) -> Option<Identity> {
        self.tls.as_ref().map(Acceptor::current)
    }

    /// Whether there are files for browsers.
    pub(crate) fn has_files(&self) -> bool {
        self.files.is_some()
    }

    /// Reads the certificate again, and says in the log what came of it.
    pub(crate) fn reload(&self) {
        match self.tls.as_ref().map(Acceptor::reload) {
            None => tracing::info!("there is no certificate to read again"),
            Some(Ok(())) => tracing::info!("the certificate was read again; new connections use it"),
            Some(Err(error)) => tracing::error!(%error, "the old certificate stays in use"),
        }
    }

    /// Brings a new connection to where SPICE begins.
    pub(crate) async fn enter(&self, stream: &mut Stream, entrance: Entrance) -> Result<(), NotEntered> {
        let mut first = peek(stream).await?;
        if first == Some(TLS_HANDSHAKE) {
            let tls = self.tls.as_ref().ok_or(NotEntered::NoTls)?;
            stream.layers().secure(tls.current().config)?;
            let mut byte = [0];
            // Reading the first byte makes the handshake.
            first = (stream.read(&mut byte).await? > 0).then_some(byte[0]);
            stream.layers().unread(first.as_slice());
        } else if entrance == Entrance::TlsOnly {
            return Err(NotEntered::NeedsTls);
        }
        match first {
            Some(byte) if METHODS.contains(&byte) => {
                match http::answer(stream, self.files.as_ref(), self.any_page).await? {
                    Answered::WebSocket => Ok(()),
                    Answered::Page(asked, status) => Err(NotEntered::Page(asked, status)),
                }
            }
            Some(_) => Ok(()),
            None => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
        }
    }
}

/// The first byte, which stays where it is; `None` at the end.
async fn peek(stream: &Stream) -> io::Result<Option<u8>> {
    loop {
        stream.ready(Interest::READABLE).await?;
        let mut byte = [0];
        let look = || Ok(rustix::net::recv(stream, &mut byte, RecvFlags::PEEK)?);
        match stream.try_io(Interest::READABLE, look) {
            Ok((0, _)) => return Ok(None),
            Ok(_) => return Ok(Some(byte[0])),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}
