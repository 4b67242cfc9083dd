//! What stands in front of a message, and lists of messages inside one (protocol.md §4).

use crate::limits;
use crate::wire::{
    DecodeError, DecodeErrorKind, EncodeError, Field, Reader, Sample, Sampler, Writer, to_u32, to_usize,
};

record! {
    /// SpiceDataHeader: the full header, in force until both sides have MINI_HEADER.
    pub struct DataHeader {
        /// Counts the sender's messages on this channel, from 1.
        serial: u64,
        /// Message number.
        id: u16,
        /// Bytes of the body.
        size: u32,
        /// Offset of a sub-message list in the body, 0 for none.
        sub_list: u32,
    }
}

record! {
    /// SpiceMiniDataHeader.
    pub struct MiniHeader {
        /// Message number.
        id: u16,
        /// Bytes of the body.
        size: u32,
    }
}

/// A sub-message list: `u16` count, that many `u32` offsets, each leading to a [`SubMessage`].
///
/// Validated when read; the messages are looked at where they lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubMessages<'a> {
    messages: [Option<SubMessage<'a>>; limits::SUB_MESSAGES],
}

/// A message without a serial inside another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubMessage<'a> {
    /// Message number.
    pub id: u16,
    /// Its body.
    pub body: &'a [u8],
}

impl<'a> SubMessages<'a> {
    /// A list of these; at most [`limits::SUB_MESSAGES`].
    ///
    /// # Errors
    /// `Count` when there are more.
    pub fn new(of: &[SubMessage<'a>]) -> Result<Self, EncodeError> {
        if of.len() > limits::SUB_MESSAGES {
            return Err(EncodeError::Count { count: of.len() });
        }
        let mut messages = [None; limits::SUB_MESSAGES];
        for (slot, message) in messages.iter_mut().zip(of) {
            *slot = Some(*message);
        }
        Ok(Self { messages })
    }

    /// The messages, in order.
    pub fn iter(&self) -> impl Iterator<Item = SubMessage<'a>> {
        self.messages.into_iter().flatten()
    }

    fn count(&self) -> usize {
        self.iter().count()
    }
}

impl<'a> Field<'a> for SubMessages<'a> {
    const WIRE: &'static str = "u16 count, count offsets of {u16 id, u32 size, body}";
    const MIN: usize = 2;

    fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let count = u16::read(r)?;
        let mut offsets = r.clone();
        r.take(usize::from(count).saturating_mul(4))?;
        if usize::from(count) > limits::SUB_MESSAGES {
            let max = to_u32(limits::SUB_MESSAGES);
            return Err(DecodeError::new(DecodeErrorKind::TooMany { count: count.into(), max }));
        }
        let mut messages = [None; limits::SUB_MESSAGES];
        for slot in messages.iter_mut().take(usize::from(count)) {
            let offset = u32::read(&mut offsets)?;
            *slot = Some(r.follow(offset, SubMessage::read)?);
        }
        Ok(Self { messages })
    }

    fn write(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        let count = self.count();
        u16::try_from(count).map_err(|_| EncodeError::Count { count })?.write(w)?;
        self.iter().try_for_each(|_| 0u32.write(w))
    }

    fn inline_size(&self) -> usize {
        self.count().saturating_mul(4).saturating_add(Self::MIN)
    }

    fn write_targets(&self, w: &mut Writer<'_>, at: usize) -> Result<(), EncodeError> {
        let mut pointer = at.saturating_add(Self::MIN);
        for message in self.iter() {
            w.patch_u32(pointer, to_u32(w.position()));
            pointer = pointer.saturating_add(4);
            message.write(w)?;
        }
        Ok(())
    }

    fn targets_size(&self) -> usize {
        self.iter().fold(0, |sum, m| m.inline_size().saturating_add(sum))
    }
}

impl<'a> Field<'a> for SubMessage<'a> {
    const WIRE: &'static str = "u16 id, u32 size, body";
    const MIN: usize = 6;

    fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let id = u16::read(r)?;
        let size = u32::read(r)?;
        Ok(Self { id, body: r.take(to_usize(size))? })
    }

    fn write(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        self.id.write(w)?;
        to_u32(self.body.len()).write(w)?;
        w.put(self.body)
    }

    fn inline_size(&self) -> usize {
        Self::MIN.saturating_add(self.body.len())
    }
}

impl Sample for SubMessages<'static> {
    fn sample(s: &mut Sampler) -> Self {
        let mut messages = [None; limits::SUB_MESSAGES];
        let n = s.below(4);
        for slot in messages.iter_mut().take(n) {
            *slot = Some(SubMessage { id: u16::sample(s), body: s.bytes(20) });
        }
        Self { messages }
    }
}
