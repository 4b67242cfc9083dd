//! The main channel.

use crate::limits;
use crate::proto::common;
use crate::wire::{Counted, Rest, SizedAt};

flags! {
    /// Who draws the pointer: the server from motion, or the client from positions.
    pub struct MouseModes: u16 {
        /// Relative motion; the server says where the pointer is.
        const SERVER = 1;
        /// Absolute positions; the client knows where the pointer is.
        const CLIENT = 2;
    }
}

record! {
    /// A channel that can be linked.
    pub struct ChannelId {
        /// See [`common::ChannelType`].
        channel_type: u8,
        /// Instance within the type.
        id: u8,
    }
}

fields! {
    /// Where a migrating client goes (DstInfo).
    pub struct Destination<'a> {
        /// TCP port in clear, 0 for none.
        port: u16,
        /// TLS port, 0 for none.
        sport: u16,
        /// Host name or address, NUL-terminated.
        host: SizedAt<'a>,
        /// Subject of the certificate to expect, NUL-terminated.
        cert_subject: SizedAt<'a>,
    }
}

message! {
    /// SPICE_MSG_MAIN_MIGRATE_BEGIN: connect there too and stay here.
    101 pub struct MigrateBegin<'a> {
        /// Where.
        destination: Destination<'a>,
    }
}

message! {
    /// SPICE_MSG_MAIN_MIGRATE_CANCEL: forget about that target.
    102 pub struct MigrateCancel {}
}

message! {
    /// SPICE_MSG_MAIN_INIT: the first message to a fresh client.
    103 pub struct Init {
        /// To be named by all further links of this session; not 0.
        session_id: u32,
        /// How many display channels to expect.
        display_channels_hint: u32,
        /// Mouse modes that may be asked for, as [`MouseModes`] bits.
        supported_mouse_modes: u32,
        /// The mouse mode in force.
        current_mouse_mode: u32,
        /// 1 when the guest agent is there.
        agent_connected: u32,
        /// AGENT_DATA messages the client may send before it gets more tokens.
        agent_tokens: u32,
        /// The server's multi-media clock, in milliseconds.
        multi_media_time: u32,
        /// Bytes of display memory, a hint for cache sizes.
        ram_hint: u32,
    }
}

message! {
    /// SPICE_MSG_MAIN_CHANNELS_LIST: what can be linked, or what has been added.
    104 pub struct ChannelsList<'a> {
        /// The channels.
        channels: Counted<'a, u32, ChannelId, { limits::CHANNELS }>,
    }
}

message! {
    /// SPICE_MSG_MAIN_MOUSE_MODE: the mouse mode changed.
    105 pub struct MouseMode {
        /// What may be asked for.
        supported: MouseModes,
        /// What is in force.
        current: MouseModes,
    }
}

message! {
    /// SPICE_MSG_MAIN_MULTI_MEDIA_TIME: set your clock to this.
    106 pub struct MultiMediaTime {
        /// Milliseconds, wrapping.
        time: u32,
    }
}

message! {
    /// SPICE_MSG_MAIN_AGENT_CONNECTED: for clients without AGENT_CONNECTED_TOKENS.
    107 pub struct AgentConnected {}
}

message! {
    /// SPICE_MSG_MAIN_AGENT_DISCONNECTED.
    108 pub struct AgentDisconnected {
        /// Why.
        reason: common::LinkError,
    }
}

message! {
    /// SPICE_MSG_MAIN_AGENT_DATA: a chunk from the agent, at most 2048 bytes.
    109 pub struct AgentData<'a> {
        /// A piece of the VDAgentMessage stream.
        data: Rest<'a>,
    }
}

message! {
    /// SPICE_MSG_MAIN_AGENT_TOKEN: the client may send this many chunks more.
    110 pub struct AgentToken {
        /// How many.
        tokens: u32,
    }
}

message! {
    /// SPICE_MSG_MAIN_MIGRATE_SWITCH_HOST: leave and connect there.
    111 pub struct MigrateSwitchHost<'a> {
        /// Where.
        destination: Destination<'a>,
    }
}

message! {
    /// SPICE_MSG_MAIN_MIGRATE_END: semi-seamless, switch now.
    112 pub struct MigrateEnd {}
}

message! {
    /// SPICE_MSG_MAIN_NAME: the virtual machine's name, for clients with NAME_AND_UUID.
    113 pub struct Name<'a> {
        /// UTF-8, NUL-terminated; the count includes the NUL.
        name: Counted<'a, u32, u8, { limits::NAME }>,
    }
}

message! {
    /// SPICE_MSG_MAIN_UUID: the virtual machine's UUID, for clients with NAME_AND_UUID.
    114 pub struct Uuid {
        /// Its bytes in the order of its text form.
        uuid: [u8; 16],
    }
}

message! {
    /// SPICE_MSG_MAIN_AGENT_CONNECTED_TOKENS: for clients with that capability.
    115 pub struct AgentConnectedTokens {
        /// AGENT_DATA messages the client may send.
        tokens: u32,
    }
}

message! {
    /// SPICE_MSG_MAIN_MIGRATE_BEGIN_SEAMLESS: connect there and keep all state.
    116 pub struct MigrateBeginSeamless<'a> {
        /// Where.
        destination: Destination<'a>,
        /// Version of the migration data.
        src_version: u32,
    }
}

message! {
    /// SPICE_MSG_MAIN_MIGRATE_DST_SEAMLESS_ACK: the target can do it.
    117 pub struct MigrateDstSeamlessAck {}
}

message! {
    /// SPICE_MSG_MAIN_MIGRATE_DST_SEAMLESS_NACK: the target cannot.
    118 pub struct MigrateDstSeamlessNack {}
}

channel_messages! {
    /// What the server says on the main channel.
    pub enum ServerMessage<'a> ["main", Server] {
        MigrateBegin<'a>, MigrateCancel, Init, ChannelsList<'a>, MouseMode, MultiMediaTime, AgentConnected,
        AgentDisconnected, AgentData<'a>, AgentToken, MigrateSwitchHost<'a>, MigrateEnd, Name<'a>, Uuid,
        AgentConnectedTokens, MigrateBeginSeamless<'a>, MigrateDstSeamlessAck, MigrateDstSeamlessNack,
    } else Common(common::ServerMessage<'a>)
}

message! {
    /// SPICE_MSGC_MAIN_CLIENT_INFO: accepted and ignored (the reference disconnects).
    101 pub struct ClientInfo {
        /// Bytes of the client's cache.
        cache_size: u64,
    }
}

message! {
    /// SPICE_MSGC_MAIN_MIGRATE_CONNECTED: the target is connected, semi-seamless.
    102 pub struct MigrateConnected {}
}

message! {
    /// SPICE_MSGC_MAIN_MIGRATE_CONNECT_ERROR: the target is not connected.
    103 pub struct MigrateConnectError {}
}

message! {
    /// SPICE_MSGC_MAIN_ATTACH_CHANNELS: what can I link?
    104 pub struct AttachChannels {}
}

message! {
    /// SPICE_MSGC_MAIN_MOUSE_MODE_REQUEST.
    105 pub struct MouseModeRequest {
        /// The mode wished for.
        mode: MouseModes,
    }
}

message! {
    /// SPICE_MSGC_MAIN_AGENT_START: opens the agent stream.
    106 pub struct AgentStart {
        /// AGENT_DATA messages the server may send.
        tokens: u32,
    }
}

message! {
    /// SPICE_MSGC_MAIN_AGENT_DATA: a chunk for the agent, at most 2048 bytes.
    107 pub struct ClientAgentData<'a> {
        /// A piece of the VDAgentMessage stream.
        data: Rest<'a>,
    }
}

message! {
    /// SPICE_MSGC_MAIN_AGENT_TOKEN: the server may send this many chunks more.
    108 pub struct ClientAgentToken {
        /// How many.
        tokens: u32,
    }
}

message! {
    /// SPICE_MSGC_MAIN_MIGRATE_END: at the target, semi-seamless complete.
    109 pub struct ClientMigrateEnd {}
}

message! {
    /// SPICE_MSGC_MAIN_MIGRATE_DST_DO_SEAMLESS: at the target, can you?
    110 pub struct MigrateDstDoSeamless {
        /// Version of the source's migration data.
        src_version: u32,
    }
}

message! {
    /// SPICE_MSGC_MAIN_MIGRATE_CONNECTED_SEAMLESS: the target is connected and said yes.
    111 pub struct MigrateConnectedSeamless {}
}

message! {
    /// SPICE_MSGC_MAIN_QUALITY_INDICATOR: accepted and ignored (the reference disconnects).
    112 pub struct QualityIndicator<'a> {
        /// Free text.
        text: Rest<'a>,
    }
}

channel_messages! {
    /// What a client says on the main channel.
    pub enum ClientMessage<'a> ["main", Client] {
        ClientInfo, MigrateConnected, MigrateConnectError, AttachChannels, MouseModeRequest, AgentStart,
        ClientAgentData<'a>, ClientAgentToken, ClientMigrateEnd, MigrateDstDoSeamless, MigrateConnectedSeamless,
        QualityIndicator<'a>,
    } else Common(common::ClientMessage<'a>)
}
