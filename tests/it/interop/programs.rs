//! Processes that cannot outlive their test: the server, clients, an X display.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{LazyLock, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Longer than anything here takes, on a busy machine too; a test that hangs fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Says why a test does not run, and returns from it, unless all these programs are installed.
macro_rules! needs {
    ($test:literal: $($program:literal),+) => {
        if let Some(missing) = $crate::interop::programs::missing(&[$($program),+]) {
            println!("SKIPPED: {}: no {missing} here", $test);
            return;
        }
    };
}
pub(crate) use needs;

/// The first of `names` that cannot be run. `gi` stands for what the GObject client imports.
pub(crate) fn missing(names: &[&'static str]) -> Option<&'static str> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = |name: &str| match name {
        "gi" => gi_is_there(),
        name => std::env::split_paths(&path).any(|folder| folder.join(name).is_file()),
    };
    names.iter().copied().find(|name| !there(name))
}

fn gi_is_there() -> bool {
    let import = "import gi; gi.require_version('SpiceClientGLib', '2.0'); from gi.repository import SpiceClientGLib";
    let python = Command::new("/usr/bin/python3").args(["-c", import]).stderr(Stdio::null()).status();
    python.is_ok_and(|status| status.success())
}

/// A file of `tests/tools`.
pub(crate) fn tool(name: &str) -> PathBuf {
    beside(name).unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tools").join(name))
}

/// A file in the folder of this binary, if it is there: in a kernel without a checkout, all that
/// tests need lies beside them.
pub(crate) fn beside(name: &str) -> Option<PathBuf> {
    Some(std::env::current_exe().unwrap().with_file_name(name)).filter(|path| path.exists())
}

/// Waits for something that another process does.
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A running program whose standard output is read line by line; killed when dropped.
pub(crate) struct Program {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
    /// Where in `seen` the lines since the last [`Self::say`] begin.
    since: usize,
    /// The file that its standard error goes to, if it was given one.
    err: Option<PathBuf>,
}

impl Program {
    pub(crate) fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let out = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { child, lines, seen: Vec::new(), since: 0, err: None }
    }

    /// Starts it with `err` as the file for its standard error.
    pub(crate) fn start_with_log(command: &mut Command, err: PathBuf) -> Self {
        let mut program = Self::start(command.stderr(File::create(&err).unwrap()));
        program.err = Some(err);
        program
    }

    /// The number of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to standard error so far.
    pub(crate) fn log(&self) -> String {
        self.err.as_ref().map_or_else(String::new, |path| std::fs::read_to_string(path).unwrap())
    }

    /// Writes a line to its standard input; what it wrote before counts no more.
    pub(crate) fn say(&mut self, line: &str) {
        self.seen.extend(self.lines.try_iter());
        self.since = self.seen.len();
        let input = self.child.stdin.as_mut().unwrap();
        input.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// Waits for a line that holds `part`, written since the last [`Self::say`].
    pub(crate) fn line(&mut self, part: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut next = self.since;
        loop {
            if let Some(line) = self.seen[next..].iter().find(|line| line.contains(part)) {
                return line.clone();
            }
            next = self.seen.len();
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Timeout) => panic!("no line with {part:?} in {:#?}", self.seen),
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("ended without {part:?}: {:#?}\n{}", self.seen, self.log())
                }
            }
        }
    }

    /// How many lines with `part` it has written by now.
    pub(crate) fn count(&mut self, part: &str) -> usize {
        self.seen.extend(self.lines.try_iter());
        self.seen.iter().filter(|line| line.contains(part)).count()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end; whether it ended well.
    pub(crate) fn ends_well(&mut self) -> bool {
        self.exit_code() == Some(0)
    }

    /// Waits for its end; its status, unless a signal ended it.
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        let mut status = None;
        until("a program's end", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status?.code()
    }

    /// How many files it has open, and how many threads.
    pub(crate) fn files_and_threads(&self) -> (usize, usize) {
        let count = |what: &str| std::fs::read_dir(format!("/proc/{}/{what}", self.child.id())).unwrap().count();
        (count("fd"), count("task"))
    }

    /// A figure of `/proc/PID/status`, in KiB.
    pub(crate) fn memory_kib(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok()).unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Why a test failed is often told by what its programs said last.
        if thread::panicking() {
            self.seen.extend(self.lines.try_iter());
            let log = self.log();
            let said = log.lines().chain(self.seen.iter().map(String::as_str)).collect::<Vec<_>>();
            eprintln!("{}", said[said.len().saturating_sub(60)..].join("\n"));
        }
        // Fails only when it is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// remote-viewer on a screen of its own, which nobody sees.
pub(crate) struct RemoteViewer {
    _viewer: Program,
    _screen: Program,
    display: String,
}

impl RemoteViewer {
    /// Starts it with the server's connection file.
    pub(crate) fn start(sumac: &Sumac) -> Self {
        let mut xvfb = Command::new("Xvfb");
        xvfb.args(["-displayfd", "1", "-screen", "0", "1024x768x24", "-nolisten", "tcp"]);
        let mut screen = Program::start(xvfb.stderr(Stdio::null()));
        let display = format!(":{}", screen.line(""));
        let mut viewer = Command::new("remote-viewer");
        viewer.arg(sumac.dir().join(VV_FILE)).env("DISPLAY", &display).env("HOME", sumac.dir());
        let viewer = Program::start(viewer.stderr(Stdio::null()));
        Self { _viewer: viewer, _screen: screen, display }
    }

    /// Runs an X program on the screen; whether it ended well.
    pub(crate) fn on_screen(&self, program: &str, arguments: &[&str]) -> bool {
        let mut command = Command::new(program);
        command.args(arguments).env("DISPLAY", &self.display).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().unwrap().success()
    }
}

/// The server's connection file, in its folder.
pub(crate) const VV_FILE: &str = "desktop.vv";

/// A running `sumac serve` in a folder of its own.
pub(crate) struct Sumac {
    pub(crate) program: Program,
    ready: String,
    dir: TempDir,
}

impl Sumac {
    /// Starts it on a TCP port and a UNIX socket, with `--write-ref ref.png`, open to everybody.
    pub(crate) fn start(options: &[&str]) -> Self {
        Self::start_with_password(&[options, &["--disable-ticketing"]].concat())
    }

    /// The same with a password of its own choice, which only [`VV_FILE`] tells.
    pub(crate) fn start_with_password(options: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), "serve", options)
    }

    /// The same in a folder that is there already, by `serve` or another of its commands.
    pub(crate) fn start_in(dir: TempDir, what: &str, options: &[&str]) -> Self {
        let mut command = Command::new(sumac_binary());
        command.current_dir(dir.path()).args([what, "--port", "0", "--unix", "unix.sock"]);
        command.args(["--vv", VV_FILE, "--write-ref", "ref.png"]).args(options);
        let mut program = Program::start_with_log(&mut command, dir.path().join("stderr"));
        let ready = program.line("ready");
        Self { program, ready, dir }
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn tcp_uri(&self) -> String {
        let port = self.ready.split(' ').find_map(|word| word.strip_prefix("port=")).unwrap();
        format!("spice://127.0.0.1:{port}")
    }

    /// Where it speaks nothing but TLS.
    pub(crate) fn tls_uri(&self) -> String {
        let port = self.ready.split(' ').find_map(|word| word.strip_prefix("tls_port=")).unwrap();
        format!("spice://127.0.0.1?tls-port={port}")
    }

    /// A figure of its page for Prometheus, with `--metrics`.
    pub(crate) fn figure(&self, name: &str) -> u64 {
        let at = self.ready.split(' ').find_map(|word| word.strip_prefix("metrics=")).unwrap();
        let mut stream = TcpStream::connect(at).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in {page}"))
    }

    /// The codecs that it can encode.
    pub(crate) fn codecs(&self) -> &str {
        self.ready.split(' ').find_map(|word| word.strip_prefix("codecs=")).unwrap()
    }

    /// Ends it; how many draws the source made into scanouts, and how many of them were done.
    pub(crate) fn gl_draws(mut self) -> (u64, u64) {
        self.program.signal(Signal::TERM);
        let summary = self.program.line("summary");
        let figure = |name: &str| {
            let (_, rest) = summary.split_once(&format!("\"{name}\":")).unwrap();
            rest.split([',', '}']).next().unwrap().parse().unwrap()
        };
        (figure("gl_draws"), figure("gl_done"))
    }

    pub(crate) fn unix_uri(&self) -> String {
        format!("spice+unix://{}", self.dir().join("unix.sock").display())
    }
}

/// Runs one of its commands in this folder; it must end well.
pub(crate) fn run_sumac(folder: &Path, arguments: &[&str]) {
    let mut command = Command::new(sumac_binary());
    let status = command.current_dir(folder).args(arguments).stdout(Stdio::null()).status();
    assert!(status.unwrap().success(), "sumac {arguments:?}");
}

/// The binary of the run's own profile and target folder. `CARGO_BIN_EXE_…` names binaries of the
/// same package only, so cargo is asked to build it, once; nothing is done when it is fresh.
pub(crate) fn sumac_binary() -> &'static Path {
    static BINARY: LazyLock<PathBuf> = LazyLock::new(|| {
        if let Some(ready) = beside("sumac") {
            return ready;
        }
        // TARGET/PROFILE/deps/it-HASH
        let own = std::env::current_exe().unwrap();
        let folder = own.ancestors().nth(2).unwrap();
        let profile = match folder.file_name().unwrap().to_str().unwrap() {
            "debug" => "dev",
            other => other,
        };
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "-q", "-p", "sumac", "--bin", "sumac", "--profile", profile, "--target-dir"]);
        let status = cargo.arg(folder.parent().unwrap()).current_dir(env!("CARGO_MANIFEST_DIR")).status();
        assert!(status.unwrap().success(), "building sumac");
        folder.join("sumac")
    });
    // Several tests may come here at once; a panic of the first must not hide behind the others'.
    static BUILDING: Mutex<()> = Mutex::new(());
    let _one = BUILDING.lock().unwrap();
    &BINARY
}

/// `spice-client.py`, connected: what it can do and says stands at its top.
pub(crate) struct Client(pub(crate) Program);

impl Client {
    /// Starts to connect, and waits for nothing.
    pub(crate) fn begin(uri: &str) -> Self {
        Self(Program::start(Command::new(tool("spice-client.py")).arg(uri)))
    }

    /// Connects and waits for the first picture and for the keyboard.
    pub(crate) fn connect(uri: &str) -> Self {
        Self::start(Command::new(tool("spice-client.py")).arg(uri))
    }

    /// The same with sound; without Opus when it is not to be used.
    pub(crate) fn connect_with_sound(uri: &str, opus: bool) -> Self {
        let mut command = Command::new(tool("spice-client.py"));
        if !opus {
            command.env("SPICE_DISABLE_OPUS", "1");
        }
        Self::start(command.args([uri, "--audio"]))
    }

    /// Connects a client that can share USB devices.
    pub(crate) fn connect_with_usb(uri: &str) -> Self {
        Self::start(Command::new(tool("spice-client.py")).args([uri, "--usb"]))
    }

    /// Connects a client that shares a folder.
    pub(crate) fn connect_with_folder(uri: &str, folder: &Path) -> Self {
        Self::start(Command::new(tool("spice-client.py")).args([uri, "--share"]).arg(folder))
    }

    /// Connects a client that has no decoder but its own for MJPEG, and waits for the first picture.
    pub(crate) fn connect_without_codecs(uri: &str) -> Self {
        let mut command = Command::new(tool("spice-client.py"));
        command.env("GST_PLUGIN_SYSTEM_PATH_1_0", "/nowhere").env("GST_REGISTRY_1_0", "/nowhere/registry");
        Self::start(command.arg(uri))
    }

    /// Connects and waits for the first draw into a scanout that it is passed.
    pub(crate) fn connect_in_gl(uri: &str) -> Self {
        let mut client = Self::begin(uri);
        client.event("\"gl-draw\"");
        client
    }

    /// The same with room for few pictures in its caches.
    pub(crate) fn connect_with_small_caches(uri: &str) -> Self {
        Self::start(Command::new(tool("spice-client.py")).args([uri, "--small-caches"]))
    }

    /// Starts it with a command line of its own, and waits for the same.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut client = Self(Program::start(command));
        client.event("\"mark\"");
        client.event("\"open\", \"channel\": \"inputs\"");
        client
    }

    /// Waits for an event since the last command; `text` is the value of `event` in quotes and
    /// what follows it.
    pub(crate) fn event(&mut self, text: &str) -> String {
        self.0.line(&format!("\"event\": {text}"))
    }

    /// Waits for an event, which may also have come before the last command.
    pub(crate) fn whole_run(&mut self, text: &str) -> String {
        self.0.since = 0;
        self.event(text)
    }

    /// Gives a command and waits until it is done.
    pub(crate) fn does(&mut self, command: &str) {
        assert!(self.tries(command), "{command} failed");
    }

    /// Gives a command; whether it could be done.
    pub(crate) fn tries(&mut self, command: &str) -> bool {
        self.0.say(command);
        let name = command.split(' ').next().unwrap();
        self.0.line(&format!("\"command\": \"{name}\"")).contains("\"done\"")
    }
}
