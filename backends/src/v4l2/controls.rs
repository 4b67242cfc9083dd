//! The controls of an encoder, each set only where the driver has it, and what steers its rate.
use crate::{
    Codec, Rate, Tuning, bitstream,
    rate::{Quantiser, Scale},
};

use super::device::{Answer, Device};

const CODEC: u32 = 0x0099_0900;
pub(super) const MIN_BUFFERS_FOR_CAPTURE: u32 = 0x0098_0900 + 39;
pub(super) const MIN_BUFFERS_FOR_OUTPUT: u32 = 0x0098_0900 + 40;
pub(super) const B_FRAMES: u32 = CODEC + 202;
pub(super) const GOP_SIZE: u32 = CODEC + 203;
pub(super) const BITRATE_MODE: u32 = CODEC + 206;
pub(super) const BITRATE: u32 = CODEC + 207;
pub(super) const FRAME_RC_ENABLE: u32 = CODEC + 215;
pub(super) const HEADER_MODE: u32 = CODEC + 216;
pub(super) const REPEAT_SEQ_HEADER: u32 = CODEC + 226;
pub(super) const FORCE_KEY_FRAME: u32 = CODEC + 229;
pub(super) const AU_DELIMITER: u32 = CODEC + 231;
pub(super) const FWHT_I_QP: u32 = CODEC + 290;
pub(super) const FWHT_P_QP: u32 = CODEC + 291;
pub(super) const H264_I_QP: u32 = CODEC + 350;
pub(super) const H264_P_QP: u32 = CODEC + 351;
pub(super) const H264_I_PERIOD: u32 = CODEC + 358;
pub(super) const H264_LEVEL: u32 = CODEC + 359;
pub(super) const H264_PROFILE: u32 = CODEC + 363;
pub(super) const VPX_I_QP: u32 = CODEC + 509;
pub(super) const VPX_P_QP: u32 = CODEC + 510;
pub(super) const VP8_PROFILE: u32 = CODEC + 511;
pub(super) const VP9_PROFILE: u32 = CODEC + 512;
pub(super) const HEVC_I_QP: u32 = CODEC + 602;
pub(super) const HEVC_P_QP: u32 = CODEC + 603;
pub(super) const HEVC_PROFILE: u32 = CODEC + 615;
pub(super) const HEVC_LEVEL: u32 = CODEC + 616;
pub(super) const PREPEND_SPSPPS_TO_IDR: u32 = CODEC + 644;
pub(super) const FRAME_SKIP_MODE: u32 = CODEC + 646;
pub(super) const JPEG_QUALITY: u32 = 0x009d_0900 + 3;

const MODE_VBR: u32 = 0;
const MODE_CBR: u32 = 1;
/// A key frame comes when asked for; as far apart as a driver lets us.
const GOP: i32 = i32::MAX;

/// H.264 profiles by their number in `v4l2_mpeg_video_h264_profile`, the preferred ones first: what
/// every decoder takes, then what compresses better.
const H264_PROFILES: [(u32, &str); 4] = [(1, "constrained-baseline"), (0, "baseline"), (4, "high"), (2, "main")];

/// The same of `v4l2_mpeg_video_hevc_profile`.
const HEVC_PROFILES: [(u32, &str); 1] = [(0, "main")];

/// The same of `v4l2_mpeg_video_vp8_profile` and its VP9 twin: the others have other samplings or
/// depths, or leave out filters.
const VPX_PROFILES: [(u32, &str); 1] = [(0, "profile-0")];

/// H.264 levels by `level_idc`, with their number in `v4l2_mpeg_video_h264_level`.
const H264_LEVELS: [(u8, i32); 8] = [(20, 5), (30, 8), (31, 9), (40, 11), (42, 13), (50, 14), (51, 15), (52, 16)];

/// HEVC levels by `general_level_idc`, with their number in `v4l2_mpeg_video_hevc_level`.
const HEVC_LEVELS: [(u8, i32); 9] =
    [(60, 1), (63, 2), (90, 3), (93, 4), (120, 5), (123, 6), (150, 7), (153, 8), (156, 9)];

/// The menu in which a codec's profile is chosen.
fn profile_menu(codec: Codec) -> Option<(u32, &'static [(u32, &'static str)])> {
    match codec {
        Codec::H264 => Some((H264_PROFILE, &H264_PROFILES)),
        Codec::Hevc => Some((HEVC_PROFILE, &HEVC_PROFILES)),
        Codec::Vp8 => Some((VP8_PROFILE, &VPX_PROFILES)),
        Codec::Vp9 => Some((VP9_PROFILE, &VPX_PROFILES)),
        Codec::Mjpeg | Codec::Fwht => None,
    }
}

/// The control of a codec's level, and the number that says what such pictures need. VP8 has no
/// levels, and drivers choose VP9's.
fn level((width, height): (u32, u32), fps: u32, codec: Codec) -> Option<(u32, i32)> {
    let (id, level, levels): (_, _, &[(u8, i32)]) = match codec {
        Codec::H264 => (H264_LEVEL, bitstream::h264::level(width, height, fps), &H264_LEVELS),
        Codec::Hevc => (HEVC_LEVEL, bitstream::hevc::level(width, height, fps), &HEVC_LEVELS),
        _ => return None,
    };
    levels.iter().find(|(idc, _)| *idc == level).map(|(_, number)| (id, *number))
}

/// Sets a control if the driver has it, to the nearest value that it takes. Whether it did.
pub(super) fn set(device: &mut impl Device, id: u32, value: i32) -> Answer<bool> {
    match device.control_range(id)? {
        Some((least, most)) if least <= most => device.set_control(id, value.clamp(least, most)).map(|()| true),
        _ => Ok(false),
    }
}

/// Sets a control that may be refused: a driver that does not take it runs as it is.
fn suggest(device: &mut impl Device, id: u32, value: i32) {
    if let Err(failure) = set(device, id, value) {
        tracing::debug!(id, value, call = failure.call, errno = %failure.errno, "the driver refuses a control");
    }
}

/// What does not change while the encoder runs: no delay, key frames on request, parameter sets
/// with each of them.
pub(super) fn prepare(device: &mut impl Device, codec: Codec, size: (u32, u32), fps: u32) {
    for (id, value) in [(B_FRAMES, 0), (AU_DELIMITER, 0), (HEADER_MODE, 1), (REPEAT_SEQ_HEADER, 1)] {
        suggest(device, id, value);
    }
    suggest(device, PREPEND_SPSPPS_TO_IDR, 1);
    suggest(device, FRAME_SKIP_MODE, 0);
    suggest(device, GOP_SIZE, GOP);
    if codec == Codec::H264 {
        suggest(device, H264_I_PERIOD, GOP);
    }
    if let Some((menu, profiles)) = profile_menu(codec)
        && let Some((profile, _)) = profiles.iter().find(|(p, _)| device.menu_has(menu, *p))
    {
        suggest(device, menu, profile.cast_signed());
    }
    if let Some((id, number)) = level(size, fps, codec) {
        suggest(device, id, number);
    }
}

/// The profiles that the driver offers, by name.
pub(super) fn profiles(device: &impl Device, codec: Codec) -> Vec<&'static str> {
    match profile_menu(codec) {
        Some((menu, profiles)) => {
            profiles.iter().filter(|(p, _)| device.menu_has(menu, *p)).map(|(_, name)| *name).collect()
        }
        None if codec == Codec::Mjpeg => vec!["baseline"],
        None => Vec::new(),
    }
}

/// How key frames are had when they are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyFrames {
    /// Every picture is one.
    Always,
    /// By V4L2_CID_MPEG_VIDEO_FORCE_KEY_FRAME.
    Forced,
    /// By stopping and starting the queues, which begins anew. (Groups of one picture would come a
    /// picture late: a driver that counts pictures ends the group it has begun.)
    Restart,
}

impl KeyFrames {
    pub(super) fn of(device: &impl Device, codec: Codec) -> Answer<Self> {
        Ok(if codec == Codec::Mjpeg {
            Self::Always
        } else if device.control_range(FORCE_KEY_FRAME)?.is_some() {
            Self::Forced
        } else {
            Self::Restart
        })
    }
}

/// Who holds the rate.
pub(super) enum Steering {
    /// The driver, told a bitrate.
    Driver,
    /// This side, by the quantiser of each picture.
    Quantiser { ids: &'static [u32], scale: Scale, quantiser: Quantiser, last: u8 },
    /// Nobody: the driver has no control for it.
    Nobody,
}

impl Steering {
    pub(super) fn new(device: &mut impl Device, codec: Codec, tuning: &Tuning, pixels: u32) -> Answer<Self> {
        let (ids, scale): (&'static [u32], _) = match codec {
            Codec::Mjpeg => (&[JPEG_QUALITY], Scale::Jpeg),
            Codec::H264 => (&[H264_I_QP, H264_P_QP], Scale::H26x),
            Codec::Hevc => (&[HEVC_I_QP, HEVC_P_QP], Scale::H26x),
            Codec::Vp8 | Codec::Vp9 => (&[VPX_I_QP, VPX_P_QP], Scale::Vpx),
            Codec::Fwht => (&[FWHT_I_QP, FWHT_P_QP], Scale::Fwht),
        };
        let by_driver = device.control_range(BITRATE)?.is_some();
        let mut by_quantiser = true;
        for id in ids {
            by_quantiser &= device.control_range(*id)?.is_some();
        }
        let mut new = match tuning.rate {
            Rate::Bitrate(_) if by_driver => Self::Driver,
            _ if by_quantiser => {
                suggest(device, FRAME_RC_ENABLE, 0);
                Self::Quantiser { ids, scale, quantiser: Quantiser::new(scale, tuning, pixels), last: u8::MAX }
            }
            _ if by_driver => Self::Driver,
            _ => Self::Nobody,
        };
        if matches!(new, Self::Driver) {
            suggest(device, FRAME_RC_ENABLE, 1);
            let mode = if device.menu_has(BITRATE_MODE, MODE_CBR) { MODE_CBR } else { MODE_VBR };
            suggest(device, BITRATE_MODE, mode.cast_signed());
        }
        new.retune(device, tuning, pixels)?;
        Ok(new)
    }

    pub(super) fn retune(&mut self, device: &mut impl Device, tuning: &Tuning, pixels: u32) -> Answer<()> {
        match self {
            Self::Driver => {
                let bits = i32::try_from(tuning.bits(pixels)).unwrap_or(i32::MAX);
                set(device, BITRATE, bits).map(drop)
            }
            Self::Quantiser { quantiser, .. } => {
                quantiser.retune(tuning);
                Ok(())
            }
            Self::Nobody => Ok(()),
        }
    }

    /// Before a picture is queued.
    pub(super) fn before(&mut self, device: &mut impl Device) -> Answer<()> {
        if let Self::Quantiser { ids, scale, quantiser, last } = self
            && quantiser.value() != *last
        {
            *last = quantiser.value();
            for id in *ids {
                let mut value = i32::from(*last);
                // Drivers count VP8's and VP9's quantiser to 63 as their libraries do, or to the 127
                // or 255 of the bitstream; the control's range tells.
                if *scale == Scale::Vpx
                    && let Some((_, most)) = device.control_range(*id)?
                {
                    value = value.saturating_mul(most) / 63;
                }
                set(device, *id, value)?;
            }
        }
        Ok(())
    }

    /// After a picture was encoded.
    pub(super) fn after(&mut self, bytes: usize, alone: bool) {
        if let Self::Quantiser { quantiser, .. } = self {
            quantiser.spent(bytes, alone);
        }
    }
}
