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
