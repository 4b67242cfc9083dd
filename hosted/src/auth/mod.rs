//! Who may connect: ticket keys, the ticket itself, and the brake on guessing.
//!
//! ```text
//!  link message ---> KeyStock::take ---> public key in the link reply
//!  ticket       ---> TicketKey::decrypt ---> Tickets::check ---> Grant, link result
//!                    AuthRate::begin / succeeded around it
//!  further link ---> TicketKey::decrypt ---> Grant::check of its session ---> link result
//! ```

pub use grant::{Grant, Proof};
pub use keys::{KeyError, KeyStock, Plaintext, TicketKey, Undecryptable};
pub use password::{Password, PasswordError, PasswordFileError};
pub use rate::{Attempt, AuthRate};
pub use sasl::{
    DEFAULT_ITERATIONS, LEAST_ITERATIONS, MOST_ITERATIONS, Sasl, SaslError, Users, UsersError, UsersReason,
};
pub(crate) use sasl::{Exchange, Progress};
pub use ticket::{TicketCheck, TicketOutcome};
pub(crate) use tickets::names;
pub use tickets::{MOST_NAME_BYTES, MOST_TICKETS, TicketError, TicketView, TicketWish, Tickets};

/// A client's ticket for a public key.
#[cfg(feature = "fuzzing")]
pub use sys::encrypt_for_tests as ticket_for;

mod grant;
mod keys;
mod password;
mod rate;
mod sasl;
mod sys;
mod ticket;
mod tickets;
