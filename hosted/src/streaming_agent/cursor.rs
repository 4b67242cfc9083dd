//! An agent's pointer as a [`CursorShape`].

use sumac_core::proto::cursor::CursorType;
use sumac_core::proto::stream_device::CursorSet;

use crate::source::{CursorShape, Size};

/// The shape, whose bytes core has checked; `None` for one without pixels, which hides the pointer.
///
/// COLOR24 and COLOR32 have an AND mask behind their rows: where its bit is set the pixel is see-through,
/// or inverts what is below it, which no pointer of today's does.
pub(super) fn shape(set: &CursorSet<'_>) -> Option<CursorShape> {
    let (width, height) = (usize::from(set.width), usize::from(set.height));
    let data = set.data.0.bytes();
    if width == 0 || height == 0 {
        return None;
    }
    let bgra = match set.kind.0 {
        CursorType::ALPHA => data.into(),
        CursorType::COLOR24 => masked(data, width, height, 3).into(),
        _ => masked(data, width, height, 4).into(),
    };
    let size = Size { width: set.width.into(), height: set.height.into() };
    Some(CursorShape { size, hot_x: set.hot_spot_x, hot_y: set.hot_spot_y, bgra })
}

/// Rows of `bytes` a pixel with a mask behind them, as premultiplied BGRA.
fn masked(data: &[u8], width: usize, height: usize, bytes: usize) -> Vec<u8> {
    let (pixels, mask) = data.split_at_checked(width * height * bytes).unwrap_or_default();
    let mut out = Vec::with_capacity(width * height * 4);
    let rows = pixels.chunks_exact(width * bytes).zip(mask.chunks_exact(width.div_ceil(8)));
    for (pixels, mask) in rows {
        for (x, pixel) in pixels.chunks_exact(bytes).enumerate() {
            let see_through = mask.get(x / 8).is_some_and(|byte| byte & (0x80 >> (x % 8)) != 0);
            match pixel {
                [b, g, r, ..] if !see_through => out.extend([*b, *g, *r, 255]),
                _ => out.extend([0; 4]),
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use sumac_core::wire::{Data, Padded, Rest};

    use super::*;

    fn set(kind: CursorType, width: u16, height: u16, data: &[u8]) -> Option<CursorShape> {
        let (kind, data) = (Padded(kind), Rest(Data::Here(data)));
        shape(&CursorSet { width, height, hot_spot_x: 1, hot_spot_y: 2, kind, data })
    }

    #[test]
    fn pixels_under_the_mask_are_see_through() {
        let with_alpha = set(CursorType::ALPHA, 1, 1, &[1, 2, 3, 4]).unwrap();
        assert_eq!((&with_alpha.bgra[..], with_alpha.hot_x, with_alpha.hot_y), (&[1, 2, 3, 4][..], 1, 2));
        let colors = set(CursorType::COLOR24, 2, 1, &[1, 2, 3, 4, 5, 6, 0x40]).unwrap();
        assert_eq!(&colors.bgra[..], [1, 2, 3, 255, 0, 0, 0, 0]);
        let colors = set(CursorType::COLOR32, 1, 2, &[1, 2, 3, 9, 4, 5, 6, 9, 0x80, 0]).unwrap();
        assert_eq!(&colors.bgra[..], [0, 0, 0, 0, 4, 5, 6, 255]);
        assert_eq!(set(CursorType::ALPHA, 0, 5, &[]), None);
    }
}
