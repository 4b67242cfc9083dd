//! [`password`]: a user's new password from the terminal, or from standard input where that is none.

use std::io::{self, BufRead, IsTerminal, Read, Write};

use anyhow::ensure;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

/// Longer lines are not read to their end.
const MOST: u64 = 4096;

/// Asks twice where somebody types, and reads the first line otherwise.
pub(crate) fn password(user: &str) -> anyhow::Result<Zeroizing<String>> {
    let mut input = io::stdin().lock();
    if !input.is_terminal() {
        return Ok(line(&mut input)?);
    }
    let _quiet = Quiet::begin()?;
    let mut ask = |what: &str| {
        write!(io::stderr(), "{what}: ")?;
        let typed = line(&mut input);
        // The typed line end was not shown.
        writeln!(io::stderr())?;
        typed
    };
    let (one, two) = (ask(&format!("new password for {user}"))?, ask("again")?);
    ensure!(one == two, "the passwords differ");
    Ok(one)
}

fn line(input: &mut impl BufRead) -> io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    input.take(MOST).read_line(&mut text)?;
    Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// The terminal does not show what is typed, until this is dropped.
struct Quiet(Termios);

impl Quiet {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &quiet)?;
        Ok(Self(before))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // There is nothing left to be done about a terminal that is gone.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_its_end() {
        for (text, expected) in [("pw\n", "pw"), ("p w \r\nmore", "p w "), ("pw", "pw"), ("", "")] {
            assert_eq!(line(&mut text.as_bytes()).unwrap().as_str(), expected);
        }
    }
}
