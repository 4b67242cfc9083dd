//! What can go wrong, in words and numbers that survive to the log.
use std::path::PathBuf;

/// A picture that cannot be: the source's mistake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A side of 0 pixels.
    #[error("a picture of {width}x{height} has no pixel")]
    Empty {
        /// Pixels per row.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// Rows that overlap.
    #[error("plane {plane}: a stride of {stride} bytes is below the {needed} bytes of a row")]
    Stride {
        /// Which plane, from 0.
        plane: usize,
        /// Bytes from row to row as given.
        stride: u32,
        /// Bytes of one row.
        needed: u64,
    },
    /// A buffer that ends before its picture does.
    #[error("plane {plane}: {needed} bytes are needed, the buffer has {got}")]
    Short {
        /// Which plane, from 0.
        plane: usize,
        /// Bytes the layout reaches to.
        needed: u64,
        /// Bytes there are.
        got: u64,
    },
    /// Too few or too many planes for the format.
    #[error("{got} planes for {format}, which has {needed}")]
    Planes {
        /// The format's name.
        format: String,
        /// Planes of the format.
        needed: usize,
        /// Planes as given.
        got: usize,
    },
    /// The size of a dmabuf could not be learned, or its pixels not be read.
    #[error("{call}: {errno}")]
    System {
        /// The failed system call.
        call: &'static str,
        /// Its answer.
        errno: rustix::io::Errno,
    },
    /// Pixels in a form that only a device can read.
    #[error("the processor cannot read {format} with modifier {}", crate::dmabuf::modifier_name(*.modifier))]
    Unreadable {
        /// The format's name.
        format: String,
        /// DRM's format modifier.
        modifier: u64,
    },
    /// A rectangle that is empty or reaches outside the picture.
    #[error("rectangle {}x{} at {},{} is not inside the picture", .0.width, .0.height, .0.x, .0.y)]
    Region(crate::Rect),
}

/// Why an encoder failed. After one of these from [`poll_completion`](crate::Encoder::poll_completion)
/// the encoder is lost: [`finish`](crate::Encoder::finish) it and open another.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// Nothing here can do it.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The picture cannot be read.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The backend has no such thing.
    #[error("{backend} cannot encode {what}")]
    Unsupported {
        /// The backend's name.
        backend: &'static str,
        /// What was asked for.
        what: String,
    },
    /// A kernel driver answered with an error.
    #[error("{call}: {errno}")]
    Driver {
        /// The failed call.
        call: &'static str,
        /// Its answer.
        errno: rustix::io::Errno,
    },
    /// A library answered with an error.
    #[error("{call}: {message}")]
    Library {
        /// The failed call.
        call: &'static str,
        /// The library's own number or words.
        message: String,
    },
    /// The device went away.
    #[error("device {0} is gone")]
    Lost(PathBuf),
}

/// Why a backend or device can encode nothing here, in one line an operator can act on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unavailable {
    /// There is no such device.
    #[error("no device: {looked} (is the driver loaded, the device passed into this container?)")]
    NoDevice {
        /// Where was looked.
        looked: String,
    },
    /// The device may not be opened.
    #[error("no permission on {}: add the user to group {group}", node.display())]
    Permission {
        /// The device node.
        node: PathBuf,
        /// The group that owns it, by name or number.
        group: String,
    },
    /// A library is not installed, or not one this build can use.
    #[error("{library}: {reason}")]
    Library {
        /// The file that was looked for.
        library: &'static str,
        /// The loader's words, or what is wrong with it and what to install.
        reason: String,
    },
    /// The device is there, but encodes nothing that is known here.
    #[error("{} ({driver}): {missing}", node.display())]
    Driver {
        /// The device node.
        node: PathBuf,
        /// The driver's own name.
        driver: String,
        /// What it lacks.
        missing: String,
    },
}
