//! A relay between a SPICE client and a server that writes down the session.
//!
//! ```text
//! wire-relay (--listen ADDRESS --to ADDRESS)... --out FILE.rec
//!            [--origin "KEY: VALUE"]... [--without-mini-header] [--seconds N]
//! ```
//!
//! An ADDRESS is `HOST:PORT` or `unix:PATH`; a session that moves between servers has several
//! pairs. Prints `ready ADDRESS...` when it listens (with the ports the system chose, for port 0),
//! takes any number of connections and ends after N seconds (default 60) or by a signal; the file
//! is whole at any moment. For its form see `sumac_tests::recording`.
//!
//! `--without-mini-header` clears the common capability MINI_HEADER in what both ends say at the
//! link, so that they talk with full headers; the origin of the recording then says so.
//!
//! File descriptors that travel beside the bytes of a UNIX socket are not passed on.

use std::env;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use sumac_tests::recording::{Origin, Recorder, Speaker};

const USAGE: &str = "usage: wire-relay (--listen ADDRESS --to ADDRESS)... --out FILE.rec \
    [--origin \"KEY: VALUE\"]... [--without-mini-header] [--seconds N]";

/// Bytes read at once: as much as the largest thing either end writes in one go.
const READ_SIZE: usize = 64 * 1024;

/// The link header and message or reply (protocol: at most 4096 bytes after the header).
const LINK_HEADER: usize = 16;
const MAX_LINK: usize = 4096;

/// Common capability bit 3.
const MINI_HEADER: u8 = 1 << 3;

fn main() -> ExitCode {
    let outcome = Options::parse(env::args().skip(1)).and_then(run);
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            let _ = writeln!(io::stderr(), "wire-relay: {message}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> Result<(), String> {
    let out = options.out.display().to_string();
    let file = File::create(&options.out).map_err(|e| format!("{out}: {e}"))?;
    let recorder = Recorder::new(file, &options.origin).map_err(|e| format!("{out}: {e}"))?;
    let recorder = Arc::new(Mutex::new(recorder));
    let mut ready = "ready".to_owned();
    let mut listening = Vec::new();
    for (listen, to) in options.routes {
        let listener = listen.listen()?;
        ready = format!("{ready} {}", listener.address(&listen)?);
        let relay = Relay { to, full_headers: options.full_headers, recorder: Arc::clone(&recorder) };
        listening.push((listener, relay));
    }
    writeln!(io::stdout(), "{ready}").map_err(|e| format!("standard output: {e}"))?;
    for (listener, relay) in listening {
        thread::spawn(move || relay.serve(&listener));
    }
    thread::sleep(Duration::from_secs(options.seconds));
    Ok(())
}

struct Options {
    /// Where to listen, and where a connection there leads.
    routes: Vec<(Address, Address)>,
    out: PathBuf,
    origin: Origin,
    full_headers: bool,
    seconds: u64,
}

impl Options {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut listen, mut to, mut out) = (Vec::new(), Vec::new(), None);
        let mut origin = Origin::default();
        let mut full_headers = false;
        let mut seconds = 60;
        while let Some(word) = words.next() {
            if word == "--without-mini-header" {
                full_headers = true;
                continue;
            }
            let value = words.next().ok_or_else(|| format!("{word} needs a value\n{USAGE}"))?;
            match word.as_str() {
                "--listen" => listen.push(Address::parse(&value)),
                "--to" => to.push(Address::parse(&value)),
                "--out" => out = Some(PathBuf::from(value)),
                "--origin" => {
                    let (key, text) = value.split_once(": ").ok_or(format!("--origin {value}: no `: `"))?;
                    origin.add(key, text).map_err(|e| e.to_string())?;
                }
                "--seconds" => seconds = value.parse().map_err(|e| format!("--seconds {value}: {e}"))?,
                _ => return Err(format!("unknown option {word}\n{USAGE}")),
            }
        }
        if full_headers {
            let what = "the relay cleared MINI_HEADER in the common capabilities of both ends";
            origin.add("altered", what).map_err(|e| e.to_string())?;
        }
        let pairs = listen.len() == to.len() && !listen.is_empty();
        let Some(out) = out.filter(|_| pairs) else {
            return Err(USAGE.to_owned());
        };
        let routes = listen.into_iter().zip(to).collect();
        Ok(Self { routes, out, origin, full_headers, seconds })
    }
}

/// Where to listen or to connect.
enum Address {
    Tcp(String),
    Unix(PathBuf),
}

impl Address {
    fn parse(text: &str) -> Self {
        text.strip_prefix("unix:").map_or_else(|| Self::Tcp(text.to_owned()), |path| Self::Unix(PathBuf::from(path)))
    }

    fn listen(&self) -> Result<Listener, String> {
        match self {
            Self::Tcp(name) => TcpListener::bind(name).map(Listener::Tcp).map_err(|e| format!("{name}: {e}")),
            Self::Unix(path) => {
                UnixListener::bind(path).map(Listener::Unix).map_err(|e| format!("{}: {e}", path.display()))
            }
        }
    }

    fn connect(&self) -> Result<Stream, String> {
        match self {
            Self::Tcp(name) => TcpStream::connect(name).map(Stream::Tcp).map_err(|e| format!("{name}: {e}")),
            Self::Unix(path) => {
                UnixStream::connect(path).map(Stream::Unix).map_err(|e| format!("{}: {e}", path.display()))
            }
        }
    }
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    /// What to tell a client, given what we were asked to listen on.
    fn address(&self, asked: &Address) -> Result<String, String> {
        match (self, asked) {
            (_, Address::Unix(path)) => Ok(format!("unix:{}", path.display())),
            (Self::Tcp(listener), _) => listener.local_addr().map(|a| a.to_string()).map_err(|e| e.to_string()),
            (Self::Unix(_), Address::Tcp(name)) => Ok(name.clone()),
        }
    }

    fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(listener) => listener.accept().map(|(stream, _)| Stream::Tcp(stream)),
            Self::Unix(listener) => listener.accept().map(|(stream, _)| Stream::Unix(stream)),
        }
    }
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    fn both_halves(self) -> io::Result<(Self, Self)> {
        match self {
            Self::Tcp(stream) => {
                stream.set_nodelay(true)?;
                Ok((Self::Tcp(stream.try_clone()?), Self::Tcp(stream)))
            }
            Self::Unix(stream) => Ok((Self::Unix(stream.try_clone()?), Self::Unix(stream))),
        }
    }

    fn end_writing(&self) {
        // The other end may have closed already; there is nothing left to tell it then.
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
        };
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.write_all(bytes),
            Self::Unix(stream) => stream.write_all(bytes),
        }
    }
}

struct Relay {
    to: Address,
    full_headers: bool,
    recorder: Arc<Mutex<Recorder<File>>>,
}

impl Relay {
    fn serve(&self, listener: &Listener) {
        loop {
            let accepted = listener.accept().map_err(|e| e.to_string());
            if let Err(message) = accepted.and_then(|client| self.connect(client)) {
                let _ = writeln!(io::stderr(), "wire-relay: {message}");
            }
        }
    }

    /// Connects `client` to the server, with one thread for each direction.
    fn connect(&self, client: Stream) -> Result<(), String> {
        let server = self.to.connect()?;
        let connection = {
            let mut recorder = self.recorder.lock().unwrap_or_else(PoisonError::into_inner);
            recorder.opened().map_err(|e| e.to_string())?
        };
        let (from_client, to_client) = client.both_halves().map_err(|e| e.to_string())?;
        let (from_server, to_server) = server.both_halves().map_err(|e| e.to_string())?;
        for (speaker, from, to) in
            [(Speaker::Client, from_client, to_server), (Speaker::Server, from_server, to_client)]
        {
            let mut direction = Half {
                connection,
                speaker,
                recorder: Arc::clone(&self.recorder),
                link: self.full_headers.then(Vec::new),
            };
            thread::spawn(move || direction.pass(from, to));
        }
        Ok(())
    }
}

/// One direction of one connection.
struct Half {
    connection: u16,
    speaker: Speaker,
    recorder: Arc<Mutex<Recorder<File>>>,
    /// The link as far as it came, held back until it is whole and can be altered.
    link: Option<Vec<u8>>,
}

impl Half {
    fn pass(&mut self, mut from: Stream, mut to: Stream) {
        let mut buffer = vec![0; READ_SIZE];
        // A failed read or write is the end of this direction, as for the two ends themselves.
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let bytes = buffer.get(..count).unwrap_or_default();
            let bytes = self.altered(bytes);
            if !self.recorded(|recorder, n, speaker| recorder.data(n, speaker, &bytes)) || to.write_all(&bytes).is_err()
            {
                break;
            }
        }
        self.recorded(Recorder::ended);
        to.end_writing();
    }

    fn recorded(&self, note: impl FnOnce(&mut Recorder<File>, u16, Speaker) -> io::Result<()>) -> bool {
        let mut recorder = self.recorder.lock().unwrap_or_else(PoisonError::into_inner);
        let written = note(&mut recorder, self.connection, self.speaker);
        if let Err(e) = &written {
            let _ = writeln!(io::stderr(), "wire-relay: recording: {e}");
        }
        written.is_ok()
    }

    /// The bytes to pass on for `bytes`: nothing while the link is incomplete.
    fn altered(&mut self, bytes: &[u8]) -> Vec<u8> {
        let Some(mut link) = self.link.take() else {
            return bytes.to_vec();
        };
        link.extend_from_slice(bytes);
        if !link_is_whole(&link) {
            self.link = Some(link);
            return Vec::new();
        }
        let counts = match self.speaker {
            Speaker::Client => LINK_HEADER + 6,
            Speaker::Server => LINK_HEADER + 166,
        };
        clear_mini_header(&mut link, counts);
        link
    }
}

fn link_is_whole(link: &[u8]) -> bool {
    u32_at(link, 12).is_some_and(|size| link.len() >= LINK_HEADER + size.min(MAX_LINK))
}

/// Clears the bit in the first common capability word, if there is one. `counts` is the offset of
/// the number of common words, which the number of channel words and the words' offset follow.
fn clear_mini_header(link: &mut [u8], counts: usize) {
    let words = u32_at(link, counts).unwrap_or(0);
    let at = u32_at(link, counts + 8).unwrap_or(0).min(MAX_LINK);
    if words > 0
        && let Some(word) = link.get_mut(LINK_HEADER + at)
    {
        *word &= !MINI_HEADER;
    }
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<usize> {
    let bytes = bytes.get(offset..)?.first_chunk::<4>()?;
    usize::try_from(u32::from_le_bytes(*bytes)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_mini_header_bit_is_cleared() {
        // Header, connection 0, channel 1/0, one common word, one channel word, offset 18.
        let mut link = b"REDQ\x02\0\0\0\x02\0\0\0\x1a\0\0\0".to_vec();
        link.extend([0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 18, 0, 0, 0]);
        link.extend([0x0B, 0, 0, 0, 0x0F, 0, 0, 0]);
        assert!(link_is_whole(&link) && !link_is_whole(&link[..link.len() - 1]));
        let mut expected = link.clone();
        expected[16 + 18] = 0x03;
        clear_mini_header(&mut link, LINK_HEADER + 6);
        assert_eq!(link, expected);
    }

    #[test]
    fn a_link_without_words_stays_as_it_is() {
        let mut link = b"REDQ\x02\0\0\0\x02\0\0\0\x12\0\0\0".to_vec();
        link.extend([0; 18]);
        let before = link.clone();
        clear_mini_header(&mut link, LINK_HEADER + 6);
        assert_eq!(link, before);
    }
}
