//! What stands in front of a message, and lists of messages inside one.

use core::fmt;

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
#[derive(Clone, Copy)]
pub struct SubMessages<'a>(List<'a>);

#[derive(Clone, Copy)]
enum List<'a> {
    /// In the body that the offsets count from: where the first offset is, and how many there are.
    Wire(&'a [u8], usize, u16),
    Here(&'a [SubMessage<'a>]),
}

/// A message without a serial inside another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubMessage<'a> {
    /// Message number.
    pub id: u16,
    /// Bytes of its body, as announced. libspice-server 0.15.1 announces the size that its structure
    /// has in memory, which is more than is sent and can pass the end of the carrying message.
    pub size: u32,
    /// Its body: what there is of it in the carrying message.
    pub body: &'a [u8],
}

impl<'a> SubMessage<'a> {
    /// With the true size of `body`.
    #[must_use]
    pub fn new(id: u16, body: &'a [u8]) -> Self {
        Self { id, size: to_u32(body.len()), body }
    }
}

impl<'a> SubMessages<'a> {
    /// A list of these; encoding fails when there are more than [`limits::SUB_MESSAGES`].
    #[must_use]
    pub const fn new(messages: &'a [SubMessage<'a>]) -> Self {
        Self(List::Here(messages))
    }

    /// The list that a full header's `sub_list` leads to.
    ///
    /// # Errors
    /// When there is no list there.
    pub fn at(body: &'a [u8], sub_list: u32) -> Result<Self, DecodeError> {
        // The list stands behind its messages, so its offsets lead backwards.
        let visit = |r: &mut Reader<'a>, at| Reader::new(r.body()).follow(at, SubMessage::read);
        let read = |r: &mut Reader<'a>| Self::read_with(r, visit);
        Reader::new(body).follow(sub_list, read).map_err(|e| e.at("DataHeader.sub_list"))
    }

    /// The messages, in order.
    pub fn iter(&self) -> impl Iterator<Item = SubMessage<'a>> {
        let (body, at, count, here) = match self.0 {
            List::Wire(body, at, count) => (body, at, count, [].as_slice()),
            List::Here(messages) => ([].as_slice(), 0, 0, messages),
        };
        let mut offsets = Reader::new(body.get(at..).unwrap_or_default());
        let read = move |_| {
            let at = u32::read(&mut offsets)?;
            Reader::new(body).follow(at, SubMessage::read)
        };
        (0..count).map(read).map_while(Result::ok).chain(here.iter().copied())
    }

    fn count(&self) -> usize {
        match &self.0 {
            List::Wire(_, _, count) => usize::from(*count),
            List::Here(messages) => messages.len(),
        }
    }

    fn read_with(
        r: &mut Reader<'a>,
        visit: impl Fn(&mut Reader<'a>, u32) -> Result<SubMessage<'a>, DecodeError>,
    ) -> Result<Self, DecodeError> {
        let count = u16::read(r)?;
        if usize::from(count) > limits::SUB_MESSAGES {
            let max = to_u32(limits::SUB_MESSAGES);
            return Err(DecodeError::new(DecodeErrorKind::TooMany { count: count.into(), max }));
        }
        let list = Self(List::Wire(r.body(), r.position(), count));
        let mut offsets = r.clone();
        r.take(usize::from(count).saturating_mul(4))?;
        for _ in 0..count {
            let offset = u32::read(&mut offsets)?;
            visit(r, offset)?;
        }
        Ok(list)
    }
}

impl fmt::Debug for SubMessages<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl PartialEq for SubMessages<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}
impl Eq for SubMessages<'_> {}

impl<'a> Field<'a> for SubMessages<'a> {
    const WIRE: &'static str = "u16 count, count offsets of {u16 id, u32 size, body}";
    const MIN: usize = 2;

    fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Self::read_with(r, |r, at| r.follow(at, SubMessage::read))
    }

    fn write(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        let count = self.count();
        match u16::try_from(count) {
            Ok(wire) if count <= limits::SUB_MESSAGES => wire.write(w)?,
            _ => return Err(EncodeError::Count { count }),
        }
        (0..count).try_for_each(|_| 0u32.write(w))
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
        let body = r.take(to_usize(size).min(r.left()))?;
        Ok(Self { id, size, body })
    }

    fn write(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        self.id.write(w)?;
        self.size.write(w)?;
        w.put(self.body)
    }

    fn inline_size(&self) -> usize {
        Self::MIN.saturating_add(self.body.len())
    }
}

impl Sample for SubMessages<'static> {
    fn sample(s: &mut Sampler) -> Self {
        const MESSAGES: &[SubMessage<'static>] = &[
            SubMessage { id: 5, size: 11, body: &[1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0] },
            SubMessage { id: 105, size: 2, body: &[0, 0] },
            SubMessage { id: u16::MAX, size: 0, body: &[] },
        ];
        let n = s.below(MESSAGES.len().saturating_add(1));
        Self::new(MESSAGES.get(..n).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sub_message_ends_with_its_carrier() {
        // One byte of something, the message (id 105, 24 bytes announced), the list.
        let body = [0xee, 105, 0, 24, 0, 0, 0, 8, 9, 1, 0, 1, 0, 0, 0];
        let list = SubMessages::at(&body, 9).unwrap();
        assert!(list.iter().eq([SubMessage { id: 105, size: 24, body: &body[7..] }]));
    }

    #[test]
    fn a_list_or_head_outside_the_body_is_refused() {
        assert!(SubMessages::at(&[1, 0, 9, 0, 0, 0], 0).is_err());
        assert!(SubMessages::at(&[1, 0], 9).is_err());
        assert!(SubMessages::at(&[0, 1, 0, 7, 0, 0, 0, 105, 0, 24], 1).is_err());
    }
}
