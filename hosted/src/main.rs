//! The `sumac` binary: the command line, the log, the exit status.

use std::io::{self, IsTerminal, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitCode, ExitStatus};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{FromEnvError, LevelFilter};

use cli::{Action, Ask, PasswdArgs};
use sumac::auth::Users;
use sumac::config::Config;

mod cli;
mod prompt;
mod sys;

/// The environment variable that says what is logged, such as `debug` or `sumac::auth=trace`.
const LOG_VARIABLE: &str = "SUMAC_LOG";

/// Exit status when the server cannot start or go on.
const FAILED: u8 = 1;
/// Exit status when the command line (or the environment) is wrong.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    sys::give_back_pages();
    let action = match cli::parse(std::env::args_os()) {
        Ok(action) => action,
        Err(error) => error.exit(),
    };
    if let Err(error) = start_log() {
        return fail(USAGE, &format!("{LOG_VARIABLE}: {error}"));
    }
    let done = match action {
        Action::Serve(config) => with_sockets(*config).and_then(sumac::serve),
        Action::Qemu { config, command, consoles } => {
            match with_sockets(*config).and_then(|config| sumac::serve_qemu(config, command, consoles)) {
                Ok(status) => return ExitCode::from(status_of(status)),
                Err(error) => Err(error),
            }
        }
        Action::Cert { dir, names } => cert(&dir, &names),
        Action::Passwd(user) => passwd(&user),
        Action::Ask(question) => ask(question),
        Action::Probe { json } => probe(json),
        Action::EncoderHelper { role } => sumac::helper::run(&role),
        Action::Man => to_stdout(cli::man),
        Action::Completions(shell) => to_stdout(|out| cli::completions(shell, out)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(FAILED, &format!("{error:#}")),
    }
}

/// A process's status as shells see it: its own, or 128 and the signal that ended it.
fn status_of(status: ExitStatus) -> u8 {
    let number = status.code().or_else(|| Some(128 + status.signal()?));
    number.and_then(|number| u8::try_from(number).ok()).unwrap_or(FAILED)
}

fn cert(dir: &Path, names: &[String]) -> anyhow::Result<()> {
    let subject = sumac::cert::make(dir, names)?;
    let (dir, host) = (dir.display(), names.first().map_or("localhost", String::as_str));
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{dir}/ca-cert.pem is for viewers; keep ca-key.pem and server-key.pem secret.\n\
         serve with:   sumac --addr :: --tls-port 5901 --x509-dir {dir}\n\
         connect with: remote-viewer sumac.vv, or from another machine\n              \
         remote-viewer --spice-ca-file={dir}/ca-cert.pem --spice-host-subject={subject} spice://{host}?tls-port=5901"
    )?;
    Ok(())
}

/// Changes a file of users.
fn passwd(args: &PasswdArgs) -> anyhow::Result<()> {
    let PasswdArgs { file, user, delete, iterations } = args;
    if *delete {
        return Ok(Users::remove_from(file, user)?);
    }
    let password = prompt::password(user)?;
    Ok(Users::set_in(file, user, &password, *iterations)?)
}

/// Asks a running server, and prints the answer.
fn ask(question: Ask) -> anyhow::Result<()> {
    let Ask { control, what, json } = question;
    let answer = sumac::control::ask(&control, &what.into_request()?)?;
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer(&mut out, &answer)?;
        Ok(writeln!(out)?)
    } else {
        Ok(write!(out, "{answer}")?)
    }
}

/// Adds the sockets that a service manager has opened.
fn with_sockets(mut config: Config) -> anyhow::Result<Config> {
    config.listen.inherited = sumac::systemd::inherited_sockets()?;
    Ok(config)
}

fn probe(json: bool) -> anyhow::Result<()> {
    to_stdout(|out| sumac::probe::probe(out, json))
}

fn to_stdout(write: impl FnOnce(&mut io::StdoutLock<'static>) -> io::Result<()>) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match write(&mut out).and_then(|()| out.flush()) {
        // Whoever closed the pipe has read enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => Ok(done?),
    }
}

/// Logs to stderr, because stdout is for programs that read our figures.
fn start_log() -> Result<(), FromEnvError> {
    let builder = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into());
    let filter = builder.with_env_var(LOG_VARIABLE).from_env()?;
    let colours = io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(colours);
    // A line that cannot be written (the disk is full, the reader gone) is lost: to complain on stderr
    // about it would be a panic, and the end of the connection that it is about.
    log.log_internal_errors(false).init();
    Ok(())
}

fn fail(status: u8, message: &str) -> ExitCode {
    // Nobody is left to be told when stderr is closed.
    let _ = writeln!(io::stderr(), "sumac: {message}");
    ExitCode::from(status)
}
