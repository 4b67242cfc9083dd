//! The largest rectangle of true cells.

use crate::source::Rect;

/// The largest rectangle (in cells) that holds only true cells, of a matrix that is given row by
/// row; `None` when there is none.
///
/// One pass: each row extends the columns of true cells that end in it, and under those the largest
/// rectangle is found with a stack of rising heights.
pub(super) fn largest_rectangle(columns: usize, cells: &[bool]) -> Option<Rect> {
    let mut heights = vec![0u32; columns];
    let mut rising: Vec<(usize, u32)> = Vec::with_capacity(columns);
    let mut best: Option<Rect> = None;
    for (y, row) in (0u32..).zip(cells.chunks_exact(columns.max(1))) {
        for (height, cell) in heights.iter_mut().zip(row) {
            *height = if *cell { *height + 1 } else { 0 };
        }
        // A column of no height at the end closes what is still open.
        for (x, height) in heights.iter().copied().chain([0]).enumerate() {
            let mut start = x;
            while let Some((left, tall)) = rising.pop_if(|(_, tall)| *tall >= height) {
                start = left;
                let found = Rect { x: left as u32, y: y + 1 - tall, width: (x - left) as u32, height: tall };
                if found.area() > best.map_or(0, Rect::area) {
                    best = Some(found);
                }
            }
            rising.push((start, height));
        }
        rising.clear();
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_trying_all(columns: usize, cells: &[bool]) -> u64 {
        let rows = cells.len() / columns;
        let mut best = 0;
        for (top, left) in (0..rows).flat_map(|y| (0..columns).map(move |x| (y, x))) {
            for (bottom, right) in (top..rows).flat_map(|y| (left..columns).map(move |x| (y, x))) {
                let full = (top..=bottom).all(|y| (left..=right).all(|x| cells[y * columns + x]));
                best = best.max(u64::from(full) * ((bottom - top + 1) * (right - left + 1)) as u64);
            }
        }
        best
    }

    #[test]
    fn it_is_the_largest_and_full() {
        let mut state = 5u32;
        for round in 0..400 {
            let (columns, rows) = (1 + round % 9, 1 + round / 9 % 7);
            let cells: Vec<bool> = (0..columns * rows)
                .map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    state >> 24 > 80
                })
                .collect();
            let found = largest_rectangle(columns, &cells);
            assert_eq!(found.map_or(0, Rect::area), by_trying_all(columns, &cells));
            if let Some(r) = found {
                let full =
                    (r.y..r.bottom()).all(|y| (r.x..r.right()).all(|x| cells[y as usize * columns + x as usize]));
                assert!(full && r.right() as usize <= columns && r.bottom() as usize <= rows);
            }
        }
    }

    #[test]
    fn no_cells_no_rectangle() {
        assert_eq!(largest_rectangle(0, &[]), None);
        assert_eq!(largest_rectangle(3, &[]), None);
        assert_eq!(largest_rectangle(2, &[false; 6]), None);
    }
}
