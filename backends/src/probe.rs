//! What a backend says about itself before anything is opened.
use std::path::PathBuf;

use crate::{Codec, Unavailable, dmabuf::Fourcc};

/// What one backend, on one device, can encode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The backend's name.
    pub backend: &'static str,
    /// The device node; `None` for a backend without one.
    pub device: Option<PathBuf>,
    /// What it encodes, or why it encodes nothing.
    pub encoders: Result<Vec<Offer>, Unavailable>,
}

/// One way to encode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The codec.
    pub codec: Codec,
    /// The codec's profiles, as its standard names them, in lower case with `-` for spaces.
    pub profiles: Vec<&'static str>,
    /// Largest picture: pixels per row, rows.
    pub max: (u32, u32),
    /// Formats of frames that it takes.
    pub formats: Vec<Fourcc>,
    /// Format modifiers of dmabufs that it takes; empty where only the device can tell, for each
    /// dmabuf.
    pub modifiers: Vec<u64>,
    /// How it can be told what to aim at.
    pub rate_control: Vec<RateControl>,
    /// Which library or driver does it, and why that one.
    pub by: String,
}

/// How an encoder keeps to its [`Rate`](crate::Rate).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RateControl {
    /// The device or library holds a constant bitrate.
    Cbr,
    /// The device or library holds an average bitrate.
    Vbr,
    /// The device or library holds a quality below a maximum bitrate.
    Qvbr,
    /// One quantiser for all pictures. A bitrate is held by choosing it here anew for each.
    Cqp,
}

impl RateControl {
    /// Lower-case name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cbr => "cbr",
            Self::Vbr => "vbr",
            Self::Qvbr => "qvbr",
            Self::Cqp => "cqp",
        }
    }
}
