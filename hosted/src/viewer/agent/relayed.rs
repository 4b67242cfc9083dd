//! [`Relayed`]: a viewer's stream with the guest's own agent.

use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use sumac_core::agent::{Piece, Pieces};
use sumac_core::channel::PeerError;
use sumac_core::limits::AGENT_MESSAGE;
use sumac_core::proto::agent::MonitorsConfig;
use sumac_core::wire::Message;
use tokio::sync::Notify;

use super::monitors;
use crate::agent::{Ear, Relay, Travel, begun, pieces};
use crate::source::Monitor;

/// The stream.
#[derive(Default)]
pub(super) struct Relayed {
    pieces: Pieces,
    fate: Fate,
    ear: Option<Rc<Ear>>,
    /// Chunks that went no further.
    dropped: u32,
}

/// What becomes of the message that is being received.
#[derive(Default)]
enum Fate {
    #[default]
    Dropped,
    Relayed,
    /// The server does that itself: its source is told, and need not have an agent.
    Monitors(BytesMut),
}

impl Relayed {
    pub(super) fn start(&mut self, relay: &Relay, bell: &Rc<Notify>) {
        self.ear = Some(relay.enter(bell));
    }

    pub(super) fn leave(&mut self, relay: &Relay) {
        if let Some(ear) = self.ear.take() {
            relay.leave(&ear);
        }
    }

    /// What another server is to know of the stream; here it ends.
    pub(super) fn state(&mut self, relay: &Relay) -> Bytes {
        let Some(ear) = self.ear.take() else { return Bytes::new() };
        let mut travel = relay.depart(&ear);
        relay.part(&ear);
        if let Fate::Dropped | Fate::Monitors(_) = self.fate {
            travel.kept = begun(&self.pieces);
        }
        if let Fate::Monitors(body) = &self.fate {
            travel.body = body;
        }
        travel.write()
    }

    /// Goes on where it ended at the other server; answers whether it can.
    pub(super) fn resume(&mut self, relay: &Relay, data: &[u8]) -> Result<bool, PeerError> {
        let travel = Travel::read(data)?;
        let Some(ear) = self.ear.clone() else { return Ok(false) };
        if !relay.arrive(&ear, &travel)? {
            return Ok(false);
        }
        self.pieces = pieces(travel.outgoing)?;
        self.fate = if travel.outgoing.is_some() { Fate::Relayed } else { Fate::Dropped };
        for chunk in &travel.said {
            self.on_chunk(relay, chunk)?;
        }
        if travel.kept.is_some() {
            self.pieces = pieces(travel.kept)?;
            let monitors = travel.kept.is_some_and(|(kind, ..)| kind == u32::from(MonitorsConfig::ID));
            self.fate = if monitors { Fate::Monitors(travel.body.into()) } else { Fate::Dropped };
        }
        Ok(true)
    }

    pub(super) fn on_chunk(&mut self, relay: &Relay, chunk: &[u8]) -> Result<Vec<(u8, Monitor)>, PeerError> {
        let Piece { header, first, last, bytes } = self.pieces.on_chunk(chunk)?;
        if first {
            self.fate = match header.kind() {
                kind if kind == u32::from(MonitorsConfig::ID) => Fate::Monitors(BytesMut::new()),
                kind if relay.filter().lets(kind) => Fate::Relayed,
                kind => {
                    tracing::debug!(kind, "the operator does not let this agent message through");
                    Fate::Dropped
                }
            };
        }
        match (&mut self.fate, &self.ear) {
            (Fate::Relayed, Some(ear)) => {
                relay.say(ear, Bytes::copy_from_slice(chunk), last);
                return Ok(Vec::new());
            }
            (Fate::Monitors(body), _) if body.len() + bytes.len() <= AGENT_MESSAGE => body.extend_from_slice(bytes),
            (Fate::Monitors(_), _) => {
                let why = "it has more than 256 monitors";
                return Err(PeerError::Unexpected { message: "MONITORS_CONFIG", why });
            }
            (Fate::Relayed, None) | (Fate::Dropped, _) => {}
        }
        self.dropped += 1;
        match &self.fate {
            Fate::Monitors(body) if last => Ok(monitors(&MonitorsConfig::decode(body)?.0)),
            _ => Ok(Vec::new()),
        }
    }

    pub(super) fn take_taken(&mut self) -> u32 {
        std::mem::take(&mut self.dropped) + self.ear.as_ref().map_or(0, |ear| ear.take_taken())
    }

    pub(super) fn next_chunk(&self, relay: &Relay) -> Option<Bytes> {
        relay.next_chunk(self.ear.as_ref()?)
    }

    pub(super) fn is_stuck(&self) -> bool {
        self.ear.as_ref().is_some_and(|ear| ear.is_stuck())
    }
}
