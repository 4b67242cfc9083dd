//! What is in an encoded picture, read from its bytes: the check on what encoders say, and the
//! answer where a driver says nothing.
use crate::Codec;

pub mod annexb;
mod bits;
pub mod h264;
pub mod hevc;
pub mod jpeg;

/// Whether a picture can be decoded without any earlier one.
pub fn is_key_frame(codec: Codec, data: &[u8]) -> bool {
    match codec {
        Codec::Mjpeg => true,
        Codec::H264 => annexb::AccessUnit::h264(data).keyframe,
        Codec::Hevc => annexb::AccessUnit::hevc(data).keyframe,
        // RFC 6386, 9.1: the lowest bit of the frame tag is 0 for key frames.
        Codec::Vp8 => data.first().is_some_and(|tag| tag & 1 == 0),
        // VP9, 6.2: marker (2 bits, value 2), profile (2 bits; 3 has one bit more),
        // show_existing_frame, frame_type (0 for key frames).
        Codec::Vp9 => data.first().is_some_and(|bits| match (bits >> 6, bits >> 4 & 3) {
            (2, 3) => bits & 0b110 == 0,
            (2, _) => bits & 0b1100 == 0,
            _ => false,
        }),
        // `struct fwht_cframe_hdr`: two magic words, version, width, height, then flags, of which
        // bit 10 is V4L2_FWHT_FL_I_FRAME; all in big-endian words.
        Codec::Fwht => data.get(20..24).is_some_and(|flags| flags[2] & 0b100 != 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_frames_are_told_by_their_first_bytes() {
        assert!(is_key_frame(Codec::Mjpeg, &[]));
        assert!(is_key_frame(Codec::Vp8, &[0x10, 2, 0]) && !is_key_frame(Codec::Vp8, &[0x11, 2, 0]));
        assert!(is_key_frame(Codec::Vp9, &[0x82, 0x49]) && !is_key_frame(Codec::Vp9, &[0x86, 0]));
        assert!(!is_key_frame(Codec::Vp9, &[0x88]) && !is_key_frame(Codec::Vp9, &[0x02]));
        assert!(is_key_frame(Codec::Vp9, &[0xb1]) && !is_key_frame(Codec::Vp9, &[0xb2]));
        let mut fwht = [0; 24];
        assert!(!is_key_frame(Codec::Fwht, &fwht));
        fwht[22] = 4;
        assert!(is_key_frame(Codec::Fwht, &fwht));
        for codec in [Codec::H264, Codec::Hevc, Codec::Vp8, Codec::Vp9, Codec::Fwht] {
            assert!(!is_key_frame(codec, &[]), "{codec}");
        }
    }
}
