//! Debian's installer as the guest: what it shows is shown, what is typed arrives. Each of these tests boots
//! a whole system without acceleration, so they run when they are asked for: `--ignored installer`.

use std::path::Path;
use std::time::{Duration, Instant};

use super::super::programs::{Client, PATIENCE, Sumac, needs, until};
use super::guest::{Monitor, QEMU, same_screen};
use super::linux::NETBOOT;

/// How many times [`PATIENCE`] it may take to boot.
const BOOT: u32 = 10;
/// A picture that has stood for so long is at rest.
const REST: Duration = Duration::from_secs(20);
/// Between two keys: QEMU's PS/2 keyboard keeps 16 bytes for a guest that is busy, and loses the rest.
const KEY: Duration = Duration::from_millis(100);
/// The side of the installer's screen, which the kernel's own driver sets.
const WIDTH: usize = 1280;
/// Keys that make these characters, by their XT scan codes.
const ROWS: [(u8, &str); 4] = [(0x02, "1234567890-"), (0x10, "qwertyuiop"), (0x1e, "asdfghjkl"), (0x2c, "zxcvbnm,./")];
const SHIFT: &str = "0x2a";
const CTRL: &str = "0x1d";
const ALT: &str = "0x38";
const ENTER: &str = "0x1c";
const F2: &str = "0x3c";

/// Types a line of letters, digits, spaces and a few signs; `>` is a shifted point.
fn types(client: &mut Client, text: &str) {
    for letter in text.chars() {
        let plain = if letter == '>' { '.' } else { letter.to_ascii_lowercase() };
        let code = ROWS.iter().find_map(|(first, row)| Some(first + u8::try_from(row.find(plain)?).unwrap()));
        let code = code.unwrap_or(0x39);
        let held = (plain != letter).then_some(SHIFT);
        held.into_iter().for_each(|key| client.does(&format!("key down {key}")));
        client.does(&format!("key press {code:#x}"));
        held.into_iter().for_each(|key| client.does(&format!("key up {key}")));
        std::thread::sleep(KEY);
    }
    client.does(&format!("key press {ENTER}"));
}

/// Boots the installer, `text` or `gtk`, and compares its first question with the machine's own account; then
/// types in its shell.
fn installs(kind: &str, vga: &str) {
    let folder = NETBOOT.replace("/gtk/", &format!("/{kind}/"));
    if !Path::new(&folder).exists() {
        println!("SKIPPED: the installer, {kind}: no debian-installer-12-netboot-amd64 here");
        return;
    }
    let (kernel, initrd) = (format!("{folder}/linux"), format!("{folder}/initrd.gz"));
    let mut words = vec!["--disable-ticketing", "--", QEMU, "-machine", "pc", "-accel", "tcg", "-m", "1536"];
    words.extend(["-nic", "none", "-monitor", "none", "-no-user-config", "-vga", vga]);
    words.extend(["-qmp", "unix:qmp.sock,server=on,wait=off", "-serial", "file:serial.log"]);
    words.extend(["-kernel", &kernel, "-initrd", &initrd, "-append", "vga=788 quiet"]);
    let sumac = Sumac::start_in(tempfile::tempdir().unwrap(), "qemu", &words);
    let mut monitor = Monitor::open(sumac.dir());
    let mut client = Client::connect(&sumac.tcp_uri());
    let start = Instant::now();
    let (mut last, mut since) = (monitor.screen(&sumac, None), Instant::now());
    while last.width != WIDTH || since.elapsed() < REST {
        assert!(start.elapsed() < PATIENCE * BOOT, "the installer did not boot");
        std::thread::sleep(Duration::from_millis(500));
        let screen = monitor.screen(&sumac, None);
        if screen.difference(&last) > 0 {
            (last, since) = (screen, Instant::now());
        }
    }
    let shown = same_screen(&mut client, 0, &sumac, &mut monitor, None);
    let boot = start.elapsed() - REST;
    println!("{kind} on {vga}: {}x{} after {:.1} s, identical", shown.width, shown.height, boot.as_secs_f64());

    // Its shell on the second terminal, once it is there.
    let typed = "Typed by a viewer, 1234567890-/.";
    let serial = sumac.dir().join("serial.log");
    until("the typed line", || {
        client.does(&format!("key down {CTRL}"));
        client.does(&format!("key down {ALT}"));
        client.does(&format!("key press {F2}"));
        client.does(&format!("key up {ALT}"));
        client.does(&format!("key up {CTRL}"));
        std::thread::sleep(Duration::from_secs(2));
        types(&mut client, "");
        std::thread::sleep(Duration::from_secs(2));
        types(&mut client, &format!("echo {typed} >/dev/ttyS0"));
        std::thread::sleep(Duration::from_secs(2));
        std::fs::read_to_string(&serial).is_ok_and(|log| log.contains(typed))
    });
    same_screen(&mut client, 0, &sumac, &mut monitor, None);
}

#[test]
#[ignore = "boots a whole system for a minute or two"]
fn the_installer_is_shown_as_text_on_std_vga() {
    needs!("the_installer_is_shown_as_text_on_std_vga": "gi", "qemu-system-x86_64");
    installs("text", "std");
}

#[test]
#[ignore = "boots a whole system for a minute or two"]
fn the_installer_is_shown_as_text_on_virtio() {
    needs!("the_installer_is_shown_as_text_on_virtio": "gi", "qemu-system-x86_64");
    installs("text", "virtio");
}

#[test]
#[ignore = "boots a whole system for a minute or two"]
fn the_installer_is_shown_with_windows() {
    needs!("the_installer_is_shown_with_windows": "gi", "qemu-system-x86_64");
    installs("gtk", "std");
}
