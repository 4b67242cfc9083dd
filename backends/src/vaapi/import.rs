//! From a dmabuf as DRM describes it to a surface of the device, without a copy.
use std::os::fd::AsRawFd;

use crate::{Dmabuf, dmabuf::Fourcc};

use super::bindings as va;

/// DRM's formats with libva's code and the kind of render target; letters name the order of bytes
/// there, and of the bits of a word in DRM.
const FORMATS: [([u8; 4], [u8; 4], u32); 6] = [
    (*b"XR24", *b"BGRX", va::VA_RT_FORMAT_RGB32),
    (*b"AR24", *b"BGRA", va::VA_RT_FORMAT_RGB32),
    (*b"XB24", *b"RGBX", va::VA_RT_FORMAT_RGB32),
    (*b"AB24", *b"RGBA", va::VA_RT_FORMAT_RGB32),
    (*b"NV12", *b"NV12", va::VA_RT_FORMAT_YUV420),
    (*b"P010", *b"P010", va::VA_RT_FORMAT_YUV420_10),
];

/// The formats that can be imported.
pub(super) fn formats() -> Vec<Fourcc> {
    FORMATS.iter().map(|(letters, ..)| Fourcc::from_bytes(*letters)).collect()
}

/// A dmabuf in libva's words, and the kind of render target; `None` for a format that is not known.
/// The fds in it are borrowed from the dmabuf.
pub(super) fn describe(dmabuf: &Dmabuf) -> Option<(va::VADRMPRIMESurfaceDescriptor, u32)> {
    let letters = dmabuf.fourcc().0.to_le_bytes();
    let (_, code, target) = FORMATS.iter().find(|(drm, ..)| *drm == letters)?;
    let planes = dmabuf.planes();
    let count = u32::try_from(planes.len()).ok()?;
    let mut descriptor = va::VADRMPRIMESurfaceDescriptor {
        fourcc: u32::from_le_bytes(*code),
        width: dmabuf.width(),
        height: dmabuf.height(),
        num_objects: count,
        num_layers: 1,
        ..Default::default()
    };
    let layer = &mut descriptor.layers[0];
    layer.drm_format = dmabuf.fourcc().0;
    layer.num_planes = count;
    // Each plane is an object of its own, also when two lie in one dmabuf: drivers take both.
    for (n, plane) in planes.iter().enumerate() {
        let stat = rustix::fs::fstat(&plane.fd).ok()?;
        let object = descriptor.objects.get_mut(n)?;
        object.fd = plane.fd.as_raw_fd();
        object.size = u32::try_from(stat.st_size).unwrap_or(u32::MAX);
        object.drm_format_modifier = dmabuf.modifier();
        layer.object_index[n] = u32::try_from(n).ok()?;
        layer.offset[n] = plane.offset;
        layer.pitch[n] = plane.stride;
    }
    Some((descriptor, *target))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustix::fs::{MemfdFlags, ftruncate, memfd_create};

    use super::*;
    use crate::{Plane, dmabuf::Shape};

    #[test]
    fn planes_keep_their_places() {
        let fd = memfd_create("picture", MemfdFlags::CLOEXEC).unwrap();
        ftruncate(&fd, 4096).unwrap();
        let fd = Arc::new(fd);
        let plane = |offset, stride| Plane { fd: Arc::clone(&fd), offset, stride };
        let fourcc = Fourcc::NV12;
        let modifier = 0x0100_0000_0000_0002;
        let shape = Shape { width: 32, height: 16, fourcc, modifier, y_inverted: false };
        let dmabuf = Dmabuf::new(shape, &[plane(0, 32), plane(512, 48)]).unwrap();
        let (d, target) = describe(&dmabuf).unwrap();
        assert_eq!((target, d.fourcc, d.width, d.height), (va::VA_RT_FORMAT_YUV420, fourcc.0, 32, 16));
        assert_eq!((d.num_objects, d.num_layers, d.layers[0].num_planes), (2, 1, 2));
        assert!(d.objects[..2].iter().all(|o| o.drm_format_modifier == modifier && o.size == 4096));
        assert_eq!((d.layers[0].object_index[1], d.layers[0].offset[1], d.layers[0].pitch[1]), (1, 512, 48));
        let unknown = Shape { fourcc: Fourcc::from_bytes(*b"R8  "), ..shape };
        assert!(describe(&Dmabuf::new(unknown, &[plane(0, 32)]).unwrap()).is_none());
    }
}
