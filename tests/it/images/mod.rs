//! Image codecs: the reference's data decoded, and round trips of whatever proptest thinks of.

mod properties;
mod sessions;
mod vectors;
