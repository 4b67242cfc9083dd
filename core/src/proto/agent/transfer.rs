//! Files that a client drops on the guest's desktop.

use crate::wire::{Rest, Sized64};

message! {
    /// VD_AGENT_FILE_XFER_START, client to agent.
    10 pub struct FileXferStart<'a> {
        /// The transfer.
        id: u32,
        /// A key file with name and size of the file.
        data: Rest<'a>,
    }
}

open_enum! {
    /// How a file transfer stands.
    pub struct FileXferResult: u32 {
        /// Send the data.
        CAN_SEND_DATA = 0,
        /// Somebody cancelled it.
        CANCELLED = 1,
        /// It failed; detail: `u8` kind of error, `u32` code.
        ERROR = 2,
        /// It is complete.
        SUCCESS = 3,
        /// The disk is full; detail: `u64` free bytes.
        NOT_ENOUGH_SPACE = 4,
        /// Nobody is logged in.
        SESSION_LOCKED = 5,
        /// There is nobody to take it.
        AGENT_NOT_CONNECTED = 6,
        /// It is not allowed.
        DISABLED = 7,
    }
}

message! {
    /// VD_AGENT_FILE_XFER_STATUS.
    11 pub struct FileXferStatus<'a> {
        /// The transfer.
        id: u32,
        /// How it stands.
        result: FileXferResult,
        /// More about it; with FILE_XFER_DETAILED_ERRORS.
        detail: Rest<'a>,
    }
}

message! {
    /// VD_AGENT_FILE_XFER_DATA, client to agent.
    12 pub struct FileXferData<'a> {
        /// The transfer.
        id: u32,
        /// The next piece of the file.
        data: Sized64<'a>,
    }
}
