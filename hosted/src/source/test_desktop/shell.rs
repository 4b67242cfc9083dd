//! [`Shell`]: a toy command line in a [`Terminal`]. It runs nothing: every command is answered here.

use super::area::Area;
use super::canvas::Canvas;
use super::clock;
use super::dirty::Dirty;
use super::keyboard::Stroke;
use super::terminal::{Style, Terminal};
use super::text::Face;
use crate::source::Size;

/// Lines that the arrow keys bring back.
const MAX_HISTORY: usize = 50;

const HELP: [(&str, &str); 7] = [
    ("help", "this list"),
    ("about", "what you are looking at"),
    ("date", "the time where the server runs"),
    ("colors", "the sixteen colours"),
    ("echo TEXT", "says TEXT again"),
    ("history", "what you typed"),
    ("clear", "an empty terminal (also Ctrl+L)"),
];

/// A leaf, drawn with the characters that every font has, beside the introduction.
const LEAF: [&str; 9] = [
    "        .        ",
    "       /|\\       ",
    "   __  \\|/  __   ",
    "   \\ `-.|.-' /   ",
    " __ `-._|_.-' __ ",
    " \\ `-. .|. .-' / ",
    "  `--._`|`_.--'  ",
    "        |        ",
    "        '        ",
];

/// The command line and the terminal that it lives in.
pub(super) struct Shell {
    terminal: Terminal,
    history: Vec<String>,
    /// How far back the arrow keys are; 0 is the line being typed.
    recalled: usize,
    screen: Size,
    /// What `date` says, in seconds since 1970; `None` for the machine's clock.
    frozen_at: Option<u64>,
}

impl Shell {
    /// A shell with its introduction already on the screen.
    pub(super) fn new(area: Area, face: Face, screen: Size) -> Self {
        let terminal = Terminal::new(area);
        let mut shell = Self { terminal, history: Vec::new(), recalled: 0, screen, frozen_at: None };
        shell.about();
        shell.terminal.resize(area, face);
        shell
    }

    pub(super) fn resize(&mut self, area: Area, face: Face, screen: Size) {
        self.screen = screen;
        self.terminal.resize(area, face);
    }

    pub(super) fn freeze(&mut self, at: Option<u64>) {
        self.frozen_at = at;
    }

    pub(super) fn set_caret(&mut self, on: bool) {
        self.terminal.set_caret(on);
    }

    /// The wheel turned by so many notches; negative is up.
    pub(super) fn wheel(&mut self, notches: i32) {
        self.terminal.scroll(notches.saturating_mul(-3));
    }

    /// Marks what changed since the last call.
    pub(super) fn update(&mut self, area: Area, dirty: &mut Dirty) {
        self.terminal.update(area, dirty);
    }

    pub(super) fn draw(&self, canvas: &mut Canvas<'_>, area: Area) {
        self.terminal.draw(canvas, area);
    }

    /// Takes what was typed.
    pub(super) fn stroke(&mut self, stroke: Stroke) {
        let terminal = &mut self.terminal;
        match stroke {
            Stroke::Char(c) => terminal.insert(c),
            Stroke::Tab => (0..4).for_each(|_| terminal.insert(' ')),
            Stroke::Backspace => terminal.backspace(),
            Stroke::Delete => terminal.delete(),
            Stroke::Left => terminal.move_caret(-1),
            Stroke::Right => terminal.move_caret(1),
            Stroke::Home | Stroke::Control('a') => terminal.move_caret(isize::MIN),
            Stroke::End | Stroke::Control('e') => terminal.move_caret(isize::MAX),
            Stroke::PageUp => terminal.scroll_page(true),
            Stroke::PageDown => terminal.scroll_page(false),
            Stroke::Up => self.recall(self.recalled.saturating_add(1)),
            Stroke::Down => self.recall(self.recalled.saturating_sub(1)),
            Stroke::Control('l') => terminal.clear(),
            Stroke::Control('u') => terminal.set_input(""),
            Stroke::Control('c') => {
                terminal.enter("^C");
                self.recalled = 0;
            }
            Stroke::Control(_) | Stroke::Escape => {}
            Stroke::Enter => self.enter(),
        }
    }

    fn recall(&mut self, back: usize) {
        self.recalled = back.min(self.history.len());
        let line = self.history.len().checked_sub(self.recalled).and_then(|i| self.history.get(i));
        self.terminal.set_input(line.map_or("", String::as_str));
    }

    fn enter(&mut self) {
        let line = self.terminal.enter("");
        self.recalled = 0;
        let line = line.trim();
        if line.is_empty() {
            return;
        }
        if self.history.len() == MAX_HISTORY {
            self.history.remove(0);
        }
        self.history.push(line.to_owned());
        let (command, rest) = line.split_once(' ').unwrap_or((line, ""));
        self.run(command, rest.trim());
    }

    fn run(&mut self, command: &str, rest: &str) {
        match command {
            "help" => self.help(),
            "about" => self.about(),
            "date" => self.say(&clock::date_and_time(self.frozen_at.unwrap_or_else(clock::now))),
            "colors" => self.colors(),
            "echo" => self.say(rest),
            "history" => {
                for (i, line) in self.history.iter().enumerate() {
                    self.terminal.print(&[(&format!("{:4}  ", i + 1), Style::color(8)), (line, Style::PLAIN)]);
                }
            }
            "clear" => self.terminal.clear(),
            _ => self.terminal.print(&[
                (command, Style::bold(9)),
                (": not a command here; try ", Style::PLAIN),
                ("help", Style::bold(14)),
            ]),
        }
    }

    fn say(&mut self, text: &str) {
        self.terminal.print(&[(text, Style::PLAIN)]);
    }

    fn help(&mut self) {
        for (command, meaning) in HELP {
            self.terminal.print(&[(&format!("  {command:<12}"), Style::bold(14)), (meaning, Style::PLAIN)]);
        }
    }

    fn colors(&mut self) {
        for eight in [0..8_u8, 8..16] {
            let label = |i: u8| {
                (format!(" {i:2}  "), Style { color: if i.is_multiple_of(8) { 15 } else { 0 }, ..Style::back(i) })
            };
            let cells: Vec<(String, Style)> = eight.map(label).collect();
            let parts: Vec<(&str, Style)> = cells.iter().map(|(text, style)| (text.as_str(), *style)).collect();
            self.terminal.print(&parts);
        }
    }

    fn about(&mut self) {
        let size = format!("{}x{}", self.screen.width, self.screen.height);
        let facts: [(&str, &str); 9] = [
            ("", ""),
            ("Sumac test desktop", ""),
            ("------------------", ""),
            ("Screen   ", &size),
            ("Drawn by ", "the server itself"),
            ("Keys     ", "type, try help"),
            ("Mouse    ", "paint, drag"),
            ("Wheel    ", "scrolls this text"),
            ("", ""),
        ];
        for (leaf, (name, value)) in LEAF.iter().zip(facts) {
            self.terminal.print(&[
                (leaf, Style::bold(1)),
                ("  ", Style::PLAIN),
                (name, Style::bold(11)),
                (value, Style::PLAIN),
            ]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::test_desktop::text::REGULAR;

    const AREA: Area = Area::new(0, 0, 500, 300);

    fn shell() -> Shell {
        let mut shell = Shell::new(AREA, REGULAR, Size { width: 500, height: 300 });
        shell.freeze(Some(clock::FROZEN));
        shell
    }

    fn type_line(shell: &mut Shell, line: &str) {
        line.chars().for_each(|c| shell.stroke(Stroke::Char(c)));
        shell.stroke(Stroke::Enter);
    }

    fn last_line(shell: &Shell) -> String {
        shell.terminal.last_line()
    }

    #[test]
    fn commands_answer() {
        let mut shell = shell();
        for (typed, answer) in [
            ("date", "Sat Jun 21 12:00:00 UTC 2025"),
            ("echo  a  b ", "a  b"),
            ("help", "  clear       an empty terminal (also Ctrl+L)"),
            ("nonsense 7", "nonsense: not a command here; try help"),
            ("history", "   5  history"),
        ] {
            type_line(&mut shell, typed);
            assert_eq!(last_line(&shell), answer);
        }
    }

    #[test]
    fn editing_and_recalling() {
        let mut shell = shell();
        "echo ac".chars().for_each(|c| shell.stroke(Stroke::Char(c)));
        [Stroke::Left, Stroke::Char('b'), Stroke::Char('x'), Stroke::Backspace, Stroke::Enter]
            .into_iter()
            .for_each(|s| shell.stroke(s));
        assert_eq!(last_line(&shell), "abc");
        [Stroke::Up, Stroke::Home, Stroke::Delete, Stroke::Enter].into_iter().for_each(|s| shell.stroke(s));
        assert_eq!(last_line(&shell), "cho: not a command here; try help");
        [Stroke::Up, Stroke::Up, Stroke::Up, Stroke::Enter].into_iter().for_each(|s| shell.stroke(s));
        assert_eq!(last_line(&shell), "abc");
        [Stroke::Up, Stroke::Down, Stroke::Down, Stroke::Char('x'), Stroke::Control('c')]
            .into_iter()
            .for_each(|s| shell.stroke(s));
        assert_eq!(last_line(&shell), "viewer@sumac:~$ x^C");
    }

    #[test]
    fn nothing_grows_without_bound() {
        let mut shell = shell();
        for i in 0..2000 {
            type_line(&mut shell, &format!("echo {i}"));
        }
        (0..2000).for_each(|_| shell.stroke(Stroke::Char('w')));
        assert!(shell.history.len() <= MAX_HISTORY);
        assert_eq!(shell.terminal.sizes(), (500, 400));
    }
}
