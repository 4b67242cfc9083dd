//! [`Password`]: what a viewer's user types, within the protocol's limits and never shown in logs.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rustix::rand::{GetRandomFlags, getrandom};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// The longest password in bytes (SPICE_MAX_PASSWORD_LENGTH).
pub(super) const MAX_PASSWORD_BYTES: usize = 60;

/// Characters of a generated password: 32 of them, without the pairs that look alike (0 o, 1 l).
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// Length of a password to be typed: 12 characters of 5 bits.
const TYPED_CHARS: usize = 12;
/// Length of one to be copied: 100 bits.
const COPIED_CHARS: usize = 20;

/// A password of 1 to 60 bytes without NUL. `Debug` does not show it; dropping it wipes it.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

/// Why a text cannot be a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// Nobody could connect with it.
    #[error("the password is empty")]
    Empty,
    /// Clients cannot send it.
    #[error("the password has {len} bytes, the most that SPICE allows is {MAX_PASSWORD_BYTES}")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// The ticket ends at the first NUL.
    #[error("the password contains a NUL byte")]
    Nul,
}

/// Why there is no password in a file or on standard input.
#[derive(Debug, thiserror::Error)]
#[error("{from}: {reason}")]
pub struct PasswordFileError {
    from: String,
    reason: FileReason,
}

#[derive(Debug, thiserror::Error)]
enum FileReason {
    #[error("{0}")]
    Read(#[from] io::Error),
    #[error("it is not UTF-8 text")]
    NotText,
    #[error("{0}")]
    Password(#[from] PasswordError),
}

impl Password {
    /// Checks and takes `text`.
    pub fn new(text: impl Into<String>) -> Result<Self, PasswordError> {
        let text = Zeroizing::new(text.into());
        match text.len() {
            0 => Err(PasswordError::Empty),
            len if len > MAX_PASSWORD_BYTES => Err(PasswordError::TooLong { len }),
            _ if text.contains('\0') => Err(PasswordError::Nul),
            _ => Ok(Self(text)),
        }
    }

    /// A random password with 60 bits of entropy that is easy to type.
    pub fn generate() -> io::Result<Self> {
        Self::random::<TYPED_CHARS>()
    }

    /// A random one with 100 bits, for programs and for pasting.
    pub(super) fn generate_long() -> io::Result<Self> {
        Self::random::<COPIED_CHARS>()
    }

    fn random<const CHARS: usize>() -> io::Result<Self> {
        let mut bytes = Zeroizing::new([0_u8; CHARS]);
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            filled += getrandom(rest, GetRandomFlags::empty())?;
        }
        let text = bytes.iter().filter_map(|byte| ALPHABET.get(usize::from(byte % 32)));
        Ok(Self(Zeroizing::new(text.copied().map(char::from).collect())))
    }

    /// Reads the first line of a file, without its line end.
    pub fn from_file(path: &Path) -> Result<Self, PasswordFileError> {
        let read = File::open(path).map_err(FileReason::from).and_then(read_first_line);
        read.map_err(|reason| PasswordFileError { from: format!("password file {}", path.display()), reason })
    }

    /// Reads the first line of standard input, without its line end.
    pub fn from_stdin() -> Result<Self, PasswordFileError> {
        read_first_line(io::stdin()).map_err(|reason| PasswordFileError { from: "standard input".into(), reason })
    }

    /// Whether `given` is this password, in a time that depends on neither: both are padded to the
    /// longest password.
    pub(super) fn is(&self, given: &[u8]) -> bool {
        let same = padded(given).ct_eq(&*padded(self.0.as_bytes()));
        given.len() <= MAX_PASSWORD_BYTES && bool::from(same)
    }

    /// The text itself: for the ticket check and for telling the user, never for a log.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// `text` and zeros; unambiguous because no password holds a NUL.
fn padded(text: &[u8]) -> Zeroizing<[u8; MAX_PASSWORD_BYTES]> {
    let mut buffer = Zeroizing::new([0; MAX_PASSWORD_BYTES]);
    for (to, from) in buffer.iter_mut().zip(text) {
        *to = *from;
    }
    buffer
}

fn read_first_line(from: impl Read) -> Result<Password, FileReason> {
    // Room for the longest password and its line end; a longer line is longer than that.
    let mut bytes = Zeroizing::new(Vec::with_capacity(4 * MAX_PASSWORD_BYTES));
    let limit = u64::try_from(bytes.capacity()).unwrap_or(u64::MAX);
    from.take(limit).read_to_end(&mut bytes)?;
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = std::str::from_utf8(line).map_err(|_| FileReason::NotText)?;
    Ok(Password::new(text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_text(text: &[u8]) -> Result<String, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pw");
        std::fs::write(&path, text).unwrap();
        match Password::from_file(&path) {
            Ok(password) => Ok(password.reveal().to_owned()),
            Err(error) => Err(error.to_string().replace(&path.display().to_string(), "FILE")),
        }
    }

    #[test]
    fn sixty_bytes_are_the_most() {
        assert_eq!(Password::new("x".repeat(60)).unwrap().reveal().len(), 60);
        assert_eq!(Password::new("x".repeat(61)).unwrap_err(), PasswordError::TooLong { len: 61 });
        assert_eq!(Password::new("ä".repeat(31)).unwrap_err(), PasswordError::TooLong { len: 62 });
        assert_eq!(Password::new("").unwrap_err(), PasswordError::Empty);
        assert_eq!(Password::new("a\0b").unwrap_err(), PasswordError::Nul);
    }

    #[test]
    fn debug_does_not_show_it() {
        assert!(!format!("{:?}", Password::new("hunter2").unwrap()).contains("hunter2"));
    }

    #[test]
    fn generated_ones_differ_and_use_the_alphabet() {
        let (one, other) = (Password::generate().unwrap(), Password::generate().unwrap());
        assert_ne!(one.reveal(), other.reveal());
        assert_eq!(one.reveal().len(), TYPED_CHARS);
        assert!(one.reveal().bytes().all(|byte| ALPHABET.contains(&byte)));
        assert_eq!(Password::generate_long().unwrap().reveal().len(), 20);
    }

    #[test]
    fn only_all_of_it_is_the_password() {
        let longest = Password::new("x".repeat(60)).unwrap();
        assert!(longest.is(&[b'x'; 60]));
        for len in [0, 1, 59, 61, 86] {
            assert!(!longest.is(&vec![b'x'; len]), "{len}");
        }
        assert!(!Password::new("secret").unwrap().is(b"secrets"));
    }

    #[test]
    fn a_file_gives_its_first_line() {
        assert_eq!(from_text(b"secret").unwrap(), "secret");
        assert_eq!(from_text(b"secret\n").unwrap(), "secret");
        assert_eq!(from_text(b"se cret \r\nmore\n").unwrap(), "se cret ");
        assert_eq!(from_text(&[b'x'; 60]).unwrap().len(), 60);
    }

    #[test]
    fn a_bad_file_is_named_with_the_reason() {
        assert_eq!(from_text(b"").unwrap_err(), "password file FILE: the password is empty");
        assert_eq!(from_text(b"\nsecret").unwrap_err(), "password file FILE: the password is empty");
        assert_eq!(from_text(b"\xff\xfe").unwrap_err(), "password file FILE: it is not UTF-8 text");
        let long = from_text(&[b'x'; 61]).unwrap_err();
        assert_eq!(long, "password file FILE: the password has 61 bytes, the most that SPICE allows is 60");
        let missing = Password::from_file(Path::new("/nonexistent/pw")).unwrap_err().to_string();
        assert_eq!(missing, "password file /nonexistent/pw: No such file or directory (os error 2)");
    }
}
