//! The 28 bytes before the tokens: seven big-endian numbers.

use crate::image::{ImageError, PixelFormat, Pixels};

pub(super) const HEADER: usize = 28;
/// The bytes "  ZL".
pub(in crate::image) const MAGIC: u32 = 0x2020_5a4c;
pub(in crate::image) const VERSION: u32 = 0x0001_0001;
/// The type of a stream that holds alpha alone.
pub(super) const XXXA: u32 = 10;
const A8: u32 = 11;
/// Pictures of this many bytes and more are not coded.
pub(in crate::image) const BYTES_END: usize = 1 << 30;

/// What the header of LZ data says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LzPicture {
    /// How the decoded pixels lie in memory. For alpha alone (the type XXXA) it is
    /// [`PixelFormat::Rgba`].
    pub format: PixelFormat,
    /// Whether the data holds nothing but the alpha of RGBA pixels.
    pub alpha_only: bool,
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Whether the first decoded row is the top one.
    pub top_down: bool,
    /// Bytes of the decoded picture: packed rows.
    pub len: usize,
}

impl LzPicture {
    /// Reads the header: what the data claims to be, and how much output it needs.
    pub fn parse(data: &[u8]) -> Result<Self, ImageError> {
        let truncated = ImageError::Truncated { at: data.len() };
        let words = data.first_chunk::<HEADER>().ok_or(truncated)?;
        let word = |n: usize| {
            let [a, b, c, d] = [0, 1, 2, 3].map(|i| words[4 * n + i]);
            u32::from_be_bytes([a, b, c, d])
        };
        let [magic, version, number, width, height] = [0, 1, 2, 3, 4].map(word);
        if (magic, version) != (MAGIC, VERSION) {
            return Err(ImageError::Magic { magic, version });
        }
        let format = format_of(number).ok_or(ImageError::Format { got: number })?;
        let (_, len) = geometry(format, width, height, word(5))?;
        Ok(Self { format, alpha_only: number == XXXA, width, height, top_down: word(6) != 0, len })
    }
}

/// The header of `pixels`, which run from the top; `None` when there are too many.
pub(super) fn header(pixels: &Pixels<'_>, number: u32) -> Option<[u8; HEADER]> {
    let stride = u32::try_from(pixels.row_bytes()).ok()?;
    geometry(pixels.format(), pixels.width(), pixels.height(), stride).ok()?;
    let words = [MAGIC, VERSION, number, pixels.width(), pixels.height(), stride, 1];
    let mut header = [0; HEADER];
    for (out, word) in header.as_chunks_mut().0.iter_mut().zip(words) {
        *out = word.to_be_bytes();
    }
    Some(header)
}

/// Row and picture length in bytes, if `stride` is that of packed rows.
pub(in crate::image) fn geometry(
    format: PixelFormat,
    width: u32,
    height: u32,
    stride: u32,
) -> Result<(usize, usize), ImageError> {
    let refused = ImageError::Size { width, height };
    let row = format.row_bytes(width).ok_or(refused)?;
    let len = format.picture_bytes(width, height).ok_or(refused)?;
    if len == 0 || len >= BYTES_END {
        return Err(refused);
    }
    if stride as usize != row {
        return Err(ImageError::Stride { got: stride, want: row });
    }
    Ok((row, len))
}

/// The type number of a complete picture.
pub(in crate::image) const fn type_of(format: PixelFormat) -> u32 {
    match format {
        PixelFormat::A8 => A8,
        other => other.to_wire() as u32,
    }
}

/// XXXA is the alpha of RGBA pixels.
fn format_of(number: u32) -> Option<PixelFormat> {
    match number {
        XXXA => Some(PixelFormat::Rgba),
        A8 => Some(PixelFormat::A8),
        1..=9 => PixelFormat::from_wire(number as u8),
        _ => None,
    }
}
