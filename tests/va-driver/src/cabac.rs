//! HEVC's slice data of plain blocks: its arithmetic coder (9.3.4) and the few elements that such
//! blocks need.
use crate::{
    coder::{copy, escape, macroblock, near},
    picture::Nv12,
};

/// `rangeTabLps` (table 9-46).
#[rustfmt::skip]
const RANGES: [[u32; 4]; 64] = [
    [128, 176, 208, 240], [128, 167, 197, 227], [128, 158, 187, 216], [123, 150, 178, 205], [116, 142, 169, 195],
    [111, 135, 160, 185], [105, 128, 152, 175], [100, 122, 144, 166], [95, 116, 137, 158], [90, 110, 130, 150],
    [85, 104, 123, 142], [81, 99, 117, 135], [77, 94, 111, 128], [73, 89, 105, 122], [69, 85, 100, 116],
    [66, 80, 95, 110], [62, 76, 90, 104], [59, 72, 86, 99], [56, 69, 81, 94], [53, 65, 77, 89], [51, 62, 73, 85],
    [48, 59, 69, 80], [46, 56, 66, 76], [43, 53, 63, 72], [41, 50, 59, 69], [39, 48, 56, 65], [37, 45, 54, 62],
    [35, 43, 51, 59], [33, 41, 48, 56], [32, 39, 46, 53], [30, 37, 43, 50], [29, 35, 41, 48], [27, 33, 39, 45],
    [26, 31, 37, 43], [24, 30, 35, 41], [23, 28, 33, 39], [22, 27, 32, 37], [21, 26, 30, 35], [20, 24, 29, 33],
    [19, 23, 27, 31], [18, 22, 26, 30], [17, 21, 25, 28], [16, 20, 23, 27], [15, 19, 22, 25], [14, 18, 21, 24],
    [14, 17, 20, 23], [13, 16, 19, 22], [12, 15, 18, 21], [12, 14, 17, 20], [11, 14, 16, 19], [11, 13, 15, 18],
    [10, 12, 15, 17], [10, 12, 14, 16], [9, 11, 13, 15], [9, 11, 12, 14], [8, 10, 12, 14], [8, 9, 11, 13],
    [7, 9, 11, 12], [7, 9, 10, 12], [7, 8, 10, 11], [6, 8, 9, 11], [6, 7, 9, 10], [6, 7, 8, 9], [2, 2, 2, 2],
];

/// `transIdxLps` (table 9-47).
#[rustfmt::skip]
const AFTER_LPS: [u8; 64] = [
    0, 0, 1, 2, 2, 4, 4, 5, 6, 7, 8, 9, 9, 11, 11, 12, 13, 13, 15, 15, 16, 16, 18, 18, 19, 19, 21, 21, 22, 22, 23, 24,
    24, 25, 26, 26, 27, 27, 28, 29, 29, 30, 30, 30, 31, 32, 32, 33, 33, 33, 34, 34, 35, 35, 35, 36, 36, 36, 37, 37, 37,
    38, 38, 63,
];

/// How likely a bin is what it mostly is.
#[derive(Clone, Copy)]
struct Model {
    state: u8,
    mostly: bool,
}

impl Model {
    /// By `initValue` (9.3.2.2).
    fn new(value: i32, qp: i32) -> Self {
        let (slope, offset) = ((value >> 4) * 5 - 45, ((value & 15) << 3) - 16);
        let state = (((slope * qp) >> 4) + offset).clamp(1, 126);
        let mostly = state > 63;
        Self { state: (if mostly { state - 64 } else { 63 - state }) as u8, mostly }
    }
}

/// The coder behind a header that ends at a byte (9.3.4.2 and following).
struct Coder {
    bytes: Vec<u8>,
    held: u8,
    count: u32,
    low: u32,
    range: u32,
    outstanding: u32,
    first: bool,
}

impl Coder {
    fn new(header: &[u8]) -> Self {
        Self { bytes: header.to_vec(), held: 0, count: 0, low: 0, range: 510, outstanding: 0, first: true }
    }

    fn write(&mut self, bit: u32) {
        self.held = self.held << 1 | (bit & 1) as u8;
        self.count += 1;
        if self.count == 8 {
            self.bytes.push(self.held);
            (self.held, self.count) = (0, 0);
        }
    }

    fn put(&mut self, bit: u32) {
        if !std::mem::take(&mut self.first) {
            self.write(bit);
        }
        for _ in 0..std::mem::take(&mut self.outstanding) {
            self.write(1 - bit);
        }
    }

    fn renormalise(&mut self) {
        while self.range < 256 {
            match self.low {
                0..256 => self.put(0),
                512.. => {
                    self.low -= 512;
                    self.put(1);
                }
                _ => {
                    self.low -= 256;
                    self.outstanding += 1;
                }
            }
            self.range <<= 1;
            self.low <<= 1;
        }
    }

    fn bin(&mut self, model: &mut Model, value: bool) {
        let state = usize::from(model.state);
        let lps = RANGES[state][(self.range >> 6 & 3) as usize];
        self.range -= lps;
        if value == model.mostly {
            model.state = (model.state + 1).min(62);
        } else {
            self.low += self.range;
            self.range = lps;
            model.mostly ^= state == 0;
            model.state = AFTER_LPS[state];
        }
        self.renormalise();
    }

    /// A bin that ends something when it is set; the bit that ends it is then written too.
    fn end(&mut self, value: bool) {
        self.range -= 2;
        if !value {
            self.renormalise();
            return;
        }
        self.low += self.range;
        self.range = 2;
        self.renormalise();
        self.put(self.low >> 9 & 1);
        self.write(self.low >> 8 & 1);
        self.write(1);
        while self.count != 0 {
            self.write(0);
        }
        (self.low, self.range, self.outstanding, self.first) = (0, 510, 0, true);
    }
}

/// Codes a picture of whole blocks of 16 by 16. In P slices, blocks that differ from `before` by no
/// more than `tolerance` are skipped. Leaves in `before` what a decoder shows.
pub(crate) fn slice(
    header: &[u8],
    picture: &Nv12,
    before: &mut Option<Nv12>,
    (intra, qp): (bool, i32),
    tolerance: u8,
) -> Vec<u8> {
    let mut coder = Coder::new(header);
    let mut shown = before.take().unwrap_or_else(|| Nv12::new(picture.width, picture.height));
    // part_mode, pred_mode_flag and merge_idx; cu_skip_flag by how many neighbours are skipped.
    let mut part = Model::new(if intra { 184 } else { 154 }, qp);
    let (mut pred, mut merge) = (Model::new(149, qp), Model::new(122, qp));
    let mut skip = [197, 185, 201].map(|value| Model::new(value, qp));
    let columns = picture.width / 16;
    let mut above = vec![false; columns];
    let blocks = columns * (picture.height / 16);
    let mut left = false;
    for n in 0..blocks {
        let (column, x, y) = (n % columns, n % columns * 16, n / columns * 16);
        left &= column > 0;
        let same = !intra && near(picture, &shown, (x, y), tolerance);
        if !intra {
            coder.bin(&mut skip[usize::from(left) + usize::from(above[column])], same);
        }
        (left, above[column]) = (same, same);
        if same {
            // The first candidate: no motion, as nothing else is near.
            coder.bin(&mut merge, false);
        } else {
            if !intra {
                coder.bin(&mut pred, true);
            }
            coder.bin(&mut part, true);
            coder.end(true);
            coder.bytes.extend(macroblock(picture, x, y));
            copy(picture, &mut shown, x, y);
        }
        coder.end(n + 1 == blocks);
    }
    *before = Some(shown);
    escape(&coder.bytes)
}
