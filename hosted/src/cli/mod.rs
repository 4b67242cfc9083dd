//! The command line of the binary, turned into what it asks for. Each heading of `--help` has a file
//! with its options, what they do to a [`Config`], and their tests.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use sumac::config::{Config, apply_spice_options};
use sumac::qemu::QemuCommand;

use access::AccessArgs;
pub(crate) use control::Ask;
use control::ControlCommand;
use listen::ListenArgs;
pub(crate) use manual::{completions, man};
use output::OutputArgs;
pub(crate) use passwd::PasswdArgs;
use picture::PictureArgs;
use process::{ENCODER_HELPER, ProcessArgs};
use source::SourceArgs;
use tls::TlsArgs;

mod access;
mod control;
mod listen;
mod manual;
mod output;
mod passwd;
mod picture;
mod process;
mod source;
mod tls;
mod values;

/// A SPICE server.
///
/// Without a command it does what `serve` does.
#[derive(Parser)]
#[command(name = "sumac", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Subcommand)]
enum Command {
    /// Serve a desktop to SPICE clients such as remote-viewer.
    Serve(Box<Serve>),
    /// Start a QEMU, serve its consoles and end with it: sumac qemu [options] -- qemu-system-x86_64 ...
    Qemu(Box<QemuArgs>),
    /// Make a CA and a server certificate for --x509-dir, and say how to use them.
    Cert {
        /// The folder, which is made.
        dir: PathBuf,
        /// Host names and IP addresses by which viewers reach the server, the main one first.
        #[arg(value_name = "NAME", default_values = ["localhost", "127.0.0.1", "::1"])]
        names: Vec<String>,
    },
    /// Put a user into a file for --sasl-users; the password is asked for, or read from standard input.
    Passwd(PasswdArgs),
    #[command(flatten)]
    Control(ControlCommand),
    /// Print what can be encoded here, per backend and device, or why not.
    Probe {
        /// As one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Print the manual page.
    #[command(hide = true)]
    Man,
    /// Print what completes command lines in this shell.
    #[command(hide = true)]
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// A process that the server starts for encoders.
    #[command(name = ENCODER_HELPER, hide = true)]
    EncoderHelper {
        /// What it is there for.
        role: String,
    },
}

/// What the command line asks for.
pub(crate) enum Action {
    /// To serve.
    Serve(Box<Config>),
    /// To start a QEMU and serve its consoles.
    Qemu {
        /// The server.
        config: Box<Config>,
        /// The virtual machine.
        command: QemuCommand,
        /// The consoles' ids; none means all graphical ones.
        consoles: Vec<u32>,
    },
    /// To make certificates.
    Cert {
        /// Where.
        dir: PathBuf,
        /// For which hosts.
        names: Vec<String>,
    },
    /// To change a file of users.
    Passwd(PasswdArgs),
    /// To ask a running server.
    Ask(Ask),
    /// To say what can be encoded here.
    Probe {
        /// For programs.
        json: bool,
    },
    /// To print the manual page.
    Man,
    /// To print what completes command lines in this shell.
    Completions(Shell),
    /// To be the process of an encoder, or the one that starts those.
    EncoderHelper {
        /// Which.
        role: String,
    },
}

#[derive(Args)]
struct Serve {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    source: SourceArgs,
}

#[derive(Args)]
struct QemuArgs {
    #[command(flatten)]
    server: ServerArgs,
    /// The consoles to show, as displays 0, 1, ... [default: all graphical ones].
    #[arg(long, value_name = "N", value_delimiter = ',', num_args = 1..)]
    console: Vec<u32>,
    /// QEMU's command line; Sumac adds -display dbus and a monitor.
    #[arg(last = true, value_name = "QEMU COMMAND")]
    command: Vec<OsString>,
}

#[derive(Args)]
struct ServerArgs {
    /// QEMU's option string, such as "port=5930,disable-ticketing=on"; the options below overrule it.
    #[arg(long, value_name = "WORDS")]
    spice: Option<String>,
    #[command(flatten)]
    listen: ListenArgs,
    #[command(flatten)]
    tls: TlsArgs,
    #[command(flatten)]
    access: AccessArgs,
    #[command(flatten)]
    picture: PictureArgs,
    #[command(flatten)]
    output: OutputArgs,
    #[command(flatten)]
    process: ProcessArgs,
}

/// Reads the command line, program name first. The error knows how to print itself and which exit
/// status it means; asking for help is one, too.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Action, clap::Error> {
    let cli = Cli::try_parse_from(args)?;
    let action = match cli.command {
        Some(Command::Probe { json }) => return Ok(Action::Probe { json }),
        Some(Command::Man) => return Ok(Action::Man),
        Some(Command::Completions { shell }) => return Ok(Action::Completions(shell)),
        Some(Command::EncoderHelper { role }) => return Ok(Action::EncoderHelper { role }),
        Some(Command::Passwd(passwd)) => return Ok(Action::Passwd(passwd)),
        Some(Command::Control(command)) => return Ok(Action::Ask(command.into_ask())),
        Some(Command::Cert { dir, names }) => return Ok(Action::Cert { dir, names }),
        Some(Command::Qemu(qemu)) => qemu.into_action(),
        Some(Command::Serve(serve)) => serve.into_action(),
        None => cli.serve.into_action(),
    };
    action.map_err(|message| Cli::command().error(ErrorKind::ValueValidation, message))
}

impl Serve {
    fn into_action(self) -> Result<Action, String> {
        let mut config = self.server.into_config()?;
        self.source.apply(&mut config)?;
        Ok(Action::Serve(Box::new(config)))
    }
}

impl QemuArgs {
    fn into_action(self) -> Result<Action, String> {
        let config = Box::new(self.server.into_config()?);
        let command = QemuCommand::new(self.command).map_err(|error| error.to_string())?;
        Ok(Action::Qemu { config, command, consoles: self.console })
    }
}

impl ServerArgs {
    fn into_config(self) -> Result<Config, String> {
        let mut config = Config::default();
        if let Some(words) = &self.spice {
            apply_spice_options(words, &mut config).map_err(|error| format!("--spice: {error}"))?;
        }
        self.listen.apply(&mut config)?;
        self.tls.apply(&mut config);
        if config.listen.tls_port.is_some() && !config.tls.is_wanted() {
            let how = "name a folder of them with --x509-dir, `sumac cert DIR` makes one";
            return Err(format!("--tls-port: TLS needs a certificate: {how}"));
        }
        self.access.apply(&mut config);
        self.picture.apply(&mut config);
        self.output.apply(&mut config);
        self.process.apply(&mut config);
        Ok(config)
    }
}

/// What the tests of all headings share.
#[cfg(test)]
mod testing {
    use super::*;

    pub(super) fn parsed(line: &str) -> Result<Action, clap::Error> {
        parse(line.split_whitespace().map(OsString::from))
    }

    pub(super) fn config(line: &str) -> Config {
        match parsed(line).unwrap_or_else(|error| panic!("{line}: {error}")) {
            Action::Serve(config) => *config,
            _ => panic!("{line}: it does not serve"),
        }
    }

    /// The first line of the message; the status must be that of a usage error.
    pub(super) fn error(line: &str) -> String {
        let error = parsed(line).map(|_| ()).expect_err(line);
        assert_eq!(error.exit_code(), 2, "{line}");
        error.to_string().lines().next().unwrap_or_default().to_owned()
    }

    /// The line is refused with a message that starts so.
    pub(super) fn assert_error(line: &str, expected: &str) {
        let message = error(line);
        assert!(message.starts_with(expected), "{line}: {message}");
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{assert_error, config, parsed};
    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_bare_command_serves_with_the_defaults() {
        for line in ["sumac", "sumac serve"] {
            let arguments = vec![ENCODER_HELPER.into()];
            let helper = Some(sumac::config::Helper { arguments, hardware: false });
            let expected = Config { sandbox: true, helper, ..Config::default() };
            assert_eq!(format!("{:?}", config(line)), format!("{expected:?}"));
        }
        for line in ["sumac --port 7", "sumac serve --port 7"] {
            assert_eq!(config(line).listen.tcp_port(), Some(7));
        }
    }

    #[test]
    fn a_qemu_is_what_follows_the_dashes() {
        let Ok(Action::Qemu { config, command, consoles }) =
            parsed("sumac qemu --port 7 --console 1 0 -- qemu-system-x86_64 -m 64 --version")
        else {
            panic!("no QEMU");
        };
        assert_eq!((config.listen.tcp_port(), consoles), (Some(7), vec![1, 0]));
        let words = ["qemu-system-x86_64", "-m", "64", "--version"];
        assert_eq!(Ok(command), QemuCommand::new(words.map(OsString::from)));
    }

    #[test]
    fn usage_errors_name_the_thing() {
        for (line, expected) in [
            ("sumac --spice prot=1", "error: --spice: unknown word 'prot'; supported are "),
            ("sumac --spice tls-ciphers=x", "error: --spice: 'tls-ciphers' is a word of QEMU's that is not in this"),
            ("sumac qemu", "error: no QEMU command: it follows --, as in"),
            ("sumac qemu qemu-system-x86_64", "error: unexpected argument 'qemu-system-x86_64' found"),
            ("sumac qemu -- qemu-system-x86_64 -spice port=1", "error: -spice: Sumac is the SPICE server"),
            ("sumac qemu --size 1x1 -- qemu", "error: unexpected argument '--size' found"),
            ("sumac --colour", "error: unexpected argument '--colour' found"),
            ("sumac paint", "error: unrecognized subcommand 'paint'"),
            ("sumac --port 5900 probe", "error: the subcommand 'probe' cannot be used with"),
            ("sumac probe --port 5900", "error: unexpected argument '--port' found"),
        ] {
            assert_error(line, expected);
        }
    }

    #[test]
    fn probe_is_for_people_unless_told() {
        assert!(matches!(parsed("sumac probe"), Ok(Action::Probe { json: false })));
        assert!(matches!(parsed("sumac probe --json"), Ok(Action::Probe { json: true })));
    }

    #[test]
    fn help_and_version_are_not_failures() {
        for line in ["sumac --help", "sumac serve --help", "sumac probe --help", "sumac --version"] {
            assert_eq!(parsed(line).map(|_| ()).expect_err(line).exit_code(), 0);
        }
    }
}
