//! The commands that ask a running server over its control socket.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use sumac::auth::Password;
use sumac::control::Request;

use super::values::{duration, secret_file};

#[derive(Subcommand)]
pub(super) enum ControlCommand {
    /// Make a ticket for a viewer and print it, or list or revoke tickets.
    Ticket(TicketArgs),
    /// Set another password, or let it expire; whoever is connected stays.
    Password(PasswordArgs),
    /// List the viewers, their channels, codecs and links, and what let them in.
    Status(StatusArgs),
    /// Disconnect viewers.
    Disconnect(DisconnectArgs),
}

#[derive(Args)]
struct Socket {
    /// The server's control socket, as its own --control names it.
    #[arg(long, value_name = "PATH")]
    control: PathBuf,
}

#[derive(Args)]
pub(super) struct TicketArgs {
    #[command(flatten)]
    socket: Socket,
    #[command(flatten)]
    what: TicketAction,
    /// The ticket lets in once.
    #[arg(long, conflicts_with_all = ["list", "revoke"])]
    once: bool,
    /// How long the ticket lets in, such as 60s, 15m, 8h [default: until it is revoked].
    #[arg(long, value_name = "TIME", value_parser = duration, conflicts_with_all = ["list", "revoke"])]
    ttl: Option<Duration>,
    /// Whoever has the ticket sees and hears only: keys, mouse, clipboard, microphone and devices do
    /// nothing.
    #[arg(long, conflicts_with_all = ["list", "revoke"])]
    view_only: bool,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct TicketAction {
    /// Whom the ticket is for, as lists and logs name it.
    #[arg(long = "for", value_name = "NAME")]
    name: Option<String>,
    /// List the tickets that are good, without their text.
    #[arg(long)]
    list: bool,
    /// Revoke the tickets of this name or number, and disconnect the viewers that came with them.
    #[arg(long, value_name = "NAME|ID")]
    revoke: Option<String>,
}

#[derive(Args)]
pub(super) struct PasswordArgs {
    #[command(flatten)]
    socket: Socket,
    #[command(flatten)]
    what: PasswordAction,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct PasswordAction {
    /// Set the password in the first line of this file, which may be credential:NAME, or of standard
    /// input without one.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-", value_parser = secret_file)]
    set: Option<PathBuf>,
    /// Let the password expire after this time, such as 60s, 15m, 8h, or at once without one.
    #[arg(long, value_name = "TIME", num_args = 0..=1, default_missing_value = "0", value_parser = duration)]
    expire: Option<Duration>,
}

#[derive(Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    socket: Socket,
    /// As one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(super) struct DisconnectArgs {
    #[command(flatten)]
    socket: Socket,
    #[command(flatten)]
    who: Who,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct Who {
    /// The viewer's number, as `sumac status` lists it.
    viewer: Option<u32>,
    /// All viewers.
    #[arg(long)]
    all: bool,
}

/// A question to a running server.
pub(crate) struct Ask {
    /// Its control socket.
    pub(crate) control: PathBuf,
    /// The question.
    pub(crate) what: What,
    /// The answer is printed as JSON.
    pub(crate) json: bool,
}

/// What is asked.
pub(crate) enum What {
    /// This.
    Request(Request),
    /// To set the password in this file, or on standard input if it is `-`: read only now, so that a
    /// command line that is wrong reads nothing.
    SetPassword(PathBuf),
}

impl ControlCommand {
    pub(super) fn into_ask(self) -> Ask {
        match self {
            Self::Ticket(ticket) => ticket.into_ask(),
            Self::Password(PasswordArgs { socket, what }) => {
                let after = what.expire.unwrap_or_default().as_secs();
                socket.ask(what.set.map_or(What::Request(Request::ExpirePassword { after }), What::SetPassword))
            }
            Self::Status(StatusArgs { socket, json }) => Ask { json, ..socket.ask(What::Request(Request::Status {})) },
            Self::Disconnect(DisconnectArgs { socket, who }) => {
                let one = who.viewer.map(|viewer| Request::Disconnect { viewer });
                socket.ask(What::Request(one.unwrap_or(Request::DisconnectAll {})))
            }
        }
    }
}

impl TicketArgs {
    fn into_ask(self) -> Ask {
        let Self { socket, what, once, ttl, view_only } = self;
        let ttl = ttl.map(|ttl| ttl.as_secs());
        socket.ask(What::Request(match (what.name, what.revoke) {
            (Some(name), _) => Request::MakeTicket { name, once, ttl, view_only },
            (None, Some(which)) => Request::RevokeTickets { which },
            (None, None) => Request::ListTickets {},
        }))
    }
}

impl Socket {
    fn ask(self, what: What) -> Ask {
        Ask { control: self.control, what, json: false }
    }
}

impl What {
    /// The request; reads the password if there is one to be set.
    pub(crate) fn into_request(self) -> anyhow::Result<Request> {
        Ok(match self {
            Self::Request(request) => request,
            Self::SetPassword(path) if path.as_os_str() == "-" => {
                Request::SetPassword { password: Password::from_stdin()? }
            }
            Self::SetPassword(path) => Request::SetPassword { password: Password::from_file(&path)? },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Action;
    use crate::cli::testing::{assert_error, parsed};

    fn asked(line: &str) -> String {
        let Ok(Action::Ask(ask)) = parsed(line) else { panic!("{line}: it asks nothing") };
        assert_eq!(ask.control, PathBuf::from("c"));
        match ask.what {
            What::Request(request) => format!("{request:?}"),
            What::SetPassword(path) => format!("SetPassword {}", path.display()),
        }
    }

    #[test]
    fn what_is_asked() {
        for (line, expected) in [
            (
                "sumac ticket --control c --for alice --once --ttl 60s --view-only",
                r#"MakeTicket { name: "alice", once: true, ttl: Some(60), view_only: true }"#,
            ),
            (
                "sumac ticket --for alice --control c",
                r#"MakeTicket { name: "alice", once: false, ttl: None, view_only: false }"#,
            ),
            ("sumac ticket --control c --list", "ListTickets"),
            ("sumac ticket --control c --revoke 3", r#"RevokeTickets { which: "3" }"#),
            ("sumac password --control c --set", "SetPassword -"),
            ("sumac password --control c --set pw", "SetPassword pw"),
            ("sumac password --control c --expire", "ExpirePassword { after: 0 }"),
            ("sumac password --control c --expire 5m", "ExpirePassword { after: 300 }"),
            ("sumac status --control c", "Status"),
            ("sumac disconnect --control c 7", "Disconnect { viewer: 7 }"),
            ("sumac disconnect --control c --all", "DisconnectAll"),
        ] {
            assert_eq!(asked(line), expected, "{line}");
        }
        assert!(matches!(parsed("sumac status --json --control c"), Ok(Action::Ask(Ask { json: true, .. }))));
    }

    #[test]
    fn usage_errors_name_the_thing() {
        for (line, expected) in [
            ("sumac status", "error: the following required arguments were not provided:"),
            ("sumac ticket --control c", "error: the following required arguments were not provided:"),
            ("sumac ticket --control c --for a --list", "error: the argument '--for <NAME>' cannot be used with"),
            ("sumac ticket --control c --list --once", "error: the argument '--list' cannot be used with '--once'"),
            ("sumac ticket --control c --for a --ttl 1w", "error: invalid value '1w' for '--ttl <TIME>': '1w' is not"),
            ("sumac password --control c --set --expire", "error: the argument '--set [<FILE>]' cannot be used with"),
            ("sumac disconnect --control c", "error: the following required arguments were not provided:"),
            ("sumac disconnect --control c 7 --all", "error: the argument '[VIEWER]' cannot be used with"),
        ] {
            assert_error(line, expected);
        }
    }
}
