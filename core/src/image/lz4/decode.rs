//! LZ4 data to pictures.

use lz4_flex::block;

use super::{BLOCK_HEAD, HEAD, Lz4Encoder};
use crate::image::{ImageError, PixelFormat};

/// What [`decode`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lz4Picture {
    /// How the decoded pixels lie in memory.
    pub format: PixelFormat,
    /// Whether the first decoded row is the top one.
    pub top_down: bool,
    /// Bytes written to the output: packed rows.
    pub len: usize,
}

/// Decodes LZ4 image data of a `width` by `height` picture (the image descriptor's) into packed
/// rows at the front of `out`.
pub fn decode(data: &[u8], width: u32, height: u32, out: &mut [u8]) -> Result<Lz4Picture, ImageError> {
    let truncated = ImageError::Truncated { at: data.len() };
    let (&[top_down, number], mut rest) = data.split_first_chunk::<HEAD>().ok_or(truncated)?;
    let format = PixelFormat::from_wire(number)
        .filter(|&format| Lz4Encoder::carries(format))
        .ok_or(ImageError::Format { got: u32::from(number) })?;
    let lent = out.len();
    let len = format.picture_bytes(width, height).unwrap_or(usize::MAX);
    let out = out.get_mut(..len).ok_or(ImageError::Output { needed: len, got: lent })?;
    let mut done = 0;
    while done < len {
        let (&size, blocks) = rest.split_first_chunk::<BLOCK_HEAD>().ok_or(truncated)?;
        let at = data.len() - blocks.len();
        let size = usize::try_from(u32::from_be_bytes(size)).map_err(|_| truncated)?;
        let (compressed, after) = blocks.split_at_checked(size).ok_or(truncated)?;
        let refused = ImageError::Block { at, len: size };
        let (before, room) = out.split_at_mut(done);
        let got = block::decompress_into_with_dict(compressed, room, before);
        match got {
            Ok(got) if got > 0 => done += got,
            _ => return Err(refused),
        }
        rest = after;
    }
    if !rest.is_empty() {
        return Err(ImageError::Trailing { at: data.len() - rest.len(), left: rest.len() });
    }
    Ok(Lz4Picture { format, top_down: top_down != 0, len })
}
