//! [`TicketCheck`]: whether a decrypted ticket lets its sender in.
//!
//! The plaintext is the password and one NUL. A missing NUL is tolerated: the end of the plaintext
//! ends the password as well.

use std::fmt;
use std::time::{Duration, Instant};

use super::grant::Proof;
use super::password::{MAX_PASSWORD_BYTES, Password};

/// What a client must know to get in.
#[derive(Clone, Debug)]
pub struct TicketCheck(Rule);

#[derive(Clone, Debug)]
enum Rule {
    /// Every ticket is good.
    Disabled,
    /// Nobody gets in until a password is set.
    Locked,
    Password {
        password: Password,
        /// From this moment on the password is worth nothing.
        expires: Option<Instant>,
    },
}

/// The verdict. To the client all but the first are the same PERMISSION_DENIED; `Display` gives the
/// reason for the log, which holds nothing of what the client sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TicketOutcome {
    /// Let it in.
    Accepted,
    /// Not the password.
    Wrong,
    /// The lifetime of the password or ticket is over.
    Expired,
    /// The client sent an empty password and one is needed.
    Empty,
    /// The client sent more than 60 bytes.
    TooLong,
    /// No password has been set.
    NoPassword,
    /// Not encrypted for this link.
    Undecryptable,
    /// A one-time ticket that let somebody in before.
    Used,
    /// A ticket that was revoked.
    Revoked,
    /// A link of a session that was begun with something else.
    NotTheSessions,
}

impl TicketCheck {
    /// Lets everyone in who follows the protocol (`disable-ticketing`).
    pub fn disabled() -> Self {
        Self(Rule::Disabled)
    }

    /// Lets nobody in: ticketing is on and no password has been set.
    pub fn locked() -> Self {
        Self(Rule::Locked)
    }

    /// Wants `password`; with a `lifetime`, only until that long after `now`.
    pub fn password(password: Password, lifetime: Option<Duration>, now: Instant) -> Self {
        // A lifetime beyond what a clock can hold is no limit.
        let expires = lifetime.and_then(|lifetime| now.checked_add(lifetime));
        Self(Rule::Password { password, expires })
    }

    /// From `at` on the password is worth nothing; nothing changes without one.
    pub fn expire(&mut self, at: Instant) {
        if let Rule::Password { expires, .. } = &mut self.0 {
            *expires = Some(at);
        }
    }

    /// What a viewer that was accepted knew.
    pub(super) fn proof(&self) -> Proof {
        match &self.0 {
            Rule::Password { password, .. } => Proof::Password(password.clone()),
            Rule::Disabled | Rule::Locked => Proof::None,
        }
    }

    /// Whether everybody is let in.
    pub fn is_disabled(&self) -> bool {
        matches!(self.0, Rule::Disabled)
    }

    /// Judges what a client's ticket decrypted to.
    pub(super) fn check_plain(&self, plain: &[u8], now: Instant) -> TicketOutcome {
        let given = password_in(plain);
        match &self.0 {
            Rule::Disabled => TicketOutcome::Accepted,
            Rule::Locked => TicketOutcome::NoPassword,
            Rule::Password { expires: Some(at), .. } if now >= *at => TicketOutcome::Expired,
            Rule::Password { .. } if given.is_empty() => TicketOutcome::Empty,
            Rule::Password { .. } if given.len() > MAX_PASSWORD_BYTES => TicketOutcome::TooLong,
            Rule::Password { password, .. } if password.is(given) => TicketOutcome::Accepted,
            Rule::Password { .. } => TicketOutcome::Wrong,
        }
    }
}

impl TicketOutcome {
    /// Whether the client may in.
    pub fn is_accepted(self) -> bool {
        self == Self::Accepted
    }
}

impl fmt::Display for TicketOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accepted => "ticket accepted",
            Self::Wrong => "wrong password",
            Self::Expired => "the password or ticket has expired",
            Self::Empty => "empty password",
            Self::TooLong => "the password is longer than 60 bytes",
            Self::NoPassword => "no password has been set",
            Self::Undecryptable => "the ticket cannot be decrypted",
            Self::Used => "the one-time ticket was used before",
            Self::Revoked => "the ticket was revoked",
            Self::NotTheSessions => "not what the session was begun with",
        })
    }
}

/// The password in a decrypted ticket.
pub(super) fn password_in(plain: &[u8]) -> &[u8] {
    plain.split(|&byte| byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::TicketKey;
    use crate::auth::sys::encrypt_for_tests;

    fn judge(check: &TicketCheck, plain: &[u8], now: Instant) -> TicketOutcome {
        check.check_plain(plain, now)
    }

    fn wants(text: &str) -> (TicketCheck, Instant) {
        let now = Instant::now();
        (TicketCheck::password(Password::new(text).unwrap(), None, now), now)
    }

    #[test]
    fn right_and_wrong_passwords() {
        let (check, now) = wants("secret");
        for (plain, outcome) in [
            (&b"secret\0"[..], TicketOutcome::Accepted),
            (b"secret", TicketOutcome::Accepted),
            (b"secret\0rest", TicketOutcome::Accepted),
            (b"Secret\0", TicketOutcome::Wrong),
            (b"secre\0", TicketOutcome::Wrong),
            (b"secret1\0", TicketOutcome::Wrong),
            (b"\0", TicketOutcome::Empty),
            (b"", TicketOutcome::Empty),
            (b"\0secret\0", TicketOutcome::Empty),
        ] {
            assert_eq!(judge(&check, plain, now), outcome, "{plain:?}");
        }
    }

    #[test]
    fn sixty_bytes_pass_and_sixty_one_do_not() {
        let (check, now) = wants(&"x".repeat(60));
        let with_nul = |len: usize| [vec![b'x'; len], vec![0]].concat();
        assert_eq!(judge(&check, &with_nul(60), now), TicketOutcome::Accepted);
        assert_eq!(judge(&check, &with_nul(59), now), TicketOutcome::Wrong);
        assert_eq!(judge(&check, &with_nul(61), now), TicketOutcome::TooLong);
        assert_eq!(judge(&check, &with_nul(85), now), TicketOutcome::TooLong);
        assert_eq!(judge(&check, &[b'x'; 86], now), TicketOutcome::TooLong);
    }

    #[test]
    fn cve_2013_4282_a_ticket_of_any_length_is_judged() {
        let (check, now) = wants("secret");
        // The whole way: encrypted by a client, decrypted, judged. OAEP with SHA-1 leaves 86 bytes of 128.
        let judge = |plain: &[u8]| {
            let key = TicketKey::generate().unwrap();
            let encrypted = encrypt_for_tests(key.public_key(), plain)?;
            Some(judge(&check, key.decrypt(&encrypted).unwrap().as_bytes(), now))
        };
        assert_eq!(judge(&[b'x'; 87]), None);
        for len in [60, 61, 62, 63, 64, 80, 85, 86] {
            let outcome = if len > MAX_PASSWORD_BYTES { TicketOutcome::TooLong } else { TicketOutcome::Wrong };
            assert_eq!(judge(&vec![b'x'; len]), Some(outcome), "{len}");
            let begins_well = [b"secret".to_vec(), vec![b'x'; len - 6]].concat();
            assert_eq!(judge(&begins_well), Some(outcome), "{len}");
        }
    }

    #[test]
    fn the_lifetime_ends_at_its_end() {
        let start = Instant::now();
        let lifetime = Duration::from_secs(30);
        let check = TicketCheck::password(Password::new("secret").unwrap(), Some(lifetime), start);
        let just_before = start + lifetime - Duration::from_nanos(1);
        assert_eq!(judge(&check, b"secret\0", just_before), TicketOutcome::Accepted);
        assert_eq!(judge(&check, b"secret\0", start + lifetime), TicketOutcome::Expired);
        assert_eq!(judge(&check, b"wrong\0", start + lifetime), TicketOutcome::Expired);
        let endless = TicketCheck::password(Password::new("secret").unwrap(), Some(Duration::MAX), start);
        assert_eq!(judge(&endless, b"secret\0", start), TicketOutcome::Accepted);
    }

    #[test]
    fn without_ticketing_everything_is_good() {
        let (check, now) = (TicketCheck::disabled(), Instant::now());
        assert_eq!(judge(&check, b"\0", now), TicketOutcome::Accepted);
        assert_eq!(judge(&check, &[b'x'; 86], now), TicketOutcome::Accepted);
    }

    #[test]
    fn without_a_password_nobody_gets_in() {
        let (check, now) = (TicketCheck::locked(), Instant::now());
        assert_eq!(judge(&check, b"\0", now), TicketOutcome::NoPassword);
        assert_eq!(judge(&check, b"secret\0", now), TicketOutcome::NoPassword);
    }
}
