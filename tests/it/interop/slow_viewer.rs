//! A viewer that stopped reading harms nobody, and is dropped.

use super::programs::{Client, Sumac, needs, until};
use rustix::process::Signal;

/// What the server may need for a viewer that reads nothing: the picture on its way to it and the
/// next one, several times over.
const ROOM_KIB: u64 = 16 * 1024;

#[test]
fn a_stopped_viewer_slows_nobody_takes_no_memory_and_is_dropped() {
    needs!("a_stopped_viewer_slows_nobody_takes_no_memory_and_is_dropped": "gi");
    let sumac = Sumac::start(&["--size", "800x600"]);
    let mut watcher = Client::connect(&sumac.unix_uri());
    let stopped = Client::connect(&sumac.tcp_uri());
    stopped.0.signal(Signal::STOP);
    let of_others = |line: &str| line.contains("channel closed") && line.contains("peer=127.0.0.1");
    let dropped = || sumac.program.log().lines().any(|line| of_others(line) && line.contains("kind=DISPLAY"));

    let drawn = |watcher: &mut Client| watcher.0.count("\"event\": \"draw\"");
    let (before, memory) = (drawn(&mut watcher), sumac.program.memory_kib("VmRSS"));
    until("the stopped viewer's end", dropped);
    // It is given half a minute, in which the other one sees its thirty pictures a second.
    let seen = drawn(&mut watcher) - before;
    assert!(seen > 100, "{seen} pictures beside a stopped viewer");
    let grown = sumac.program.memory_kib("VmHWM").saturating_sub(memory);
    assert!(grown < ROOM_KIB, "{grown} KiB more than {memory}");

    let before = drawn(&mut watcher);
    until("the other viewer's pictures afterwards", || drawn(&mut watcher) >= before + 50);
}
