//! A virtual machine with the test guest in it, and its monitor.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use super::super::picture::Picture;
use super::super::programs::{Client, PATIENCE, Sumac, tool, until};

pub(super) const QEMU: &str = "qemu-system-x86_64";

/// What every machine has: the guest as its disk, and a second monitor for the tests.
const MACHINE: &[&str] =
    &["-machine", "pc", "-accel", "tcg", "-m", "32", "-nic", "none", "-monitor", "none", "-no-user-config"];
const DEVICES: &[&str] =
    &["-drive", "file=guest.img,format=raw", "-qmp", "unix:qmp.sock,server=on,wait=off", "-name", "tested machine"];

/// The options of a QEMU whose first display device is this, in the folder of [`image`].
pub(super) fn machine<'a>(vga: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&[QEMU], MACHINE, DEVICES, &["-vga", vga], more].concat()
}

/// Makes the guest's disk in this folder.
pub(super) fn image(dir: &Path) {
    assemble(dir, "qemu-guest.s");
}

/// Makes a disk of this program, a file of `tests/tools`.
pub(super) fn assemble(dir: &Path, program: &str) {
    let run = |program: &str, arguments: &[&str]| {
        let status = Command::new(program).args(arguments).current_dir(dir).status();
        assert!(status.unwrap_or_else(|e| panic!("{program}: {e}")).success(), "{program} {arguments:?}");
    };
    run("as", &["--32", "-o", "guest.o", tool(program).to_str().unwrap()]);
    run("ld", &["-m", "elf_i386", "-Ttext", "0x7c00", "--oformat", "binary", "-o", "guest.img", "guest.o"]);
    let disk = std::fs::File::options().write(true).open(dir.join("guest.img")).unwrap();
    disk.set_len(65536).unwrap();
}

/// `sumac qemu` with the guest.
pub(super) fn start(options: &[&str], vga: &str, more: &[&str]) -> (Sumac, Monitor) {
    let dir = tempfile::tempdir().unwrap();
    image(dir.path());
    let words = [&["--disable-ticketing"], options, &["--"], &machine(vga, more)[..]].concat();
    let sumac = Sumac::start_in(dir, "qemu", &words);
    let monitor = Monitor::connect(sumac.dir());
    (sumac, monitor)
}

/// QEMU's monitor.
pub(super) struct Monitor(BufReader<UnixStream>);

impl Monitor {
    /// The one in this folder, as soon as QEMU has made it; the guest runs when it answers.
    pub(super) fn connect(dir: &Path) -> Self {
        let mut monitor = Self::open(dir);
        until("the guest's hello", || monitor.memory_len().is_some_and(|len| len < 0xfff0));
        monitor
    }

    /// The same, whatever the guest is.
    pub(super) fn open(dir: &Path) -> Self {
        let mut stream = None;
        until("QEMU's monitor", || {
            stream = UnixStream::connect(dir.join("qmp.sock")).ok();
            stream.is_some()
        });
        let stream = stream.unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut monitor = Self(BufReader::new(stream));
        assert!(monitor.line().contains("\"QMP\""));
        monitor.does("qmp_capabilities", "{}");
        monitor
    }

    /// Runs a command; arguments are JSON.
    pub(super) fn does(&mut self, command: &str, arguments: &str) -> String {
        let line = format!("{{\"execute\": \"{command}\", \"arguments\": {arguments}}}\n");
        self.0.get_mut().write_all(line.as_bytes()).unwrap();
        loop {
            let answer = self.line();
            assert!(!answer.starts_with("{\"error\""), "{command}: {answer}");
            if answer.starts_with("{\"return\"") {
                return answer;
            }
        }
    }

    /// What the machine shows by its own account: a console of this device, or the first.
    pub(super) fn screen(&mut self, sumac: &Sumac, device: Option<&str>) -> Picture {
        let path = sumac.dir().join("screen.ppm");
        let device = device.map(|device| format!(", \"device\": \"{device}\"")).unwrap_or_default();
        self.does("screendump", &format!("{{\"filename\": \"{}\"{device}}}", path.display()));
        Picture::read_ppm(&path)
    }

    /// The guest's log; what is in it stands at the top of its source.
    pub(super) fn log(&mut self) -> Vec<u8> {
        let len = self.memory_len().unwrap_or(0);
        self.memory(0x10004, len)
    }

    /// The entries of the log with this letter, each without it.
    pub(super) fn entries(&mut self, letter: u8) -> Vec<Vec<u8>> {
        let log = self.log();
        let (mut at, mut found) = (0, Vec::new());
        while at < log.len() {
            let len = if log[at] == b'A' { 8 } else { 1 };
            if log[at] == letter {
                found.push(log[at + 1..][..len].to_vec());
            }
            at += 1 + len;
        }
        found
    }

    /// The length of the guest's log, once it runs: before, there is nothing in that memory.
    fn memory_len(&mut self) -> Option<usize> {
        // The guest's program begins with `cli; cld` and stays where it was loaded.
        let program = self.memory(0x7c00, 2);
        let bytes = self.memory(0x10000, 4);
        (program == [0xfa, 0xfc]).then(|| u32::from_le_bytes(bytes.try_into().unwrap()) as usize)
    }

    /// Guest memory, in lines of `address: 0x12 0x34`.
    fn memory(&mut self, address: usize, len: usize) -> Vec<u8> {
        if len == 0 {
            return Vec::new();
        }
        let command = format!("{{\"command-line\": \"xp /{len}xb {address:#x}\"}}");
        let answer = self.does("human-monitor-command", &command);
        let text = answer.split("\": \"").nth(1).unwrap_or_default();
        let lines = text.split("\\r\\n").filter_map(|line| line.split_once(": "));
        let words = lines.flat_map(|(_, bytes)| bytes.split_whitespace());
        words.map(|word| u8::from_str_radix(word.trim_start_matches("0x"), 16).unwrap()).collect()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "QEMU closed its monitor");
        line
    }
}

/// A machine does not outlive its test.
impl Drop for Monitor {
    fn drop(&mut self) {
        // Fails only when it is gone already. QEMU forgets what a closed monitor said last.
        if self.0.get_mut().write_all(b"{\"execute\": \"quit\"}\n").is_ok() {
            let _ = self.0.read_to_end(&mut Vec::new());
        }
    }
}

/// Waits until the client shows what the machine does: a console of this device, or the first.
pub(super) fn same_screen(
    client: &mut Client,
    display: u8,
    sumac: &Sumac,
    monitor: &mut Monitor,
    device: Option<&str>,
) -> Picture {
    let path = sumac.dir().join("client.ppm");
    let mut shown = None;
    until("the client to show what the machine does", || {
        let theirs = monitor.screen(sumac, device);
        // The surface may just be replaced.
        if !client.tries(&format!("dump {} {display}", path.display())) {
            return false;
        }
        let same = Picture::read_ppm(&path).difference(&theirs) == 0;
        shown = Some(theirs);
        same
    });
    shown.unwrap()
}
