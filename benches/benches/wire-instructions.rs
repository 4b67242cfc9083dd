//! Every message: instructions to decode a sample body and to encode it again, counted by callgrind.
//!
//! `cargo bench -p sumac-benches --bench wire-instructions`. The count does not depend on how busy
//! the machine is; two runs of one build print the same. The program starts itself again under
//! `valgrind --tool=callgrind`, which writes a part of its profile after each message.

use std::hint::black_box;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use sumac_benches::bodies;

/// Set for the run under valgrind.
const INNER: &str = "SUMAC_WIRE_INSTRUCTIONS_INNER";
/// Rounds that are counted for each message, after one that is not.
const ROUNDS: u64 = 100;

fn main() -> io::Result<()> {
    if std::env::var_os(INNER).is_some() {
        every_message();
        return Ok(());
    }
    let directory = std::env::temp_dir().join(format!("sumac-wire-instructions-{}", std::process::id()));
    std::fs::create_dir(&directory)?;
    let counted = count(&directory);
    std::fs::remove_dir_all(&directory)?;
    let mut out = io::stdout().lock();
    match counted? {
        Some(counts) => print(&counts, &mut out),
        None => writeln!(out, "SKIPPED: valgrind is not installed"),
    }
}

/// Instructions of each part of the profile, in order; none without valgrind.
fn count(directory: &Path) -> io::Result<Option<Vec<u64>>> {
    let profile = directory.join("profile");
    let run = Command::new("valgrind")
        .args(["--tool=callgrind", "--dump-after=*message_counted*", "--dump-before=*message_begins*"])
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(std::env::current_exe()?)
        .env(INNER, "1")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match run {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
        Ok(status) if !status.success() => return Err(io::Error::other(format!("valgrind: {status}"))),
        Ok(_) => {}
    }
    // Parts are numbered from 1: what leads to a message, then the message, and so on.
    let message = |n: usize| std::fs::read_to_string(directory.join(format!("profile.{}", 2 * n + 2)));
    let counts = (0..bodies().count()).map(|n| total(&message(n)?)).collect::<io::Result<_>>();
    counts.map(Some)
}

/// The number of a part's `totals:` line.
fn total(part: &str) -> io::Result<u64> {
    let number = part.lines().find_map(|line| line.strip_prefix("totals: ")?.trim().parse().ok());
    number.ok_or_else(|| io::Error::other("a part of the profile has no total"))
}

fn print(counts: &[u64], out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "instructions  bytes  message")?;
    for ((name, _, body), count) in bodies().zip(counts) {
        writeln!(out, "{:12}  {:5}  {name}", count / ROUNDS, body.len())?;
    }
    writeln!(out, "{:12}         all", counts.iter().sum::<u64>() / ROUNDS)
}

/// What runs under valgrind.
fn every_message() {
    for (_, row, body) in bodies() {
        let mut out = vec![0; body.len()];
        let mut again = || black_box((row.again)(black_box(&body), black_box(&mut out))).is_ok();
        again();
        message_begins();
        for _ in 0..ROUNDS {
            black_box(again());
        }
        message_counted();
    }
}

/// Ends the part of the profile before a message.
#[inline(never)]
fn message_begins() {
    black_box(());
}

/// Ends a message's part of the profile.
#[inline(never)]
fn message_counted() {
    black_box(());
}
