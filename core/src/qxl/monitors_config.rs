//! QXLMonitorsConfig: the monitors a guest has set up.
//!
//! It is copied out of guest memory in two steps ([`MonitorsConfig::copy`] takes both): the first four bytes, from
//! which [`size`] tells how many to copy, and then *all* of those bytes again, for [`MonitorsConfig::parse`].
//! The guest may write in between; what is parsed is the second copy alone, and a count that does
//! not belong to its length is an error (a count read twice was CVE-2015-3247).

use heapless::Vec;

use super::{GuestMemory, QxlError, View};
use crate::limits;
use crate::proto::display::{self, Head};
use crate::wire::{DecodeError, DecodeErrorKind, Field, Reader, to_u32};

/// Bytes in front of the heads.
pub const HEADER: usize = 4;

/// The monitors of one QXL device; at most [`limits::GUEST_HEADS`], none without an area.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MonitorsConfig {
    max_allowed: u16,
    heads: Vec<Head, { limits::GUEST_HEADS }>,
}

/// Bytes of the structure that begins with `header`.
///
/// # Errors
/// When its count is not acceptable.
pub fn size(header: [u8; HEADER]) -> Result<usize, DecodeError> {
    let (count, _) = read_header(&mut Reader::new(&header))?;
    Ok(usize::from(count).saturating_mul(Head::MIN).saturating_add(HEADER))
}

impl MonitorsConfig {
    /// Parses a copy of the whole structure for a device that has `device_max` monitors.
    ///
    /// Heads above `device_max` are left out, as are those without an area; none may be left. A
    /// `max_allowed` of 0 means what the device's header file says, no limit of the guest's.
    ///
    /// # Errors
    /// When the count is 0, above `max_allowed`, above [`limits::GUEST_HEADS`], or not that of the
    /// snapshot's length.
    pub fn parse(snapshot: &[u8], device_max: u16) -> Result<Self, DecodeError> {
        let mut r = Reader::new(snapshot);
        let (count, max_allowed) = read_header(&mut r)?;
        let mut heads = Vec::new();
        for n in 0..count {
            let head = Head::read(&mut r).map_err(|e| e.at("QXLMonitorsConfig.heads"))?;
            if n < device_max && head.width() != 0 && head.height() != 0 {
                let full = DecodeErrorKind::TooMany { count: count.into(), max: to_u32(limits::GUEST_HEADS) };
                heads.push(head).map_err(|_| DecodeError::new(full).at("QXLMonitorsConfig.count"))?;
            }
        }
        let left_out = usize::from(count).saturating_sub(heads.len());
        if left_out != 0 {
            log!(debug, "{} of {} heads are left out: no area, or beyond the device's {}", left_out, count, device_max);
        }
        match r.trailing() {
            0 => {
                Ok(Self { max_allowed: if max_allowed == 0 { device_max } else { max_allowed.min(device_max) }, heads })
            }
            bytes => Err(DecodeError::new(DecodeErrorKind::Trailing { bytes }).at("QXLMonitorsConfig")),
        }
    }

    /// Copies and parses the structure at a guest's address, for a device that has `device_max` monitors.
    ///
    /// # Errors
    /// When it does not lie in one slot, or is not in order.
    pub fn copy<M: GuestMemory + ?Sized>(view: View<'_, M>, address: u64, device_max: u16) -> Result<Self, QxlError> {
        let mut header = [0; HEADER];
        view.copy(address, &mut header).map_err(|e| e.at("QXLMonitorsConfig"))?;
        let mut snapshot = [0; HEADER + limits::GUEST_HEADS * Head::MIN];
        let snapshot = snapshot.get_mut(..size(header)?).unwrap_or_default();
        view.copy(address, snapshot).map_err(|e| e.at("QXLMonitorsConfig.heads"))?;
        Ok(Self::parse(snapshot, device_max)?)
    }

    /// How many monitors there can be.
    #[must_use]
    pub const fn max_allowed(&self) -> u16 {
        self.max_allowed
    }

    /// The monitors; when there is none, clients are told nothing.
    #[must_use]
    pub fn heads(&self) -> &[Head] {
        &self.heads
    }

    /// What clients are told.
    #[must_use]
    pub fn message(&self) -> display::MonitorsConfig<'_> {
        display::MonitorsConfig { max_allowed: self.max_allowed, heads: &self.heads }
    }
}

/// Count and `max_allowed`, the count checked.
fn read_header(r: &mut Reader<'_>) -> Result<(u16, u16), DecodeError> {
    let count = u16::read(r).map_err(|e| e.at("QXLMonitorsConfig.count"))?;
    let max_allowed = u16::read(r).map_err(|e| e.at("QXLMonitorsConfig.max_allowed"))?;
    let most = if max_allowed == 0 { usize::MAX } else { usize::from(max_allowed) }.min(limits::GUEST_HEADS);
    let refuse = |kind| Err(DecodeError::new(kind).at("QXLMonitorsConfig.count"));
    if count == 0 {
        refuse(DecodeErrorKind::Value { value: 0 })
    } else if usize::from(count) > most {
        refuse(DecodeErrorKind::TooMany { count: count.into(), max: to_u32(most) })
    } else {
        Ok((count, max_allowed))
    }
}

#[cfg(test)]
mod tests {
    use super::{HEADER, MonitorsConfig, size};
    use crate::limits;
    use crate::proto::display::Head;
    use crate::wire::{DecodeError, DecodeErrorKind as Kind};
    use zerocopy::IntoBytes;

    /// The bytes of a config with these heads' sizes, in a buffer with room for one too many.
    fn snapshot(count: u16, max_allowed: u16, sizes: &[(u32, u32)]) -> ([u8; 2048], usize) {
        let mut bytes = [0; 2048];
        bytes[..2].copy_from_slice(&count.to_le_bytes());
        bytes[2..4].copy_from_slice(&max_allowed.to_le_bytes());
        for (n, &(width, height)) in sizes.iter().enumerate() {
            let head = Head::new(n as u32, 0, width, height, 0, 0, 0);
            bytes[HEADER + 28 * n..][..28].copy_from_slice(head.as_bytes());
        }
        (bytes, HEADER + 28 * sizes.len())
    }

    fn parse(
        count: u16,
        max_allowed: u16,
        sizes: &[(u32, u32)],
        device_max: u16,
    ) -> Result<MonitorsConfig, DecodeError> {
        let (bytes, len) = snapshot(count, max_allowed, sizes);
        let whole = size([bytes[0], bytes[1], bytes[2], bytes[3]]);
        let parsed = MonitorsConfig::parse(&bytes[..len], device_max);
        match (whole, parsed) {
            (Err(early), parsed) => {
                assert_eq!(parsed, Err(early), "both looks must refuse alike");
                Err(early)
            }
            (Ok(_), parsed) => parsed,
        }
    }

    fn refused(kind: Kind) -> Result<MonitorsConfig, DecodeError> {
        Err(DecodeError { at: "QXLMonitorsConfig.count", kind })
    }

    #[test]
    fn hand_written_bytes() {
        let mut bytes = [0u8; HEADER + 28];
        bytes[..8].copy_from_slice(&[1, 0, 4, 0, 7, 0, 0, 0]); // count 1, max_allowed 4, id 7
        bytes[12..20].copy_from_slice(&[0, 5, 0, 0, 0xd0, 2, 0, 0]); // 1280 × 720
        let config = MonitorsConfig::parse(&bytes, 16).unwrap();
        assert_eq!(size([1, 0, 4, 0]), Ok(32));
        assert_eq!((config.max_allowed(), config.heads()), (4, &[Head::new(7, 0, 1280, 720, 0, 0, 0)][..]));
        assert_eq!((config.message().max_allowed, config.message().heads), (4, config.heads()));
    }

    #[test]
    fn heads_without_an_area_are_dropped() {
        let config = parse(4, 4, &[(0, 5), (640, 480), (5, 0), (0, 0)], 16).unwrap();
        assert_eq!(config.heads(), [Head::new(1, 0, 640, 480, 0, 0, 0)]);
        assert_eq!(parse(1, 1, &[(0, 0)], 16).unwrap().heads(), []);
    }

    #[test]
    fn no_count_is_refused() {
        assert_eq!(parse(0, 4, &[], 16), refused(Kind::Value { value: 0 }));
    }

    #[test]
    fn the_guests_own_limit_holds_unless_it_is_0() {
        assert_eq!(parse(2, 2, &[(1, 1); 2], 16).unwrap().max_allowed(), 2);
        assert_eq!(parse(3, 2, &[(1, 1); 3], 16), refused(Kind::TooMany { count: 3, max: 2 }));
        let unlimited = parse(3, 0, &[(1, 1); 3], 16).unwrap();
        assert_eq!((unlimited.max_allowed(), unlimited.heads().len()), (16, 3));
    }

    #[test]
    fn the_devices_limit_clamps() {
        let config = parse(3, 3, &[(1, 1); 3], 2).unwrap();
        assert_eq!((config.max_allowed(), config.heads().len()), (2, 2));
    }

    #[test]
    fn the_named_limit_holds() {
        let max = limits::GUEST_HEADS;
        for allowed in [0, u16::MAX] {
            assert_eq!(parse(64, allowed, &[(1, 1); 64], u16::MAX).unwrap().heads().len(), max);
            assert_eq!(parse(65, allowed, &[(1, 1); 65], u16::MAX), refused(Kind::TooMany { count: 65, max: 64 }));
            assert_eq!(parse(u16::MAX, allowed, &[], u16::MAX), refused(Kind::TooMany { count: 65535, max: 64 }));
        }
    }

    #[test]
    fn a_count_that_changed_between_the_looks_is_refused() {
        let (bytes, len) = snapshot(2, 2, &[(1, 1), (1, 1)]);
        for cut in 0..len {
            let error = MonitorsConfig::parse(&bytes[..cut], 16).unwrap_err();
            assert!(matches!(error.kind, Kind::Short { .. }), "{cut}: {error}");
        }
        let trailing = DecodeError { at: "QXLMonitorsConfig", kind: Kind::Trailing { bytes: 28 } };
        assert_eq!(MonitorsConfig::parse(&bytes[..len + 28], 16), Err(trailing));
    }
}
