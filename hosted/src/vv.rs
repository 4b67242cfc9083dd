//! The connection file for `remote-viewer FILE`: where the server is, and the password.
//!
//! A GLib key file with one group. Only this machine can be meant: the server does not know under
//! which name others reach it, so a wildcard address becomes the loopback address.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::auth::Password;
use crate::config::{Policy, UnixAddress, allows_clear, secure_channels};
use crate::transport::Listeners;

/// Only the owner: the password is in it.
const MODE: u32 = 0o600;

/// Where a viewer on this machine finds the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// TCP address and port.
    Tcp(SocketAddr),
    /// Socket file, absolute.
    Unix(String),
}

/// What a viewer must know of TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secure {
    /// The port where it is spoken.
    pub port: u16,
    /// Whether any channel may be linked in clear, and there is a port for it.
    pub clear: bool,
    /// The channels that are linked over it; `None` means all.
    pub channels: Option<Vec<&'static str>>,
    /// The subject of the server's certificate.
    pub subject: String,
    /// The CA's certificates, in PEM.
    pub ca: Option<String>,
}

impl Secure {
    /// What holds for these sockets, with a certificate of this subject and CA: where TLS may be
    /// spoken, it is.
    pub fn new(listeners: &Listeners, subject: String, ca: Option<String>, policy: &Policy) -> Self {
        let (clear, tls) = (listeners.tcp_addresses(), listeners.tls_addresses());
        let port = tls.first().or(clear.first()).map_or(0, SocketAddr::port);
        let channels = secure_channels(policy);
        Self { port, clear: !clear.is_empty() && allows_clear(policy), channels, subject, ca }
    }
}

impl Target {
    /// The best of the open sockets: TCP if there is any, as it works in every viewer. `None` when
    /// only a socket is open that a connection file cannot name (abstract, or not UTF-8).
    pub fn choose(tcp: &[SocketAddr], unix: Option<&UnixAddress>) -> Option<Self> {
        // A host without IPv4 can listen on all of its addresses, and has none.
        let v4_first = tcp.iter().map(|at| reachable(*at)).min_by_key(|at| (!is_here(at.ip()), at.is_ipv6()));
        match (v4_first, unix) {
            (Some(address), _) => Some(Self::Tcp(address)),
            (None, Some(UnixAddress::Path(path))) => {
                std::path::absolute(path).ok()?.into_os_string().into_string().ok().map(Self::Unix)
            }
            _ => None,
        }
    }
}

/// Writes the file with mode 0600, all of it or nothing: it appears under `path` when it is complete.
/// A regular file there is replaced, anything else is an error.
pub fn write(
    path: &Path,
    target: &Target,
    secure: Option<&Secure>,
    password: Option<&Password>,
    title: &str,
) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "it exists and is not a regular file"));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let (mut file, unfinished) = create_beside(path)?;
    let written = file
        .write_all(contents(target, secure, password, title).as_bytes())
        .and_then(|()| fs::rename(&unfinished, path));
    if written.is_err() {
        // The first error is the one worth telling.
        let _ = fs::remove_file(&unfinished);
    }
    written
}

/// A new file in the same directory, so that renaming it is one step.
fn create_beside(path: &Path) -> io::Result<(File, PathBuf)> {
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?.to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let unfinished = path.with_file_name(name);
    // A leftover of a process that had our number; when it cannot be removed, the next call says so.
    let _ = fs::remove_file(&unfinished);
    let file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&unfinished)?;
    Ok((file, unfinished))
}

fn contents(target: &Target, secure: Option<&Secure>, password: Option<&Password>, title: &str) -> String {
    let mut text = String::from("[virt-viewer]\ntype=spice\n");
    let mut line = |key: &str, value: &str| {
        text.push_str(key);
        text.push('=');
        escape(value, &mut text);
        text.push('\n');
    };
    match target {
        Target::Tcp(address) => {
            line("host", &host(address));
            if secure.is_none_or(|secure| secure.clear) {
                line("port", &address.port().to_string());
            }
            if let Some(Secure { port, channels, subject, ca, .. }) = secure {
                line("tls-port", &port.to_string());
                let channels = channels.as_ref().map_or("all".into(), |channels| channels.join(";"));
                line("secure-channels", &channels);
                line("host-subject", subject);
                ca.iter().for_each(|ca| line("ca", ca));
            }
        }
        Target::Unix(path) => line("unix-path", path),
    }
    if let Some(password) = password {
        line("password", password.reveal());
    }
    line("title", title);
    text
}

/// The address as a viewer takes it: without brackets, with the zone of a link-local address.
fn host(address: &SocketAddr) -> String {
    match address {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => format!("{}%{}", v6.ip(), v6.scope_id()),
        _ => address.ip().to_string(),
    }
}

fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

/// Whether this machine has the address.
fn is_here(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

/// A key file's escapes. Spaces at either end would be dropped, in between they may stand.
fn escape(value: &str, text: &mut String) {
    let inner = value.trim_matches(' ');
    let leading = value.len() - value.trim_start_matches(' ').len();
    let trailing = value.len() - leading - inner.len();
    text.extend(std::iter::repeat_n("\\s", leading));
    for c in inner.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            other => text.push(other),
        }
    }
    text.extend(std::iter::repeat_n("\\s", trailing));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|address| address.parse().unwrap()).collect()
    }

    fn tcp(address: &str) -> Target {
        Target::Tcp(address.parse().unwrap())
    }

    fn escaped(value: &str) -> String {
        let mut text = String::new();
        escape(value, &mut text);
        text
    }

    #[test]
    fn a_viewer_on_this_machine_can_reach_the_target() {
        for (open, target) in [
            (&["127.0.0.1:5900"][..], "127.0.0.1:5900"),
            (&["0.0.0.0:5900"], "127.0.0.1:5900"),
            (&["[::]:5900", "0.0.0.0:5900"], "127.0.0.1:5900"),
            (&["[::]:5900"], "[::1]:5900"),
            (&["192.0.2.7:1"], "192.0.2.7:1"),
        ] {
            assert_eq!(Target::choose(&addresses(open), None), Some(tcp(target)), "{open:?}");
        }
    }

    #[test]
    fn unix_sockets() {
        let path = UnixAddress::Path("/run/s".into());
        assert_eq!(Target::choose(&[], Some(&path)), Some(Target::Unix("/run/s".into())));
        assert_eq!(Target::choose(&addresses(&["[::1]:1"]), Some(&path)), Some(tcp("[::1]:1")));
        assert_eq!(Target::choose(&[], Some(&UnixAddress::Abstract(b"s".to_vec()))), None);
        let Some(Target::Unix(made)) = Target::choose(&[], Some(&UnixAddress::Path("s".into()))) else {
            panic!("no target")
        };
        assert!(made.starts_with('/') && made.ends_with("/s"));
    }

    #[test]
    fn contents_as_virt_viewer_reads_them() {
        let password = Password::new(" a\\b;c ").unwrap();
        assert_eq!(
            contents(&tcp("[::1]:5900"), None, Some(&password), "My desk"),
            "[virt-viewer]\ntype=spice\nhost=::1\nport=5900\npassword=\\sa\\\\b;c\\s\ntitle=My desk\n"
        );
        assert_eq!(
            contents(&Target::Unix("/run/a b".into()), None, None, "x"),
            "[virt-viewer]\ntype=spice\nunix-path=/run/a b\ntitle=x\n"
        );
        assert_eq!(host(&"[fe80::1%2]:1".parse().unwrap()), "fe80::1%2");
    }

    #[test]
    fn tls_is_spoken_where_it_may_be() {
        let secure = Secure {
            port: 5901,
            clear: true,
            channels: Some(vec!["main", "inputs"]),
            subject: "O=a\\,b,CN=desk".into(),
            ca: Some("-----\nA\n".into()),
        };
        assert_eq!(
            contents(&tcp("[::1]:5900"), Some(&secure), None, "x"),
            "[virt-viewer]\ntype=spice\nhost=::1\nport=5900\ntls-port=5901\nsecure-channels=main;inputs\n\
             host-subject=O=a\\\\,b,CN=desk\nca=-----\\nA\\n\ntitle=x\n"
        );
        let only = Secure { clear: false, channels: None, ca: None, ..secure };
        let text = contents(&tcp("[::1]:5900"), Some(&only), None, "x");
        assert!(text.contains("host=::1\ntls-port=5901\nsecure-channels=all\nhost-subject="), "{text}");
    }

    #[test]
    fn escapes() {
        assert_eq!(escaped("a\nb\rc\td"), "a\\nb\\rc\\td");
        assert_eq!(escaped("  a b "), "\\s\\sa b\\s");
        assert_eq!(escaped("  "), "\\s\\s");
        assert_eq!(escaped(""), "");
    }

    #[test]
    fn the_file_is_for_its_owner_also_when_it_replaces_another() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sumac.vv");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        write(&path, &tcp("127.0.0.1:1"), None, None, "x").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(fs::read_to_string(&path).unwrap().contains("port=1\n"));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing else is left behind");
    }

    #[test]
    fn a_leftover_does_not_block_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sumac.vv");
        drop(create_beside(&path).unwrap());
        write(&path, &tcp("127.0.0.1:1"), None, None, "x").unwrap();
    }

    #[test]
    fn what_is_not_a_file_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("/dev/null", &link).unwrap();
        for path in [dir.path(), &link, Path::new("/dev/null")] {
            let error = write(path, &tcp("127.0.0.1:1"), None, None, "x").unwrap_err();
            assert_eq!(error.to_string(), "it exists and is not a regular file");
        }
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error() {
        let error = write(Path::new("/nonexistent/a.vv"), &tcp("127.0.0.1:1"), None, None, "x").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
