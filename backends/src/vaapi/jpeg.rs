//! JPEG in libva's structures. The quantisers go in as the standard has them: the device scales
//! them by the quality, as the packed header does.
use crate::bitstream::jpeg;

use super::{
    bindings as va,
    rate::Steering,
    sys::{Buffer, Failure, Told},
};

/// JPEGs of one size.
pub(super) struct Jpeg {
    width: u16,
    height: u16,
    /// The header, and the quality for which it was written.
    header: Vec<u8>,
    quality: Option<u8>,
}

impl Jpeg {
    pub(super) fn new(width: u32, height: u32) -> Self {
        let side = |side: u32| u16::try_from(side).unwrap_or(u16::MAX);
        Self { width: side(width), height: side(height), header: Vec::new(), quality: None }
    }

    /// The size of the pictures that a decoder shows.
    pub(super) fn size(&self) -> (u32, u32) {
        (self.width.into(), self.height.into())
    }

    /// Says everything about the next picture.
    pub(super) fn tell(&mut self, told: &mut Told<'_>, steering: &Steering, coded: &Buffer) -> Result<(), Failure> {
        let Self { width, height, .. } = *self;
        let quality = steering.qp().unwrap_or(75);
        if self.quality != Some(quality) {
            jpeg::header(width, height, quality, &mut self.header);
            self.quality = Some(quality);
        }
        let packed = va::VAEncPackedHeaderParameterBuffer {
            type_: va::VAEncPackedHeaderRawData,
            bit_length: u32::try_from(self.header.len() * 8).unwrap_or(0),
            ..Default::default()
        };
        told.parameter(&picture(width, height, quality, coded.id()))?;
        told.parameter(&quantisers())?;
        told.parameter(&huffman())?;
        told.parameter(&scan())?;
        told.parameter(&packed)?;
        told.bytes(va::VAEncPackedHeaderDataBufferType, &self.header)
    }
}

fn picture(width: u16, height: u16, quality: u8, coded_buf: va::VABufferID) -> va::VAEncPictureParameterBufferJPEG {
    let mut picture = va::VAEncPictureParameterBufferJPEG {
        reconstructed_picture: va::VA_INVALID_SURFACE,
        picture_width: width,
        picture_height: height,
        coded_buf,
        sample_bit_depth: 8,
        num_scan: 1,
        num_components: 3,
        component_id: [1, 2, 3, 0],
        quantiser_table_selector: [0, 1, 1, 0],
        quality,
        ..Default::default()
    };
    // profile (2 bits) 0: baseline, huffman at 3, interleaved at 4.
    picture.pic_flags.value = 1 << 3 | 1 << 4;
    picture
}

fn quantisers() -> va::VAQMatrixBufferJPEG {
    let [lum_quantiser_matrix, chroma_quantiser_matrix] = jpeg::QUANTISERS;
    va::VAQMatrixBufferJPEG {
        load_lum_quantiser_matrix: 1,
        load_chroma_quantiser_matrix: 1,
        lum_quantiser_matrix,
        chroma_quantiser_matrix,
        ..Default::default()
    }
}

fn huffman() -> va::VAHuffmanTableBufferJPEGBaseline {
    let mut tables = va::VAHuffmanTableBufferJPEGBaseline { load_huffman_table: [1, 1], ..Default::default() };
    for (to, (dc, ac)) in tables.huffman_table.iter_mut().zip(jpeg::DC.iter().zip(&jpeg::AC)) {
        (to.num_dc_codes, to.num_ac_codes) = (dc.counts, ac.counts);
        to.dc_values.iter_mut().zip(dc.values).for_each(|(to, value)| *to = *value);
        to.ac_values.iter_mut().zip(ac.values).for_each(|(to, value)| *to = *value);
    }
    tables
}

fn scan() -> va::VAEncSliceParameterBufferJPEG {
    let mut scan = va::VAEncSliceParameterBufferJPEG { num_components: 3, ..Default::default() };
    for (component, (selector, table)) in scan.components.iter_mut().zip([(1, 0), (2, 1), (3, 1)]) {
        component.component_selector = selector;
        (component.dc_table_selector, component.ac_table_selector) = (table, table);
    }
    scan
}
