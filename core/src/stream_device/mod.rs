//! The stream device: a port on which the guest's streaming agent codes the desktop itself.
//!
//! ```text
//!            ┌── a message ──┐
//!  Header ──►│ Body ─► event │──► Header        an error ──► Broken, until the guest opens the port anew
//!            └───────────────┘
//! ```
//!
//! As with [`Framing`](crate::channel::framing::Framing), a driver collects [`StreamDevice::want`]
//! bytes and hands them to [`StreamDevice::on_bytes`]. All that comes is a guest's: sizes are checked
//! before a body is waited for, and what is not as it should be ends the stream with an error whose
//! words go to the agent in NOTIFY_ERROR.

use core::fmt;

use crate::limits;
use crate::proto::cursor::CursorType;
use crate::proto::stream_device::{CursorSet, Format, GuestMessage, ServerMessage, StreamDevHeader, VERSION};
use crate::wire::{DecodeError, DecodeErrorKind, EncodeError, Field, Reader, Writer, to_u32, to_usize};

const HEADER: usize = size_of::<StreamDevHeader>();
/// Bytes of a CURSOR_SET in front of the shape.
const CURSOR_HEAD: usize = CursorSet::MIN;

/// The server's end: what the guest says, message for message.
#[derive(Clone, Debug, Default)]
pub struct StreamDevice {
    state: State,
    formatted: bool,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Header,
    Body {
        kind: u16,
        size: usize,
    },
    Broken,
}

/// What the guest did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamError {
    /// A header of another version.
    Version(u8),
    /// A message that is no agent's to say.
    Unknown(u16),
    /// A body of a size that this message does not have.
    Size {
        /// The message's number.
        kind: u16,
        /// Bytes that it announces.
        size: u32,
        /// The fewest and the most that there can be.
        range: (usize, usize),
    },
    /// The body is not what it should be.
    Decode(DecodeError),
    /// FORMAT has a codec without a name.
    Codec(u8),
    /// FORMAT has pictures of no pixels or of too many.
    Pixels {
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// DATA before FORMAT.
    NoFormat,
    /// CURSOR_SET with a shape of another kind than ALPHA, COLOR24 and COLOR32, or too large.
    Shape {
        /// The kind's number.
        kind: u8,
        /// Pixels in a row.
        width: u16,
        /// Rows.
        height: u16,
    },
    /// CURSOR_SET with more or fewer bytes than its shape takes.
    ShapeBytes {
        /// Bytes that there are.
        got: usize,
        /// Bytes that it takes.
        takes: usize,
    },
}

impl StreamDevice {
    /// Bytes that [`Self::on_bytes`] wants next; 0 when a message has no body. More than there can
    /// ever be when the guest broke the protocol: a new machine begins when it opens the port anew.
    #[must_use]
    pub const fn want(&self) -> usize {
        match self.state {
            State::Header => HEADER,
            State::Body { size, .. } => size,
            State::Broken => usize::MAX,
        }
    }

    /// Takes exactly [`Self::want`] bytes: a header (no answer yet) or a body.
    ///
    /// # Errors
    /// The guest broke the protocol: nothing more is to be read from it until it opens the port anew.
    pub fn on_bytes<'m>(&mut self, bytes: &'m [u8]) -> Result<Option<GuestMessage<'m>>, StreamError> {
        let result = match self.state {
            State::Header => self.on_header(bytes).map(|()| None),
            State::Body { kind, .. } => self.on_body(kind, bytes).map(Some),
            State::Broken => Ok(None),
        };
        if result.is_err() {
            self.state = State::Broken;
        }
        result
    }

    fn on_header(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        let header = StreamDevHeader::read(&mut Reader::new(bytes))?;
        let (kind, size) = (header.kind(), header.size());
        if header.version() != VERSION {
            return Err(StreamError::Version(header.version()));
        }
        let range = sizes(kind).ok_or(StreamError::Unknown(kind))?;
        if to_usize(size) < range.0 || to_usize(size) > range.1 {
            return Err(StreamError::Size { kind, size, range });
        }
        self.state = State::Body { kind, size: to_usize(size) };
        Ok(())
    }

    fn on_body<'m>(&mut self, kind: u16, body: &'m [u8]) -> Result<GuestMessage<'m>, StreamError> {
        let (message, trailing) = GuestMessage::decode(kind, body)?;
        match &message {
            GuestMessage::Format(format) => {
                check_format(format)?;
                self.formatted = true;
            }
            GuestMessage::Data(_) if !self.formatted => return Err(StreamError::NoFormat),
            GuestMessage::CursorSet(set) => check_shape(set)?,
            // Only an address can be shorter than its message.
            GuestMessage::DeviceDisplayInfo(_) if trailing > 0 => {
                let (size, end) = (to_u32(body.len()), body.len().saturating_sub(trailing));
                return Err(StreamError::Size { kind, size, range: (end, end) });
            }
            _ => {}
        }
        self.state = State::Header;
        Ok(message)
    }
}

/// The fewest and the most bytes of a guest's message; `None` for those that are not a guest's.
fn sizes(kind: u16) -> Option<(usize, usize)> {
    let side = usize::from(limits::STREAM_DEVICE_CURSOR);
    let shape = side.saturating_mul(side).saturating_mul(4).saturating_add(side.div_ceil(8).saturating_mul(side));
    Some(match kind {
        1 => (0, limits::STREAM_DEVICE_CAPS),
        2 => (Format::MIN, Format::MIN),
        3 => (0, limits::STREAM_DEVICE_FRAME),
        6 => (CURSOR_HEAD, CURSOR_HEAD.saturating_add(shape)),
        7 => (8, 8),
        8 => (12, 12_usize.saturating_add(limits::DEVICE_ADDRESS)),
        _ => return None,
    })
}

fn check_format(format: &Format) -> Result<(), StreamError> {
    let Format { width, height, codec } = *format;
    if codec.0.name().is_none() {
        return Err(StreamError::Codec(codec.0.0));
    }
    let fits = |side: u32| side != 0 && side <= limits::STREAM_DEVICE_SIDE;
    if fits(width) && fits(height) { Ok(()) } else { Err(StreamError::Pixels { width, height }) }
}

fn check_shape(set: &CursorSet<'_>) -> Result<(), StreamError> {
    let CursorSet { width, height, kind, .. } = *set;
    let odd = StreamError::Shape { kind: kind.0.0, width, height };
    if width > limits::STREAM_DEVICE_CURSOR || height > limits::STREAM_DEVICE_CURSOR {
        return Err(odd);
    }
    let takes = shape_size(kind.0, width, height).ok_or(odd)?;
    let got = set.data.0.len();
    if got == takes { Ok(()) } else { Err(StreamError::ShapeBytes { got, takes }) }
}

/// Bytes of a shape's rows, and of its AND mask where it has one; `None` for other kinds.
fn shape_size(kind: CursorType, width: u16, height: u16) -> Option<usize> {
    let (width, height) = (usize::from(width), usize::from(height));
    let rows = |bytes: usize| width.saturating_mul(bytes).saturating_mul(height);
    let mask = width.div_ceil(8).saturating_mul(height);
    match kind {
        CursorType::ALPHA => Some(rows(4)),
        CursorType::COLOR24 => Some(rows(3).saturating_add(mask)),
        CursorType::COLOR32 => Some(rows(4).saturating_add(mask)),
        _ => None,
    }
}

/// Writes a message to the agent with its header into `out`; answers how long it is.
///
/// # Errors
/// It does not fit.
pub fn write(message: &ServerMessage<'_>, out: &mut [u8]) -> Result<usize, EncodeError> {
    let mut w = Writer::new(out);
    StreamDevHeader::new(VERSION, 0, message.id(), to_u32(message.size())).write(&mut w)?;
    message.encode(&mut w)?;
    Ok(w.position())
}

impl From<DecodeError> for StreamError {
    fn from(e: DecodeError) -> Self {
        match e.kind {
            DecodeErrorKind::UnknownMessage { id } => Self::Unknown(id),
            _ => Self::Decode(e),
        }
    }
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => write!(f, "header of version {version}, version {VERSION} is spoken here"),
            Self::Unknown(kind) => write!(f, "message {kind} is no agent's"),
            Self::Size { kind, size, range: (least, most) } => {
                write!(f, "message {kind} announces {size} bytes, it has {least} to {most}")
            }
            Self::Decode(e) => write!(f, "malformed message: {e}"),
            Self::Codec(codec) => write!(f, "FORMAT with the unknown codec {codec}"),
            Self::Pixels { width, height } => {
                write!(f, "FORMAT of {width} x {height} pixels, 1 to {} a side are taken", limits::STREAM_DEVICE_SIDE)
            }
            Self::NoFormat => f.write_str("DATA before FORMAT"),
            Self::Shape { kind, width, height } => {
                write!(f, "CURSOR_SET of kind {kind} with {width} x {height} pixels is not taken")
            }
            Self::ShapeBytes { got, takes } => write!(f, "CURSOR_SET has {got} bytes for a shape of {takes}"),
        }
    }
}

impl core::error::Error for StreamError {}

#[cfg(test)]
mod tests;
