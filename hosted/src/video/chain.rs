//! [`Chain`]: the newest packets of one encoder, for viewers that are not equally fast.
//!
//! A picture that does not stand alone needs all packets since the last one that does. So a few are
//! kept: who is late for one still gets it. Who is too late for that has missed it, and begins again
//! with a packet that stands alone.

use std::collections::VecDeque;

use super::StreamPacket;

/// Packets kept at most: a quarter of a second of a film. Who is later gets older pictures for as
/// long as it takes to catch up.
const KEPT: usize = 8;

/// Packets since the newest key frame, the last [`KEPT`] of them.
#[derive(Default)]
pub(super) struct Chain {
    packets: VecDeque<StreamPacket>,
    /// How many there were.
    count: u64,
}

/// What somebody gets next.
#[derive(Clone, Debug)]
pub(crate) enum Next {
    /// This packet.
    Packet(StreamPacket),
    /// Nothing: it has the newest.
    UpToDate,
    /// Nothing that it could decode: it needs a key frame.
    Missed,
}

impl Chain {
    /// Adds a packet; answers its number, which is set here: they count from 1.
    pub(super) fn push(&mut self, mut packet: StreamPacket) -> u64 {
        self.count += 1;
        packet.number = self.count;
        if packet.keyframe {
            // Nobody needs what came before it.
            self.packets.clear();
        } else if self.packets.len() == KEPT {
            self.packets.pop_front();
        }
        self.packets.push_back(packet);
        self.count
    }

    pub(super) fn newest(&self) -> Option<&StreamPacket> {
        self.packets.back()
    }

    /// What somebody gets who got the packet `number` last, 0 for none.
    pub(super) fn after(&self, number: u64) -> Next {
        let key = self.packets.front().filter(|first| first.keyframe && first.number > number);
        let following = || self.packets.iter().find(|packet| number != 0 && packet.number == number + 1);
        match key.or_else(following) {
            Some(packet) => Next::Packet(packet.clone()),
            None if self.count <= number || self.packets.is_empty() => Next::UpToDate,
            None => Next::Missed,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use tokio::time::Instant;

    use super::*;
    use crate::source::Size;

    /// A chain of packets; `k` is a key frame.
    fn chain(kinds: &str) -> Chain {
        let mut chain = Chain::default();
        for kind in kinds.chars() {
            let (changed, size) = (Instant::now(), Size { width: 1, height: 1 });
            chain.push(StreamPacket {
                number: 0,
                keyframe: kind == 'k',
                version: 0,
                changed,
                size,
                coarser_follows: false,
                data: Bytes::new(),
            });
        }
        chain
    }

    /// The number of the next packet, 0 for none, -1 when it is missed.
    fn after(kinds: &str, number: u64) -> i64 {
        match chain(kinds).after(number) {
            Next::Packet(packet) => packet.number.cast_signed(),
            Next::UpToDate => 0,
            Next::Missed => -1,
        }
    }

    #[test]
    fn packets_follow_each_other_from_a_key_frame_on() {
        assert_eq!(after("", 0), 0, "nothing to have missed");
        for (number, next) in [(0, 1), (1, 2), (2, 3), (3, 0)] {
            assert_eq!(after("kpp", number), next);
        }
    }

    #[test]
    fn a_newer_key_frame_is_a_short_cut() {
        assert_eq!((after("kppkp", 0), after("kppkp", 1), after("kppkp", 3), after("kppkp", 4)), (4, 4, 4, 5));
        assert_eq!((after("kkkk", 0), after("kkkk", 1), after("kkkk", 4)), (4, 4, 0), "all stand alone");
    }

    #[test]
    fn who_is_too_late_needs_a_key_frame() {
        let kinds = format!("k{}", "p".repeat(KEPT + 2));
        let count = KEPT as u64 + 3;
        assert_eq!((after(&kinds, 0), after(&kinds, 1), after(&kinds, 2)), (-1, -1, -1));
        assert_eq!(after(&kinds, count - KEPT as u64), (count - KEPT as u64 + 1).cast_signed());
        assert_eq!(after(&kinds, count), 0);
        assert_eq!(chain(&kinds).packets.len(), KEPT);
    }
}
