//! What drawings are made of beside images: clips, masks, brushes, lines, paths, glyphs.

use zerocopy::FromBytes;
use zerocopy::little_endian::I32;

use super::abi;
use super::error::{QxlError, QxlErrorKind};
use super::image::{Parser, value};
use super::memory::{GuestMemory, behind};
use super::slots::to_u64;
use crate::limits;
use crate::proto::paint::{Brush, LineAttr, LineFlags, Mask, MaskFlags, Pattern, ScaleMode};
use crate::proto::shape::{Clip, Path, PointFix, Rect, Segment, Transform};
use crate::proto::text::{Glyphs, StringFlags, Text};
use crate::wire::{At, Counted, Field, Items, Reader, Record, Repeat, to_usize};

impl<'a, M: GuestMemory + ?Sized> Parser<'_, 'a, M> {
    /// A clip whose rectangles are ordered.
    pub(super) fn clip(&mut self, clip: abi::Clip) -> Result<Clip<'a>, QxlError> {
        match clip.kind {
            0 => Ok(Clip::None),
            1 => {
                let head: abi::ClipRects = self.view.read(clip.data).map_err(|e| e.at("QXLClipRects"))?;
                let first = behind(clip.data, abi::ClipRects::MIN)?;
                let (count, size) = (to_usize(head.num_rects), size_of::<Rect>());
                let bytes = self.scratch.take_for(count, size, limits::CLIP_RECTS);
                let bytes = bytes.map_err(|e| e.at("QXLClipRects.num_rects"))?;
                self.view.copy_chain(first, bytes)?;
                let rects: &[Rect] = records(bytes)?;
                match rects.iter().find(|r| r.left() > r.right() || r.top() > r.bottom()) {
                    None => Ok(Clip::Rects(Counted::new(rects))),
                    Some(&area) => {
                        let kind = QxlErrorKind::Outside { area, width: u32::MAX, height: u32::MAX };
                        Err(QxlError { at: "QXLClipRects.rects", kind })
                    }
                }
            }
            kind => Err(value("QXLClip.type", kind)),
        }
    }

    pub(super) fn mask(&mut self, mask: abi::QMask) -> Result<Mask<'a>, QxlError> {
        let bitmap = self.mask_bitmap(mask.bitmap)?;
        Ok(Mask { flags: MaskFlags::from_bits_retain(mask.flags), pos: mask.pos, bitmap })
    }

    pub(super) fn brush(&mut self, brush: abi::Brush) -> Result<Brush<'a>, QxlError> {
        match brush {
            abi::Brush::None => Ok(Brush::None),
            abi::Brush::Solid(color) => Ok(Brush::Solid(self.color(color))),
            abi::Brush::Pattern(image, pos) => {
                let missing = QxlError { at: "QXLPattern.pat", kind: QxlErrorKind::Missing };
                let image = self.image(image)?.ok_or(missing)?;
                Ok(Brush::Pattern(Pattern { image: At(Some(image)), pos }))
            }
            abi::Brush::Unknown(kind) => Err(value("QXLBrush.type", kind)),
        }
    }

    /// Dashes, if there are any.
    pub(super) fn line(&mut self, line: abi::LineAttr) -> Result<LineAttr<'a>, QxlError> {
        let flags = LineFlags::from_bits_retain(line.flags);
        if !flags.contains(LineFlags::STYLED) {
            return Ok(LineAttr { flags, style: None });
        }
        let style = self.scratch.take(usize::from(line.style_nseg).saturating_mul(size_of::<I32>()))?;
        self.view.copy(line.style, style).map_err(|e| e.at("QXLLineAttr.style"))?;
        Ok(LineAttr { flags, style: Some(records(style)?) })
    }

    /// A path. The device's segments have 32 bits of flags, those of the wire 8: they are moved
    /// together where they were copied to.
    pub(super) fn path(&mut self, address: u64) -> Result<Path<'a>, QxlError> {
        let head: abi::Path = self.view.read(address).map_err(|e| e.at("QXLPath"))?;
        let bytes = self.vector(head.data_size, "QXLPath.data_size")?;
        self.view.copy_chain(behind(address, abi::Path::MIN)?, bytes)?;
        let (mut from, mut to, mut count) = (0usize, 0usize, 0u32);
        while from < bytes.len() {
            let mut r = Reader::new(bytes.get(from..).unwrap_or_default());
            let segment = abi::PathSeg::read(&mut r)?;
            let points = to_usize(segment.count).saturating_mul(size_of::<PointFix>());
            r.take(points).map_err(|e| e.at("QXLPathSeg.count"))?;
            let flags = u8::try_from(segment.flags).map_err(|_| value("QXLPathSeg.flags", segment.flags))?;
            // Behind the flags the count and the points are alike; the flags lose three bytes.
            let keep = size_of::<u32>().saturating_add(points);
            let start = from.saturating_add(size_of::<u32>());
            if let Some(place) = bytes.get_mut(to) {
                *place = flags;
            }
            to = to.saturating_add(1);
            bytes.copy_within(start..start.saturating_add(keep), to);
            (from, to) = (start.saturating_add(keep), to.saturating_add(keep));
            count = count.saturating_add(1);
        }
        let bytes: &'a [u8] = bytes;
        let mut r = Reader::new(bytes.get(..to).unwrap_or_default());
        let segments: Items<'a, Segment<'a>> =
            Items::read(&mut r, count, limits::PATH_SEGMENTS).map_err(|e| e.at("QXLPath.segments"))?;
        Ok(Path { segments: Repeat::new(segments) })
    }

    /// Glyphs, which take exactly the bytes that are announced.
    pub(super) fn text(&mut self, address: u64) -> Result<Text<'a>, QxlError> {
        let head: abi::GlyphString = self.view.read(address).map_err(|e| e.at("QXLString"))?;
        let bytes = self.vector(head.data_size, "QXLString.data_size")?;
        self.view.copy_chain(behind(address, abi::GlyphString::MIN)?, bytes)?;
        let unknown = value("QXLString.flags", head.flags.into());
        let flags = u8::try_from(head.flags).map(StringFlags::from_bits_retain).map_err(|_| unknown)?;
        let (count, mut r) = (u32::from(head.length), Reader::new(bytes));
        let glyphs = if flags.contains(StringFlags::RASTER_A1) {
            Items::read(&mut r, count, limits::GLYPHS).map(Glyphs::A1)
        } else if flags.contains(StringFlags::RASTER_A4) {
            Items::read(&mut r, count, limits::GLYPHS).map(Glyphs::A4)
        } else if flags.contains(StringFlags::RASTER_A8) {
            Items::read(&mut r, count, limits::GLYPHS).map(Glyphs::A8)
        } else {
            return Err(unknown);
        };
        let glyphs = glyphs.map_err(|e| e.at("QXLString.data"))?;
        match r.left() {
            0 => Ok(Text { flags, glyphs }),
            left => {
                let (said, got) = (u64::from(head.data_size), to_u64(bytes.len().saturating_sub(left)));
                Err(QxlError { at: "QXLString.data_size", kind: QxlErrorKind::Length { said, got } })
            }
        }
    }

    /// A matrix, or none at address 0.
    pub(super) fn transform(&self, address: u64) -> Result<Option<Transform>, QxlError> {
        let transform = (address != 0).then(|| self.view.read(address)).transpose();
        transform.map_err(|e| e.at("QXLTransform"))
    }

    fn vector(&mut self, size: u32, at: &'static str) -> Result<&'a mut [u8], QxlError> {
        self.scratch.take_for(to_usize(size), 1, limits::QXL_VECTOR).map_err(|e| e.at(at))
    }
}

/// A number that says how a picture is scaled.
pub(super) fn scale_mode(mode: u8) -> Result<ScaleMode, QxlError> {
    let mode = ScaleMode(mode);
    if mode.name().is_some() { Ok(mode) } else { Err(value("scale_mode", mode.0.into())) }
}

/// Bytes as records, of which they are a whole number.
fn records<T: Record>(bytes: &[u8]) -> Result<&[T], QxlError> {
    let kind = QxlErrorKind::Length { said: to_u64(size_of::<T>()), got: to_u64(bytes.len()) };
    <[T]>::ref_from_bytes(bytes).map_err(|_| QxlError::new(kind))
}
