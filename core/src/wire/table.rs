//! Messages, and the table of them.

use super::{DecodeError, EncodeError, Field, Reader, Sampler, Writer};

/// A field list with a number.
pub trait Message<'a>: Field<'a> {
    /// Number on its channel and direction, as spice.proto counts.
    const ID: u16;
    /// Name as spice.proto has it, in this crate's spelling.
    const NAME: &'static str;
    /// Name and wire form of every field, in order.
    const FORM: &'static [(&'static str, &'static str)];

    /// Decodes a body; the number counts bytes behind the end, which a sender may add.
    ///
    /// # Errors
    /// When the body is not this message.
    fn decode(body: &'a [u8]) -> Result<(Self, usize), DecodeError> {
        let mut r = Reader::new(body);
        let message = Self::read(&mut r)?;
        Ok((message, r.trailing()))
    }

    /// Decodes a body that may have nothing behind its end (guest, agent, driver).
    ///
    /// # Errors
    /// When the body is not exactly this message.
    fn decode_exact(body: &'a [u8]) -> Result<Self, DecodeError> {
        match Self::decode(body)? {
            (message, 0) => Ok(message),
            (_, bytes) => Err(DecodeError::new(super::DecodeErrorKind::Trailing { bytes }).at(Self::NAME)),
        }
    }

    /// Writes the body.
    ///
    /// # Errors
    /// When there is no room.
    fn encode(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        let at = w.position();
        self.write(w)?;
        self.write_targets(w, at)
    }

    /// Bytes of the body, promised ones included.
    fn size(&self) -> usize {
        self.inline_size().saturating_add(self.targets_size())
    }
}

/// Who says a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Sender {
    /// The server.
    Server,
    /// The client.
    Client,
    /// The guest's agent.
    Guest,
    /// Whoever is at either end.
    Either,
}

/// Decodes a body and encodes it again; the lengths written and trailing.
pub type Again = fn(&[u8], &mut [u8]) -> Result<(usize, usize), Failure>;

/// One message of the protocol, as data.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The module it is declared in: `"main"`, `"display"`, …
    pub channel: &'static str,
    /// Who says it.
    pub sender: Sender,
    /// Its number.
    pub id: u16,
    /// Its name.
    pub name: &'static str,
    /// Fewest bytes of its body.
    pub min: usize,
    /// Name and wire form of every field, in order.
    pub form: &'static [(&'static str, &'static str)],
    /// Decodes a body and encodes it again; the lengths written and trailing.
    pub again: Again,
    /// Encodes a sample value; the length.
    pub sample: fn(&mut Sampler, &mut [u8]) -> Result<usize, EncodeError>,
}

/// Why [`Row::again`] failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The body is not this message.
    Decode(DecodeError),
    /// What was decoded does not fit the room, or has another size than it says.
    Encode(EncodeError),
    /// What was written is not as long as the message said it would be.
    Size {
        /// What `size` said.
        said: usize,
        /// What was written.
        written: usize,
    },
}

/// Decodes and encodes again: the body of [`Row::again`].
pub(crate) fn again<'a, M: Message<'a>>(body: &'a [u8], out: &mut [u8]) -> Result<(usize, usize), Failure> {
    let (message, trailing) = M::decode(body).map_err(Failure::Decode)?;
    let mut w = Writer::new(out);
    message.encode(&mut w).map_err(Failure::Encode)?;
    let (said, written) = (message.size(), w.position());
    if said == written { Ok((written, trailing)) } else { Err(Failure::Size { said, written }) }
}
