//! `sumac passwd`: users for `--sasl-users`.

use std::path::PathBuf;

use clap::Args;
use sumac::auth::{DEFAULT_ITERATIONS, LEAST_ITERATIONS, MOST_ITERATIONS};

#[derive(Args)]
pub(crate) struct PasswdArgs {
    /// The file, which is made if it is not there, for this user only.
    pub(crate) file: PathBuf,
    /// The user's name.
    pub(crate) user: String,
    /// Take the user out of the file.
    #[arg(long)]
    pub(crate) delete: bool,
    /// Iterations of PBKDF2 that guessing costs, and each of a viewer's channels.
    #[arg(
        long,
        value_name = "N",
        default_value_t = DEFAULT_ITERATIONS,
        value_parser = clap::value_parser!(u32).range(i64::from(LEAST_ITERATIONS)..=i64::from(MOST_ITERATIONS)),
        conflicts_with = "delete"
    )]
    pub(crate) iterations: u32,
}

#[cfg(test)]
mod tests {
    use crate::cli::Action;
    use crate::cli::testing::{assert_error, parsed};

    #[test]
    fn a_file_and_a_user() {
        let Ok(Action::Passwd(passwd)) = parsed("sumac passwd users alice") else { panic!("no user") };
        assert_eq!((passwd.file, passwd.user.as_str()), ("users".into(), "alice"));
        assert_eq!((passwd.delete, passwd.iterations), (false, 16_384));
        assert!(matches!(parsed("sumac passwd --delete users alice"), Ok(Action::Passwd(passwd)) if passwd.delete));
        for (line, expected) in [
            ("sumac passwd users", "error: the following required arguments were not provided:"),
            (
                "sumac passwd u a --iterations 4095",
                "error: invalid value '4095' for '--iterations <N>': 4095 is not in",
            ),
            ("sumac passwd u a secret", "error: unexpected argument 'secret' found"),
        ] {
            assert_error(line, expected);
        }
    }
}
