//! Images in recorded sessions: one desktop, sent by the reference in every compression it has.

use std::collections::BTreeMap;
use std::path::Path;

use sumac_core::image::glz::{GlzKept, GlzWindow};
use sumac_core::image::{PixelFormat, lz, lz4, quic};
use sumac_tests::recording::{Recording, Speaker};
use sumac_tests::session::Session;

const DISPLAY: u8 = 2;
const DRAW_COPY: u16 = 304;

const BITMAP: u8 = 0;
const QUIC: u8 = 1;
const LZ_RGB: u8 = 101;
const GLZ_RGB: u8 = 102;
const LZ4: u8 = 109;

/// Bytes of an image descriptor, and of the u32 size behind it.
const DESCRIPTOR: usize = 18;

/// How many images of each type were decoded, and what they show: rows of b, g, r from the top.
#[derive(Default)]
struct Images {
    counts: BTreeMap<u8, usize>,
    pictures: Vec<(u32, u32, Vec<u8>)>,
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(*bytes[at..].first_chunk().unwrap())
}

/// Where the image of a DRAW_COPY is, and its bytes from there on.
fn image(body: &[u8]) -> &[u8] {
    // surface_id, box, clip, image: the clip is a byte, and rectangles if that is 1.
    let clip = 20;
    let rectangles = match body[clip] {
        0 => 0,
        _ => 4 + 16 * u32_at(body, clip + 1) as usize,
    };
    &body[u32_at(body, clip + 1 + rectangles) as usize..]
}

impl Images {
    fn of(name: &str) -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/sessions").join(name);
        let recording = Recording::read(&file).unwrap();
        let mut images = Self::default();
        let mut ring = vec![0; 4 << 22];
        let mut kept = vec![GlzKept::EMPTY; 4096];
        let mut window = GlzWindow::new(&mut ring, &mut kept, 0);
        for connection in &recording.connections {
            let session = Session::cut(connection).unwrap();
            if session.channel_type != DISPLAY {
                continue;
            }
            for message in &session.messages {
                if (message.speaker, message.id) == (Speaker::Server, DRAW_COPY) {
                    images.decode(image(&message.body), &mut window);
                }
            }
        }
        images
    }

    fn decode(&mut self, image: &[u8], window: &mut GlzWindow<'_>) {
        let (kind, width, height) = (image[8], u32_at(image, 10), u32_at(image, 14));
        let mut out = vec![0; 4 * width as usize * height as usize];
        let sized = || {
            let size = u32_at(image, DESCRIPTOR) as usize;
            &image[DESCRIPTOR + 4..DESCRIPTOR + 4 + size]
        };
        let (format, top_down) = match kind {
            BITMAP if PixelFormat::from_wire(image[DESCRIPTOR]).is_some_and(has_32_bits) => {
                bitmap(&image[DESCRIPTOR..], &mut out)
            }
            QUIC => {
                let mut rows = vec![0; quic::row_words(width)];
                let got = quic::decode(sized(), &mut rows, &mut out).unwrap();
                assert_eq!((got.width, got.height), (width, height));
                (got.format, true)
            }
            LZ_RGB => {
                let got = lz::decode(sized(), &mut out).unwrap();
                assert_eq!((got.width, got.height), (width, height));
                (got.format, got.top_down)
            }
            GLZ_RGB => {
                let got = window.decode(sized(), &mut out).unwrap();
                assert_eq!((got.width, got.height), (width, height));
                (got.format, got.top_down)
            }
            LZ4 => {
                let got = lz4::decode(sized(), width, height, &mut out).unwrap();
                (got.format, got.top_down)
            }
            _ => return,
        };
        if !has_32_bits(format) {
            return;
        }
        let mut rows: Vec<_> = out.chunks_exact(4 * width as usize).collect();
        if !top_down {
            rows.reverse();
        }
        let rgb = rows.concat();
        let rgb = rgb.chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]);
        *self.counts.entry(kind).or_default() += 1;
        self.pictures.push((width, height, rgb.collect()));
    }
}

/// Pictures of these formats are compared; others only decode.
fn has_32_bits(format: PixelFormat) -> bool {
    matches!(format, PixelFormat::Rgb32 | PixelFormat::Rgba)
}

/// The raw form: format, flags, sizes, stride, palette, rows.
fn bitmap(image: &[u8], out: &mut [u8]) -> (PixelFormat, bool) {
    const TOP_DOWN: u8 = 4;
    let (height, stride) = (u32_at(image, 6) as usize, u32_at(image, 10) as usize);
    let data = &image[18..18 + height * stride];
    let row = out.len() / height;
    for (out, data) in out.chunks_exact_mut(row).zip(data.chunks_exact(stride)) {
        out.copy_from_slice(&data[..row]);
    }
    let format = PixelFormat::from_wire(image[0]).unwrap();
    (format, image[1] & TOP_DOWN != 0)
}

/// The desktop draws the same things in the same order in each session; now and then a fast
/// sequence ends up in one image instead of two.
fn check_against_raw(name: &str, kind: u8) {
    let raw = Images::of("desktop-off.rec");
    assert!(raw.counts[&BITMAP] > 20);
    let compressed = Images::of(name);
    assert!(compressed.counts[&kind] > 20, "{:?}", compressed.counts);
    let pictures = &compressed.pictures;
    let known = pictures.iter().filter(|picture| raw.pictures.contains(picture)).count();
    assert!(known > 20, "{known} of {}", pictures.len());
}

#[test]
fn glz_images_of_a_desktop_show_what_was_sent_raw() {
    check_against_raw("desktop-glz.rec", GLZ_RGB);
}

#[test]
fn lz_images_of_a_desktop_show_what_was_sent_raw() {
    check_against_raw("desktop-lz.rec", LZ_RGB);
}

#[test]
fn lz4_images_of_a_desktop_show_what_was_sent_raw() {
    check_against_raw("desktop-lz4.rec", LZ4);
}

#[test]
fn a_quic_image_shows_what_another_session_sent_as_lz() {
    let quic = Images::of("screenshot-quic.rec");
    assert_eq!(quic.counts, BTreeMap::from([(QUIC, 1)]));
    let lz = Images::of("spicy.rec");
    assert!(lz.pictures.contains(&quic.pictures[0]));
}

#[test]
fn every_image_of_every_other_session_decodes() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/vectors/sessions");
    let mut decoded = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        // Its GLZ images are deflated, and not our subject here.
        if name != "desktop-wan.rec" {
            decoded += Images::of(&name).pictures.len();
        }
    }
    assert!(decoded > 200, "{decoded}");
}
