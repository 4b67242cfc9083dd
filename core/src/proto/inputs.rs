//! The inputs channel.

use crate::proto::common;
use crate::wire::Rest;

flags! {
    /// Lock keys that are on.
    pub struct KeyModifiers: u16 {
        /// Scroll lock.
        const SCROLL_LOCK = 1;
        /// Num lock.
        const NUM_LOCK = 2;
        /// Caps lock.
        const CAPS_LOCK = 4;
    }
}

open_enum! {
    /// A button of the pointer.
    pub struct MouseButton: u8 {
        /// Not a button.
        INVALID = 0,
        /// Left.
        LEFT = 1,
        /// Middle.
        MIDDLE = 2,
        /// Right.
        RIGHT = 3,
        /// The wheel, away from the user.
        UP = 4,
        /// The wheel, towards the user.
        DOWN = 5,
        /// The first one on the side.
        SIDE = 6,
        /// The second one on the side.
        EXTRA = 7,
    }
}

flags! {
    /// Buttons that are held.
    pub struct MouseButtons: u16 {
        /// Left.
        const LEFT = 1;
        /// Middle.
        const MIDDLE = 2;
        /// Right.
        const RIGHT = 4;
        /// The wheel, away from the user.
        const UP = 8;
        /// The wheel, towards the user.
        const DOWN = 16;
        /// The first one on the side.
        const SIDE = 32;
        /// The second one on the side.
        const EXTRA = 64;
    }
}

message! {
    /// SPICE_MSG_INPUTS_INIT.
    101 pub struct Init {
        /// Lock keys that are on in the guest.
        keyboard_modifiers: KeyModifiers,
    }
}

message! {
    /// SPICE_MSG_INPUTS_KEY_MODIFIERS: the guest changed its lock keys.
    102 pub struct KeyModifiersChanged {
        /// Those that are on.
        modifiers: KeyModifiers,
    }
}

message! {
    /// SPICE_MSG_INPUTS_MOUSE_MOTION_ACK: four motions or positions have been handled.
    111 pub struct MouseMotionAck {}
}

channel_messages! {
    /// What the server says on the inputs channel.
    pub enum ServerMessage<'a> ["inputs", Server] {
        Init, KeyModifiersChanged, MouseMotionAck,
    } else Common(common::ServerMessage<'a>)
}

message! {
    /// SPICE_MSGC_INPUTS_KEY_DOWN.
    101 pub struct KeyDown {
        /// Up to four bytes of scan code set 1, the first in the lowest byte, up to a zero byte.
        code: u32,
    }
}

message! {
    /// SPICE_MSGC_INPUTS_KEY_UP.
    102 pub struct KeyUp {
        /// As [`KeyDown::code`], of the break code.
        code: u32,
    }
}

message! {
    /// SPICE_MSGC_INPUTS_KEY_MODIFIERS: the client's lock keys.
    103 pub struct SetKeyModifiers {
        /// Those that are to be on.
        modifiers: KeyModifiers,
    }
}

message! {
    /// SPICE_MSGC_INPUTS_KEY_SCANCODE: for servers with KEY_SCANCODE.
    104 pub struct KeyScancode<'a> {
        /// Make and break codes of scan code set 1, in order.
        code: Rest<'a>,
    }
}

message! {
    /// SPICE_MSGC_INPUTS_MOUSE_MOTION: in server mouse mode.
    111 pub struct MouseMotion {
        /// Pixels to the right.
        dx: i32,
        /// Pixels downwards.
        dy: i32,
        /// Buttons that are held.
        buttons_state: MouseButtons,
    }
}

message! {
    /// SPICE_MSGC_INPUTS_MOUSE_POSITION: in client mouse mode.
    112 pub struct MousePosition {
        /// Column on the surface.
        x: u32,
        /// Row on the surface.
        y: u32,
        /// Buttons that are held.
        buttons_state: MouseButtons,
        /// The display channel it is on.
        display_id: u8,
    }
}

message! {
    /// SPICE_MSGC_INPUTS_MOUSE_PRESS.
    113 pub struct MousePress {
        /// The button.
        button: MouseButton,
        /// Buttons that are held.
        buttons_state: MouseButtons,
    }
}

message! {
    /// SPICE_MSGC_INPUTS_MOUSE_RELEASE.
    114 pub struct MouseRelease {
        /// The button.
        button: MouseButton,
        /// Buttons that are held.
        buttons_state: MouseButtons,
    }
}

channel_messages! {
    /// What a client says on the inputs channel.
    pub enum ClientMessage<'a> ["inputs", Client] {
        KeyDown, KeyUp, SetKeyModifiers, KeyScancode<'a>, MouseMotion, MousePosition, MousePress, MouseRelease,
    } else Common(common::ClientMessage<'a>)
}
