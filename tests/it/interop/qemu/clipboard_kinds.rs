//! The clipboard beside a machine that knows more than QEMU 7.2, which has text only: pictures both
//! ways, and who may call.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::super::programs::{Client, Program, Sumac, needs, until};
use super::restart::start_beside_ours;

/// The types of SPICE, and of the world.
const TEXT: (u32, &str) = (1, "text/plain;charset=utf-8");
const PNG: (u32, &str) = (2, "image/png");
const BMP: (u32, &str) = (3, "image/bmp");

/// A viewer and a machine, with Sumac between them.
struct Ends {
    client: Client,
    machine: Program,
    sumac: Sumac,
    _bus: Program,
}

impl Ends {
    fn start() -> Self {
        let (sumac, machine, bus) = start_beside_ours();
        until("the clipboard", || sumac.program.log().contains("clipboard"));
        let mut client = Client::connect(&sumac.tcp_uri());
        client.event("\"agent\", \"connected\": true");
        Self { client, machine, sumac, _bus: bus }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.sumac.dir().join(name)
    }

    /// What is copied, in a file.
    fn content(&self, bytes: usize) -> (PathBuf, Vec<u8>) {
        let content: Vec<u8> = (0..bytes).map(|at| b"clipboard"[at % 9] ^ (at / 2048 % 32) as u8).collect();
        let path = self.file("copied");
        std::fs::write(&path, &content).unwrap();
        (path, content)
    }

    fn copy_to_machine(&mut self, bytes: usize, (kind, mime): (u32, &str)) {
        let (from, content) = self.content(bytes);
        let to = self.file("pasted");
        self.machine.say("");
        self.client.does(&format!("copy-from {} {kind}", from.display()));
        self.machine.line(&format!("\"grab\", \"mimes\": [\"{mime}\"]"));
        self.machine.say(&format!("paste {} {mime}", to.display()));
        self.machine.line(&format!("\"content\", \"mime\": \"{mime}\", \"bytes\": {bytes}"));
        assert!(read(&to) == content, "{bytes} bytes of {mime} to the machine");
    }

    fn copy_to_viewer(&mut self, bytes: usize, (kind, mime): (u32, &str)) {
        let (from, content) = self.content(bytes);
        let to = self.file("pasted");
        self.client.0.say("");
        self.machine.say(&format!("copy {} {mime}", from.display()));
        self.client.event(&format!("\"clipboard-grab\", \"types\": [{kind}]"));
        self.client.0.say(&format!("paste-to {} {kind}", to.display()));
        self.client.event(&format!("\"clipboard\", \"bytes\": {bytes}"));
        assert!(read(&to) == content, "{bytes} bytes of {mime} to the viewer");
    }
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

/// `SUMAC_CLIPBOARD_BYTES` adds a length, and prints what it takes.
#[test]
fn text_and_pictures_of_any_length_go_both_ways() {
    needs!("text_and_pictures_of_any_length_go_both_ways": "gi", "dbus-daemon");
    let mut ends = Ends::start();
    for bytes in [0, 1, 2047, 2048, 2049, 1_000_000] {
        for kind in [TEXT, PNG, BMP] {
            ends.copy_to_machine(bytes, kind);
            ends.copy_to_viewer(bytes, kind);
        }
    }
    let Some(bytes) = std::env::var("SUMAC_CLIPBOARD_BYTES").ok().and_then(|text| text.parse().ok()) else { return };
    for kind in [TEXT, PNG] {
        let start = Instant::now();
        ends.copy_to_machine(bytes, kind);
        let there = start.elapsed();
        ends.copy_to_viewer(bytes, kind);
        let back = start.elapsed() - there;
        println!("{bytes} bytes of {}: {} ms there, {} ms back", kind.1, there.as_millis(), back.as_millis());
    }
}

#[test]
fn what_is_asked_for_decides_among_several_kinds() {
    needs!("what_is_asked_for_decides_among_several_kinds": "gi", "dbus-daemon");
    let mut ends = Ends::start();
    let (from, content) = ends.content(5000);
    let to = ends.file("pasted");
    ends.client.does(&format!("copy-from {} 1 2 3 6", from.display()));
    ends.machine.line(&format!("\"mimes\": [\"{}\", \"image/png\", \"image/bmp\"]", TEXT.1));
    // Files are told to nobody, and given to nobody.
    ends.machine.say(&format!("paste {} text/uri-list text/html", to.display()));
    let refused = ends.machine.line("\"refused\"");
    assert!(refused.contains("text/uri-list"), "{refused}");
    for (asked, got) in [("text/uri-list image/bmp image/png", "image/bmp"), ("text/plain", TEXT.1)] {
        ends.machine.say(&format!("paste {} {asked}", to.display()));
        ends.machine.line(&format!("\"content\", \"mime\": \"{got}\", \"bytes\": 5000"));
        assert!(read(&to) == content, "{asked}");
    }
    ends.machine.say(&format!("copy {} image/bmp text/html image/png text/uri-list", from.display()));
    ends.client.event("\"clipboard-grab\", \"types\": [3, 2]");
    ends.machine.say(&format!("copy {} text/uri-list", from.display()));
    until("the refusal in the log", || ends.sumac.program.log().contains("what viewers cannot paste"));
    // A viewer that is asked for what it does not have any more.
    ends.machine.say("");
    ends.client.does(&format!("copy-from {} 2", from.display()));
    ends.machine.line("\"grab\"");
    drop(ends.client);
    ends.machine.line("\"release\"");
    ends.machine.say(&format!("paste {} image/png", to.display()));
    ends.machine.line("\"refused\"");
}

#[test]
fn only_the_machine_may_use_the_viewers_clipboard() {
    needs!("only_the_machine_may_use_the_viewers_clipboard": "gi", "dbus-daemon");
    let mut ends = Ends::start();
    ends.machine.say("stranger");
    let refused = ends.machine.line("\"refused\"");
    assert!(refused.contains("AccessDenied"), "{refused}");
    ends.copy_to_viewer(10, TEXT);
    assert_eq!(ends.client.0.count("\"clipboard-grab\""), 1, "the stranger's was not heard");
}
