//! Memory slots: which parts of the guest's memory its addresses may lead to.

use super::error::{QxlError, QxlErrorKind};
use crate::limits;
use crate::wire::to_usize;

/// How a QXLPHYSICAL is divided, and how many slots there can be: part of QXLDevInitInfo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotLayout {
    /// Groups of slots: 1 to [`limits::QXL_GROUPS`].
    pub groups: u32,
    /// Slots in each: 1 to [`limits::QXL_SLOTS`].
    pub slots: u32,
    /// Bits of an address, from the highest, that name the slot.
    pub id_bits: u8,
    /// Bits behind these that name the slot's generation.
    pub generation_bits: u8,
}

/// A part of memory that the guest's addresses may lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// What addresses must name: counts how often the guest set its slots up.
    pub generation: u32,
    /// Its first byte, as the host addresses it.
    pub start: u64,
    /// Behind its last byte.
    pub end: u64,
    /// What to add to the rest of an address, wrapping, for the host's address.
    pub delta: u64,
}

/// All slots of a device.
#[derive(Clone, Debug)]
pub struct MemSlots {
    layout: SlotLayout,
    slots: [[Option<Slot>; limits::QXL_SLOTS]; limits::QXL_GROUPS],
}

impl MemSlots {
    /// No slot yet.
    ///
    /// # Errors
    /// When the layout has no room, more than the limits, or bits beyond an address.
    pub fn new(layout: SlotLayout) -> Result<Self, QxlError> {
        let within = |count: u32, max: usize, at| match to_usize(count) {
            n if n >= 1 && n <= max => Ok(()),
            _ => Err(QxlError { at, kind: QxlErrorKind::TooMany { count: count.into(), max: to_u64(max) } }),
        };
        within(layout.groups, limits::QXL_GROUPS, "QXLDevInitInfo.num_memslots_groups")?;
        within(layout.slots, limits::QXL_SLOTS, "QXLDevInitInfo.num_memslots")?;
        let bits = u32::from(layout.id_bits).saturating_add(layout.generation_bits.into());
        if bits >= u64::BITS || layout.id_bits > 32 || layout.generation_bits > 32 {
            return Err(QxlError { at: "QXLDevInitInfo.memslot_id_bits", kind: QxlErrorKind::Value { value: bits } });
        }
        Ok(Self { layout, slots: [[None; limits::QXL_SLOTS]; limits::QXL_GROUPS] })
    }

    /// Sets up a slot, in place of one of that number.
    ///
    /// # Errors
    /// When there can be no such slot, or it ends before it starts.
    pub fn add(&mut self, group: u32, number: u32, slot: Slot) -> Result<(), QxlError> {
        if slot.start > slot.end {
            let kind = QxlErrorKind::Range { address: slot.start, len: slot.end };
            return Err(QxlError { at: "QXLDevMemSlot.virt_end", kind });
        }
        *self.place(group, number)? = Some(slot);
        Ok(())
    }

    /// Takes a slot away; addresses in it are errors from now on.
    ///
    /// # Errors
    /// When there can be no such slot.
    pub fn remove(&mut self, group: u32, number: u32) -> Result<(), QxlError> {
        *self.place(group, number)? = None;
        Ok(())
    }

    /// Takes all slots away.
    pub fn reset(&mut self) {
        self.slots = [[None; limits::QXL_SLOTS]; limits::QXL_GROUPS];
    }

    /// The host's address of `len` bytes at a guest's address.
    ///
    /// # Errors
    /// When group, slot or generation are not there, or the bytes do not all lie in the slot.
    pub fn locate(&self, group: u32, address: u64, len: u64) -> Result<u64, QxlError> {
        let SlotLayout { groups, slots, id_bits, generation_bits } = self.layout;
        let number = address.checked_shr(u64::BITS.saturating_sub(id_bits.into())).unwrap_or(0);
        let above = address.checked_shl(id_bits.into()).unwrap_or(0);
        let said = above.checked_shr(u64::BITS.saturating_sub(generation_bits.into())).unwrap_or(0);
        let (number, said) = (u32::try_from(number).unwrap_or(u32::MAX), u32::try_from(said).unwrap_or(u32::MAX));
        if group >= groups {
            return Err(QxlError::new(QxlErrorKind::Group { group, groups }));
        }
        let missing = QxlError::new(QxlErrorKind::Slot { slot: number, slots });
        if number >= slots {
            return Err(missing);
        }
        let slot = self.slots.get(to_usize(group)).and_then(|g| g.get(to_usize(number))).copied();
        let slot = slot.flatten().ok_or(missing)?;
        if slot.generation != said {
            return Err(QxlError::new(QxlErrorKind::Generation { said, now: slot.generation }));
        }
        let bits = u32::from(id_bits).saturating_add(generation_bits.into());
        let host = (address & u64::MAX.checked_shr(bits).unwrap_or(0)).wrapping_add(slot.delta);
        let end = host.checked_add(len);
        if host < slot.start || end.is_none_or(|end| end > slot.end) {
            return Err(QxlError::new(QxlErrorKind::Range { address, len }));
        }
        Ok(host)
    }

    fn place(&mut self, group: u32, number: u32) -> Result<&mut Option<Slot>, QxlError> {
        let SlotLayout { groups, slots, .. } = self.layout;
        if group >= groups {
            return Err(QxlError::new(QxlErrorKind::Group { group, groups }).at("QXLDevMemSlot.slot_group_id"));
        }
        let missing = QxlError::new(QxlErrorKind::Slot { slot: number, slots }).at("QXLDevMemSlot.slot_id");
        if number >= slots {
            return Err(missing);
        }
        self.slots.get_mut(to_usize(group)).and_then(|g| g.get_mut(to_usize(number))).ok_or(missing)
    }
}

/// A length as a `u64`.
pub(super) fn to_u64(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{MemSlots, Slot, SlotLayout};
    use crate::limits;
    use crate::qxl::QxlErrorKind as Kind;

    /// As QEMU divides addresses.
    const LAYOUT: SlotLayout = SlotLayout { groups: 2, slots: 8, id_bits: 8, generation_bits: 8 };

    fn slots() -> MemSlots {
        let mut slots = MemSlots::new(LAYOUT).unwrap();
        slots.add(1, 7, Slot { generation: 3, start: 0x1000, end: 0x2000, delta: 0x1000 }).unwrap();
        slots
    }

    fn address(slot: u64, generation: u64, rest: u64) -> u64 {
        slot << 56 | generation << 48 | rest
    }

    fn refused(slots: &MemSlots, group: u32, address: u64, len: u64) -> Kind {
        slots.locate(group, address, len).unwrap_err().kind
    }

    #[test]
    fn an_address_is_slot_generation_and_rest() {
        let slots = slots();
        assert_eq!(slots.locate(1, address(7, 3, 0), 0x1000), Ok(0x1000));
        assert_eq!(slots.locate(1, address(7, 3, 0xfff), 1), Ok(0x1fff));
        assert_eq!(slots.locate(1, address(7, 3, 0x1000), 0), Ok(0x2000));
    }

    #[test]
    fn cve_2010_0428_addresses_beyond_the_slot_are_refused() {
        let slots = slots();
        for (rest, len) in [(0, 0x1001), (0xfff, 2), (0x1000, 1), (0x8000_0000, 1), (1, u64::MAX)] {
            let address = address(7, 3, rest);
            assert_eq!(refused(&slots, 1, address, len), Kind::Range { address, len });
        }
    }

    #[test]
    fn an_end_that_wraps_is_no_end() {
        let mut slots = MemSlots::new(SlotLayout { groups: 1, slots: 1, id_bits: 0, generation_bits: 0 }).unwrap();
        slots.add(0, 0, Slot { generation: 0, start: 0x1000, end: u64::MAX, delta: 0 }).unwrap();
        assert_eq!(slots.locate(0, u64::MAX - 8, 8), Ok(u64::MAX - 8));
        let (address, len) = (u64::MAX - 8, 16);
        assert_eq!(refused(&slots, 0, address, len), Kind::Range { address, len });
        assert_eq!(refused(&slots, 0, 8, 16), Kind::Range { address: 8, len: 16 });
        let mut wraps = slots.clone();
        wraps.add(0, 0, Slot { generation: 0, start: 0x1000, end: 0x2000, delta: 0x1800 }).unwrap();
        assert_eq!(wraps.locate(0, u64::MAX - 0x7ff, 8), Ok(0x1000), "the sum wraps, as the device has it");
    }

    #[test]
    fn cve_2019_3813_the_number_of_slots_is_no_slot() {
        let slots = slots();
        assert_eq!(refused(&slots, 2, address(7, 3, 0), 1), Kind::Group { group: 2, groups: 2 });
        assert_eq!(refused(&slots, u32::MAX, 0, 1), Kind::Group { group: u32::MAX, groups: 2 });
        for slot in [8, 9, 255] {
            assert_eq!(refused(&slots, 1, address(slot, 3, 0), 1), Kind::Slot { slot: slot as u32, slots: 8 });
        }
        assert_eq!(refused(&slots, 0, address(7, 3, 0), 1), Kind::Slot { slot: 7, slots: 8 }, "of another group");
        let slot = Slot { generation: 0, start: 0, end: 1, delta: 0 };
        let mut slots = slots;
        assert_eq!(slots.add(2, 0, slot).unwrap_err().kind, Kind::Group { group: 2, groups: 2 });
        assert_eq!(slots.add(1, 8, slot).unwrap_err().kind, Kind::Slot { slot: 8, slots: 8 });
        assert_eq!(slots.remove(1, 8).unwrap_err().kind, Kind::Slot { slot: 8, slots: 8 });
    }

    #[test]
    fn an_address_of_an_earlier_generation_is_refused() {
        assert_eq!(refused(&slots(), 1, address(7, 2, 0), 1), Kind::Generation { said: 2, now: 3 });
    }

    #[test]
    fn a_slot_that_was_removed_is_gone() {
        let mut all = slots();
        all.remove(1, 7).unwrap();
        assert_eq!(refused(&all, 1, address(7, 3, 0), 1), Kind::Slot { slot: 7, slots: 8 });
        let mut all = slots();
        all.reset();
        assert_eq!(refused(&all, 1, address(7, 3, 0), 1), Kind::Slot { slot: 7, slots: 8 });
    }

    #[test]
    fn a_slot_that_ends_before_it_starts_is_refused() {
        let slot = Slot { generation: 0, start: 2, end: 1, delta: 0 };
        assert_eq!(slots().add(0, 0, slot).unwrap_err().kind, Kind::Range { address: 2, len: 1 });
    }

    #[test]
    fn layouts_beyond_the_limits_are_refused() {
        let over = |layout| MemSlots::new(layout).unwrap_err().kind;
        for groups in [0, limits::QXL_GROUPS as u32 + 1] {
            let max = limits::QXL_GROUPS as u64;
            assert_eq!(over(SlotLayout { groups, ..LAYOUT }), Kind::TooMany { count: groups.into(), max });
        }
        for slots in [0, limits::QXL_SLOTS as u32 + 1] {
            let max = limits::QXL_SLOTS as u64;
            assert_eq!(over(SlotLayout { slots, ..LAYOUT }), Kind::TooMany { count: slots.into(), max });
        }
        for (id_bits, generation_bits) in [(32, 32), (33, 0), (0, 33), (255, 255)] {
            let value = u32::from(id_bits) + u32::from(generation_bits);
            assert_eq!(over(SlotLayout { id_bits, generation_bits, ..LAYOUT }), Kind::Value { value });
        }
    }
}
