//! Baseline JPEG as the device does it: checks what it is told, and codes the scan by the tables
//! that came with it.
use crate::{bindings as va, picture::Nv12};

/// Everything that was rendered for one picture.
#[derive(Clone, Default)]
pub struct Told {
    /// The picture.
    pub pic: Option<va::VAEncPictureParameterBufferJPEG>,
    /// Its quantisers, not scaled.
    pub quantisers: Option<va::VAQMatrixBufferJPEG>,
    /// Its Huffman tables.
    pub huffman: Option<va::VAHuffmanTableBufferJPEGBaseline>,
    /// Its scan.
    pub scan: Option<va::VAEncSliceParameterBufferJPEG>,
    /// The packed header.
    pub header: Vec<u8>,
}

const ZIGZAG: [usize; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21,
    28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54,
    47, 55, 62, 63,
];

fn same<T: PartialEq + std::fmt::Debug>(what: &str, got: T, wanted: T) -> Result<(), String> {
    if got == wanted { Ok(()) } else { Err(format!("{what}: {got:?}, not {wanted:?}")) }
}

/// Checks a picture for a context of this size and codes it: the coded buffer, and the bytes.
///
/// # Errors
/// The first thing that is wrong, in words.
pub(crate) fn encode(told: &Told, size: (u32, u32), picture: &Nv12) -> Result<(u32, Vec<u8>), String> {
    let (Some(pic), Some(quantisers), Some(huffman), Some(scan)) =
        (&told.pic, &told.quantisers, &told.huffman, &told.scan)
    else {
        return Err("picture, quantisers, Huffman tables or scan are missing".into());
    };
    check(pic, scan, &told.header, size)?;
    let tables =
        [&quantisers.lum_quantiser_matrix, &quantisers.chroma_quantiser_matrix].map(|t| scaled(t, pic.quality));
    for (n, table) in tables.iter().enumerate() {
        same("the header's quantisers", segment(&told.header, 0xdb, n as u8)?, table.to_vec())?;
    }
    for (n, table) in huffman.huffman_table.iter().enumerate() {
        let dc = [&table.num_dc_codes[..], &table.dc_values].concat();
        same("the header's DC table", segment(&told.header, 0xc4, n as u8)?, dc)?;
        let ac = [&table.num_ac_codes[..], &table.ac_values].concat();
        same("the header's AC table", segment(&told.header, 0xc4, 0x10 | n as u8)?, ac)?;
    }
    let codes =
        huffman.huffman_table.map(|t| [codes(&t.num_dc_codes, &t.dc_values), codes(&t.num_ac_codes, &t.ac_values)]);
    let mut out = told.header.clone();
    let mut bits = Bits { out: &mut out, held: 0, count: 0 };
    let (columns, rows) = (usize::from(pic.picture_width).div_ceil(16), usize::from(pic.picture_height).div_ceil(16));
    let mut before = [0; 3];
    for mcu in 0..columns * rows {
        let (x, y) = (mcu % columns * 16, mcu / columns * 16);
        for (component, block) in blocks(picture, x, y) {
            let n = usize::from(component > 0);
            bits.block(&coefficients(&block, &tables[n]), &mut before[component], &codes[n]);
        }
    }
    bits.end();
    out.extend([0xff, 0xd9]);
    Ok((pic.coded_buf, out))
}

fn check(
    pic: &va::VAEncPictureParameterBufferJPEG,
    scan: &va::VAEncSliceParameterBufferJPEG,
    header: &[u8],
    size: (u32, u32),
) -> Result<(), String> {
    let round = |side: u16| u32::from(side).next_multiple_of(16);
    same("the context's size", size, (round(pic.picture_width), round(pic.picture_height)))?;
    same("baseline, Huffman, interleaved", crate::sys::jpeg_flags(pic), 1 << 3 | 1 << 4)?;
    same("components", (pic.num_components, scan.num_components), (3, 3))?;
    same("num_scan", pic.num_scan, 1)?;
    same("sample_bit_depth", pic.sample_bit_depth, 8)?;
    same("quantiser_table_selector", &pic.quantiser_table_selector[..3], &[0, 1, 1])?;
    if !(1..=100).contains(&pic.quality) {
        return Err(format!("quality {}", pic.quality));
    }
    let ([y0, y1], [x0, x1]) = (pic.picture_height.to_be_bytes(), pic.picture_width.to_be_bytes());
    let id = pic.component_id;
    let frame = vec![y0, y1, x0, x1, 3, id[0], 0x22, 0, id[1], 0x11, 1, id[2], 0x11, 1];
    same("the header's frame", segment(header, 0xc0, 8)?, frame)?;
    let selector = |n: usize| {
        let c = &scan.components[n];
        [c.component_selector, c.dc_table_selector << 4 | c.ac_table_selector]
    };
    let wanted = [&selector(0)[..], &selector(1), &selector(2), &[0, 63, 0]].concat();
    same("the header's scan", segment(header, 0xda, 3)?, wanted)
}

/// What follows the first byte of the segment with this marker and first byte.
fn segment(header: &[u8], marker: u8, first: u8) -> Result<Vec<u8>, String> {
    let mut at = 2;
    while let [0xff, found, a, b, rest @ ..] = header.get(at..).unwrap_or(&[]) {
        let len = usize::from(u16::from_be_bytes([*a, *b]));
        let content = rest.get(..len.saturating_sub(2)).ok_or("a segment is cut off")?;
        if *found == marker && content.first() == Some(&first) {
            return Ok(content[1..].to_vec());
        }
        at += 2 + len;
    }
    Err(format!("no segment {marker:#x} {first:#x} in the header"))
}

/// libjpeg's scaling.
fn scaled(table: &[u8; 64], quality: u8) -> [u8; 64] {
    let percent = match f64::from(quality) {
        low if low < 50.0 => (5000.0 / low).floor(),
        high => 200.0 - 2.0 * high,
    };
    table.map(|q| ((f64::from(q) * percent + 50.0) / 100.0).floor().clamp(1.0, 255.0) as u8)
}

/// Codes by value: bits, and how many.
fn codes(counts: &[u8; 16], values: &[u8]) -> Vec<(u32, u32)> {
    let mut table = vec![(0, 0); 256];
    let (mut code, mut values) = (0, values.iter());
    for (length, count) in (1..).zip(counts) {
        for value in values.by_ref().take(usize::from(*count)) {
            table[usize::from(*value)] = (code, length);
            code += 1;
        }
        code <<= 1;
    }
    table
}

/// Four blocks of luma, one of each chroma; beyond the edge its last samples are repeated.
fn blocks(picture: &Nv12, x: usize, y: usize) -> [(usize, [f64; 64]); 6] {
    let block = |part: usize, x: usize, y: usize| {
        std::array::from_fn(|n| {
            let (x, y) = (x + n % 8, y + n / 8);
            let sample = if part == 0 {
                picture.luma[y.min(picture.height - 1) * picture.width + x.min(picture.width - 1)]
            } else {
                let (x, y) = (x.min(picture.width / 2 - 1), y.min(picture.height / 2 - 1));
                picture.chroma[y * picture.width + 2 * x + part - 1]
            };
            f64::from(sample) - 128.0
        })
    };
    [
        (0, block(0, x, y)),
        (0, block(0, x + 8, y)),
        (0, block(0, x, y + 8)),
        (0, block(0, x + 8, y + 8)),
        (1, block(1, x / 2, y / 2)),
        (2, block(2, x / 2, y / 2)),
    ]
}

/// The transform (A.3.3), by its definition, quantised, in zigzag order.
fn coefficients(block: &[f64; 64], table: &[u8; 64]) -> [i32; 64] {
    let cosine: [[f64; 8]; 8] = std::array::from_fn(|u| {
        let scale = if u == 0 { 0.5f64.sqrt() } else { 1.0 } / 2.0;
        std::array::from_fn(|x| scale * ((2 * x + 1) as f64 * u as f64 * std::f64::consts::PI / 16.0).cos())
    });
    let rows: [f64; 64] = std::array::from_fn(|n| (0..8).map(|x| block[n / 8 * 8 + x] * cosine[n % 8][x]).sum());
    let both: [f64; 64] = std::array::from_fn(|n| (0..8).map(|y| rows[y * 8 + n % 8] * cosine[n / 8][y]).sum());
    std::array::from_fn(|n| (both[ZIGZAG[n]] / f64::from(table[n])).round() as i32)
}

/// Entropy-coded bits.
struct Bits<'a> {
    out: &'a mut Vec<u8>,
    held: u64,
    count: u32,
}

impl Bits<'_> {
    fn put(&mut self, (bits, count): (u32, u32)) {
        self.held = self.held << count | u64::from(bits);
        self.count += count;
        while self.count >= 8 {
            self.count -= 8;
            let byte = (self.held >> self.count) as u8;
            self.out.push(byte);
            if byte == 0xff {
                self.out.push(0);
            }
        }
        self.held &= (1 << self.count) - 1;
    }

    fn block(&mut self, block: &[i32; 64], before: &mut i32, [dc, ac]: &[Vec<(u32, u32)>; 2]) {
        let (size, extra) = magnitude(block[0] - *before);
        *before = block[0];
        self.put(dc[size as usize]);
        self.put((extra, size));
        let mut zeros = 0;
        let last = block.iter().rposition(|c| *c != 0).unwrap_or(0);
        for value in &block[1..=last] {
            if *value == 0 {
                zeros += 1;
                continue;
            }
            while zeros > 15 {
                self.put(ac[0xf0]);
                zeros -= 16;
            }
            let (size, extra) = magnitude(*value);
            self.put(ac[(zeros << 4 | size) as usize]);
            self.put((extra, size));
            zeros = 0;
        }
        if last < 63 {
            self.put(ac[0]);
        }
    }

    fn end(&mut self) {
        if self.count > 0 {
            let rest = 8 - self.count;
            self.put(((1 << rest) - 1, rest));
        }
    }
}

/// Size class and its bits (F.1.2.1).
fn magnitude(value: i32) -> (u32, u32) {
    let size = 32 - value.unsigned_abs().leading_zeros();
    let bits = if value < 0 { value - 1 } else { value }.cast_unsigned();
    (size, bits & ((1 << size) - 1))
}

#[cfg(test)]
mod tests {
    use sumac_backends::bitstream::jpeg;

    use super::*;

    fn set_jpeg_flags(pic: &mut va::VAEncPictureParameterBufferJPEG, value: u32) {
        pic.pic_flags.value = value;
    }

    fn told() -> Told {
        let mut pic = va::VAEncPictureParameterBufferJPEG {
            picture_width: 40,
            picture_height: 20,
            coded_buf: 9,
            sample_bit_depth: 8,
            num_scan: 1,
            num_components: 3,
            component_id: [1, 2, 3, 0],
            quantiser_table_selector: [0, 1, 1, 0],
            quality: 80,
            ..Default::default()
        };
        set_jpeg_flags(&mut pic, 1 << 3 | 1 << 4);
        let [lum_quantiser_matrix, chroma_quantiser_matrix] = jpeg::QUANTISERS;
        let quantisers =
            va::VAQMatrixBufferJPEG { lum_quantiser_matrix, chroma_quantiser_matrix, ..Default::default() };
        let mut huffman = va::VAHuffmanTableBufferJPEGBaseline::default();
        for (to, (dc, ac)) in huffman.huffman_table.iter_mut().zip(jpeg::DC.iter().zip(&jpeg::AC)) {
            (to.num_dc_codes, to.num_ac_codes) = (dc.counts, ac.counts);
            to.dc_values.copy_from_slice(dc.values);
            to.ac_values.copy_from_slice(ac.values);
        }
        let mut scan = va::VAEncSliceParameterBufferJPEG { num_components: 3, ..Default::default() };
        for (n, component) in scan.components.iter_mut().take(3).enumerate() {
            component.component_selector = n as u8 + 1;
            (component.dc_table_selector, component.ac_table_selector) = (u8::from(n > 0), u8::from(n > 0));
        }
        let mut header = Vec::new();
        jpeg::header(40, 20, 80, &mut header);
        Told { pic: Some(pic), quantisers: Some(quantisers), huffman: Some(huffman), scan: Some(scan), header }
    }

    fn verdict(change: impl FnOnce(&mut Told)) -> Result<(u32, Vec<u8>), String> {
        let mut told = told();
        change(&mut told);
        encode(&told, (48, 32), &Nv12::new(48, 32))
    }

    #[test]
    fn what_is_right_is_coded() {
        let (coded, bytes) = verdict(|_| {}).unwrap();
        assert_eq!((coded, &bytes[..2], &bytes[bytes.len() - 2..]), (9, &[0xff, 0xd8][..], &[0xff, 0xd9][..]));
    }

    #[test]
    fn every_mutation_is_found() {
        let found = |words: &str, change: fn(&mut Told)| {
            let said = verdict(change).unwrap_err();
            assert!(said.contains(words), "{said:?} instead of {words:?}");
        };
        found("quantisers", |t| t.pic.as_mut().unwrap().quality = 81);
        found("quality 0", |t| t.pic.as_mut().unwrap().quality = 0);
        found("context's size", |t| t.pic.as_mut().unwrap().picture_width = 33 - 16);
        found("frame", |t| t.pic.as_mut().unwrap().picture_width = 41);
        found("Huffman, interleaved", |t| set_jpeg_flags(t.pic.as_mut().unwrap(), 1 << 3));
        found("components", |t| t.scan.as_mut().unwrap().num_components = 1);
        found("scan", |t| t.scan.as_mut().unwrap().components[1].ac_table_selector = 0);
        found("AC table", |t| t.huffman.as_mut().unwrap().huffman_table[1].ac_values[5] ^= 1);
        found("DC table", |t| t.huffman.as_mut().unwrap().huffman_table[0].num_dc_codes[1] += 1);
        found("quantiser_table_selector", |t| t.pic.as_mut().unwrap().quantiser_table_selector[2] = 0);
        found("missing", |t| t.huffman = None);
        found("no segment", |t| t.header.truncate(20));
    }
}
