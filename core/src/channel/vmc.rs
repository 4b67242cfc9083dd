//! Channels that carry a device's bytes, server role: USB redirection here, ports and WebDAV with
//! what [`port`](super::port) adds.
//!
//! ```text
//!  Open ──DATA, COMPRESSED_DATA──► Open
//! ```
//!
//! The bytes are a stream: where messages begin and end means nothing. Both ends may compress
//! towards one that announced DATA_COMPRESS_LZ4.

use lz4_flex::block::{self, CompressTable};

use super::{Channel, Common, Heard, Negotiated, PeerError, Poll, Refused, Transmit};
use crate::limits;
use crate::proto::caps::VmcCaps;
use crate::proto::common;
use crate::proto::vmc::{ClientMessage, Compressed, CompressedData, ServerMessage};
use crate::time::Millis;
use crate::wire::{EncodeError, to_usize};

/// The machine of a USB redirection channel.
#[derive(Clone, Debug)]
pub struct VmcServer {
    pub(super) common: Common,
    caps: VmcCaps,
}

/// What the client wants from the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VmcEvent<'m> {
    /// Something that every channel has.
    Common(Heard<'m>),
    /// Bytes for the device.
    Bytes(DeviceBytes<'m>),
}

/// Bytes for the device, as they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceBytes<'m> {
    /// The bytes.
    Plain(&'m [u8]),
    /// A block of LZ4, not looked into yet.
    Lz4 {
        /// Bytes that it claims to hold, at most [`limits::VMC_BODY`].
        len: usize,
        /// The block.
        block: &'m [u8],
    },
}

impl DeviceBytes<'_> {
    /// Number of bytes, decompressed.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::Plain(bytes) => bytes.len(),
            Self::Lz4 { len, .. } => *len,
        }
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes the bytes into `out`, which is [`Self::len`] long.
    ///
    /// # Errors
    /// The block does not hold what it claims, or `out` has another length.
    pub fn copy_to(&self, out: &mut [u8]) -> Result<(), PeerError> {
        let claimed = self.len();
        let got = match self {
            Self::Plain(bytes) if bytes.len() == out.len() => {
                out.copy_from_slice(bytes);
                Some(bytes.len())
            }
            Self::Plain(_) => None,
            Self::Lz4 { block, .. } => block::decompress_into(block, out).ok(),
        };
        let whole = got == Some(claimed) && out.len() == claimed;
        whole.then_some(()).ok_or(PeerError::Unexpected {
            message: "COMPRESSED_DATA",
            why: "its block does not hold as many bytes as it says",
        })
    }
}

/// Compresses what devices say; 16 KiB of memory.
pub struct Compressor {
    table: CompressTable,
}

impl Default for Compressor {
    fn default() -> Self {
        Self { table: CompressTable::large() }
    }
}

impl Compressor {
    /// Writes `bytes` as a block of LZ4 into `out`; answers its length. `None` when `out` is too
    /// short: one shorter than `bytes` takes only what is worth its head.
    pub fn compress(&mut self, bytes: &[u8], out: &mut [u8]) -> Option<usize> {
        block::compress_into_with_table(bytes, out, &mut self.table).ok()
    }

    /// An output of this many bytes is always enough for `len` bytes.
    #[must_use]
    pub fn max_len(len: usize) -> usize {
        block::get_maximum_output_size(len)
    }
}

impl VmcServer {
    /// For a client that just linked.
    #[must_use]
    pub const fn new(negotiated: Negotiated) -> Self {
        Self { common: Common::new(negotiated), caps: VmcCaps::from_bits_retain(negotiated.peer_caps) }
    }

    /// The part that all channels share.
    #[must_use]
    pub const fn common(&self) -> &Common {
        &self.common
    }

    /// What the client can do on this channel.
    #[must_use]
    pub const fn caps(&self) -> VmcCaps {
        self.caps
    }
}

/// What compressed data claims, checked.
pub(super) fn opened<'m>(data: &CompressedData<'m>) -> Result<DeviceBytes<'m>, PeerError> {
    match data.data {
        Compressed::None(bytes) => Ok(DeviceBytes::Plain(bytes.0.bytes())),
        Compressed::Lz4(lz4) => {
            let len = to_usize(lz4.uncompressed_size);
            if len > limits::VMC_BODY {
                return Err(PeerError::Unexpected {
                    message: "COMPRESSED_DATA",
                    why: "it announces more bytes than a message may have",
                });
            }
            Ok(DeviceBytes::Lz4 { len, block: lz4.data.0.bytes() })
        }
    }
}

/// Whether a client with these capabilities takes compressed data.
pub(super) const fn may_compress(caps: VmcCaps) -> Result<(), Refused> {
    if caps.contains(VmcCaps::DATA_COMPRESS_LZ4) { Ok(()) } else { Err(Refused::Unsupported("DATA_COMPRESS_LZ4")) }
}

impl Channel for VmcServer {
    type Message<'c> = ServerMessage<'c>;
    type Event<'m> = VmcEvent<'m>;

    fn max_body(&self) -> usize {
        limits::VMC_BODY
    }

    fn on_message<'m>(&mut self, now: Millis, id: u16, body: &'m [u8]) -> Result<Option<VmcEvent<'m>>, PeerError> {
        Ok(match self.common.accept(now, ClientMessage::decode(id, body))? {
            None => None,
            Some(ClientMessage::Common(m)) => self.common.on_message(now, &m)?.map(VmcEvent::Common),
            Some(ClientMessage::Data(m)) => Some(VmcEvent::Bytes(DeviceBytes::Plain(m.data.0.bytes()))),
            Some(ClientMessage::CompressedData(m)) => Some(VmcEvent::Bytes(opened(&m)?)),
        })
    }

    fn send(&mut self, _now: Millis, message: &ServerMessage<'_>, out: &mut [u8]) -> Result<Transmit, Refused> {
        match message {
            ServerMessage::CompressedData(_) => may_compress(self.caps)?,
            ServerMessage::Common(common::ServerMessage::SetAck(_)) => {
                return Err(Refused::Misuse("windows are opened by the machine"));
            }
            _ => {}
        }
        self.common.send_any(message.id(), message.size(), out, |w| message.encode(w))
    }

    fn poll(&mut self, now: Millis, out: &mut [u8]) -> Result<Poll, EncodeError> {
        self.common.poll(now, out)
    }
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use super::*;
    use crate::proto::vmc::{Data as Bytes, Lz4Block};
    use crate::wire::{Data, Rest, Sampler};

    const NOW: Millis = Millis(1);

    fn fresh(caps: VmcCaps) -> VmcServer {
        VmcServer::new(Negotiated { mini_header: true, peer_caps: caps.bits() })
    }

    fn compressed(bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![0; Compressor::max_len(bytes.len())];
        let len = Compressor::default().compress(bytes, &mut out).expect("room");
        out.truncate(len);
        out
    }

    /// The body of COMPRESSED_DATA that claims to hold `len` bytes.
    fn message(len: u32, block: &[u8]) -> Vec<u8> {
        [&[1][..], &len.to_le_bytes(), block].concat()
    }

    fn heard(body: &[u8]) -> Result<Vec<u8>, PeerError> {
        let mut channel = fresh(VmcCaps::empty());
        let Some(VmcEvent::Bytes(bytes)) = channel.on_message(NOW, 102, body)? else { panic!("no bytes") };
        let mut out = vec![0; bytes.len()];
        bytes.copy_to(&mut out).map(|()| out)
    }

    #[test]
    fn bytes_come_through_as_they_are_or_compressed() {
        let mut channel = fresh(VmcCaps::empty());
        let plain = VmcEvent::Bytes(DeviceBytes::Plain(b"abc"));
        assert_eq!(channel.on_message(NOW, 101, b"abc"), Ok(Some(plain)));
        assert_eq!(heard(b"\0abc").as_deref(), Ok(&b"abc"[..]), "a coding of none");
        let text = [b'x'; 5000];
        let block = compressed(&text);
        assert!(block.len() < 100);
        assert_eq!(heard(&message(5000, &block)).as_deref(), Ok(&text[..]));
    }

    #[test]
    fn blocks_that_do_not_hold_what_they_say_are_the_clients_fault() {
        let block = compressed(&[7; 100]);
        for claim in [0, 1, 99, 101, 1 << 20] {
            assert!(heard(&message(claim, &block)).is_err(), "{claim}");
        }
        for cut in 0..block.len() {
            assert!(heard(&message(100, &block[..cut])).is_err(), "{cut}");
        }
        let most = u32::try_from(limits::VMC_BODY).expect("a small limit");
        let mut channel = fresh(VmcCaps::empty());
        assert!(channel.on_message(NOW, 102, &message(most, &block)).is_ok(), "at the limit");
        for beyond in [most + 1, u32::MAX] {
            let body = message(beyond, &block);
            let got = channel.on_message(NOW, 102, &body);
            assert!(matches!(got, Err(PeerError::Unexpected { .. })), "{beyond}");
        }
        assert!(channel.on_message(NOW, 102, &[2, 0]).is_err(), "a coding without a name");
    }

    #[test]
    fn only_clients_that_can_are_sent_compressed_data() {
        let data = Rest(Data::Promised(50));
        let lz4 = Lz4Block { uncompressed_size: 5000, data };
        let message = ServerMessage::CompressedData(CompressedData { data: Compressed::Lz4(lz4) });
        let mut out = [0; 16];
        let refused = fresh(VmcCaps::empty()).send(NOW, &message, &mut out);
        assert_eq!(refused, Err(Refused::Unsupported("DATA_COMPRESS_LZ4")));
        let sent = fresh(VmcCaps::DATA_COMPRESS_LZ4).send(NOW, &message, &mut out);
        assert_eq!(sent, Ok(Transmit { head: 11, body: 50 }));
        assert_eq!(out[..11], [102, 0, 55, 0, 0, 0, 1, 0x88, 0x13, 0, 0]);
        let plain = ServerMessage::Data(Bytes { data });
        assert_eq!(fresh(VmcCaps::empty()).send(NOW, &plain, &mut out), Ok(Transmit { head: 6, body: 50 }));
    }

    #[test]
    fn what_does_not_get_shorter_is_left_as_it_is() {
        let mut sampler = Sampler::new(1);
        let noise: Vec<u8> = (0..2000).map(|_| sampler.number().to_le_bytes()[0]).collect();
        assert_eq!(Compressor::default().compress(&noise, &mut vec![0; noise.len() - 1]), None);
    }

    #[test]
    fn any_block_is_bytes_or_an_error() {
        let mut sampler = Sampler::new(2);
        let good = message(300, &compressed(&[b'y'; 300]));
        for _ in 0..if cfg!(miri) { 50 } else { 5_000 } {
            let mut body = good.clone();
            for _ in 0..1 + sampler.below(3) {
                let at = sampler.below(body.len());
                body[at] = sampler.number().to_le_bytes()[0];
            }
            body.truncate(1 + sampler.below(good.len()));
            // Never too many or too few bytes.
            let _ = fresh(VmcCaps::empty()).on_message(NOW, 102, &body).map(|event| {
                if let Some(VmcEvent::Bytes(bytes)) = event {
                    let mut out = vec![0; bytes.len()];
                    let _ = bytes.copy_to(&mut out);
                    assert!(bytes.copy_to(&mut vec![0; bytes.len() + 1]).is_err());
                }
            });
        }
    }
}
