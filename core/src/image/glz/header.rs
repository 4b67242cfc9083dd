//! The 33 bytes before the tokens, big-endian.

use crate::image::lz::header::{MAGIC, VERSION, geometry};
use crate::image::{ImageError, PixelFormat, Pixels};

pub(super) const HEADER: usize = 33;
const TYPE: u8 = 0x0f;
const TOP_DOWN: u8 = 0x10;

/// What the header of GLZ data says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GlzPicture {
    /// How the decoded pixels lie in memory.
    pub format: PixelFormat,
    /// Whether the first decoded row is the top one.
    pub top_down: bool,
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// The image's number.
    pub id: u64,
    /// How many images before this one are still in the window.
    pub window_head: u32,
    /// Bytes of the decoded picture: packed rows.
    pub len: usize,
}

impl GlzPicture {
    /// Reads the header: what the data claims to be, and how much output it needs.
    pub fn parse(data: &[u8]) -> Result<Self, ImageError> {
        let truncated = ImageError::Truncated { at: data.len() };
        let header = data.first_chunk::<HEADER>().ok_or(truncated)?;
        let word = |at: usize| {
            let [a, b, c, d] = [0, 1, 2, 3].map(|i| header[at + i]);
            u32::from_be_bytes([a, b, c, d])
        };
        let (magic, version, kind) = (word(0), word(4), header[8]);
        if (magic, version) != (MAGIC, VERSION) {
            return Err(ImageError::Magic { magic, version });
        }
        let format = PixelFormat::from_wire(kind & TYPE)
            .filter(|&format| carries(format))
            .ok_or(ImageError::Format { got: u32::from(kind) })?;
        let (width, height) = (word(9), word(13));
        let (_, len) = geometry(format, width, height, word(17))?;
        Ok(Self {
            format,
            top_down: kind & TOP_DOWN != 0,
            width,
            height,
            id: (u64::from(word(21)) << 32) | u64::from(word(25)),
            window_head: word(29),
            len,
        })
    }
}

/// The header of `pixels`, which run from the top; `None` when there are too many.
pub(super) fn header(pixels: &Pixels<'_>, id: u64, window_head: u32) -> Option<[u8; HEADER]> {
    let stride = u32::try_from(pixels.row_bytes()).ok()?;
    geometry(pixels.format(), pixels.width(), pixels.height(), stride).ok()?;
    let mut header = [0; HEADER];
    let mut put = |at: usize, word: u32| {
        header[at..at + 4].copy_from_slice(&word.to_be_bytes());
    };
    put(0, MAGIC);
    put(4, VERSION);
    put(9, pixels.width());
    put(13, pixels.height());
    put(17, stride);
    put(21, (id >> 32) as u32);
    put(25, id as u32);
    put(29, window_head);
    header[8] = pixels.format().to_wire() | TOP_DOWN;
    Some(header)
}

pub(super) const fn carries(format: PixelFormat) -> bool {
    matches!(format, PixelFormat::Rgb16 | PixelFormat::Rgb24 | PixelFormat::Rgb32 | PixelFormat::Rgba)
}
