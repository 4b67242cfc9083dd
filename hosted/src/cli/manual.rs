//! The manual page and the shells' completions, from the same definition as `--help`.

use std::io::{self, Write};

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::Cli;

/// Writes `sumac.1`: the commands' options are in it, too.
pub(crate) fn man(out: &mut impl Write) -> io::Result<()> {
    let mut command = Cli::command();
    command.build();
    let page = Man::new(command.clone()).manual("Sumac").source(command.render_version().trim_end());
    page.render_title(out)?;
    page.render_name_section(out)?;
    page.render_synopsis_section(out)?;
    page.render_description_section(out)?;
    page.render_options_section(out)?;
    let mut commands = Roff::new();
    commands.control("SH", ["COMMANDS"]);
    // serve has the options above.
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
        describe(&mut commands, sub);
    }
    commands.to_writer(out)?;
    let mut files = Roff::new();
    files.control("SH", ["SIGNALS"]);
    for (signal, meaning) in [
        ("SIGTERM, SIGINT", "end; sumac qemu passes them on to QEMU and ends with it"),
        ("SIGHUP", "read the certificate and its key again; whoever is connected stays"),
        ("SIGUSR1", "write the picture of --write-ref again"),
    ] {
        files.control("TP", []).text([bold(signal)]).text([roman(meaning)]);
    }
    files.control("SH", ["ENVIRONMENT"]);
    for (variable, meaning) in [
        ("SUMAC_LOG", "what is logged to standard error, such as debug or sumac::auth=trace"),
        ("LISTEN_FDS", "sockets that systemd has opened; over one of the name tls may come nothing but TLS"),
        ("NOTIFY_SOCKET", "where systemd is told that the server is ready, reloads and ends"),
    ] {
        files.control("TP", []).text([bold(variable)]).text([roman(meaning)]);
    }
    files.to_writer(out)
}

/// One command, with those options that serve does not have.
fn describe(page: &mut Roff, command: &Command) {
    let known = |id: &str| Cli::command().get_arguments().any(|argument| argument.get_id() == id);
    page.control("TP", []).text([bold(command.get_bin_name().unwrap_or(command.get_name()))]);
    page.text([roman(command.get_about().map(ToString::to_string).unwrap_or_default())]);
    let more = command.get_arguments().filter(|argument| !argument.is_hide_set() && argument.get_id() != "help");
    page.control("RS", []);
    for argument in more.filter(|argument| !known(argument.get_id().as_str())) {
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        page.control("TP", []).text([bold(argument.to_string())]).text([roman(help)]);
    }
    page.control("RE", []);
}

/// Writes what a shell reads.
pub(crate) fn completions(shell: Shell, out: &mut impl Write) -> io::Result<()> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "sumac", &mut text);
    out.write_all(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_option_and_command() {
        let mut page = Vec::new();
        man(&mut page).unwrap();
        let page = String::from_utf8(page).unwrap().replace("\\-", "-");
        let command = Cli::command();
        for option in command.get_arguments().filter_map(|argument| argument.get_long()) {
            assert!(page.contains(&format!("--{option}")), "--{option}");
        }
        for sub in command.get_subcommands() {
            let there = page.contains(&format!("sumac {}", sub.get_name()));
            assert_eq!(there, !sub.is_hide_set(), "{}", sub.get_name());
        }
        let title = page.lines().find(|line| line.starts_with(".TH")).unwrap();
        assert!(title.starts_with(".TH sumac 1") && title.ends_with("Sumac"), "{title}");
        for part in [".SH NAME", ".SH COMMANDS", ".SH SIGNALS", "QEMU COMMAND", "--once"] {
            assert!(page.contains(part), "{part}");
        }
    }

    #[test]
    fn shells_complete_options_and_commands() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut text = Vec::new();
            completions(shell, &mut text).unwrap();
            let text = String::from_utf8(text).unwrap();
            for part in ["x509-dir", "sumac", "probe"] {
                assert!(text.contains(part), "{shell}: {part}");
            }
        }
    }
}
