//! The control socket: tickets, the password, and who is there, for the operator's programs.
//!
//! A UNIX socket that only its owner can open (mode 0600), and on which only the user that runs the
//! server and root are answered. A request is a JSON object on a line of its own, at most
//! [`REQUEST_MOST`] bytes; each is answered with another one, in order:
//!
//! | request | answer |
//! |---|---|
//! | `{"do":"make-ticket","for":"alice"}`, with `"once":true`, `"ttl":60`, `"view_only":true` | `{"ok":{"ticket":{"id":1,"secret":"…"}}}` |
//! | `{"do":"list-tickets"}` | `{"ok":{"tickets":[{"id":1,"for":"alice","once":true,"ttl":42,"view_only":false}]}}` |
//! | `{"do":"revoke-tickets","which":"alice"}`, by name or number | `{"ok":{"revoked":{"tickets":1,"viewers":1}}}` |
//! | `{"do":"set-password","password":"…"}` | `{"ok":"done"}` |
//! | `{"do":"expire-password"}`, with `"after":60` | `{"ok":"done"}` |
//! | `{"do":"status"}` | `{"ok":{"status":[…]}}`, one [`ViewerStatus`] per viewer |
//! | `{"do":"disconnect","viewer":7}` | `{"ok":{"disconnected":1}}` |
//! | `{"do":"disconnect-all"}` | `{"ok":{"disconnected":3}}` |
//!
//! What cannot be done is answered with `{"error":"…"}`. Times are seconds. A connection has
//! [`TIME`] in all, and newcomers push out the oldest when there are too many.

mod client;
mod message;
mod serve;
mod text;

use std::time::Duration;

pub use client::{AskError, ask};
pub use message::{Answer, ChannelStatus, Proven, Reply, Request, TicketStatus, ViewerStatus, parse};
pub(crate) use serve::{Control, listen, serve};

/// Bytes of a request, its line end included.
pub const REQUEST_MOST: usize = 4 * 1024;
/// How long a connection may take from accept to close.
pub const TIME: Duration = Duration::from_secs(10);
