//! [`PixelFormat`]: pixman's formats as far as displays have them, turned into BGRX.

/// How a pixel lies in memory, on a little-endian machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PixelFormat {
    /// Bytes blue, green, red and one more: x8r8g8b8, a8r8g8b8.
    Bgrx,
    /// Bytes red, green, blue and one more: x8b8g8r8, a8b8g8r8.
    Rgbx,
    /// One more byte, then red, green, blue: b8g8r8x8, b8g8r8a8.
    Xrgb,
    /// Bytes blue, green, red: r8g8b8.
    Bgr,
    /// 16 bits, 5 red, 6 green, 5 blue: r5g6b5.
    R5g6b5,
    /// 16 bits, 1 more, 5 red, 5 green, 5 blue: x1r5g5b5, a1r5g5b5.
    X1r5g5b5,
}

impl PixelFormat {
    /// The format of this pixman_format_code_t, if it is one that displays have.
    pub(super) fn from_pixman(code: u32) -> Option<Self> {
        Some(match code {
            0x2002_0888 | 0x2002_8888 => Self::Bgrx,
            0x2003_0888 | 0x2003_8888 => Self::Rgbx,
            0x2008_0888 | 0x2008_8888 => Self::Xrgb,
            0x1802_0888 => Self::Bgr,
            0x1002_0565 => Self::R5g6b5,
            0x1002_0555 | 0x1002_1555 => Self::X1r5g5b5,
            _ => return None,
        })
    }

    /// Bytes of one pixel.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::Bgrx | Self::Rgbx | Self::Xrgb => 4,
            Self::Bgr => 3,
            Self::R5g6b5 | Self::X1r5g5b5 => 2,
        }
    }

    /// Turns a row into BGRX, as many pixels as both have.
    pub(super) fn convert(self, from: &[u8], to: &mut [u8]) {
        let pixels = to.as_chunks_mut::<4>().0.iter_mut();
        match self {
            Self::Bgrx => {
                let len = from.len().min(to.len());
                to[..len].copy_from_slice(&from[..len]);
            }
            Self::Rgbx => pixels.zip(from.as_chunks::<4>().0).for_each(|(to, &[r, g, b, x])| *to = [b, g, r, x]),
            Self::Xrgb => pixels.zip(from.as_chunks::<4>().0).for_each(|(to, &[x, r, g, b])| *to = [b, g, r, x]),
            Self::Bgr => pixels.zip(from.as_chunks::<3>().0).for_each(|(to, &[b, g, r])| *to = [b, g, r, 0]),
            Self::R5g6b5 => pixels.zip(words(from)).for_each(|(to, word)| {
                *to = [five(word), six(word >> 5), five(word >> 11), 0];
            }),
            Self::X1r5g5b5 => pixels.zip(words(from)).for_each(|(to, word)| {
                *to = [five(word), five(word >> 5), five(word >> 10), 0];
            }),
        }
    }
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u16> {
    bytes.as_chunks::<2>().0.iter().map(|&pair| u16::from_le_bytes(pair))
}

/// The low 5 bits, stretched to 0..=255.
fn five(word: u16) -> u8 {
    let bits = (word & 0x1f) as u8;
    bits << 3 | bits >> 2
}

/// The low 6 bits, stretched to 0..=255.
fn six(word: u16) -> u8 {
    let bits = (word & 0x3f) as u8;
    bits << 2 | bits >> 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lime_is_lime_in_every_format() {
        let lime = [0x00, 0xff, 0x84];
        for (code, pixel) in [
            (0x2002_0888, &[0x00, 0xff, 0x84, 0][..]),
            (0x2002_8888, &[0x00, 0xff, 0x84, 0]),
            (0x2003_0888, &[0x84, 0xff, 0x00, 0]),
            (0x2008_0888, &[0, 0x84, 0xff, 0x00]),
            (0x1802_0888, &[0x00, 0xff, 0x84]),
            (0x1002_0565, &0x87e0_u16.to_le_bytes()),
            (0x1002_0555, &0x43e0_u16.to_le_bytes()),
        ] {
            let format = PixelFormat::from_pixman(code).unwrap();
            assert_eq!(format.bytes(), pixel.len());
            let mut to = [9; 8];
            format.convert(&[pixel, pixel].concat(), &mut to);
            assert_eq!([&to[..3], &to[4..7]], [lime, lime], "{code:#x}");
        }
        assert_eq!(PixelFormat::from_pixman(0x0801_8000), None, "a8 is no picture");
    }

    #[test]
    fn short_rows_are_converted_as_far_as_they_go() {
        let mut to = [9; 8];
        PixelFormat::Bgrx.convert(&[1, 2, 3, 4], &mut to);
        assert_eq!(to, [1, 2, 3, 4, 9, 9, 9, 9]);
        PixelFormat::Bgr.convert(&[1, 2, 3, 4, 5], &mut to);
        assert_eq!(to, [1, 2, 3, 0, 9, 9, 9, 9]);
    }
}
