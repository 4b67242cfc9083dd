//! [`Door`]: a connection from its first byte to where SPICE begins.

use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::runtime::{self, Runtime};

use crate::cert;
use crate::config::{Config, Ticketing, Tls};
use crate::transport::fuzzing::WebSocket;
use crate::transport::{Entrance, Gate, Stream};

/// The name in the certificate.
const HOST: &str = "localhost";
/// How long a client waits for a server that waits for it: what was changed on the way may say that
/// more follows. A server has deadlines of its own where it listens.
const IDLE: Duration = Duration::from_millis(200);
/// Bytes of a client's that are enough for a handshake and more.
const STEP: usize = 16 * 1024;

/// A server's door, with a certificate and without files.
#[derive(Debug)]
pub struct Door {
    gate: Gate,
    client: Arc<ClientConfig>,
    runtime: Runtime,
}

/// What a client does.
#[derive(Clone, Debug, Default)]
pub struct Visit<'a> {
    /// Whether nothing but TLS may come.
    pub tls_only: bool,
    /// Whether the client speaks TLS.
    pub tls: bool,
    /// What it says, one piece after the other is read.
    pub pieces: Vec<&'a [u8]>,
    /// Bytes of what it sends that are changed on the way: their places and what they are XORed with.
    pub changed: Vec<(usize, u8)>,
    /// Most bytes of TLS that it sends at once; not 0.
    pub step: usize,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Visited {
    /// Whether the stream is inside TLS.
    pub secure: bool,
    /// Bytes of SPICE.
    pub bytes: Vec<u8>,
    /// What the client was told, inside TLS.
    pub told: Vec<u8>,
    /// Why it did not come to SPICE, or how SPICE ended, if not by its end.
    pub error: Option<String>,
}

impl Door {
    /// Makes a certificate in this folder, which is empty.
    pub fn new(folder: &Path) -> anyhow::Result<Self> {
        cert::make(folder, &[HOST.into()])?;
        let tls = Tls { dir: Some(folder.into()), ..Tls::default() };
        let gate = Gate::new(&Config { tls, ticketing: Ticketing::Disabled, ..Config::default() })?;
        let mut roots = RootCertStore::empty();
        for certificate in crate::transport::fuzzing::certificates(&folder.join("ca-cert.pem"))? {
            roots.add(certificate)?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let client = Arc::new(client.with_root_certificates(roots).with_no_client_auth());
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        super::survive_broken_pipes(&runtime)?;
        Ok(Self { gate, client, runtime })
    }

    /// Lets a client in.
    pub fn visit(&self, visit: &Visit<'_>) -> anyhow::Result<Visited> {
        let mut connection = None;
        if visit.tls {
            connection = Some(ClientConnection::new(Arc::clone(&self.client), ServerName::try_from(HOST)?)?);
        }
        self.runtime.block_on(async {
            let (ours, theirs) = UnixStream::pair()?;
            let (visited, told) = tokio::join!(self.receive(visit, ours), send(visit, theirs, connection));
            Ok(Visited { told: told?, ..visited })
        })
    }

    async fn receive(&self, visit: &Visit<'_>, socket: UnixStream) -> Visited {
        let mut stream = Stream::from(socket);
        let entrance = if visit.tls_only { Entrance::TlsOnly } else { Entrance::Any };
        let entered = self.gate.enter(&mut stream, entrance).await;
        let mut visited = Visited { secure: stream.is_secure(), ..Visited::default() };
        visited.error = match entered {
            Ok(()) => stream.read_to_end(&mut visited.bytes).await.err().map(|error| error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        // The client may be gone.
        let _ = stream.shutdown().await;
        visited
    }
}

/// The client's end: says all pieces, and answers what it was told.
async fn send(visit: &Visit<'_>, socket: UnixStream, tls: Option<ClientConnection>) -> io::Result<Vec<u8>> {
    let mut wire = Wire { visit, socket, sent: 0 };
    let mut told = Vec::new();
    match tls {
        None => {
            for piece in &visit.pieces {
                wire.send(piece).await;
            }
            let _ = wire.socket.shutdown().await;
            let _ = wire.socket.read_to_end(&mut told).await;
        }
        Some(tls) => wire.speak_tls(tls, &mut told).await?,
    }
    Ok(told)
}

struct Wire<'v> {
    visit: &'v Visit<'v>,
    socket: UnixStream,
    sent: usize,
}

impl Wire<'_> {
    /// Sends bytes with their changes, and lets the server read them. It may have gone.
    async fn send(&mut self, bytes: &[u8]) {
        let mut bytes = bytes.to_vec();
        for (place, change) in &self.visit.changed {
            if let Some(byte) = place.checked_sub(self.sent).and_then(|at| bytes.get_mut(at)) {
                *byte ^= change;
            }
        }
        self.sent += bytes.len();
        let _ = self.socket.write_all(&bytes).await;
        tokio::task::yield_now().await;
    }

    /// A handshake, then the pieces, then goodbye; until the server or the library ends it.
    async fn speak_tls(&mut self, mut tls: ClientConnection, told: &mut Vec<u8>) -> io::Result<()> {
        let mut pieces = self.visit.pieces.iter();
        let (mut said_all, mut gave_up) = (false, false);
        loop {
            let mut out = Vec::new();
            while tls.wants_write() {
                tls.write_tls(&mut out)?;
            }
            for part in out.chunks(self.visit.step.max(1)) {
                self.send(part).await;
            }
            if said_all {
                let _ = self.socket.shutdown().await;
            }
            if !tls.is_handshaking() && !said_all {
                match pieces.next() {
                    Some(piece) => tls.writer().write_all(piece)?,
                    None => {
                        said_all = true;
                        tls.send_close_notify();
                    }
                }
                continue;
            }
            let mut received = vec![0; STEP];
            let read = tokio::time::timeout(IDLE, self.socket.read(&mut received)).await;
            if read.is_err() && !gave_up {
                gave_up = true;
                let _ = self.socket.shutdown().await;
                continue;
            }
            let Ok(Ok(len @ 1..)) = read else { return Ok(()) };
            let mut received = received.get(..len).unwrap_or_default();
            while !received.is_empty() {
                tls.read_tls(&mut received)?;
                let processed = tls.process_new_packets();
                let _ = tls.reader().read_to_end(told);
                if processed.is_err() {
                    return Ok(());
                }
            }
        }
    }
}

/// What the payload of these pieces of frames is, and what is to be answered; `Err` says what was
/// wrong with them.
pub fn websocket(pieces: &[&[u8]]) -> Result<(Vec<u8>, Option<Vec<u8>>), String> {
    let mut websocket = WebSocket::default();
    let mut payload = Vec::new();
    for piece in pieces {
        let mut bytes = piece.to_vec();
        let len = websocket.decode(&mut bytes).map_err(|error| error.to_string())?;
        payload.extend_from_slice(bytes.get(..len).unwrap_or_default());
    }
    Ok((payload, websocket.take_answer()))
}
