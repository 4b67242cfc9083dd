//! The display channel: the surface, then what changes, as fast as the client takes it.
//!
//! A new picture is encoded when the one before has left for the kernel, so a slow client sees
//! fewer pictures and never older ones: what changes meanwhile adds up in [`Viewer`] and goes out
//! as it is then.

use std::rc::Rc;

use sumac_core::channel::Heard;
use sumac_core::channel::display::{DisplayEvent, DisplayServer};
use sumac_core::proto::caps::DisplayCaps;
use sumac_core::proto::display::{
    Head, ImageCompression as WireCompression, Mark, MonitorsConfig, ServerMessage, SurfaceCreate, SurfaceDestroy,
    SurfaceFlags, SurfaceFormat,
};
use tokio::sync::Notify;

use super::Session;
use super::picture::{Compression, Painter};
use super::streams::Streams;
use crate::config::ImageCompression;
use crate::connection::{Close, Handler, Line};
use crate::scene::{Scene, Viewer, frame_size};
use crate::server::{self, Engine, Watching};
use crate::source::Size;

/// Unsent bytes up to which the next picture is begun: enough to keep the kernel busy.
pub(super) const AHEAD: usize = 16 * 1024;
/// The handler.
pub(super) struct Display {
    session: Rc<Session>,
    scene: Rc<Scene>,
    viewer: Rc<Viewer>,
    _watching: Watching,
    policy: ImageCompression,
    local: bool,
    /// The client's own word on compression.
    wish: Option<WireCompression>,
    painter: Painter,
    surface: Option<Size>,
    /// MARK is due: the surface has not been shown yet.
    unmarked: bool,
    streams: Streams,
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
            policy: engine.config().image_compression,
            local,
            wish: None,
            painter: Painter::default(),
            surface: None,
            unmarked: false,
            streams,
        }
    }

    /// Local clients get rows as they are: a copy is cheaper than any compression.
    fn compression(&self, caps: DisplayCaps) -> Compression {
        let off = self.policy == ImageCompression::Off || self.wish == Some(WireCompression::OFF);
        match caps.contains(DisplayCaps::LZ4_COMPRESSION) {
            _ if self.local || off => Compression::Raw,
            true => Compression::Lz4,
            false => Compression::Lz,
        }
    }

    /// Says what the client needs to see the newest picture.
    fn update(&mut self, line: &mut Line<DisplayServer>) -> Result<(), Close> {
        let Some(frame) = self.scene.frame() else { return Ok(()) };
        let size = frame_size(&frame);
        if self.surface != Some(size) {
            return self.replace_surface(line, size);
        }
        let mut pending = self.viewer.take_pending();
        let compression = self.compression(line.machine.caps());
        self.painter.draw(line, &frame, &mut pending, compression)?;
        self.viewer.put_back(pending);
        if std::mem::take(&mut self.unmarked) {
            Self::show_surface(line, size)?;
        }
        self.streams.update(line)
    }

    /// A surface of the picture's size; all of the picture is drawn next. The client makes the
    /// surface while the picture is still being compressed.
    fn replace_surface(&mut self, line: &mut Line<DisplayServer>, size: Size) -> Result<(), Close> {
        if self.surface.take().is_some() {
            self.streams.end_all(line)?;
            send(line, &ServerMessage::SurfaceDestroy(SurfaceDestroy { surface_id: 0 }))?;
        }
        let create = SurfaceCreate {
            surface_id: 0,
            width: size.width,
            height: size.height,
            format: SurfaceFormat::XRGB32,
            flags: SurfaceFlags::PRIMARY,
        };
        send(line, &ServerMessage::SurfaceCreate(create))?;
        self.surface = Some(size);
        self.unmarked = true;
        drop(self.viewer.take_pending());
        self.viewer.damaged(&size.bounds().into());
        Ok(())
    }

    fn show_surface(line: &mut Line<DisplayServer>, size: Size) -> Result<(), Close> {
        if line.machine.caps().contains(DisplayCaps::MONITORS_CONFIG) {
            let heads = [Head::new(0, 0, size.width, size.height, 0, 0, 0)];
            send(line, &ServerMessage::MonitorsConfig(MonitorsConfig { max_allowed: 1, heads: &heads }))?;
        }
        send(line, &ServerMessage::Mark(Mark {}))
    }
}

impl Handler for Display {
    type Machine = DisplayServer;

    fn on_open(&mut self, line: &mut Line<DisplayServer>) -> Result<(), Close> {
        self.update(line)
    }

    fn on_event(&mut self, line: &mut Line<DisplayServer>, event: DisplayEvent<'_>) -> Result<(), Close> {
        match event {
            DisplayEvent::Common(Heard::Disconnecting(_)) => Err(Close::Goodbye),
            DisplayEvent::StreamReport(report) => {
                self.streams.on_report(&report);
                Ok(())
            }
            DisplayEvent::StreamUndecodable(id) => self.streams.on_undecodable(line, id),
            DisplayEvent::PreferredVideoCodecs(codecs) => self.streams.on_preferred(line, codecs),
            DisplayEvent::PreferredCompression(wish) => {
                self.wish = Some(wish);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn on_wake(&mut self, line: &mut Line<DisplayServer>) -> Result<(), Close> {
        self.session.check()?;
        self.scene.check()?;
        if line.unsent() > AHEAD {
            return Ok(());
        }
        self.update(line)
    }
}

/// Says something small that needs no room in the window.
pub(super) fn send(line: &mut Line<DisplayServer>, message: &ServerMessage<'_>) -> Result<(), Close> {
    line.send(message, &[]).map_err(Close::Refused)
}
