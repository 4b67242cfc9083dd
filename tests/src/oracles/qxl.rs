//! What a QXL guest wrote into its memory, and writes meanwhile.

use std::cell::Cell;

use sumac_core::proto::display::SurfaceFormat;
use sumac_core::qxl::abi::CommandType;
use sumac_core::qxl::{
    Command, CommandFlags, GuestMemory, Lent, MemSlots, Parsed, QxlErrorKind, Slot, SlotLayout, Surface,
    SurfaceCommand, Surfaces, parse,
};

use super::input::Input;

/// The host's address of the guest's first byte.
const BASE: u64 = 1 << 46;
/// Room for copies to begin with, and the most that is lent.
const ROOM: usize = 256;
const MOST: usize = 1 << 20;

/// Input: a byte for the kind of command, one for its flags, the `u16` address of what it leads to,
/// and a byte that says after how many copies the guest writes; then its memory.
pub(super) fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let kind = CommandType((input.byte() % 7).into());
    let flags = CommandFlags::from_bits_retain(u32::from(input.byte() & 3));
    let command = Command { data: input.u16().into(), kind, group: 0, flags };
    let patience = u32::from(input.byte());
    let memory = Lent { base: BASE, bytes: input.rest() };
    let slots = slots(memory.bytes.len());
    let surfaces = surfaces();
    let said = parsed(&memory, &slots, &surfaces, &command);
    assert_eq!(said, parsed(&memory, &slots, &surfaces, &command), "the same bytes mean the same");
    let racing = Racing { memory, copies: Cell::new(0), patience };
    // Whatever it comes to.
    parsed(&racing, &slots, &surfaces, &command);
}

/// Parses with as much room as it takes; what it came to.
fn parsed(memory: &impl GuestMemory, slots: &MemSlots, surfaces: &Surfaces, command: &Command) -> String {
    let mut len = ROOM;
    loop {
        let mut room = vec![0; len];
        let parsed = parse(memory, slots, surfaces, command, &mut room);
        match &parsed {
            Ok(Parsed::Draw(drawable)) => {
                let inside = |(id, area)| surfaces.check_area(id, area).is_ok();
                assert!(drawable.depends.into_iter().flatten().all(inside), "{drawable:?}");
                let message = drawable.message;
                assert!(matches!(message.id(), 104 | 302..=318), "{message:?}");
            }
            Ok(Parsed::Update { surface_id, area, .. }) => assert!(surfaces.check_area(*surface_id, *area).is_ok()),
            Ok(Parsed::Surface(SurfaceCommand::Create { id, data, surface, .. })) => {
                assert!(surfaces.get(*id).is_err(), "it is free");
                assert!(slots.locate(0, *data, surface.bytes()).is_ok(), "its pixels are the guest's");
            }
            Ok(Parsed::Surface(SurfaceCommand::Destroy { id })) => assert!(surfaces.get(*id).is_ok()),
            Ok(Parsed::Message(text)) => assert!(text.bytes().all(|byte| matches!(byte, b' '..=b'~'))),
            Err(error) => {
                if let QxlErrorKind::NoRoom { needed, left } = error.kind {
                    assert!(needed > left);
                    let more = len.saturating_add(needed - left);
                    if more <= MOST {
                        len = more;
                        continue;
                    }
                }
            }
            Ok(_) => {}
        }
        return format!("{parsed:?}");
    }
}

/// A guest that changes all it has once so many copies were made.
struct Racing<'m> {
    memory: Lent<'m>,
    copies: Cell<u32>,
    patience: u32,
}

impl GuestMemory for Racing<'_> {
    fn copy(&self, address: u64, into: &mut [u8]) -> bool {
        self.copies.set(self.copies.get() + 1);
        let copied = self.memory.copy(address, into);
        if self.copies.get() > self.patience {
            into.iter_mut().for_each(|byte| *byte = byte.wrapping_add(1).rotate_left(3));
        }
        copied
    }
}

fn slots(len: usize) -> MemSlots {
    let layout = SlotLayout { groups: 1, slots: 1, id_bits: 0, generation_bits: 0 };
    let end = BASE.saturating_add(u64::try_from(len).unwrap_or(u64::MAX));
    let slots = MemSlots::new(layout).and_then(|mut slots| {
        slots.add(0, 0, Slot { generation: 0, start: BASE, end, delta: BASE })?;
        Ok(slots)
    });
    match slots {
        Ok(slots) => slots,
        Err(error) => unreachable!("no slots: {error}"),
    }
}

fn surfaces() -> Surfaces {
    let mut surfaces = Surfaces::new(8);
    for (id, side) in [(0, 64), (3, 8)] {
        if let Ok(surface) = Surface::new(SurfaceFormat::XRGB32, side, side, 4 * side.cast_signed()) {
            assert!(surfaces.create(id, surface).is_ok());
        }
    }
    surfaces
}
