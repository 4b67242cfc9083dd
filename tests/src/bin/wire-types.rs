//! Prints which message types recordings hold: one line `CHANNEL SPEAKER TYPE COUNT` for each, by
//! number, sorted. `wire-types FILE.rec...`; `--list` prints every message in order instead.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use sumac_tests::recording::Recording;
use sumac_tests::session::Session;

fn main() -> ExitCode {
    let (options, files): (Vec<_>, Vec<_>) = env::args().skip(1).partition(|w| w == "--list");
    let text = if files.is_empty() {
        Err("usage: wire-types [--list] FILE.rec...".to_owned())
    } else if options.is_empty() {
        types(&files)
    } else {
        files.iter().map(|file| list(file)).collect()
    };
    match text {
        Ok(text) => match io::stdout().write_all(text.as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        Err(message) => {
            let _ = writeln!(io::stderr(), "wire-types: {message}");
            ExitCode::FAILURE
        }
    }
}

fn sessions(file: &str) -> Result<Vec<Session>, String> {
    let recording = Recording::read(Path::new(file)).map_err(|e| e.to_string())?;
    let cut = recording.connections.iter().map(Session::cut);
    cut.collect::<Result<_, _>>().map_err(|e| format!("{file}: {e}"))
}

fn types(files: &[String]) -> Result<String, String> {
    let mut counts = BTreeMap::new();
    for file in files {
        for session in sessions(file)? {
            for message in &session.messages {
                let mut ids = vec![message.id];
                let subs = message.sub_messages().map_err(|e| format!("{file}: {e}"))?;
                ids.extend(subs.iter().map(|(id, _)| *id));
                for id in ids {
                    *counts.entry((session.channel_type, message.speaker, id)).or_insert(0) += 1;
                }
            }
        }
    }
    let lines = counts.iter().map(|((channel, speaker, id), n)| format!("{channel} {speaker} {id} {n}\n"));
    Ok(lines.collect())
}

fn list(file: &str) -> Result<String, String> {
    let mut lines = BTreeMap::new();
    for (n, session) in sessions(file)?.iter().enumerate() {
        for (k, message) in session.messages.iter().enumerate() {
            let mut line =
                format!("{}/{} {} {}", session.channel_type, session.channel_id, message.speaker, message.id);
            let _ = write!(line, " serial {} size {}", message.serial, message.body.len());
            for (id, body) in message.sub_messages().map_err(|e| format!("{file}: {e}"))? {
                let _ = write!(line, " +{id}:{}", body.len());
            }
            line.push('\n');
            lines.insert((message.order, n, k), line);
        }
    }
    Ok(lines.into_values().collect())
}
