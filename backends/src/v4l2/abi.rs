//! The structures and numbers of `linux/videodev2.h` that a stateful encoder needs, for machines
//! with 64-bit pointers. Unions are their first members: all of those begin at the same place.

/// `enum v4l2_buf_type`, for the two queues of a memory-to-memory device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queue {
    /// Pictures, into the device.
    Output,
    /// Encoded pictures, out of it.
    Capture,
}

impl Queue {
    pub(super) fn buf_type(self, multi_planar: bool) -> u32 {
        match (self, multi_planar) {
            (Self::Capture, false) => 1,
            (Self::Output, false) => 2,
            (Self::Capture, true) => 9,
            (Self::Output, true) => 10,
        }
    }
}

pub(super) const MAX_PLANES: usize = 8;

pub(super) const CAP_M2M_MPLANE: u32 = 0x4000;
pub(super) const CAP_M2M: u32 = 0x8000;
pub(super) const CAP_STREAMING: u32 = 0x0400_0000;
pub(super) const CAP_DEVICE_CAPS: u32 = 0x8000_0000;

pub(super) const FMT_FLAG_COMPRESSED: u32 = 1;
pub(super) const FIELD_NONE: u32 = 1;
pub(super) const COLORSPACE_REC709: u32 = 3;
pub(super) const COLORSPACE_SRGB: u32 = 8;

pub(super) const MEMORY_MMAP: u32 = 1;
pub(super) const MEMORY_DMABUF: u32 = 4;

pub(super) const BUF_FLAG_ERROR: u32 = 0x40;
pub(super) const BUF_FLAG_LAST: u32 = 0x0010_0000;

pub(super) const CTRL_FLAG_DISABLED: u32 = 0x1;
pub(super) const CTRL_FLAG_READ_ONLY: u32 = 0x4;

pub(super) const ENC_CMD_STOP: u32 = 1;
pub(super) const SEL_TGT_CROP: u32 = 0;
pub(super) const FRMSIZE_DISCRETE: u32 = 1;

/// `struct v4l2_capability`.
#[repr(C)]
#[derive(Default)]
pub(super) struct Capability {
    pub(super) driver: [u8; 16],
    pub(super) card: [u8; 32],
    pub(super) bus_info: [u8; 32],
    pub(super) version: u32,
    pub(super) capabilities: u32,
    pub(super) device_caps: u32,
    pub(super) reserved: [u32; 3],
}

/// `struct v4l2_fmtdesc`.
#[repr(C)]
#[derive(Default)]
pub(super) struct FmtDesc {
    pub(super) index: u32,
    pub(super) buf_type: u32,
    pub(super) flags: u32,
    pub(super) description: [u8; 32],
    pub(super) pixelformat: u32,
    pub(super) mbus_code: u32,
    pub(super) reserved: [u32; 3],
}

/// `struct v4l2_frmsizeenum`: the union is `width, height` when discrete, else `min_width,
/// max_width, step_width, min_height, max_height, step_height`.
#[repr(C)]
#[derive(Default)]
pub(super) struct FrmSizeEnum {
    pub(super) index: u32,
    pub(super) pixel_format: u32,
    pub(super) kind: u32,
    pub(super) size: [u32; 6],
    pub(super) reserved: [u32; 2],
}

/// `struct v4l2_pix_format`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(super) struct PixFormat {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) pixelformat: u32,
    pub(super) field: u32,
    pub(super) bytesperline: u32,
    pub(super) sizeimage: u32,
    pub(super) colorspace: u32,
    pub(super) private: u32,
    pub(super) flags: u32,
    pub(super) ycbcr_enc: u32,
    pub(super) quantization: u32,
    pub(super) xfer_func: u32,
}

/// `struct v4l2_plane_pix_format`, which is packed; nothing in it needs more than it has.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(super) struct PlanePixFormat {
    pub(super) sizeimage: u32,
    pub(super) bytesperline: u32,
    pub(super) reserved: [u16; 6],
}

/// `struct v4l2_pix_format_mplane`, likewise.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(super) struct PixFormatMplane {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) pixelformat: u32,
    pub(super) field: u32,
    pub(super) colorspace: u32,
    pub(super) plane_fmt: [PlanePixFormat; MAX_PLANES],
    pub(super) num_planes: u8,
    pub(super) flags: u8,
    pub(super) ycbcr_enc: u8,
    pub(super) quantization: u8,
    pub(super) xfer_func: u8,
    pub(super) reserved: [u8; 7],
}

/// `struct v4l2_format` of a single-planar queue.
#[repr(C, align(8))]
#[derive(Default)]
pub(super) struct FormatSingle {
    pub(super) buf_type: u32,
    pub(super) padding: u32,
    pub(super) pix: PixFormat,
    pub(super) rest: [[u64; 19]; 1],
}

/// `struct v4l2_format` of a multi-planar queue.
#[repr(C, align(8))]
#[derive(Default)]
pub(super) struct FormatMulti {
    pub(super) buf_type: u32,
    pub(super) padding: u32,
    pub(super) pix: PixFormatMplane,
    pub(super) rest: u64,
}

/// `struct v4l2_requestbuffers`.
#[repr(C)]
#[derive(Default)]
pub(super) struct RequestBuffers {
    pub(super) count: u32,
    pub(super) buf_type: u32,
    pub(super) memory: u32,
    pub(super) capabilities: u32,
    pub(super) flags: u8,
    pub(super) reserved: [u8; 3],
}

/// `struct v4l2_buffer`.
#[repr(C)]
#[derive(Default)]
pub(super) struct Buffer {
    pub(super) index: u32,
    pub(super) buf_type: u32,
    pub(super) bytesused: u32,
    pub(super) flags: u32,
    pub(super) field: u32,
    pub(super) padding: u32,
    /// Seconds, microseconds.
    pub(super) timestamp: [i64; 2],
    pub(super) timecode: [u32; 4],
    pub(super) sequence: u32,
    pub(super) memory: u32,
    /// A pointer to planes, or in its first four bytes an offset or fd.
    pub(super) m: [u8; 8],
    pub(super) length: u32,
    pub(super) reserved2: u32,
    pub(super) request_fd: i32,
    pub(super) tail: u32,
}

/// `struct v4l2_plane`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(super) struct PlaneBuffer {
    pub(super) bytesused: u32,
    pub(super) length: u32,
    /// As in [`Buffer`].
    pub(super) m: [u8; 8],
    pub(super) data_offset: u32,
    pub(super) reserved: [u32; 11],
}

/// `struct v4l2_streamparm` of an output queue.
#[repr(C)]
#[derive(Default)]
pub(super) struct StreamParm {
    pub(super) buf_type: u32,
    pub(super) capability: u32,
    pub(super) outputmode: u32,
    /// Numerator, denominator of seconds.
    pub(super) timeperframe: [u32; 2],
    pub(super) rest: [[u32; 23]; 2],
}

/// `struct v4l2_queryctrl`.
#[repr(C)]
#[derive(Default)]
pub(super) struct QueryCtrl {
    pub(super) id: u32,
    pub(super) kind: u32,
    pub(super) name: [u8; 32],
    pub(super) minimum: i32,
    pub(super) maximum: i32,
    pub(super) step: i32,
    pub(super) default_value: i32,
    pub(super) flags: u32,
    pub(super) reserved: [u32; 2],
}

/// `struct v4l2_querymenu`, which is packed; its name stands for a 64-bit number here.
#[repr(C)]
#[derive(Default)]
pub(super) struct QueryMenu {
    pub(super) id: u32,
    pub(super) index: u32,
    pub(super) name: [u8; 32],
    pub(super) reserved: u32,
}

/// `struct v4l2_control`.
#[repr(C)]
#[derive(Default)]
pub(super) struct Control {
    pub(super) id: u32,
    pub(super) value: i32,
}

/// `struct v4l2_encoder_cmd`.
#[repr(C)]
#[derive(Default)]
pub(super) struct EncoderCmd {
    pub(super) cmd: u32,
    pub(super) flags: u32,
    pub(super) raw: [u32; 8],
}

/// `struct v4l2_selection`.
#[repr(C)]
#[derive(Default)]
pub(super) struct Selection {
    pub(super) buf_type: u32,
    pub(super) target: u32,
    pub(super) flags: u32,
    pub(super) left: i32,
    pub(super) top: i32,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) reserved: [u32; 9],
}

// The sizes are part of the request numbers: these are the kernel's on 64-bit machines.
#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<Capability>() == 104);
    assert!(size_of::<FmtDesc>() == 64);
    assert!(size_of::<FrmSizeEnum>() == 44);
    assert!(size_of::<PixFormat>() == 48);
    assert!(size_of::<PixFormatMplane>() == 192);
    assert!(size_of::<FormatSingle>() == 208);
    assert!(size_of::<FormatMulti>() == 208);
    assert!(size_of::<RequestBuffers>() == 20);
    assert!(size_of::<Buffer>() == 88);
    assert!(size_of::<PlaneBuffer>() == 64);
    assert!(size_of::<StreamParm>() == 204);
    assert!(size_of::<QueryCtrl>() == 68);
    assert!(size_of::<QueryMenu>() == 44);
    assert!(size_of::<Control>() == 8);
    assert!(size_of::<EncoderCmd>() == 40);
    assert!(size_of::<Selection>() == 64);
    assert!(std::mem::offset_of!(Buffer, memory) == 60);
    assert!(std::mem::offset_of!(Buffer, m) == 64);
};
