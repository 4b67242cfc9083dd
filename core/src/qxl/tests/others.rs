//! Cursors, surfaces, updates, texts, QUIC images, monitors.

use super::*;
use crate::proto::cursor::{CursorFlags, CursorType, ServerMessage as M, Shape};
use crate::proto::picture::ImageBody;
use crate::proto::shape::{Point16, Rect};
use crate::qxl::monitors_config::MonitorsConfig;
use crate::qxl::{QxlErrorKind as Kind, SurfaceCommand, View};

fn cursor(guest: &Guest, data: u64, look: impl FnOnce(M<'_>)) {
    parsed(guest, &command(abi::CommandType::CURSOR, data), |parsed| match parsed.unwrap() {
        Parsed::Cursor(message) => look(message),
        other => panic!("{other:?}"),
    });
}

fn shape(kind: u16, width: u16, height: u16, data_size: u32) -> Pen {
    Pen::default().u64(6).u16(kind).u16(width).u16(height).u16(1).u16(2).u32(data_size)
}

#[test]
fn a_cursor_is_set_moved_hidden_and_trailed() {
    let mut guest = Guest::new();
    let second = guest.put(Pen::default().chunk(&[2; 40]));
    let at = guest.put(shape(0, 2, 4, 32).u32(24).u64(0).u64(second).bytes(&[1; 24]));
    let data = guest.put(Pen::default().u64(0).u8(0).point16(-3, 4).u8(7).u64(at));
    cursor(&guest, data, |message| {
        let M::Set(set) = message else { panic!("{message:?}") };
        assert_eq!((set.position, set.visible, set.cursor.flags), (Point16::new(-3, 4), 1, CursorFlags::CACHE_ME));
        let Shape::Here(header, data) = set.cursor.shape else { panic!("{set:?}") };
        assert_eq!((header.unique, header.kind, header.hot_spot_x, header.hot_spot_y), (6, CursorType::ALPHA, 1, 2));
        assert_eq!(data.bytes(), [[1; 24].as_slice(), &[2; 8]].concat(), "as many as the shape takes");
    });
    let data = guest.put(Pen::default().u64(0).u8(1).point16(5, -6));
    cursor(&guest, data, |message| assert!(matches!(message, M::Move(m) if m.position == Point16::new(5, -6))));
    let data = guest.put(Pen::default().u64(0).u8(2));
    cursor(&guest, data, |message| assert!(matches!(message, M::Hide(_))));
    let data = guest.put(Pen::default().u64(0).u8(3).u16(7).u16(8));
    cursor(&guest, data, |message| assert!(matches!(message, M::Trail(t) if (t.length, t.frequency) == (7, 8))));
    let data = guest.put(Pen::default().u64(0).u8(4));
    assert_eq!(refused(&guest, &command(abi::CommandType::CURSOR, data)).at, "QXLCursorCmd.type");
}

#[test]
fn a_shape_has_the_bytes_that_its_size_takes() {
    // 9 × 4 pixels: masks have 2 bytes a row.
    for (kind, needed) in [(0, 144), (1, 16), (2, 20 + 64 + 8), (3, 36 + 1024 + 8), (4, 80), (5, 116), (6, 152)] {
        for (announced, there, at) in [
            (needed, needed, ""),
            (needed + 1, needed + 5, ""),
            (needed - 1, needed, "QXLCursor.data_size"),
            (needed, needed - 1, "QXLDataChunk.next_chunk"),
        ] {
            let mut guest = Guest::new();
            let at_shape = guest.put(shape(kind, 9, 4, announced).chunk(&std::vec![0; there as usize]));
            let data = guest.put(Pen::default().u64(0).u8(0).point16(0, 0).u8(1).u64(at_shape));
            let got =
                parsed(&guest, &command(abi::CommandType::CURSOR, data), |parsed| parsed.err().map_or("", |e| e.at));
            assert_eq!(got, at, "type {kind}, {announced} announced, {there} there, {needed} needed");
        }
    }
    for (kind, width, height, at) in [
        (7, 1, 1, "QXLCursorHeader.type"),
        (256, 1, 1, "QXLCursorHeader.type"),
        (0, 1025, 1, "QXLCursorHeader.width"),
        (0, 1, u16::MAX, "QXLCursorHeader.height"),
    ] {
        let mut guest = Guest::new();
        let at_shape = guest.put(shape(kind, width, height, 4).chunk(&[0; 4]));
        let data = guest.put(Pen::default().u64(0).u8(0).point16(0, 0).u8(1).u64(at_shape));
        assert_eq!(refused(&guest, &command(abi::CommandType::CURSOR, data)).at, at);
    }
}

fn surface_cmd(kind: u8, id: u32, height: u32, stride: i32, data: u64) -> Pen {
    let pen = Pen::default().u64(0).u32(id).u8(kind).u32(1);
    pen.u32(32).u32(4).u32(height).i32(stride).u64(data)
}

#[test]
fn surfaces_are_created_and_destroyed() {
    let mut guest = Guest::new();
    let memory = guest.put(Pen::default().bytes(&[0; 64]));
    let create = guest.put(surface_cmd(0, 5, 4, -16, memory));
    parsed(&guest, &command(abi::CommandType::SURFACE, create), |parsed| {
        let surface = Surface { format: SurfaceFormat::XRGB32, width: 4, height: 4, stride: -16 };
        let expected = SurfaceCommand::Create { id: 5, surface, data: memory, keep_data: true };
        assert_eq!(parsed, Ok(Parsed::Surface(expected)));
    });
    let destroy = guest.put(surface_cmd(1, 3, 0, 0, 0));
    parsed(&guest, &command(abi::CommandType::SURFACE, destroy), |parsed| {
        assert_eq!(parsed, Ok(Parsed::Surface(SurfaceCommand::Destroy { id: 3 })));
    });
    for (pen, at, kind) in [
        (surface_cmd(0, 3, 4, 16, memory), "QXLSurfaceCmd.surface_id", Kind::SurfaceInUse { id: 3 }),
        (surface_cmd(0, 16, 4, 16, memory), "QXLSurfaceCmd.surface_id", Kind::NoSurface { id: 16 }),
        (surface_cmd(1, 5, 4, 16, memory), "QXLSurfaceCmd.surface_id", Kind::NoSurface { id: 5 }),
        (surface_cmd(2, 5, 4, 16, memory), "QXLSurfaceCmd.type", Kind::Value { value: 2 }),
        (surface_cmd(0, 5, 4, 1 << 20, memory), "QXLSurface.data", Kind::Range { address: memory, len: 4 << 20 }),
    ] {
        let data = guest.put(pen);
        let error = refused(&guest, &command(abi::CommandType::SURFACE, data));
        assert_eq!((error.at, error.kind), (at, kind));
    }
}

#[test]
fn an_update_names_a_part_of_a_surface() {
    let mut guest = Guest::new();
    let update = |area, id| Pen::default().u64(0).rect(area).u32(77).u32(id);
    let data = guest.put(update([0, 0, 8, 8], 3));
    parsed(&guest, &command(abi::CommandType::UPDATE, data), |parsed| {
        assert_eq!(parsed, Ok(Parsed::Update { surface_id: 3, area: Rect::new(0, 0, 8, 8), update_id: 77 }));
    });
    let compat = Command { flags: CommandFlags::COMPAT, ..command(abi::CommandType::UPDATE, data) };
    parsed(&guest, &compat, |parsed| {
        assert_eq!(parsed, Ok(Parsed::Update { surface_id: 0, area: Rect::new(0, 0, 8, 8), update_id: 77 }));
    });
    let data = guest.put(update([0, 0, 9, 8], 3));
    assert_eq!(refused(&guest, &command(abi::CommandType::UPDATE, data)).at, "QXLUpdateCmd.area");
}

#[test]
#[cfg_attr(miri, ignore = "copies 100 000 bytes, one by one")]
fn a_text_is_printable_and_ends() {
    let mut guest = Guest::new();
    let data = guest.put(Pen::default().u64(0).bytes(b"driver\n\xff 1\0behind"));
    parsed(&guest, &command(abi::CommandType::MESSAGE, data), |parsed| {
        assert_eq!(parsed, Ok(Parsed::Message("driver?? 1")));
    });
    let data = guest.put(Pen::default().u64(0).bytes(b"to the end of the slot"));
    parsed(&guest, &command(abi::CommandType::MESSAGE, data), |parsed| {
        assert_eq!(parsed, Ok(Parsed::Message("to the end of the slot")));
    });
    let data = guest.put(Pen::default().u64(0).bytes(&[b'a'; 200_000]));
    parsed(&guest, &command(abi::CommandType::MESSAGE, data), |parsed| {
        assert!(matches!(parsed, Ok(Parsed::Message(text)) if text.len() == 100_000));
    });
}

#[test]
fn a_quic_image_s_chunk_is_a_part_of_it() {
    let mut guest = Guest::new();
    let quic = |size: u32| Pen::default().u64(1).u8(1).u8(0).u32(4).u32(2).u32(size).chunk(&[9; 5]);
    let copy = |image| Pen::default().u64(image).rect([0, 0, 2, 4]).u16(8).u8(0).no_mask();
    let image = guest.put(quic(5));
    let data = guest.drawable(3, copy(image));
    parsed(&guest, &command(abi::CommandType::DRAW, data), |parsed| {
        let Ok(Parsed::Draw(drawable)) = parsed else { panic!("{parsed:?}") };
        let crate::proto::display::ServerMessage::DrawCopy(d) = drawable.message else { panic!("{drawable:?}") };
        assert!(matches!(d.src.0.unwrap().body, ImageBody::Quic(data) if data.0.bytes() == [9; 5]));
    });
    for size in [4, 6] {
        let image = guest.put(quic(size));
        let data = guest.drawable(3, copy(image));
        let error = refused(&guest, &command(abi::CommandType::DRAW, data));
        assert_eq!(error.kind, Kind::Length { said: size.into(), got: 5 });
    }
}

#[test]
fn monitors_are_copied_by_their_number() {
    let mut guest = Guest::new();
    let head = |id: u32| Pen::default().u32(id).u32(0).u32(640).u32(480).bytes(&[0; 12]).0;
    let config = guest.put(Pen::default().u16(2).u16(4).bytes(&head(0)).bytes(&head(1)));
    let (slots, lent) = (slots(guest.bytes.len()), guest.lent());
    let view = View::new(&lent, &slots, GROUP);
    let read = MonitorsConfig::copy(view, config, 16).unwrap();
    assert_eq!((read.max_allowed(), read.heads().len()), (4, 2));
    let error = MonitorsConfig::copy(view, config + 1, 16).unwrap_err();
    assert_eq!(error.at, "QXLMonitorsConfig.count", "{error}");
    let beyond = MonitorsConfig::copy(view, config + 28, 16).unwrap_err();
    assert!(matches!(beyond.kind, Kind::Range { .. } | Kind::Decode(_)), "{beyond}");
}
