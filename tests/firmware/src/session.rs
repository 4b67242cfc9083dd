//! What is served: a picture, and a tile on it that follows the keyboard.
//!
//! Three ports, each with memory of its own, linked by whoever comes as main, display or inputs. No
//! allocator: the image proves it by linking without one, and a test on the host, which includes
//! this file, by counting.

use embedded_io::{Read, ReadReady, Write};
use sumac_core::channel::display::DisplayServer;
use sumac_core::channel::inputs::{Input, InputsEvent, InputsServer};
use sumac_core::channel::main::{MainEvent, MainServer};
use sumac_core::channel::{Heard, Refused};
use sumac_core::io::{Error, Line, Turn, Wire, blocking};
use sumac_core::link::{Admission, Opened, Question, ServerConfig, ServerLink, Verdict, Wanted};
use sumac_core::proto::common::ChannelType;
use sumac_core::proto::display::{Mark, ServerMessage as DisplayMessage, SurfaceCreate, SurfaceFlags, SurfaceFormat};
use sumac_core::proto::draw::{Base, DrawCopy};
use sumac_core::proto::inputs::{Init as InputsInit, KeyModifiers, ServerMessage as InputsMessage};
use sumac_core::proto::main::{ChannelId, ChannelsList, Init as MainInit, ServerMessage as MainMessage};
use sumac_core::proto::paint::{Mask, MaskFlags, Rop, ScaleMode};
use sumac_core::proto::picture::{Bitmap, BitmapFlags, BitmapFormat, Image, ImageBody, ImageFlags, PaletteRef};
use sumac_core::proto::shape::{Clip, Point, Rect};
use sumac_core::time::Millis;
use sumac_core::wire::{At, Counted, Data};

/// Connections at once.
pub(crate) const PORTS: usize = 3;
/// Bytes lent to a port for what arrives: the largest message that it takes.
pub(crate) const INBOX: usize = 1024;
/// Bytes lent to a port for what is sent, payloads apart.
pub(crate) const OUT: usize = 256;
/// Columns of the picture.
pub(crate) const WIDTH: u32 = 64;
/// Rows of the picture.
pub(crate) const HEIGHT: u32 = 48;
/// Columns and rows of the tile in its upper left corner.
pub(crate) const TILE: u32 = 16;
/// The only session there is.
pub(crate) const SESSION: u32 = 0x5ac_0001;

const PICTURE_BYTES: usize = (WIDTH * HEIGHT * 4) as usize;
const TILE_BYTES: usize = (TILE * TILE * 4) as usize;
static PICTURE: [u8; PICTURE_BYTES] = picture();

/// Bytes of memory that one connection takes: machines, driver and buffers.
#[must_use]
pub(crate) const fn bytes_per_connection<S>() -> usize {
    size_of::<Port<'_, S>>() + INBOX + OUT
}

/// The whole server.
pub(crate) struct Server<'b, S> {
    ports: [Port<'b, S>; PORTS],
    desk: Desk,
}

/// What all connections see.
#[derive(Default)]
struct Desk {
    /// Scan code of the last key that went down.
    key: Option<u8>,
    /// The viewer said goodbye.
    ended: bool,
}

struct Port<'b, S> {
    wire: Wire<'b, S>,
    role: Role,
}

#[expect(clippy::large_enum_variant, reason = "without an allocator there is nothing to box it with")]
enum Role {
    Linking { link: ServerLink, verdict: Verdict },
    Main(Line<MainServer>),
    Display { line: Line<DisplayServer<0>>, shown: Option<u8> },
    Inputs(Line<InputsServer>),
}

impl<'b, S: Read + ReadReady + Write> Server<'b, S> {
    /// Waits for links on these wires.
    pub(crate) fn new(wires: [Wire<'b, S>; PORTS], now: Millis) -> Self {
        let role = || Role::Linking {
            link: ServerLink::new(now, ServerConfig { wait_ms: u64::MAX, ..ServerConfig::default() }),
            verdict: Verdict::NotAvailable,
        };
        Self { ports: wires.map(|wire| Port { wire, role: role() }), desk: Desk::default() }
    }

    /// Takes a turn on every port; `false` once the viewer has said goodbye.
    ///
    /// # Errors
    /// A connection is over.
    pub(crate) fn step(&mut self, now: Millis) -> Result<bool, Error<S::Error>> {
        for port in &mut self.ports {
            port.step(&mut self.desk, now)?;
        }
        Ok(!self.desk.ended)
    }
}

impl<S: Read + ReadReady + Write> Port<'_, S> {
    fn step(&mut self, desk: &mut Desk, now: Millis) -> Result<(), Error<S::Error>> {
        let wire = &mut self.wire;
        match &mut self.role {
            Role::Linking { link, verdict } => {
                let turn = blocking::link(wire, link, now, |link, question, out| answer(link, verdict, question, out))?;
                if let Turn::Got(opened) = turn {
                    self.role = open(wire, &opened, now)?;
                }
            }
            Role::Main(line) => {
                let turn = blocking::turn(wire, line, now, |event| match event {
                    MainEvent::Common(Heard::Disconnecting(_)) => (true, false),
                    MainEvent::AttachChannels => (false, true),
                    _ => (false, false),
                })?;
                if let Turn::Got((goodbye, list)) = turn {
                    desk.ended |= goodbye;
                    if list {
                        blocking::say(wire, line, now, &channels(), &[])?;
                    }
                }
            }
            Role::Display { line, shown } => {
                let _ = blocking::turn(wire, line, now, |_| ())?;
                if let Some(code) = desk.key.filter(|_| *shown != desk.key) {
                    let area = Rect::new(0, 0, TILE as i32, TILE as i32);
                    match blocking::say(wire, line, now, &draw(area, TILE, TILE), &tile(code)) {
                        // The viewer is slow: the newest tile is shown when it has caught up.
                        Err(Error::Refused(Refused::Hold)) => {}
                        said => {
                            said?;
                            *shown = desk.key;
                        }
                    }
                }
            }
            Role::Inputs(line) => {
                let turn = blocking::turn(wire, line, now, |event| match event {
                    InputsEvent::Inputs(inputs) => inputs.filter_map(pressed).last(),
                    _ => None,
                })?;
                if let Turn::Got(Some(code)) = turn {
                    desk.key = Some(code);
                }
            }
        }
        Ok(())
    }
}

/// Any ticket is right; what matters is whether the channel is there.
fn answer(
    link: &mut ServerLink,
    verdict: &mut Verdict,
    question: Question<'_>,
    out: &mut [u8],
) -> Result<usize, Refused> {
    match question {
        Question::Channel(wanted) => {
            *verdict = find(&wanted);
            // KEY_SCANCODE on inputs, MONITORS_CONFIG on none.
            let channel_caps = u32::from(wanted.channel_type == ChannelType::INPUTS);
            link.admit(&Admission::Admit { public_key: None, channel_caps }, out)
        }
        _ => link.ticket(*verdict).map(|()| 0),
    }
}

fn find(wanted: &Wanted) -> Verdict {
    match (wanted.channel_type, wanted.channel_id, wanted.connection_id) {
        (ChannelType::MAIN, 0, 0) => Verdict::Accepted,
        (ChannelType::DISPLAY | ChannelType::INPUTS, 0, SESSION) => Verdict::Accepted,
        (ChannelType::DISPLAY | ChannelType::INPUTS, 0, _) => Verdict::BadConnectionId,
        _ => Verdict::NotAvailable,
    }
}

/// Says what is said first.
fn open<S: Read + ReadReady + Write>(
    wire: &mut Wire<'_, S>,
    opened: &Opened,
    now: Millis,
) -> Result<Role, Error<S::Error>> {
    match opened.channel_type {
        ChannelType::DISPLAY => {
            let mut line = Line::new(opened, DisplayServer::new(opened.negotiated, false, now), wire);
            let (format, flags) = (SurfaceFormat::XRGB32, SurfaceFlags::PRIMARY);
            let surface = SurfaceCreate { surface_id: 0, width: WIDTH, height: HEIGHT, format, flags };
            blocking::say(wire, &mut line, now, &DisplayMessage::SurfaceCreate(surface), &[])?;
            let area = Rect::new(0, 0, HEIGHT as i32, WIDTH as i32);
            blocking::say(wire, &mut line, now, &draw(area, WIDTH, HEIGHT), &PICTURE)?;
            blocking::say(wire, &mut line, now, &DisplayMessage::Mark(Mark {}), &[])?;
            Ok(Role::Display { line, shown: None })
        }
        ChannelType::INPUTS => {
            let mut line = Line::new(opened, InputsServer::new(opened.negotiated), wire);
            let init = InputsInit { keyboard_modifiers: KeyModifiers::empty() };
            blocking::say(wire, &mut line, now, &InputsMessage::Init(init), &[])?;
            Ok(Role::Inputs(line))
        }
        // Nothing else was accepted.
        _ => {
            let mut line = Line::new(opened, MainServer::new(opened.negotiated), wire);
            let init = MainInit {
                session_id: SESSION,
                display_channels_hint: 1,
                supported_mouse_modes: 1,
                current_mouse_mode: 1,
                agent_connected: 0,
                agent_tokens: 0,
                multi_media_time: now.mm_time(),
                ram_hint: 0,
            };
            blocking::say(wire, &mut line, now, &MainMessage::Init(init), &[])?;
            blocking::say(wire, &mut line, now, &channels(), &[])?;
            Ok(Role::Main(line))
        }
    }
}

fn channels() -> MainMessage<'static> {
    static LIST: [ChannelId; 2] = [ChannelId::new(ChannelType::DISPLAY.0, 0), ChannelId::new(ChannelType::INPUTS.0, 0)];
    MainMessage::ChannelsList(ChannelsList { channels: Counted::new(&LIST) })
}

fn pressed(input: Input) -> Option<u8> {
    match input {
        Input::Key(event) if event.down => Some(event.key.code),
        _ => None,
    }
}

/// Rows of that size onto the surface; the rows are the payload.
fn draw(area: Rect, width: u32, height: u32) -> DisplayMessage<'static> {
    let stride = width * 4;
    let body = ImageBody::Bitmap(Bitmap {
        format: BitmapFormat::THIRTY_TWO_BIT,
        flags: BitmapFlags::TOP_DOWN,
        x: width,
        y: height,
        stride,
        palette: PaletteRef::Here(At(None)),
        data: Data::Promised((stride * height) as usize),
    });
    DisplayMessage::DrawCopy(DrawCopy {
        base: Base { surface_id: 0, area, clip: Clip::None },
        src: At(Some(Image { id: 1, flags: ImageFlags::empty(), width, height, body })),
        src_area: Rect::new(0, 0, height as i32, width as i32),
        rop: Rop::OP_PUT,
        scale_mode: ScaleMode::NEAREST,
        mask: Mask { flags: MaskFlags::empty(), pos: Point::new(0, 0), bitmap: At(None) },
    })
}

/// Blue grows to the right, green downwards.
const fn picture() -> [u8; PICTURE_BYTES] {
    let mut bytes = [0; PICTURE_BYTES];
    let mut at = 0;
    while at < PICTURE_BYTES {
        let pixel = at as u32 / 4;
        bytes[at] = (pixel % WIDTH * 4) as u8;
        bytes[at + 1] = (pixel / WIDTH * 4) as u8;
        bytes[at + 2] = 0x80;
        at += 4;
    }
    bytes
}

/// Its colour tells the key.
fn tile(code: u8) -> [u8; TILE_BYTES] {
    let mut bytes = [0; TILE_BYTES];
    for pixel in bytes.chunks_exact_mut(4) {
        pixel.copy_from_slice(&[code, 0xff, code, 0]);
    }
    bytes
}
