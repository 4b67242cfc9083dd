//! [`Picture`]: an image of the guest's as pixels.

use sumac_core::image::{PixelFormat, quic};
use sumac_core::limits;
use sumac_core::proto::picture::{Bitmap, BitmapFlags, BitmapFormat, PaletteRef};
use sumac_core::wire::At;

/// Pixels as xRGB or, where `alpha` says so, premultiplied ARGB; the top row first.
#[derive(Clone)]
pub(super) struct Picture {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) pixels: Vec<u32>,
    pub(super) alpha: bool,
}

impl Picture {
    /// A bitmap that was found to be in order.
    pub(super) fn of_bitmap(bitmap: &Bitmap<'_>) -> Self {
        let (width, height) = (bitmap.x as usize, bitmap.y as usize);
        let colors: Vec<u32> = match bitmap.palette {
            PaletteRef::Here(At(Some(palette))) => palette.entries.items().iter().map(|color| color.get()).collect(),
            _ => Vec::new(),
        };
        let mut pixels = Vec::with_capacity(width * height);
        let rows = bitmap.data.bytes().chunks_exact((bitmap.stride as usize).max(1)).take(height);
        let row = |bytes: &[u8], pixels: &mut Vec<u32>| read_row(bitmap.format, bytes, width, &colors, pixels);
        if bitmap.flags.contains(BitmapFlags::TOP_DOWN) {
            rows.for_each(|bytes| row(bytes, &mut pixels));
        } else {
            rows.rev().for_each(|bytes| row(bytes, &mut pixels));
        }
        // The parser saw to it that all rows are there.
        pixels.resize(width * height, 0);
        Self { width, height, pixels, alpha: bitmap.format == BitmapFormat::RGBA }
    }

    /// QUIC data; `None` when it is none, or a picture larger than images may be.
    pub(super) fn of_quic(data: &[u8]) -> Option<Self> {
        let head = quic::QuicPicture::parse(data).ok().filter(|head| head.len <= limits::QXL_IMAGE)?;
        let (mut rows, mut out) = (vec![0; quic::row_words(head.width)], vec![0; head.len]);
        let found = quic::decode(data, &mut rows, &mut out).ok()?;
        let (format, bytes) = match found.format {
            PixelFormat::Rgb16 => (BitmapFormat::SIXTEEN_BIT, 2),
            PixelFormat::Rgb24 => (BitmapFormat::TWENTY_FOUR_BIT, 3),
            PixelFormat::Rgb32 => (BitmapFormat::THIRTY_TWO_BIT, 4),
            PixelFormat::Rgba => (BitmapFormat::RGBA, 4),
            _ => return None,
        };
        let (width, height) = (found.width as usize, found.height as usize);
        let mut pixels = Vec::with_capacity(width * height);
        for row in out.chunks_exact(width * bytes) {
            read_row(format, row, width, &[], &mut pixels);
        }
        Some(Self { width, height, pixels, alpha: format == BitmapFormat::RGBA })
    }

    /// The pixel of this place; black outside.
    pub(super) fn at(&self, x: usize, y: usize) -> u32 {
        if x < self.width { self.pixels.get(y * self.width + x).copied().unwrap_or(0) } else { 0 }
    }
}

fn read_row(format: BitmapFormat, bytes: &[u8], width: usize, colors: &[u32], pixels: &mut Vec<u32>) {
    let color = |n: u8| colors.get(usize::from(n)).copied().unwrap_or(0);
    let bit = |x: usize| bytes.get(x / 8).copied().unwrap_or(0);
    let words = |size: usize| bytes.chunks_exact(size).take(width);
    match format {
        // Without a palette, as masks are, a bit is a number.
        BitmapFormat::ONE_BIT_LE => pixels.extend((0..width).map(|x| indexed(colors, bit(x) >> (x % 8) & 1))),
        BitmapFormat::ONE_BIT_BE => pixels.extend((0..width).map(|x| indexed(colors, bit(x) >> (7 - x % 8) & 1))),
        BitmapFormat::FOUR_BIT_LE => {
            pixels.extend((0..width).map(|x| color(bytes.get(x / 2).map_or(0, |b| b >> (4 * (x % 2)) & 15))));
        }
        BitmapFormat::FOUR_BIT_BE => {
            pixels.extend((0..width).map(|x| color(bytes.get(x / 2).map_or(0, |b| b >> (4 - 4 * (x % 2)) & 15))));
        }
        BitmapFormat::EIGHT_BIT => pixels.extend(bytes.iter().take(width).map(|&n| color(n))),
        BitmapFormat::EIGHT_BIT_A => pixels.extend(bytes.iter().take(width).map(|&a| u32::from(a) << 24)),
        BitmapFormat::SIXTEEN_BIT => pixels.extend(words(2).map(|b| from_x555(u16::from_le_bytes([b[0], b[1]])))),
        BitmapFormat::TWENTY_FOUR_BIT => pixels.extend(words(3).map(|b| u32::from_le_bytes([b[0], b[1], b[2], 0]))),
        BitmapFormat::THIRTY_TWO_BIT | BitmapFormat::RGBA => {
            pixels.extend(words(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])));
        }
        _ => {}
    }
}

fn indexed(colors: &[u32], n: u8) -> u32 {
    colors.get(usize::from(n)).copied().unwrap_or(u32::from(n))
}

/// x1r5g5b5 as xRGB.
pub(super) fn from_x555(color: u16) -> u32 {
    let wide = |n: u16| u32::from((n & 31) << 3 | (n & 31) >> 2);
    wide(color >> 10) << 16 | wide(color >> 5) << 8 | wide(color)
}

#[cfg(test)]
mod tests {
    use sumac_core::proto::picture::Palette;
    use sumac_core::wire::{Counted, Data};

    use super::*;

    fn picture(format: BitmapFormat, stride: u32, bytes: &[u8], palette: Option<Palette<'_>>) -> Vec<u32> {
        let (flags, data) = (BitmapFlags::TOP_DOWN, Data::Here(bytes));
        let palette = PaletteRef::Here(At(palette));
        Picture::of_bitmap(&Bitmap { format, flags, x: 3, y: bytes.len() as u32 / stride, stride, palette, data })
            .pixels
    }

    #[test]
    fn every_format_is_read() {
        let colors: Vec<_> = (0..16).map(|n| (n * 0x11).into()).collect();
        let palette = Some(Palette { unique: 0, entries: Counted::new(&colors) });
        assert_eq!(picture(BitmapFormat::ONE_BIT_LE, 1, &[0b101], palette), [0x11, 0, 0x11]);
        assert_eq!(picture(BitmapFormat::ONE_BIT_BE, 1, &[0b0110_0000], None), [0, 1, 1]);
        assert_eq!(picture(BitmapFormat::FOUR_BIT_LE, 2, &[0x21, 3], palette), [0x11, 0x22, 0x33]);
        assert_eq!(picture(BitmapFormat::FOUR_BIT_BE, 2, &[0x12, 0x30], palette), [0x11, 0x22, 0x33]);
        assert_eq!(picture(BitmapFormat::EIGHT_BIT, 4, &[1, 2, 200, 9], palette), [0x11, 0x22, 0]);
        assert_eq!(picture(BitmapFormat::EIGHT_BIT_A, 3, &[1, 2, 3], None), [1 << 24, 2 << 24, 3 << 24]);
        let x555 = picture(BitmapFormat::SIXTEEN_BIT, 6, &[0xff, 0x7f, 0, 0x7c, 1, 0], None);
        assert_eq!(x555, [0xff_ffff, 0xff_0000, 8]);
        assert_eq!(picture(BitmapFormat::TWENTY_FOUR_BIT, 9, &[1, 2, 3, 4, 5, 6, 7, 8, 9], None)[1], 0x06_0504);
        assert_eq!(picture(BitmapFormat::RGBA, 12, &[7; 12], None), [0x0707_0707; 3]);
    }

    #[test]
    fn what_is_no_quic_picture_is_none() {
        assert!(Picture::of_quic(b"").is_none() && Picture::of_quic(&[0xff; 64]).is_none());
        // Magic, version, type RGB32, and a size that no image has.
        let head: Vec<u8> =
            [u32::from_le_bytes(*b"QUIC"), 0, 4, 60_000, 60_000].iter().flat_map(|n| n.to_le_bytes()).collect();
        assert!(Picture::of_quic(&head).is_none());
    }

    #[test]
    fn the_last_row_may_come_first() {
        let bytes: Vec<u8> = (0..24).collect();
        let palette = PaletteRef::Here(At(None));
        let bitmap = Bitmap {
            format: BitmapFormat::THIRTY_TWO_BIT,
            flags: BitmapFlags::empty(),
            x: 3,
            y: 2,
            stride: 12,
            palette,
            data: Data::Here(&bytes),
        };
        let picture = Picture::of_bitmap(&bitmap);
        assert_eq!((picture.at(0, 0), picture.at(2, 1)), (0x0f0e_0d0c, 0x0b0a_0908));
        assert_eq!((picture.at(3, 0), picture.at(0, 2)), (0, 0));
    }
}
