//! A Linux guest: what its evdev and its sound card say of what a viewer does. The kernel and its
//! modules are those of Debian's installer; the only process is `linux-guest.c`.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use rustix::process::Signal;

use super::super::programs::{Client, PATIENCE, Sumac, needs, tool, until};
use super::guest::{Monitor, QEMU};

/// Where Debian's package debian-installer-12-netboot-amd64 has its kernel and its files.
pub(super) const NETBOOT: &str = "/usr/lib/debian-installer/images/12/amd64/gtk/debian-installer/amd64";
/// Modules for evdev, for the PS/2 mouse and for an ES1370, each after those that it needs.
const NOW: &[&str] = &[
    "evdev",
    "psmouse",
    "soundcore",
    "snd",
    "snd-timer",
    "snd-pcm",
    "snd-seq-device",
    "snd-rawmidi",
    "gameport",
    "snd-ens1370",
];
/// Modules for a virtio tablet.
const LATER: &[&str] =
    &["virtio", "virtio_ring", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "virtio_input"];
/// How many times [`PATIENCE`] a kernel may take to boot: emulated, on a busy machine.
const BOOT: u32 = 5;

/// Numbers of evdev.
const KEY: u32 = 1;
const RELATIVE: u32 = 2;
const ABSOLUTE: u32 = 3;
const WHEEL: u32 = 8;
/// SPICE's numbers of buttons, and evdev's.
const BUTTONS: [(u32, u32); 5] = [(1, 0x110), (2, 0x112), (3, 0x111), (6, 0x113), (7, 0x114)];

/// Regular files of an archive in the "newc" format of cpio, as far as `wanted` says so.
fn unpack(mut archive: impl Read, wanted: impl Fn(&str) -> bool) -> HashMap<String, Vec<u8>> {
    let mut files = HashMap::new();
    loop {
        let mut head = [0; 110];
        archive.read_exact(&mut head).unwrap();
        assert_eq!(&head[..6], b"070701");
        let field = |at: usize| {
            let digits = std::str::from_utf8(&head[6 + at * 8..][..8]).unwrap();
            usize::from_str_radix(digits, 16).unwrap()
        };
        let (size, name_size) = (field(6), field(11));
        // Names and contents end at multiples of 4, counted from the head.
        let mut name = vec![0; (110 + name_size).next_multiple_of(4) - 110];
        archive.read_exact(&mut name).unwrap();
        let name = std::str::from_utf8(&name[..name_size - 1]).unwrap();
        if name == "TRAILER!!!" {
            return files;
        }
        let mut content = vec![0; size.next_multiple_of(4)];
        archive.read_exact(&mut content).unwrap();
        content.truncate(size);
        if wanted(name) {
            files.insert(name.to_owned(), content);
        }
    }
}

/// Adds a file or folder to an archive.
fn pack(archive: &mut Vec<u8>, name: &str, mode: u32, content: &[u8]) {
    let fields = [1, mode, 0, 0, 1, 0, content.len() as u32, 0, 0, 0, 0, name.len() as u32 + 1, 0];
    archive.extend(b"070701");
    fields.iter().for_each(|field| archive.extend(format!("{field:08x}").into_bytes()));
    archive.extend(name.bytes().chain([0]));
    archive.resize(archive.len().next_multiple_of(4), 0);
    archive.extend(content);
    archive.resize(archive.len().next_multiple_of(4), 0);
}

/// The guest's first file system: our process and the kernel's modules.
fn file_system(dir: &Path) -> PathBuf {
    let program = dir.join("init");
    let mut compiler = Command::new("gcc");
    compiler.args(["-Os", "-s", "-static", "-o"]).arg(&program).arg(tool("linux-guest.c"));
    assert!(compiler.status().unwrap().success(), "compiling the guest's program");
    let mut zcat = Command::new("zcat");
    let mut zcat = zcat.arg(Path::new(NETBOOT).join("initrd.gz")).stdout(Stdio::piped()).spawn().unwrap();
    let module = |path: &str| path.rsplit('/').next().and_then(|name| name.strip_suffix(".ko").map(str::to_owned));
    let ours = |name: &str| NOW.contains(&name) || LATER.contains(&name);
    let files = unpack(zcat.stdout.take().unwrap(), |path| module(path).is_some_and(|name| ours(&name)));
    let _ = zcat.wait();
    let files: HashMap<_, _> = files.into_iter().map(|(path, file)| (module(&path).unwrap(), file)).collect();

    let (folder, file) = (0o40755, 0o100_755);
    let mut archive = Vec::new();
    for name in ["dev", "modules", "modules/now", "modules/later"] {
        pack(&mut archive, name, folder, &[]);
    }
    pack(&mut archive, "init", file, &std::fs::read(&program).unwrap());
    for (when, names) in [("now", NOW), ("later", LATER)] {
        for (number, name) in names.iter().enumerate() {
            pack(&mut archive, &format!("modules/{when}/{number:02}-{name}"), file, &files[*name]);
        }
    }
    pack(&mut archive, "TRAILER!!!", 0, &[]);
    let path = dir.join("initrd");
    std::fs::write(&path, archive).unwrap();
    path
}

/// The guest and who talks to it.
struct Linux {
    _monitor: Monitor,
    sumac: Sumac,
    /// Bytes of its log that do not count any more.
    read: usize,
}

impl Linux {
    /// Boots it; it has a PS/2 mouse, a tablet without a driver, and a sound card.
    fn boot() -> Self {
        let dir = tempfile::tempdir().unwrap();
        file_system(dir.path());
        let kernel = format!("{NETBOOT}/linux");
        let mut words = vec!["--disable-ticketing", "--", QEMU, "-machine", "pc", "-accel", "tcg", "-m", "160"];
        words.extend(["-nic", "none", "-monitor", "none", "-no-user-config", "-vga", "std"]);
        words.extend(["-qmp", "unix:qmp.sock,server=on,wait=off", "-serial", "file:serial.log"]);
        words.extend(["-kernel", &kernel, "-initrd", "initrd", "-append", "quiet"]);
        words.extend(["-audiodev", "dbus,id=sound,in.frequency=48000", "-device", "ES1370,audiodev=sound"]);
        words.extend(["-device", "virtio-tablet-pci"]);
        let sumac = Sumac::start_in(dir, "qemu", &words);
        let linux = Self { _monitor: Monitor::open(sumac.dir()), sumac, read: 0 };
        let start = Instant::now();
        while start.elapsed() < PATIENCE * (BOOT - 1) && linux.lines("ready").is_empty() {
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        linux.waits_for("ready", |_| true);
        linux
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.sumac.dir().join("serial.log")).unwrap_or_default()
    }

    /// What the guest said of this kind, as numbers.
    fn lines(&self, kind: &str) -> Vec<Vec<i32>> {
        let log = self.log();
        // A line that is being written is none yet.
        let whole = log[self.read..].rsplit_once('\n').map_or("", |(whole, _)| whole);
        let lines = whole.lines().filter_map(|line| line.trim_end().strip_prefix(kind));
        lines.map(|line| line.split_whitespace().map_while(|word| word.parse().ok()).collect()).collect()
    }

    fn waits_for(&self, kind: &str, mut wanted: impl FnMut(&[i32]) -> bool) {
        until(&format!("{kind} of the guest"), || self.lines(kind).iter().any(|line| wanted(line)));
    }

    /// Waits for this event.
    fn feels(&self, event: [u32; 2], value: i32) {
        let [kind, code] = event.map(|n| i32::try_from(n).unwrap());
        until(&format!("the event {event:x?} {value}"), || {
            self.lines("event").iter().any(|line| line[1..] == [kind, code, value])
        });
    }

    /// Every button of a mouse, then its wheel; what the guest said before does not count.
    fn feels_buttons(&mut self, client: &mut Client) {
        self.read = self.log().len();
        for (ours, theirs) in BUTTONS {
            client.does(&format!("button down {ours}"));
            self.feels([KEY, theirs], 1);
            client.does(&format!("button up {ours}"));
            self.feels([KEY, theirs], 0);
        }
        for (button, notch) in [(4, 1), (5, -1)] {
            client.does(&format!("button press {button}"));
            self.feels([RELATIVE, WHEEL], notch);
        }
    }
}

#[test]
fn a_linux_guest_feels_every_button_and_records_what_is_said() {
    const TEST: &str = "a_linux_guest_feels_every_button_and_records_what_is_said";
    needs!("a_linux_guest_feels_every_button_and_records_what_is_said": "gi", "qemu-system-x86_64", "gcc", "zcat");
    if !Path::new(NETBOOT).exists() {
        println!("SKIPPED: {TEST}: no debian-installer-12-netboot-amd64 here");
        return;
    }
    let mut linux = Linux::boot();
    let mut client = Client::connect_with_sound(&linux.sumac.tcp_uri(), true);
    client.event("\"mouse-mode\", \"mode\": \"server\"");
    client.does("key press 0x1e");
    linux.feels([KEY, 30], 1);
    linux.waits_for("device", |device| device == [1]);
    linux.feels_buttons(&mut client);
    client.does("motion 9 5");
    linux.feels([RELATIVE, 0], 9);
    linux.feels([RELATIVE, 1], 5);

    // F5: the guest has a driver for the tablet from now on.
    client.does("key press 0x3f");
    linux.waits_for("device", |device| device == [2]);
    client.event("\"mouse-mode\", \"mode\": \"client\"");
    linux.feels_buttons(&mut client);
    client.does("position 360 100");
    let near = |code, place: i32| {
        linux.waits_for("event", |event| event[1..3] == [3, code] && (event[3] - place).abs() < 100);
    };
    near(0, 0x8000 * 360 / 720);
    near(1, 0x8000 * 100 / 400);
    assert!(linux.lines("event").iter().any(|event| event[1] == i32::try_from(ABSOLUTE).unwrap()));

    // F6: four seconds are recorded.
    client.does("key press 0x40");
    client.event("\"record-start\"");
    client.does("speak 1000 10");
    linux.waits_for("sound", |second| (second[0] - 1000).abs() < 50 && second[1] > 4000);

    // A viewer that dies with a button down.
    client.does("button down 6");
    linux.feels([KEY, 0x113], 1);
    client.0.signal(Signal::KILL);
    until("the button's release", || {
        linux.lines("event").iter().rfind(|event| event[1..3] == [1, 0x113]).is_some_and(|event| event[3] == 0)
    });
}
