//! The shapes of the pointer, computed with anti-aliased edges.

use std::sync::Arc;

use crate::source::{CursorShape, Size};

/// Which shape the pointer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pointer {
    Arrow,
    /// I-beam, over text.
    Text,
    Cross,
    Hand,
}

/// Width and height of every shape.
const SIDE: u32 = 24;

/// Thickness of the dark line around the light shape.
const OUTLINE: f32 = 1.3;

/// A part of a shape, in pixels from the top left corner.
enum Part {
    /// A filled polygon.
    Polygon(&'static [(f32, f32)]),
    /// A line with round ends: two points and half its width.
    Capsule((f32, f32), (f32, f32), f32),
}

use Part::{Capsule, Polygon};

const ARROW: &[Part] =
    &[Polygon(&[(2.0, 2.0), (2.0, 18.0), (5.8, 14.6), (8.4, 20.6), (11.2, 19.4), (8.6, 13.6), (13.6, 13.2)])];

const TEXT: &[Part] = &[
    Capsule((11.5, 4.5), (11.5, 19.5), 0.7),
    Capsule((8.5, 3.6), (11.5, 4.6), 0.7),
    Capsule((14.5, 3.6), (11.5, 4.6), 0.7),
    Capsule((8.5, 20.4), (11.5, 19.4), 0.7),
    Capsule((14.5, 20.4), (11.5, 19.4), 0.7),
];

const CROSS: &[Part] = &[
    Capsule((12.5, 3.0), (12.5, 9.5), 0.7),
    Capsule((12.5, 15.5), (12.5, 22.0), 0.7),
    Capsule((3.0, 12.5), (9.5, 12.5), 0.7),
    Capsule((15.5, 12.5), (22.0, 12.5), 0.7),
    Capsule((12.5, 12.5), (12.5, 12.5), 0.7),
];

const HAND: &[Part] = &[
    Capsule((9.0, 4.0), (9.0, 14.0), 1.5),
    Capsule((12.2, 9.4), (12.2, 15.0), 1.6),
    Capsule((15.3, 10.2), (15.3, 15.0), 1.6),
    Capsule((18.2, 11.4), (18.2, 16.0), 1.5),
    Capsule((4.6, 12.6), (8.6, 18.4), 1.5),
    Polygon(&[(7.5, 13.0), (19.7, 13.0), (19.7, 17.0), (17.8, 21.5), (9.8, 21.5), (7.5, 17.5)]),
];

/// Dark lines between the fingers.
const FINGERS: &[Part] = &[
    Capsule((10.6, 10.0), (10.6, 14.0), 0.25),
    Capsule((13.75, 11.0), (13.75, 14.4), 0.25),
    Capsule((16.8, 12.0), (16.8, 14.8), 0.25),
];

impl Pointer {
    /// The picture of it.
    pub(super) fn shape(self) -> CursorShape {
        let (light, dark, hot): (&[Part], &[Part], (u16, u16)) = match self {
            Self::Arrow => (ARROW, &[], (2, 2)),
            Self::Text => (TEXT, &[], (11, 12)),
            Self::Cross => (CROSS, &[], (12, 12)),
            Self::Hand => (HAND, FINGERS, (9, 3)),
        };
        let points = (0..SIDE * SIDE).map(|i| ((i % SIDE) as f32 + 0.5, (i / SIDE) as f32 + 0.5));
        let bgra: Arc<[u8]> = points.flat_map(|point| pixel(light, dark, point)).collect();
        CursorShape { size: Size { width: SIDE, height: SIDE }, hot_x: hot.0, hot_y: hot.1, bgra }
    }
}

/// One pixel, premultiplied: white where it is inside, black around that, nothing elsewhere.
fn pixel(light: &[Part], dark: &[Part], at: (f32, f32)) -> [u8; 4] {
    let outside = distance(light, at);
    let alpha = covered(outside - OUTLINE);
    let white = covered(outside).min(alpha) * (1.0 - covered(distance(dark, at)));
    let (white, alpha) = ((white * 255.0) as u8, (alpha * 255.0) as u8);
    [white, white, white, alpha]
}

/// How much of a pixel is covered whose centre is so far outside.
fn covered(outside: f32) -> f32 {
    (0.5 - outside).clamp(0.0, 1.0)
}

/// Distance to the nearest part; negative inside.
fn distance(parts: &[Part], at: (f32, f32)) -> f32 {
    let one = |part: &Part| match part {
        Capsule(from, to, half) => to_segment(at, *from, *to) - half,
        Polygon(points) => to_polygon(at, points),
    };
    parts.iter().map(one).fold(f32::INFINITY, f32::min)
}

fn to_segment(at: (f32, f32), from: (f32, f32), to: (f32, f32)) -> f32 {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let (px, py) = (at.0 - from.0, at.1 - from.1);
    let along = ((px * dx + py * dy) / (dx * dx + dy * dy).max(1e-6)).clamp(0.0, 1.0);
    (px - along * dx).hypot(py - along * dy)
}

fn to_polygon(at: (f32, f32), points: &[(f32, f32)]) -> f32 {
    let edges = points.iter().zip(points.iter().cycle().skip(1));
    let mut inside = false;
    let mut nearest = f32::INFINITY;
    for (a, b) in edges {
        nearest = nearest.min(to_segment(at, *a, *b));
        // A ray to the right crosses the edge.
        if (a.1 > at.1) != (b.1 > at.1) && at.0 < a.0 + (at.1 - a.1) / (b.1 - a.1) * (b.0 - a.0) {
            inside = !inside;
        }
    }
    if inside { -nearest } else { nearest }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_premultiplied_and_soft_and_point_at_something() {
        for pointer in [Pointer::Arrow, Pointer::Text, Pointer::Cross, Pointer::Hand] {
            let shape = pointer.shape();
            assert_eq!(shape.bgra.len(), 24 * 24 * 4);
            let pixels: Vec<&[u8]> = shape.bgra.chunks_exact(4).collect();
            assert!(pixels.iter().all(|p| p[0] <= p[3] && p[1] <= p[3] && p[2] <= p[3]), "{pointer:?}");
            assert!(pixels.iter().any(|p| (1..255).contains(&p[3])), "{pointer:?} has hard edges");
            let hot = usize::from(shape.hot_y) * 24 + usize::from(shape.hot_x);
            assert!(pixels[hot][3] > 200, "{pointer:?} points beside itself");
        }
    }
}
