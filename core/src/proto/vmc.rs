//! Channels that carry a device's bytes: USB redirection as it is, ports and
//! WebDAV with what [`port`](super::port) adds.

use crate::proto::common;
use crate::wire::Rest;

message! {
    /// SPICE_MSG_SPICEVMC_DATA and SPICE_MSGC_SPICEVMC_DATA.
    101 pub struct Data<'a> {
        /// The device's bytes.
        data: Rest<'a>,
    }
}

fields! {
    /// A block of LZ4.
    pub struct Lz4Block<'a> {
        /// Bytes it must decompress to.
        uncompressed_size: u32,
        /// The block.
        data: Rest<'a>,
    }
}

tagged! {
    /// Bytes that may be compressed (SpiceDataCompressionType).
    pub enum Compressed<'a>: u8 {
        /// They are not.
        0 None(data: Rest<'a>),
        /// They are one LZ4 block.
        1 Lz4(block: Lz4Block<'a>),
    }
}

message! {
    /// SPICE_MSG_SPICEVMC_COMPRESSED_DATA and SPICE_MSGC_SPICEVMC_COMPRESSED_DATA: to ends with
    /// DATA_COMPRESS_LZ4.
    102 pub struct CompressedData<'a> {
        /// The device's bytes.
        data: Compressed<'a>,
    }
}

channel_messages! {
    /// What the server says on a USB redirection channel.
    pub enum ServerMessage<'a> ["usbredir", Server] {
        Data<'a>, CompressedData<'a>,
    } else Common(common::ServerMessage<'a>)
}

channel_messages! {
    /// What a client says on a USB redirection channel.
    pub enum ClientMessage<'a> ["usbredir", Client] {
        Data<'a>, CompressedData<'a>,
    } else Common(common::ClientMessage<'a>)
}
