//! Writes films for the side-by-side benches: raw BGRX pictures, 1280x720, one after the other.
//!
//! ```text
//! films KIND COUNT FILE
//! ```
//!
//! | kind | what moves |
//! |---|---|
//! | `idle` | nothing |
//! | `typing` | a character a picture, in a terminal with text |
//! | `scrolling` | the terminal, by a line a picture |
//! | `page` | a page of text and pictures, by 48 rows a picture |
//! | `photos` | a natural picture of 800x560, another one each time |
//! | `windows` | a window with text and a picture, there in every other picture |
//! | `window` | a natural picture of 640x360 in a window before the text |
//! | `natural` | the same, everywhere |
//! | `noise` | every pixel, at random |
//!
//! The top left 256x80 pixels stay still: the servers write their stamp there.

use std::fs::File;
use std::io::{BufWriter, Write};

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};
use sumac_core::image::samples::Random;

const WIDTH: usize = 1280;
const HEIGHT: usize = 720;
const LINE: usize = 16;
/// The terminal: left, top, columns and lines of text.
const TERMINAL: (usize, usize, usize, usize) = (16, 96, 156, 38);
/// The video window: width, height. It is at the top left, so that the stamp is part of the video.
const WINDOW: (usize, usize) = (640, 360);

/// Where a photo is shown: left, top, width, height.
const PHOTO: (usize, usize, usize, usize) = (300, 120, 800, 560);
/// Rows by which a page scrolls, and how often a picture stands in it.
const PAGE_STEP: usize = 48;
const PAGE_PERIOD: usize = 480;

type Color = [u8; 4];
const PAPER: Color = [24, 20, 18, 0];
const INK: [Color; 4] = [[208, 208, 208, 0], [120, 220, 130, 0], [240, 170, 90, 0], [110, 130, 250, 0]];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [kind, count, path] = args.as_slice() else {
        return Err("usage: films idle|typing|scrolling|page|photos|windows|window|natural|noise COUNT FILE".into());
    };
    let kind = Kind::parse(kind).ok_or_else(|| format!("no kind of film is named {kind:?}"))?;
    let mut out = BufWriter::new(File::create(path)?);
    for number in 0..count.parse()? {
        out.write_all(&kind.picture(number))?;
    }
    Ok(out.flush()?)
}

#[derive(Clone, Copy)]
enum Kind {
    Idle,
    Typing,
    Scrolling,
    Page,
    Photos,
    Windows,
    Window,
    Natural,
    Noise,
}

impl Kind {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "idle" => Self::Idle,
            "typing" => Self::Typing,
            "scrolling" => Self::Scrolling,
            "page" => Self::Page,
            "photos" => Self::Photos,
            "windows" => Self::Windows,
            "window" => Self::Window,
            "natural" => Self::Natural,
            "noise" => Self::Noise,
            _ => return None,
        })
    }

    fn picture(self, number: usize) -> Vec<u8> {
        let mut canvas = Canvas(vec![0; WIDTH * HEIGHT * 4]);
        canvas.desktop();
        let (left, top, columns, lines) = TERMINAL;
        let scrolled = if matches!(self, Self::Scrolling) { number } else { 0 };
        for line in 0..lines - 1 {
            canvas.line(left, top + line * LINE, &text(scrolled + line, columns), INK[(scrolled + line) % 4]);
        }
        match self {
            Self::Idle | Self::Scrolling => {}
            Self::Typing => {
                let typed: String = text(1000, columns).chars().cycle().take(number % columns + 1).collect();
                canvas.line(left, top + (lines - 1) * LINE, &typed, INK[0]);
            }
            Self::Page => canvas.page(number),
            Self::Photos => canvas.natural(PHOTO, number * 10),
            Self::Windows if number % 2 == 1 => canvas.window(),
            Self::Windows => {}
            Self::Window => canvas.natural((0, 0, WINDOW.0, WINDOW.1), number),
            Self::Natural => canvas.natural((0, 0, WIDTH, HEIGHT), number),
            Self::Noise => canvas.noise(number),
        }
        canvas.0
    }
}

/// A line of words; the same for the same number.
fn text(number: usize, columns: usize) -> String {
    let mut random = Random::new(number as u32 + 1);
    let mut line = format!("{number:5} ");
    let length = columns / 3 + random.below(columns as u32 / 2) as usize;
    while line.len() < length {
        let letters = 2 + random.below(9);
        line.extend((0..letters).map(|_| char::from(b'a' + random.below(26) as u8)));
        line.push(' ');
    }
    line
}

struct Canvas(Vec<u8>);

impl Canvas {
    fn put(&mut self, x: usize, y: usize, color: Color) {
        let at = (y * WIDTH + x) * 4;
        self.0[at..at + 4].copy_from_slice(&color);
    }

    /// A gradient, and the terminal's paper.
    fn desktop(&mut self) {
        let (left, top, columns, lines) = TERMINAL;
        let (right, bottom) = (left + columns * cell(), top + lines * LINE);
        for y in 0..HEIGHT {
            for x in 0..WIDTH {
                let paper = (left..right).contains(&x) && (top..bottom).contains(&y);
                let sky = [110 + (y / 8) as u8, 60 + (x / 16) as u8, (y / 12) as u8, 0];
                self.put(x, y, if paper { PAPER } else { sky });
            }
        }
    }

    fn line(&mut self, left: usize, top: usize, text: &str, ink: Color) {
        self.text_on(left, top, text, ink, PAPER);
    }

    fn text_on(&mut self, left: usize, top: usize, text: &str, ink: Color, paper: Color) {
        for (column, letter) in text.chars().enumerate() {
            let Some(raster) = get_raster(letter, FontWeight::Regular, RasterHeight::Size16) else { continue };
            for (y, row) in raster.rows().enumerate() {
                for (x, &cover) in row.iter().enumerate().filter(|(_, cover)| **cover > 0) {
                    let mix = |ink: u8, paper: u8| {
                        ((u32::from(ink) * u32::from(cover) + u32::from(paper) * u32::from(255 - cover)) / 255) as u8
                    };
                    let color = std::array::from_fn(|n| mix(ink[n], paper[n]));
                    self.put(left + column * cell() + x, top + y, color);
                }
            }
        }
    }

    /// A page of a browser: dark text on white, and a picture now and then.
    fn page(&mut self, number: usize) {
        let (left, top, columns, lines) = TERMINAL;
        let (right, bottom) = (left + columns * cell(), top + lines * LINE);
        let mut photo = Canvas(vec![0; WIDTH * HEIGHT * 4]);
        photo.natural((256, 80, 600, 240), 0);
        for y in top..bottom {
            let on_page = y - top + number * PAGE_STEP;
            let row = on_page % PAGE_PERIOD;
            for x in left..right {
                let inside = row < 240 && (320..920).contains(&x);
                let at = ((row + 80) * WIDTH + x - 64) * 4;
                let color =
                    if inside { [photo.0[at], photo.0[at + 1], photo.0[at + 2], 0] } else { [255, 255, 255, 0] };
                self.put(x, y, color);
            }
        }
        for line in 0..lines {
            let on_page = line + number * PAGE_STEP / LINE;
            if on_page * LINE % PAGE_PERIOD >= 256 {
                self.text_on(
                    left + 20,
                    top + line * LINE,
                    &text(on_page, columns - 4),
                    [40, 40, 40, 0],
                    [255, 255, 255, 0],
                );
            }
        }
    }

    /// A window with a title, a picture and text.
    fn window(&mut self) {
        let paper = [240, 240, 240, 0];
        for y in 200..600 {
            (400..1000).for_each(|x| self.put(x, y, if y < 224 { [160, 90, 50, 0] } else { paper }));
        }
        self.natural((420, 240, 200, 160), 3);
        for line in 0..20 {
            self.text_on(640, 240 + line * LINE, &text(line + 50, 40), [20, 20, 20, 0], paper);
        }
    }

    /// Soft shapes that drift, with a little grain, as in a camera's picture.
    fn natural(&mut self, (left, top, width, height): (usize, usize, usize, usize), number: usize) {
        let time = number as f32 * 0.12;
        let mut random = Random::new(number as u32 + 1);
        for y in top..top + height {
            for x in left..left + width {
                if x < 256 && y < 80 {
                    continue;
                }
                let (u, v) = (x as f32 / 90.0, y as f32 / 70.0);
                let a = (u + time).sin() + (v * 1.3 - time * 0.7).cos();
                let b = (u * 0.5 + v + time * 0.4).sin() * (v * 0.8 + a).cos();
                let c = ((u - 4.0).hypot(v - 3.0) * 2.0 - time).sin();
                let grain = random.below(7) as f32;
                let level = |n: f32| (118.0 + n * 50.0 + grain) as u8;
                self.put(x, y, [level(a), level(b + c * 0.5), level(c), 0]);
            }
        }
    }

    fn noise(&mut self, number: usize) {
        let mut random = Random::new(number as u32 + 1);
        for y in 0..HEIGHT {
            for x in 0..WIDTH {
                let [a, b, c, _] = random.next_u32().to_le_bytes();
                if x >= 256 || y >= 80 {
                    self.put(x, y, [a, b, c, 0]);
                }
            }
        }
    }
}

/// Pixels from one character to the next.
fn cell() -> usize {
    get_raster_width(FontWeight::Regular, RasterHeight::Size16)
}
