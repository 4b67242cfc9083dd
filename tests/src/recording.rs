//! Recorded SPICE sessions: the file format of `tests/vectors/sessions/*.rec`.
//!
//! A recording holds every connection of one session between a client and a server, as a relay
//! between the two saw it: the bytes of both directions, in the order in which the relay passed
//! them on. A piece of data is written down *before* it is forwarded, so an answer never stands
//! before the bytes it answers.
//!
//! # Form
//!
//! Text lines first, the *origin*: `sumac-recording 1`, then `key: value` lines that say which
//! programs made the session and with which commands, then an empty line. A key may be repeated.
//!
//! Records follow, all integers little-endian:
//!
//! | offset | type | field |
//! |---|---|---|
//! | 0 | u8 | kind: the sum of an action (0 opened, 1 data, 2 run, 3 ended) and, for all but *opened*, 0x10 when the server spoke |
//! | 1 | u16 | connection, counted from 0 in the order of being accepted |
//! | 3 | u32 | data and run only: number of bytes |
//! | 7 | bytes or u8 | data: these bytes; run: the one byte that all of them are |
//!
//! Runs exist because pictures and the bandwidth test of libspice-server are mostly zeros. A
//! recorder that is ended at any moment leaves a file of whole records: each is one write.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

const MAGIC: &str = "sumac-recording 1";
const OPENED: u8 = 0;
const DATA: u8 = 1;
const RUN: u8 = 2;
const ENDED: u8 = 3;
const FROM_SERVER: u8 = 0x10;

/// Equal bytes in a row from which a run is shorter than data, its two record heads included.
const MIN_RUN: usize = 32;

/// The largest number of bytes one data or run record may announce: no read of a relay is larger,
/// and a damaged file cannot make the reader allocate more.
const MAX_RECORD: u32 = 1 << 20;

/// Who sent a piece of data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Speaker {
    /// The end that connected.
    Client,
    /// The end that was connected to.
    Server,
}

impl fmt::Display for Speaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Client => "client",
            Self::Server => "server",
        })
    }
}

/// Where a recording comes from: `key: value` lines in the order of the file.
///
/// Keys in use: `client`, `server` (program and version), `client-command`, `server-command`,
/// `relay-command`, and `altered` for bytes that the relay changed on purpose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin(Vec<(String, String)>);

impl Origin {
    /// Adds one line.
    ///
    /// # Errors
    /// `InvalidInput` when the key is empty or holds a colon, or when either holds a line break.
    pub fn add(&mut self, key: &str, value: &str) -> io::Result<()> {
        let broken = |s: &str| s.contains(['\n', '\r']);
        if key.is_empty() || key.contains(':') || broken(key) || broken(value) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("not an origin line: {key:?}: {value:?}")));
        }
        self.0.push((key.to_owned(), value.trim().to_owned()));
        Ok(())
    }

    /// The first value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        let found = self.0.iter().find(|(k, _)| k == key);
        found.map(|(_, value)| value.as_str())
    }
}

/// Writes a recording while the session runs.
#[derive(Debug)]
pub struct Recorder<W> {
    sink: W,
    connections: u16,
}

impl<W: Write> Recorder<W> {
    /// Writes the origin to `sink`, which should not buffer (see the module's last paragraph).
    ///
    /// # Errors
    /// Those of the sink.
    pub fn new(mut sink: W, origin: &Origin) -> io::Result<Self> {
        let mut head = format!("{MAGIC}\n");
        for (key, value) in &origin.0 {
            head.push_str(&format!("{key}: {value}\n"));
        }
        head.push('\n');
        sink.write_all(head.as_bytes())?;
        Ok(Self { sink, connections: 0 })
    }

    /// Notes a new connection and returns its number.
    ///
    /// # Errors
    /// Those of the sink, and `InvalidInput` for the 65,536th connection.
    pub fn opened(&mut self) -> io::Result<u16> {
        let number = self.connections;
        self.connections = number.checked_add(1).ok_or(io::ErrorKind::InvalidInput)?;
        self.record(OPENED, number, &[])?;
        Ok(number)
    }

    /// Notes bytes that `speaker` sent.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn data(&mut self, connection: u16, speaker: Speaker, bytes: &[u8]) -> io::Result<()> {
        let kind = if speaker == Speaker::Server { FROM_SERVER } else { 0 };
        for piece in bytes.chunks(MAX_RECORD as usize) {
            let mut rest = piece;
            while !rest.is_empty() {
                let (plain, run) = split_at_run(rest);
                if !plain.is_empty() {
                    self.record(kind + DATA, connection, &[&length(plain), plain])?;
                }
                if let Some(byte) = run.first() {
                    self.record(kind + RUN, connection, &[&length(run), &[*byte]])?;
                }
                rest = rest.get(plain.len() + run.len()..).unwrap_or_default();
            }
        }
        Ok(())
    }

    /// Notes that `speaker` sends nothing more.
    ///
    /// # Errors
    /// Those of the sink.
    pub fn ended(&mut self, connection: u16, speaker: Speaker) -> io::Result<()> {
        let kind = if speaker == Speaker::Server { FROM_SERVER } else { 0 };
        self.record(kind + ENDED, connection, &[])
    }

    fn record(&mut self, kind: u8, connection: u16, parts: &[&[u8]]) -> io::Result<()> {
        let mut whole = vec![kind];
        whole.extend(connection.to_le_bytes());
        for part in parts {
            whole.extend_from_slice(part);
        }
        self.sink.write_all(&whole)
    }
}

/// The bytes before the first run worth a record of its own, and that run (empty if there is none).
fn split_at_run(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mut start = 0;
    for same in bytes.chunk_by(|a, b| a == b) {
        if same.len() >= MIN_RUN {
            return (bytes.get(..start).unwrap_or_default(), same);
        }
        start += same.len();
    }
    (bytes, &[])
}

/// Callers pass at most `MAX_RECORD` bytes.
fn length(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).unwrap_or(MAX_RECORD).to_le_bytes()
}

/// One read recording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    /// The programs and commands behind it.
    pub origin: Origin,
    /// In the order of being accepted.
    pub connections: Vec<Connection>,
}

/// One connection: for SPICE, one channel (or one refused link).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connection {
    /// Everything said on it, in order. Neighbours differ in speaker, or other connections spoke
    /// in between.
    pub chunks: Vec<Chunk>,
    /// Who ended it first, if it was ended before the recording was.
    pub ended_by: Option<Speaker>,
}

/// Bytes that one end sent while nobody else in the session said anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Who sent them.
    pub speaker: Speaker,
    /// Position in the whole session: chunks of different connections compare by it.
    pub order: usize,
    /// Never empty.
    pub bytes: Vec<u8>,
}

impl Connection {
    /// All that `speaker` sent, as one string of bytes.
    #[must_use]
    pub fn stream(&self, speaker: Speaker) -> Vec<u8> {
        let said = self.chunks.iter().filter(|chunk| chunk.speaker == speaker);
        said.flat_map(|chunk| chunk.bytes.iter().copied()).collect()
    }
}

/// Why bytes are not a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordingError {
    /// The first line is another one, or the origin is not text or has no end.
    Origin,
    /// The record that begins at this offset is cut off, unknown, too long or names a connection
    /// that was not opened.
    Record {
        /// Offset of the record in the file.
        offset: usize,
    },
}

impl fmt::Display for RecordingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Origin => write!(f, "no `{MAGIC}` line and origin at the start"),
            Self::Record { offset } => write!(f, "bad record at offset {offset}"),
        }
    }
}

impl std::error::Error for RecordingError {}

impl Recording {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// Those of reading, and `InvalidData` around a [`RecordingError`].
    pub fn read(path: &Path) -> io::Result<Self> {
        let bytes = fs::read(path)?;
        Self::parse(&bytes).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {e}", path.display())))
    }

    /// Reads a recording from memory.
    ///
    /// # Errors
    /// See [`RecordingError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, RecordingError> {
        let (origin, mut offset) = parse_origin(bytes).ok_or(RecordingError::Origin)?;
        let mut recording = Self { origin, connections: Vec::new() };
        let mut order = 0;
        while offset < bytes.len() {
            let rest = bytes.get(offset..).unwrap_or_default();
            let used = recording.take_record(rest, &mut order);
            offset += used.ok_or(RecordingError::Record { offset })?;
        }
        Ok(recording)
    }

    /// Takes the record at the start of `bytes` and returns its length.
    fn take_record(&mut self, bytes: &[u8], order: &mut usize) -> Option<usize> {
        let (&[kind, low, high], rest) = bytes.split_first_chunk::<3>()?;
        let number = usize::from(u16::from_le_bytes([low, high]));
        if kind == OPENED {
            let expected = number == self.connections.len();
            self.connections.push(Connection::default());
            return expected.then_some(3);
        }
        let connection = self.connections.get_mut(number)?;
        let speaker = match kind & !0xF {
            0 => Speaker::Client,
            FROM_SERVER => Speaker::Server,
            _ => return None,
        };
        if kind & 0xF == ENDED {
            connection.ended_by.get_or_insert(speaker);
            return Some(3);
        }
        let (announced, rest) = rest.split_first_chunk::<4>()?;
        let announced = u32::from_le_bytes(*announced);
        let count = usize::try_from(announced).ok()?;
        if announced > MAX_RECORD || count == 0 {
            return None;
        }
        let (bytes, used) = match kind & 0xF {
            DATA => (rest.get(..count)?.to_vec(), count),
            RUN => (vec![*rest.first()?; count], 1),
            _ => return None,
        };
        connection.push(speaker, bytes, order);
        Some(7 + used)
    }
}

impl Connection {
    fn push(&mut self, speaker: Speaker, bytes: Vec<u8>, order: &mut usize) {
        match self.chunks.last_mut() {
            Some(last) if last.speaker == speaker && last.order + 1 == *order => {
                last.bytes.extend(bytes);
            }
            _ => {
                self.chunks.push(Chunk { speaker, order: *order, bytes });
                *order += 1;
            }
        }
    }
}

/// The origin and the offset of the first record.
fn parse_origin(bytes: &[u8]) -> Option<(Origin, usize)> {
    let end = bytes.windows(2).position(|pair| pair == b"\n\n")?;
    let text = std::str::from_utf8(bytes.get(..end)?).ok()?;
    let mut lines = text.lines();
    if lines.next()? != MAGIC {
        return None;
    }
    let mut origin = Origin::default();
    for line in lines {
        let (key, value) = line.split_once(": ")?;
        origin.add(key, value).ok()?;
    }
    Some((origin, end + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin() -> Origin {
        let mut origin = Origin::default();
        origin.add("client", "spicy 0.42").unwrap();
        origin.add("server", "libspice-server 0.15.1").unwrap();
        origin
    }

    fn written(write: impl FnOnce(&mut Recorder<&mut Vec<u8>>)) -> Vec<u8> {
        let mut file = Vec::new();
        write(&mut Recorder::new(&mut file, &origin()).unwrap());
        file
    }

    #[test]
    fn what_is_written_is_read() {
        let mut long = vec![7; 100];
        long.extend([1, 2, 3]);
        long.extend(vec![0; 2 * MAX_RECORD as usize]);
        let file = written(|r| {
            assert_eq!(r.opened().unwrap(), 0);
            r.data(0, Speaker::Client, b"REDQ").unwrap();
            assert_eq!(r.opened().unwrap(), 1);
            r.data(1, Speaker::Client, b"other").unwrap();
            r.data(0, Speaker::Server, &long).unwrap();
            r.data(0, Speaker::Server, b"more").unwrap();
            r.data(0, Speaker::Client, b"end").unwrap();
            r.ended(0, Speaker::Server).unwrap();
            r.ended(0, Speaker::Client).unwrap();
        });
        assert!(file.len() < 300, "{} bytes: runs must be short", file.len());
        let read = Recording::parse(&file).unwrap();
        assert_eq!(read.origin, origin());
        assert_eq!(read.origin.get("server"), Some("libspice-server 0.15.1"));
        let [first, second] = read.connections.as_slice() else { panic!("{} connections", read.connections.len()) };
        let speakers: Vec<_> = first.chunks.iter().map(|c| (c.speaker, c.order)).collect();
        let expected = [(Speaker::Client, 0), (Speaker::Server, 2), (Speaker::Client, 3)];
        assert_eq!(speakers, expected);
        long.extend(b"more");
        assert_eq!(first.stream(Speaker::Server), long);
        assert_eq!(first.stream(Speaker::Client), b"REDQend");
        assert_eq!(first.ended_by, Some(Speaker::Server));
        assert_eq!(second.chunks[0].order, 1);
        assert_eq!(second.ended_by, None);
    }

    #[test]
    fn other_speakers_in_between_split_a_chunk() {
        let file = written(|r| {
            r.opened().unwrap();
            r.opened().unwrap();
            r.data(0, Speaker::Server, b"a").unwrap();
            r.data(1, Speaker::Client, b"b").unwrap();
            r.data(0, Speaker::Server, b"c").unwrap();
        });
        let read = Recording::parse(&file).unwrap();
        let orders: Vec<_> = read.connections[0].chunks.iter().map(|c| c.order).collect();
        assert_eq!(orders, [0, 2]);
    }

    #[test]
    fn a_cut_is_an_error_unless_it_falls_between_records() {
        let mut whole = 0;
        let file = written(|r| {
            r.opened().unwrap();
            r.data(0, Speaker::Server, b"abc").unwrap();
            r.data(0, Speaker::Client, &[0; 40]).unwrap();
            r.ended(0, Speaker::Client).unwrap();
        });
        for cut in 0..file.len() {
            match Recording::parse(&file[..cut]) {
                Ok(_) => whole += 1,
                Err(RecordingError::Origin | RecordingError::Record { .. }) => {}
            }
        }
        assert_eq!(whole, 4, "after the origin and each record but the last");
    }

    #[test]
    fn bad_records_are_named_by_their_offset() {
        let start = written(|_| {}).len();
        for record in [
            &[9, 0, 0][..],                         // unknown kind on no connection
            &[0, 1, 0],                             // connection 1 before 0
            &[1, 0, 0, 1, 0, 0, 0, 65],             // data on no connection
            &[0, 0, 0, 0x41, 0, 0, 1, 0, 0, 0, 65], // unknown speaker
            &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0],        // no bytes
            &[0, 0, 0, 2, 0, 0, 1, 0, 16, 0, 5],    // one over MAX_RECORD
        ] {
            let mut file = written(|_| {});
            file.extend_from_slice(record);
            let offset = if record[0] == 0 && record[1] == 0 { start + 3 } else { start };
            assert_eq!(Recording::parse(&file), Err(RecordingError::Record { offset }));
        }
    }

    #[test]
    fn origin_lines_hold_one_line() {
        let mut origin = Origin::default();
        assert!(origin.add("note", "two\nlines").is_err());
        assert!(origin.add("a:b", "x").is_err());
        assert!(origin.add("", "x").is_err());
        assert_eq!(origin, Origin::default());
    }
}
