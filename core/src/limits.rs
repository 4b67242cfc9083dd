//! Every bound in one place, each with its reason and who can reach it.
//!
//! "Client role" means that a server can reach it, when this code is its client. Lengths of plain
//! bytes inside a message have no bound of their own where the bytes are only borrowed: they lie in
//! a body, whose size the framing bounds before it is received.

/// Channels in one CHANNELS_LIST (client role): types and ids are bytes, real servers list about 20.
pub const CHANNELS: usize = 256;
/// Channels one WAIT_FOR_CHANNELS can name: its count is a byte.
pub const WAIT_FOR: usize = 255;
/// Bytes of a NOTIFY text (client role).
pub const NOTIFY_TEXT: usize = 4096;
/// Most sub-messages of one list (client role); the reference never sends more than two.
pub const SUB_MESSAGES: usize = 16;
/// Bytes of the virtual machine's name, its NUL included; libvirt's longest is 255.
pub const NAME: usize = 1024;
/// Milliseconds from a channel's opening to its first PING (the reference waits as long when idle).
pub const PING_IDLE_MS: u64 = 100;
/// Milliseconds from one PING pair to the next.
pub const PING_EVERY_MS: u64 = 15_000;
/// Milliseconds without a PONG and without a sign of life after which a client is taken to be gone.
pub const PONG_WAIT_MS: u64 = 30_000;
/// Milliseconds in which a display client must send its INIT.
pub const INIT_WAIT_MS: u64 = 30_000;
/// Messages from one acknowledgement to the next that a server asks for.
pub const ACK_WINDOW: u32 = 20;
/// Largest body of a client's message on the main channel: the reference's receive buffer.
pub const MAIN_BODY: usize = 4096 + 11 * AGENT_CHUNK;
/// Largest body of a client's message on the inputs channel: the reference's receive buffer.
pub const INPUTS_BODY: usize = 2048;
/// Motions and positions from one MOUSE_MOTION_ACK to the next: SPICE_INPUT_MOTION_ACK_BUNCH.
pub const MOTION_BUNCH: u32 = 4;
/// Largest body of a client's message on the cursor channel: the reference's receive buffer.
pub const CURSOR_BODY: usize = 1024;
/// Cursor shapes that a client keeps: CLIENT_CURSOR_CACHE_SIZE.
pub const CURSOR_CACHE: usize = 256;
/// Bytes of the agent's stream in one AGENT_DATA: VD_AGENT_MAX_DATA_SIZE.
pub const AGENT_CHUNK: usize = 2048;
/// AGENT_DATA messages a client may have on the way: 128 KiB. The reference has 10, with which a
/// clipboard of 1 MiB takes 50 round trips.
pub const AGENT_TOKENS: u32 = 64;

/// Milliseconds from connecting to an open channel; the reference waits forever.
pub const LINK_WAIT_MS: u64 = 10_000;
/// Bytes behind a link header, before authentication; the reference's limit.
pub const LINK_BODY: usize = 4096;
/// Responses of one SASL exchange, before authentication; mechanisms need up to 5.
pub const SASL_ROUNDS: u32 = 16;
/// Capability words of one kind in a link message, before authentication; one is in use.
pub const CAP_WORDS: usize = 1024;
/// Bytes of a SASL mechanism list (client role); spice-gtk has the same.
pub const SASL_MECHANISMS: usize = 300;
/// Bytes of a SASL mechanism's name, before authentication.
pub const SASL_MECHANISM: usize = 100;
/// Bytes of one SASL step, before authentication; the reference's limit.
pub const SASL_DATA: usize = 1 << 20;
/// Bytes of the reason of a SASL refusal (client role); the reference's is 22.
pub const SASL_REASON: usize = 1024;

/// Rectangles of a clip (client role); borrowed where they lie, so only the walk over them costs.
pub const CLIP_RECTS: usize = 1 << 16;
/// Segments of a path (client role); read one by one when the message is.
pub const PATH_SEGMENTS: usize = 1 << 16;
/// Points of one segment of a path (client role); borrowed where they lie.
pub const PATH_POINTS: usize = 1 << 20;
/// Dashes of a line (client role): the count is a byte.
pub const LINE_STYLE: usize = 255;
/// Glyphs of a text (client role); read one by one when the message is.
pub const GLYPHS: usize = 1 << 14;
/// Colours of a palette (client role): no format has numbers above a byte.
pub const PALETTE: usize = 256;
/// Evicted images named at once (client role); the reference names what one message evicted.
pub const INVAL_LIST: usize = 1 << 14;
/// Monitors of one display channel (client role); spice-gtk has the same.
pub const HEADS: usize = 256;
/// Planes and buffers of a scanout: the arrays of the message.
pub const PLANES: usize = 4;
/// Video codecs a client can prefer; five exist.
pub const CODECS: usize = 32;
/// Surfaces of a client: QXL's most; the client keeps a table.
pub const SURFACES: usize = 1024;
/// Streams of a client: SPICE_MAX_NUM_STREAMS.
pub const STREAMS: usize = 64;
/// Pixels of a client's GLZ window: what the reference's decoder can address.
pub const GLZ_WINDOW: i32 = 1 << 25;
/// Largest body of a client's message on a display channel: the reference's receive buffer.
pub const DISPLAY_BODY: usize = 1024;
/// Channels of sound with a volume: the count is a byte.
pub const AUDIO_CHANNELS: usize = 255;
/// Largest body of a client's message on a playback channel, where it says little: the reference's
/// receive buffer.
pub const PLAYBACK_BODY: usize = 1024;
/// Largest body of a client's message on a record channel: more than a second of stereo at 48 kHz,
/// which is 192 000 bytes; real clients send 10 ms at once.
pub const RECORD_BODY: usize = 256 * 1024;
/// Largest body of a client's message that carries a device's bytes, and the most it may decompress
/// to: a port's user writes in pieces of any size, a USB 3 transfer has 1 MiB.
pub const VMC_BODY: usize = 16 << 20;
/// Largest body of a client's message on the smart card channel: an extended APDU has 65 544 bytes.
pub const SMARTCARD_BODY: usize = 12 + 66 * 1024;
/// Bytes of one WebDAV frame (test peers): the count is 16-bit.
pub const WEBDAV_FRAME: usize = 65535;

/// Monitors in one MONITORS_CONFIG of the agent's stream, from a client; the reference's limit.
pub const AGENT_MONITORS: usize = 256;
/// Capability words an agent or client can announce; one is in use.
pub const AGENT_CAP_WORDS: usize = 64;
/// Clipboard types offered at once by an agent or client; seven exist.
pub const CLIPBOARD_TYPES: usize = 256;
/// Monitors named to the agent: one for each display.
pub const GRAPHICS_DEVICES: usize = 256;
/// Bytes of a graphics device's address and its NUL, from the streaming agent; the reference's limit.
pub const DEVICE_ADDRESS: usize = 256;
/// Bytes of the streaming agent's capabilities; the reference's limit.
pub const STREAM_DEVICE_CAPS: usize = 1024;
/// Bytes of one picture from the streaming agent; the reference's limit.
pub const STREAM_DEVICE_FRAME: usize = 32 << 20;
/// Pixels in a row, and rows, of a picture from the streaming agent: what a JPEG or H.264 can have
/// at most, about; a client makes a surface of it.
pub const STREAM_DEVICE_SIDE: u32 = 16_384;
/// Pixels in a row, and rows, of a cursor from the streaming agent; the reference's limit.
pub const STREAM_DEVICE_CURSOR: u16 = 1024;
/// Heads in a QXL device's monitors config, from guest memory: as many as QXLRom can tell the guest.
pub const GUEST_HEADS: usize = 64;
/// Bytes of an agent message that the server itself reads: MONITORS_CONFIG of 256 monitors with sizes.
pub const AGENT_MESSAGE: usize = 8 + AGENT_MONITORS * (20 + 4);
/// Images that a client is asked to keep; each costs the server 24 bytes.
pub const PIXMAP_CACHE: usize = 256;

/// Groups of memory slots of a QXL device; QEMU has two, its own and the guest's.
pub const QXL_GROUPS: usize = 4;
/// Memory slots of a group; QEMU has 8.
pub const QXL_SLOTS: usize = 32;
/// Bytes of one image or surface in guest memory: 8192 × 8192 pixels. The guest may let one chunk
/// of a few bytes stand for any number of them, which the server copies.
pub const QXL_IMAGE: usize = 256 << 20;
/// Chunks of one piece of data in guest memory, which may lead in a circle; drivers give each page
/// one, so that is 256 MiB.
pub const QXL_CHUNKS: usize = 1 << 16;
/// Bytes of the glyphs of one text and of the segments of one path, in guest memory.
pub const QXL_VECTOR: usize = 16 << 20;
/// Bytes of a text that a guest wants logged; the reference's limit.
pub const QXL_MESSAGE: usize = 100_000;
/// Pixels in a row, and rows, of a guest's cursor; drivers have 64.
pub const QXL_CURSOR: u16 = 1024;

/// Bytes of a device's that wait for its client and travel with it to another server, from a client:
/// what a host keeps for a client that reads slowly.
pub const MIGRATED_DEVICE: usize = 1 << 20;
/// Largest body of MIGRATE_DATA, from a client: a device's bytes in both directions.
pub const MIGRATED: usize = VMC_BODY + 4 * MIGRATED_DEVICE;
/// The same on the main channel: the agent's bytes in both directions.
pub const MIGRATED_MAIN: usize = 4 << 20;
