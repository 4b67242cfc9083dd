//! From connecting to the first message: link and authentication.
//!
//! These pieces have no numbers on the wire, they follow each other in a fixed order; the numbers
//! in their declarations only tell the rows of the table apart. Nothing delimits them either:
//! [`LinkHeader`] says the size of the message behind it, everything else knows its own.

use crate::limits;
use crate::proto::caps::{CapWords, CommonCaps};
use crate::proto::common::{ChannelType, LinkError};
use crate::wire::{
    Counted, DecodeError, DecodeErrorKind, EncodeError, Field, Reader, Sample, Sampler, Writer, read_records, to_u32,
};

/// `REDQ`, the first four bytes of either side, as the `u32` they make.
pub const MAGIC: u32 = u32::from_le_bytes(*b"REDQ");
/// The major version; both sides must have the same.
pub const VERSION_MAJOR: u32 = 2;
/// The minor version; never checked, capabilities do its work.
pub const VERSION_MINOR: u32 = 2;
/// Bytes of an RSA-1024 key as DER SubjectPublicKeyInfo.
pub const PUB_KEY_BYTES: usize = 162;
/// Bytes of a ticket encrypted with that key.
pub const TICKET_BYTES: usize = 128;
/// Bytes of a [`LinkMessage`] without words: where its words normally begin.
pub const LINK_MESSAGE_BYTES: usize = 18;
/// Bytes of a [`LinkReply`] without words: where its words normally begin.
pub const LINK_REPLY_BYTES: usize = 178;

message! {
    /// SpiceLinkHeader: what either side says first.
    1 pub struct LinkHeader {
        /// [`MAGIC`].
        magic: u32,
        /// [`VERSION_MAJOR`].
        major: u32,
        /// [`VERSION_MINOR`].
        minor: u32,
        /// Bytes of the [`LinkMessage`] or [`LinkReply`] behind it.
        size: u32,
    }
}

message! {
    /// SpiceLinkMess: which channel a client wants, and what it can do there.
    2 pub struct LinkMessage<'a> {
        /// 0 for a new session's main channel, otherwise the session id from main INIT.
        connection_id: u32,
        /// What kind of channel.
        channel_type: ChannelType,
        /// Instance within the type.
        channel_id: u8,
        /// What the client can do.
        caps: Caps<'a>,
    }
}

message! {
    /// SpiceLinkReply: the server's answer; with an error all the rest is 0.
    2 pub struct LinkReply<'a> {
        /// OK, or why not.
        error: LinkError,
        /// For the ticket: DER SubjectPublicKeyInfo of an RSA-1024 key; 0 where SASL is the only way.
        pub_key: [u8; PUB_KEY_BYTES],
        /// What the server can do.
        caps: Caps<'a>,
    }
}

open_enum! {
    /// How a client proves who it is: the number of a common capability.
    pub struct AuthMechanism: u32 {
        /// A ticket.
        SPICE = 1,
        /// SASL.
        SASL = 2,
    }
}

message! {
    /// SpiceLinkAuthMechanism: sent when both sides have AUTH_SELECTION.
    3 pub struct AuthSelection {
        /// The mechanism that follows.
        mechanism: AuthMechanism,
    }
}

message! {
    /// The password and a NUL, encrypted with the reply's key: RSA-OAEP, SHA-1, empty label.
    4 pub struct Ticket {
        /// The ciphertext.
        encrypted: [u8; TICKET_BYTES],
    }
}

message! {
    /// The end of linking; after OK the channel's messages follow.
    3 pub struct LinkResult {
        /// OK, or why not.
        error: LinkError,
    }
}

message! {
    /// SASL step 1: the mechanisms a client may choose from.
    4 pub struct SaslMechanisms<'a> {
        /// Names with a comma in front of the first and behind each, no NUL.
        names: Counted<'a, u32, u8, { limits::SASL_MECHANISMS }>,
    }
}

message! {
    /// SASL step 2: the chosen mechanism.
    5 pub struct SaslChoice<'a> {
        /// One name of the list, at least one byte, no NUL.
        name: Counted<'a, u32, u8, { limits::SASL_MECHANISM }>,
    }
}

message! {
    /// SASL steps 3 and 5: the client's part of the mechanism.
    6 pub struct SaslResponse<'a> {
        /// Nothing, or bytes.
        data: SaslData<'a>,
    }
}

message! {
    /// SASL step 4: the server's part of the mechanism.
    5 pub struct SaslChallenge<'a> {
        /// Nothing, or bytes.
        data: SaslData<'a>,
        /// 1 when the mechanism is complete, 0 when the client must go on.
        complete: u8,
    }
}

tagged! {
    /// What SASL came to.
    pub enum SaslVerdict<'a>: u32 {
        /// Accepted; everything behind it is inside the security layer, if one was negotiated.
        0 Accepted,
        /// Rejected, with words for the user and their NUL.
        1 Rejected(reason: Counted<'a, u32, u8, { limits::SASL_REASON }>),
    }
}

message! {
    /// SASL step 6: in clear.
    6 pub struct SaslOutcome<'a> {
        /// What it came to.
        verdict: SaslVerdict<'a>,
    }
}

channel_messages! {
    /// What a client says before its first message, each at its time.
    pub enum ClientPiece<'a> ["link", Client] {
        LinkHeader, LinkMessage<'a>, AuthSelection, Ticket, SaslChoice<'a>, SaslResponse<'a>,
    }
}

channel_messages! {
    /// What a server says before its first message, each at its time.
    pub enum ServerPiece<'a> ["link", Server] {
        LinkHeader, LinkReply<'a>, LinkResult, SaslMechanisms<'a>, SaslChallenge<'a>, SaslOutcome<'a>,
    }
}

impl LinkHeader {
    /// The header in front of `size` bytes.
    #[must_use]
    pub const fn new(size: u32) -> Self {
        Self { magic: MAGIC, major: VERSION_MAJOR, minor: VERSION_MINOR, size }
    }
}

/// Capability words: two `u32` counts, the offset of the words in the message, and there the common
/// words, then the channel's. The offset is not looked at when there are no words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caps<'a> {
    /// For every channel.
    pub common: CapWords<'a>,
    /// For this type of channel.
    pub channel: CapWords<'a>,
}

impl Caps<'_> {
    /// The common capabilities that have names.
    #[must_use]
    pub fn common_flags(&self) -> CommonCaps {
        CommonCaps::from_bits_retain(self.common.first())
    }
}

impl<'a> Field<'a> for Caps<'a> {
    const WIRE: &'static str = "u32 common count, u32 channel count, u32 offset of that many u32";
    const MIN: usize = 12;

    fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let common = counted(r)?;
        let channel = counted(r)?;
        let offset = u32::read(r)?;
        if common == 0 && channel == 0 {
            return Ok(Self::default());
        }
        r.follow(offset, |r| {
            let common = CapWords(read_records(r, common, limits::CAP_WORDS)?);
            Ok(Self { common, channel: CapWords(read_records(r, channel, limits::CAP_WORDS)?) })
        })
    }

    fn write(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        for words in [self.common, self.channel] {
            let count = words.0.len();
            if count > limits::CAP_WORDS {
                return Err(EncodeError::Count { count });
            }
            to_u32(count).write(w)?;
        }
        0u32.write(w)
    }

    fn write_targets(&self, w: &mut Writer<'_>, at: usize) -> Result<(), EncodeError> {
        w.patch_u32(at.saturating_add(8), to_u32(w.position()));
        w.put(zerocopy::IntoBytes::as_bytes(self.common.0))?;
        w.put(zerocopy::IntoBytes::as_bytes(self.channel.0))
    }

    fn targets_size(&self) -> usize {
        size_of_val(self.common.0).saturating_add(size_of_val(self.channel.0))
    }
}

/// One side's part of a SASL mechanism: nothing, or bytes and a NUL that the length counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaslData<'a>(pub Option<&'a [u8]>);

impl<'a> Field<'a> for SaslData<'a> {
    const WIRE: &'static str = "u32 length, 0 = nothing, else that many bytes of which the last is NUL";
    const MIN: usize = 4;

    fn read(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let bytes: Counted<'a, u32, u8, { limits::SASL_DATA }> = Counted::read(r)?;
        Ok(Self(bytes.items().split_last().map(|(_, data)| data)))
    }

    fn write(&self, w: &mut Writer<'_>) -> Result<(), EncodeError> {
        let Some(data) = self.0 else { return 0u32.write(w) };
        let count = data.len().saturating_add(1);
        if count > limits::SASL_DATA {
            return Err(EncodeError::Count { count });
        }
        to_u32(count).write(w)?;
        w.put(data)?;
        w.put(&[0])
    }

    fn inline_size(&self) -> usize {
        self.0.map_or(Self::MIN, |data| data.len().saturating_add(Self::MIN).saturating_add(1))
    }
}

impl Sample for SaslData<'static> {
    fn sample(s: &mut Sampler) -> Self {
        Self((s.below(4) != 0).then(|| s.bytes(40)))
    }
}

impl Sample for Caps<'static> {
    fn sample(s: &mut Sampler) -> Self {
        Self { common: CapWords::sample(s), channel: CapWords::sample(s) }
    }
}

/// A count of words, within its limit before anything is made of it.
fn counted(r: &mut Reader<'_>) -> Result<u32, DecodeError> {
    let count = u32::read(r)?;
    let max = to_u32(limits::CAP_WORDS);
    if count > max { Err(DecodeError::new(DecodeErrorKind::TooMany { count, max })) } else { Ok(count) }
}
