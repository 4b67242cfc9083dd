//! Every bound in one place, each with its reason and who can reach it.

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
/// Bytes of the agent's stream in one AGENT_DATA: VD_AGENT_MAX_DATA_SIZE.
pub const AGENT_CHUNK: usize = 2048;
/// AGENT_DATA messages a client may have on the way.
pub const AGENT_TOKENS: u32 = 10;
