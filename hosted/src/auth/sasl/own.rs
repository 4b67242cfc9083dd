//! [`Own`]: an exchange with users of a file of ours, by SCRAM-SHA-256 or PLAIN.

use std::sync::Arc;

use super::scram::{Challenge, FAILED, First};
use super::users::{Keys, Users, prepared, random_text};
use super::{PLAIN, Progress};

/// An exchange with one client.
pub(super) struct Own {
    users: Arc<Users>,
    /// Nobody else is known.
    only: Option<String>,
    step: Step,
}

enum Step {
    /// The client has to begin; it was told so, or not yet.
    Begin {
        plain: bool,
        told: bool,
    },
    /// It has to prove that it is this user, if there is such a one.
    Prove {
        user: String,
        known: bool,
        challenge: Challenge,
    },
    Over,
}

const MALFORMED: Progress = Progress::Failed(None, "a step that the mechanism does not have");

impl Own {
    /// Begins an exchange by a mechanism that was offered.
    pub(super) fn begin(users: Arc<Users>, mechanism: &str, only: Option<String>) -> Self {
        Self { users, only, step: Step::Begin { plain: mechanism == PLAIN, told: false } }
    }

    /// Takes what the client said.
    pub(super) async fn step(&mut self, data: Option<&[u8]>) -> Progress {
        match (std::mem::replace(&mut self.step, Step::Over), data) {
            (Step::Begin { plain, told: false }, None) => {
                self.step = Step::Begin { plain, told: true };
                Progress::Continue(None)
            }
            (Step::Begin { plain: true, .. }, Some(data)) => self.plain(data).await,
            (Step::Begin { plain: false, .. }, Some(data)) => self.challenge(data),
            (Step::Prove { user, known, challenge }, Some(data)) => match challenge.verify(data) {
                Ok(Some(verifier)) if known => Progress::Done { said: Some(verifier.into()), user },
                Ok(_) => Progress::Failed(Some(FAILED.into()), why(known)),
                Err(_) => MALFORMED,
            },
            _ => MALFORMED,
        }
    }

    /// SCRAM's first message.
    fn challenge(&mut self, data: &[u8]) -> Progress {
        let Ok(first) = First::parse(data) else { return MALFORMED };
        let Ok(nonce) = random_text() else { return Progress::Failed(None, "the system has no randomness") };
        let (keys, known) = self.keys(first.user);
        // Nobody acts for another one.
        let known = known && first.authzid.is_none_or(|other| other == first.user);
        let challenge = Challenge::new(&first, &nonce, keys);
        let said = challenge.message().into();
        self.step = Step::Prove { user: first.user.to_owned(), known, challenge };
        Progress::Continue(Some(said))
    }

    /// PLAIN's only message (RFC 4616): for whom, who, and the password.
    async fn plain(&self, data: &[u8]) -> Progress {
        let Ok(text) = std::str::from_utf8(data) else { return MALFORMED };
        let [authzid, user, password] = text.split('\0').collect::<Vec<_>>()[..] else { return MALFORMED };
        let Ok(password) = prepared(password) else { return MALFORMED };
        let (keys, known) = self.keys(user);
        let known = known && (authzid.is_empty() || authzid == user);
        // Takes its time, which is the others', too.
        let right = tokio::task::spawn_blocking(move || keys.are_of(&password)).await.unwrap_or(false);
        if right && known {
            Progress::Done { said: None, user: user.to_owned() }
        } else {
            Progress::Failed(None, why(known))
        }
    }

    /// The user of that name's keys; of others, some that no password has.
    fn keys(&self, user: &str) -> (Keys, bool) {
        let (keys, known) = self.users.keys(user);
        let allowed = self.only.as_ref().is_none_or(|only| only == user);
        if allowed { (keys, known) } else { (self.users.nobodys(user), false) }
    }
}

/// For the log. No name that is unknown is told: it may be a password in the wrong place.
fn why(known: bool) -> &'static str {
    if known { "wrong password" } else { "unknown user" }
}
