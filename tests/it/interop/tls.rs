//! spice-gtk and remote-viewer over TLS, with the CA and the server's subject checked.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use super::picture::same_picture;
use super::programs::{Client, Program, RemoteViewer, Sumac, needs, run_sumac, tool, until};

/// A server that takes nothing in clear, with certificates that the program made.
fn secure() -> Sumac {
    let dir = tempfile::tempdir().unwrap();
    run_sumac(dir.path(), &["cert", "pki", "desk.example"]);
    let options =
        ["--x509-dir", "pki", "--tls-port", "0", "--tls-channel", "default", "--freeze", "--disable-ticketing"];
    Sumac::start_in(dir, "serve", &options)
}

fn client(sumac: &Sumac, ca: &str, subject: &str) -> Command {
    let mut command = Command::new(tool("spice-client.py"));
    command.args([&sumac.tls_uri(), "--ca-file", sumac.dir().join(ca).to_str().unwrap(), "--host-subject", subject]);
    command
}

#[test]
fn spice_gtk_sees_the_picture_over_tls_and_checks_who_shows_it() {
    needs!("spice_gtk_sees_the_picture_over_tls_and_checks_who_shows_it": "gi");
    let sumac = secure();
    let mut viewer = Client::start(&mut client(&sumac, "pki/ca-cert.pem", "O=Sumac,CN=desk.example"));
    same_picture(&mut viewer, &sumac);
    run_sumac(sumac.dir(), &["cert", "other", "desk.example"]);
    for (ca, subject) in [("pki/ca-cert.pem", "O=Sumac,CN=evil"), ("other/ca-cert.pem", "O=Sumac,CN=desk.example")] {
        let mut stranger = Client(Program::start(&mut client(&sumac, ca, subject)));
        stranger.event("\"error\"");
    }
}

#[test]
fn remote_viewer_connects_over_tls_by_the_connection_file() {
    needs!("remote_viewer_connects_over_tls_by_the_connection_file": "remote-viewer", "Xvfb");
    let sumac = secure();
    let _viewer = RemoteViewer::start(&sumac);
    until("remote-viewer's display channel", || sumac.program.log().contains("kind=DISPLAY"));
}

/// A handshake costs a server ten times what it costs a client: no client gets a second one.
#[test]
fn cve_2021_20201_renegotiation_is_refused() {
    needs!("cve_2021_20201_renegotiation_is_refused": "openssl");
    let sumac = secure();
    let address = sumac.tls_uri().rsplit_once('=').map(|(_, port)| format!("127.0.0.1:{port}")).unwrap();
    let mut openssl = Command::new("timeout");
    openssl.args(["60", "openssl", "s_client", "-tls1_2", "-connect", &address]);
    openssl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut openssl = openssl.spawn().unwrap();
    let mut lines = BufReader::new(openssl.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("Verify return code")), "TLS 1.2 is spoken");
    openssl.stdin.as_mut().unwrap().write_all(b"R\n").unwrap();
    // What it says to the end is little, so nothing is left in the pipes.
    let ended = openssl.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(said.contains("RENEGOTIATING") && said.contains("no renegotiation"), "{said}");
}
