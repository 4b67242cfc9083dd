//! LZ image data: a byte-wise LZ77 that knows pixels. Image types LZ_RGB (101),
//! LZ_PLT (100) and the alpha part of JPEG_ALPHA (108) of spice.proto.
//!
//! A picture is a sequence of units (pixels, or bytes for palettes and A8), row after row. Tokens
//! are literal runs and references to units already coded, which may lie in earlier rows and may
//! overlap what they produce. An RGBA picture is two such streams: colours, then alpha.

pub(super) mod decode;
mod encode;
pub(super) mod header;
pub(super) mod token;
pub(super) mod unit;

pub use decode::{decode, decode_alpha};
pub use encode::{encode, encode_alpha};
pub use header::LzPicture;

/// Fewest u32 of working memory that [`encode`] accepts.
pub const MIN_MEMORY: usize = HASH_SIZE + 2048;
/// As many u32 of working memory as [`encode`] has use for: about 620 kB, with which references
/// reach as far as the format allows.
pub const MAX_MEMORY: usize = HASH_SIZE + 2 * MAX_DISTANCE;

const HASH_BITS: u32 = 13;
const HASH_SIZE: usize = 1 << HASH_BITS;
/// Distances from this one on take two bytes more.
const FAR: usize = 8192;
/// The longest distance, in units.
const MAX_DISTANCE: usize = FAR + 65535;

#[cfg(test)]
mod tests;
