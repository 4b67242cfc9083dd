//! [`Tickets`]: the password, and tickets that were made for somebody, several at once.
//!
//! Whatever a client sends is compared with all of them, whichever fits, in a time that depends on
//! their number only. One that has ended is kept for a while, so that the log can say why it is
//! refused; the client hears the same as for a wrong one.

use std::io;
use std::time::{Duration, Instant};

use super::grant::{Grant, Proof};
use super::keys::{Plaintext, Undecryptable};
use super::password::Password;
use super::ticket::{TicketCheck, TicketOutcome, password_in};

/// Tickets that are kept, those that have ended included.
pub const MOST_TICKETS: usize = 256;
/// Bytes of the name of whom a ticket is for.
pub const MOST_NAME_BYTES: usize = 64;

/// What is asked for with a new ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketWish {
    /// For whom: 1 to 64 bytes without control characters, for lists and logs.
    pub name: String,
    /// It lets in once; the viewer's further channels belong to that.
    pub once: bool,
    /// How long it lets in; `None` until it is revoked.
    pub lifetime: Option<Duration>,
    /// Whoever has it sees and hears only.
    pub view_only: bool,
}

/// Why there is no new ticket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TicketError {
    /// It would be worth nothing.
    #[error("everybody is let in without a ticket; set a password first")]
    Disabled,
    /// The name cannot be one.
    #[error("a name has 1 to {MOST_NAME_BYTES} bytes without control characters")]
    Name,
    /// Too many wait to be used.
    #[error("there are {MOST_TICKETS} tickets that are still good; revoke some")]
    TooMany,
    /// The system gave no randomness.
    #[error("no randomness: {0}")]
    Random(#[from] io::Error),
}

/// A ticket as lists show it: without its secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketView {
    /// Its number, never used again.
    pub id: u32,
    /// What was asked for; `lifetime` is what is left of it.
    pub wish: TicketWish,
}

/// Everything by which a ticket lets its sender in. Time is passed in.
#[derive(Debug)]
pub struct Tickets {
    rule: TicketCheck,
    made: Vec<Made>,
    last_id: u32,
}

#[derive(Debug)]
struct Made {
    id: u32,
    wish: TicketWish,
    secret: Password,
    expires: Option<Instant>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Good,
    Used,
    Revoked,
}

impl Tickets {
    /// With this rule for the password, and no others yet.
    pub fn new(rule: TicketCheck) -> Self {
        Self { rule, made: Vec::new(), last_id: 0 }
    }

    /// Replaces the rule for the password; whoever is in stays.
    pub fn set_rule(&mut self, rule: TicketCheck) {
        self.rule = rule;
    }

    /// From `at` on the password lets nobody in.
    pub fn expire_password(&mut self, at: Instant) {
        self.rule.expire(at);
    }

    /// Makes a ticket from the system's randomness; answers its number and its text.
    pub fn make(&mut self, wish: TicketWish, now: Instant) -> Result<(u32, Password), TicketError> {
        if self.rule.is_disabled() {
            return Err(TicketError::Disabled);
        }
        if !(1..=MOST_NAME_BYTES).contains(&wish.name.len()) || wish.name.contains(char::is_control) {
            return Err(TicketError::Name);
        }
        if self.made.len() >= MOST_TICKETS {
            let ended = self.made.iter().position(|made| made.outcome(now) != TicketOutcome::Accepted);
            self.made.remove(ended.ok_or(TicketError::TooMany)?);
        }
        let secret = Password::generate_long()?;
        // A lifetime beyond what a clock can hold is no limit.
        let expires = wish.lifetime.and_then(|lifetime| now.checked_add(lifetime));
        self.last_id += 1;
        self.made.push(Made { id: self.last_id, wish, secret: secret.clone(), expires, state: State::Good });
        Ok((self.last_id, secret))
    }

    /// Those that are good, the oldest first.
    pub fn list(&self, now: Instant) -> Vec<TicketView> {
        let good = self.made.iter().filter(|made| made.outcome(now) == TicketOutcome::Accepted);
        good.map(|made| {
            let lifetime = made.expires.map(|at| at.saturating_duration_since(now));
            TicketView { id: made.id, wish: TicketWish { lifetime, ..made.wish.clone() } }
        })
        .collect()
    }

    /// The tickets of this name or number let nobody in any more; answers how many were good.
    pub fn revoke(&mut self, which: &str, now: Instant) -> usize {
        let mut revoked = 0;
        for made in self.made.iter_mut().filter(|made| names(which, made.id, &made.wish.name)) {
            revoked += usize::from(made.outcome(now) == TicketOutcome::Accepted);
            made.state = State::Revoked;
        }
        revoked
    }

    /// Judges the ticket of a new session. One that lets in once is used up by that, unless the link
    /// can come to nothing: `spends`.
    pub fn check(
        &mut self,
        ticket: Result<Plaintext, Undecryptable>,
        spends: bool,
        now: Instant,
    ) -> Result<Grant, TicketOutcome> {
        self.check_plain(ticket.map_err(|Undecryptable| TicketOutcome::Undecryptable)?.as_bytes(), spends, now)
    }

    fn check_plain(&mut self, plain: &[u8], spends: bool, now: Instant) -> Result<Grant, TicketOutcome> {
        let given = password_in(plain);
        let outcome = self.rule.check_plain(plain, now);
        // `last` looks at all.
        let Some(made) = self.made.iter_mut().filter(|made| made.secret.is(given)).last() else {
            return match outcome {
                TicketOutcome::Accepted => Ok(Grant { proof: self.rule.proof(), view_only: false }),
                refused => Err(refused),
            };
        };
        match made.outcome(now) {
            TicketOutcome::Accepted => {
                if spends && made.wish.once {
                    made.state = State::Used;
                }
                let (name, secret) = (made.wish.name.clone(), made.secret.clone());
                Ok(Grant { proof: Proof::Ticket { id: made.id, name, secret }, view_only: made.wish.view_only })
            }
            refused => Err(refused),
        }
    }
}

impl Made {
    fn outcome(&self, now: Instant) -> TicketOutcome {
        match self.state {
            State::Revoked => TicketOutcome::Revoked,
            State::Used => TicketOutcome::Used,
            State::Good if self.expires.is_some_and(|at| now >= at) => TicketOutcome::Expired,
            State::Good => TicketOutcome::Accepted,
        }
    }
}

/// Whether an operator means this ticket: by its number, or by the name of whom it is for.
pub(crate) fn names(which: &str, id: u32, name: &str) -> bool {
    which == name || which.parse() == Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::TicketKey;

    fn wish(name: &str) -> TicketWish {
        TicketWish { name: name.into(), once: false, lifetime: None, view_only: false }
    }

    fn tickets() -> (Tickets, Instant) {
        let now = Instant::now();
        (Tickets::new(TicketCheck::password(Password::new("secret").unwrap(), None, now)), now)
    }

    /// What comes of a client that sends this.
    fn present(tickets: &mut Tickets, secret: &Password, now: Instant) -> Result<String, TicketOutcome> {
        let plain = [secret.reveal().as_bytes(), &[0]].concat();
        tickets.check_plain(&plain, true, now).map(|grant| format!("{} {}", grant.proof, grant.view_only))
    }

    #[test]
    fn several_are_good_at_once_beside_the_password() {
        let (mut tickets, now) = tickets();
        let (_, alice) = tickets.make(wish("alice"), now).unwrap();
        let (_, bob) = tickets.make(TicketWish { view_only: true, ..wish("bob") }, now).unwrap();
        assert_eq!(present(&mut tickets, &alice, now).unwrap(), "ticket 1 for alice false");
        assert_eq!(present(&mut tickets, &bob, now).unwrap(), "ticket 2 for bob true");
        assert_eq!(present(&mut tickets, &alice, now).unwrap(), "ticket 1 for alice false");
        assert_eq!(present(&mut tickets, &Password::new("secret").unwrap(), now).unwrap(), "password false");
        assert_eq!(present(&mut tickets, &Password::new("other").unwrap(), now), Err(TicketOutcome::Wrong));
        assert!(!format!("{tickets:?}").contains(alice.reveal()));
    }

    #[test]
    fn garbage_is_undecryptable_whatever_the_rule() {
        let garbage = || TicketKey::generate().unwrap().decrypt(&[0x5a; 128]);
        let (mut tickets, now) = tickets();
        assert_eq!(tickets.check(garbage(), true, now).unwrap_err(), TicketOutcome::Undecryptable);
        tickets.set_rule(TicketCheck::disabled());
        assert_eq!(tickets.check(garbage(), true, now).unwrap_err(), TicketOutcome::Undecryptable);
    }

    #[test]
    fn once_is_once_unless_the_link_came_to_nothing() {
        let (mut tickets, now) = tickets();
        let (_, secret) = tickets.make(TicketWish { once: true, ..wish("alice") }, now).unwrap();
        assert!(tickets.check_plain(secret.reveal().as_bytes(), false, now).is_ok());
        assert!(present(&mut tickets, &secret, now).is_ok());
        assert_eq!(present(&mut tickets, &secret, now), Err(TicketOutcome::Used));
        assert!(tickets.list(now).is_empty());
    }

    #[test]
    fn lifetimes_end_and_lists_say_what_is_left() {
        let (mut tickets, now) = tickets();
        let minute = Duration::from_secs(60);
        let (id, secret) = tickets.make(TicketWish { lifetime: Some(minute), ..wish("alice") }, now).unwrap();
        let later = now + minute / 3;
        let left = TicketWish { lifetime: Some(minute * 2 / 3), ..wish("alice") };
        assert_eq!(tickets.list(later), [TicketView { id, wish: left }]);
        assert!(present(&mut tickets, &secret, later).is_ok());
        assert_eq!(present(&mut tickets, &secret, now + minute), Err(TicketOutcome::Expired));
        assert!(tickets.list(now + minute).is_empty());
        tickets.expire_password(later);
        let password = Password::new("secret").unwrap();
        assert!(present(&mut tickets, &password, now).is_ok());
        assert_eq!(present(&mut tickets, &password, later), Err(TicketOutcome::Expired));
    }

    #[test]
    fn revoked_by_name_or_number() {
        let (mut tickets, now) = tickets();
        let mut make = |name: &str| tickets.make(wish(name), now).unwrap();
        let [(_, one), (_, two), (three, _)] = [make("alice"), make("alice"), make("bob")];
        assert_eq!(tickets.revoke("alice", now), 2);
        assert_eq!(tickets.revoke("alice", now), 0, "they were not good any more");
        assert_eq!(present(&mut tickets, &one, now), Err(TicketOutcome::Revoked));
        assert_eq!(present(&mut tickets, &two, now), Err(TicketOutcome::Revoked));
        assert_eq!(tickets.list(now).len(), 1);
        assert_eq!(tickets.revoke(&three.to_string(), now), 1);
        assert_eq!(tickets.revoke("carol", now), 0);
    }

    #[test]
    fn they_are_bounded_and_those_that_ended_make_room() {
        let (mut tickets, now) = tickets();
        for n in 0..MOST_TICKETS {
            tickets.make(wish(&format!("n{n}")), now).unwrap();
        }
        assert!(matches!(tickets.make(wish("more"), now), Err(TicketError::TooMany)));
        tickets.revoke("n7", now);
        let (id, _) = tickets.make(wish("more"), now).unwrap();
        assert_eq!((id as usize, tickets.made.len()), (MOST_TICKETS + 1, MOST_TICKETS), "no number is used again");
    }

    #[test]
    fn what_cannot_be_a_ticket_is_refused() {
        let (mut tickets, now) = tickets();
        for name in ["", "a\nb", &"x".repeat(65)] {
            assert!(matches!(tickets.make(wish(name), now), Err(TicketError::Name)), "{name:?}");
        }
        let mut open = Tickets::new(TicketCheck::disabled());
        assert!(matches!(open.make(wish("alice"), now), Err(TicketError::Disabled)));
        open.set_rule(TicketCheck::locked());
        let (_, secret) = open.make(wish("alice"), now).unwrap();
        assert!(present(&mut open, &secret, now).is_ok());
        assert_eq!(present(&mut open, &Password::new("x").unwrap(), now), Err(TicketOutcome::NoPassword));
    }
}
