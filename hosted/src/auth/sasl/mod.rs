//! [`Sasl`]: who a viewer is, by a mechanism of SASL.
//!
//! ```text
//!  link message ─► mechanisms ─► the client's choice ─► begin ─► Exchange ─► step … ─► Done: a user
//!                                                                              └─────► Failed: why
//! ```
//!
//! The users are those of a file that `sumac passwd` writes. A user who is not there goes through the
//! same steps as one whose password is wrong: the salt comes from the name, and the keys fit no
//! password.

mod own;
mod scram;
mod users;

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use own::Own;
pub use users::{DEFAULT_ITERATIONS, LEAST_ITERATIONS, MOST_ITERATIONS, Reason as UsersReason, Users, UsersError};

use crate::config::{self, SaslMechanism};

/// The password itself: inside TLS only.
const PLAIN: &str = "PLAIN";
/// What there is, the most wanted first, and whether it may be used in clear.
const OWN: [(&str, bool); 2] = [("SCRAM-SHA-256", true), (PLAIN, false)];

/// Users and the mechanisms by which they prove who they are.
#[derive(Debug)]
pub struct Sasl {
    file: PathBuf,
    users: RwLock<Arc<Users>>,
    /// The mechanisms that are offered inside TLS, and those of them that are in clear.
    secure: Vec<String>,
    clear: Vec<String>,
}

/// Why there is no SASL.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SaslError {
    /// The file of users is no good.
    #[error("--sasl-users {0}")]
    Users(#[from] UsersError),
    /// Nobody knows any users.
    #[error("--sasl needs users: --sasl-users FILE, which sumac passwd makes")]
    NoUsers,
    /// A mechanism that there is not.
    #[error("--sasl-mechanisms: there is no {0}, but {list}", list = names(&OWN).join(", "))]
    Mechanism(SaslMechanism),
}

/// An exchange with one client.
pub(crate) struct Exchange(Own);

/// What the server says, without the NUL that ends it on the wire; `None` is nothing, which is not the
/// same as no bytes.
pub(crate) type Said = Option<Vec<u8>>;

/// What came of a step.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The client is to go on.
    Continue(Said),
    /// It has proved who it is.
    Done {
        /// The last word.
        said: Said,
        /// Who it is.
        user: String,
    },
    /// It has not, and this is why, for the log only.
    Failed(Said, &'static str),
}

impl Sasl {
    /// Reads the users.
    pub fn open(config: &config::Sasl) -> Result<Self, SaslError> {
        let file = config.users.clone().ok_or(SaslError::NoUsers)?;
        let users = Users::from_file(&file)?;
        let mut offered = OWN.to_vec();
        if !config.mechanisms.is_empty() {
            let find = |wanted: &SaslMechanism| OWN.into_iter().find(|(name, _)| *name == wanted.as_str());
            let found = config.mechanisms.iter().map(|name| find(name).ok_or(SaslError::Mechanism(name.clone())));
            offered = found.collect::<Result<_, _>>()?;
        }
        let clear: Vec<_> = offered.iter().copied().filter(|(_, in_clear)| *in_clear).collect();
        let owned = |list: &[(&str, bool)]| names(list).into_iter().map(str::to_owned).collect();
        Ok(Self { file, users: RwLock::new(Arc::new(users)), secure: owned(&offered), clear: owned(&clear) })
    }

    /// Reads the users again; keeps the old ones if the file is no good.
    pub fn reload(&self) -> Result<(), UsersError> {
        let users = Arc::new(Users::from_file(&self.file)?);
        *self.users.write().unwrap_or_else(PoisonError::into_inner) = users;
        Ok(())
    }

    /// The list for the client: a comma before, between and behind the names. No name where nothing
    /// may be used in clear.
    pub(crate) fn list(&self, secure: bool) -> String {
        self.offered(secure).iter().fold(String::from(","), |list, name| list + name + ",")
    }

    /// Begins an exchange by a mechanism that the client chose; `None` when it was not offered. With
    /// `only`, nobody else is known.
    pub(crate) fn begin(&self, mechanism: &[u8], secure: bool, only: Option<String>) -> Option<Exchange> {
        let name = self.offered(secure).iter().find(|name| name.as_bytes() == mechanism)?;
        let users = Arc::clone(&self.users.read().unwrap_or_else(PoisonError::into_inner));
        Some(Exchange(Own::begin(users, name, only)))
    }

    fn offered(&self, secure: bool) -> &[String] {
        if secure { &self.secure } else { &self.clear }
    }
}

impl Exchange {
    /// Takes what the client said. May be called again after [`Progress::Continue`] only.
    pub(crate) async fn step(&mut self, data: Option<&[u8]>) -> Progress {
        self.0.step(data).await
    }
}

fn names<'a>(list: &[(&'a str, bool)]) -> Vec<&'a str> {
    list.iter().map(|(name, _)| *name).collect()
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::{digest, hmac, pbkdf2};
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    const FAILED_PROOF: &str = "e=invalid-proof";

    struct Fixture {
        sasl: Sasl,
        _dir: tempfile::TempDir,
    }

    fn fixture(mechanisms: &[&str]) -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("users");
        Users::set_in(&file, "alice", "pencil", 4096).unwrap();
        let mechanisms = mechanisms.iter().map(|name| name.parse().unwrap()).collect();
        let sasl = Sasl::open(&config::Sasl { users: Some(file), mechanisms, ..config::Sasl::default() }).unwrap();
        Fixture { sasl, _dir: dir }
    }

    fn said(progress: Progress) -> String {
        match progress {
            Progress::Continue(said) => String::from_utf8(said.unwrap()).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// SCRAM's client, as RFC 5802 has it: its last message, and what the server must answer.
    fn client_final(password: &str, first_bare: &str, server_first: &str) -> (String, String) {
        let [nonce, salt, iterations] = server_first.split(',').collect::<Vec<_>>()[..] else { panic!() };
        let salt = STANDARD.decode(salt.strip_prefix("s=").unwrap()).unwrap();
        let iterations: u32 = iterations.strip_prefix("i=").unwrap().parse().unwrap();
        let mut salted = [0; 32];
        let rounds = iterations.try_into().unwrap();
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, &salt, password.as_bytes(), &mut salted);
        let sign = |key: &[u8], text: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes());
        let client_key = sign(&salted, "Client Key");
        let without_proof = format!("c=biws,{nonce}");
        let message = format!("{first_bare},{server_first},{without_proof}");
        let stored = digest::digest(&digest::SHA256, client_key.as_ref());
        let signature = sign(stored.as_ref(), &message);
        let proof: Vec<u8> = client_key.as_ref().iter().zip(signature.as_ref()).map(|(a, b)| a ^ b).collect();
        let verifier = sign(sign(&salted, "Server Key").as_ref(), &message);
        (format!("{without_proof},p={}", STANDARD.encode(proof)), format!("v={}", STANDARD.encode(verifier.as_ref())))
    }

    /// A whole exchange by SCRAM: its end, and what a client must have heard.
    async fn scram(sasl: &Sasl, user: &str, password: &str, only: Option<&str>) -> (Progress, String) {
        let mut exchange = sasl.begin(b"SCRAM-SHA-256", false, only.map(str::to_owned)).unwrap();
        assert_eq!(exchange.step(None).await, Progress::Continue(None), "the client has to begin");
        let bare = format!("n={user},r=fyko+d2lbbFgONRv9qkxdawL");
        let first = said(exchange.step(Some(format!("n,,{bare}").as_bytes())).await);
        let (last, verifier) = client_final(password, &bare, &first);
        (exchange.step(Some(last.as_bytes())).await, verifier)
    }

    #[tokio::test]
    async fn scram_lets_in_who_knows_the_password_and_proves_that_the_server_does() {
        let Fixture { sasl, _dir } = fixture(&[]);
        let (end, verifier) = scram(&sasl, "alice", "pencil", None).await;
        assert_eq!(end, Progress::Done { said: Some(verifier.into()), user: "alice".into() });
    }

    #[tokio::test]
    async fn the_unknown_and_the_wrong_look_the_same() {
        let Fixture { sasl, _dir } = fixture(&[]);
        let failed = |why| Progress::Failed(Some(FAILED_PROOF.into()), why);
        assert_eq!(scram(&sasl, "alice", "pencils", None).await.0, failed("wrong password"));
        assert_eq!(scram(&sasl, "bob", "pencil", None).await.0, failed("unknown user"));
        // A session's further links are for its own user only.
        assert!(matches!(scram(&sasl, "alice", "pencil", Some("alice")).await.0, Progress::Done { .. }));
        assert_eq!(scram(&sasl, "alice", "pencil", Some("bob")).await.0, failed("unknown user"));
        let first = async |user: &str| {
            let mut exchange = sasl.begin(b"SCRAM-SHA-256", false, None).unwrap();
            let first = said(exchange.step(Some(format!("n,,n={user},r=x").as_bytes())).await);
            let (nonce, rest) = first.split_once(',').unwrap();
            (nonce.len(), rest.to_owned())
        };
        let (bob, alice) = (first("bob").await, first("alice").await);
        assert_eq!((bob.0, bob.1.len()), (alice.0, alice.1.len()));
        assert_eq!(bob.1, first("bob").await.1, "salt and iterations of nobody stay the same");
    }

    #[tokio::test]
    async fn plain_is_for_tls_and_for_oneself() {
        let Fixture { sasl, _dir } = fixture(&[]);
        assert_eq!((sasl.list(true).as_str(), sasl.list(false).as_str()), (",SCRAM-SHA-256,PLAIN,", ",SCRAM-SHA-256,"));
        assert!(sasl.begin(b"PLAIN", false, None).is_none());
        let plain = async |data: &[u8]| sasl.begin(b"PLAIN", true, None).unwrap().step(Some(data)).await;
        let alice = || Progress::Done { said: None, user: "alice".into() };
        assert_eq!(plain(b"\0alice\0pencil").await, alice());
        assert_eq!(plain(b"alice\0alice\0pencil").await, alice());
        assert_eq!(plain(b"\0alice\0pencils").await, Progress::Failed(None, "wrong password"));
        assert_eq!(plain(b"\0bob\0pencil").await, Progress::Failed(None, "unknown user"));
        for bad in [&b"bob\0alice\0pencil"[..], b"", b"alice", b"\0alice\0", b"\0\0pencil", b"\0\xff\0pencil"] {
            assert!(matches!(plain(bad).await, Progress::Failed(None, _)), "{}", bad.escape_ascii());
        }
    }

    #[tokio::test]
    async fn steps_that_scram_does_not_have_end_it() {
        let Fixture { sasl, _dir } = fixture(&[]);
        let begin = || sasl.begin(b"SCRAM-SHA-256", false, None).unwrap();
        for bad in ["", "x", "n,,", "n,,n=alice", "p=tls-unique,,n=alice,r=x", "y", "n,a=bob,", "n,,m=x,n=a,r=b"] {
            let progress = begin().step(Some(bad.as_bytes())).await;
            assert!(matches!(progress, Progress::Failed(None, _)), "{bad}: {progress:?}");
        }
        for bad in ["", "c=biws", "c=biws,r=x,p=x", "c=biws,r=x,p=", "\u{0}", "c=,r=,p="] {
            let mut exchange = begin();
            let _first = said(exchange.step(Some(b"n,,n=alice,r=x")).await);
            let progress = exchange.step(Some(bad.as_bytes())).await;
            assert!(matches!(progress, Progress::Failed(..)), "{bad}: {progress:?}");
        }
        // Nothing twice.
        let mut exchange = begin();
        assert_eq!(exchange.step(None).await, Progress::Continue(None));
        assert!(matches!(exchange.step(None).await, Progress::Failed(None, _)));
    }

    #[test]
    fn what_is_offered_is_what_was_asked_for() {
        let list = |names: &[&str]| {
            let Fixture { sasl, _dir } = fixture(names);
            (sasl.list(true), sasl.list(false))
        };
        assert_eq!(list(&["PLAIN"]), (",PLAIN,".into(), ",".into()));
        assert_eq!(list(&["PLAIN", "SCRAM-SHA-256"]), (",PLAIN,SCRAM-SHA-256,".into(), ",SCRAM-SHA-256,".into()));
        let Fixture { sasl, _dir } = fixture(&["SCRAM-SHA-256"]);
        for other in [&b"PLAIN"[..], b"scram-sha-256", b"SCRAM-SHA-256-PLUS", b"SCRAM-SHA-512", b"", b"\xff"] {
            assert!(sasl.begin(other, true, None).is_none(), "{}", other.escape_ascii());
        }
        let open = |config: config::Sasl| Sasl::open(&config).unwrap_err().to_string();
        let on = config::Sasl { on: true, ..config::Sasl::default() };
        assert_eq!(open(on), "--sasl needs users: --sasl-users FILE, which sumac passwd makes");
        let gssapi = vec!["GSSAPI".parse().unwrap()];
        let config = config::Sasl { users: Some(sasl.file.clone()), mechanisms: gssapi, ..config::Sasl::default() };
        assert_eq!(open(config), "--sasl-mechanisms: there is no GSSAPI, but SCRAM-SHA-256, PLAIN");
    }

    #[tokio::test]
    async fn users_are_read_again_unless_the_file_is_no_good() {
        let Fixture { sasl, _dir } = fixture(&[]);
        Users::set_in(&sasl.file, "alice", "eraser", 4096).unwrap();
        assert!(matches!(scram(&sasl, "alice", "pencil", None).await.0, Progress::Done { .. }));
        sasl.reload().unwrap();
        assert!(matches!(scram(&sasl, "alice", "pencil", None).await.0, Progress::Failed(..)));
        std::fs::write(&sasl.file, "nonsense").unwrap();
        assert!(sasl.reload().is_err());
        assert!(matches!(scram(&sasl, "alice", "eraser", None).await.0, Progress::Done { .. }));
    }
}
