//! `Where clients connect`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;
use sumac::config::{Config, UnixAddress};

#[derive(Args)]
#[command(next_help_heading = "Where clients connect")]
pub(super) struct ListenArgs {
    /// Address or host name to listen on; "::" is every address of this machine [default: 127.0.0.1].
    #[arg(long, value_name = "ADDR")]
    addr: Option<String>,
    /// TCP port, 0 to let the system choose [default: 5900, unless there is a --unix].
    #[arg(long, value_name = "N")]
    port: Option<u16>,
    /// TCP port for TLS only, 0 to let the system choose; --port takes TLS, too, when there is a
    /// certificate.
    #[arg(long, value_name = "N")]
    tls_port: Option<u16>,
    /// UNIX socket; a leading @ makes it abstract.
    #[arg(long, value_name = "PATH")]
    unix: Option<OsString>,
    /// Folder of files for browsers, such as /usr/share/spice-html5.
    #[arg(long, value_name = "DIR")]
    web_root: Option<PathBuf>,
}

impl ListenArgs {
    pub(super) fn apply(self, config: &mut Config) -> Result<(), String> {
        config.web_root = self.web_root;
        let listen = &mut config.listen;
        listen.port = self.port.or(listen.port);
        listen.tls_port = self.tls_port.or(listen.tls_port);
        if let Some(unix) = self.unix {
            listen.unix = Some(UnixAddress::from(unix.as_os_str()));
        }
        if let Some(addr) = self.addr {
            if listen.tcp_port().or(listen.tls_port).is_none() {
                return Err("--addr: there is no TCP port; add --port N to have one beside the UNIX socket".into());
            }
            listen.addr = addr;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::testing::{assert_error, config};

    #[test]
    fn ports_and_sockets_replace_the_default_port() {
        for (line, port, unix) in [
            ("sumac --unix /run/s", None, Some("/run/s")),
            ("sumac --unix @s --port 0", Some(0), Some("@s")),
            ("sumac --spice unix=on,addr=/run/s", None, Some("/run/s")),
            ("sumac --spice unix=on,addr=/run/s --port 1", Some(1), Some("/run/s")),
            ("sumac --spice port=1 --port 2", Some(2), None),
            ("sumac --spice port=1 --unix /run/s", Some(1), Some("/run/s")),
        ] {
            let listen = config(line).listen;
            assert_eq!(listen.tcp_port(), port, "{line}");
            assert_eq!(listen.unix.map(|unix| unix.to_string()).as_deref(), unix, "{line}");
        }
    }

    #[test]
    fn usage_errors_name_the_thing() {
        for (line, expected) in [
            ("sumac --unix s --addr ::1", "error: --addr: there is no TCP port; add --port N"),
            ("sumac --port 65536", "error: invalid value '65536' for '--port <N>': "),
        ] {
            assert_error(line, expected);
        }
    }
}
