//! From a dmabuf as DRM describes it to the format and planes of an OUTPUT queue.
use std::os::fd::AsFd;

use rustix::fs::fstat;

use crate::{Dmabuf, Plane, dmabuf::Fourcc};

use super::{
    abi,
    device::{Format, OutputPlane},
};

/// V4L2's codes for a picture, the preferred ones first. Most are DRM's own; `BGR4` is what older
/// drivers call B, G, R and one more byte; an `M` says that each plane has a buffer of its own.
pub(super) fn codes(dmabuf: &Dmabuf) -> Vec<Fourcc> {
    let letters = dmabuf.fourcc().0.to_le_bytes();
    let together = in_one_buffer(dmabuf.planes());
    let codes: &[[u8; 4]] = match &letters {
        b"XR24" => &[*b"XR24", *b"BGR4", *b"AR24"],
        b"AR24" => &[*b"AR24", *b"BGR4", *b"XR24"],
        b"XB24" => &[*b"XB24", *b"AB24"],
        b"AB24" => &[*b"AB24", *b"XB24"],
        b"NV12" if !together => &[*b"NM12"],
        b"NV21" if !together => &[*b"NM21"],
        b"YU12" if !together => &[*b"YM12"],
        b"YV12" if !together => &[*b"YM21"],
        other => &[*other],
    };
    codes.iter().map(|code| Fourcc::from_bytes(*code)).collect()
}

/// What to ask VIDIOC_S_FMT for: the top left `width` by `height` pixels of such a picture.
pub(super) fn wanted(dmabuf: &Dmabuf, code: Fourcc, width: u32, height: u32) -> Format {
    let rgb = dmabuf.fourcc().planes().is_some_and(|p| p.len() == 1) && !is_packed_yuv(dmabuf.fourcc());
    let colorspace = if rgb { abi::COLORSPACE_SRGB } else { abi::COLORSPACE_REC709 };
    let buffers = if in_one_buffer(dmabuf.planes()) { 1 } else { dmabuf.planes().len() };
    let planes = dmabuf.planes().iter().take(buffers).map(|p| (p.stride, 0)).collect();
    Format { width, height, fourcc: code, colorspace, planes }
}

/// Why a picture does not fit the format that the driver has answered with.
pub(super) fn mismatch(dmabuf: &Dmabuf, format: &Format) -> Option<&'static str> {
    let planes = dmabuf.planes();
    let buffers = format.planes.len();
    if dmabuf.shape().y_inverted {
        return Some("its bottom row is first");
    }
    if buffers != if in_one_buffer(planes) { 1 } else { planes.len() } {
        return Some("the driver wants another number of buffers");
    }
    if planes.iter().take(buffers).any(|p| p.offset != 0) {
        return Some("it does not begin at the start of its buffer");
    }
    for (plane, (stride, size)) in planes.iter().zip(&format.planes) {
        if plane.stride != *stride {
            return Some("the driver wants another stride");
        }
        if fstat(&plane.fd).is_ok_and(|stat| stat.st_size < i64::from(*size)) {
            return Some("its buffer is smaller than the driver wants");
        }
    }
    if buffers == 1 && !follow_each_other(dmabuf, format) {
        return Some("its planes are not where the driver looks for them");
    }
    None
}

/// The buffers to queue.
pub(super) fn planes<'a>(dmabuf: &'a Dmabuf, format: &Format) -> heapless::Vec<OutputPlane<'a>, { abi::MAX_PLANES }> {
    let buffer = |(plane, (_, size)): (&'a Plane, &(u32, u32))| OutputPlane { fd: plane.fd.as_fd(), bytesused: *size };
    dmabuf.planes().iter().zip(&format.planes).map(buffer).collect()
}

/// Whether all planes lie in one dmabuf, by the number of its inode.
fn in_one_buffer(planes: &[Plane]) -> bool {
    let inode = |p: &Plane| fstat(&p.fd).map(|stat| (stat.st_dev, stat.st_ino)).ok();
    planes.windows(2).all(|pair| inode(&pair[0]).is_some() && inode(&pair[0]) == inode(&pair[1]))
}

/// Whether each plane begins where V4L2 has it: right behind the rows of the one before.
fn follow_each_other(dmabuf: &Dmabuf, format: &Format) -> bool {
    let (Some(known), Some(first)) = (dmabuf.fourcc().planes(), dmabuf.planes().first()) else {
        return dmabuf.planes().len() == 1;
    };
    let mut expected = 0;
    for (plane, kind) in dmabuf.planes().iter().zip(known) {
        let (row, rows) = kind.size(format.width, format.height);
        // Luma's row of the same width tells what part of a luma stride a row here is.
        let (luma, _) = known[0].size(format.width, format.height);
        let stride = u64::from(first.stride) * row / luma.max(1);
        if u64::from(plane.offset) != expected || u64::from(plane.stride) != stride {
            return false;
        }
        expected += stride * rows;
    }
    true
}

fn is_packed_yuv(code: Fourcc) -> bool {
    [*b"YUYV", *b"YVYU", *b"UYVY", *b"VYUY", *b"AYUV", *b"XYUV"].contains(&code.0.to_le_bytes())
}
