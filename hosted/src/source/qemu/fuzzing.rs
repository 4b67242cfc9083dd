//! What QEMU says, without QEMU.

use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use serde::Serialize;
use zbus::Message;
use zbus::message::Body;
use zbus::wire::{DynamicType, Fd};

use super::display::Display;
use super::listener::{DMABUF2, LISTENER, MAP, draw};
use super::qmp::Qmp;
use super::samples::SampleFormat;
use crate::source::{Cookie, Size, Stage};

/// A console's display.
pub struct Screen {
    display: Display,
}

/// What QEMU calls.
#[derive(Debug)]
#[expect(missing_docs, reason = "the arguments of org.qemu.Display1.Listener by their names there")]
pub enum Call<'a> {
    Scanout {
        width: u32,
        height: u32,
        stride: u32,
        format: u32,
        pixels: &'a [u8],
    },
    Update {
        x: i32,
        y: i32,
        width: i32,
        height: i32,
        stride: u32,
        format: u32,
        pixels: &'a [u8],
    },
    ScanoutMap {
        file: OwnedFd,
        offset: u32,
        width: u32,
        height: u32,
        stride: u32,
        format: u32,
    },
    UpdateMap {
        x: i32,
        y: i32,
        width: i32,
        height: i32,
    },
    ScanoutDmabuf {
        file: OwnedFd,
        width: u32,
        height: u32,
        stride: u32,
        fourcc: u32,
        modifier: u64,
        y0_top: bool,
    },
    ScanoutDmabuf2 {
        files: Vec<OwnedFd>,
        place: [u32; 4],
        offsets: Vec<u32>,
        strides: Vec<u32>,
        planes: u32,
        fourcc: u32,
    },
    UpdateDmabuf {
        x: i32,
        y: i32,
        width: i32,
        height: i32,
    },
    Disable,
    MouseSet {
        x: i32,
        y: i32,
        on: i32,
    },
    CursorDefine {
        width: i32,
        height: i32,
        hot_x: i32,
        hot_y: i32,
        pixels: &'a [u8],
    },
    /// One of the above by its number, with what is no argument of any.
    Malformed(usize, &'a [u8]),
}

impl Screen {
    /// One that draws on this stage.
    pub fn new(stage: Box<dyn Stage>) -> Self {
        Self { display: Display::new(stage, Arc::default(), "") }
    }

    /// QEMU calls; `done` runs when the buffer of an UpdateDMABUF is free. `Err` says why the call
    /// means nothing.
    pub fn call(&mut self, call: &Call<'_>, done: impl FnOnce() + Send + 'static) -> Result<(), String> {
        const NAMES: [(&str, &str); 10] = [
            (LISTENER, "Scanout"),
            (LISTENER, "Update"),
            (MAP, "ScanoutMap"),
            (MAP, "UpdateMap"),
            (LISTENER, "ScanoutDMABUF"),
            (DMABUF2, "ScanoutDMABUF2"),
            (LISTENER, "UpdateDMABUF"),
            (LISTENER, "Disable"),
            (LISTENER, "MouseSet"),
            (LISTENER, "CursorDefine"),
        ];
        let (number, body) = match call {
            Call::Scanout { width, height, stride, format, pixels } => {
                (0, body(&(*width, *height, *stride, *format, *pixels)))
            }
            Call::Update { x, y, width, height, stride, format, pixels } => {
                (1, body(&(*x, *y, *width, *height, *stride, *format, *pixels)))
            }
            Call::ScanoutMap { file, offset, width, height, stride, format } => {
                (2, body(&(Fd::from(file), *offset, *width, *height, *stride, *format)))
            }
            Call::UpdateMap { x, y, width, height } => (3, body(&(*x, *y, *width, *height))),
            Call::ScanoutDmabuf { file, width, height, stride, fourcc, modifier, y0_top } => {
                (4, body(&(Fd::from(file), *width, *height, *stride, *fourcc, *modifier, *y0_top)))
            }
            Call::ScanoutDmabuf2 { files, place: [x, y, width, height], offsets, strides, planes, fourcc } => {
                let fds: Vec<_> = files.iter().map(Fd::from).collect();
                let (modifier, y0_top) = (0_u64, false);
                let (offsets, strides) = (offsets.as_slice(), strides.as_slice());
                let arguments = (
                    fds, *x, *y, *width, *height, offsets, strides, *planes, *fourcc, *width, *height, modifier, y0_top,
                );
                (5, body(&arguments))
            }
            Call::UpdateDmabuf { x, y, width, height } => (6, body(&(*x, *y, *width, *height))),
            Call::Disable => (7, body(&())),
            Call::MouseSet { x, y, on } => (8, body(&(*x, *y, *on))),
            Call::CursorDefine { width, height, hot_x, hot_y, pixels } => {
                (9, body(&(*width, *height, *hot_x, *hot_y, *pixels)))
            }
            Call::Malformed(number, bytes) => (*number, body(&(*bytes, "not this"))),
        };
        let name = NAMES.get(number).copied().unwrap_or((LISTENER, "Nothing"));
        let body = body.map_err(|error| error.to_string())?;
        draw(&mut self.display, name, body, || Cookie::new(done)).map(drop).map_err(|error| format!("{error:#}"))
    }

    /// The console's properties say this size.
    pub fn resize(&mut self, width: u32, height: u32) {
        self.display.resize(Size { width, height });
    }

    /// Nothing more has arrived.
    pub fn flush(&mut self) {
        self.display.flush();
    }

    /// No size comes.
    pub fn settle(&mut self) {
        self.display.settle();
    }

    /// QEMU is gone.
    pub fn notice(&mut self) {
        self.display.notice("QEMU is gone.");
    }
}

fn body<B: Serialize + DynamicType>(arguments: &B) -> zbus::Result<Body> {
    Ok(Message::method_call("/", "M").build(arguments)?.body())
}

/// QEMU's monitor says these bytes, whatever it is asked, and closes. `Err` says why it is no monitor.
///
/// # Errors
/// There is no socket or no runtime.
pub fn monitor(bytes: &[u8]) -> anyhow::Result<Result<(), String>> {
    let (ours, mut theirs) = UnixStream::pair()?;
    let commands = ours.try_clone()?;
    theirs.write_all(bytes)?;
    theirs.shutdown(std::net::Shutdown::Write)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let talk = async {
        let mut qmp = Qmp::open(ours.into()).await?;
        qmp.add_dbus_client(std::os::fd::AsFd::as_fd(&commands)).await?;
        qmp.log_events().await
    };
    Ok(runtime.block_on(talk).map_err(|error: anyhow::Error| format!("{error:#}")))
}

/// Sound in a form of QEMU's as two channels of 16 bits, and these in that form again; `None` where
/// there is no such form.
pub fn sound(bits: u8, flags: [bool; 3], rate: u32, channels: u8, bytes: &[u8]) -> Option<(Vec<u8>, Vec<u8>, usize)> {
    let [signed, float, big_endian] = flags;
    let format = SampleFormat::new(bits, signed, float, rate, channels, big_endian)?;
    let stereo = format.to_stereo(bytes);
    let again = format.of_stereo(&stereo);
    Some((stereo, again, format.frame()))
}
