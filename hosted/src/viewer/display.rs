//! The display channel: the surface, then what changes, as fast as the client takes it.
//!
//! A new picture is encoded when the one before has left for the kernel, so a slow client sees
//! fewer pictures and never older ones: what changes meanwhile adds up in [`Viewer`] and goes out
//! as it is then.
//!
//! A scanout is passed to a client that can import it ([`GlViewer`]). Any other is shown one video
//! stream, and one that has no codec for it is shown copies of the scanout as images.

use std::rc::Rc;

use bytes::Bytes;
use sumac_backends::Frame;
use sumac_core::channel::Heard;
use sumac_core::channel::display::{DisplayEvent, DisplayServer};
use sumac_core::channel::migrate::DisplayState;
use sumac_core::proto::caps::DisplayCaps;
use sumac_core::proto::common::ChannelType;
use sumac_core::proto::display::{
    Head, Init, InvalAllPixmaps, Mark, MonitorsConfig, ServerMessage, SurfaceCreate, SurfaceDestroy, SurfaceFlags,
    SurfaceFormat,
};
use sumac_core::wire::Counted;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::gl::GlViewer;
use super::picture::Painter;
use super::streams::Streams;
use super::{Session, state_of};
use crate::connection::{Close, Handler, Line};
use crate::scene::{GlDraw, Scanout, Scene, Viewer, frame_size};
use crate::server::{self, Engine, Watching};
use crate::source::Size;

/// The handler.
pub(super) struct Display {
    session: Rc<Session>,
    scene: Rc<Scene>,
    viewer: Rc<Viewer>,
    _watching: Watching,
    painter: Painter,
    /// When something that was drawn with loss is to be drawn without.
    refine_at: Option<Instant>,
    surface: Option<Size>,
    /// Where the client was told that its monitor stands.
    place: (i32, i32),
    /// MARK is due: the surface has not been shown yet.
    unmarked: bool,
    streams: Streams,
    /// Whose turn it was to use the room that there is.
    streams_first: bool,
    /// For a client that is passed scanouts.
    gl: GlViewer,
    /// The client is passed the scanout now.
    in_gl: bool,
    /// It comes from another server, and keeps pictures of that one.
    goes_on: bool,
}

impl Display {
    pub(super) fn new(
        engine: &Rc<Engine>,
        display: &server::Display,
        session: Rc<Session>,
        bell: Rc<Notify>,
        local: bool,
    ) -> Self {
        let scene = Rc::clone(&display.scene);
        let viewer = scene.watch(bell);
        let streams = Streams::new(Rc::clone(&display.video), Rc::clone(&viewer));
        Self {
            session,
            viewer,
            scene,
            _watching: engine.watching(),
            painter: Painter::new(engine.config(), Rc::clone(&engine.encoders), local),
            refine_at: None,
            surface: None,
            place: (0, 0),
            unmarked: false,
            streams,
            streams_first: false,
            gl: GlViewer::default(),
            in_gl: false,
            goes_on: false,
        }
    }

    /// The client comes from another server: its surface stays, what is shown there is drawn anew.
    pub(super) fn resume(&mut self, state: &DisplayState, init: Option<Init>) {
        if state.width != 0 {
            let size = Size { width: state.width, height: state.height };
            self.surface = Some(size);
            self.viewer.damaged(&size.bounds().into());
        }
        if let Some(init) = init {
            self.painter.on_init(&init, &self.session.pictures);
            self.painter.go_on(state.glz_next);
            self.goes_on = true;
        }
    }

    /// Says what the client needs to know: the newest picture, and where its monitor stands.
    fn update(&mut self, line: &mut Line<DisplayServer>) -> Result<(), Close> {
        self.show(line)?;
        let shown = self.surface.filter(|_| !self.unmarked && !self.in_gl);
        match shown.filter(|_| self.place != self.scene.place()) {
            Some(size) => self.send_monitors(line, size),
            None => Ok(()),
        }
    }

    /// Says what the client needs to see the newest picture, if there is room for it.
    fn show(&mut self, line: &mut Line<DisplayServer>) -> Result<(), Close> {
        self.refine_at = None;
        let draw = self.viewer.take_draw();
        let room = line.has_room();
        if let Some(size) = self.streams.attend(line) {
            return self.relay(line, size, room);
        }
        let scanout = self.scene.scanout();
        let passed = scanout.as_ref().filter(|scanout| GlViewer::takes(&line.machine, scanout));
        if self.in_gl && passed.is_none() {
            self.in_gl = false;
            self.gl.leave();
        }
        match (passed, scanout.as_ref(), self.scene.frame()) {
            (Some(scanout), ..) => self.pass(line, scanout, draw, room),
            _ if !room => {
                self.streams.hold(line);
                Ok(())
            }
            (None, Some(scanout), _) => self.stream(line, scanout, draw),
            (None, None, Some(frame)) => {
                let size = frame_size(&frame);
                self.viewer.set_reads_back(false, size);
                if self.surface != Some(size) {
                    return self.replace_surface(line, size);
                }
                // Neither may leave the other no room for ever.
                self.streams_first = !self.streams_first && !self.unmarked;
                if self.streams_first {
                    self.streams.update(line)?;
                    return self.paint(line, &frame);
                }
                self.paint(line, &frame)?;
                self.streams.update(line)
            }
            (None, None, None) => Ok(()),
        }
    }

    /// Shows what the guest codes.
    fn relay(&mut self, line: &mut Line<DisplayServer>, size: Size, room: bool) -> Result<(), Close> {
        if !room {
            self.streams.hold(line);
            return Ok(());
        }
        if self.surface != Some(size) {
            self.replace_surface(line, size)?;
        }
        drop(self.viewer.take_pending());
        self.mark(line, size)?;
        self.streams.update(line)
    }

    /// Passes the scanout to the client.
    fn pass(
        &mut self,
        line: &mut Line<DisplayServer>,
        scanout: &Scanout,
        draw: Option<GlDraw>,
        room: bool,
    ) -> Result<(), Close> {
        if !self.in_gl {
            self.in_gl = true;
            self.place = (0, 0);
            self.viewer.set_reads_back(false, scanout.size());
            self.streams.end_all(line)?;
            self.gl.enter(scanout);
        }
        if let Some(draw) = draw {
            self.gl.on_draw(draw);
        }
        self.gl.update(line, scanout, room)
    }

    /// Shows the scanout as video, or where the client has no codec for it, as images.
    fn stream(&mut self, line: &mut Line<DisplayServer>, scanout: &Scanout, draw: Option<GlDraw>) -> Result<(), Close> {
        let size = scanout.size();
        if self.surface != Some(size) {
            self.replace_surface(line, size)?;
        }
        let reads_back = !self.streams.can_show_all(line);
        self.viewer.set_reads_back(reads_back, size);
        if !reads_back {
            drop(self.viewer.take_pending());
            self.mark(line, size)?;
        } else if let Some(copy) = self.scene.read_back(draw.as_ref().map(|draw| draw.frame.clone())) {
            self.paint(line, &copy)?;
        }
        self.streams.update(line)
    }

    /// Draws what is pending of a picture that is as large as the surface.
    fn paint(&mut self, line: &mut Line<DisplayServer>, frame: &Frame) -> Result<(), Close> {
        let mut pending = self.viewer.take_pending();
        let changed = self.viewer.changed().filter(|_| !pending.is_empty());
        self.painter.draw(line, frame, &mut pending, self.unmarked)?;
        if pending.is_empty() {
            changed.into_iter().for_each(|changed| line.shown(changed));
            self.painter.refine(line, frame, &self.viewer.covered())?;
            // What waits for an acknowledgement is woken by it.
            self.refine_at = self.painter.deadline().filter(|_| line.machine.common().may_send());
        }
        self.viewer.put_back(pending);
        self.mark(line, frame_size(frame))
    }

    /// A surface of the picture's size; all of the picture is drawn next. The client makes the
    /// surface while the picture is still being compressed.
    fn replace_surface(&mut self, line: &mut Line<DisplayServer>, size: Size) -> Result<(), Close> {
        if self.surface.take().is_some() {
            self.streams.end_all(line)?;
            send(line, &ServerMessage::SurfaceDestroy(SurfaceDestroy { surface_id: 0 }))?;
        }
        let mut flags = SurfaceFlags::PRIMARY;
        if self.streams.is_guest() && line.machine.caps().contains(DisplayCaps::MULTI_CODEC) {
            // Nothing but video will be shown here.
            flags |= SurfaceFlags::STREAMING_MODE;
        }
        let create = SurfaceCreate {
            surface_id: 0,
            width: size.width,
            height: size.height,
            format: SurfaceFormat::XRGB32,
            flags,
        };
        send(line, &ServerMessage::SurfaceCreate(create))?;
        self.surface = Some(size);
        self.unmarked = true;
        self.painter.on_new_surface();
        drop(self.viewer.take_pending());
        self.viewer.damaged(&size.bounds().into());
        Ok(())
    }

    /// Shows the surface, once.
    fn mark(&mut self, line: &mut Line<DisplayServer>, size: Size) -> Result<(), Close> {
        if !std::mem::take(&mut self.unmarked) {
            return Ok(());
        }
        self.send_monitors(line, size)?;
        send(line, &ServerMessage::Mark(Mark {}))
    }

    fn send_monitors(&mut self, line: &mut Line<DisplayServer>, size: Size) -> Result<(), Close> {
        self.place = self.scene.place();
        send_monitors(line, size, self.place)
    }
}

impl Handler for Display {
    type Machine = DisplayServer;

    fn on_open(&mut self, line: &mut Line<DisplayServer>) -> Result<(), Close> {
        if std::mem::take(&mut self.goes_on) {
            send(line, &ServerMessage::InvalAllPixmaps(InvalAllPixmaps { wait_list: Counted::new(&[]) }))?;
        }
        self.update(line)
    }

    fn on_event(&mut self, line: &mut Line<DisplayServer>, event: DisplayEvent<'_>) -> Result<(), Close> {
        match event {
            DisplayEvent::Common(Heard::Disconnecting(_)) => Err(Close::Goodbye),
            DisplayEvent::Init(init) => {
                self.painter.on_init(&init, &self.session.pictures);
                Ok(())
            }
            DisplayEvent::StreamReport(report) => self.streams.on_report(line, &report),
            DisplayEvent::StreamUndecodable(id) => self.streams.on_undecodable(line, id),
            DisplayEvent::PreferredVideoCodecs(codecs) => self.streams.on_preferred(line, codecs),
            DisplayEvent::PreferredCompression(wish) => {
                self.painter.prefer(wish);
                Ok(())
            }
            DisplayEvent::GlDrawDone => {
                self.gl.on_done();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn on_wake(&mut self, line: &mut Line<DisplayServer>) -> Result<(), Close> {
        self.session.check()?;
        self.scene.check()?;
        self.gl.on_time(Instant::now())?;
        self.update(line)?;
        line.report().set_codecs(self.streams.shown());
        if self.streams.are_unheard(line) {
            self.session.times_unheard();
        }
        Ok(())
    }

    /// Streams begin anew at the other server. A scanout cannot go there.
    fn on_depart(&mut self, line: &mut Line<DisplayServer>) -> Result<(), Close> {
        self.streams.end_all(line)?;
        if std::mem::take(&mut self.in_gl) {
            self.gl.leave();
        }
        Ok(())
    }

    fn state(&mut self, line: &mut Line<DisplayServer>) -> Result<Vec<Bytes>, Close> {
        let Size { width, height } = self.surface.filter(|_| !self.unmarked).unwrap_or(Size { width: 0, height: 0 });
        let init = line.machine.init();
        let state = DisplayState {
            width,
            height,
            ready: init.is_some().into(),
            pixmap_cache_id: init.map_or(0, |init| init.pixmap_cache_id),
            pixmap_cache_size: init.map_or(0, |init| init.pixmap_cache_size),
            glz_dictionary_id: init.map_or(0, |init| init.glz_dictionary_id),
            glz_dictionary_window_size: init.map_or(0, |init| init.glz_dictionary_window_size),
            glz_next: self.painter.glz_next(),
        };
        state_of(ChannelType::DISPLAY, line.machine.common().sent(), &state, Vec::new())
    }

    fn deadline(&self) -> Option<Instant> {
        [self.gl.deadline(), self.refine_at].into_iter().flatten().min()
    }
}

/// One monitor that is all of the picture, and where it stands among those of all displays. What is
/// left of 0 or above it cannot be said.
pub(super) fn send_monitors(line: &mut Line<DisplayServer>, size: Size, place: (i32, i32)) -> Result<(), Close> {
    if !line.machine.caps().contains(DisplayCaps::MONITORS_CONFIG) {
        return Ok(());
    }
    let [x, y] = [place.0, place.1].map(|n| u32::try_from(n).unwrap_or(0));
    let heads = [Head::new(0, 0, size.width, size.height, x, y, 0)];
    send(line, &ServerMessage::MonitorsConfig(MonitorsConfig { max_allowed: 1, heads: &heads }))
}

/// Says something small that needs no room in the window.
pub(super) fn send(line: &mut Line<DisplayServer>, message: &ServerMessage<'_>) -> Result<(), Close> {
    line.send(message, &[]).map_err(Close::Refused)
}

#[cfg(test)]
mod tests;
