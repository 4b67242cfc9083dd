//! Sockets that a service manager opens, what it is told, and hosts without IPv4.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;

use crate::client::{MAIN, connect, hello, read_reply};
use crate::sumac::{Sumac, run, until};

/// Becomes the program with standard input and standard error as its two sockets.
const TWO_SOCKETS: &str = "exec 3<&0 4<&2 0</dev/null 2>stderr; \
    LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=$NAMES exec \"$0\" \"$@\"";

/// The reply's first bytes on a UNIX socket.
fn answered(mut stream: UnixStream) -> bool {
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a limit that is not zero");
    stream.write_all(&hello(0, MAIN)).expect("the server reads");
    let mut head = [0; 4];
    stream.read_exact(&mut head).is_ok() && &head == b"REDQ"
}

#[test]
fn sockets_that_are_open_already_replace_the_default_port() {
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = tcp.local_addr().expect("an address").to_string();
    let dir = tempfile::tempdir().expect("temporary directory");
    let path = dir.path().join("s");
    let unix = UnixListener::bind(&path).expect("a socket");
    let give = |command: &mut Command| {
        let (tcp, unix) = (tcp.try_clone().expect("a duplicate"), unix.try_clone().expect("a duplicate"));
        command.env("NAMES", "spice:more").stdin(OwnedFd::from(tcp)).stderr(OwnedFd::from(unix));
    };
    let sumac = Sumac::start_by_shell(TWO_SOCKETS, &["--disable-ticketing", "--freeze"], give);
    assert_eq!((sumac.told("addr"), sumac.told("unix")), (at.as_str(), path.to_str().expect("a path of letters")));
    let mut client = connect(&at);
    client.write_all(&hello(0, MAIN)).expect("the server reads");
    assert_eq!(read_reply(&mut client).expect("a reply").0, 0);
    assert!(answered(UnixStream::connect(&path).expect("it listens")));
    let ended = sumac.end(Signal::TERM);
    assert_eq!(ended.status.code(), Some(0));
    assert!(path.exists(), "the file is its maker's");
}

#[test]
fn a_socket_of_the_name_tls_takes_nothing_else() {
    let pki = tempfile::tempdir().expect("temporary directory");
    let pki = pki.path().to_str().expect("a path of letters");
    assert!(run(&["cert", pki]).status.success());
    let open = || TcpListener::bind("127.0.0.1:0").expect("a port");
    let (any, tls) = (open(), open());
    let at = |listener: &TcpListener| listener.local_addr().expect("an address");
    let (any_at, tls_at) = (at(&any), at(&tls));
    let give = |command: &mut Command| {
        command.env("NAMES", "spice:tls").stdin(OwnedFd::from(any)).stderr(OwnedFd::from(tls));
    };
    let args = ["--disable-ticketing", "--freeze", "--vv", "none", "--x509-dir", pki];
    let sumac = Sumac::start_by_shell(TWO_SOCKETS, &args, give);
    assert_eq!(sumac.told("port"), any_at.port().to_string());
    assert_eq!(sumac.told("tls_port"), tls_at.port().to_string());
    for (at, refused) in [(any_at, false), (tls_at, true)] {
        let mut client = connect(&at.to_string());
        client.write_all(&hello(0, MAIN)).expect("the server reads");
        assert_eq!(read_reply(&mut client).is_err(), refused, "{at}");
    }
}

#[test]
fn what_is_no_socket_is_named() {
    let script = "exec 3</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=spice exec \"$0\" --vv none";
    let done = Command::new("sh").args(["-c", script, env!("CARGO_BIN_EXE_sumac")]).output().expect("sh runs");
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(1));
    assert!(said.contains("sumac: LISTEN_FDS: socket 3 (spice): "), "{said}");
}

#[test]
fn the_manager_hears_when_it_is_ready_reloads_and_ends() {
    let pki = tempfile::tempdir().expect("temporary directory");
    let pki_path = pki.path().to_str().expect("a path of letters");
    assert!(run(&["cert", pki_path]).status.success());
    let name = format!("sumac-test-notify-{}", std::process::id());
    let by_name = SocketAddr::from_abstract_name(&name).expect("a name");
    let path = pki.path().join("notify");
    let sockets = [
        (UnixDatagram::bind(&path).expect("a socket"), path.to_str().expect("a path of letters").to_owned()),
        (UnixDatagram::bind_addr(&by_name).expect("a socket"), format!("@{name}")),
    ];
    for (socket, variable) in sockets {
        socket.set_read_timeout(Some(Duration::from_secs(30))).expect("a limit that is not zero");
        let hear = || {
            let mut text = [0; 1024];
            let len = socket.recv(&mut text).expect("the manager is told");
            String::from_utf8(text[..len].to_vec()).expect("text")
        };
        let args = ["--port", "0", "--vv", "none", "--freeze", "--x509-dir", pki_path];
        let sumac = Sumac::start_by_shell("exec \"$0\" \"$@\"", &args, |command| {
            command.env("NOTIFY_SOCKET", &variable);
        });
        let ready = format!("READY=1\nSTATUS=serving on {}", sumac.told("addr"));
        assert_eq!(hear(), ready);
        sumac.signal(Signal::HUP);
        assert!(hear().starts_with("RELOADING=1\nMONOTONIC_USEC="));
        assert_eq!(hear(), ready);
        assert_eq!(sumac.end(Signal::TERM).status.code(), Some(0));
        assert_eq!(hear(), "STOPPING=1");
    }
}

#[test]
fn the_unit_leaves_little_open() {
    let unit = concat!(env!("CARGO_MANIFEST_DIR"), "/../packaging/sumac.service");
    let judge = Command::new("systemd-analyze").args(["security", "--offline=true", "--threshold=20", unit]).output();
    let Ok(judged) = judge else {
        println!("SKIPPED: the_unit_leaves_little_open: no systemd-analyze here");
        return;
    };
    let said = String::from_utf8_lossy(&judged.stdout) + String::from_utf8_lossy(&judged.stderr);
    assert!(judged.status.success() && said.contains("Overall exposure level for sumac.service: 1."), "{said}");
}

#[test]
fn an_abstract_socket_is_served() {
    let name = format!("sumac-test-abstract-{}", std::process::id());
    let sumac = Sumac::start(&["--unix", &format!("@{name}"), "--disable-ticketing", "--freeze", "--vv", "none"]);
    assert_eq!((sumac.told("unix"), sumac.told("port")), (format!("@{name}").as_str(), "0"));
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    assert!(answered(UnixStream::connect_addr(&address).expect("it listens")));
}

#[test]
fn a_host_without_ipv4_is_served_on_all_its_addresses() {
    // A network of its own, in which the loopback device has ::1 alone.
    let script = "ip link set lo up && ip address del 127.0.0.1/8 dev lo && exec \"$0\" \"$@\"";
    let alone =
        |script: &str| Command::new("unshare").args(["--net", "sh", "-c", script]).stderr(Stdio::null()).status();
    let possible = "ip link set lo up && ip address del 127.0.0.1/8 dev lo && ip address show dev lo | grep -q inet6";
    if !alone(possible).is_ok_and(|status| status.success()) {
        println!("SKIPPED: a_host_without_ipv4_is_served_on_all_its_addresses: no network of its own with IPv6 here");
        return;
    }
    for addr in ["::", "::1"] {
        let inner = format!("exec unshare --net sh -c '{script}' \"$0\" \"$@\"");
        let args = ["--addr", addr, "--port", "0", "--disable-ticketing", "--freeze", "--vv", "a.vv"];
        let sumac = Sumac::start_by_shell(&inner, &args, |_| {});
        assert!(sumac.told("addr").starts_with(&format!("[{addr}]:")), "{}", sumac.ready);
        let vv = sumac.dir().join("a.vv");
        until("the connection file", || vv.exists());
        let text = std::fs::read_to_string(vv).expect("a file");
        assert!(text.contains("host=::1\n"), "{text}");
        let client = format!(
            "exec nsenter --net=/proc/{}/ns/net bash -c 'exec 3<>/dev/tcp/::1/{} && printf G >&3'",
            sumac.pid(),
            sumac.told("port")
        );
        let reached = Command::new("bash").args(["-c", &client]).status().expect("bash runs");
        assert!(reached.success(), "{addr}");
    }
}
