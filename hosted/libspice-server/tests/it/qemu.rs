//! A QEMU that knows nothing of this, with the library first on its path: a viewer sees what QEMU
//! says that it shows.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::library::FOLDER;

/// How long anything may take on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// A QEMU that ends with this.
struct Qemu {
    child: Child,
    monitor: BufReader<UnixStream>,
}

impl Drop for Qemu {
    fn drop(&mut self) {
        // It has ended already, or ends now.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Qemu {
    /// Starts one with this display device, which serves viewers at `folder/spice`.
    fn start(folder: &Path, vga: &str) -> Self {
        let (spice, qmp) = (folder.join("spice"), folder.join("qmp"));
        let child = Command::new("qemu-system-x86_64")
            .args(["-machine", "q35,accel=tcg", "-m", "64", "-nodefaults", "-display", "none", "-vga", vga, "-spice"])
            .arg(format!("unix=on,addr={},disable-ticketing=on", spice.display()))
            .args(["-qmp", &format!("unix:{},server=on,wait=off", qmp.display())])
            .args(["-sandbox", "on,spawn=deny,resourcecontrol=deny"])
            .env("LD_LIBRARY_PATH", FOLDER.as_ref().unwrap())
            .stdin(Stdio::null())
            .stdout(fs::File::create(folder.join("stdout")).unwrap())
            .stderr(fs::File::create(folder.join("stderr")).unwrap())
            .spawn()
            .unwrap();
        let monitor = within("QEMU's monitor", || UnixStream::connect(&qmp).ok());
        monitor.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut qemu = Self { child, monitor: BufReader::new(monitor) };
        qemu.answer();
        qemu.ask(r#"{"execute": "qmp_capabilities"}"#);
        within("the SPICE socket", || spice.exists().then_some(()));
        qemu
    }

    /// The next line that is no event.
    fn answer(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert!(self.monitor.read_line(&mut line).unwrap() > 0, "QEMU ended");
            if !line.contains("\"event\"") {
                return line;
            }
        }
    }

    fn ask(&mut self, command: &str) -> String {
        self.monitor.get_mut().write_all(command.as_bytes()).unwrap();
        let answer = self.answer();
        assert!(answer.contains("\"return\""), "{command}: {answer}");
        answer
    }

    /// What it shows, as a PPM file.
    fn screen(&mut self, folder: &Path) -> Vec<u8> {
        let file = folder.join("screen.ppm");
        self.ask(&format!(r#"{{"execute": "screendump", "arguments": {{"filename": "{}"}}}}"#, file.display()));
        fs::read(file).unwrap()
    }
}

/// Waits for something.
fn within<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "{what} was awaited for {} s", PATIENCE.as_secs());
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// What a viewer sees, as a PPM file; `None` while it sees nothing.
fn seen(folder: &Path) -> Option<Vec<u8>> {
    let file = folder.join("seen.ppm");
    let uri = format!("spice+unix://{}", folder.join("spice").display());
    let status = Command::new("timeout")
        .args(["30", "spicy-screenshot", "--uri", &uri, "--out-file"])
        .arg(&file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .ok()?;
    status.success().then(|| fs::read(&file).ok()).flatten()
}

/// The pixels of a PPM file of 8 bits, behind three lines of text.
fn pixels(ppm: &[u8]) -> &[u8] {
    let mut ends = ppm.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    // Both writers put magic, size and depth into lines of their own.
    ends.nth(2).and_then(|start| ppm.get(start..)).unwrap_or_default()
}

fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

#[test]
fn a_viewer_sees_what_qemu_shows() {
    if !is_there("qemu-system-x86_64") || !is_there("spicy-screenshot") {
        println!("SKIPPED: a_viewer_sees_what_qemu_shows: no qemu-system-x86_64 or no spicy-screenshot");
        return;
    }
    for vga in ["std", "qxl"] {
        let folder = tempfile::tempdir().unwrap();
        let mut qemu = Qemu::start(folder.path(), vga);
        // A text screen whose cursor blinks: sooner or later both looks fall into one of its states.
        within("the same picture", || {
            let (viewer, qemu) = (seen(folder.path())?, qemu.screen(folder.path()));
            let colors = pixels(&qemu).iter().any(|byte| *byte > 0x80);
            (colors && pixels(&viewer) == pixels(&qemu)).then_some(())
        });
        assert!(qemu.ask(r#"{"execute": "query-spice"}"#).contains("\"enabled\": true"));
        drop(qemu);
        assert_eq!(fs::read_to_string(folder.path().join("stdout")).unwrap(), "", "nothing of the library's");
    }
}
