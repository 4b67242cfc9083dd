//! Whatever is encoded comes back, in any format, size, stride and rectangle.

use proptest::prelude::*;
use sumac_core::image::glz::{GlzDictionary, GlzImage, GlzKept, GlzWindow};
use sumac_core::image::lz4::{self, Lz4Encoder};
use sumac_core::image::samples::Content;
use sumac_core::image::{PixelFormat, Pixels, lz, quic};

/// Memory with a picture in it.
#[derive(Clone, Debug)]
struct Picture {
    bytes: Vec<u8>,
    format: PixelFormat,
    width: u32,
    height: u32,
    stride: usize,
}

impl Picture {
    fn pixels(&self) -> Pixels<'_> {
        Pixels::new(&self.bytes, self.format, self.width, self.height, self.stride).unwrap()
    }

    /// The packed rows, without the bits that no codec carries.
    fn packed(&self) -> Vec<u8> {
        let mut packed = self.pixels().rows().collect::<Vec<_>>().concat();
        match self.format {
            PixelFormat::Rgb32 => packed.iter_mut().skip(3).step_by(4).for_each(|x| *x = 0),
            PixelFormat::Rgb16 => packed.iter_mut().skip(1).step_by(2).for_each(|x| *x &= 127),
            _ => {}
        }
        packed
    }

    fn room(&self) -> Vec<u8> {
        vec![0; 5 * self.packed().len() + 100]
    }
}

const COLOURS: [PixelFormat; 4] = [PixelFormat::Rgb16, PixelFormat::Rgb24, PixelFormat::Rgb32, PixelFormat::Rgba];
const INDICES: [PixelFormat; 4] = [PixelFormat::Plt1Le, PixelFormat::Plt4Be, PixelFormat::Plt8, PixelFormat::A8];

/// Bytes of few values, so that much repeats, or one of the samples.
fn picture(formats: &'static [PixelFormat]) -> impl Strategy<Value = Picture> {
    let few = prop::collection::vec(any::<u8>(), 1..5);
    let shape = (prop::sample::select(formats), 1..70u32, 1..40u32, 0..9usize);
    (shape, few, any::<u64>(), 0..9usize).prop_map(|((format, width, height, gap), few, seed, kind)| {
        let row = format.row_bytes(width).unwrap();
        let stride = row + gap;
        let mut bytes = vec![0; stride * height as usize];
        if let Some(content) = Content::ALL.get(kind) {
            content.fill(seed as u32, format, stride as u32, &mut bytes);
        } else {
            let mut state = seed | 1;
            for byte in &mut bytes {
                state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                *byte = few[(state >> 40) as usize % few.len()];
            }
        }
        Picture { bytes, format, width, height, stride }
    })
}

proptest! {
    #[test]
    fn quic(picture in picture(&COLOURS)) {
        let mut data = picture.room();
        let mut rows = vec![1; quic::row_words(picture.width)];
        let len = quic::encode(&picture.pixels(), &mut rows, &mut data).unwrap();
        let want = picture.packed();
        let mut out = vec![0; want.len()];
        quic::decode(&data[..len], &mut rows, &mut out).unwrap();
        prop_assert_eq!(out, want);
    }

    #[test]
    fn lz_of_colours(picture in picture(&COLOURS)) {
        let mut data = picture.room();
        let len = lz::encode(&picture.pixels(), &mut vec![1; lz::MIN_MEMORY], &mut data).unwrap();
        let want = picture.packed();
        let mut out = vec![0; want.len()];
        lz::decode(&data[..len], &mut out).unwrap();
        prop_assert_eq!(out, want);
    }

    #[test]
    fn lz_of_indices(picture in picture(&INDICES)) {
        let mut data = picture.room();
        let len = lz::encode(&picture.pixels(), &mut vec![1; lz::MIN_MEMORY], &mut data).unwrap();
        let want = picture.packed();
        let mut out = vec![0; want.len()];
        lz::decode(&data[..len], &mut out).unwrap();
        prop_assert_eq!(out, want);
    }

    #[test]
    fn lz4(picture in picture(&COLOURS)) {
        let mut data = picture.room();
        let len = Lz4Encoder::new().encode(&picture.pixels(), &mut data).unwrap();
        let want = picture.pixels().rows().collect::<Vec<_>>().concat();
        let mut out = vec![0; want.len()];
        lz4::decode(&data[..len], picture.width, picture.height, &mut out).unwrap();
        prop_assert_eq!(out, want);
    }

    #[test]
    fn glz(pictures in prop::collection::vec(picture(&COLOURS), 1..12)) {
        let mut table = vec![0; 256];
        let mut ring = vec![0; 4000];
        let mut images = [GlzImage::EMPTY; 7];
        let mut dictionary = GlzDictionary::new(&mut table[..], &mut ring, &mut images[..], 4000);
        let mut bytes = vec![0; 4 * 4000];
        let mut kept = [GlzKept::EMPTY; 7];
        let mut window = GlzWindow::new(&mut bytes, &mut kept, 0);
        // Each picture twice, so that there is something to refer to.
        for picture in pictures.iter().flat_map(|picture| [picture, picture]) {
            let mut data = picture.room();
            let Some(len) = dictionary.encode(&picture.pixels(), &mut data) else {
                prop_assert!(picture.packed().len() > 1000);
                continue;
            };
            let want = picture.packed();
            let mut out = vec![0; want.len()];
            window.decode(&data[..len], &mut out).unwrap();
            prop_assert_eq!(out, want);
        }
    }
}
