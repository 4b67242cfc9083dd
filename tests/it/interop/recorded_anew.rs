//! One session recorded again: today's client and server say what the recordings hold.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use sumac_tests::recording::{Recording, Speaker};
use sumac_tests::session::Session;

/// The session, by its name in `tests/tools/record-session`.
const NAME: &str = "mouse-client";

/// SET_ACK, ACK_SYNC: how often the other common messages come depends on time.
const ALWAYS_SENT: &[u16] = &[3, 1];
const FIRST_OF_CHANNEL: u16 = 101;

fn types(path: &Path) -> BTreeSet<(u8, Speaker, u16)> {
    let mut types = BTreeSet::new();
    for connection in &Recording::read(path).unwrap().connections {
        let session = Session::cut(connection).unwrap();
        for message in &session.messages {
            let pong = message.speaker == Speaker::Client && message.id == 3;
            if message.id >= FIRST_OF_CHANNEL || ALWAYS_SENT.contains(&message.id) && !pong {
                types.insert((session.channel_type, message.speaker, message.id));
            }
        }
    }
    types
}

#[test]
fn a_session_recorded_anew_has_the_same_message_types() {
    let out = tempfile::tempdir().unwrap();
    let tests = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut record = Command::new(tests.join("tools/record-session"));
    record.arg("--out").arg(out.path()).arg(NAME).env("WIRE_RELAY", env!("CARGO_BIN_EXE_wire-relay"));
    let output = record.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    if let Some(line) = said.lines().find(|line| line.starts_with("SKIPPED: ")) {
        println!("{line}");
        return;
    }
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let file = format!("{NAME}.rec");
    let anew = types(&out.path().join(&file));
    assert_eq!(anew, types(&tests.join("vectors/sessions").join(&file)));
}
