//! Baseline JPEG's tables and headers (ITU-T T.81), for devices that code scans only.

/// Quantisers of luma and chroma (annex K.1), in zigzag order.
pub const QUANTISERS: [[u8; 64]; 2] = [
    [
        16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49, 35, 37, 29, 40, 58, 51,
        61, 60, 57, 51, 56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81, 87, 95, 98, 103, 104, 103, 62, 77,
        113, 121, 112, 100, 120, 92, 101, 103, 99,
    ],
    [
        17, 18, 18, 24, 21, 24, 47, 26, 26, 47, 99, 66, 56, 66, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
        99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
        99, 99, 99, 99, 99, 99, 99, 99,
    ],
];

/// A Huffman table: how many codes there are of each length from 1 to 16, and their values.
#[derive(Clone, Copy, Debug)]
pub struct Huffman {
    /// By length.
    pub counts: [u8; 16],
    /// In the order of their codes.
    pub values: &'static [u8],
}

/// DC tables of luma and chroma (K.3.1).
pub const DC: [Huffman; 2] = [
    Huffman { counts: [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0], values: DC_VALUES },
    Huffman { counts: [0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0], values: DC_VALUES },
];

/// AC tables of luma and chroma (K.3.2).
pub const AC: [Huffman; 2] = [
    Huffman { counts: [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125], values: &AC_LUMA },
    Huffman { counts: [0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 119], values: &AC_CHROMA },
];

const DC_VALUES: &[u8] = &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];

#[rustfmt::skip]
const AC_LUMA: [u8; 162] = [
    0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07, 0x22, 0x71,
    0x14, 0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1, 0x15, 0x52, 0xd1, 0xf0, 0x24, 0x33, 0x62, 0x72,
    0x82, 0x09, 0x0a, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x34, 0x35, 0x36, 0x37,
    0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59,
    0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x83,
    0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3,
    0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3,
    0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe1, 0xe2,
    0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
];

#[rustfmt::skip]
const AC_CHROMA: [u8; 162] = [
    0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71, 0x13, 0x22,
    0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xa1, 0xb1, 0xc1, 0x09, 0x23, 0x33, 0x52, 0xf0, 0x15, 0x62, 0x72, 0xd1,
    0x0a, 0x16, 0x24, 0x34, 0xe1, 0x25, 0xf1, 0x17, 0x18, 0x19, 0x1a, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x35, 0x36,
    0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58,
    0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a,
    0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a,
    0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba,
    0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda,
    0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
];

/// A table of quantisers at a quality of 1 to 100, as libjpeg scales it.
pub fn scaled(table: &[u8; 64], quality: u8) -> [u8; 64] {
    let quality = u32::from(quality.clamp(1, 100));
    let percent = if quality < 50 { 5000 / quality } else { 200 - 2 * quality };
    table.map(|q| u8::try_from((u32::from(q) * percent + 50) / 100).unwrap_or(u8::MAX).max(1))
}

/// Everything before the scan of a picture in 4:2:0: tables, frame and scan header. Replaces what
/// `out` held.
pub fn header(width: u16, height: u16, quality: u8, out: &mut Vec<u8>) {
    out.clear();
    out.extend([0xff, 0xd8]);
    // JFIF 1.1, square pixels: YCbCr as in BT.601, full range.
    segment(out, 0xe0, &[b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0"]);
    for (n, table) in (0u8..).zip(&QUANTISERS) {
        segment(out, 0xdb, &[&[n], &scaled(table, quality)]);
    }
    let ([y0, y1], [x0, x1]) = (height.to_be_bytes(), width.to_be_bytes());
    segment(out, 0xc0, &[&[8, y0, y1, x0, x1, 3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1]]);
    for (class, tables) in [(0, &DC), (0x10, &AC)] {
        for (n, table) in (0u8..).zip(tables) {
            segment(out, 0xc4, &[&[class | n], &table.counts, table.values]);
        }
    }
    segment(out, 0xda, &[&[3, 1, 0, 2, 0x11, 3, 0x11, 0, 63, 0]]);
}

fn segment(out: &mut Vec<u8>, marker: u8, parts: &[&[u8]]) {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    out.extend([0xff, marker]);
    // No segment here is longer than a few hundred bytes.
    out.extend((len as u16 + 2).to_be_bytes());
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Chroma, Frame, Jpeg, Layout};

    /// The contents of all segments with this marker.
    fn segments(jpeg: &[u8], marker: u8) -> Vec<&[u8]> {
        let (mut found, mut at) = (Vec::new(), 2);
        while at + 4 <= jpeg.len() && jpeg[at] == 0xff {
            let len = usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]));
            if jpeg[at + 1] == marker {
                found.push(&jpeg[at + 4..at + 2 + len]);
            }
            if jpeg[at + 1] == 0xda {
                break;
            }
            at += 2 + len;
        }
        found
    }

    /// Tables by their class and number, however many share a segment.
    fn tables(jpeg: &[u8], marker: u8) -> Vec<(u8, Vec<u8>)> {
        let mut found = Vec::new();
        for mut rest in segments(jpeg, marker) {
            while let [number, after @ ..] = rest {
                let len = match marker {
                    0xdb => 64,
                    _ => 16 + after[..16].iter().map(|c| usize::from(*c)).sum::<usize>(),
                };
                found.push((*number, after[..len].to_vec()));
                rest = &after[len..];
            }
        }
        found.sort();
        found
    }

    #[test]
    fn tables_are_those_of_other_writers() {
        let layout = Layout { width: 32, height: 16, stride: 128 };
        let frame = Frame::from_memory(layout, vec![77; 128 * 16]).unwrap();
        for quality in [1, 49, 50, 75, 100] {
            let theirs = Jpeg::new().encode(&frame, frame.bounds(), quality, Chroma::Yuv420).unwrap();
            let mut ours = vec![7];
            header(32, 16, quality, &mut ours);
            assert_eq!(tables(&ours, 0xdb), tables(&theirs, 0xdb), "quality {quality}");
            assert_eq!(tables(&ours, 0xc4), tables(&theirs, 0xc4));
            assert_eq!(segments(&ours, 0xc0), segments(&theirs, 0xc0));
            assert_eq!(segments(&ours, 0xda), segments(&theirs, 0xda));
        }
    }
}
