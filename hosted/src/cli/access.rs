//! `Who may connect`.

use std::path::PathBuf;

use clap::Args;
use sumac::config::{Config, Name, Sasl, SaslMechanism, Ticketing, Uuid};

use super::values::{on_off, secret_file};

#[derive(Args)]
#[command(next_help_heading = "Who may connect")]
pub(super) struct AccessArgs {
    /// File with the password in its first line; credential:NAME is one that systemd passes to a service
    /// [default: a random password is printed].
    #[arg(long, value_name = "FILE", value_parser = secret_file, conflicts_with = "disable_ticketing")]
    password_file: Option<PathBuf>,
    /// Let everybody in who reaches the port.
    #[arg(long)]
    disable_ticketing: bool,
    /// Viewers log in with SASL, instead of a ticket; needs --sasl-users.
    #[arg(long)]
    sasl: bool,
    /// File of users for SASL, which `sumac passwd` makes, or credential:NAME; SIGHUP reads it again.
    #[arg(long, value_name = "FILE", value_parser = secret_file)]
    sasl_users: Option<PathBuf>,
    /// The only mechanisms that are offered, the most wanted first: SCRAM-SHA-256, PLAIN (inside TLS
    /// only) [default: all].
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    sasl_mechanisms: Vec<SaslMechanism>,
    /// Viewers may show a ticket instead.
    #[arg(long)]
    sasl_or_ticket: bool,
    /// UNIX socket for `sumac ticket`, `password`, `status` and `disconnect`; it answers to this user and
    /// to root.
    #[arg(long, value_name = "PATH")]
    control: Option<PathBuf>,
    /// Whether wrong passwords slow their sender down [default: on].
    #[arg(long, value_name = "on|off", value_parser = on_off)]
    auth_rate: Option<bool>,
    /// Nothing that is copied goes between viewers and the guest.
    #[arg(long)]
    disable_copy_paste: bool,
    /// Viewers may not send files to the guest's agent.
    #[arg(long)]
    disable_agent_file_xfer: bool,
    /// A new viewer ends the sessions of the others.
    #[arg(long)]
    exclusive: bool,
    /// Connection file for remote-viewer, or "none" [default: sumac.vv].
    #[arg(long, value_name = "PATH|none")]
    vv: Option<PathBuf>,
    /// Name of the desktop in the viewer's title [default: Sumac].
    #[arg(long)]
    name: Option<Name>,
    /// UUID of the desktop.
    #[arg(long)]
    uuid: Option<Uuid>,
}

impl AccessArgs {
    pub(super) fn apply(self, config: &mut Config) {
        if self.disable_ticketing {
            config.ticketing = Ticketing::Disabled;
        }
        if let Some(file) = self.password_file {
            config.ticketing = Ticketing::File(file);
        }
        config.sasl.overrule(Sasl {
            on: self.sasl,
            users: self.sasl_users,
            mechanisms: self.sasl_mechanisms,
            or_ticket: self.sasl_or_ticket,
        });
        config.control = self.control;
        config.auth_rate = self.auth_rate.unwrap_or(config.auth_rate);
        config.exclusive = self.exclusive;
        config.copy_paste &= !self.disable_copy_paste;
        config.file_transfer &= !self.disable_agent_file_xfer;
        if let Some(path) = self.vv {
            config.vv = Some(path).filter(|path| path.as_os_str() != "none");
        }
        config.name = self.name;
        config.uuid = self.uuid;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::testing::{assert_error, config};

    #[test]
    fn who_may_connect() {
        let with = |line: &str| format!("{:?}", config(line).ticketing);
        assert_eq!(with("sumac --disable-ticketing"), "Disabled");
        assert_eq!(with("sumac --password-file pw"), "File(\"pw\")");
        assert_eq!(with("sumac --spice disable-ticketing=on --password-file pw"), "File(\"pw\")");
        assert_eq!(with("sumac --spice password=x --disable-ticketing"), "Disabled");
        let sasl = config("sumac --spice sasl=on --sasl-users u --sasl-mechanisms PLAIN,SCRAM-SHA-256").sasl;
        assert_eq!((sasl.on, sasl.or_ticket, sasl.users), (true, false, Some("u".into())));
        assert_eq!(sasl.mechanisms.iter().map(SaslMechanism::as_str).collect::<Vec<_>>(), ["PLAIN", "SCRAM-SHA-256"]);
        assert!(config("sumac --sasl --sasl-or-ticket").sasl.or_ticket);
        assert!(!config("sumac --spice sasl=off").sasl.is_wanted());
        assert_eq!(config("sumac --control c").control, Some("c".into()));
        assert!(!config("sumac --auth-rate off").auth_rate);
        assert!(config("sumac --exclusive").exclusive);
        assert_eq!(config("sumac --vv none").vv, None);
        assert_eq!(config("sumac --vv ./none").vv, Some("./none".into()));
    }

    #[test]
    fn usage_errors_name_the_thing() {
        for (line, expected) in [
            ("sumac --auth-rate maybe", "error: invalid value 'maybe' for '--auth-rate <on|off>': 'maybe' is not on"),
            (
                "sumac --sasl-mechanisms plain",
                "error: invalid value 'plain' for '--sasl-mechanisms <NAME,…>': 'plain' is",
            ),
            ("sumac --password-file p --disable-ticketing", "error: the argument '--password-file <FILE>' cannot be"),
            ("sumac --uuid 1", "error: invalid value '1' for '--uuid <UUID>': '1' is not a UUID like"),
        ] {
            assert_error(line, expected);
        }
    }
}
