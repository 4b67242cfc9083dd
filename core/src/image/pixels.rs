//! A picture in the caller's memory: what every encoder reads.

use super::ImageError;

/// How pixels lie in memory: `SpiceBitmapFmt` of spice.proto, with its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum PixelFormat {
    /// One bit per pixel, an index; the first pixel is the least significant bit.
    Plt1Le = 1,
    /// One bit per pixel, an index; the first pixel is the most significant bit.
    Plt1Be = 2,
    /// Four bits per pixel, an index; the first pixel is the low nibble.
    Plt4Le = 3,
    /// Four bits per pixel, an index; the first pixel is the high nibble.
    Plt4Be = 4,
    /// One byte per pixel, an index.
    Plt8 = 5,
    /// Two bytes, little-endian, x1r5g5b5.
    Rgb16 = 6,
    /// Three bytes: blue, green, red.
    Rgb24 = 7,
    /// Four bytes: blue, green, red and one that means nothing.
    Rgb32 = 8,
    /// Four bytes: blue, green, red, alpha; premultiplied.
    Rgba = 9,
    /// One byte of coverage per pixel.
    A8 = 10,
}

impl PixelFormat {
    /// The format with this number of `SpiceBitmapFmt`.
    pub const fn from_wire(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::Plt1Le,
            2 => Self::Plt1Be,
            3 => Self::Plt4Le,
            4 => Self::Plt4Be,
            5 => Self::Plt8,
            6 => Self::Rgb16,
            7 => Self::Rgb24,
            8 => Self::Rgb32,
            9 => Self::Rgba,
            10 => Self::A8,
            _ => return None,
        })
    }

    /// Its number in `SpiceBitmapFmt`.
    pub const fn to_wire(self) -> u8 {
        self as u8
    }

    /// Bits per pixel, padding included.
    pub const fn bits(self) -> u32 {
        match self {
            Self::Plt1Le | Self::Plt1Be => 1,
            Self::Plt4Le | Self::Plt4Be => 4,
            Self::Plt8 | Self::A8 => 8,
            Self::Rgb16 => 16,
            Self::Rgb24 => 24,
            Self::Rgb32 | Self::Rgba => 32,
        }
    }

    /// Bytes of a packed row of `width` pixels; `None` when the number does not fit.
    pub const fn row_bytes(self, width: u32) -> Option<usize> {
        let bytes = (width as u64 * self.bits() as u64).div_ceil(8);
        if bytes > usize::MAX as u64 {
            return None;
        }
        Some(bytes as usize)
    }

    /// Bytes of a packed picture; `None` when the number does not fit.
    pub const fn picture_bytes(self, width: u32, height: u32) -> Option<usize> {
        match self.row_bytes(width) {
            Some(row) if height as u64 <= usize::MAX as u64 => row.checked_mul(height as usize),
            _ => None,
        }
    }
}

/// Rows of pixels from the top, borrowed: a whole frame or a rectangle of one.
#[derive(Clone, Copy)]
pub struct Pixels<'a> {
    data: &'a [u8],
    format: PixelFormat,
    width: u32,
    height: u32,
    stride: usize,
    row_bytes: usize,
}

impl<'a> Pixels<'a> {
    /// `height` rows of `width` pixels; row `y` begins at byte `y * stride` of `data`. Bytes after
    /// the last pixel of the last row need not exist.
    ///
    /// Fails with [`ImageError::Layout`] when a side is zero, a row is longer than `stride` or the
    /// rows do not lie in `data`.
    pub fn new(
        data: &'a [u8],
        format: PixelFormat,
        width: u32,
        height: u32,
        stride: usize,
    ) -> Result<Self, ImageError> {
        let refused = ImageError::Layout { width, height, stride, len: data.len() };
        let row_bytes = format.row_bytes(width).ok_or(refused)?;
        let last = usize::try_from(height).ok().and_then(|h| h.checked_sub(1));
        let end = last
            .and_then(|last| last.checked_mul(stride))
            .and_then(|start| start.checked_add(row_bytes))
            .ok_or(refused)?;
        if width == 0 || row_bytes > stride || end > data.len() {
            return Err(refused);
        }
        Ok(Self { data, format, width, height, stride, row_bytes })
    }

    /// The rectangle at `left`, `top`. Fails with [`ImageError::Layout`] when it is empty, sticks
    /// out, or does not begin at a whole byte.
    pub fn rect(&self, left: u32, top: u32, width: u32, height: u32) -> Result<Self, ImageError> {
        let refused = ImageError::Layout { width, height, stride: self.stride, len: self.data.len() };
        let inside = |from: u32, len: u32, side: u32| from.checked_add(len).is_some_and(|e| e <= side);
        let bits = u64::from(left) * u64::from(self.format.bits());
        if !inside(left, width, self.width) || !inside(top, height, self.height) || height == 0 || bits % 8 != 0 {
            return Err(refused);
        }
        let column = usize::try_from(bits / 8).map_err(|_| refused)?;
        let start = usize::try_from(top)
            .ok()
            .and_then(|top| top.checked_mul(self.stride))
            .and_then(|row| row.checked_add(column))
            .ok_or(refused)?;
        let data = self.data.get(start..).ok_or(refused)?;
        Self::new(data, self.format, width, height, self.stride)
    }

    /// How the pixels lie in memory.
    pub const fn format(&self) -> PixelFormat {
        self.format
    }

    /// Pixels in a row, at least 1.
    pub const fn width(&self) -> u32 {
        self.width
    }

    /// Rows, at least 1.
    pub const fn height(&self) -> u32 {
        self.height
    }

    /// Bytes of one packed row.
    pub const fn row_bytes(&self) -> usize {
        self.row_bytes
    }

    /// The rows from the top, each exactly [`row_bytes`](Self::row_bytes) long.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + Clone + use<'a> {
        let row_bytes = self.row_bytes;
        // `new` has checked that the last row is whole, so every chunk holds a row.
        let chunks = self.data.chunks(self.stride).take(self.height as usize);
        chunks.map(move |row| &row[..row_bytes])
    }

    /// All pixels as one slice, when no bytes lie between the rows.
    pub fn packed(&self) -> Option<&'a [u8]> {
        if self.stride != self.row_bytes && self.height != 1 {
            return None;
        }
        self.data.get(..self.row_bytes * self.height as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMATS: [PixelFormat; 10] = [
        PixelFormat::Plt1Le,
        PixelFormat::Plt1Be,
        PixelFormat::Plt4Le,
        PixelFormat::Plt4Be,
        PixelFormat::Plt8,
        PixelFormat::Rgb16,
        PixelFormat::Rgb24,
        PixelFormat::Rgb32,
        PixelFormat::Rgba,
        PixelFormat::A8,
    ];

    #[test]
    fn wire_numbers_go_both_ways() {
        for format in FORMATS {
            assert_eq!(PixelFormat::from_wire(format.to_wire()), Some(format));
        }
        assert_eq!(PixelFormat::from_wire(0), None);
        assert_eq!(PixelFormat::from_wire(11), None);
    }

    #[test]
    fn the_last_row_may_end_with_its_last_pixel() {
        let data = [0; 3 * 10 + 8];
        assert!(Pixels::new(&data, PixelFormat::Rgb32, 2, 4, 10).is_ok());
        assert!(Pixels::new(&data[1..], PixelFormat::Rgb32, 2, 4, 10).is_err());
        assert!(Pixels::new(&data, PixelFormat::Rgb32, 2, 4, 7).is_err());
        assert!(Pixels::new(&data, PixelFormat::Rgb32, 0, 4, 10).is_err());
        assert!(Pixels::new(&data, PixelFormat::Rgb32, 2, 0, 10).is_err());
        assert!(Pixels::new(&data, PixelFormat::Rgb32, u32::MAX, u32::MAX, usize::MAX).is_err());
    }

    #[test]
    fn a_rectangle_is_the_bytes_under_it() {
        let data: [u8; 24] = core::array::from_fn(|i| i as u8);
        let frame = Pixels::new(&data, PixelFormat::Rgb16, 4, 3, 8).unwrap();
        assert_eq!(frame.packed(), Some(&data[..]));
        let rect = frame.rect(1, 1, 2, 2).unwrap();
        assert!(rect.packed().is_none());
        assert!(rect.rows().eq([&[10, 11, 12, 13][..], &[18, 19, 20, 21]]));
        assert!(frame.rect(3, 0, 2, 1).is_err());
        assert!(frame.rect(0, 2, 1, 2).is_err());
        assert!(frame.rect(0, 3, 1, 0).is_err());
        assert!(frame.rect(u32::MAX, 0, 2, 1).is_err());
    }

    #[test]
    fn a_palette_rectangle_begins_at_a_whole_byte() {
        let data = [0; 8];
        let frame = Pixels::new(&data, PixelFormat::Plt4Be, 7, 2, 4).unwrap();
        assert!(frame.rect(2, 0, 3, 2).is_ok());
        assert!(frame.rect(1, 0, 3, 2).is_err());
    }
}
