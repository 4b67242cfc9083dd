//! Much happens for a while, and nothing is left behind: files, threads, memory; nor does a viewer that
//! stands still take anything from the guest. `SUMAC_SOAK_SECONDS` says how long, 3 if nothing does.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::super::programs::{Client, Program, Sumac, needs, until};
use super::guest::{Monitor, assemble, image, machine, same_screen, start};
use super::restart::{BUS, start_bus, start_qemu};

/// Between two changes of the resolution.
const STEP: Duration = Duration::from_millis(100);
/// Between two resets.
const RESET: Duration = Duration::from_millis(500);
/// What the memory in use may grow, in KiB: what is kept for the next picture differs.
const GROWTH: u64 = 32 * 1024;

fn seconds() -> Duration {
    let said = std::env::var("SUMAC_SOAK_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(said.unwrap_or(3))
}

/// What a program holds.
#[derive(Clone, Copy, Debug)]
struct Held {
    files: usize,
    threads: usize,
    memory: u64,
}

impl Held {
    fn by(program: &Program) -> Self {
        let (files, threads) = program.files_and_threads();
        Self { files, threads, memory: program.memory_kib("VmRSS") }
    }

    /// Waits until no more is held than this, which was measured before.
    fn is_all(self, program: &Program, when: &str) {
        let less = |now: Self| now.files <= self.files && now.threads <= self.threads;
        until("files and threads to be given back", || less(Self::by(program)));
        let now = Self::by(program);
        println!("{when}: {self:?} before, {now:?} now");
        assert!(now.memory < self.memory + GROWTH, "memory grew: {self:?} before, {now:?} now");
    }
}

/// A viewer that is killed at any moment, and another one in its place.
struct Victim {
    client: Client,
    uri: String,
    noise: u32,
}

impl Victim {
    fn new(uri: String) -> Self {
        Self { client: Client::begin(&uri), uri, noise: 1 }
    }

    /// Kills it, or does not: about one time in eight.
    fn fear(&mut self) {
        self.noise = self.noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if self.noise >> 29 == 0 {
            self.client.0.signal(Signal::KILL);
            self.client = Client::begin(&self.uri);
        }
    }
}

#[test]
fn resolutions_resets_and_deaths_leave_nothing_behind() {
    needs!("resolutions_resets_and_deaths_leave_nothing_behind": "gi", "qemu-system-x86_64", "as", "ld");
    let (sumac, mut monitor) = start(&[], "std", &["-device", "secondary-vga,id=second"]);
    let modes = ["0x3c", "0x3d", "0x3e", "0x3b"];
    let mut warm = Client::connect(&sumac.tcp_uri());
    modes.iter().for_each(|key| warm.does(&format!("key press {key}")));
    same_screen(&mut warm, 0, &sumac, &mut monitor, None);
    drop(warm);
    // Its channels are closed when the log says so.
    until("the viewer to be gone", || sumac.program.log().matches("channel closed").count() >= 5);
    let before = Held::by(&sumac.program);

    let mut client = Client::connect(&sumac.tcp_uri());
    let mut victim = Victim::new(sumac.unix_uri());
    let start = Instant::now();
    for number in 0.. {
        if start.elapsed() > seconds() {
            println!("{number} changes of the resolution");
            break;
        }
        client.does(&format!("key press {}", modes[number % modes.len()]));
        victim.fear();
        std::thread::sleep(STEP);
    }
    let start = Instant::now();
    while start.elapsed() < seconds() / 2 {
        monitor.does("system_reset", "{}");
        victim.fear();
        std::thread::sleep(RESET);
    }
    drop(victim);
    same_screen(&mut client, 0, &sumac, &mut monitor, None);
    same_screen(&mut client, 1, &sumac, &mut monitor, Some("second"));
    drop(client);
    before.is_all(&sumac.program, "resolutions, resets and deaths");
}

#[test]
fn restarts_of_qemu_leave_nothing_behind() {
    needs!("restarts_of_qemu_leave_nothing_behind": "gi", "qemu-system-x86_64", "dbus-daemon", "as", "ld");
    let dir = tempfile::tempdir().unwrap();
    image(dir.path());
    let _bus = start_bus(dir.path());
    let sumac = Sumac::start_in(dir, "serve", &["--disable-ticketing", "--qemu-dbus", BUS]);
    let mut client = Client::connect(&sumac.tcp_uri());
    let mut victim = Victim::new(sumac.unix_uri());
    let (begin, mut before) = (Instant::now(), None);
    for number in 1.. {
        let qemu = start_qemu(sumac.dir());
        let mut monitor = Monitor::connect(sumac.dir());
        same_screen(&mut client, 0, &sumac, &mut monitor, None);
        victim.fear();
        qemu.signal(Signal::KILL);
        drop((qemu, monitor));
        std::fs::remove_file(sumac.dir().join("qmp.sock")).unwrap();
        // It may have been killed before Sumac had asked it everything.
        let noticed = |log: String| log.matches("QEMU is gone").count() + log.matches("no picture from QEMU").count();
        until("Sumac to notice", || noticed(sumac.program.log()) >= number);
        // The first one leaves what is kept for the next.
        before = before.or_else(|| Some(Held::by(&sumac.program)));
        if begin.elapsed() > seconds() && number > 2 {
            println!("{number} machines");
            break;
        }
    }
    drop(victim);
    assert_eq!(client.0.count("\"closed\", \"channel\": \"display\""), 0, "the viewer stayed");
    before.unwrap().is_all(&sumac.program, "machines that were killed");
}

/// Letters that the guest wrote in each of the seconds that end now.
fn work(log: &std::path::Path, time: Duration) -> Vec<u32> {
    let lines = || -> Vec<u32> {
        let log = std::fs::read_to_string(log).unwrap_or_default();
        let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().filter_map(|line| u32::from_str_radix(line.trim(), 16).ok()).collect()
    };
    let before = lines().len();
    let start = Instant::now();
    // The second that had begun does not count.
    until("the guest's seconds", || start.elapsed() > time && lines().len() > before + 1);
    lines().split_off(before + 1)
}

#[test]
fn a_stopped_viewer_takes_nothing_from_the_guest() {
    needs!("a_stopped_viewer_takes_nothing_from_the_guest": "gi", "qemu-system-x86_64", "as", "ld");
    let dir = tempfile::tempdir().unwrap();
    assemble(dir.path(), "counting-guest.s");
    let words = [&["--disable-ticketing", "--"], &machine("std", &["-serial", "file:serial.log"])[..]].concat();
    let sumac = Sumac::start_in(dir, "qemu", &words);
    let _monitor = Monitor::open(sumac.dir());
    let viewer = Client::connect(&sumac.tcp_uri());
    let log = sumac.dir().join("serial.log");
    let (mut reads, mut stands) = (Vec::new(), Vec::new());
    let start = Instant::now();
    while start.elapsed() < seconds() || stands.is_empty() {
        reads.extend(work(&log, Duration::from_secs(1)));
        viewer.0.signal(Signal::STOP);
        stands.extend(work(&log, Duration::from_secs(1)));
        viewer.0.signal(Signal::CONT);
    }
    let mean = |all: &[u32]| all.iter().map(|&n| f64::from(n)).sum::<f64>() / all.len() as f64;
    let ratio = mean(&stands) / mean(&reads);
    println!("the guest's work beside a viewer that stands still: {ratio:.2} of that beside one that reads");
    assert!(ratio > 0.3, "the guest waited: {stands:?} and {reads:?}");
}
