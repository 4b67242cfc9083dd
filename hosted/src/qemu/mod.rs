//! A QEMU that Sumac starts: [`QemuCommand`], the operator's command line, checked and completed.
//!
//! QEMU gets a display on D-Bus and a monitor on a private socket, whose other end asks for the
//! display (`source/qemu/bus.rs`). It runs in a process of its own and ends only when it or the
//! operator wants: whatever happens to the server does not happen to the virtual machine.

use std::ffi::{OsStr, OsString};
use std::os::fd::RawFd;

pub(crate) use process::{Prepared, Running, exited};

mod process;

/// Options of QEMU's that would take the display away, and why they cannot stand.
const TAKEN: [(&str, &str); 4] = [
    ("display", "the display is Sumac's; leave -display out"),
    (
        "spice",
        "Sumac is the SPICE server; give it the options, as in 'sumac qemu --spice WORDS -- ...', and leave -spice out",
    ),
    ("nographic", "there would be no display; leave -nographic out, or run QEMU without Sumac"),
    ("daemonize", "QEMU would leave Sumac; leave -daemonize out"),
];

/// A QEMU command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QemuCommand {
    program: OsString,
    arguments: Vec<OsString>,
}

/// Why a QEMU command line cannot be run with Sumac as its display. The message names the option.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// There is none.
    #[error("no QEMU command: it follows --, as in 'sumac qemu -- qemu-system-x86_64 ...'")]
    Empty,
    /// An option that Sumac has to set.
    #[error("{option}: {reason}")]
    Taken {
        /// As it was given.
        option: String,
        /// What to do.
        reason: &'static str,
    },
}

impl QemuCommand {
    /// Takes the words of a command line, program first.
    ///
    /// # Errors
    /// When there is none, or it has an option that Sumac has to set.
    pub fn new(words: impl IntoIterator<Item = OsString>) -> Result<Self, CommandError> {
        let mut words = words.into_iter();
        let program = words.next().ok_or(CommandError::Empty)?;
        let arguments: Vec<_> = words.collect();
        match arguments.iter().find_map(|argument| taken(argument)) {
            Some(error) => Err(error),
            None => Ok(Self { program, arguments }),
        }
    }

    /// The arguments with what Sumac adds; the monitor speaks on the file descriptor of this number.
    fn completed(&self, monitor: RawFd) -> impl Iterator<Item = OsString> {
        let audiodev = self.audiodev().map(|id| format!(",audiodev={id}")).unwrap_or_default();
        let added = [
            "-chardev".into(),
            format!("socket,id=sumac-qmp,fd={monitor}"),
            "-mon".into(),
            "chardev=sumac-qmp,mode=control".into(),
            "-display".into(),
            format!("dbus,p2p=yes{audiodev}"),
        ];
        self.arguments.iter().cloned().chain(added.map(OsString::from))
    }

    /// The id of the operator's `-audiodev dbus`, which QEMU's display must be told.
    fn audiodev(&self) -> Option<&str> {
        self.arguments.windows(2).find_map(|pair| {
            let option = pair[0].to_str()?;
            let mut words = pair[1].to_str()?.split(',');
            let driver = words.next()?;
            let named = ["-audiodev", "--audiodev"].contains(&option) && ["dbus", "driver=dbus"].contains(&driver);
            named.then(|| words.find_map(|word| word.strip_prefix("id=")))?
        })
    }
}

/// QEMU takes options with one dash and with two.
fn taken(argument: &OsStr) -> Option<CommandError> {
    let text = argument.to_str()?;
    let name = text.strip_prefix("--").or_else(|| text.strip_prefix('-'))?;
    let (_, reason) = TAKEN.iter().find(|(option, _)| *option == name)?;
    Some(CommandError::Taken { option: text.into(), reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(line: &str) -> Result<QemuCommand, CommandError> {
        QemuCommand::new(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn the_display_and_a_monitor_are_added() {
        let command = command("qemu-system-x86_64 -m 64 -vnc :1").unwrap();
        let words: Vec<_> = command.completed(7).map(|word| word.into_string().unwrap()).collect();
        let line = "-m 64 -vnc :1 -chardev socket,id=sumac-qmp,fd=7 -mon chardev=sumac-qmp,mode=control \
                    -display dbus,p2p=yes";
        assert_eq!(words.join(" "), line);
    }

    #[test]
    fn the_display_is_told_its_sound() {
        for (line, end) in [
            ("qemu -audiodev dbus,id=a,out.frequency=48000", "-display dbus,p2p=yes,audiodev=a"),
            ("qemu -audiodev none,id=n --audiodev driver=dbus,id=a", "-display dbus,p2p=yes,audiodev=a"),
            ("qemu -audiodev pa,id=a", "-display dbus,p2p=yes"),
            ("qemu -audiodev", "-display dbus,p2p=yes"),
        ] {
            let words: Vec<_> = command(line).unwrap().completed(3).map(|word| word.into_string().unwrap()).collect();
            assert!(words.join(" ").ends_with(end), "{line}");
        }
    }

    #[test]
    fn options_that_are_sumacs_are_refused_by_name() {
        for (line, start) in [
            ("", "no QEMU command: "),
            ("qemu -display gtk", "-display: the display is Sumac's"),
            ("qemu -m 64 --display none", "--display: the display is Sumac's"),
            ("qemu -spice port=1", "-spice: Sumac is the SPICE server"),
            ("qemu -nographic", "-nographic: there would be no display"),
            ("qemu -daemonize", "-daemonize: QEMU would leave Sumac"),
        ] {
            let error = command(line).unwrap_err().to_string();
            assert!(error.starts_with(start), "{line}: {error}");
        }
    }
}
