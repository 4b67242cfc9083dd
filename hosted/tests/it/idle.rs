//! Viewers of a picture that does not change cost nothing: no timer wakes the server for them.

use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::client::DISPLAY;
use crate::open::{CURSOR, INPUTS, Viewer};
use crate::sumac::{Sumac, until};

const VIEWERS: usize = 3;
/// How often its threads may wake in a second that counts as quiet: pings are rarer.
const QUIET: u64 = 1;

/// How often a thread of this process began to wait for something.
fn waits(sumac: &Sumac) -> u64 {
    let tasks = Path::new("/proc").join(sumac.pid().to_string()).join("task");
    let tasks = std::fs::read_dir(tasks).expect("it runs");
    let of = |task: std::fs::DirEntry| {
        let status = std::fs::read_to_string(task.path().join("status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.map_or(0, |count| count.trim().parse().expect("a number"))
    };
    tasks.flatten().map(of).sum::<u64>()
}

#[test]
fn a_picture_that_rests_wakes_nobody() {
    let sumac = Sumac::start(&["--port", "0", "--vv", "none", "--disable-ticketing", "--freeze"]);
    for _ in 0..VIEWERS {
        let Some(viewer) = Viewer::connect(&sumac) else {
            println!("SKIPPED: openssl(1) is not here or too old");
            return;
        };
        let others = [DISPLAY, INPUTS, CURSOR].map(|channel| viewer.open(&sumac, channel));
        for mut channel in others.into_iter().chain([viewer.main]) {
            // Until the server is gone.
            thread::spawn(move || while channel.next().is_ok() {});
        }
    }
    let mut before = waits(&sumac);
    until("a second in which nobody woke", || {
        thread::sleep(Duration::from_secs(1));
        let now = waits(&sumac);
        let woke = now.saturating_sub(std::mem::replace(&mut before, now));
        woke <= QUIET
    });
}
