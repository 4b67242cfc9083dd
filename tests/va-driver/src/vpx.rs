//! VP8 and VP9: checks what the device is told, and codes it by the software encoder, which is
//! libvpx.
use sumac_backends::{
    Backend, Chroma, Codec, Completion, EncodeRequest, Encoder, Frame, Layout, Rate, Settings, Tuning,
    software::Software,
};

use crate::{
    bindings as va,
    picture::{Nv12, Space},
};

/// Everything that was rendered for one picture.
#[derive(Clone, Default)]
pub struct Told {
    /// With each key frame.
    pub vp8_sequence: Option<va::VAEncSequenceParameterBufferVP8>,
    /// The picture.
    pub vp8_picture: Option<va::VAEncPictureParameterBufferVP8>,
    /// Its quantisers.
    pub vp8_quantisers: Option<va::VAQMatrixBufferVP8>,
    /// With each key frame.
    pub vp9_sequence: Option<va::VAEncSequenceParameterBufferVP9>,
    /// The picture.
    pub vp9_picture: Option<va::VAEncPictureParameterBufferVP9>,
}

/// What is known from the pictures before.
#[derive(Clone, Default)]
pub struct Known {
    /// The size that the context was made for.
    pub size: (u32, u32),
    /// The size of the pictures, from the last key frame.
    pub shown: Option<(u32, u32)>,
    /// The surface of the picture before.
    pub last: Option<u32>,
}

/// What the picture is, when nothing is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it is a key frame.
    pub key: bool,
    /// Its size.
    pub size: (u32, u32),
    /// Its quantiser, 0 to 63.
    pub quantiser: u32,
    /// The coded buffer.
    pub coded: u32,
    /// The surface to decode into.
    pub reconstructed: u32,
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, got: T, wanted: T) -> Result<(), String> {
    if got == wanted { Ok(()) } else { Err(format!("{what}: {got:?}, not {wanted:?}")) }
}

/// Checks one VP8 picture and learns from it.
///
/// # Errors
/// The first thing that is wrong, in words.
pub fn vp8(known: &mut Known, told: &Told) -> Result<Verdict, String> {
    let Some(pic) = &told.vp8_picture else { return Err("no picture parameters".into()) };
    let Some(quantisers) = &told.vp8_quantisers else { return Err("no quantisers".into()) };
    let (references, flags) = (crate::sys::vp8_references(pic), crate::sys::vp8_flags(pic));
    let key = flags & 1 == 0;
    same("force_kf", references & 1 == 1, key)?;
    same("version", flags >> 1 & 7, 0)?;
    same("show_frame", flags >> 4 & 1, 1)?;
    same("segmentation_enabled", flags >> 14 & 1, 0)?;
    same("refresh_last", flags >> 21 & 1, 1)?;
    let [index, others @ ..] = quantisers.quantization_index;
    same("quantisers of the segments", others, [index; 3])?;
    if index > 127 || !(0..64).contains(&pic.loop_filter_level[0]) || pic.sharpness_level > 7 {
        return Err(format!("quantiser {index}, filter {} {}", pic.loop_filter_level[0], pic.sharpness_level));
    }
    if key {
        let Some(seq) = &told.vp8_sequence else { return Err("a key frame without sequence parameters".into()) };
        same("kf_auto", seq.kf_auto, 0)?;
        key_frame(known, (seq.frame_width, seq.frame_height), 16)?;
        same("refresh_golden_frame and refresh_alternate_frame", flags >> 19 & 3, 3)?;
    } else {
        same("no_ref_last", references >> 1 & 1, 0)?;
        // Golden and alternate frames are not kept here.
        same("no_ref_gf and no_ref_arf", references >> 2 & 3, 3)?;
        same("copies of golden and alternate frames", flags >> 22 & 15, 0)?;
        predicted(known, "ref_last_frame", pic.ref_last_frame, pic.reconstructed_frame)?;
    }
    let size = known.shown.ok_or("no key frame came first")?;
    known.last = Some(pic.reconstructed_frame);
    let quantiser = u32::from(index) * 63 / 127;
    Ok(Verdict { key, size, quantiser, coded: pic.coded_buf, reconstructed: pic.reconstructed_frame })
}

/// Checks one VP9 picture and learns from it.
///
/// # Errors
/// The first thing that is wrong, in words.
pub fn vp9(known: &mut Known, told: &Told) -> Result<Verdict, String> {
    let Some(pic) = &told.vp9_picture else { return Err("no picture parameters".into()) };
    let (references, flags) = (crate::sys::vp9_references(pic), crate::sys::vp9_flags(pic));
    let key = flags & 1 == 0;
    same("force_kf", references & 1 == 1, key)?;
    same("show_frame", flags >> 1 & 1, 1)?;
    same("intra_only and error_resilient_mode", flags >> 2 & 3, 0)?;
    same("segmentation_enabled", flags >> 14 & 1, 0)?;
    same("lossless_mode", flags >> 17 & 1, 0)?;
    if pic.filter_level > 63 || pic.sharpness_level > 7 {
        return Err(format!("filter {} {}", pic.filter_level, pic.sharpness_level));
    }
    if key {
        let Some(seq) = &told.vp9_sequence else { return Err("a key frame without sequence parameters".into()) };
        same("kf_auto", seq.kf_auto, 0)?;
        key_frame(known, (seq.max_frame_width, seq.max_frame_height), 64)?;
        same("refresh_frame_flags of a key frame", pic.refresh_frame_flags, 0xff)?;
    } else {
        same("ref_frame_ctrl_l0", references >> 1 & 7, 1)?;
        let slot = (references >> 7 & 7) as usize;
        predicted(known, "reference_frames", pic.reference_frames[slot], pic.reconstructed_frame)?;
        // A slot that stays must not name the surface that is written now.
        let stale = |n: usize| pic.refresh_frame_flags >> n & 1 == 0;
        if (0..8).any(|n| stale(n) && pic.reference_frames[n] == pic.reconstructed_frame) {
            return Err("a slot holds the surface that is written".into());
        }
        same("the slot of the last frame is refreshed", pic.refresh_frame_flags >> slot & 1, 1)?;
    }
    let size = known.shown.ok_or("no key frame came first")?;
    same("frame_width and frame_height", (pic.frame_width_dst, pic.frame_height_dst), size)?;
    same("the source's size", (pic.frame_width_src, pic.frame_height_src), size)?;
    let superblocks = size.0.div_ceil(64);
    if superblocks >> pic.log2_tile_columns > 64
        || (pic.log2_tile_columns > 0 && superblocks >> pic.log2_tile_columns < 4)
    {
        return Err(format!("log2_tile_columns {} for {} pixels", pic.log2_tile_columns, size.0));
    }
    known.last = Some(pic.reconstructed_frame);
    let quantiser = u32::from(pic.luma_ac_qindex) / 4;
    Ok(Verdict { key, size, quantiser, coded: pic.coded_buf, reconstructed: pic.reconstructed_frame })
}

/// The size of a key frame must be the context's, but for rounding.
fn key_frame(known: &mut Known, (width, height): (u32, u32), block: u32) -> Result<(), String> {
    same("size of the sequence", (width.next_multiple_of(block), height.next_multiple_of(block)), known.size)?;
    known.shown = Some((width, height));
    Ok(())
}

fn predicted(known: &Known, what: &str, reference: u32, reconstructed: u32) -> Result<(), String> {
    let Some(last) = known.last else { return Err("nothing to refer to".into()) };
    same(what, reference, last)?;
    if reconstructed == last {
        return Err("the picture is decoded into its own reference".into());
    }
    Ok(())
}

/// A stream as the software encoder writes it.
pub(crate) struct Stream {
    codec: Codec,
    encoder: Option<(Settings, Box<dyn Encoder>)>,
}

impl Stream {
    pub(crate) fn new(codec: Codec) -> Self {
        Self { codec, encoder: None }
    }

    /// Codes a picture, in the colours that the codec has by definition or says that it has.
    pub(crate) fn encode(&mut self, of: Verdict, picture: &Nv12) -> Result<Vec<u8>, String> {
        let space = if self.codec == Codec::Vp8 { Space::Bt601Limited } else { Space::Bt709Limited };
        let (width, height) = of.size;
        let pixels = picture.to_bgrx(width as usize, height as usize, space);
        let frame = Frame::from_memory(Layout { width, height, stride: width * 4 }, pixels);
        let frame = frame.map_err(|e| e.to_string())?;
        // The inverse of the quantiser of a quality, as nearly as it goes.
        let worse = (f64::from(of.quantiser.saturating_sub(2)) / 0.6).round();
        let rate = Rate::Quality((100.0 - worse).clamp(1.0, 100.0) as u8);
        let tuning = Tuning { rate, fps: 30 };
        let settings = Settings { codec: self.codec, width, height, chroma: Chroma::Yuv420, tuning, device: None };
        let (settings, encoder) = match self.encoder.take() {
            Some((known, mut encoder)) if (known.width, known.height) == (width, height) => {
                encoder.retune(&tuning).map_err(|e| e.to_string())?;
                (settings, encoder)
            }
            _ => {
                let encoder = Software.open(&settings, &frame).map_err(|e| e.to_string())?;
                (settings, encoder)
            }
        };
        let (_, encoder) = self.encoder.insert((settings, encoder));
        let region = frame.bounds();
        let want = EncodeRequest { region, damage: region, keyframe: of.key, tag: 0 };
        encoder.submit(frame, want).map_err(|refused| refused.to_string())?;
        match encoder.poll_completion().map_err(|e| e.to_string())? {
            Some(Completion::Encoded(packet)) if packet.keyframe == of.key => Ok(packet.data.to_vec()),
            other => Err(format!("the software encoder: {other:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    //! A right picture passes; each of these mutations does not.
    use super::*;

    fn set_vp8_flags(pic: &mut va::VAEncPictureParameterBufferVP8, references: u32, flags: u32) {
        (pic.ref_flags.value, pic.pic_flags.value) = (references, flags);
    }

    fn set_vp9_flags(pic: &mut va::VAEncPictureParameterBufferVP9, references: u32, flags: u32) {
        (pic.ref_flags.value, pic.pic_flags.value) = (references, flags);
    }

    fn vp8_told(key: bool) -> Told {
        let mut pic = va::VAEncPictureParameterBufferVP8 {
            reconstructed_frame: if key { 7 } else { 8 },
            ref_last_frame: 7,
            coded_buf: 9,
            ..Default::default()
        };
        let flags = if key { 3 << 19 } else { 1 };
        set_vp8_flags(&mut pic, if key { 1 } else { 3 << 2 }, flags | 1 << 4 | 1 << 21);
        let seq = va::VAEncSequenceParameterBufferVP8 { frame_width: 150, frame_height: 90, ..Default::default() };
        let quantisers = va::VAQMatrixBufferVP8 { quantization_index: [40; 4], ..Default::default() };
        let (vp8_picture, vp8_quantisers) = (Some(pic), Some(quantisers));
        Told { vp8_sequence: key.then_some(seq), vp8_picture, vp8_quantisers, ..Told::default() }
    }

    fn vp9_told(key: bool) -> Told {
        let mut pic = va::VAEncPictureParameterBufferVP9 {
            frame_width_src: 150,
            frame_height_src: 90,
            frame_width_dst: 150,
            frame_height_dst: 90,
            reconstructed_frame: if key { 7 } else { 8 },
            reference_frames: [7; 8],
            refresh_frame_flags: 0xff,
            luma_ac_qindex: 80,
            coded_buf: 9,
            ..Default::default()
        };
        set_vp9_flags(&mut pic, if key { 1 } else { 2 }, u32::from(!key) | 2);
        let seq =
            va::VAEncSequenceParameterBufferVP9 { max_frame_width: 150, max_frame_height: 90, ..Default::default() };
        Told { vp9_sequence: key.then_some(seq), vp9_picture: Some(pic), ..Told::default() }
    }

    /// A codec's check, the size of its context, and what it is told.
    type Case = (fn(&mut Known, &Told) -> Result<Verdict, String>, (u32, u32), fn(bool) -> Told);

    /// What is said of a key frame and of the picture after it, when each is changed.
    fn verdict(
        (check, size, told): Case,
        key: impl FnOnce(&mut Told),
        next: impl FnOnce(&mut Told),
    ) -> Result<Verdict, String> {
        let mut known = Known { size, ..Known::default() };
        let (mut first, mut second) = (told(true), told(false));
        key(&mut first);
        next(&mut second);
        check(&mut known, &first)?;
        check(&mut known, &second)
    }

    const VP8: Case = (vp8, (160, 96), vp8_told);
    const VP9: Case = (vp9, (192, 128), vp9_told);

    #[test]
    fn what_is_right_passes() {
        for (codec, quantiser) in [(VP8, 19), (VP9, 20)] {
            let right = verdict(codec, |_| {}, |_| {}).unwrap();
            assert_eq!(right, Verdict { key: false, size: (150, 90), quantiser, coded: 9, reconstructed: 8 });
            let mut known = Known { size: codec.1, ..Known::default() };
            assert_eq!(codec.0(&mut known, &codec.2(false)), Err("nothing to refer to".into()));
        }
    }

    #[test]
    fn every_mutation_of_vp8_is_found() {
        let key = |words: &str, change: fn(&mut Told)| {
            let said = verdict(VP8, change, |_| {}).unwrap_err();
            assert!(said.contains(words), "{said:?} instead of {words:?}");
        };
        key("without sequence", |t| t.vp8_sequence = None);
        key("size", |t| t.vp8_sequence.as_mut().unwrap().frame_width = 161);
        key("kf_auto", |t| t.vp8_sequence.as_mut().unwrap().kf_auto = 1);
        key("no quantisers", |t| t.vp8_quantisers = None);
        key("quantiser 128", |t| t.vp8_quantisers.as_mut().unwrap().quantization_index = [128; 4]);
        key("of the segments", |t| t.vp8_quantisers.as_mut().unwrap().quantization_index[2] = 41);
        key("filter 64", |t| t.vp8_picture.as_mut().unwrap().loop_filter_level[0] = 64);
        key("force_kf", |t| set_vp8_flags(t.vp8_picture.as_mut().unwrap(), 0, 3 << 19 | 1 << 4 | 1 << 21));
        let next = |words: &str, change: fn(&mut Told)| {
            let said = verdict(VP8, |_| {}, change).unwrap_err();
            assert!(said.contains(words), "{said:?} instead of {words:?}");
        };
        next("ref_last_frame", |t| t.vp8_picture.as_mut().unwrap().ref_last_frame = 6);
        next("its own reference", |t| t.vp8_picture.as_mut().unwrap().reconstructed_frame = 7);
        next("no_ref_gf", |t| set_vp8_flags(t.vp8_picture.as_mut().unwrap(), 1 << 2, 1 | 1 << 4 | 1 << 21));
        next("refresh_last", |t| set_vp8_flags(t.vp8_picture.as_mut().unwrap(), 3 << 2, 1 | 1 << 4));
        next("show_frame", |t| set_vp8_flags(t.vp8_picture.as_mut().unwrap(), 3 << 2, 1 | 1 << 21));
    }

    #[test]
    fn every_mutation_of_vp9_is_found() {
        let key = |words: &str, change: fn(&mut Told)| {
            let said = verdict(VP9, change, |_| {}).unwrap_err();
            assert!(said.contains(words), "{said:?} instead of {words:?}");
        };
        key("without sequence", |t| t.vp9_sequence = None);
        key("size of the sequence", |t| t.vp9_sequence.as_mut().unwrap().max_frame_height = 129);
        key("kf_auto", |t| t.vp9_sequence.as_mut().unwrap().kf_auto = 1);
        key("refresh_frame_flags", |t| t.vp9_picture.as_mut().unwrap().refresh_frame_flags = 1);
        key("frame_width", |t| t.vp9_picture.as_mut().unwrap().frame_width_dst = 151);
        key("source's size", |t| t.vp9_picture.as_mut().unwrap().frame_width_src = 151);
        key("log2_tile_columns", |t| t.vp9_picture.as_mut().unwrap().log2_tile_columns = 1);
        key("filter 64", |t| t.vp9_picture.as_mut().unwrap().filter_level = 64);
        let next = |words: &str, change: fn(&mut Told)| {
            let said = verdict(VP9, |_| {}, change).unwrap_err();
            assert!(said.contains(words), "{said:?} instead of {words:?}");
        };
        next("reference_frames", |t| t.vp9_picture.as_mut().unwrap().reference_frames[0] = 6);
        next("its own reference", |t| t.vp9_picture.as_mut().unwrap().reconstructed_frame = 7);
        next("is written", |t| {
            let pic = t.vp9_picture.as_mut().unwrap();
            (pic.refresh_frame_flags, pic.reference_frames[3]) = (1, 8);
        });
        next("is refreshed", |t| t.vp9_picture.as_mut().unwrap().refresh_frame_flags = 2);
        next("ref_frame_ctrl_l0", |t| set_vp9_flags(t.vp9_picture.as_mut().unwrap(), 4, 3));
        next("show_frame", |t| set_vp9_flags(t.vp9_picture.as_mut().unwrap(), 2, 1));
    }
}
