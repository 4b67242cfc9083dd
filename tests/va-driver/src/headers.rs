//! H.264's headers, read back: not with the code that wrote them.

/// Bits of a header, the highest first.
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// What a header says, or what is wrong with it.
pub type Read<T> = Result<T, String>;

/// Of a sequence parameter set, what must agree with libva's structures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sps {
    /// `profile_idc`.
    pub profile: u32,
    /// The eight bits behind it.
    pub constraints: u32,
    /// `level_idc`.
    pub level: u32,
    /// `log2_max_frame_num_minus4`.
    pub frame_num_bits_minus4: u32,
    /// `pic_order_cnt_type`.
    pub order_type: u32,
    /// `max_num_ref_frames`.
    pub references: u32,
    /// Sides in macroblocks.
    pub macroblocks: (u32, u32),
    /// Cropping at the right and at the bottom, in units of two pixels.
    pub crop: (u32, u32),
    /// `video_full_range_flag`, primaries, transfer, matrix.
    pub colour: [u32; 4],
    /// `max_num_reorder_frames`.
    pub reorder: u32,
}

/// Of a picture parameter set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pps {
    /// `entropy_coding_mode_flag`.
    pub cabac: u32,
    /// `pic_init_qp`.
    pub qp: i32,
    /// `deblocking_filter_control_present_flag`.
    pub deblocking_control: u32,
}

/// Of a slice header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SliceHeader {
    /// `nal_unit_type` is 5.
    pub idr: bool,
    /// `nal_ref_idc` is not 0.
    pub reference: bool,
    /// `slice_type`, modulo 5: 0 is P, 2 is I.
    pub kind: u32,
    /// `frame_num`.
    pub frame_num: u32,
    /// `idr_pic_id`.
    pub idr_pic_id: u32,
    /// `slice_qp_delta`.
    pub qp_delta: i32,
}

impl<'a> Reader<'a> {
    /// Behind the start code and the head of a NAL unit; also the head.
    pub fn unit(bytes: &'a [u8]) -> Read<(u32, Self)> {
        let mut reader = Self { bytes, at: 0 };
        match reader.u(32)? {
            1 => Ok((reader.u(8)?, reader)),
            other => Err(format!("{other:#010x} instead of a start code")),
        }
    }

    /// A number of `count` bits.
    pub fn u(&mut self, count: u32) -> Read<u32> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.bytes.get(self.at / 8).ok_or_else(|| format!("ends at bit {}", self.at))?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Ok(value)
    }

    /// An Exp-Golomb code.
    pub fn ue(&mut self) -> Read<u32> {
        let mut zeros = 0;
        while self.u(1)? == 0 {
            zeros += 1;
            if zeros > 16 {
                return Err("an Exp-Golomb code of more than 33 bits".into());
            }
        }
        Ok((1 << zeros) - 1 + self.u(zeros)?)
    }

    /// An Exp-Golomb code with a sign.
    pub fn se(&mut self) -> Read<i32> {
        let code = self.ue()?.cast_signed();
        Ok(if code % 2 == 0 { -code / 2 } else { (code + 1) / 2 })
    }

    /// Bits read.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Checks for a one and zeros up to the end.
    fn trailing(&mut self) -> Read<()> {
        if self.u(1)? != 1 {
            return Err("no stop bit".into());
        }
        while self.at < self.bytes.len() * 8 {
            if self.u(1)? != 0 {
                return Err("bits behind the stop bit".into());
            }
        }
        Ok(())
    }

    /// A flag or number that must have this value.
    fn must(&mut self, what: &str, got: u32, wanted: u32) -> Read<()> {
        if got == wanted { Ok(()) } else { Err(format!("{what} is {got}, not {wanted}")) }
    }
}

/// Reads a sequence parameter set.
pub fn sps(bytes: &[u8]) -> Read<Sps> {
    let (head, mut r) = Reader::unit(bytes)?;
    r.must("nal_unit_type", head & 0x1f, 7)?;
    let (profile, constraints, level) = (r.u(8)?, r.u(8)?, r.u(8)?);
    let id = r.ue()?;
    r.must("seq_parameter_set_id", id, 0)?;
    if profile == 100 {
        for (what, wanted) in [("chroma_format_idc", 1), ("bit_depth_luma", 0), ("bit_depth_chroma", 0)] {
            let got = r.ue()?;
            r.must(what, got, wanted)?;
        }
        let got = r.u(2)?;
        r.must("transform bypass and scaling matrix", got, 0)?;
    }
    let (frame_num_bits_minus4, order_type) = (r.ue()?, r.ue()?);
    if order_type == 0 {
        r.ue()?;
    }
    let references = r.ue()?;
    let gaps = r.u(1)?;
    r.must("gaps_in_frame_num_value_allowed_flag", gaps, 0)?;
    let macroblocks = (r.ue()? + 1, r.ue()? + 1);
    let frames_only = r.u(1)?;
    r.must("frame_mbs_only_flag", frames_only, 1)?;
    r.u(1)?;
    let crop = if r.u(1)? == 1 {
        let (left, right, top, bottom) = (r.ue()?, r.ue()?, r.ue()?, r.ue()?);
        r.must("cropping at the left or top", left + top, 0)?;
        (right, bottom)
    } else {
        (0, 0)
    };
    let vui = r.u(1)?;
    r.must("vui_parameters_present_flag", vui, 1)?;
    let (colour, reorder) = vui_parameters(&mut r)?;
    r.trailing()?;
    Ok(Sps {
        profile,
        constraints,
        level,
        frame_num_bits_minus4,
        order_type,
        references,
        macroblocks,
        crop,
        colour,
        reorder,
    })
}

fn vui_parameters(r: &mut Reader<'_>) -> Read<([u32; 4], u32)> {
    let shape = r.u(2)?;
    r.must("aspect ratio and overscan", shape, 0)?;
    let present = r.u(1)?;
    r.must("video_signal_type_present_flag", present, 1)?;
    r.u(3)?;
    let range = r.u(1)?;
    let described = r.u(1)?;
    r.must("colour_description_present_flag", described, 1)?;
    let colour = [range, r.u(8)?, r.u(8)?, r.u(8)?];
    let more = r.u(5)?;
    r.must("chroma location, timing, HRD and pic_struct", more, 0)?;
    let restricted = r.u(1)?;
    r.must("bitstream_restriction_flag", restricted, 1)?;
    r.u(1)?;
    for _ in 0..4 {
        r.ue()?;
    }
    let reorder = r.ue()?;
    r.ue()?;
    Ok((colour, reorder))
}

/// Reads a picture parameter set.
pub fn pps(bytes: &[u8]) -> Read<Pps> {
    let (head, mut r) = Reader::unit(bytes)?;
    r.must("nal_unit_type", head & 0x1f, 8)?;
    let ids = r.ue()? + r.ue()?;
    r.must("parameter set ids", ids, 0)?;
    let cabac = r.u(1)?;
    r.u(1)?;
    let groups = r.ue()?;
    r.must("num_slice_groups_minus1", groups, 0)?;
    let lists = r.ue()? + r.ue()?;
    r.must("default reference indices", lists, 0)?;
    let weighted = r.u(3)?;
    r.must("weighted prediction", weighted, 0)?;
    let qp = r.se()? + 26;
    r.se()?;
    r.se()?;
    let deblocking_control = r.u(1)?;
    let rest = r.u(2)?;
    r.must("constrained intra prediction and redundant pictures", rest, 0)?;
    r.trailing()?;
    Ok(Pps { cabac, qp, deblocking_control })
}

/// Reads a slice header of `bits` bits.
pub fn slice(bytes: &[u8], bits: usize, sps: &Sps, pps: &Pps) -> Read<SliceHeader> {
    let (head, mut r) = Reader::unit(bytes)?;
    let idr = head & 0x1f == 5;
    if !idr && head & 0x1f != 1 {
        return Err(format!("nal_unit_type {}", head & 0x1f));
    }
    let first = r.ue()?;
    r.must("first_mb_in_slice", first, 0)?;
    let kind = r.ue()? % 5;
    let id = r.ue()?;
    r.must("pic_parameter_set_id", id, 0)?;
    let frame_num = r.u(sps.frame_num_bits_minus4 + 4)?;
    let idr_pic_id = if idr { r.ue()? } else { 0 };
    if kind == 0 {
        let flags = r.u(2)?;
        r.must("reference override and modification", flags, 0)?;
    }
    let reference = head >> 5 & 3 != 0;
    if reference {
        let marking = r.u(if idr { 2 } else { 1 })?;
        r.must("reference marking", marking, 0)?;
    }
    let qp_delta = r.se()?;
    if pps.deblocking_control == 1 && r.ue()? != 1 {
        r.se()?;
        r.se()?;
    }
    if r.position() != bits {
        return Err(format!("the header ends at bit {}, bit_length is {bits}", r.position()));
    }
    Ok(SliceHeader { idr, reference, kind, frame_num, idr_pic_id, qp_delta })
}
