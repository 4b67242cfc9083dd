//! The guest's own agent, a real one: spice-vdagent on a screen of its own, at the machine's second serial
//! port. The guest carries its bytes to the first, which is the agent's port by its name.

use std::process::{Command, Stdio};
use std::time::Duration;

use super::super::programs::{Client, Program, Sumac, needs, until};
use super::guest::{Monitor, assemble, machine};

#[test]
fn text_is_copied_and_pasted_by_a_real_agent() {
    needs!(
        "text_is_copied_and_pasted_by_a_real_agent": "gi", "qemu-system-x86_64", "as", "ld", "Xvfb", "xclip",
        "spice-vdagent", "spice-vdagentd"
    );
    let dir = tempfile::tempdir().unwrap();
    assemble(dir.path(), "bridge-guest.s");
    let ports = [
        ["-chardev", "dbus,id=agent,name=com.redhat.spice.0"],
        ["-serial", "chardev:agent"],
        ["-chardev", "socket,id=port,path=port.sock,server=on,wait=off"],
        ["-serial", "chardev:port"],
    ];
    let words = [&["--disable-ticketing", "--"], &machine("std", &ports.concat())[..]].concat();
    let sumac = Sumac::start_in(dir, "qemu", &words);
    let _monitor = Monitor::open(sumac.dir());
    let mut xvfb = Command::new("Xvfb");
    xvfb.args(["-displayfd", "1", "-screen", "0", "640x480x24", "-nolisten", "tcp"]);
    let mut screen = Program::start(xvfb.stderr(Stdio::null()));
    let display = format!(":{}", screen.line(""));
    let start = |program: &str, options: &[&str]| {
        let mut command = Command::new(program);
        command.args(options).current_dir(sumac.dir()).env("DISPLAY", &display);
        Program::start(command.stderr(Stdio::null()))
    };
    std::fs::write(sumac.dir().join("uinput"), "").unwrap();
    let sockets = ["-x", "-s", "port.sock", "-S", "agent.sock"];
    let _daemon = start("spice-vdagentd", &[&sockets[..], &["-f", "-o", "-X", "-u", "uinput"]].concat());
    until("the agent's daemon", || sumac.dir().join("agent.sock").exists());
    let _agent = start("spice-vdagent", &sockets);
    let mut client = Client::connect(&sumac.tcp_uri());

    let pasted = || {
        // Its owner may be gone before it answers.
        let mut paste = Command::new("timeout");
        paste.args(["5", "xclip", "-o", "-selection", "clipboard"]).env("DISPLAY", &display).stderr(Stdio::null());
        String::from_utf8(paste.output().unwrap().stdout).unwrap()
    };
    // Until the agent has said what it can do, the client offers it nothing. The line is a slow one, so
    // each try has its time.
    until("the viewer's text in the guest", || {
        client.does("copy From-the-viewer.");
        let wait = Duration::from_millis(200);
        (0..20).any(|_| {
            std::thread::sleep(wait);
            pasted() == "From-the-viewer."
        })
    });
    std::fs::write(sumac.dir().join("text"), "From-the-guest.").unwrap();
    client.0.say("");
    let _owner = start("sh", &["-c", "exec xclip -quiet -i -selection clipboard < text"]);
    client.event("\"clipboard-grab\"");
    client.does("paste");
    client.event("\"clipboard\", \"text\": \"From-the-guest.\"");
}
