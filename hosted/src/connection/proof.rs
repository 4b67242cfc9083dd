//! The part of a link in which a viewer proves who it is: by a ticket, or by SASL.
//!
//! The brake on guessing holds for both: it is booked before anything is looked at, and taken back
//! when the viewer was right. Links of a session that exists do not pay; they have to prove what the
//! session began with, so there is nothing to be guessed at.

use std::time::Duration;

use sumac_core::link::{SaslStep, Verdict};
use tokio::io::AsyncWriteExt;
use tokio::time::sleep;

use super::handshake::{Link, LinkFailed, OUT, internal};
use crate::auth::{Attempt, Grant, Progress, Proof};
use crate::server::Found;
use crate::transport::Stream;

/// Bytes of a step of SASL: the largest are Kerberos' with all of a user's groups.
pub(super) const SASL_MOST: usize = 64 * 1024;

/// Why a viewer is not let in, for the log; no secret is in it.
pub(super) enum Denied {
    /// The ticket.
    Ticket(String),
    /// SASL.
    Sasl(&'static str),
}

impl Link<'_> {
    /// Whether the ticket is right.
    pub(super) async fn check_ticket(&mut self, encrypted: &[u8; 128]) -> Verdict {
        let Some(found) = self.found() else { return self.deny_ticket("nothing was asked for") };
        let session = found.session();
        if self.trusted {
            self.grant = Some(session.map_or_else(Grant::to_program, |session| session.grant.clone()));
            return found.verdict();
        }
        if session.is_none() && !self.may_try().await {
            return self.deny_ticket("too many wrong ones before");
        }
        let Some(key) = self.key.take() else { return self.deny_ticket("no key") };
        let ticket = key.decrypt(encrypted);
        let grant = match session {
            Some(session) => {
                let outcome = session.grant.check(ticket);
                if outcome.is_accepted() { Ok(session.grant.clone()) } else { Err(outcome) }
            }
            None => {
                let spends = matches!(found, Found::Channel(None));
                self.engine.tickets.borrow_mut().check(ticket, spends, std::time::Instant::now())
            }
        };
        match grant {
            Ok(grant) => self.let_in(grant, &found),
            Err(outcome) => self.deny_ticket(outcome),
        }
    }

    /// Tells the client by which mechanisms it may log in.
    pub(super) async fn offer(&mut self, stream: &mut Stream) -> Result<(), LinkFailed> {
        let list = self.engine.sasl.as_ref().map(|sasl| sasl.list(stream.is_secure())).unwrap_or_default();
        let mut out = [0; OUT];
        let len = self.machine.sasl_mechanisms(list.as_bytes(), &mut out).map_err(internal)?;
        Ok(stream.write_all(out.get(..len).unwrap_or_default()).await?)
    }

    /// Begins to log the client in by the mechanism that it chose.
    pub(super) fn choose(&mut self, mechanism: &[u8], secure: bool) -> Result<(), LinkFailed> {
        let found = self.found();
        let session = found.as_ref().and_then(Found::session);
        let only = session.map(|session| session.grant.user().to_owned());
        self.exchange = self.engine.sasl.as_ref().and_then(|sasl| sasl.begin(mechanism, secure, only));
        self.machine.sasl_choice(self.exchange.is_some()).map_err(internal)
    }

    /// Takes a step of the mechanism.
    pub(super) async fn step(&mut self, stream: &mut Stream, data: Option<&[u8]>) -> Result<(), LinkFailed> {
        let Some(found) = self.found() else { return Err(internal("nothing was asked for")) };
        let first = !std::mem::replace(&mut self.tried, true);
        let may = !first || found.session().is_some() || self.may_try().await;
        let progress = match &mut self.exchange {
            _ if !may => Progress::Failed(None, "too many wrong ones before"),
            Some(exchange) => exchange.step(data).await,
            None => return Err(internal("no mechanism was chosen")),
        };
        let (said, verdict) = match progress {
            Progress::Continue(said) => (said, None),
            Progress::Done { said, user } => {
                let grant = Grant { proof: Proof::User(user), view_only: false };
                (said, Some(self.let_in(grant, &found)))
            }
            Progress::Failed(said, why) => {
                self.denied = Some(Denied::Sasl(why));
                (said, Some(Verdict::Denied))
            }
        };
        let data = said.as_deref();
        let step = verdict.map_or(SaslStep::Continue(data), |verdict| SaslStep::Complete { data, verdict });
        let mut out = vec![0; OUT + data.map_or(0, <[u8]>::len)];
        let len = self.machine.sasl_step(&step, &mut out).map_err(internal)?;
        Ok(stream.write_all(out.get(..len).unwrap_or_default()).await?)
    }

    /// Books an attempt at a new session, and waits as long as its sender has to; `false` when too
    /// many of the same sender's wait already.
    async fn may_try(&self) -> bool {
        // Not held across the wait: others are checked meanwhile.
        let attempt = self.engine.rate.borrow_mut().begin(self.peer.key(), std::time::Instant::now());
        match attempt {
            Attempt::After(Duration::ZERO) => {}
            Attempt::After(wait) => sleep(wait).await,
            Attempt::Deny => return false,
        }
        true
    }

    /// The viewer was right.
    fn let_in(&mut self, grant: Grant, found: &Found) -> Verdict {
        self.grant = Some(grant);
        if found.session().is_none() {
            self.engine.rate.borrow_mut().succeeded(&self.peer.key());
        }
        found.verdict()
    }

    /// What the link asks for, as things are now.
    fn found(&self) -> Option<Found> {
        let wanted = self.wanted?;
        Some(self.engine.find(wanted.connection_id, wanted.channel_type, wanted.channel_id))
    }

    fn deny_ticket(&mut self, why: impl ToString) -> Verdict {
        self.denied = Some(Denied::Ticket(why.to_string()));
        Verdict::Denied
    }
}
