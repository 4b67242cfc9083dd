//! Surfaces: which there are, and commands that create and destroy them.

use super::abi;
use super::error::{QxlError, QxlErrorKind};
use super::memory::{GuestMemory, View, behind};
use super::slots::to_u64;
use crate::limits;
use crate::proto::display::SurfaceFormat;
use crate::proto::shape::Rect;
use crate::wire::{Field, to_usize};

/// What a surface is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Surface {
    /// Layout of a pixel; one that has a name, and not INVALID.
    pub format: SurfaceFormat,
    /// Pixels in a row; not 0.
    pub width: u32,
    /// Rows; not 0.
    pub height: u32,
    /// Bytes from one row to the next in the guest's memory; negative when the last row lies first.
    pub stride: i32,
}

impl Surface {
    /// A surface whose rows fit their stride, in at most [`limits::QXL_IMAGE`] bytes.
    ///
    /// # Errors
    /// When the format has no name, there are no pixels, or too many bytes.
    pub fn new(format: SurfaceFormat, width: u32, height: u32, stride: i32) -> Result<Self, QxlError> {
        let value = |at, value| Err(QxlError { at, kind: QxlErrorKind::Value { value } });
        let bits: u64 = match format {
            SurfaceFormat::A1 => 1,
            SurfaceFormat::A8 => 8,
            SurfaceFormat::X555 | SurfaceFormat::RGB565 => 16,
            SurfaceFormat::XRGB32 | SurfaceFormat::ARGB32 => 32,
            other => return value("QXLSurface.format", other.0),
        };
        if width == 0 {
            return value("QXLSurface.width", 0);
        }
        if height == 0 {
            return value("QXLSurface.height", 0);
        }
        let row = u64::from(width).saturating_mul(bits).div_ceil(8);
        let bytes = u64::from(stride.unsigned_abs());
        if stride == i32::MIN || row > bytes {
            return Err(QxlError { at: "QXLSurface.stride", kind: QxlErrorKind::Length { said: row, got: bytes } });
        }
        let surface = Self { format, width, height, stride };
        let (count, max) = (surface.bytes(), to_u64(limits::QXL_IMAGE));
        if count > max {
            return Err(QxlError { at: "QXLSurface.height", kind: QxlErrorKind::TooMany { count, max } });
        }
        Ok(surface)
    }

    /// Bytes of its memory, which begins with the row that lies first.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        u64::from(self.height).saturating_mul(self.stride.unsigned_abs().into())
    }

    /// Looks whether a rectangle is ordered and inside.
    ///
    /// # Errors
    /// When it is not.
    pub fn check(&self, area: Rect) -> Result<(), QxlError> {
        inside(area, self.width, self.height)
    }
}

/// Looks whether a rectangle is ordered and inside of so many pixels.
pub(super) fn inside(area: Rect, width: u32, height: u32) -> Result<(), QxlError> {
    let ordered = |from: i32, to: i32, size: u32| from >= 0 && from <= to && to.unsigned_abs() <= size;
    if ordered(area.left(), area.right(), width) && ordered(area.top(), area.bottom(), height) {
        return Ok(());
    }
    Err(QxlError::new(QxlErrorKind::Outside { area, width, height }))
}

/// The surfaces that exist; about 16 KiB.
#[derive(Clone, Debug)]
pub struct Surfaces {
    count: usize,
    table: [Option<Surface>; limits::SURFACES],
}

impl Surfaces {
    /// None yet, of a device that has `count`, which is cut to [`limits::SURFACES`].
    #[must_use]
    pub fn new(count: u32) -> Self {
        Self { count: to_usize(count).min(limits::SURFACES), table: [None; limits::SURFACES] }
    }

    /// The surface of this id.
    ///
    /// # Errors
    /// When there is none.
    pub fn get(&self, id: u32) -> Result<&Surface, QxlError> {
        let place = self.table.get(..self.count).and_then(|table| table.get(to_usize(id)));
        place.and_then(Option::as_ref).ok_or(QxlError::new(QxlErrorKind::NoSurface { id }))
    }

    /// Adds a surface.
    ///
    /// # Errors
    /// When there can be none of this id, or there is one.
    pub fn create(&mut self, id: u32, surface: Surface) -> Result<(), QxlError> {
        self.check_free(id)?;
        if let Some(place) = self.table.get_mut(to_usize(id)) {
            *place = Some(surface);
        }
        Ok(())
    }

    /// Takes a surface away.
    ///
    /// # Errors
    /// When there is none of this id.
    pub fn destroy(&mut self, id: u32) -> Result<Surface, QxlError> {
        let place = self.table.get_mut(to_usize(id));
        place.and_then(Option::take).ok_or(QxlError::new(QxlErrorKind::NoSurface { id }))
    }

    /// Takes all surfaces away.
    pub fn clear(&mut self) {
        self.table = [None; limits::SURFACES];
    }

    /// The surfaces, with their ids.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Surface)> {
        (0u32..).zip(&self.table).filter_map(|(id, surface)| Some((id, surface.as_ref()?)))
    }

    /// Looks whether this part of a surface can be rendered: UPDATE_AREA.
    ///
    /// # Errors
    /// When there is no such surface, or the part is reversed or not inside.
    pub fn check_area(&self, id: u32, area: Rect) -> Result<(), QxlError> {
        self.get(id)?.check(area)
    }

    fn check_free(&self, id: u32) -> Result<(), QxlError> {
        match self.table.get(..self.count).and_then(|table| table.get(to_usize(id))) {
            None => Err(QxlError::new(QxlErrorKind::NoSurface { id })),
            Some(Some(_)) => Err(QxlError::new(QxlErrorKind::SurfaceInUse { id })),
            Some(None) => Ok(()),
        }
    }
}

/// QXLSurfaceCmd: to be carried out on [`Surfaces`] and on whatever holds the pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SurfaceCommand {
    /// A new surface.
    Create {
        /// Its id, which is free.
        id: u32,
        /// What it is.
        surface: Surface,
        /// The guest's address of its memory, which lies in one slot.
        data: u64,
        /// Whether its memory holds pixels to begin with (QXL_SURF_FLAG_KEEP_DATA).
        keep_data: bool,
    },
    /// An end of a surface that exists.
    Destroy {
        /// Its id.
        id: u32,
    },
}

impl SurfaceCommand {
    pub(super) fn parse<M: GuestMemory + ?Sized>(
        view: View<'_, M>,
        surfaces: &Surfaces,
        address: u64,
    ) -> Result<Self, QxlError> {
        let head: abi::SurfaceCmd = view.read(address).map_err(|e| e.at("QXLSurfaceCmd"))?;
        let id = head.surface_id;
        match head.kind {
            0 => {
                surfaces.check_free(id).map_err(|e| e.at("QXLSurfaceCmd.surface_id"))?;
                let create = behind(address, abi::SurfaceCmd::MIN)?;
                let create: abi::Surface = view.read(create).map_err(|e| e.at("QXLSurface"))?;
                let format = SurfaceFormat(create.format);
                let surface = Surface::new(format, create.width, create.height, create.stride)?;
                view.locate(create.data, surface.bytes()).map_err(|e| e.at("QXLSurface.data"))?;
                Ok(Self::Create { id, surface, data: create.data, keep_data: head.flags & 1 != 0 })
            }
            1 => {
                surfaces.get(id).map_err(|e| e.at("QXLSurfaceCmd.surface_id"))?;
                Ok(Self::Destroy { id })
            }
            kind => Err(QxlError { at: "QXLSurfaceCmd.type", kind: QxlErrorKind::Value { value: kind.into() } }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Surface, Surfaces};
    use crate::limits;
    use crate::proto::display::SurfaceFormat as Format;
    use crate::proto::shape::Rect;
    use crate::qxl::QxlErrorKind as Kind;

    fn refused(format: Format, width: u32, height: u32, stride: i32) -> (&'static str, Kind) {
        let error = Surface::new(format, width, height, stride).unwrap_err();
        (error.at, error.kind)
    }

    #[test]
    fn a_row_fits_its_stride() {
        for (format, row) in [
            (Format::A1, 2),
            (Format::A8, 9),
            (Format::X555, 18),
            (Format::RGB565, 18),
            (Format::XRGB32, 36),
            (Format::ARGB32, 36),
        ] {
            for stride in [row, -row, row + 1] {
                let surface = Surface::new(format, 9, 2, stride).unwrap();
                assert_eq!(surface.bytes(), 2 * u64::from(stride.unsigned_abs()));
            }
            let kind = Kind::Length { said: row as u64, got: row as u64 - 1 };
            assert_eq!(refused(format, 9, 2, row - 1), ("QXLSurface.stride", kind));
            assert_eq!(refused(format, 9, 2, 1 - row), ("QXLSurface.stride", kind));
        }
    }

    #[test]
    fn cve_2015_5261_sizes_that_overflow_are_refused() {
        let big = u32::MAX;
        for (width, height, stride) in [(big, 1, i32::MAX), (big, big, i32::MAX), (1, 1, i32::MIN), (1 << 30, 1, 4)] {
            assert_eq!(refused(Format::XRGB32, width, height, stride).0, "QXLSurface.stride");
        }
        for (height, stride) in [(big, i32::MAX), (big, 4), (2, i32::MAX), (1 << 30, -4)] {
            assert_eq!(refused(Format::XRGB32, 1, height, stride).0, "QXLSurface.height");
        }
        assert_eq!(refused(Format::XRGB32, 0, 1, 4), ("QXLSurface.width", Kind::Value { value: 0 }));
        assert_eq!(refused(Format::XRGB32, 1, 0, 4), ("QXLSurface.height", Kind::Value { value: 0 }));
        for format in [0, 2, 31, 33, u32::MAX] {
            assert_eq!(refused(Format(format), 1, 1, 4), ("QXLSurface.format", Kind::Value { value: format }));
        }
    }

    #[test]
    fn cve_2015_5260_ids_are_below_the_device_s_number() {
        let surface = Surface::new(Format::XRGB32, 4, 4, 16).unwrap();
        let mut surfaces = Surfaces::new(3);
        surfaces.create(2, surface).unwrap();
        assert_eq!(surfaces.get(2), Ok(&surface));
        assert_eq!(surfaces.create(2, surface).unwrap_err().kind, Kind::SurfaceInUse { id: 2 });
        for id in [3, limits::SURFACES as u32, u32::MAX] {
            assert_eq!(surfaces.get(id).unwrap_err().kind, Kind::NoSurface { id });
            assert_eq!(surfaces.create(id, surface).unwrap_err().kind, Kind::NoSurface { id });
            assert_eq!(surfaces.destroy(id).unwrap_err().kind, Kind::NoSurface { id });
        }
        assert_eq!(surfaces.get(1).unwrap_err().kind, Kind::NoSurface { id: 1 }, "not created");
        assert_eq!(surfaces.destroy(2), Ok(surface));
        assert_eq!(surfaces.destroy(2).unwrap_err().kind, Kind::NoSurface { id: 2 });
        let mut most = Surfaces::new(u32::MAX);
        most.create(1023, surface).unwrap();
        assert_eq!(most.create(1024, surface).unwrap_err().kind, Kind::NoSurface { id: 1024 });
        assert_eq!(most.iter().collect::<std::vec::Vec<_>>(), [(1023, &surface)]);
        most.clear();
        assert_eq!(most.iter().count(), 0);
    }

    #[test]
    fn an_area_to_update_is_ordered_and_inside() {
        let mut surfaces = Surfaces::new(1);
        surfaces.create(0, Surface::new(Format::XRGB32, 8, 4, -32).unwrap()).unwrap();
        for (top, left, bottom, right) in [(0, 0, 4, 8), (4, 8, 4, 8), (1, 2, 1, 2)] {
            assert_eq!(surfaces.check_area(0, Rect::new(top, left, bottom, right)), Ok(()));
        }
        for (top, left, bottom, right) in
            [(-1, 0, 4, 8), (0, -1, 4, 8), (0, 0, 5, 8), (0, 0, 4, 9), (3, 0, 2, 8), (0, 5, 4, 4), (0, 0, i32::MAX, 8)]
        {
            let area = Rect::new(top, left, bottom, right);
            let kind = Kind::Outside { area, width: 8, height: 4 };
            assert_eq!(surfaces.check_area(0, area).unwrap_err().kind, kind);
        }
        assert_eq!(surfaces.check_area(1, Rect::new(0, 0, 1, 1)).unwrap_err().kind, Kind::NoSurface { id: 1 });
    }
}
