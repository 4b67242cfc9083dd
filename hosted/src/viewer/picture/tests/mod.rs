//! A client of few lines, which shares only the decoders with the rest, shows what the source does.

use std::collections::HashMap;
use std::time::Duration;

use sumac_backends::Layout;
use sumac_core::channel::display::DisplayEvent;
use sumac_core::channel::{Channel, Negotiated, Poll};
use sumac_core::image::glz::{GlzKept, GlzWindow};
use sumac_core::image::{lz, lz4, quic};
use sumac_core::proto::common::ServerMessage as Common;
use sumac_core::proto::display::{SurfaceCreate, SurfaceFlags, SurfaceFormat};
use sumac_core::proto::paint::Brush;
use sumac_core::proto::picture::{Image, ImageBody};
use sumac_core::proto::shape;
use sumac_core::time::Millis;

mod crowd;

use super::*;
use crate::plan::{find_scroll, tighten};
use crate::source::Size;

const SIZE: Size = Size { width: 256, height: 200 };
const NOW: Millis = Millis(0);

#[test]
fn bands_are_the_whole_rectangle() {
    for (width, height) in [(1, 1), (1280, 720), (8192, 3), (333, 4000), (8192, 8192)] {
        let rect = Rect { x: 5, y: 7, width, height };
        let bands: Vec<Rect> = bands(rect, MAX_PIXELS).collect();
        assert!(bands.iter().all(|band| band.area() <= u64::from(MAX_PIXELS)));
        assert_eq!(bands.iter().map(|band| band.area()).sum::<u64>(), rect.area());
        assert_eq!(bands.iter().copied().collect::<Region>().rects(), [rect]);
    }
}

#[test]
fn drawing_goes_on_where_it_stopped_and_covers_all() {
    let rects = [(0, 0, 10, 10), (20, 5, 10, 20), (0, 40, 10, 10)];
    let region: Region = rects.map(|(x, y, width, height)| Rect { x, y, width, height }).into_iter().collect();
    for row in [0, 3, 7, 10, 24, 25, 41, 60] {
        let order = from_row(&region, row);
        assert!(order.iter().all(|rect| rect.height > 0), "{row}");
        let turn = order.iter().position(|rect| rect.y < row).unwrap_or(order.len());
        assert!(order[turn..].iter().all(|rect| rect.bottom() <= row), "{row}: {order:?}");
        assert_eq!(order.iter().map(|rect| rect.area()).sum::<u64>(), region.area(), "{row}");
        let mut left = region.clone();
        order.iter().for_each(|rect| left.subtract(*rect));
        assert!(left.is_empty(), "{row}: {order:?}");
    }
}

/// Numbers below `limit`, the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32 % limit
    }

    fn rect(&mut self, least: u32, most: u32) -> Rect {
        let (width, height) = (least + self.below(most - least), least + self.below(most - least));
        Rect { x: self.below(SIZE.width - width), y: self.below(SIZE.height - height), width, height }
    }
}

#[derive(Clone)]
struct Pixmap {
    width: u32,
    pixels: Vec<u32>,
}

impl Pixmap {
    fn new() -> Self {
        Self { width: SIZE.width, pixels: vec![0; SIZE.bounds().area() as usize] }
    }

    fn copy(&mut self, from: &Self, source: (u32, u32), dest: Rect) {
        for (to_y, y) in (dest.y..dest.bottom()).zip(source.1..) {
            let row = &from.pixels[(y * from.width + source.0) as usize..][..dest.width as usize];
            self.pixels[(to_y * self.width + dest.x) as usize..][..row.len()].copy_from_slice(row);
        }
    }

    fn fill(&mut self, rect: Rect, colour: impl Fn(u32, u32) -> u32) {
        for y in rect.y..rect.bottom() {
            (rect.x..rect.right()).for_each(|x| self.pixels[(y * self.width + x) as usize] = colour(x, y) & 0xff_ffff);
        }
    }

    fn frame(&self) -> Frame {
        let bytes: Vec<u8> = self.pixels.iter().flat_map(|p| (p | 0x7700_0000).to_le_bytes()).collect();
        Frame::from_memory(Layout { width: SIZE.width, height: SIZE.height, stride: SIZE.width * 4 }, bytes).unwrap()
    }

    /// Changes as a desktop does.
    fn change(&mut self, numbers: &mut Numbers) {
        let letters = |x: u32, y: u32| if y % 16 < 12 && (x / 2 * 7 + y / 3) % 9 < 3 { 0x20_2020 } else { 0xff_ffff };
        let photo = |x: u32, y: u32| ((x * 2 / 3 + y) % 200) | (((x + y * 2) % 211) << 8) | ((x * y / 64 % 190) << 16);
        let noise = numbers.below(u32::MAX) | 1;
        let any = |x: u32, y: u32| (x * 7919 + y * 104_729).wrapping_mul(noise) >> 9;
        let again = Rect { x: 40, y: 30, width: 180, height: 160 };
        match numbers.below(10) {
            0 | 1 => {
                let area = numbers.rect(140, 190);
                let by = 1 + numbers.below(40);
                let before = self.clone();
                self.copy(&before, (area.x, area.y + by), Rect { height: area.height - by, ..area });
                self.fill(Rect { y: area.bottom() - by, height: by, ..area }, any);
            }
            2 | 8 => self.fill(again, photo),
            3 | 9 => self.fill(again, |x, y| photo(x, y) + 0x16_1616),
            4 => self.fill(numbers.rect(20, 160), |_, _| noise),
            5 => self.fill(numbers.rect(20, 160), photo),
            6 => self.fill(numbers.rect(20, 160), |x, y| letters(x + noise % 64, y)),
            _ => self.fill(numbers.rect(1, 40), any),
        }
    }
}

/// What a client offers in its INIT.
#[derive(Clone, Copy, Debug)]
struct Offer {
    cache: i64,
    window: i32,
}

struct Client {
    surface: Pixmap,
    kept: HashMap<u64, Pixmap>,
    /// Images by the number of their kind on the wire.
    images: HashMap<u8, u32>,
    copies: u32,
    fills: u32,
}

impl Client {
    fn new() -> Self {
        Self { surface: Pixmap::new(), kept: HashMap::new(), images: HashMap::new(), copies: 0, fills: 0 }
    }
}

/// Both ends of a display channel.
struct Pair<'c> {
    line: Line<DisplayServer>,
    painter: Painter,
    client: &'c mut Client,
    window: GlzWindow<'c>,
    unacknowledged: u32,
}

impl<'c> Pair<'c> {
    fn new(
        config: &Config,
        encoders: &Rc<RefCell<Encoders>>,
        offer: Option<Offer>,
        (client, memory): (&'c mut Client, &'c mut (Vec<u8>, Vec<GlzKept>)),
    ) -> Self {
        let caps = DisplayCaps::LZ4_COMPRESSION.bits();
        let machine = DisplayServer::new(Negotiated { mini_header: true, peer_caps: caps }, false, NOW);
        let mut line = Line::new(machine, Instant::now());
        let mut head = [0; 64];
        while let Ok(Poll::Transmit(_)) = line.machine.poll(NOW, &mut head) {}
        line.machine.on_message(NOW, 1, &1u32.to_le_bytes()).unwrap();
        let mut painter = Painter::new(config, Rc::clone(encoders), false);
        if let Some(Offer { cache, window }) = offer {
            let init = [&[1][..], &cache.to_le_bytes(), &[1], &window.to_le_bytes()].concat();
            let Ok(Some(DisplayEvent::Init(init))) = line.machine.on_message(NOW, 101, &init) else { panic!("INIT") };
            painter.on_init(&init, &Shared::default());
        }
        let Size { width, height } = SIZE;
        let (format, flags) = (SurfaceFormat::XRGB32, SurfaceFlags::PRIMARY);
        let create = SurfaceCreate { surface_id: 0, width, height, format, flags };
        line.send(&ServerMessage::SurfaceCreate(create), &[]).unwrap();
        line.take_unsent();
        let window = GlzWindow::new(&mut memory.0, &mut memory.1, 0);
        Self { line, painter, client, window, unacknowledged: 1 }
    }

    /// Draws until the client shows the picture, and all of it without loss.
    async fn settle(&mut self, frame: &Frame, due: &mut Pending) {
        for _ in 0..200 {
            self.acknowledge();
            self.painter.draw(&mut self.line, frame, due, false).unwrap();
            self.read();
            if due.is_empty() {
                self.painter.refine(&mut self.line, frame, &[]).unwrap();
                self.read();
                tokio::time::advance(Duration::from_millis(40)).await;
            }
            if due.is_empty() && self.painter.deadline().is_none() {
                return;
            }
        }
    }

    /// The client reads what was said.
    fn read(&mut self) {
        let bytes = self.line.take_unsent();
        let mut rest = &bytes[..];
        while let Some((head, more)) = rest.split_first_chunk::<6>() {
            let len = u32::from_le_bytes([head[2], head[3], head[4], head[5]]) as usize;
            let (body, more) = more.split_at(len);
            let (message, trailing) = ServerMessage::decode(u16::from_le_bytes([head[0], head[1]]), body).unwrap();
            assert_eq!(trailing, 0);
            self.carry_out(&message);
            self.unacknowledged += 1;
            rest = more;
        }
        assert!(rest.is_empty());
    }

    fn acknowledge(&mut self) {
        let window = sumac_core::limits::ACK_WINDOW;
        while self.unacknowledged >= window {
            self.unacknowledged -= window;
            self.line.machine.on_message(NOW, 2, &[]).unwrap();
        }
    }

    fn carry_out(&mut self, message: &ServerMessage<'_>) {
        match message {
            ServerMessage::CopyBits(m) => {
                let before = self.client.surface.clone();
                let from = (m.src_pos.x() as u32, m.src_pos.y() as u32);
                self.client.surface.copy(&before, from, rect_of(m.base.area));
                self.client.copies += 1;
            }
            ServerMessage::DrawFill(m) => {
                let Brush::Solid(colour) = m.brush else { panic!("a solid brush") };
                self.client.surface.fill(rect_of(m.base.area), |_, _| colour);
                self.client.fills += 1;
            }
            ServerMessage::DrawCopy(m) => {
                let rect = rect_of(m.base.area);
                let image = m.src.0.as_ref().unwrap();
                let pixmap = self.decode(image);
                assert_eq!((image.width, image.height), (rect.width, rect.height));
                self.client.surface.copy(&pixmap, (0, 0), rect);
                if image.flags.contains(ImageFlags::CACHE_ME) {
                    self.client.kept.insert(image.id, pixmap);
                }
            }
            ServerMessage::InvalList(m) => m.resources.items().iter().for_each(|gone| {
                assert!(self.client.kept.remove(&gone.id()).is_some(), "it is kept");
            }),
            ServerMessage::Common(Common::Ping(_)) => {}
            other => panic!("{other:?}"),
        }
    }

    fn decode(&mut self, image: &Image<'_>) -> Pixmap {
        let mut out = vec![0; image.width as usize * image.height as usize * 4];
        let number = match &image.body {
            ImageBody::Bitmap(m) => {
                let row = image.width as usize * 4;
                let rows = m.data.bytes().chunks(m.stride as usize);
                out.chunks_mut(row).zip(rows).for_each(|(out, bytes)| out.copy_from_slice(&bytes[..row]));
                0
            }
            ImageBody::Quic(data) => {
                let mut rows = vec![0; quic::row_words(image.width)];
                quic::decode(data.0.bytes(), &mut rows, &mut out).unwrap();
                1
            }
            ImageBody::LzRgb(data) => {
                lz::decode(data.0.bytes(), &mut out).unwrap();
                101
            }
            ImageBody::GlzRgb(data) => {
                self.window.decode(data.0.bytes(), &mut out).unwrap();
                102
            }
            ImageBody::ZlibGlzRgb(zlib) => {
                let mut glz = Vec::with_capacity(zlib.glz_size as usize + 1);
                let mut inflate = flate2::Decompress::new(true);
                inflate.decompress_vec(zlib.data.0.bytes(), &mut glz, flate2::FlushDecompress::Finish).unwrap();
                self.window.decode(&glz, &mut out).unwrap();
                107
            }
            ImageBody::Lz4(data) => {
                lz4::decode(data.0.bytes(), image.width, image.height, &mut out).unwrap();
                109
            }
            // Any picture will do: it is not to last.
            ImageBody::Jpeg(_) => 105,
            ImageBody::FromCache => {
                *self.client.images.entry(103).or_default() += 1;
                return self.client.kept[&image.id].clone();
            }
            other => panic!("{other:?}"),
        };
        *self.client.images.entry(number).or_default() += 1;
        let pixels = out.as_chunks().0.iter().map(|p| u32::from_le_bytes(*p) & 0xff_ffff);
        Pixmap { width: image.width, pixels: pixels.collect() }
    }
}

fn rect_of(area: shape::Rect) -> Rect {
    let (x, y) = (area.left() as u32, area.top() as u32);
    Rect { x, y, width: area.right() as u32 - x, height: area.bottom() as u32 - y }
}

/// Shows changes to a client that lags now and then, and checks what it shows when it is in step.
async fn play(word: &str, wan: &str, offer: Option<Offer>, seed: u64) -> Client {
    let config = Config {
        image_compression: word.parse().unwrap(),
        jpeg_wan_compression: wan.parse().unwrap(),
        zlib_glz_wan_compression: wan.parse().unwrap(),
        ..Config::default()
    };
    let mut client = Client::new();
    let window = offer.map_or(0, |offer| offer.window.max(0) as usize);
    let mut memory = (vec![0; window * 4], vec![GlzKept::EMPTY; 4096]);
    let mut pair = Pair::new(&config, &Rc::default(), offer, (&mut client, &mut memory));
    let mut numbers = Numbers(seed);
    let mut newest = Pixmap::new();
    let mut due = Pending::from(Region::from(SIZE.bounds()));
    let mut compared = 0;
    for _ in 0..25 {
        let before = newest.frame();
        newest.change(&mut numbers);
        let frame = newest.frame();
        let damage = tighten(&before, &frame, &SIZE.bounds().into());
        due.change(&damage, find_scroll(&before, &frame, &damage), &[]);
        if numbers.below(4) > 0 {
            pair.painter.draw(&mut pair.line, &frame, &mut due, false).unwrap();
            pair.read();
        }
        if numbers.below(3) == 0 {
            pair.acknowledge();
        }
        tokio::time::advance(Duration::from_millis(numbers.below(100).into())).await;
        if numbers.below(5) > 0 {
            continue;
        }
        pair.settle(&frame, &mut due).await;
        assert!(pair.client.surface.pixels == newest.pixels, "{word}, {wan}, {offer:?}, seed {seed}");
        compared += 1;
    }
    assert!(compared > 0);
    client
}

const LARGE: Option<Offer> = Some(Offer { cache: 1 << 22, window: 1 << 20 });
const SMALL: Option<Offer> = Some(Offer { cache: 120_000, window: 20_000 });
/// Room for one image of the least that are kept at all, and for a few of a dictionary.
const LEAST: Option<Offer> = Some(Offer { cache: 4 * 32 * 32, window: 2000 });
const NOTHING: Option<Offer> = Some(Offer { cache: 0, window: 0 });

#[tokio::test(start_paused = true)]
async fn every_word_shows_the_source_with_caches_of_any_size() {
    let mut images: HashMap<u8, u32> = HashMap::new();
    let (mut copies, mut fills) = (0, 0);
    for word in ["off", "auto_glz", "auto_lz", "quic", "glz", "lz", "lz4"] {
        for (seed, (offer, wan)) in
            (1..).zip([(LARGE, "never"), (SMALL, "always"), (LEAST, "never"), (NOTHING, "never"), (None, "always")])
        {
            let client = play(word, wan, offer, seed).await;
            client.images.iter().for_each(|(kind, count)| *images.entry(*kind).or_default() += count);
            copies += client.copies;
            fills += client.fills;
        }
    }
    for kind in [0, 1, 101, 102, 103, 105, 107, 109] {
        assert!(images.contains_key(&kind), "no image of kind {kind}: {images:?}");
    }
    assert!(copies > 0 && fills > 0, "{copies} copies, {fills} fills");
}

#[tokio::test(start_paused = true)]
async fn what_comes_back_is_drawn_from_the_clients_cache() {
    for (offer, word, seen) in [(LARGE, "auto_glz", 4), (LARGE, "lz4", 4), (NOTHING, "auto_glz", 0), (None, "lz4", 0)] {
        let (mut client, mut memory) = (Client::new(), (vec![0; 4 << 20], vec![GlzKept::EMPTY; 4096]));
        let config = Config { image_compression: word.parse().unwrap(), ..Config::default() };
        let mut pair = Pair::new(&config, &Rc::default(), offer, (&mut client, &mut memory));
        let window = Rect { x: 30, y: 20, width: 160, height: 130 };
        for n in 0..6 {
            let mut newest = Pixmap::new();
            let photo = |x: u32, y: u32| ((x * 2 / 3 + y + n % 2 * 99) % 200) | (((x + y * 2) % 211) << 8);
            newest.fill(window, photo);
            let mut due = Pending::from(Region::from(window));
            pair.painter.draw(&mut pair.line, &newest.frame(), &mut due, false).unwrap();
            pair.read();
            assert!(due.is_empty() && pair.client.surface.pixels == newest.pixels);
        }
        assert_eq!(client.images.get(&103).copied().unwrap_or(0), seen, "{word}, {offer:?}: {:?}", client.images);
        assert_eq!(client.kept.len(), if seen > 0 { 2 } else { 0 });
    }
}
