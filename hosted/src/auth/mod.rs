//! Who may connect: ticket keys, the ticket itself, and the brake on guessing.
//!
//! ```text
//!  link message ---> KeyStock::take ---> public key in the link reply
//!  ticket       ---> TicketKey::decrypt ---> TicketCheck::check ---> link result
//!                    AuthRate::begin / succeeded around it
//! ```

pub use keys::{KeyError, KeyStock, Plaintext, TicketKey, Undecryptable};
pub use password::{Password, PasswordError, PasswordFileError};
pub use rate::{Attempt, AuthRate};
pub use ticket::{TicketCheck, TicketOutcome};

mod keys;
mod password;
mod rate;
mod sys;
mod ticket;
