//! Pictures: NV12 in memory, and the conversion from BGRX by the standards' own numbers.

/// How colours become numbers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Space {
    /// ITU-R BT.709, 16 to 235 and 240.
    Bt709Limited,
    /// ITU-R BT.601, 16 to 235 and 240: VP8.
    Bt601Limited,
    /// ITU-R BT.601, 0 to 255: JFIF.
    Bt601Full,
}

/// Luma and interleaved chroma, without padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Nv12 {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) luma: Vec<u8>,
    pub(crate) chroma: Vec<u8>,
}

impl Nv12 {
    /// Black, of even size.
    pub(crate) fn new(width: usize, height: usize) -> Self {
        Self { width, height, luma: vec![16; width * height], chroma: vec![128; width * height / 2] }
    }

    /// Draws BGRX pixels of `from` (width, height), scaled to `to`, at the top left; what is right
    /// and below repeats the edge.
    pub(crate) fn draw(
        &mut self,
        bgrx: &[u8],
        from: (usize, usize),
        to: (usize, usize),
        upside_down: bool,
        space: Space,
    ) {
        let at = |x: usize, y: usize| {
            let x = (x.min(to.0 - 1) * from.0 / to.0).min(from.0 - 1);
            let y = (y.min(to.1 - 1) * from.1 / to.1).min(from.1 - 1);
            let y = if upside_down { from.1 - 1 - y } else { y };
            let place = (y * from.0 + x) * 4;
            [2, 1, 0].map(|n| f64::from(bgrx[place + n]))
        };
        for y in 0..self.height {
            for x in 0..self.width {
                self.luma[y * self.width + x] = luma(at(x, y), space);
            }
        }
        for y in 0..self.height / 2 {
            for x in 0..self.width / 2 {
                let four = [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(dx, dy)| at(2 * x + dx, 2 * y + dy));
                let mean = [0, 1, 2].map(|n| four.iter().map(|c| c[n]).sum::<f64>() / 4.0);
                let place = y * self.width + 2 * x;
                (self.chroma[place], self.chroma[place + 1]) = chroma(mean, space);
            }
        }
    }
}

impl Nv12 {
    /// The top left `width` by `height` pixels as BGRX; each sample of chroma stands for four pixels.
    pub(crate) fn to_bgrx(&self, width: usize, height: usize, space: Space) -> Vec<u8> {
        let mut out = Vec::with_capacity(width * height * 4);
        for y in 0..height {
            for x in 0..width {
                let place = y / 2 * self.width + x / 2 * 2;
                let luma = self.luma[y * self.width + x];
                out.extend(colour(luma, (self.chroma[place], self.chroma[place + 1]), space));
            }
        }
        out
    }
}

/// A pixel's B, G, R and one more.
fn colour(luma: u8, (blue_code, red_code): (u8, u8), space: Space) -> [u8; 4] {
    let limited = space != Space::Bt601Full;
    let (red, blue) = weights(space);
    let scale = if limited { 255.0 / 224.0 } else { 1.0 };
    let y = if limited { (f64::from(luma) - 16.0) * 255.0 / 219.0 } else { f64::from(luma) };
    let difference = |code: u8, weight: f64| (f64::from(code) - 128.0) * scale * (2.0 - 2.0 * weight);
    let (r, b) = (y + difference(red_code, red), y + difference(blue_code, blue));
    let g = (y - red * r - blue * b) / (1.0 - red - blue);
    // `as` saturates.
    [(b + 0.5) as u8, (g + 0.5) as u8, (r + 0.5) as u8, 0xff]
}

/// The weights of red and blue in luma.
fn weights(space: Space) -> (f64, f64) {
    if space == Space::Bt709Limited { (0.2126, 0.0722) } else { (0.299, 0.114) }
}

fn brightness([r, g, b]: [f64; 3], space: Space) -> f64 {
    let (red, blue) = weights(space);
    red * r + (1.0 - red - blue) * g + blue * b
}

fn luma(colour: [f64; 3], space: Space) -> u8 {
    let y = brightness(colour, space);
    if space != Space::Bt601Full { (16.5 + 219.0 / 255.0 * y) as u8 } else { (y + 0.5) as u8 }
}

fn chroma(colour: [f64; 3], space: Space) -> (u8, u8) {
    let y = brightness(colour, space);
    let (red, blue) = weights(space);
    let range = if space != Space::Bt601Full { 224.0 / 255.0 } else { 1.0 };
    let code = |difference: f64, weight: f64| (128.5 + range * difference / (2.0 - 2.0 * weight)) as u8;
    (code(colour[2] - y, blue), code(colour[0] - y, red))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_come_back() {
        for space in [Space::Bt709Limited, Space::Bt601Limited, Space::Bt601Full] {
            for bgrx in [[0, 0, 0, 255], [255, 255, 255, 255], [10, 200, 90, 255], [255, 0, 0, 255], [0, 0, 255, 255]] {
                let mut picture = Nv12::new(4, 4);
                picture.draw(&bgrx.repeat(16), (4, 4), (4, 4), false, space);
                let back = picture.to_bgrx(4, 4, space);
                assert!(back.iter().zip(bgrx.iter().cycle()).all(|(a, b)| a.abs_diff(*b) <= 3), "{bgrx:?}: {back:?}");
            }
        }
    }
}
