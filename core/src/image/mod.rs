//! Picture codecs: SPICE's own lossless image formats, both directions, over lent memory.
//!
//! Every encoder reads [`Pixels`] (rows of a frame, or a rectangle of it, from the top) and writes
//! the data that follows an image descriptor on the wire. Every decoder writes tightly packed rows
//! in coded order and trusts nothing it reads. State that outlives a call (hash tables, models,
//! dictionaries) lives in structs the caller places; nothing large is kept on the stack.
//!
//! | module | image type in spice.proto |
//! |---|---|
//! | [`glz`] | GLZ_RGB (102), ZLIB_GLZ_RGB (107) before deflating |
//! | [`lz`] | LZ_RGB (101), LZ_PLT (100), alpha of JPEG_ALPHA (108) |
//! | [`lz4`] | LZ4 (109) |
//! | [`quic`] | QUIC (1) |

pub mod glz;
pub mod lz;
pub mod lz4;
pub mod quic;
#[cfg(any(test, feature = "samples"))]
pub mod samples;

mod error;
mod pixels;

pub use error::ImageError;
pub use pixels::{PixelFormat, Pixels};
