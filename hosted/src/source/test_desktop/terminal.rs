//! [`Terminal`]: lines of coloured text in a grid, with scrollback and a line being typed.

use std::collections::VecDeque;

use super::area::Area;
use super::canvas::{Canvas, Pixel, rgb};
use super::dirty::Dirty;
use super::text::{Face, REGULAR};

/// Lines kept for scrolling back.
const MAX_LINES: usize = 500;

/// Characters that the typed line may have.
const MAX_INPUT: usize = 400;

/// Pixels between the window's edge and the text.
const MARGIN: i32 = 8;

/// Pixels between two lines.
const LEADING: i32 = 2;

pub(super) const BACKGROUND: Pixel = rgb(0x1b1a26);
const PROMPT: &str = "viewer@sumac:~$ ";

/// One of the sixteen colours every terminal has.
pub(super) const PALETTE: [Pixel; 16] = [
    rgb(0x1b1a26),
    rgb(0xe0566b),
    rgb(0x8fbf6a),
    rgb(0xe8b75d),
    rgb(0x6c9ee8),
    rgb(0xb78ae0),
    rgb(0x5fc1c1),
    rgb(0xd7d3e0),
    rgb(0x55526b),
    rgb(0xff7f8a),
    rgb(0xb3dd8a),
    rgb(0xffd98a),
    rgb(0x94bfff),
    rgb(0xd9b3ff),
    rgb(0x8ee6e0),
    rgb(0xffffff),
];

/// How a character looks: indexes into [`PALETTE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Style {
    pub(super) color: u8,
    pub(super) back: u8,
    pub(super) bold: bool,
}

impl Style {
    pub(super) const PLAIN: Self = Self { color: 7, back: 0, bold: false };

    pub(super) const fn color(color: u8) -> Self {
        Self { color, ..Self::PLAIN }
    }

    pub(super) const fn bold(color: u8) -> Self {
        Self { color, back: 0, bold: true }
    }

    pub(super) const fn back(back: u8) -> Self {
        Self { back, ..Self::PLAIN }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cell {
    c: char,
    style: Style,
}

const BLANK: Cell = Cell { c: ' ', style: Style::PLAIN };

/// A terminal; its place on the screen is told with every call that needs it.
pub(super) struct Terminal {
    lines: VecDeque<Vec<Cell>>,
    input: Vec<char>,
    /// Where in `input` the next character goes.
    at: usize,
    /// Rows scrolled back; 0 shows the newest.
    scrolled: usize,
    caret_on: bool,
    columns: usize,
    rows: usize,
    face: Face,
    /// What is on the screen: `columns * rows` cells, the caret's with colours exchanged.
    grid: Vec<Cell>,
}

impl Terminal {
    /// An empty terminal that fits into `area`.
    pub(super) fn new(area: Area) -> Self {
        let mut terminal = Self {
            lines: VecDeque::new(),
            input: Vec::new(),
            at: 0,
            scrolled: 0,
            caret_on: true,
            columns: 1,
            rows: 1,
            face: REGULAR,
            grid: Vec::new(),
        };
        terminal.resize(area, REGULAR);
        terminal
    }

    /// Fits the text into `area`; everything in it must be drawn again.
    pub(super) fn resize(&mut self, area: Area, face: Face) {
        let cells = |pixels: i32, cell: i32| usize::try_from((pixels - 2 * MARGIN) / cell).unwrap_or(0).max(1);
        self.face = face;
        self.columns = cells(area.w, face.advance());
        self.rows = cells(area.h, face.line_height() + LEADING);
        self.grid = self.render();
    }

    /// Adds a line of differently styled parts.
    pub(super) fn print(&mut self, parts: &[(&str, Style)]) {
        let cells = |&(text, style): &(&str, Style)| text.chars().map(move |c| Cell { c, style }).collect::<Vec<_>>();
        if self.lines.len() == MAX_LINES {
            self.lines.pop_front();
        }
        self.lines.push_back(parts.iter().flat_map(cells).collect());
    }

    /// Forgets all lines.
    pub(super) fn clear(&mut self) {
        self.lines.clear();
        self.scrolled = 0;
    }

    /// Types a character; refused when the line is full.
    pub(super) fn insert(&mut self, c: char) {
        if self.input.len() < MAX_INPUT {
            self.input.insert(self.at, c);
            self.at += 1;
        }
        self.scrolled = 0;
    }

    /// Deletes the character before the caret.
    pub(super) fn backspace(&mut self) {
        if self.at > 0 {
            self.at -= 1;
            self.input.remove(self.at);
        }
        self.scrolled = 0;
    }

    /// Deletes the character under the caret.
    pub(super) fn delete(&mut self) {
        if self.at < self.input.len() {
            self.input.remove(self.at);
        }
    }

    /// Moves the caret by so many characters.
    pub(super) fn move_caret(&mut self, by: isize) {
        self.at = self.at.saturating_add_signed(by).min(self.input.len());
    }

    /// Replaces the typed line.
    pub(super) fn set_input(&mut self, text: &str) {
        self.input = text.chars().take(MAX_INPUT).collect();
        self.at = self.input.len();
        self.scrolled = 0;
    }

    /// Ends the typed line, which becomes one of the lines, and returns it.
    pub(super) fn enter(&mut self, suffix: &str) -> String {
        let text: String = self.input.drain(..).collect();
        self.at = 0;
        self.scrolled = 0;
        self.print(&[(PROMPT, Style::bold(10)), (&text, Style::PLAIN), (suffix, Style::color(8))]);
        text
    }

    /// Scrolls back by so many rows; negative goes forward.
    pub(super) fn scroll(&mut self, rows: i32) {
        let by = isize::try_from(rows).unwrap_or(0);
        let all = self.wrapped().len() + self.typed().len().div_ceil(self.columns);
        let most = all.saturating_sub(self.rows);
        self.scrolled = self.scrolled.saturating_add_signed(by).min(most);
    }

    /// Scrolls by most of a screen.
    pub(super) fn scroll_page(&mut self, back: bool) {
        let page = i32::try_from(self.rows.saturating_sub(1)).unwrap_or(i32::MAX);
        self.scroll(if back { page } else { -page });
    }

    /// Shows or hides the caret.
    pub(super) fn set_caret(&mut self, on: bool) {
        self.caret_on = on;
    }

    /// Marks what changed since the last call; `area` is where it is shown.
    pub(super) fn update(&mut self, area: Area, dirty: &mut Dirty) {
        let new = self.render();
        for row in 0..self.rows {
            let cells = row * self.columns..(row + 1) * self.columns;
            let differs = |i: &usize| new[*i] != self.grid[*i];
            if let (Some(first), Some(last)) = (cells.clone().find(differs), cells.clone().rev().find(differs)) {
                let left = self.cell(area, first - cells.start, row);
                let right = self.cell(area, last - cells.start, row);
                dirty.add(left.union(right).intersect(area));
            }
        }
        self.grid = new;
    }

    /// Draws it.
    pub(super) fn draw(&self, canvas: &mut Canvas<'_>, area: Area) {
        let mut canvas = canvas.clipped(area);
        canvas.fill(area, BACKGROUND);
        for (i, cell) in self.grid.iter().enumerate() {
            let place = self.cell(area, i % self.columns, i / self.columns);
            if *cell == BLANK || canvas.clip().intersect(place).is_empty() {
                continue;
            }
            let palette = |index: u8| PALETTE[usize::from(index % 16)];
            if cell.style.back != 0 {
                canvas.fill(place, palette(cell.style.back));
            }
            let face = if cell.style.bold { self.face.bold() } else { self.face };
            canvas.glyph(place.x, place.y + LEADING / 2, cell.c, face, palette(cell.style.color));
        }
    }

    fn cell(&self, area: Area, column: usize, row: usize) -> Area {
        let (w, h) = (self.face.advance(), self.face.line_height() + LEADING);
        let along = |n: usize, length: i32| i32::try_from(n).unwrap_or(i32::MAX).saturating_mul(length);
        Area::new(area.x + MARGIN + along(column, w), area.y + MARGIN + along(row, h), w, h)
    }

    /// The lines and the typed one, cut to the width.
    fn wrapped(&self) -> Vec<&[Cell]> {
        let rows = |line: &'_ Vec<Cell>| line.len().div_ceil(self.columns).max(1);
        let mut all = Vec::with_capacity(self.lines.iter().map(rows).sum());
        for line in &self.lines {
            if line.is_empty() {
                all.push(&line[..]);
            }
            all.extend(line.chunks(self.columns));
        }
        all
    }

    /// What the screen should show: the newest rows, or older ones when scrolled back.
    fn render(&self) -> Vec<Cell> {
        let typed = self.typed();
        let mut rows = self.wrapped();
        rows.extend(typed.chunks(self.columns));
        let end = rows.len().saturating_sub(self.scrolled).max(self.rows.min(rows.len()));
        let start = end.saturating_sub(self.rows);
        let mut grid = vec![BLANK; self.columns * self.rows];
        for (to, from) in grid.chunks_exact_mut(self.columns).zip(&rows[start..end]) {
            to[..from.len()].copy_from_slice(from);
        }
        grid
    }

    /// Prompt, typed line, and the caret as a cell with its colours exchanged.
    fn typed(&self) -> Vec<Cell> {
        let prompt = PROMPT.chars().map(|c| Cell { c, style: Style::bold(10) });
        let input = self.input.iter().chain(&[' ']).map(|&c| Cell { c, style: Style::PLAIN });
        let mut cells: Vec<Cell> = prompt.chain(input).collect();
        let caret = PROMPT.len() + self.at;
        if let Some(cell) = cells.get_mut(caret).filter(|_| self.caret_on) {
            cell.style = Style { color: 0, back: 11, bold: false };
        }
        cells
    }
}

#[cfg(test)]
impl Terminal {
    /// The text of the newest finished line.
    pub(super) fn last_line(&self) -> String {
        self.lines.back().map(|line| line.iter().map(|cell| cell.c).collect()).unwrap_or_default()
    }

    /// Lines kept and characters typed.
    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.lines.len(), self.input.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AREA: Area = Area::new(10, 20, 2 * MARGIN + 7 * 30, 2 * MARGIN + 18 * 4);

    fn row(terminal: &Terminal, row: usize) -> String {
        terminal.grid.chunks(terminal.columns).nth(row).unwrap().iter().map(|cell| cell.c).collect()
    }

    #[test]
    fn exactly_the_typed_cells_are_damage() {
        let mut terminal = Terminal::new(AREA);
        let mut dirty = Dirty::default();
        terminal.update(AREA, &mut dirty);
        assert!(dirty.is_empty());
        terminal.insert('x');
        terminal.update(AREA, &mut dirty);
        let column = 10 + MARGIN + 7 * PROMPT.len() as i32;
        assert_eq!(dirty.take(), [Area::new(column, 20 + MARGIN, 14, 18)]);
        terminal.set_caret(false);
        terminal.update(AREA, &mut dirty);
        assert_eq!(dirty.take(), [Area::new(column + 7, 20 + MARGIN, 7, 18)]);
    }

    #[test]
    fn long_lines_wrap_and_the_wheel_scrolls_back() {
        let mut terminal = Terminal::new(AREA);
        let long: String = ('a'..='z').chain('A'..='Z').collect();
        terminal.print(&[(&long, Style::PLAIN)]);
        (0..4).for_each(|i| terminal.print(&[(&format!("line {i}"), Style::PLAIN)]));
        terminal.update(AREA, &mut Dirty::default());
        assert_eq!(row(&terminal, 0).trim(), "line 1");
        terminal.scroll(100);
        terminal.update(AREA, &mut Dirty::default());
        assert_eq!(row(&terminal, 0).trim(), "abcdefghijklmnopqrstuvwxyzABCD");
        assert_eq!(row(&terminal, 1).trim(), "EFGHIJKLMNOPQRSTUVWXYZ");
        terminal.scroll(-1);
        terminal.update(AREA, &mut Dirty::default());
        assert_eq!(row(&terminal, 0).trim(), "EFGHIJKLMNOPQRSTUVWXYZ");
        terminal.insert('q');
        terminal.update(AREA, &mut Dirty::default());
        assert_eq!(row(&terminal, 3).trim(), "viewer@sumac:~$ q");
    }
}
