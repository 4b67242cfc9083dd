//! SASL between the selection and the result, server role.
//!
//! ```text
//!  MechanismsAsked ─► NameLength ─► Name ─► NameAsked ─► DataLength ─► Data ─► DataAsked ──complete──► Accepted
//!                                                            ▲  └──(length 0)────► │
//!                                                            └───────continue──────┘
//! ```
//!
//! The reference lets a failed mechanism end in a closed connection; here the client is told that
//! the exchange is complete and rejected, which its user sees as a failed authentication.

use super::server::{Next, State};
use super::{LinkClosed, Opened, Question};
use crate::limits;
use crate::wire::{Field, Reader, to_usize};

/// Where the exchange is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sasl {
    pub(super) opened: Opened,
    step: Step,
    /// Responses so far.
    rounds: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    MechanismsAsked,
    NameLength,
    Name(usize),
    NameAsked,
    DataLength,
    Data(usize),
    DataAsked,
}

impl Sasl {
    pub(super) const fn new(opened: Opened) -> Self {
        Self { opened, step: Step::MechanismsAsked, rounds: 0 }
    }

    pub(super) const fn want(self) -> usize {
        match self.step {
            Step::NameLength | Step::DataLength => <u32 as Field<'_>>::MIN,
            Step::Name(n) | Step::Data(n) => n,
            Step::MechanismsAsked | Step::NameAsked | Step::DataAsked => 0,
        }
    }

    /// The state behind an answer, if its question is the one that is open.
    pub(super) fn answered(self, asked: Step, next: Step) -> Option<Self> {
        (self.step == asked).then_some(self.at(next))
    }

    pub(super) fn on_bytes(self, bytes: &[u8]) -> Next<'_> {
        match self.step {
            Step::NameLength => {
                let n = length(bytes, "SASL mechanism", 1, limits::SASL_MECHANISM)?;
                Ok((State::Sasl(self.at(Step::Name(n))), None))
            }
            Step::Name(_) if bytes.contains(&b',') => Err(LinkClosed::SaslMechanism),
            Step::Name(_) => Ok((State::Sasl(self.at(Step::NameAsked)), Some(Question::SaslChoice(bytes)))),
            Step::DataLength => match length(bytes, "SASL response", 0, limits::SASL_DATA)? {
                0 => self.responded(None),
                n => Ok((State::Sasl(self.at(Step::Data(n))), None)),
            },
            // The last byte is a NUL by convention; the reference overwrites it unseen.
            Step::Data(_) => self.responded(bytes.split_last().map(|(_, data)| data)),
            Step::MechanismsAsked | Step::NameAsked | Step::DataAsked => Ok((State::Sasl(self), None)),
        }
    }

    fn responded(self, data: Option<&[u8]>) -> Next<'_> {
        let rounds = self.rounds.saturating_add(1);
        if rounds > limits::SASL_ROUNDS {
            return Err(LinkClosed::SaslRounds);
        }
        Ok((State::Sasl(Self { rounds, ..self.at(Step::DataAsked) }), Some(Question::SaslResponse(data))))
    }

    const fn at(self, step: Step) -> Self {
        Self { step, ..self }
    }
}

/// A length within its limits.
pub(super) fn length(bytes: &[u8], what: &'static str, min: usize, max: usize) -> Result<usize, LinkClosed> {
    let size = u32::read(&mut Reader::new(bytes))?;
    let n = to_usize(size);
    if (min..=max).contains(&n) { Ok(n) } else { Err(LinkClosed::Size { what, size, min, max }) }
}
