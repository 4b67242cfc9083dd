//! [`Dirty`]: what must be drawn again.

use super::area::Area;

/// More areas than this are joined: drawing a few pixels too many beats long lists.
const MAX_AREAS: usize = 16;

/// A short list of areas that do not overlap.
#[derive(Debug, Default)]
pub(super) struct Dirty {
    areas: Vec<Area>,
}

impl Dirty {
    /// Adds an area; those that it overlaps, or makes a rectangle with, become one with it.
    pub(super) fn add(&mut self, area: Area) {
        if area.is_empty() {
            return;
        }
        let mut area = area;
        while let Some(i) = self.areas.iter().position(|&other| belong_together(area, other)) {
            area = area.union(self.areas.swap_remove(i));
        }
        self.areas.push(area);
        if self.areas.len() > MAX_AREAS
            && let Some(newest) = self.areas.pop()
        {
            let growth = |other: &Area| newest.union(*other).pixels() - other.pixels();
            if let Some(nearest) = (0..self.areas.len()).min_by_key(|&i| growth(&self.areas[i])) {
                let nearest = self.areas.swap_remove(nearest);
                self.add(newest.union(nearest));
            }
        }
    }

    /// Takes the list, which is then empty.
    pub(super) fn take(&mut self) -> Vec<Area> {
        std::mem::take(&mut self.areas)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.areas.is_empty()
    }
}

fn belong_together(a: Area, b: Area) -> bool {
    !a.intersect(b).is_empty() || a.union(b).pixels() == a.pixels() + b.pixels()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_and_overlaps_become_one() {
        let mut dirty = Dirty::default();
        dirty.add(Area::new(0, 0, 10, 10));
        dirty.add(Area::new(10, 0, 10, 10));
        assert_eq!(dirty.areas, [Area::new(0, 0, 20, 10)]);
        dirty.add(Area::new(30, 30, 5, 5));
        dirty.add(Area::new(0, 0, 0, 7));
        assert_eq!(dirty.areas.len(), 2);
        dirty.add(Area::new(15, 5, 20, 30));
        assert_eq!(dirty.take(), [Area::new(0, 0, 35, 35)]);
        assert!(dirty.is_empty());
    }

    #[test]
    fn the_list_is_bounded_covers_everything_and_does_not_overlap() {
        let mut dirty = Dirty::default();
        let mut random = 7_u32;
        let mut added = Vec::new();
        for _ in 0..300 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let area = Area::new((random >> 8 & 1023) as i32, (random >> 20) as i32, 3, 4);
            dirty.add(area);
            added.push(area);
            assert!(dirty.areas.len() <= MAX_AREAS);
        }
        assert!(added.iter().all(|a| dirty.areas.iter().any(|d| d.holds(*a))));
        for (i, a) in dirty.areas.iter().enumerate() {
            assert!(dirty.areas[..i].iter().all(|b| a.intersect(*b).is_empty()));
        }
    }
}
