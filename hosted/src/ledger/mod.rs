//! [`Ledger`]: where the milliseconds of pictures go, and what else was counted.
//!
//! | step | from | to | once per |
//! |---|---|---|---|
//! | `take` | the source published a picture or a draw | the engine took it | picture that was not overtaken |
//! | `plan` | it was taken | what changed was found and what is video decided | the same |
//! | `encode` | pixels were handed to an encoder | there were bytes | image, frame of video |
//! | `say` | the picture changed for a viewer | all that shows it was said to the channel: it waited for room, and was encoded | viewer and change |
//! | `write` | it was said | the kernel took its last byte | the same |
//! | `ack` | the kernel took it | the client's TCP acknowledged it; on other sockets nobody says so | the same |
//!
//! Scanouts that are passed to a client as descriptors are counted up to `plan` only. An
//! acknowledgement is seen with a delay of a quarter of itself, or of a millisecond.
//!
//! Everything is a counter that only grows, written without locks or allocations by whoever knows
//! and read by anyone at any time; so what is read at once may differ by what happened meanwhile.

mod histogram;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use histogram::{BOUNDS, Figures, Histogram};
use sumac_core::proto::common::ChannelType;

/// A stretch of a picture's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Waiting for the engine.
    Take,
    /// What changed, and what is video.
    Plan,
    /// An image or a frame of video.
    Encode,
    /// Waiting for room and for the encoder.
    Say,
    /// Into the kernel.
    Write,
    /// To the client and back.
    Ack,
}

/// Something that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Pictures and draws that a source published.
    Published,
    /// Those of them that were overtaken before the engine took them.
    Dropped,
    /// Images that were encoded.
    Images,
    /// Frames of video that were encoded.
    Frames,
    /// Those of them that stand alone.
    KeyFrames,
    /// Encoders of video that were lost, whether or not another one went on.
    EncoderLosses,
}

/// Why a connection was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It broke the rules of the link.
    Protocol,
    /// It took too long.
    Late,
    /// It is in clear where it has to be inside TLS, or the other way round.
    Security,
    /// The ticket was not accepted.
    Ticket,
    /// SASL did not prove who it is.
    Sasl,
    /// It ended by itself.
    Broken,
    /// Too many connections waited to be linked.
    Crowded,
    /// There is no such session any more, or one that has the channel already, or too many.
    Session,
    /// A fault of the server's.
    Internal,
}

/// Why an open channel ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// The client wanted it so.
    Client,
    /// The connection broke.
    Broken,
    /// The client broke the rules of the channel.
    Protocol,
    /// The client showed no sign of life, or did not read, or did not answer.
    Silent,
    /// The server or its operator wanted it so.
    Server,
    /// A fault of the server's.
    Internal,
}

/// All counters of a server.
#[derive(Debug, Default)]
pub struct Ledger {
    watched: bool,
    steps: [Histogram; Step::ALL.len()],
    counts: [AtomicU64; Count::ALL.len()],
    refused: [AtomicU64; Refused::ALL.len()],
    closed: [AtomicU64; Closed::ALL.len()],
    channels: [Traffic; CHANNELS.len()],
}

/// What the channels of one type did.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    open: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) messages: AtomicU64,
}

/// Types of channels by number, from 1 on, and 0 for what has no name here.
const CHANNELS: [&str; 12] = [
    "other",
    "main",
    "display",
    "inputs",
    "cursor",
    "playback",
    "record",
    "tunnel",
    "smartcard",
    "usbredir",
    "port",
    "webdav",
];

impl Step {
    /// All of them, in a picture's order.
    pub const ALL: [Self; 6] = [Self::Take, Self::Plan, Self::Encode, Self::Say, Self::Write, Self::Ack];

    /// Its name.
    pub fn name(self) -> &'static str {
        ["take", "plan", "encode", "say", "write", "ack"][self as usize]
    }
}

impl Count {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Published, Self::Dropped, Self::Images, Self::Frames, Self::KeyFrames, Self::EncoderLosses];
}

impl Refused {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Protocol,
        Self::Late,
        Self::Security,
        Self::Ticket,
        Self::Sasl,
        Self::Broken,
        Self::Crowded,
        Self::Session,
        Self::Internal,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        const NAMES: [&str; Refused::ALL.len()] =
            ["protocol", "late", "security", "ticket", "sasl", "broken", "crowded", "session", "internal"];
        NAMES[self as usize]
    }
}

impl Closed {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Client, Self::Broken, Self::Protocol, Self::Silent, Self::Server, Self::Internal];

    /// Its name.
    pub fn name(self) -> &'static str {
        ["client", "broken", "protocol", "silent", "server", "internal"][self as usize]
    }
}

impl Ledger {
    /// With `watched`, what is on the way to clients is followed until it is acknowledged, for which
    /// their connections are looked at a few times per picture; otherwise `write` and `ack` stay empty.
    pub fn new(watched: bool) -> Self {
        Self { watched, ..Self::default() }
    }

    /// See [`new`](Self::new).
    pub fn is_watched(&self) -> bool {
        self.watched
    }

    /// A step took so long.
    pub fn note(&self, step: Step, took: Duration) {
        self.step(step).note(took);
    }

    /// How long a step took.
    pub fn step(&self, step: Step) -> &Histogram {
        &self.steps[step as usize]
    }

    /// Something happened `n` times.
    pub fn add(&self, what: Count, n: u64) {
        self.counts[what as usize].fetch_add(n, Ordering::Relaxed);
    }

    /// How often it happened.
    pub fn count(&self, what: Count) -> u64 {
        self.counts[what as usize].load(Ordering::Relaxed)
    }

    /// A connection was refused.
    pub fn refuse(&self, why: Refused) {
        self.refused[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How many were.
    pub fn refused(&self, why: Refused) -> u64 {
        self.refused[why as usize].load(Ordering::Relaxed)
    }

    /// A channel ended.
    pub fn close(&self, why: Closed) {
        self.closed[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How many did.
    pub fn closed(&self, why: Closed) -> u64 {
        self.closed[why as usize].load(Ordering::Relaxed)
    }

    /// The channels of this type.
    pub(crate) fn traffic(&self, kind: ChannelType) -> &Traffic {
        let [other, ..] = &self.channels;
        self.channels.get(usize::from(kind.0)).unwrap_or(other)
    }

    /// The channels of all types, with their names.
    pub(crate) fn channels(&self) -> impl Iterator<Item = (&'static str, &Traffic)> {
        CHANNELS.into_iter().zip(&self.channels)
    }

    /// All steps in a few figures, in the order of [`Step::ALL`].
    pub fn figures(&self) -> [Figures; Step::ALL.len()] {
        Step::ALL.map(|step| self.step(step).figures())
    }
}

impl Traffic {
    /// One more channel is open.
    pub(crate) fn opened(&self) {
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    /// One that was opened is closed.
    pub(crate) fn closed(&self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many are open.
    pub(crate) fn open(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_counts_and_channels_are_told_apart() {
        let ledger = Ledger::new(true);
        ledger.note(Step::Say, Duration::from_millis(3));
        ledger.add(Count::Frames, 2);
        ledger.refuse(Refused::Ticket);
        ledger.traffic(ChannelType::DISPLAY).opened();
        ledger.traffic(ChannelType(200)).opened();
        assert_eq!(ledger.figures().map(|figures| figures.n), [0, 0, 0, 1, 0, 0]);
        assert_eq!(Count::ALL.map(|count| ledger.count(count)), [0, 0, 0, 2, 0, 0]);
        assert_eq!(Refused::ALL.map(|why| ledger.refused(why)), [0, 0, 0, 1, 0, 0, 0, 0, 0]);
        ledger.close(Closed::Server);
        assert_eq!(Closed::ALL.map(|why| ledger.closed(why)), [0, 0, 0, 0, 1, 0]);
        let open: Vec<_> = ledger.channels().filter(|(_, traffic)| traffic.open() > 0).map(|(name, _)| name).collect();
        assert_eq!(open, ["other", "display"]);
        let are_indices = |numbers: &[usize]| numbers.iter().copied().eq(0..numbers.len());
        assert!(
            are_indices(&Step::ALL.map(|step| step as usize)) && are_indices(&Count::ALL.map(|count| count as usize))
        );
        assert!(
            are_indices(&Refused::ALL.map(|why| why as usize)) && are_indices(&Closed::ALL.map(|why| why as usize))
        );
    }
}
