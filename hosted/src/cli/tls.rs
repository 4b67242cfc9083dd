//! `TLS`.

use std::path::PathBuf;

use clap::Args;
use sumac::config::{ChannelWord, Config, KeyPassword, Security, Tls};

use super::values::secret_file;

#[derive(Args)]
#[command(next_help_heading = "TLS")]
pub(super) struct TlsArgs {
    /// Folder with server-cert.pem, server-key.pem and ca-cert.pem; `sumac cert DIR` makes one.
    /// SIGHUP reads them again.
    #[arg(long, value_name = "DIR")]
    x509_dir: Option<PathBuf>,
    /// The server's certificate, and those between it and its CA.
    #[arg(long, value_name = "FILE")]
    x509_cert_file: Option<PathBuf>,
    /// Its private key.
    #[arg(long, value_name = "FILE")]
    x509_key_file: Option<PathBuf>,
    /// The certificates of the CA.
    #[arg(long, value_name = "FILE")]
    x509_cacert_file: Option<PathBuf>,
    /// File with the password of an encrypted private key in its first line, or credential:NAME.
    #[arg(long, value_name = "FILE", value_parser = secret_file)]
    x509_key_password_file: Option<PathBuf>,
    /// Viewers over TLS must have a certificate of the CA, too; --tls-channel default keeps the
    /// others out.
    #[arg(long)]
    tls_verify_client: bool,
    /// Channel that may only be linked over TLS, such as inputs; default means all others.
    #[arg(long, value_name = "CHANNEL")]
    tls_channel: Vec<ChannelWord>,
    /// Channel that may only be linked in clear.
    #[arg(long, value_name = "CHANNEL")]
    plaintext_channel: Vec<ChannelWord>,
}

impl TlsArgs {
    pub(super) fn apply(self, config: &mut Config) {
        config.tls.overrule(Tls {
            dir: self.x509_dir,
            certificate: self.x509_cert_file,
            key: self.x509_key_file,
            ca: self.x509_cacert_file,
            key_password: self.x509_key_password_file.map(KeyPassword::File),
            verify_client: self.tls_verify_client,
        });
        let secured = self.tls_channel.into_iter().map(|channel| (channel, Security::Secured));
        config.channel_security.extend(secured);
        let unsecured = self.plaintext_channel.into_iter().map(|channel| (channel, Security::Unsecured));
        config.channel_security.extend(unsecured);
    }
}

#[cfg(test)]
mod tests {
    use sumac::config::{Policy, channel_policy};
    use sumac_core::proto::common::ChannelType;

    use super::*;
    use crate::cli::Action;
    use crate::cli::testing::{assert_error, config, parsed};

    #[test]
    fn certificates_and_what_may_travel_in_clear() {
        let from_spice =
            config("sumac --spice tls-port=1,x509-dir=a,x509-key-password=p,tls-channel=default,tls-channel=main");
        assert_eq!((from_spice.listen.tcp_port(), from_spice.listen.tls_port), (None, Some(1)));
        assert_eq!(from_spice.tls.key_file(), Some("a/server-key.pem".into()));
        let policy = channel_policy(&from_spice.channel_security);
        assert_eq!(policy, Policy::all(Security::Secured).with(ChannelType::MAIN, Security::Secured));
        let both = config(
            "sumac --spice x509-dir=a,x509-cert-file=c --port 1 --tls-port 2 --x509-dir b --x509-key-file k \
             --x509-cacert-file ca --x509-key-password-file p --tls-verify-client --plaintext-channel playback",
        );
        let tls = Tls {
            dir: Some("b".into()),
            certificate: Some("c".into()),
            key: Some("k".into()),
            ca: Some("ca".into()),
            key_password: Some(KeyPassword::File("p".into())),
            verify_client: true,
        };
        assert_eq!((both.listen.port, both.listen.tls_port, both.tls), (Some(1), Some(2), tls));
        assert_eq!(channel_policy(&both.channel_security).of(ChannelType::PLAYBACK), Security::Unsecured);
        assert_eq!(config("sumac --tls-port 1 --addr ::1 --x509-dir a").listen.addr, "::1");
        let Ok(Action::Cert { names, .. }) = parsed("sumac cert pki") else { panic!("no certificate") };
        assert_eq!(names, ["localhost", "127.0.0.1", "::1"]);
    }

    #[test]
    fn usage_errors_name_the_thing() {
        for (line, expected) in [
            (
                "sumac --tls-channel x",
                "error: invalid value 'x' for '--tls-channel <CHANNEL>': 'x' is not one of default,",
            ),
            ("sumac --tls-port 1", "error: --tls-port: TLS needs a certificate: name a folder of them with --x509-dir"),
        ] {
            assert_error(line, expected);
        }
    }
}
