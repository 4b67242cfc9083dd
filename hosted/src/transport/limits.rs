//! [`Lobby`]: how many connections may wait unauthenticated, and who must go when it is full.
//!
//! ```text
//!  accepted ---enter()---> [waiting] ---leave()---> authenticated, or closed
//!                              |
//!                              +--- too many of one peer, or in all: the oldest goes
//! ```
//!
//! Newcomers are always let in. Of one peer, its oldest goes; when the lobby is full, the oldest of
//! the peer that holds most goes. So a thousand half-open connections push each other out, and a
//! viewer that speaks at once gets through, also from the same address.

use std::collections::VecDeque;
use std::time::Duration;

use sumac_core::limits::LINK_WAIT_MS;

use super::PeerKey;

/// How long a connection may take from accept to link result: the link machine's own limit.
pub const HANDSHAKE_TIME: Duration = Duration::from_millis(LINK_WAIT_MS);

/// Unauthenticated connections in all: bounds the memory that strangers can hold.
const MAX_WAITING: usize = 256;
/// Unauthenticated connections of one peer: a viewer opens about ten at once, and several viewers
/// may sit behind one address.
const MAX_WAITING_PER_PEER: usize = 64;

/// The connections that are not authenticated yet. `T` is whatever ends one when dropped or told
/// to, for instance an abort handle.
#[derive(Debug)]
pub struct Lobby<T> {
    /// Oldest first; never more than [`MAX_WAITING`].
    waiting: VecDeque<Place<T>>,
    next_id: u64,
}

/// Names one connection in the lobby. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PlaceId(u64);

#[derive(Debug)]
struct Place<T> {
    id: PlaceId,
    peer: PeerKey,
    handle: T,
}

impl<T> Default for Lobby<T> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), next_id: 0 }
    }
}

impl<T> Lobby<T> {
    /// Lets a new connection in. Returns its place, to be given to [`leave`](Self::leave), and the
    /// handle of a connection that has to be closed for it, if any.
    pub fn enter(&mut self, peer: PeerKey, handle: T) -> (PlaceId, Option<T>) {
        let evicted = self.surplus(peer).and_then(|at| self.waiting.remove(at)).map(|place| place.handle);
        let id = PlaceId(self.next_id);
        self.next_id = self.next_id.wrapping_add(1);
        self.waiting.push_back(Place { id, peer, handle });
        (id, evicted)
    }

    /// The connection is authenticated or gone: gives its handle back; `None` when it had to go
    /// before.
    pub fn leave(&mut self, id: PlaceId) -> Option<T> {
        let at = self.waiting.iter().position(|place| place.id == id)?;
        self.waiting.remove(at).map(|place| place.handle)
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Which connection has to go before one of `peer` may come.
    fn surplus(&self, peer: PeerKey) -> Option<usize> {
        if self.count(peer) >= MAX_WAITING_PER_PEER {
            return self.oldest(peer);
        }
        if self.waiting.len() < MAX_WAITING {
            return None;
        }
        let heaviest = self.waiting.iter().map(|place| place.peer).max_by_key(|&peer| self.count(peer))?;
        self.oldest(heaviest)
    }

    fn count(&self, peer: PeerKey) -> usize {
        self.waiting.iter().filter(|place| place.peer == peer).count()
    }

    fn oldest(&self, peer: PeerKey) -> Option<usize> {
        self.waiting.iter().position(|place| place.peer == peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(n: u32) -> PeerKey {
        PeerKey::User(n)
    }

    #[test]
    fn those_who_leave_make_room() {
        let mut lobby = Lobby::default();
        for n in 0..10_000 {
            let (id, evicted) = lobby.enter(user(1), n);
            assert_eq!(evicted, None);
            assert_eq!(lobby.leave(id), Some(n));
            assert_eq!(lobby.leave(id), None);
        }
        assert!(lobby.is_empty());
    }

    #[test]
    fn one_peer_pushes_out_its_own_oldest() {
        let mut lobby = Lobby::default();
        let (other, _) = lobby.enter(user(2), 9999);
        let evicted: Vec<_> = (0..1000).filter_map(|n| lobby.enter(user(1), n).1).collect();
        assert_eq!(evicted.len(), 1000 - MAX_WAITING_PER_PEER);
        assert!(evicted.iter().copied().eq(0..1000 - MAX_WAITING_PER_PEER));
        assert_eq!(lobby.leave(other), Some(9999), "the other peer was not touched");
    }

    #[test]
    fn at_the_limit_nobody_goes_and_one_past_it_one_does() {
        let mut lobby = Lobby::default();
        for n in 0..MAX_WAITING_PER_PEER {
            assert_eq!(lobby.enter(user(1), n).1, None);
        }
        assert_eq!(lobby.enter(user(1), 1000).1, Some(0));
        assert_eq!(lobby.len(), MAX_WAITING_PER_PEER);
    }

    #[test]
    fn when_full_the_heaviest_peer_pays() {
        let mut lobby = Lobby::default();
        let light: Vec<_> = (0..200).map(|n| lobby.enter(user(100 + n), 0).0).collect();
        for _ in 0..MAX_WAITING - 200 {
            lobby.enter(user(1), 1);
        }
        assert_eq!(lobby.len(), MAX_WAITING);
        for n in 0..50 {
            assert_eq!(lobby.enter(user(1000 + n), 2).1, Some(1));
        }
        assert_eq!(lobby.len(), MAX_WAITING);
        assert!(light.into_iter().all(|id| lobby.leave(id) == Some(0)));
    }

    #[test]
    fn many_peers_with_one_each_push_out_the_oldest() {
        let mut lobby = Lobby::default();
        let evicted: Vec<_> = (0..1000).filter_map(|n| lobby.enter(user(n), n).1).collect();
        assert_eq!(evicted.len(), 1000 - MAX_WAITING);
        assert_eq!(lobby.len(), MAX_WAITING);
    }
}
