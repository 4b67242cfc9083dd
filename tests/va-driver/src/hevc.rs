//! HEVC: what libva and the standard demand of a picture's structures, and that they agree with the
//! headers. Blocks are 16 by 16 and hold plain samples.
use crate::{bindings as va, headers::Reader};

/// What the device says of its tools: plain samples are required, nothing else is there.
pub const FEATURES: u32 = va::VA_FEATURE_REQUIRED << 8;

/// What the device says of its blocks: trees, coding blocks and plain blocks of 16, transforms of 4 to
/// 16.
pub const BLOCKS: u32 = 1 | 1 << 2 | 1 << 4 | 2 << 6 | 1 << 18 | 1 << 20;

/// Everything that was rendered for one picture, but for the packed headers.
#[derive(Clone, Default)]
pub struct Told {
    /// With each IDR.
    pub seq: Option<va::VAEncSequenceParameterBufferHEVC>,
    /// The picture.
    pub pic: Option<va::VAEncPictureParameterBufferHEVC>,
    /// Its slices.
    pub slices: Vec<va::VAEncSliceParameterBufferHEVC>,
}

/// What is known from the pictures before.
#[derive(Clone, Default)]
pub struct Known {
    /// The size that the context was made for.
    pub size: (u32, u32),
    /// Bits of `slice_pic_order_cnt_lsb`, from the last SPS.
    pub order_bits: Option<u32>,
    /// `init_qp` of the last PPS.
    pub qp: i32,
    /// The surface and the order of the picture before.
    pub last: Option<(u32, i32)>,
}

/// What the picture is, when nothing is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it is an IDR.
    pub idr: bool,
    /// The quantiser of its slice.
    pub qp: i32,
    /// The coded buffer.
    pub coded: u32,
    /// The surface to decode into.
    pub reconstructed: u32,
    /// VPS, SPS, PPS and slice header, as far as they came.
    pub headers: Vec<Vec<u8>>,
}

type Read<T> = Result<T, String>;

fn same<T: PartialEq + std::fmt::Debug>(what: &str, got: T, wanted: T) -> Read<()> {
    if got == wanted { Ok(()) } else { Err(format!("{what}: {got:?}, not {wanted:?}")) }
}

/// Checks one picture and learns from it. `packed`: type, length in bits, bytes.
///
/// # Errors
/// The first thing that is wrong, in words.
pub fn picture(known: &mut Known, told: &Told, packed: &[(u32, usize, Vec<u8>)]) -> Read<Verdict> {
    let Some(pic) = &told.pic else { return Err("no picture parameters".into()) };
    let [slice] = &told.slices[..] else { return Err(format!("{} slices", told.slices.len())) };
    let fields = crate::sys::hevc_pic_fields(pic);
    let idr = fields & 1 == 1;
    let wanted: &[u32] = if idr { &[32, 33, 34, 19] } else { &[1] };
    let found: Vec<u32> =
        packed.iter().map(|(.., bytes)| bytes.get(4).map_or(0, |b| u32::from(b >> 1 & 0x3f))).collect();
    same("packed headers", &found[..], wanted)?;
    if let Some((_, bits, _)) = packed.iter().find(|(_, bits, bytes)| *bits != bytes.len() * 8) {
        return Err(format!("a header of {bits} bits: none ends within a byte"));
    }
    if idr {
        let Some(seq) = &told.seq else { return Err("an IDR without sequence parameters".into()) };
        same(
            "size of the sequence",
            (seq.pic_width_in_luma_samples.into(), seq.pic_height_in_luma_samples.into()),
            known.size,
        )?;
        same("ip_period", seq.ip_period, 1)?;
        sps(known, &packed[1].2, seq)?;
        pps(known, &packed[2].2, pic)?;
    }
    let header = packed.last().map_or(&[][..], |(.., bytes)| bytes);
    same("nal_unit_type", u32::from(pic.nal_unit_type), wanted[wanted.len() - 1])?;
    same("coding_type", fields >> 1 & 7, if idr { 1 } else { 2 })?;
    same("reference_pic_flag", fields >> 4 & 1, 1)?;
    let blocks = known.size.0.div_ceil(16) * known.size.1.div_ceil(16);
    same("num_ctu_in_slice", slice.num_ctu_in_slice, blocks)?;
    same("slice_segment_address", slice.slice_segment_address, 0)?;
    same("last_slice_of_pic_flag", crate::sys::hevc_slice_fields(slice) & 1, 1)?;
    slice_header(known, header, pic, slice, idr)?;
    references(known, pic, slice, idr)?;
    let qp = known.qp + i32::from(slice.slice_qp_delta);
    if !(0..=51).contains(&qp) {
        return Err(format!("QP {qp}"));
    }
    known.last = Some((pic.decoded_curr_pic.picture_id, pic.decoded_curr_pic.pic_order_cnt));
    let headers = packed.iter().map(|(.., bytes)| bytes.clone()).collect();
    Ok(Verdict { idr, qp, coded: pic.coded_buf, reconstructed: pic.decoded_curr_pic.picture_id, headers })
}

/// Reads a sequence parameter set against the sequence parameters.
fn sps(known: &mut Known, bytes: &[u8], seq: &va::VAEncSequenceParameterBufferHEVC) -> Read<()> {
    let (_, mut r) = Reader::unit(bytes)?;
    same("second byte of the unit's head", r.u(8)?, 1)?;
    same("ids, sub-layers, nesting", r.u(8)?, 1)?;
    same("profile", r.u(8)?, 1)?;
    same("compatibility with Main", r.u(32)? >> 30, 1)?;
    r.u(32)?;
    r.u(16)?;
    same("general_level_idc", r.u(8)?, seq.general_level_idc.into())?;
    same("sps_seq_parameter_set_id", r.ue()?, 0)?;
    same("chroma_format_idc", r.ue()?, 1)?;
    same("size in the header", (r.ue()?, r.ue()?), known.size)?;
    if r.u(1)? == 1 {
        let (left, right, top, bottom) = (r.ue()?, r.ue()?, r.ue()?, r.ue()?);
        same("cropping at the left or top", left + top, 0)?;
        if right > 7 || bottom > 7 {
            return Err(format!("cropping of {right} and {bottom}"));
        }
    }
    same("bit depths", (r.ue()?, r.ue()?), (0, 0))?;
    known.order_bits = Some(r.ue()? + 4);
    r.u(1)?;
    let (_, reorder, _) = (r.ue()?, r.ue()?, r.ue()?);
    same("sps_max_num_reorder_pics", reorder, 0)?;
    let sizes = [
        ("log2_min_luma_coding_block_size_minus3", seq.log2_min_luma_coding_block_size_minus3),
        ("log2_diff_max_min_luma_coding_block_size", seq.log2_diff_max_min_luma_coding_block_size),
        ("log2_min_transform_block_size_minus2", seq.log2_min_transform_block_size_minus2),
        ("log2_diff_max_min_transform_block_size", seq.log2_diff_max_min_transform_block_size),
        ("max_transform_hierarchy_depth_inter", seq.max_transform_hierarchy_depth_inter),
        ("max_transform_hierarchy_depth_intra", seq.max_transform_hierarchy_depth_intra),
    ];
    for (what, told) in sizes {
        same(what, r.ue()?, told.into())?;
    }
    same("coding blocks of the device", (sizes[0].1, sizes[1].1), (1, 0))?;
    let fields = crate::sys::hevc_seq_fields(seq);
    same("scaling_list_enabled_flag", r.u(1)?, 0)?;
    same("amp_enabled_flag", r.u(1)?, fields >> 11 & 1)?;
    same("sample_adaptive_offset_enabled_flag", r.u(1)?, fields >> 12 & 1)?;
    same("pcm_enabled_flag", (r.u(1)?, fields >> 13 & 1), (1, 1))?;
    same("depth of plain samples", r.u(8)?, 0x77)?;
    same("sizes of plain blocks", (r.ue()?, r.ue()?), (1, 0))?;
    same("pcm_loop_filter_disabled_flag", (r.u(1)?, fields >> 14 & 1), (1, 1))?;
    same("num_short_term_ref_pic_sets", r.ue()?, 0)?;
    same("long_term_ref_pics_present_flag and sps_temporal_mvp_enabled_flag", r.u(2)?, 0)?;
    same("strong_intra_smoothing_enabled_flag", r.u(1)?, fields >> 10 & 1)?;
    same("vui_parameters_present_flag", r.u(1)?, 1)?;
    same("aspect ratio and overscan", r.u(2)?, 0)?;
    same("video_signal_type_present_flag", r.u(1)?, 1)?;
    r.u(3)?;
    let colour = [r.u(1)?, r.u(1)?, r.u(8)?, r.u(8)?, r.u(8)?];
    same("colour (limited range, BT.709)", colour, [0, 1, 1, 1, 1])
}

/// Reads a picture parameter set against the picture parameters.
fn pps(known: &mut Known, bytes: &[u8], pic: &va::VAEncPictureParameterBufferHEVC) -> Read<()> {
    let fields = crate::sys::hevc_pic_fields(pic);
    let (_, mut r) = Reader::unit(bytes)?;
    r.u(8)?;
    same("parameter set ids", (r.ue()?, r.ue()?), (0, 0))?;
    same("dependent slices, output flags, extra bits", r.u(5)?, 0)?;
    same("sign_data_hiding_enabled_flag", r.u(1)?, fields >> 6 & 1)?;
    same("cabac_init_present_flag", r.u(1)?, 0)?;
    same("default references", (r.ue()?, r.ue()?), (0, 0))?;
    known.qp = r.se()? + 26;
    same("pic_init_qp", i32::from(pic.pic_init_qp), known.qp)?;
    same("constrained_intra_pred_flag", r.u(1)?, fields >> 7 & 1)?;
    same("transform_skip_enabled_flag", r.u(1)?, fields >> 8 & 1)?;
    same("cu_qp_delta_enabled_flag", r.u(1)?, fields >> 9 & 1)
}

/// Reads a slice header against picture and slice.
fn slice_header(
    known: &Known,
    bytes: &[u8],
    pic: &va::VAEncPictureParameterBufferHEVC,
    slice: &va::VAEncSliceParameterBufferHEVC,
    idr: bool,
) -> Read<()> {
    let Some(order_bits) = known.order_bits else { return Err("no IDR came first".into()) };
    let (_, mut r) = Reader::unit(bytes)?;
    r.u(8)?;
    same("first_slice_segment_in_pic_flag", r.u(1)?, 1)?;
    if idr {
        r.u(1)?;
    }
    same("slice_pic_parameter_set_id", r.ue()?, 0)?;
    same("slice_type", (r.ue()?, if idr { 2 } else { 1 }), (slice.slice_type.into(), slice.slice_type.into()))?;
    if !idr {
        let order = pic.decoded_curr_pic.pic_order_cnt.cast_unsigned() & ((1 << order_bits) - 1);
        same("slice_pic_order_cnt_lsb", r.u(order_bits)?, order)?;
        same("short_term_ref_pic_set_sps_flag", r.u(1)?, 0)?;
        same("pictures before and after", (r.ue()?, r.ue()?), (1, 0))?;
        same("delta_poc_s0_minus1", r.ue()?, 0)?;
        same("used_by_curr_pic_s0_flag", r.u(1)?, 1)?;
        same("num_ref_idx_active_override_flag", r.u(1)?, 0)?;
        same("five_minus_max_num_merge_cand", r.ue()?, 5 - u32::from(slice.max_num_merge_cand))?;
    }
    same("slice_qp_delta", r.se()?, slice.slice_qp_delta.into())?;
    same("byte_alignment", r.u(1)?, 1)?;
    let rest = (bytes.len() * 8 - r.position()) as u32;
    if rest > 7 || r.u(rest)? != 0 {
        return Err("bits behind byte_alignment".into());
    }
    Ok(())
}

/// The picture refers to the one before, and is kept elsewhere.
fn references(
    known: &Known,
    pic: &va::VAEncPictureParameterBufferHEVC,
    slice: &va::VAEncSliceParameterBufferHEVC,
    idr: bool,
) -> Read<()> {
    let current = &pic.decoded_curr_pic;
    if idr {
        return same("order of an IDR", current.pic_order_cnt, 0);
    }
    let Some((surface, order)) = known.last else { return Err("nothing to refer to".into()) };
    same("order after the picture before", current.pic_order_cnt, order + 1)?;
    for (what, entry) in [("reference_frames", &pic.reference_frames[0]), ("ref_pic_list0", &slice.ref_pic_list0[0])] {
        same(what, (entry.picture_id, entry.pic_order_cnt), (surface, order))?;
        same("a reference before the picture", entry.flags, va::VA_PICTURE_HEVC_RPS_ST_CURR_BEFORE)?;
    }
    if current.picture_id == surface {
        return Err("the picture is decoded into its own reference".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    //! A right picture passes; each of these mutations does not.
    use sumac_backends::bitstream::hevc::{Bits, Slice, Stream, Tools};

    use super::*;

    fn set_hevc_pic_fields(pic: &mut va::VAEncPictureParameterBufferHEVC, value: u32) {
        pic.pic_fields.value = value;
    }

    fn set_hevc_seq_fields(seq: &mut va::VAEncSequenceParameterBufferHEVC, value: u32) {
        seq.seq_fields.value = value;
    }

    fn set_hevc_slice_fields(slice: &mut va::VAEncSliceParameterBufferHEVC, value: u32) {
        slice.slice_fields.value = value;
    }

    const TOOLS: Tools = Tools {
        tree: 4,
        coding: 4,
        transform: (2, 4),
        depth: (0, 0),
        pcm: Some((4, 4)),
        asymmetric: false,
        adaptive_offset: false,
        strong_smoothing: false,
        sign_hiding: false,
        transform_skip: false,
        qp_delta: false,
    };
    const STREAM: Stream = Stream { level: 63, width: 160, height: 94, qp: 30, tools: TOOLS };

    type Packed = Vec<(u32, usize, Vec<u8>)>;

    /// The IDR, or the picture that follows it.
    fn told(idr: bool) -> (Told, Packed) {
        let order = u32::from(!idr);
        let header = STREAM.slice(&Slice { idr, order, qp_delta: 2 });
        let name = |picture_id, order, flags| va::VAPictureHEVC {
            picture_id,
            pic_order_cnt: order,
            flags,
            ..Default::default()
        };
        let mut pic = va::VAEncPictureParameterBufferHEVC {
            decoded_curr_pic: name(if idr { 7 } else { 8 }, order.cast_signed(), 0),
            coded_buf: 9,
            pic_init_qp: 30,
            nal_unit_type: if idr { 19 } else { 1 },
            ..Default::default()
        };
        set_hevc_pic_fields(&mut pic, u32::from(idr) | (2 - u32::from(idr)) << 1 | 1 << 4);
        let mut slice = va::VAEncSliceParameterBufferHEVC {
            num_ctu_in_slice: 60,
            slice_type: if idr { 2 } else { 1 },
            max_num_merge_cand: 5,
            slice_qp_delta: 2,
            ..Default::default()
        };
        set_hevc_slice_fields(&mut slice, 1);
        let before = name(7, 0, va::VA_PICTURE_HEVC_RPS_ST_CURR_BEFORE);
        (pic.reference_frames[0], slice.ref_pic_list0[0]) = (before, before);
        let mut seq = va::VAEncSequenceParameterBufferHEVC {
            general_level_idc: 63,
            ip_period: 1,
            pic_width_in_luma_samples: 160,
            pic_height_in_luma_samples: 96,
            log2_min_luma_coding_block_size_minus3: 1,
            log2_diff_max_min_transform_block_size: 2,
            ..Default::default()
        };
        set_hevc_seq_fields(&mut seq, 1 | 1 << 13 | 1 << 14);
        let sets = [STREAM.vps(), STREAM.sps(), STREAM.pps()];
        let packed = |bits: &Bits| (1, bits.len(), bits.bytes().to_vec());
        let mut all: Packed = if idr { sets.iter().map(packed).collect() } else { Vec::new() };
        all.push(packed(&header));
        (Told { seq: idr.then_some(seq), pic: Some(pic), slices: vec![slice] }, all)
    }

    /// What is said of an IDR and of the picture after it, when each is changed.
    fn verdict(
        idr: impl FnOnce(&mut Told, &mut Packed),
        next: impl FnOnce(&mut Told, &mut Packed),
    ) -> Result<Verdict, String> {
        let mut known = Known { size: (160, 96), ..Known::default() };
        let ((mut first, mut first_packed), (mut second, mut second_packed)) = (told(true), told(false));
        idr(&mut first, &mut first_packed);
        next(&mut second, &mut second_packed);
        picture(&mut known, &first, &first_packed)?;
        picture(&mut known, &second, &second_packed)
    }

    #[test]
    fn what_is_right_passes() {
        let right = verdict(|_, _| {}, |_, _| {}).unwrap();
        assert_eq!((right.idr, right.qp, right.coded, right.reconstructed), (false, 32, 9, 8));
    }

    #[test]
    fn every_mutation_of_an_idr_is_found() {
        let found = |words: &str, change: fn(&mut Told, &mut Packed)| {
            let said = verdict(change, |_, _| {}).unwrap_err();
            assert!(said.contains(words), "{said:?} instead of {words:?}");
        };
        found("packed headers", |_, p| drop(p.remove(0)));
        found("within a byte", |_, p| p[1].1 -= 1);
        found("general_level_idc", |t, _| t.seq.as_mut().unwrap().general_level_idc = 93);
        found("size of the sequence", |t, _| t.seq.as_mut().unwrap().pic_width_in_luma_samples = 176);
        found("ip_period", |t, _| t.seq.as_mut().unwrap().ip_period = 2);
        found("log2_diff_max_min_transform", |t, _| {
            t.seq.as_mut().unwrap().log2_diff_max_min_transform_block_size = 3;
        });
        found("pcm_enabled_flag", |t, _| set_hevc_seq_fields(t.seq.as_mut().unwrap(), 1 | 1 << 14));
        found("amp_enabled_flag", |t, _| set_hevc_seq_fields(t.seq.as_mut().unwrap(), 1 | 7 << 11));
        found("pic_init_qp", |t, _| t.pic.as_mut().unwrap().pic_init_qp = 31);
        found("cu_qp_delta", |t, _| set_hevc_pic_fields(t.pic.as_mut().unwrap(), 1 | 1 << 1 | 1 << 4 | 1 << 9));
        found("nal_unit_type", |t, _| t.pic.as_mut().unwrap().nal_unit_type = 20);
        found("num_ctu_in_slice", |t, _| t.slices[0].num_ctu_in_slice = 59);
        found("order of an IDR", |t, _| t.pic.as_mut().unwrap().decoded_curr_pic.pic_order_cnt = 1);
        found("colour", |_, p| {
            let tools = TOOLS;
            let stream = Stream { tools, ..STREAM };
            let mut bytes = stream.sps().bytes().to_vec();
            // The last byte of matrix_coeffs' three ones lies before the last nine bits and the stop bit.
            let bit = (0..bytes.len() * 8).rev().filter(|bit| bytes[bit / 8] >> (7 - bit % 8) & 1 == 1).nth(1).unwrap();
            bytes[bit / 8] ^= 0x80 >> (bit % 8);
            p[1].2 = bytes;
        });
    }

    #[test]
    fn every_mutation_of_a_predicted_picture_is_found() {
        let found = |words: &str, change: fn(&mut Told, &mut Packed)| {
            let said = verdict(|_, _| {}, change).unwrap_err();
            assert!(said.contains(words), "{said:?} instead of {words:?}");
        };
        found("reference_frames", |t, _| t.pic.as_mut().unwrap().reference_frames[0].picture_id = 6);
        found("ref_pic_list0", |t, _| t.slices[0].ref_pic_list0[0].pic_order_cnt = 3);
        found("before the picture", |t, _| t.slices[0].ref_pic_list0[0].flags = 0);
        found("its own reference", |t, _| t.pic.as_mut().unwrap().decoded_curr_pic.picture_id = 7);
        found("slice_pic_order_cnt_lsb", |t, _| t.pic.as_mut().unwrap().decoded_curr_pic.pic_order_cnt = 2);
        found("slice_qp_delta", |t, _| t.slices[0].slice_qp_delta = 3);
        found("slice_type", |t, _| t.slices[0].slice_type = 0);
        found("merge_cand", |t, _| t.slices[0].max_num_merge_cand = 4);
        found("0 slices", |t, _| t.slices.clear());
        found("behind byte_alignment", |_, p| {
            p[0].2.push(0);
            p[0].1 += 8;
        });
    }
}
