//! spice-gtk logs in with SASL, by Cyrus' library: SCRAM and PLAIN inside TLS, and what it is told
//! when it may not in.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use super::picture::same_picture;
use super::programs::{Client, Program, Sumac, needs, run_sumac, sumac_binary, tool, until};

const PASSWORD: &str = "pencil and paper";

/// A server with one user, `alice`, that takes TLS on one port and everything on the other.
fn serve(mechanism: &str) -> Sumac {
    let dir = tempfile::tempdir().unwrap();
    run_sumac(dir.path(), &["cert", "pki", "localhost"]);
    let mut passwd = Command::new(sumac_binary());
    passwd.arg("passwd").args([&dir.path().join("users"), Path::new("alice")]);
    let mut passwd = passwd.stdin(Stdio::piped()).spawn().unwrap();
    passwd.stdin.take().unwrap().write_all(format!("{PASSWORD}\n").as_bytes()).unwrap();
    assert!(passwd.wait().unwrap().success());
    let options = ["--x509-dir", "pki", "--tls-port", "0", "--freeze", "--control", "control"];
    Sumac::start_in(dir, "serve", &[&options, &["--sasl-users", "users", "--sasl-mechanisms", mechanism][..]].concat())
}

fn client(sumac: &Sumac, uri: &str, user: &str, password: &str) -> Command {
    let mut command = Command::new(tool("spice-client.py"));
    let ca = sumac.dir().join("pki/ca-cert.pem");
    command.args([uri, "--ca-file", ca.to_str().unwrap(), "--host-subject", "O=Sumac,CN=localhost"]);
    command.args(["--username", user, "--password", password]);
    command
}

/// In with all channels, and listed; the wrong and the unknown are told the same.
fn logs_in(sumac: &Sumac) {
    let mut viewer = Client::start(&mut client(sumac, &sumac.tls_uri(), "alice", PASSWORD));
    same_picture(&mut viewer, sumac);
    let mut status = Command::new(sumac_binary());
    let status = status.args(["status", "--control"]).arg(sumac.dir().join("control")).output().unwrap();
    let status = String::from_utf8(status.stdout).unwrap();
    assert!(status.contains("let in by user alice's login"), "{status}");
    let heard = [("alice", "paper"), ("bob", PASSWORD)].map(|(user, password)| {
        Client(Program::start(&mut client(sumac, &sumac.tls_uri(), user, password))).event("\"error\"")
    });
    assert_eq!(heard[0], heard[1]);
    for reason in ["SASL refused: wrong password", "SASL refused: unknown user"] {
        until(reason, || sumac.program.log().contains(reason));
    }
    let log = sumac.program.log();
    assert!(!log.contains(PASSWORD) && !log.contains("bob"), "{log}");
}

#[test]
fn spice_gtk_logs_in_by_scram() {
    needs!("spice_gtk_logs_in_by_scram": "gi");
    let sumac = serve("SCRAM-SHA-256");
    logs_in(&sumac);
    // In clear it wants a mechanism that encrypts what follows, and there is none.
    let before = sumac.program.log().matches("channel open").count();
    let mut stranger = Client(Program::start(&mut client(&sumac, &sumac.tcp_uri(), "alice", PASSWORD)));
    stranger.event("\"error\"");
    assert_eq!(sumac.program.log().matches("channel open").count(), before);
}

#[test]
fn spice_gtk_logs_in_by_plain() {
    needs!("spice_gtk_logs_in_by_plain": "gi");
    logs_in(&serve("PLAIN"));
}
