//! All kinds of drawings, as the display channel then says them.

use std::vec::Vec;

use super::*;
use crate::channel::display::DisplayServer;
use crate::channel::{Channel, Negotiated};
use crate::proto::caps::DisplayCaps;
use crate::proto::display::{Init, ServerMessage as M, SurfaceCreate, SurfaceFlags};
use crate::proto::draw::CompositeFlags;
use crate::proto::paint::{Brush, LineFlags, Rop, ScaleMode};
use crate::proto::picture::{BitmapFlags, BitmapFormat, Image, ImageBody, ImageFlags, PaletteRef};
use crate::proto::shape::{Clip, PathFlags, Point, Point16, PointFix, Rect};
use crate::proto::text::Glyphs;
use crate::qxl::QxlErrorKind as Kind;
use crate::time::Millis;
use crate::wire::{At, Message, Writer};

fn draw(guest: &Guest, data: u64, look: impl FnOnce(M<'_>)) {
    parsed(guest, &command(abi::CommandType::DRAW, data), |parsed| match parsed.unwrap() {
        Parsed::Draw(drawable) => {
            assert_eq!((drawable.effect, drawable.mm_time), (abi::Effect::OPAQUE, 1234));
            assert_eq!(drawable.depends, [None; 3]);
            says(&drawable.message);
            look(drawable.message);
        }
        other => panic!("{other:?}"),
    });
}

/// The display channel takes the message, and a client reads the same.
fn says(message: &M<'_>) {
    let caps = DisplayCaps::COMPOSITE | DisplayCaps::A8_SURFACE;
    let negotiated = Negotiated { mini_header: true, peer_caps: caps.bits() };
    let now = Millis(0);
    let mut server: DisplayServer = DisplayServer::new(negotiated, false, now);
    let mut out = std::vec![0; 1 << 16];
    let cache = 1 << 20;
    let init =
        Init { pixmap_cache_id: 1, pixmap_cache_size: cache, glz_dictionary_id: 1, glz_dictionary_window_size: 0 };
    let mut body = [0; 14];
    init.encode(&mut Writer::new(&mut body)).unwrap();
    server.on_message(now, Init::ID, &body).unwrap();
    for (surface_id, format) in [(0, SurfaceFormat::XRGB32), (3, SurfaceFormat::A8)] {
        let create = SurfaceCreate { surface_id, width: 64, height: 48, format, flags: SurfaceFlags::empty() };
        let _ = server.send(now, &M::SurfaceCreate(create), &mut out).unwrap();
    }
    let sent = server.send(now, message, &mut out).unwrap();
    let mut encoded = std::vec![0; message.size()];
    message.encode(&mut Writer::new(&mut encoded)).unwrap();
    assert!(out[..sent.head].ends_with(&encoded));
    assert_eq!(M::decode(message.id(), &encoded).unwrap(), (*message, 0), "a client reads the same");
}

fn is_image(image: At<Image<'_>>) {
    let image = image.0.unwrap();
    assert_eq!((image.id, image.width, image.height, image.flags), (77, 4, 2, ImageFlags::CACHE_ME));
    let ImageBody::Bitmap(bitmap) = image.body else { panic!("{image:?}") };
    assert_eq!((bitmap.format, bitmap.flags, bitmap.stride), (BitmapFormat::THIRTY_TWO_BIT, BitmapFlags::TOP_DOWN, 16));
    assert_eq!((bitmap.palette, bitmap.data.bytes()), (PaletteRef::Here(At(None)), &[0x5a; 32][..]));
}

const SRC: [i32; 4] = [0, 0, 2, 4];

#[test]
fn fill() {
    let mut guest = Guest::new();
    let bits = guest.bits();
    let data = guest.drawable(1, Pen::default().solid(0x123456).u16(8).mask(bits));
    draw(&guest, data, |message| {
        let M::DrawFill(d) = message else { panic!("{message:?}") };
        assert_eq!((d.base.surface_id, d.base.area, d.base.clip), (0, Rect::new(20, 10, 22, 14), Clip::None));
        assert_eq!((d.brush, d.rop, d.mask.pos), (Brush::Solid(0x123456), Rop::OP_PUT, Point::new(3, 4)));
        let ImageBody::Bitmap(bitmap) = d.mask.bitmap.0.unwrap().body else { panic!("{d:?}") };
        assert_eq!((bitmap.format, bitmap.data.bytes()), (BitmapFormat::ONE_BIT_BE, &[0xa0, 0x50][..]));
    });
}

#[test]
fn opaque_and_rop3() {
    let mut guest = Guest::new();
    let (image, pattern) = (guest.image(), guest.image());
    let pen = Pen::default().u64(image).rect(SRC).pattern(pattern, 5, 6);
    let opaque = guest.drawable(2, pen.clone().u16(0x10).u8(1).no_mask());
    draw(&guest, opaque, |message| {
        let M::DrawOpaque(d) = message else { panic!("{message:?}") };
        is_image(d.src);
        let Brush::Pattern(brush) = d.brush else { panic!("{d:?}") };
        is_image(brush.image);
        assert_eq!((brush.pos, d.rop, d.scale_mode), (Point::new(5, 6), Rop::OP_OR, ScaleMode::NEAREST));
        assert_eq!((d.src_area, d.mask.bitmap), (Rect::new(0, 0, 2, 4), At(None)));
    });
    let rop3 = guest.drawable(9, pen.u8(0xca).u8(0).no_mask());
    draw(&guest, rop3, |message| {
        let M::DrawRop3(d) = message else { panic!("{message:?}") };
        is_image(d.src);
        assert_eq!((d.rop3, d.scale_mode), (0xca, ScaleMode::INTERPOLATE));
    });
}

#[test]
fn copy_and_blend() {
    let mut guest = Guest::new();
    let image = guest.image();
    let pen = Pen::default().u64(image).rect([1, 1, 2, 3]).u16(8).u8(0).no_mask();
    let (copy, blend) = (guest.drawable(3, pen.clone()), guest.drawable(5, pen));
    draw(&guest, copy, |message| {
        let M::DrawCopy(d) = message else { panic!("{message:?}") };
        is_image(d.src);
        assert_eq!(d.src_area, Rect::new(1, 1, 2, 3));
    });
    draw(&guest, blend, |message| assert!(matches!(message, M::DrawBlend(_)), "{message:?}"));
}

#[test]
fn copy_bits_stay_on_their_surface() {
    let mut guest = Guest::new();
    let data = guest.drawable(4, Pen::default().point(60, 46));
    draw(&guest, data, |message| {
        let M::CopyBits(d) = message else { panic!("{message:?}") };
        assert_eq!(d.src_pos, Point::new(60, 46));
    });
    for (x, y) in [(61, 46), (60, 47), (-1, 0), (0, -1), (i32::MAX, 0), (0, i32::MIN)] {
        let data = guest.drawable(4, Pen::default().point(x, y));
        let error = refused(&guest, &command(abi::CommandType::DRAW, data));
        assert_eq!(error.at, "QXLCopyBits.src_pos", "{x} {y}: {error}");
    }
}

#[test]
fn blackness_whiteness_invers() {
    let mut guest = Guest::new();
    let bits = guest.bits();
    for (kind, id) in [(6, 306), (7, 307), (8, 308)] {
        let data = guest.drawable(kind, Pen::default().mask(bits));
        draw(&guest, data, |message| assert_eq!(message.id(), id));
    }
}

#[test]
fn stroke() {
    let mut guest = Guest::new();
    let style = guest.put(Pen::default().i32(32).i32(16));
    // Two segments in two chunks, cut inside of a point.
    let segments = Pen::default().u32(1).u32(2).point(1, 2).point(3, 4).u32(16 | 2).u32(1).point(5, 6).0;
    let second = guest.put(Pen::default().chunk(&segments[18..]));
    let path = guest.put(Pen::default().u32(segments.len() as u32).u32(18).u64(0).u64(second).bytes(&segments[..18]));
    let line = Pen::default().u8(8).u8(0).u8(0).u8(2).i32(0).i32(0).u64(style);
    let data = guest.drawable(10, Pen::default().u64(path).bytes(&line.0).solid(1).u16(8).u16(0x20));
    draw(&guest, data, |message| {
        let M::DrawStroke(d) = message else { panic!("{message:?}") };
        let segments: Vec<_> = d.path.0.unwrap().segments.items().iter().collect();
        assert_eq!((segments[0].flags, segments[0].points.items()), (PathFlags::BEGIN, &[fix(1, 2), fix(3, 4)][..]));
        assert_eq!(
            (segments[1].flags, segments[1].points.items()),
            (PathFlags::BEZIER | PathFlags::END, &[fix(5, 6)][..])
        );
        assert_eq!((segments.len(), d.attr.flags), (2, LineFlags::STYLED));
        let style: Vec<i32> = d.attr.style.unwrap().iter().map(|n| n.get()).collect();
        assert_eq!((style, d.fore_mode, d.back_mode), (std::vec![32, 16], Rop::OP_PUT, Rop::OP_AND));
    });
}

fn fix(x: i32, y: i32) -> PointFix {
    PointFix::new(x, y)
}

#[test]
fn text_of_each_depth() {
    for (flags, bits) in [(1u16, 1), (2, 4), (4, 8)] {
        let mut guest = Guest::new();
        let row = (9usize * bits).div_ceil(8);
        let glyph = Pen::default().point(1, 2).point(3, 4).u16(9).u16(2).bytes(&std::vec![7; 2 * row]).0;
        let two = [glyph.clone(), glyph].concat();
        let head = Pen::default().u32(two.len() as u32).u16(2).u16(flags | 8);
        let string = guest.put(head.chunk(&two));
        let pen = Pen::default().u64(string).rect([0, 0, 2, 9]).solid(5).no_brush().u16(8).u16(0);
        let data = guest.drawable(11, pen);
        draw(&guest, data, |message| {
            let M::DrawText(d) = message else { panic!("{message:?}") };
            assert_eq!((d.fore_brush, d.back_brush), (Brush::Solid(5), Brush::None));
            let sizes: Vec<_> = match d.text.0.unwrap().glyphs {
                Glyphs::A1(glyphs) => glyphs.iter().map(|g| (g.width, g.height, g.data.len())).collect(),
                Glyphs::A4(glyphs) => glyphs.iter().map(|g| (g.width, g.height, g.data.len())).collect(),
                Glyphs::A8(glyphs) => glyphs.iter().map(|g| (g.width, g.height, g.data.len())).collect(),
            };
            assert_eq!(sizes, [(9, 2, 2 * row); 2]);
        });
    }
}

#[test]
fn transparent_and_alpha_blend() {
    let mut guest = Guest::new();
    let image = guest.image();
    let data = guest.drawable(12, Pen::default().u64(image).rect(SRC).u32(1).u32(2));
    draw(&guest, data, |message| {
        let M::DrawTransparent(d) = message else { panic!("{message:?}") };
        assert_eq!((d.src_color, d.true_color), (1, 2));
    });
    let surface = guest.put(Pen::default().u64(78).u8(104).u8(0).u32(1).u32(1).u32(3));
    let data = guest.drawable(13, Pen::default().u16(2).u8(200).u64(surface).rect([0, 0, 8, 8]));
    draw(&guest, data, |message| {
        let M::DrawAlphaBlend(d) = message else { panic!("{message:?}") };
        let image = d.src.0.unwrap();
        assert_eq!((image.body, image.width, image.height), (ImageBody::Surface(3), 8, 8), "as the surface is");
        assert_eq!((d.alpha, d.alpha_flags.bits()), (200, 2));
    });
}

#[test]
fn composite() {
    let mut guest = Guest::new();
    let image = guest.image();
    let matrix = guest.put((1..7).fold(Pen::default(), Pen::u32));
    let pen = |mask, mask_transform| {
        let pen = Pen::default().u32(3 | 1 << 18).u64(image).u64(matrix).u64(mask).u64(mask_transform);
        pen.point16(1, -2).point16(3, 4)
    };
    let data = guest.drawable(14, pen(image, matrix));
    draw(&guest, data, |message| {
        let M::DrawComposite(d) = message else { panic!("{message:?}") };
        is_image(d.src);
        is_image(d.mask.unwrap());
        assert!(d.flags.contains(CompositeFlags::COMPONENT_ALPHA));
        assert_eq!((d.src_transform.unwrap().t12(), d.mask_transform), (6, d.src_transform));
        assert_eq!((d.src_origin, d.mask_origin), (Point16::new(1, -2), Point16::new(3, 4)));
    });
}

#[test]
fn a_clip_of_rectangles() {
    let mut guest = Guest::new();
    let rects = guest.put(Pen::default().u32(2).u32(32).u64(0).u64(0).rect([1, 2, 3, 4]).rect([5, 6, 7, 8]));
    let reversed = guest.put(Pen::default().u32(1).u32(16).u64(0).u64(0).rect([1, 2, 0, 4]));
    let union = Pen::default().solid(1).u16(8).no_mask();
    let clip = |at| Pen::default().u32(1).u64(at);
    let data = guest.drawable_with(1, 0, [0, 0, 8, 8], clip(rects), union.clone());
    draw(&guest, data, |message| {
        let M::DrawFill(d) = message else { panic!("{message:?}") };
        let Clip::Rects(rects) = d.base.clip else { panic!("{d:?}") };
        assert_eq!(rects.items(), [Rect::new(1, 2, 3, 4), Rect::new(5, 6, 7, 8)]);
    });
    let data = guest.drawable_with(1, 0, [0, 0, 8, 8], clip(reversed), union.clone());
    assert_eq!(refused(&guest, &command(abi::CommandType::DRAW, data)).at, "QXLClipRects.rects");
    let data = guest.drawable_with(1, 0, [0, 0, 8, 8], Pen::default().u32(2).u64(rects), union);
    let error = refused(&guest, &command(abi::CommandType::DRAW, data));
    assert_eq!((error.at, error.kind), ("QXLClip.type", Kind::Value { value: 2 }));
}

#[test]
fn a_palette_has_as_many_colours_as_the_format_has_numbers() {
    let mut guest = Guest::new();
    let palette = guest.put(Pen::default().u64(5).u16(3).u32(0x11).u32(0x22).u32(0x33));
    let rows = guest.put(Pen::default().bytes(&[0x12, 0x21, 0x12, 0x21]));
    let image = guest.bitmap(4, 1, 2, palette, rows);
    let data = guest.drawable(3, Pen::default().u64(image).rect(SRC).u16(8).u8(0).no_mask());
    draw(&guest, data, |message| {
        let M::DrawCopy(d) = message else { panic!("{message:?}") };
        let ImageBody::Bitmap(bitmap) = d.src.0.unwrap().body else { panic!("{d:?}") };
        let PaletteRef::Here(At(Some(palette))) = bitmap.palette else { panic!("{d:?}") };
        let colors: Vec<u32> = palette.entries.items().iter().map(|c| c.get()).collect();
        assert_eq!((palette.unique, &colors[..4], colors.len()), (5, &[0x11, 0x22, 0x33, 0][..], 16));
    });
}

#[test]
fn the_surface_s_own_pixels_take_the_place_of_an_image() {
    let mut guest = Guest::new();
    let union = Pen::default().u64(0).rect(SRC).u16(8).u8(0).no_mask();
    let no_clip = Pen::default().u32(0).u64(0);
    let data = guest.drawable_with(3, 1, [0, 0, 2, 4], no_clip, union.clone());
    parsed(&guest, &command(abi::CommandType::DRAW, data), |parsed| {
        let Parsed::Draw(drawable) = parsed.unwrap() else { panic!("not a drawing") };
        assert_eq!(drawable.self_bitmap, Some(Rect::new(0, 0, 2, 4)));
        assert!(matches!(drawable.message, M::DrawCopy(d) if d.src == At(None)));
    });
    let data = guest.drawable(3, union);
    let error = refused(&guest, &command(abi::CommandType::DRAW, data));
    assert_eq!((error.at, error.kind), ("src_bitmap", Kind::Missing), "neither the one nor the other");
}

#[test]
fn drivers_of_the_first_revision() {
    let mut guest = Guest::new();
    let palette = guest.put(Pen::default().u64(5).u16(2).u32(0x7fff).u32(0x7c00));
    let rows = guest.put(Pen::default().bytes(&[0, 0]));
    let image = guest.bitmap(1, 1, 1, palette, rows);
    let head = |kind: u8| {
        let pen = Pen::default().u64(9).u8(1).u8(kind).u16(0).rect([0; 4]).rect([0, 0, 2, 4]);
        pen.u32(0).u64(0).u32(1234)
    };
    let compat = |data, flags| Command { flags, ..command(abi::CommandType::DRAW, data) };
    let data = guest.put(head(13).u8(99).u64(image).rect(SRC));
    let flags = CommandFlags::COMPAT | CommandFlags::COMPAT_16BPP;
    parsed(&guest, &compat(data, flags), |parsed| {
        let Parsed::Draw(drawable) = parsed.unwrap() else { panic!("not a drawing") };
        says(&drawable.message);
        let M::DrawAlphaBlend(d) = drawable.message else { panic!("{drawable:?}") };
        assert_eq!((d.alpha, d.base.surface_id), (99, 0));
        let ImageBody::Bitmap(bitmap) = d.src.0.unwrap().body else { panic!("{d:?}") };
        let PaletteRef::Here(At(Some(palette))) = bitmap.palette else { panic!("{d:?}") };
        let colors: Vec<u32> = palette.entries.items().iter().map(|c| c.get()).collect();
        assert_eq!(colors, [0xff_ffff, 0xff_0000]);
    });
    let data = guest.put(head(14).bytes(&[0; 44]));
    let error = refused(&guest, &compat(data, flags));
    assert_eq!((error.at, error.kind), ("QXLDrawable.type", Kind::Value { value: 14 }), "it came later");
}
