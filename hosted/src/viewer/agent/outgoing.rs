//! [`Outgoing`]: an agent message on its way to a client, cut into chunks without copying content.

use bytes::Bytes;
use sumac_core::limits::AGENT_CHUNK;
use sumac_core::proto::agent::{AgentForms, AgentMessage, PROTOCOL, VdAgentMessage};
use sumac_core::wire::{EncodeError, Field, Writer};

/// Bytes of a message's header.
const HEADER: usize = size_of::<VdAgentMessage>();

/// A message, and how much of it has been taken.
pub(super) struct Outgoing {
    /// Header and what core wrote of the body.
    head: Bytes,
    /// What was promised.
    content: Bytes,
}

impl Outgoing {
    /// A message that is all there.
    pub(super) fn new(forms: AgentForms, message: &AgentMessage<'_>) -> Result<Self, EncodeError> {
        Self::with_content(forms, message, Bytes::new())
    }

    /// A message that promises `content`.
    pub(super) fn with_content(
        forms: AgentForms,
        message: &AgentMessage<'_>,
        content: Bytes,
    ) -> Result<Self, EncodeError> {
        let size = forms.size(message);
        let wire_size = u32::try_from(size).map_err(|_| EncodeError::Count { count: size })?;
        let mut head = vec![0; HEADER + size.saturating_sub(content.len())];
        let mut w = Writer::new(&mut head);
        VdAgentMessage::new(PROTOCOL, message.id().into(), 0, wire_size).write(&mut w)?;
        forms.encode(message, &mut w)?;
        debug_assert_eq!(w.promised(), content.len(), "what was promised");
        Ok(Self { head: head.into(), content })
    }

    /// Takes the next chunk, in two pieces; both are empty when the message has been taken.
    pub(super) fn next_chunk(&mut self) -> [Bytes; 2] {
        let head = self.head.split_to(self.head.len().min(AGENT_CHUNK));
        let content = self.content.split_to(self.content.len().min(AGENT_CHUNK - head.len()));
        [head, content]
    }

    /// Whether all of it has been taken.
    pub(super) fn is_done(&self) -> bool {
        self.head.is_empty() && self.content.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sumac_core::agent::{Assembled, Chunks};
    use sumac_core::proto::agent::{Clipboard, ClipboardType, Selection};
    use sumac_core::wire::{Data, Padded, Rest};

    #[test]
    fn chunks_hold_the_message_whatever_its_length() {
        let forms = AgentForms { selection: true, serial: false };
        for len in [0, 1, 2019, 2020, 2021, 2048, 4067, 4068, 4069, 10_000] {
            let content: Vec<u8> = (0..len).map(|n| (n % 251) as u8).collect();
            let message = AgentMessage::Clipboard(Clipboard {
                selection: Padded(Selection::PRIMARY),
                kind: ClipboardType::UTF8_TEXT,
                data: Rest(Data::Promised(len)),
            });
            let mut outgoing = Outgoing::with_content(forms, &message, content.clone().into()).unwrap();
            let (mut chunks, mut got) = (Chunks::<20_000>::default(), None);
            while !outgoing.is_done() {
                let chunk = outgoing.next_chunk().concat();
                assert!((1..=AGENT_CHUNK).contains(&chunk.len()) && got.is_none());
                if let Some(Assembled::Message { header, body }) = chunks.on_chunk(&chunk).unwrap() {
                    got = Some((header.kind(), body.to_vec()));
                }
            }
            let body = [&[1, 0, 0, 0, 1, 0, 0, 0][..], &content].concat();
            assert_eq!(got, Some((4, body)), "{len}");
        }
    }
}
