//! BGRX to planar 4:2:0 in limited range.
use yuv::{BufferStoreMut, YuvConversionMode, YuvPlanarImageMut, YuvRange, YuvStandardMatrix};

use crate::BackendError;

use super::pixels::Rows;

/// How colours become numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Matrix {
    /// ITU-R BT.709, what all streams say that can say it.
    #[default]
    Bt709,
    /// ITU-R BT.601, what VP8 is.
    Bt601,
}

/// A picture of even size in three planes; where it is larger than its source, the source's last
/// column and row are repeated.
#[derive(Debug, Default)]
pub(super) struct Yuv420 {
    /// Pixels per row, and bytes from row to row, of luma.
    pub(super) width: u32,
    /// Rows of luma.
    pub(super) height: u32,
    matrix: Matrix,
    planes: [Vec<u8>; 3],
    /// The last rows of a source, without padding.
    tail: Vec<u8>,
}

/// One plane to read.
#[derive(Clone, Copy)]
pub(super) struct PlaneRef<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) stride: usize,
}

impl Yuv420 {
    /// Room for a picture of `width` by `height`, both even.
    pub(super) fn new(width: u32, height: u32, matrix: Matrix) -> Self {
        let luma = width as usize * height as usize;
        Self { width, height, matrix, planes: [vec![0; luma], vec![0; luma / 4], vec![0; luma / 4]], tail: Vec::new() }
    }

    /// Converts a source that is not larger.
    pub(super) fn convert(&mut self, rows: Rows<'_>, width: u32, height: u32) -> Result<(), BackendError> {
        let (width, height) = (width.min(self.width), height.min(self.height));
        let half = self.width as usize / 2;
        // `yuv` leaves out a last pair of rows without padding behind it: that pair goes alone.
        let last = (height - 1) / 2 * 2;
        let body = rows.stride * last as usize;
        if last > 0 {
            self.convert_rows(0, Rows { bytes: &rows.bytes[..body], ..rows }, (width, last))?;
        }
        let row = width as usize * 4;
        self.tail.clear();
        rows.bytes[body..].chunks(rows.stride).for_each(|line| self.tail.extend_from_slice(&line[..row]));
        let tail = std::mem::take(&mut self.tail);
        let done = self.convert_rows(last, Rows { bytes: &tail, stride: row }, (width, height - last));
        self.tail = tail;
        done?;
        let [y, u, v] = &mut self.planes;
        repeat_edges(y, half * 2, width as usize, height as usize);
        for plane in [u, v] {
            repeat_edges(plane, half, width.div_ceil(2) as usize, height.div_ceil(2) as usize);
        }
        Ok(())
    }

    /// Converts rows that all have their padding, to the even row `top` and those below.
    fn convert_rows(&mut self, top: u32, rows: Rows<'_>, (width, height): (u32, u32)) -> Result<(), BackendError> {
        let failed = |message: String| BackendError::Library { call: "yuv::bgra_to_yuv420", message };
        let (stride, half) = (self.width as usize, self.width as usize / 2);
        let part = |first: u32, rows: u32, stride: usize| first as usize * stride..(first + rows) as usize * stride;
        let chroma = part(top / 2, height.div_ceil(2), half);
        let [y, u, v] = &mut self.planes;
        let mut image = YuvPlanarImageMut {
            y_plane: BufferStoreMut::Borrowed(&mut y[part(top, height, stride)]),
            y_stride: self.width,
            u_plane: BufferStoreMut::Borrowed(&mut u[chroma.clone()]),
            u_stride: self.width / 2,
            v_plane: BufferStoreMut::Borrowed(&mut v[chroma]),
            v_stride: self.width / 2,
            width,
            height,
        };
        let stride = u32::try_from(rows.stride).map_err(|e| failed(e.to_string()))?;
        let range = YuvRange::Limited;
        let matrix = match self.matrix {
            Matrix::Bt709 => YuvStandardMatrix::Bt709,
            Matrix::Bt601 => YuvStandardMatrix::Bt601,
        };
        yuv::bgra_to_yuv420(&mut image, rows.bytes, stride, range, matrix, YuvConversionMode::Balanced)
            .map_err(|e| failed(e.to_string()))
    }

    /// Luma, Cb, Cr.
    pub(super) fn planes(&self) -> [PlaneRef<'_>; 3] {
        let plane = |n: usize, stride| PlaneRef { bytes: &self.planes[n], stride };
        let half = self.width as usize / 2;
        [plane(0, self.width as usize), plane(1, half), plane(2, half)]
    }
}

/// Fills what is right of column `width` and below row `height`.
fn repeat_edges(plane: &mut [u8], stride: usize, width: usize, height: usize) {
    if width < stride {
        for row in plane.chunks_exact_mut(stride).take(height) {
            let (known, rest) = row.split_at_mut(width);
            rest.fill(known.last().copied().unwrap_or(0));
        }
    }
    let (known, rest) = plane.split_at_mut(height * stride);
    if let Some(last) = known.chunks_exact(stride).last() {
        rest.chunks_exact_mut(stride).for_each(|row| row.copy_from_slice(last));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn convert(bgr: [u8; 3], width: u32, height: u32, coded: (u32, u32)) -> Yuv420 {
        let bytes = [bgr[0], bgr[1], bgr[2], 0xff].repeat((width * height) as usize);
        let mut to = Yuv420::new(coded.0, coded.1, Matrix::Bt709);
        to.convert(Rows { bytes: &bytes, stride: width as usize * 4 }, width, height).unwrap();
        to
    }

    #[test]
    fn colours_are_bt709_in_limited_range() {
        // ITU-R BT.709, 8 bits, from the matrix by hand.
        let colours = [
            ([0, 0, 0], [16, 128, 128]),
            ([255, 255, 255], [235, 128, 128]),
            ([0, 0, 255], [63, 102, 240]),
            ([0, 255, 0], [173, 42, 26]),
            ([255, 0, 0], [32, 240, 118]),
        ];
        for (bgr, yuv) in colours {
            let got = convert(bgr, 34, 6, (34, 6));
            for (plane, value) in got.planes().iter().zip(yuv) {
                assert!(plane.bytes.iter().all(|b| b.abs_diff(value) <= 1), "{bgr:?}: {:?}", plane.bytes[0]);
            }
        }
    }

    #[test]
    fn edges_are_repeated() {
        for (width, height, coded) in [(1, 1, (16, 16)), (15, 3, (16, 16)), (33, 17, (34, 18))] {
            let got = convert([255, 0, 0], width, height, coded);
            for (plane, value) in got.planes().iter().zip([32u8, 240, 118]) {
                assert!(plane.bytes.iter().all(|b| b.abs_diff(value) <= 1), "{width}x{height}: {:?}", plane.bytes);
            }
        }
    }

    #[test]
    fn a_last_row_without_padding_is_converted_too() {
        for height in 1..6 {
            let mut bytes = vec![0; 20 * height as usize - 8];
            for row in bytes.chunks_mut(20) {
                row[..12].fill(255);
            }
            let mut to = Yuv420::new(4, 6, Matrix::Bt601);
            to.convert(Rows { bytes: &bytes, stride: 20 }, 3, height).unwrap();
            for (plane, value) in to.planes().iter().zip([235, 128, 128]) {
                assert!(plane.bytes.iter().all(|b| *b == value), "{height} rows: {:?}", plane.bytes);
            }
        }
    }

    #[test]
    fn rows_keep_their_place() {
        let row = |v: u8| [v, v, v, 0].repeat(3);
        let bytes = [row(0), row(0), row(255)].concat();
        let mut to = Yuv420::new(4, 4, Matrix::Bt709);
        to.convert(Rows { bytes: &bytes, stride: 12 }, 3, 3).unwrap();
        assert_eq!(to.planes()[0].bytes, [[16; 4], [16; 4], [235; 4], [235; 4]].concat());
    }
}
