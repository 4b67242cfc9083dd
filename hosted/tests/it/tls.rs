//! TLS, judged by openssl(1): versions, certificates of both sides, which channels may be where, and
//! a certificate that is read anew.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;
use tempfile::TempDir;

use crate::client::{DISPLAY, MAIN, connect, hello, read_reply, word_at};
use crate::sumac::{Sumac, run, until};

const NEED_SECURED: u32 = 5;
const NEED_UNSECURED: u32 = 6;
const PERMISSION_DENIED: u32 = 7;

fn skipped() {
    println!("SKIPPED: openssl(1) is not here or too old");
}

/// Makes certificates with the program itself.
fn pki() -> TempDir {
    let dir = tempfile::tempdir().expect("temporary directory");
    let made = run(&["cert", path(dir.path()), "localhost"]);
    assert!(made.status.success() && made.out.contains("--x509-dir"), "{made:?}");
    dir
}

fn path(path: &Path) -> &str {
    path.to_str().expect("a path of letters")
}

fn serve(pki: &TempDir, more: &[&str]) -> Sumac {
    let always = ["--port", "0", "--tls-port", "0", "--disable-ticketing", "--freeze", "--x509-dir", path(pki.path())];
    Sumac::start(&[&always, more].concat())
}

fn address(sumac: &Sumac, port: &str) -> String {
    format!("127.0.0.1:{}", sumac.told(port))
}

/// openssl(1) as a client, quiet, so that its output is what the server says.
struct OpenSsl(Child);

impl OpenSsl {
    /// `None` where there is no openssl(1).
    fn connect(address: &str, pki: &TempDir, more: &[&str]) -> Option<Self> {
        let mut command = Command::new("openssl");
        command.args([
            "s_client",
            "-quiet",
            "-connect",
            address,
            "-verify_return_error",
            "-verify_hostname",
            "localhost",
        ]);
        command.arg("-CAfile").arg(pki.path().join("ca-cert.pem")).args(more);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        Some(Self(command.spawn().ok()?))
    }

    fn say(&mut self, bytes: &[u8]) {
        self.0.stdin.as_mut().expect("stdin is piped").write_all(bytes).expect("openssl reads");
    }

    fn hear(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.0.stdout.as_mut().expect("stdout is piped").read_exact(&mut bytes).expect("the server answers");
        bytes
    }

    /// The error code of the link reply for this channel.
    fn link(&mut self, channel: u8) -> u32 {
        self.say(&hello(0, channel));
        let header = self.hear(16);
        assert!(header.starts_with(b"REDQ"), "{header:?}");
        word_at(&self.hear(word_at(&header, 12) as usize), 0)
    }

    /// Whether the connection came about: the server answers, or nothing.
    fn refused(mut self) -> bool {
        // It may be gone before it has read that.
        let _ = self.0.stdin.as_mut().expect("stdin is piped").write_all(&hello(0, MAIN));
        let mut answer = [0; 4];
        let refused = self.0.stdout.as_mut().expect("stdout is piped").read_exact(&mut answer).is_err();
        assert!(refused || &answer == b"REDQ");
        refused
    }
}

impl Drop for OpenSsl {
    fn drop(&mut self) {
        // Fails only when it is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn both_ports_speak_the_versions_that_are_safe_and_no_others() {
    let pki = pki();
    let sumac = serve(&pki, &[]);
    for port in ["port", "tls_port"] {
        for (version, refused) in [("-tls1_3", false), ("-tls1_2", false), ("-tls1_1", true), ("-tls1", true)] {
            let more = [version, "-cipher", "DEFAULT@SECLEVEL=0"];
            let Some(client) = OpenSsl::connect(&address(&sumac, port), &pki, &more) else { return skipped() };
            assert_eq!(client.refused(), refused, "{version} on {port}");
        }
    }
    assert!(sumac.err().contains("UnsupportedProtocolVersion") || sumac.err().contains("TLS: "), "{}", sumac.err());
}

#[test]
fn only_tls_comes_over_its_own_port() {
    let pki = pki();
    let sumac = serve(&pki, &[]);
    let mut clear = connect(&address(&sumac, "tls_port"));
    clear.write_all(&hello(0, MAIN)).expect("the server reads");
    assert!(read_reply(&mut clear).is_err());
    until("the reason in the log", || sumac.err().contains("nothing else may come on this port"));
    let mut clear = connect(&address(&sumac, "port"));
    clear.write_all(&hello(0, MAIN)).expect("the server reads");
    assert_eq!(read_reply(&mut clear).expect("a reply").0, 0);
}

#[test]
fn channels_are_where_they_may_be() {
    let pki = pki();
    let sumac = serve(&pki, &["--tls-channel", "main", "--plaintext-channel", "display"]);
    for (channel, error) in [(MAIN, NEED_SECURED), (DISPLAY, 0)] {
        let mut clear = connect(&address(&sumac, "port"));
        clear.write_all(&hello(0, channel)).expect("the server reads");
        assert_eq!(read_reply(&mut clear).expect("a reply").0, error);
    }
    for (channel, error) in [(MAIN, 0), (DISPLAY, NEED_UNSECURED)] {
        let Some(mut client) = OpenSsl::connect(&address(&sumac, "tls_port"), &pki, &[]) else { return skipped() };
        assert_eq!(client.link(channel), error);
    }
}

#[test]
fn clients_need_a_certificate_where_they_are_verified() {
    let pki = pki();
    let sumac = serve(&pki, &["--tls-verify-client"]);
    let (cert, key) = (pki.path().join("client-cert.pem"), pki.path().join("client-key.pem"));
    let mut openssl = Command::new("openssl");
    openssl.args([
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-subj",
        "/CN=me",
        "-addext",
        "basicConstraints=critical,CA:FALSE",
    ]);
    openssl.arg("-CA").arg(pki.path().join("ca-cert.pem")).arg("-CAkey").arg(pki.path().join("ca-key.pem"));
    openssl.arg("-out").arg(&cert).arg("-keyout").arg(&key).stderr(Stdio::null());
    if !openssl.status().is_ok_and(|status| status.success()) {
        return skipped();
    }
    let at = address(&sumac, "tls_port");
    let Some(stranger) = OpenSsl::connect(&at, &pki, &[]) else { return skipped() };
    assert!(stranger.refused());
    let Some(mut friend) = OpenSsl::connect(&at, &pki, &["-cert", path(&cert), "-key", path(&key)]) else {
        return skipped();
    };
    assert_eq!(friend.link(MAIN), 0);
}

#[test]
fn a_new_certificate_is_for_those_who_come_and_nobody_is_dropped() {
    let (old, new) = (pki(), pki());
    let old_ca = tempfile::tempdir().expect("temporary directory");
    std::fs::copy(old.path().join("ca-cert.pem"), old_ca.path().join("ca-cert.pem")).expect("a file");
    let sumac = serve(&old, &[]);
    let at = address(&sumac, "tls_port");
    let Some(mut viewer) = OpenSsl::connect(&at, &old_ca, &[]) else { return skipped() };
    assert_eq!(viewer.link(MAIN), 0);
    for name in ["server-cert.pem", "server-key.pem", "ca-cert.pem"] {
        std::fs::copy(new.path().join(name), old.path().join(name)).expect("a file");
    }
    sumac.signal(Signal::HUP);
    until("the new certificate", || sumac.err().contains("the certificate was read again"));
    let Some(client) = OpenSsl::connect(&at, &new, &[]) else { return skipped() };
    assert!(!client.refused());
    let Some(client) = OpenSsl::connect(&at, &old_ca, &[]) else { return skipped() };
    assert!(client.refused(), "the old CA knows the new certificate");
    // The mechanism "ticket", and 128 bytes that hold none: refused, but answered.
    viewer.say(&[&[1, 0, 0, 0][..], &[0; 128]].concat());
    assert_eq!(word_at(&viewer.hear(4), 0), PERMISSION_DENIED);
    std::fs::write(old.path().join("server-cert.pem"), "nothing").expect("a file");
    sumac.signal(Signal::HUP);
    until("the reason", || sumac.err().contains("the old certificate stays in use"));
    let Some(client) = OpenSsl::connect(&at, &new, &[]) else { return skipped() };
    assert!(!client.refused());
}

#[test]
fn the_connection_file_says_all_that_a_viewer_checks() {
    let pki = pki();
    let sumac = serve(&pki, &["--vv", "a.vv"]);
    let file = std::fs::read_to_string(sumac.dir().join("a.vv")).expect("the connection file");
    for line in [
        format!("port={}", sumac.told("port")),
        format!("tls-port={}", sumac.told("tls_port")),
        "host-subject=O=Sumac,CN=localhost".into(),
        "secure-channels=all".into(),
    ] {
        assert!(file.lines().any(|found| found == line), "{line} in {file}");
    }
    assert!(file.contains("\nca=-----BEGIN CERTIFICATE-----\\nMII"), "{file}");
}

#[test]
fn it_does_not_start_without_what_it_needs() {
    for (args, message) in [
        (&["--tls-port", "0"][..], "--tls-port: TLS needs a certificate: name a folder of them with --x509-dir"),
        (&["--port", "0", "--x509-dir", "/nonexistent"], "/nonexistent/server-cert.pem: No such file or directory"),
        (&["--port", "0", "--web-root", "/nonexistent"], "--web-root /nonexistent: No such file or directory"),
    ] {
        let ended = run(args);
        assert!(!ended.status.success() && ended.err.contains(message), "{}", ended.err);
    }
}

#[test]
fn whoever_dawdles_before_the_link_is_closed() {
    let pki = pki();
    let sumac = serve(&pki, &[]);
    let mut waiting = Vec::new();
    // Nothing; a piece of a TLS hello that announces 512 bytes; a request without an end.
    for bytes in [&b""[..], &[0x16, 3, 1, 2, 0, 1, 0], b"GET / HTTP/1.1\r\n"] {
        let mut client = connect(&address(&sumac, "port"));
        client.write_all(bytes).expect("the server reads");
        waiting.push(client);
    }
    until("all of them in the log", || sumac.err().matches("took more than 10 s to come to its link").count() == 3);
    for mut client in waiting {
        // In TLS there is a goodbye before it.
        client.read_to_end(&mut Vec::new()).expect("the end");
    }
}
