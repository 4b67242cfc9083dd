//! [`Movie`]: a moving picture without an end, which codecs must take for a film: every pixel
//! changes a little in every frame, smoothly, with a little noise on top.

use std::f32::consts::TAU;

use super::canvas::{Pixel, rgb};

/// Size in pixels.
pub(super) const WIDTH: i32 = 320;
pub(super) const HEIGHT: i32 = 240;

/// Frames a second.
pub(super) const RATE: u32 = 30;

/// Entries of a whole turn in the tables; a power of two.
const TURN: usize = 1024;

/// The frame that is shown, and the tables that make the next one.
pub(super) struct Movie {
    pixels: Vec<Pixel>,
    /// Sine in 1/1024, over a whole turn.
    sine: Vec<i32>,
    palette: Vec<Pixel>,
}

impl Movie {
    /// The movie at its first frame.
    pub(super) fn new() -> Self {
        let turn = |i: usize| i as f32 / TURN as f32;
        let mut movie = Self {
            pixels: vec![rgb(0); (WIDTH * HEIGHT) as usize],
            sine: (0..TURN).map(|i| ((turn(i) * TAU).sin() * 1024.0) as i32).collect(),
            palette: (0..TURN).map(|i| color(turn(i))).collect(),
        };
        movie.show(0);
        movie
    }

    /// The frame, `WIDTH * HEIGHT` pixels.
    pub(super) fn pixels(&self) -> &[Pixel] {
        &self.pixels
    }

    /// Computes the frame of this number: liquid that is stirred by waves of waves.
    pub(super) fn show(&mut self, number: u64) {
        let t = (number % (1 << 20)) as i32;
        // A negative angle counts from the end: the number of all angles is a multiple of TURN.
        let sine = |angle: i32| self.sine[angle as usize % TURN];
        let mut noise = (t as u32).wrapping_mul(0x9e37_79b9) | 1;
        // What depends on the column only; the phases drift at different speeds.
        let columns: Vec<(i32, i32)> = (0..WIDTH)
            .map(|x| {
                let bend = sine(x * 4 + t * 5) / 6;
                (x * 3 + bend + t * 3, x * 2 - bend - t * 2)
            })
            .collect();
        for (y, row) in (0..HEIGHT).zip(self.pixels.chunks_exact_mut(WIDTH as usize)) {
            let bend = sine(y * 5 - t * 4) / 5;
            let (first, second) = (y * 2 + bend, y * 4 - bend);
            for (pixel, (a, b)) in row.iter_mut().zip(&columns) {
                let swirl = sine(a + first) + sine(b + second);
                let ripple = sine((swirl >> 2) + a - first);
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let grain = (noise >> 28) as i32;
                let value = (swirl + ripple) / 6 + grain + t * 2;
                *pixel = self.palette[value as usize % TURN];
            }
        }
    }
}

/// The palette: once around is from night over sumac red to gold and back.
fn color(turn: f32) -> Pixel {
    let channel = |middle: f32, swing: f32, phase: f32| {
        let value = middle + swing * ((turn + phase) * TAU).cos();
        (value.clamp(0.0, 1.0) * 255.0) as u32
    };
    rgb(channel(0.55, 0.42, 0.0) << 16 | channel(0.30, 0.28, 0.92) << 8 | channel(0.36, 0.22, 0.55))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_smoothly_and_can_be_repeated() {
        let mut movie = Movie::new();
        let first = movie.pixels().to_vec();
        movie.show(1);
        let changed = first.iter().zip(movie.pixels()).filter(|(a, b)| a != b).count();
        let difference: u32 = first.iter().zip(movie.pixels()).map(|(a, b)| u32::from(a[2].abs_diff(b[2]))).sum();
        assert!(changed * 10 > first.len() * 8, "{changed} of {} changed", first.len());
        assert!(difference / (first.len() as u32) < 16, "the mean change of red is {difference} in all");
        movie.show(u64::MAX);
        movie.show(0);
        assert_eq!(movie.pixels(), first);
    }
}
