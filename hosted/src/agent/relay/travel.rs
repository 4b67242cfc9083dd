//! What is on its way between a viewer and a guest's agent, when both go to another server.
//!
//! The guest stands still meanwhile, so nothing is lost or said twice. It went through the client:
//! lengths are checked, and what the viewer said is filtered again.

use std::rc::Rc;

use bytes::{BufMut, Bytes, BytesMut};
use sumac_core::agent::Pieces;
use sumac_core::channel::PeerError;
use sumac_core::limits::{AGENT_CHUNK, AGENT_MESSAGE, AGENT_TOKENS, MIGRATED_DEVICE};
use sumac_core::proto::agent::{PROTOCOL, VdAgentMessage};

use super::{Ear, QUEUE, Relay};

/// A message of which a part has gone: type, size, and bytes that are left.
type Begun = Option<(u32, u32, u32)>;

/// All of it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Travel<'a> {
    /// What the agent was being told.
    pub(crate) outgoing: Begun,
    /// Chunks of the viewer's behind that.
    pub(crate) said: Vec<Bytes>,
    /// What the viewer is saying, where that goes no further, and what of it was kept.
    pub(crate) kept: Begun,
    pub(crate) body: &'a [u8],
    /// Chunks that the viewer has not got.
    pub(crate) heard: Vec<Bytes>,
    /// Whether it has joined, what the agent is saying behind those, and how much of its body there was.
    joined: bool,
    incoming: Begun,
    at: u32,
    /// What the agent said behind that, and what it has not read.
    unheard: Bytes,
    unread: Bytes,
}

impl Relay {
    /// Everything that is on its way, which then is not any more.
    pub(crate) fn depart<'a>(&self, ear: &Ear) -> Travel<'a> {
        let mut incoming = self.incoming.borrow_mut();
        let (unheard, unread) = self.port.borrow().as_ref().map(|port| port.drain()).unwrap_or_default();
        let mut bytes = incoming.bytes.split();
        bytes.extend_from_slice(&unheard);
        Travel {
            outgoing: begun(&self.outgoing.borrow()),
            said: ear.said.take().into_iter().map(|(chunk, _)| chunk).collect(),
            heard: ear.heard.take().into(),
            joined: ear.joined.get(),
            incoming: begun(&incoming.pieces),
            at: u32::try_from(incoming.at).unwrap_or(u32::MAX),
            unheard: bytes.freeze(),
            unread,
            ..Travel::default()
        }
    }

    /// The viewer has gone to another server with all that; the agent does not hear of it.
    pub(crate) fn part(&self, ear: &Rc<Ear>) {
        self.ears.borrow_mut().retain(|other| other.as_ptr() != Rc::as_ptr(ear) && other.strong_count() > 0);
        self.amid.set(false);
        self.outgoing.replace(Pieces::default());
    }

    /// Goes on where another server's relay ended; answers whether it can, and else the agent's stream
    /// begins anew.
    pub(crate) fn arrive(&self, ear: &Rc<Ear>, travel: &Travel<'_>) -> Result<bool, PeerError> {
        let others =
            self.ears.borrow().iter().any(|other| other.as_ptr() != Rc::as_ptr(ear) && other.strong_count() > 0);
        let busy = self.amid.get() || self.incoming.borrow().pieces.is_amid();
        // Bytes of the port cannot be filtered: nobody knows where messages begin.
        let filters = !self.filter.copy_paste || !self.filter.file_transfer;
        let filtered = filters && !travel.unread.is_empty();
        let lets = travel.outgoing.is_none_or(|(kind, ..)| self.filter.lets(kind));
        if others || busy || filtered || !lets || self.connection.get().is_none() {
            return Ok(false);
        }
        self.outgoing.replace(pieces(travel.outgoing)?);
        self.amid.set(travel.outgoing.is_some());
        self.speaker.replace(Rc::downgrade(ear));
        ear.joined.set(travel.joined);
        ear.heard.replace(travel.heard.iter().cloned().collect());
        {
            let mut incoming = self.incoming.borrow_mut();
            incoming.pieces = pieces(travel.incoming)?;
            incoming.at = usize::try_from(travel.at).unwrap_or(usize::MAX);
            let later = incoming.bytes.split();
            incoming.bytes.extend_from_slice(&travel.unheard);
            incoming.bytes.extend_from_slice(&later);
        }
        if let Some(port) = self.port.borrow().as_ref() {
            port.refill(&[], &travel.unread)?;
        }
        Ok(true)
    }

    /// A viewer is coming with its state: until then nobody hears the agent.
    pub(crate) fn hold(&self) {
        self.held.update(|held| held + 1);
    }

    /// It has come, or will not.
    pub(crate) fn release(&self) {
        self.held.update(|held| held.saturating_sub(1));
        self.hear();
    }
}

/// Where a stream stands amid a message.
pub(crate) fn begun(pieces: &Pieces) -> Begun {
    let (header, left) = pieces.unfinished()?;
    Some((header.kind(), header.size(), u32::try_from(left).ok()?))
}

/// A stream that stands there.
pub(crate) fn pieces(begun: Begun) -> Result<Pieces, PeerError> {
    let Some((kind, size, left)) = begun else { return Ok(Pieces::default()) };
    Pieces::amid(VdAgentMessage::new(PROTOCOL, kind, 0, size), left).ok_or(broken("half a message that is none"))
}

fn broken(why: &'static str) -> PeerError {
    PeerError::Unexpected { message: "MIGRATE_DATA", why }
}

impl<'a> Travel<'a> {
    /// As bytes.
    pub(crate) fn write(&self) -> Bytes {
        let mut out = BytesMut::new();
        [self.outgoing, self.kept, self.incoming].into_iter().for_each(|begun| {
            let (kind, size, left) = begun.unwrap_or_default();
            [u32::from(begun.is_some()), kind, size, left].into_iter().for_each(|word| out.put_u32_le(word));
        });
        out.put_u32_le(self.joined.into());
        out.put_u32_le(self.at);
        let mut list = |pieces: &[&[u8]]| {
            for piece in pieces {
                out.put_u32_le(u32::try_from(piece.len()).unwrap_or(u32::MAX));
                out.put_slice(piece);
            }
        };
        list(&[self.body, &self.unheard, &self.unread]);
        for chunks in [&self.said, &self.heard] {
            out.put_u32_le(u32::try_from(chunks.len()).unwrap_or(u32::MAX));
            chunks.iter().for_each(|chunk| {
                out.put_u32_le(u32::try_from(chunk.len()).unwrap_or(u32::MAX));
                out.put_slice(chunk);
            });
        }
        out.freeze()
    }

    /// Reads that.
    pub(crate) fn read(data: &'a [u8]) -> Result<Self, PeerError> {
        let mut rest = data;
        let mut begun = || {
            let [there, kind, size, left] = [word(&mut rest)?, word(&mut rest)?, word(&mut rest)?, word(&mut rest)?];
            Ok::<Begun, PeerError>((there != 0).then_some((kind, size, left)))
        };
        let (outgoing, kept, incoming) = (begun()?, begun()?, begun()?);
        let (joined, at) = (word(&mut rest)? != 0, word(&mut rest)?);
        let body = bytes(&mut rest, AGENT_MESSAGE)?;
        let unheard = Bytes::copy_from_slice(bytes(&mut rest, MIGRATED_DEVICE)?);
        let unread = Bytes::copy_from_slice(bytes(&mut rest, 2 * MIGRATED_DEVICE)?);
        let said = chunks(&mut rest, usize::try_from(AGENT_TOKENS).unwrap_or(usize::MAX))?;
        let heard = chunks(&mut rest, QUEUE)?;
        if !rest.is_empty() {
            return Err(broken("bytes behind the agent's"));
        }
        Ok(Self { outgoing, said, kept, body, heard, joined, incoming, at, unheard, unread })
    }
}

fn word(rest: &mut &[u8]) -> Result<u32, PeerError> {
    let (word, behind) = rest.split_first_chunk().ok_or(broken("the agent's part is cut off"))?;
    *rest = behind;
    Ok(u32::from_le_bytes(*word))
}

fn bytes<'a>(rest: &mut &'a [u8], most: usize) -> Result<&'a [u8], PeerError> {
    let len = usize::try_from(word(rest)?).unwrap_or(usize::MAX);
    let cut = rest.split_at_checked(len).filter(|_| len <= most);
    let (bytes, behind) = cut.ok_or(broken("a length in the agent's part leads nowhere"))?;
    *rest = behind;
    Ok(bytes)
}

fn chunks(rest: &mut &[u8], most: usize) -> Result<Vec<Bytes>, PeerError> {
    let count = usize::try_from(word(rest)?).unwrap_or(usize::MAX);
    if count > most {
        return Err(broken("more chunks of the agent's than can wait"));
    }
    (0..count).map(|_| bytes(rest, AGENT_CHUNK).map(Bytes::copy_from_slice)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn travel(body: &[u8]) -> Travel<'_> {
        Travel {
            outgoing: Some((4, 100, 30)),
            said: vec![Bytes::from_static(b"one"), Bytes::from_static(b"two")],
            kept: None,
            body,
            heard: vec![Bytes::from_static(b"three")],
            joined: true,
            incoming: Some((7, 8, 8)),
            at: 5,
            unheard: Bytes::from_static(b"four"),
            unread: Bytes::from_static(b"five"),
        }
    }

    #[test]
    fn it_is_read_as_it_was_written_and_nothing_else_is() {
        let bytes = travel(b"body").write();
        assert_eq!(Travel::read(&bytes).unwrap(), travel(b"body"));
        for len in 0..bytes.len() {
            assert!(Travel::read(&bytes[..len]).is_err(), "{len}");
        }
        assert!(Travel::read(&[&bytes[..], b"x"].concat()).is_err());
        for at in (0..bytes.len()).step_by(4) {
            let mut wrong = bytes.to_vec();
            wrong[at..].iter_mut().take(4).for_each(|byte| *byte = 255);
            // An error or something else, and never more than there is.
            let _ = Travel::read(&wrong);
        }
    }

    #[test]
    fn there_is_no_more_left_of_a_message_than_it_has() {
        assert!(pieces(Some((4, 10, 10))).is_ok_and(|pieces| begun(&pieces) == Some((4, 10, 10))));
        assert!(pieces(Some((4, 10, 11))).is_err() && pieces(Some((4, 10, 0))).is_err());
        assert!(pieces(None).is_ok_and(|pieces| !pieces.is_amid()));
    }
}
