//! Requests and answers, as they stand on the lines.

use serde::{Deserialize, Serialize};

use crate::auth::Password;

/// What an operator asks for.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Request {
    /// A new ticket.
    MakeTicket {
        /// For whom, for lists and logs.
        #[serde(rename = "for")]
        name: String,
        /// It lets in once.
        #[serde(default)]
        once: bool,
        /// Seconds that it lets in; until it is revoked without.
        #[serde(default)]
        ttl: Option<u64>,
        /// Whoever has it sees and hears only.
        #[serde(default)]
        view_only: bool,
    },
    /// The tickets that are good.
    ListTickets {},
    /// These tickets are good no more, and the viewers that came with them go.
    RevokeTickets {
        /// A name or a number.
        which: String,
    },
    /// Another password. Whoever is in stays.
    SetPassword {
        /// The password.
        #[serde(with = "secret")]
        password: Password,
    },
    /// The password lets nobody in any more. Whoever is in stays.
    ExpirePassword {
        /// In so many seconds.
        #[serde(default)]
        after: u64,
    },
    /// Who is there.
    Status {},
    /// A viewer goes.
    Disconnect {
        /// Its number.
        viewer: u32,
    },
    /// All viewers go.
    DisconnectAll {},
}

/// What is answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Reply {
    /// It was done.
    Ok(Answer),
    /// It was not, because of this.
    Error(String),
}

/// What came of a request.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Answer {
    /// Nothing more is to be said.
    Done,
    /// A new ticket.
    Ticket {
        /// Its number.
        id: u32,
        /// What the viewer's user types or pastes.
        #[serde(with = "secret")]
        secret: Password,
    },
    /// Those that are good.
    Tickets(Vec<TicketStatus>),
    /// They were revoked.
    Revoked {
        /// How many were good.
        tickets: usize,
        /// Viewers that came with them.
        viewers: usize,
    },
    /// Who is there, the first one first.
    Status(Vec<ViewerStatus>),
    /// So many viewers were told to go.
    Disconnected(usize),
}

/// A ticket, without its secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TicketStatus {
    /// Its number.
    pub id: u32,
    /// For whom it is.
    #[serde(rename = "for")]
    pub name: String,
    /// It lets in once.
    pub once: bool,
    /// Seconds that are left.
    pub ttl: Option<u64>,
    /// It lets look only.
    pub view_only: bool,
}

/// A viewer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ViewerStatus {
    /// Its number: the session's id, as logs have it.
    pub id: u32,
    /// Address and port, or user and process.
    pub peer: String,
    /// When it came, in seconds since 1970.
    pub since: u64,
    /// What let it in.
    pub by: Proven,
    /// It may only look.
    pub view_only: bool,
    /// From a change of the picture to its acknowledgement, in milliseconds, for the newest one; on a
    /// UNIX socket, to the kernel's taking it.
    pub latency_ms: Option<f64>,
    /// Its open channels.
    pub channels: Vec<ChannelStatus>,
}

/// What let a viewer in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Proven {
    /// Everybody is let in.
    Nothing,
    /// The password.
    Password,
    /// A ticket.
    Ticket {
        /// Its number.
        id: u32,
        /// For whom it was made.
        #[serde(rename = "for")]
        name: String,
    },
    /// SASL.
    User {
        /// Who it is.
        name: String,
    },
}

/// An open channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChannelStatus {
    /// Its type, as `--tls-channel` names it.
    pub kind: String,
    /// Instance within the type.
    pub id: u8,
    /// It is inside TLS.
    pub secure: bool,
    /// Bytes that the kernel took.
    pub sent_bytes: u64,
    /// The link's shortest round trip in milliseconds, where there is one.
    pub round_trip_ms: Option<f64>,
    /// Bytes a second that the link carries, once it was seen full.
    pub rate: Option<u64>,
    /// Codecs of the video that it shows now.
    pub codecs: Vec<String>,
}

/// Reads a request, its line end taken off. The error is for whoever sent it: it may repeat parts of
/// the line.
pub fn parse(line: &[u8]) -> Result<Request, String> {
    serde_json::from_slice(line).map_err(|error| format!("not a request: {error}"))
}

/// Passwords on the line; everywhere else they do not show.
mod secret {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::auth::Password;

    pub(super) fn serialize<S: Serializer>(password: &Password, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(password.reveal())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Password, D::Error> {
        Password::new(String::deserialize(from)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_as_they_are_documented() {
        for (line, expected) in [
            (
                r#"{"do":"make-ticket","for":"alice"}"#,
                r#"MakeTicket { name: "alice", once: false, ttl: None, view_only: false }"#,
            ),
            (
                r#"{"view_only":true,"ttl":60,"once":true,"for":"bob","do":"make-ticket"}"#,
                r#"MakeTicket { name: "bob", once: true, ttl: Some(60), view_only: true }"#,
            ),
            (r#"{"do":"list-tickets"}"#, "ListTickets"),
            (r#"{"do":"revoke-tickets","which":"3"}"#, r#"RevokeTickets { which: "3" }"#),
            (r#"{"do":"set-password","password":"hunter2"}"#, "SetPassword { password: Password(…) }"),
            (r#"{"do":"expire-password"}"#, "ExpirePassword { after: 0 }"),
            (r#"{"do":"status"}"#, "Status"),
            (r#"{"do":"disconnect","viewer":4294967295}"#, "Disconnect { viewer: 4294967295 }"),
            (r#"{"do":"disconnect-all"}"#, "DisconnectAll"),
        ] {
            let request = parse(line.as_bytes()).unwrap();
            assert_eq!(format!("{request:?}"), expected);
            // What a client writes is read again.
            let again = parse(&serde_json::to_vec(&request).unwrap()).unwrap();
            assert_eq!(format!("{again:?}"), expected);
        }
    }

    #[test]
    fn what_is_no_request_is_an_error() {
        for (line, why) in [
            ("", "EOF while parsing"),
            ("null", "invalid type: null"),
            ("{}", "missing field `do`"),
            (r#"{"do":"dance"}"#, "unknown variant `dance`"),
            (r#"{"do":"status","more":1}"#, "unknown field `more`"),
            (r#"{"do":"disconnect"}"#, "missing field `viewer`"),
            (r#"{"do":"disconnect","viewer":4294967296}"#, "invalid value"),
            (r#"{"do":"make-ticket","for":"a","ttl":-1}"#, "invalid value"),
            (r#"{"do":"set-password","password":""}"#, "the password is empty"),
            (r#"{"do":"status"} {"do":"status"}"#, "trailing characters"),
            (&format!("{{\"for\":{}", "[".repeat(4000)), "recursion limit"),
        ] {
            let error = parse(line.as_bytes()).map(|_| ()).unwrap_err();
            assert!(error.starts_with("not a request: ") && error.contains(why), "{line}: {error}");
        }
    }

    #[test]
    fn answers_are_written_as_they_are_documented() {
        let secret = Password::new("hunter2").unwrap();
        for (answer, expected) in [
            (Answer::Done, r#"{"ok":"done"}"#),
            (Answer::Ticket { id: 1, secret: secret.clone() }, r#"{"ok":{"ticket":{"id":1,"secret":"hunter2"}}}"#),
            (Answer::Revoked { tickets: 1, viewers: 2 }, r#"{"ok":{"revoked":{"tickets":1,"viewers":2}}}"#),
            (Answer::Disconnected(3), r#"{"ok":{"disconnected":3}}"#),
            (Answer::Status(vec![]), r#"{"ok":{"status":[]}}"#),
        ] {
            assert_eq!(serde_json::to_string(&Reply::Ok(answer)).unwrap(), expected);
        }
        let ticket = TicketStatus { id: 1, name: "alice".into(), once: true, ttl: Some(42), view_only: false };
        let text = serde_json::to_string(&Answer::Tickets(vec![ticket])).unwrap();
        assert_eq!(text, r#"{"tickets":[{"id":1,"for":"alice","once":true,"ttl":42,"view_only":false}]}"#);
        assert_eq!(serde_json::to_string(&Reply::Error("no".into())).unwrap(), r#"{"error":"no"}"#);
        assert!(!format!("{:?}", Answer::Ticket { id: 1, secret }).contains("hunter2"));
    }
}
