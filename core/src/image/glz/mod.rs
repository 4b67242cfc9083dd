//! GLZ image data: LZ whose references also reach into images sent before, so that what scrolls or
//! comes back costs a few bytes. Image type GLZ_RGB (102) of spice.proto, and what ZLIB_GLZ_RGB
//! (107) holds deflated.
//!
//! Images are numbered in the order of encoding, over all display channels of a client that share
//! a dictionary, and every encoded image must be sent: later ones may refer to it. Its header says
//! how far back references still reach; the decoder forgets what lies before.
//!
//! Pictures have 16, 24 or 32 bits per pixel. Only pictures of one format refer to each other.

mod decode;
mod dictionary;
mod encode;
mod header;

pub use decode::{GlzKept, GlzWindow};
pub use dictionary::{GlzDictionary, GlzImage};
pub use header::GlzPicture;

/// Images are smaller than this, in pixels, and so is every distance.
const PIXELS_END: usize = 1 << 25;
/// Images this far back cannot be referred to.
const IMAGES_END: u64 = 1 << 24;

#[cfg(test)]
mod tests;
