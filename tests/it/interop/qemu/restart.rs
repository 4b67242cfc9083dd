//! A QEMU on a bus: it comes, goes and comes again while viewers stay.

use std::path::Path;
use std::process::{Command, Stdio};

use super::super::picture::Picture;
use super::super::programs::{Client, Program, Sumac, needs, tool, until};
use super::guest::{Monitor, QEMU, image, machine, same_screen};
use rustix::process::Signal;

/// The address of the bus of a folder, for programs that run in it.
pub(super) const BUS: &str = "unix:path=bus.sock";

/// Starts a bus in this folder.
pub(super) fn start_bus(dir: &Path) -> Program {
    let mut bus = Command::new("dbus-daemon");
    bus.args(["--session", "--address", BUS, "--nofork", "--print-address"]).current_dir(dir);
    let mut bus = Program::start(bus.stderr(Stdio::null()));
    bus.line(BUS);
    bus
}

/// Sumac beside `dbus-qemu.py`, which has registered for everything, and their bus.
pub(super) fn start_beside_ours() -> (Sumac, Program, Program) {
    let dir = tempfile::tempdir().unwrap();
    let bus = start_bus(dir.path());
    let mut machine = Command::new(tool("dbus-qemu.py"));
    let mut machine = Program::start(machine.arg(BUS).current_dir(dir.path()));
    machine.line("\"ready\"");
    let sumac = Sumac::start_in(dir, "serve", &["--disable-ticketing", "--qemu-dbus", BUS]);
    machine.line("\"registered\"");
    (sumac, machine, bus)
}

/// Starts a QEMU on the bus in this folder.
pub(super) fn start_qemu(dir: &Path) -> Program {
    let words = machine("std", &["-display", "dbus"]);
    let mut command = Command::new(QEMU);
    command.args(&words[1..]).current_dir(dir).env("DBUS_SESSION_BUS_ADDRESS", BUS);
    Program::start(command.stderr(Stdio::null()))
}

#[test]
fn viewers_stay_while_qemu_is_restarted() {
    needs!("viewers_stay_while_qemu_is_restarted": "gi", "qemu-system-x86_64", "dbus-daemon", "as", "ld");
    let dir = tempfile::tempdir().unwrap();
    image(dir.path());
    let _bus = start_bus(dir.path());
    // Sumac and its viewer come first.
    let sumac = Sumac::start_in(dir, "serve", &["--disable-ticketing", "--qemu-dbus", BUS]);
    let mut client = Client::connect(&sumac.tcp_uri());
    let waiting = Picture::of_client(&mut client, &sumac);
    for _ in 0..2 {
        let qemu = start_qemu(sumac.dir());
        let mut monitor = Monitor::connect(sumac.dir());
        // Keys that come before Sumac has found QEMU are lost; of those that come after, the last one
        // makes the picture.
        until("a key", || {
            client.does("key press 0x1e");
            !monitor.entries(b'K').is_empty()
        });
        client.does("key press 0x3d");
        until("the last key", || monitor.entries(b'K').concat().ends_with(&[0x3d, 0xbd]));
        until("the guest's picture", || monitor.screen(&sumac, None).width == 640);
        let last = same_screen(&mut client, 0, &sumac, &mut monitor, None);
        assert!(last.difference(&waiting) > 0);

        qemu.signal(Signal::KILL);
        drop(qemu);
        let above = last.part(0, 0, last.width, last.height - 32);
        until("the notice below the last picture", || {
            let shown = Picture::of_client(&mut client, &sumac);
            shown.difference(&last) > 0
                && shown.height == last.height
                && shown.part(0, 0, last.width, last.height - 32).difference(&above) == 0
        });
        std::fs::remove_file(sumac.dir().join("qmp.sock")).unwrap();
    }
    assert_eq!(client.0.count("\"closed\", \"channel\": \"main\""), 0, "the viewer stayed");
    assert_eq!(client.0.count("\"closed\", \"channel\": \"display\""), 0, "with its display");
}
