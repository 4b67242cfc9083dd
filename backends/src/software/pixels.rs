//! BGRX bytes of a part of a frame, wherever the frame lies.
use crate::{BackendError, Frame, FrameError, Rect};

/// Keeps the memory into which the pixels of dmabufs are copied.
#[derive(Debug, Default)]
pub(super) struct Reader(Vec<u8>);

/// Rows of BGRX pixels.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    /// From the first pixel of the first row to the last of the last.
    pub(super) bytes: &'a [u8],
    /// Bytes from one row to the next.
    pub(super) stride: usize,
}

impl Reader {
    /// The pixels of `region`: borrowed when the frame is in memory, copied when it is a dmabuf.
    pub(super) fn read<'a>(&'a mut self, frame: &'a Frame, region: Rect) -> Result<Rows<'a>, BackendError> {
        if region.is_empty() || !frame.bounds().contains(region) {
            return Err(FrameError::Region(region).into());
        }
        let row = region.width as usize * 4;
        if let Some(dmabuf) = frame.dmabuf() {
            dmabuf.read_back(region, &mut self.0)?;
            return Ok(Rows { bytes: &self.0, stride: row });
        }
        let stride = frame.layout().stride as usize;
        let start = region.y as usize * stride + region.x as usize * 4;
        let len = (region.height as usize - 1) * stride + row;
        let bytes = frame.pixels().get(start..start + len).ok_or(FrameError::Region(region))?;
        Ok(Rows { bytes, stride })
    }
}

impl Rows<'_> {
    /// Copies them without padding; replaces what `out` held.
    pub(super) fn copy_to(self, row: usize, out: &mut Vec<u8>) {
        out.clear();
        self.bytes.chunks(self.stride).for_each(|line| out.extend_from_slice(&line[..row]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Layout;

    #[test]
    fn a_region_begins_at_its_pixel_and_ends_with_it() {
        let layout = Layout { width: 3, height: 3, stride: 16 };
        let frame = Frame::from_memory(layout, (0..44).collect::<Vec<u8>>()).unwrap();
        let mut reader = Reader::default();
        let rows = reader.read(&frame, Rect { x: 1, y: 1, width: 2, height: 2 }).unwrap();
        assert_eq!((rows.bytes.first(), rows.bytes.last(), rows.stride), (Some(&20), Some(&43), 16));
        let mut out = vec![1];
        rows.copy_to(8, &mut out);
        assert_eq!(out, (20..28).chain(36..44).collect::<Vec<u8>>());
        let outside = Rect { x: 1, y: 1, width: 3, height: 2 };
        assert!(reader.read(&frame, outside).is_err());
    }
}
