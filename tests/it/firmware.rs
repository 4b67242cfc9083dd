//! The firmware image boots in QEMU and serves a session over its UARTs.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

use embedded_io::{ErrorType, Read, ReadReady, Write};
use sumac_core::io::Wire;
use sumac_core::time::Millis;

use crate::peer::{self, Peer};
use crate::session::{INBOX, OUT, PORTS};

const TARGET: &str = "thumbv7em-none-eabihf";
/// For the emulator to start, and again for the whole session; it takes a second.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long a turn waits for a byte.
const SLICE: Duration = Duration::from_millis(2);

#[test]
fn an_image_without_an_allocator_serves_a_session() {
    if let Some(reason) = missing() {
        println!("SKIPPED: {reason}");
        return;
    }
    let board = Board::boot(&build());
    let streams = [0, 1, 2].map(|port| board.connect(port));
    let (mut inboxes, mut outs) = ([[0; peer::INBOX]; PORTS], [[0; peer::OUT]; PORTS]);
    let mut memory = inboxes.iter_mut().zip(&mut outs);
    let wires = streams.map(|stream| {
        let (inbox, out) = memory.next().expect("memory for each port");
        Wire::new(Uart { stream, received: VecDeque::new(), ended: false }, inbox, out)
    });
    let begin = Instant::now();
    let now = || Millis(begin.elapsed().as_millis() as u64);
    let mut viewer = Peer::new(wires, now());
    while viewer.step(now()).expect("the image keeps the protocol") {
        assert!(begin.elapsed() < PATIENCE, "the script stopped at {:?}", viewer.progress());
    }
    let said = board.wait();
    println!("{said}");
    assert!(said.ends_with("goodbye\n"), "{said}");
    let ram = |name: &str| -> usize {
        let value = said.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        value.and_then(|value| value.parse().ok()).expect("the image prints its memory")
    };
    assert!(ram("connection") > ram("inbox") + ram("out") + ram("display"));
    assert_eq!((ram("inbox"), ram("out")), (INBOX, OUT));
}

/// Why it cannot run here.
fn missing() -> Option<String> {
    if Command::new("qemu-system-arm").arg("--version").output().is_err() {
        return Some("qemu-system-arm is not installed".into());
    }
    let libdir = Command::new("rustc").args(["--print", "target-libdir", "--target", TARGET]).output().ok()?;
    if !Path::new(String::from_utf8_lossy(&libdir.stdout).trim()).exists() {
        return Some(format!("the target {TARGET} is not installed"));
    }
    let fetch = Command::new(cargo())
        .args(["fetch", "--locked", "--target", TARGET, "--manifest-path"])
        .arg(manifest())
        .output()
        .expect("cargo runs");
    let said = String::from_utf8_lossy(&fetch.stderr);
    assert!(!said.contains("--locked"), "core's dependencies changed, the image's lock file did not: {said}");
    (!fetch.status.success()).then(|| "the image's crates cannot be fetched".into())
}

fn manifest() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("firmware/Cargo.toml")
}

fn cargo() -> String {
    env::var("CARGO").unwrap_or_else(|_| "cargo".into())
}

/// Builds the image, in a directory of its own because the outer cargo holds the usual one.
fn build() -> PathBuf {
    let to = Path::new(env!("CARGO_TARGET_TMPDIR")).join("firmware");
    let status = Command::new(cargo())
        .args(["build", "--release", "--locked", "--quiet", "--target", TARGET, "--manifest-path"])
        .arg(manifest())
        .arg("--target-dir")
        .arg(&to)
        .status()
        .expect("cargo runs");
    assert!(status.success(), "the image does not build");
    to.join(TARGET).join("release/sumac-firmware")
}

/// The emulator, ended when dropped.
struct Board {
    child: Child,
    sockets: PathBuf,
}

impl Board {
    fn boot(image: &Path) -> Self {
        let sockets = env::temp_dir().join(format!("sumac-firmware-{}", std::process::id()));
        fs::create_dir_all(&sockets).expect("a directory for sockets");
        let mut qemu = Command::new("qemu-system-arm");
        qemu.args(["-machine", "mps2-an386", "-display", "none", "-monitor", "none"]);
        qemu.args(["-semihosting-config", "enable=on,target=native"]);
        for port in 0..PORTS {
            qemu.arg("-serial").arg(format!("unix:{},server=on,wait=off", sockets.join(port.to_string()).display()));
        }
        let child = qemu.arg("-kernel").arg(image).stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        Self { child: child.expect("qemu-system-arm starts"), sockets }
    }

    fn connect(&self, port: usize) -> UnixStream {
        let begin = Instant::now();
        loop {
            match UnixStream::connect(self.sockets.join(port.to_string())) {
                Ok(stream) => {
                    stream.set_read_timeout(Some(SLICE)).expect("sockets have timeouts");
                    return stream;
                }
                Err(e) => assert!(begin.elapsed() < PATIENCE, "port {port}: {e}"),
            }
            std::thread::sleep(SLICE);
        }
    }

    /// What it printed, once it has ended by itself.
    fn wait(mut self) -> String {
        let begin = Instant::now();
        let status = loop {
            match self.child.try_wait().expect("a child of ours") {
                Some(status) => break status,
                None => assert!(begin.elapsed() < PATIENCE, "the image does not end"),
            }
            std::thread::sleep(SLICE);
        };
        let mut said = String::new();
        self.child.stdout.take().expect("it is piped").read_to_string(&mut said).expect("it is text");
        assert!(status.success(), "{status}: {said}");
        said
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.sockets);
    }
}

/// The far end of a UART.
struct Uart {
    stream: UnixStream,
    received: VecDeque<u8>,
    ended: bool,
}

impl ErrorType for Uart {
    type Error = io::Error;
}

impl ReadReady for Uart {
    fn read_ready(&mut self) -> io::Result<bool> {
        if self.received.is_empty() && !self.ended {
            let mut bytes = [0; 4096];
            match self.stream.read(&mut bytes) {
                Ok(0) => self.ended = true,
                Ok(n) => self.received.extend(&bytes[..n]),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(self.ended || !self.received.is_empty())
    }
}

impl Read for Uart {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        io::Read::read(&mut self.received, room)
    }
}

impl Write for Uart {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
