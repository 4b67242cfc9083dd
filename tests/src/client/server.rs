//! [`Server`]: the program under test, and what the kernel says of it.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::{Place, Way, trusting};

/// How long it may take to end.
const END: Duration = Duration::from_secs(20);

/// A running server in a folder of its own, which goes with it.
#[derive(Debug)]
pub struct Server {
    child: Child,
    folder: PathBuf,
    ready: String,
}

/// The server at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Resident memory, in KiB.
    pub memory_kb: u64,
    /// Threads.
    pub threads: u64,
    /// Open descriptors.
    pub fds: u64,
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} KB, {} threads, {} descriptors", self.memory_kb, self.threads, self.fds)
    }
}

impl Server {
    /// Starts it with TCP, TLS and a UNIX socket, on all of which WebSocket may be spoken, too, and
    /// with these options.
    ///
    /// # Errors
    /// It does not start.
    pub fn start(program: &str, options: &[&str]) -> io::Result<Self> {
        let program = fs::canonicalize(program)?;
        let folder = std::env::temp_dir().join(format!("sumac-server-{}", std::process::id()));
        fs::create_dir(&folder)?;
        let made = Command::new(&program).current_dir(&folder).args(["cert", "pki", "localhost"]).output()?;
        if !made.status.success() {
            return Err(io::Error::other(String::from_utf8_lossy(&made.stderr).into_owned()));
        }
        let mut child = Command::new(&program)
            .current_dir(&folder)
            .args(["serve", "--disable-ticketing", "--vv", "none", "--x509-dir", "pki"])
            .args(["--port", "0", "--tls-port", "0", "--unix", "socket"])
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(folder.join("log"))?)
            .spawn()?;
        let mut ready = String::new();
        let out = child.stdout.take().ok_or_else(|| io::Error::other("no stdout"))?;
        let mut lines = BufReader::new(out);
        while !ready.starts_with("ready ") {
            ready.clear();
            if lines.read_line(&mut ready)? == 0 {
                let log = fs::read_to_string(folder.join("log"))?;
                return Err(io::Error::other(format!("the server did not start: {log}")));
            }
        }
        Ok(Self { child, folder, ready })
    }

    /// All ways to it, the plain TCP port first.
    ///
    /// # Errors
    /// It did not say its ports, or its certificate cannot be read.
    pub fn ways(&self) -> io::Result<Vec<Way>> {
        let port = |name: &str| {
            let word = self.ready.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
            let port = word.and_then(|word| word.trim().parse::<u16>().ok());
            port.map(|port| Place::Tcp(SocketAddr::from(([127, 0, 0, 1], port))))
                .ok_or_else(|| io::Error::other(name.to_owned()))
        };
        let (tcp, tls_only) = (port("port")?, port("tls_port")?);
        let (unix, tls) = (Place::Unix(self.folder.join("socket")), trusting(&self.folder.join("pki/ca-cert.pem"))?);
        let way = |place: &Place, secure: bool, websocket| Way {
            place: place.clone(),
            tls: secure.then(|| tls.clone()),
            websocket,
        };
        Ok(vec![
            way(&tcp, false, false),
            way(&tcp, true, false),
            way(&tcp, false, true),
            way(&tls_only, true, false),
            way(&tls_only, true, true),
            way(&unix, false, false),
            way(&unix, false, true),
        ])
    }

    /// What the kernel says now.
    ///
    /// # Errors
    /// It has ended.
    pub fn sample(&self) -> io::Result<Sample> {
        let folder = PathBuf::from(format!("/proc/{}", self.child.id()));
        let status = fs::read_to_string(folder.join("status"))?;
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok())
        };
        let ended = || io::Error::other("the server has ended");
        let (memory_kb, threads) = (number("VmRSS").ok_or_else(ended)?, number("Threads").ok_or_else(ended)?);
        let fds = fs::read_dir(folder.join("fd"))?.count() as u64;
        Ok(Sample { memory_kb, threads, fds })
    }

    /// Ends it; what was wrong with its end and its log.
    ///
    /// # Errors
    /// There is no log, or no `kill`.
    pub fn end(mut self) -> io::Result<Vec<String>> {
        let mut wrong = Vec::new();
        Command::new("kill").arg(self.child.id().to_string()).status()?;
        let start = Instant::now();
        let status = loop {
            match self.child.try_wait()? {
                Some(status) => break Some(status),
                None if start.elapsed() > END => break None,
                None => thread::sleep(Duration::from_millis(50)),
            }
        };
        if !status.is_some_and(|status| status.success()) {
            wrong.push(format!("it ended with {status:?}"));
        }
        let log = fs::read_to_string(self.folder.join("log"))?;
        let bad = |line: &&str| line.contains("panicked") || line.contains(" ERROR ") || line.contains("internal: ");
        wrong.extend(log.lines().filter(bad).take(10).map(str::to_owned));
        Ok(wrong)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended, or is of no use any more.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
