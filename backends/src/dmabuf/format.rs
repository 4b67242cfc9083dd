//! DRM's pixel formats: what of them must be known to check and convert a picture.
use std::fmt;

/// A DRM format code. Codes that are unknown here are values too: they are passed on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fourcc(pub u32);

/// One plane of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlaneFormat {
    /// Bytes per sample (of all components that lie in this plane).
    bytes: u8,
    /// Pixels per sample, across.
    across: u8,
    /// Rows per row of samples.
    down: u8,
}

impl Fourcc {
    /// Bytes B, G, R, unused.
    pub const XRGB8888: Self = Self::from_bytes(*b"XR24");
    /// Bytes B, G, R, A.
    pub const ARGB8888: Self = Self::from_bytes(*b"AR24");
    /// Bytes R, G, B, unused.
    pub const XBGR8888: Self = Self::from_bytes(*b"XB24");
    /// Bytes R, G, B, A.
    pub const ABGR8888: Self = Self::from_bytes(*b"AB24");
    /// Luma, then interleaved chroma at half resolution.
    pub const NV12: Self = Self::from_bytes(*b"NV12");
    /// Luma, Cb, Cr, chroma at half resolution.
    pub const YUV420: Self = Self::from_bytes(*b"YU12");
    /// As NV12, 10 of 16 bits per sample.
    pub const P010: Self = Self::from_bytes(*b"P010");

    /// The code with these four letters.
    pub const fn from_bytes(letters: [u8; 4]) -> Self {
        Self(u32::from_le_bytes(letters))
    }

    /// Its planes when linear; `None` for a format that is not known here.
    pub fn planes(self) -> Option<&'static [PlaneFormat]> {
        TABLE.iter().find(|(letters, _)| Self::from_bytes(*letters) == self).map(|(_, planes)| *planes)
    }

    /// Whether pixels are the bytes B, G, R and one more.
    pub fn is_bgrx(self) -> bool {
        self == Self::XRGB8888 || self == Self::ARGB8888
    }

    /// Whether pixels are the bytes R, G, B and one more.
    pub fn is_rgbx(self) -> bool {
        self == Self::XBGR8888 || self == Self::ABGR8888
    }
}

/// The four letters of the code, as in `XR24`.
impl fmt::Display for Fourcc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.to_le_bytes().escape_ascii())
    }
}

/// A format modifier in words, as in `Linear` or `I915_x_tiled`, else as a number.
pub fn modifier_name(modifier: u64) -> String {
    match drm_fourcc::DrmModifier::from(modifier) {
        drm_fourcc::DrmModifier::Unrecognized(number) => format!("{number:#018x}"),
        known => format!("{known:?}"),
    }
}

impl fmt::Debug for Fourcc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fourcc({self})")
    }
}

impl PlaneFormat {
    /// Bytes of a row, and rows, of this plane in a picture of `width` by `height` pixels.
    pub fn size(self, width: u32, height: u32) -> (u64, u64) {
        let samples = u64::from(width.div_ceil(u32::from(self.across)));
        (samples * u64::from(self.bytes), u64::from(height.div_ceil(u32::from(self.down))))
    }
}

const fn plane(bytes: u8, across: u8, down: u8) -> PlaneFormat {
    PlaneFormat { bytes, across, down }
}

const RGB16: &[PlaneFormat] = &[plane(2, 1, 1)];
const RGB24: &[PlaneFormat] = &[plane(3, 1, 1)];
const RGB32: &[PlaneFormat] = &[plane(4, 1, 1)];
const PACKED_422: &[PlaneFormat] = &[plane(4, 2, 1)];
const SEMI_420: &[PlaneFormat] = &[plane(1, 1, 1), plane(2, 2, 2)];
const SEMI_422: &[PlaneFormat] = &[plane(1, 1, 1), plane(2, 2, 1)];
const SEMI_444: &[PlaneFormat] = &[plane(1, 1, 1), plane(2, 1, 1)];
const SEMI_420_16: &[PlaneFormat] = &[plane(2, 1, 1), plane(4, 2, 2)];
const PLANAR_420: &[PlaneFormat] = &[plane(1, 1, 1), plane(1, 2, 2), plane(1, 2, 2)];
const PLANAR_422: &[PlaneFormat] = &[plane(1, 1, 1), plane(1, 2, 1), plane(1, 2, 1)];
const PLANAR_444: &[PlaneFormat] = &[plane(1, 1, 1), plane(1, 1, 1), plane(1, 1, 1)];

const TABLE: &[([u8; 4], &[PlaneFormat])] = &[
    (*b"R8  ", &[plane(1, 1, 1)]),
    (*b"GR88", RGB16),
    (*b"RG16", RGB16),
    (*b"BG16", RGB16),
    (*b"XR15", RGB16),
    (*b"AR15", RGB16),
    (*b"RG24", RGB24),
    (*b"BG24", RGB24),
    (*b"XR24", RGB32),
    (*b"AR24", RGB32),
    (*b"XB24", RGB32),
    (*b"AB24", RGB32),
    (*b"RX24", RGB32),
    (*b"RA24", RGB32),
    (*b"BX24", RGB32),
    (*b"BA24", RGB32),
    (*b"XR30", RGB32),
    (*b"AR30", RGB32),
    (*b"XB30", RGB32),
    (*b"AB30", RGB32),
    (*b"XR4H", &[plane(8, 1, 1)]),
    (*b"AR4H", &[plane(8, 1, 1)]),
    (*b"XB4H", &[plane(8, 1, 1)]),
    (*b"AB4H", &[plane(8, 1, 1)]),
    (*b"YUYV", PACKED_422),
    (*b"YVYU", PACKED_422),
    (*b"UYVY", PACKED_422),
    (*b"VYUY", PACKED_422),
    (*b"AYUV", RGB32),
    (*b"XYUV", RGB32),
    (*b"NV12", SEMI_420),
    (*b"NV21", SEMI_420),
    (*b"NV16", SEMI_422),
    (*b"NV61", SEMI_422),
    (*b"NV24", SEMI_444),
    (*b"NV42", SEMI_444),
    (*b"P010", SEMI_420_16),
    (*b"P012", SEMI_420_16),
    (*b"P016", SEMI_420_16),
    (*b"YU12", PLANAR_420),
    (*b"YV12", PLANAR_420),
    (*b"YU16", PLANAR_422),
    (*b"YV16", PLANAR_422),
    (*b"YU24", PLANAR_444),
    (*b"YV24", PLANAR_444),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_drms() {
        assert_eq!(Fourcc::XRGB8888.to_string(), "XR24");
        assert_eq!(modifier_name(0), "Linear");
        assert_eq!(modifier_name(0x0100_0000_0000_0009), "0x0100000000000009");
        assert_eq!(Fourcc::from_bytes(*b"??\x01 ").to_string(), "??\\x01 ");
    }

    #[test]
    fn odd_sizes_round_chroma_up() {
        let size = |f: Fourcc, n: usize| f.planes().unwrap()[n].size(3, 5);
        assert_eq!(size(Fourcc::NV12, 0), (3, 5));
        assert_eq!(size(Fourcc::NV12, 1), (4, 3));
        assert_eq!(size(Fourcc::YUV420, 2), (2, 3));
        assert_eq!(size(Fourcc::P010, 1), (8, 3));
        assert_eq!(size(Fourcc::from_bytes(*b"YUYV"), 0), (8, 5));
    }

    #[test]
    fn every_code_is_there_once_and_known_to_drm() {
        for (n, (letters, _)) in TABLE.iter().enumerate() {
            let code = Fourcc::from_bytes(*letters);
            assert!(TABLE[..n].iter().all(|(other, _)| other != letters), "{code} twice");
            let newer_than_the_crate = [*b"P012", *b"P016", *b"XYUV"];
            let known = drm_fourcc::DrmFourcc::try_from(code.0).is_ok();
            assert!(known || newer_than_the_crate.contains(letters), "{code}");
        }
    }
}
