//! Messages, and the table of them.

use core::fmt;

use super::{DecodeError, EncodeError, Field, Reader, Sampler, Writer};

/// A field list with a number.
pub trait Message<'a>: Field<'a> {
    /// Number on its channel and direction, as spice.proto counts.
    const ID: u16;
    /// Name as spice.proto has it, in this crate's spelling.
    const NAME: &'static str;
    /// Its fields, in order.
    const FORM: &'static [FieldForm];

    /// Decodes a body; the number counts bytes behind the end, which a sender may add.
    ///
    /// # Errors
    /// When the body is not this message.
    #[inline]
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
    #[inline]
    fn encode(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        let at = w.position();
        self.write(w)?;
        self.write_targets(w, at)
    }

    /// Bytes of the body, promised ones included.
    #[inline]
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

/// One field of a message, as data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldForm {
    /// Its name.
    pub name: &'static str,
    /// How its wire form is written in documentation.
    pub wire: &'static str,
    /// Fewest bytes of its inline part.
    pub min: usize,
    /// What it is made of.
    pub shape: Shape,
}

/// What a field is made of, where more is known than its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Nothing more is known.
    Plain,
    /// As many bytes as its inline part has.
    Bytes,
    /// A `u32` pointer to this.
    Pointer(&'static str),
    /// A count and items.
    List {
        /// Bytes of the count; 0 when the items go on to the end of the message.
        count: usize,
        /// The items.
        item: &'static str,
        /// Fewest bytes of an item.
        item_min: usize,
        /// Most items.
        max: usize,
    },
}

impl FieldForm {
    /// That of a field of type `T`.
    #[must_use]
    pub const fn of<'a, T: Field<'a>>(name: &'static str) -> Self {
        Self { name, wire: T::WIRE, min: T::MIN, shape: T::SHAPE }
    }

    /// That of a field in words.
    #[must_use]
    pub const fn words(name: &'static str, wire: &'static str, min: usize) -> Self {
        Self { name, wire, min, shape: Shape::Plain }
    }
}

impl fmt::Display for FieldForm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.shape {
            Shape::Plain => write!(f, "{}: {}", self.name, self.wire),
            Shape::Bytes => write!(f, "{}: {} {}", self.name, self.min, self.wire),
            Shape::Pointer(to) => write!(f, "{}: offset of {to}", self.name),
            Shape::List { count: 0, item, max, .. } => write!(f, "{}: {item} to the end, at most {max}", self.name),
            Shape::List { count, item, max, .. } => {
                let bits = count.saturating_mul(8);
                write!(f, "{}: u{bits} count, at most {max}, of {item}", self.name)
            }
        }
    }
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
    /// Its fields, in order.
    pub form: &'static [FieldForm],
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
