//! Bytes worked out by hand from what clients and servers were seen to send.
//!
//! Nothing here was written by this crate's encoder: each vector is spelled out field by field.

use std::vec::Vec;

use super::header::{DataHeader, MiniHeader, SubMessage, SubMessages};
use super::paint::{Brush, LineAttr, LineFlags, Mask, MaskFlags, Rop, ScaleMode};
use super::picture::{
    Bitmap, BitmapFlags, BitmapFormat, Image, ImageBody, ImageFlags, JpegAlpha, JpegAlphaFlags, LzPalette, Palette,
    PaletteRef,
};
use super::shape::{Clip, Path, PathFlags, Point, Point16, PointFix, Rect, Segment, Transform};
use super::text::{Glyph, Glyphs, StringFlags, Text};
use super::{agent, caps, common, cursor, display, draw, gl, inputs, link, main, port, stream, vmc};
use crate::wire::{
    At, Counted, Data, EncodeError, Field, Items, Message, Reader, Repeat, Rest, Sized32, SizedAt, Writer,
};
use zerocopy::little_endian::{I32, U32};

/// Bytes of `"52 45 | 44"`; `|` and line ends are for the reader.
fn hex(text: &str) -> Vec<u8> {
    text.split_whitespace().filter(|word| *word != "|").map(|word| u8::from_str_radix(word, 16).unwrap()).collect()
}

/// The bytes are this message, nothing else, and the message is these bytes.
fn vector<'a, M: Message<'a> + PartialEq + core::fmt::Debug>(bytes: &'a [u8], message: M) {
    assert_eq!(M::decode(bytes), Ok((message, 0)), "{} from bytes", M::NAME);
    let (message, _) = M::decode(bytes).unwrap();
    let mut out = std::vec![0xee; bytes.len()];
    let mut w = Writer::new(&mut out);
    message.encode(&mut w).unwrap();
    assert_eq!((w.written(), message.size()), (bytes, bytes.len()), "{} to bytes", M::NAME);
}

/// The same for a structure that is not a message by itself.
fn structure<'a, F: Field<'a> + PartialEq + core::fmt::Debug>(bytes: &'a [u8], value: F) {
    let mut r = Reader::new(bytes);
    assert_eq!(F::read(&mut r).as_ref(), Ok(&value), "{} from bytes", F::WIRE);
    assert_eq!(r.trailing(), 0);
    let mut out = std::vec![0xee; bytes.len()];
    let mut w = Writer::new(&mut out);
    value.write(&mut w).unwrap();
    value.write_targets(&mut w, 0).unwrap();
    assert_eq!(w.written(), bytes, "{} to bytes", F::WIRE);
}

fn here(bytes: &[u8]) -> Data<'_> {
    Data::Here(bytes)
}

#[test]
fn login_with_a_ticket() {
    vector(
        &hex("52 45 44 51 | 02 00 00 00 | 02 00 00 00 | 16 00 00 00"),
        link::LinkHeader { magic: 0x5144_4552, major: 2, minor: 2, size: 22 },
    );
    let words = [U32::new(0x0b)];
    vector(
        &hex("00 00 00 00 | 01 | 00 | 01 00 00 00 | 00 00 00 00 | 12 00 00 00 | 0b 00 00 00"),
        link::LinkMessage {
            connection_id: 0,
            channel_type: common::ChannelType::MAIN,
            channel_id: 0,
            caps: link::Caps { common: caps::CapWords(&words), channel: caps::CapWords(&[]) },
        },
    );
    let mut reply = hex("00 00 00 00");
    reply.extend([0x30; 162]);
    reply.extend(hex("01 00 00 00 | 01 00 00 00 | b2 00 00 00 | 0b 00 00 00 | 0f 00 00 00"));
    assert_eq!(reply.len(), 178 + 4 * 2);
    let main = [U32::new(0x0f)];
    let caps = link::Caps { common: caps::CapWords(&words), channel: caps::CapWords(&main) };
    vector(&reply, link::LinkReply { error: common::LinkError::OK, pub_key: [0x30; 162], caps });
    assert_eq!(
        caps.common_flags(),
        caps::CommonCaps::AUTH_SELECTION | caps::CommonCaps::AUTH_SPICE | caps::CommonCaps::MINI_HEADER
    );
    vector(&hex("01 00 00 00"), link::AuthSelection { mechanism: link::AuthMechanism::SPICE });
    vector(&[0x5a; 128], link::Ticket { encrypted: [0x5a; 128] });
    vector(&hex("00 00 00 00"), link::LinkResult { error: common::LinkError::OK });
    structure(&hex("67 00 | 20 00 00 00"), MiniHeader::new(103, 32));
    vector(
        &hex("44 33 22 11 | 01 00 00 00 | 03 00 00 00 | 02 00 00 00
             | 01 00 00 00 | 0a 00 00 00 | e8 03 00 00 | 00 00 00 04"),
        main::Init {
            session_id: 0x1122_3344,
            display_channels_hint: 1,
            supported_mouse_modes: 3,
            current_mouse_mode: 2,
            agent_connected: 1,
            agent_tokens: 10,
            multi_media_time: 1000,
            ram_hint: 64 << 20,
        },
    );
}

#[test]
fn words_of_a_link_message_may_lie_further_back() {
    let bytes = hex("07 00 00 00 | 02 | 03 | 00 00 00 00 | 01 00 00 00 | 14 00 00 00 | aa bb | 02 00 00 00");
    let (message, trailing) = link::LinkMessage::decode(&bytes).unwrap();
    assert_eq!((message.connection_id, message.channel_type, message.channel_id), (7, common::ChannelType::DISPLAY, 3));
    assert_eq!((message.caps.common.first(), message.caps.channel.first(), trailing), (0, 2, 0));
    // Without words nobody looks where they would be.
    let bytes = hex("00 00 00 00 | 01 | 00 | 00 00 00 00 | 00 00 00 00 | ff ff ff ff");
    assert_eq!(link::LinkMessage::decode(&bytes).unwrap().0.caps, link::Caps::default());
}

/// DRAW_COPY of 2 × 1 pixels with these parts.
fn draw_copy<'a>(clip: Clip<'a>, mask: Option<Image<'a>>, bitmap: Bitmap<'a>) -> draw::DrawCopy<'a> {
    let image = Image {
        id: 0x0807_0605_0403_0201,
        flags: ImageFlags::CACHE_ME,
        width: 2,
        height: 1,
        body: ImageBody::Bitmap(bitmap),
    };
    draw::DrawCopy {
        base: draw::Base { surface_id: 0, area: Rect::new(10, 20, 11, 22), clip },
        src: At(Some(image)),
        src_area: Rect::new(0, 0, 1, 2),
        rop: Rop::OP_PUT,
        scale_mode: ScaleMode::NEAREST,
        mask: Mask { flags: MaskFlags::empty(), pos: Point::new(0, 0), bitmap: At(mask) },
    }
}

const PIXELS: [u8; 8] = [1, 2, 3, 0, 4, 5, 6, 0];

fn xrgb(pixels: Data<'_>) -> Bitmap<'_> {
    Bitmap {
        format: BitmapFormat::THIRTY_TWO_BIT,
        flags: BitmapFlags::TOP_DOWN,
        x: 2,
        y: 1,
        stride: 8,
        palette: PaletteRef::Here(At(None)),
        data: pixels,
    }
}

const BASE: &str = "00 00 00 00 | 0a 00 00 00 14 00 00 00 0b 00 00 00 16 00 00 00";
const DRAWN: &str = "00 00 00 00 00 00 00 00 01 00 00 00 02 00 00 00 | 08 00 | 01 | 00 | 00 00 00 00 00 00 00 00";
const DESCRIPTOR: &str = "01 02 03 04 05 06 07 08 | 00 | 01 | 02 00 00 00 | 01 00 00 00";
const HEAD: &str = "08 | 04 | 02 00 00 00 | 01 00 00 00 | 08 00 00 00 | 00 00 00 00";
const ROWS: &str = "01 02 03 00 04 05 06 00";

#[test]
fn draw_copy_of_a_raw_picture() {
    let bytes = hex(&[BASE, "00", "39 00 00 00", DRAWN, "00 00 00 00", DESCRIPTOR, HEAD, ROWS].join(" | "));
    assert_eq!((bytes.len(), &bytes[57..59]), (93 + 8, &[1, 2][..]));
    vector(&bytes, draw_copy(Clip::None, None, xrgb(here(&PIXELS))));
}

#[test]
fn draw_copy_with_two_clip_rectangles() {
    let rects = [Rect::new(1, 2, 3, 4), Rect::new(-5, 6, 7, 8)];
    let clip = "01 | 02 00 00 00 | 01 00 00 00 02 00 00 00 03 00 00 00 04 00 00 00
                | fb ff ff ff 06 00 00 00 07 00 00 00 08 00 00 00";
    let pointer = "5d 00 00 00"; // 61 + 16 · 2
    let bytes = hex(&[BASE, clip, pointer, DRAWN, "00 00 00 00", DESCRIPTOR, HEAD, ROWS].join(" | "));
    vector(&bytes, draw_copy(Clip::Rects(Counted::new(&rects)), None, xrgb(here(&PIXELS))));
}

#[test]
fn a_palette_and_a_mask_lie_behind_the_rows() {
    let entries = [U32::new(0), U32::new(0x00ff_0000)];
    let bitmap = Bitmap {
        format: BitmapFormat::ONE_BIT_BE,
        flags: BitmapFlags::TOP_DOWN | BitmapFlags::PAL_CACHE_ME,
        x: 2,
        y: 1,
        stride: 1,
        palette: PaletteRef::Here(At(Some(Palette { unique: 9, entries: Counted::new(&entries) }))),
        data: here(&[0x40]),
    };
    let mask = Image {
        id: 0,
        flags: ImageFlags::empty(),
        width: 2,
        height: 1,
        body: ImageBody::Bitmap(Bitmap {
            format: BitmapFormat::ONE_BIT_BE,
            flags: BitmapFlags::TOP_DOWN,
            palette: PaletteRef::Here(At(None)),
            data: here(&[0xc0]),
            ..bitmap
        }),
    };
    let bytes = hex(&[
        BASE,
        "00",
        "39 00 00 00",
        DRAWN,
        "70 00 00 00", // the mask at 112
        DESCRIPTOR,
        "02 | 05 | 02 00 00 00 | 01 00 00 00 | 01 00 00 00 | 5e 00 00 00",
        "40", // the palette at 94
        "09 00 00 00 00 00 00 00 | 02 00 | 00 00 00 00 | 00 00 ff 00",
        "00 00 00 00 00 00 00 00 | 00 | 00 | 02 00 00 00 | 01 00 00 00",
        "02 | 04 | 02 00 00 00 | 01 00 00 00 | 01 00 00 00 | 00 00 00 00",
        "c0",
    ]
    .join(" | "));
    vector(&bytes, draw_copy(Clip::None, Some(mask), bitmap));
}

#[test]
fn a_promised_picture_is_sent_behind_the_head() {
    let bytes = hex(&[BASE, "00", "39 00 00 00", DRAWN, "00 00 00 00", DESCRIPTOR, HEAD].join(" | "));
    let message = draw_copy(Clip::None, None, xrgb(Data::Promised(8)));
    let mut out = [0; 128];
    let mut w = Writer::new(&mut out);
    message.encode(&mut w).unwrap();
    assert_eq!((w.written(), w.promised(), message.size()), (&bytes[..], 8, 101));

    // Nothing can follow it.
    let palette = Some(Palette { unique: 1, entries: Counted::new(&[]) });
    let bitmap = Bitmap { palette: PaletteRef::Here(At(palette)), ..xrgb(Data::Promised(8)) };
    let message = draw_copy(Clip::None, None, bitmap);
    assert_eq!(message.encode(&mut Writer::new(&mut out)), Err(EncodeError::PromiseNotLast));

    // It is as long as its rows.
    let message = draw_copy(Clip::None, None, xrgb(Data::Promised(7)));
    assert_eq!(message.encode(&mut Writer::new(&mut out)), Err(EncodeError::Length { said: 8, got: 7 }));
}

#[test]
fn images_of_other_types() {
    let image = |body| Image { id: 1, flags: ImageFlags::empty(), width: 2, height: 3, body };
    let front = |kind: &str| ["01 00 00 00 00 00 00 00", kind, "00 | 02 00 00 00 | 03 00 00 00"].join(" | ");
    let check = |kind: &str, rest: &str, body| structure(&hex(&[&front(kind), rest].join(" | ")), image(body));
    let data = Sized32(here(b"ab"));
    check("01", "02 00 00 00 | 61 62", ImageBody::Quic(data));
    check("65", "02 00 00 00 | 61 62", ImageBody::LzRgb(data));
    check("66", "02 00 00 00 | 61 62", ImageBody::GlzRgb(data));
    check("67", "", ImageBody::FromCache);
    check("68", "07 00 00 00", ImageBody::Surface(7));
    check("69", "02 00 00 00 | 61 62", ImageBody::Jpeg(data));
    check("6a", "", ImageBody::FromCacheLossless);
    check(
        "6b",
        "09 00 00 00 | 02 00 00 00 | 61 62",
        ImageBody::ZlibGlzRgb(super::picture::ZlibGlz { glz_size: 9, data }),
    );
    let flags = JpegAlphaFlags::TOP_DOWN;
    let jpeg = JpegAlpha { flags, jpeg_size: 1, data };
    assert_eq!(jpeg.parts(), Some((&b"a"[..], &b"b"[..])));
    assert_eq!(JpegAlpha { jpeg_size: 3, ..jpeg }.parts(), None);
    check("6c", "01 | 01 00 00 00 | 02 00 00 00 | 61 62", ImageBody::JpegAlpha(jpeg));
    check("6d", "02 00 00 00 | 61 62", ImageBody::Lz4(data));
    // A palette that the client has, and one that it has not.
    let cached = LzPalette { flags: BitmapFlags::PAL_FROM_CACHE, palette: PaletteRef::FromCache(5), data: here(b"ab") };
    check("64", "02 | 02 00 00 00 | 05 00 00 00 00 00 00 00 | 61 62", ImageBody::LzPlt(cached));
    let entries = [U32::new(0xaa)];
    let palette = PaletteRef::Here(At(Some(Palette { unique: 0, entries: Counted::new(&entries) })));
    let lz = LzPalette { flags: BitmapFlags::empty(), palette, data: here(b"ab") };
    let rest = "00 | 02 00 00 00 | 1d 00 00 00 | 61 62 | 00 00 00 00 00 00 00 00 | 01 00 | aa 00 00 00";
    check("64", rest, ImageBody::LzPlt(lz));

    let unknown = hex(&front("02"));
    assert_eq!(Image::read(&mut Reader::new(&unknown)).unwrap_err().at, "ImageBody");
}

#[test]
fn stroke_and_text() {
    let points = [PointFix::new(16, 32), PointFix::new(-16, 0)];
    let segments = [Segment { flags: PathFlags::BEGIN | PathFlags::END, points: Counted::new(&points) }];
    let style = [I32::new(48), I32::new(16)];
    let base = draw::Base { surface_id: 0, area: Rect::new(10, 20, 11, 22), clip: Clip::None };
    let front = [BASE, "00"].join(" | ");
    let stroke = hex(&[
        &front,
        "28 00 00 00",           // the path at 40
        "08 | 02 | 41 00 00 00", // the style at 65
        "01 | ff 00 00 00 | 08 00 | 10 00",
        "01 00 00 00 | 03 | 02 00 00 00 | 10 00 00 00 20 00 00 00 | f0 ff ff ff 00 00 00 00",
        "30 00 00 00 | 10 00 00 00",
    ]
    .join(" | "));
    vector(
        &stroke,
        draw::DrawStroke {
            base,
            path: At(Some(Path { segments: Repeat::new(Items::Here(&segments)) })),
            attr: LineAttr { flags: LineFlags::STYLED, style: Some(&style) },
            brush: Brush::Solid(0xff),
            fore_mode: Rop::OP_PUT,
            back_mode: Rop::OP_OR,
        },
    );

    let glyphs = [Glyph::<4> {
        render_pos: Point::new(1, 2),
        glyph_origin: Point::new(3, 4),
        width: 3,
        height: 2,
        data: &[0x12, 0x30, 0x45, 0x60],
    }];
    let text = hex(&[
        &front,
        "33 00 00 00", // the text at 51
        "01 00 00 00 02 00 00 00 03 00 00 00 04 00 00 00",
        "01 | ff ff ff 00 | 00 | 08 00 | 08 00",
        "01 00 | 0a | 01 00 00 00 02 00 00 00 | 03 00 00 00 04 00 00 00 | 03 00 | 02 00 | 12 30 45 60",
    ]
    .join(" | "));
    vector(
        &text,
        draw::DrawText {
            base,
            text: At(Some(Text {
                flags: StringFlags::RASTER_A4 | StringFlags::RASTER_TOP_DOWN,
                glyphs: Glyphs::A4(Items::Here(&glyphs)),
            })),
            back_area: Rect::new(1, 2, 3, 4),
            fore_brush: Brush::Solid(0x00ff_ffff),
            back_brush: Brush::None,
            fore_mode: Rop::OP_PUT,
            back_mode: Rop::OP_PUT,
        },
    );
    // Two depths at once, and none.
    for flags in [0x03, 0x08] {
        assert_eq!(Text::read(&mut Reader::new(&[0, 0, flags])).unwrap_err().at, "Text.flags");
    }
}

#[test]
fn composite_with_some_of_its_parts() {
    let cached = |id| Image { id, flags: ImageFlags::empty(), width: 1, height: 1, body: ImageBody::FromCache };
    let front = [BASE, "00"].join(" | ");
    let descriptor = |id: &str| [id, "00 00 00 00 00 00 00 | 67 | 00 | 01 00 00 00 | 01 00 00 00"].join(" ");
    let bytes = hex(&[
        &front,
        "03 00 28 00", // over, with mask and mask transform
        "41 00 00 00 | 53 00 00 00",
        "00 00 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 01 00 00 00 00 00",
        "01 00 02 00 | ff ff 04 00",
        &descriptor("07"),
        &descriptor("08"),
    ]
    .join(" | "));
    vector(
        &bytes,
        draw::DrawComposite {
            base: draw::Base { surface_id: 0, area: Rect::new(10, 20, 11, 22), clip: Clip::None },
            flags: draw::CompositeFlags::from_bits_retain(3)
                | draw::CompositeFlags::HAS_MASK
                | draw::CompositeFlags::HAS_MASK_TRANSFORM,
            src: At(Some(cached(7))),
            mask: Some(At(Some(cached(8)))),
            src_transform: None,
            mask_transform: Some(Transform::new(0x10000, 0, 0, 0, 0x10000, 0)),
            src_origin: Point16::new(1, 2),
            mask_origin: Point16::new(-1, 4),
        },
    );
}

#[test]
fn stream_create_without_a_clip() {
    structure(&hex("7a 00 | 33 00 00 00"), MiniHeader::new(stream::StreamCreate::ID, 51));
    let bytes = hex("00 00 00 00 | 31 00 00 00 | 01 | 03 | 00 00 00 00 00 00 00 00 | 00 05 00 00 | d0 02 00 00
         | 00 05 00 00 | d0 02 00 00 | 00 00 00 00 00 00 00 00 d0 02 00 00 00 05 00 00 | 00");
    assert_eq!(bytes.len(), 51);
    vector(
        &bytes,
        stream::StreamCreate {
            surface_id: 0,
            id: 49,
            flags: stream::StreamFlags::TOP_DOWN,
            codec: stream::VideoCodec::H264,
            stamp: 0,
            stream_width: 1280,
            stream_height: 720,
            src_width: 1280,
            src_height: 720,
            dest: Rect::new(0, 0, 720, 1280),
            clip: Clip::None,
        },
    );
}

#[test]
fn cursor_set_of_a_kept_shape() {
    structure(&hex("67 00 | 18 00 00 00"), MiniHeader::new(cursor::Set::ID, 24));
    let header = cursor::CursorHeader {
        unique: 3,
        kind: cursor::CursorType::ALPHA,
        width: 16,
        height: 24,
        hot_spot_x: 1,
        hot_spot_y: 2,
    };
    let front = "05 00 fb ff | 01";
    let shape = "03 00 00 00 00 00 00 00 | 00 | 10 00 | 18 00 | 01 00 | 02 00";
    let set = |flags, shape| cursor::Set {
        position: Point16::new(5, -5),
        visible: 1,
        cursor: cursor::Cursor { flags, shape },
    };
    let bytes = hex(&[front, "04 00", shape].join(" | "));
    assert_eq!(bytes.len(), 24);
    vector(&bytes, set(cursor::CursorFlags::FROM_CACHE, cursor::Shape::FromCache(header)));
    let bytes = hex(&[front, "02 00", shape, "11 22"].join(" | "));
    vector(&bytes, set(cursor::CursorFlags::CACHE_ME, cursor::Shape::Here(header, here(&[0x11, 0x22]))));
    vector(&hex(&[front, "01 00"].join(" | ")), set(cursor::CursorFlags::NONE, cursor::Shape::None));
}

#[test]
fn keys_and_pointer() {
    assert_eq!((inputs::KeyDown::ID, inputs::KeyUp::ID, inputs::MousePosition::ID), (101, 102, 112));
    vector(&hex("e0 48 00 00"), inputs::KeyDown { code: 0x48e0 });
    vector(&hex("e0 c8 00 00"), inputs::KeyUp { code: 0xc8e0 });
    vector(
        &hex("80 02 00 00 | 68 01 00 00 | 05 00 | 01"),
        inputs::MousePosition {
            x: 640,
            y: 360,
            buttons_state: inputs::MouseButtons::LEFT | inputs::MouseButtons::RIGHT,
            display_id: 1,
        },
    );
    vector(
        &hex("ff ff ff ff | 02 00 00 00 | 02 00"),
        inputs::MouseMotion { dx: -1, dy: 2, buttons_state: inputs::MouseButtons::MIDDLE },
    );
    vector(
        &hex("05 | 10 00"),
        inputs::MousePress { button: inputs::MouseButton::DOWN, buttons_state: inputs::MouseButtons::DOWN },
    );
}

#[test]
fn display_from_the_client_and_around_it() {
    vector(
        &hex("00 | 00 00 40 01 00 00 00 00 | 01 | 00 00 80 00"),
        display::Init {
            pixmap_cache_id: 0,
            pixmap_cache_size: 20 << 20,
            glz_dictionary_id: 1,
            glz_dictionary_window_size: 1 << 23,
        },
    );
    vector(&hex("02 | 03 01"), display::PreferredVideoCodecType { codecs: Counted::new(&[3, 1]) });
    let heads = [display::Head::new(0, 0, 1280, 720, 0, 0, 0)];
    vector(
        &hex("01 00 | 10 00 | 00 00 00 00 00 00 00 00 00 05 00 00 d0 02 00 00 00 00 00 00 00 00 00 00 00 00 00 00"),
        display::MonitorsConfig { max_allowed: 16, heads: &heads },
    );
    let scanout = gl::GlScanout2Unix {
        width: 1,
        height: 2,
        offset: gl::PerPlane([3, 4, 0, 0]),
        stride: gl::PerPlane([5, 6, 0, 0]),
        drm_fourcc: u32::from_le_bytes(*b"NV12"),
        flags: gl::GlScanoutFlags::Y0TOP,
        modifier: 0x0102,
        num_planes: 2,
        num_dma_bufs: 1,
    };
    let bytes = hex("01 00 00 00 02 00 00 00 | 03 00 00 00 04 00 00 00 00 00 00 00 00 00 00 00
         | 05 00 00 00 06 00 00 00 00 00 00 00 00 00 00 00 | 4e 56 31 32 | 01 00 00 00
         | 02 01 00 00 00 00 00 00 | 02 00 | 01 00");
    assert_eq!(bytes.len(), 60);
    vector(&bytes, scanout);
}

#[test]
fn lists_of_messages_inside_one() {
    let wait = hex("01 | 02 01 | 09 00 00 00 00 00 00 00");
    let messages = [SubMessage::new(5, &wait), SubMessage::new(108, &[])];
    let bytes = hex("02 00 | 0a 00 00 00 | 1b 00 00 00 | 05 00 | 0b 00 00 00 | 01 | 02 01 | 09 00 00 00 00 00 00 00
         | 6c 00 | 00 00 00 00");
    vector(&bytes, common::List { messages: SubMessages::new(&messages) });
    // In a full header's message the list stands where the header says.
    structure(&hex("07 00 00 00 00 00 00 00 | 30 01 | 40 00 00 00 | 3c 00 00 00"), DataHeader::new(7, 304, 64, 60));
    let mut body = std::vec![0; 60];
    body.extend(hex("01 00 | 42 00 00 00 | 6c 00 | 00 00 00 00"));
    let list = SubMessages::at(&body, 60).unwrap();
    assert!(list.iter().eq([SubMessage::new(108, &[])]));
    assert!(SubMessages::at(&body, 61).is_err());
}

#[test]
fn destination_port_device_and_agent() {
    let destination =
        main::Destination { port: 5900, sport: 0, host: SizedAt(Some(b"h\0")), cert_subject: SizedAt(None) };
    let bytes = hex("0c 17 | 00 00 | 02 00 00 00 | 14 00 00 00 | 00 00 00 00 | 00 00 00 00 | 68 00");
    vector(&bytes, main::MigrateBegin { destination });
    // The version stands behind the pointers and in front of what they lead to.
    let bytes = hex("0c 17 | 00 00 | 02 00 00 00 | 18 00 00 00 | 00 00 00 00 | 00 00 00 00 | 01 00 00 00 | 68 00");
    vector(&bytes, main::MigrateBeginSeamless { destination, src_version: 1 });
    vector(&hex("02 00 00 00 | 09 00 00 00 | 01 | 70 00"), port::Init { name: SizedAt(Some(b"p\0")), opened: 1 });
    let block = vmc::Lz4Block { uncompressed_size: 1500, data: Rest(here(b"z")) };
    vector(&hex("01 | dc 05 00 00 | 7a"), vmc::CompressedData { data: vmc::Compressed::Lz4(block) });
    vector(&hex("00 | 7a"), vmc::CompressedData { data: vmc::Compressed::None(Rest(here(b"z"))) });

    structure(&hex("01 00 00 00 | 1c 00 00 00"), agent::VdiChunkHeader::new(1, 28));
    structure(
        &hex("01 00 00 00 | 06 00 00 00 | 00 00 00 00 00 00 00 00 | 08 00 00 00"),
        agent::VdAgentMessage::new(1, 6, 0, 8),
    );
    let monitors = [agent::Monitor::new(720, 1280, 32, -10, 0)];
    let sizes = [agent::MonitorSize::new(300, 500)];
    vector(
        &hex("01 00 00 00 | 03 00 00 00 | d0 02 00 00 00 05 00 00 20 00 00 00 f6 ff ff ff 00 00 00 00 | 2c 01 f4 01"),
        agent::MonitorsConfig {
            flags: agent::MonitorsFlags::USE_POS | agent::MonitorsFlags::PHYSICAL_SIZE,
            monitors: &monitors,
            sizes: Some(&sizes),
        },
    );
}
