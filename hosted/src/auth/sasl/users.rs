//! [`Users`]: a file of users, with keys from which their passwords cannot be read.
//!
//! A line per user, `NAME:SCRAM-SHA-256$ITERATIONS:SALT$STORED-KEY:SERVER-KEY` with the last three in
//! base64 (RFC 5803's form), and one `secret:BASE64`: from that come salts for users who are not
//! there, always the same, so that nobody finds out who is. `#` begins a comment.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::num::NonZeroU32;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::{digest, hmac, pbkdf2};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::rand::{GetRandomFlags, getrandom};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Bytes of a key, which is a SHA-256.
const KEY: usize = digest::SHA256_OUTPUT_LEN;
/// Bytes of a salt.
const SALT: usize = 16;
/// Iterations of PBKDF2, each time that a client links a channel: RFC 7677 has 4096 as the least.
pub const LEAST_ITERATIONS: u32 = 4096;
/// More would keep a viewer waiting for each of its channels.
pub const MOST_ITERATIONS: u32 = 1_000_000;
/// Unless told otherwise.
pub const DEFAULT_ITERATIONS: u32 = 16_384;
/// Bytes of a user's name.
const MOST_NAME: usize = 64;
/// Bytes of a user's password.
const MOST_PASSWORD: usize = 256;
/// Bytes of the file: some thousand users.
const MOST_FILE: u64 = 1024 * 1024;
/// Before the iterations.
const SCHEME: &str = "SCRAM-SHA-256";
/// The name of the line that is no user.
const SECRET: &str = "secret";

/// Who may come in. `Debug` shows names only.
#[derive(Clone)]
pub struct Users {
    secret: [u8; KEY],
    users: Vec<(String, Keys)>,
}

/// What is kept of a password.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Keys {
    pub(super) iterations: u32,
    pub(super) salt: Vec<u8>,
    pub(super) stored_key: [u8; KEY],
    pub(super) server_key: [u8; KEY],
}

/// What is wrong with a file of users, or with what is to go into it.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct UsersError {
    path: PathBuf,
    reason: Reason,
}

/// Why not.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// The system refused.
    #[error("{0}")]
    Io(String),
    /// Others may read the keys, or put their own.
    #[error("its mode is {0:03o}: others may read or change it; chmod 600 makes it safe")]
    Mode(u32),
    /// It is too long.
    #[error("it has more than {MOST_FILE} bytes")]
    Length,
    /// A line that is none of those.
    #[error("line {line}: {what}")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// There is no line with the secret.
    #[error("there is no line with the secret: it was not written by sumac passwd")]
    NoSecret,
    /// A name that SASL cannot carry or the file cannot hold.
    #[error(
        "a user's name has 1 to {MOST_NAME} bytes, in the form of RFC 4013, none of them a space or one of : , = #"
    )]
    Name,
    /// A password that cannot be one.
    #[error("a user's password has 1 to {MOST_PASSWORD} bytes that can be normalised (RFC 4013)")]
    Password,
    /// Nobody of that name is there.
    #[error("there is no user of that name")]
    Unknown,
}

impl Users {
    /// Reads a file, which nobody else may read or write.
    pub fn from_file(path: &Path) -> Result<Self, UsersError> {
        Self::read(path).map_err(|reason| UsersError { path: path.to_owned(), reason })
    }

    /// Reads the text of a file.
    pub fn parse(text: &str) -> Result<Self, Reason> {
        let (mut secret, mut users) = (None, Vec::new());
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let wrong = |what| Reason::Line { line, what };
            let (name, value) = text.split_once(':').ok_or(wrong("there is no colon"))?;
            if name == SECRET {
                secret = Some(key(value).ok_or(wrong("the secret is not 32 bytes in base64"))?);
                continue;
            }
            if !is_name(name) {
                return Err(wrong("that is no name of a user"));
            }
            if users.iter().any(|(known, _)| known == name) {
                return Err(wrong("this user stands in a line before"));
            }
            users.push((name.into(), Keys::parse(value).ok_or(wrong("these are no keys of SCRAM-SHA-256"))?));
        }
        Ok(Self { secret: secret.ok_or(Reason::NoSecret)?, users })
    }

    /// Puts a user's password into a file, which is made if it is not there.
    pub fn set_in(path: &Path, name: &str, password: &str, iterations: u32) -> Result<(), UsersError> {
        let set = || {
            if !is_name(name) {
                return Err(Reason::Name);
            }
            let iterations = iterations.clamp(LEAST_ITERATIONS, MOST_ITERATIONS);
            let keys = Keys::make(&prepared(password)?, random::<SALT>()?.to_vec(), iterations);
            let mut users = if path.exists() { Self::read(path)? } else { Self::empty()? };
            match users.users.iter_mut().find(|(known, _)| known == name) {
                Some((_, known)) => *known = keys,
                None => users.users.push((name.into(), keys)),
            }
            users.write(path)
        };
        set().map_err(|reason| UsersError { path: path.to_owned(), reason })
    }

    /// Takes a user out of a file.
    pub fn remove_from(path: &Path, name: &str) -> Result<(), UsersError> {
        let remove = || {
            let mut users = Self::read(path)?;
            let before = users.users.len();
            users.users.retain(|(known, _)| known != name);
            if users.users.len() == before { Err(Reason::Unknown) } else { users.write(path) }
        };
        remove().map_err(|reason| UsersError { path: path.to_owned(), reason })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.users.len()
    }

    /// Whether nobody is.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty()
    }

    /// A user's keys, and whether there is such a user: for another name, keys that no password has.
    pub(super) fn keys(&self, name: &str) -> (Keys, bool) {
        // Names are no secret, but whether one is there is: all are looked at.
        let nobodys = (self.nobodys(name), false);
        self.users.iter().fold(nobodys, |found, (known, keys)| {
            let same = bool::from(known.as_bytes().ct_eq(name.as_bytes()));
            if same { (keys.clone(), true) } else { found }
        })
    }

    /// Keys of a user who is not there, the same each time.
    pub(super) fn nobodys(&self, name: &str) -> Keys {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.secret);
        let derive = |what: &[u8]| {
            let tag = hmac::sign(&key, &[what, name.as_bytes()].concat());
            tag.as_ref().first_chunk().copied().unwrap_or_default()
        };
        let mut salt: Vec<u8> = derive(b"salt").to_vec();
        salt.truncate(SALT);
        let iterations = self.users.first().map_or(DEFAULT_ITERATIONS, |(_, keys)| keys.iterations);
        Keys { iterations, salt, stored_key: derive(b"stored"), server_key: derive(b"server") }
    }

    fn empty() -> Result<Self, Reason> {
        Ok(Self { secret: *random()?, users: Vec::new() })
    }

    fn read(path: &Path) -> Result<Self, Reason> {
        let file = File::open(path)?;
        let found = file.metadata()?;
        let mode = found.mode() & 0o777;
        // systemd gives credentials to a group of their own.
        if found.is_file() && mode & 0o027 != 0 {
            return Err(Reason::Mode(mode));
        }
        let mut text = Zeroizing::new(String::new());
        file.take(MOST_FILE + 1).read_to_string(&mut text)?;
        if text.len() as u64 > MOST_FILE { Err(Reason::Length) } else { Self::parse(&text) }
    }

    /// Replaces the file at once, so that who reads it meanwhile reads the old one or the new one.
    fn write(&self, path: &Path) -> Result<(), Reason> {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let new = path.with_file_name(name);
        // What an interrupted run left behind.
        let _ = std::fs::remove_file(&new);
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(self.to_string().as_bytes())?;
        file.sync_all()?;
        Ok(std::fs::rename(&new, path)?)
    }
}

/// The text of the file.
impl fmt::Display for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# Users of sumac --sasl-users, written by sumac passwd.")?;
        writeln!(f, "{SECRET}:{}", STANDARD.encode(self.secret))?;
        for (name, Keys { iterations, salt, stored_key, server_key }) in &self.users {
            let [salt, stored, server] =
                [salt.as_slice(), stored_key, server_key].map(|bytes: &[u8]| STANDARD.encode(bytes));
            writeln!(f, "{name}:{SCHEME}${iterations}:{salt}${stored}:{server}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.users.iter().map(|(name, _)| name)).finish()
    }
}

impl Keys {
    /// From a password that was prepared.
    pub(super) fn make(password: &str, salt: Vec<u8>, iterations: u32) -> Self {
        let mut salted = Zeroizing::new([0; KEY]);
        let rounds = NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN);
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, &salt, password.as_bytes(), &mut *salted);
        let key = hmac::Key::new(hmac::HMAC_SHA256, &*salted);
        let client_key = hmac::sign(&key, b"Client Key");
        let stored_key = digest::digest(&digest::SHA256, client_key.as_ref());
        let server_key = hmac::sign(&key, b"Server Key");
        let chunk = |bytes: &[u8]| bytes.first_chunk().copied().unwrap_or_default();
        Self { iterations, salt, stored_key: chunk(stored_key.as_ref()), server_key: chunk(server_key.as_ref()) }
    }

    /// Whether they were made from this password, which was prepared. Takes as long as the iterations.
    pub(super) fn are_of(&self, password: &str) -> bool {
        let given = Self::make(password, self.salt.clone(), self.iterations);
        bool::from(given.stored_key.ct_eq(&self.stored_key))
    }

    fn parse(text: &str) -> Option<Self> {
        let [scheme, cost, keys] = text.split('$').collect::<Vec<_>>()[..] else { return None };
        let (iterations, salt) = cost.split_once(':')?;
        let (stored, server) = keys.split_once(':')?;
        let iterations = iterations.parse().ok().filter(|n| (LEAST_ITERATIONS..=MOST_ITERATIONS).contains(n))?;
        let salt = STANDARD.decode(salt).ok().filter(|salt| (8..=64).contains(&salt.len()))?;
        (scheme == SCHEME).then_some(Self { iterations, salt, stored_key: key(stored)?, server_key: key(server)? })
    }
}

impl From<io::Error> for Reason {
    fn from(error: io::Error) -> Self {
        Self::Io(error.to_string())
    }
}

/// As clients bring it into form before they make keys of it.
pub(super) fn prepared(password: &str) -> Result<Zeroizing<String>, Reason> {
    if !(1..=MOST_PASSWORD).contains(&password.len()) {
        return Err(Reason::Password);
    }
    stringprep::saslprep(password).map(|text| Zeroizing::new(text.into_owned())).map_err(|_| Reason::Password)
}

fn is_name(name: &str) -> bool {
    let fits = |c: char| !c.is_control() && !c.is_whitespace() && !":,=#".contains(c);
    let in_form = stringprep::saslprep(name).is_ok_and(|prepared| prepared == name);
    (1..=MOST_NAME).contains(&name.len()) && name != SECRET && name.chars().all(fits) && in_form
}

fn key(text: &str) -> Option<[u8; KEY]> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// Text for a nonce, with 144 bits.
pub(super) fn random_text() -> Result<String, Reason> {
    Ok(STANDARD.encode(*random::<18>()?))
}

fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, Reason> {
    let mut bytes = Zeroizing::new([0; N]);
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        filled += getrandom(rest, GetRandomFlags::empty()).map_err(io::Error::from)?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// The keys of RFC 7677's example, whose password is `pencil`, as PostgreSQL writes them, too.
    const RFC_7677: &str = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:\
        wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

    #[test]
    fn keys_are_those_of_the_rfc() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let keys = Keys::make("pencil", salt, 4096);
        assert!(keys == Keys::parse(RFC_7677).unwrap());
        assert!(keys.are_of("pencil") && !keys.are_of("pencils") && !keys.are_of(""));
    }

    #[test]
    fn a_file_is_made_read_and_changed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("users");
        Users::set_in(&path, "alice", "pencil", 4096).unwrap();
        Users::set_in(&path, "bob", "hunter2", 5000).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let users = Users::from_file(&path).unwrap();
        assert_eq!((format!("{users:?}").as_str(), users.len()), (r#"["alice", "bob"]"#, 2));
        assert!(users.keys("alice").0.are_of("pencil") && users.keys("bob").0.are_of("hunter2"));
        let unknown = users.keys("carol");
        Users::set_in(&path, "alice", "eraser", 4096).unwrap();
        Users::remove_from(&path, "bob").unwrap();
        let users = Users::from_file(&path).unwrap();
        assert!(users.len() == 1 && users.keys("alice").0.are_of("eraser"));
        assert!(users.keys("carol") == unknown, "who is not there has the same salt for ever");
        let again = Users::remove_from(&path, "bob").unwrap_err().to_string();
        assert_eq!(again, format!("{}: there is no user of that name", path.display()));
        assert!(!std::fs::read_to_string(&path).unwrap().contains("eraser"));
    }

    #[test]
    fn who_is_not_there_looks_like_who_is() {
        let users = Users::parse(&format!("secret:{}\nalice:{RFC_7677}\n", STANDARD.encode([7; 32]))).unwrap();
        let ((alice, is), (bob, is_not)) = (users.keys("alice"), users.keys("bob"));
        assert!(is && !is_not && users.keys("bob").0 == bob && users.keys("bob2").0 != bob);
        assert_eq!((alice.iterations, alice.salt.len()), (bob.iterations, bob.salt.len()));
        assert_ne!(users.keys("bob2").0.salt, bob.salt);
    }

    #[test]
    fn a_file_that_others_may_read_or_write_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("users");
        Users::set_in(&path, "alice", "pencil", 4096).unwrap();
        for (mode, fine) in [(0o400, true), (0o640, true), (0o644, false), (0o660, false), (0o601, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(Users::read(&path).map(drop).err(), (!fine).then_some(Reason::Mode(mode)), "{mode:o}");
        }
    }

    #[test]
    fn a_bad_file_is_named_with_its_line() {
        let secret = format!("secret:{}", STANDARD.encode([7; 32]));
        for (text, error) in [
            ("", "there is no line with the secret: it was not written by sumac passwd".to_owned()),
            ("secret:abc", "line 1: the secret is not 32 bytes in base64".into()),
            (&format!("{secret}\nalice"), "line 2: there is no colon".into()),
            (&format!("{secret}\n\n# x\nalice:x"), "line 4: these are no keys of SCRAM-SHA-256".into()),
            (&format!("{secret}\na b:{RFC_7677}"), "line 2: that is no name of a user".into()),
            (&format!("{secret}\na:{RFC_7677}\na:{RFC_7677}"), "line 3: this user stands in a line before".into()),
            (
                &format!("{secret}\na:{}", RFC_7677.replace("4096", "4095")),
                "line 2: these are no keys of SCRAM-SHA-256".into(),
            ),
        ] {
            assert_eq!(Users::parse(text).unwrap_err().to_string(), error, "{text}");
        }
        let missing = Users::from_file(Path::new("/nonexistent/users")).unwrap_err().to_string();
        assert_eq!(missing, "/nonexistent/users: No such file or directory (os error 2)");
    }

    #[test]
    fn names_and_passwords_have_their_bounds() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("users");
        for name in ["", "a:b", "a,b", "a=b", "a b", "#a", "secret", &"x".repeat(65)] {
            assert_eq!(Users::set_in(&path, name, "pw", 4096).unwrap_err().reason, Reason::Name, "{name:?}");
        }
        for password in ["", "\u{7}", &"x".repeat(257)] {
            assert_eq!(Users::set_in(&path, "a", password, 4096).unwrap_err().reason, Reason::Password);
        }
        assert!(!path.exists());
        Users::set_in(&path, &"x".repeat(64), &"y".repeat(256), 1).unwrap();
        assert!(Users::from_file(&path).unwrap().to_string().contains("$4096:"), "no fewer iterations");
    }
}
