//! PING and PONG: round trip and liveness.

use crate::limits;
use crate::time::Millis;

/// Why a peer is taken to be gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expired {
    /// A PING was not answered for [`limits::PONG_WAIT_MS`], and nothing else came either.
    Pong,
    /// The channel's first message did not come for [`limits::INIT_WAIT_MS`].
    Init,
}

/// Sends PING pairs and keeps the shortest round trip.
///
/// Both PINGs of a pair have the same id; the first warms the path up, the second counts.
#[derive(Clone, Debug)]
pub(super) struct Pulse {
    state: State,
    id: u32,
    heard: Millis,
    shortest: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No pings on this channel.
    Off,
    /// The next pair goes out at this time.
    Idle(Millis),
    /// One or two of a pair are to be sent now.
    Due(u8),
    /// This many answers are missing.
    Waiting { missing: u8, since: Millis },
}

impl Pulse {
    pub(super) const fn off() -> Self {
        Self { state: State::Off, id: 0, heard: Millis(0), shortest: None }
    }

    /// Starts; the first pair goes out after [`limits::PING_IDLE_MS`].
    pub(super) fn start(&mut self, now: Millis) {
        self.heard = now;
        self.state = State::Idle(now.plus(limits::PING_IDLE_MS));
    }

    /// Anything at all came from the peer.
    pub(super) fn on_heard(&mut self, now: Millis) {
        self.heard = now;
    }

    /// The id of a PING to send now.
    pub(super) fn due(&mut self, now: Millis) -> Option<u32> {
        if let State::Idle(at) = self.state
            && now >= at
        {
            self.id = self.id.wrapping_add(1);
            self.state = State::Due(2);
        }
        match self.state {
            State::Due(2) => self.state = State::Due(1),
            State::Due(_) => self.state = State::Waiting { missing: 2, since: now },
            State::Off | State::Idle(_) | State::Waiting { .. } => return None,
        }
        Some(self.id)
    }

    /// An answer, with the time that the PING carried. Answers that nobody asked for are ignored.
    pub(super) fn on_pong(&mut self, now: Millis, id: u32, sent: Millis) {
        let State::Waiting { missing, since } = self.state else { return };
        if id != self.id {
            return;
        }
        self.state = match missing.saturating_sub(1) {
            0 => {
                // A peer that makes the time up only spoils its own estimate; the host's clock bounds it.
                let trip = now.since(sent.max(since));
                self.shortest = Some(self.shortest.map_or(trip, |s| s.min(trip)));
                State::Idle(now.plus(limits::PING_EVERY_MS))
            }
            missing => State::Waiting { missing, since },
        };
    }

    /// Milliseconds of the shortest round trip seen.
    pub(super) const fn round_trip(&self) -> Option<u64> {
        self.shortest
    }

    pub(super) fn expired(&self, now: Millis) -> bool {
        self.deadline().is_some_and(|at| now >= at) && matches!(self.state, State::Waiting { .. })
    }

    /// When to look again.
    pub(super) fn deadline(&self) -> Option<Millis> {
        match self.state {
            State::Off | State::Due(_) => None,
            State::Idle(at) => Some(at),
            State::Waiting { since, .. } => Some(since.max(self.heard).plus(limits::PONG_WAIT_MS)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(pulse: &mut Pulse, at: Millis) -> u32 {
        let id = pulse.due(at).expect("first");
        assert_eq!(pulse.due(at), Some(id), "second has the same id");
        assert_eq!(pulse.due(at), None);
        id
    }

    #[test]
    fn the_second_of_a_pair_is_measured_and_the_shortest_kept() {
        let mut pulse = Pulse::off();
        assert_eq!(pulse.due(Millis(1_000_000)), None);
        pulse.start(Millis(0));
        assert_eq!(pulse.due(Millis(99)), None);
        let id = pair(&mut pulse, Millis(100));
        pulse.on_pong(Millis(180), id, Millis(100));
        assert_eq!(pulse.round_trip(), None);
        pulse.on_pong(Millis(130), id, Millis(100));
        assert_eq!(pulse.round_trip(), Some(30));
        let again = Millis(130).plus(limits::PING_EVERY_MS);
        let id = pair(&mut pulse, again);
        pulse.on_pong(again, id, again);
        pulse.on_pong(again.plus(90), id, again);
        assert_eq!(pulse.round_trip(), Some(30));
    }

    #[test]
    fn strangers_are_ignored_and_silence_expires() {
        let mut pulse = Pulse::off();
        pulse.on_pong(Millis(1), 0, Millis(0));
        pulse.start(Millis(0));
        let id = pair(&mut pulse, Millis(100));
        pulse.on_pong(Millis(101), id.wrapping_add(5), Millis(0));
        pulse.on_heard(Millis(20_000));
        assert!(!pulse.expired(Millis(100 + limits::PONG_WAIT_MS)));
        assert!(pulse.expired(Millis(20_000 + limits::PONG_WAIT_MS)));
    }
}
