//! Images: bitmaps with palettes, surfaces, QUIC.

use zerocopy::FromBytes;
use zerocopy::little_endian::U32;

use super::abi;
use super::command::CommandFlags;
use super::error::{QxlError, QxlErrorKind};
use super::memory::{GuestMemory, Scratch, View, behind};
use super::slots::to_u64;
use super::surface::{Surfaces, inside};
use crate::limits;
use crate::proto::picture::{Bitmap, BitmapFlags, BitmapFormat, Image, ImageBody, ImageFlags, Palette, PaletteRef};
use crate::proto::shape::Rect;
use crate::wire::{At, Counted, Data, Field, Sized32, to_usize};

/// SPICE_IMAGE_TYPE numbers of images that a guest may write.
mod kind {
    pub(super) const BITMAP: u8 = 0;
    pub(super) const QUIC: u8 = 1;
    pub(super) const SURFACE: u8 = 104;
}

/// What parsing one command needs.
pub(super) struct Parser<'p, 'a, M: ?Sized> {
    pub(super) view: View<'p, M>,
    pub(super) surfaces: &'p Surfaces,
    pub(super) flags: CommandFlags,
    pub(super) scratch: Scratch<'a>,
}

impl<'a, M: GuestMemory + ?Sized> Parser<'_, 'a, M> {
    /// An image; one at address 0 is none.
    pub(super) fn image(&mut self, address: u64) -> Result<Option<Image<'a>>, QxlError> {
        if address == 0 {
            return Ok(None);
        }
        let head: abi::ImageDescriptor = self.view.read(address).map_err(|e| e.at("QXLImageDescriptor"))?;
        let body = behind(address, abi::ImageDescriptor::MIN)?;
        let mut flags = ImageFlags::empty();
        flags.set(ImageFlags::CACHE_ME, head.flags.contains(abi::ImageFlags::CACHE));
        flags.set(ImageFlags::HIGH_BITS_SET, head.flags.contains(abi::ImageFlags::HIGH_BITS_SET));
        let image = |body, width, height| Ok(Some(Image { id: head.id, flags, width, height, body }));
        match head.kind {
            kind::BITMAP => {
                let bitmap = self.bitmap(body, false)?;
                image(ImageBody::Bitmap(bitmap), bitmap.x, bitmap.y)
            }
            kind::SURFACE => {
                let id: u32 = self.view.read(body).map_err(|e| e.at("QXLSurfaceId"))?;
                let surface = self.surfaces.get(id).map_err(|e| e.at("QXLSurfaceId"))?;
                image(ImageBody::Surface(id), surface.width, surface.height)
            }
            kind::QUIC => {
                let size: u32 = self.view.read(body).map_err(|e| e.at("QXLQUICData.data_size"))?;
                let chunk = behind(body, size_of::<u32>())?;
                let data = self.rows(to_usize(size), |view, rows| view.copy_chain(chunk, rows))?;
                image(ImageBody::Quic(Sized32(Data::Here(data))), head.width, head.height)
            }
            other => Err(value("QXLImageDescriptor.type", other.into())),
        }
    }

    /// An image that is drawn in part; without one, it must be the surface's own pixels that are.
    pub(super) fn source(&mut self, address: u64, area: Rect, own: Option<Rect>) -> Result<At<Image<'a>>, QxlError> {
        let image = self.image(address)?;
        let (width, height) = match (&image, own) {
            (Some(image), _) => (image.width, image.height),
            (None, Some(own)) => {
                let size = |from: i32, to: i32| to.saturating_sub(from).unsigned_abs();
                (size(own.left(), own.right()), size(own.top(), own.bottom()))
            }
            (None, None) => return Err(QxlError { at: "src_bitmap", kind: QxlErrorKind::Missing }),
        };
        inside(area, width, height).map_err(|e| e.at("src_area"))?;
        Ok(At(image))
    }

    /// A bitmap of one bit a pixel, or none.
    pub(super) fn mask_bitmap(&mut self, address: u64) -> Result<At<Image<'a>>, QxlError> {
        if address == 0 {
            return Ok(At(None));
        }
        let head: abi::ImageDescriptor = self.view.read(address).map_err(|e| e.at("QXLQMask.bitmap"))?;
        if head.kind != kind::BITMAP {
            return Err(value("QXLQMask.bitmap", head.kind.into()));
        }
        let bitmap = self.bitmap(behind(address, abi::ImageDescriptor::MIN)?, true)?;
        if !matches!(bitmap.format, BitmapFormat::ONE_BIT_LE | BitmapFormat::ONE_BIT_BE) {
            return Err(value("QXLQMask.bitmap", bitmap.format.0.into()));
        }
        let (width, height) = (bitmap.x, bitmap.y);
        let flags = ImageFlags::empty();
        Ok(At(Some(Image { id: head.id, flags, width, height, body: ImageBody::Bitmap(bitmap) })))
    }

    /// A colour as xRGB.
    pub(super) fn color(&self, color: u32) -> u32 {
        if self.flags.contains(CommandFlags::COMPAT_16BPP) { from_x555(color) } else { color }
    }

    fn bitmap(&mut self, address: u64, mask: bool) -> Result<Bitmap<'a>, QxlError> {
        let bitmap: abi::Bitmap = self.view.read(address).map_err(|e| e.at("QXLBitmap"))?;
        let format = BitmapFormat(bitmap.format);
        let bits = bits(format).ok_or(value("QXLBitmap.format", bitmap.format.into()))?;
        if bitmap.x == 0 || bitmap.y == 0 {
            return Err(value(if bitmap.x == 0 { "QXLBitmap.x" } else { "QXLBitmap.y" }, 0));
        }
        let row = u64::from(bitmap.x).saturating_mul(bits.into()).div_ceil(8);
        if row > bitmap.stride.into() {
            let kind = QxlErrorKind::Length { said: row, got: bitmap.stride.into() };
            return Err(QxlError { at: "QXLBitmap.stride", kind });
        }
        let palette = match (colors(format), bitmap.palette) {
            (Some(_), 0) if !mask => return Err(QxlError { at: "QXLBitmap.palette", kind: QxlErrorKind::Missing }),
            (None, _) | (_, 0) => None,
            (Some(colors), palette) => Some(self.palette(palette, colors)?),
        };
        let size = to_usize(bitmap.y).saturating_mul(to_usize(bitmap.stride));
        let data = self.rows(size, |view, rows| {
            if bitmap.flags.contains(abi::BitmapFlags::DIRECT) {
                view.copy(bitmap.data, rows).map_err(|e| e.at("QXLBitmap.data"))
            } else {
                view.copy_chain(bitmap.data, rows)
            }
        })?;
        let mut flags = BitmapFlags::empty();
        flags.set(BitmapFlags::TOP_DOWN, bitmap.flags.contains(abi::BitmapFlags::TOP_DOWN));
        let (x, y, stride, palette) = (bitmap.x, bitmap.y, bitmap.stride, PaletteRef::Here(At(palette)));
        Ok(Bitmap { format, flags, x, y, stride, palette, data: Data::Here(data) })
    }

    /// As many colours as the format has numbers, so that none leads beyond; those that the guest
    /// left out are black.
    fn palette(&mut self, address: u64, colors: usize) -> Result<Palette<'a>, QxlError> {
        let head: abi::Palette = self.view.read(address).map_err(|e| e.at("QXLPalette"))?;
        let count = usize::from(head.num_ents);
        if count > colors {
            let kind = QxlErrorKind::TooMany { count: to_u64(count), max: to_u64(colors) };
            return Err(QxlError { at: "QXLPalette.num_ents", kind });
        }
        let entries = self.scratch.take(colors.saturating_mul(size_of::<U32>()))?;
        entries.fill(0);
        let there = entries.get_mut(..count.saturating_mul(size_of::<U32>())).unwrap_or_default();
        self.view.copy(behind(address, abi::Palette::MIN)?, there).map_err(|e| e.at("QXLPalette.ents"))?;
        let whole = to_u64(entries.len());
        let entries = <[U32]>::mut_from_bytes(entries)
            .map_err(|_| QxlError::new(QxlErrorKind::Length { said: whole, got: whole }))?;
        for entry in &mut *entries {
            entry.set(self.color(entry.get()));
        }
        Ok(Palette { unique: head.unique, entries: Counted::new(entries) })
    }

    /// So many bytes of an image, filled by `fill`.
    fn rows(
        &mut self,
        size: usize,
        fill: impl FnOnce(&View<'_, M>, &mut [u8]) -> Result<(), QxlError>,
    ) -> Result<&'a [u8], QxlError> {
        let rows = self.scratch.take_for(size, 1, limits::QXL_IMAGE).map_err(|e| e.at("QXLImage"))?;
        fill(&self.view, rows)?;
        Ok(rows)
    }
}

/// Bits of a pixel, of formats that there are.
const fn bits(format: BitmapFormat) -> Option<u32> {
    Some(match format {
        BitmapFormat::ONE_BIT_LE | BitmapFormat::ONE_BIT_BE => 1,
        BitmapFormat::FOUR_BIT_LE | BitmapFormat::FOUR_BIT_BE => 4,
        BitmapFormat::EIGHT_BIT | BitmapFormat::EIGHT_BIT_A => 8,
        BitmapFormat::SIXTEEN_BIT => 16,
        BitmapFormat::TWENTY_FOUR_BIT => 24,
        BitmapFormat::THIRTY_TWO_BIT | BitmapFormat::RGBA => 32,
        _ => return None,
    })
}

/// Colours of formats that have a palette.
const fn colors(format: BitmapFormat) -> Option<usize> {
    Some(match format {
        BitmapFormat::ONE_BIT_LE | BitmapFormat::ONE_BIT_BE => 2,
        BitmapFormat::FOUR_BIT_LE | BitmapFormat::FOUR_BIT_BE => 16,
        BitmapFormat::EIGHT_BIT => 256,
        _ => return None,
    })
}

/// x1r5g5b5 as xRGB; the lower bits repeat the upper ones, so that white stays white.
const fn from_x555(color: u32) -> u32 {
    let (red, green, blue) = ((color >> 10) & 31, (color >> 5) & 31, color & 31);
    (red << 3 | red >> 2) << 16 | (green << 3 | green >> 2) << 8 | (blue << 3 | blue >> 2)
}

pub(super) const fn value(at: &'static str, value: u32) -> QxlError {
    QxlError { at, kind: QxlErrorKind::Value { value } }
}
