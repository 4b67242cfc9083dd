//! What H.264 and libva demand of a picture's structures, and that they agree with the headers.

use sumac_backends::bitstream::h264;

use crate::{bindings as va, headers};

/// Everything that was rendered for one picture.
#[derive(Clone, Default)]
pub struct Told {
    /// With each IDR.
    pub seq: Option<va::VAEncSequenceParameterBufferH264>,
    /// The picture.
    pub pic: Option<va::VAEncPictureParameterBufferH264>,
    /// Its slices.
    pub slices: Vec<va::VAEncSliceParameterBufferH264>,
    /// Packed headers: type, length in bits, bytes.
    pub packed: Vec<(u32, usize, Vec<u8>)>,
}

/// What is known from the pictures before.
#[derive(Clone, Default)]
pub struct Known {
    /// `profile_idc` of the config.
    pub profile: u32,
    /// The size that the context was made for.
    pub size: (u32, u32),
    /// The last sequence parameter set.
    pub sps: Option<headers::Sps>,
    /// The last picture parameter set.
    pub pps: Option<headers::Pps>,
    /// The surface and number of the picture before.
    pub last: Option<(u32, u32)>,
    /// `idr_pic_id` of the IDR before.
    pub last_idr: Option<u32>,
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
    /// SPS, PPS and slice header, as far as they came.
    pub headers: Vec<Vec<u8>>,
    /// The slice header's bits.
    pub slice_bits: usize,
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, got: T, wanted: T) -> Result<(), String> {
    if got == wanted { Ok(()) } else { Err(format!("{what}: {got:?}, not {wanted:?}")) }
}

/// Checks one picture and learns from it.
///
/// # Errors
/// The first thing that is wrong, in words.
pub fn picture(known: &mut Known, told: &Told) -> Result<Verdict, String> {
    let Some(pic) = &told.pic else { return Err("no picture parameters".into()) };
    let [slice] = &told.slices[..] else { return Err(format!("{} slices", told.slices.len())) };
    let idr = crate::sys::h264_pic_fields(pic) & 1 == 1;
    let packed = |kind| told.packed.iter().find(|(k, ..)| *k == kind);
    if idr {
        let Some(seq) = &told.seq else { return Err("an IDR without sequence parameters".into()) };
        sequence(known, seq)?;
        let (_, _, bytes) = packed(va::VAEncPackedHeaderSequence).ok_or("no packed SPS")?;
        known.sps = Some(headers::sps(bytes)?);
        let (_, _, bytes) = packed(va::VAEncPackedHeaderPicture).ok_or("no packed PPS")?;
        known.pps = Some(headers::pps(bytes)?);
        sequence_header(known, seq)?;
    }
    let (Some(sps), Some(pps)) = (&known.sps, &known.pps) else { return Err("no IDR came first".into()) };
    let (_, bits, bytes) = packed(va::VAEncPackedHeaderSlice).ok_or("no packed slice header")?;
    let header = headers::slice(bytes, *bits, sps, pps)?;
    same("pic_init_qp", i32::from(pic.pic_init_qp), pps.qp)?;
    same("entropy_coding_mode_flag", crate::sys::h264_pic_fields(pic) >> 3 & 1, pps.cabac)?;
    same("deblocking_filter_control_present_flag", crate::sys::h264_pic_fields(pic) >> 9 & 1, pps.deblocking_control)?;
    slice_against(known, pic, slice, &header, idr)?;
    let (columns, rows) = sps.macroblocks;
    same("num_macroblocks", slice.num_macroblocks, columns * rows)?;
    let verdict = Verdict {
        idr,
        qp: i32::from(pic.pic_init_qp) + i32::from(slice.slice_qp_delta),
        coded: pic.coded_buf,
        reconstructed: pic.CurrPic.picture_id,
        headers: told.packed.iter().map(|(_, _, bytes)| bytes.clone()).collect(),
        slice_bits: *bits,
    };
    if !(0..=51).contains(&verdict.qp) {
        return Err(format!("QP {}", verdict.qp));
    }
    known.last = Some((pic.CurrPic.picture_id, pic.frame_num.into()));
    if idr {
        known.last_idr = Some(header.idr_pic_id);
    }
    Ok(verdict)
}

/// Writes the headers that did not come, as a device does that takes none, from what the structures
/// say.
///
/// # Errors
/// When one came all the same, or a structure is missing.
pub fn write_headers(known: &Known, told: &mut Told) -> Result<(), String> {
    same("packed headers where none are taken", told.packed.len(), 0)?;
    let (Some(pic), [slice]) = (&told.pic, &told.slices[..]) else { return Err("no picture or slice".into()) };
    let mut add = |kind, bits: h264::Bits| told.packed.push((kind, bits.len(), bits.bytes().to_vec()));
    if let Some(seq) = &told.seq {
        let side = |blocks: u16, crop: u32| u32::from(blocks) * 16 - 2 * crop;
        let stream = h264::Stream {
            high: known.profile == 100,
            level: seq.level_idc,
            width: side(seq.picture_width_in_mbs, seq.frame_crop_right_offset),
            height: side(seq.picture_height_in_mbs, seq.frame_crop_bottom_offset),
            qp: pic.pic_init_qp,
        };
        add(va::VAEncPackedHeaderSequence, stream.sps());
        add(va::VAEncPackedHeaderPicture, stream.pps());
    }
    let header = h264::Slice {
        idr: crate::sys::h264_pic_fields(pic) & 1 == 1,
        frame_num: pic.frame_num.into(),
        idr_pic_id: slice.idr_pic_id,
        qp_delta: slice.slice_qp_delta,
    };
    add(va::VAEncPackedHeaderSlice, header.header());
    Ok(())
}

/// The sequence parameters by themselves.
fn sequence(known: &Known, seq: &va::VAEncSequenceParameterBufferH264) -> Result<(), String> {
    let (width, height) = known.size;
    same("picture_width_in_mbs", u32::from(seq.picture_width_in_mbs) * 16, width)?;
    same("picture_height_in_mbs", u32::from(seq.picture_height_in_mbs) * 16, height)?;
    same("ip_period", seq.ip_period, 1)?;
    same("max_num_ref_frames", seq.max_num_ref_frames, 1)?;
    let fields = crate::sys::h264_seq_fields(seq);
    same("chroma_format_idc", fields & 3, 1)?;
    same("frame_mbs_only_flag", fields >> 2 & 1, 1)
}

/// The sequence parameters against the packed header.
fn sequence_header(known: &Known, seq: &va::VAEncSequenceParameterBufferH264) -> Result<(), String> {
    let Some(sps) = &known.sps else { return Err("no SPS".into()) };
    same("profile_idc", sps.profile, known.profile)?;
    if sps.profile == 66 {
        same("constraint_set0_flag and constraint_set1_flag", sps.constraints >> 6, 3)?;
    }
    same("level_idc", sps.level, seq.level_idc.into())?;
    let fields = crate::sys::h264_seq_fields(seq);
    same("log2_max_frame_num_minus4", sps.frame_num_bits_minus4, fields >> 6 & 15)?;
    same("pic_order_cnt_type", sps.order_type, fields >> 10 & 3)?;
    same("max_num_ref_frames", sps.references, seq.max_num_ref_frames)?;
    same("size", (sps.macroblocks.0 * 16, sps.macroblocks.1 * 16), known.size)?;
    let crop = match seq.frame_cropping_flag {
        0 => (0, 0),
        _ => (seq.frame_crop_right_offset, seq.frame_crop_bottom_offset),
    };
    same("cropping", sps.crop, crop)?;
    same("colour (limited range, BT.709)", sps.colour, [0, 1, 1, 1])?;
    same("max_num_reorder_frames", sps.reorder, 0)
}

/// Picture and slice against the packed header and the picture before.
fn slice_against(
    known: &Known,
    pic: &va::VAEncPictureParameterBufferH264,
    slice: &va::VAEncSliceParameterBufferH264,
    header: &headers::SliceHeader,
    idr: bool,
) -> Result<(), String> {
    same("IDR in the header", header.idr, idr)?;
    same("reference in the header", header.reference, crate::sys::h264_pic_fields(pic) >> 1 & 3 != 0)?;
    same("slice_type", u32::from(slice.slice_type), header.kind)?;
    same("frame_num", u32::from(pic.frame_num), header.frame_num)?;
    same("slice_qp_delta", i32::from(slice.slice_qp_delta), header.qp_delta)?;
    same("macroblock_address", slice.macroblock_address, 0)?;
    if idr {
        same("slice_type of an IDR", slice.slice_type, 2)?;
        same("frame_num of an IDR", pic.frame_num, 0)?;
        same("idr_pic_id", u32::from(slice.idr_pic_id), header.idr_pic_id)?;
        if known.last_idr == Some(header.idr_pic_id) {
            return Err("idr_pic_id is that of the IDR before".into());
        }
        return Ok(());
    }
    let Some((surface, number)) = known.last else { return Err("nothing to refer to".into()) };
    let modulus = known.sps.as_ref().map_or(16, |sps| 1 << (sps.frame_num_bits_minus4 + 4));
    same("frame_num after the picture before", u32::from(pic.frame_num), (number + 1) % modulus)?;
    same("RefPicList0", slice.RefPicList0[0].picture_id, surface)?;
    same("ReferenceFrames", pic.ReferenceFrames[0].picture_id, surface)?;
    if pic.CurrPic.picture_id == surface {
        return Err("the picture is decoded into its own reference".into());
    }
    let earlier = pic.ReferenceFrames[0].TopFieldOrderCnt < pic.CurrPic.TopFieldOrderCnt;
    same("the reference is output before the picture", earlier, true)
}

#[cfg(test)]
mod tests {
    //! A right picture passes; each of these mutations does not.
    use h264::{Slice, Stream};

    use super::*;

    fn set_pic_fields(pic: &mut va::VAEncPictureParameterBufferH264, value: u32) {
        pic.pic_fields.value = value;
    }

    fn set_seq_fields(seq: &mut va::VAEncSequenceParameterBufferH264, value: u32) {
        seq.seq_fields.value = value;
    }

    const STREAM: Stream = Stream { high: false, level: 20, width: 160, height: 94, qp: 26 };

    fn known() -> Known {
        Known { profile: 66, size: (160, 96), ..Known::default() }
    }

    fn packed(kind: u32, bits: &h264::Bits) -> (u32, usize, Vec<u8>) {
        (kind, bits.len(), bits.bytes().to_vec())
    }

    /// The IDR, or the picture that follows it.
    fn told(idr: bool) -> Told {
        let frame_num = u32::from(!idr);
        let header = Slice { idr, frame_num, idr_pic_id: 1, qp_delta: 2 }.header();
        let mut told = Told { packed: vec![packed(va::VAEncPackedHeaderSlice, &header)], ..Told::default() };
        let order = (2 * frame_num).cast_signed();
        let name = |picture_id, order| va::VAPictureH264 { picture_id, TopFieldOrderCnt: order, ..Default::default() };
        let mut pic = va::VAEncPictureParameterBufferH264 {
            CurrPic: name(if idr { 7 } else { 8 }, order),
            coded_buf: 9,
            frame_num: u16::from(!idr),
            pic_init_qp: 26,
            ..Default::default()
        };
        set_pic_fields(&mut pic, u32::from(idr) | 1 << 1 | 1 << 9);
        let mut slice = va::VAEncSliceParameterBufferH264 {
            num_macroblocks: 60,
            slice_type: if idr { 2 } else { 0 },
            idr_pic_id: u16::from(idr),
            slice_qp_delta: 2,
            ..Default::default()
        };
        if idr {
            let mut seq = va::VAEncSequenceParameterBufferH264 {
                level_idc: 20,
                ip_period: 1,
                max_num_ref_frames: 1,
                picture_width_in_mbs: 10,
                picture_height_in_mbs: 6,
                frame_cropping_flag: 1,
                frame_crop_bottom_offset: 1,
                ..Default::default()
            };
            set_seq_fields(&mut seq, 1 | 1 << 2 | 1 << 5 | 4 << 6 | 2 << 10);
            told.seq = Some(seq);
            told.packed.insert(0, packed(va::VAEncPackedHeaderSequence, &STREAM.sps()));
            told.packed.insert(1, packed(va::VAEncPackedHeaderPicture, &STREAM.pps()));
        } else {
            pic.ReferenceFrames[0] = name(7, 0);
            slice.RefPicList0[0] = name(7, 0);
        }
        (told.pic, told.slices) = (Some(pic), vec![slice]);
        told
    }

    /// What is said of an IDR and of the picture after it, when each is changed.
    fn verdict(idr: impl FnOnce(&mut Told), next: impl FnOnce(&mut Told)) -> Result<Verdict, String> {
        let mut known = known();
        let (mut first, mut second) = (told(true), told(false));
        idr(&mut first);
        next(&mut second);
        picture(&mut known, &first)?;
        picture(&mut known, &second)
    }

    #[test]
    fn what_is_right_passes() {
        let right = verdict(|_| {}, |_| {}).unwrap();
        assert_eq!((right.idr, right.qp, right.coded, right.reconstructed), (false, 28, 9, 8));
    }

    #[test]
    fn every_mutation_of_an_idr_is_found() {
        let found = |words: &str, change: fn(&mut Told)| {
            let said = verdict(change, |_| {}).unwrap_err();
            assert!(said.contains(words), "{said:?} instead of {words:?}");
        };
        found("level_idc", |t| t.seq.as_mut().unwrap().level_idc = 31);
        found("picture_width_in_mbs", |t| t.seq.as_mut().unwrap().picture_width_in_mbs = 11);
        found("cropping", |t| t.seq.as_mut().unwrap().frame_crop_bottom_offset = 2);
        found("ip_period", |t| t.seq.as_mut().unwrap().ip_period = 2);
        found("log2_max_frame_num", |t| set_seq_fields(t.seq.as_mut().unwrap(), 1 | 1 << 2 | 2 << 10));
        found("pic_init_qp", |t| t.pic.as_mut().unwrap().pic_init_qp = 27);
        found("entropy_coding_mode_flag", |t| set_pic_fields(t.pic.as_mut().unwrap(), 1 | 1 << 1 | 1 << 3 | 1 << 9));
        found("no packed PPS", |t| drop(t.packed.remove(1)));
        found("profile_idc", |t| t.packed[0].2[5] = 77);
        found("colour", |t| {
            let full = Stream { high: false, ..STREAM }.sps();
            let mut bytes = full.bytes().to_vec();
            // video_full_range_flag is the fourth bit behind video_signal_type_present_flag.
            let bit = (0..bytes.len() * 8).find(|bit| {
                let mut changed = bytes.clone();
                changed[bit / 8] ^= 0x80 >> (bit % 8);
                headers::sps(&changed).is_ok_and(|sps| sps.colour == [1, 1, 1, 1])
            });
            let bit = bit.unwrap();
            bytes[bit / 8] ^= 0x80 >> (bit % 8);
            t.packed[0].2 = bytes;
        });
        found("bit_length", |t| t.packed[2].1 -= 1);
        found("stop bit", |t| t.packed[1].2.push(0x80));
    }

    #[test]
    fn every_mutation_of_a_predicted_picture_is_found() {
        let found = |words: &str, change: fn(&mut Told)| {
            let said = verdict(|_| {}, change).unwrap_err();
            assert!(said.contains(words), "{said:?} instead of {words:?}");
        };
        found("RefPicList0", |t| t.slices[0].RefPicList0[0].picture_id = 6);
        found("ReferenceFrames", |t| t.pic.as_mut().unwrap().ReferenceFrames[0].picture_id = 6);
        found("its own reference", |t| t.pic.as_mut().unwrap().CurrPic.picture_id = 7);
        found("frame_num", |t| t.pic.as_mut().unwrap().frame_num = 2);
        found("slice_qp_delta", |t| t.slices[0].slice_qp_delta = 3);
        found("num_macroblocks", |t| t.slices[0].num_macroblocks = 59);
        found("slice_type", |t| t.slices[0].slice_type = 2);
        found("0 slices", |t| t.slices.clear());
        found("is output before", |t| t.pic.as_mut().unwrap().CurrPic.TopFieldOrderCnt = 0);
        let mut known = known();
        assert_eq!(picture(&mut known, &told(false)), Err("no IDR came first".into()));
        picture(&mut known, &told(true)).unwrap();
        assert!(picture(&mut known, &told(true)).unwrap_err().contains("idr_pic_id"));
    }
}
