//! Answers for people.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Answer, ChannelStatus, Proven, TicketStatus, ViewerStatus};

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => Ok(()),
            // Alone on its line, for scripts.
            Self::Ticket { secret, .. } => writeln!(f, "{}", secret.reveal()),
            Self::Tickets(tickets) => tickets.iter().try_for_each(|ticket| writeln!(f, "{ticket}")),
            Self::Revoked { tickets, viewers } => {
                writeln!(f, "tickets revoked: {tickets}, viewers disconnected: {viewers}")
            }
            Self::Status(viewers) if viewers.is_empty() => f.write_str("no viewers\n"),
            Self::Status(viewers) => viewers.iter().try_for_each(|viewer| viewer.fmt(f)),
            Self::Disconnected(viewers) => writeln!(f, "viewers disconnected: {viewers}"),
        }
    }
}

impl fmt::Display for TicketStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, name, once, ttl, view_only } = self;
        write!(f, "{id}  {name}  {}", if *once { "once" } else { "any number of times" })?;
        if let Some(ttl) = ttl {
            write!(f, ", {ttl} s left")?;
        }
        f.write_str(if *view_only { ", view only" } else { "" })
    }
}

impl fmt::Display for ViewerStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, peer, since, by, view_only, latency_ms, channels } = self;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let here = now.as_secs().saturating_sub(*since);
        write!(f, "viewer {id} from {peer} for {here} s, let in by {by}")?;
        f.write_str(if *view_only { ", view only" } else { "" })?;
        if let Some(latency) = latency_ms {
            write!(f, ", latency {latency:.1} ms")?;
        }
        writeln!(f)?;
        channels.iter().try_for_each(|channel| writeln!(f, "  {channel}"))
    }
}

impl fmt::Display for Proven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("nothing"),
            Self::Password => f.write_str("the password"),
            Self::Ticket { id, name } => write!(f, "ticket {id} for {name}"),
            Self::User { name } => write!(f, "user {name}'s login"),
        }
    }
}

impl fmt::Display for ChannelStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, id, secure, sent_bytes, round_trip_ms, rate, codecs } = self;
        write!(f, "{:<12} {:<5}", format!("{kind} {id}"), if *secure { "TLS" } else { "clear" })?;
        write!(f, " {:>12} kB sent", sent_bytes / 1000)?;
        if let Some(round_trip) = round_trip_ms {
            write!(f, ", round trip {round_trip:.1} ms")?;
        }
        if let Some(rate) = rate {
            write!(f, ", {} kB/s", rate / 1000)?;
        }
        if codecs.is_empty() { Ok(()) } else { write!(f, ", {}", codecs.join(" ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_viewer_is_told_in_lines() {
        let channel = ChannelStatus {
            kind: "display".into(),
            id: 0,
            secure: true,
            sent_bytes: 123_456,
            round_trip_ms: Some(1.25),
            rate: Some(5_000_000),
            codecs: vec!["h264".into()],
        };
        let viewer = ViewerStatus {
            id: 7,
            peer: "[::1]:5".into(),
            since: u64::MAX,
            by: Proven::Ticket { id: 3, name: "alice".into() },
            view_only: true,
            latency_ms: Some(12.0),
            channels: vec![channel],
        };
        assert_eq!(
            Answer::Status(vec![viewer]).to_string(),
            "viewer 7 from [::1]:5 for 0 s, let in by ticket 3 for alice, view only, latency 12.0 ms\n  \
             display 0    TLS            123 kB sent, round trip 1.2 ms, 5000 kB/s, h264\n"
        );
        assert_eq!(Answer::Status(vec![]).to_string(), "no viewers\n");
    }

    #[test]
    fn a_ticket_stands_alone_and_lists_have_no_secrets() {
        let secret = crate::auth::Password::new("hunter2").unwrap();
        assert_eq!(Answer::Ticket { id: 1, secret }.to_string(), "hunter2\n");
        let ticket = TicketStatus { id: 1, name: "alice".into(), once: true, ttl: Some(42), view_only: true };
        assert_eq!(Answer::Tickets(vec![ticket]).to_string(), "1  alice  once, 42 s left, view only\n");
    }
}
