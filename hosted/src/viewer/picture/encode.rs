//! Parts of a frame to the bytes of images.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress, Status};
use sumac_backends::{Chroma, Frame, Jpeg, Rect as FrameRect};
use sumac_core::image::lz4::Lz4Encoder;
use sumac_core::image::{PixelFormat, Pixels};
use sumac_core::image::{lz, quic};

use super::choice::Kind;
use super::content::{Content, Secret};
use super::encoded::{Body, Encoded, rows};
use super::glz::Glz;
use crate::ledger::{Count, Ledger, Step};
use crate::source::Rect;

/// Of JPEG pictures, on libjpeg's scale of 1 to 100.
const QUALITY: u8 = 85;
/// Of sketches, tried in turn, and the bytes that a sketch should have at most: what TCP sends in its
/// first two round trips.
const SKETCHES: [u8; 4] = [60, 40, 20, 8];
const SKETCH_BYTES: usize = 40_000;
/// GLZ data is deflated from this length on, in bytes, at this level of 0 to 9.
const WORTH_DEFLATING: usize = 100;
const LEVEL: u32 = 3;

/// Bytes of pictures that are kept for other viewers of the same, and for when they come back.
const KEPT_BYTES: usize = 4 * 1024 * 1024;
/// More room than this is given back: only the first picture of a surface needs it.
const KEPT_ROOM: usize = 2 * 1024 * 1024;
/// What keeping one costs beside its bytes, about.
const KEPT_EACH: usize = 256;

/// The encoders of all viewers: on the engine's one thread a set is enough. What outlives a
/// picture, a client's dictionary, is not in it.
///
/// About 2.2 MiB, and 4 of pictures, when all of them have been used.
#[derive(Default)]
pub(crate) struct Encoders {
    ledger: Arc<Ledger>,
    lz: Vec<u32>,
    lz4: Option<Box<Lz4Encoder>>,
    quic: Vec<u32>,
    jpeg: Option<Jpeg>,
    zlib: Option<Compress>,
    /// Where pictures are coded, before their length is known.
    room: Vec<u8>,
    deflated: Vec<u8>,
    secret: Secret,
    /// Pictures that do not depend on a dictionary, and in which order they were made.
    made: HashMap<(Kind, Content), Encoded>,
    order: VecDeque<(Kind, Content)>,
    made_bytes: usize,
}

impl Encoders {
    /// None has been used yet.
    pub(crate) fn new(ledger: Arc<Ledger>) -> Self {
        Self { ledger, ..Self::default() }
    }

    /// What `rect` shows, where the kind does not find repetitions by itself.
    pub(super) fn content(&self, kind: Kind, frame: &Frame, rect: Rect) -> Option<Content> {
        let alone = !matches!(kind, Kind::Rows | Kind::Glz);
        alone.then(|| Some(self.secret.content(&pixels(frame, rect)?))).flatten()
    }

    /// As [`encode`](Self::encode), but not twice when `rect` shows what it did before.
    pub(super) fn encode_known(&mut self, kind: Kind, content: Content, frame: &Frame, rect: Rect) -> Option<Encoded> {
        if let Some(encoded) = self.made.get(&(kind, content)) {
            return Some(encoded.clone());
        }
        let encoded = self.encode(kind, None, frame, rect)?;
        // Rows lie in the frame, whose buffer is wanted back.
        if !matches!(encoded.body, Body::Rows { .. }) {
            self.made_bytes += encoded.payload.len() + KEPT_EACH;
            self.made.insert((kind, content), encoded.clone());
            self.order.push_back((kind, content));
        }
        while self.made_bytes > KEPT_BYTES
            && let Some(oldest) = self.order.pop_front()
        {
            let gone = self.made.remove(&oldest).map_or(0, |oldest| oldest.payload.len() + KEPT_EACH);
            self.made_bytes -= gone;
        }
        Some(encoded)
    }

    /// Encodes `rect`, which lies inside the frame; as LZ or as rows where the kind is not possible
    /// or does not pay. `None` when the frame cannot be read.
    pub(super) fn encode(&mut self, kind: Kind, glz: Option<&Glz>, frame: &Frame, rect: Rect) -> Option<Encoded> {
        let begun = Instant::now();
        let coded = match kind {
            Kind::Rows => None,
            Kind::Jpeg => self.jpeg(frame, rect, QUALITY).or_else(|| self.coded(Kind::Quic, None, frame, rect)),
            Kind::Sketch => self.sketch(frame, rect).or_else(|| self.coded(Kind::Lz, None, frame, rect)),
            Kind::Glz => self.coded(Kind::Glz, glz, frame, rect).or_else(|| self.coded(Kind::Lz, None, frame, rect)),
            _ => self.coded(kind, None, frame, rect),
        };
        let encoded = coded.or_else(|| rows(frame, rect))?;
        self.ledger.note(Step::Encode, begun.elapsed());
        self.ledger.add(Count::Images, 1);
        Some(encoded)
    }

    /// The best of a few qualities that is small enough, else the smallest.
    fn sketch(&mut self, frame: &Frame, rect: Rect) -> Option<Encoded> {
        let mut sketch = None;
        for quality in SKETCHES {
            let coded = self.jpeg(frame, rect, quality)?;
            let is_small = coded.payload.len() <= SKETCH_BYTES;
            sketch = Some(coded);
            if is_small {
                break;
            }
        }
        sketch
    }

    fn jpeg(&mut self, frame: &Frame, rect: Rect, quality: u8) -> Option<Encoded> {
        let Rect { x, y, width, height } = rect;
        let jpeg = self.jpeg.get_or_insert_with(Jpeg::new);
        let data = jpeg.encode(frame, FrameRect { x, y, width, height }, quality, Chroma::Yuv420).ok()?;
        Some(Encoded { body: Body::Jpeg, payload: Bytes::from_owner(data) })
    }

    /// GLZ data deflated, where that makes it shorter.
    pub(super) fn deflate(&mut self, encoded: Encoded) -> Encoded {
        let len = encoded.payload.len();
        let (Body::Glz, Ok(glz_size)) = (encoded.body, u32::try_from(len)) else { return encoded };
        let zlib = self.zlib.get_or_insert_with(|| Compress::new(Compression::new(LEVEL), true));
        zlib.reset();
        if self.deflated.len() < len {
            self.deflated.resize(len, 0);
        }
        let Some(room) = self.deflated.get_mut(..len).filter(|_| len >= WORTH_DEFLATING) else { return encoded };
        match zlib.compress(&encoded.payload, room, FlushCompress::Finish) {
            Ok(Status::StreamEnd) => {}
            // There was not room enough: it pays nothing.
            _ => return encoded,
        }
        let deflated = usize::try_from(zlib.total_out()).ok().and_then(|len| room.get(..len));
        deflated.map_or(encoded, |bytes| Encoded {
            body: Body::ZlibGlz { glz_size },
            payload: Bytes::copy_from_slice(bytes),
        })
    }

    /// `None` when it is longer than the rows.
    fn coded(&mut self, kind: Kind, glz: Option<&Glz>, frame: &Frame, rect: Rect) -> Option<Encoded> {
        let pixels = pixels(frame, rect)?;
        let packed = rect.width as usize * rect.height as usize * 4;
        let most = if kind == Kind::Lz4 { Lz4Encoder::max_len(&pixels) } else { packed };
        if self.room.len() < most {
            // Fresh zeros: pages that no picture gets to are never touched.
            self.room = vec![0; most];
        }
        let room = self.room.get_mut(..most)?;
        let (body, len) = match kind {
            Kind::Glz => (Body::Glz, glz?.encode(&pixels, room)?),
            Kind::Lz4 => (Body::Lz4, self.lz4.get_or_insert_default().encode(&pixels, room)?),
            Kind::Quic => {
                let words = quic::row_words(rect.width);
                if self.quic.len() < words {
                    self.quic.resize(words, 0);
                }
                (Body::Quic, quic::encode(&pixels, &mut self.quic, room)?)
            }
            _ => {
                self.lz.resize(lz::MAX_MEMORY, 0);
                (Body::Lz, lz::encode(&pixels, &mut self.lz, room)?)
            }
        };
        let payload = room.get(..len).filter(|_| len < packed).map(Bytes::copy_from_slice);
        if self.room.len() > KEPT_ROOM {
            self.room = Vec::new();
        }
        Some(Encoded { body, payload: payload? })
    }
}

/// The part of a frame that can be read.
fn pixels(frame: &Frame, rect: Rect) -> Option<Pixels<'_>> {
    let stride = frame.layout().stride as usize;
    let bytes = frame.pixels().get(rect.y as usize * stride + rect.x as usize * 4..)?;
    Pixels::new(bytes, PixelFormat::Rgb32, rect.width, rect.height, stride).ok()
}

#[cfg(test)]
mod tests {
    use sumac_backends::Layout;
    use sumac_core::image::glz::{GlzKept, GlzWindow};
    use sumac_core::image::lz4;

    use super::super::glz::GlzDictionaries;
    use super::*;

    const SIDE: u32 = 64;
    const ALL: Rect = Rect { x: 0, y: 0, width: SIDE, height: SIDE };

    fn frame_of(pixel: impl Fn(u32) -> u32) -> Frame {
        let pixels: Vec<u8> = (0..SIDE * SIDE).flat_map(|i| (pixel(i) & 0xff_ffff).to_le_bytes()).collect();
        Frame::from_memory(Layout { width: SIDE, height: SIDE, stride: SIDE * 4 }, pixels).unwrap()
    }

    /// A ramp that repeats.
    fn frame() -> Frame {
        frame_of(|i| i % 8 * 0x1e_1e1e)
    }

    fn gathered(frame: &Frame, rect: Rect) -> Vec<u8> {
        let row = |y: u32| &frame.pixels()[((y * SIDE + rect.x) * 4) as usize..][..rect.width as usize * 4];
        (rect.y..rect.bottom()).flat_map(row).copied().collect()
    }

    #[test]
    fn every_kind_decodes_to_the_pixels() {
        let dictionaries = GlzDictionaries::default();
        let glz = dictionaries.get(1, 1 << 16).unwrap();
        let (mut ring, mut images) = (vec![0; 4 << 16], vec![GlzKept::EMPTY; 64]);
        let mut window = GlzWindow::new(&mut ring, &mut images, 0);
        let mut encoders = Encoders::default();
        for rect in [ALL, Rect { x: 3, y: 5, width: 40, height: 19 }, ALL] {
            let want = gathered(&frame(), rect);
            for kind in [Kind::Lz, Kind::Lz4, Kind::Quic, Kind::Glz] {
                let encoded = encoders.encode(kind, Some(&glz), &frame(), rect).unwrap();
                let mut got = vec![0; want.len()];
                let data = &encoded.payload[..];
                match encoded.body {
                    Body::Rows { .. } | Body::ZlibGlz { .. } | Body::Jpeg => panic!("{kind:?} pays"),
                    Body::Lz => drop(lz::decode(data, &mut got).unwrap()),
                    Body::Lz4 => drop(lz4::decode(data, rect.width, rect.height, &mut got).unwrap()),
                    Body::Quic => {
                        let mut memory = vec![0; quic::row_words(rect.width)];
                        quic::decode(data, &mut memory, &mut got).unwrap();
                    }
                    Body::Glz => drop(window.decode(data, &mut got).unwrap()),
                }
                assert!(got == want, "{kind:?} of {rect:?}");
            }
        }
    }

    #[test]
    fn equal_pictures_are_encoded_once_and_few_are_kept() {
        let mut encoders = Encoders::default();
        let mut made = |kind, frame: &Frame| {
            let content = encoders.content(kind, frame, ALL).unwrap();
            encoders.encode_known(kind, content, frame, ALL).unwrap().payload
        };
        let first = made(Kind::Quic, &frame());
        assert_eq!(made(Kind::Quic, &frame()).as_ptr(), first.as_ptr());
        assert_ne!(made(Kind::Lz, &frame()).as_ptr(), first.as_ptr(), "another kind");
        for n in 0..1000 {
            made(Kind::Lz, &frame_of(|i| (i + n).wrapping_mul(0x9e37_79b9)));
        }
        assert_ne!(made(Kind::Quic, &frame()).as_ptr(), first.as_ptr(), "it was forgotten");
        assert!(encoders.made_bytes <= KEPT_BYTES && encoders.made.len() < 1000);
        assert_eq!(encoders.made.len(), encoders.order.len());
        assert!(encoders.content(Kind::Glz, &frame(), ALL).is_none());
    }

    #[test]
    fn what_does_not_pay_is_sent_as_rows() {
        let noise = frame_of(|i| i.wrapping_mul(0x9e37_79b9) ^ i.wrapping_mul(i) << 7);
        for kind in [Kind::Rows, Kind::Lz4] {
            let encoded = Encoders::default().encode(kind, None, &noise, Rect { width: 30, ..ALL }).unwrap();
            assert_eq!(encoded.body, Body::Rows { stride: 120 }, "{kind:?}");
        }
    }

    #[test]
    fn deflated_glz_is_inflated_to_itself() {
        let dictionaries = GlzDictionaries::default();
        let glz = dictionaries.get(1, 1 << 16).unwrap();
        let mut encoders = Encoders::default();
        for round in 0..2 {
            // Literals of few bits, others each time.
            let frame = frame_of(|i| (i.wrapping_mul(0x9e37_79b9) ^ i << 8) >> (9 + round) & 0x07_0707);
            let plain = Encoders::default().encode(Kind::Glz, Some(&glz), &frame, Rect { width: 60, ..ALL }).unwrap();
            let encoded = encoders.deflate(plain.clone());
            assert_eq!(encoded.body, Body::ZlibGlz { glz_size: plain.payload.len() as u32 });
            assert!(encoded.payload.len() < plain.payload.len());
            let mut inflated = Vec::with_capacity(plain.payload.len() + 1);
            let mut inflate = flate2::Decompress::new(true);
            inflate.decompress_vec(&encoded.payload, &mut inflated, flate2::FlushDecompress::Finish).unwrap();
            assert!(inflated == plain.payload);
            let short = Encoded { payload: plain.payload.slice(..99), ..plain };
            assert_eq!(encoders.deflate(short).body, Body::Glz, "too short to pay");
        }
    }

    #[test]
    fn a_jpeg_is_a_jpeg() {
        let encoded = Encoders::default().encode(Kind::Jpeg, None, &frame(), ALL).unwrap();
        assert_eq!(encoded.body, Body::Jpeg);
        assert!(encoded.payload.starts_with(&[0xff, 0xd8]) && encoded.payload.ends_with(&[0xff, 0xd9]));
    }

    #[test]
    fn a_picture_larger_than_the_window_is_sent_as_lz() {
        let dictionaries = GlzDictionaries::default();
        let glz = dictionaries.get(1, 1000).unwrap();
        assert_eq!(Encoders::default().encode(Kind::Glz, Some(&glz), &frame(), ALL).unwrap().body, Body::Lz);
    }

    #[test]
    fn rows_of_the_whole_width_are_sent_from_where_they_lie() {
        let frame = frame();
        let band = Rect { y: 8, height: 4, ..ALL };
        let rows = |rect| Encoders::default().encode(Kind::Rows, None, &frame, rect);
        assert_eq!(rows(band).unwrap().payload.as_ptr(), frame.pixels()[8 * 256..].as_ptr());
        assert!(rows(Rect { x: 1, width: SIDE - 1, ..band }).is_some());
        assert!(rows(Rect { x: 1, width: SIDE - 1, y: 63, height: 2 }).is_none());
    }

    #[test]
    fn a_sketch_is_small_or_as_coarse_as_it_gets() {
        let size = (1280, 720);
        let noise: Vec<u8> =
            (0..size.0 * size.1 * 4).map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let layout = Layout { width: size.0, height: size.1, stride: size.0 * 4 };
        let flat = Frame::from_memory(layout, vec![90; noise.len()]).unwrap();
        let noise = Frame::from_memory(layout, noise).unwrap();
        let len = |frame: &Frame, kind| {
            let all = Rect { x: 0, y: 0, width: size.0, height: size.1 };
            Encoders::default().encode(kind, None, frame, all).unwrap().payload.len()
        };
        assert!(len(&flat, Kind::Sketch) <= SKETCH_BYTES);
        assert!(len(&noise, Kind::Sketch) < len(&noise, Kind::Jpeg) / 4);
    }
}
