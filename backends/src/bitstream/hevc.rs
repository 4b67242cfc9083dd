//! HEVC's headers, written for devices that code slices only, and its levels.
pub use super::bits::Bits;

/// Levels by luma samples per picture and per second (ITU-T H.265, tables A.8 and A.9): the ones that
/// matter for a screen, as `general_level_idc`, which is thirty times the level.
const LEVELS: [(u64, u64, u8); 9] = [
    (122_880, 3_686_400, 60),
    (245_760, 7_372_800, 63),
    (552_960, 16_588_800, 90),
    (983_040, 33_177_600, 93),
    (2_228_224, 66_846_720, 120),
    (2_228_224, 133_693_440, 123),
    (8_912_896, 267_386_880, 150),
    (8_912_896, 534_773_760, 153),
    (8_912_896, 1_069_547_520, 156),
];

/// Bits of `slice_pic_order_cnt_lsb`.
pub const ORDER_BITS: u32 = 8;

/// The lowest level for pictures of this size and rate; the highest there is for more.
pub fn level(width: u32, height: u32, fps: u32) -> u8 {
    let samples = u64::from(width) * u64::from(height);
    let fits = |(picture, second, _): &&(u64, u64, u8)| {
        samples <= *picture && samples.saturating_mul(u64::from(fps)) <= *second
    };
    LEVELS.iter().find(fits).map_or(156, |(.., level)| *level)
}

/// What a device uses of the codec: sizes of blocks as powers of two, and tools.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tools {
    /// Coding tree blocks.
    pub tree: u8,
    /// The smallest coding blocks.
    pub coding: u8,
    /// The smallest and the largest transform blocks.
    pub transform: (u8, u8),
    /// `max_transform_hierarchy_depth_inter` and `_intra`.
    pub depth: (u8, u8),
    /// The smallest and the largest blocks of plain samples, where there are any.
    pub pcm: Option<(u8, u8)>,
    /// `amp_enabled_flag`.
    pub asymmetric: bool,
    /// `sample_adaptive_offset_enabled_flag`.
    pub adaptive_offset: bool,
    /// `strong_intra_smoothing_enabled_flag`.
    pub strong_smoothing: bool,
    /// `sign_data_hiding_enabled_flag`.
    pub sign_hiding: bool,
    /// `transform_skip_enabled_flag`.
    pub transform_skip: bool,
    /// `cu_qp_delta_enabled_flag`.
    pub qp_delta: bool,
}

/// What the headers of a stream without delay say: Main profile, one reference, no reordering,
/// BT.709 in limited range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// See [`level`].
    pub level: u8,
    /// Pixels per row that are shown, even.
    pub width: u32,
    /// Rows that are shown, even.
    pub height: u32,
    /// `init_qp_minus26` and 26, 0 to 51.
    pub qp: u8,
    /// What the device uses.
    pub tools: Tools,
}

/// One slice that is a whole picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// An instantaneous decoder refresh; else predicted from the picture before.
    pub idr: bool,
    /// Counts pictures from the last IDR, which is 0; its low [`ORDER_BITS`] bits count.
    pub order: u32,
    /// Added to [`Stream::qp`].
    pub qp_delta: i8,
}

impl Stream {
    /// The size of coded pictures: whole coding blocks.
    pub fn coded(&self) -> (u32, u32) {
        let block = 1 << self.tools.coding;
        (self.width.next_multiple_of(block), self.height.next_multiple_of(block))
    }

    /// Coding tree blocks of a picture.
    pub fn tree_blocks(&self) -> u32 {
        let block = 1 << self.tools.tree;
        self.width.div_ceil(block) * self.height.div_ceil(block)
    }

    /// The video parameter set (7.3.2.1), behind a start code.
    pub fn vps(&self) -> Bits {
        let mut b = start(32);
        b.u(4, 0); // vps_video_parameter_set_id
        b.u(2, 3); // vps_base_layer_internal_flag, vps_base_layer_available_flag
        b.u(6, 0); // vps_max_layers_minus1
        b.u(3, 0); // vps_max_sub_layers_minus1
        b.u(1, 1); // vps_temporal_id_nesting_flag
        b.u(16, 0xffff);
        self.profile_tier_level(&mut b);
        b.u(1, 1); // vps_sub_layer_ordering_info_present_flag
        ordering(&mut b);
        b.u(6, 0); // vps_max_layer_id
        b.ue(0); // vps_num_layer_sets_minus1
        b.u(1, 0); // vps_timing_info_present_flag
        b.u(1, 0); // vps_extension_flag
        b.trailing();
        b
    }

    /// The sequence parameter set (7.3.2.2), behind a start code.
    pub fn sps(&self) -> Bits {
        let Tools { tree, coding, transform, depth, pcm, .. } = self.tools;
        let flag = u32::from;
        let mut b = start(33);
        b.u(4, 0); // sps_video_parameter_set_id
        b.u(3, 0); // sps_max_sub_layers_minus1
        b.u(1, 1); // sps_temporal_id_nesting_flag
        self.profile_tier_level(&mut b);
        b.ue(0); // sps_seq_parameter_set_id
        b.ue(1); // chroma_format_idc: 4:2:0
        let (width, height) = self.coded();
        b.ue(width);
        b.ue(height);
        let crop = ((width - self.width) / 2, (height - self.height) / 2);
        b.u(1, flag(crop != (0, 0))); // conformance_window_flag
        if crop != (0, 0) {
            [0, crop.0, 0, crop.1].into_iter().for_each(|offset| b.ue(offset));
        }
        b.ue(0); // bit_depth_luma_minus8
        b.ue(0); // bit_depth_chroma_minus8
        b.ue(ORDER_BITS - 4); // log2_max_pic_order_cnt_lsb_minus4
        b.u(1, 1); // sps_sub_layer_ordering_info_present_flag
        ordering(&mut b);
        b.ue(u32::from(coding.saturating_sub(3)));
        b.ue(u32::from(tree.saturating_sub(coding)));
        b.ue(u32::from(transform.0.saturating_sub(2)));
        b.ue(u32::from(transform.1.saturating_sub(transform.0)));
        b.ue(depth.0.into());
        b.ue(depth.1.into());
        b.u(1, 0); // scaling_list_enabled_flag
        b.u(1, flag(self.tools.asymmetric));
        b.u(1, flag(self.tools.adaptive_offset));
        b.u(1, flag(pcm.is_some()));
        if let Some((least, most)) = pcm {
            b.u(4, 7); // pcm_sample_bit_depth_luma_minus1
            b.u(4, 7); // pcm_sample_bit_depth_chroma_minus1
            b.ue(u32::from(least.saturating_sub(3)));
            b.ue(u32::from(most.saturating_sub(least)));
            b.u(1, 1); // pcm_loop_filter_disabled_flag
        }
        b.ue(0); // num_short_term_ref_pic_sets: they are in the slices
        b.u(1, 0); // long_term_ref_pics_present_flag
        b.u(1, 0); // sps_temporal_mvp_enabled_flag
        b.u(1, flag(self.tools.strong_smoothing));
        b.u(1, 1); // vui_parameters_present_flag
        vui(&mut b);
        b.u(1, 0); // sps_extension_present_flag
        b.trailing();
        b
    }

    /// The picture parameter set (7.3.2.3), behind a start code.
    pub fn pps(&self) -> Bits {
        let mut b = start(34);
        b.ue(0); // pps_pic_parameter_set_id
        b.ue(0); // pps_seq_parameter_set_id
        b.u(1, 0); // dependent_slice_segments_enabled_flag
        b.u(1, 0); // output_flag_present_flag
        b.u(3, 0); // num_extra_slice_header_bits
        b.u(1, self.tools.sign_hiding.into());
        b.u(1, 0); // cabac_init_present_flag
        b.ue(0); // num_ref_idx_l0_default_active_minus1
        b.ue(0); // num_ref_idx_l1_default_active_minus1
        b.se(i32::from(self.qp) - 26); // init_qp_minus26
        b.u(1, 0); // constrained_intra_pred_flag
        b.u(1, self.tools.transform_skip.into());
        b.u(1, self.tools.qp_delta.into());
        if self.tools.qp_delta {
            b.ue(0); // diff_cu_qp_delta_depth
        }
        b.se(0); // pps_cb_qp_offset
        b.se(0); // pps_cr_qp_offset
        b.u(1, 0); // pps_slice_chroma_qp_offsets_present_flag
        b.u(2, 0); // weighted_pred_flag, weighted_bipred_flag
        b.u(1, 0); // transquant_bypass_enabled_flag
        b.u(2, 0); // tiles_enabled_flag, entropy_coding_sync_enabled_flag
        b.u(1, 0); // pps_loop_filter_across_slices_enabled_flag
        b.u(1, 0); // deblocking_filter_control_present_flag
        b.u(1, 0); // pps_scaling_list_data_present_flag
        b.u(1, 0); // lists_modification_present_flag
        b.ue(0); // log2_parallel_merge_level_minus2
        b.u(1, 0); // slice_segment_header_extension_present_flag
        b.u(1, 0); // pps_extension_present_flag
        b.trailing();
        b
    }

    /// Main profile, Main tier (7.3.3).
    fn profile_tier_level(&self, b: &mut Bits) {
        b.u(3, 0); // general_profile_space, general_tier_flag
        b.u(5, 1); // general_profile_idc
        b.u(32, 0x6000_0000); // compatible with Main and Main 10
        b.u(4, 0b1001); // progressive, not interlaced, packing not known, frames only
        b.u(32, 0);
        b.u(12, 0);
        b.u(8, self.level.into());
    }

    /// The slice header (7.3.6) and its alignment, behind a start code.
    pub fn slice(&self, of: &Slice) -> Bits {
        let mut b = start(nal_unit_type(of.idr));
        b.u(1, 1); // first_slice_segment_in_pic_flag
        if of.idr {
            b.u(1, 0); // no_output_of_prior_pics_flag
        }
        b.ue(0); // slice_pic_parameter_set_id
        b.ue(if of.idr { 2 } else { 1 }); // slice_type: I or P
        if !of.idr {
            b.u(ORDER_BITS, of.order & ((1 << ORDER_BITS) - 1));
            b.u(1, 0); // short_term_ref_pic_set_sps_flag
            b.ue(1); // num_negative_pics
            b.ue(0); // num_positive_pics
            b.ue(0); // delta_poc_s0_minus1: the picture before
            b.u(1, 1); // used_by_curr_pic_s0_flag
        }
        if self.tools.adaptive_offset {
            b.u(2, 3); // slice_sao_luma_flag, slice_sao_chroma_flag
        }
        if !of.idr {
            b.u(1, 0); // num_ref_idx_active_override_flag
            b.ue(0); // five_minus_max_num_merge_cand
        }
        b.se(of.qp_delta.into());
        // byte_alignment() is what ends a NAL unit elsewhere.
        b.trailing();
        b
    }
}

/// IDR_W_RADL or TRAIL_R.
pub fn nal_unit_type(idr: bool) -> u32 {
    if idr { 19 } else { 1 }
}

/// A start code and the two bytes of a NAL unit's head.
fn start(kind: u32) -> Bits {
    let mut bits = Bits::default();
    bits.u(32, 1);
    bits.u(16, kind << 9 | 1);
    bits
}

/// Two pictures at most in the decoder, in the order of decoding.
fn ordering(b: &mut Bits) {
    b.ue(1); // max_dec_pic_buffering_minus1
    b.ue(0); // max_num_reorder_pics
    b.ue(0); // max_latency_increase_plus1
}

/// Video usability information (E.2.1).
fn vui(b: &mut Bits) {
    b.u(2, 0); // aspect_ratio_info_present_flag, overscan_info_present_flag
    b.u(1, 1); // video_signal_type_present_flag
    b.u(3, 5); // video_format: unspecified
    b.u(1, 0); // video_full_range_flag
    b.u(1, 1); // colour_description_present_flag
    [1, 1, 1].into_iter().for_each(|bt709| b.u(8, bt709)); // primaries, transfer, matrix
    b.u(1, 0); // chroma_loc_info_present_flag
    b.u(3, 0); // neutral_chroma_indication_flag, field_seq_flag, frame_field_info_present_flag
    b.u(1, 0); // default_display_window_flag
    b.u(1, 0); // vui_timing_info_present_flag
    b.u(1, 0); // bitstream_restriction_flag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_those_of_the_standard() {
        assert_eq!(level(1280, 720, 30), 93);
        assert_eq!(level(1920, 1080, 30), 120);
        assert_eq!(level(1920, 1080, 60), 123);
        assert_eq!(level(3840, 2160, 30), 150);
        assert_eq!(level(u32::MAX, u32::MAX, u32::MAX), 156);
    }

    const TOOLS: Tools = Tools {
        tree: 5,
        coding: 4,
        transform: (2, 5),
        depth: (2, 2),
        pcm: None,
        asymmetric: true,
        adaptive_offset: false,
        strong_smoothing: false,
        sign_hiding: false,
        transform_skip: false,
        qp_delta: true,
    };

    #[test]
    fn headers_begin_as_worked_out_by_hand() {
        let stream = Stream { level: 93, width: 1366, height: 768, qp: 30, tools: TOOLS };
        assert_eq!((stream.coded(), stream.tree_blocks()), ((1376, 768), 43 * 24));
        let vps = stream.vps();
        assert_eq!(vps.bytes()[..10], [0, 0, 0, 1, 0x40, 1, 0x0c, 1, 0xff, 0xff]);
        let sps = stream.sps();
        assert_eq!(sps.bytes()[..8], [0, 0, 0, 1, 0x42, 1, 1, 1]);
        assert_eq!(sps.bytes()[19 - 1], 93);
        assert_eq!(stream.pps().bytes()[..6], [0, 0, 0, 1, 0x44, 1]);
        assert!([vps, sps, stream.pps()].iter().all(|bits| bits.len() == bits.bytes().len() * 8));
    }

    #[test]
    fn a_slice_header_is_the_one_worked_out_by_hand() {
        let stream = Stream { level: 93, width: 1280, height: 720, qp: 30, tools: TOOLS };
        let idr = stream.slice(&Slice { idr: true, order: 0, qp_delta: -1 });
        // "1" "0" "1" "011" "011", then "1" and zeros.
        assert_eq!(idr.bytes(), [0, 0, 0, 1, 0x26, 1, 0b1010_1101, 0b1100_0000]);
        let p = stream.slice(&Slice { idr: false, order: 258, qp_delta: 0 });
        // "1" "1" "010" "00000010" "0" "010" "1" "1" "1" "0" "1" "1", then "1".
        assert_eq!(p.bytes(), [0, 0, 0, 1, 2, 1, 0b1101_0000, 0b0001_0001, 0b0111_0111]);
    }
}
