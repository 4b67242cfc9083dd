//! [`Canvases`]: all surfaces of a device, drawn on here and written back to the guest's memory.

use std::collections::HashMap;

use sumac::source::{Rect, Size};
use sumac_core::proto::display::{ServerMessage, SurfaceFormat};
use sumac_core::proto::paint::Brush;
use sumac_core::proto::picture::{Image, ImageBody};
use sumac_core::proto::shape::Rect as Area;
use sumac_core::qxl::{GuestMemory, QxlError, QxlErrorKind, Surface, Surfaces, View};
use sumac_core::wire::At;

use super::canvas::{Canvas, Undrawn};
use super::picture::from_x555;
use crate::memory::HostMemory;

/// Bytes of all canvases of a device: a guest may let many surfaces lie in the same memory of its own.
const MOST_BYTES: u64 = 512 << 20;

/// What the parser knows of surfaces, and their pixels.
pub(super) struct Canvases {
    known: Surfaces,
    canvases: HashMap<u32, Backed>,
}

/// A canvas, and where the guest has its own pixels of it.
struct Backed {
    canvas: Canvas,
    surface: Surface,
    /// The host's address of the memory that begins with the row that lies first.
    memory: u64,
}

impl Canvases {
    pub(super) fn new(count: u32) -> Self {
        Self { known: Surfaces::new(count), canvases: HashMap::new() }
    }

    /// For the parser.
    pub(super) fn known(&self) -> &Surfaces {
        &self.known
    }

    /// A new surface over memory of the guest's, whose pixels it begins with if it `keeps` them.
    pub(super) fn create(
        &mut self,
        view: View<'_, HostMemory>,
        id: u32,
        surface: Surface,
        data: u64,
        keeps: bool,
    ) -> Result<(), QxlError> {
        let memory = view.locate(data, surface.bytes())?;
        let sizes = self.canvases.values().map(|backed| backed.canvas.size()).chain([size_of(&surface)]);
        let count = sizes.map(|size| u64::from(size.width) * u64::from(size.height) * 4).sum();
        if count > MOST_BYTES {
            let kind = QxlErrorKind::TooMany { count, max: MOST_BYTES };
            return Err(QxlError { at: "bytes of all surfaces", kind });
        }
        self.known.create(id, surface)?;
        let mut backed = Backed { canvas: Canvas::new(size_of(&surface)), surface, memory };
        if keeps {
            backed.read();
        }
        self.canvases.insert(id, backed);
        Ok(())
    }

    pub(super) fn destroy(&mut self, id: u32) -> Result<Surface, QxlError> {
        self.canvases.remove(&id);
        self.known.destroy(id)
    }

    pub(super) fn clear(&mut self) {
        self.canvases.clear();
        self.known.clear();
    }

    pub(super) fn canvas(&self, id: u32) -> Option<&Canvas> {
        self.canvases.get(&id).map(|backed| &backed.canvas)
    }

    /// Carries out a drawing; what changed on its surface.
    pub(super) fn draw(
        &mut self,
        id: u32,
        message: &ServerMessage<'_>,
        own: Option<Area>,
    ) -> Result<Vec<Rect>, Undrawn> {
        // A drawing may read any surface, its own included, while it changes one.
        let Some(mut backed) = self.canvases.remove(&id) else { return Ok(Vec::new()) };
        let before = reads_itself(message, id).then(|| backed.canvas.picture());
        let others = &self.canvases;
        let lookup = |wanted: u32| {
            if wanted == id { before.clone() } else { others.get(&wanted).map(|backed| backed.canvas.picture()) }
        };
        let drawn = backed.canvas.draw(message, own, &lookup);
        self.canvases.insert(id, backed);
        drawn
    }

    /// Brings the guest's own pixels of this part, which is inside, up to date.
    pub(super) fn write_back(&self, id: u32, part: Rect) {
        if let Some(backed) = self.canvases.get(&id) {
            backed.write(part);
        }
    }

    /// Brings all the guest's own pixels up to date.
    pub(super) fn write_all_back(&self) {
        self.canvases.values().for_each(|backed| backed.write(backed.canvas.size().bounds()));
    }
}

impl Backed {
    /// The host's address of a row, and bytes of a pixel; `None` for formats that are not read.
    fn place(&self, y: u32) -> Option<(u64, usize)> {
        let bytes = match self.surface.format {
            SurfaceFormat::XRGB32 | SurfaceFormat::ARGB32 => 4,
            SurfaceFormat::X555 | SurfaceFormat::RGB565 => 2,
            SurfaceFormat::A8 => 1,
            _ => return None,
        };
        let row = if self.surface.stride < 0 { self.surface.height - 1 - y } else { y };
        Some((self.memory + u64::from(row) * u64::from(self.surface.stride.unsigned_abs()), bytes))
    }

    fn read(&mut self) {
        let Size { width, height } = self.canvas.size();
        for y in 0..height {
            let Some((address, bytes)) = self.place(y) else { return };
            let mut row = vec![0; width as usize * bytes];
            if !HostMemory::of_slots().copy(address, &mut row) {
                return;
            }
            let format = self.surface.format;
            self.canvas.set_row(y, row.chunks_exact(bytes).map(|pixel| widen(format, pixel)));
        }
    }

    fn write(&self, part: Rect) {
        for y in part.y..part.bottom() {
            let Some((address, bytes)) = self.place(y) else { return };
            let pixels = self.canvas.row(y, part.x..part.right()).iter();
            let row: Vec<u8> = pixels.flat_map(|&pixel| narrow(self.surface.format, pixel)).collect();
            HostMemory::of_slots().write(address + u64::from(part.x) * bytes as u64, &row);
        }
    }
}

fn size_of(surface: &Surface) -> Size {
    Size { width: surface.width, height: surface.height }
}

/// Whether an image of the drawing is the surface that it changes.
fn reads_itself(message: &ServerMessage<'_>, id: u32) -> bool {
    let is = |image: &At<Image<'_>>| matches!(&image.0, Some(Image { body: ImageBody::Surface(of), .. }) if *of == id);
    let pattern = |brush: &Brush<'_>| matches!(brush, Brush::Pattern(pattern) if is(&pattern.image));
    match message {
        ServerMessage::DrawFill(d) => pattern(&d.brush),
        ServerMessage::DrawCopy(d) => is(&d.src),
        ServerMessage::DrawBlend(d) => is(&d.src),
        ServerMessage::DrawOpaque(d) => is(&d.src) || pattern(&d.brush),
        ServerMessage::DrawRop3(d) => is(&d.src) || pattern(&d.brush),
        ServerMessage::DrawTransparent(d) => is(&d.src),
        ServerMessage::DrawAlphaBlend(d) => is(&d.src),
        ServerMessage::DrawText(d) => pattern(&d.fore_brush) || pattern(&d.back_brush),
        _ => false,
    }
}

/// A pixel of the guest's as one of a canvas.
fn widen(format: SurfaceFormat, pixel: &[u8]) -> u32 {
    match (format, pixel) {
        (SurfaceFormat::X555, &[low, high]) => from_x555(u16::from_le_bytes([low, high])),
        (SurfaceFormat::RGB565, &[low, high]) => {
            let color = u32::from(u16::from_le_bytes([low, high]));
            let (red, green, blue) = (color >> 11 & 31, color >> 5 & 63, color & 31);
            (red << 3 | red >> 2) << 16 | (green << 2 | green >> 4) << 8 | (blue << 3 | blue >> 2)
        }
        (SurfaceFormat::A8, &[alpha]) => u32::from(alpha) << 24,
        (_, &[b, g, r, a]) => u32::from_le_bytes([b, g, r, a]),
        _ => 0,
    }
}

/// A canvas's pixel as the guest has it.
fn narrow(format: SurfaceFormat, pixel: u32) -> impl Iterator<Item = u8> {
    let (red, green, blue) = (pixel >> 16 & 255, pixel >> 8 & 255, pixel & 255);
    let (bytes, len) = match format {
        SurfaceFormat::X555 => ((red >> 3) << 10 | (green >> 3) << 5 | blue >> 3, 2),
        SurfaceFormat::RGB565 => ((red >> 3) << 11 | (green >> 2) << 5 | blue >> 3, 2),
        SurfaceFormat::A8 => (pixel >> 24, 1),
        _ => (pixel, 4),
    };
    bytes.to_le_bytes().into_iter().take(len)
}

#[cfg(test)]
mod tests {
    use sumac_core::qxl::{MemSlots, Slot, SlotLayout};

    use super::*;

    #[test]
    fn formats_are_read_and_written_back_alike() {
        for (format, bytes) in [
            (SurfaceFormat::XRGB32, vec![1, 2, 3, 4]),
            (SurfaceFormat::X555, vec![0x34, 0x12]),
            (SurfaceFormat::RGB565, vec![0x34, 0x92]),
            (SurfaceFormat::A8, vec![7]),
        ] {
            assert_eq!(narrow(format, widen(format, &bytes)).collect::<Vec<_>>(), bytes, "{format:?}");
        }
        assert_eq!(widen(SurfaceFormat::RGB565, &[0xff, 0xff]), 0xff_ffff);
    }

    #[test]
    fn surfaces_in_the_same_memory_have_a_bound_together() {
        let memory = [0_u64; 8];
        let start = memory.as_ptr().expose_provenance() as u64;
        let mut slots = MemSlots::new(SlotLayout { groups: 1, slots: 1, id_bits: 8, generation_bits: 8 }).unwrap();
        // The slot is larger than the memory, which is not touched unless pixels are kept.
        slots.add(0, 0, Slot { generation: 0, start, end: start + (1 << 40), delta: start }).unwrap();
        let host = HostMemory::of_slots();
        let view = View::new(&host, &slots, 0);
        let surface = Surface::new(SurfaceFormat::A8, 8192, 8192, 8192).unwrap();
        let mut canvases = Canvases::new(1024);
        for id in 0..2 {
            canvases.create(view, id, surface, 0, false).unwrap();
        }
        let error = canvases.create(view, 2, surface, 0, false).unwrap_err();
        assert!(matches!(error.kind, QxlErrorKind::TooMany { max: MOST_BYTES, .. }), "{error}");
        canvases.destroy(0).unwrap();
        canvases.create(view, 2, surface, 0, false).unwrap();
    }

    #[test]
    fn the_last_row_may_lie_first() {
        let mut memory = [0_u32; 8];
        let start = memory.as_mut_ptr().expose_provenance() as u64;
        let mut slots = MemSlots::new(SlotLayout { groups: 1, slots: 1, id_bits: 8, generation_bits: 8 }).unwrap();
        slots.add(0, 0, Slot { generation: 0, start, end: start + 32, delta: start }).unwrap();
        let host = HostMemory::of_slots();
        for (n, word) in (1_u32..9).enumerate() {
            host.write(start + n as u64 * 4, &word.to_le_bytes());
        }
        let surface = Surface::new(SurfaceFormat::XRGB32, 3, 2, -16).unwrap();
        let mut canvases = Canvases::new(1);
        canvases.create(View::new(&host, &slots, 0), 0, surface, 0, true).unwrap();
        let canvas = canvases.canvas(0).unwrap();
        assert_eq!((canvas.row(0, 0..3), canvas.row(1, 0..3)), (&[5, 6, 7][..], &[1, 2, 3][..]));
        let mut back = [0; 4];
        host.write(start + 20, &[0; 4]);
        canvases.write_back(0, Rect { x: 1, y: 0, width: 1, height: 1 });
        assert!(host.copy(start + 20, &mut back));
        assert_eq!(u32::from_le_bytes(back), 6);
    }
}
