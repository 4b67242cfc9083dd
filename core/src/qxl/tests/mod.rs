//! Commands written by hand, as the device's C header lays them out.

mod drawables;
mod hostile;
mod others;

use std::vec::Vec;

use super::{
    Command, CommandFlags, GuestMemory, Lent, MemSlots, Parsed, QxlError, Slot, SlotLayout, Surface, Surfaces, abi,
    parse,
};
use crate::proto::display::SurfaceFormat;

/// The host's address of the guest's first byte.
const BASE: u64 = 0x7000_0000_0000;
/// Slot and generation of its addresses.
const SLOT: u64 = 1 << 56 | 5 << 48;
const GROUP: u32 = 1;

/// A guest's memory, written from front to back.
struct Guest {
    bytes: Vec<u8>,
}

/// Bytes of a structure.
#[derive(Clone, Default)]
struct Pen(Vec<u8>);

impl Pen {
    fn u8(mut self, n: u8) -> Self {
        self.0.push(n);
        self
    }
    fn u16(mut self, n: u16) -> Self {
        self.0.extend(n.to_le_bytes());
        self
    }
    fn u32(mut self, n: u32) -> Self {
        self.0.extend(n.to_le_bytes());
        self
    }
    fn i32(self, n: i32) -> Self {
        self.u32(n as u32)
    }
    fn u64(mut self, n: u64) -> Self {
        self.0.extend(n.to_le_bytes());
        self
    }
    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }
    /// top, left, bottom, right
    fn rect(self, rect: [i32; 4]) -> Self {
        rect.into_iter().fold(self, Self::i32)
    }
    fn point(self, x: i32, y: i32) -> Self {
        self.i32(x).i32(y)
    }
    fn point16(self, x: i16, y: i16) -> Self {
        self.u16(x as u16).u16(y as u16)
    }
    /// A chunk that is the last one.
    fn chunk(self, bytes: &[u8]) -> Self {
        self.u32(bytes.len() as u32).u64(0).u64(0).bytes(bytes)
    }
    fn solid(self, color: u32) -> Self {
        self.u32(1).u32(color).bytes(&[0; 12])
    }
    fn pattern(self, image: u64, x: i32, y: i32) -> Self {
        self.u32(2).u64(image).point(x, y)
    }
    fn no_brush(self) -> Self {
        self.bytes(&[0; 20])
    }
    fn no_mask(self) -> Self {
        self.bytes(&[0; 17])
    }
    fn mask(self, image: u64) -> Self {
        self.u8(1).point(3, 4).u64(image)
    }
}

impl Guest {
    fn new() -> Self {
        // Nothing lies at address 0.
        Self { bytes: std::vec![0xee; 16] }
    }

    /// Its address.
    fn put(&mut self, pen: Pen) -> u64 {
        let at = self.bytes.len() as u64;
        self.bytes.extend(pen.0);
        SLOT | at
    }

    fn lent(&self) -> Lent<'_> {
        Lent { base: BASE, bytes: &self.bytes }
    }

    /// A 4 × 2 image of 32 bits a pixel, its rows at an address of their own.
    fn image(&mut self) -> u64 {
        let rows = self.put(Pen::default().bytes(&[0x5a; 32]));
        self.bitmap(8, 1 | 4, 16, 0, rows)
    }

    /// A 4 × 2 image.
    fn bitmap(&mut self, format: u8, flags: u8, stride: u32, palette: u64, data: u64) -> u64 {
        let pen = Pen::default().u64(77).u8(0).u8(1).u32(4).u32(2);
        self.put(pen.u8(format).u8(flags).u32(4).u32(2).u32(stride).u64(palette).u64(data))
    }

    /// A 4 × 2 image of one bit a pixel.
    fn bits(&mut self) -> u64 {
        let rows = self.put(Pen::default().chunk(&[0xa0, 0x50]));
        self.bitmap(2, 0, 1, 0, rows)
    }

    /// A drawable on surface 0 in the box 10 to 14, 20 to 22, its union behind it.
    fn drawable(&mut self, kind: u8, union: Pen) -> u64 {
        self.drawable_with(kind, 0, [20, 10, 22, 14], Pen::default().u32(0).u64(0), union)
    }

    fn drawable_with(&mut self, kind: u8, own: u8, bbox: [i32; 4], clip: Pen, union: Pen) -> u64 {
        let pen = Pen::default().u64(9).u32(0).u8(1).u8(kind).u8(own).rect([0, 0, 2, 4]).rect(bbox);
        let pen = pen.bytes(&clip.0).u32(1234).i32(-1).i32(-1).i32(-1).bytes(&[0; 48]);
        assert_eq!(pen.0.len(), 123);
        self.put(pen.bytes(&union.0))
    }
}

fn slots(len: usize) -> MemSlots {
    let mut slots = MemSlots::new(SlotLayout { groups: 2, slots: 8, id_bits: 8, generation_bits: 8 }).unwrap();
    slots.add(GROUP, 1, Slot { generation: 5, start: BASE, end: BASE + len as u64, delta: BASE }).unwrap();
    slots
}

/// Surface 0 of 64 × 48 pixels, surface 3 of 8 × 8.
fn surfaces() -> Surfaces {
    let mut surfaces = Surfaces::new(16);
    surfaces.create(0, Surface::new(SurfaceFormat::XRGB32, 64, 48, 256).unwrap()).unwrap();
    surfaces.create(3, Surface::new(SurfaceFormat::A8, 8, 8, 8).unwrap()).unwrap();
    surfaces
}

fn command(kind: abi::CommandType, data: u64) -> Command {
    Command { data, kind, group: GROUP, flags: CommandFlags::empty() }
}

/// Parses a command of this guest, and hands over what came out.
fn parsed<R>(guest: &Guest, command: &Command, look: impl FnOnce(Result<Parsed<'_>, QxlError>) -> R) -> R {
    parsed_in(&guest.lent(), guest.bytes.len(), command, look)
}

fn parsed_in<R>(
    memory: &impl GuestMemory,
    len: usize,
    command: &Command,
    look: impl FnOnce(Result<Parsed<'_>, QxlError>) -> R,
) -> R {
    let mut room = std::vec![0; if cfg!(miri) { 1 << 13 } else { 1 << 18 }];
    look(parse(memory, &slots(len), &surfaces(), command, &mut room))
}

fn refused(guest: &Guest, command: &Command) -> QxlError {
    parsed(guest, command, |parsed| parsed.expect_err("it should not be in order"))
}
