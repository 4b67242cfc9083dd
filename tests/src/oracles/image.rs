//! Pictures: any data is refused or decoded, and what was decoded or made up survives its encoder.

use sumac_core::image::glz::{GlzDictionary, GlzImage, GlzKept, GlzPicture, GlzWindow};
use sumac_core::image::lz::LzPicture;
use sumac_core::image::lz4::Lz4Encoder;
use sumac_core::image::quic::QuicPicture;
use sumac_core::image::samples::Content;
use sumac_core::image::{self, PixelFormat, Pixels};

use super::input::Input;

/// Larger pictures take time and show nothing new.
const BYTES: usize = 1 << 16;
/// Pixels of a GLZ window, small so that images leave it.
const WINDOW: usize = 4000;
/// Images of a GLZ window.
const KEPT: usize = 7;

const COLOURS: [PixelFormat; 4] = [PixelFormat::Rgb16, PixelFormat::Rgb24, PixelFormat::Rgb32, PixelFormat::Rgba];
const LZ_FORMATS: [PixelFormat; 10] = [
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

/// Input of each target here: a byte that says whether data or a picture follows, see [`Picture`].
fn is_data(input: &mut Input<'_>) -> bool {
    input.byte() & 1 == 0
}

/// Data: QUIC.
pub(super) fn quic(data: &[u8]) {
    let mut input = Input::new(data);
    let picture = if is_data(&mut input) {
        let data = input.rest();
        let Ok(head) = QuicPicture::parse(data) else { return };
        let Some(picture) = Picture::blank(head.format, head.width, head.height) else { return };
        let Some(picture) = quic_decoded(data, picture) else { return };
        picture
    } else {
        Picture::from_input(&mut input, &COLOURS)
    };
    let mut out = picture.room();
    let mut rows = vec![1; image::quic::row_words(picture.width)];
    let len = image::quic::encode(&picture.pixels(), &mut rows, &mut out);
    assert!(len.is_some(), "{picture:?}");
    let again = quic_decoded(&out[..len.unwrap_or(0)], picture.cleared());
    assert_eq!(again.map(|again| again.packed()), Some(picture.packed()));
}

fn quic_decoded(data: &[u8], mut picture: Picture) -> Option<Picture> {
    let mut rows = vec![1; image::quic::row_words(picture.width)];
    let head = image::quic::decode(data, &mut rows, &mut picture.bytes).ok()?;
    assert_eq!((head.format, head.width, head.height), (picture.format, picture.width, picture.height));
    Some(picture)
}

/// Data: LZ, also of alpha alone.
pub(super) fn lz(data: &[u8]) {
    let mut input = Input::new(data);
    let picture = if is_data(&mut input) {
        let data = input.rest();
        let Ok(head) = LzPicture::parse(data) else { return };
        let Some(mut picture) = Picture::blank(head.format, head.width, head.height) else { return };
        if image::lz::decode_alpha(data, &mut picture.bytes.clone()).is_ok() {
            assert!(head.alpha_only);
        }
        if image::lz::decode(data, &mut picture.bytes).is_err() {
            return;
        }
        picture
    } else {
        Picture::from_input(&mut input, &LZ_FORMATS)
    };
    let mut out = picture.room();
    let len = image::lz::encode(&picture.pixels(), &mut vec![1; image::lz::MIN_MEMORY], &mut out);
    assert!(len.is_some(), "{picture:?}");
    let mut again = picture.cleared();
    let head = image::lz::decode(&out[..len.unwrap_or(0)], &mut again.bytes);
    assert_eq!(head.map(|head| (head.format, head.width)), Ok((picture.format, picture.width)));
    assert_eq!(again.packed(), picture.packed());
}

/// Data: `u16` width and height, LZ4.
pub(super) fn lz4(data: &[u8]) {
    let mut input = Input::new(data);
    let picture = if is_data(&mut input) {
        let (width, height) = (input.u16().into(), input.u16().into());
        let data = input.rest();
        let Some(mut picture) = Picture::blank(PixelFormat::Rgba, width, height) else { return };
        let Ok(head) = image::lz4::decode(data, width, height, &mut picture.bytes) else { return };
        let Some(bytes) = head.format.picture_bytes(width, height) else { return };
        picture.bytes.truncate(bytes);
        Picture { format: head.format, stride: head.format.row_bytes(width).unwrap_or(0), ..picture }
    } else {
        Picture::from_input(&mut input, &COLOURS)
    };
    let mut out = vec![0; Lz4Encoder::max_len(&picture.pixels())];
    let len = Lz4Encoder::new().encode(&picture.pixels(), &mut out);
    assert!(len.is_some(), "{picture:?}");
    let mut again = picture.cleared();
    let head = image::lz4::decode(&out[..len.unwrap_or(0)], picture.width, picture.height, &mut again.bytes);
    assert_eq!(head.map(|head| head.format), Ok(picture.format));
    assert_eq!(again.all_bits(), picture.all_bits());
}

/// Data: blocks of GLZ. Pictures: several, one behind the other.
pub(super) fn glz(data: &[u8]) {
    let mut input = Input::new(data);
    let mut bytes = vec![0; 4 * WINDOW];
    let mut kept = [GlzKept::EMPTY; KEPT];
    let mut window = GlzWindow::new(&mut bytes, &mut kept, 0);
    if is_data(&mut input) {
        while !input.is_empty() {
            let data = input.block();
            let Ok(head) = GlzPicture::parse(data) else { continue };
            let Some(mut picture) = Picture::blank(head.format, head.width, head.height) else { continue };
            let next = window.next_id();
            let decoded = window.decode(data, &mut picture.bytes);
            assert_eq!(window.next_id(), next.saturating_add(decoded.is_ok().into()), "an image counts when decoded");
        }
        return;
    }
    let (mut table, mut ring, mut images) = (vec![0; 256], vec![0; WINDOW], [GlzImage::EMPTY; KEPT]);
    let pixels = u32::try_from(WINDOW).unwrap_or(u32::MAX);
    let mut dictionary = GlzDictionary::new(&mut table[..], &mut ring, &mut images[..], pixels);
    while !input.is_empty() {
        let picture = Picture::from_input(&mut input, &COLOURS);
        let mut out = picture.room();
        let Some(len) = dictionary.encode(&picture.pixels(), &mut out) else {
            assert!(picture.width * picture.height > pixels / 2, "{picture:?}");
            continue;
        };
        let mut again = picture.cleared();
        let head = window.decode(&out[..len], &mut again.bytes);
        assert_eq!(head.map(|head| (head.format, head.width)), Ok((picture.format, picture.width)));
        assert_eq!(again.packed(), picture.packed());
    }
}

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
    /// A byte each: format, width, height, bytes between rows, content; then a block of pixels that
    /// repeats, when the content is none of the samples.
    fn from_input(input: &mut Input<'_>, formats: &[PixelFormat]) -> Self {
        let format = input.pick(formats);
        let (width, height) = (u32::from(input.byte()) + 1, u32::from(input.byte() % 48) + 1);
        let stride = format.row_bytes(width).unwrap_or(0) + input.below(9);
        let content = input.below(2 * Content::ALL.len());
        let mut bytes = vec![0; stride * usize::try_from(height).unwrap_or(0)];
        if let Some(content) = Content::ALL.get(content) {
            content.fill(input.u32(), format, width, &mut bytes);
        } else {
            let pixels = input.block();
            bytes.iter_mut().zip(pixels.iter().cycle()).for_each(|(byte, pixel)| *byte = *pixel);
        }
        Self { bytes, format, width, height, stride }
    }

    /// Packed and black; `None` when it is too large, or has no pixels.
    fn blank(format: PixelFormat, width: u32, height: u32) -> Option<Self> {
        let len = format.picture_bytes(width, height).filter(|len| (1..=BYTES).contains(len))?;
        Some(Self { bytes: vec![0; len], format, width, height, stride: format.row_bytes(width)? })
    }

    /// One of the same form to be decoded into, packed.
    fn cleared(&self) -> Self {
        let row = self.format.row_bytes(self.width).unwrap_or(0);
        let rows = usize::try_from(self.height).unwrap_or(0);
        Self { bytes: vec![0x5a; row * rows], stride: row, ..*self }
    }

    fn pixels(&self) -> Pixels<'_> {
        let pixels = Pixels::new(&self.bytes, self.format, self.width, self.height, self.stride);
        assert!(pixels.is_ok(), "{pixels:?}", pixels = pixels.as_ref().err());
        pixels.unwrap_or_else(|_| unreachable!("as was just found out"))
    }

    fn all_bits(&self) -> Vec<u8> {
        self.pixels().rows().collect::<Vec<_>>().concat()
    }

    /// The packed rows, without the bits that only LZ4 carries.
    fn packed(&self) -> Vec<u8> {
        let mut packed = self.all_bits();
        match self.format {
            PixelFormat::Rgb32 => packed.iter_mut().skip(3).step_by(4).for_each(|x| *x = 0),
            PixelFormat::Rgb16 => packed.iter_mut().skip(1).step_by(2).for_each(|x| *x &= 127),
            _ => {}
        }
        packed
    }

    /// Room for the worst that an encoder can do.
    fn room(&self) -> Vec<u8> {
        vec![0; 5 * self.bytes.len() + 1000]
    }
}
