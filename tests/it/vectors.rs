//! The recorded sessions of `tests/vectors/sessions`: core reads everything that real clients and
//! servers wrote, and writes the same bytes again.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use sumac_core::proto::{self, header::SubMessages};
use sumac_core::wire::{Failure, Row, Sender};
use sumac_tests::recording::{Recording, Speaker};
use sumac_tests::session::{Message, Session};

/// Numbers below this are the same on every channel.
const FIRST_OF_CHANNEL: u16 = 101;
const LINK_HEADER: usize = 16;
const AGENT_HEADER: usize = 20;
const MAIN: u8 = 1;
const LIST: u16 = 8;

/// What comes back as other bytes, and why. The messages in it must be the same all the same.
const EXCEPTIONS: &[(&str, &str, &str)] =
    &[("common", "List", "the announced sizes, which let one sub-message reach over the next")];

/// What no recording holds, and why. A new recording that has it must be taken out here.
const UNSEEN: &[(&str, Sender, &[&str], &str)] = &[
    ("link", Sender::Server, &["SaslMechanisms", "SaslChallenge", "SaslOutcome"], SASL),
    ("link", Sender::Client, &["SaslChoice", "SaslResponse"], SASL),
    ("common", Sender::Server, &["Disconnecting"], NEVER_SENT),
    ("common", Sender::Client, &["Disconnecting"], NEVER_SENT),
    ("main", Sender::Server, &["MigrateDstSeamlessNack"], "needs a server too old for its source"),
    ("main", Sender::Server, &["AgentConnected"], "for clients without AGENT_CONNECTED_TOKENS only"),
    ("main", Sender::Client, &["ClientInfo", "QualityIndicator"], NEVER_SENT),
    ("main", Sender::Client, &["ClientAgentToken"], "spice-gtk grants unlimited tokens at the start"),
    ("display", Sender::Server, &["Mode", "Reset", "ServerQualityIndicator"], NEVER_SENT),
    ("display", Sender::Server, &["InvalPalette"], "no session made the server evict a palette"),
    ("display", Sender::Server, &["StreamDestroyAll"], "needs a surface that goes away under its streams"),
    ("display", Sender::Server, &["StreamDataSized"], "needs video whose size changes"),
    ("display", Sender::Server, &["GlScanout2Unix"], "newer than the recorded library"),
    ("cursor", Sender::Server, &["InvalOne"], NEVER_SENT),
    ("playback", Sender::Server, &["Latency"], "needs video beside sound"),
    ("port", Sender::Server, &["CompressedData"], "ports of the recorded library do not compress"),
    ("port", Sender::Client, &["CompressedData", "ClientEvent"], NEVER_SENT),
    ("usbredir", Sender::Client, &["CompressedData"], NEVER_SENT),
    ("smartcard", Sender::Server, &["Data"], "needs a guest that talks to the card"),
    ("agent", Sender::Either, &["MouseState", "ClientDisconnected", "GraphicsDeviceInfo"], "between server and agent"),
    ("agent", Sender::Either, &["AudioVolumeSync"], "needs a guest that follows the client's volume"),
    ("stream device", Sender::Guest, &["Capabilities", "Format", "Data", "CursorSet", "CursorMove"], STREAM_DEVICE),
    ("stream device", Sender::Guest, &["DeviceDisplayInfo"], STREAM_DEVICE),
    ("stream device", Sender::Server, &["Capabilities", "StartStop", "NotifyError", "QualityIndicator"], STREAM_DEVICE),
];
const SASL: &str = "the session reader follows tickets only";
const NEVER_SENT: &str = "neither the recorded clients nor servers ever send it";
const STREAM_DEVICE: &str = "stays between guest and server";

fn recordings() -> Vec<(String, Recording)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/sessions");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "rec"));
    paths.sort();
    let name = |path: &Path| path.file_stem().unwrap().to_string_lossy().into_owned();
    paths.iter().map(|path| (name(path), Recording::read(path).unwrap())).collect()
}

fn channel_name(channel_type: u8) -> &'static str {
    match channel_type {
        MAIN => "main",
        2 => "display",
        3 => "inputs",
        4 => "cursor",
        5 => "playback",
        6 => "record",
        8 => "smartcard",
        9 => "usbredir",
        10 | 11 => "port",
        other => panic!("channel type {other}"),
    }
}

fn says(row: &Row, speaker: Speaker) -> bool {
    match row.sender {
        Sender::Client => speaker == Speaker::Client,
        Sender::Server => speaker == Speaker::Server,
        Sender::Guest | Sender::Either => true,
    }
}

fn rows() -> impl Iterator<Item = &'static Row> {
    proto::TABLES.iter().copied().flatten()
}

fn rewritten(row: &Row, body: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut out = vec![0; 2 * body.len() + 64];
    let (length, _) = (row.again)(body, &mut out)?;
    out.truncate(length);
    Ok(out)
}

/// Collects what was seen and what went wrong, each kind of complaint once.
#[derive(Default)]
struct Findings {
    seen: HashSet<(&'static str, Sender, &'static str)>,
    wrong: BTreeMap<String, usize>,
}

impl Findings {
    /// Reads `body` as `row` and writes it again. `tail` when what follows the message in `body` is
    /// not its own; else all of `body` must come back.
    fn again(&mut self, recording: &str, row: Option<&'static Row>, what: &str, body: &[u8], tail: bool) {
        let Some(row) = row else {
            return self.complain(format!("{recording}: {what}: no such message in the table"));
        };
        self.seen.insert((row.channel, row.sender, row.name));
        let excepted = EXCEPTIONS.iter().any(|(channel, name, _)| (*channel, *name) == (row.channel, row.name));
        match rewritten(row, body) {
            Err(e) => self.complain(format!("{recording}: {what}: {e:?}")),
            Ok(out) if excepted || out == body || tail && body.starts_with(&out) => {}
            Ok(out) => {
                let at = out.iter().zip(body).position(|(a, b)| a != b);
                let (was, is) = (body.len(), out.len());
                self.complain(format!("{recording}: {what}: {was} bytes became {is}, other at {at:?}"));
            }
        }
    }

    fn complain(&mut self, text: String) {
        *self.wrong.entry(text).or_default() += 1;
    }

    fn link(&mut self, recording: &str, session: &Session) {
        let row = |speaker, name| rows().find(|row| row.channel == "link" && says(row, speaker) && row.name == name);
        let result = session.link_result.map(|word| word.to_le_bytes().to_vec());
        let (message, reply) = (session.link_message.split_at(LINK_HEADER), session.link_reply.split_at(LINK_HEADER));
        for (speaker, name, bytes) in [
            (Speaker::Client, "LinkHeader", Some(message.0)),
            (Speaker::Client, "LinkMessage", Some(message.1)),
            (Speaker::Server, "LinkHeader", Some(reply.0)),
            (Speaker::Server, "LinkReply", Some(reply.1)),
            (Speaker::Client, "AuthSelection", session.auth_selection.as_deref()),
            (Speaker::Client, "Ticket", session.ticket.as_deref()),
            (Speaker::Server, "LinkResult", result.as_deref()),
        ] {
            if let Some(bytes) = bytes {
                self.again(recording, row(speaker, name), name, bytes, false);
            }
        }
    }

    fn message(&mut self, recording: &str, session: &Session, message: &Message) {
        let of = |id| {
            let channel = if id < FIRST_OF_CHANNEL { "common" } else { channel_name(session.channel_type) };
            rows().find(|row| row.id == id && row.channel == channel && says(row, message.speaker))
        };
        let what = format!("{} {} {}", session.channel_type, message.speaker, message.id);
        let subs = message.sub_messages().unwrap();
        for (id, body) in &subs {
            self.again(recording, of(*id), &format!("{what} sub {id}"), body, true);
        }
        let listed = message.sub_list != 0;
        if listed {
            let read = SubMessages::at(&message.body, message.sub_list).unwrap();
            let read: Vec<_> = read.iter().map(|sub| (sub.id, sub.body)).collect();
            assert_eq!(read, subs, "{recording}: {what}");
        }
        if message.id == LIST && message.speaker == Speaker::Server {
            // Its sub-messages, each without what it claims of the next one.
            let meaning = |list: &Message| -> Vec<_> {
                let subs = list.sub_messages().unwrap();
                subs.iter().map(|(id, body)| (*id, rewritten(of(*id).unwrap(), body).unwrap())).collect()
            };
            let body = rewritten(of(LIST).unwrap(), &message.body).unwrap();
            assert_eq!(meaning(message), meaning(&Message { body, ..message.clone() }), "{recording}: {what}");
        }
        // Behind a message with a full header stand its sub-messages and the list of them.
        self.again(recording, of(message.id), &what, &message.body, listed);
    }

    /// The agent's messages travel in pieces of any size.
    fn agent(&mut self, recording: &str, session: &Session, speaker: Speaker) {
        let id = if speaker == Speaker::Server { 109 } else { 107 };
        let pieces = session.messages.iter().filter(|m| m.speaker == speaker && m.id == id);
        let stream: Vec<u8> = pieces.flat_map(|m| m.body.iter().copied()).collect();
        let mut rest = stream.as_slice();
        while let Some((header, behind)) = rest.split_at_checked(AGENT_HEADER) {
            let word = |at: usize| u32::from_le_bytes(*header[at..].first_chunk().unwrap());
            let (kind, size) = (word(4), usize::try_from(word(16)).unwrap());
            let Some((body, next)) = behind.split_at_checked(size) else { break };
            let row = rows().find(|row| row.channel == "agent" && u32::from(row.id) == kind);
            self.again(recording, row, &format!("agent {speaker} {kind}"), body, false);
            rest = next;
        }
    }

    fn of_all_recordings() -> Self {
        let mut findings = Self::default();
        for (name, recording) in recordings() {
            for connection in &recording.connections {
                let session = Session::cut(connection).unwrap_or_else(|e| panic!("{name}: {e}"));
                findings.link(&name, &session);
                for message in &session.messages {
                    findings.message(&name, &session, message);
                }
                if session.channel_type == MAIN {
                    findings.agent(&name, &session, Speaker::Client);
                    findings.agent(&name, &session, Speaker::Server);
                }
            }
        }
        findings
    }
}

#[test]
fn everything_recorded_comes_back_as_it_was() {
    let Findings { seen, wrong } = Findings::of_all_recordings();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(!seen.is_empty());
}

#[test]
fn the_list_of_what_was_never_recorded_is_true() {
    let seen = Findings::of_all_recordings().seen;
    let mut differences = String::new();
    for row in rows() {
        let is_it = |names: &[&str]| names.contains(&row.name);
        let listed = UNSEEN.iter().any(|(c, s, names, _)| (*c, *s) == (row.channel, row.sender) && is_it(names));
        let recorded = seen.contains(&(row.channel, row.sender, row.name));
        if listed == recorded {
            let what = format!("{} {:?} {}", row.channel, row.sender, row.name);
            let _ = writeln!(differences, "{what}: recorded {recorded}, listed {listed}");
        }
    }
    assert!(differences.is_empty(), "{differences}");
}

#[test]
fn every_recording_says_where_it_comes_from() {
    for (name, recording) in recordings() {
        for key in ["client", "server", "client-command", "server-command", "relay-command"] {
            assert!(recording.origin.get(key).is_some_and(|value| !value.is_empty()), "{name}: {key}");
        }
        let altered = name.starts_with("full-headers");
        assert_eq!(recording.origin.get("altered").is_some(), altered, "{name}");
    }
}
