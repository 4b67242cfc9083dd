//! What the guest's agent, the server and a client say to each other.
//!
//! A message is a [`VdAgentMessage`] header and a body; between server and client it travels in
//! AGENT_DATA, between server and agent in chunks that begin with a [`VdiChunkHeader`].

mod clipboard;
mod monitors;
mod transfer;

use zerocopy::little_endian::{U16, U32};

pub use clipboard::{
    AgentForms, Clipboard, ClipboardGrab, ClipboardRelease, ClipboardRequest, ClipboardType, MaxClipboard, Selection,
};
pub use monitors::{DeviceDisplay, GraphicsDeviceInfo, Monitor, MonitorSize, MonitorsConfig, MonitorsFlags};
pub use transfer::{FileXferData, FileXferResult, FileXferStart, FileXferStatus};

use crate::limits;
use crate::wire::{Counted, RestOf};

/// VD_AGENT_PROTOCOL: the only value of [`VdAgentMessage::protocol`].
pub const PROTOCOL: u32 = 1;

record! {
    /// VDIChunkHeader: in front of at most [`limits::AGENT_CHUNK`] bytes, on the agent's port.
    pub struct VdiChunkHeader {
        /// Who it is from or for, see [`VdpPort`].
        port: u32,
        /// Bytes behind it.
        size: u32,
    }
}

open_enum! {
    /// Which stream a chunk belongs to (VDPClientPort, VDPServerPort).
    pub struct VdpPort: u32 {
        /// Between agent and client.
        CLIENT = 1,
        /// Between agent and server.
        SERVER = 2,
    }
}

record! {
    /// VDAgentMessage: in front of every body.
    pub struct VdAgentMessage {
        /// [`PROTOCOL`].
        protocol: u32,
        /// The message's number.
        kind: u32,
        /// Not used.
        opaque: u64,
        /// Bytes of the body.
        size: u32,
    }
}

flags! {
    /// What an agent or client can do: VD_AGENT_CAP_*, the first capability word.
    pub struct AgentCaps: u32 {
        /// Takes [`MouseState`].
        const MOUSE_STATE = 1;
        /// Takes [`MonitorsConfig`].
        const MONITORS_CONFIG = 1 << 1;
        /// Sends [`Reply`].
        const REPLY = 1 << 2;
        /// Clipboard as it once was.
        const CLIPBOARD = 1 << 3;
        /// Takes [`DisplayConfig`].
        const DISPLAY_CONFIG = 1 << 4;
        /// Clipboard with grab, request and release.
        const CLIPBOARD_BY_DEMAND = 1 << 5;
        /// Clipboard messages begin with a selection.
        const CLIPBOARD_SELECTION = 1 << 6;
        /// Monitors of size 0 are disabled.
        const SPARSE_MONITORS_CONFIG = 1 << 7;
        /// Lines end with LF.
        const GUEST_LINEEND_LF = 1 << 8;
        /// Lines end with CR LF.
        const GUEST_LINEEND_CRLF = 1 << 9;
        /// Takes [`MaxClipboard`].
        const MAX_CLIPBOARD = 1 << 10;
        /// Takes [`AudioVolumeSync`].
        const AUDIO_VOLUME_SYNC = 1 << 11;
        /// Monitors have positions.
        const MONITORS_CONFIG_POSITION = 1 << 12;
        /// No file transfer.
        const FILE_XFER_DISABLED = 1 << 13;
        /// Statuses of file transfers have details.
        const FILE_XFER_DETAILED_ERRORS = 1 << 14;
        /// Takes [`GraphicsDeviceInfo`].
        const GRAPHICS_DEVICE_INFO = 1 << 15;
        /// A new grab is not preceded by a release.
        const CLIPBOARD_NO_RELEASE_ON_REGRAB = 1 << 16;
        /// Grabs have a serial.
        const CLIPBOARD_GRAB_SERIAL = 1 << 17;
    }
}

flags! {
    /// Buttons that are held: those of the inputs channel, shifted left by one.
    pub struct AgentButtons: u32 {
        /// Left.
        const LEFT = 1 << 1;
        /// Middle.
        const MIDDLE = 1 << 2;
        /// Right.
        const RIGHT = 1 << 3;
        /// The wheel, away from the user.
        const UP = 1 << 4;
        /// The wheel, towards the user.
        const DOWN = 1 << 5;
        /// The first one on the side.
        const SIDE = 1 << 6;
        /// The second one on the side.
        const EXTRA = 1 << 7;
    }
}

message! {
    /// VD_AGENT_MOUSE_STATE, server to agent.
    1 pub struct MouseState {
        /// Column on the display.
        x: u32,
        /// Row on the display.
        y: u32,
        /// Buttons that are held.
        buttons: AgentButtons,
        /// The display channel.
        display_id: u8,
    }
}

message! {
    /// VD_AGENT_REPLY, agent to client.
    3 pub struct Reply {
        /// The number of the message it answers.
        kind: u32,
        /// How that went.
        error: ReplyError,
    }
}

open_enum! {
    /// How it went.
    pub struct ReplyError: u32 {
        /// Well.
        SUCCESS = 1,
        /// Not.
        ERROR = 2,
    }
}

flags! {
    /// What [`DisplayConfig`] asks for.
    pub struct DisplayConfigFlags: u32 {
        /// No wallpaper.
        const DISABLE_WALLPAPER = 1;
        /// No font smoothing.
        const DISABLE_FONT_SMOOTH = 2;
        /// No animation.
        const DISABLE_ANIMATION = 4;
        /// The depth counts.
        const SET_COLOR_DEPTH = 8;
    }
}

message! {
    /// VD_AGENT_DISPLAY_CONFIG, client to agent.
    5 pub struct DisplayConfig {
        /// What is asked for.
        flags: DisplayConfigFlags,
        /// Bits of a pixel.
        depth: u32,
    }
}

message! {
    /// VD_AGENT_ANNOUNCE_CAPABILITIES.
    6 pub struct AnnounceCapabilities<'a> {
        /// 1 when the same is expected back.
        request: u32,
        /// [`AgentCaps`] and words that no one has defined yet.
        caps: RestOf<'a, U32, { limits::AGENT_CAP_WORDS }>,
    }
}

message! {
    /// VD_AGENT_CLIENT_DISCONNECTED, server to agent.
    13 pub struct ClientDisconnected {}
}

message! {
    /// VD_AGENT_AUDIO_VOLUME_SYNC, client to agent.
    15 pub struct AudioVolumeSync<'a> {
        /// 1 for playback, 0 for recording.
        is_playback: u8,
        /// 1 when muted.
        mute: u8,
        /// Of each channel; 65535 is the loudest.
        volume: Counted<'a, u8, U16, { limits::AUDIO_CHANNELS }>,
    }
}

channel_messages! {
    /// What is said, by whomever, in the form that every capability together gives it.
    ///
    /// [`AgentForms`] reads and writes the other forms.
    pub enum AgentMessage<'a> ["agent", Either] {
        MouseState, MonitorsConfig<'a>, Reply, Clipboard<'a>, DisplayConfig, AnnounceCapabilities<'a>,
        ClipboardGrab<'a>, ClipboardRequest, ClipboardRelease, FileXferStart<'a>, FileXferStatus<'a>,
        FileXferData<'a>, ClientDisconnected, MaxClipboard, AudioVolumeSync<'a>, GraphicsDeviceInfo<'a>,
    }
}
