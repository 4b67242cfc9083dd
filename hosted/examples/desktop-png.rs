//! Writes the test desktop to a PNG file, to look at it without a server and a viewer.
//!
//! `cargo run -p sumac --example desktop-png -- 1280x720 desktop.png [TYPED TEXT]`

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use anyhow::{Context, bail};
use sumac::source::{
    Cookie, CursorShape, Host, Identity, InputEvent, Leds, Peripherals, Rect, Size, Source, Stage, TestDesktop,
    ToSource,
};
use sumac_backends::{Dmabuf, Frame};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [size, path, typed @ ..] = &arguments[..] else { bail!("usage: desktop-png WxH FILE.png [TYPED TEXT]") };
    let (width, height) = size.split_once('x').context("the size is not WxH")?;
    let size = Size { width: width.parse()?, height: height.parse()? };

    let (to_source, inbox) = channel();
    let (to_us, frames) = channel();
    to_source.send(ToSource::Viewers(1))?;
    for text in typed {
        type_line(&to_source, text)?;
    }
    to_source.send(ToSource::Quit)?;
    Box::new(TestDesktop::new(size, true))
        .run(Arc::new(Newest { frames: to_us, peripherals: Peripherals::default() }), inbox)?;
    let frame = frames.try_iter().last().context("nothing was shown")?;
    sumac::png::write_bgrx_png(Path::new(path), &frame)
}

/// Types lower-case letters and spaces, then Enter.
fn type_line(to_source: &Sender<ToSource>, text: &str) -> anyhow::Result<()> {
    const ROWS: [(u8, &str); 4] = [(0x10, "qwertyuiop"), (0x1e, "asdfghjkl"), (0x2c, "zxcvbnm"), (0x39, " ")];
    let code = |c| ROWS.iter().find_map(|(first, row)| Some(first + u8::try_from(row.find(c)?).ok()?));
    for code in text.chars().filter_map(code).chain([0x1c]) {
        for down in [true, false] {
            to_source.send(ToSource::Input(InputEvent::Key { code, extended: false, down }))?;
        }
    }
    Ok(())
}

/// Passes the pictures on and ignores the rest.
#[derive(Clone)]
struct Newest {
    frames: Sender<Frame>,
    peripherals: Peripherals,
}

impl Host for Newest {
    fn display(&self, _: u8) -> Option<Box<dyn Stage>> {
        Some(Box::new(self.clone()))
    }

    fn leds(&self, _: Leds) {}

    fn peripherals(&self) -> &Peripherals {
        &self.peripherals
    }

    fn mouse(&self, _absolute: bool) {}

    fn identity(&self, _identity: Identity) {}
}

impl Stage for Newest {
    fn publish(&mut self, frame: Frame, _: &[Rect]) {
        // Nobody receives any more: the program is about to end.
        let _ = self.frames.send(frame);
    }

    fn scanout(&mut self, _: Option<Dmabuf>) {}

    fn gl_draw(&mut self, _: Rect, _: Cookie) {}

    fn cursor(&mut self, _: Option<CursorShape>) {}

    fn pointer(&mut self, _: i32, _: i32) {}
}
