//! What a guest must not achieve.

use core::cell::Cell;

use std::vec::Vec;

use super::*;
use crate::qxl::monitors_config::MonitorsConfig;
use crate::qxl::{QxlErrorKind as Kind, View};
use crate::wire::Sampler;

/// A copy with the whole of the box as its source.
fn copy(image: u64) -> Pen {
    Pen::default().u64(image).rect([0, 0, 2, 4]).u16(8).u8(0).no_mask()
}

fn bad_bitmap(format: u8, flags: u8, stride: u32, palette: u64, data: u64) -> QxlError {
    let mut guest = Guest::new();
    guest.put(Pen::default().bytes(&[0; 64]));
    let image = guest.bitmap(format, flags, stride, palette, data);
    let data = guest.drawable(3, copy(image));
    refused(&guest, &command(abi::CommandType::DRAW, data))
}

#[test]
fn cve_2010_0428_every_address_is_checked() {
    // A guest whose every address leads out of its slots, one after another.
    let (guest, commands) = everything();
    let addresses: Vec<usize> = (0..guest.bytes.len() - 8)
        .filter(|&at| {
            let word = u64::from_le_bytes(guest.bytes[at..at + 8].try_into().unwrap());
            word & SLOT == SLOT && word >> 48 == SLOT >> 48 && (word & 0xffff_ffff_ffff) < guest.bytes.len() as u64
        })
        .collect();
    assert!(addresses.len() > 20, "{}", addresses.len());
    let wild = [u64::MAX, SLOT | 0x7fff_ffff_ff00, SLOT | guest.bytes.len() as u64, 2 << 56, 1 << 56];
    // Miri looks at some of them.
    let (step, wild) = if cfg!(miri) { (13, &wild[..1]) } else { (1, &wild[..]) };
    for at in addresses.into_iter().step_by(step) {
        for wild in wild {
            let mut bytes = guest.bytes.clone();
            bytes[at..at + 8].copy_from_slice(&wild.to_le_bytes());
            let wild = Guest { bytes };
            let refused = commands.iter().any(|c| parsed(&wild, c, |parsed| parsed.is_err()));
            assert!(refused, "byte {at}");
        }
    }
}

#[test]
fn cve_2010_0429_a_command_outside_of_its_slot_is_refused() {
    let guest = Guest::new();
    for kind in 1..6 {
        let kind = abi::CommandType(kind);
        for data in [0, SLOT | 1 << 40, u64::MAX] {
            assert!(parsed(&guest, &command(kind, data), |parsed| parsed.is_err()), "{kind:?} {data:#x}");
        }
        // Miri lends less room than a message wants, which is found first.
        if cfg!(miri) && kind == abi::CommandType::MESSAGE {
            continue;
        }
        let other = Command { group: 2, ..command(kind, SLOT) };
        assert_eq!(refused(&guest, &other).kind, Kind::Group { group: 2, groups: 2 });
    }
    assert_eq!(refused(&guest, &command(abi::CommandType(6), SLOT)).kind, Kind::Value { value: 6 });
}

/// Memory whose first bytes change with each look.
struct Racing<'m> {
    memory: Lent<'m>,
    at: usize,
    values: &'m [u8],
    looks: Cell<usize>,
}

impl GuestMemory for Racing<'_> {
    fn copy(&self, address: u64, into: &mut [u8]) -> bool {
        let there = self.memory.copy(address, into);
        let at = (self.memory.base + self.at as u64).checked_sub(address);
        if let Some(byte) = at.and_then(|at| into.get_mut(at as usize)) {
            *byte = self.values[self.looks.get() % self.values.len()];
            self.looks.set(self.looks.get() + 1);
        }
        there
    }
}

#[test]
fn cve_2015_3247_a_count_that_changes_between_looks_is_found() {
    let mut guest = Guest::new();
    let config = guest.put(Pen::default().u16(1).u16(4).bytes(&[1; 64 * 28]));
    let (slots, at) = (slots(guest.bytes.len()), (config & 0xffff) as usize);
    for values in [[1, 3], [3, 1]] {
        let memory = Racing { memory: guest.lent(), at, values: &values, looks: Cell::new(0) };
        let error = MonitorsConfig::copy(View::new(&memory, &slots, GROUP), config, 16).unwrap_err();
        assert!(matches!(error.kind, Kind::Decode(_)), "{error}");
        assert_eq!(memory.looks.get(), 2);
    }
}

#[test]
fn cve_2015_3247_what_is_parsed_is_looked_at_once() {
    let (guest, commands) = everything();
    let len = guest.bytes.len();
    for c in &commands {
        for at in (0..len).step_by(if cfg!(miri) { 199 } else { 1 }) {
            let memory = Racing { memory: guest.lent(), at, values: &[0, 255, 1, 254], looks: Cell::new(0) };
            let _ = parsed_in(&memory, len, c, |parsed| parsed.is_ok());
            // Images that several things draw are looked at by each of them.
            assert!(memory.looks.get() <= 3, "byte {at} for {c:?}: {} looks", memory.looks.get());
        }
    }
}

#[test]
fn cve_2015_5260_surfaces_that_do_not_exist_are_not_drawn_on() {
    let mut guest = Guest::new();
    let union = Pen::default().solid(1).u16(8).no_mask();
    let at = (guest.drawable(1, union) & 0xffff) as usize;
    for id in [1, 16, 1024, u32::MAX] {
        guest.bytes[at + 8..at + 12].copy_from_slice(&id.to_le_bytes());
        let error = refused(&guest, &command(abi::CommandType::DRAW, SLOT | at as u64));
        assert_eq!((error.at, error.kind), ("QXLDrawable.surface_id", Kind::NoSurface { id }));
    }
    guest.bytes[at + 8..at + 12].copy_from_slice(&0u32.to_le_bytes());
    for id in [1i32, 16, -2, i32::MIN, i32::MAX] {
        guest.bytes[at + 67..at + 71].copy_from_slice(&id.to_le_bytes());
        let error = refused(&guest, &command(abi::CommandType::DRAW, SLOT | at as u64));
        assert_eq!(error.at, "QXLDrawable.surfaces_dest", "{id}: {error}");
    }
    guest.bytes[at + 67..at + 71].copy_from_slice(&3i32.to_le_bytes());
    guest.bytes[at + 91 + 8..at + 91 + 12].copy_from_slice(&9i32.to_le_bytes());
    let error = refused(&guest, &command(abi::CommandType::DRAW, SLOT | at as u64));
    assert_eq!(error.at, "QXLDrawable.surfaces_dest", "a part that is not inside: {error}");
    let image = guest.put(Pen::default().u64(78).u8(104).u8(0).u32(1).u32(1).u32(4));
    let data = guest.drawable(3, copy(image));
    let error = refused(&guest, &command(abi::CommandType::DRAW, data));
    assert_eq!((error.at, error.kind), ("QXLSurfaceId", Kind::NoSurface { id: 4 }));
}

#[test]
fn cve_2015_5261_bitmaps_whose_sizes_overflow_are_refused() {
    let rows = SLOT | 16;
    assert_eq!(bad_bitmap(8, 1, 15, 0, rows).at, "QXLBitmap.stride");
    for stride in [u32::MAX, 1 << 31, 1 << 29] {
        assert_eq!(bad_bitmap(8, 1, stride, 0, rows).at, "QXLImage", "{stride}");
        assert_eq!(bad_bitmap(8, 0, stride, 0, rows).at, "QXLImage", "{stride}");
    }
    for (x, y) in [(u32::MAX, 1u32), (1 << 30, 4), (0, 2), (4, 0)] {
        let mut guest = Guest::new();
        let rows = guest.put(Pen::default().bytes(&[0; 64]));
        let image = guest.bitmap(8, 1, 16, 0, rows);
        let at = (image & 0xffff) as usize;
        guest.bytes[at + 20..at + 24].copy_from_slice(&x.to_le_bytes());
        guest.bytes[at + 24..at + 28].copy_from_slice(&y.to_le_bytes());
        let data = guest.drawable(3, copy(image));
        assert!(refused(&guest, &command(abi::CommandType::DRAW, data)).at.starts_with("QXLBitmap"), "{x} {y}");
    }
}

#[test]
fn cve_2016_2150_a_primary_surface_lies_in_its_slot() {
    let surface = Surface::new(SurfaceFormat::XRGB32, 64, 48, -256).unwrap();
    let slots = slots(64 * 48 * 4);
    assert_eq!(slots.locate(GROUP, SLOT, surface.bytes()), Ok(BASE));
    assert!(slots.locate(GROUP, SLOT | 1, surface.bytes()).is_err());
    let larger = Surface::new(SurfaceFormat::XRGB32, 64, 49, 256).unwrap();
    assert!(slots.locate(GROUP, SLOT, larger.bytes()).is_err());
}

#[test]
fn cve_2020_14355_nothing_is_decoded_while_it_is_parsed() {
    // Any bytes are a QUIC image here; the decoder has its own tests.
    let mut guest = Guest::new();
    let image = guest.put(Pen::default().u64(1).u8(1).u8(0).u32(u32::MAX).u32(u32::MAX).u32(3).chunk(&[0xff; 3]));
    let data = guest.drawable(3, copy(image));
    parsed(&guest, &command(abi::CommandType::DRAW, data), |parsed| assert!(parsed.is_ok(), "{parsed:?}"));
}

#[test]
fn images_are_of_a_known_kind_with_a_palette_where_they_need_one() {
    let rows = SLOT | 16;
    for format in [0, 11, 255] {
        let error = bad_bitmap(format, 1, 16, 0, rows);
        assert_eq!((error.at, error.kind), ("QXLBitmap.format", Kind::Value { value: format.into() }));
    }
    for format in 1..6 {
        let error = bad_bitmap(format, 1, 16, 0, rows);
        assert_eq!((error.at, error.kind), ("QXLBitmap.palette", Kind::Missing));
    }
    let mut guest = Guest::new();
    let palette = guest.put(Pen::default().u64(1).u16(17).bytes(&[0; 80]));
    let image = guest.bitmap(3, 1, 2, palette, rows);
    let data = guest.drawable(3, copy(image));
    let error = refused(&guest, &command(abi::CommandType::DRAW, data));
    assert_eq!((error.at, error.kind), ("QXLPalette.num_ents", Kind::TooMany { count: 17, max: 16 }));
    for kind in [2, 100, 101, 102, 103, 105, 255] {
        let image = guest.put(Pen::default().u64(77).u8(kind).u8(0).u32(4).u32(2).bytes(&[0; 30]));
        let data = guest.drawable(3, copy(image));
        let error = refused(&guest, &command(abi::CommandType::DRAW, data));
        assert_eq!((error.at, error.kind), ("QXLImageDescriptor.type", Kind::Value { value: kind.into() }));
    }
}

#[test]
fn a_box_and_what_is_drawn_in_it_are_inside() {
    let union = Pen::default().solid(1).u16(8).no_mask();
    for bbox in [[0, 0, 49, 64], [0, 0, 48, 65], [-1, 0, 4, 4], [0, -1, 4, 4], [5, 0, 4, 4], [0, 5, 4, 4]] {
        let mut guest = Guest::new();
        let data = guest.drawable_with(1, 0, bbox, Pen::default().u32(0).u64(0), union.clone());
        assert_eq!(refused(&guest, &command(abi::CommandType::DRAW, data)).at, "QXLDrawable.bbox", "{bbox:?}");
    }
    for area in [[0, 0, 3, 4], [0, 0, 2, 5], [-1, 0, 2, 4], [0, 3, 2, 2], [i32::MIN, 0, i32::MAX, 4]] {
        let mut guest = Guest::new();
        let image = guest.image();
        let data = guest.drawable(3, Pen::default().u64(image).rect(area).u16(8).u8(0).no_mask());
        assert_eq!(refused(&guest, &command(abi::CommandType::DRAW, data)).at, "src_area", "{area:?}");
    }
}

#[test]
fn a_mask_is_a_bitmap_of_one_bit() {
    let mut guest = Guest::new();
    let (image, surface) = (guest.image(), guest.put(Pen::default().u64(1).u8(104).u8(0).u32(1).u32(1).u32(3)));
    for mask in [image, surface] {
        let data = guest.drawable(6, Pen::default().mask(mask));
        assert_eq!(refused(&guest, &command(abi::CommandType::DRAW, data)).at, "QXLQMask.bitmap");
    }
}

#[test]
#[cfg_attr(miri, ignore = "walks 65 536 chunks")]
fn a_chain_that_leads_in_a_circle_ends() {
    let mut guest = Guest::new();
    let here = SLOT | guest.bytes.len() as u64;
    for (size, kind) in [(0u32, "QXLDataChunk.next_chunk"), (8, "QXLDataChunk.data_size")] {
        let here = here + if size == 0 { 0 } else { 28 };
        assert_eq!(guest.put(Pen::default().u32(size).u64(0).u64(here).bytes(&[0; 8])), here);
        let image = Pen::default().u64(77).u8(0).u8(1).u32(4).u32(2);
        let image = image.u8(8).u8(0).u32(4).u32(2).u32(16).u64(0).u64(here);
        let mut guest = Guest { bytes: guest.bytes.clone() };
        let image = guest.put(image);
        let data = guest.drawable(3, copy(image));
        assert_eq!(refused(&guest, &command(abi::CommandType::DRAW, data)).at, kind);
    }
}

#[test]
fn segments_and_glyphs_end_with_their_bytes() {
    let path = |segments: &[u8]| {
        let mut guest = Guest::new();
        let path = guest.put(Pen::default().u32(segments.len() as u32).chunk(segments));
        let data = guest.drawable(10, Pen::default().u64(path).bytes(&[0; 20]).solid(1).u16(8).u16(8));
        refused(&guest, &command(abi::CommandType::DRAW, data)).at
    };
    assert_eq!(path(&Pen::default().u32(1).u32(2).point(1, 2).0), "QXLPathSeg.count");
    assert_eq!(path(&Pen::default().u32(1).u32(u32::MAX).0), "QXLPathSeg.count");
    assert_eq!(path(&Pen::default().u32(256).u32(0).0), "QXLPathSeg.flags");
    assert_eq!(path(&[0; 7]), "PathSeg.count");
    let text = |length: u16, flags: u16, glyphs: &[u8]| {
        let mut guest = Guest::new();
        let string = guest.put(Pen::default().u32(glyphs.len() as u32).u16(length).u16(flags).chunk(glyphs));
        let pen = Pen::default().u64(string).rect([0; 4]).no_brush().no_brush().u16(8).u16(8);
        let data = guest.drawable(11, pen);
        refused(&guest, &command(abi::CommandType::DRAW, data)).at
    };
    let glyph = Pen::default().point(0, 0).point(0, 0).u16(8).u16(2).bytes(&[0; 2]).0;
    assert_eq!(text(2, 1, &glyph), "QXLString.data");
    assert_eq!(text(1, 2, &glyph), "QXLString.data", "of more bits");
    assert_eq!(text(0, 1, &glyph), "QXLString.data_size", "of which some are no glyph");
    assert_eq!(text(1, 8, &glyph), "QXLString.flags");
    assert_eq!(text(1, 0x101, &glyph), "QXLString.flags");
}

#[test]
fn too_little_room_is_said_and_more_of_it_does() {
    let (guest, commands) = everything();
    let (slots, surfaces) = (slots(guest.bytes.len()), surfaces());
    for c in &commands {
        let mut room = Vec::new();
        for round in 0.. {
            match parse(&guest.lent(), &slots, &surfaces, c, &mut room).map_err(|e| e.kind) {
                Ok(_) => break,
                Err(Kind::NoRoom { needed, left }) => {
                    assert!(needed > left && round < 20);
                    room.resize(room.len() + needed - left, 0);
                }
                Err(other) => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn no_bytes_make_the_parser_panic() {
    let (guest, commands) = everything();
    let mut s = Sampler::new(7);
    for _ in 0..if cfg!(miri) { 20 } else { 20_000 } {
        let mut bytes = guest.bytes.clone();
        for _ in 0..=s.below(3) {
            let at = s.below(bytes.len());
            bytes[at] = s.below(256) as u8;
        }
        let guest = Guest { bytes };
        let mut c = commands[s.below(commands.len())];
        c.flags = CommandFlags::from_bits_retain(s.below(4) as u32);
        if s.below(4) == 0 {
            c.kind = abi::CommandType(s.below(7) as u32);
        }
        let _ = parsed(&guest, &c, |parsed| parsed.is_ok());
    }
}

/// A guest with a drawing of each kind, and the commands for them.
fn everything() -> (Guest, Vec<Command>) {
    let mut guest = Guest::new();
    let (image, bits) = (guest.image(), guest.bits());
    let palette = guest.put(Pen::default().u64(5).u16(3).u32(0x11).u32(0x22).u32(0x33));
    let rows = guest.put(Pen::default().chunk(&[0x12, 0x21, 0x12, 0x21]));
    let colors = guest.bitmap(4, 0, 2, palette, rows);
    let style = guest.put(Pen::default().i32(32).i32(16));
    let second = guest.put(Pen::default().chunk(&Pen::default().point(1, 2).point(3, 4).0));
    let path = guest.put(Pen::default().u32(24).u32(8).u64(0).u64(second).u32(1).u32(2));
    let glyph = Pen::default().point(1, 2).point(3, 4).u16(8).u16(2).bytes(&[7; 2]).0;
    let string = guest.put(Pen::default().u32(glyph.len() as u32).u16(1).u16(1).chunk(&glyph));
    let matrix = guest.put((1..7).fold(Pen::default(), Pen::u32));
    let rects = guest.put(Pen::default().u32(1).u32(16).u64(0).u64(0).rect([1, 2, 3, 4]));
    let area = [0, 0, 2, 4];
    let source = |image| Pen::default().u64(image).rect(area);
    let line = Pen::default().u8(8).u8(0).u8(0).u8(2).i32(0).i32(0).u64(style).0;
    let unions = [
        (1, Pen::default().solid(1).u16(8).mask(bits)),
        (2, source(image).pattern(colors, 0, 0).u16(8).u8(0).mask(bits)),
        (3, source(colors).u16(8).u8(0).no_mask()),
        (4, Pen::default().point(0, 0)),
        (5, source(image).u16(8).u8(0).mask(bits)),
        (6, Pen::default().mask(bits)),
        (9, source(image).solid(1).u8(3).u8(0).no_mask()),
        (10, Pen::default().u64(path).bytes(&line).solid(1).u16(8).u16(8)),
        (11, Pen::default().u64(string).rect(area).solid(1).no_brush().u16(8).u16(8)),
        (12, source(image).u32(1).u32(2)),
        (13, Pen::default().u16(0).u8(9).u64(image).rect(area)),
        (14, Pen::default().u32(3).u64(image).u64(matrix).u64(image).u64(matrix).point16(0, 0).point16(0, 0)),
    ];
    let mut commands = Vec::new();
    for (kind, union) in unions {
        let clip = Pen::default().u32(1).u64(rects);
        let data = guest.drawable_with(kind, 0, [0, 0, 2, 4], clip, union);
        commands.push(command(abi::CommandType::DRAW, data));
    }
    let shape = guest.put(Pen::default().u64(6).u16(0).u16(2).u16(2).u16(0).u16(0).u32(16).chunk(&[1; 16]));
    let cursor = guest.put(Pen::default().u64(0).u8(0).point16(0, 0).u8(1).u64(shape));
    commands.push(command(abi::CommandType::CURSOR, cursor));
    let surface = guest.put(Pen::default().u64(0).u32(5).u8(0).u32(0).u32(32).u32(2).u32(2).i32(8).u64(image));
    commands.push(command(abi::CommandType::SURFACE, surface));
    let update = guest.put(Pen::default().u64(0).rect([0, 0, 8, 8]).u32(77).u32(3));
    commands.push(command(abi::CommandType::UPDATE, update));
    for c in &commands {
        parsed(&guest, c, |parsed| assert!(parsed.is_ok(), "{c:?}: {parsed:?}"));
    }
    (guest, commands)
}
