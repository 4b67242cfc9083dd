//! Random viewers against a server with all transports: they connect, type, resize, stall, vanish and
//! say what is no SPICE; another always gets in. The server's memory, descriptors and threads stay flat.
//!
//! `soak SUMAC SECONDS [VIEWERS]` starts that program with the test desktop, prints what it sees, and
//! fails when something is not as it should be. `SUMAC_SOAK_SEED` repeats what viewers do.

mod viewer;

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use sumac_tests::client::{Sample, Server};
use viewer::{Tally, Viewer};

/// Viewers at once when it is not said.
const VIEWERS: u64 = 6;
/// How long the server may take, once all viewers are gone, until it has let go of everything: it
/// drops a client that reads nothing after 30 s.
const REST: Duration = Duration::from_secs(90);
/// Descriptors and threads more than before the first viewer that may be left, and by how much memory
/// may be above what it was halfway: what the allocator keeps.
const FDS: u64 = 4;
const THREADS: u64 = 4;
const MEMORY_KB: u64 = 32 * 1024;

fn main() -> ExitCode {
    let mut words = env::args().skip(1);
    let (program, seconds) = (words.next(), words.next().and_then(|word| word.parse().ok()));
    let viewers = words.next().map_or(Some(VIEWERS), |word| word.parse().ok());
    let (Some(program), Some(seconds), Some(viewers)) = (program, seconds, viewers) else {
        say("usage: soak SUMAC SECONDS [VIEWERS]");
        return ExitCode::FAILURE;
    };
    match soak(&program, Duration::from_secs(seconds), viewers) {
        Ok(wrong) if wrong.is_empty() => ExitCode::SUCCESS,
        Ok(wrong) => {
            wrong.iter().for_each(|wrong| say(&format!("WRONG: {wrong}")));
            ExitCode::FAILURE
        }
        Err(error) => {
            say(&format!("soak: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn say(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// What was not as it should be.
fn soak(program: &str, time: Duration, viewers: u64) -> io::Result<Vec<String>> {
    let server = Server::start(program, &[])?;
    let before = server.sample()?;
    say(&format!("before: {before}"));
    let seed = env::var("SUMAC_SOAK_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let (over, tally) = (Arc::new(AtomicBool::new(false)), Arc::new(Tally::default()));
    let ways = Arc::new(server.ways()?);
    let threads: Vec<_> = (0..viewers)
        .map(|n| {
            let viewer = Viewer::new(Arc::clone(&ways), Arc::clone(&tally), seed * 1000 + n);
            let over = Arc::clone(&over);
            thread::spawn(move || viewer.live(&over))
        })
        .collect();
    let (mut samples, start) = (Vec::new(), Instant::now());
    let step = (time / 60).clamp(Duration::from_millis(500), Duration::from_secs(10));
    while start.elapsed() < time && server.sample().is_ok() {
        thread::sleep(step);
        samples.push(server.sample()?);
        if let (0, Some(last)) = (samples.len() % 6, samples.last()) {
            say(&format!("{:>5} s: {last}; {tally}", start.elapsed().as_secs()));
        }
    }
    over.store(true, Ordering::Relaxed);
    for thread in threads {
        if thread.join().is_err() {
            tally.wrong("a viewer's thread panicked".into());
        }
    }
    let after = at_rest(&server, before)?;
    say(&format!("after: {after}; {tally}"));
    let mut wrong = tally.take_wrong();
    wrong.extend(judge(before, &samples, after));
    wrong.extend(server.end()?);
    say(&format!(
        "{} s, {viewers} viewers at once: {}",
        time.as_secs(),
        if wrong.is_empty() { "good" } else { "not good" }
    ));
    Ok(wrong)
}

/// The server once it has let go of all, or what it was when that took too long.
fn at_rest(server: &Server, before: Sample) -> io::Result<Sample> {
    let start = Instant::now();
    loop {
        let now = server.sample()?;
        let rests = now.fds <= before.fds + FDS && now.threads <= before.threads + THREADS;
        if rests || start.elapsed() > REST {
            return Ok(now);
        }
        thread::sleep(Duration::from_millis(200));
    }
}

fn judge(before: Sample, samples: &[Sample], after: Sample) -> Vec<String> {
    let mut wrong = Vec::new();
    if after.fds > before.fds + FDS {
        wrong.push(format!("{} descriptors are open, there were {}", after.fds, before.fds));
    }
    if after.threads > before.threads + THREADS {
        wrong.push(format!("{} threads run, there were {}", after.threads, before.threads));
    }
    let (first, second) = samples.split_at(samples.len() / 2);
    let median = |samples: &[Sample]| {
        let mut memory: Vec<_> = samples.iter().map(|sample| sample.memory_kb).collect();
        memory.sort_unstable();
        memory.get(memory.len() / 2).copied().unwrap_or(0)
    };
    let (first, second) = (median(first), median(second));
    say(&format!("memory: median of the first half {first} KB, of the second {second} KB"));
    if second > first + MEMORY_KB {
        wrong.push(format!("memory grew from {first} to {second} KB"));
    }
    wrong
}
