//! [`Jpeg`]: a rectangle of a frame as a JPEG, by libturbojpeg where it is installed, else by the
//! `jpeg-encoder` crate, which takes about three times as long for the same bytes.
use std::sync::OnceLock;

use crate::{BackendError, Buffer, Chroma, Frame, Rect, buffer::Pool};

use super::pixels::{Reader, Rows};

#[allow(unsafe_code, reason = "libturbojpeg is a C library")]
mod sys;

/// JPEG's own limit on both sides, in pixels.
pub const MAX_SIDE: u32 = 65535;

/// Writes JPEGs; keeps its memory between pictures. May move between threads.
pub struct Jpeg {
    engine: Engine,
    reader: Reader,
    scratch: Vec<u8>,
    pool: Pool,
}

enum Engine {
    Turbo(sys::Compressor),
    Crate,
}

impl Jpeg {
    /// A writer with the fastest engine that is installed.
    pub fn new() -> Self {
        let turbo = turbo().as_ref().ok().and_then(|library| library.compressor());
        Self::with(turbo.map_or(Engine::Crate, Engine::Turbo))
    }

    /// The engine that [`new`](Self::new) takes, and why.
    pub fn engine() -> String {
        match turbo() {
            Ok(_) => format!("{}, found at run time", sys::NAME),
            Err(why) => format!("the jpeg-encoder crate ({why}; libturbojpeg0 is faster)"),
        }
    }

    /// `region` of `frame` as a baseline JPEG. `quality` is 1 (worst) to 100 (best), libjpeg's
    /// scale; values outside count as the nearest inside.
    ///
    /// # Errors
    /// [`BackendError::Frame`] when the region is empty, larger than [`MAX_SIDE`] or not inside the
    /// frame, or when the frame cannot be read; [`BackendError::Library`] when the engine fails.
    pub fn encode(&mut self, frame: &Frame, region: Rect, quality: u8, chroma: Chroma) -> Result<Buffer, BackendError> {
        let Self { engine, reader, scratch, pool } = self;
        pool.fill(|out| encode(engine, reader, scratch, (frame, region), (quality, chroma), out))
    }

    /// The same, into the caller's own memory.
    pub(super) fn encode_into(
        &mut self,
        frame: &Frame,
        region: Rect,
        quality: u8,
        chroma: Chroma,
        out: &mut Vec<u8>,
    ) -> Result<(), BackendError> {
        encode(&mut self.engine, &mut self.reader, &mut self.scratch, (frame, region), (quality, chroma), out)
    }

    fn with(engine: Engine) -> Self {
        Self { engine, reader: Reader::default(), scratch: Vec::new(), pool: Pool::default() }
    }
}

impl Default for Jpeg {
    fn default() -> Self {
        Self::new()
    }
}

/// The library, looked for once per process.
fn turbo() -> &'static Result<sys::Library, String> {
    static LIBRARY: OnceLock<Result<sys::Library, String>> = OnceLock::new();
    LIBRARY.get_or_init(sys::Library::open)
}

fn encode(
    engine: &mut Engine,
    reader: &mut Reader,
    scratch: &mut Vec<u8>,
    (frame, region): (&Frame, Rect),
    (quality, chroma): (u8, Chroma),
    out: &mut Vec<u8>,
) -> Result<(), BackendError> {
    let quality = quality.clamp(1, 100);
    let (Ok(width), Ok(height)) = (u16::try_from(region.width), u16::try_from(region.height)) else {
        return Err(crate::FrameError::Region(region).into());
    };
    let rows = reader.read(frame, region)?;
    match engine {
        Engine::Turbo(turbo) => {
            let picture = sys::Picture { rows: rows.bytes, stride: rows.stride, width, height };
            turbo
                .compress(picture, quality, chroma == Chroma::Yuv420, scratch, out)
                .map_err(|message| BackendError::Library { call: "tjCompress2", message })
        }
        Engine::Crate => encode_by_crate(rows, (width, height), (quality, chroma), scratch, out),
    }
}

fn encode_by_crate(
    rows: Rows<'_>,
    (width, height): (u16, u16),
    (quality, chroma): (u8, Chroma),
    scratch: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<(), BackendError> {
    let row = usize::from(width) * 4;
    let bytes = if rows.stride == row {
        rows.bytes
    } else {
        rows.copy_to(row, scratch);
        scratch
    };
    let mut encoder = jpeg_encoder::Encoder::new(out, quality);
    encoder.set_sampling_factor(match chroma {
        Chroma::Yuv420 => jpeg_encoder::SamplingFactor::F_2_2,
        Chroma::Yuv444 => jpeg_encoder::SamplingFactor::F_1_1,
    });
    let encoded = encoder.encode(bytes, width, height, jpeg_encoder::ColorType::Bgra);
    encoded.map_err(|e| BackendError::Library { call: "jpeg_encoder::Encoder::encode", message: e.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Layout;

    /// A smooth picture with some edges, in the middle of a larger frame.
    fn frame() -> Frame {
        let layout = Layout { width: 101, height: 67, stride: 101 * 4 + 20 };
        let mut pixels = vec![0; layout.stride as usize * 67];
        for (y, row) in pixels.chunks_mut(layout.stride as usize).enumerate() {
            for (x, pixel) in row.chunks_exact_mut(4).take(101).enumerate() {
                pixel.copy_from_slice(&color(x, y));
            }
        }
        Frame::from_memory(layout, pixels).unwrap()
    }

    fn color(x: usize, y: usize) -> [u8; 4] {
        let board = if (x / 20 + y / 20).is_multiple_of(2) { 60 } else { 0 };
        [x as u8 * 2, y as u8 * 3, 100 + board, 0xff]
    }

    fn engines() -> Vec<(&'static str, Jpeg)> {
        let mut engines = vec![("crate", Jpeg::with(Engine::Crate))];
        match turbo() {
            Ok(library) => engines.push(("turbo", Jpeg::with(Engine::Turbo(library.compressor().unwrap())))),
            Err(why) => println!("SKIPPED: the libturbojpeg engine: {why}"),
        }
        engines
    }

    /// Largest mean error of a colour, and whether the size is right.
    fn check(name: &str, jpeg: &[u8], region: Rect, mean: f64) {
        let mut decoder = zune_jpeg::JpegDecoder::new(zune_jpeg::zune_core::bytestream::ZCursor::new(jpeg));
        let rgb = decoder.decode().unwrap();
        assert_eq!(decoder.dimensions(), Some((region.width as usize, region.height as usize)), "{name}");
        let mut sum = [0.0; 3];
        for (n, pixel) in rgb.chunks_exact(3).enumerate() {
            let (x, y) = (n % region.width as usize, n / region.width as usize);
            let [b, g, r, _] = color(x + region.x as usize, y + region.y as usize);
            for (sum, (a, b)) in sum.iter_mut().zip(pixel.iter().zip([r, g, b])) {
                *sum += f64::from(a.abs_diff(b));
            }
        }
        let pixels = f64::from(region.width * region.height);
        assert!(sum.iter().all(|s| s / pixels < mean), "{name} {region:?}: {:?}", sum.map(|s| s / pixels));
    }

    #[test]
    fn any_rectangle_with_its_colours() {
        let frame = frame();
        for (name, mut jpeg) in engines() {
            for (x, y, width, height) in [(0, 0, 101, 67), (3, 5, 33, 17), (100, 66, 1, 1), (0, 60, 2, 7)] {
                let region = Rect { x, y, width, height };
                for (chroma, mean) in [(Chroma::Yuv444, 3.0), (Chroma::Yuv420, 6.0)] {
                    let bytes = jpeg.encode(&frame, region, 95, chroma).unwrap();
                    check(name, &bytes, region, mean);
                }
            }
        }
    }

    #[test]
    fn quality_is_monotonous_and_clamped() {
        let frame = frame();
        for (_, mut jpeg) in engines() {
            let mut size = |q| jpeg.encode(&frame, frame.bounds(), q, Chroma::Yuv420).unwrap().len();
            let sizes = [1, 20, 50, 80, 95, 100].map(&mut size);
            assert!(sizes.is_sorted(), "{sizes:?}");
            assert_eq!((size(0), size(255)), (size(1), size(100)));
        }
    }

    #[test]
    fn sampling_is_what_was_asked_for() {
        let frame = frame();
        for (name, mut jpeg) in engines() {
            for (chroma, factors) in [(Chroma::Yuv420, 0x22), (Chroma::Yuv444, 0x11)] {
                let bytes = jpeg.encode(&frame, frame.bounds(), 80, chroma).unwrap();
                let sof = bytes.windows(2).position(|w| w == [0xff, 0xc0]).unwrap();
                assert_eq!(bytes[sof + 11], factors, "{name} {chroma:?}");
            }
        }
    }

    #[test]
    fn a_region_outside_is_an_error() {
        let frame = frame();
        for (_, mut jpeg) in engines() {
            for (x, y, width, height) in [(0, 0, 102, 1), (0, 0, 0, 1), (0, 0, 65536, 1), (u32::MAX, 0, 2, 1)] {
                let region = Rect { x, y, width, height };
                let error = jpeg.encode(&frame, region, 80, Chroma::Yuv420).unwrap_err();
                assert_eq!(error, crate::FrameError::Region(region).into());
            }
        }
    }

    #[test]
    fn noise_at_full_quality_fits() {
        let mut seed = 1u32;
        let mut noise = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 24) as u8
        };
        let layout = Layout { width: 64, height: 64, stride: 256 };
        let frame = Frame::from_memory(layout, (0..256 * 64).map(|_| noise()).collect::<Vec<u8>>()).unwrap();
        for (_, mut jpeg) in engines() {
            assert!(jpeg.encode(&frame, frame.bounds(), 100, Chroma::Yuv444).unwrap().len() > 4096);
        }
    }
}
