//! What the operator asks over the control socket.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sumac_core::link::Auth;

use super::Engine;
use crate::auth::{Proof, TicketCheck, TicketView, TicketWish, names};
use crate::config::channel_name;
use crate::control::{Answer, ChannelStatus, Proven, Reply, Request, TicketStatus, ViewerStatus};
use crate::viewer::Session;

/// Does what was asked.
pub(super) fn answer(engine: &Engine, request: Request) -> Reply {
    let now = Instant::now();
    let mut tickets = engine.tickets.borrow_mut();
    Reply::Ok(match request {
        Request::MakeTicket { .. } | Request::SetPassword { .. } if engine.auth() == Auth::Sasl => {
            return Reply::Error("viewers log in with SASL: tickets and passwords let nobody in here".into());
        }
        Request::MakeTicket { name, once, ttl, view_only } => {
            let wish = TicketWish { name, once, lifetime: ttl.map(Duration::from_secs), view_only };
            let name = wish.name.clone();
            match tickets.make(wish, now) {
                Ok((id, secret)) => {
                    tracing::info!(id, name, once, ttl, view_only, "a ticket was made");
                    Answer::Ticket { id, secret }
                }
                Err(error) => return Reply::Error(error.to_string()),
            }
        }
        Request::ListTickets {} => Answer::Tickets(tickets.list(now).into_iter().map(ticket_status).collect()),
        Request::RevokeTickets { which } => {
            let revoked = tickets.revoke(&which, now);
            let viewers = end(engine, "its ticket was revoked", |session| match &session.grant.proof {
                Proof::Ticket { id, name, .. } => names(&which, *id, name),
                _ => false,
            });
            if revoked + viewers == 0 {
                return Reply::Error(format!("there is no ticket for or with the number '{which}'"));
            }
            tracing::info!(which, tickets = revoked, viewers, "tickets were revoked");
            Answer::Revoked { tickets: revoked, viewers }
        }
        Request::SetPassword { password } => {
            tickets.set_rule(TicketCheck::password(password, None, now));
            tracing::info!("another password was set");
            Answer::Done
        }
        Request::ExpirePassword { after } => {
            // Longer than a clock can hold is for ever.
            if let Some(at) = now.checked_add(Duration::from_secs(after)) {
                tickets.expire_password(at);
            }
            tracing::info!(after, "the password expires");
            Answer::Done
        }
        Request::Status {} => Answer::Status(engine.sessions().iter().map(|session| viewer_status(session)).collect()),
        Request::Disconnect { viewer } => {
            match end(engine, "the operator disconnected it", |session| session.id == viewer) {
                0 => return Reply::Error(format!("there is no viewer {viewer}")),
                gone => Answer::Disconnected(gone),
            }
        }
        Request::DisconnectAll {} => Answer::Disconnected(end(engine, "the operator disconnected all", |_| true)),
    })
}

/// Ends these sessions; answers how many there were.
fn end(engine: &Engine, why: &'static str, which: impl Fn(&Session) -> bool) -> usize {
    let ended: Vec<_> = engine.sessions().into_iter().filter(|session| which(session)).collect();
    ended.iter().for_each(|session| session.end(why));
    ended.len()
}

fn ticket_status(ticket: TicketView) -> TicketStatus {
    let TicketView { id, wish: TicketWish { name, once, lifetime, view_only } } = ticket;
    TicketStatus { id, name, once, ttl: lifetime.map(|left| left.as_secs()), view_only }
}

fn viewer_status(session: &Session) -> ViewerStatus {
    let since = SystemTime::now().checked_sub(session.since.elapsed());
    let since = since.and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    let channels = session.channels();
    let latency = channels.iter().filter_map(|(_, report)| report.latency()).max();
    let channel = |((kind, id), report): &(_, std::rc::Rc<crate::connection::Report>)| {
        let link = report.link();
        ChannelStatus {
            kind: channel_name(*kind).into(),
            id: *id,
            secure: report.secure.get(),
            sent_bytes: report.sent(),
            round_trip_ms: (!link.round_trip.is_zero()).then(|| millis(link.round_trip)),
            rate: link.rate,
            codecs: report.codecs(),
        }
    };
    ViewerStatus {
        id: session.id,
        peer: session.peer.to_string(),
        since: since.as_secs(),
        by: match &session.grant.proof {
            Proof::None | Proof::Program => Proven::Nothing,
            Proof::Password(_) => Proven::Password,
            Proof::Ticket { id, name, .. } => Proven::Ticket { id: *id, name: name.clone() },
            Proof::User(name) => Proven::User { name: name.clone() },
        },
        view_only: session.grant.view_only,
        latency_ms: latency.map(millis),
        channels: channels.iter().map(channel).collect(),
    }
}

fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;
    use crate::auth::{Grant, Password};
    use crate::config::Config;
    use crate::transport::Peer;

    const PEER: Peer = Peer::Unix { uid: 7, pid: None };

    fn wish() -> Request {
        Request::MakeTicket { name: "alice".into(), once: false, ttl: Some(60), view_only: true }
    }

    fn says(engine: &Engine, request: Request) -> String {
        serde_json::to_string(&answer(engine, request)).unwrap()
    }

    #[tokio::test]
    async fn tickets_come_and_go_with_their_viewers() {
        let engine = testing::engine(Config::default());
        assert!(says(&engine, wish()).contains("set a password first"));
        let password = Password::new("hunter2").unwrap();
        assert_eq!(says(&engine, Request::SetPassword { password }), r#"{"ok":"done"}"#);
        assert!(says(&engine, wish()).starts_with(r#"{"ok":{"ticket":{"id":1,"secret":""#));
        let list = says(&engine, Request::ListTickets {});
        assert!(list.contains(r#""for":"alice","once":false,"ttl":59,"view_only":true"#), "{list}");
        let secret = Password::new("x").unwrap();
        let proof = Proof::Ticket { id: 1, name: "alice".into(), secret };
        let alice = engine.new_session(PEER, Grant { proof, view_only: true }).unwrap();
        let bob = engine.new_session(PEER, Grant::to_everybody()).unwrap();
        let revoke = || Request::RevokeTickets { which: "alice".into() };
        assert_eq!(says(&engine, revoke()), r#"{"ok":{"revoked":{"tickets":1,"viewers":1}}}"#);
        assert!(alice.is_over() && !bob.is_over());
        engine.forget(&alice);
        assert_eq!(says(&engine, revoke()), r#"{"error":"there is no ticket for or with the number 'alice'"}"#);
    }

    #[tokio::test]
    async fn viewers_are_listed_and_disconnected() {
        let engine = testing::engine(Config::default());
        assert_eq!(says(&engine, Request::Status {}), r#"{"ok":{"status":[]}}"#);
        let [one, two] = [(); 2].map(|()| engine.new_session(PEER, Grant::to_everybody()).unwrap());
        let status = says(&engine, Request::Status {});
        for part in [format!(r#""id":{},"peer":"unix:uid=7""#, one.id), r#""by":"nothing","view_only":false"#.into()] {
            assert!(status.contains(&part), "no {part} in {status}");
        }
        assert_eq!(says(&engine, Request::Disconnect { viewer: one.id }), r#"{"ok":{"disconnected":1}}"#);
        assert!(one.is_over() && !two.is_over());
        assert_eq!(says(&engine, Request::Disconnect { viewer: 0 }), r#"{"error":"there is no viewer 0"}"#);
        engine.forget(&one);
        assert_eq!(says(&engine, Request::DisconnectAll {}), r#"{"ok":{"disconnected":1}}"#);
        assert!(two.is_over());
    }

    #[tokio::test]
    async fn a_password_expires_at_once_later_or_never() {
        let engine = testing::engine(Config::default());
        for after in [0, 60, u64::MAX] {
            assert_eq!(says(&engine, Request::ExpirePassword { after }), r#"{"ok":"done"}"#);
        }
    }
}
