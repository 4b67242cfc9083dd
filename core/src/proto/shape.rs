//! Points, rectangles and other small shapes.

use crate::limits;
use crate::wire::{Counted, Repeat, SampleItems};

record! {
    /// A place in pixels.
    pub struct Point {
        /// To the right.
        x: i32,
        /// Downwards.
        y: i32,
    }
}

record! {
    /// A place in pixels, 16-bit.
    pub struct Point16 {
        /// To the right.
        x: i16,
        /// Downwards.
        y: i16,
    }
}

record! {
    /// A place in sixteenths of a pixel (28.4 fixed point).
    pub struct PointFix {
        /// To the right.
        x: i32,
        /// Downwards.
        y: i32,
    }
}

record! {
    /// A rectangle in pixels.
    pub struct Rect {
        /// First row.
        top: i32,
        /// First column.
        left: i32,
        /// Behind the last row.
        bottom: i32,
        /// Behind the last column.
        right: i32,
    }
}

record! {
    /// A 2×3 matrix in 16.16 fixed point, row by row.
    pub struct Transform {
        /// First row, first column.
        t00: u32,
        /// First row, second column.
        t01: u32,
        /// First row, third column.
        t02: u32,
        /// Second row, first column.
        t10: u32,
        /// Second row, second column.
        t11: u32,
        /// Second row, third column.
        t12: u32,
    }
}

tagged! {
    /// Which part of a box is drawn.
    pub enum Clip<'a>: u8 {
        /// All of it.
        0 None,
        /// What lies in these rectangles; with none of them, nothing.
        1 Rects(rects: Counted<'a, u32, Rect, { limits::CLIP_RECTS }>),
    }
}

flags! {
    /// What a [`Segment`] is.
    pub struct PathFlags: u8 {
        /// Begins a figure.
        const BEGIN = 1;
        /// Ends a figure.
        const END = 2;
        /// Closes the figure with a line to its beginning.
        const CLOSE = 8;
        /// The points are those of cubic Bézier curves.
        const BEZIER = 16;
    }
}

fields! {
    /// A piece of a [`Path`] (PathSegment).
    pub struct Segment<'a> {
        /// What it is.
        flags: PathFlags,
        /// Its points.
        points: Counted<'a, u32, PointFix, { limits::PATH_POINTS }>,
    }
}

fields! {
    /// Lines and curves.
    pub struct Path<'a> {
        /// The pieces, one after another.
        segments: Repeat<'a, u32, Segment<'a>, { limits::PATH_SEGMENTS }>,
    }
}

impl SampleItems for Segment<'static> {
    const ITEMS: &'static [Self] = &[
        Segment { flags: PathFlags::BEGIN, points: Counted::new(&[PointFix::new(16, -16), PointFix::new(0, 1)]) },
        Segment { flags: PathFlags::CLOSE.union(PathFlags::END), points: Counted::new(&[]) },
        Segment { flags: PathFlags::BEZIER, points: Counted::new(&[PointFix::new(i32::MAX, i32::MIN)]) },
    ];
}
