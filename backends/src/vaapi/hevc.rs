//! An HEVC stream on a device: what it is told of each picture, and where the stream stands.
use std::rc::Rc;

use crate::{
    Settings,
    bitstream::{
        hevc as headers,
        hevc::{Bits, Slice, Stream, Tools},
    },
};

use super::{
    bindings as va,
    encoder::Way,
    h264,
    rate::Steering,
    sys::{Buffer, Display, Failure, Surface, Told},
};

pub(super) struct Hevc {
    stream: Stream,
    /// Packed headers that the device takes, as VA_ENC_PACKED_HEADER bits.
    packed: u32,
    /// Where the device decodes what it has encoded, in turn.
    reconstructed: [Surface; 2],
    /// Which of the two is next.
    turn: usize,
    /// Pictures since the last IDR.
    order: u32,
    /// The next picture must be an IDR.
    owed: bool,
}

/// What of a picture its structures need beside the slice's header.
#[derive(Clone, Copy)]
struct Picture {
    slice: Slice,
    reconstructed: va::VASurfaceID,
    reference: va::VASurfaceID,
    coded: va::VABufferID,
}

impl Hevc {
    pub(super) fn new(
        display: &Rc<Display>,
        way: Way,
        settings: &Settings,
        steering: &Steering,
    ) -> Result<Self, Failure> {
        let Settings { width, height, ref tuning, .. } = *settings;
        let even = |side: u32| side.next_multiple_of(2);
        let ask = |kind| display.attribute(way.profile, way.entrypoint, kind);
        let mut tools = tools(ask(va::VAConfigAttribEncHEVCFeatures), ask(va::VAConfigAttribEncHEVCBlockSizes));
        // A device that holds a rate changes the quantiser within a picture.
        tools.qp_delta |= steering.qp().is_none();
        let stream = Stream {
            level: headers::level(width, height, tuning.fps),
            width: even(width),
            height: even(height),
            qp: steering.qp().unwrap_or(26),
            tools,
        };
        let (columns, rows) = stream.coded();
        let surface = || Surface::new(display, va::VA_RT_FORMAT_YUV420, columns, rows);
        let known =
            va::VA_ENC_PACKED_HEADER_SEQUENCE | va::VA_ENC_PACKED_HEADER_PICTURE | va::VA_ENC_PACKED_HEADER_SLICE;
        let packed = ask(va::VAConfigAttribEncPackedHeaders).unwrap_or(0) & known;
        let reconstructed = [surface()?, surface()?];
        Ok(Self { stream, packed, reconstructed, turn: 0, order: 0, owed: true })
    }

    /// The packed headers that will be given.
    pub(super) fn packed(&self) -> u32 {
        self.packed
    }

    /// The surfaces that a context must know.
    pub(super) fn surfaces(&self) -> &[Surface] {
        &self.reconstructed
    }

    /// The size of the pictures that a decoder shows.
    pub(super) fn size(&self) -> (u32, u32) {
        (self.stream.width, self.stream.height)
    }

    /// Says everything about the next picture, in the order in which drivers want it.
    pub(super) fn tell(
        &mut self,
        told: &mut Told<'_>,
        steering: &mut Steering,
        keyframe: bool,
        coded: &Buffer,
    ) -> Result<(), Failure> {
        let idr = self.owed || keyframe;
        if idr {
            self.order = 0;
        }
        let qp_delta = steering.qp().map_or(0, |qp| i16::from(qp) - i16::from(self.stream.qp));
        let slice = Slice { idr, order: self.order, qp_delta: i8::try_from(qp_delta).unwrap_or(0) };
        let of = Picture {
            slice,
            reconstructed: self.reconstructed[self.turn].id(),
            reference: self.reconstructed[1 - self.turn].id(),
            coded: coded.id(),
        };
        if idr {
            told.parameter(&sequence(&self.stream, steering.bits(), steering.fps()))?;
        }
        steering.tell(told, idr)?;
        told.parameter(&picture(&self.stream, &of))?;
        self.tell_headers(told, &slice)?;
        told.parameter(&slice_parameters(&self.stream, &of))?;
        self.order += 1;
        self.turn = 1 - self.turn;
        Ok(())
    }

    fn tell_headers(&self, told: &mut Told<'_>, slice: &Slice) -> Result<(), Failure> {
        let mut tell = |bit, kind, bits: &dyn Fn() -> Bits| {
            if self.packed & bit == 0 {
                return Ok(());
            }
            let bits = bits();
            let (parameter, bytes) = h264::packed(kind, &bits);
            told.parameter(&parameter)?;
            told.bytes(va::VAEncPackedHeaderDataBufferType, bytes)
        };
        if slice.idr {
            let sequence = (va::VA_ENC_PACKED_HEADER_SEQUENCE, va::VAEncPackedHeaderSequence);
            tell(sequence.0, sequence.1, &|| self.stream.vps())?;
            tell(sequence.0, sequence.1, &|| self.stream.sps())?;
            tell(va::VA_ENC_PACKED_HEADER_PICTURE, va::VAEncPackedHeaderPicture, &|| self.stream.pps())?;
        }
        tell(va::VA_ENC_PACKED_HEADER_SLICE, va::VAEncPackedHeaderSlice, &|| self.stream.slice(slice))
    }

    /// What became of the picture: one that is broken breaks the chain.
    pub(super) fn finished(&mut self, whole: bool, keyframe: bool) {
        self.owed = !whole || (self.owed && !keyframe);
    }
}

/// Whether a device takes pictures that are predicted from one before them and no more: some want
/// two lists of references with every picture.
pub(super) fn predicts_forward(display: &Display, way: Way) -> bool {
    let direction = display.attribute(way.profile, way.entrypoint, va::VAConfigAttribPredictionDirection);
    direction.unwrap_or(0) & va::VA_PREDICTION_DIRECTION_BI_NOT_EMPTY == 0
}

/// What a device says of its tools, by two bits for each, and of its blocks; where it says nothing,
/// what those before that question had in common.
fn tools(features: Option<u32>, blocks: Option<u32>) -> Tools {
    let (Some(features), Some(blocks)) = (features, blocks) else {
        return Tools {
            tree: 5,
            coding: 4,
            transform: (2, 5),
            depth: (3, 3),
            pcm: None,
            asymmetric: true,
            adaptive_offset: false,
            strong_smoothing: false,
            sign_hiding: false,
            transform_skip: false,
            qp_delta: false,
        };
    };
    let feature = |at: u32| features >> at & 3;
    let block = |at: u32| u8::try_from(blocks >> at & 3).unwrap_or(0);
    Tools {
        tree: block(0) + 3,
        coding: block(4) + 3,
        transform: (block(8) + 2, block(6) + 2),
        depth: (block(10), block(14)),
        // Plain samples cost what they cost: only where a device insists.
        pcm: (feature(8) == va::VA_FEATURE_REQUIRED).then(|| (block(20) + 3, block(18) + 3)),
        asymmetric: feature(4) != va::VA_FEATURE_NOT_SUPPORTED,
        adaptive_offset: feature(6) != va::VA_FEATURE_NOT_SUPPORTED,
        strong_smoothing: feature(12) != va::VA_FEATURE_NOT_SUPPORTED,
        sign_hiding: feature(16) == va::VA_FEATURE_REQUIRED,
        transform_skip: feature(20) != va::VA_FEATURE_NOT_SUPPORTED,
        qp_delta: feature(22) == va::VA_FEATURE_REQUIRED,
    }
}

fn sequence(stream: &Stream, bits: u32, fps: u32) -> va::VAEncSequenceParameterBufferHEVC {
    let Tools { tree, coding, transform, depth, pcm, asymmetric, adaptive_offset, strong_smoothing, .. } = stream.tools;
    let (width, height) = stream.coded();
    let mut seq = va::VAEncSequenceParameterBufferHEVC {
        general_profile_idc: 1,
        general_level_idc: stream.level,
        // Key frames come only when asked for: periods beyond any stream.
        intra_period: u32::MAX >> 1,
        intra_idr_period: u32::MAX >> 1,
        ip_period: 1,
        bits_per_second: bits,
        pic_width_in_luma_samples: u16::try_from(width).unwrap_or(u16::MAX),
        pic_height_in_luma_samples: u16::try_from(height).unwrap_or(u16::MAX),
        log2_min_luma_coding_block_size_minus3: coding.saturating_sub(3),
        log2_diff_max_min_luma_coding_block_size: tree.saturating_sub(coding),
        log2_min_transform_block_size_minus2: transform.0.saturating_sub(2),
        log2_diff_max_min_transform_block_size: transform.1.saturating_sub(transform.0),
        max_transform_hierarchy_depth_inter: depth.0,
        max_transform_hierarchy_depth_intra: depth.1,
        vui_parameters_present_flag: 1,
        vui_num_units_in_tick: 1,
        vui_time_scale: fps,
        ..Default::default()
    };
    // chroma_format_idc (2 bits) 1, strong_intra_smoothing_enabled_flag at 10, amp_enabled_flag at 11,
    // sample_adaptive_offset_enabled_flag at 12, pcm_enabled_flag at 13,
    // pcm_loop_filter_disabled_flag at 14, low_delay_seq at 16.
    let flags = [(strong_smoothing, 10), (asymmetric, 11), (adaptive_offset, 12), (pcm.is_some(), 13)];
    let flags = flags.iter().fold(0, |all, (set, at)| all | u32::from(*set) << at);
    seq.seq_fields.value = 1 | flags | u32::from(pcm.is_some()) << 14 | 1 << 16;
    if let Some((least, most)) = pcm {
        (seq.pcm_sample_bit_depth_luma_minus1, seq.pcm_sample_bit_depth_chroma_minus1) = (7, 7);
        seq.log2_min_pcm_luma_coding_block_size_minus3 = u32::from(least.saturating_sub(3));
        seq.log2_max_pcm_luma_coding_block_size_minus3 = u32::from(most.saturating_sub(3));
    }
    seq
}

fn picture(stream: &Stream, of: &Picture) -> va::VAEncPictureParameterBufferHEVC {
    let Picture { slice, reconstructed, reference, coded } = *of;
    let mut pic = va::VAEncPictureParameterBufferHEVC {
        decoded_curr_pic: name(reconstructed, slice.order, 0),
        reference_frames: [none(); 15],
        coded_buf: coded,
        // No picture for temporal prediction of motion.
        collocated_ref_pic_index: 0xff,
        pic_init_qp: stream.qp,
        nal_unit_type: u8::try_from(headers::nal_unit_type(slice.idr)).unwrap_or(0),
        ..Default::default()
    };
    if !slice.idr {
        pic.reference_frames[0] = name(reference, slice.order - 1, va::VA_PICTURE_HEVC_RPS_ST_CURR_BEFORE);
    }
    let Tools { sign_hiding, transform_skip, qp_delta, .. } = stream.tools;
    // idr_pic_flag, coding_type (3 bits; 1: I, 2: P) at 1, reference_pic_flag at 4,
    // sign_data_hiding_enabled_flag at 6, transform_skip_enabled_flag at 8, cu_qp_delta_enabled_flag at 9.
    let kind = if slice.idr { 1 } else { 2 };
    let tools = u32::from(sign_hiding) << 6 | u32::from(transform_skip) << 8 | u32::from(qp_delta) << 9;
    pic.pic_fields.value = u32::from(slice.idr) | kind << 1 | 1 << 4 | tools;
    pic
}

fn slice_parameters(stream: &Stream, of: &Picture) -> va::VAEncSliceParameterBufferHEVC {
    let Picture { slice, reference, .. } = *of;
    let mut new = va::VAEncSliceParameterBufferHEVC {
        num_ctu_in_slice: stream.tree_blocks(),
        slice_type: if slice.idr { 2 } else { 1 },
        ref_pic_list0: [none(); 15],
        ref_pic_list1: [none(); 15],
        max_num_merge_cand: 5,
        slice_qp_delta: slice.qp_delta,
        ..Default::default()
    };
    if !slice.idr {
        new.ref_pic_list0[0] = name(reference, slice.order - 1, va::VA_PICTURE_HEVC_RPS_ST_CURR_BEFORE);
    }
    // last_slice_of_pic_flag, slice_sao_luma_flag at 5, slice_sao_chroma_flag at 6.
    let offsets = if stream.tools.adaptive_offset { 3 << 5 } else { 0 };
    new.slice_fields.value = 1 | offsets;
    new
}

fn name(surface: va::VASurfaceID, order: u32, flags: u32) -> va::VAPictureHEVC {
    let pic_order_cnt = i32::try_from(order).unwrap_or(i32::MAX);
    va::VAPictureHEVC { picture_id: surface, pic_order_cnt, flags, ..Default::default() }
}

fn none() -> va::VAPictureHEVC {
    va::VAPictureHEVC { picture_id: va::VA_INVALID_SURFACE, flags: va::VA_PICTURE_HEVC_INVALID, ..Default::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_device_says_of_its_blocks_is_used() {
        // Blocks of 64 to 8, transforms of 32 to 4, depths of 2 and 1.
        let blocks = 3 | 3 << 2 | 3 << 6 | 2 << 10 | 1 << 14;
        let known = tools(Some(1 << 4 | 1 << 20), Some(blocks));
        assert_eq!((known.tree, known.coding, known.transform, known.depth), (6, 3, (2, 5), (2, 1)));
        assert!(known.asymmetric && known.transform_skip && !known.adaptive_offset && known.pcm.is_none());
        assert_eq!(tools(Some(2 << 8), Some(1 << 18)).pcm, Some((3, 4)));
        assert_eq!(tools(None, Some(blocks)).tree, 5);
    }
}
