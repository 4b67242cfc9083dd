//! [`Listener`]: QEMU's calls about one console, on a connection of its own.
//!
//! QEMU is the server of that connection's authentication and the caller of everything on it:
//! org.qemu.Display1.Listener, and what newer QEMU finds announced in its property `Interfaces`.
//! Calls are taken in order and answered at once, so QEMU waits for no viewer. Only UpdateDMABUF is
//! answered later, when its buffer may be drawn into again.

use std::cell::RefCell;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use sumac_backends::Dmabuf;
use sumac_backends::dmabuf::{Fourcc, MOD_LINEAR, Plane, Shape};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use zbus::message::Body;
use zbus::wire::Fd;

use super::calls::{Call, Calls, Tail};
use super::display::{Display, Map, Patch};
use super::interfaces::ConsoleProxy;
use super::pixels::PixelFormat;
use crate::source::{Cookie, CursorShape, Rect, Size};

pub(super) const LISTENER: &str = "org.qemu.Display1.Listener";
pub(super) const MAP: &str = "org.qemu.Display1.Listener.Unix.Map";
pub(super) const DMABUF2: &str = "org.qemu.Display1.Listener.Unix.ScanoutDMABUF2";
/// What newer QEMU may call, too.
const INTERFACES: [&str; 2] = [MAP, DMABUF2];

/// How long a new size is waited for at most, when updates lie outside of the picture.
const SIZE_TOLD: Duration = Duration::from_millis(200);

/// One console's drawings.
pub(super) struct Listener {
    calls: Calls,
    display: Rc<RefCell<Display>>,
    /// UpdateDMABUF calls whose buffers are free: QEMU has one of them out at a time.
    done: (UnboundedSender<Call>, UnboundedReceiver<Call>),
}

/// What a call is answered with.
pub(super) enum Answer {
    Done,
    /// The call is answered when its buffer is free.
    Later,
    UnknownMethod,
}

impl Listener {
    /// Makes the console draw on `display`.
    pub(super) async fn register(console: &ConsoleProxy<'_>, display: Rc<RefCell<Display>>) -> anyhow::Result<Self> {
        let calls = Calls::on_socket(&INTERFACES, async |socket| console.register_listener(socket).await).await?;
        Ok(Self { calls, display, done: unbounded_channel() })
    }

    /// Takes QEMU's calls until it closes the connection.
    pub(super) async fn run(mut self) -> anyhow::Result<()> {
        loop {
            while let Ok(call) = self.done.1.try_recv() {
                call.answer(&()).await?;
            }
            // What has arrived already makes one picture.
            let next = match self.calls.arrived() {
                Some(next) => next?,
                None => {
                    self.display.borrow_mut().flush();
                    tokio::select! {
                        next = self.calls.next() => next?,
                        Some(call) = self.done.1.recv() => {
                            call.answer(&()).await?;
                            continue;
                        }
                        () = tokio::time::sleep(SIZE_TOLD), if self.display.borrow().is_early() => {
                            self.display.borrow_mut().settle();
                            continue;
                        }
                    }
                }
            };
            match next {
                Some(call) => self.answer(&call).await?,
                None => return Ok(()),
            }
        }
    }

    async fn answer(&mut self, call: &Call) -> anyhow::Result<()> {
        if call.answer_question(&INTERFACES).await? {
            return Ok(());
        }
        match self.take(call) {
            Ok(Answer::Done) => call.answer(&()).await?,
            Ok(Answer::Later) => {}
            Ok(Answer::UnknownMethod) => call.is_unknown().await?,
            Err(error) => call.refuse(&error).await?,
        }
        Ok(())
    }

    /// Does what a call says. Errors are the call's, not the connection's.
    fn take(&self, call: &Call) -> anyhow::Result<Answer> {
        let body = call.message().body();
        let (interface, member) = call.name();
        tracing::trace!(member, bytes = body.len(), "QEMU calls");
        let free = || {
            let (done, call) = (self.done.0.clone(), call.clone());
            // The connection may be gone by then.
            Cookie::new(move || drop(done.send(call)))
        };
        draw(&mut self.display.borrow_mut(), (&interface, &member), body, free)
    }
}

/// Does what a call with this name and these arguments says. What `free` makes is dropped when the
/// buffer of an UpdateDMABUF may be drawn into again, which is its answer.
pub(super) fn draw(
    display: &mut Display,
    (interface, member): (&str, &str),
    body: Body,
    free: impl FnOnce() -> Cookie,
) -> anyhow::Result<Answer> {
    match (interface, member) {
        (LISTENER, "UpdateDMABUF") => {
            display.update_dmabuf(rect(body.deserialize()?)?, free());
            return Ok(Answer::Later);
        }
        (LISTENER, "Update") => display.update(update(body)?)?,
        (MAP, "UpdateMap") => display.update_map(rect(body.deserialize()?)?)?,
        (LISTENER, "MouseSet") => {
            let (x, y, on): (i32, i32, i32) = body.deserialize()?;
            display.set_mouse(x, y, on != 0);
        }
        (LISTENER, "Scanout") => display.scanout(scanout(body)?)?,
        (LISTENER, "ScanoutDMABUF") => display.scanout_dmabuf(dmabuf(&body)?),
        (DMABUF2, "ScanoutDMABUF2") => display.scanout_dmabuf(dmabuf2(&body)?),
        (MAP, "ScanoutMap") => display.scanout_map(map(&body)?)?,
        (LISTENER, "Disable") => display.disable(),
        (LISTENER, "CursorDefine") => display.define_cursor(cursor(&body)?)?,
        _ => return Ok(Answer::UnknownMethod),
    }
    Ok(Answer::Done)
}

fn scanout(body: Body) -> anyhow::Result<Patch> {
    let (width, height, stride, format, pixels): (u32, u32, u32, u32, &[u8]) = body.deserialize()?;
    let len = pixels.len();
    Ok(patch(Rect { x: 0, y: 0, width, height }, stride, pixel_format(format)?, Tail { len, body: body.clone() }))
}

fn update(body: Body) -> anyhow::Result<Patch> {
    let (x, y, width, height, stride, format, pixels): (i32, i32, i32, i32, u32, u32, &[u8]) = body.deserialize()?;
    let (rect, len) = (rect((x, y, width, height))?, pixels.len());
    Ok(patch(rect, stride, pixel_format(format)?, Tail { len, body: body.clone() }))
}

fn patch(rect: Rect, stride: u32, format: PixelFormat, tail: Tail) -> Patch {
    Patch { rect, stride: stride as usize, format, bytes: Box::new(tail) }
}

fn map(body: &Body) -> anyhow::Result<Map> {
    let (fd, offset, width, height, stride, format): (Fd<'_>, u32, u32, u32, u32, u32) = body.deserialize()?;
    let (file, format) = (File::from(OwnedFd::try_from(fd)?), pixel_format(format)?);
    Ok(Map { file, offset: offset.into(), size: Size { width, height }, stride: stride as usize, format })
}

fn dmabuf(body: &Body) -> anyhow::Result<Dmabuf> {
    let (fd, width, height, stride, fourcc, modifier, y0_top): (Fd<'_>, u32, u32, u32, u32, u64, bool) =
        body.deserialize()?;
    let shape = Shape { width, height, fourcc: Fourcc(fourcc), modifier, y_inverted: y0_top };
    let plane = Plane { fd: Arc::new(OwnedFd::try_from(fd)?), offset: 0, stride };
    Ok(Dmabuf::new(shape, &[plane])?)
}

/// The arguments of ScanoutDMABUF2: fds, place and size in the backing buffer, offsets, strides,
/// planes, fourcc, size of the backing buffer, modifier, y0_top.
type Dmabuf2<'a> = (Vec<Fd<'a>>, u32, u32, u32, u32, Vec<u32>, Vec<u32>, u32, u32, u32, u32, u64, bool);

fn dmabuf2(body: &Body) -> anyhow::Result<Dmabuf> {
    let arguments: Dmabuf2<'_> = body.deserialize()?;
    let (fds, x, y, width, height, offsets, strides, planes, fourcc, _, _, modifier, y0_top) = arguments;
    let count = planes as usize;
    ensure!(
        count == fds.len() && offsets.len() >= count && strides.len() >= count,
        "{planes} planes in {} buffers with {} offsets and {} strides",
        fds.len(),
        offsets.len(),
        strides.len()
    );
    let fourcc = Fourcc(fourcc);
    // A part of a buffer begins further on in it; that can be said of rows of whole pixels only.
    ensure!(
        (x, y) == (0, 0) || (fourcc.is_bgrx() && modifier == MOD_LINEAR),
        "the part at {x},{y} of a buffer of format {fourcc}"
    );
    let mut made = Vec::with_capacity(count);
    for ((fd, offset), stride) in fds.into_iter().zip(offsets).zip(strides) {
        let part = y.checked_mul(stride).and_then(|rows| rows.checked_add(x.checked_mul(4)?));
        let offset = part.and_then(|part| offset.checked_add(part));
        let offset = offset.context("a part of a buffer that begins beyond 4 GiB")?;
        made.push(Plane { fd: Arc::new(OwnedFd::try_from(fd)?), offset, stride });
    }
    let shape = Shape { width, height, fourcc, modifier, y_inverted: y0_top };
    Ok(Dmabuf::new(shape, &made)?)
}

fn cursor(body: &Body) -> anyhow::Result<CursorShape> {
    let (width, height, hot_x, hot_y, bgra): (i32, i32, i32, i32, &[u8]) = body.deserialize()?;
    let side = |n: i32| u32::try_from(n).with_context(|| format!("a pointer of {width}x{height} pixels"));
    let hot = |n: i32| u16::try_from(n.max(0)).unwrap_or(u16::MAX);
    let size = Size { width: side(width)?, height: side(height)? };
    Ok(CursorShape { size, hot_x: hot(hot_x), hot_y: hot(hot_y), bgra: bgra.into() })
}

fn rect((x, y, width, height): (i32, i32, i32, i32)) -> anyhow::Result<Rect> {
    let fit = |n: i32| u32::try_from(n).with_context(|| format!("{width}x{height} pixels at {x},{y}"));
    Ok(Rect { x: fit(x)?, y: fit(y)?, width: fit(width)?, height: fit(height)? })
}

fn pixel_format(code: u32) -> anyhow::Result<PixelFormat> {
    PixelFormat::from_pixman(code).with_context(|| format!("the pixel format {code:#x} of pixman"))
}
