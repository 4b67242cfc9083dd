//! VP8 and VP9 on a device: what it is told of each picture, and where the stream stands. The device
//! writes all headers itself.
use std::rc::Rc;

use crate::{Codec, Settings};

use super::{
    bindings as va,
    rate::Steering,
    sys::{Buffer, Display, Failure, Surface, Told},
};

/// A stream in which each picture leans on the one before.
pub(super) struct Vpx {
    codec: Codec,
    width: u32,
    height: u32,
    /// Where the device decodes what it has encoded, in turn.
    reconstructed: [Surface; 2],
    /// Which of the two is next.
    turn: usize,
    /// The next picture must be a key frame.
    owed: bool,
}

/// What of a picture its structures need.
#[derive(Clone, Copy)]
struct Picture {
    width: u32,
    height: u32,
    key: bool,
    /// The surface into which the device decodes what it has encoded.
    reconstructed: va::VASurfaceID,
    /// The surface of the picture before.
    reference: va::VASurfaceID,
    coded: va::VABufferID,
    /// 0 to 63, as libvpx counts.
    quantiser: u8,
}

impl Vpx {
    pub(super) fn new(display: &Rc<Display>, settings: &Settings) -> Result<Self, Failure> {
        let Settings { codec, width, height, .. } = *settings;
        let (columns, rows) = (width.next_multiple_of(block(codec)), height.next_multiple_of(block(codec)));
        let surface = || Surface::new(display, va::VA_RT_FORMAT_YUV420, columns, rows);
        Ok(Self { codec, width, height, reconstructed: [surface()?, surface()?], turn: 0, owed: true })
    }

    /// The surfaces that a context must know.
    pub(super) fn surfaces(&self) -> &[Surface] {
        &self.reconstructed
    }

    /// The size of the pictures that a decoder shows.
    pub(super) fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    /// Says everything about the next picture.
    pub(super) fn tell(
        &mut self,
        told: &mut Told<'_>,
        steering: &mut Steering,
        keyframe: bool,
        coded: &Buffer,
    ) -> Result<(), Failure> {
        let key = self.owed || keyframe;
        let of = Picture {
            width: self.width,
            height: self.height,
            key,
            reconstructed: self.reconstructed[self.turn].id(),
            reference: self.reconstructed[1 - self.turn].id(),
            coded: coded.id(),
            quantiser: steering.qp().unwrap_or(32),
        };
        if self.codec == Codec::Vp8 {
            if key {
                told.parameter(&vp8_sequence(&of, steering.bits()))?;
            }
            steering.tell(told, key)?;
            told.parameter(&vp8_picture(&of))?;
            told.parameter(&vp8_quantiser(&of))?;
        } else {
            if key {
                told.parameter(&vp9_sequence(&of, steering.bits()))?;
            }
            steering.tell(told, key)?;
            told.parameter(&vp9_picture(&of))?;
        }
        self.turn = 1 - self.turn;
        Ok(())
    }

    /// What became of the picture: one that is broken breaks the chain.
    pub(super) fn finished(&mut self, whole: bool, keyframe: bool) {
        self.owed = !whole || (self.owed && !keyframe);
    }
}

/// Sides of surfaces are multiples of a macroblock, or of VP9's superblock.
pub(super) fn block(codec: Codec) -> u32 {
    if codec == Codec::Vp9 { 64 } else { 16 }
}

/// The strength of the loop filter, 0 to 63, that suits a quantiser: what is coarse is smoothed.
fn filter(of: &Picture) -> u8 {
    of.quantiser / 2
}

fn vp8_sequence(of: &Picture, bits: u32) -> va::VAEncSequenceParameterBufferVP8 {
    va::VAEncSequenceParameterBufferVP8 {
        frame_width: of.width,
        frame_height: of.height,
        // Key frames come only when asked for.
        kf_auto: 0,
        kf_max_dist: u32::MAX >> 1,
        intra_period: u32::MAX >> 1,
        bits_per_second: bits,
        reference_frames: [va::VA_INVALID_SURFACE; 4],
        ..Default::default()
    }
}

fn vp8_picture(of: &Picture) -> va::VAEncPictureParameterBufferVP8 {
    let reference = if of.key { va::VA_INVALID_SURFACE } else { of.reference };
    let mut pic = va::VAEncPictureParameterBufferVP8 {
        reconstructed_frame: of.reconstructed,
        // The other two are not used, but drivers look at them.
        ref_last_frame: reference,
        ref_gf_frame: reference,
        ref_arf_frame: reference,
        coded_buf: of.coded,
        loop_filter_level: [filter(of).cast_signed(); 4],
        clamp_qindex_high: 127,
        ..Default::default()
    };
    // force_kf, or no_ref_gf at 2, no_ref_arf at 3 and first_ref (2 bits) 1 at 12: the last frame.
    pic.ref_flags.value = if of.key { 1 } else { 1 << 2 | 1 << 3 | 1 << 12 };
    // frame_type (0: key), show_frame at 4, refresh_entropy_probs at 18, refresh_golden_frame at 19,
    // refresh_alternate_frame at 20, refresh_last at 21, mb_no_coeff_skip at 28.
    let key = if of.key { 1 << 19 | 1 << 20 } else { 1 };
    pic.pic_flags.value = key | 1 << 4 | 1 << 18 | 1 << 21 | 1 << 28;
    pic
}

fn vp8_quantiser(of: &Picture) -> va::VAQMatrixBufferVP8 {
    // The bitstream counts to 127.
    va::VAQMatrixBufferVP8 { quantization_index: [u16::from(of.quantiser) * 127 / 63; 4], ..Default::default() }
}

fn vp9_sequence(of: &Picture, bits: u32) -> va::VAEncSequenceParameterBufferVP9 {
    va::VAEncSequenceParameterBufferVP9 {
        max_frame_width: of.width,
        max_frame_height: of.height,
        kf_auto: 0,
        kf_max_dist: u32::MAX >> 1,
        intra_period: u32::MAX >> 1,
        bits_per_second: bits,
        ..Default::default()
    }
}

fn vp9_picture(of: &Picture) -> va::VAEncPictureParameterBufferVP9 {
    let mut pic = va::VAEncPictureParameterBufferVP9 {
        frame_width_src: of.width,
        frame_height_src: of.height,
        frame_width_dst: of.width,
        frame_height_dst: of.height,
        reconstructed_frame: of.reconstructed,
        // Every picture goes into all slots, so none holds a surface that is written anew.
        reference_frames: [if of.key { va::VA_INVALID_SURFACE } else { of.reference }; 8],
        refresh_frame_flags: 0xff,
        coded_buf: of.coded,
        // The bitstream counts to 255.
        luma_ac_qindex: of.quantiser.saturating_mul(4),
        filter_level: filter(of),
        log2_tile_columns: tile_columns(of.width),
        ..Default::default()
    };
    // force_kf, or ref_frame_ctrl_l0 (3 bits) 1 at 1: the last frame; its slot and the others' are 0.
    pic.ref_flags.value = if of.key { 1 } else { 1 << 1 };
    // frame_type (0: key), show_frame at 1, refresh_frame_context at 11.
    pic.pic_flags.value = u32::from(!of.key) | 1 << 1 | 1 << 11;
    pic
}

/// The fewest columns of tiles, as a power of two: none may be wider than 64 superblocks.
fn tile_columns(width: u32) -> u8 {
    let columns = width.div_ceil(64).div_ceil(64).next_power_of_two().ilog2();
    u8::try_from(columns).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_are_no_wider_than_allowed() {
        assert_eq!([1, 4096, 4097, 8192, 8193, 16_384].map(tile_columns), [0, 0, 1, 1, 2, 2]);
    }
}
