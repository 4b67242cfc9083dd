//! H.264's headers, written for devices that code slices only.
pub use super::bits::Bits;

/// Levels by macroblocks per picture and per second (ITU-T H.264, table A-1): the ones that matter
/// for a screen, as `level_idc`.
const LEVELS: [(u64, u64, u8); 8] = [
    (396, 11_880, 20),
    (1_620, 40_500, 30),
    (3_600, 108_000, 31),
    (8_192, 245_760, 40),
    (8_704, 522_240, 42),
    (22_080, 589_824, 50),
    (36_864, 983_040, 51),
    (36_864, 2_073_600, 52),
];

/// The lowest level for pictures of this size and rate; the highest there is for more.
pub fn level(width: u32, height: u32, fps: u32) -> u8 {
    let blocks = u64::from(width.div_ceil(16)) * u64::from(height.div_ceil(16));
    let fits = |(picture, second, _): &&(u64, u64, u8)| blocks <= *picture && blocks * u64::from(fps) <= *second;
    LEVELS.iter().find(fits).map_or(52, |(.., level)| *level)
}

/// What the headers of a stream without delay say: frames only, one reference, no reordering,
/// BT.709 in limited range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// High profile instead of Constrained Baseline.
    pub high: bool,
    /// See [`level`].
    pub level: u8,
    /// Pixels per row that are shown, even.
    pub width: u32,
    /// Rows that are shown, even.
    pub height: u32,
    /// `pic_init_qp`, 0 to 51.
    pub qp: u8,
}

/// One slice that is a whole picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    /// An instantaneous decoder refresh; else predicted from the picture before.
    pub idr: bool,
    /// Counts pictures from the last IDR, which is 0; its low [`FRAME_NUM_BITS`] bits count.
    pub frame_num: u32,
    /// Differs between IDRs that follow each other.
    pub idr_pic_id: u16,
    /// Added to [`Stream::qp`].
    pub qp_delta: i8,
}

/// Bits of `frame_num`.
pub const FRAME_NUM_BITS: u32 = 8;

impl Stream {
    /// Sides in macroblocks.
    pub fn macroblocks(&self) -> (u32, u32) {
        (self.width.div_ceil(16), self.height.div_ceil(16))
    }

    /// What is cut off at the right and at the bottom, in units of two pixels.
    pub fn crop(&self) -> (u32, u32) {
        let (columns, rows) = self.macroblocks();
        ((columns * 16 - self.width) / 2, (rows * 16 - self.height) / 2)
    }

    /// The sequence parameter set (7.3.2.1.1), behind a start code.
    pub fn sps(&self) -> Bits {
        let mut b = start(3, 7);
        let (columns, rows) = self.macroblocks();
        let (right, bottom) = self.crop();
        b.u(8, if self.high { 100 } else { 66 });
        // constraint_set0_flag and constraint_set1_flag make Baseline the constrained one.
        b.u(8, if self.high { 0 } else { 0b1100_0000 });
        b.u(8, self.level.into());
        b.ue(0); // seq_parameter_set_id
        if self.high {
            b.ue(1); // chroma_format_idc: 4:2:0
            b.ue(0); // bit_depth_luma_minus8
            b.ue(0); // bit_depth_chroma_minus8
            b.u(1, 0); // qpprime_y_zero_transform_bypass_flag
            b.u(1, 0); // seq_scaling_matrix_present_flag
        }
        b.ue(FRAME_NUM_BITS - 4); // log2_max_frame_num_minus4
        b.ue(2); // pic_order_cnt_type: output order is decoding order
        b.ue(1); // max_num_ref_frames
        b.u(1, 0); // gaps_in_frame_num_value_allowed_flag
        b.ue(columns - 1); // pic_width_in_mbs_minus1
        b.ue(rows - 1); // pic_height_in_map_units_minus1
        b.u(1, 1); // frame_mbs_only_flag
        b.u(1, 1); // direct_8x8_inference_flag
        let crops = (right, bottom) != (0, 0);
        b.u(1, crops.into()); // frame_cropping_flag
        if crops {
            b.ue(0);
            b.ue(right);
            b.ue(0);
            b.ue(bottom);
        }
        b.u(1, 1); // vui_parameters_present_flag
        vui(&mut b);
        b.trailing();
        b
    }

    /// The picture parameter set (7.3.2.2), behind a start code.
    pub fn pps(&self) -> Bits {
        let mut b = start(3, 8);
        b.ue(0); // pic_parameter_set_id
        b.ue(0); // seq_parameter_set_id
        b.u(1, 0); // entropy_coding_mode_flag: CAVLC
        b.u(1, 0); // bottom_field_pic_order_in_frame_present_flag
        b.ue(0); // num_slice_groups_minus1
        b.ue(0); // num_ref_idx_l0_default_active_minus1
        b.ue(0); // num_ref_idx_l1_default_active_minus1
        b.u(1, 0); // weighted_pred_flag
        b.u(2, 0); // weighted_bipred_idc
        b.se(i32::from(self.qp) - 26); // pic_init_qp_minus26
        b.se(0); // pic_init_qs_minus26
        b.se(0); // chroma_qp_index_offset
        b.u(1, 1); // deblocking_filter_control_present_flag
        b.u(1, 0); // constrained_intra_pred_flag
        b.u(1, 0); // redundant_pic_cnt_present_flag
        b.trailing();
        b
    }
}

impl Slice {
    /// The slice header (7.3.3), behind a start code; slice data follows its last bit.
    pub fn header(&self) -> Bits {
        let mut b = start(2, if self.idr { 5 } else { 1 });
        b.ue(0); // first_mb_in_slice
        b.ue(if self.idr { 7 } else { 5 }); // slice_type: all of the picture I, or P
        b.ue(0); // pic_parameter_set_id
        b.u(FRAME_NUM_BITS, self.frame_num & ((1 << FRAME_NUM_BITS) - 1));
        if self.idr {
            b.ue(self.idr_pic_id.into());
        } else {
            b.u(1, 0); // num_ref_idx_active_override_flag
            b.u(1, 0); // ref_pic_list_modification_flag_l0
        }
        if self.idr {
            b.u(1, 0); // no_output_of_prior_pics_flag
            b.u(1, 0); // long_term_reference_flag
        } else {
            b.u(1, 0); // adaptive_ref_pic_marking_mode_flag
        }
        b.se(self.qp_delta.into());
        b.ue(0); // disable_deblocking_filter_idc
        b.se(0); // slice_alpha_c0_offset_div2
        b.se(0); // slice_beta_offset_div2
        b
    }
}

/// A start code and the head of a NAL unit.
fn start(ref_idc: u32, kind: u32) -> Bits {
    let mut bits = Bits::default();
    bits.u(32, 1);
    bits.u(8, ref_idc << 5 | kind);
    bits
}

/// Video usability information (E.1.1).
fn vui(b: &mut Bits) {
    b.u(1, 0); // aspect_ratio_info_present_flag
    b.u(1, 0); // overscan_info_present_flag
    b.u(1, 1); // video_signal_type_present_flag
    b.u(3, 5); // video_format: unspecified
    b.u(1, 0); // video_full_range_flag
    b.u(1, 1); // colour_description_present_flag
    b.u(8, 1); // colour_primaries: BT.709
    b.u(8, 1); // transfer_characteristics: BT.709
    b.u(8, 1); // matrix_coefficients: BT.709
    b.u(1, 0); // chroma_loc_info_present_flag
    b.u(1, 0); // timing_info_present_flag
    b.u(1, 0); // nal_hrd_parameters_present_flag
    b.u(1, 0); // vcl_hrd_parameters_present_flag
    b.u(1, 0); // pic_struct_present_flag
    b.u(1, 1); // bitstream_restriction_flag
    b.u(1, 1); // motion_vectors_over_pic_boundaries_flag
    b.ue(0); // max_bytes_per_pic_denom
    b.ue(0); // max_bits_per_mb_denom
    b.ue(15); // log2_max_mv_length_horizontal
    b.ue(15); // log2_max_mv_length_vertical
    b.ue(0); // max_num_reorder_frames: no picture waits for another
    b.ue(1); // max_dec_frame_buffering
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(write: impl Fn(&mut Bits)) -> String {
        let mut b = Bits::default();
        write(&mut b);
        (0..b.len()).map(|n| if b.bytes()[n / 8] >> (7 - n % 8) & 1 == 1 { '1' } else { '0' }).collect()
    }

    #[test]
    fn levels_are_table_a_1() {
        assert_eq!(level(1280, 720, 30), 31);
        assert_eq!(level(1920, 1080, 30), 40);
        assert_eq!(level(1920, 1080, 60), 42);
        assert_eq!(level(3840, 2160, 30), 51);
        assert_eq!(level(16_000, 16_000, 60), 52);
    }

    #[test]
    fn a_parameter_set_is_the_one_worked_out_by_hand() {
        // 1280x720: 80 by 45 macroblocks; level 3.1; nothing cropped.
        let stream = Stream { high: false, level: 31, width: 1280, height: 720, qp: 26 };
        let sps = stream.sps();
        assert_eq!(sps.bytes()[..8], [0, 0, 0, 1, 0x67, 66, 0xc0, 31]);
        // Id 0 "1", frame_num "00101", order "011", references "010", gaps "0", 79 "0000001010000",
        // 44 "00000101101", "1", "1", "0", VUI "1".
        let rest = bits(|b| {
            for byte in &sps.bytes()[8..] {
                b.u(8, (*byte).into());
            }
        });
        assert!(rest.starts_with("1001010110100000000101000000000101101110100"), "{rest}");
        let pps = stream.pps();
        // "1" "1" "0" "0" "1" "1" "1" "0" "00" "1" "1" "1" "1" "0" "0", then "1" and zeros.
        assert_eq!(pps.bytes(), [0, 0, 0, 1, 0x68, 0b1100_1110, 0b0011_1100, 0b1000_0000]);
    }

    #[test]
    fn odd_shapes_are_cropped() {
        let stream = Stream { high: true, level: 31, width: 1366, height: 768, qp: 30 };
        assert_eq!(stream.macroblocks(), (86, 48));
        assert_eq!(stream.crop(), (5, 0));
        assert_eq!(stream.sps().bytes()[5], 100);
    }

    #[test]
    fn a_slice_header_is_the_one_worked_out_by_hand() {
        let idr = Slice { idr: true, frame_num: 0, idr_pic_id: 1, qp_delta: -1 };
        let b = idr.header();
        // "1" "0001000" "1" "00000000" "010" "0" "0" "011" "1" "1" "1"
        assert_eq!(b.bytes(), [0, 0, 0, 1, 0x45, 0b1000_1000, 0b1000_0000, 0b0010_0001, 0b1111_0000]);
        assert_eq!(b.len(), 5 * 8 + 28);
        let p = Slice { idr: false, frame_num: 257, idr_pic_id: 9, qp_delta: 0 }.header();
        // "1" "00110" "1" "00000001" "0" "0" "0" "1" "1" "1" "1"
        assert_eq!(p.bytes(), [0, 0, 0, 1, 0x41, 0b1001_1010, 0b0000_0010, 0b0011_1100]);
        assert_eq!(p.len(), 5 * 8 + 22);
    }
}
