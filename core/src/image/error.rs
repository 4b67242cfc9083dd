//! What can be wrong with picture data or with a picture's layout.

use core::fmt;

/// Why picture data was refused. Offsets count bytes from the start of the data, units are pixels
/// (bytes for palette and A8 pictures).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImageError {
    /// The data ends at `at`, inside something that had to continue.
    Truncated {
        /// Length of the data in bytes.
        at: usize,
    },
    /// Data is left over after the last pixel.
    Trailing {
        /// Where the leftover begins.
        at: usize,
        /// How many bytes are left.
        left: usize,
    },
    /// A picture format or type number that this codec does not carry.
    Format {
        /// The number on the wire.
        got: u32,
    },
    /// Data that does not begin as this format does.
    Magic {
        /// What stands in place of the magic number.
        magic: u32,
        /// What stands in place of the version.
        version: u32,
    },
    /// A picture of no pixels, or of more than the format allows or memory can hold.
    Size {
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// Rows do not fit the memory they are said to lie in, or a side is zero or too long.
    Layout {
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
        /// Bytes from one row to the next.
        stride: usize,
        /// Bytes of memory given.
        len: usize,
    },
    /// The lent output is too short.
    Output {
        /// Bytes needed.
        needed: usize,
        /// Bytes lent.
        got: usize,
    },
    /// The lent working memory is too short.
    Scratch {
        /// Elements needed.
        needed: usize,
        /// Elements lent.
        got: usize,
    },
    /// A code word that stands for nothing, before `at`.
    Code {
        /// Where reading had come to.
        at: usize,
    },
    /// A run or match longer than what is left of the row or picture.
    Length {
        /// Where reading had come to.
        at: usize,
        /// Units it would produce.
        length: usize,
        /// Units there is room for.
        room: usize,
    },
    /// A reference to before the first unit.
    Distance {
        /// Where reading had come to.
        at: usize,
        /// Units back from the current one.
        distance: usize,
        /// Units there are.
        produced: usize,
    },
    /// A reference to an image that is not in the window, or not of this format.
    Reference {
        /// Where reading had come to.
        at: usize,
        /// Images back from this one.
        back: u64,
        /// Images in the window.
        kept: u64,
    },
    /// An image that is not the next one.
    Order {
        /// Its number.
        got: u64,
        /// The next number.
        want: u64,
    },
    /// A row length that is not that of packed rows.
    Stride {
        /// Bytes announced.
        got: u32,
        /// Bytes of a packed row.
        want: usize,
    },
    /// An LZ4 block that is not valid, or that refers to bytes before the first.
    Block {
        /// Where the block begins.
        at: usize,
        /// Its announced length in bytes.
        len: usize,
    },
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Truncated { at } => write!(f, "picture data ends early, after {at} bytes"),
            Self::Trailing { at, left } => {
                write!(f, "{left} bytes left after the picture, from byte {at}")
            }
            Self::Format { got } => write!(f, "picture format {got} is not carried here"),
            Self::Magic { magic, version } => {
                write!(f, "magic {magic:#010x}, version {version:#x} are not this format's")
            }
            Self::Size { width, height } => {
                write!(f, "a picture of {width}x{height} pixels is not possible")
            }
            Self::Layout { width, height, stride, len } => {
                write!(f, "a {width}x{height} picture with {stride} bytes per row does not lie in {len} bytes")
            }
            Self::Output { needed, got } => {
                write!(f, "output needs {needed} bytes, {got} were lent")
            }
            Self::Scratch { needed, got } => {
                write!(f, "working memory needs {needed} elements, {got} were lent")
            }
            Self::Code { at } => write!(f, "a code word before byte {at} stands for nothing"),
            Self::Length { at, length, room } => {
                write!(f, "a run of {length} before byte {at} has room for {room}")
            }
            Self::Distance { at, distance, produced } => {
                write!(f, "a match before byte {at} goes back {distance}, with {produced} units there")
            }
            Self::Reference { at, back, kept } => {
                write!(f, "a match before byte {at} goes back {back} images, {kept} are kept, not all alike")
            }
            Self::Order { got, want } => {
                write!(f, "image {got} comes before its turn or again, {want} is next")
            }
            Self::Stride { got, want } => {
                write!(f, "rows of {got} bytes announced, packed ones have {want}")
            }
            Self::Block { at, len } => write!(f, "bad LZ4 block of {len} bytes at byte {at}"),
        }
    }
}

impl core::error::Error for ImageError {}
