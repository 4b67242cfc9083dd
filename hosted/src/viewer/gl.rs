//! [`GlViewer`]: a client on this machine that is passed the scanout itself.
//!
//! ```text
//!            draw                          GL_DRAW_DONE
//!   idle ───────────► [GL_SCANOUT,] GL_DRAW ───────────► idle
//!                        │ 100 ms without an answer
//!                        ▼
//!                      late: no user of any draw ──────► idle, and the newest draw at once
//!                        │ 30 s
//!                        ▼
//!                      dropped
//! ```

use std::time::Duration;

use sumac_backends::Frame;
use sumac_backends::dmabuf::{Dmabuf, MOD_INVALID, MOD_LINEAR};
use sumac_core::channel::Refused;
use sumac_core::channel::display::DisplayServer;
use sumac_core::proto::caps::DisplayCaps;
use sumac_core::proto::display::ServerMessage;
use sumac_core::proto::gl::{self, GlScanout2Unix, GlScanoutFlags, GlScanoutUnix, PerPlane};
use tokio::time::Instant;

use super::display;
use crate::connection::{Close, Line};
use crate::scene::{GlDraw, Scanout};
use crate::source::Rect;

/// How long a client may keep the buffer of a draw from its source.
const LATE: Duration = Duration::from_millis(100);
/// How long it may leave a draw unanswered.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the client has been told of scanouts, and what it owes us.
#[derive(Debug, Default)]
pub(super) struct GlViewer {
    /// Number of the scanout that the client has; 0 for none.
    has: u64,
    /// What changed that it has not been told.
    owed: Option<Rect>,
    /// The draw that it has not been told, while it is a user of that.
    next: Option<Frame>,
    outstanding: Option<Outstanding>,
}

/// A GL_DRAW without an answer.
#[derive(Debug)]
struct Outstanding {
    since: Instant,
    /// The client has had its time, and is a user of no draw until it answers.
    late: bool,
    /// The draw, while the client is a user of it.
    draw: Option<Frame>,
}

impl GlViewer {
    /// Whether the client can import this scanout.
    pub(super) fn takes(machine: &DisplayServer, scanout: &Scanout) -> bool {
        let caps = machine.caps();
        scanout.importable
            && machine.takes_scanout()
            && (caps.contains(DisplayCaps::GL_SCANOUT2) || is_plain(&scanout.dmabuf))
    }

    /// The client looks at scanouts from now on, after something else.
    pub(super) fn enter(&mut self, scanout: &Scanout) {
        self.has = 0;
        self.owed = (scanout.draws > 0).then(|| scanout.size().bounds());
    }

    /// The client looks at something else from now on; it may still owe an answer.
    pub(super) fn leave(&mut self) {
        (self.has, self.owed, self.next) = (0, None, None);
    }

    /// Something was drawn. The client is a user of that, unless it has not answered in time.
    pub(super) fn on_draw(&mut self, draw: GlDraw) {
        self.owed = Some(self.owed.map_or(draw.rect, |owed| owed.union(draw.rect)));
        let late = self.outstanding.as_ref().is_some_and(|outstanding| outstanding.late);
        self.next = (!late).then_some(draw.frame);
    }

    /// GL_DRAW_DONE.
    pub(super) fn on_done(&mut self) {
        self.outstanding = None;
    }

    /// Gives back what the client kept for too long.
    ///
    /// # Errors
    /// When it is to be dropped.
    pub(super) fn on_time(&mut self, now: Instant) -> Result<(), Close> {
        let Some(outstanding) = &mut self.outstanding else { return Ok(()) };
        let waited = now.saturating_duration_since(outstanding.since);
        if waited >= LATE {
            outstanding.late = true;
            (outstanding.draw, self.next) = (None, None);
        }
        if waited >= PATIENCE { Err(Close::Undone(PATIENCE)) } else { Ok(()) }
    }

    /// When [`Self::on_time`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let outstanding = self.outstanding.as_ref()?;
        Some(outstanding.since + if outstanding.late { PATIENCE } else { LATE })
    }

    /// Tells the client what it is owed, when it has answered the draw before and there is `room`.
    /// Without room it is no user of the draw.
    pub(super) fn update(
        &mut self,
        line: &mut Line<DisplayServer>,
        scanout: &Scanout,
        room: bool,
    ) -> Result<(), Close> {
        if self.outstanding.is_some() {
            return Ok(());
        }
        let draw = self.next.take();
        let Some(owed) = self.owed.filter(|_| room) else { return Ok(()) };
        let all = scanout.size().bounds();
        if self.has != scanout.number {
            if !say_scanout(line, &scanout.dmabuf)? {
                return Ok(());
            }
            // spice-gtk looks for the monitor at this place of the scanout.
            display::send_monitors(line, scanout.size(), (0, 0))?;
            self.has = scanout.number;
            self.owed = Some(all);
        }
        let Rect { x, y, width, height } = self.owed.and_then(|owed| owed.intersect(all)).unwrap_or(owed);
        match line.send(&ServerMessage::GlDraw(gl::GlDraw { x, y, w: width, h: height }), &[]) {
            Ok(()) => {
                self.owed = None;
                self.outstanding = Some(Outstanding { since: Instant::now(), late: false, draw });
                Ok(())
            }
            Err(Refused::Hold) => Ok(()),
            Err(refused) => Err(Close::Refused(refused)),
        }
    }
}

/// Whether GL_SCANOUT says all that there is to say: one plane, from the start, no modifier.
fn is_plain(dmabuf: &Dmabuf) -> bool {
    matches!(dmabuf.planes(), [plane] if plane.offset == 0) && matches!(dmabuf.modifier(), MOD_LINEAR | MOD_INVALID)
}

/// Passes the scanout; `false` when the client has to acknowledge what it got before.
fn say_scanout(line: &mut Line<DisplayServer>, dmabuf: &Dmabuf) -> Result<bool, Close> {
    // Set for rows from the bottom up, whatever its name says: QEMU clears it for its own surfaces, spice-gtk obeys.
    let flags = if dmabuf.shape().y_inverted { GlScanoutFlags::Y0TOP } else { GlScanoutFlags::empty() };
    let (width, height, drm_fourcc) = (dmabuf.width(), dmabuf.height(), dmabuf.fourcc().0);
    let planes = dmabuf.planes();
    let message = if line.machine.caps().contains(DisplayCaps::GL_SCANOUT2) {
        let (mut offset, mut stride) = (PerPlane::default(), PerPlane::default());
        for (plane, (offset, stride)) in planes.iter().zip(offset.0.iter_mut().zip(&mut stride.0)) {
            (*offset, *stride) = (plane.offset, plane.stride);
        }
        let count = u16::try_from(planes.len()).unwrap_or(u16::MAX);
        let modifier = dmabuf.modifier();
        ServerMessage::GlScanout2Unix(GlScanout2Unix {
            width,
            height,
            offset,
            stride,
            drm_fourcc,
            flags,
            modifier,
            num_planes: count,
            num_dma_bufs: count,
        })
    } else {
        let stride = planes.first().map_or(0, |plane| plane.stride);
        ServerMessage::GlScanoutUnix(GlScanoutUnix { width, height, stride, drm_fourcc, flags })
    };
    let fds = planes.iter().map(|plane| plane.fd.clone()).collect();
    match line.send_fds(&message, fds) {
        Ok(()) => Ok(true),
        Err(Refused::Hold) => Ok(false),
        Err(refused) => Err(Close::Refused(refused)),
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use sumac_core::channel::{Channel, Negotiated};
    use tokio::sync::Notify;
    use tokio::time::advance;

    use super::*;
    use crate::scene::testing::{Done, Shown, dmabuf};
    use crate::source::Size;

    const SIZE: Size = Size { width: 8, height: 8 };
    const GL_DRAW_DONE: u16 = 104;

    /// A client with these capabilities on a UNIX socket, in GL, with the window wide open.
    struct Client {
        shown: Shown,
        viewer: Rc<crate::scene::Viewer>,
        line: Line<DisplayServer>,
        gl: GlViewer,
        done: Done,
    }

    impl Client {
        fn new(caps: DisplayCaps) -> Self {
            let now = Instant::now();
            let negotiated = Negotiated { mini_header: true, peer_caps: (DisplayCaps::GL_SCANOUT | caps).bits() };
            let mut line = Line::new(DisplayServer::new(negotiated, true, crate::connection::millis(now)), now);
            line.pump().unwrap();
            let shown = Shown::new(true);
            let viewer = shown.scene.watch(Rc::new(Notify::new()));
            Self { shown, viewer, line, gl: GlViewer::default(), done: Done::default() }
        }

        fn draw(&mut self) {
            self.shown.stage.gl_draw(Rect { x: 1, y: 1, width: 2, height: 2 }, self.done.cookie());
            let _ = self.shown.scene.take_mail(&[]);
            self.wake().unwrap();
        }

        /// What [`display::Display`] does when its bell rings or a deadline has passed.
        fn wake(&mut self) -> Result<(), Close> {
            if let Some(draw) = self.viewer.take_draw() {
                self.gl.on_draw(draw);
            }
            self.gl.on_time(Instant::now())?;
            let scanout = self.shown.scene.scanout().unwrap();
            self.gl.update(&mut self.line, &scanout, true)
        }

        fn answer(&mut self) {
            self.line.machine.on_message(self.line.now(), GL_DRAW_DONE, &[]).unwrap();
            self.gl.on_done();
            self.wake().unwrap();
        }

        /// Bytes said since the last call.
        fn said(&mut self) -> usize {
            self.line.take_unsent().len()
        }
    }

    const HEADER: usize = 6;
    const SCANOUT: usize = HEADER + 20 + 1;
    const SCANOUT2: usize = HEADER + 60 + 1;
    const DRAW: usize = HEADER + 16;

    #[tokio::test(start_paused = true)]
    async fn a_draw_is_done_with_its_answer_and_one_is_outstanding() {
        let mut client = Client::new(DisplayCaps::empty());
        client.shown.scan_out(dmabuf(SIZE));
        client.said();
        client.draw();
        assert_eq!((client.said(), client.done.count()), (SCANOUT + DRAW, 0));
        client.draw();
        assert_eq!((client.said(), client.done.count()), (0, 0), "the first is not answered");
        client.answer();
        assert_eq!((client.said(), client.done.count()), (DRAW, 1));
        client.answer();
        assert_eq!((client.said(), client.done.count()), (0, 2));
        assert!(client.gl.deadline().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_answer_holds_nobody_up_and_is_dropped() {
        let mut client = Client::new(DisplayCaps::GL_SCANOUT2);
        client.shown.scan_out(dmabuf(SIZE));
        client.said();
        client.draw();
        client.draw();
        assert_eq!((client.said(), client.done.count()), (SCANOUT2 + DRAW, 0));
        assert_eq!(client.gl.deadline(), Some(Instant::now() + LATE));
        advance(LATE).await;
        client.wake().unwrap();
        assert_eq!(client.done.count(), 2);
        client.draw();
        assert_eq!(client.done.count(), 3, "no user of what is drawn meanwhile");
        client.answer();
        assert_eq!(client.said(), DRAW, "the newest, at once");
        client.draw();
        assert_eq!(client.done.count(), 3, "in time again: a user again");
        advance(PATIENCE).await;
        assert!(matches!(client.wake(), Err(Close::Undone(PATIENCE))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_scanout_waits_for_the_answer_and_is_drawn_whole() {
        let mut client = Client::new(DisplayCaps::empty());
        client.shown.scan_out(dmabuf(SIZE));
        client.draw();
        client.said();
        client.shown.scan_out(dmabuf(Size { width: 16, height: 16 }));
        client.draw();
        assert_eq!(client.said(), 0, "GL_SCANOUT may not overtake the answer");
        client.answer();
        assert_eq!((client.said(), client.done.count()), (SCANOUT + DRAW, 1));
        drop(client.gl);
        assert_eq!(client.done.count(), 2, "a viewer that vanishes keeps nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_late_is_passed_the_scanout_of_a_guest_that_rests() {
        let mut client = Client::new(DisplayCaps::empty());
        client.shown.scan_out(dmabuf(SIZE));
        client.gl.enter(&client.shown.scene.scanout().unwrap());
        client.wake().unwrap();
        client.said();
        client.draw();
        client.answer();
        client.said();
        let mut late = GlViewer::default();
        let scanout = client.shown.scene.scanout().unwrap();
        late.enter(&scanout);
        late.update(&mut client.line, &scanout, true).unwrap();
        assert_eq!(client.said(), SCANOUT + DRAW);
    }

    #[test]
    fn what_a_client_cannot_import_is_not_passed() {
        let takes = |fds, caps: DisplayCaps, importable| {
            let negotiated = Negotiated { mini_header: true, peer_caps: caps.bits() };
            let machine = DisplayServer::new(negotiated, fds, sumac_core::time::Millis(0));
            let scanout = Scanout { dmabuf: dmabuf(SIZE), number: 1, draws: 1, importable };
            GlViewer::takes(&machine, &scanout)
        };
        assert!(takes(true, DisplayCaps::GL_SCANOUT, true));
        assert!(!takes(true, DisplayCaps::GL_SCANOUT, false), "a memfd");
        assert!(!takes(true, DisplayCaps::empty(), true));
        assert!(!takes(false, DisplayCaps::GL_SCANOUT, true), "TCP");
        let planes = |offset, modifier| {
            let like = dmabuf(SIZE);
            let shape = sumac_backends::dmabuf::Shape { modifier, height: 4, ..like.shape() };
            let plane = sumac_backends::Plane { offset, ..like.planes()[0].clone() };
            is_plain(&Dmabuf::new(shape, &[plane]).unwrap())
        };
        assert!(planes(0, MOD_LINEAR) && planes(0, MOD_INVALID));
        assert!(!planes(32, MOD_LINEAR) && !planes(0, 0x0100_0000_0000_0001));
    }
}
