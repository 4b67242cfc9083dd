//! The boundary between those who have pictures and those who encode them.
use std::{fmt, os::fd::BorrowedFd, path::PathBuf, str::FromStr};

use crate::{BackendError, Buffer, Frame, Rect, Report};

/// A family of encoders: a library or a kind of device. Static, and listed in
/// [`registry`](crate::registry).
pub trait Backend: Send + Sync {
    /// Short lower-case name, as in `--encoder NAME:CODEC`.
    fn name(&self) -> &'static str;

    /// What can be encoded here, one report per device, or why not. Changes nothing, and ends
    /// within about a second.
    fn probe(&self) -> Vec<Report>;

    /// An encoder for frames that are like `like` in layout, format and modifier.
    ///
    /// # Errors
    /// [`BackendError`] when nothing here does that; another backend may.
    fn open(&self, want: &Settings, like: &Frame) -> Result<Box<dyn Encoder>, BackendError>;
}

/// One running encoder. It stays on the thread that opened it, and nothing is called back.
///
/// Every accepted ticket completes exactly once, in the order of submission. At most
/// [`depth`](Self::depth) tickets are open. When a completion is handed out, the encoder has
/// dropped its handle to that frame; when the encoder is dropped it holds none.
pub trait Encoder {
    /// Tickets that may be open at once, at least 1.
    fn depth(&self) -> usize;

    /// Takes a frame, or hands it back. Does not wait.
    ///
    /// # Errors
    /// [`Refused`] holds the frame and says whether trying again later can help.
    fn submit(&mut self, frame: Frame, want: EncodeRequest) -> Result<Ticket, Refused>;

    /// The next completion, if there is one.
    ///
    /// With a [`readiness`](Self::readiness) fd it does not wait, and `None` says "not yet".
    /// Without one this is where the work is done: `None` then says that no ticket is open.
    ///
    /// # Errors
    /// [`BackendError`]: the encoder is lost; call [`finish`](Self::finish) and open another.
    fn poll_completion(&mut self) -> Result<Option<Completion>, BackendError>;

    /// An fd that becomes readable when [`poll_completion`](Self::poll_completion) may have news.
    fn readiness(&self) -> Option<BorrowedFd<'_>>;

    /// Changes rate and frame rate from the next submitted frame on, without a key frame.
    ///
    /// # Errors
    /// [`BackendError`] when the new tuning is impossible; the old one stays.
    fn retune(&mut self, tuning: &Tuning) -> Result<(), BackendError>;

    /// Ends; the completions of all tickets still open, in order. Waits for a device about a second
    /// at most, and where its library knows no limit, for one picture.
    fn finish(self: Box<Self>) -> Vec<Completion>;
}

/// What to encode into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The codec.
    pub codec: Codec,
    /// Pixels per row of every [`EncodeRequest::region`].
    pub width: u32,
    /// Rows of every [`EncodeRequest::region`].
    pub height: u32,
    /// Resolution of the colour.
    pub chroma: Chroma,
    /// Rate and frame rate to begin with.
    pub tuning: Tuning,
    /// The device node to use; `None` leaves the choice to the backend.
    pub device: Option<PathBuf>,
}

/// What can change while the encoder runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// What the encoder aims at.
    pub rate: Rate,
    /// Frames per second that will about be submitted, at least 1.
    pub fps: u32,
}

/// A quality at which text and pictures cannot be told from the source at a glance (38 dB), at 30
/// frames per second.
impl Default for Tuning {
    fn default() -> Self {
        Self { rate: Rate::Quality(90), fps: 30 }
    }
}

/// What the encoder aims at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// Bits per second on average, at least 1.
    Bitrate(u32),
    /// The same quality for every picture, 1 (worst) to 100 (best), on JPEG's scale.
    Quality(u8),
}

/// Resolution of the colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Chroma {
    /// Half in both directions.
    Yuv420,
    /// Full: sharp coloured text.
    Yuv444,
}

/// One picture to encode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodeRequest {
    /// The part of the frame to encode, as large as [`Settings`] says.
    pub region: Rect,
    /// What differs from the picture submitted before; comes back in [`Packet::damage`].
    pub damage: Rect,
    /// Whether the packet must be decodable without any earlier one. The first always is.
    pub keyframe: bool,
    /// The caller's own number, such as a media time; comes back in the completion.
    pub tag: u64,
}

/// An accepted frame: counts up from 0 for each encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// The end of a ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completion {
    /// The picture is encoded.
    Encoded(Packet),
    /// It was not: the rate control left it out, or the encoder ended before.
    Dropped {
        /// Whose end this is.
        ticket: Ticket,
        /// From the [`EncodeRequest`].
        tag: u64,
    },
}

/// One encoded picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Whose end this is.
    pub ticket: Ticket,
    /// From the [`EncodeRequest`].
    pub tag: u64,
    /// From the [`EncodeRequest`].
    pub damage: Rect,
    /// Whether it is decodable without any earlier packet.
    pub keyframe: bool,
    /// Pixels per row of the coded picture. Up to 15 more than the region's, where the codec needs
    /// even sizes or has a smallest one: then the region's last column is repeated.
    pub width: u32,
    /// Rows of the coded picture, likewise.
    pub height: u32,
    /// A whole JPEG; a whole H.264 or HEVC access unit in Annex B form, without access unit
    /// delimiter and, for a key frame, with its parameter sets; a whole VP8 or VP9 frame.
    pub data: Buffer,
}

/// A frame that was not accepted, handed back.
#[derive(Debug, thiserror::Error)]
#[error("frame refused: {why}")]
pub struct Refused {
    /// The same frame.
    pub frame: Frame,
    /// Why.
    pub why: Refusal,
}

/// Why a frame was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Too many tickets are open: poll, then try again.
    #[error("{0} tickets are open, as many as there may be")]
    Busy(usize),
    /// The region is not as large as the encoder was opened for: open another.
    #[error("the region is {got_width}x{got_height}, the encoder is for {width}x{height}")]
    Size {
        /// The encoder's.
        width: u32,
        /// The encoder's.
        height: u32,
        /// The region's.
        got_width: u32,
        /// The region's.
        got_height: u32,
    },
    /// The region is not inside the frame.
    #[error("the region {}x{} at {},{} is not inside the frame", .0.width, .0.height, .0.x, .0.y)]
    Region(Rect),
    /// The frame is not like the one that the encoder was opened for: open another.
    #[error("the frame differs from those the encoder was opened for: {0}")]
    Unlike(&'static str),
    /// The device failed: finish, and open another encoder.
    #[error("{0}")]
    Failed(BackendError),
}

/// A video codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Codec {
    /// One JPEG per picture.
    Mjpeg,
    /// H.264 / AVC.
    H264,
    /// H.265 / HEVC.
    Hevc,
    /// VP8.
    Vp8,
    /// VP9.
    Vp9,
    /// Fast Walsh-Hadamard Transform: the codec of the kernel's virtual encoder, for tests.
    Fwht,
}

impl Completion {
    /// Whose end this is.
    pub fn ticket(&self) -> Ticket {
        match self {
            Self::Encoded(packet) => packet.ticket,
            Self::Dropped { ticket, .. } => *ticket,
        }
    }

    /// From the [`EncodeRequest`].
    pub fn tag(&self) -> u64 {
        match self {
            Self::Encoded(packet) => packet.tag,
            Self::Dropped { tag, .. } => *tag,
        }
    }
}

impl EncodeRequest {
    /// What every encoder asks of a request before it takes the frame.
    pub(crate) fn check(&self, frame: &Frame, settings: &Settings) -> Result<(), Refusal> {
        let Settings { width, height, .. } = *settings;
        let Rect { width: got_width, height: got_height, .. } = self.region;
        if (got_width, got_height) != (width, height) {
            return Err(Refusal::Size { width, height, got_width, got_height });
        }
        if !frame.bounds().contains(self.region) {
            return Err(Refusal::Region(self.region));
        }
        Ok(())
    }
}

impl Settings {
    /// What every backend asks of settings before it opens.
    pub(crate) fn check(&self, backend: &'static str, like: &Frame) -> Result<(), BackendError> {
        self.tuning.check(backend)?;
        let Self { width, height, .. } = *self;
        let region = Rect { x: 0, y: 0, width, height };
        if region.is_empty() || !like.bounds().contains(region) {
            return Err(crate::FrameError::Region(region).into());
        }
        Ok(())
    }
}

impl Tuning {
    /// Refuses what no encoder can do.
    pub(crate) fn check(&self, backend: &'static str) -> Result<(), BackendError> {
        let sane = self.fps > 0
            && match self.rate {
                Rate::Bitrate(bits) => bits > 0,
                Rate::Quality(quality) => (1..=100).contains(&quality),
            };
        sane.then_some(()).ok_or_else(|| BackendError::Unsupported { backend, what: format!("{self:?}") })
    }
}

impl Tuning {
    /// The bitrate to tell a device; a quality is turned into one where nothing finer can be told.
    pub(crate) fn bits(&self, pixels: u32) -> u32 {
        match self.rate {
            Rate::Bitrate(bits) => bits,
            // A tenth of a bit per pixel at 75, doubled by every 12 above: H.264's usual slope.
            Rate::Quality(quality) => {
                let per_pixel = 0.1 * ((f32::from(quality) - 75.0) / 12.0).exp2();
                // `as` saturates.
                (per_pixel * pixels as f32 * self.fps as f32) as u32
            }
        }
    }
}

impl Codec {
    /// All of them, in the order of preference for a screen.
    pub const ALL: [Self; 6] = [Self::H264, Self::Hevc, Self::Vp9, Self::Vp8, Self::Mjpeg, Self::Fwht];

    /// Lower-case name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mjpeg => "mjpeg",
            Self::H264 => "h264",
            Self::Hevc => "hevc",
            Self::Vp8 => "vp8",
            Self::Vp9 => "vp9",
            Self::Fwht => "fwht",
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Codec {
    type Err = UnknownCodec;

    /// By its lower-case name; `h265` is `hevc`.
    fn from_str(name: &str) -> Result<Self, UnknownCodec> {
        let name = if name == "h265" { "hevc" } else { name };
        Self::ALL.into_iter().find(|c| c.name() == name).ok_or_else(|| UnknownCodec(name.to_owned()))
    }
}

/// No codec has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no codec is named {0:?}")]
pub struct UnknownCodec(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for codec in Codec::ALL {
            assert_eq!(codec.name().parse(), Ok(codec));
        }
        assert_eq!("h265".parse(), Ok(Codec::Hevc));
        assert_eq!("av2".parse::<Codec>(), Err(UnknownCodec("av2".into())));
    }

    #[test]
    fn a_tuning_has_bounds() {
        let ok = |rate, fps| Tuning { rate, fps }.check("test").is_ok();
        assert!(ok(Rate::Quality(1), 1) && ok(Rate::Quality(100), 1) && ok(Rate::Bitrate(1), u32::MAX));
        assert!(!ok(Rate::Quality(0), 1) && !ok(Rate::Quality(101), 1));
        assert!(!ok(Rate::Bitrate(0), 1) && !ok(Rate::Quality(50), 0));
    }
}
