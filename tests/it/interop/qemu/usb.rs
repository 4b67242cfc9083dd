//! USB redirection, whole: a CD that the viewer shares boots in the guest and reads back identical.

use std::path::Path;

use super::super::programs::{Client, needs, until};
use super::guest::{Monitor, start};

/// What the firmware loads and starts at 0x7c00, with the rest of the CD's content behind it:
/// `mov dword ptr cs:[0x7c80], "BOOT"`, then sleep.
const PROGRAM: &[u8] = &[0x2e, 0x66, 0xc7, 0x06, 0x80, 0x7c, b'B', b'O', b'O', b'T', 0xf4, 0xeb, 0xfd];
const LOADED_AT: usize = 0x7c00;
const MARK: std::ops::Range<usize> = 0x80..0x84;
/// Bytes that the firmware loads.
const CONTENT: usize = 256 * 1024;
const SECTOR: usize = 2048;

/// What is on the CD, no two sectors of it the same.
fn content() -> Vec<u8> {
    let mut state = 1u32;
    let mut noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    });
    let mut content = PROGRAM.to_vec();
    content.resize_with(MARK.end, || 0);
    content.extend(noise.by_ref().take(CONTENT - MARK.end));
    content
}

/// A CD that can be booted without emulation, as El Torito has it, and has nothing else on it.
fn cd(path: &Path) {
    const CATALOG: u8 = 18;
    let mut disc = vec![0; SECTOR * 19];
    let mut put =
        |sector: usize, at: usize, bytes: &[u8]| disc[sector * SECTOR + at..][..bytes.len()].copy_from_slice(bytes);
    put(16, 0, b"\x01CD001\x01");
    put(17, 0, b"\0CD001\x01EL TORITO SPECIFICATION");
    put(17, 0x47, &[CATALOG]);
    // The entry that says that this is a catalog, whose words add up to 0.
    put(CATALOG.into(), 0, &[1]);
    put(CATALOG.into(), 0x1c, &[0xaa, 0x55, 0x55, 0xaa]);
    // Bootable, sectors of 512 bytes, where they are.
    put(CATALOG.into(), 0x20, &[0x88]);
    put(CATALOG.into(), 0x26, &u16::try_from(CONTENT / 512).unwrap().to_le_bytes());
    put(CATALOG.into(), 0x28, &[CATALOG + 1]);
    disc.extend(content());
    std::fs::write(path, disc).unwrap();
}

/// What is in the guest's memory where the firmware loads the CD.
fn loaded(monitor: &mut Monitor, file: &Path) -> Vec<u8> {
    let arguments = format!("{{\"val\": {LOADED_AT}, \"size\": {CONTENT}, \"filename\": \"{}\"}}", file.display());
    monitor.does("pmemsave", &arguments);
    std::fs::read(file).unwrap()
}

#[test]
fn a_cd_that_the_viewer_shares_boots_in_the_guest() {
    needs!("a_cd_that_the_viewer_shares_boots_in_the_guest": "gi", "qemu-system-x86_64", "as", "ld");
    let chardev = ["-chardev", "dbus,id=usb,name=org.qemu.usbredir"];
    let device = ["-device", "qemu-xhci", "-device", "usb-redir,chardev=usb,bootindex=1"];
    let (sumac, mut monitor) = start(&[], "std", &[chardev, [device[0], device[1]], [device[2], device[3]]].concat());
    let disc = sumac.dir().join("cd.iso");
    cd(&disc);
    let mut client = Client::connect_with_usb(&sumac.tcp_uri());
    client.0.say(&format!("share-cd {}", disc.display()));
    client.event("\"usb\", \"connected\": true");
    monitor.does("system_reset", "{}");
    let memory = sumac.dir().join("memory");
    until("the guest to boot from it", || loaded(&mut monitor, &memory)[MARK] == *b"BOOT");
    let (got, wanted) = (loaded(&mut monitor, &memory), content());
    assert!(got[..MARK.start] == wanted[..MARK.start] && got[MARK.end..] == wanted[MARK.end..], "the CD's content");
}
