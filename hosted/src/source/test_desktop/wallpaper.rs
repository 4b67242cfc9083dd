//! [`Wallpaper`]: mountains at dusk, computed from the size of the picture.
//!
//! The sky's colour depends on the row only and every ridge has few colours, so that the picture
//! is as kind to lossless codecs as it looks rich.

use super::area::Area;
use super::canvas::{Canvas, Pixel, mix, rgb};
use crate::source::Size;

/// The sky from the top to where it ends, as (part of the height, colour).
const SKY: [(f32, u32); 6] =
    [(0.0, 0x191c3f), (0.25, 0x3f2c5f), (0.45, 0x8a3f6c), (0.6, 0xd9645f), (0.72, 0xf5a265), (1.0, 0xffd9a0)];

/// The ridges from far to near.
const RIDGES: [Ridge; 4] = [
    Ridge { level: 0.62, height: 0.075, phase: 0.4, top: 0xb2566d, foot: 0xd98a72 },
    Ridge { level: 0.71, height: 0.070, phase: 2.9, top: 0x7a3b63, foot: 0xa65a68 },
    Ridge { level: 0.80, height: 0.065, phase: 5.1, top: 0x472a52, foot: 0x6d3d5d },
    Ridge { level: 0.90, height: 0.060, phase: 1.7, top: 0x211a38, foot: 0x33233f },
];

const SUN: Pixel = rgb(0xffedc4);

struct Ridge {
    /// Its middle and its waves, as parts of the picture's height.
    level: f32,
    height: f32,
    phase: f32,
    /// Its colour at its highest point and at the bottom of the picture.
    top: u32,
    foot: u32,
}

/// The wallpaper for one size: a few numbers for each row and column instead of a picture.
pub(super) struct Wallpaper {
    sky: Vec<Pixel>,
    layers: Vec<Layer>,
    sun: (f32, f32),
    sun_radius: f32,
}

struct Layer {
    /// Where it begins in every column, in 1/256 pixel.
    edge: Vec<i32>,
    /// The first row that it touches.
    first: i32,
    /// Its colour in every row.
    colors: Vec<Pixel>,
}

impl Wallpaper {
    pub(super) fn new(size: Size) -> Self {
        let (width, height) = (size.width as f32, size.height as f32);
        let sky = (0..size.height).map(|y| sky(y as f32 / height)).collect();
        let layers = RIDGES.iter().map(|ridge| Layer::new(ridge, size)).collect();
        Self { sky, layers, sun: (width * 0.63, height * 0.5), sun_radius: height * 0.075 }
    }

    /// Draws the part inside of the canvas' clip.
    pub(super) fn draw(&self, canvas: &mut Canvas<'_>) {
        let clip = canvas.clip();
        for y in clip.y..clip.bottom() {
            let Some((x0, row)) = canvas.row(clip.x, y, clip.w) else {
                continue;
            };
            let at = y as usize;
            let Some(&sky) = self.sky.get(at) else {
                continue;
            };
            row.fill(sky);
            self.glow(x0, y, row);
            for layer in self.layers.iter().filter(|layer| layer.first <= y) {
                let (Some(&color), Some(edge)) = (layer.colors.get(at), layer.edge.get(x0 as usize..)) else {
                    continue;
                };
                for (pixel, edge) in row.iter_mut().zip(edge) {
                    match ((y + 1) * 256 - edge).clamp(0, 256) {
                        0 => {}
                        256 => *pixel = color,
                        part => *pixel = mix(*pixel, color, part as u8),
                    }
                }
            }
        }
    }

    /// The sun and the light around it.
    fn glow(&self, x0: i32, y: i32, row: &mut [Pixel]) {
        let reach = self.sun_radius * 4.0;
        let dy = y as f32 + 0.5 - self.sun.1;
        if dy.abs() >= reach {
            return;
        }
        let half = (reach * reach - dy * dy).sqrt();
        let light = Area::between((self.sun.0 - half) as i32, y, (self.sun.0 + half) as i32 + 1, y + 1);
        let row_area = Area::new(x0, y, i32::try_from(row.len()).unwrap_or(i32::MAX), 1);
        let lit = light.intersect(row_area);
        for x in lit.x..lit.right() {
            let away = (x as f32 + 0.5 - self.sun.0).hypot(dy);
            let disc = (self.sun_radius - away + 0.5).clamp(0.0, 1.0);
            let halo = (1.0 - away / reach).max(0.0);
            let alpha = (disc * 235.0).max(halo * halo * 120.0);
            if let Some(pixel) = row.get_mut((x - x0) as usize) {
                *pixel = mix(*pixel, SUN, alpha as u8);
            }
        }
    }
}

impl Layer {
    fn new(ridge: &Ridge, size: Size) -> Self {
        let height = size.height as f32;
        let edge: Vec<i32> = (0..size.width)
            .map(|x| ((ridge.level - ridge.height * wave(x as f32 / height, ridge.phase)) * height * 256.0) as i32)
            .collect();
        let first = edge.iter().min().map_or(0, |edge| edge / 256);
        let (top, foot) = (rgb(ridge.top), rgb(ridge.foot));
        let peak = ridge.level - ridge.height;
        let colors = (0..size.height)
            .map(|y| {
                let down = (y as f32 / height - peak) / (1.0 - peak);
                mix(top, foot, (down.clamp(0.0, 1.0) * 255.0) as u8)
            })
            .collect();
        Self { edge, first, colors }
    }
}

/// A mountain line: -1 to 1, sharper at the peaks than in the valleys.
fn wave(x: f32, phase: f32) -> f32 {
    let hills = (x * 3.1 + phase).sin() * 0.45 + (x * 7.3 + phase * 2.3).sin() * 0.2;
    let peaks = 1.0 - 2.0 * (x * 5.7 + phase * 1.3).sin().abs();
    let rocks = (x * 23.0 + phase).sin() * 0.05 + (x * 51.0 + phase * 3.0).sin() * 0.025;
    hills + peaks * 0.28 + rocks
}

fn sky(at: f32) -> Pixel {
    let stop = SKY.iter().rposition(|(from, _)| *from <= at).unwrap_or(0);
    let (from, color) = SKY[stop];
    match SKY.get(stop + 1) {
        Some((to, next)) => mix(rgb(color), rgb(*next), ((at - from) / (to - from) * 255.0) as u8),
        None => rgb(color),
    }
}
