//! H.264 in libva's structures: what the device must be told about stream, picture and slice. The
//! headers of the stream itself say the same (`bitstream::h264`).
use crate::bitstream::h264::{Bits, FRAME_NUM_BITS, Slice, Stream};

use super::bindings as va;

/// What of a picture its structures need beside the slice's header.
#[derive(Clone, Copy)]
pub(super) struct Picture {
    pub(super) slice: Slice,
    /// The surface into which the device decodes what it has encoded.
    pub(super) reconstructed: va::VASurfaceID,
    /// The surface of the picture before.
    pub(super) reference: va::VASurfaceID,
    pub(super) coded: va::VABufferID,
}

pub(super) fn sequence(stream: &Stream, bits: u32, fps: u32) -> va::VAEncSequenceParameterBufferH264 {
    let (columns, rows) = stream.macroblocks();
    let (right, bottom) = stream.crop();
    let mut seq = va::VAEncSequenceParameterBufferH264 {
        level_idc: stream.level,
        // Key frames come only when asked for: periods beyond any stream.
        intra_period: u32::MAX >> 1,
        intra_idr_period: u32::MAX >> 1,
        ip_period: 1,
        bits_per_second: bits,
        max_num_ref_frames: 1,
        picture_width_in_mbs: u16::try_from(columns).unwrap_or(u16::MAX),
        picture_height_in_mbs: u16::try_from(rows).unwrap_or(u16::MAX),
        frame_cropping_flag: u8::from((right, bottom) != (0, 0)),
        frame_crop_right_offset: right,
        frame_crop_bottom_offset: bottom,
        vui_parameters_present_flag: 1,
        num_units_in_tick: 1,
        time_scale: fps.saturating_mul(2),
        ..Default::default()
    };
    // chroma_format_idc (2 bits) 1, frame_mbs_only_flag at 2, direct_8x8_inference_flag at 5,
    // log2_max_frame_num_minus4 at 6, pic_order_cnt_type at 10.
    seq.seq_fields.value = 1 | 1 << 2 | 1 << 5 | (FRAME_NUM_BITS - 4) << 6 | 2 << 10;
    // bitstream_restriction_flag at 2, log2_max_mv_length_horizontal at 3, _vertical at 8,
    // motion_vectors_over_pic_boundaries_flag at 15.
    seq.vui_fields.value = 1 << 2 | 15 << 3 | 15 << 8 | 1 << 15;
    seq
}

pub(super) fn picture(stream: &Stream, of: &Picture) -> va::VAEncPictureParameterBufferH264 {
    let Picture { slice, reconstructed, reference, coded } = *of;
    let mut pic = va::VAEncPictureParameterBufferH264 {
        CurrPic: reference_to(reconstructed, slice.frame_num),
        ReferenceFrames: [none(); 16],
        coded_buf: coded,
        frame_num: u16::try_from(slice.frame_num % (1 << FRAME_NUM_BITS)).unwrap_or(0),
        pic_init_qp: stream.qp,
        ..Default::default()
    };
    if !slice.idr {
        pic.ReferenceFrames[0] = reference_to(reference, slice.frame_num - 1);
    }
    // idr_pic_flag, reference_pic_flag (2 bits) at 1, entropy_coding_mode_flag (0: CAVLC) at 3,
    // deblocking_filter_control_present_flag at 9.
    pic.pic_fields.value = u32::from(slice.idr) | 1 << 1 | 1 << 9;
    pic
}

pub(super) fn slice(stream: &Stream, of: &Picture) -> va::VAEncSliceParameterBufferH264 {
    let Picture { slice, reference, .. } = *of;
    let (columns, rows) = stream.macroblocks();
    let mut new = va::VAEncSliceParameterBufferH264 {
        num_macroblocks: columns * rows,
        macroblock_info: va::VA_INVALID_ID,
        slice_type: if slice.idr { 2 } else { 0 },
        idr_pic_id: slice.idr_pic_id,
        pic_order_cnt_lsb: 0,
        RefPicList0: [none(); 32],
        RefPicList1: [none(); 32],
        slice_qp_delta: slice.qp_delta,
        ..Default::default()
    };
    if !slice.idr {
        new.RefPicList0[0] = reference_to(reference, slice.frame_num - 1);
    }
    new
}

/// The two buffers that hand a header to the device: what it is, and its bytes.
pub(super) fn packed(kind: va::VAEncPackedHeaderType, bits: &Bits) -> (va::VAEncPackedHeaderParameterBuffer, &[u8]) {
    let parameter = va::VAEncPackedHeaderParameterBuffer {
        type_: kind,
        bit_length: u32::try_from(bits.len()).unwrap_or(0),
        // The device puts in the bytes that keep start codes out.
        has_emulation_bytes: 0,
        ..Default::default()
    };
    (parameter, bits.bytes())
}

/// A picture's name in libva: the order of output is that of decoding, two fields per frame.
fn reference_to(surface: va::VASurfaceID, frame_num: u32) -> va::VAPictureH264 {
    let order = i32::try_from(frame_num.saturating_mul(2)).unwrap_or(i32::MAX);
    va::VAPictureH264 {
        picture_id: surface,
        frame_idx: frame_num % (1 << FRAME_NUM_BITS),
        flags: va::VA_PICTURE_H264_SHORT_TERM_REFERENCE,
        TopFieldOrderCnt: order,
        BottomFieldOrderCnt: order,
        ..Default::default()
    }
}

fn none() -> va::VAPictureH264 {
    va::VAPictureH264 { picture_id: va::VA_INVALID_SURFACE, flags: va::VA_PICTURE_H264_INVALID, ..Default::default() }
}
