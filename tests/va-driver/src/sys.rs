//! The unions in libva's structures, as the numbers that they are.
use crate::bindings as va;

macro_rules! numbers {
    ($($name:ident = $structure:ident.$field:ident;)*) => {$(
        pub(crate) fn $name(of: &va::$structure) -> u32 {
            // SAFETY: the union is a number and the bits of that number.
            unsafe { of.$field.value }
        }
    )*};
}

numbers! {
    h264_seq_fields = VAEncSequenceParameterBufferH264.seq_fields;
    h264_pic_fields = VAEncPictureParameterBufferH264.pic_fields;
    hevc_seq_fields = VAEncSequenceParameterBufferHEVC.seq_fields;
    hevc_pic_fields = VAEncPictureParameterBufferHEVC.pic_fields;
    hevc_slice_fields = VAEncSliceParameterBufferHEVC.slice_fields;
    vp8_references = VAEncPictureParameterBufferVP8.ref_flags;
    vp8_flags = VAEncPictureParameterBufferVP8.pic_flags;
    vp9_references = VAEncPictureParameterBufferVP9.ref_flags;
    vp9_flags = VAEncPictureParameterBufferVP9.pic_flags;
    jpeg_flags = VAEncPictureParameterBufferJPEG.pic_flags;
}
