//! [`Agent`]: what stands in for a guest agent where there is no guest.
//!
//! It announces that it takes monitor configurations and hands the wish of a viewer to the source.
//! Everything else a client may send to an agent is read and left alone.

use sumac_core::agent::{Assembled, Chunks};
use sumac_core::channel::PeerError;
use sumac_core::limits::{AGENT_CHUNK, AGENT_MESSAGE, AGENT_TOKENS};
use sumac_core::proto::agent::{
    AgentCaps, AnnounceCapabilities, MonitorsConfig, PROTOCOL, Reply, ReplyError, VdAgentMessage,
};
use sumac_core::wire::{EncodeError, Field, Message, RestOf, Writer};

use crate::source::Size;

/// Tokens are handed back this many at a time.
const TOKENS_AT_ONCE: u32 = AGENT_TOKENS / 2;

/// What the agent can do.
const CAPS: AgentCaps = AgentCaps::MONITORS_CONFIG
    .union(AgentCaps::REPLY)
    .union(AgentCaps::SPARSE_MONITORS_CONFIG)
    .union(AgentCaps::MONITORS_CONFIG_POSITION);

/// The agent of one viewer.
#[derive(Default)]
pub(super) struct Agent {
    chunks: Chunks<AGENT_MESSAGE>,
    spent: u32,
}

/// What a chunk came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    /// What the agent answers, each a whole message in one chunk.
    pub(super) answers: Vec<Vec<u8>>,
    /// The sizes that the viewer would like displays to have, by their number.
    pub(super) sizes: Vec<(u8, Size)>,
    /// Tokens to hand back.
    pub(super) tokens: Option<u32>,
}

impl Agent {
    /// A client opened the stream: what the agent says first.
    pub(super) fn start(&mut self) -> Result<Vec<u8>, EncodeError> {
        *self = Self::default();
        announce(true)
    }

    /// Takes a chunk of the client's.
    pub(super) fn on_chunk(&mut self, chunk: &[u8]) -> Result<Heard, PeerError> {
        let mut heard = Heard::default();
        self.spent += 1;
        if self.spent >= TOKENS_AT_ONCE {
            heard.tokens = Some(std::mem::take(&mut self.spent));
        }
        match self.chunks.on_chunk(chunk)? {
            Some(Assembled::Message { header, body }) => on_message(header.kind(), body, &mut heard)?,
            Some(Assembled::Skipped { header }) => {
                tracing::debug!(kind = header.kind(), size = header.size(), "agent message skipped");
            }
            None => {}
        }
        Ok(heard)
    }
}

fn on_message(kind: u32, body: &[u8], heard: &mut Heard) -> Result<(), PeerError> {
    let answer = if kind == u32::from(MonitorsConfig::ID) {
        let (config, _) = MonitorsConfig::decode(body)?;
        // A monitor without pixels is one that is switched off.
        let on = (0..).zip(config.monitors.iter()).filter(|(_, m)| m.width() != 0 && m.height() != 0);
        heard.sizes = on.map(|(n, m)| (n, Size { width: m.width(), height: m.height() })).collect();
        reply(kind)
    } else if kind == u32::from(AnnounceCapabilities::ID) {
        let (theirs, _) = AnnounceCapabilities::decode(body)?;
        if theirs.request == 0 {
            return Ok(());
        }
        announce(false)
    } else {
        return Ok(());
    };
    // Both answers are of a fixed, small size.
    heard.answers.extend(answer.ok());
    Ok(())
}

fn announce(request: bool) -> Result<Vec<u8>, EncodeError> {
    let words = [CAPS.bits().into()];
    message(&AnnounceCapabilities { request: request.into(), caps: RestOf(&words) })
}

fn reply(kind: u32) -> Result<Vec<u8>, EncodeError> {
    message(&Reply { kind, error: ReplyError::SUCCESS })
}

/// A whole message, which must fit one chunk.
fn message<'a, M: Message<'a>>(body: &M) -> Result<Vec<u8>, EncodeError> {
    let mut bytes = vec![0; AGENT_CHUNK];
    let mut w = Writer::new(&mut bytes);
    let size = u32::try_from(body.size()).unwrap_or(u32::MAX);
    VdAgentMessage::new(PROTOCOL, M::ID.into(), 0, size).write(&mut w)?;
    body.encode(&mut w)?;
    let len = w.position();
    bytes.truncate(len);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(kind: u32, words: &[u32]) -> Vec<u8> {
        let head = [1, kind, 0, 0, words.len() as u32 * 4];
        head.iter().chain(words).flat_map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    fn monitors_that_are_on_give_the_sizes_of_displays() {
        let config = [2, 0, 0, 0, 32, 0, 0, 600, 800, 32, 0, 0];
        let heard = Agent::default().on_chunk(&chunk(2, &config)).unwrap();
        assert_eq!(heard.sizes, [(1, Size { width: 800, height: 600 })]);
        assert_eq!(heard.answers, [chunk(3, &[2, 1])]);
    }

    #[test]
    fn capabilities_are_told_when_asked_for() {
        let caps = AgentCaps::MONITORS_CONFIG.bits();
        assert!(Agent::default().on_chunk(&chunk(6, &[0, caps])).unwrap().answers.is_empty());
        let answers = Agent::default().on_chunk(&chunk(6, &[1, caps])).unwrap().answers;
        assert_eq!(answers, [chunk(6, &[0, CAPS.bits()])]);
        assert_eq!(Agent::default().start(), Ok(chunk(6, &[1, CAPS.bits()])));
    }

    #[test]
    fn tokens_come_back_in_bunches_and_the_rest_is_left_alone() {
        let mut agent = Agent::default();
        let tokens: Vec<_> = (0..10).map(|_| agent.on_chunk(&chunk(4, &[1, 2])).unwrap()).collect();
        assert_eq!(tokens.iter().filter_map(|heard| heard.tokens).collect::<Vec<_>>(), [5, 5]);
        assert!(tokens.iter().all(|heard| heard.answers.is_empty() && heard.sizes.is_empty()));
    }

    #[test]
    fn malformed_configurations_end_the_channel() {
        assert!(Agent::default().on_chunk(&chunk(2, &[257, 0])).is_err());
        assert!(Agent::default().on_chunk(&chunk(2, &[1, 0, 600])).is_err());
        assert!(Agent::default().on_chunk(&[1, 0, 0, 0]).is_err());
    }
}
