//! [`Grant`]: what let a viewer in, and what it may do.
//!
//! A viewer's further links name its session and prove the same as its first one did. So a new
//! password, an expired one or a used one-time ticket does not cut a viewer off from channels that
//! come later, and nobody joins another's session with a secret of his own.

use std::fmt;

use super::keys::{Plaintext, Undecryptable};
use super::password::Password;
use super::ticket::{TicketOutcome, password_in};

/// What let a viewer in; kept with its session.
#[derive(Clone, Debug)]
pub struct Grant {
    /// What it proved.
    pub proof: Proof,
    /// It sees and hears, and nothing that it says reaches the source.
    pub view_only: bool,
}

/// What a viewer proved. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub enum Proof {
    /// Nothing: everybody is let in.
    None,
    /// Nothing: the program that the server is in handed over its connections, and answers for them.
    Program,
    /// That it knows the password.
    Password(Password),
    /// That it has a ticket.
    Ticket {
        /// Which one.
        id: u32,
        /// For whom it was made.
        name: String,
        /// What the viewer knows.
        secret: Password,
    },
    /// That it is this user, by SASL.
    User(String),
}

impl Grant {
    /// For a server that lets everybody in.
    pub fn to_everybody() -> Self {
        Self { proof: Proof::None, view_only: false }
    }

    /// For a connection that the program answers for.
    pub fn to_program() -> Self {
        Self { proof: Proof::Program, view_only: false }
    }

    /// The user as whom a further link of the session has to log in; nobody, where it began with a
    /// ticket.
    pub fn user(&self) -> &str {
        match &self.proof {
            Proof::User(name) => name,
            _ => "",
        }
    }

    /// Judges the ticket of a further link of the session. Nobody can join one of the program's with a
    /// ticket.
    pub fn check(&self, ticket: Result<Plaintext, Undecryptable>) -> TicketOutcome {
        let Ok(plain) = ticket else { return TicketOutcome::Undecryptable };
        let given = password_in(plain.as_bytes());
        match &self.proof {
            Proof::None => TicketOutcome::Accepted,
            Proof::Password(secret) | Proof::Ticket { secret, .. } if secret.is(given) => TicketOutcome::Accepted,
            _ => TicketOutcome::NotTheSessions,
        }
    }
}

/// As logs and lists show it.
impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("nothing"),
            Self::Program => f.write_str("nothing, let in by the program"),
            Self::Password(_) => f.write_str("password"),
            Self::Ticket { id, name, .. } => write!(f, "ticket {id} for {name}"),
            Self::User(name) => write!(f, "user {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::TicketKey;
    use crate::auth::sys::encrypt_for_tests;

    fn judge(grant: &Grant, plain: &[u8]) -> TicketOutcome {
        let key = TicketKey::generate().unwrap();
        let encrypted = encrypt_for_tests(key.public_key(), plain).unwrap();
        grant.check(key.decrypt(&encrypted))
    }

    #[test]
    fn a_session_is_joined_with_what_began_it() {
        let secret = Password::new("hunter2").unwrap();
        let with = |proof| Grant { proof, view_only: true };
        let ticket = with(Proof::Ticket { id: 3, name: "alice".into(), secret: secret.clone() });
        for grant in [with(Proof::Password(secret)), ticket.clone()] {
            assert_eq!(judge(&grant, b"hunter2\0"), TicketOutcome::Accepted);
            assert_eq!(judge(&grant, b"hunter3\0"), TicketOutcome::NotTheSessions);
            assert_eq!(judge(&grant, b""), TicketOutcome::NotTheSessions);
            assert_eq!(grant.check(Err(Undecryptable)), TicketOutcome::Undecryptable);
            assert!(!format!("{grant:?} {}", grant.proof).contains("hunter2"));
        }
        assert_eq!(judge(&with(Proof::User("bob".into())), b"bob\0"), TicketOutcome::NotTheSessions);
        assert_eq!(ticket.proof.to_string(), "ticket 3 for alice");
        assert_eq!(judge(&Grant::to_everybody(), b"whatever\0"), TicketOutcome::Accepted);
        assert_eq!(Grant::to_everybody().check(Err(Undecryptable)), TicketOutcome::Undecryptable);
        for ticket in [&b"\0"[..], b"whatever\0"] {
            assert_eq!(judge(&Grant::to_program(), ticket), TicketOutcome::NotTheSessions);
        }
    }
}
