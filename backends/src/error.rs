//! What can go wrong, in words and numbers that survive to the log.
use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rustix::io::Errno;

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
        errno: Errno,
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
        errno: Errno,
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
    /// The process that encodes failed, or it ended too often.
    #[error("the encoder's process: {0}")]
    Process(String),
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

/// Why a device node could not be opened.
pub(crate) fn unopened(node: &Path, errno: Errno) -> Unavailable {
    if errno == Errno::ACCESS || errno == Errno::PERM {
        let gid = std::fs::metadata(node).map_or(u32::MAX, |meta| meta.gid());
        Unavailable::Permission { node: node.to_owned(), group: group(gid) }
    } else {
        Unavailable::NoDevice { looked: format!("{}: {errno}", node.display()) }
    }
}

/// The name of a group, else its number.
fn group(gid: u32) -> String {
    let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
    let named = groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(gid)).then(|| name.to_owned())
    });
    named.unwrap_or_else(|| gid.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_can_act_on_it() {
        let denied = Unavailable::Permission { node: "/dev/video11".into(), group: "video".into() };
        assert_eq!(denied.to_string(), "no permission on /dev/video11: add the user to group video");
        assert!(
            matches!(unopened(Path::new("/dev/null"), Errno::ACCESS), Unavailable::Permission { group, .. } if group == "root")
        );
        assert!(matches!(unopened(Path::new("/dev/none"), Errno::NOENT), Unavailable::NoDevice { .. }));
        assert_eq!(group(u32::MAX), u32::MAX.to_string());
    }
}
