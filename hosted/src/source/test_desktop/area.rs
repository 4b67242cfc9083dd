//! [`Area`]: a rectangle that may reach outside of the picture.

use crate::source::{Rect, Size};

/// Columns `x..x + w`, rows `y..y + h`; empty when `w` or `h` is not positive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Area {
    pub(super) x: i32,
    pub(super) y: i32,
    pub(super) w: i32,
    pub(super) h: i32,
}

impl Area {
    pub(super) const fn new(x: i32, y: i32, w: i32, h: i32) -> Self {
        Self { x, y, w, h }
    }

    /// All of a picture of this size.
    pub(super) fn of(size: Size) -> Self {
        let length = |n| i32::try_from(n).unwrap_or(i32::MAX);
        Self::new(0, 0, length(size.width), length(size.height))
    }

    /// Between two edges each way; what is past the right or bottom edge is outside.
    pub(super) fn between(left: i32, top: i32, right: i32, bottom: i32) -> Self {
        Self::new(left, top, right.saturating_sub(left), bottom.saturating_sub(top))
    }

    pub(super) fn right(self) -> i32 {
        self.x.saturating_add(self.w)
    }

    pub(super) fn bottom(self) -> i32 {
        self.y.saturating_add(self.h)
    }

    pub(super) fn is_empty(self) -> bool {
        self.w <= 0 || self.h <= 0
    }

    /// Pixels in it.
    pub(super) fn pixels(self) -> i64 {
        i64::from(self.w.max(0)) * i64::from(self.h.max(0))
    }

    pub(super) fn contains(self, x: i32, y: i32) -> bool {
        (self.x..self.right()).contains(&x) && (self.y..self.bottom()).contains(&y)
    }

    /// Whether all of `other` lies in it.
    pub(super) fn holds(self, other: Self) -> bool {
        self.intersect(other) == other
    }

    /// What is in both; empty when there is nothing.
    pub(super) fn intersect(self, other: Self) -> Self {
        Self::between(
            self.x.max(other.x),
            self.y.max(other.y),
            self.right().min(other.right()),
            self.bottom().min(other.bottom()),
        )
    }

    /// The smallest area with both.
    pub(super) fn union(self, other: Self) -> Self {
        if self.is_empty() {
            return other;
        }
        if other.is_empty() {
            return self;
        }
        Self::between(
            self.x.min(other.x),
            self.y.min(other.y),
            self.right().max(other.right()),
            self.bottom().max(other.bottom()),
        )
    }

    /// The same with `by` pixels less on every side, or more when negative.
    pub(super) fn inset(self, by: i32) -> Self {
        Self::new(
            self.x.saturating_add(by),
            self.y.saturating_add(by),
            self.w.saturating_sub(by.saturating_mul(2)),
            self.h.saturating_sub(by.saturating_mul(2)),
        )
    }

    /// The same, elsewhere.
    pub(super) fn offset(self, dx: i32, dy: i32) -> Self {
        Self { x: self.x.saturating_add(dx), y: self.y.saturating_add(dy), ..self }
    }

    /// The part that lies in a picture of this size.
    pub(super) fn to_rect(self, size: Size) -> Option<Rect> {
        let inside = self.intersect(Self::of(size));
        (!inside.is_empty()).then_some(Rect {
            x: inside.x.unsigned_abs(),
            y: inside.y.unsigned_abs(),
            width: inside.w.unsigned_abs(),
            height: inside.h.unsigned_abs(),
        })
    }
}
