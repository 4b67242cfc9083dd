//! What a QEMU says: its console's drawings, its monitor, its sound.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sumac::fuzzing::files;
use sumac::fuzzing::qemu::{self, Call, Screen};
use sumac::source::{Cookie, CursorShape, Rect, Stage};
use sumac_backends::{Dmabuf, Frame};

use super::input::Input;

/// Sizes that the console's properties tell; a picture of 1 GiB shows nothing more.
const SIDES: [u32; 8] = [1, 2, 8, 9, 64, 100, 720, 16385];
/// pixman's codes, and none.
const FORMATS: [u32; 7] = [0x2002_0888, 0x2003_0888, 0x2008_8888, 0x1802_0888, 0x1002_0565, 0x1002_0555, 7];
const FOURCCS: [[u8; 4]; 6] = [*b"XR24", *b"AB24", *b"NV12", *b"YU12", *b"P010", *b"none"];

/// Checks what is shown; remembers nothing.
struct Checked;

impl Stage for Checked {
    fn publish(&mut self, frame: Frame, damage: &[Rect]) {
        let bounds = frame.bounds();
        assert!(frame.pixels().len() >= (bounds.width as usize) * (bounds.height as usize) * 4);
        for rect in damage {
            let rect = sumac_backends::Rect { x: rect.x, y: rect.y, width: rect.width, height: rect.height };
            assert!(bounds.contains(rect), "damage {rect:?} outside of {bounds:?}");
        }
    }

    fn scanout(&mut self, scanout: Option<Dmabuf>) {
        assert!(scanout.is_none_or(|dmabuf| dmabuf.width() > 0 && dmabuf.height() > 0));
    }

    fn gl_draw(&mut self, _: Rect, _: Cookie) {}

    fn cursor(&mut self, shape: Option<CursorShape>) {
        if let Some(CursorShape { size, bgra, .. }) = shape {
            assert_eq!(bgra.len(), size.width as usize * size.height as usize * 4);
        }
    }

    fn pointer(&mut self, _: i32, _: i32) {}
}

/// Input: calls, each a byte and its arguments.
pub(super) fn display(data: &[u8]) {
    let mut input = Input::new(data);
    let mut screen = Screen::new(Box::new(Checked));
    let (asked, done) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    while !input.is_empty() {
        match input.byte() % 16 {
            12 => screen.resize(input.pick(&SIDES), input.pick(&SIDES)),
            13 => screen.flush(),
            14 => screen.settle(),
            15 => screen.notice(),
            operation => {
                let call = call(operation, &mut input);
                let is_draw = matches!(call, Call::UpdateDmabuf { .. });
                let told = Arc::clone(&done);
                let result = screen.call(&call, move || _ = told.fetch_add(1, Ordering::Relaxed));
                asked.fetch_add(usize::from(is_draw && result.is_ok()), Ordering::Relaxed);
                // The stage drops a cookie at once, so a buffer is free again with each draw.
                assert_eq!(asked.load(Ordering::Relaxed), done.load(Ordering::Relaxed), "{call:?}");
            }
        }
    }
}

fn call<'a>(operation: u8, input: &mut Input<'a>) -> Call<'a> {
    let format = |input: &mut Input<'_>| if input.byte() & 15 == 0 { input.u32() } else { input.pick(&FORMATS) };
    match operation {
        0 | 1 => {
            let (width, height, stride) = (number(input), number(input), number(input));
            Call::Scanout { width, height, stride, format: format(input), pixels: input.block() }
        }
        2 | 3 => {
            let ([x, y, width, height], stride) = (place(input), number(input));
            Call::Update { x, y, width, height, stride, format: format(input), pixels: input.block() }
        }
        4 => {
            let (width, height, stride) = (small(input), small(input), number(input));
            let (offset, format) = (number(input), format(input));
            Call::ScanoutMap { file: file(input.block()), offset, width, height, stride, format }
        }
        5 => {
            let [x, y, width, height] = place(input);
            Call::UpdateMap { x, y, width, height }
        }
        6 => {
            let (width, height, stride) = (number(input), number(input), number(input));
            let (fourcc, modifier) = (fourcc(input), u64::from(number(input)));
            let y0_top = input.byte() & 1 == 0;
            Call::ScanoutDmabuf { file: file(input.block()), width, height, stride, fourcc, modifier, y0_top }
        }
        7 => {
            let files = (0..input.below(6)).map(|_| file(&[0; 4096])).collect();
            let place = [(); 4].map(|()| number(input));
            let offsets = (0..input.below(6)).map(|_| number(input)).collect();
            let strides = (0..input.below(6)).map(|_| number(input)).collect();
            Call::ScanoutDmabuf2 { files, place, offsets, strides, planes: number(input), fourcc: fourcc(input) }
        }
        8 => {
            let [x, y, width, height] = place(input);
            Call::UpdateDmabuf { x, y, width, height }
        }
        9 => Call::Disable,
        10 => {
            let [width, height, hot_x, hot_y] = place(input);
            if input.byte() & 3 == 0 {
                Call::MouseSet { x: width, y: height, on: hot_x }
            } else {
                Call::CursorDefine { width, height, hot_x, hot_y, pixels: input.block() }
            }
        }
        _ => Call::Malformed(input.below(11), input.block()),
    }
}

/// Small most of the time.
fn number(input: &mut Input<'_>) -> u32 {
    if input.byte() & 15 == 0 { input.u32() } else { input.byte().into() }
}

/// As large as a picture in shared memory is here.
fn small(input: &mut Input<'_>) -> u32 {
    input.byte().into()
}

fn place(input: &mut Input<'_>) -> [i32; 4] {
    [(); 4].map(|()| number(input).cast_signed())
}

fn fourcc(input: &mut Input<'_>) -> u32 {
    u32::from_le_bytes(input.pick(&FOURCCS))
}

fn file(bytes: &[u8]) -> OwnedFd {
    let made = files::file(bytes).map(|(file, _): (File, _)| file);
    match made {
        Ok(file) => file.into(),
        Err(error) => unreachable!("no file: {error}"),
    }
}

/// Input: what the monitor says.
pub(super) fn monitor(data: &[u8]) {
    let said = qemu::monitor(data);
    assert!(said.is_ok(), "{said:?}");
    // Three commands, three answers, behind a greeting.
    if let Ok(Ok(())) = said {
        assert!(data.iter().filter(|byte| **byte == b'\n').count() >= 4);
    }
}

/// Input: bits, flags, channels, `u32` samples a second, then sound.
pub(super) fn sound(data: &[u8]) {
    let mut input = Input::new(data);
    let (bits, flags, channels, rate) = (input.byte(), input.byte(), input.byte(), input.u32());
    let bytes = input.rest();
    let Some((stereo, again, frame)) =
        qemu::sound(bits, [flags & 1 != 0, flags & 2 != 0, flags & 4 != 0], rate, channels, bytes)
    else {
        return;
    };
    let frames = bytes.len() / frame;
    assert_eq!((stereo.len(), again.len()), (frames * 4, frames * frame));
    if (bits, channels) == (16, 2) && flags & 2 == 0 {
        assert_eq!(again, bytes[..frames * frame], "16 bits of two channels lose nothing");
    }
}
