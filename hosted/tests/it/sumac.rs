//! A `sumac` process that cannot outlive its test.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Longer than anything here takes; a test that hangs fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running server. Its stderr goes to a file, so that it never waits for a reader.
pub(crate) struct Sumac {
    child: Process,
    out: BufReader<ChildStdout>,
    pub(crate) ready: String,
    dir: Arc<TempDir>,
}

/// Told to end when dropped, then killed.
struct Process(Child);

/// What a process that has ended left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// What it wrote to stdout after the ready line.
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) took: Duration,
    /// Its working directory.
    pub(crate) dir: Arc<TempDir>,
}

impl Sumac {
    /// Starts it in a directory of its own and waits for the first line on stdout.
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::of(|dir| command(args, dir))
    }

    /// The same with this as its log's level.
    pub(crate) fn start_logging(level: &str, args: &[&str]) -> Self {
        Self::of(|dir| {
            let mut command = command(args, dir);
            command.env("SUMAC_LOG", level);
            command
        })
    }

    /// The same by a shell, as this changes its command; the words after `sh -c` are the program's.
    pub(crate) fn start_by_shell(script: &str, args: &[&str], change: impl FnOnce(&mut Command)) -> Self {
        Self::of(|dir| {
            let mut shell = command_of(Command::new("sh"), dir);
            shell.args(["-c", script, env!("CARGO_BIN_EXE_sumac")]).args(args);
            change(&mut shell);
            shell
        })
    }

    /// The same with a log of which no line can be written.
    pub(crate) fn start_without_log(args: &[&str]) -> Self {
        Self::of(|dir| {
            let mut command = command(args, dir);
            let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("/dev/full is there");
            command.stderr(full);
            command
        })
    }

    fn of(command: impl FnOnce(&Path) -> Command) -> Self {
        let dir = Arc::new(tempfile::tempdir().expect("temporary directory"));
        let mut child = Process(command(dir.path()).stdout(Stdio::piped()).spawn().expect("sumac starts"));
        let mut out = BufReader::new(child.0.stdout.take().expect("stdout is piped"));
        let mut ready = String::new();
        out.read_line(&mut ready).expect("stdout is text");
        let sumac = Self { child, out, ready: ready.trim_end().to_owned(), dir };
        assert!(sumac.ready.starts_with("ready "), "first line {:?}, stderr {}", sumac.ready, sumac.err());
        sumac
    }

    /// Its working directory.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The value of `name` in the ready line.
    pub(crate) fn told(&self, name: &str) -> &str {
        let pair = self.ready.split(' ').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        pair.unwrap_or_else(|| panic!("no {name} in {}", self.ready))
    }

    /// The next line on stdout.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).expect("stdout is text");
        line
    }

    /// What it wrote to stderr so far.
    pub(crate) fn err(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("stderr")).unwrap_or_default()
    }

    /// The number of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.0.id()
    }

    /// Kilobytes of memory that it has in use: VmRSS.
    pub(crate) fn resident_kb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the kernel tells it");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// Sends `signal`.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child.0), signal).expect("the process is there");
    }

    /// Sends `signal` and waits for the end.
    pub(crate) fn end(mut self, signal: Signal) -> Ended {
        let start = Instant::now();
        self.signal(signal);
        let status = wait(&mut self.child.0);
        let took = start.elapsed();
        let mut out = String::new();
        self.out.read_to_string(&mut out).expect("stdout is text");
        Ended { status, out, err: self.err(), took, dir: Arc::clone(&self.dir) }
    }
}

/// How long a process may take to end when its test is over.
const FAREWELL: Duration = Duration::from_secs(3);

impl Drop for Process {
    fn drop(&mut self) {
        // All of these fail only when it is gone already. Told to end, it takes a QEMU of its own along.
        let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
        let start = Instant::now();
        while start.elapsed() < FAREWELL && matches!(self.0.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits for something that another process does.
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Runs it to its end, which must come by itself.
pub(crate) fn run(args: &[&str]) -> Ended {
    run_with_input(args, "")
}

/// The same with this on its standard input, which is little.
pub(crate) fn run_with_input(args: &[&str], input: &str) -> Ended {
    let dir = Arc::new(tempfile::tempdir().expect("temporary directory"));
    let start = Instant::now();
    let mut command = command(args, dir.path());
    let mut child = Process(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("sumac starts"));
    // Whoever does not read it may be gone already.
    let _ = child.0.stdin.take().expect("stdin is piped").write_all(input.as_bytes());
    let status = wait(&mut child.0);
    let mut out = String::new();
    child.0.stdout.take().expect("stdout is piped").read_to_string(&mut out).expect("stdout is text");
    let err = std::fs::read_to_string(dir.path().join("stderr")).unwrap_or_default();
    Ended { status, out, err, took: start.elapsed(), dir }
}

fn command(args: &[&str], dir: &Path) -> Command {
    let mut command = command_of(Command::new(env!("CARGO_BIN_EXE_sumac")), dir);
    command.args(args);
    command
}

fn command_of(mut command: Command, dir: &Path) -> Command {
    let err = std::fs::File::create(dir.join("stderr")).expect("file for stderr");
    command.current_dir(dir).env_remove("SUMAC_LOG").stdin(Stdio::null()).stderr(err);
    command
}

fn wait(child: &mut Child) -> ExitStatus {
    let mut status = None;
    until("the end of sumac", || {
        status = child.try_wait().expect("a child can be waited for");
        status.is_some()
    });
    status.expect("it ended")
}
