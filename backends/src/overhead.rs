//! Encoders whose codec does nothing. What a picture costs here is what this package costs: the
//! bench measures it, and the tests count its allocations.
use crate::Backend;

/// The software path with a codec, and the V4L2 path with a device, that answer at once with the
/// same bytes. Their names are those of the backends whose path they take.
pub fn backends() -> [&'static dyn Backend; 2] {
    [&crate::software::null::NullCodec, &crate::v4l2::null::NullDevice]
}

/// Bytes of the packets: what a picture of a screen of 1280x720 takes when something moves.
const BYTES: usize = 20_000;

/// An H.264 access unit of [`BYTES`] bytes, whose slice holds nothing.
pub(crate) fn access_unit(keyframe: bool) -> Vec<u8> {
    let head: &[u8] = if keyframe {
        &[0, 0, 0, 1, 0x67, 0x42, 0xe0, 0, 0, 0, 1, 0x68, 0xce, 0, 0, 0, 1, 0x65]
    } else {
        &[0, 0, 0, 1, 0x41]
    };
    let mut unit = head.to_vec();
    // No byte is 0, so that there is no start code; the others occur as often as in a real one.
    unit.extend((0u8..255).map(|n| n + 1).cycle().take(BYTES - head.len()));
    unit
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustix::fs::{MemfdFlags, ftruncate, memfd_create};

    use super::*;
    use crate::{
        Chroma, Codec, Dmabuf, Frame, Plane, Rate, Settings, Tuning, conformance,
        dmabuf::{Fourcc, MOD_LINEAR, Shape},
    };

    #[test]
    fn they_keep_the_law() {
        let mut frame = |_| {
            let fd = memfd_create("picture", MemfdFlags::CLOEXEC).unwrap();
            ftruncate(&fd, 64 * 4 * 48).unwrap();
            let shape =
                Shape { width: 64, height: 48, fourcc: Fourcc::XRGB8888, modifier: MOD_LINEAR, y_inverted: false };
            let plane = Plane { fd: Arc::new(fd), offset: 0, stride: 64 * 4 };
            Frame::from_dmabuf(Dmabuf::new(shape, &[plane]).unwrap())
        };
        let tuning = Tuning { rate: Rate::Quality(80), fps: 30 };
        let settings =
            Settings { codec: Codec::H264, width: 64, height: 48, chroma: Chroma::Yuv420, tuning, device: None };
        for backend in backends() {
            assert_eq!(conformance::check_backend(backend, &settings, &mut frame), Ok(()), "{}", backend.name());
        }
    }
}
